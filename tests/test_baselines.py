"""The methods that fits are held against get somewhere, and see what they should."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import scripts

import neurojax as nj
from neurojax.model.cells import squid_axon
from neurojax.recording.trace import Trace

BEST = np.array([0.2, 0.7, 0.4, 0.9])


@pytest.fixture(scope="module")
def baselines():
    with scripts.loaded("baselines") as module:
        yield module


@pytest.fixture
def clock(baselines, monkeypatch):
    """Every look at the clock takes a millisecond, on however busy a machine."""
    ticks = itertools.count(0.0, 1e-3)
    monkeypatch.setattr(baselines, "BATCH", 16)
    monkeypatch.setattr(baselines, "time", SimpleNamespace(monotonic=ticks.__next__))


def score(z):
    """Two features that want the same point; cells in one corner are lost."""
    assert z.ndim == 2
    off = (z - BEST[:, None]) ** 2
    parts = {"a": off[:2].sum(0), "b": 10 * off[2:].sum(0)}
    lost = (z > 0.95).all(0)
    errors = np.where(lost, np.inf, sum(parts.values()))
    return errors, {k: np.where(lost, np.inf, p) for k, p in parts.items()}


def check(found, first):
    history = np.array(found.history)
    assert (np.diff(history, axis=0) * [1, 1, -1] >= 0).all()
    assert found.error == score(found.z[:, None])[0][0]
    assert found.error == history[-1, 2] < first * history[0, 2]
    assert ((found.z >= 0) & (found.z <= 1)).all()


def test_random_search_improves(baselines, clock):
    check(baselines.random_search(score, 4, 0.2, 0), 0.5)


def test_cma_es_finds_the_best_point(baselines, clock):
    found = baselines.cma_es(score, 4, 0.6, 0)
    check(found, 1e-4)
    assert found.z == pytest.approx(BEST, abs=1e-2)


@pytest.mark.filterwarnings("ignore")
def test_ibea_improves_on_all_objectives(baselines, clock):
    pytest.importorskip("bluepyopt")
    check(baselines.ibea(score, 4, 0.3, 0), 0.1)


def test_gradient_descent_follows_its_own_loss(baselines, clock):
    def slope(z):
        off = z - BEST[:, None]
        value = np.where(z[0] > 0.9, np.nan, (off**2).sum(0))  # and a start is lost
        return value, 2 * off

    found = baselines.gradient_descent(score, 4, 1.0, 0, slope=slope, starts=256)
    assert found.z == pytest.approx(BEST, abs=0.02)


def soft_dtw(v, data, band, scale, gamma):
    """By the definition, place by place."""
    D = np.full((v.size + 1, data.size + 1), 1e9)
    D[0, 0] = 0.0
    for i in range(1, v.size + 1):
        for j in range(max(1, i - band), min(data.size, i + band) + 1):
            come = np.array([D[i - 1, j], D[i, j - 1], D[i - 1, j - 1]])
            least = come.min()
            soft = least - gamma * np.log(np.exp((least - come) / gamma).sum())
            D[i, j] = ((v[i - 1] - data[j - 1]) / scale) ** 2 + soft
    return D[-1, -1] / data.size


def test_pooled_soft_dtw_is_that_of_the_means_of_windows(baselines, x64):
    dt, every = 0.05, 5  # records each 0.25 ms, windows of 1 ms
    cell = squid_axon()
    i = nj.steps(8.0, start=5.0, stop=20.0, duration=30.6, dt=dt)
    run = nj.simulate(cell, nj.current_clamp(i), dt=dt, record=["v"], every=every)
    own = np.asarray(run.v)
    t = np.arange(i.size + 1) * dt
    data = -60 + 10 * np.exp(-((t - 12.0) ** 2) / 20)
    trace = Trace("current", dt, data, np.zeros_like(data))
    fold = baselines.pooled(trace, dt * every, 1.0)
    told = nj.simulate(cell, nj.current_clamp(i), dt=dt, record=[], every=every,
                       folds={"off": fold})  # fmt: skip
    windows = own[:120].reshape(30, 4).mean(1), data[1:601].reshape(30, 20).mean(1)
    assert float(told.folds["off"]) == pytest.approx(soft_dtw(*windows, 5, 10.0, 0.1), rel=1e-6)
