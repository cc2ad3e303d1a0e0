"""Cells with compartments in GPU kernels: their state in memory, a compartment at a time."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from kernels import close, interpreted, lowered, needs_kernels

import neurojax as nj
from neurojax.channels import CortexCaL, SkK, SquidK, SquidLeak, SquidNa, SynapseExp
from neurojax.membrane import pipette

pytestmark = needs_kernels

DT, STEPS = 0.025, 12
CHANNELS = {"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}
CLAMP = nj.current_clamp(np.full(STEPS, 1e-3, np.float32))


def population(cell, name="leak.E_rev"):
    return nj.replace(cell, {name: np.linspace(-70.0, -50.0, 5)[None]})


def branched(channels=CHANNELS, **more):
    """Two branches on a joint, which is a node of its own."""
    sections = {
        "soma": nj.Section(20.0, 20.0, 1),
        "stem": nj.Section(100.0, 2.0, 2, on="soma"),
        "left": nj.Section(80.0, 1.0, 1, on="stem"),
        "right": nj.Section(80.0, 1.0, 1, on="stem"),
    }
    return population(nj.assemble(sections, channels, **more))


def simulated(cell, electrode=CLAMP, every=4, initial=-60.0, **more):
    return lambda: nj.simulate(cell, electrode, DT, every=every, initial=initial, **more)


def everything():
    """A synapse in the dendrite, calcium, a pipette, a spike count and places to look at."""
    others = {"ca": CortexCaL(), "sk": SkK(), "exp": SynapseExp(), "pipette": nj.Pipette()}
    ion = {"ca": nj.Ion(valence=2, inside=1e-4, outside=2.0, depth=0.1, tau=80.0)}
    cell = replace(branched(CHANNELS | others), ions=ion)
    held = pipette.voltage_clamp(np.full(STEPS, -60.0, np.float32))
    electrode = nj.electrode.stimulus(held, exp=nj.Events(times=[0.11], at=3))
    folds = {"n": nj.At(fold=nj.SpikeCount(), place=2)}
    return simulated(cell, electrode, record=("v", "na.m"), at=[0, 4], folds=folds)


RUNS = {
    "everything": everything,
    "an ideal clamp": lambda: simulated(
        branched(), nj.voltage_clamp(np.full(STEPS, -60.0, np.float32)), record=("i_amp",)
    ),
    "1000 compartments": lambda: simulated(population(nj.cylinder(1e4, 2.0, 1000, CHANNELS))),
    "one cell": lambda: simulated(nj.cylinder(100.0, 1.0, 3, CHANNELS)),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_time_loop_of_cables_is_one_kernel(name):
    run = RUNS[name]()
    lengths = {"1000 compartments": (999, 1000), "one cell": (2, 3)}.get(name, (5, 6))
    assert lowered(run, lengths=lengths).count("custom_call @mosaic_gpu") == 1


def test_in_a_kernel_its_potentials_are_those_of_the_scan():
    cell = branched({"k": SquidK(), "leak": SquidLeak()})
    run = simulated(cell, every=3, at=[0, 4])
    got, want = interpreted(run, lengths=cell.lengths), run()
    close(got, want, rtol=2e-6)
    assert np.ptp(np.asarray(want.v)) > 1.0 and jax.numpy.shape(got.v) == (4, 2, 5)


def test_what_a_kernel_cannot_do_along_compartments_is_a_scan_that_says_so():
    fold = nj.At(fold=nj.VoltageError(data=nj.Target(np.zeros(3), np.ones(3))), place=3)
    how = {"of": fold, "wrt": ["k.g_bar", "leak.g_bar"], "every": 4, "initial": -60.0}
    with pytest.raises(RuntimeWarning, match="along compartments"):
        lowered(lambda: nj.gradient(branched(), CLAMP, DT, **how), lengths=(5, 6))
