"""Folds: what is asked of a run while it runs, so that no trace need be stored.

A fold carries a few numbers a cell through time: a count, a sum, a histogram. A million cells'
spikes over an hour then cost a few megabytes. Folds look at the state after every record
(`every` steps of `simulate`), as if it had been recorded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp

from neurojax.membrane.axes import check_compartments
from neurojax.membrane.cable import Cable, compartment_at, one_of
from neurojax.membrane.channel import (
    Leaf,
    check_decorated,
    check_range,
    field,
    param,
    params,
    pytree,
    static,
)
from neurojax.membrane.compartment import Cell, State, is_finite
from neurojax.membrane.observables import check_observables, observe
from neurojax.membrane.sums import zero_sum
from neurojax.recording.spike import PROMINENCE, THRESHOLD, Course, course, follow

Carry = Any
"""A pytree of arrays `[*pop]` or `[..., *pop]`."""


class SquaredResiduals(NamedTuple):
    """The weighted residuals `[R, *pop]` whose squares a fold sums."""

    of_record: Callable[..., jax.Array] | None  # from (cell, s, row)
    of_run: Callable[..., jax.Array] | None  # from (the last carry, the duration)


@pytree
class Fold:
    """What to carry through a run: `init`, `update` at every record, `finish` at the end.

    `data` is what the records are compared with, if anything: arrays with a leading record axis, of
    which `update` gets the row of its record. A fold whose rows have axes of their own declares
    them: `data: Any = field(None, axes=("record", "place"))`. One that `counts` has no derivative.
    The result of a cell that diverged is NaN, unless the fold `tells_failure` itself.
    """

    counts: ClassVar[bool] = False
    tells_failure: ClassVar[bool] = False

    data: Any = field(None, axes=("record",))

    def __new__(cls, *_: Any, **__: Any) -> Self:
        check_decorated(cls)
        return super().__new__(cls)

    def init(self, cell: Cell, s: State) -> Carry:
        """The carry before the first record, from the initial state."""
        raise TypeError(f"{type(self).__name__} has no init: a fold defines init and update")

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        """The carry with one more record, the state `s`."""
        raise TypeError(f"{type(self).__name__} has no update: a fold defines init and update")

    def finish(self, carry: Carry, duration: Leaf) -> Any:
        """The result `[..., *pop]`, from the last carry and the duration of the run (ms)."""
        return carry

    def squares(self) -> SquaredResiduals | None:
        """The residuals of a fold whose result is the sum of their squares, else None."""
        return None

    def in_kernel(self) -> Fold:
        """The same fold as a GPU kernel computes it, if another form suits the CPU better."""
        return self


def check_fold(name: str, fold: Fold, cell: Cell, records: int) -> None:
    """Raise ValueError for a fold that this run cannot compute.

    Its observable the cell has not, a parameter is out of bounds, or its data have too few rows.
    """
    for key, info in params(fold).items():
        check_range(f"fold {name!r}: {key}", getattr(fold, key), info)
    if isinstance(fold, At):
        if not isinstance(cell, Cable):
            raise ValueError(f"fold {name!r}: the cell has no compartments to look at")
        check_compartments(f"fold {name!r}: place", fold.place, *cell.state_shape)
        fold, cell = fold.fold, one_of(cell)
    check_observables(cell, [of] if (of := getattr(fold, "of", None)) else [])
    for leaf in jax.tree.leaves(fold.data):
        rows = jnp.shape(leaf)[0] if jnp.ndim(leaf) else 0
        if rows < records:
            raise ValueError(
                f"fold {name!r}: data has {rows} rows, but the run makes {records} records"
            )


def results(folds: Several, carries: Carry, duration: Leaf, cell: Cell, s: State) -> dict[str, Any]:
    """What folds come to, from their last carries and the last state of a run.

    NaN of cells that left the finite numbers: what was counted until then is no result. So that
    there is a NaN, counts come as whole numbers in floating point.
    """
    ok = is_finite(cell, s)

    def told(a: Any) -> jax.Array:
        a = jnp.asarray(a)
        kept = a if jnp.issubdtype(a.dtype, jnp.floating) else a.astype(s.v.dtype)
        return jnp.where(ok, kept, jnp.nan)

    found = folds.finish(carries, duration)
    tells = {k: fold.tells_failure for k, fold in folds.parts.items()}
    return {k: x if tells[k] else jax.tree.map(told, x) for k, x in found.items()}


class _Counted(NamedTuple):
    number: jax.Array  # int32 `[*pop]`
    course: Course


@pytree
class SpikeCount(Fold):
    """Number of spikes `[*pop]` of the membrane potential.

    What a spike is, `recording.spike` says. It counts from where it begins; `features.spikes` finds
    as many, but for a last one that is not over. Seen at records only, so record at least every
    half millisecond: a spike between two records is missed.
    """

    counts = True

    threshold: Leaf = param(THRESHOLD, "mV", -100.0, 100.0)
    prominence: Leaf = param(PROMINENCE, "mV", 0.1, 200.0)

    def init(self, cell: Cell, s: State) -> Carry:
        return _Counted(jnp.zeros(s.v.shape, jnp.int32), course(s.v, jnp))

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        here, begins, _ = follow(carry.course, s.v, jnp, self.threshold, self.prominence)
        return _Counted(carry.number + begins, here)

    def finish(self, carry: Carry, duration: Leaf) -> jax.Array:
        return carry.number


@pytree
class SpikeRate(SpikeCount):
    """Spikes per second `[*pop]`, Hz, over the whole run."""

    def finish(self, carry: Carry, duration: Leaf) -> jax.Array:
        return carry.number / (1e-3 * duration)


@pytree
class Mean(Fold):
    """Mean over the records of one observable `[*pop]`, in its unit."""

    of: str = static("v")

    def init(self, cell: Cell, s: State) -> Carry:
        return zero_sum(s.v.shape, s.v.dtype), 0

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        total, records = carry
        return total.plus(observe(cell, s, self.of)), records + 1

    def finish(self, carry: Carry, duration: Leaf) -> jax.Array:
        total, records = carry
        return total.value() / records


@pytree
class Histogram(Fold):
    """How many records found an observable in each of some equal bins, `[bin, *pop]`.

    `bins` of them lie between low and high, in the observable's unit. What lies outside counts in
    the first or last.
    """

    counts = True

    of: str = static("v")
    low: Leaf = -100.0
    high: Leaf = 50.0
    bins: int = static(30)

    def init(self, cell: Cell, s: State) -> Carry:
        return jnp.zeros((self.bins, *s.v.shape), jnp.int32)

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        # Compared with every edge instead of scattered: a scatter would break up the time loop.
        edges = self.low + (self.high - self.low) / self.bins * jnp.arange(1, self.bins)
        x = observe(cell, s, self.of)
        above = x >= edges.reshape(-1, *[1] * x.ndim)
        ones = jnp.ones((1, *x.shape), bool)
        inside = jnp.concatenate([ones, above]) & ~jnp.concatenate([above, ~ones])
        return carry + inside


@pytree
class Squares(Fold):
    """Sum of squared residuals `[*pop]`: an objective whose Gauss-Newton matrix streams too."""

    def residual(self, cell: Cell, s: State, row: Any) -> jax.Array:
        """Weighted residuals `[R, *pop]` of a record."""
        raise TypeError(f"{type(self).__name__} has no residual")

    def init(self, cell: Cell, s: State) -> Carry:
        return zero_sum(s.v.shape[len(cell.state_axes) :], s.v.dtype)

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        r = self.residual(cell, s, row)
        return carry.plus((r * r).sum(0))

    def finish(self, carry: Carry, duration: Leaf) -> jax.Array:
        return carry.value()

    def squares(self) -> SquaredResiduals | None:
        return SquaredResiduals(self.residual, None)


@pytree
class Residuals(Fold):
    """Sum of squared residuals `[*pop]` that only a whole run tells, as the times of its spikes."""

    def residuals(self, carry: Carry, duration: Leaf) -> jax.Array:
        """Weighted residuals `[R, *pop]`, from the last carry and the duration of the run (ms)."""
        raise TypeError(f"{type(self).__name__} has no residuals")

    def finish(self, carry: Carry, duration: Leaf) -> Any:
        r = self.residuals(carry, duration)
        return (r * r).sum(0)

    def squares(self) -> SquaredResiduals | None:
        return SquaredResiduals(None, self.residuals)


@pytree
class Several(Fold):
    """Folds of one run by name: carries, rows of data and results are dicts of theirs."""

    parts: dict[str, Fold]
    data: ClassVar[Any] = property(lambda self: {k: part.data for k, part in self.parts.items()})  # pyright: ignore[reportIncompatibleVariableOverride]

    def in_kernel(self) -> Several:
        parts = {k: part.in_kernel() for k, part in self.parts.items()}
        return dataclasses.replace(self, parts=parts)

    def init(self, cell: Cell, s: State) -> Carry:
        return {k: part.init(cell, s) for k, part in self.parts.items()}

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        return {k: p.update(carry[k], cell, s, row[k]) for k, p in self.parts.items()}

    def finish(self, carry: Carry, duration: Leaf) -> Any:
        return {k: p.finish(carry[k], duration) for k, p in self.parts.items()}


@pytree
class Total(Several):
    """Weighted sum of objectives `[*pop]` in one run; `total` makes it.

    With a Gauss-Newton matrix where each part is a sum of squares.
    """

    weights: dict[str, Leaf]

    def finish(self, carry: Carry, duration: Leaf) -> Any:
        return sum(self.weights[k] * x for k, x in super().finish(carry, duration).items())

    def squares(self) -> SquaredResiduals | None:
        found = {k: part.squares() for k, part in self.parts.items()}
        squares = {k: s for k, s in found.items() if s is not None}
        if len(squares) < len(found):
            return None
        records = {k: s.of_record for k, s in squares.items() if s.of_record}
        runs = {k: s.of_run for k, s in squares.items() if s.of_run}

        def weighted(residuals: dict[str, jax.Array]) -> jax.Array:
            return jnp.concatenate([jnp.sqrt(self.weights[k]) * r for k, r in residuals.items()])

        def of_record(cell: Cell, s: State, row: Any) -> jax.Array:
            return weighted({k: f(cell, s, row[k]) for k, f in records.items()})

        def of_run(carry: Carry, duration: Any) -> jax.Array:
            return weighted({k: f(carry[k], duration) for k, f in runs.items()})

        return SquaredResiduals(of_record if records else None, of_run if runs else None)


@pytree
class At(Fold):
    """A fold of one compartment of a cell: what the fold sees is a cell of this one alone.

    `place` is the number of the compartment, or one for each cell.
    """

    fold: Fold
    place: Leaf = field(0, axes=())
    data: ClassVar[Any] = property(lambda self: self.fold.data)  # pyright: ignore[reportIncompatibleVariableOverride]
    counts: ClassVar[Any] = property(lambda self: self.fold.counts)  # pyright: ignore[reportIncompatibleVariableOverride]

    def in_kernel(self) -> At:
        return At(fold=self.fold.in_kernel(), place=self.place)

    def _seen(self, cell: Cell, s: State) -> tuple[Cell, State]:
        assert isinstance(cell, Cable)
        return compartment_at(cell, s, self.place)

    def init(self, cell: Cell, s: State) -> Carry:
        return self.fold.init(*self._seen(cell, s))

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        return self.fold.update(carry, *self._seen(cell, s), row)

    def finish(self, carry: Carry, duration: Leaf) -> Any:
        return self.fold.finish(carry, duration)

    def squares(self):
        squares = self.fold.squares()
        if squares is None or squares.of_record is None:
            return squares
        of_record = squares.of_record
        return squares._replace(of_record=lambda cell, s, row: of_record(*self._seen(cell, s), row))


def total(parts: Mapping[str, Fold], weights: Mapping[str, float] | None = None) -> Total:
    """The sum of objectives, each times its weight (default 1), as one objective.

    Raises ValueError for no part, a weight without a part, or one that is negative.
    """
    weights = weights or {}
    if not parts:
        raise ValueError("a total of no objectives: give at least one")
    for name, weight in weights.items():
        if name not in parts:
            raise ValueError(f"weight of {name!r}: no such part (have: {', '.join(parts)})")
        if not weight >= 0:
            raise ValueError(f"weight of {name!r} is {weight}: expected 0 or more")
    return Total(parts=dict(parts), weights={k: float(weights.get(k, 1.0)) for k in parts})
