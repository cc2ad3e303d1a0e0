"""Nudge: every cell is held near its data by a coupling that fades as the cell learns to follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np

from neurojax.fit.budget import Watch
from neurojax.fit.candidates import Candidates
from neurojax.fit.optimisers.descent import Pace, abreast, descend
from neurojax.fit.problem import Objective
from neurojax.fit.stages.draw import Draw, found_or_drawn
from neurojax.fit.task import Task

NUDGES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.0)
"""Coupling to the data, mS/cm2, from firm to none: the schedule that opens the basin."""

_EXACT = 1e-6
"""Errors below are rounding: data without noise are met exactly."""


@dataclass(frozen=True)
class Nudge:
    """Levenberg-Marquardt on the squared error of the potential, coupled to the data (float64).

    A coupled cell cannot lose the spikes of its data, so its error has hardly a wrong minimum. Each
    start goes through `couplings` (mS/cm2) at its own pace: to a fainter one when it gains nothing
    more at the present one, or after `iterations`. Those that end `worse` times above the best of
    all go once more, up to `again` times, from a point up to `kick` (of the bounds' distance) away.

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

    def run(self, task: Task, found: Candidates | None, watch: Watch) -> Candidates:
        """The end of every start that is finite, best first.

        Raises ValueError for voltage clamp.
        """
        fresh = Draw(self.starts, self.draws, self.couplings[0])
        found = found_or_drawn(task, found, watch, fresh, self.name)
        pace = Pace(tuple(self.couplings), self.iterations, self.tolerance)
        z, rng = found.z, task.rng(2)
        with jax.enable_x64(True):
            problem = task.problem(self.objective, self.every)
            values = np.full(z.shape[1], np.inf)
            with watch.stage(self.name, problem.unit) as log:
                z, values = descend(problem, z, pace, log)
                for _ in range(self.again):
                    errors = problem.error(values)
                    stuck = np.isfinite(errors) & (errors > self.worse * max(errors.min(), _EXACT))
                    if log.hurried or not stuck.any():
                        break
                    kicked = z[:, stuck] + self.kick * rng.uniform(-1, 1, z[:, stuck].shape)
                    width = abreast(z.shape[1])
                    other, new = descend(problem, np.clip(kicked, 0, 1), pace, log, width)
                    better = new < values[stuck]
                    z[:, stuck] = np.where(better, other, z[:, stuck])
                    values[stuck] = np.where(better, new, values[stuck])
                log.conclude(problem.error(values))
            return Candidates.sorted(z, problem.error(values), problem.unit)
