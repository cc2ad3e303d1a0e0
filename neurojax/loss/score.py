"""The score of a spiking sweep: how many spikes, when, of what shape, and what lies between them.

A search ranks populations by it and descends on it, and a report tells of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine.folds import Carry
from neurojax.loss.features import along
from neurojax.loss.spike_watch import FALL_MS, RECOVERY_MS, Mean, Rows, Spike, SpikeWatch
from neurojax.loss.spikes import half_height, rows
from neurojax.loss.stream import carried
from neurojax.membrane.channel import Leaf, field, pytree, static
from neurojax.recording.features import spikes as spikes_of
from neurojax.recording.features import tolerances_of

PARTS = {
    "number": "number", "times": "time", "latency": "latency", "intervals": "interval",
    "peak": "peak", "trough": "trough", "width": "width", "fall": "fall", "base": "base",
    "rise": "rise", "course": "course", "after": "after",
}  # fmt: skip
"""The parts of a score, and the name in `features.TOLERANCES` of what each is told in."""

WEIGHTS = {"number": 3.0, "intervals": 2.0}
"""Of the parts that count more than once: where the times of a long train have levelled off, how
many spikes there are and how far apart still lead to them."""

WORST = 20.0
"""Tolerances: where a part levels off, and what counts for what is missing."""

LATE = 6.0
"""Tolerances: where the time of one spike levels off, so that the first ones still count."""

PHASES = (0.15, 0.35, 0.55, 0.8)
"""The course between spikes is compared at these parts of the median interval after a peak."""

_FOOT_MS = 1.0  # before the peak of the data's first spike its rise is over


def robust(x: Leaf, worst: float = WORST) -> Leaf:
    """A residual whose square is x^2 of small x, |x| of large ones, and levels off at `worst`."""
    return x / jnp.sqrt(1 + jnp.abs(x) + x * x / worst)


@pytree
class Target:
    """What of a recorded sweep the score compares with."""

    number: Leaf  # spikes
    table: Spike = field(axes=("slot",))  # pyright: ignore[reportAssignmentType]
    shape: Leaf = field(axes=("offset",))  # mV
    known: Leaf = field(axes=("offset",))  # 1 where the data have this, else 0
    stop: Leaf = 0.0  # ms: a spike that never came is as late as this


@pytree
class Score(SpikeWatch):
    """Sum of squared residuals in tolerances: small where a run fires and looks as the data do.

    `score` makes it of a recorded potential. A part is a mean over spikes, in order, of residuals
    that level off (`robust`); parts by name are told by `contributions`:

    - number: spikes missing or too many
    - times, latency: of the peaks; a spike that never came is as late as the end of the stimulus
    - intervals: the logarithm of their ratio
    - peak, trough, width: of each spike
    - fall, course: the mean potential at some times after the peaks
    - base: how far from where it is held the cell would rest by itself
    - rise: RMS error from the onset to the first spike, or to the end without any
    - after: RMS error from 20 ms after the last spike to the end

    Infinite for a cell that leaves the finite numbers.
    """

    unit: ClassVar[str] = "tolerances"
    summed: ClassVar[bool] = True
    target: Target
    tolerances: dict[str, Leaf]  # of features, in their units
    weights: dict[str, Leaf]  # of parts
    told: str = static("sum")  # or as "parts": by name their residuals, weights included

    def parts(self, carry: Carry) -> dict[str, jax.Array]:
        """The residuals of each part, `[R, *pop]`."""
        t, within, n = self.target, self.tolerances, self.target.number
        found = self.measured(carry)
        own = jax.tree.map(lambda a: along(a, carry.v[None]), t.table)
        place = rows(self.slots, carry.v)
        known, there = place < n, place < carry.number

        def in_order(x: jax.Array, both: jax.Array, wanted: Any) -> jax.Array:
            """The mean over spikes; where there is none to compare, the worst."""
            some = both.sum(0).astype(x.dtype)
            each = jnp.where(both, robust(jnp.where(both, x, 0.0)), 0.0)
            none = jnp.where((some == 0) & wanted, WORST**0.5, 0.0)
            return jnp.concatenate([each / jnp.sqrt(jnp.maximum(some, 1.0)), none[None]])

        def rms(error: Mean, tolerance: Any) -> jax.Array:
            some = error.number > 0
            x = jnp.sqrt(jnp.where(some, error.value(), 1.0) + 1e-6) / tolerance
            return jnp.where(some, robust(x), 0.0)[None]

        late = jnp.where(there, found.time, t.stop) - own.time
        times = jnp.where(known, robust(late / within["time"], LATE), 0.0)
        both = known & there
        gaps, own_gaps = (jnp.diff(a, axis=0) for a in (found.time, own.time))
        between = both[1:]
        ratio = jnp.log(jnp.where(between, gaps, 1.0)) - jnp.log(jnp.where(between, own_gaps, 1.0))
        lows = both & (place < n - 1) & (place < carry.number - 1)
        wide = both & (found.width > 0) & (own.width > 0)
        stable = jnp.isfinite(carry.base)
        base = robust(jnp.where(stable, carry.base, 0.0) / within["base"])
        lost = jnp.where(jnp.isfinite(carry.v), 0.0, jnp.inf)
        return {
            "number": robust((carry.number - n) / within["number"])[None] + lost,
            "times": times / jnp.sqrt(jnp.maximum(n, 1.0)),
            "latency": jnp.where(n > 0, robust(late[:1] / within["latency"]), 0.0),
            "intervals": in_order(ratio / within["interval"], between, n > 1),
            "peak": in_order((found.peak - own.peak) / within["peak"], both, n > 0),
            "trough": in_order((found.trough - own.trough) / within["trough"], lows, n > 1),
            "width": in_order((found.width - own.width) / within["width"], wide, n > 0),
            "base": jnp.where(stable, base, WORST**0.5)[None],
            "rise": rms(carry.rise, within["rise"]),
            "after": rms(carry.after, within["after"]),
            **self._shapes(carry),
        }

    def _shapes(self, carry: Carry) -> dict[str, jax.Array]:
        """The residuals of fall and course."""
        t, found, falls = self.target, {}, len(FALL_MS)
        mean = carry.shape.value()
        for name, some in (("fall", slice(0, falls)), ("course", slice(falls, None))):
            known = along(t.known, mean)[some] > 0
            there = known & (carry.shape.number[some] > 0)
            x = jnp.where(there, mean[some] - along(t.shape, mean)[some], 0.0)
            each = robust(x / self.tolerances[name])
            number = jnp.maximum(there.sum(0), 1).astype(mean.dtype)
            none = jnp.where(known.any(0) & ~there.any(0), WORST**0.5, 0.0)
            found[name] = jnp.concatenate(
                [jnp.where(there, each, 0.0) / jnp.sqrt(number), none[None]]
            )
        return found

    def residuals(self, carry: Carry, duration: Leaf) -> jax.Array:
        return jnp.concatenate(list(self.weighted(carry).values()))

    def finish(self, carry: Carry, duration: Leaf) -> Any:
        if self.told == "parts":
            return self.weighted(carry)
        return super().finish(carry, duration)

    def contributions(self, carry: Carry) -> dict[str, jax.Array]:
        """What each part adds to the score, `[*pop]`, weights included."""
        return {k: (r * r).sum(0) for k, r in self.weighted(carry).items()}

    def weighted(self, carry: Carry) -> dict[str, jax.Array]:
        """The residuals of each part `[R, *pop]`, weights included."""
        zero = jnp.zeros_like(carry.v)
        return {k: jnp.sqrt(self.weights[k]) * r + zero for k, r in self.parts(carry).items()}


def score(
    v: np.ndarray,
    record_ms: float,
    on_ms: float,
    off_ms: float,
    *,
    onset_ms: float | None = None,
    weights: Mapping[str, float] | None = None,
    end_ms: float = np.inf,
    slots: int | None = None,
) -> Score:
    """The score of runs against a recorded potential v `[1 + record]`, mV.

    v begins before the first record. The stimulus lasts from on_ms to off_ms; the latency of the
    first spike counts from onset_ms (default: on_ms). `weights` multiply parts, and their WEIGHTS.
    What is after end_ms does not count: sweeps padded to one length, with as many `slots` (spikes
    compared one by one), share a program.
    """
    found = spikes_of(v[: 1 + int(min(end_ms / record_ms + 1e-6, v.size - 1))], record_ms)
    n, times = int(found.number), found.times
    tolerances = tolerances_of(found, on_ms, off_ms, onset_ms)
    gaps = np.diff(times)
    offsets = np.r_[FALL_MS, np.array(PHASES) * (np.median(gaps) if gaps.size else 0.0)]
    at = np.arange(1, v.size) * record_ms
    first = times.min(initial=np.inf) - _FOOT_MS
    last = times.max(initial=-np.inf) + RECOVERY_MS
    live = at <= end_ms + 1e-6
    rows = v[1:], (at > on_ms) & (at < first) & live, (at > last) & (n > 0) & live, live
    data = Rows(*(np.asarray(a, float) for a in rows))
    slots = max(1, n) if slots is None else slots
    empty = Target(
        number=float(n), table=Spike(*[np.zeros(slots)] * 4), shape=0 * offsets,
        known=0 * offsets, stop=float(max(off_ms, times.max(initial=0.0))),
    )  # fmt: skip
    bare = Score(
        data=data, target=empty, offsets=offsets, half=float(half_height(v, found)),
        tolerances={name: float(tolerances[name]) for name in PARTS.values()},
        weights={k: WEIGHTS.get(k, 1.0) * float((weights or {}).get(k, 1.0)) for k in PARTS},
        record_ms=record_ms, slots=slots,
    )  # fmt: skip
    seen = carried(bare, v)
    shape = seen.shape
    known = (np.asarray(shape.number) > 0) & ((np.arange(offsets.size) < len(FALL_MS)) | (n > 1))
    target = dataclasses.replace(
        empty,
        number=float(seen.number),
        table=jax.tree.map(np.asarray, bare.measured(seen)),
        shape=np.asarray(shape.value(), float),
        known=known.astype(float),
    )
    return dataclasses.replace(bare, target=target)
