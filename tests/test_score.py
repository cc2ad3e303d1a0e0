"""The score of a spiking sweep: zero for the data, larger the farther away, with right slopes."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.loss.score import PARTS, WORST, score
from neurojax.loss.stream import carried
from neurojax.recording.features import spikes

DT, RECORD = 0.025, 0.05
N = 1800  # records: 90 ms


def squid(**values):
    cell = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}, area=1e-6)
    return nj.replace(cell, {k.replace("__", "."): v for k, v in values.items()})


def electrode(pA=12.0):
    i = nj.steps(pA, start=15.0, stop=58.0, duration=90.0, dt=DT)
    return nj.current_clamp(i * 1e-6)


@cache
def recorded():
    run = nj.simulate(squid(), electrode(), DT, every=2)
    return np.r_[-65.0, np.asarray(run.v, float)]


def whole(**how):
    return score(recorded(), RECORD, 15.0, 58.0, **how)


_contributions = jax.jit(lambda fold, carry: fold.contributions(carry))


def told(fold, v):
    """The parts of the score of courses v `[1 + record, n]`, five or less: one program for all."""
    five = np.concatenate([v, np.repeat(v[:, -1:], 5 - v.shape[1], axis=1)], axis=1)
    found = _contributions(fold, carried(fold, five))
    return {k: np.asarray(x)[: v.shape[1]] for k, x in found.items()}


def test_it_measures_what_the_features_of_a_trace_are():
    found, fold = spikes(recorded(), RECORD), whole()
    table = fold.target.table
    assert fold.target.number == found.number > 3
    np.testing.assert_allclose(table.time, found.times, atol=1e-3)
    np.testing.assert_allclose(table.peak, found.peaks, atol=1e-3)
    np.testing.assert_allclose(table.trough[:-1], found.troughs, atol=1e-3)
    np.testing.assert_allclose(table.width, found.widths, rtol=0.1)  # at one level for all


def test_the_truth_scores_zero_and_the_score_says_what_is_wrong():
    own = recorded()
    late = np.r_[np.full(40, own[0]), own[:-40]]
    v = np.stack([own, own + 2.0, late, np.full_like(own, own[0]), own + np.nan], axis=-1)
    fold = whole()
    parts = told(fold, v)
    total = sum(parts.values())
    assert total[0] == pytest.approx(0.0, abs=1e-4)
    assert parts["peak"][1] == pytest.approx(4 / (1 + 2 + 4 / WORST), rel=1e-3)
    assert parts["times"][1] == parts["number"][1] == 0
    assert parts["times"][2] > 1 and parts["latency"][2] > 1
    assert parts["peak"][2] == pytest.approx(0.0, abs=1e-4)
    assert parts["peak"][3] == parts["width"][3] == parts["fall"][3] == pytest.approx(WORST)
    assert not np.isfinite(total[4])


@pytest.mark.parametrize("part", sorted(set(PARTS) - {"base"}))
def test_each_part_grows_as_a_course_leaves_the_data(part):
    t = np.arange(N + 1) * RECORD
    own = recorded()
    found = spikes(own, RECORD)
    first, last = found.times[0], found.times[-1]
    moves = {
        "number": lambda x: np.where(t < {0.0: 99.0, 0.5: last - 1, 2.0: first - 1}[x], own, -65.0),
        "times": lambda x: np.interp(t - x, t, own),
        "latency": lambda x: np.interp(t - x, t, own),
        "intervals": lambda x: np.interp(first + (t - first) / (1 + 0.1 * x), t, own),
        "peak": lambda x: own + x * (own > 0),
        "trough": lambda x: own - x * (own < -60),
        "width": lambda x: np.interp(first + (t - first) / (1 + 0.2 * x), t, own),
        "fall": lambda x: own + 3 * x * (own > -70) * (own < 0),
        "course": lambda x: own + x * (own < -50),
        "rise": lambda x: own + x * (t < first - 1),
        "after": lambda x: own + x * (t > last + 15),
    }
    v = np.stack([moves[part](x) for x in (0.0, 0.5, 2.0)], axis=-1)
    grown = told(whole(), v)[part]
    assert grown[0] < 1e-4 and (np.diff(grown) > (0 if part == "number" else 0.01)).any(), grown
    assert (np.diff(grown) >= 0).all(), grown


def test_sweeps_padded_to_one_length_score_the_same():
    own = recorded()
    longer = np.r_[own, np.full(400, own[-1])]
    v = np.stack([own + 1.0, own * 0.95], axis=-1)
    padded = np.concatenate([v, np.repeat(v[-1:], 400, axis=0)])
    short = whole()
    long = score(longer, RECORD, 15.0, 58.0, end_ms=N * RECORD, slots=short.slots + 3)
    a, b = told(short, v), told(long, padded)
    for name in PARTS:
        np.testing.assert_allclose(a[name], b[name], atol=1e-5, err_msg=name)


def test_weights_multiply_parts():
    v = recorded()[:, None] + 1.5
    plain, more = told(whole(), v), told(whole(weights={"peak": 4.0, "rise": 0.0}), v)
    assert more["peak"] == pytest.approx(4 * plain["peak"]) and more["rise"] == 0


def test_spikes_close_together_are_all_entered():
    """Two within the records after which spikes are entered into the tables."""
    t = np.arange(600) * RECORD
    late = (10.0, 10.45, 10.9, 20.0)
    v = -65 + sum(100 * np.exp(-(((t - at) / 0.08) ** 2)) for at in late)
    fold = score(v, RECORD, 5.0, 29.0)
    np.testing.assert_allclose(fold.target.table.time, late, atol=0.02)


def test_its_slope_is_right(x64):
    """Through tables, sums and the end against a central difference, and the matrix with it."""
    fold, here = whole(weights={"number": 0.0}), 34.0

    def cost(values):
        at = nj.replace(squid(), {"k.g_bar": values})
        how = {"every": 2, "initial": -65.0, "record": (), "folds": {"s": fold}}
        return nj.simulate(at, electrode(), DT, **how).folds["s"]

    step = 1e-5 * here
    ahead, behind = np.asarray(cost(jnp.array([here + step, here - step])))
    assert ahead > 0.1  # the sum of the squares is what a run gives back
    at = nj.replace(squid(), {"k.g_bar": here})
    found = nj.gradient(at, electrode(), DT, of=fold, wrt=["k.g_bar"], every=2, initial=-65.0)
    np.testing.assert_allclose(found.gradient[0], (ahead - behind) / (2 * step), rtol=2e-4)
    assert found.matrix is not None and found.matrix[0, 0] > 0
