"""CohortFit: what many cells that were fitted together are, and whether they are at their noise."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from neurojax.fit.budget import Budget, StageRecord
from neurojax.fit.hierarchical import pooling
from neurojax.fit.hierarchical.cohort_descent import CohortDescent
from neurojax.fit.hierarchical.quality import Quality, quality_of
from neurojax.fit.hierarchical.recordings import Plate
from neurojax.fit.optimisers import schur_complement
from neurojax.fit.precision import ROUNDING
from neurojax.io.files import write_whole
from neurojax.membrane.compartment import Cell
from neurojax.model.space import Space

NEAR_NOISE = 1.1
"""A residual up to so many times the noise of a recording is that noise."""

ON_BOUND = 1e-3
"""Nearer to a bound than this part of the distance between both, a value sits on it."""

SHOWN = 5
"""Cells that a summary names."""


class CohortWarning(UserWarning):
    """A cohort that ended before its cells were at their noise."""


class Pool(NamedTuple):
    """The population that the cells' values of a pooled parameter are draws from."""

    mean: float  # in the parameter's unit; on a log scale the geometric mean
    spread: float  # standard deviation, in the parameter's unit; on a log scale in e-folds
    mean_error: float  # standard error of the mean, that of what is shared included
    spread_error: float
    scale: str  # "linear" or "log"
    shrinkage: np.ndarray  # [cell] 0: its own data alone tell of it; 1: the population alone

    def sentence(self, unit: str) -> str:
        """Mean and spread with their standard errors."""
        kind, of_spread = ("mean", unit) if self.scale == "linear" else ("median", "e-folds")
        return (
            f"{kind} {self.mean:.4g} +- {self.mean_error:.2g} {unit}, standard deviation "
            f"{self.spread:.3g} +- {self.spread_error:.2g} {of_spread}"
        )


@dataclass(frozen=True)
class CohortFit:
    """Cells fitted together. A lost cell, which could not be simulated, is NaN."""

    cell: Cell  # a population `[cell]` at the best values
    space: Space
    names: list[str]  # [cell]
    values: dict[str, np.ndarray]  # [cell] of each free parameter
    shared: dict[str, float]  # of what all cells share
    pools: dict[str, Pool]  # of what is pooled
    standard_errors: dict[str, np.ndarray]  # [cell], the shared parameters' uncertainty included
    errors: np.ndarray  # [cell] root mean squared residual, in `unit`
    noise: np.ndarray  # [cell] by which cells were weighed, in `unit`
    unit: str
    lost: list[str]  # names of lost cells
    apart: list[str]  # of cells that fit so badly that they had no say in what is shared
    starts: dict[str, np.ndarray]  # [start] shared values, best first
    start_errors: np.ndarray  # [start] root mean squared residual over all cells
    stages: list[StageRecord]
    quality: Quality  # of the recordings, whatever was fitted to them
    ended: Literal["done", "out of time", "interrupted"] = "done"

    @property
    def at_noise(self) -> np.ndarray:
        """Whether the residual of each cell is the noise of its recording, `[cell]`."""
        return self.times_noise <= NEAR_NOISE

    @property
    def times_noise(self) -> np.ndarray:
        """The residual of each cell over the noise of its recording, `[cell]`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.errors / self.quality.noise

    @property
    def on_bound(self) -> dict[str, np.ndarray]:
        """Whether each parameter of each cell sits on a bound of its search, `[cell]`."""
        with np.errstate(invalid="ignore"):
            z = self.space.point(self.values)
            return dict(zip(self.space.names, np.minimum(z, 1 - z) < ON_BOUND, strict=True))

    def remarks(self, cell: int) -> list[str]:
        """What is wrong with a cell, if anything is."""
        told = self.quality.remarks(cell)
        if self.names[cell] in self.lost:
            told.append("could not be simulated")
        elif not self.at_noise[cell]:
            told.append(f"{self.times_noise[cell]:.3g} times its noise")
        if self.shared and self.names[cell] in self.apart:
            told.append("far above the others' residual: no say in what all share")
        on = self.on_bound
        told += [
            f"{k} on a bound" for k in self.space.names if k not in self.shared and on[k][cell]
        ]
        return told

    def table(self) -> tuple[list[str], list[list[str | float]]]:
        """The plate as a table: its head, and a row for each cell, with its own parameters."""
        of = self.quality
        unit = {f.name: "" if f.unit == "1" else f" ({f.unit})" for f in self.space.free}
        head = ["cell", "remarks", f"error ({self.unit})", f"noise ({self.unit})"]
        columns = [self.errors, of.noise, of.signal_to_noise, of.seal_MOhm, of.R_s_MOhm, of.C_pF]
        head += ["signal / noise", "seal (MOhm)", "R_s (MOhm)", "C (pF)"]
        columns += [of.drift, of.run_down]
        head += [f"drift ({self.unit})", "run-down"]
        for name in (name for name in self.space.names if name not in self.shared):
            head += [name + unit[name], f"standard error of {name}"]
            columns += [self.values[name], self.standard_errors[name]]
        rows: list[list[str | float]] = [
            [name, "; ".join(self.remarks(k)) or "passes", *(float(c[k]) for c in columns)]
            for k, name in enumerate(self.names)
        ]
        return head, rows

    def write_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write the table, whole or not at all. Raises OSError naming the file."""
        head, rows = self.table()
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([head, *rows])
        return write_whole(path, text.getvalue())

    def summary(self) -> str:
        """Which cells are at their noise, what they share, and how they are distributed."""
        n, there = len(self.names), int(self.at_noise.sum())
        how = {"done": "", "out of time": "out of time: ", "interrupted": "interrupted: "}
        told = [f"{how[self.ended]}{there} of {n} cells are at the noise of their recordings"]
        far = [k for k in np.argsort(-self.times_noise) if not self.at_noise[k]]
        for k in far[:SHOWN]:
            what = "could not be simulated"
            if np.isfinite(self.errors[k]):
                what = (
                    f"{self.errors[k]:.3g} {self.unit} from its data, whose noise is "
                    f"{self.quality.noise[k]:.3g} {self.unit}"
                )
            told.append(f"  {self.names[k]}: {what}")
        if len(far) > SHOWN:
            told.append(f"  and {len(far) - SHOWN} more")
        if far and self.ended != "done":
            told.append("  give it more time (seconds=...)")
        units = {f.name: f.unit for f in self.space.free}
        for name, value in self.shared.items():
            error = self.standard_errors[name][0]
            bound = ", on a bound" if self.on_bound[name][0] else ""
            told.append(f"{name} of all cells: {value:.4g} +- {error:.2g} {units[name]}{bound}")
        for name, pool in self.pools.items():
            ends = int(self.on_bound[name].sum())
            pulled = f"; {ends} of {n} cells are on a bound, which moves it" if ends else ""
            told.append(f"{name} of the population: {pool.sentence(units[name])}{pulled}")
        return "\n".join(told)


def concluded(plate: Plate, descents: list[CohortDescent], budget: Budget) -> CohortFit:
    """What the descents of all starts, best first, have found."""
    best, space, plan = descents[0], plate.space, descents[0].plan
    z = np.where(best.alive, best.z, np.nan)
    z[plan.shared] = best.z[plan.shared]
    values = space.values(z)
    rounding = max(1e-12, ROUNDING[plate.precision])
    with np.errstate(invalid="ignore"):
        certain = schur_complement.spread(best.posterior()[0], plan.shared, rounding)
        errors = np.sqrt(certain.variances) * np.abs(space.slopes(z))
    common = [name for name, one in zip(space.names, plan.shared, strict=True) if one]
    at_starts = space.values(np.stack([c.z[:, 0] for c in descents], axis=1))
    return CohortFit(
        cell=space.apply(plate.cell, values),
        space=space,
        names=plate.names,
        values=values,
        shared={name: float(values[name][0]) for name in common},
        pools=_pools(space, best, certain.shared, rounding),
        standard_errors=dict(zip(space.names, errors, strict=True)),
        errors=np.sqrt(np.where(best.alive, best.value, np.nan)),
        noise=np.where(best.alive, best.noise, np.nan),
        unit=plate.unit,
        lost=[name for name, alive in zip(plate.names, best.alive, strict=True) if not alive],
        apart=[n for n, far in zip(plate.names, best.apart & best.alive, strict=True) if far],
        starts={name: at_starts[name] for name in common},
        start_errors=np.array([np.sqrt(c.mean_square) for c in descents]),
        stages=budget.stages,
        quality=quality_of(plate.recordings),
        ended="interrupted" if budget.interrupted else "out of time" if budget.hurried else "done",
    )


def _pools(
    space: Space, descent: CohortDescent, of_shared: np.ndarray, rounding: float
) -> dict[str, Pool]:
    """The population of each pooled parameter, on the parameter's own scale."""
    of, plan = descent.population, descent.plan
    if of is None:
        return {}
    precision, at = descent.evidence()
    _, covariance = pooling.posterior(precision, at, of)
    shrinkage = np.full((of.mean.size, descent.alive.size), np.nan)
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    shrinkage[:, descent.alive] = (variance / of.spread**2).T
    # How cells go with independent numbers of unit variance that make up the shared covariance.
    size, axes = np.linalg.eigh(of_shared)
    told = schur_complement.spread(descent.likelihood()[0], plan.shared, rounding)
    through = told.through[descent.alive][:, plan.pooled[~plan.shared]]
    through = through @ (axes * np.sqrt(np.maximum(size, 0.0)))
    errors = pooling.uncertainty(precision, of, through)
    pools = {}
    for k, p in enumerate(np.flatnonzero(plan.pooled)):
        f = space.free[p]
        low, high = np.log([f.low, f.high]) if f.scale == "log" else (f.low, f.high)
        wide, middle = float(high - low), float(low + (high - low) * of.mean[k])
        mean = float(np.exp(middle)) if f.scale == "log" else middle
        pools[f.name] = Pool(
            mean=mean,
            spread=wide * float(of.spread[k]),
            mean_error=wide * float(errors.mean[k]) * (mean if f.scale == "log" else 1.0),
            spread_error=wide * float(errors.spread[k]),
            scale=f.scale,
            shrinkage=shrinkage[k],
        )
    return pools
