"""Spikes: where they are in a trace or a population, how high, and how low between."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Array, Float, Int

from neurojax.recording.features.telling import lines
from neurojax.recording.spike import PROMINENCE, THRESHOLD, crossed, vertex

_BEFORE, _AFTER = 5.0, 10.0  # ms around a peak in which a spike's width is looked for

_BRIEF_MS = 20.0
"""What is above half of its rise for no longer than this is a spike."""

_LEVELS = np.arange(0.1, 0.91, 0.1)
"""Parts of its rise: a membrane that charges takes ever longer from one to the next ..."""

_SLOWER, _IN_ALL = 0.8, 3.0
"""... each at least so many times as long as the one before, and the last one as the first."""


Samples: TypeAlias = Float[np.ndarray | Array, " sample *pop"]
"""A potential in time, of one cell or of each of a population, mV."""

PerCell: TypeAlias = Float[np.ndarray, "*pop"]
PerSpike: TypeAlias = Float[np.ndarray, "*pop spike"]


class Spikes(NamedTuple):
    """The spikes of a trace, or of each cell: rows end in NaN where a cell has fewer."""

    number: Int[np.ndarray, "*pop"]
    times: PerSpike  # ms of the peak, interpolated between samples
    peaks: PerSpike  # mV
    troughs: Float[np.ndarray, "*pop spike-1"]  # mV, the lowest potential between two spikes
    widths: PerSpike  # ms at half height, from the lowest of the 10 ms that follow

    def __str__(self) -> str:
        return lines(self)


def spikes(
    v: Samples,
    dt: float,
    threshold: float = THRESHOLD,
    prominence: float = PROMINENCE,
    most: int | None = None,
) -> Spikes:
    """Find spikes in v (mV), sampled every dt ms; the first sample is at time 0.

    What a spike is, `recording.spike` says; a long depolarisation that only charges the membrane is
    none. All are counted, but only the first `most` of each cell are described. Cells that are not
    finite have no spikes.
    """
    v = np.moveaxis(np.asarray(v), 0, -1)
    pop, n = v.shape[:-1], v.shape[-1]
    rows = np.ascontiguousarray(v).reshape(-1, n)
    cell, at, low = _peaks(rows, threshold, prominence)
    active = ~_charges(rows, cell, at, low, dt)
    cell, at, low = cell[active], at[active], low[active]
    count = np.bincount(cell, minlength=len(rows))
    # Order of each spike within its cell: `cell` is sorted.
    order = np.arange(cell.size) - np.repeat(np.cumsum(count) - count, count)
    width = int(count.max(initial=0)) if most is None else min(most, int(count.max(initial=0)))
    kept = order < width
    cell, at, low, order = cell[kept], at[kept], low[kept], order[kept]
    time, peak, half = _shape(rows, cell, at, dt)

    def table(values: np.ndarray, columns: int, column: np.ndarray) -> np.ndarray:
        out = np.full((len(rows), max(columns, 0)), np.nan)
        inside = (column >= 0) & (column < columns)
        out[cell[inside], column[inside]] = values[inside]
        return out.reshape(*pop, max(columns, 0))

    return Spikes(
        count.reshape(pop),
        table(time, width, order),
        table(peak, width, order),
        table(low, width - 1, order - 1),  # the trough before a spike closes the interval before it
        table(half, width, order),
    )


def _peaks(rows: np.ndarray, threshold: float, prominence: float):
    """Cell, sample and preceding trough (mV) of every spike of rows `[cell, sample]`, in order."""
    n = rows.shape[1]
    above = rows >= threshold
    above[:, 0] = above[:, -1] = False  # a peak at the very edge has only one side
    flat = above.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if edges.size == 0:
        return np.empty(0, int), np.empty(0, int), np.empty(0)
    # Only what is above threshold is searched; each gap between is told by its lowest sample alone.
    # A gap that runs over the end of a row belongs to two cells, and is told to each by its own
    # part.
    start, stop = edges[::2], edges[1::2]
    owner = start // n
    new = np.r_[True, owner[1:] != owner[:-1]]
    left = np.where(new, owner * n, np.r_[0, stop[:-1]])
    last = np.r_[new[1:], True]
    right = np.where(last, (owner + 1) * n, np.r_[start[1:], 0])
    values = rows.ravel()
    found = _Stretches(
        owner, new, start, stop, _lowest(values, left, start), _lowest(values, stop, right)
    )
    up = values[1:] > values[:-1]
    turns = np.flatnonzero(up[1:] != up[:-1]) + 1
    plain, top_at = _single(values, turns, found, prominence)
    slow_cell, slow_at, slow_low = _follow(values, turns, found, ~plain, prominence)
    cell = np.r_[owner[plain], slow_cell]
    at = np.r_[top_at[plain], slow_at]
    order = np.argsort(at, kind="stable")
    return cell[order], (at - cell * n)[order], np.r_[found.before[plain], slow_low][order]


def _charges(
    rows: np.ndarray, cell: np.ndarray, at: np.ndarray, low: np.ndarray, dt: float
) -> np.ndarray:
    """Which peaks are those of a membrane that is charged and let go: long, and rising ever slower.

    A spike accelerates on its way up, however long it then lasts.
    """
    n, passive = rows.shape[1], np.zeros(at.size, bool)
    if not at.size:
        return passive
    level = 0.5 * (rows[cell, at] + low)
    reach = max(1, round(0.5 * _BRIEF_MS / dt))
    # Most are below half of their height so soon before or after that they need no closer look.
    brief = (rows[cell, np.maximum(at - reach, 0)] < level) & (
        rows[cell, np.minimum(at + reach, n - 1)] < level
    )
    for k in np.flatnonzero(~brief):
        row, top, base = rows[cell[k]], at[k], low[k]
        above = row >= level[k]
        under = np.flatnonzero(~above[:top])
        back = int(under[-1]) + 1 if under.size else 0
        ahead = int(np.argmin(above[top:])) if not above[top:].all() else n - top
        if (top - back + ahead) * dt <= _BRIEF_MS:
            continue
        # The first time at each level, from the foot on.
        low_at = top - int(np.argmax(row[top::-1] <= base + 0.1 * (row[top] - base)))
        rise = np.maximum.accumulate(row[low_at : top + 1])
        if (rise - row[low_at : top + 1]).max() > 0.1 * (row[top] - base):
            continue  # it falls on its way
        gaps = np.diff(np.interp(base + _LEVELS * (row[top] - base), rise, np.arange(rise.size)))
        slower = (gaps[1:] >= _SLOWER * gaps[:-1]).all()
        passive[k] = bool(slower and gaps[-1] >= _IN_ALL * gaps[0] > 0)
    return passive


class _Stretches(NamedTuple):
    """Stretches of samples above threshold, `[stretch]` each, and how low v is between them."""

    owner: np.ndarray  # cell
    new: np.ndarray  # the first of its cell
    start: np.ndarray  # first sample, of all cells in a row
    stop: np.ndarray  # and the sample after the last
    before: np.ndarray  # lowest potential of the gap before, mV
    after: np.ndarray  # and of the gap after


def _single(values: np.ndarray, turns: np.ndarray, found: _Stretches, prominence: float):
    """Which stretches are one spike each, as in a clean trace all are, and where their peaks are.

    Only where all stretches of a cell are: what one leaves open decides about the next.
    """
    first = np.searchsorted(turns, found.start)
    number = np.searchsorted(turns, found.stop) - first
    top_at = turns[np.minimum(first, turns.size - 1)] if turns.size else found.start
    lowest = np.maximum(found.before, found.after)
    single = (number == 1) & (values[top_at] - lowest >= prominence)
    odd = np.zeros(found.owner[-1] + 1, dtype=bool)
    odd[found.owner[~single]] = True
    return ~odd[found.owner], top_at


def _follow(
    values: np.ndarray, turns: np.ndarray, found: _Stretches, which: np.ndarray, prominence: float
):
    """Cell, sample and preceding trough of the spikes of some stretches, turn by turn."""
    found_cell, found_at, found_low = [], [], []
    low = top = np.nan  # the lowest since the last spike; the highest since then
    top_at = -1
    some = _Stretches(*(x[which] for x in found))
    ends = np.searchsorted(turns, [some.start, some.stop]).tolist()
    for owner, new, start, stop, before, after, a, b in zip(
        *(x.tolist() for x in some), *ends, strict=True
    ):
        if new:
            low, top, top_at = before, -np.inf, -1
        at = np.concatenate([[start], turns[a:b], [stop - 1]])
        # Plain numbers, as arrays are slow one by one.
        for j, x in zip([*at.tolist(), -1], [*values[at].tolist(), after], strict=True):
            if top_at < 0:  # falling: waiting for a rise out of the lowest point
                if x < low:
                    low = x
                elif j >= 0 and x - low >= prominence:
                    top, top_at = x, j
            elif x > top:
                top, top_at = x, j
            elif top - x >= prominence:
                found_cell.append(owner)
                found_at.append(top_at)
                found_low.append(low)
                low, top_at = x, -1
    return np.array(found_cell, int), np.array(found_at, int), np.array(found_low, float)


def _lowest(values: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """min(values[a:b]) of every pair; each interval is non-empty."""
    padded = np.stack([a, b], axis=1).ravel()
    inside = padded < values.size
    return np.minimum.reduceat(values, padded[inside])[::2]


def _shape(
    rows: np.ndarray, cell: np.ndarray, at: np.ndarray, dt: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interpolated time (ms), peak (mV) and width at half height (ms) of spikes at samples."""
    if at.size == 0:
        return np.empty(0), np.empty(0), np.empty(0)
    n = rows.shape[1]
    # A converter's steps flatten the tops of finely sampled spikes: the peak is the middle of the
    # flat.
    flat, more = np.zeros(at.size, int), np.ones(at.size, bool)
    for k in range(1, 9):
        more = more & (rows[cell, np.minimum(at + k, n - 1)] == rows[cell, at])
        flat += more
    at = at + flat // 2
    a, b, c = (rows[cell, np.clip(at + k, 0, n - 1)].astype(float) for k in (-1, 0, 1))
    shift, peak = vertex(a, b, c, np)
    back, ahead = around(rows, cell, at, dt)
    # Not past the next spike: its rise would hide nothing but the base, its own trough is deeper.
    level = 0.5 * (peak + ahead.min(axis=1))
    return (at + shift) * dt, peak, width_at(level, back, ahead, dt)


def around(
    rows: np.ndarray, cell: np.ndarray, at: np.ndarray, dt: float
) -> tuple[np.ndarray, np.ndarray]:
    """The potential backwards and onwards from each peak, `[spike, sample]`, mV."""
    left, right = max(1, round(_BEFORE / dt)), max(1, round(_AFTER / dt))
    steps = (-np.arange(left + 1), np.arange(right + 1))
    back, ahead = (
        rows[cell[:, None], np.clip(at[:, None] + step, 0, rows.shape[1] - 1)] for step in steps
    )
    return back, ahead


def width_at(level: np.ndarray, back: np.ndarray, ahead: np.ndarray, dt: float) -> np.ndarray:
    """For how long spikes are above a level `[spike]`, ms; NaN where they do not fall below it."""
    return dt * (_until_below(back, level) + _until_below(ahead, level))


def _until_below(course: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Samples until each course `[spike, sample]` first falls below its level, or NaN."""
    below = course < level[:, None]
    k = below.argmax(axis=1)
    k = np.where(k > 0, k, 1)
    high, low = course[np.arange(len(k)), k - 1], course[np.arange(len(k)), k]
    falls, part = crossed(high, low, level, np, up=False)
    return np.where(falls, k - 1 + part, np.nan)
