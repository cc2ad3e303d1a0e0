"""Cohorts: shared parameters, partial pooling, lost cells, and the arrow's algebra."""

import jax
import numpy as np
import pytest
from scipy.optimize import minimize

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.fit import (
    Candidates,
    Polish,
    cohort,
    fit,
    free,
    free_run,
)
from neurojax.fit.hierarchical import pooling
from neurojax.fit.optimisers import schur_complement

SHARED = {"k.tau_scale": 1.2, "na.v_shift": 1.5}
BOUNDS = {
    "na.g_bar": (20, 500), "k.g_bar": (5, 200), "leak.g_bar": (0.03, 3),
    "k.tau_scale": (0.3, 3), "na.v_shift": (-10, 10),
}  # fmt: skip
CELLS, DT = 200, 0.05


def squid(**leak):
    channels = {"na": SquidNa(), "k": SquidK(), "leak": SquidLeak(**leak)}
    return nj.Cell(channels=channels, area=1e-5, celsius=6.3)


@pytest.fixture(scope="module")
def axons():
    """Conductances of 200 axons and their potentials `[sample, cell]`, without noise."""
    rng = np.random.default_rng(0)
    own = {
        name: value * np.exp(0.2 * rng.normal(size=CELLS))
        for name, value in {"na.g_bar": 120, "k.g_bar": 36, "leak.g_bar": 0.3}.items()
    }
    i = nj.steps(100.0, start=2, stop=36, duration=40, dt=DT)
    silent = nj.Trace("current", DT, np.full(i.size, -65.0), i)
    with jax.enable_x64(True):
        electrode = nj.electrode.from_trace(silent, DT)
        run = nj.simulate(nj.replace(squid(), own | SHARED), electrode, DT, initial=-65.0)
        v = np.concatenate([np.full((1, CELLS), -65.0), np.asarray(run.v)])
    return own, i, v


def recorded(i, v, noise=0.0):
    rng = np.random.default_rng(1)
    noise = noise * rng.normal(size=v.shape)
    noise[0] = 0.0  # the first sample sets the initial state
    return [[nj.Trace("current", DT, a, i, name=f"axon {k}")] for k, a in enumerate((v + noise).T)]


@pytest.mark.slow
def test_clean_cells_give_back_what_they_share_and_what_is_their_own(axons):
    own, i, v = axons
    how = {"shared": [*SHARED], "dt": DT, "every": 2, "starts": 1}
    single = cohort(squid(), recorded(i, v), BOUNDS, **how)
    found = cohort(squid(), recorded(i, v), BOUNDS, precision="exact", **how)
    for name, value in SHARED.items():
        assert single.shared[name] == pytest.approx(value, rel=1e-3)
        assert found.shared[name] == pytest.approx(value, rel=1e-6)
        assert found.starts[name].shape == (1,)
    for name, values in own.items():
        np.testing.assert_allclose(found.values[name], values, rtol=1e-5)
    assert found.lost == [] and found.names[3] == "axon 3"
    assert nj.parameters(found.cell)["na.g_bar"][0].shape == (CELLS,)


@pytest.mark.slow
def test_noisy_cells_together_know_the_shared_better_than_each_alone(axons):
    own, i, v = axons
    data = recorded(i, v, noise=0.5)
    # Of a single start one cell in 200 may be left in a minimum of its own, 1.4 to 2.8 times as far
    # from its data as the others: not far enough to be sent again.
    how = {"dt": DT, "every": 2, "starts": 2}
    together = cohort(squid(), data, BOUNDS, shared=[*SHARED], **how)
    alone = cohort(squid(), data, BOUNDS, **how)
    for name, value in SHARED.items():
        stated = together.standard_errors[name][0]
        assert together.shared[name] == pytest.approx(value, abs=3 * stated)
        scatter = np.diff(np.quantile(alone.values[name], (0.159, 0.841)))[0] / 2
        # As many cells as these know the shared parameter by the root of their number better.
        assert stated == pytest.approx(scatter / np.sqrt(CELLS), rel=0.3)
        assert np.median(alone.standard_errors[name]) == pytest.approx(scatter, rel=0.3)
    for name, values in own.items():
        score = (together.values[name] - values) / together.standard_errors[name]
        assert np.std(score) == pytest.approx(1.0, abs=0.2)
    np.testing.assert_allclose(together.noise, 0.5, rtol=0.15)


# -- a leak under voltage clamp: everything has a closed form --------------------------------------
E_REV, AREA = -60.0, 1e-5


def leaks(g, noise, lengths, rng):
    """Currents pA of leaks g mS/cm2 under a step, each with its own noise pA and length."""
    traces = []
    for k, (g_bar, n) in enumerate(zip(g, lengths, strict=True)):
        v = np.where(np.arange(n) < n // 2, -70.0, -45.0 + k)
        i = g_bar * (v - E_REV) * AREA / nj.units.PA
        traces.append([nj.Trace("voltage", 0.1, v, i + noise[k] * rng.normal(size=n))])
    return traces


def told_of(traces, noise):
    """Estimate and precision of g for each cell, by linear regression on what is compared."""
    estimates = []
    for (trace,), sd in zip(traces, noise, strict=True):
        x = (trace.v_mV[1:] - E_REV) * AREA / nj.units.PA
        estimates.append(((x @ trace.i_pA[1:]) / (x @ x), (x @ x) / sd**2))
    return map(np.array, zip(*estimates, strict=True))


@pytest.mark.smoke
def test_pooling_is_the_posterior_mean_of_the_linear_case():
    rng = np.random.default_rng(2)
    n = 40
    noise = np.where(np.arange(n) % 4 == 0, 4000.0, 100.0)  # every fourth cell tells little
    traces = leaks(0.3 + 0.05 * rng.normal(size=n), noise, 100 + np.arange(n), rng)
    cell = nj.Cell(channels={"leak": SquidLeak(E_rev=E_REV)}, area=AREA)
    keep = [[np.ones(t.v_mV.size, dtype=bool)] for (t,) in traces]
    space = free(cell, {"leak.g_bar": {"low": 0.0, "high": 1.0, "scale": "linear"}})
    how = {"pooled": ["leak.g_bar"], "noise": noise, "keep": keep, "starts": 1}
    single = cohort(cell, traces, space, **how)
    found = cohort(cell, traces, space, precision="exact", **how)

    best, precision = told_of(traces, noise)

    def deviance(at):
        variance = 1 / precision + np.exp(at[1]) ** 2
        return np.sum(np.log(variance) + (best - at[0]) ** 2 / variance)

    mean, log_spread = minimize(deviance, (0.3, np.log(0.05)), method="Nelder-Mead", tol=1e-10).x
    spread = np.exp(log_spread)
    posterior = (precision * best + mean / spread**2) / (precision + 1 / spread**2)
    of = found.pools["leak.g_bar"]
    assert of.mean == pytest.approx(mean, rel=1e-5)
    assert of.spread == pytest.approx(spread, rel=1e-4)
    np.testing.assert_allclose(found.values["leak.g_bar"], posterior, rtol=1e-5)
    deviation = 1 / np.sqrt(precision + 1 / spread**2)
    assert np.abs((single.values["leak.g_bar"] - posterior) / deviation).max() < 0.05
    np.testing.assert_allclose(found.standard_errors["leak.g_bar"], deviation, rtol=1e-4)
    np.testing.assert_allclose(of.shrinkage, deviation**2 / spread**2, rtol=1e-3)
    assert of.shrinkage[::4].min() > 0.99 > 0.8 > of.shrinkage[1::4].max()


def test_several_sweeps_of_one_cell_are_fitted_as_by_polish():
    rng = np.random.default_rng(3)
    cell = nj.Cell(channels={"leak": SquidLeak()}, area=AREA)
    traces = [t for (t,) in leaks([0.3, 0.3], [200.0, 200.0], [80, 130], rng)]
    bounds = {"leak.g_bar": (0.03, 3.0), "leak.E_rev": (-90.0, -30.0)}
    at = Candidates(np.full((2, 1), 0.4), np.ones(1), "pA")
    keep = [np.ones(t.v_mV.size, dtype=bool) for t in traces]

    class Given:
        name = "given"

        def run(self, task, found, budget):
            return at

    stages = [Given(), Polish()]
    alone = fit(cell, traces, bounds, stages, keep=keep, precision="exact")
    found = cohort(cell, [traces], bounds, keep=[keep], starts=2, precision="exact")
    for name in bounds:
        assert found.values[name][0] == pytest.approx(alone.values[name], rel=1e-6)
        stated = alone.standard_errors[name]
        assert found.standard_errors[name][0] == pytest.approx(stated, rel=0.02)
    assert found.errors[0] == pytest.approx(alone.error, rel=1e-9)


def test_lost_cells_are_counted_and_the_others_go_on():
    g = np.array([0.2, 0.3, 0.4, 0.5])
    traces = leaks(g, np.zeros(4), [120] * 4, np.random.default_rng(4))
    known = np.array([E_REV, np.nan, E_REV, E_REV])
    cell = nj.Cell(channels={"leak": SquidLeak(E_rev=known)}, area=AREA)
    seen = []
    found = cohort(
        cell, traces, {"leak.g_bar": (0.03, 3.0)}, starts=2, progress=lambda *a: seen.append(a)
    )
    assert found.lost == ["cell 1"]
    np.testing.assert_allclose(found.values["leak.g_bar"][[0, 2, 3]], g[[0, 2, 3]], rtol=1e-6)
    assert np.isnan(found.values["leak.g_bar"][1]) and np.isnan(found.errors[1])
    assert seen[-1][1] <= seen[-1][2] and seen[-1][4] == "pA"
    gone = nj.Cell(channels={"leak": SquidLeak(E_rev=np.nan)}, area=AREA)
    with pytest.raises(ValueError, match="not one cell"):
        cohort(gone, traces, {"leak.g_bar": (0.03, 3.0)}, starts=2)
    with pytest.raises(ValueError, match="4 values"):
        cohort(cell, traces[:2], {"leak.g_bar": (0.03, 3.0)})


def test_a_cell_that_fits_badly_has_no_say_in_what_is_shared():
    noise = np.array([0.0, 0.0, 2000.0, 0.0, 0.0])
    traces = leaks(np.linspace(0.2, 0.5, 5), noise, [200] * 5, np.random.default_rng(8))
    cell = nj.Cell(channels={"leak": SquidLeak()}, area=AREA)
    bounds = {"leak.g_bar": (0.03, 3.0), "leak.E_rev": (-90.0, -30.0)}
    found = cohort(cell, traces, bounds, shared=["leak.E_rev"], starts=1)
    assert found.apart == ["cell 2"] and found.lost == []
    assert found.shared["leak.E_rev"] == pytest.approx(E_REV, rel=1e-6)


def test_cells_of_their_own_area_are_coupled_to_their_data():
    own, areas = np.array([0.2, 0.5]), np.array([1e-5, 4e-5])
    i = nj.steps(50.0, start=2, stop=12, duration=20, dt=DT)
    data = []
    for g, area in zip(own, areas, strict=True):
        cell = nj.Cell(channels={"leak": SquidLeak(g_bar=g)}, area=area)
        data.append([free_run(cell, nj.Trace("current", DT, np.full(i.size, -65.0), i), DT, False)])
    cells = nj.Cell(channels={"leak": SquidLeak()}, area=areas)
    found = cohort(cells, data, {"leak.g_bar": (0.03, 3.0)}, couplings=(1.0, 0.0), dt=DT, starts=1)
    np.testing.assert_allclose(found.values["leak.g_bar"], own, rtol=1e-4)


def test_names_are_checked():
    traces = leaks([0.3], [0.0], [60], np.random.default_rng(5))
    cell = nj.Cell(channels={"leak": SquidLeak()}, area=AREA)
    with pytest.raises(ValueError, match=r"'leak\.E_rev' is not free"):
        cohort(cell, traces, ["leak.g_bar"], shared=["leak.E_rev"])
    with pytest.raises(ValueError, match="shared and pooled"):
        cohort(cell, traces, ["leak.g_bar"], shared=["leak.g_bar"], pooled=["leak.g_bar"])
    with pytest.raises(ValueError, match="no trace"):
        cohort(cell, [], ["leak.g_bar"])


def test_the_schur_complement_solves_the_whole_system():
    rng = np.random.default_rng(6)
    P, cells = 5, 4
    shared = np.array([False, True, False, True, False])
    J = rng.normal(size=(cells, 9, P))
    r = 0.1 * rng.normal(size=(cells, 9))
    H, g = np.einsum("crp,crq->pqc", J, J), np.einsum("crp,cr->pc", J, r)
    whole = np.zeros((cells, 9, 3 * cells + 2))  # the own columns of each cell, then the shared
    for c in range(cells):
        whole[c][:, 3 * c : 3 * c + 3] = J[c][:, ~shared]
        whole[c][:, -2:] = J[c][:, shared]
    whole = whole.reshape(-1, 3 * cells + 2)
    direct = -np.linalg.lstsq(whole, r.ravel(), rcond=None)[0]
    held = np.zeros((P, cells), dtype=bool)
    move = schur_complement.step(H, g, shared, held, np.zeros(cells), 0.0)
    np.testing.assert_allclose(move[~shared].T.ravel(), direct[:-2], rtol=1e-9)
    np.testing.assert_allclose(move[shared], np.repeat(direct[-2:, None], cells, 1), rtol=1e-9)
    inverse = np.diag(np.linalg.inv(whole.T @ whole))
    variances = schur_complement.spread(H, shared).variances
    np.testing.assert_allclose(variances[~shared].T.ravel(), inverse[:-2], rtol=1e-9)
    np.testing.assert_allclose(variances[shared][:, 0], inverse[-2:], rtol=1e-9)
    held[0, 2] = True
    assert schur_complement.step(H, g, shared, held, np.zeros(cells), 0.0)[0, 2] == 0.0


def test_other_own_parameters_are_integrated_out():
    """The precision of a part of a Gaussian is that of its marginal: the inverse's inverse."""
    rng = np.random.default_rng(7)
    J = rng.normal(size=(9, 3))
    H, z = (J.T @ J)[..., None], rng.normal(size=(3, 1))
    pooled, own = np.array([True, False, False]), np.ones(3, dtype=bool)
    g = H[..., 0] @ (z - 0.5)  # the minimum is at 0.5
    precision, at = pooling.of_pooled(H, g, z, pooled, own)
    assert precision[0, 0, 0] == pytest.approx(1 / np.linalg.inv(H[..., 0])[0, 0])
    assert at[0, 0] / precision[0, 0, 0] == pytest.approx(0.5)
