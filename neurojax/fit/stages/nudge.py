"""Nudge: every cell is pulled towards its data by a coupling that is weakened step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurojax.fit.budget import Budget
from neurojax.fit.candidates import Candidates
from neurojax.fit.optimisers.descent import Schedule, descend, lanes
from neurojax.fit.problem import Objective
from neurojax.fit.stages.draw import Draw, found_or_drawn
from neurojax.fit.task import Task

NUDGES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.0)
"""Coupling to the data, mS/cm2, from strong to none."""

_ROUNDING = {"single": 3e-3, "exact": 1e-6}
"""Errors (mV) below this are rounding: a model can reproduce data without noise."""


@dataclass(frozen=True)
class Nudge:
    """Levenberg-Marquardt on the squared error of the potential, coupled to the data.

    A coupled cell cannot lose the spikes of its data, so its error has hardly a wrong minimum. Each
    start goes through `couplings` (mS/cm2) for itself: to a weaker one when it gains nothing more
    at the present one, or after `iterations`. Starts that end `worse` times above the best are
    moved by up to `kick` (of the bounds' distance) and tried again, up to `again` times.

    Source: Abarbanel et al. 2009, SIAM J Appl Dyn Syst 8:1341, doi:10.1137/090749761.
    """

    couplings: Sequence[float] = NUDGES
    starts: int = 64  # random ones, where no stage came before
    draws: int = 16
    every: int = 1  # steps between compared records
    iterations: int = 40
    tolerance: float = 1e-6
    again: int = 2
    worse: float = 1.5
    kick: float = 0.1
    objective: Objective | None = None
    name: str = "nudge"

    def run(self, task: Task, found: Candidates | None, budget: Budget) -> Candidates:
        """The end of every start that is finite, best first.

        Raises ValueError for voltage clamp.
        """
        fresh = Draw(self.starts, self.draws, self.couplings[0])
        found = found_or_drawn(task, found, budget, fresh, self.name)
        schedule = Schedule(tuple(self.couplings), self.iterations, self.tolerance)
        z, rng = found.z, task.rng(2)
        problem = task.problem(self.objective, self.every)
        values, rounding = np.full(z.shape[1], np.inf), _ROUNDING[task.precision]
        with budget.stage(self.name, problem.unit) as log:
            z, values = descend(problem, z, schedule, log)
            for _ in range(self.again):
                errors = problem.error(values)
                stuck = np.isfinite(errors) & (errors > self.worse * max(errors.min(), rounding))
                if log.hurried or not stuck.any():
                    break
                kicked = z[:, stuck] + self.kick * rng.uniform(-1, 1, z[:, stuck].shape)
                width = lanes(z.shape[1])
                other, new = descend(problem, np.clip(kicked, 0, 1), schedule, log, width)
                better = new < values[stuck]
                z[:, stuck] = np.where(better, other, z[:, stuck])
                values[stuck] = np.where(better, new, values[stuck])
            log.conclude(problem.error(values))
        return Candidates.sorted(z, problem.error(values), problem.unit)
