"""Features of spikes, of a model against those of data.

Each is a small class over what `SpikeTable` found. A missing spike has no time and no shape; what
stands for it is how far below threshold the potential remained, which has a derivative.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurojax.loss.matching import match
from neurojax.loss.spikes import Found, rows, there
from neurojax.membrane.channel import Leaf, field, pytree, static

SHORT = 50.0
"""A potential that stays so far below threshold (mV) makes a missing spike twice as bad."""


class Seen(NamedTuple):
    """What a feature is computed from."""

    found: Found
    high: jax.Array  # mV `[slot, *pop]`, the highest around the time of each spike of the data
    threshold: Any  # mV
    start: Any  # ms, from here on spikes were looked for
    stop: Any  # ms, and until here

    def short(self, v: jax.Array) -> jax.Array:
        """How far v remained below threshold, in units of `SHORT`."""
        return jnp.maximum(self.threshold - v, 0.0) / SHORT


@pytree
class Feature:
    """One feature: its `value`, and residuals (value - target) / tolerance against data."""

    tolerance: Leaf = 1.0  # in the feature's unit
    target: Any = field(None, axes=("residual",))  # of the data
    known: Any = field(None, axes=("residual",))  # 1 where the data have such a feature, else 0

    def value(self, seen: Seen) -> tuple[jax.Array, jax.Array]:
        """The feature `[R, *pop]` and, where it exists, True."""
        raise TypeError(f"{type(self).__name__} has no value")

    def residuals(self, seen: Seen) -> jax.Array:
        """Weighted residuals `[R, *pop]`."""
        value, exists = self.value(seen)
        target, known = (along(a, value) for a in (self.target, self.known))
        return jnp.where(exists, value - target, 0.0) / self.tolerance * known


@pytree
class Shape(Feature):
    """A measure of each spike, compared in order.

    A residual levels off at `worst` tolerances, and a spike that is missing counts as this and
    more, the farther the potential remained from threshold since the last spike. Beside those of
    `SpikeTable`: amplitude, from onset to peak; ahp, the after-hyperpolarisation, from onset down
    to trough (mV). A trough is one between two spikes.
    """

    of: str = static("peak")
    worst: Leaf = 10.0

    def value(self, seen: Seen) -> tuple[jax.Array, jax.Array]:
        found, table = seen.found, seen.found.table
        if self.of == "amplitude":
            return table["peak"] - table["onset"], there(found, "peak")
        lows = found._replace(number=found.number - 1)
        if self.of == "ahp":
            return table["onset"] - table["trough"], there(lows, "trough")
        return table[self.of], there(lows if self.of == "trough" else found, self.of)

    def residuals(self, seen: Seen) -> jax.Array:
        value, exists = self.value(seen)
        target, known = (along(a, value) for a in (self.target, self.known))
        x = jnp.where(exists, value - target, 0.0) / self.tolerance
        near = x / jnp.sqrt(1 + (x / self.worst) ** 2)
        return jnp.where(exists, near, self.worst * (1 + seen.short(seen.found.since))) * known


@pytree
class Latency(Feature):
    """The time of the first spike, ms; without any it is beyond the end, the lower v the later."""

    def value(self, seen: Seen) -> tuple[jax.Array, jax.Array]:
        found, never = seen.found, seen.stop * (1 + seen.short(seen.found.since))
        return jnp.where(found.number > 0, found.table["time"][0], never)[None], jnp.array(True)


@pytree
class Rate(Feature):
    """Spikes a second until `stop_ms` (Hz), as a number that grows evenly from spike to spike.

    Of n >= 2 spikes the number is n - 1 and the part of another interval that has passed since the
    last one; of n < 2 it is (n + e) / 2, where e < 1 says how near to threshold v came since.
    """

    start_ms: Leaf = 0.0
    stop_ms: Leaf = jnp.inf

    def value(self, seen: Seen) -> tuple[jax.Array, jax.Array]:
        found, start = seen.found, jnp.maximum(self.start_ms, seen.start)
        stop = jnp.minimum(self.stop_ms, seen.stop)
        many = found.number >= 2
        interval = jnp.where(many, found.last - found.before, 1.0)
        part = jnp.clip((stop - found.last) / interval, 0.0, 1.0)
        near = jnp.exp(-seen.short(found.since))
        number = jnp.where(many, found.number - 1 + part, 0.5 * (found.number + near))
        return number[None] / (1e-3 * (stop - start)), jnp.array(True)


@pytree
class Adaptation(Feature):
    """Mean of (next - this) / (next + this) interval over the spikes found: positive when slowing.

    Nothing is compared where there are fewer than three spikes.
    """

    def value(self, seen: Seen) -> tuple[jax.Array, jax.Array]:
        time, number = seen.found.table["time"], seen.found.number
        this, following = time[1:-1] - time[:-2], time[2:] - time[1:-1]
        exists = rows(len(this), number) + 2 < number
        slowing = jnp.where(exists, following - this, 0.0)
        slowing = slowing / jnp.where(exists, following + this, 1.0)
        total = exists.sum(0)
        return (slowing.sum(0) / jnp.maximum(total, 1))[None], (total > 0)[None]


@pytree
class Times(Feature):
    """Spike times, ms. Those of model and data are matched in order and in time, see `match`.

    A pair costs ((t - t_data) / tolerance)^2, a missing or extra spike (missing_ms / tolerance)^2:
    spikes farther apart than 1.4 missing_ms are no pair. Residuals, in this order:

    - of each spike of the data (t - t_data) / tolerance; of a missing one missing_ms / tolerance,
      and more the farther v remained below threshold around its time
    - of each spike in a slot of the model, if it is extra: missing_ms / tolerance x / (1 + x),
      where x = (stop - t) / missing_ms: what leaves at the end of the run is extra no more
    - of those that no slot holds, missing_ms / tolerance times the root of their number
    """

    missing_ms: Leaf = 20.0

    def value(self, seen: Seen) -> tuple[jax.Array, jax.Array]:
        return seen.found.table["time"], there(seen.found, "time")

    def residuals(self, seen: Seen) -> jax.Array:
        time, exists = self.value(seen)
        target, known = along(self.target, time), along(self.known, time)
        worst = self.missing_ms / self.tolerance
        off = jnp.where(exists, time, 0.0)[None] - target[:, None]
        cost = jnp.where(exists[None] & (known[:, None] > 0), (off / self.tolerance) ** 2, jnp.inf)
        pairs = match(cost, worst**2 * known, worst**2 * exists)
        late = jnp.where(pairs, off, 0.0).sum(1) / self.tolerance
        missing = worst * (1 + seen.short(seen.high))
        of_data = jnp.where(pairs.any(1), late, missing) * known
        ahead = jnp.maximum(seen.stop - time, 0.0) / self.missing_ms
        of_model = jnp.where(exists & ~pairs.any(0), worst * ahead / (1 + ahead), 0.0)
        more = jnp.maximum(seen.found.number - len(time), 0).astype(time.dtype)
        some = jnp.where(more > 0, more, 1.0)
        return jnp.concatenate(
            [of_data, of_model, jnp.where(more > 0, worst * jnp.sqrt(some), 0.0)[None]]
        )


def along(a: Leaf, like: jax.Array) -> jax.Array:
    """a `[..., *pop]`, or `[...]` for all cells, such that it goes with `like` `[..., *pop]`."""
    a = jnp.asarray(a, like.dtype)
    return a.reshape(*a.shape, *[1] * (like.ndim - a.ndim))


KINDS: dict[str, Feature] = {
    "time": Times(),
    **{k: Shape(of=k) for k in ("peak", "trough", "width", "onset", "amplitude", "ahp")},
    "latency": Latency(),
    "rate": Rate(),
    "adaptation": Adaptation(),
}
"""Every feature by its name, without data."""

NEEDS = {
    "amplitude": ("peak", "onset"),
    "ahp": ("onset", "trough"),
    "latency": ("time",),
    "rate": (),
    "adaptation": ("time",),
}
"""Measures of `SpikeTable` that a feature needs; one that is not here needs that of its name."""
