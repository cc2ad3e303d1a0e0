"""Which sweeps are fitted: every second one, and of these the ones that tell most."""

import numpy as np
import pytest

import neurojax as nj
from neurojax.fit.scoring.select_sweeps import default_sweeps, every_second, select_sweeps

SPIKE = np.r_[np.linspace(-60, 20, 5), np.linspace(20, -60, 5)]


def sweep(number: int, pA: float, fires: int) -> nj.Trace:
    v = np.full(2000, -65.0)
    for k in range(fires):
        v[600 + 60 * k : 610 + 60 * k] = SPIKE
    i = np.zeros(2000)
    i[500:1500] = pA
    return nj.Trace("current", 0.1, v, i, sweep=number)


@pytest.fixture(scope="module")
def recording():
    steps = [-100, -50, 0, 50, 100, 150, 200, 250, 300]
    return [sweep(k, pA, max(0, k - 4)) for k, pA in enumerate(steps)]


def test_every_second_sweep_is_held_out_and_the_strongest_fitted(recording):
    fitted, held_out = every_second(recording)
    assert [t.sweep for t in fitted] == [8, 6, 4, 2]  # 4 is the strongest without a spike
    assert [t.sweep for t in held_out] == [7, 5, 3, 1, 0]
    for few in (recording[:1], recording[-1:]):
        assert every_second(few) == (few, [])


def test_the_telling_ones_span_silence_and_firing(recording):
    assert [t.sweep for t in select_sweeps(recording)] == [0, 2, 4, 5, 6, 7, 8]
    assert [t.sweep for t in select_sweeps(recording, most=6)] == [0, 2, 4, 5, 7, 8]
    assert [t.sweep for t in select_sweeps(recording, most=3)] == [0, 5, 8]
    assert [t.sweep for t in select_sweeps(recording[:3])] == [0, 1, 2]
    assert [t.sweep for t in select_sweeps(recording[6:], most=2)] == [6, 8]
    assert select_sweeps([]) == []


def test_the_strongest_is_fitted_however_few_spikes_it_has():
    """Neither a train that no longer grows nor a block of spikes is left to extrapolation."""
    spikes = [0, 1, 3, 5, 5, 5, 5, 2]
    chosen = select_sweeps([sweep(k, 100.0 * k, n) for k, n in enumerate(spikes)], most=4)
    assert [t.sweep for t in chosen] == [0, 1, 4, 7]


def test_short_pulses_beside_long_steps_are_left_out(recording):
    pulse = sweep(20, 500.0, 1)
    pulse = nj.Trace("current", 0.1, pulse.v_mV, np.where(np.arange(2000) < 600, pulse.i_pA, 0.0))
    fitted, held_out = default_sweeps([*recording, pulse])
    assert [t.sweep for t in fitted] == [2, 4, 6, 8]
    assert sorted(t.sweep for t in held_out) == [0, 1, 3, 5, 7]
    clamped = nj.Trace("voltage", 0.1, pulse.v_mV, pulse.i_pA)
    assert default_sweeps([clamped, clamped]) == ([clamped, clamped], [])
