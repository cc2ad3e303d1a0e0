"""Multiple shooting: its algebra against a dense solve, and an axon found through many spikes."""

import dataclasses

import jax
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.fit import Candidates, Shoot, fit, free_run
from neurojax.fit.optimisers import multiple_shooting


@pytest.mark.smoke
def test_elimination_solves_the_whole_system():
    P, D, K, n = 3, 2, 4, 2
    rng = np.random.default_rng(0)
    J, r = rng.normal(size=(K, n, 6, P + D)), 0.05 * rng.normal(size=(K, n, 6))
    E, end = rng.normal(size=(K, n, P + D, D)), 0.05 * rng.normal(size=(K, n, D))
    x = 0.05 * rng.normal(size=(D, n, K))
    weights = rng.uniform(0.5, 2.0, size=(D, K - 1))
    weights[:, 1] = 0.0  # piece 2 begins another sweep: its state is not free
    alike = np.broadcast_to(weights.T, (n, K - 1, D))
    E[[0, 2], :, P:] = 0.0
    J[[0, 2], :, :, P:] = 0.0
    pieces = multiple_shooting.Pieces(
        value=np.einsum("knr,knr->nk", r, r),
        gradient=np.einsum("knra,knr->nka", J, r),
        matrix=np.einsum("knra,knrb->nkab", J, J),
        end=np.swapaxes(end, 0, 1),
        slopes=np.swapaxes(E, 0, 1),
    )
    p, states = np.full((n, P), 0.5), np.transpose(x, (1, 2, 0))
    dp, dx, _ = multiple_shooting.step(pieces, p, states, alike, np.zeros(n))
    for i in range(n):
        rows, rhs = [], []
        for k in range(K):
            row = np.zeros((6, P + K * D))
            row[:, :P], row[:, P + k * D : P + (k + 1) * D] = J[k, i, :, :P], J[k, i, :, P:]
            rows.append(row)
            rhs.append(r[k, i])
        for k in range(K - 1):
            row = np.zeros((D, P + K * D))
            row[:, :P] = E[k, i, :P].T
            row[:, P + k * D : P + (k + 1) * D] = E[k, i, P:].T
            row[:, P + (k + 1) * D : P + (k + 2) * D] = -np.eye(D)
            root = np.sqrt(weights[:, k])
            rows.append(root[:, None] * row)
            rhs.append(root * (end[k, i] - x[:, i, k + 1]))
        direct = -np.linalg.lstsq(np.concatenate(rows), np.concatenate(rhs), rcond=None)[0]
        np.testing.assert_allclose(dp[i], direct[:P], rtol=1e-8)
        np.testing.assert_allclose(dx[i].ravel(), direct[P:], rtol=1e-8, atol=1e-12)
    value = multiple_shooting.found(pieces, states, alike).value
    whole = sum(r[k, 0] @ r[k, 0] for k in range(K))
    whole += sum(weights[:, k] @ (end[k, 0] - x[:, 0, k + 1]) ** 2 for k in range(K - 1))
    assert value[0] == pytest.approx(whole)


def recorded(*durations):
    """An axon, and sweeps of so many ms in which it fires at 70 Hz."""
    channels = {"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}
    cell = nj.Cell(channels=channels, area=1e-5, celsius=6.3)
    traces = []
    for duration in durations:
        i = nj.steps(100.0, start=2, stop=duration, duration=duration, dt=0.05)
        silent = nj.Trace("current", 0.05, np.full(i.size, -65.0), i)
        with jax.enable_x64(True):
            traces.append(free_run(cell, silent, 0.05))
    return cell, traces


BOUNDS = {
    "na.g_bar": (10, 1000), "k.g_bar": (3, 300), "leak.g_bar": (0.03, 3), "na.E_rev": (30, 80),
    "k.E_rev": (-105, -55), "leak.E_rev": (-85, -30), "k.tau_scale": (0.3, 3), "C_m": (0.3, 3),
}  # fmt: skip


@pytest.mark.slow
def test_random_starts_find_all_eight_parameters_through_many_spikes():
    cell, traces = recorded(150.0, 20.0)
    assert len(nj.features.spikes(traces[0].v_mV, 0.05).times) >= 10
    fitted = fit(cell, traces, BOUNDS, [Shoot(starts=6, every=2)], dt=0.05, seed=1)
    known = nj.parameters(cell)
    right = [np.abs(fitted.starts[k] / float(known[k][0]) - 1) < 5e-4 for k in BOUNDS]
    assert np.all(right, axis=0).sum() >= 5
    assert [s.name for s in fitted.stages] == ["draw", "shoot"]
    assert fitted.unit == "mV" and fitted.error < 1e-3
    # Few iterations bring half of the starts into the last digits: the damping falls quickly.
    short = fit(cell, traces, BOUNDS, [Shoot(starts=6, every=2, iterations=15)], dt=0.05, seed=1)
    assert np.median(short.stages[-1].errors) < 2e-3


def test_a_stage_before_gives_the_starts_and_ctrl_c_keeps_them():
    cell, traces = recorded(10.0, 10.0)
    bounds = {name: BOUNDS[name] for name in ("na.g_bar", "C_m")}
    z = np.random.default_rng(2).random((len(bounds), 6))

    @dataclasses.dataclass(frozen=True)
    class Given:
        name = "given"

        def run(self, task, found, budget):
            return Candidates(z, np.ones(6), "mV")

    def progress(*_):
        raise KeyboardInterrupt

    stages = [Given(), Shoot(every=2)]
    fitted = fit(cell, traces, bounds, stages, dt=0.05, progress=progress)
    assert fitted.interrupted and len(fitted.starts["C_m"]) == 6
    clamp = nj.Trace("voltage", 0.05, np.full(200, -60.0), np.zeros(200))
    with pytest.raises(ValueError, match="needs current clamp"):
        fit(cell, [clamp], bounds, [Shoot()])
