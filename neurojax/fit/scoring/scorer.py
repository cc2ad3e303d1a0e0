"""Scorers: how good the cells of a search are, by features of the sweeps or by any objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np

from neurojax.fit.problem import Objective
from neurojax.fit.scoring.scored import by_part, scored
from neurojax.fit.task import Task

Parts = Mapping[str, np.ndarray]
"""Contributions to the errors by name, `[n]` each."""

TOGETHER = 128
"""Cells that are simulated at once on the CPU: fewer take longer each, more are less easily few."""

_TELLING = 0.5
"""In a race those sweeps come first from which so much of the errors' variance stems."""

_MEMORY = 0.8
"""Of what was known about a sweep when another generation tells of it."""


class Scored(NamedTuple):
    """How good some points are."""

    errors: np.ndarray  # [n], infinite where a cell was lost, or given up
    parts: Parts = MappingProxyType({})
    residuals: np.ndarray | None = None  # [R, n] whose squares add up to the errors, if they do
    least: np.ndarray | None = None  # [n] what the errors are at least, if some were given up
    simulated: int = 0  # cells x sweeps

    @property
    def lost(self) -> int:
        """How many cells left the finite numbers."""
        return int((~np.isfinite(self.errors if self.least is None else self.least)).sum())

    def order(self, which: slice = slice(None)) -> np.ndarray:
        """Those points from the best to the worst; what was given up comes behind."""
        errors = self.errors[which]
        return np.lexsort((errors if self.least is None else self.least[which], errors))


class Scorer(Protocol):
    """Tells how good points z `[P, n]` are."""

    unit: str
    sweeps: int  # simulated for each point

    def __call__(self, z: np.ndarray) -> Scored: ...

    def race(self, z: np.ndarray, groups: int = 1) -> Scored:
        """The same of the better half of each of some groups of equal size, side by side.

        The others may be given up as soon as they are seen to be behind.
        """
        ...


class FeatureScorer:
    """Scores by the features of the sweeps, in tolerances. Raises ValueError for voltage clamp.

    With `jitter`, each sweep is run twice, its current stronger and weaker by that share of it.
    `feature_weights` multiply parts of the score, by name. Priors add the squares of the standard
    deviations they are missed by, over the number of sweeps. On a CPU `together` cells are
    simulated at once.

    A race begins with the sweeps that told most of the errors of the cells before.
    """

    def __init__(
        self,
        task: Task,
        jitter: float = 0.0,
        feature_weights: Mapping[str, float] = MappingProxyType({}),
        together: int = TOGETHER,
    ):
        self.problem = by_part(scored(task.jittered(jitter), feature_weights))
        self.prior = 1 / len(task.traces)
        self.unit, self.sweeps = self.problem.unit, len(self.problem.sweeps)
        self.together = together
        self.telling = np.zeros(self.sweeps)  # of each sweep, its share of the errors' variance

    def __call__(self, z: np.ndarray) -> Scored:
        rows = self._rows(z, range(self.sweeps))
        by_name = {k: np.concatenate([sweep[k] for sweep in rows]) for k in rows[0]}
        if len(priors := self._priors(z)):
            by_name["priors"] = priors
        parts = {k: _squares(r) for k, r in by_name.items()}
        errors = np.nan_to_num(sum(parts.values()), nan=np.inf)
        self._learn(np.array([sum(map(_squares, sweep.values())) for sweep in rows]))
        residuals = np.concatenate(list(by_name.values()))
        return Scored(errors, parts, residuals, simulated=z.shape[1] * self.sweeps)

    def race(self, z: np.ndarray, groups: int = 1) -> Scored:
        first, rest = self._divided()
        if not rest:
            return self(z)
        n, size = z.shape[1], z.shape[1] // groups
        priors = _squares(self._priors(z))
        parts = {"priors": priors} if len(self._priors(z)) else {}
        found = np.zeros((self.sweeps, n))
        self._enter(found, parts, self._rows(z, first), first, slice(None))
        least = np.nan_to_num(priors + found[first].sum(0), nan=np.inf)
        ahead = np.concatenate(
            [k * size + np.argsort(part)[: -(-size // 2)] for k, part in
             enumerate(least[: groups * size].reshape(groups, size))]
        )  # fmt: skip
        self._enter(found, parts, self._rows(z[:, ahead], rest), rest, ahead)
        self._learn(found[:, ahead])
        errors = np.full(n, np.inf)
        errors[ahead] = np.nan_to_num(priors[ahead] + found[:, ahead].sum(0), nan=np.inf)
        least[ahead] = errors[ahead]
        simulated = n * len(first) + ahead.size * len(rest)
        return Scored(errors, parts, least=least, simulated=simulated)

    def _rows(self, z: np.ndarray, which: Sequence[int]) -> list[dict[str, np.ndarray]]:
        """The residuals `[R, n]` of some sweeps, by part, weighted."""
        rows = self.problem.results(z, which, self.together)
        weights = np.sqrt(self.problem.weights[list(which)])
        return [{k: w * r for k, r in row.items()} for w, row in zip(weights, rows, strict=True)]

    def _priors(self, z: np.ndarray) -> np.ndarray:
        return np.sqrt(self.prior) * self.problem.space.prior_residuals(z)

    def _enter(
        self, found: np.ndarray, parts: dict[str, np.ndarray], rows: list[dict[str, np.ndarray]],
        which: Sequence[int], cells: Any,
    ) -> None:  # fmt: skip
        """Add what some sweeps say of some cells to the errors `[sweep, n]` and to the parts."""
        for k, row in zip(which, rows, strict=True):
            for name, r in row.items():
                part = _squares(r)
                found[k, cells] += part
                parts.setdefault(name, np.zeros(found.shape[1]))[cells] += part

    def _learn(self, found: np.ndarray) -> None:
        """What each sweep's part `[sweep, n]` of the errors tells of all of it."""
        found = found[:, np.isfinite(found).all(0)]
        if found.shape[1] < 2:
            return
        apart = found - found.mean(1, keepdims=True)
        share = np.maximum(apart @ apart.sum(0), 0.0)
        share = share / max(share.sum(), np.finfo(float).tiny)
        self.telling = (
            _MEMORY * self.telling + (1 - _MEMORY) * share if self.telling.any() else share
        )

    def _divided(self) -> tuple[list[int], list[int]]:
        """The sweeps with which a race begins, half of them at most, and the others; or all."""
        order = np.argsort(-self.telling, kind="stable").tolist()
        if not self.telling.any() or self.sweeps < 2:
            return order, []
        told = np.cumsum(self.telling[order]) / self.telling.sum()
        n = min(1 + int(np.searchsorted(told, _TELLING)), self.sweeps // 2)
        return order[:n], order[n:]


class ObjectiveScorer:
    """Scores by an objective, see `Task.problem`; None is the squared error."""

    def __init__(self, task: Task, objective: Objective | None):
        self.problem = task.problem(objective)
        self.unit, self.sweeps = self.problem.unit, len(self.problem.sweeps)

    def __call__(self, z: np.ndarray) -> Scored:
        values = self.problem.error(self.problem.values(z))
        return Scored(np.nan_to_num(values, nan=np.inf), simulated=z.shape[1] * self.sweeps)

    def race(self, z: np.ndarray, groups: int = 1) -> Scored:
        return self(z)


def _squares(r: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        return (r * r).sum(0)
