"""The squid axon against numbers that other programs and the papers give.

Spike times, thresholds and resting potentials were computed by an independent implementation of
Hodgkin & Huxley's equations (scipy DOP853, rtol 1e-10).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa

# Constant current (uA/cm2) from rest for 500 ms -> number of spikes, times (ms) of the first ones
# (upward crossing of 0 mV), largest potential (mV).
STEPS = {
    2.2: (0, [], -58.1108),
    2.3: (1, [7.27805], 34.4014),
    5.0: (1, [2.98942], 39.0223),
    6.0: (2, [2.63183, 23.02523], 39.4140),
    6.2: (3, [2.57430, 21.49566, 41.37130], 39.4641),
    6.3: (27, [2.54688, 21.13226, 40.04802], 39.4937),
    7.0: (30, [2.37624, 19.64145, 36.78865], 39.6905),
    8.0: (32, [2.18181, 18.40161, 34.41784], 39.9134),
    10.0: (35, [1.90123, 16.82265, 31.47189], 40.2636),
    12.0: (37, [1.70508, 15.75522, 29.48598], 40.5371),
    15.0: (40, [1.49719, 14.61382, 27.35152], 40.8674),
    20.0: (44, [1.27079, 13.33295, 24.93147], 41.2936),
    30.0: (50, [1.01228, 11.79984, 21.98508], 41.9518),
    50.0: (59, [0.75918, 10.23427, 18.90088], 42.9453),
    80.0: (1, [0.57634], 44.2236),
    100.0: (1, [0.50196], 45.0038),
    150.0: (1, [0.38275], 46.8577),
}
LAST_INTERVAL = {6.0: 20.39340, 6.3: 19.09460, 10.0: 14.63621, 20.0: 11.56470, 50.0: 8.54438}


def squid(**parameters) -> nj.Cell:
    cell = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})
    return nj.replace(cell, {name.replace("__", "."): x for name, x in parameters.items()})


def crossings(v, dt, level=0.0):
    """Times of upward crossings, interpolated; v[k] is at (k + 1) * dt."""
    v = np.asarray(v, dtype=np.float64) - level
    k = np.flatnonzero((v[:-1] < 0) & (v[1:] >= 0))
    return (k + 1 + v[k] / (v[k] - v[k + 1])) * dt


LONGEST = 50_000
"""Steps of all runs here, idle after their end: so they share a program."""


def potentials(i, dt, cell=None):
    """v `[step, cell]` from rest under currents of this shape (uA)."""
    n, lanes = np.shape(i)
    whole = np.zeros((LONGEST, len(STEPS)))
    whole[:n, :lanes] = i
    run = nj.simulate(cell or squid(), nj.current_clamp(whole), dt)
    return np.asarray(run.v)[:n, :lanes]


def family(currents, dt, duration=500.0):
    return potentials(np.tile(currents, (round(duration / dt), 1)), dt)


@pytest.mark.parametrize(("double", "dt", "tolerance"), [(True, 0.01, 0.02), (False, 0.025, 0.1)])
def test_spike_times_of_every_current(double, dt, tolerance):
    with jax.enable_x64(double):
        v = family(list(STEPS), dt)
    assert v.dtype == (np.float64 if double else np.float32)
    for k, (current, (n, first, v_max)) in enumerate(STEPS.items()):
        times = crossings(v[:, k], dt)
        assert len(times) == n, f"{current} uA/cm2"
        np.testing.assert_allclose(times[:3], first, atol=tolerance, err_msg=f"{current} uA/cm2")
        # Peaks are narrow: the largest sample of a coarse run is a little beside them.
        assert v[:, k].max() == pytest.approx(v_max, abs=0.05)
        if current in LAST_INTERVAL:
            last = times[-1] - times[-2]
            assert last == pytest.approx(LAST_INTERVAL[current], abs=tolerance)


def test_spike_times_converge_at_second_order(x64):
    reference = np.array(STEPS[10.0][1])
    errors = [
        np.abs(crossings(family([10.0], dt, 40.0)[:, 0], dt)[:3] - reference).max()
        for dt in (0.04, 0.02, 0.01)
    ]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders.min() > 1.9, orders


def test_voltage_converges_at_second_order(x64):
    # A smooth current, below threshold and through a spike, against a much finer run.
    def run(dt):
        t = (np.arange(round(12.0 / dt)) + 0.5) * dt
        i = 6.0 * np.sin(np.pi * t / 12.0) ** 2
        every = round(0.08 / dt)
        return potentials(i[:, None], dt)[every - 1 :: every]

    fine = run(0.00125)
    errors = [np.abs(run(dt) - fine).max() for dt in (0.02, 0.01, 0.005)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders.min() > 1.9, orders


@pytest.mark.parametrize(
    ("E_leak", "rest"), [(-54.387, -64.996379), (-54.4, -64.999722), (-54.3, -64.974052)]
)
def test_resting_potential(E_leak, rest):
    cell = squid(leak__E_rev=E_leak)
    assert float(nj.at_rest(cell).v) == pytest.approx(rest, abs=2e-5)
    with jax.enable_x64(True):
        state = nj.at_rest(cell)
        assert float(state.v) == pytest.approx(rest, abs=1e-6)
        # and it stays there
        still = potentials(np.zeros((4000, 1)), 0.025, cell)
        assert np.abs(still - rest).max() < 1e-5


def test_resting_gates(x64):
    # Hodgkin & Huxley's V = 0 is -65 mV here.
    x = nj.steady_state(squid(), -65.0).x
    assert float(x["na"]["m"]) == pytest.approx(0.0529324853, abs=1e-10)
    assert float(x["na"]["h"]) == pytest.approx(0.596120754, abs=1e-9)
    assert float(x["k"]["n"]) == pytest.approx(0.317676914, abs=1e-9)


def test_rates_are_the_paper_s(x64):
    # V is the displacement from rest, depolarisation negative, as the paper writes it.
    V = np.array([60.0, 15.0, 1.0, -3.0, -26.0, -31.0, -77.7, -110.0])
    alpha_n = 0.01 * (V + 10) / np.expm1((V + 10) / 10)
    alpha_m = 0.1 * (V + 25) / np.expm1((V + 25) / 10)
    paper = {
        "n": (alpha_n, 0.125 * np.exp(V / 80)),
        "m": (alpha_m, 4 * np.exp(V / 18)),
        "h": (0.07 * np.exp(V / 20), 1 / (np.exp((V + 30) / 10) + 1)),
    }
    v = jnp.asarray(-65.0 - V)
    ours = SquidNa().gating(v) | SquidK().gating(v)
    for gate, (alpha, beta) in paper.items():
        np.testing.assert_allclose(ours[gate].inf, alpha / (alpha + beta), rtol=1e-9)
        np.testing.assert_allclose(ours[gate].rate, alpha + beta, rtol=1e-9)


def test_rheobase(x64):
    # Just below and above the published 2.240334 uA/cm2, for an infinite step from rest.
    v = family([2.2, 2.2400, 2.2407, 2.3], 0.01, 60.0)
    assert [len(crossings(v[:, k], 0.01)) for k in range(4)] == [0, 0, 1, 1]


def displaced(mV, dt, duration):
    """An instantaneous displacement, as the paper's: a charge C_m * mV, put on within one step.

    The shock's middle is half a step after the start, which `t` accounts for.
    """
    shock = np.zeros((round(duration / dt), len(mV)))
    shock[0] = np.asarray(mV) / dt
    v = potentials(shock, dt)
    t = (np.arange(len(v)) + 0.5) * dt
    return t, v - float(nj.at_rest(squid()).v)


def test_displacement_threshold(x64):
    _, above = displaced([6.0, 6.50, 6.51, 7.0], 0.005, 30.0)
    fired = above.max(axis=0) > 90
    assert fired.tolist() == [False, False, True, True]
    assert above[:, :2].max() < 20  # all or none
    # Between them, by bisection of a population at a time: 6.50507 mV.
    low, high = 6.50, 6.51
    for _ in range(2):
        mV = np.linspace(low, high, 11)
        fired = displaced(mV, 0.005, 30.0)[1].max(axis=0) > 90
        first = int(np.argmax(fired))
        low, high = mV[first - 1], mV[first]
    assert 0.5 * (low + high) == pytest.approx(6.50507, abs=2e-4)


def test_action_potential_after_a_displacement(x64):
    t, above = displaced([7.0, 15.0, 90.0], 0.0025, 20.0)
    peaks = above.max(axis=0)
    # The reference counts from -65 mV, 3.6 uV below the resting potential.
    np.testing.assert_allclose(peaks, [102.112, 105.403, 108.533], atol=5e-3)
    np.testing.assert_allclose(t[above.argmax(axis=0)], [3.3944, 1.1556, 0.2985], atol=5e-3)
    assert above[:, 0].min() == pytest.approx(-11.161, abs=5e-3)


def test_temperature_speeds_every_gate_by_3_per_10_degrees(x64):
    v = jnp.asarray(-42.0)
    for channel in (SquidNa(), SquidK()):
        reference = channel.gating(v)
        for celsius in (6.3, 16.3, 18.5):
            warm = channel.kinetics(v, celsius)
            for k, g in reference.items():
                assert float(warm[k].inf) == pytest.approx(float(g.inf), rel=1e-14)
                ratio = float(warm[k].rate / g.rate)
                assert ratio == pytest.approx(3 ** ((celsius - 6.3) / 10), rel=1e-12)


def test_a_warm_action_potential_is_shorter_and_smaller():
    dt = 0.01
    i = nj.steps(40.0, start=0.0, stop=0.5, duration=10.0, dt=dt)

    warm = nj.Cell(channels=squid().channels, celsius=np.array([6.3, 18.5]))
    v = np.asarray(nj.simulate(warm, nj.current_clamp(i), dt).v)
    peaks, widths = v.max(axis=0), (v > -20).sum(axis=0) * dt
    assert peaks[0] > peaks[1] > 0
    assert 2.0 < widths[0] / widths[1] < 4.0


def test_without_a_temperature_it_is_at_that_of_the_paper():
    cells = (nj.Cell(channels=squid().channels, celsius=celsius) for celsius in (None, 6.3))
    s = nj.steady_state(squid(), -65.0)._replace(v=jnp.asarray(-30.0))
    bare, told = (nj.step(cell, s, nj.Electrode(5.0, 0.0, 0.0), 0.01) for cell in cells)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, bare, told))
