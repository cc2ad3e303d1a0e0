"""Spikes found and measured in a stream: the one place where objectives detect them."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from neurojax.engine.folds import Fold
from neurojax.engine.observables import observe
from neurojax.membrane.channel import Leaf, pytree, static

MEASURES = ("time", "peak", "trough", "width", "onset")
"""What a spike is measured by; see `SpikeTable`."""


class Found(NamedTuple):
    """The spikes of a run; rows of `table` past `number` mean nothing."""

    number: jax.Array  # int32 `[*pop]`, all of them, in the table or not
    table: dict[str, jax.Array]  # `[slot, *pop]` of each measure
    last: jax.Array  # ms `[*pop]`, when the last one came
    before: jax.Array  # ms `[*pop]`, and the one before it
    since: jax.Array  # mV `[*pop]`, the highest since v rises again after the last one


class _Carry(NamedTuple):
    records: jax.Array  # int32, how many there were
    v: jax.Array  # mV, of the record before
    earlier: jax.Array  # mV, and of the one before that
    slope: jax.Array  # mV/ms, between those two
    ready: jax.Array  # bool: the last spike is over
    rising: jax.Array  # bool: and v has begun to rise again
    top: jax.Array  # mV, the highest of this spike
    low: jax.Array  # mV, the lowest since its peak
    rise: jax.Array  # ms, when v last rose through `level`
    inside: jax.Array  # bool: this spike counts
    wide: jax.Array  # bool: its width is not known yet
    onset: jax.Array  # mV, where v last began to rise quickly
    found: Found


@pytree
class SpikeTable(Fold):
    """Spikes and their shape, the first `slots` of each cell: a dict of measures `[slot, *pop]`.

    A spike begins where v rises through `threshold` (or by `prominence`, from a trough so high that
    this is farther), and is over when v has fallen by `prominence` from its peak; only then can
    another begin. Of those that begin in [start_ms, stop_ms) are told

    - time, ms: of that crossing. It is interpolated between records, so that its derivative is the
      implicit one, dt/dtheta = -v_theta / v'
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
    threshold: Leaf = -20.0  # mV
    prominence: Leaf = 20.0  # mV
    level: Leaf = -20.0  # mV
    rate: Leaf = 10.0  # mV/ms
    start_ms: Leaf = 0.0
    stop_ms: Leaf = jnp.inf

    def init(self, cell, s):
        v = observe(cell, s, self.of)
        zero, no = jnp.zeros_like(v), jnp.zeros(v.shape, bool)
        table = {k: jnp.zeros((self.slots, *v.shape), v.dtype) for k in self.measures}
        found = Found(jnp.zeros(v.shape, jnp.int32), table, zero, zero, v)
        return _Carry(
            records=jnp.zeros((), jnp.int32), v=v, earlier=v, slope=zero,
            ready=v < self.threshold, rising=v < self.threshold, top=v, low=v, rise=zero,
            inside=no, wide=no, onset=v, found=found,
        )  # fmt: skip

    def update(self, carry, cell, s, row):
        c, v = carry, observe(cell, s, self.of)
        start, old = c.records * self.record_ms, c.found
        slope = (v - c.v) / self.record_ms

        def crossed(level, up=True):
            """Whether v has just passed a level, and when, ms."""
            passed = (c.v < level) & (v >= level) if up else (c.v >= level) & (v < level)
            part = jnp.where(passed, level - c.v, 0.0) / jnp.where(passed, v - c.v, 1.0)
            return passed, start + self.record_ms * part

        rose, time = crossed(jnp.maximum(self.threshold, c.low + self.prominence))
        begins = rose & c.ready
        inside = jnp.where(begins, (time >= self.start_ms) & (time < self.stop_ms), c.inside)
        counts = begins & inside
        number = old.number + counts
        top = jnp.where(begins, v, jnp.maximum(c.top, jnp.maximum(v, self._vertex(c, v))))
        # From the peak on: where a spike begins v may be lower than it falls afterwards.
        low = jnp.where(begins | ~c.ready & (v > c.top), v, jnp.minimum(c.low, v))
        over = v < top - self.prominence
        ready = jnp.where(rose, False, c.ready | over)
        rising = ~begins & (c.rising | (v > c.v) & (v < self.threshold - self.prominence))
        since = jnp.where(rising & c.rising, jnp.maximum(old.since, v), old.since)
        since = jnp.where(rising & ~c.rising, v, since)

        quick = (c.slope < self.rate) & (slope >= self.rate)
        onset = jnp.where(quick, self._onset(c, v, slope, quick), c.onset)
        up, rise = crossed(self.level)
        rise = jnp.where(up, rise, c.rise)
        down, fall = crossed(self.level, up=False)
        # A level below the threshold is passed before the spike begins, and a spike that begins
        # may not reach one above.
        wide = begins | c.wide
        measured = {
            "time": (begins, time),
            "peak": (True, top),
            "trough": (True, low),
            "width": (wide & down, fall - rise),
            "onset": (begins, onset),
        }
        at = (rows(self.slots, v) == number - 1) & inside
        table = {k: jnp.where(at & measured[k][0], measured[k][1], a) for k, a in old.table.items()}
        found = Found(
            number,
            table,
            jnp.where(counts, time, old.last),
            jnp.where(counts, old.last, old.before),
            since,
        )
        return _Carry(
            records=c.records + 1, v=v, earlier=c.v, slope=slope, ready=ready, rising=rising,
            top=top, low=low, rise=rise, inside=inside, wide=wide & ~down, onset=onset, found=found,
        )  # fmt: skip

    def _vertex(self, c: _Carry, v: jax.Array) -> jax.Array:
        """Of the parabola through the last three records, where the middle one is highest; mV."""
        bend = c.earlier - 2 * c.v + v
        highest = (c.v >= c.earlier) & (c.v > v)
        return c.v - jnp.where(
            highest, (c.earlier - v) ** 2 / (8 * jnp.where(highest, bend, 1.0)), 0.0
        )

    def _onset(self, c: _Carry, v: jax.Array, slope: jax.Array, quick: jax.Array) -> jax.Array:
        """Where dv/dt, told in the middle between records, passed `rate`; mV."""
        part = (self.rate - c.slope) / jnp.where(quick, slope - c.slope, 1.0)
        return c.v + (part - 0.5) * jnp.where(part < 0.5, c.v - c.earlier, v - c.v)

    def finish(self, carry, duration):
        found = carry.found
        return {k: jnp.where(there(found, k), a, jnp.nan) for k, a in found.table.items()}


def rows(slots: int, like: jax.Array) -> jax.Array:
    """The number of each row, `[slot, 1, ...]`, to be compared with `like` `[*pop]`."""
    return jnp.arange(slots).reshape(-1, *[1] * like.ndim)


def there(found: Found, measure: str) -> jax.Array:
    """Which rows of a measure mean something, `[slot, *pop]`."""
    known = rows(len(found.table[measure]), found.number) < found.number
    return known & (found.table[measure] > 0) if measure == "width" else known
