"""Regress: bounded least squares against scipy, and the conductances of a known axon."""

import dataclasses

import jax
import numpy as np
import pytest
from scipy.optimize import lsq_linear

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.fit import (
    Budget,
    Regress,
    Task,
    free,
    free_run,
)
from neurojax.fit.optimisers.current_balance import noise_of_rise
from neurojax.fit.stages.regress import bounded_minimum

BOUNDS = {
    "na.g_bar": (10, 1000),
    "k.g_bar": (3, 300),
    "leak.g_bar": (0.03, 3),
    "na.E_rev": (30, 80),
    "k.E_rev": (-105, -55),
    "leak.E_rev": (-85, -30),
}
TRUTH = {
    "na.g_bar": 120.0, "k.g_bar": 36.0, "leak.g_bar": 0.3, "na.E_rev": 50.0, "k.E_rev": -77.0,
    "leak.E_rev": -54.387, "C_m": 1.0, "area": 1e-5,
}  # fmt: skip


def axon():
    channels = {"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}
    return nj.Cell(channels=channels, area=1e-5, celsius=6.3)


@pytest.fixture(scope="module")
def sweep():
    """Steps of two heights, so that capacitance and leak are told apart."""
    i = nj.steps(120.0, start=10, stop=50, duration=80, dt=0.025)
    i += nj.steps(-60.0, start=55, stop=70, duration=80, dt=0.025)
    asked = nj.Trace(clamp="current", dt_ms=0.025, v_mV=np.full(i.size, -65.0), i_pA=i)
    with jax.enable_x64(True):
        return free_run(axon(), asked, 0.025)


def regressed(sweep, bounds):
    """The best draw's values."""
    space = free(axon(), bounds)
    found = Regress(draws=256, rounds=1).run(Task(axon(), space, [sweep]), None, Budget())
    return {k: float(v[0]) for k, v in space.values(found.z).items()}


@pytest.mark.parametrize("last", [{"C_m": (0.3, 3)}, {"area": (1e-6, 1e-4)}])
def test_conductances_and_reversals_of_a_known_axon(sweep, last):
    """To what steps of 0.05 ms leave open of the axon's own."""
    found = regressed(sweep, BOUNDS | last)
    for name, value in found.items():
        assert value == pytest.approx(TRUTH[name], rel=0.02)


def test_noise_does_not_draw_them_towards_zero(sweep):
    errors = []
    for seed in range(3):
        noise = 0.5 * np.random.default_rng(seed).standard_normal(sweep.v_mV.size)
        noisy = dataclasses.replace(sweep, v_mV=sweep.v_mV + noise)
        found = regressed(noisy, BOUNDS | {"C_m": (0.3, 3)})
        errors.append([found[k] / TRUTH[k] - 1 for k in ("na.g_bar", "k.g_bar", "C_m")])
    assert np.abs(np.mean(errors, axis=0)).max() < 0.03
    assert np.abs(errors).max() < 0.06


def test_the_noise_of_a_recording_is_read_off(sweep):
    noise = 0.5 * np.random.default_rng(0).standard_normal(sweep.v_mV.size)
    noisy = dataclasses.replace(sweep, v_mV=sweep.v_mV + noise)
    # Means of 20 samples: each of two has 1/20 of the variance.
    assert noise_of_rise(noisy, 0.05, 10) == pytest.approx(2 * 0.25 / 20, rel=0.1)
    assert noise_of_rise(sweep, 0.05, 10) < 1e-4


def test_kinetics_are_drawn(sweep):
    space = free(axon(), BOUNDS | {"k.tau_scale": (0.3, 3)})
    found = Regress(draws=256, rounds=4).run(Task(axon(), space, [sweep]), None, Budget())
    assert float(space.values(found.z)["k.tau_scale"][0]) == pytest.approx(1.0, rel=0.02)
    assert (np.diff(found.errors) >= 0).all() and found.unit == "pA"


def test_bounded_least_squares_agree_with_scipy():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(40, 12, 6)) * np.array([1, 1e3, 1, 1e-2, 1, 1])
    b = rng.normal(size=(40, 12))
    low, high = np.full(6, -0.1), np.array([0.1, 1e-4, 0.3, 1.0, 0.0, 0.2])
    x = bounded_minimum(np.einsum("nkp,nkq->npq", A, A), np.einsum("nkp,nk->np", A, b), low, high)
    for a, rhs, own in zip(A, b, x, strict=True):
        exact = lsq_linear(a, rhs, bounds=(low, high), method="bvls", tol=1e-14).x
        np.testing.assert_allclose(own, exact, rtol=1e-6, atol=1e-9)


def test_what_it_cannot_use_is_told(sweep):
    clamped = dataclasses.replace(sweep, clamp="voltage")
    for trace, bounds, told in (
        (clamped, BOUNDS, "current-clamp"),
        (sweep, {"C_m": (0.3, 3)}, "no conductance is free"),
    ):
        with pytest.raises(ValueError, match=told):
            regressed(trace, bounds)
