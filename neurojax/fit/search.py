"""Search: a large random population, then evolution, on the features of recorded sweeps.

Spiking cells have a rugged error surface in the plain voltage; counts, times and shapes of spikes
lead to the right basin. Whole generations are simulated as one population over all local devices.
"""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurojax.fit.candidates import Candidates
from neurojax.fit.judge import FeatureJudge, Judge, ObjectiveJudge
from neurojax.fit.problem import Objective
from neurojax.fit.ranges import probes, ranges
from neurojax.fit.task import Task
from neurojax.fit.watch import Log, Watch

_LOST = 1e9  # what a cell that is not finite scores among its generation
_PATIENCE = 60  # generations without progress after which the search is over


@dataclass(frozen=True)
class Search:
    """Random draws, then CMA-ES from the best of them, judged by the features of the sweeps.

    The candidates of a stage before and `draws` random points are scored; from the best,
    `population` cells evolve, half the time on separate `islands` and in time steps `coarse` times
    the task's, then around the best of them. Without `generations` there are 300 of them, or as
    many as fit into `share` of the time left, compilation included. Each sweep is simulated from 50 ms before its stimulus to 100 ms
    after it, the cell being held where it rested, and counts by the task's weights.

    The error is the sum of `score.Score`, in tolerances; `ranges` says how far each parameter can
    move alone until the error has grown by one. With an `objective` (see `Task.problem`) its value
    is judged instead. Raises ValueError for sweeps that are no current clamp, unless there is an
    objective.
    """

    draws: int = 4096
    population: int = 256
    generations: int | None = None
    islands: int = 2
    coarse: int = 2
    share: float = 1.0
    objective: Objective | None = None
    name: str = "search"

    def __post_init__(self):
        if self.population < 4 * self.islands or self.islands < 1 or self.draws < 1:
            raise ValueError(
                f"population = {self.population}, islands = {self.islands}, draws = {self.draws}: "
                "expected at least one draw and one island, and 4 cells on each"
            )

    def run(self, task: Task, found: Candidates | None, watch: Watch) -> Candidates:
        """The best `population` cells of all that were seen."""
        people = _Population(self._judge(task.stepped(self.coarse * task.dt)), self.population)
        points = task.space.random(self.draws, task.seed)
        if found is not None:
            points = np.concatenate([found.z, points], axis=1)
        unit, known = people.judge.unit, {}
        with watch.stage("draw", unit, self.share / 4) as log:
            _draw(people, points, log)
        if not watch.interrupted and people.errors.size:
            evolution = _Evolution(people, self.islands, task.rng(1))
            last = self.generations or (300 if watch.seconds_left == math.inf else 10**6)
            with watch.stage("islands", unit, self.share / 2) as log:
                evolution.run(log, max(1, last // 2))
            if not watch.interrupted:
                with watch.stage("evolve", unit, self.share) as log:
                    if self.coarse > 1:
                        people.rejudge(self._judge(task), log)
                    evolution.join()
                    evolution.run(log, max(1, last - last // 2), _PATIENCE)
        if not watch.interrupted and people.errors.size:
            with watch.stage("ranges", unit) as log:
                known = _ranges(people, task, log)
        return Candidates.sorted(
            people.z, people.errors, unit, contributions=people.parts, ranges=known
        )

    def _judge(self, task: Task) -> Judge:
        if self.objective is None:
            return FeatureJudge(task)
        return ObjectiveJudge(task, self.objective)


class _Population:
    """Judges points of the unit box, `size` at a time, and remembers the best of them."""

    def __init__(self, judge: Judge, size: int):
        self.judge, self.size = judge, size
        self.parts: dict[str, float] = {}  # of the best
        self.z, self.errors = np.empty((0, 0)), np.empty(0)

    @property
    def best(self) -> float:
        """The least error so far."""
        return float(self.errors[0]) if self.errors.size else np.inf

    def rejudge(self, judge: Judge, log: Log) -> None:
        """Judge what is remembered anew, and all that follows, by another judge."""
        z, self.judge, self.parts = self.z, judge, {}
        self.z, self.errors = np.empty((len(z), 0)), np.empty(0)
        self(z, log)

    def __call__(self, z: np.ndarray, log: Log) -> np.ndarray:
        """Errors `[n]` of points z `[P, n]`, n at most `size`; infinite where not finite."""
        n = z.shape[1]
        padded = np.concatenate([z, np.repeat(z[:, -1:], self.size - n, axis=1)], axis=1)
        errors, parts = self.judge(padded)
        errors = errors[:n]
        log.evaluations += n * self.judge.sweeps
        log.dropped += int((~np.isfinite(errors)).sum())
        if errors[k := int(errors.argmin())] < self.best:
            self.parts = {name: float(part[k]) for name, part in parts.items()}
        if self.errors.size:
            z, own = np.concatenate([self.z, z], axis=1), np.concatenate([self.errors, errors])
        else:
            own = errors
        order = np.argsort(own, kind="stable")[: self.size]
        order = order[np.isfinite(own[order])]
        self.z, self.errors = z[:, order], own[order]
        return errors


def _draw(people: _Population, points: np.ndarray, log: Log) -> None:
    """Judge given points `[P, n]`: at least one batch, then as long as there is time."""
    batches = math.ceil(points.shape[1] / people.size)
    for k in range(batches):
        if k and log.hurried:
            return
        errors = people(points[:, k * people.size : (k + 1) * people.size], log)
        log.errors = np.sort(errors[np.isfinite(errors)])
        log.step(k + 1, batches, people.best)


def _ranges(people: _Population, task: Task, log: Log) -> dict[str, tuple[float, float]]:
    """Judge points beside the best one, for the range of each parameter."""
    best, allowed = people.z[:, 0], people.best + 1.0
    points = probes(best)
    batches, errors = math.ceil(points.shape[1] / people.size), []
    for k in range(batches):
        errors.append(people(points[:, k * people.size : (k + 1) * people.size], log))
        log.step(k + 1, batches, people.best)
    return ranges(task.space, best, np.concatenate(errors), allowed)


class _Evolution:
    """CMA-ES from the best points known, on separate islands first, then around the best of them.

    Separate islands do not all end in the same wrong basin.
    """

    def __init__(self, people: _Population, islands: int, rng: np.random.Generator):
        self.people, self.rng = people, rng
        first = [people.z[:, k % people.z.shape[1]] for k in range(islands)]
        self.searches = [_strategy(x, 0.2, people.size // islands, rng) for x in first]

    def run(self, log: Log, generations: int, patience: int | None = None) -> None:
        """Evolve until the time of the log is over, or nothing has moved for long.

        That is, the error by 0.1 % in `patience` generations.
        """
        timed, g = math.isfinite(log.seconds_left), 0
        while g < generations:
            asked = [np.array(s.ask()).T for s in self.searches]
            errors = self.people(np.concatenate(asked, axis=1), log)
            _tell(self.searches, asked, errors)
            g += 1
            if timed:
                each = (time.monotonic() - log.began) / g
                generations = min(generations, g + int(log.seconds_left / each))
            log.step(g, generations, self.people.best)
            log.errors = np.sort(errors[np.isfinite(errors)])
            if patience and g > patience and self.people.best > 0.999 * log.history[-1 - patience]:
                return

    def join(self) -> None:
        """Keep the best search, and give the places of the rest to a narrow one around the best."""
        if len(self.searches) > 1:
            best = min(self.searches, key=lambda s: s.best.f)
            rest = self.people.size - best.popsize
            self.searches = [best, _strategy(self.people.z[:, 0], 0.05, rest, self.rng)]


def _tell(searches: list, asked: list[np.ndarray], errors: np.ndarray) -> None:
    # CMA-ES reads ranks only: any number above all others stands for a cell that was lost.
    finite = np.where(np.isfinite(errors), errors, _LOST)
    at = 0
    for strategy, z in zip(searches, asked, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cma's advice on its own workings
            strategy.tell(list(z.T), list(finite[at : at + z.shape[1]]))
        at += z.shape[1]


def _strategy(x0, sigma: float, popsize: int, rng) -> Any:
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
