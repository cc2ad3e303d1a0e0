"""Gap junctions: closed forms, order of the step, a population that is not cut, contracts."""

import jax
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa

LEAK = {"leak": SquidLeak(g_bar=0.1, E_rev=-70.0)}
joined = nj.electrode.joined


def cells(n, channels=LEAK, **more):
    return nj.Cell(channels=channels, area=1e-5, C_m=np.ones(n), **more)


def start(cell, v):
    return nj.steady_state(cell, np.asarray(v, float))


def test_two_cells_decay_to_each_other_and_to_rest(x64):
    """Their mean goes with g / C, their difference with (g + 2 g_gap) / C."""
    gap = nj.GapJunctions(a=[0], b=[1], g=0.5)  # nS: 0.05 mS/cm2 of 1e-5 cm2
    cell = cells(2)
    errors = {}
    for dt in (0.2, 0.1):
        drive = joined(nj.current_clamp(np.zeros(round(10 / dt))), gap)
        v = np.asarray(nj.simulate(cell, drive, dt, initial=start(cell, [-40.0, -70.0])).v)[-1] + 70
        mean, apart = 15.0 * np.exp(-0.1 * 10), 30.0 * np.exp(-0.2 * 10)
        errors[dt] = np.abs(v - [mean + apart / 2, mean - apart / 2]).max()
    assert errors[0.1] < 1e-4 and errors[0.2] / errors[0.1] == pytest.approx(4, rel=0.1)


def test_how_much_of_a_steady_potential_reaches_the_other_cell(x64):
    gap = nj.GapJunctions(a=[0], b=[1], g=0.5)
    i = np.tile([1e-5, 0.0], (4000, 1))
    v = np.asarray(nj.simulate(cells(2), joined(nj.current_clamp(i), gap), 0.05).v)[-1] + 70
    assert v[1] / v[0] == pytest.approx(0.05 / (0.05 + 0.1), rel=1e-5)
    assert v.sum() == pytest.approx(1.0 / 0.1, rel=1e-6)  # 1e-5 uA on 1e-5 cm2


def test_a_spike_goes_from_cell_to_cell_of_a_large_population():
    """Too many for a block: what would be lost between blocks would stop it."""
    n = 2500
    squid = {"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}
    a = np.arange(n - 1)
    row = nj.GapJunctions(a=a, b=a + 1, g=20.0)
    i = np.zeros((400, n), np.float32)
    i[:40, [0, 1200]] = 5e-4
    drive = joined(nj.current_clamp(i), row)
    run = nj.simulate(cells(n, squid), drive, initial=-65.0, folds={"n": nj.SpikeCount()})
    first = nj.features.arrival(np.asarray(run.v), 0.025)
    assert (np.asarray(run.folds["n"])[1190:1211] == 1).all()
    # As far to the left as to the right, over what would be the bounds of blocks.
    np.testing.assert_allclose(first[1200:1215], first[1200:1185:-1], atol=1e-2)
    assert np.isnan(first[600])


def test_gap_junctions_of_dendrites_are_where_they_are(x64):
    stick = nj.cylinder(200.0, 2.0, 5, LEAK)
    stick = nj.replace(stick, {"C_m": np.ones((1, 2))})
    gap = nj.GapJunctions(a=[0], b=[1], g=0.5, at_a=4, at_b=2)
    errors = {}
    r = np.asarray(nj.electrotonus.transfer_resistance(stick, 4))[:, 0]  # MOhm
    there = np.asarray(nj.electrotonus.transfer_resistance(stick, 2))[:, 1]
    # Two linear networks in series: the current through the gap junction from the open potentials.
    apart = r[0] * 10.0 * 1e-3  # mV in compartment 4 of cell 0 by 10 pA in compartment 0
    through = apart / (r[4] + there[2] + 1e3 / 0.5)  # nA
    for dt in (0.05, 0.025):
        i = np.tile([1e-5, 0.0], (round(150 / dt), 1))
        run = nj.simulate(stick, joined(nj.current_clamp(i), gap), dt, every=len(i))
        v = np.asarray(run.v)[-1, :, 1] + 70
        errors[dt] = np.abs(v / (there * through) - 1).max()
    # Second order: axial currents are 1.6 and 0.8 as fast as the step.
    assert errors[0.025] < 1e-3 and errors[0.05] / errors[0.025] > 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"b": [2]}, "gap junctions: b = .2.: expected cells from 0 to 1"),
        ({"g": -1.0}, "gap junctions: g = -1 nS: expected 0 or more"),
        ({"g": [1.0, 2.0]}, "expected a and b"),
        ({"at_b": 1}, "gap junctions: at_b = 1: expected whole numbers from 0 to 0"),
        ({"g": 1e4}, "10000 nS even out within 0.001 ms: take a step of at most 0.001 ms"),
    ],
)
def test_wrong_gap_junctions_are_refused_by_name(changes, message):
    gap = nj.GapJunctions(**({"a": [0], "b": [1]} | changes))
    with pytest.raises(ValueError, match=message):
        nj.simulate(cells(2), joined(nj.current_clamp(np.zeros(4)), gap))


def test_what_cells_do_to_each_other_has_no_derivative_yet():
    gap = nj.GapJunctions(a=[0], b=[1])
    drive = joined(nj.current_clamp(np.zeros(4)), gap)
    with pytest.raises(ValueError, match="'gap junctions' has the coupling 'events'"):
        nj.gradient(cells(2), drive, of=nj.Mean(), wrt=["leak.g_bar"])
    with pytest.raises(ValueError, match="join cells of a population: the run has 1"):
        nj.simulate(nj.Cell(channels=LEAK, area=1e-5), drive)
    with pytest.raises(ValueError, match="gap junctions: the error of some"):
        nj.error_of(cells(2), drive)
    with pytest.raises(ValueError, match="engine 'prefix': gap junctions"):
        clamp = joined(nj.voltage_clamp(np.zeros(4)), gap)
        nj.simulate(cells(2), clamp, engine="prefix")

    # JAX's own way through the scan remains.
    def last(g):
        pair = nj.GapJunctions(a=np.array([0]), b=np.array([1]), g=g)
        run = nj.simulate(
            cells(2), joined(nj.current_clamp(np.zeros(40)), pair),
            initial=start(cells(2), [-40.0, -70.0]),
        )  # fmt: skip
        return run.v[-1, 1]

    assert jax.jit(jax.grad(last))(0.5) > 0
