"""NEURON: a section with hh and a current clamp per cell, fixed step, cells spread over threads."""

from __future__ import annotations

import math

import numpy as np
import worker
from neuron import h

DIAMETER = math.sqrt(100 / math.pi)  # um; as long as wide it has 100 um2


class Population:
    """Sections with their clamps; NEURON forgets what Python does not hold."""

    def __init__(self, job: worker.Job):
        h.celsius, h.dt = worker.CELSIUS, job["dt"]
        h.secondorder, h.usetable_hh = job.get("secondorder", 0), job.get("usetable_hh", 1)
        self.job, self.pc = job, h.ParallelContext()
        self.sections, self.clamps = [], []
        for g in worker.g_na(job):
            section = h.Section()
            section.L = section.diam = DIAMETER
            section.insert("hh")
            hh = section(0.5).hh
            hh.gnabar, hh.gkbar, hh.gl = g * 1e-3, worker.G_K * 1e-3, worker.G_LEAK * 1e-3
            hh.el, section.ena, section.ek = worker.E_LEAK, worker.E_NA, worker.E_K
            clamp = h.IClamp(section(0.5))
            clamp.delay, clamp.dur, clamp.amp = 0, 1e9, worker.CURRENT * 1e-3  # nA on 100 um2
            self.sections.append(section)
            self.clamps.append(clamp)
        self.pc.set_maxstep(10)
        self.pc.nthread(worker.cores())
        self.voltages = [section(0.5)._ref_v for section in self.sections]


def gathered(job: worker.Job) -> worker.Run:
    """All potentials gathered at once, whenever a record is due."""
    cells = Population(job)
    total, every = worker.steps(job)
    pointers, now = h.PtrVector(job["n"]), h.Vector(job["n"])
    for k, reference in enumerate(cells.voltages):
        pointers.pset(k, reference)
    view, v = now.as_numpy(), np.empty((total // every, job["n"]))

    def run():
        h.finitialize(worker.V_START)
        for k, row in enumerate(v, start=1):
            cells.pc.psolve(k * job["record_ms"])
            pointers.gather(now)
            row[:] = view
        return v

    return run


def recorded(job: worker.Job) -> worker.Run:
    """A Vector per cell, which NEURON fills at every step."""
    cells = Population(job)
    _, every = worker.steps(job)
    # The clamp says on which thread a cell is; else NEURON searches all of them for every vector.
    pairs = zip(cells.clamps, cells.voltages, strict=True)
    vectors = [h.Vector().record(clamp, reference) for clamp, reference in pairs]

    def collect():
        return np.stack([np.asarray(x)[every::every] for x in vectors], axis=-1)

    def run():
        h.finitialize(worker.V_START)
        cells.pc.psolve(job["ms"])
        return collect

    return run


def variants(job: worker.Job) -> worker.Variants:
    return {"PtrVector.gather": lambda: gathered(job), "Vector.record": lambda: recorded(job)}


if __name__ == "__main__":
    worker.serve(variants, "neuron")
