"""How far simulated sweeps are from recorded ones: each feature in units of its tolerance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from neurojax.fit.holding import level, stimulated
from neurojax.fit.task import shares_of
from neurojax.loss import Level
from neurojax.membrane.electrode import resample
from neurojax.recording import features
from neurojax.recording.features import Spikes
from neurojax.recording.trace import Trace
from neurojax.units import PA

UNIT = "tolerances"
"""The unit of scores: a sum over features in which 1 is a difference of one tolerance."""

_WORST = 20.0  # tolerances: where a feature's contribution levels off, and what a missing one costs
_LATE = 6.0  # tolerances: where that of one spike's time does, so that the first ones still count
_GRID = 0.05  # ms: the finest sampling at which features are read
_BEFORE, _AFTER = 50.0, 100.0  # ms around the stimulus that are simulated
_FALL = np.array([0.75, 1.0, 1.5, 2.0, 3.0, 4.0])  # ms after the peak of a spike
_PHASES = np.array([0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9])  # of the interval between two spikes
_RECOVERY = 20.0  # ms after the last spike from which the course to rest is compared
_POINTS = 400  # records at which a stretch without spikes is compared


class Score(NamedTuple):
    """Contributions to the score, `[*pop]` each, in tolerances, averaged over the sweeps.

    The tolerances are `features.TOLERANCES`, of the recorded sweep.
    """

    number: np.ndarray  # spikes missing or too many
    times: np.ndarray  # mean |error| of spike times, in order
    latency: np.ndarray  # |error| of the first spike
    intervals: np.ndarray  # mean |log ratio| of intervals
    peak: np.ndarray  # mean |error| over spikes
    trough: np.ndarray  # mean |error| over intervals
    width: np.ndarray  # mean |error| over spikes
    fall: np.ndarray  # mean |error| within 4 ms after the peaks
    base: np.ndarray  # how far from the recorded potential the cell would rest by itself
    rise: np.ndarray  # RMS from the onset to the first spike, or to the end without any
    course: np.ndarray  # mean |error| at equal phases between spikes
    after: np.ndarray  # RMS from 20 ms after the last spike to the end

    @property
    def total(self) -> np.ndarray:
        """The score `[*pop]`: infinite for a cell that is not finite."""
        return np.sum(np.stack(self), axis=0)


FEATURES = (
    "number", "time", "latency", "interval", "peak", "trough", "width", "fall", "base", "rise",
    "course", "after",
)  # fmt: skip
"""The feature of each part of a Score, by its name in `features.TOLERANCES`."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """One recorded sweep as the score sees it: sampled as the simulation is recorded."""

    v: np.ndarray  # [record] mV
    dt: float  # ms between records
    on: int  # record at which the stimulus begins
    end: float  # ms, of the stimulus: a spike that never came is as late as this
    spikes: Spikes
    tolerances: dict[str, float]  # of every feature, in its unit


@dataclass(frozen=True, eq=False)
class Targets:
    """The sweeps of a search, padded to one length so that one program simulates them all."""

    sweeps: tuple[Sweep, ...]
    weights: np.ndarray  # [sweep], sum 1
    i: np.ndarray  # [step, sweep] uA
    level: Level  # [sweep] each, from which they began
    every: int  # steps between records


def targets(traces: Sequence[Trace], dt: float, weights: Sequence[float] | None = None) -> Targets:
    """Prepare recorded current-clamp sweeps for simulation with step dt (ms).

    Raises ValueError without sweeps, for voltage clamp, or for weights that do not fit.
    """
    if not traces:
        raise ValueError("no sweeps to search on")
    for trace in traces:
        if trace.clamp != "current":
            raise ValueError(f"sweep {trace.sweep}: a search on features needs current clamp")
    shares = shares_of(weights, len(traces))
    # A simulation is read at the recording's own interval: coarse sampling cuts the tops of spikes.
    every = max(1, round(max(_GRID, *(t.dt_ms for t in traces)) / dt))
    sweeps, currents = [], []
    for trace in traces:
        first, last = stimulated(trace)
        start = max(0.0, first - _BEFORE)
        part = trace.crop(start, min(trace.duration_ms, last + _AFTER))
        i = resample(part.i_pA, part.dt_ms, dt, at=0.5) * PA
        currents.append(i[: i.size // every * every])
        sweeps.append(_sweep(part, dt * every, first - start, last - start))
    longest = max(map(len, currents))
    padded = [np.pad(i, (0, longest - len(i)), mode="edge") for i in currents]
    return Targets(
        tuple(sweeps),
        shares,
        np.stack(padded, axis=1),
        Level(*map(np.array, zip(*(level(t) for t in traces), strict=True))),
        every,
    )


def latency_from(trace: Trace, spike_ms: float) -> float:
    """The last change of the stimulus before a spike, ms: from there its latency counts."""
    changes = trace.changes()
    return float(changes[changes < spike_ms].max(initial=0.0))


def _sweep(part: Trace, dt: float, first: float, last: float) -> Sweep:
    v = resample(part.v_mV, part.dt_ms, dt, at=1.0)
    found = features.spikes(v, dt)
    onset = latency_from(part, found.times[0]) if found.number else first
    tolerances = features.tolerances_of(found, first, last, onset)
    end = max(last, found.times.max(initial=0.0))
    return Sweep(v, dt, round(first / dt), end, found, tolerances)


def score(v: np.ndarray, target: Targets, rest: np.ndarray) -> Score:
    """Score simulated potentials v `[record, sweep, *pop]`, mV, against the recorded ones.

    `rest` `[sweep, *pop]` is how far (mV) the cells' own rest is from the potential at which each
    sweep began. A cell that leaves the finite numbers scores infinity.
    """
    parts = [_score_sweep(v[: len(s.v), k], rest[k], s) for k, s in enumerate(target.sweeps)]
    means = [
        sum(w * x for w, x in zip(target.weights, xs, strict=True))
        for xs in zip(*parts, strict=True)
    ]
    lost = ~np.isfinite(v[-1]).all(axis=0)
    return Score(*(np.where(lost, np.inf, x) for x in means))


def _capped(x: np.ndarray, worst: float = _WORST) -> np.ndarray:
    """x for small x, levelling off at the worst, which also stands for what is missing."""
    x = np.where(np.isfinite(x), x, np.inf)
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(x), x / (1 + x / worst), worst)


def _mean(total: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The mean of so many, infinite of none."""
    return np.where(number > 0, total / np.maximum(number, 1), np.inf)


def _score_sweep(v: np.ndarray, rest: np.ndarray, s: Sweep) -> Score:
    n, within = int(s.spikes.number), s.tolerances
    # NaN compares as no spike anywhere, and RMS errors of NaN count as missing: no special case
    # here.
    found = features.spikes(v, s.dt, most=n + 1)
    pop = found.number.shape
    nothing = np.zeros(pop)

    def mean_error(feature: str, model: np.ndarray, data: np.ndarray) -> np.ndarray:
        if data.size == 0:
            return nothing
        k = min(model.shape[-1], data.size)
        error = np.abs(model[..., :k] - data[:k])
        known = np.isfinite(error)
        total = np.where(known, error, 0).sum(axis=-1)
        number = known.sum(axis=-1)
        return _capped(_mean(total, number) / within[feature])

    t = np.full((*pop, n + 1), np.nan)
    t[..., : found.times.shape[-1]] = found.times
    late = np.abs(np.where(np.isfinite(t[..., :n]), t[..., :n], s.end) - s.spikes.times)
    gaps, own = np.diff(t[..., :n]), np.diff(s.spikes.times)
    with np.errstate(invalid="ignore", divide="ignore"):
        log_gaps, log_own = np.log(gaps), np.log(own)
    first, last = _firing(t, s)
    end = len(s.v)
    return Score(
        _capped(np.abs(found.number - n) / within["number"]),
        _capped(late / within["time"], _LATE).mean(axis=-1) if n else nothing,
        _capped(late[..., 0] / within["latency"]) if n else nothing,
        mean_error("interval", log_gaps, log_own),
        mean_error("peak", found.peaks, s.spikes.peaks),
        mean_error("trough", found.troughs, s.spikes.troughs),
        mean_error("width", found.widths, s.spikes.widths),
        _fall(v, s, t[..., :n]),
        _capped(np.abs(rest) / within["base"]),
        _rms(v, s, s.on, end, lambda at: at <= first, within["rise"]),
        _course(v, s, t[..., :n]),
        _rms(v, s, s.on, end, lambda at: at >= last, within["after"]) if n else nothing,
    )


def _firing(t: np.ndarray, s: Sweep) -> tuple[np.ndarray, np.ndarray]:
    """From when to when spikes, simulated at t `[*pop, spike]` or recorded, shape the potential."""
    both = [np.broadcast_to(s.spikes.times, (*t.shape[:-1], int(s.spikes.number))), t]
    times = np.concatenate(both, axis=-1)
    known = np.isfinite(times)
    first = np.where(known, times, np.inf).min(axis=-1)
    last = np.where(known, times, -np.inf).max(axis=-1)
    return first - 1.0, last + _RECOVERY


def _rms(
    v: np.ndarray, s: Sweep, a: int, b: int, when: Callable[[Any], np.ndarray], tolerance: float
) -> np.ndarray:
    """RMS error over records a to b at times (ms) when it counts; some of them are enough."""
    records = np.arange(a, max(a + 1, b), max(1, (b - a) // _POINTS))
    column = (-1, *[1] * (v.ndim - 1))
    error = v[records] - s.v[records].reshape(column)
    counts = np.broadcast_to(when(records.reshape(column) * s.dt), error.shape)
    number = counts.sum(axis=0)
    total = np.where(counts, error * error, 0.0).sum(axis=0)
    return np.where(number > 0, _capped(np.sqrt(total / np.maximum(number, 1)) / tolerance), 0.0)


def _fall(v: np.ndarray, s: Sweep, t: np.ndarray) -> np.ndarray:
    """Mean |error| of the way down from the peaks, each spike against its own."""
    pop = t.shape[:-1]
    if not t.shape[-1]:
        return np.zeros(pop)
    rows = np.moveaxis(v, 0, -1)
    data = _between(s.v, (s.spikes.times[:, None] + _FALL) / s.dt)
    known = np.isfinite(t)
    model = _between(rows, (np.where(known, t, 0.0)[..., None] + _FALL) / s.dt)
    error = np.where(known, np.abs(model - data).mean(axis=-1), 0.0).sum(axis=-1)
    number = known.sum(axis=-1)
    return _capped(_mean(error, number) / s.tolerances["fall"])


def _between(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    """rows `[*pop, record]` at fractional records `[*pop, spike, point]`, linearly interpolated."""
    at = np.clip(at, 0, rows.shape[-1] - 1.001)
    record = at.astype(int)
    flat = record.reshape(*rows.shape[:-1], -1)
    low, high = (np.take_along_axis(rows, flat + k, axis=-1).reshape(record.shape) for k in (0, 1))
    return low + (at - record) * (high - low)


def _course(v: np.ndarray, s: Sweep, t: np.ndarray) -> np.ndarray:
    """Mean |error| at equal phases of the intervals between spikes."""
    pop = t.shape[:-1]
    if t.shape[-1] < 2:
        return np.zeros(pop)
    own = s.spikes.times
    a, b = own[:-1, None], own[1:, None]
    data = s.v[np.rint((a + _PHASES * (b - a)) / s.dt).astype(int)]
    a, b = t[..., :-1, None], t[..., 1:, None]
    known = np.isfinite(b[..., 0])
    at = np.where(known[..., None], (a + _PHASES * (b - a)) / s.dt, 0.0)
    rows = np.moveaxis(v, 0, -1)
    record = np.clip(np.rint(at).astype(int), 0, rows.shape[-1] - 1)
    model = np.take_along_axis(rows, record.reshape(*pop, -1), axis=-1).reshape(record.shape)
    error = np.abs(model - data).mean(axis=-1)
    number = known.sum(axis=-1)
    total = np.where(known, error, 0).sum(axis=-1)
    return _capped(_mean(total, number) / s.tolerances["course"])
