"""Populations of points that are scored and remembered, and their evolution by CMA-ES."""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import numpy as np

from neurojax.fit.budget import StageLog
from neurojax.fit.scoring.scorer import Scored, Scorer

_LOST = 1e9  # what a cell that is not finite scores among its generation


class Population:
    """Scores points of the unit box, `size` at a time, and remembers the best of them."""

    def __init__(self, scorer: Scorer, size: int):
        self.scorer, self.size = scorer, size
        self.parts: dict[str, float] = {}  # of the best
        self.z, self.errors = np.empty((0, 0)), np.empty(0)

    @property
    def best(self) -> float:
        """The least error so far."""
        return float(self.errors[0]) if self.errors.size else np.inf

    def __call__(self, z: np.ndarray, log: StageLog) -> np.ndarray:
        """Errors `[n]` of points z `[P, n]`, n at most `size`; infinite where not finite."""
        return self.scored(z, log).errors

    def scored(self, z: np.ndarray, log: StageLog) -> Scored:
        """The same with the residuals, where the errors are sums of their squares."""
        n = z.shape[1]
        padded = np.concatenate([z, np.repeat(z[:, -1:], self.size - n, axis=1)], axis=1)
        errors, parts, residuals = self.scorer(padded)
        errors = errors[:n]
        log.evaluations += n * self.scorer.sweeps
        log.dropped += int((~np.isfinite(errors)).sum())
        k = int(errors.argmin())
        self._remember(z, errors, {name: float(part[k]) for name, part in parts.items()})
        log.keep(lambda: (self.z, self.errors))
        return Scored(errors, parts, None if residuals is None else residuals[:, :n])

    def adopt(self, other: Population) -> None:
        """Remember the points of another population with their errors."""
        if other.errors.size:
            self._remember(other.z, other.errors, other.parts)

    def _remember(self, z: np.ndarray, errors: np.ndarray, parts: dict[str, float]) -> None:
        if errors.min() < self.best:
            self.parts = parts
        if self.errors.size:
            z, errors = np.concatenate([self.z, z], axis=1), np.r_[self.errors, errors]
        order = np.argsort(errors, kind="stable")[: self.size]
        order = order[np.isfinite(errors[order])]
        self.z, self.errors = z[:, order], errors[order]


class Evolution:
    """CMA-ES from the best points known, on separate islands or around the best of them.

    Separate islands do not all end in the same wrong basin. Each begins with the standard deviation
    `spread` in every coordinate of the unit box.
    """

    def __init__(
        self, population: Population, islands: int, rng: np.random.Generator, spread: float = 0.2
    ):
        self.population, self.rng = population, rng
        first = [population.z[:, k % population.z.shape[1]] for k in range(islands)]
        self.searches = [_strategy(x, spread, population.size // islands, rng) for x in first]

    def run(self, log: StageLog, generations: int, patience: int, gain: float) -> None:
        """Evolve until the time of the log is over, or nothing moves any more.

        That is, the error fell by less than a part `gain` of it in `patience` generations.
        """
        timed, g = math.isfinite(log.seconds_left), 0
        while g < generations:
            asked = [np.array(s.ask()).T for s in self.searches]
            errors = self.population(np.concatenate(asked, axis=1), log)
            _tell(self.searches, asked, errors)
            g += 1
            if timed:
                each = (time.monotonic() - log.began) / g
                generations = min(generations, g + int(log.seconds_left / each))
            log.errors = np.sort(errors[np.isfinite(errors)])
            log.step(g, generations, self.population.best, errors=log.errors)
            if g > patience and self.population.best > (1 - gain) * log.history[-1 - patience]:
                return


def _tell(searches: list[Any], asked: list[np.ndarray], errors: np.ndarray) -> None:
    # CMA-ES reads ranks only: any number above all others stands for a cell that was lost.
    finite = np.where(np.isfinite(errors), errors, _LOST)
    at = 0
    for strategy, z in zip(searches, asked, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cma's advice on its own workings
            strategy.tell(list(z.T), list(finite[at : at + z.shape[1]]))
        at += z.shape[1]


def _strategy(x0: np.ndarray, sigma: float, popsize: int, rng: np.random.Generator) -> Any:
    import cma  # a second to load, as it brings half of scipy: only for those who search

    options = {
        "bounds": [0.0, 1.0],
        "popsize": popsize,
        "seed": np.nan,  # nan: leave numpy's global generator alone and use ours
        "randn": lambda *shape: rng.standard_normal(shape),
        "verbose": -9,
        "verb_log": 0,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cma.CMAEvolutionStrategy(np.array(x0), sigma, options)
