"""Arbor: a cable cell of one control volume each, in groups that fill the vector units."""

from __future__ import annotations

import math

import arbor
import numpy as np
import worker
from arbor import units as U

RADIUS, LENGTH = 1.0, 10.0  # um
NA_PER_DENSITY = 2 * math.pi * RADIUS * LENGTH * 1e-8 * 1e3  # nA per uA/cm2
S_PER_MS = 1e-3


class Population(arbor.recipe):
    """One description per cell, differing in a conductance; no connections."""

    def __init__(self, job: worker.Job):
        super().__init__()
        self.g_na = worker.g_na(job)
        self.tree = arbor.segment_tree()
        ends = [arbor.mpoint(x, 0, 0, RADIUS) for x in (-LENGTH / 2, LENGTH / 2)]
        self.tree.append(arbor.mnpos, *ends, tag=1)
        self.properties = arbor.neuron_cable_properties()
        self.properties.set_ion("na", rev_pot=worker.E_NA * U.mV)
        self.properties.set_ion("k", rev_pot=worker.E_K * U.mV)

    def num_cells(self):
        return self.g_na.size

    def cell_kind(self, gid):
        return arbor.cell_kind.cable

    def global_properties(self, kind):
        return self.properties

    def channels(self, gid):
        return arbor.mechanism(
            "hh",
            {
                "gnabar": self.g_na[gid] * S_PER_MS,
                "gkbar": worker.G_K * S_PER_MS,
                "gl": worker.G_LEAK * S_PER_MS,
                "el": worker.E_LEAK,
            },
        )

    def cell_description(self, gid):
        decor = arbor.decor()
        decor.set_property(
            Vm=worker.V_START * U.mV,
            cm=0.01 * U.F / U.m2,
            tempK=(worker.CELSIUS + 273.15) * U.Kelvin,
        )
        decor.paint("(all)", arbor.density(self.channels(gid)))
        clamp = arbor.i_clamp(worker.CURRENT * NA_PER_DENSITY * U.nA)
        decor.place("(location 0 0.5)", clamp)
        return arbor.cable_cell(self.tree, decor, discretization=arbor.cv_policy_single())

    def probes(self, gid):
        return [arbor.cable_probe_membrane_voltage("(location 0 0.5)", "v")]


def simulated(job: worker.Job, recipe: Population, group: int) -> worker.Run:
    """A simulation on all cores with a sampler per cell."""
    context = arbor.context(threads=worker.cores())
    hint = arbor.partition_hint(cpu_group_size=group)
    groups = arbor.partition_load_balance(recipe, context, {arbor.cell_kind.cable: hint})
    simulation = arbor.simulation(recipe, context, groups)
    schedule = arbor.regular_schedule(job["record_ms"] * U.ms)
    handles = [simulation.sample((gid, "v"), schedule) for gid in range(job["n"])]

    def collect():
        # A sample at the end of the run belongs to the next step, so there is one less.
        return np.stack([simulation.samples(h)[0][0][1:, 1] for h in handles], axis=-1)

    def run():
        simulation.reset()
        simulation.run((job["ms"] + job["dt"]) * U.ms, job["dt"] * U.ms)
        return collect

    return run


def variants(job: worker.Job) -> worker.Variants:
    share = -(-job["n"] // worker.cores())
    sizes = sorted({min(share, size) for size in (64, 512)})
    return {
        f"groups of {size}": lambda size=size: simulated(job, Population(job), size)
        for size in sizes
    }


if __name__ == "__main__":
    worker.serve(variants, "arbor")
