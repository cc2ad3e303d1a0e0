"""Firing: how often and how regularly a cell fires, and as what it is classed; while it runs."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from neurojax.engine.folds import Carry, Fold
from neurojax.membrane.channel import Leaf, param, pytree, static
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.sums import zero_sum
from neurojax.recording.spike import Course, begin_level, course, crossed, follow

BEHAVIOURS = ("silent", "phasic", "tonic", "adapting", "bursting", "depolarisation block")
"""The classes of firing, in the order of their numbers."""

TOLD = ("spikes", "rate", "behaviour")
"""What is asked of the cells if nothing is."""

_LONG = 1e9  # ms


class _Fired(NamedTuple):
    """What is carried, `[*pop]` each."""

    records: jax.Array  # int32
    v: jax.Array  # mV, of the record before
    course: Course
    number: jax.Array  # int32, spikes in the window
    latency: jax.Array  # ms after the window's beginning
    ago: jax.Array  # ms since the last spike of the window
    first: jax.Array  # ms, intervals: the first, the last, the shortest and the longest
    last: jax.Array
    least: jax.Array
    most: jax.Array
    total: jax.Array  # ms, their sum
    squares: jax.Array  # ms2, of their differences from the first
    slowing: jax.Array  # sum of (next - this) / (next + this)
    pauses: jax.Array  # int32, intervals much longer than the one before
    high: jax.Array  # ms for which v has stayed above `block`
    lowest: jax.Array  # mV
    highest: jax.Array
    mean: Any  # a sum of v


@pytree
class Firing(Fold):
    """Firing between start_ms and stop_ms: a dict of what is `told`, `[*pop]` each.

    What a spike is, `recording.spike` says; it counts when it begins within the window, and its
    time is when v rises through the level at which it begins, interpolated between records.

    - spikes: their number; rate: per second of the window, Hz
    - latency: from the window's beginning to the first, ms
    - isi_mean, isi_first, isi_last, isi_min, isi_max: intervals, ms; isi_cv: their coefficient of
      variation
    - adaptation: mean of (next - this) / (next + this) interval
    - pauses: intervals more than `pause` times as long as the one before
    - v_mean, v_min, v_max: of the potential in the window, mV
    - behaviour: a number of `BEHAVIOURS`

    NaN where there are too few spikes. Behaviours, the first that is true:

    - depolarisation block: no spike begins in the last fifth of the window, in which v stays
      above `block`
    - silent: no spike
    - phasic: fewer than three, or the last one in the first half of the window
    - bursting: two pauses or more
    - adapting: the last interval more than `slower` times as long as the first
    - tonic: else

    Source: silent, tonic and bursting as in Prinz, Billimoria & Marder 2003, J Neurophysiol
    90:3998, doi:10.1152/jn.00641.2003.
    Deviates: classes are told from intervals in one window, without the wait for a steady state,
    and the limits are our own.
    """

    counts: ClassVar[bool] = True

    told: tuple[str, ...] = static(TOLD)
    record_ms: Leaf = 0.1
    start_ms: Leaf = 0.0
    stop_ms: Leaf = _LONG
    pause: Leaf = param(2.5, "1", 1.01, 100.0)
    slower: Leaf = param(1.5, "1", 1.01, 100.0)
    block: Leaf = param(-40.0, "mV", -100.0, 50.0)

    def init(self, cell: Cell, s: State) -> Carry:
        v = s.v
        zero, count = jnp.zeros_like(v), jnp.zeros(v.shape, jnp.int32)
        return _Fired(
            records=jnp.zeros((), jnp.int32), v=v, course=course(v, jnp), number=count,
            latency=zero, ago=zero, first=zero, last=zero, least=zero + _LONG, most=zero,
            total=zero, squares=zero, slowing=zero, pauses=count, high=zero, lowest=zero + _LONG,
            highest=zero - _LONG, mean=(zero_sum(v.shape, v.dtype), jnp.zeros((), jnp.int32)),
        )  # fmt: skip

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        c, v = carry, s.v
        before = c.records * self.record_ms
        here, begins, _ = follow(c.course, v, jnp)
        _, part = crossed(c.v, v, begin_level(c.course.low, jnp), jnp)
        time = before + self.record_ms * part
        counts = begins & (time >= self.start_ms) & (time < self.stop_ms)
        now = before + self.record_ms
        live = (now > self.start_ms) & (before < self.stop_ms)
        another, third = counts & (c.number > 0), counts & (c.number > 1)
        gap = c.ago + self.record_ms * part
        first = jnp.where(counts & (c.number == 1), gap, c.first)
        change = jnp.where(third, (gap - c.last) / jnp.where(third, gap + c.last, 1.0), 0.0)
        total, records = c.mean
        return c._replace(
            records=c.records + 1, v=v, course=here, number=c.number + counts,
            latency=jnp.where(counts & (c.number == 0), time - self.start_ms, c.latency),
            ago=jnp.where(
                counts, self.record_ms * (1 - part), jnp.where(live, c.ago + self.record_ms, c.ago)
            ),
            first=first, last=jnp.where(another, gap, c.last),
            least=jnp.where(another, jnp.minimum(gap, c.least), c.least),
            most=jnp.where(another, jnp.maximum(gap, c.most), c.most),
            total=c.total + jnp.where(another, gap, 0.0),
            squares=c.squares + jnp.where(another, (gap - first) ** 2, 0.0),
            slowing=c.slowing + change,
            pauses=c.pauses + (third & (gap > self.pause * c.last)),
            high=jnp.where(live, jnp.where(v > self.block, c.high + self.record_ms, 0.0), c.high),
            lowest=jnp.where(live, jnp.minimum(v, c.lowest), c.lowest),
            highest=jnp.where(live, jnp.maximum(v, c.highest), c.highest),
            mean=(total.plus(jnp.where(live, v, 0.0)), records + live),
        )  # fmt: skip

    def finish(self, carry: Carry, duration: Leaf) -> Any:
        c = carry
        window = jnp.minimum(self.stop_ms, duration) - self.start_ms
        intervals = jnp.maximum(c.number - 1, 1).astype(c.v.dtype)
        mean = c.total / intervals
        variance = c.squares / intervals - (mean - c.first) ** 2

        def known(x: jax.Array, least: int) -> jax.Array:
            return jnp.where(c.number >= least, x, jnp.nan)

        total, records = c.mean
        found = {
            "spikes": c.number,
            "rate": c.number / (1e-3 * window),
            "latency": known(c.latency, 1),
            "isi_mean": known(mean, 2),
            "isi_first": known(c.first, 2),
            "isi_last": known(c.last, 2),
            "isi_min": known(c.least, 2),
            "isi_max": known(c.most, 2),
            "isi_cv": known(jnp.sqrt(jnp.maximum(variance, 0.0)) / jnp.maximum(mean, 1e-6), 3),
            "adaptation": known(c.slowing / jnp.maximum(intervals - 1, 1.0), 3),
            "pauses": c.pauses,
            "v_mean": total.value() / records,
            "v_min": c.lowest,
            "v_max": c.highest,
            "behaviour": self._behaviour(c, window),
        }
        return {name: found[name] for name in self.told}

    def _behaviour(self, c: _Fired, window: Any) -> jax.Array:
        tail = 0.2 * window
        blocked = (c.high >= tail) & ((c.number == 0) | (c.ago >= tail))
        few = (c.number < 3) | (c.ago > 0.5 * window)
        classes = [
            (blocked, 5),
            (c.number == 0, 0),
            (few, 1),
            (c.pauses >= 2, 4),
            (c.last > self.slower * c.first, 3),
        ]
        found = jnp.full(c.number.shape, 2, jnp.int32)
        for where, code in reversed(classes):
            found = jnp.where(where, code, found)
        return found


UNITS = {
    "spikes": "1", "rate": "Hz", "latency": "ms", "isi_mean": "ms", "isi_first": "ms",
    "isi_last": "ms", "isi_min": "ms", "isi_max": "ms", "isi_cv": "1", "adaptation": "1",
    "pauses": "1", "v_mean": "mV", "v_min": "mV", "v_max": "mV", "behaviour": "1",
}  # fmt: skip
"""What `Firing` can tell, and the unit of each."""
