"""Polish: the last digits, by Gauss-Newton steps on forward sensitivities or any optimiser."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import optax

from neurojax.fit.budget import Budget
from neurojax.fit.candidates import Candidates
from neurojax.fit.optimisers.descent import Schedule, descend, lanes
from neurojax.fit.optimisers.levenberg import LEVENBERG_MARQUARDT
from neurojax.fit.precision import Precision
from neurojax.fit.problem import Objective
from neurojax.fit.stages.draw import Draw
from neurojax.fit.task import Task


@dataclass(frozen=True)
class Polish:
    """Each candidate goes downhill on an objective until it gains no more.

    objective: see `Task.problem`; by default the squared error of the potential (current clamp) or
    of the current (voltage clamp). starts: how many of the best distinct candidates are polished
    (default: all as they are); none whose error is `within` times the best's or more. dt: another
    time step than the task's, ms, for a coarse first round. every: the data are compared every so
    many steps. precision: another than the task's, such as "exact" for the last digits of a few
    starts. iterations: at most, for each start; one that gains less than `tolerance` of its
    value in several is done. optimiser: Levenberg-Marquardt, for sums of squares, or any of optax.
    """

    objective: Objective | None = None
    starts: int | None = None
    within: float = np.inf
    dt: float | None = None
    every: int = 1
    iterations: int = 60
    tolerance: float = 1e-6
    precision: Precision | None = None
    optimiser: optax.GradientTransformation = LEVENBERG_MARQUARDT
    name: str = "polish"

    def run(self, task: Task, found: Candidates | None, budget: Budget) -> Candidates:
        """The end of every start that is finite, best first."""
        if found is None:
            found = Draw(dt=self.dt).run(task, None, budget)
        found = found.within(self.within)
        z = found.z if self.starts is None else found.distinct(self.starts)
        schedule = Schedule(
            iterations=self.iterations,
            tolerance=self.tolerance,
            optimiser=self.optimiser,
            names=tuple(task.space.names),
        )
        problem = (
            task.stepped(self.dt).simulated(self.precision).problem(self.objective, self.every)
        )
        values = np.empty(0)
        with budget.stage(self.name, problem.unit) as log:
            z, values = descend(problem, z, schedule, log)
            log.conclude(problem.error(values))
        ended = Candidates.sorted(z, problem.error(values), problem.unit)
        if self.objective is None and len(ended):
            alike = np.repeat(ended.z[:, :1], lanes(z.shape[1]), axis=1)
            ended = replace(ended, standard_errors=partial(problem.standard_errors, alike))
        return ended
