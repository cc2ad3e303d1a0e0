"""What a sweep goes through: values of one parameter, or rows of several that vary together."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from neurojax.units import check_known

SAMPLE, TRIAL = "sample", "trial"
"""Names of the dimensions of rows that were drawn or listed, and of repeats."""

Values = dict[str, np.ndarray]
"""Values by path name, `[cell]` each, in the unit that the parameter declares."""


class Dimension(Protocol):
    """One dimension of a sweep's results."""

    @property
    def name(self) -> str:
        """As the results call it."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """The path names of what it varies."""
        ...

    def __len__(self) -> int: ...

    def at(self, rows: np.ndarray) -> Values:
        """The values in these rows."""
        ...


@dataclass(frozen=True, eq=False)
class Grid:
    """The values of one parameter, each with all those of the other dimensions."""

    name: str
    values: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def __len__(self) -> int:
        return len(self.values)

    def at(self, rows: np.ndarray) -> Values:
        return {self.name: self.values[rows]}


@dataclass(frozen=True)
class Trials:
    """The same cells several times: what differs is their noise."""

    number: int
    name: str = TRIAL
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.number

    def at(self, rows: np.ndarray) -> Values:
        return {}


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of values that belong together: a list, the ensemble of a fit."""

    columns: Mapping[str, np.ndarray]
    name: str = SAMPLE

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def at(self, rows: np.ndarray) -> Values:
        return {k: column[rows] for k, column in self.columns.items()}


class Range(NamedTuple):
    """From where to where a parameter is drawn, in its unit, evenly or on a "log" scale."""

    low: float
    high: float
    scale: str = "linear"

    def value(self, u: np.ndarray) -> np.ndarray:
        """What lies at u of the way, from 0 to 1."""
        if self.scale == "log":
            return np.exp(np.log(self.low) + (np.log(self.high) - np.log(self.low)) * u)
        return self.low + (self.high - self.low) * u


def _random(ndim: int, seed: int, first: int, number: int, points: int) -> np.ndarray:
    blocks = -(-ndim // 4)  # a block of the generator is four numbers
    generator = np.random.Philox(key=seed)
    generator.advance(first * blocks)
    return np.random.Generator(generator).random((number, 4 * blocks))[:, :ndim]


def _sobol(ndim: int, seed: int, first: int, number: int, points: int) -> np.ndarray:
    from scipy.stats import qmc

    with warnings.catch_warnings():
        # A part of the sequence is no power of two; the whole of it is.
        warnings.filterwarnings("ignore", message="The balance properties", category=UserWarning)
        sequence = qmc.Sobol(ndim, rng=np.random.default_rng(seed))
        if first:
            sequence.fast_forward(first)
        return sequence.random(number)


def _latin(ndim: int, seed: int, first: int, number: int, points: int) -> np.ndarray:
    from scipy.stats import qmc

    design = qmc.LatinHypercube(ndim, rng=np.random.default_rng(seed))
    return design.random(points)[first : first + number]


METHODS = {"random": _random, "sobol": _sobol, "latin": _latin}
"""Ways to draw points in the unit cube: of so many dimensions, a seed, and some of all points."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Points drawn from the box of some ranges: "random", by a "sobol" sequence, or "latin".

    The same seed draws the same points, whichever of them are asked for. Sobol points are scrambled
    (Owen); their number is a power of two. A Latin hypercube has one point in each of `points`
    slices of every range.

    Raises ValueError for an unknown method, no ranges, a range that is empty or reversed, a log
    scale that does not begin above 0, or a number of points that the method does not have.
    """

    ranges: Mapping[str, Sequence[Any]]  # a `Range` each, or (low, high)
    points: int
    method: str = "sobol"
    seed: int = 0
    name: str = field(default=SAMPLE, repr=False)

    def __post_init__(self):
        check_known(self.method, METHODS, "method", "samples: ")
        if not self.ranges:
            raise ValueError("samples of no parameter: give the ranges of at least one")
        object.__setattr__(self, "ranges", {k: Range(*r) for k, r in self.ranges.items()})
        for name, limits in self.of.items():
            check_limits(name, *limits)
        if self.points < 1:
            raise ValueError(f"samples: points = {self.points}: expected 1 or more")
        if self.method == "sobol" and self.points & (self.points - 1):
            below = 1 << (self.points.bit_length() - 1)
            raise ValueError(
                f"samples: points = {self.points}: a Sobol sequence is even over its box only in "
                f"powers of two: write {below} or {2 * below}, or another method "
                f"({', '.join(METHODS)})"
            )

    @property
    def of(self) -> dict[str, Range]:
        """The ranges, as such."""
        return {k: Range(*r) for k, r in self.ranges.items()}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.ranges)

    def __len__(self) -> int:
        return self.points

    @cached_property
    def _whole(self) -> np.ndarray:
        """All points of a Latin hypercube, which are drawn at once."""
        return self._drawn(0, self.points)

    def _drawn(self, first: int, number: int) -> np.ndarray:
        draw = METHODS[self.method]
        return draw(len(self.ranges), self.seed, first, number, self.points)

    def at(self, rows: np.ndarray) -> Values:
        if self.method == "latin":
            u = self._whole[rows]
        else:
            first = int(rows.min())
            u = self._drawn(first, int(rows.max()) + 1 - first)[rows - first]
        return {k: limits.value(u[:, j]) for j, (k, limits) in enumerate(self.of.items())}


def check_limits(name: str, low: float, high: float, scale: str = "linear") -> None:
    """Raise ValueError for a range that is empty or reversed, or cannot be on its scale."""
    check_known(scale, ("linear", "log"), "scale", f"axis {name!r}: ")
    if not low < high:
        raise ValueError(
            f"axis {name!r} goes from {low:g} to {high:g}: expected the smaller one first"
            + (f"; write from {high:g} to {low:g}" if high < low else "; or list its values")
        )
    if scale == "log" and low <= 0:
        raise ValueError(
            f"axis {name!r} begins at {low:g} on a log scale: begin above 0, or make it linear"
        )


def grid(low: float, high: float, points: int, scale: str = "linear") -> np.ndarray:
    """Values from low to high, both included, evenly or on a "log" scale.

    Raises ValueError as `check_limits`, and for fewer than two points.
    """
    check_limits("grid", low, high, scale)
    if points < 2:
        raise ValueError(f"a grid of {points} points: expected 2 or more")
    return Range(low, high, scale).value(np.linspace(0.0, 1.0, points))


def as_table(columns: Mapping[str, Any]) -> Table:
    """Columns of one length as rows. Raises ValueError for other shapes, or none."""
    arrays = {k: np.asarray(x, float) for k, x in columns.items()}
    shapes = {k: a.shape for k, a in arrays.items()}
    if len(set(shapes.values())) != 1 or next(iter(arrays.values())).ndim != 1:
        raise ValueError(f"a table has columns of one length, `[row]` each; got {shapes}")
    return Table(arrays)
