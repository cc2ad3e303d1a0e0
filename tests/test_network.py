"""Gap junctions and delayed spikes: closed forms, order, a population kept whole, contracts."""

import jax
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa, SynapseExp

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


# -- spikes ----------------------------------------------------------------------------------------
SQUID = {"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}
connected = nj.electrode.connected


def pulse(n, first, dt, duration=20.0, height=3e-4):
    """A pulse into the first cells of n."""
    i = nj.steps(height, start=1.0, stop=1.5, duration=duration, dt=dt)
    return nj.current_clamp(i[:, None] * (np.arange(n) < first))


def test_a_spike_arrives_after_its_delay_as_an_event_at_that_time(x64):
    """The cell that receives it does what it does when the event is given beforehand."""
    dt = 0.05
    synapses = SQUID | {"exc": SynapseExp(g_max=1.0)}
    wires = nj.Connections(pre=[0, 0], post=[1, 2], delay=[2.013, 5.508], weight=[1.0, 2.0])
    run = nj.simulate(cells(3, synapses), connected(pulse(3, 1, dt), exc=wires), dt, initial=-65.0)
    v = np.asarray(run.v)
    leaves = nj.features.arrival(v[:, 0], dt)
    for k, (delay, weight) in enumerate(((2.013, 1.0), (5.508, 2.0)), 1):
        one = nj.Cell(channels=synapses, area=1e-5)
        told = nj.Events(times=[float(leaves) + delay], weight=weight)
        drive = nj.electrode.stimulus(nj.current_clamp(np.zeros(len(v))), exc=told)
        alone = np.asarray(nj.simulate(one, drive, dt, initial=-65.0).v)
        np.testing.assert_allclose(v[:, k], alone, atol=1e-8)
        assert np.ptp(alone) > 1
    assert run.ok.all()


def test_spikes_run_round_a_ring_of_neurons_with_dendrites():
    n = 200
    soma = nj.ball_and_stick(
        SQUID | {"exc": SynapseExp(g_max=20.0)}, length=100.0, compartments=2,
        density={k: {"soma": 1.0, "dendrite": 0.3} for k in SQUID},
    )  # fmt: skip
    soma = nj.replace(soma, {"C_m": np.ones((1, n))})
    ring = nj.Connections(pre=np.arange(n), post=(np.arange(n) + 1) % n, delay=1.0, at=2)
    drive = connected(pulse(n, 1, 0.025, 30.0, 1e-3), exc=ring)
    run = nj.simulate(soma, drive, initial=-65.0, at=[0])
    at = nj.features.arrival(np.asarray(run.v)[:, 0], 0.025)
    steps = np.diff(at[np.isfinite(at)])
    assert len(steps) > 8 and np.ptp(steps[1:]) < 0.02 and steps.min() > 1.0


def test_more_spikes_than_can_be_on_their_way_fail_the_cell():
    """A hundred milliseconds of delay, and a spike every 12 ms: what would be lost is told."""
    wires = nj.Connections(pre=[0], post=[1], delay=100.0)
    synapses = SQUID | {"exc": SynapseExp(g_max=1.0)}
    i = np.zeros((4000, 2), np.float32)
    i[:, 0] = 2e-4
    run = nj.simulate(cells(2, synapses), connected(nj.current_clamp(i), exc=wires), initial=-65.0)
    assert not np.asarray(run.ok)[:2].any()
    # A cell fails by its own delays, not by those of others.
    wires = nj.Connections(pre=[0, 1], post=[1, 0], delay=[1.0, 100.0], weight=0.0)
    run = nj.simulate(cells(2, synapses), connected(nj.current_clamp(i), exc=wires), initial=-65.0)
    assert (nj.features.spikes(np.asarray(run.v), 0.025).number[0] > 6) and np.asarray(run.ok)[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"delay": 0.01}, "connections of 'exc': delay = 0.01 ms: expected 0.025 ms or more"),
        ({"weight": -1.0}, "connections of 'exc': weight = -1: expected 0 or more"),
        ({"post": [5]}, "connections of 'exc': post = .5.: expected cells from 0 to 1"),
        ({"of": 1}, "connections of 'exc': of = 1: expected whole numbers from 0 to 0"),
        ({"delay": [1.0, 2.0]}, "expected pre and post .pair."),
    ],
)
def test_wrong_connections_are_refused_by_name(changes, message):
    wires = nj.Connections(**({"pre": [0], "post": [1], "delay": 1.0} | changes))
    synapses = LEAK | {"exc": SynapseExp()}
    with pytest.raises(ValueError, match=message):
        nj.simulate(cells(2, synapses), connected(nj.current_clamp(np.zeros(4)), exc=wires))
    with pytest.raises(ValueError, match="connections of 'leak': no such channel that receives"):
        nj.simulate(cells(2, synapses), connected(nj.current_clamp(np.zeros(4)), leak=wires))


# -- contracts -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"b": [2]}, "gap junctions: b = .2.: expected cells from 0 to 1"),
        ({"g": -1.0}, "gap junctions: g = -1 nS: expected 0 nS or more"),
        ({"g": [1.0, 2.0]}, "expected a and b .pair."),
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
    with pytest.raises(ValueError, match="the run has 1, expected a population"):
        nj.simulate(nj.Cell(channels=LEAK, area=1e-5), drive)
    with pytest.raises(ValueError, match="the error of some of them"):
        nj.error_of(cells(2), drive)
    with pytest.raises(ValueError, match="engine 'prefix': cells that act"):
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
