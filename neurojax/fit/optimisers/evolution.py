"""Populations of points that are scored and remembered, and their evolution by CMA-ES."""

from __future__ import annotations

import math

import numpy as np

from neurojax.fit.budget import StageLog
from neurojax.fit.compiling import working_s
from neurojax.fit.optimisers.cma_es import CmaEs
from neurojax.fit.scoring.scorer import Parts, Scored, Scorer


class Population:
    """Scores points of the unit box, up to `size` at a time, and remembers the best of them."""

    def __init__(self, scorer: Scorer, size: int):
        self.scorer, self.size = scorer, size
        self.parts: dict[str, float] = {}  # of the best
        self.z, self.errors = np.empty((0, 0)), np.empty(0)

    @property
    def best(self) -> float:
        """The least error so far."""
        return float(self.errors[0]) if self.errors.size else np.inf

    def scored(self, z: np.ndarray, log: StageLog) -> Scored:
        """How good points z `[P, n]` are."""
        return self._noted(z, self.scorer(z), log)

    def race(self, z: np.ndarray, log: StageLog, groups: int = 1) -> Scored:
        """The same, of the better half of each of some groups of equal size; see `Scorer.race`."""
        return self._noted(z, self.scorer.race(z, groups), log)

    def _noted(self, z: np.ndarray, found: Scored, log: StageLog) -> Scored:
        log.evaluations += found.simulated
        log.dropped += found.lost
        self._remember(z, found.errors, found.parts)
        log.keep(lambda: (self.z, self.errors))
        return found

    def _remember(self, z: np.ndarray, errors: np.ndarray, parts: Parts) -> None:
        k = int(errors.argmin())
        if errors[k] < self.best:
            self.parts = {name: float(part[k]) for name, part in parts.items()}
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
        self.population = population
        first = [population.z[:, k % population.z.shape[1]] for k in range(islands)]
        size = population.size // islands
        self.searches = [CmaEs(x, spread, size, rng) for x in first]

    def run(self, log: StageLog, generations: int, patience: int, gain: float) -> None:
        """Evolve until the time of the log is over, or nothing moves any more.

        That is, the best of each generation fell by less than a part `gain` in `patience` of them.
        What is the best of all says less: around a point from which a descent has come, all of the
        first generations are worse than that point.
        """
        timed, g, own = math.isfinite(log.seconds_left), 0, list[float]()
        while g < generations:
            self._generation(log)
            g += 1
            if timed:
                each = (working_s() - log.began) / g
                generations = min(generations, g + int(log.seconds_left / each))
            log.step(g, generations, self.population.best, errors=log.errors)
            own.append(float(log.errors[0]) if log.errors.size else math.inf)
            if g > patience and min(own[-patience:]) > (1 - gain) * min(own[:-patience]):
                return

    def restart_from(self, z: np.ndarray) -> None:
        """Go on around a point `[P]` found elsewhere, with what was learnt of directions."""
        for strategy in self.searches:
            strategy.mean, strategy.path_c = np.array(z), np.zeros_like(z)
            strategy.path_sigma = np.zeros_like(z)

    def _generation(self, log: StageLog) -> None:
        asked = np.concatenate([s.ask() for s in self.searches], axis=1)
        found = self.population.race(asked, log, len(self.searches))
        for k, strategy in enumerate(self.searches):
            size = strategy.size
            strategy.tell(found.order(slice(k * size, (k + 1) * size)))
        log.errors = np.sort(found.errors[np.isfinite(found.errors)])
