"""CohortFit: what many cells that were fitted together are, and whether they are at their noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from neurojax.fit.budget import Budget, StageRecord
from neurojax.fit.hierarchical import pooling
from neurojax.fit.hierarchical.cohort_descent import CohortDescent
from neurojax.fit.hierarchical.quality import noise_between_samples
from neurojax.fit.hierarchical.recordings import Plate
from neurojax.fit.optimisers import schur_complement
from neurojax.fit.precision import ROUNDING
from neurojax.membrane.compartment import Cell
from neurojax.model.space import Space

NEAR_NOISE = 1.1
"""A residual up to so many times the noise of a recording is that noise."""

SHOWN = 5
"""Cells that a summary names."""


class CohortWarning(UserWarning):
    """A cohort that ended before its cells were at their noise."""


class Pool(NamedTuple):
    """The population that the cells' values of a pooled parameter are draws from."""

    mean: float  # in the parameter's unit; on a log scale the geometric mean
    spread: float  # standard deviation, in the parameter's unit; on a log scale in e-folds
    scale: str  # "linear" or "log"
    shrinkage: np.ndarray  # [cell] 0: its own data alone tell of it; 1: the population alone


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
    measured_noise: np.ndarray  # [cell] of the recording itself, in `unit`
    ended: Literal["done", "out of time", "interrupted"] = "done"

    @property
    def at_noise(self) -> np.ndarray:
        """Whether the residual of each cell is the noise of its recording, `[cell]`."""
        with np.errstate(invalid="ignore"):
            return self.errors <= NEAR_NOISE * self.measured_noise

    def summary(self) -> str:
        """Which cells are at their noise, what they share, and how they are distributed."""
        n, there = len(self.names), int(self.at_noise.sum())
        how = {"done": "", "out of time": "out of time: ", "interrupted": "interrupted: "}
        told = [f"{how[self.ended]}{there} of {n} cells are at the noise of their recordings"]
        far = [k for k in np.argsort(-self.errors / self.measured_noise) if not self.at_noise[k]]
        for k in far[:SHOWN]:
            what = "could not be simulated"
            if np.isfinite(self.errors[k]):
                what = (
                    f"{self.errors[k]:.3g} {self.unit} from its data, whose noise is "
                    f"{self.measured_noise[k]:.3g} {self.unit}"
                )
            told.append(f"  {self.names[k]}: {what}")
        if len(far) > SHOWN:
            told.append(f"  and {len(far) - SHOWN} more")
        if far and self.ended != "done":
            told.append("  give it more time (seconds=...)")
        units = {f.name: f.unit for f in self.space.free}
        for name, value in self.shared.items():
            error = self.standard_errors[name][0]
            told.append(f"{name} of all cells: {value:.4g} +- {error:.2g} {units[name]}")
        for name, pool in self.pools.items():
            told.append(f"{name} of the population: {pool.mean:.4g} {units[name]}")
        return "\n".join(told)


def concluded(plate: Plate, descents: list[CohortDescent], budget: Budget) -> CohortFit:
    """What the descents of all starts, best first, have found."""
    best, space, plan = descents[0], plate.space, descents[0].plan
    z = np.where(best.alive, best.z, np.nan)
    z[plan.shared] = best.z[plan.shared]
    values = space.values(z)
    rounding = max(1e-12, ROUNDING[plate.precision])
    with np.errstate(invalid="ignore"):
        deviation = np.sqrt(schur_complement.variances(best.posterior()[0], plan.shared, rounding))
        errors = deviation * np.abs(space.slopes(z))
    common = [name for name, one in zip(space.names, plan.shared, strict=True) if one]
    at_starts = space.values(np.stack([c.z[:, 0] for c in descents], axis=1))
    return CohortFit(
        cell=space.apply(plate.cell, values),
        space=space,
        names=plate.names,
        values=values,
        shared={name: float(values[name][0]) for name in common},
        pools=_pools(space, best),
        standard_errors=dict(zip(space.names, errors, strict=True)),
        errors=np.sqrt(np.where(best.alive, best.value, np.nan)),
        noise=np.where(best.alive, best.noise, np.nan),
        unit=plate.unit,
        lost=[name for name, alive in zip(plate.names, best.alive, strict=True) if not alive],
        apart=[n for n, far in zip(plate.names, best.apart & best.alive, strict=True) if far],
        starts={name: at_starts[name] for name in common},
        start_errors=np.array([np.sqrt(c.mean_square) for c in descents]),
        stages=budget.stages,
        measured_noise=np.array([noise_between_samples(s) for s in plate.recordings]),
        ended="interrupted" if budget.interrupted else "out of time" if budget.hurried else "done",
    )


def _pools(space: Space, descent: CohortDescent) -> dict[str, Pool]:
    """The population of each pooled parameter, on the parameter's own scale."""
    if descent.population is None:
        return {}
    _, covariance = pooling.posterior(*descent.evidence(), descent.population)
    pools = {}
    for k, p in enumerate(np.flatnonzero(descent.plan.pooled)):
        f = space.free[p]
        mean, spread = descent.population.mean[k], descent.population.spread[k]
        low, high = np.log([f.low, f.high]) if f.scale == "log" else (f.low, f.high)
        at = low + (high - low) * mean
        shrinkage = np.full(descent.alive.size, np.nan)
        shrinkage[descent.alive] = covariance[:, k, k] / spread**2
        pools[f.name] = Pool(
            mean=float(np.exp(at) if f.scale == "log" else at),
            spread=float(spread * (high - low)),
            scale=f.scale,
            shrinkage=shrinkage,
        )
    return pools
