"""Certify: how good a fit is on what it has not seen, and what its data determine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from neurojax.fit.budget import Budget, StageLog
from neurojax.fit.candidates import Candidates
from neurojax.fit.optimisers.descent import lanes
from neurojax.fit.problem import Objective, Problem, fall_to_minimum, near_enough
from neurojax.fit.task import Task
from neurojax.fit.uncertainty.certificate import Certificate
from neurojax.fit.uncertainty.ensemble import ensemble
from neurojax.fit.uncertainty.evidence import likelihood, misfit, quiet_noise
from neurojax.fit.uncertainty.free_runs import free_runs
from neurojax.fit.uncertainty.information import covariance, directions, regular
from neurojax.fit.uncertainty.profile import profiles
from neurojax.fit.uncertainty.sample import blackjax, laplace, nuts
from neurojax.loss import VoltageError


@dataclass(frozen=True)
class Certify:
    """The certificate of the best candidate; the candidates themselves go on as they are.

    Always: the free run of every sweep, held-out ones among them, and the ensemble of candidates
    whose error is `within` (a part) of the best. Where their error is a sum of squares
    also the Fisher information, always in float64, with standard errors and the directions that the
    data leave open. Profiles and draws are of the task's precision.

    noise: what the uncertainty of parameters is computed from. "residual", the default, counts the
    whole residual of the fit as noise, with the time that it lasts: intervals then allow for a
    model that is not quite right, as nearly all are. "quiet" counts only the noise of the recording
    before its stimulus, independent from sample to sample, as most published posteriors do: it is
    how repeated recordings of a cell exactly like the model would scatter. For an objective of your
    own its weights are taken as standard deviations.
    objective: what the last stage minimised, if not the squared error; see `Task.problem`. After a
    search on features, in tolerances, `loss.spike_features` shows what those determine.
    profiles: how many values to either side of each parameter's best are tried while the others
    are fitted again, 8 to 15 (0: no profiles). draws: from the posterior, by `sampler` "laplace"
    (the normal approximation, at once) or "nuts" (needs blackjax; thousands of simulations), in
    `chains`.
    """

    noise: Literal["residual", "quiet"] = "residual"
    objective: Objective | None = None
    profiles: int = 0
    draws: int = 0
    sampler: Literal["laplace", "nuts"] = "laplace"
    chains: int = 16
    within: float = 0.05
    every: int | None = None  # steps between compared records; None: one for each sample
    name: str = "certify"

    def __post_init__(self):
        for name, known in (("noise", ("residual", "quiet")), ("sampler", ("laplace", "nuts"))):
            if (given := getattr(self, name)) not in known:
                raise ValueError(f"{name} is {given!r}; expected one of {', '.join(known)}")

    def run(self, task: Task, found: Candidates | None, budget: Budget) -> Candidates:
        """The same candidates, with a certificate of the best.

        Raises ValueError when no stage came before, ImportError for NUTS without blackjax.
        """
        if self.draws and self.sampler == "nuts":
            blackjax()
        if found is None:
            raise ValueError("nothing to certify: name a stage before it, such as Polish()")
        values = {k: float(v) for k, v in task.space.values(found.best).items()}
        known: dict[str, Any] = {"ranges": found.ranges}
        with budget.stage(self.name, found.unit) as log:
            known["ensemble"] = ensemble(task.space, found, self.within)
            known["free_runs"] = free_runs(task, task.space.apply(task.cell, values))
            log.evaluations += len(known["free_runs"])
            log.conclude(found.errors)
            if self._squared(task, found):
                self._weigh(task, found, known, log)
        c = Certificate(task.space, values, float(found.errors[0]), found.unit, **known)
        if errors := c.standard_errors:
            found = replace(found, standard_errors=lambda: errors)
        return replace(found, certificate=c)

    def _problem(self, task: Task) -> Problem:
        return task.problem(self.objective, self.every or task.every_sample)

    def _squared(self, task: Task, found: Candidates) -> bool:
        """Whether the candidates' error is a sum of squares, so that it has a likelihood."""
        problem = self._problem(task)
        return problem.unit == found.unit and problem.sweeps[0].error.squares() is not None

    def _weigh(self, task: Task, found: Candidates, known: dict[str, Any], log: StageLog) -> None:
        """All that follows from the sum of squares, the cheapest first."""
        problem, best = self._problem(task), found.best
        # As many at a time as the stage before had, whose program then serves.
        width = lanes(len(found))
        # Of small eigenvalues float32 would leave nothing, and one point is quick in float64.
        here = self._problem(task.simulated("exact"))(np.repeat(best[:, None], width, axis=1))
        log.step(1, 1, float(found.errors[0]), len(problem.sweeps))
        matrix, value = np.asarray(here.matrix)[..., 0], float(here.value[0])
        if not np.isfinite(matrix).all():
            known["missing"] = "no Fisher information: a derivative at the best point is not finite"
            return
        r, J = task.space.prior_residuals(best), task.space.prior_slopes()
        value -= problem.prior * float(r @ r)
        matrix = matrix - problem.prior * J.T @ J
        information = self._likelihood(task, problem, best, value, known)
        problem = replace(problem, prior=1 / information)  # beside the data as they count here
        known["fisher"] = fisher = information * matrix + J.T @ J
        slope = np.asarray(here.gradient)[..., 0]
        fall = information * fall_to_minimum(best, slope, np.asarray(here.matrix)[..., 0])
        known["chi2_to_minimum"] = fall
        if fall > near_enough(best.size) and not (self.profiles and not log.hurried):
            early = ", and the time is over" if log.budget.hurried else ""
            known["missing"] = (
                f"no intervals: the best point is not yet a minimum{early}. Chi-squared falls by "
                f"about {fall:.2g} nearby: polish longer"
            )
            return
        known["covariance"] = covariance(task.space, best, fisher)
        known["directions"] = directions(task.space, fisher)
        around = regular(fisher)
        if self.profiles and not log.hurried:
            known["profiles"], known["chi2_to_minimum"] = profiles(
                problem, best, around, information, self.profiles, log, width
            )
        if self.draws and not log.hurried:
            known["posterior"] = self._draw(task, problem, best, around, information)

    def _likelihood(
        self, task: Task, problem: Problem, best: np.ndarray, value: float, known: dict[str, Any]
    ) -> float:
        """Chi-squared per value of the problem, noting what noise there is and what counts."""
        if not isinstance(problem.sweeps[0].error, VoltageError):  # pyright: ignore[reportUnnecessaryIsInstance]
            return float(len(problem.sweeps))  # each sweep's residuals are in their own sd
        known["noise"] = quiet = quiet_noise(task.traces)
        known["likelihood"] = likelihood(problem, quiet, value)
        known["misfit"] = left = misfit(problem, best, value)
        known["counted"] = self.noise
        if self.noise == "residual":
            lasting = left.correlation_ms / (problem.dt * problem.every)
            return problem.samples / (max(left.sd, np.finfo(float).tiny) ** 2 * lasting)
        if quiet is None or quiet.sd == 0:
            raise ValueError(
                "noise='quiet' needs noise to measure: 5 ms or more of recording before the "
                "stimulus begins. Take noise='residual'"
            )
        return problem.samples / quiet.sd**2

    def _draw(self, task: Task, problem: Problem, best: Any, around: Any, information: float):
        if self.sampler == "laplace":
            return laplace(problem, best, around, self.draws, task.rng(5))
        return nuts(
            problem, best, around, information, self.draws, chains=self.chains, seed=task.seed
        )
