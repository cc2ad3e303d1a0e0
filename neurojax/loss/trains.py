"""Objectives on trains of spikes as a whole, in which no spike is paired: one number carried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neurojax.engine.folds import Carry, Fold
from neurojax.loss.features import SHORT
from neurojax.loss.spikes import SpikeTable
from neurojax.loss.stream import carried, sampled
from neurojax.membrane.channel import Leaf, pytree
from neurojax.membrane.compartment import Cell, State
from neurojax.recording import features
from neurojax.recording.trace import Trace

Times: TypeAlias = Sequence[float] | Float[np.ndarray | Array, "..."]
"""When spikes are, ms; NaN is none."""


class _Around(NamedTuple):
    """The spikes of the data as a record sees them, `[record]` each; see `VanRossum`."""

    past: Any
    future: Any
    inside: Any
    at: Any


@pytree
class Train(Fold):
    """What trains share: spikes as `SpikeTable` finds them, and how many the data have.

    Where a run has fewer than the data, each missing one adds half of how far below threshold the
    potential remained (in units of 50 mV) since the last spike: without it there is no slope.
    """

    unit: ClassVar[str] = "1"
    table: SpikeTable
    number: Leaf  # spikes of the data

    @property
    def of(self) -> str:
        """The observable that spikes."""
        return self.table.of

    def missing(self, found: Any) -> Any:
        """What missing spikes add."""
        short = jnp.maximum(self.table.threshold - found.since, 0.0) / SHORT
        return 0.5 * jnp.maximum(self.number - found.number, 0) * short


@pytree
class VanRossum(Train):
    """Distance between spike trains through an exponential filter: 1/tau of the integral of
    (f - f_data)^2, with f the sum of exp(-(t - t_i) / tau) over the spikes before t.

    In closed form, so that it is smooth in the times of spikes wherever records lie:
    1/2 sum_ij e(t_i - t_j) + 1/2 sum_ij e(d_i - d_j) - sum_ij e(t_i - d_j), e(t) = exp(-|t| / tau).
    One spike that the other train has not counts 1/2.

    Source: van Rossum 2001, Neural Comput 13:751, doi:10.1162/089976601300014321.
    """

    tau_ms: Leaf
    own: Leaf  # half the sum over pairs of spikes of the data

    def init(self, cell: Cell, s: State) -> Carry:
        zero = jnp.zeros_like(s.v)
        return self.table.init(cell, s), zero, zero

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        (old, trace, total), step = carry, self.table.record_ms

        def decayed(x: Leaf) -> jax.Array:
            return jnp.exp(-x / self.tau_ms)

        new = self.table.update(old, cell, s, None)
        fires = new.found.number > old.found.number
        at = jnp.where(fires, new.found.last - old.records * step, 0.0)
        data = row.past * decayed(at) + row.future * decayed(step - at)
        data = data + row.inside * decayed(jnp.abs(at - row.at))
        total = total + jnp.where(fires, 0.5 + trace * decayed(at) - data, 0.0)
        return new, trace * decayed(step) + jnp.where(fires, decayed(step - at), 0.0), total

    def finish(self, carry: Carry, duration: Leaf) -> jax.Array:
        table, _, total = carry
        return total + self.own + self.missing(table.found)


def van_rossum(trace: Trace, record_ms: float, tau_ms: float = 10.0) -> VanRossum:
    """The van Rossum distance of a run's spikes from those of a trace."""
    table, times, n = _times(trace, record_ms)

    def sums(at: np.ndarray, of: np.ndarray) -> np.ndarray:
        """Of exp(-x / tau) over all x = at - of that are not negative."""
        x = at[:, None] - of
        return np.where(x >= 0, np.exp(-np.maximum(x, 0.0) / tau_ms), 0.0).sum(axis=1)

    start = np.arange(n) * record_ms
    record = np.floor(times / record_ms).astype(int)
    inside, at = np.zeros(n), np.zeros(n)
    inside[record], at[record] = 1.0, times - start[record]
    # What lies in a record itself is neither past nor future.
    past = sums(start - 1e-9 * record_ms, times)
    future = sums(-(start + record_ms), -times)
    own = 0.5 * np.exp(-np.abs(times[:, None] - times) / tau_ms).sum()
    return VanRossum(
        table=table, number=float(times.size), tau_ms=tau_ms, own=own,
        data=_Around(past, future, inside, at),
    )  # fmt: skip


@pytree
class Coincidence(Train):
    """1 - Gamma: one less the coincidence factor of two spike trains, through a smooth window.

    Gamma = (N_c - N_chance) / ((N + N_data) / 2) / (1 - nu w), N_chance = nu w N_data. A spike that
    is x ms from the nearest one of the data counts exp(-x^2 / 2 window_ms^2) of a coincidence; w is
    the integral of this, nu the rate of the run's spikes. Zero when all coincide, 1 by chance.

    Source: Jolivet et al. 2008, J Neurosci Methods 169:417, doi:10.1016/j.jneumeth.2007.11.006.
    Deviates: there the window is a rectangle, see `coincidence_factor`.
    """

    window_ms: Leaf

    def init(self, cell: Cell, s: State) -> Carry:
        return self.table.init(cell, s), jnp.zeros_like(s.v)

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        old, total = carry
        new = self.table.update(old, cell, s, None)
        fires = new.found.number > old.found.number
        away = jnp.where(fires, new.found.last - row, 0.0) / self.window_ms
        return new, total + jnp.where(fires, jnp.exp(-0.5 * away**2), 0.0)

    def finish(self, carry: Carry, duration: Leaf) -> jax.Array:
        table, total = carry
        number = table.found.number
        covered = jnp.minimum(number / duration * self.window_ms * np.sqrt(2 * np.pi), 0.9)
        both = jnp.maximum(0.5 * (number + self.number), 0.5)
        gamma = (total - covered * self.number) / both / (1 - covered)
        return 1 - gamma + self.missing(table.found)


def coincidence(trace: Trace, record_ms: float, window_ms: float = 4.0) -> Coincidence:
    """One less the coincidence factor of a run's spikes and those of a trace."""
    table, times, n = _times(trace, record_ms)
    middle = (np.arange(n) + 0.5) * record_ms
    # Without a spike in the data none is near.
    nearest = np.full(n, -1e6)
    if times.size:
        nearest = times[np.abs(middle[:, None] - times).argmin(axis=1)]
    return Coincidence(table=table, number=float(times.size), window_ms=window_ms, data=nearest)


def coincidence_factor(
    times_ms: Times, data_ms: Times, duration_ms: float, window_ms: float = 2.0
) -> float:
    """Gamma of two spike trains: 1 when each has its partner within `window_ms`, 0 by chance.

    Source: Jolivet et al. 2008, J Neurosci Methods 169:417, doi:10.1016/j.jneumeth.2007.11.006.
    """
    times, data = (np.asarray(t, dtype=float).ravel() for t in (times_ms, data_ms))
    times, data = times[np.isfinite(times)], data[np.isfinite(data)]
    if times.size + data.size == 0:
        return 1.0
    covered = 2 * window_ms * times.size / duration_ms
    together = (np.abs(data[:, None] - times) <= window_ms).any(axis=1).sum()
    return float(
        (together - covered * data.size) / (0.5 * (times.size + data.size)) / (1 - covered)
    )


def _times(trace: Trace, record_ms: float) -> tuple[SpikeTable, np.ndarray, int]:
    """The fold that finds spikes, the times of those of a trace (ms), and its number of records."""
    v = sampled(trace, record_ms)
    slots = max(int(features.spikes(v, record_ms).number), 1) + 8
    table = SpikeTable(record_ms=record_ms, of="v_amp", slots=slots, measures=("time",))
    found = carried(table, v).found
    times = np.asarray(found.table["time"], dtype=float)[: int(found.number)]
    return SpikeTable(record_ms=record_ms, of="v_amp", slots=0, measures=()), times, v.size - 1
