"""Scorers: how good the cells of a search are, by features of the sweeps or by any objective."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np

from neurojax.fit.problem import Objective
from neurojax.fit.scoring.scored import by_part, scored
from neurojax.fit.task import Task

Parts = Mapping[str, np.ndarray]
"""Contributions to the errors by name, `[n]` each."""


class Scored(NamedTuple):
    """How good some points are."""

    errors: np.ndarray  # [n], infinite where a cell was lost
    parts: Parts = MappingProxyType({})
    residuals: np.ndarray | None = None  # [R, n] whose squares add up to the errors, if they do


class Scorer(Protocol):
    """Tells how good points z `[P, n]` are."""

    unit: str
    sweeps: int  # simulated for each point

    def __call__(self, z: np.ndarray) -> Scored: ...


class FeatureScorer:
    """Scores by the features of the sweeps, in tolerances. Raises ValueError for voltage clamp.

    With `jitter`, each sweep is run twice, its current stronger and weaker by that share of it.
    `feature_weights` multiply parts of the score, by name. Priors add the squares of the standard
    deviations they are missed by, over the number of sweeps.
    """

    def __init__(
        self,
        task: Task,
        jitter: float = 0.0,
        feature_weights: Mapping[str, float] = MappingProxyType({}),
    ):
        self.problem = by_part(scored(task.jittered(jitter), feature_weights))
        self.prior = 1 / len(task.traces)
        self.unit, self.sweeps = self.problem.unit, len(self.problem.sweeps)

    def __call__(self, z: np.ndarray) -> Scored:
        found, weights = self.problem.results(z), np.sqrt(self.problem.weights)
        rows = [
            {k: w * r for k, r in sweep.items()} for w, sweep in zip(weights, found, strict=True)
        ]
        by_name = {k: np.concatenate([sweep[k] for sweep in rows]) for k in rows[0]}
        if len(priors := self.problem.space.prior_residuals(z)):
            by_name["priors"] = np.sqrt(self.prior) * priors
        with np.errstate(invalid="ignore", over="ignore"):
            parts = {k: (r * r).sum(0) for k, r in by_name.items()}
            errors = np.nan_to_num(sum(parts.values()), nan=np.inf)
        return Scored(errors, parts, np.concatenate(list(by_name.values())))


class ObjectiveScorer:
    """Scores by an objective, see `Task.problem`; None is the squared error."""

    def __init__(self, task: Task, objective: Objective | None):
        self.problem = task.problem(objective)
        self.unit, self.sweeps = self.problem.unit, len(self.problem.sweeps)

    def __call__(self, z: np.ndarray) -> Scored:
        values = self.problem.values(z)
        return Scored(np.nan_to_num(self.problem.error(values), nan=np.inf))
