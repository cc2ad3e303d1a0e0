"""Search: a large random population, then evolution, on the features of recorded sweeps.

Spiking cells have a rugged error surface in the plain voltage; counts, times and shapes of spikes
lead to the right basin. Whole generations are simulated as one population over all local devices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, cycle

import numpy as np

from neurojax.fit.budget import Budget, StageLog
from neurojax.fit.candidates import Candidates
from neurojax.fit.compiling import working_s
from neurojax.fit.optimisers.by_differences import descend_by_differences
from neurojax.fit.optimisers.evolution import Evolution, Population
from neurojax.fit.problem import Objective
from neurojax.fit.scoring.scorer import FeatureScorer, ObjectiveScorer, Scorer
from neurojax.fit.task import Task
from neurojax.fit.uncertainty.ranges import probes, ranges
from neurojax.loss.score import PARTS
from neurojax.units import nearest

_ROUND = 0.25  # of the time, at most for one round of exploring; for half of it none is begun
_SPREAD = 0.05  # of the unit box, for evolution around the best point
_FARTHER = (0.05, 0.1, 0.2)  # and for one after the other where nothing is gained any more
_GAIN = 0.01  # of the error: a turn that gains less begins anew, farther
_PATIENCE = 25  # generations without much gain after which islands are left


@dataclass(frozen=True)
class Search:
    """Random draws, then CMA-ES from the best of them, scored by the features of the sweeps.

    The candidates of a stage before and `draws` random points are scored; from the best,
    `population` cells evolve on separate `islands` until nothing gains much, and from the best of
    them Levenberg-Marquardt descends on the same score. This begins anew elsewhere until a part
    `explore` of the time is over (0: what a stage before found is not left). Then around the best
    point of each place, beginning with the best of all, evolution and descent take turns until they
    gain no more (not, if `refine` is false: then all of the time goes to beginning anew). Time that
    is left goes to further places, or, where it is too short for one, to the surroundings of the
    best. In each generation the worse half is given up as soon as the first sweeps tell which that
    is. Without `generations` there are 300 of them, or as many as fit into `share` of the time
    left.

    Time steps are of `dt` ms, if the task's are not longer: free runs take the task's. Each sweep
    is simulated from 50 ms before its stimulus to 100 ms after it, the cell being held where it
    rested, and counts by the task's weights.

    A cell that fires chaotically can reproduce one sweep by accident. So a single sweep is run
    twice, its current stronger and weaker by the share `jitter`, and the error is the mean of both.

    The error is the sum of `loss.Score`, in tolerances, and of what priors add; `feature_weights`
    multiply parts of the score, 1 for those not named. With an `objective` (see `Task.problem`) its
    value is the error instead. Where `ranges` are wanted, they say how far each parameter can move
    alone until the error has grown by one. Raises ValueError for unknown parts, and for sweeps that
    are no current clamp, unless there is an objective.
    """

    draws: int = 2048
    population: int = 256
    generations: int | None = None
    islands: int = 4
    dt: float = 0.1  # ms
    share: float = 1.0
    explore: float = 0.5
    refine: bool = True
    ranges: bool = True
    descents: int = 12  # iterations of Levenberg-Marquardt at a time, at most; 0: none
    jitter: float = 3e-4
    feature_weights: Mapping[str, float] = field(default_factory=dict)
    objective: Objective | None = None
    name: str = "search"

    def __post_init__(self):
        if self.population < 4 * self.islands or self.islands < 1 or self.draws < 1:
            raise ValueError(
                f"population = {self.population}, islands = {self.islands}, draws = {self.draws}: "
                "expected at least one draw and one island, and 4 cells on each"
            )
        if not 0 <= self.explore <= 1:
            raise ValueError(f"explore is {self.explore!r}: expected a part of the time, 0 to 1")
        known = tuple(PARTS)
        for name, times in self.feature_weights.items():
            if name not in known:
                hint = f"{nearest(name, known)} (have: {', '.join(known)})"
                raise ValueError(f"feature_weights: no feature {name!r}{hint}")
            if not 0 <= times < math.inf:
                raise ValueError(
                    f"feature weight of {name} is {times!r}: expected a number from 0 on"
                )

    def run(self, task: Task, found: Candidates | None, budget: Budget) -> Candidates:
        """The best `population` cells of all that were seen."""
        began, seconds = working_s(), self.share * budget.seconds_left
        timed = math.isfinite(seconds) and self.generations is None
        most = self.generations or (300 if math.isinf(seconds) else 10**6)  # time ends them sooner
        scorer, end = self._scorer(task), began + seconds
        known = dict[str, tuple[float, float]]()
        turns = _Turns(task, budget, end, None if timed else max(1, most - most // 2))
        each = max(1, most // 2), (_ROUND if self.refine else 0.5) * seconds
        if found is not None and not self.explore:
            explored = [Population(scorer, self.population)]
            with budget.stage("again", scorer.unit) as log:
                _draw(explored[0], found.z[:, : self.population], log)
        else:
            exploring = (self.explore if self.refine else 1.0) * seconds
            explored = [self._explore(scorer, turns, found, *each)]
            while timed and not budget.hurried:
                left = exploring - (working_s() - began)
                if left <= (0.5 * each[1] if self.refine else 0.0):
                    break
                explored.append(self._explore(scorer, turns, None, each[0], min(each[1], left)))
        best = min(explored, key=lambda population: population.best)
        if self.refine and best.errors.size and not budget.interrupted:
            for population in sorted(explored, key=lambda population: population.best):
                self._refine(population, turns, (_SPREAD,))
            # As long as there is time for as much as one place has taken, another is tried.
            while timed and self.explore and not turns.over:
                if working_s() + (working_s() - began) / len(explored) > end:
                    break
                explored.append(self._explore(scorer, turns, None, *each))
                self._refine(explored[-1], turns, (_SPREAD,))
            best = min(explored, key=lambda population: population.best)
            self._refine(best, turns, cycle(_FARTHER))
            if self.ranges and not budget.interrupted:
                with budget.stage("ranges", scorer.unit) as log:
                    known = _ranges(best, task, log)
        return Candidates.sorted(
            best.z, best.errors, scorer.unit, contributions=best.parts, ranges=known
        )

    def _explore(
        self,
        scorer: Scorer,
        turns: _Turns,
        found: Candidates | None,
        generations: int,
        seconds: float,
    ) -> Population:
        """Draw, evolve on islands until nothing gains much, and descend from the best."""
        task, budget, number = turns.task, turns.budget, next(turns.places)
        rng, end = task.rng(number), min(turns.end, working_s() + seconds)
        population = Population(scorer, self.population)
        points = rng.random((len(task.space), self.draws))
        if found is not None:
            points = np.concatenate([found.z, points], axis=1)
        with budget.stage(_nth("draw", number), scorer.unit, 0.25, end) as log:
            _draw(population, points, log)
        if budget.interrupted or not population.errors.size:
            return population
        with budget.stage(_nth("islands", number), scorer.unit, 0.7, end) as log:
            Evolution(population, self.islands, rng).run(log, generations, _PATIENCE, 0.02)
        self._descend(population, budget, _nth("descend", number), end)
        return population

    def _refine(self, best: Population, turns: _Turns, spreads: Iterable[float]) -> None:
        """Evolve and descend by turns until time is over, or once, for so many generations.

        Evolution begins near the best point and goes on from where a descent has led; where a turn
        gains little it begins anew, with the next of some `spreads`, or ends with them.
        """
        for spread in spreads:
            if turns.over:
                return
            evolution, gained = None, True
            while gained and not turns.over and best.errors.size:
                number, before = next(turns.numbers), best.best
                if evolution is None:
                    evolution = Evolution(best, 1, turns.task.rng(0, number), spread)
                how = best.scorer.unit, 1.0, turns.end
                with turns.budget.stage(_nth("refine", number), *how) as log:
                    evolution.run(log, turns.generations or 10**6, _PATIENCE, 0.01)
                reached = best.best
                self._descend(best, turns.budget, _nth("descend on", number), turns.end)
                turns.made += 1
                if best.best < reached:
                    evolution.restart_from(best.z[:, 0])
                gained = best.best <= (1 - _GAIN) * before

    def _descend(self, best: Population, budget: Budget, name: str, end: float) -> None:
        """Levenberg-Marquardt from the best points, where the error is a sum of squares."""
        room = best.size > len(best.z) and self.objective is None
        if not room or not self.descents or not best.errors.size or budget.hurried:
            return
        with budget.stage(name, best.scorer.unit, 1.0, end) as log:
            descend_by_differences(best, log, self.descents, 0.002)

    def _scorer(self, task: Task) -> Scorer:
        if self.objective is not None:
            return ObjectiveScorer(task, self.objective)
        # Several sweeps are hardly reproduced by accident at once.
        jitter = self.jitter if len(task.traces) == 1 else 0.0
        return FeatureScorer(task.stepped(max(task.dt, self.dt)), jitter, self.feature_weights)


class _Turns:
    """Places and the turns there, numbered, until time is over or, untimed, one turn is made."""

    def __init__(self, task: Task, budget: Budget, end: float, generations: int | None):
        self.task, self.budget, self.end, self.generations = task, budget, end, generations
        self.places, self.numbers, self.made = count(1), count(1), 0

    @property
    def over(self) -> bool:
        once = self.generations is not None and self.made > 0
        return once or self.budget.interrupted or working_s() >= self.end


def _nth(stage: str, number: int) -> str:
    """The name of a stage that is run again and again."""
    return stage if number == 1 else f"{stage} {number}"


def _draw(population: Population, points: np.ndarray, log: StageLog) -> None:
    """Score given points `[P, n]`: at least one batch, then as long as there is time."""
    for done, total, some in _batches(population, points):
        if done > 1 and log.hurried:
            return
        errors = population.race(some, log).errors
        log.errors = np.sort(errors[np.isfinite(errors)])
        log.step(done, total, population.best)


def _ranges(population: Population, task: Task, log: StageLog) -> dict[str, tuple[float, float]]:
    """Score points beside the best one, for the range of each parameter."""
    best, allowed = population.z[:, 0], population.best + 1.0
    errors = []
    for done, total, some in _batches(population, probes(best)):
        errors.append(population.scored(some, log).errors)
        log.step(done, total, population.best)
    return ranges(task.space, best, np.concatenate(errors), allowed)


def _batches(population: Population, points: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Points `[P, n]`, as many at a time as the population takes: which, of how many, and they."""
    total = math.ceil(points.shape[1] / population.size)
    for k in range(total):
        yield k + 1, total, points[:, k * population.size : (k + 1) * population.size]
