"""Objectives on spikes: their times, their shape, and how often they come."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine.folds import Carry, Residuals
from neurojax.loss.features import KINDS, NEEDS, Feature, Seen
from neurojax.loss.spikes import MEASURES, SpikeTable, half_height, rows
from neurojax.loss.stream import carried, sampled
from neurojax.loss.tolerances import chosen_tolerances
from neurojax.membrane.channel import Leaf, pytree
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.observables import observe
from neurojax.recording.features import spikes as spikes_of
from neurojax.recording.features import tolerances_of
from neurojax.recording.trace import Trace

SPIKE_FEATURES = tuple(KINDS)
"""Every feature of spikes that an objective can have."""


@pytree
class SpikeFeatures(Residuals):
    """Sum of squared differences of spike features from data, in tolerances.

    `spike_features` makes it from a trace. Where times are compared its data are, for each record,
    the spike of the data that is nearest.
    """

    unit: ClassVar[str] = "tolerances"
    table: SpikeTable
    features: dict[str, Feature]

    @property
    def of(self) -> str:
        """The observable that spikes."""
        return self.table.of

    def init(self, cell: Cell, s: State) -> Carry:
        v = observe(cell, s, self.of)
        slots = self.table.slots if "time" in self.features else 0
        # Below any potential, so that the first record counts.
        return self.table.init(cell, s), jnp.full((slots, *v.shape), -1e3, v.dtype)

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        carry, high = carry
        if row is not None:
            v = observe(cell, s, self.of)
            high = jnp.where(rows(self.table.slots, v) == row, jnp.maximum(high, v), high)
        return self.table.update(carry, cell, s, row), high

    def residuals(self, carry: Carry, duration: Leaf) -> jax.Array:
        seen = self.seen(carry, duration)
        each = [feature.residuals(seen) for _, feature in sorted(self.features.items())]
        return jnp.concatenate([r + jnp.zeros_like(seen.found.last) for r in each])

    def seen(self, carry: Any, duration: Leaf) -> Seen:
        """What the features are computed from."""
        (table, high), told = carry, self.table
        stop = jnp.minimum(told.stop_ms, duration)
        return Seen(table.found, high, told.threshold, told.start_ms, stop)


def spike_features(
    trace: Trace,
    record_ms: float,
    tolerances: Mapping[str, float] | Iterable[str] = SPIKE_FEATURES,
    *,
    window_ms: tuple[float, float] = (0.0, np.inf),
    missing_ms: float | None = None,
    slots: int | None = None,
) -> SpikeFeatures:
    """The objective that spikes of a run are as those of a trace, in records `record_ms` apart.

    tolerances: which features count, and what difference of each counts as one; of names alone
    those of `features.TOLERANCES`, as in a search. window_ms: spikes that begin in it count.
    missing_ms: what a missing or extra spike costs, as a difference in time (default: the mean
    interval, or a tenth of the window). slots: spikes that a cell may have (default: those of the
    trace and a quarter more); the same for several traces saves compilation.

    Raises ValueError for an unknown feature, a tolerance that is not positive, or too few slots.
    """
    v = sampled(trace, record_ms)
    spikes = spikes_of(v, record_ms)
    on, off, _ = trace.step_window()
    known = tolerances_of(spikes, on, off)
    tolerances = chosen_tolerances(tolerances, known, SPIKE_FEATURES, "spike feature")
    number = int(spikes.number)
    if slots is None:
        slots = number + max(2, number // 4)
    if number > slots:
        raise ValueError(f"sweep {trace.sweep} has {number} spikes: {slots} slots are too few")
    duration = (v.size - 1) * record_ms
    intervals = np.diff(spikes.times)
    if missing_ms is None:
        missing_ms = float(intervals.mean()) if intervals.size else 0.1 * (off - on)
    bare = {k: dataclasses.replace(KINDS[k], tolerance=float(t)) for k, t in tolerances.items()}
    if "time" in bare:
        bare["time"] = dataclasses.replace(bare["time"], missing_ms=missing_ms)
    if "rate" in bare:
        bare["rate"] = dataclasses.replace(bare["rate"], start_ms=on, stop_ms=off)
    needed = {m for k in tolerances for m in NEEDS.get(k, (k,))}
    table = SpikeTable(
        record_ms=record_ms,
        of="v_amp",
        slots=slots,
        measures=tuple(m for m in MEASURES if m in needed),
        level=half_height(v, spikes),
        start_ms=float(window_ms[0]),
        stop_ms=float(window_ms[1]),
    )
    fold = SpikeFeatures(table=table, features=bare)
    seen = fold.seen(carried(fold, v), duration)
    told = {k: _against(feature, seen) for k, feature in bare.items()}
    data = None
    if "time" in told:
        data = _next_spike(told["time"], duration, record_ms, v.size - 1)
    return dataclasses.replace(fold, features=told, data=data)


def _against(feature: Feature, seen: Seen) -> Feature:
    """A feature whose target is its value in the data."""
    value, exists = map(np.asarray, feature.value(seen))
    exists = np.broadcast_to(exists, value.shape)
    target = np.where(exists, value, 0.0)
    return dataclasses.replace(feature, target=target, known=exists.astype(float))


def _next_spike(times: Feature, duration: float, record_ms: float, records: int) -> np.ndarray:
    """For each record the spike of the data that is next in time, `[record]`; -1 without any."""
    known = times.target[times.known > 0]
    if not known.size:
        return np.full(records, -1, np.int32)
    middles = 0.5 * (known[1:] + known[:-1])
    at = (np.arange(records) + 1) * record_ms
    return np.searchsorted(middles, at).astype(np.int32)
