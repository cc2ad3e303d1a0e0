"""Shape of each spike: onset, amplitude, width, slopes and what follows, as eFEL defines them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neurojax.recording.features.detection import PerSpike, Samples, Spikes, around, width_at
from neurojax.recording.features.telling import lines

ONSET_SLOPE = 10.0
"""A spike begins where v rises faster than this, mV/ms (V/s) ..."""

ONSET_LASTS = 0.3
"""... for at least so long, ms: eFEL's three points at its own 0.1 ms."""

PAUSE = 0.2
"""The after-hyperpolarisation is over when v has made no new low for so long, ms."""


class Shapes(NamedTuple):
    """The shape of each spike; NaN where there is none, or no onset."""

    onset_times: PerSpike  # ms, where v last began to rise at 10 mV/ms (eFEL: AP_begin_time)
    onsets: PerSpike  # mV there (AP_begin_voltage)
    amplitudes: PerSpike  # mV from onset to peak (AP_amplitude)
    half_widths: PerSpike  # ms halfway between onset and peak (AP_duration_half_width)
    upstrokes: PerSpike  # mV/ms, the steepest rise (AP_peak_upstroke)
    downstrokes: PerSpike  # mV/ms, the steepest fall, negative (AP_peak_downstroke)
    ahps: PerSpike  # mV, the first after-hyperpolarisation (AHP_depth_abs)
    ahp_delays: PerSpike  # ms from the peak to it (AHP_time_from_peak)

    def __str__(self) -> str:
        return lines(self)


def shapes(
    v: Samples,
    dt: float,
    found: Spikes,
    edges: Sequence[float] = (),
    onset_slope: float = ONSET_SLOPE,
) -> Shapes:
    """Shape of the spikes found in v (mV), sampled every dt ms; they begin at onset_slope, mV/ms.

    Peaks and crossings are interpolated between samples, where eFEL takes the nearest sample of its
    0.1 ms. The after-hyperpolarisation is the first low after the peak, before v goes 0.2 ms
    without a lower one; `Spikes.troughs` are the lowest of each interval. Where the stimulus moves
    v itself, at its `edges` (ms), the onset is after that: where v rises least before it rises
    faster.
    """
    v = np.moveaxis(np.asarray(v), 0, -1)
    n, described = v.shape[-1], np.isfinite(found.times)
    empty = np.full(described.shape, np.nan)
    if not described.any():
        return Shapes(*(empty for _ in Shapes._fields))
    rows = np.ascontiguousarray(v).reshape(-1, n)
    values = rows.ravel()
    cell = np.nonzero(described.reshape(len(rows), -1))[0]
    at = np.clip(np.rint(found.times[described] / dt).astype(int), 1, n - 2)
    peak = cell * n + at  # sample of all cells in a row
    low = _first_low(rows, cell, peak, max(1, round(PAUSE / dt)))
    slope = np.asarray(np.gradient(rows, dt, axis=1))
    fast = slope >= onset_slope
    begin, begun = _onset(fast, cell, peak, low, max(1, round(ONSET_LASTS / dt)))
    begin = _past_edges(slope, fast, cell, begin, peak, np.rint(np.array(edges) / dt))

    onset = np.where(begun, values[begin], np.nan)
    level = 0.5 * (onset + found.peaks[described])
    told = Shapes(
        np.where(begun, (begin - cell * n) * dt, np.nan),
        onset,
        found.peaks[described] - onset,
        width_at(level, *around(rows, cell, at, dt), dt),
        np.where(begun, _between(np.maximum, slope.ravel(), begin, peak), np.nan),
        _between(np.minimum, slope.ravel(), peak, low),
        values[low],
        (low - peak) * dt,
    )
    tables = []
    for each in told:
        table = empty.copy()
        table[described] = each
        tables.append(table)
    return Shapes(*tables)


def _lowest_ahead(rows: np.ndarray, m: int) -> np.ndarray:
    """Lowest of the m samples after each, infinite where there is none."""
    low = np.full((len(rows), rows.shape[1] + m), np.inf)
    low[:, : rows.shape[1]] = rows
    seen = 1  # low is the lowest of so many samples, from each on
    while seen < m:
        more = min(seen, m - seen)
        low[:, :-more] = np.minimum(low[:, :-more], low[:, more:])
        seen += more
    return low[:, 1 : rows.shape[1] + 1]


def _first_low(rows: np.ndarray, cell: np.ndarray, peak: np.ndarray, m: int) -> np.ndarray:
    """Sample of the first low after each peak that none of the m samples after it goes below."""
    n = rows.shape[1]
    ahead = _lowest_ahead(rows, m)
    pauses = np.flatnonzero((rows < ahead).ravel())
    low = pauses[np.minimum(np.searchsorted(pauses, peak), pauses.size - 1)]
    same = np.r_[cell[1:] == cell[:-1], False]
    end = np.where(same, np.r_[peak[1:], 0], (cell + 1) * n)
    # Two spikes so close that v does not pause between them: the lowest between.
    for k in np.flatnonzero(low >= end):
        low[k] = peak[k] + int(np.argmin(rows.ravel()[peak[k] : end[k]]))
    return low


def _onset(
    fast: np.ndarray, cell: np.ndarray, peak: np.ndarray, low: np.ndarray, m: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sample of each spike's onset, and whether it has one: the last fast rise of m samples.

    Looked for between the after-hyperpolarisation of the spike before, or the first sample, and the
    peak.
    """
    n = fast.shape[1]
    inside = fast.copy()
    inside[:, 0] = inside[:, -1] = False  # so that none runs into the next cell
    flat = inside.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    start, stop = edges[::2], edges[1::2]
    start = start[stop - start >= m]
    if not start.size:
        return peak, np.zeros(peak.shape, bool)
    k = np.searchsorted(start, peak) - 1
    same = np.r_[False, cell[1:] == cell[:-1]]
    earliest = np.where(same, np.r_[0, low[:-1]], cell * n)
    begun = (k >= 0) & (start[k] >= earliest)
    return np.where(begun, start[k], peak - 1), begun


def _past_edges(
    slope: np.ndarray,
    fast: np.ndarray,
    cell: np.ndarray,
    begin: np.ndarray,
    peak: np.ndarray,
    edges: np.ndarray,
) -> np.ndarray:
    """Onsets, those at an edge of the stimulus moved to where v rises least before it rises faster.

    A step of current jumps through the pipette and then charges the membrane ever more slowly.
    """
    if not edges.size:
        return begin
    n, flat, moved = slope.shape[1], slope.ravel(), begin.copy()
    for k, (first, top) in enumerate(zip(begin.tolist(), peak.tolist(), strict=True)):
        if np.abs(edges - (first - cell[k] * n)).min() > 2 or top - first < 4:
            continue
        rise = flat[first : top + 1]
        steepest = 3 + int(np.argmax(rise[3:]))  # past the jump itself
        least = int(np.argmin(rise[: steepest + 1]))
        if rise[least] < 0.9 * rise[steepest]:
            moved[k] = first + least + int(np.argmax(fast.ravel()[first + least : top + 1]))
    return moved


def _between(reduce: np.ufunc, values: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """reduce(values[a:b]) of every pair; each interval has at least one sample."""
    pairs = np.stack([a, np.maximum(b, a + 1)], axis=1).ravel()
    return reduce.reduceat(np.r_[values, values[-1]], pairs)[::2]
