"""Reading a sweep: its axes and results by name, and the planes that a map shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from neurojax.sweep.axes import SAMPLE
from neurojax.sweep.definition import OK
from neurojax.sweep.storage import FORMAT, MISSING, Folder, SweepError
from neurojax.units import check_known


class Axis(NamedTuple):
    """Values of a parameter along a dimension of the results, `[value]`."""

    name: str
    values: np.ndarray
    unit: str
    dimension: int

    @property
    def label(self) -> str:
        """Name and unit."""
        return self.name if self.unit in ("", "1") else f"{self.name} ({self.unit})"


class Plane(NamedTuple):
    """The results of the cells in two axes; the others are fixed.

    Of two axes of a grid values are `[y, x]`; of two columns of samples, or one of them and an axis
    that is fixed, all are `[point]`.
    """

    x: Axis
    y: Axis
    numbers: np.ndarray  # of the cells
    fixed: dict[str, str]  # the values of other axes, as text
    of_samples: bool


@dataclass(frozen=True, eq=False)
class Results:
    """A merged sweep: axes by name, and the names of its results."""

    path: Path
    title: str
    shape: tuple[int, ...]
    dimensions: tuple[str, ...]
    axes: dict[str, Axis]
    units: dict[str, str]  # of the results, by name

    def array(self, name: str) -> np.ndarray:
        """A result `[*axes, ...]`: NaN where a cell has none.

        Raises SweepError for an unknown name.
        """
        self._check(name)
        try:
            with h5py.File(self.path, "r") as file:
                return np.asarray(file[name])
        except OSError as error:
            raise SweepError(
                f"{self.path}: {name} cannot be read, a shard is damaged: `neurojax sweep resume "
                f"{self.path.parent}` computes it again ({error})"
            ) from None

    def numbers(self, name: str) -> np.ndarray:
        """A result of one number a cell as floats `[*axes]`, NaN where there is none."""
        array = self.array(name)
        if array.ndim != len(self.shape):
            raise SweepError(f"{name} has {array.shape[len(self.shape) :]} numbers a cell, not one")
        return np.where(array == MISSING, np.nan, array) if array.dtype.kind == "i" else array * 1.0

    def label(self, name: str) -> str:
        """Name and unit of a result."""
        return name if self.units[name] == "1" else f"{name} ({self.units[name]})"

    def of_one_number(self) -> list[str]:
        """The names of the results that are one number a cell."""
        with h5py.File(self.path, "r") as file:
            every: dict[str, Any] = {name: file[name] for name in self.units}
            own = [name for name, data in every.items() if data.ndim == len(self.shape)]
        return [name for name in own if not name.endswith(f".{OK}")]

    def parameters(self) -> dict[str, np.ndarray]:
        """The values of each axis that varies in every cell, in C order, `[cell]`, by label."""
        rows = np.unravel_index(np.arange(int(np.prod(self.shape))), self.shape)
        varying = [a for a in self.axes.values() if len(a.values) > 1]
        return {axis.label: axis.values[rows[axis.dimension]] for axis in varying}

    def _check(self, name: str) -> None:
        try:
            check_known(name, self.units, "result", f"{self.path}: ")
        except ValueError as error:
            raise SweepError(str(error)) from None

    def plane(self, x: str = "", y: str = "", at: Mapping[str, float] | None = None) -> Plane:
        """The cells in two axes, whose values ascend; by default the first two that vary.

        Other axes are at the values nearest to those `at` which they shall be, else at their middle
        ones; rows of samples and trials go by their number, from 0 on. Raises SweepError for axes
        that are unknown or do not span a plane, and what cannot be fixed.
        """
        varying = [name for name, axis in self.axes.items() if len(axis.values) > 1]
        chosen = [name for name in (x, y) if name]
        alike = (
            [n for n in varying if self._sampled(n) == self._sampled(chosen[0])]
            if (chosen and chosen[0] in self.axes)
            else self._two_alike(varying)
        )
        chosen = [*chosen, *(name for name in alike if name not in chosen)][:2]
        for name in chosen:
            try:
                check_known(name, self.axes, "axis", f"{self.path}: ")
            except ValueError as error:
                raise SweepError(str(error)) from None
        if len(set(chosen)) < 2:
            raise SweepError(
                f"{self.path}: a map needs two axes of a grid, or two that were sampled; this "
                f"sweep varies {', '.join(self._told(name) for name in varying) or 'nothing'}"
            )
        x_axis, y_axis = (self.axes[name] for name in chosen)
        sampled = [self._sampled(name) for name in chosen]
        if any(sampled) and not all(sampled):
            raise SweepError(
                f"{chosen[0]} and {chosen[1]}: one was sampled and the other is a grid: name two "
                "of one kind"
            )
        place, fixed = self._fixed({x_axis.dimension, y_axis.dimension}, dict(at or {}))
        numbers = np.arange(int(np.prod(self.shape))).reshape(self.shape)[place]
        if all(sampled):
            return Plane(x_axis, y_axis, numbers, fixed, True)
        if x_axis.dimension < y_axis.dimension:
            numbers = numbers.T
        right, up = np.argsort(x_axis.values), np.argsort(y_axis.values)
        return Plane(
            x_axis._replace(values=x_axis.values[right]),
            y_axis._replace(values=y_axis.values[up]),
            numbers[np.ix_(up, right)],
            fixed,
            False,
        )

    def _told(self, name: str) -> str:
        return f"{name} (sampled)" if self._sampled(name) else name

    def _sampled(self, name: str) -> bool:
        return self.dimensions[self.axes[name].dimension] == SAMPLE

    def _two_alike(self, names: list[str]) -> list[str]:
        """The axes of a grid where there are two, else those that were sampled."""
        grids = [name for name in names if not self._sampled(name)]
        return grids if len(grids) > 1 else [name for name in names if self._sampled(name)]

    def _fixed(
        self, free: set[int], at: Mapping[str, float]
    ) -> tuple[tuple[Any, ...], dict[str, str]]:
        """Where other dimensions are fixed, and as what."""
        others = {name: k for k, name in enumerate(self.dimensions) if k not in free}
        for name in at:
            if name not in others:
                sampled = "; samples go by row" if SAMPLE in others else ""
                raise SweepError(
                    f"{self.path}: {name} is not what this map holds fixed: expected one of "
                    f"{', '.join(others) or 'none'}{sampled}"
                )
        place: list[Any] = []
        fixed: dict[str, str] = {}
        for k, (name, length) in enumerate(zip(self.dimensions, self.shape, strict=True)):
            if k in free:
                place.append(slice(None))
                continue
            axis = self.axes.get(name)
            values = np.arange(length) if axis is None else axis.values
            row = int(np.abs(values - at[name]).argmin()) if name in at else length // 2
            place.append(row)
            if length > 1:
                told = self._row(name, row) if axis is None else f"{values[row]:.4g} {axis.unit}"
                fixed[name] = told.removesuffix(" 1")
        return tuple(place), fixed

    def _row(self, name: str, row: int) -> str:
        """A row of samples, and what its columns have there."""
        columns = [a for a in self.axes.values() if name == SAMPLE and self._sampled(a.name)]
        told = ", ".join(f"{a.name} = {a.values[row]:.4g} {a.unit}" for a in columns[:2])
        return f"{row} ({told}{', ...' if columns[2:] else ''})" if told else f"{row}"


def read(folder: str | Path) -> Results:
    """A sweep that was merged. Raises SweepError where there is none."""
    path = Folder(Path(folder).expanduser()).merged
    if not path.is_file():
        raise SweepError(f"{folder}: has no {path.name}: finish the sweep, or merge what is there")
    with h5py.File(path, "r") as file:
        if file.attrs.get("format") != FORMAT:
            raise SweepError(f"{path}: is not a merged sweep")
        names = [str(n) for n in file]
        every: dict[str, Any] = {n: file[n] for n in names}
        results = [n for n, data in every.items() if data.is_virtual]
        first = next(every[n] for n in results if n.endswith(f".{OK}"))
        dimensions = [str(d[0].name).removeprefix("/") for d in first.dims]
        axes: dict[str, Axis] = {}
        for name in names:
            data = every[name]
            if data.is_virtual or "units" not in data.attrs:
                continue
            along = name if name in dimensions else SAMPLE
            unit = str(data.attrs["units"])
            axes[name] = Axis(name, np.asarray(data), unit, dimensions.index(along))
        units = {n: str(every[n].attrs.get("units", "1")) for n in results}
        return Results(path, str(file.attrs["title"]), first.shape, tuple(dimensions), axes, units)
