"""Currents: what a voltage clamp measures of a cell in a window of time; while it runs."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from neurojax.engine.folds import Carry, Fold
from neurojax.membrane.channel import Leaf, pytree, static
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.observables import amplifier_current
from neurojax.membrane.sums import zero_sum

_LONG = 1e9  # ms

LATE = 0.1
"""The part of the window, at its end, over which "i_end" is a mean."""

UNITS = {
    "i_peak": "pA", "t_peak": "ms", "i_min": "pA", "i_max": "pA", "i_mean": "pA", "i_end": "pA",
}  # fmt: skip
"""What `Currents` can tell, and the unit of each."""

TOLD = ("i_peak", "t_peak", "i_end")
"""What is asked of a voltage clamp if nothing is."""


class _Seen(NamedTuple):
    """What is carried, `[*pop]` each."""

    records: jax.Array  # int32
    low: jax.Array  # pA
    high: jax.Array
    t_low: jax.Array  # ms after the window's beginning
    t_high: jax.Array
    mean: Any  # sums of the current, and how many records are in them
    late: Any


@pytree
class Currents(Fold):
    """The clamp's current from start_ms to stop_ms: a dict of what is `told`, `[*pop]` each.

    In pA, outward positive, without the capacitive transient.

    - i_peak: of the most inward and the most outward current that which is farther from zero;
      t_peak: when it is, from the window's beginning, ms
    - i_min, i_max: the most inward and the most outward current
    - i_mean: over the window; i_end: over its last tenth
    """

    counts: ClassVar[bool] = True

    told: tuple[str, ...] = static(TOLD)
    record_ms: Leaf = 0.1
    start_ms: Leaf = 0.0
    stop_ms: Leaf = _LONG

    def init(self, cell: Cell, s: State) -> Carry:
        zero = jnp.zeros_like(s.v)
        none = zero_sum(s.v.shape, s.v.dtype), jnp.zeros((), jnp.int32)
        return _Seen(jnp.zeros((), jnp.int32), zero + _LONG, zero - _LONG, zero, zero, none, none)

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        c, i = carry, amplifier_current(cell, s)
        time, half = (c.records + 1) * self.record_ms, 0.5 * self.record_ms
        live = (time > self.start_ms - half) & (time < self.stop_ms - half)
        after = self.stop_ms - LATE * (self.stop_ms - self.start_ms)
        late = live & (time > after - half)
        lower, higher = live & (i < c.low), live & (i > c.high)
        now = jnp.broadcast_to(time - self.start_ms, i.shape).astype(i.dtype)

        def added(to: Any, where: jax.Array) -> Any:
            total, records = to
            return total.plus(jnp.where(where, i, 0.0)), records + where

        return _Seen(
            c.records + 1,
            jnp.where(lower, i, c.low),
            jnp.where(higher, i, c.high),
            jnp.where(lower, now, c.t_low),
            jnp.where(higher, now, c.t_high),
            added(c.mean, live),
            added(c.late, late),
        )

    def finish(self, carry: Carry, duration: Any) -> Any:
        c = carry
        inward = -c.low > c.high

        def mean(of: Any) -> jax.Array:
            total, records = of
            return total.value() / records

        found = {
            "i_peak": jnp.where(inward, c.low, c.high),
            "t_peak": jnp.where(inward, c.t_low, c.t_high),
            "i_min": c.low,
            "i_max": c.high,
            "i_mean": mean(c.mean),
            "i_end": mean(c.late),
        }
        return {name: found[name] for name in self.told}
