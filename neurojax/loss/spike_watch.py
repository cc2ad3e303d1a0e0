"""What of a run a score is made of: its first spikes one by one, and some sums between them.

It streams: nothing is kept of a run but a few numbers for each spike.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine.folds import Carry, Residuals
from neurojax.loss.features import along
from neurojax.loss.spikes import rows
from neurojax.membrane.channel import Leaf, field, pytree, static
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.holding import away_from_rest
from neurojax.membrane.observables import amplifier_potential
from neurojax.recording.spike import (
    PROMINENCE,
    THRESHOLD,
    Course,
    course,
    crossed,
    follow,
    vertex,
)

FALL_MS = (0.75, 1.5, 2.5, 4.0)
"""After the peak of a spike its fall is read at these times, ms."""

RECOVERY_MS = 20.0
"""After the last spike the course to rest is compared from here on, ms."""

_PLATEAU_MS = 3.0  # so long above THRESHOLD - PROMINENCE is no upstroke
_LONG_AGO = 1e9  # ms since a spike that never was
_TOGETHER = 16  # records after which finished spikes are entered into the tables


class Rows(NamedTuple):
    """The data, `[record]` each."""

    v: Any  # mV
    rise: Any  # 1 from the onset of the stimulus to the first spike, else 0
    after: Any  # 1 from RECOVERY_MS after the last spike on
    live: Any  # 1 until the sweep's end: it may be padded to the length of others


class Spike(NamedTuple):
    """The spike that came last, `[*pop]` each."""

    time: Any  # ms, of its peak
    peak: Any  # mV
    width: Any  # ms at the level `half`; 0 while not known
    trough: Any  # mV, the lowest until the next one


class Mean(NamedTuple):
    """A sum, and of how many."""

    total: Any
    number: Any

    def plus(self, x: Leaf, weight: Leaf) -> Mean:
        return Mean(self.total + weight * x, self.number + weight)

    def where(self, which: jax.Array, other: Mean) -> Mean:
        """This where so, else the other."""
        return Mean(*(jnp.where(which, a, b) for a, b in zip(self, other, strict=True)))

    def value(self) -> Leaf:
        """The mean; of none 0."""
        return self.total / jnp.maximum(self.number, 1.0)


class Watched(NamedTuple):
    """What is carried from record to record."""

    records: jax.Array  # int32
    v: jax.Array  # mV, of the record before
    earlier: jax.Array  # mV, and of the one before that
    course: Course
    since: jax.Array  # ms since the peak of the last spike
    up: jax.Array  # ms since v last was below all upstrokes
    rose: jax.Array  # ms, when v last rose through `half`
    wide: jax.Array  # bool: the width of the last spike is not known yet
    number: jax.Array  # int32, spikes begun
    last: Spike
    waits: jax.Array  # bool: a finished spike is not in the tables yet
    waiting: Spike
    table: Spike  # `[slot, *pop]` each
    shape: Mean  # `[offset, *pop]`, v some time after the peaks
    rise: Mean  # squared error until the first spike
    rising: Mean  # the same with what may be its upstroke
    after: Mean  # squared error from RECOVERY_MS after the last spike on
    base: jax.Array  # mV, how far from where it is held the cell would rest by itself


@pytree
class SpikeWatch(Residuals):
    """Watches a run for a score, beside the data, `Rows`.

    What a spike is, `recording.spike` says; its time and peak are those of a parabola, as in
    `features.spikes`.
    """

    data: Rows = field(axes=("record",))  # pyright: ignore[reportIncompatibleVariableOverride]
    offsets: Leaf = field(axes=("offset",))  # ms after a peak, those of FALL_MS first
    half: Leaf = THRESHOLD  # mV, at which spikes are as wide as at half height
    record_ms: Leaf = 0.05
    slots: int = static(1)  # spikes that are told one by one, the first ones
    together: int = static(_TOGETHER)

    def in_kernel(self) -> SpikeWatch:
        # Kernels have no loop of a length that is found on the way.
        return dataclasses.replace(self, together=1)

    def init(self, cell: Cell, s: State) -> Carry:
        v = amplifier_potential(cell, s)
        zero, no, count = jnp.zeros_like(v), jnp.zeros(v.shape, bool), jnp.zeros(v.shape, jnp.int32)
        spike, none = Spike(zero, zero, zero, zero), Mean(zero, zero)
        table = jax.tree.map(lambda a: jnp.zeros((self.slots, *a.shape), a.dtype), spike)
        shape = jnp.zeros((np.shape(self.offsets)[0], *v.shape), v.dtype)
        return Watched(
            records=jnp.zeros((), jnp.int32), v=v, earlier=v, course=course(v, jnp),
            since=zero + _LONG_AGO, up=zero, rose=zero, wide=no, number=count, last=spike,
            waits=no, waiting=spike, table=table, shape=Mean(shape, shape), rise=none, rising=none,
            after=none, base=away_from_rest(cell, s.v),
        )  # fmt: skip

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        v, step = amplifier_potential(cell, s), self.record_ms
        live = row.live > 0
        here, begins, _ = follow(carry.course, v, jnp)
        begins = begins & live
        c = self._entered(carry, begins)
        start = c.records * step
        # A spike that begins finishes the one before.
        finished = begins & (c.number > 0)
        ended = c.last._replace(trough=c.course.low)
        waiting = jax.tree.map(lambda a, b: jnp.where(finished, a, b), ended, c.waiting)
        number = c.number + begins
        last = c.last._replace(width=jnp.where(begins, 0.0, c.last.width))

        # The record before was the peak: a parabola through it and its neighbours.
        shift, high = vertex(c.earlier, c.v, v, jnp)
        top = c.course.inside & (c.v >= c.course.top) & (v < c.v)
        since = jnp.where(top, step * (1 - shift), c.since + step)
        last = last._replace(
            time=jnp.where(top, start + step * shift, last.time),
            peak=jnp.where(top, high, last.peak),
        )
        up, part = crossed(c.v, v, self.half, jnp)
        rose = jnp.where(up, start + step * part, c.rose)
        down, part = crossed(c.v, v, self.half, jnp, up=False)
        wide = begins | c.wide
        fell = start + step * part
        last = last._replace(width=jnp.where(wide & down, fell - rose, last.width))

        first = number == 0
        error = v - row.v
        squared = error * error
        calm = v < THRESHOLD - PROMINENCE
        above = jnp.where(calm, 0.0, c.up + step)
        rising = c.rising.plus(squared, jnp.where(first, row.rise, 0.0))
        rise = rising.where(first & (calm | (above > _PLATEAU_MS)), c.rise)
        late = jnp.where(since > RECOVERY_MS, row.after, 0.0)
        after = c.after.plus(squared, late)
        return c._replace(
            records=c.records + 1, v=v, earlier=c.v, course=here, since=since, up=above,
            rose=rose, wide=wide & ~down, number=number, last=last, waits=c.waits | finished,
            waiting=waiting, shape=self._shape(c, v, since, live, here.inside), rise=rise,
            rising=rising, after=Mean(*(jnp.where(begins, 0.0, a) for a in after)),
        )  # fmt: skip

    def _shape(self, c: Watched, v: Any, since: Any, live: Any, inside: Any) -> Mean:
        """The sums of the potential at some times after the last peak, by straight lines.

        The course is that between spikes: not on the way up to the next one.
        """
        offsets = along(self.offsets, c.shape.total)
        ahead = since - offsets
        falls = rows(len(offsets), v) < len(FALL_MS)
        passes = (ahead >= 0) & (ahead < self.record_ms) & live & (falls | ~inside)
        at = v - ahead / self.record_ms * (v - c.v)
        return Mean(
            c.shape.total + jnp.where(passes, at, 0.0), c.shape.number + passes.astype(at.dtype)
        )

    def _entered(self, c: Watched, begins: jax.Array) -> Watched:
        """The carry with spikes that wait entered into the tables, at every few records.

        A table is long and a spike rare: to look at all of it at each record would cost more than
        the cell does. Before one that waits is replaced by another, all are entered.
        """

        def enter(tables: Spike) -> Spike:
            here = (rows(self.slots, c.v) == c.number - 2) & c.waits
            return jax.tree.map(lambda t, x: jnp.where(here, x, t), tables, c.waiting)

        if self.together == 1:
            return c._replace(table=enter(c.table), waits=c.waits & False)
        due = (c.records % self.together == 0) | (begins & c.waits).any()
        # A loop of one turn or none: unlike a branch it leaves the tables where they are.
        table = jax.lax.fori_loop(0, due.astype(jnp.int32), lambda _, t: enter(t), c.table)
        return c._replace(table=table, waits=c.waits & ~due)

    def measured(self, carry: Carry) -> Spike:
        """Of each of the first spikes its time, peak, width and trough, `[slot, *pop]`."""
        place = rows(self.slots, carry.v)
        waiting = (place == carry.number - 2) & carry.waits
        final = place == carry.number - 1

        def whole(table: Any, waits: Any, last: Any) -> Any:
            return jnp.where(final, last, jnp.where(waiting, waits, table))

        return jax.tree.map(whole, carry.table, carry.waiting, carry.last)
