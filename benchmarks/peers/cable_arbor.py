"""Arbor: cable cells of one control volume for each compartment."""

from __future__ import annotations

import functools
import operator

import arbor
import arbor_hh
import shapes
import worker
from arbor import units as U


class Population(arbor_hh.Population):
    """One description per cell, differing in a conductance; no connections."""

    def __init__(self, job: worker.Job):
        super().__init__(job)
        self.g_na = worker.g_na_watched(job)
        self.shape = shapes.SHAPES[job["shape"]]
        self.tree, self.volumes = drawn(self.shape)

    def cell_description(self, gid):
        decor = arbor.decor()
        decor.set_property(
            Vm=worker.V_START * U.mV,
            cm=0.01 * U.F / U.m2,
            rL=shapes.R_I * U.Ohm * U.cm,
            tempK=(worker.CELSIUS + 273.15) * U.Kelvin,
        )
        decor.paint("(all)", arbor.density(self.channels(gid)))
        clamp = arbor.i_clamp(self.shape.current * U.nA)
        first = 0.5 / self.shape.sections[0].compartments
        decor.place(f"(on-components {first} (segment 0))", clamp)
        return arbor.cable_cell(self.tree, decor, discretization=self.volumes)

    def probes(self, gid):
        last = len(self.shape.sections) - 1
        there = 1 - 0.5 / self.shape.sections[last].compartments
        place = f"(on-components {there} (segment {last}))"
        return [arbor.cable_probe_membrane_voltage(place, "v")]


def drawn(shape: shapes.Shape) -> tuple[arbor.segment_tree, arbor.cv_policy]:
    """The sections as segments along a line, and how each is cut."""
    tree, ends, policies = arbor.segment_tree(), [], []
    for k, section in enumerate(shape.sections):
        start = ends[section.parent] if k else 0.0
        ends.append(start + section.length)
        places = [arbor.mpoint(x, 0, 0, section.diameter / 2) for x in (start, ends[-1])]
        tree.append(section.parent if k else arbor.mnpos, *places, tag=1)
        policies.append(arbor.cv_policy_fixed_per_branch(section.compartments, f"(segment {k})"))
    return tree, functools.reduce(operator.or_, policies)


def variants(job: worker.Job) -> worker.Variants:
    share = -(-job["n"] // worker.cores())
    group = min(share, 64)
    return {f"groups of {group}": lambda: arbor_hh.simulated(job, Population(job), group)}


if __name__ == "__main__":
    worker.serve(variants, "arbor")
