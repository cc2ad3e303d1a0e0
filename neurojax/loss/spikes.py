"""Spikes found and measured while a run goes on: for all objectives that need them."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from neurojax.engine.folds import Carry, Fold
from neurojax.membrane.channel import Leaf, pytree, static
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.observables import observe
from neurojax.recording.features import Spikes
from neurojax.recording.spike import (
    PROMINENCE,
    THRESHOLD,
    Course,
    begin_level,
    course,
    crossed,
    follow,
    vertex,
)

MEASURES = ("time", "peak", "trough", "width", "onset")
"""What a spike is measured by; see `SpikeTable`."""


class Found(NamedTuple):
    """The spikes of a run; rows of `table` past `number` mean nothing."""

    number: Int[Array, "*pop"]  # all of them, in the table or not
    table: dict[str, Float[Array, " slot *pop"]]  # by measure
    last: Float[Array, "*pop"]  # ms, when the last one came
    before: Float[Array, "*pop"]  # ms, and the one before it
    since: Float[Array, "*pop"]  # mV, the highest since v rises again after the last one


class _Carry(NamedTuple):
    records: jax.Array  # int32, how many there were
    v: jax.Array  # mV, of the record before
    earlier: jax.Array  # mV, and of the one before that
    slope: jax.Array  # mV/ms, between those two
    course: Course
    peak: jax.Array  # mV, the highest of this spike
    rising: jax.Array  # bool: v has begun to rise again after the last spike
    rise: jax.Array  # ms, when v last rose through `level`
    counts: jax.Array  # bool: this spike began within the window
    wide: jax.Array  # bool: its width is not known yet
    onset: jax.Array  # mV, where v last began to rise quickly
    found: Found


@pytree
class SpikeTable(Fold):
    """Spikes and their shape, the first `slots` of each cell: a dict of measures `[slot, *pop]`.

    What a spike is, `recording.spike` says. It counts from where it begins, before it is over. Of
    those that begin in [start_ms, stop_ms) are measured

    - time, ms: when v rises through the level at which it begins. It is interpolated between
      records, so that its derivative is the implicit one, dt/dtheta = -v_theta / v'
    - peak, mV: the vertex of a parabola through the highest record and its neighbours
    - trough, mV: the lowest until the next spike; of the last one, until the end of the run
    - width, ms: for how long v is above `level` (half the height of a typical spike)
    - onset, mV: where dv/dt last rose through `rate`

    NaN where a cell has no such spike, or no such measure of it. Records are `record_ms` apart.
    """

    record_ms: Leaf
    slots: int = static(8)
    measures: tuple[str, ...] = static(MEASURES)
    of: str = static("v_amp")
    threshold: Leaf = THRESHOLD  # mV
    prominence: Leaf = PROMINENCE  # mV
    level: Leaf = THRESHOLD  # mV
    rate: Leaf = 10.0  # mV/ms
    start_ms: Leaf = 0.0
    stop_ms: Leaf = jnp.inf

    def init(self, cell: Cell, s: State) -> Carry:
        v = observe(cell, s, self.of)
        zero, no = jnp.zeros_like(v), jnp.zeros(v.shape, bool)
        table = {k: jnp.zeros((self.slots, *v.shape), v.dtype) for k in self.measures}
        found = Found(jnp.zeros(v.shape, jnp.int32), table, zero, zero, v)
        return _Carry(
            records=jnp.zeros((), jnp.int32), v=v, earlier=v, slope=zero,
            course=course(v, jnp), peak=v, rising=v < self.threshold, rise=zero,
            counts=no, wide=no, onset=v, found=found,
        )  # fmt: skip

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        c, v = carry, observe(cell, s, self.of)
        start, old = c.records * self.record_ms, c.found
        slope = (v - c.v) / self.record_ms

        def passed(level: Leaf, up: bool = True) -> tuple[jax.Array, jax.Array]:
            """Whether v has just passed a level, and when, ms."""
            where, part = crossed(c.v, v, level, jnp, up)
            return where, start + self.record_ms * part

        here, begins, _ = follow(c.course, v, jnp, self.threshold, self.prominence)
        high = jnp.maximum(v, self._vertex(c, v))
        peak = jnp.where(begins, v, jnp.maximum(c.peak, high))
        _, time = passed(begin_level(c.course.low, jnp, self.threshold, self.prominence))
        inside = (time >= self.start_ms) & (time < self.stop_ms)
        counting = jnp.where(begins, inside, c.counts)
        counts = begins & counting
        number = old.number + counts
        rising = ~begins & (c.rising | (v > c.v) & (v < self.threshold - self.prominence))
        since = jnp.where(rising & c.rising, jnp.maximum(old.since, v), old.since)
        since = jnp.where(rising & ~c.rising, v, since)

        quick = (c.slope < self.rate) & (slope >= self.rate)
        onset = jnp.where(quick, self._onset(c, v, slope, quick), c.onset)
        up, rise = passed(self.level)
        rise = jnp.where(up, rise, c.rise)
        down, fall = passed(self.level, up=False)
        # A level below the threshold is passed before the spike begins, and a spike that begins
        # may not reach one above.
        wide = begins | c.wide
        measured = {
            "time": (begins, time),
            "peak": (True, peak),
            "trough": (True, here.low),
            "width": (wide & down, fall - rise),
            "onset": (begins, onset),
        }
        at = (rows(self.slots, v) == number - 1) & counting
        table = {k: jnp.where(at & measured[k][0], measured[k][1], a) for k, a in old.table.items()}
        found = Found(
            number,
            table,
            jnp.where(counts, time, old.last),
            jnp.where(counts, old.last, old.before),
            since,
        )
        return _Carry(
            records=c.records + 1, v=v, earlier=c.v, slope=slope, course=here, peak=peak,
            rising=rising, rise=rise, counts=counting, wide=wide & ~down, onset=onset, found=found,
        )  # fmt: skip

    def _vertex(self, c: _Carry, v: jax.Array) -> jax.Array:
        """The top of a parabola through the last three records, mV, if the middle is highest."""
        highest = (c.v >= c.earlier) & (c.v > v)
        return jnp.where(highest, vertex(c.earlier, c.v, v, jnp)[1], c.v)

    def _onset(self, c: _Carry, v: jax.Array, slope: jax.Array, quick: jax.Array) -> jax.Array:
        """The potential at which dv/dt passed `rate`, mV; dv/dt belongs midway between records."""
        part = (self.rate - c.slope) / jnp.where(quick, slope - c.slope, 1.0)
        return c.v + (part - 0.5) * jnp.where(part < 0.5, c.v - c.earlier, v - c.v)

    def finish(self, carry: Carry, duration: Leaf) -> Any:
        found = carry.found
        return {k: jnp.where(there(found, k), a, jnp.nan) for k, a in found.table.items()}


def rows(slots: int, like: jax.Array) -> jax.Array:
    """The number of each row, `[slot, 1, ...]`, to be compared with `like` `[*pop]`."""
    return jnp.arange(slots).reshape(-1, *[1] * like.ndim)


def there(found: Found, measure: str) -> jax.Array:
    """Which rows of a measure mean something, `[slot, *pop]`."""
    known = rows(len(found.table[measure]), found.number) < found.number
    return known & (found.table[measure] > 0) if measure == "width" else known


def half_height(v: np.ndarray, found: Spikes) -> float:
    """Of a typical spike of a trace, mV, from the lowest between spikes."""
    if not found.number:
        return float(THRESHOLD)
    low = np.median(found.troughs) if found.troughs.size else v.min()
    return float(0.5 * (np.median(found.peaks) + low))
