"""NEURON: a section and a current clamp per cell, spread over threads; its hh, or a .mod of ours.

With a fixed step, or by CVODE with a step for each cell where the job has a tolerance.
"""

from __future__ import annotations

import functools
import math

import neuron_vectors
import nmodl
import numpy as np
import worker
from neuron import h

DIAMETER = math.sqrt(100 / math.pi)  # um; as long as wide it has 100 um2


class Population:
    """Sections with their clamps; NEURON forgets what Python does not hold."""

    def __init__(self, job: worker.Job):
        h.celsius, h.dt = worker.CELSIUS, job["dt"]
        h.secondorder, h.usetable_hh = job.get("secondorder", 0), job.get("usetable_hh", 1)
        if "model" in job:
            load()
        self.v = job.get("v", worker.V_START)
        self.job, self.pc = job, h.ParallelContext()
        self.sections, self.clamps = [], []
        for g in worker.g_na(job):
            section = h.Section()
            section.L = section.diam = DIAMETER
            channels(section, job.get("model", "squid"), g)
            clamp = h.IClamp(section(0.5))
            clamp.delay, clamp.dur = 0, 1e9
            clamp.amp = job.get("i", worker.CURRENT) * 1e-3  # nA on 100 um2
            self.sections.append(section)
            self.clamps.append(clamp)
        self.pc.set_maxstep(10)
        self.pc.nthread(worker.cores())
        self.voltages = [section(0.5)._ref_v for section in self.sections]


def channels(section: h.Section, model: str, g: float) -> None:
    """Those of a model, with this sodium conductance, mS/cm2."""
    if model != "squid":
        section.insert(model)
        getattr(section(0.5), model).g_na = g
        return
    section.insert("hh")
    section.ena, section.ek = worker.E_NA, worker.E_K
    for part in section:
        hh = part.hh
        hh.gnabar, hh.gkbar, hh.gl = g * 1e-3, worker.G_K * 1e-3, worker.G_LEAK * 1e-3
        hh.el = worker.E_LEAK


@functools.cache
def load() -> None:
    """The mechanisms of all other models: CoreNEURON takes its library once."""
    h.nrn_load_dll(str(nmodl.compiled() / "libnrnmech.so"))


def gathered(job: worker.Job) -> worker.Run:
    """All potentials gathered at once, whenever a record is due."""
    cells = Population(job)
    total, every = worker.steps(job)
    pointers, now = h.PtrVector(job["n"]), h.Vector(job["n"])
    for k, reference in enumerate(cells.voltages):
        pointers.pset(k, reference)
    view, v = now.as_numpy(), np.empty((total // every, job["n"]))

    def run():
        h.finitialize(cells.v)
        for k, row in enumerate(v, start=1):
            cells.pc.psolve(k * job["record_ms"])
            pointers.gather(now)
            row[:] = view
        return v

    return run


def recorded(job: worker.Job) -> worker.Run:
    """A Vector per cell, which NEURON fills at every step."""
    cells = Population(job)
    return neuron_vectors.in_vectors(cells, job, cells.v)


def adaptive(job: worker.Job, threads: int, local: bool) -> worker.Run:
    """By CVODE, which interpolates to the records; each cell with a step of its own, or not."""
    cells = Population(job)
    cells.pc.nthread(threads)
    solver = h.CVode()
    solver.active(True)
    solver.use_local_dt(local)
    solver.atol(job["tol"])
    pairs = zip(cells.clamps, cells.voltages, strict=True)
    vectors = [h.Vector().record(clamp, v, job["record_ms"]) for clamp, v in pairs]

    def run():
        h.finitialize(cells.v)
        cells.pc.psolve(job["ms"])
        return lambda: np.stack([np.asarray(x)[1:] for x in vectors], axis=-1)

    return run


def variants(job: worker.Job) -> worker.Variants:
    if "tol" in job:  # with threads a step for each cell does not go together with records
        return {
            "one step, one thread": lambda: adaptive(job, 1, False),
            "one step, threads": lambda: adaptive(job, worker.cores(), False),
            "a step for each cell": lambda: adaptive(job, 1, True),
        }
    return {"PtrVector.gather": lambda: gathered(job), "Vector.record": lambda: recorded(job)}


if __name__ == "__main__":
    worker.serve(variants, "neuron")
