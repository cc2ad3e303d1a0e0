"""Objectives: small where a course is as it should be, with the right slope, alone and added up."""

import dataclasses
from functools import cache
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax import loss
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.engine import tangent
from neurojax.loss.matching import match
from neurojax.loss.stream import carried
from neurojax.recording import features

DT, EVERY, DURATION = 0.05, 2, 60.0
RECORD = DT * EVERY
DRIVE = nj.steps(10e-5, start=10.0, stop=55.0, duration=DURATION, dt=DT)  # uA


def squid(**parameters):
    cell = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}, area=1e-5)
    return nj.replace(cell, {name.replace("__", "."): x for name, x in parameters.items()})


def run(cell, **more):
    return nj.simulate(cell, nj.current_clamp(DRIVE), DT, initial=-65.0, every=EVERY, **more)


def as_trace(v):
    i = nj.steps(100.0, start=10.0, stop=55.0, duration=len(v) * RECORD, dt=RECORD)
    return nj.Trace(clamp="current", dt_ms=RECORD, v_mV=v, i_pA=i)


@cache
def spiking():
    """A squid axon with 3 spikes in 45 ms, from its start, mV."""
    with jax.enable_x64(True):
        return np.r_[-65.0, np.asarray(run(squid()).v)]


@cache
def trace():
    return as_trace(spiking())


AT = np.arange(1 + round(DURATION / RECORD)) * RECORD


def courses(transform, amounts):
    """The spiking course, changed by several amounts, `[1 + record, amount]`."""
    return np.stack([transform(spiking(), a) for a in amounts], axis=1)


def later(v, ms):
    return np.interp(AT - ms, AT, v)


def scaled(v, less):
    return -65.0 + (v + 65.0) * (1 - less)


def stretched(v, more):
    """Slower and slower from the step on."""
    return np.interp(10.0 + (AT - 10.0) / (1 + more), AT, v)


def slowing(v, more):
    x = (AT - 10.0) / 45.0
    return np.interp(10.0 + 45.0 * np.where(x > 0, x / (1 + more * np.maximum(x, 0)), x), AT, v)


def feature(name):
    return lambda: loss.spike_features(trace(), RECORD, [name])


SMALL, TINY = (0.0, 0.3, 0.8, 2.0, 4.0), (0.0, 0.02, 0.05, 0.1, 0.2)
LESS = (0.0, 0.03, 0.1, 0.25, 0.6, 0.8)  # spikes of the last two do not reach threshold
ALONE = {
    "times, late": (feature("time"), later, SMALL),
    "times, small": (feature("time"), scaled, (0.0, 0.1, 0.6, 0.8)),
    "latency": (feature("latency"), later, SMALL),
    "latency, small": (feature("latency"), scaled, (0.0, 0.1, 0.6, 0.8)),
    "peak": (feature("peak"), scaled, LESS),
    "trough": (feature("trough"), scaled, LESS),
    "onset": (feature("onset"), scaled, LESS),
    "amplitude": (feature("amplitude"), scaled, LESS),
    "ahp": (feature("ahp"), scaled, LESS),
    "width": (feature("width"), stretched, TINY),
    "rate": (feature("rate"), stretched, (0.0, 0.1, 0.4, 1.0, 2.0)),
    "adaptation": (feature("adaptation"), slowing, TINY),
    "van Rossum": (lambda: loss.van_rossum(trace(), RECORD), later, SMALL),
    "van Rossum, small": (lambda: loss.van_rossum(trace(), RECORD), scaled, (0.0, 0.6, 0.8)),
    "coincidence": (lambda: loss.coincidence(trace(), RECORD), later, SMALL),
    "phase plane": (lambda: loss.phase_plane(trace(), RECORD), scaled, TINY),
    "soft-DTW, late": (lambda: loss.soft_dtw(trace(), RECORD, 1.0), later, (0.0, 2.0, 3.0, 4.0)),
    "soft-DTW, small": (lambda: loss.soft_dtw(trace(), RECORD, 1.0), scaled, TINY),
    "voltage": (lambda: loss.trace_error(trace(), RECORD), later, (0.0, 0.1, 0.3, 1.0)),
    "voltage away from spikes": (
        lambda: loss.trace_error(trace(), RECORD, loss.spike_mask(trace())), scaled, TINY
    ),
}  # fmt: skip


@cache
def values_alone():
    """What each objective makes of its own courses; all of them see all courses, in one program."""
    with jax.enable_x64(True):
        whole = loss.total({name: make() for name, (make, *_) in ALONE.items()})
        several = [courses(transform, amounts) for _, transform, amounts in ALONE.values()]
        carry = carried(whole, np.concatenate(several, axis=1))

        @jax.jit
        def finished(whole, carry):
            return {k: p.finish(carry[k], DURATION) for k, p in whole.parts.items()}

        found = finished(whole, carry)
    ends = np.cumsum([v.shape[1] for v in several])
    return {
        name: np.asarray(found[name])[end - len(amounts) : end]
        for end, (name, (*_, amounts)) in zip(ends, ALONE.items(), strict=True)
    }


@pytest.mark.parametrize("name", ALONE)
def test_it_falls_as_a_course_approaches_the_data(name):
    values, (*_, amounts) = values_alone()[name], ALONE[name]
    assert values.shape == (len(amounts),) and (np.diff(values) > 0).all(), values


def test_the_response_to_a_step_falls_feature_by_feature(x64):
    """An exponential with a sag: one feature at a time is moved away."""
    t = np.maximum(AT - 10.0, 0.0)

    def response(height=-10.0, tau=3.0, sag=2.0, base=-65.0):
        sagging = sag * 0.1 * t * np.exp(1 - 0.1 * t)
        return base + (height * (1 - np.exp(-t / tau)) - sagging) * (AT <= 55.0)

    moves = {
        "base": [response(base=-65.0 + x) for x in (0, 1, 2)],
        "steady": [response(height=-10.0 - x) for x in (0, 1, 2)],
        "sag": [response(sag=2.0 + x) for x in (0, 1, 2)],
        "tau": [response(tau=3.0 + x) for x in (0, 1, 2)],
    }
    data = nj.Trace(clamp="current", dt_ms=RECORD, v_mV=response(), i_pA=-trace().i_pA)
    for name, several in moves.items():
        fold = loss.step_response(data, RECORD, {name: 1.0})
        values = np.asarray(loss.streamed(fold, np.stack(several, axis=1), RECORD))
        assert values[0] < 1e-18 and (np.diff(values) > 0.05).all(), (name, values)
    # Of an exponential it is the time constant.
    plain = dataclasses.replace(data, v_mV=response(sag=0.0))
    found = loss.step_response(plain, RECORD, {"tau": 1.0})
    assert float(found.target[0]) == pytest.approx(3.0, rel=0.02)


# -- slopes ---------------------------------------------------------------------------------------
@nj.pytree
class Stack(loss.Total):
    """All residuals and values of several objectives, and the times of spikes, one by one."""

    def finish(self, carry, duration):
        rows = []
        for k, part in sorted(self.parts.items()):
            told = part.squares()
            if isinstance(part, loss.SpikeTable):
                rows.append(carry[k].found.table["time"])
            elif told is None or told.of_run is None:
                rows.append(part.finish(carry[k], duration)[None])
            else:
                rows.append(told.of_run(carry[k], duration))
        return jnp.concatenate(rows)


WRT = ["na.g_bar", "k.g_bar", "C_m"]
AWAY = {
    "na.g_bar": np.array([125.0, 112.0, 20.0]),  # the last one is silent
    "k.g_bar": np.array([34.5, 36.2, 40.0]),
    "C_m": np.array([1.05, 0.97, 1.0]),
}


@pytest.mark.slow
def test_slopes_are_those_of_central_differences(x64):
    data = trace()
    parts = {
        "0": loss.SpikeTable(record_ms=RECORD, slots=2, measures=("time",)),
        "1": loss.spike_features(data, RECORD, {"time": 1.0}),
        "features": loss.spike_features(
            data, RECORD, {k: 1.0 for k in loss.SPIKE_FEATURES if k != "time"}
        ),
        "van Rossum": loss.van_rossum(data, RECORD),
        "coincidence": loss.coincidence(data, RECORD),
        "phase": loss.phase_plane(data, RECORD, bins=(5, 3)),
        "warped": loss.soft_dtw(data, RECORD, 0.2),
        "step": loss.step_response(data, RECORD),
        "voltage": loss.trace_error(data, RECORD),
    }
    whole = loss.total(parts)
    stack = Stack(parts=whole.parts, weights=whole.weights)
    electrode = nj.current_clamp(DRIVE)

    def build(theta):
        cell = nj.membrane.path_names.substitute(squid(), theta)
        return cell, nj.steady_state(cell, -65.0)

    found = jax.jit(lambda th: tangent.run(build, th, electrode, DT, stack, EVERY))(
        {k: jnp.asarray(AWAY[k]) for k in WRT}
    )
    order = sorted(WRT)  # as jit gives them
    # Every parameter up and down a little, all cells in one run: [cell, parameter, up or down].
    h = 1e-6
    up = {k: np.repeat(x[:, None], 6, axis=1).reshape(3, 3, 2) for k, x in AWAY.items()}
    for p, k in enumerate(order):
        up[k][:, p] += h * AWAY[k][:, None] * np.array([1, -1])
    cells = squid(**{k.replace(".", "__"): x.ravel() for k, x in up.items()})
    r = run(cells, folds={"all": stack})
    values = np.asarray(r.folds["all"]).reshape(-1, 3, 3, 2)
    step = np.stack([2 * h * AWAY[k] for k in order])  # [parameter, cell]
    slope = (values[..., 0] - values[..., 1]).transpose(2, 0, 1) / step[:, None]
    scale = np.abs(slope).max(axis=(0, 2), keepdims=True) + 1e-3
    assert np.isfinite(found.gradient).all()
    np.testing.assert_allclose(found.gradient / scale, slope / scale, atol=2e-5)

    # Times of spikes: the implicit derivative, from the potential at neighbouring records.
    v = np.concatenate([np.full((1, 18), -65.0), np.asarray(r.v)]).reshape(-1, 3, 3, 2)
    middle, v_theta = v.mean(axis=(2, 3)), (v[..., 0] - v[..., 1]) / step.T
    for cell, spike in ((0, 0), (0, 1), (1, 1)):
        k = int(found.value[spike, cell] / RECORD)
        low, high = middle[k, cell], middle[k + 1, cell]
        part = (-20.0 - low) / (high - low)
        at = (1 - part) * v_theta[k, cell] + part * v_theta[k + 1, cell]
        implicit = -at / ((high - low) / RECORD)
        np.testing.assert_allclose(found.gradient[:, spike, cell], implicit, rtol=1e-5)

    # What is missing in the silent cell says which way it lies.
    number = np.asarray(features.spikes(v[:, :, 0, 0], RECORD).number)
    assert number[2] == 0 and (number[:2] >= 2).all()
    late = np.asarray(found.gradient)[:, 2:5, 2]
    assert (np.abs(late) > 1e-4).any(axis=0).all()


@pytest.mark.slow
def test_a_total_brings_the_matrix_of_all_its_residuals(x64):
    data = trace()
    parts = {
        "voltage": loss.trace_error(data, RECORD, loss.spike_mask(data)),
        "spikes": loss.spike_features(data, RECORD, {"time": 0.5, "peak": 2.0}),
    }
    both = loss.total(parts, {"voltage": 3.0})
    cell = squid(**{k.replace(".", "__"): x[:2] for k, x in AWAY.items()})
    told = {"wrt": WRT, "every": EVERY, "initial": -65.0}
    whole, one, other = (
        nj.gradient(cell, nj.current_clamp(DRIVE), DT, of=f, **told)
        for f in (both, parts["voltage"], parts["spikes"])
    )
    for name in ("value", "gradient", "matrix"):
        want = 3.0 * getattr(one, name) + getattr(other, name)
        np.testing.assert_allclose(getattr(whole, name), want, rtol=1e-9, err_msg=name)
    # The gradient of a sum of squares is 2 J'r: within the span of J'J.
    matrix, gradient = (np.moveaxis(np.asarray(a), -1, 0) for a in (other.matrix, other.gradient))
    for H, g in zip(matrix, gradient, strict=True):
        assert np.linalg.eigvalsh(H).min() > -1e-9 * np.trace(H)
        np.testing.assert_allclose(H @ np.linalg.pinv(H) @ g, g, rtol=1e-6)
    assert loss.total({"a": parts["voltage"], "b": loss.van_rossum(data, RECORD)}).squares() is None


@pytest.mark.parametrize(
    ("parts", "weights", "message"),
    [
        ({}, None, "a total of no objectives"),
        ({"v": nj.Mean()}, {"w": 1.0}, r"weight of 'w': no such part \(have: v\)"),
        ({"v": nj.Mean()}, {"v": -1.0}, "weight of 'v' is -1.0: expected 0 or more"),
    ],
)
def test_a_total_that_makes_no_sense_is_refused(parts, weights, message):
    with pytest.raises(ValueError, match=message):
        loss.total(parts, weights)


# -- against independent formulas -----------------------------------------------------------------
def test_spikes_of_a_stream_are_those_of_features():
    several = courses(later, (0.0, 1.3, 2.7))
    table = loss.SpikeTable(record_ms=RECORD, slots=4, level=-20.0)
    found = {k: np.asarray(a) for k, a in loss.streamed(table, several, RECORD).items()}
    told = features.spikes(several, RECORD)
    n = told.number[0]
    assert (told.number == n).all() and n == 3
    np.testing.assert_allclose(found["peak"][:n], told.peaks.T, atol=1e-3)
    np.testing.assert_allclose(found["trough"][: n - 1], told.troughs.T, atol=1e-4)
    assert np.isnan(found["time"][n:]).all() and (found["time"][:n] < told.times.T).all()
    # Each crossing lies where numpy interpolates it to.
    v = several[:, 0]
    k = np.flatnonzero((v[:-1] < -20) & (v[1:] >= -20))
    np.testing.assert_allclose(
        found["time"][:n, 0], (k + (-20 - v[k]) / (v[k + 1] - v[k])) * RECORD, atol=1e-4
    )
    down = np.flatnonzero((v[:-1] >= -20) & (v[1:] < -20))
    end = (down + (-20 - v[down]) / (v[down + 1] - v[down])) * RECORD
    np.testing.assert_allclose(found["width"][:n, 0], end - found["time"][:n, 0], atol=1e-4)


def test_the_van_rossum_distance_is_the_integral():
    fold = loss.van_rossum(trace(), RECORD, tau_ms=4.0)
    several = courses(later, (0.0, 0.73, 2.2))
    got = np.asarray(loss.streamed(fold, several, RECORD))
    table = loss.SpikeTable(record_ms=RECORD, slots=4, measures=("time",))
    times = np.asarray(loss.streamed(table, several, RECORD)["time"], float)[:3]
    t = np.arange(0, 200, 1e-3)

    def filtered(times):
        x = t[:, None] - times
        return np.where(x >= 0, np.exp(-np.maximum(x, 0) / 4.0), 0.0).sum(1)

    data = filtered(times[:, 0])
    want = [((filtered(times[:, k]) - data) ** 2).sum() * 1e-3 / 4.0 for k in range(3)]
    np.testing.assert_allclose(got, want, atol=1e-3)


def test_soft_dtw_is_that_of_the_textbook(x64):
    v, other = spiking()[::6], later(spiking(), 1.0)[::6]
    record, half = 6 * RECORD, 3
    data = nj.Trace(clamp="current", dt_ms=record, v_mV=v, i_pA=np.zeros(v.size))
    fold = loss.soft_dtw(data, record, half * record, scale_mV=20.0, gamma=0.3)
    got = float(loss.streamed(fold, other, record))
    n = v.size - 1
    D = np.full((n + 1, n + 1), np.inf)
    D[0, 0] = 0.0
    for i in range(1, n + 1):
        for j in range(max(1, i - half), min(n, i + half) + 1):
            before = np.array([D[i - 1, j], D[i, j - 1], D[i - 1, j - 1]])
            least = before.min()
            soft = least - 0.3 * np.log(np.exp(-(before - least) / 0.3).sum())
            D[i, j] = ((other[i] - v[j]) / 20.0) ** 2 + soft
    assert got == pytest.approx(D[n, n] / n, rel=1e-9)


def test_a_matching_is_the_best_of_all():
    rng = np.random.default_rng(0)
    data, model, cells = 4, 5, 8
    times, own = np.sort(rng.uniform(0, 10, (model, cells)), 0), np.sort(rng.uniform(0, 10, data))
    cost = (times[None] - own[:, None, None]) ** 2
    cost[:, 4, :4] = np.inf  # four cells have a spike less
    extra = np.where(np.isinf(cost[0]), 0.0, 2.0)
    pairs = np.asarray(match(jnp.asarray(cost), jnp.full((data, 1), 2.0), jnp.asarray(extra)))
    assert pairs.sum(0).max() <= 1 and pairs.sum(1).max() <= 1
    total = np.where(pairs, cost, 0.0).sum((0, 1)) + 2.0 * (~pairs.any(1)).sum(0)
    total += np.where(pairs.any(0), 0.0, extra).sum(0)
    for c in range(cells):
        best = min(
            (cost[list(i), list(j), c] - extra[list(j), c] - 2.0).sum()
            for n in range(data + 1)
            for i in combinations(range(data), n)
            for j in combinations(range(model), n)
        )  # fmt: skip
        assert total[c] == pytest.approx(2.0 * data + extra[:, c].sum() + best, rel=1e-5)


def test_the_coincidence_factor():
    times = np.arange(10) * 100.0 + 50.0
    assert loss.coincidence_factor(times, times, 1000.0) == pytest.approx(1.0)
    # Half of 10 coincide; by chance 2 * 2 ms * 10 / 1000 ms * 10 = 0.4 would.
    half = np.where(np.arange(10) % 2, times, times + 20.0)
    assert loss.coincidence_factor(half, times, 1000.0) == pytest.approx(4.6 / 9.6)
    assert loss.coincidence_factor([], times, 1000.0) == 0.0
    rng = np.random.default_rng(1)
    chance = [
        loss.coincidence_factor(rng.uniform(0, 1e4, 100), rng.uniform(0, 1e4, 100), 1e4)
        for _ in range(200)
    ]
    assert abs(np.mean(chance)) < 0.02


# -- building -------------------------------------------------------------------------------------
def test_masks_leave_out_artefacts_and_spikes():
    data = trace()
    kept = loss.artefact_mask(data, before_ms=0.2, after_ms=1.0)
    out = np.flatnonzero(~kept) * RECORD
    assert {round(t) for t in out} == {10, 11, 55, 56} and out.min() == pytest.approx(9.8)
    kept = loss.spike_mask(data)
    peaks = features.spikes(data.v_mV, RECORD).times
    assert np.abs(data.v_mV[kept]).max() < 80 and data.v_mV[kept].max() < -30
    assert not kept[np.rint(peaks / RECORD).astype(int)].any()


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"tolerances": {"peaks": 1.0}}, "no spike feature 'peaks'; did you mean 'peak'"),
        ({"tolerances": {"peak": 0.0}}, "tolerance of 'peak' is 0.0: expected a positive number"),
        ({"slots": 1}, "has 3 spikes: 1 slots are too few"),
    ],
)
def test_spike_features_that_make_no_sense_are_refused(told, message):
    with pytest.raises(ValueError, match=message):
        loss.spike_features(trace(), RECORD, **told)


def test_what_else_makes_no_sense_is_refused():
    silent = nj.Trace(clamp="current", dt_ms=0.1, v_mV=np.full(99, -65.0), i_pA=np.zeros(99))
    with pytest.raises(ValueError, match="has no step"):
        loss.step_response(silent, 0.1)
    with pytest.raises(ValueError, match="no step feature 'sags'; did you mean 'sag'"):
        loss.step_response(trace(), 0.1, {"sags": 1.0})
    with pytest.raises(ValueError, match=r"at least one record of 0\.1 ms"):
        loss.soft_dtw(silent, 0.1, 0.02)
