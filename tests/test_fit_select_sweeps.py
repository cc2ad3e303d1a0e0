"""Which sweeps are fitted: every second one, and of these the ones that tell most."""

import numpy as np
import pytest

import neurojax as nj
from neurojax.fit.scoring.select_sweeps import every_second, select_sweeps

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
    assert [t.sweep for t in select_sweeps(recording)] == [0, 2, 4, 5, 7, 8]
    assert [t.sweep for t in select_sweeps(recording, most=3)] == [0, 5, 8]
    assert [t.sweep for t in select_sweeps(recording[:3])] == [0, 1, 2]
    assert [t.sweep for t in select_sweeps(recording[6:], most=2)] == [6, 8]
    assert select_sweeps([]) == []


def test_a_measured_current_becomes_its_levels():
    noise = np.random.default_rng(0).normal(0.0, 20.0, 2000)
    clean = sweep(0, 150.0, 2)
    measured = nj.Trace("current", 0.1, clean.v_mV, clean.i_pA + noise - 30, commanded=False)
    ideal = measured.idealised()
    assert ideal.holding == pytest.approx(-30.0, abs=3)
    assert np.unique(ideal.i_pA).size == 2
    assert ideal.i_pA[1000] == pytest.approx(120.0, abs=3)
    assert clean.idealised() is clean
