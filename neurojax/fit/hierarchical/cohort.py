"""cohort: many cells fitted at once, which share parameters or draw them from one population."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from neurojax.fit.budget import Budget, Progress, StageLog, StageRecord
from neurojax.fit.hierarchical import pooling
from neurojax.fit.hierarchical.cohort_descent import CohortDescent, Plan
from neurojax.fit.optimisers import schur_complement
from neurojax.fit.precision import RESOLUTION, ROUNDING, Precision, checked, suited
from neurojax.fit.problem import Problem
from neurojax.fit.stages.nudge import NUDGES
from neurojax.fit.task import one_clamp, sweeps_for
from neurojax.loss import Sweep, counted
from neurojax.membrane.axes import map_cells
from neurojax.membrane.compartment import Cell, check_single
from neurojax.membrane.electrode import n_steps
from neurojax.membrane.path_names import parameters
from neurojax.model.space import Space, free
from neurojax.recording.trace import Trace
from neurojax.units import nearest

LANES = 8192
"""Sweeps x starts that are simulated at once; more starts wait."""


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
    interrupted: bool = False


def cohort(
    cell: Cell,
    recordings: Sequence[Sequence[Trace]],
    space: Space | Sequence[str] | Mapping[str, Any],
    *,
    shared: Sequence[str] = (),
    pooled: Sequence[str] = (),
    noise: Sequence[float] | None = None,
    couplings: Sequence[float] | None = None,
    starts: int = 4,
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
) -> CohortFit:
    """Fit many cells at once, each to its own sweeps, with parameters in common.

    recordings: the sweeps of each cell. space: the free parameters of a cell. Those `shared` have
    one value in all cells (kinetics); those `pooled` are draws from a normal population, on the
    parameter's scale within its bounds, whose mean and spread are estimated with them (empirical
    Bayes), so that badly determined cells lean on it; all others are each cell's own. A leaf of
    `cell` of the shape `[cell]` is a known value of each.

    noise: standard deviation of each cell's data, mV (current clamp) or pA (voltage clamp). By
    default all samples count alike at first, and then each cell by the noise that its residual
    shows. couplings: to the data, mS/cm2, as in `Nudge` (voltage clamp: none). Every start draws
    the shared parameters once, and each cell's own `draws` times, of which it takes the best. dt,
    every, keep, hold, precision, seconds, seed and progress are those of `fit`.

    Raises ValueError for no cell, mixed clamps, unknown names, priors, or when not one cell could
    be simulated.
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
    lanes = _Lanes(cell, space, recordings, clamp, dt, every, keep, hold, precision)
    plan = Plan(
        in_common, of_population, lanes.samples,
        None if noise is None else np.asarray(noise, dtype=float),
        lanes.least_noise, tuple(couplings), iterations, max(tolerance, RESOLUTION[precision]),
    )  # fmt: skip
    with budget.stage("cohort", lanes.unit) as log:
        descents = _run(lanes, plan, starts, draws, np.random.default_rng(seed), log)
    if not any(c.alive.any() for c in descents):
        raise ValueError(
            "not one cell could be simulated to the end. Narrow the bounds of the free "
            "parameters, or use a smaller dt"
        )
    descents.sort(key=lambda c: ((~c.alive).sum(), c.mean_square))
    return _conclude(lanes, descents, budget)


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


class _Lanes:
    """Every sweep of every cell, and that for every start, as a cell of one population."""

    def __init__(
        self,
        cell: Cell,
        space: Space,
        recordings: Sequence[Sequence[Trace]],
        clamp: str,
        dt: float,
        every: int,
        keep: Any,
        hold: Any,
        precision: Precision,
    ):
        masks = keep or [[counted(cell, t) for t in sweeps] for sweeps in recordings]
        if len(masks) != len(recordings):
            raise ValueError(f"masks for {len(masks)} cells, but {len(recordings)} cells")
        for name, (leaf, _) in parameters(cell).items():
            if np.shape(leaf) not in ((), (len(recordings),)):
                raise ValueError(
                    f"{name} has {np.size(leaf)} values, but there are {len(recordings)} cells"
                )
        made = [
            sweeps_for(cell, s, dt, every, k, hold, precision)
            for s, k in zip(recordings, masks, strict=True)
        ]
        self.cell, self.space, self.clamp, self.dt, self.every = cell, space, clamp, dt, every
        self.precision: Precision = precision
        self.cells, self.sweeps = len(made), [sweep for sweeps in made for sweep in sweeps]
        self.names = [s[0].name or f"cell {k}" for k, s in enumerate(recordings)]
        self.first = np.cumsum([0, *(len(s) for s in made[:-1])])  # sweep of each cell
        self.owner = np.repeat(np.arange(self.cells), [len(s) for s in made])
        # The weights of a cell's samples make its sum of squares their mean.
        used = [np.asarray(s.error.data.weight) > 0 for s in self.sweeps]
        self.samples = np.add.reduceat([float(c.sum()) for c in used], self.first)
        scatter = [s.error.data.data[c].var() for s, c in zip(self.sweeps, used, strict=True)]
        self.least_noise = 1e-6 * np.sqrt(np.maximum.reduceat(scatter, self.first)) + 1e-12
        self.unit = self.sweeps[0].error.unit
        self._problems: dict[int, Problem] = {}

    def look(self, trials: Sequence[np.ndarray], couplings: Sequence[float], width: int):
        """Mean squares `[cell]`, gradient and matrix of up to `width` points `[P, cell]`."""
        n = len(self.sweeps)
        trials = [*trials, *[trials[0]] * (width - len(trials))]
        held = np.repeat([*couplings, *[couplings[0]] * (width - len(couplings))], n)
        z = np.concatenate([t[:, self.owner] for t in trials], axis=1)
        found = self._problem(width)(z, held)
        assert found.matrix is not None
        sums = [
            np.add.reduceat(a.reshape(*a.shape[:-1], width, n), self.first, axis=-1)
            for a in (found.value, found.gradient, found.matrix)
        ]
        return [[a[..., k, :] for a in sums] for k in range(width)]

    def _problem(self, width: int) -> Problem:
        if width not in self._problems:

            def of_sweeps(a: Any):
                a = np.broadcast_to(a, (*np.shape(a)[:-1], self.cells))
                return np.tile(a[..., self.owner], width)

            cell = map_cells(of_sweeps, self.cell)
            sweep = _stacked(self.sweeps, width)
            how = self.dt, self.every, self.clamp, 0.0, self.precision
            self._problems[width] = Problem(cell, self.space, [sweep], np.ones(1), *how)
        return self._problems[width]


def _stacked(sweeps: Sequence[Sweep], times: int) -> Sweep:
    """Sweeps side by side, `[..., times x sweep]`; what the shorter ones lack has no weight."""
    longest = max(n_steps(s.electrode) for s in sweeps)

    def beside(*leaves: Any):
        if np.ndim(leaves[0]) == 0 and len(set(map(float, leaves))) == 1:
            return leaves[0]
        filled = [np.pad(a, (0, longest - len(a)), mode="edge") for a in map(np.asarray, leaves)]
        return np.tile(np.stack(filled, axis=-1), times)

    electrode = jax.tree.map(beside, *(s.electrode for s in sweeps))
    records = max(len(s.error.data.data) for s in sweeps)

    def rows(kind: str, mode: Any) -> np.ndarray:
        all_of = [np.asarray(getattr(s.error.data, kind)) for s in sweeps]
        filled = [np.pad(a, (0, records - len(a)), mode=mode) for a in all_of]
        return np.tile(np.stack(filled, axis=-1), times)

    target = sweeps[0].error.data._replace(
        data=rows("data", "edge"), weight=rows("weight", "constant")
    )
    v_start, level = jax.tree.map(
        lambda *of: np.tile(of, times), *((s.v_start, s.level) for s in sweeps)
    )
    return Sweep(electrode, type(sweeps[0].error)(data=target), v_start, level)


def _run(
    lanes: _Lanes, plan: Plan, starts: int, draws: int, rng: np.random.Generator, log: StageLog
) -> list[CohortDescent]:
    """Every start to its end."""
    width = max(1, min(starts, LANES // len(lanes.sweeps)))
    waiting = [_drawn(lanes, plan, draws, rng) for _ in range(starts)]
    ended: list[CohortDescent] = []
    under_way: list[CohortDescent] = []
    try:
        while (waiting or under_way) and not log.hurried:
            while waiting and len(under_way) < width:
                z = _best_of(lanes, plan, waiting.pop(0), width, log)
                under_way.append(CohortDescent(plan, z))
            _look(lanes, under_way, width, log)
            ended += [c for c in under_way if c.done]
            under_way = [c for c in under_way if not c.done]
            _tell([*ended, *under_way], plan, starts, log)
    except KeyboardInterrupt:
        log.budget.interrupted = True
    if not (ended or under_way):
        under_way = [CohortDescent(plan, waiting[0][0])]
    if unfinished := [c for c in under_way if not c.free or c.kind == "look"]:
        for c in unfinished:
            c.finish_early()
        _look(lanes, unfinished, width, log)
    descents = ended + under_way
    log.conclude(np.array([np.sqrt(c.mean_square) for c in descents]))
    return descents


def _drawn(lanes: _Lanes, plan: Plan, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Points `[draw, P, cell]` of one start, alike in what is shared."""
    z = rng.random((draws, len(lanes.space), lanes.cells))
    z[:, plan.shared] = z[:1, plan.shared, :1]
    return z


def _best_of(
    lanes: _Lanes, plan: Plan, points: np.ndarray, width: int, log: StageLog
) -> np.ndarray:
    """Each cell's best of some points."""
    if len(points) == 1:
        return points[0]
    values: list[np.ndarray] = []
    for k in range(0, len(points), width):
        some = list(points[k : k + width])
        found = lanes.look(some, [plan.couplings[0]] * len(some), width)
        values += [value for value, _, _ in found[: len(some)]]
        log.evaluations += len(some) * len(lanes.sweeps)
    best = np.argmin(np.where(np.isfinite(values), values, np.inf), axis=0)
    return np.take_along_axis(points, best[None, None], axis=0)[0]


def _look(lanes: _Lanes, descents: list[CohortDescent], width: int, log: StageLog) -> None:
    found = lanes.look([c.trial for c in descents], [c.coupling for c in descents], width)
    log.evaluations += len(descents) * len(lanes.sweeps)
    for descent, of in zip(descents, found, strict=False):
        descent.advance(*of)


def _tell(descents: list[CohortDescent], plan: Plan, starts: int, log: StageLog) -> None:
    whole = starts * len(plan.phases)
    done = sum(min(c.phases_done, len(plan.phases)) for c in descents)
    best = [c.mean_square for c in descents if c.free] or [c.mean_square for c in descents]
    log.step(done, whole, float(np.sqrt(min(best))))


def _conclude(lanes: _Lanes, descents: list[CohortDescent], budget: Budget) -> CohortFit:
    best, space, plan = descents[0], lanes.space, descents[0].plan
    z = np.where(best.alive, best.z, np.nan)
    z[plan.shared] = best.z[plan.shared]
    values = space.values(z)
    rounding = max(1e-12, ROUNDING[lanes.precision])
    with np.errstate(invalid="ignore"):
        deviation = np.sqrt(schur_complement.variances(best.posterior()[0], plan.shared, rounding))
        errors = deviation * np.abs(space.slopes(z))
    common = [name for name, one in zip(space.names, plan.shared, strict=True) if one]
    at_starts = space.values(np.stack([c.z[:, 0] for c in descents], axis=1))
    return CohortFit(
        cell=space.apply(lanes.cell, values),
        space=space,
        names=lanes.names,
        values=values,
        shared={name: float(values[name][0]) for name in common},
        pools=_pools(space, best),
        standard_errors=dict(zip(space.names, errors, strict=True)),
        errors=np.sqrt(np.where(best.alive, best.value, np.nan)),
        noise=np.where(best.alive, best.noise, np.nan),
        unit=lanes.unit,
        lost=[name for name, alive in zip(lanes.names, best.alive, strict=True) if not alive],
        apart=[n for n, far in zip(lanes.names, best.apart & best.alive, strict=True) if far],
        starts={name: at_starts[name] for name in common},
        start_errors=np.array([np.sqrt(c.mean_square) for c in descents]),
        stages=budget.stages,
        interrupted=budget.interrupted,
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
