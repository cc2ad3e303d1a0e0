"""Minimise: any optimiser of optax, with minibatches of sweeps and early stopping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import optax

from neurojax.engine.program import Gradient
from neurojax.fit.budget import Budget
from neurojax.fit.candidates import Candidates
from neurojax.fit.optimisers.descent import LANES, Schedule, descend, needs_matrix
from neurojax.fit.precision import Precision
from neurojax.fit.problem import Objective, Problem
from neurojax.fit.task import Task
from neurojax.membrane.path_names import settable


@dataclass(frozen=True)
class Minimise:
    """Each start follows an optimiser of optax on an objective: gradients of whole simulations.

    optimiser: schedules, chains and masks as in optax. What it moves is a dictionary by path name,
    {"na.g_bar": z, ...}, of coordinates between 0 and 1, from bound to bound, logarithmic where the
    parameter is: a learning rate of 0.01 is a hundredth of that distance in a step. It is stopped
    at the bounds.
    iterations: at most. patience: after how many iterations without a gain (of a part `tolerance`)
    a start is done; longer than a schedule's warmup.
    restarts: how many starts side by side. The first begins at the cell's own values, the others at
    random; after another stage its best candidates are the starts.
    batch: how many sweeps, drawn at random, a step looks at (None: all). An epoch goes through all
    of them; at its end all count, for patience and the best point.
    stop_early: where sweeps are held out, they decide which point is the best and when it is
    enough; the error is then theirs.
    objective, every, dt: as in `Polish`.
    """

    optimiser: optax.GradientTransformation = field(default_factory=lambda: optax.adam(0.01))
    iterations: int = 300
    patience: int = 60
    restarts: int = 1
    batch: int | None = None
    stop_early: bool = True
    tolerance: float = 1e-4
    objective: Objective | None = None
    every: int = 1
    dt: float | None = None
    precision: Precision | None = None
    name: str = "minimise"

    def __post_init__(self):
        if not 1 <= self.restarts <= LANES:
            raise ValueError(f"restarts is {self.restarts}: expected 1 to {LANES}")
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"batch is {self.batch}: expected one sweep or more")
        if self.batch is not None and needs_matrix(self.optimiser):
            raise ValueError("Levenberg-Marquardt needs all sweeps at every step: give no batch")

    def run(self, task: Task, found: Candidates | None, budget: Budget) -> Candidates:
        """The best point of every start that is finite, best first."""
        task = task.stepped(self.dt).simulated(self.precision)
        problem = task.problem(self.objective, self.every)
        judge = problem
        if self.stop_early and task.held_out:
            unseen = replace(task, traces=task.held_out, held_out=(), keep=None, weights=None)
            judge = task.once("held out", lambda: unseen).problem(self.objective, self.every)
        cost = _Batches(problem, judge, self.batch or len(problem.sweeps), task.rng(7))
        schedule = Schedule(
            iterations=self.iterations,
            tolerance=self.tolerance,
            patience=max(self.patience, cost.epoch),
            optimiser=self.optimiser,
            names=tuple(task.space.names),
        )
        z, values = self._starts(task, found), np.empty(0)
        with budget.stage(self.name, problem.unit) as log:
            z, values = descend(cost, z, schedule, log)
            log.conclude(problem.error(values))
        return Candidates.sorted(z, problem.error(values), problem.unit)

    def _starts(self, task: Task, found: Candidates | None) -> np.ndarray:
        if found is not None:
            return found.distinct(self.restarts)
        known = settable(task.cell)
        own = task.space.point({k: np.ravel(known[k][0])[0] for k in task.space.names})
        others = task.space.random(self.restarts - 1, task.seed)
        return np.concatenate([own[:, None], others], axis=1)


class _Batches:
    """A problem that is looked at some sweeps at a time, and judged once an epoch.

    In between the value is not known: infinite, which is no gain.
    """

    def __init__(self, problem: Problem, judge: Problem, batch: int, rng: np.random.Generator):
        self.problem, self.judge, self.rng = problem, judge, rng
        self.batch = min(batch, len(problem.sweeps))
        self.epoch = math.ceil(len(problem.sweeps) / self.batch)
        self.order: list[int] = []  # of sweeps that are still to be seen in this epoch
        self.precision: Precision = problem.precision

    @property
    def sweeps(self) -> Sequence[Any]:
        """Those of the next step: some, and where an epoch begins all that judge."""
        whole = self.epoch == 1
        some = self.problem.sweeps[: min(self.batch, len(self.order) or self.batch)]
        judged = not self.order and not (whole and self.judge is self.problem)
        return [*some, *self.judge.sweeps] if judged else some

    def error(self, value: Any) -> Any:
        """As of the problem."""
        return self.problem.error(value)

    def __call__(self, z: np.ndarray, coupling: np.ndarray, /) -> Gradient:
        """The gradient of some sweeps, and the value of all where an epoch begins."""
        begins, whole = not self.order, self.epoch == 1
        if begins:
            self.order = [] if whole else [*self.rng.permutation(len(self.problem.sweeps))]
        found = (self.problem if whole else self._some())(z)
        if whole and self.judge is self.problem:
            return found
        value = self.judge.values(z) if begins else np.full(z.shape[1], np.inf)
        return found._replace(value=value)

    def _some(self) -> Problem:
        """The problem of the next sweeps, which stand for all."""
        some, self.order = self.order[: self.batch], self.order[self.batch :]
        share = len(self.problem.sweeps) / len(some)
        sweeps = [self.problem.sweeps[k] for k in some]
        return replace(self.problem, sweeps=sweeps, weights=share * self.problem.weights[some])
