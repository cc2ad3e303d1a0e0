"""NEURON: sections connected, with its own hh, cells spread over threads."""

from __future__ import annotations

import neuron_hh
import neuron_vectors
import shapes
import worker
from neuron import h


class Population:
    """Cells with their clamps; NEURON forgets what Python does not hold."""

    def __init__(self, job: worker.Job):
        h.celsius, h.dt = worker.CELSIUS, job["dt"]
        h.secondorder, h.usetable_hh = job.get("secondorder", 0), job.get("usetable_hh", 1)
        self.pc = h.ParallelContext()
        shape = shapes.SHAPES[job["shape"]]
        self.cells = [tree(shape, g) for g in worker.g_na_watched(job)]
        self.clamps = [clamp(cell[0], shape.current) for cell in self.cells]
        self.voltages = [cell[-1](1 - 0.5 / cell[-1].nseg)._ref_v for cell in self.cells]
        self.pc.set_maxstep(10)
        self.pc.nthread(worker.cores())


def tree(shape: shapes.Shape, g_na: float) -> list[h.Section]:
    """One cell, with this sodium conductance, mS/cm2."""
    cell: list[h.Section] = []
    for told in shape.sections:
        section = h.Section()
        section.L, section.diam, section.nseg = told.length, told.diameter, told.compartments
        section.Ra, section.cm = shapes.R_I, 1.0
        if cell:
            section.connect(cell[told.parent](1))
        neuron_hh.channels(section, "squid", g_na)
        cell.append(section)
    return cell


def clamp(section: h.Section, current: float) -> h.IClamp:
    """A constant current into the first compartment, nA."""
    made = h.IClamp(section(0.5 / section.nseg))
    made.delay, made.dur, made.amp = 0, 1e9, current
    return made


def recorded(job: worker.Job) -> worker.Run:
    """A Vector per cell, which NEURON fills at every step."""
    return neuron_vectors.in_vectors(Population(job), job, worker.V_START)


def variants(job: worker.Job) -> worker.Variants:
    return {"Vector.record": lambda: recorded(job)}


if __name__ == "__main__":
    worker.serve(variants, "neuron")
