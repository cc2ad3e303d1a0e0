"""drug_binding: how a drug binds to a channel, from the block that it makes, with a bootstrap.

Thousands of fits to resampled cells are one population: each fit at each concentration is a cell
of it, propagated exactly through the protocol's constant parts (`theory.held_scheme`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from neurojax.channels import HergBlock
from neurojax.fit.budget import Budget, Progress, StageLog, StageRecord
from neurojax.fit.hierarchical.drug_block import (
    Block,
    Means,
    alike,
    averaged,
    course_of,
    resampled_cells,
)
from neurojax.fit.hierarchical.drug_problem import CHUNK, KEY, Problem, in_chunks
from neurojax.fit.optimisers.levenberg import BOLD, LEVENBERG_MARQUARDT
from neurojax.fit.precision import computing
from neurojax.membrane.compartment import Cell
from neurojax.model.space import Space, free

PATIENCE = 3
"""Iterations without a gain after which a fit is done."""

DRAWS, BINDING = 8, (0.05, 200.0)
"""A start is the best of so many draws, at which between so many bind for each that leaves."""

FREELY = 1e-6
"""An eigenvalue of the Gauss-Newton matrix of unit diagonal below which nothing is determined."""

FEW = 4
"""Cells of a concentration below which a bootstrap knows hardly how they scatter."""

BOUNDS = {"Kmax": {}, "Ku": {}, "n": {"scale": "linear"}, "halfmax": {}, "Vhalf": {}}


@dataclass(frozen=True)
class DrugFit:
    """The parameters of a drug, and those of fits to resampled cells."""

    values: dict[str, float]  # of the fit to all cells
    resampled: dict[str, np.ndarray]  # [boot]
    error: float  # root mean squared difference of the fraction
    converged: bool  # whether the fit to all cells gained no more before it ended
    errors: np.ndarray  # [boot]
    units: dict[str, str]
    at_minimum: np.ndarray  # [boot] whether the fit gained no more before it ended
    undetermined: tuple[str, ...]  # that can change together without a change of the fraction
    cells: int  # at the concentration that has the fewest
    stages: list[StageRecord] = field(default_factory=list)
    interrupted: bool = False

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """The bootstrap's confidence interval of a parameter; NaN with one cell of a concentration.

        The quantiles of resampled fits alone are too near to each other where cells are few: of
        six, 95 % of them hold the truth in 89 % of cases. So they are taken further out, as
        the spread of so few is known no better than a t distribution tells.

        Source: the expanded percentile interval of Hesterberg 2015, Am Stat 69:371,
        doi:10.1080/00031305.2015.1089789.
        """
        return self._between(self.resampled[name], level)

    def _between(self, values: np.ndarray, level: float) -> tuple[float, float]:
        if self.cells < 2:
            return np.nan, np.nan
        from scipy.special import ndtr, stdtrit  # which takes a while to load

        n, tail = self.cells, 0.5 - level / 2
        tail = float(ndtr(np.sqrt(n / (n - 1)) * stdtrit(n - 1, tail)))
        low, high = np.quantile(values[np.isfinite(self.errors)], (tail, 1 - tail))
        return float(low), float(high)

    @property
    def slopes(self) -> np.ndarray:
        """Kmax / halfmax of the resampled fits, `[boot]`: what small concentrations determine."""
        return self.resampled["Kmax"] / self.resampled["halfmax"]

    def summary(self) -> str:
        """Each parameter with its 95 % interval, and how many fits were not done."""
        told = [f"fractions of the current within {self.error:.3g} (root mean square)"]
        if not self.converged:
            told.append(
                "the fit to all cells was not at its minimum when it ended, so these values and "
                "intervals are not yet its result: give it more time or iterations"
            )
        told += self._on_cells()
        for name, value in self.values.items():
            unit = "" if self.units[name] == "1" else f" {self.units[name]}"
            line = f"{name} = {value:.4g}{unit}"
            if self.errors.size and self.cells > 1:
                low, high = self.interval(name)
                line += f", 95 % interval {low:.4g} to {high:.4g}{unit}"
            told.append(line)
        if self.undetermined:
            told.append(
                f"{' and '.join(self.undetermined)} are not determined apart from each other: the "
                "intervals of each alone mean nothing"
            )
        if {"Kmax", "halfmax"} <= self.values.keys() and self.errors.size and self.cells > 1:
            low, high = self._between(self.slopes, 0.95)
            slope = self.values["Kmax"] / self.values["halfmax"]
            told.append(f"Kmax / halfmax = {slope:.4g}, 95 % interval {low:.4g} to {high:.4g}")
        if open_ := int((~self.at_minimum).sum()):
            told.append(f"{open_} resampled fits were not at their minimum when they ended")
        return "\n".join(told)

    def _on_cells(self) -> Iterator[str]:
        """What the intervals rest on."""
        if not self.errors.size:
            return
        if self.cells < 2:
            yield (
                "a concentration was given to one cell alone: nothing tells how cells differ "
                "there, so there are no intervals. Give each to two cells or more"
            )
            return
        told = f"intervals from {self.errors.size} resamplings of the cells"
        few = f", of which a concentration has {self.cells} only: they are wide, and rough"
        yield told + (few if self.cells < FEW else "")


def drug_binding(
    block: Block,
    command: Float[np.ndarray, " step"],
    dt: float,
    *,
    channel: HergBlock | None = None,
    bounds: Mapping[str, Any] | None = None,
    waiting: float = 180e3,
    boots: int = 2000,
    starts: int = CHUNK,
    iterations: int = 40,
    tolerance: float = 1e-4,
    seconds: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> DrugFit:
    """Fit a channel's drug binding to fractional currents, and to `boots` resamplings of them.

    command: the potential of one sweep in steps of dt ms, mV, such as that of `protocols.milnes`;
    all samples lie in one of its constant parts, the parts around have one potential. The drug is
    there for `waiting` ms before the first sweep. Cells of each concentration are resampled with
    replacement and averaged, as in Chang et al. 2017, Front Physiol 8:917,
    doi:10.3389/fphys.2017.00917; `DrugFit.interval` allows for how few they are. channel: whose
    `drug` it is, by default `HergBlock`; bounds: of its free parameters, as for `free` (default:
    Kmax, Ku, n, halfmax and Vhalf).

    The best of `starts` random points is fitted first; the resampled fits begin where it ends.

    Deviates: the mean squared fraction alone is minimised, without the paper's terms for trapping.

    Raises ValueError for a command or times that do not fit.
    """
    channel = channel or HergBlock()
    cell = Cell(channels={KEY: channel})
    space = free(cell, {f"{KEY}.{k}": v for k, v in (bounds or BOUNDS).items()})
    _check_free(space)
    course = course_of(block, command, dt, waiting)
    how = iterations, tolerance
    budget, rng = Budget(seconds, progress), np.random.default_rng(seed)
    levels = np.unique(block.drug)
    problem = Problem(channel, space, course, levels)
    whole = averaged(block, levels, np.ones((1, block.drug.size)))
    with budget.stage("fit of all cells", "") as log:
        z = _begun(problem, whole, starts, seed)
        z, value, done = _descended(problem, z, alike(whole, starts), LEVENBERG_MARQUARDT, how, log)
        log.conclude(np.sqrt(value))
    least = int(np.argmin(value))
    best, error, converged = z[least], float(np.sqrt(value[least])), bool(done[least])
    names = [name.removeprefix(f"{KEY}.") for name in space.names]
    matrix = in_chunks(problem, best[None], whole)[2][0]
    resampled = averaged(block, levels, resampled_cells(block, levels, boots, rng))
    with budget.stage("resampled cells", "") as log:
        begun = np.repeat(best[None], boots, axis=0)
        z, values, done = _descended(problem, begun, resampled, BOLD, how, log)
        log.conclude(np.sqrt(values))
    return DrugFit(
        values=dict(zip(names, (float(v) for v in space.values(best).values()), strict=True)),
        resampled=dict(zip(names, space.values(z.T).values(), strict=True)),
        error=error,
        converged=converged,
        errors=np.sqrt(values),
        units=dict(zip(names, (f.unit for f in space.free), strict=True)),
        at_minimum=done,
        undetermined=undetermined_of(matrix, names),
        cells=int(min((block.drug == level).sum() for level in levels)),
        stages=budget.stages,
        interrupted=budget.interrupted,
    )


def undetermined_of(matrix: np.ndarray, names: Sequence[str]) -> tuple[str, ...]:
    """The parameters of the direction in which a fit can move freely, if there is one."""
    scale = np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))
    sizes, directions = np.linalg.eigh(matrix / np.outer(scale, scale))
    if sizes[0] > FREELY:
        return ()
    part = np.abs(directions[:, 0])
    return tuple(name for name, x in zip(names, part, strict=True) if x > 0.3 * part.max())


def _check_free(space: Space) -> None:
    for path in space.names:
        name = path.removeprefix(f"{KEY}.")
        if name not in BOUNDS:
            raise ValueError(f"{name!r} cannot be free here (have: {', '.join(BOUNDS)})")


# -- the descent -----------------------------------------------------------------------------------
def _begun(problem: Problem, whole: Means, starts: int, seed: int) -> np.ndarray:
    """Points `[start, P]`, each the best of `DRAWS`, at which a drug binds but not for good."""
    levels = problem.levels
    middle = float(np.exp(np.log(levels).mean()))

    def excess(values: Mapping[str, np.ndarray]) -> np.ndarray:
        at = {name.removeprefix(f"{KEY}."): v for name, v in values.items()}
        with computing("exact"):
            own = replace(problem.channel, **at)
            binding = np.log(np.asarray(own.Kmax * own.occupied(middle)) + 1e-300)
        low, high = np.log(BINDING)
        return np.maximum(np.maximum(low - binding, binding - high), 0.0)

    z = problem.space.random(starts * DRAWS, seed, excess).T
    parts = np.array_split(np.arange(len(z)), DRAWS)
    value = np.stack([in_chunks(problem, z[p], alike(whole, starts))[0] for p in parts])
    best = np.nan_to_num(value, nan=np.inf).argmin(axis=0)
    return z.reshape(DRAWS, starts, -1)[best, np.arange(starts)]


def _descended(
    problem: Problem,
    z: np.ndarray,
    means: Means,
    optimiser: Any,
    how: tuple[int, float],
    log: StageLog,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best point `[fit, P]` of every fit, its value `[fit]`, and whether it gained no more."""
    iterations, tolerance = how
    state = optimiser.init(z)
    trial, n = z.copy(), len(z)
    quiet, best = np.zeros(n, dtype=int), np.full(n, np.inf)
    for done in range(iterations):
        some = np.flatnonzero(quiet < PATIENCE)
        if not some.size or (done and log.hurried):
            break
        value, gradient, matrix = in_chunks(
            problem, trial[some], Means(*(a[..., some] for a in means))
        )
        of_some = jax.tree.map(lambda a, some=some: a[some], state)
        with np.errstate(all="ignore"):
            move, of_some = optimiser.update(
                gradient, of_some, trial[some], value=value, matrix=matrix
            )
        for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(of_some), strict=True):
            a[some] = b
        gained = value < (1 - tolerance) * best[some]
        best[some] = np.fmin(best[some], value)
        quiet[some] = np.where(gained, 0, quiet[some] + 1)
        trial[some] = trial[some] + move
        log.step(done + 1, iterations, float(np.sqrt(np.median(best))), some.size)
    return state.z, state.value, quiet >= PATIENCE
