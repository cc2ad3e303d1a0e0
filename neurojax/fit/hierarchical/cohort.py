"""cohort: many cells fitted at once, which share parameters or draw them from one population."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.fit.budget import Budget, Progress, StageLog
from neurojax.fit.hierarchical import projection
from neurojax.fit.hierarchical import starts as beginnings
from neurojax.fit.hierarchical.cohort_descent import CohortDescent, Plan
from neurojax.fit.hierarchical.lanes import Lanes
from neurojax.fit.hierarchical.outcome import CohortFit, CohortWarning, concluded
from neurojax.fit.hierarchical.projection import Projection
from neurojax.fit.hierarchical.recordings import Plate
from neurojax.fit.hierarchical.standing import Checkpoint, Standing, fingerprint
from neurojax.fit.precision import RESOLUTION, Precision, checked, suited
from neurojax.fit.stages.nudge import NUDGES
from neurojax.fit.task import one_clamp
from neurojax.membrane.compartment import Cell
from neurojax.membrane.requirements import check_single
from neurojax.model.space import Space, free
from neurojax.recording.trace import Trace
from neurojax.units import nearest

LANES = 8192
"""Sweeps x starts that are simulated at once; more starts wait."""

STARTS, STARTS_OF_KINETICS = 4, 32
"""Random starts of a cohort whose every sweep is simulated, and of kinetics simulated once."""


def cohort(
    cell: Cell,
    recordings: Sequence[Sequence[Trace]],
    space: Space | Sequence[str] | Mapping[str, Any],
    *,
    shared: Sequence[str] = (),
    pooled: Sequence[str] = (),
    noise: Sequence[float] | None = None,
    couplings: Sequence[float] | None = None,
    starts: int | None = None,
    draws: int = 4,
    dt: float | None = None,
    every: int = 1,
    keep: Sequence[Sequence[np.ndarray]] | None = None,
    hold: bool = False,
    precision: Precision = "single",
    iterations: int = 60,
    tolerance: float = 1e-7,
    seconds: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    names: Sequence[str] = (),
) -> CohortFit:
    """Fit many cells at once, each to its own sweeps, with parameters in common.

    recordings: the sweeps of each cell, `names` what to call them (default: as the first sweep of
    each). space: the free parameters of a cell. Those `shared` have one value in all cells
    (kinetics); those `pooled` are draws from a normal population, on the parameter's scale within
    its bounds, whose mean and spread are estimated with them (empirical Bayes), so that badly
    determined cells lean on it; all others are each cell's own. A leaf of `cell` of the shape
    `[cell]` is a known value of each.

    Where cells under an ideal voltage clamp differ in conductances alone, what they share is
    simulated once for all, from `starts` random kinetics (default 32). Elsewhere every sweep is
    simulated, from `starts` (default 4): in voltage clamp from the kinetics of a few cells that are
    fitted alone first, in current clamp from random ones, each cell's own parameters the best of
    `draws` draws.

    noise: standard deviation of each cell's data, mV (current clamp) or pA (voltage clamp). By
    default all samples count alike at first, and then each cell by the noise that its residual
    shows. couplings: to the data, mS/cm2, as in `Nudge` (voltage clamp: none). dt, every, keep,
    hold, precision, seconds, seed and progress are those of `fit`. checkpoint: a file in which it
    is written now and then where the fit stands. Where that file is there already, the fit goes on
    from it, and ends with the same numbers as without the interruption. In `nj.distributed` the
    sweeps are spread over the devices of all processes. Where time ends the fit with
    cells above their noise it warns (`CohortWarning`), and `CohortFit.summary` says which.

    Raises ValueError for no cell, mixed clamps, unknown names, priors, the checkpoint of another
    cohort, or when not one cell could be simulated.
    """
    if not isinstance(space, Space):
        space = free(cell, space)
    clamp = one_clamp([trace for sweeps in recordings for trace in sweeps])
    in_common, of_population = _chosen(space, shared, pooled)
    if priors := [f.name for f in space.free if f.prior]:
        raise ValueError(
            f"{priors[0]} has a prior, which a cohort does not count: pool the parameter, so that "
            "the cells themselves tell its mean and spread, or bound it more tightly"
        )
    if couplings is None:
        couplings = (0.0,) if clamp == "voltage" else NUDGES
    dt = dt or (0.025 if clamp == "current" else recordings[0][0].dt_ms)
    budget = Budget(seconds, progress)
    check_single(cell, "a cohort")
    cell = suited(cell, checked(precision))
    plate = Plate(cell, space, recordings, clamp, dt, every, keep, hold, precision, names)
    plan = Plan(
        in_common, of_population, plate.samples,
        None if noise is None else np.asarray(noise, dtype=float),
        plate.least_noise, tuple(couplings), iterations, max(tolerance, RESOLUTION[precision]),
    )  # fmt: skip
    kept = Checkpoint(checkpoint, plan, fingerprint(plate, plan, starts, draws, seed))
    looks = _looks(plate, plan)
    standing = kept.read() or Standing(_begun(looks, plan, starts, draws, seed, budget))
    with budget.stage("cohort", plate.unit) as log:
        descents = _run(looks, plan, standing, log, kept)
    if not any(c.alive.any() for c in descents):
        raise ValueError(
            "not one cell could be simulated to the end. Narrow the bounds of the free "
            "parameters, or use a smaller dt"
        )
    descents.sort(key=lambda c: ((~c.alive).sum(), c.mean_square))
    found = concluded(plate, descents, budget)
    if found.ended != "done" and not found.at_noise.all():
        warnings.warn(found.summary().split("\n")[0], CohortWarning, stacklevel=2)
    return found


def _chosen(space: Space, shared: Sequence[str], pooled: Sequence[str]):
    """Which parameters are shared and which pooled, `[P]` each."""
    for name in (*shared, *pooled):
        if name not in space.names:
            raise ValueError(
                f"{name!r} is not free{nearest(name, space.names)} (free: {', '.join(space.names)})"
            )
    if both := set(shared) & set(pooled):
        raise ValueError(f"{both.pop()!r} cannot be shared and pooled: choose one")
    return np.isin(space.names, list(shared)), np.isin(space.names, list(pooled))


Looks = Lanes | Projection
"""What tells the mean squares of all cells at some points, with their derivatives."""


def _looks(plate: Plate, plan: Plan) -> Looks:
    """How the plate is looked at."""
    alike = projection.applies(plate, plan.shared)
    return Projection(plate, plan.shared) if alike else Lanes(plate)


def _begun(
    looks: Looks, plan: Plan, starts: int | None, draws: int, seed: int, budget: Budget
) -> list[np.ndarray]:
    """For every start the points `[draw, P, cell]` to choose of."""
    plate, rng = looks.plate, np.random.default_rng(seed)
    if isinstance(looks, Projection):
        if not plan.shared.any():
            return [looks.without_kinetics()[None]]
        ends = beginnings.from_kinetics(looks, starts or STARTS_OF_KINETICS, seed, budget)
        return [z[None] for z in ends or [looks.without_kinetics()]]
    drawn = [_drawn(plate, plan, draws, rng) for _ in range(starts or STARTS)]
    if plate.clamp == "voltage":
        ends = beginnings.from_single_cells(plate, seed, budget)[: starts or STARTS]
        for k, z in enumerate(ends):
            drawn[k][:, plan.shared] = z[plan.shared, None]
            drawn[k][0] = z[:, None]
        drawn = drawn[: len(ends)] or drawn
    return drawn


def _run(
    looks: Looks, plan: Plan, standing: Standing, log: StageLog, kept: Checkpoint
) -> list[CohortDescent]:
    """Every start to its end."""
    waiting, starts = standing.waiting, len(standing.waiting) + len(standing.begun)
    width = max(1, min(starts, LANES // len(looks.sweeps)))
    try:
        while (waiting or standing.under_way) and not log.hurried:
            while waiting and len(standing.under_way) < width:
                z = _best_of(looks, plan, waiting.pop(0), width, log)
                standing.under_way.append(CohortDescent(plan, z))
            _look(looks, standing.under_way, width, log)
            standing.ended += [c for c in standing.under_way if c.done]
            standing.under_way = [c for c in standing.under_way if not c.done]
            _tell(standing.begun, plan, starts, log)
            kept.keep(standing)
        kept.keep(standing, now=True)
    except KeyboardInterrupt:
        log.budget.interrupted = True
    under_way = standing.under_way
    if not standing.begun:
        under_way = [CohortDescent(plan, waiting[0][0])]
    if unfinished := [c for c in under_way if not c.free or c.kind == "look"]:
        for c in unfinished:
            c.finish_early()
        _look(looks, unfinished, width, log)
    descents = standing.ended + under_way
    log.conclude(np.array([np.sqrt(c.mean_square) for c in descents]))
    return descents


def _drawn(plate: Plate, plan: Plan, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Points `[draw, P, cell]` of one start, alike in what is shared."""
    z = rng.random((draws, len(plate.space), plate.cells))
    z[:, plan.shared] = z[:1, plan.shared, :1]
    return z


def _best_of(looks: Looks, plan: Plan, points: np.ndarray, width: int, log: StageLog) -> np.ndarray:
    """Each cell's best of some points."""
    if len(points) == 1:
        return points[0]
    values: list[np.ndarray] = []
    for k in range(0, len(points), width):
        some = list(points[k : k + width])
        found = looks.look(some, [plan.couplings[0]] * len(some), width)
        values += [value for value, _, _ in found[: len(some)]]
        log.evaluations += len(some) * len(looks.sweeps)
    best = np.argmin(np.where(np.isfinite(values), values, np.inf), axis=0)
    return np.take_along_axis(points, best[None, None], axis=0)[0]


def _look(looks: Looks, descents: list[CohortDescent], width: int, log: StageLog) -> None:
    found = looks.look([c.trial for c in descents], [c.coupling for c in descents], width)
    log.evaluations += len(descents) * len(looks.sweeps)
    for descent, of in zip(descents, found, strict=False):
        descent.advance(*of)


def _tell(descents: list[CohortDescent], plan: Plan, starts: int, log: StageLog) -> None:
    whole = starts * len(plan.phases)
    done = sum(min(c.phases_done, len(plan.phases)) for c in descents)
    best = [c.mean_square for c in descents if c.free] or [c.mean_square for c in descents]
    log.step(done, whole, float(np.sqrt(min(best))))
