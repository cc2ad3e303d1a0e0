"""Budget: the time of a fit, its progress for a waiting person, and a log of each stage."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from neurojax.engine import processes
from neurojax.fit.candidates import Candidates
from neurojax.fit.compiling import compiling_s, working_s

CHECKPOINT_S = 20.0
"""Seconds from one checkpoint to the next."""

Progress = Callable[[str, int, int, float, str], None]
"""Called as progress(stage, done, total, best error, its unit), for a person who waits."""


@dataclass(frozen=True)
class StageRecord:
    """What one stage of a fit did, for its report."""

    name: str  # "draw", "evolve", "nudge", "polish" ...
    unit: str  # of the errors
    seconds: float
    evaluations: int  # simulated cells x sweeps
    history: np.ndarray  # [iteration] best error so far
    errors: np.ndarray  # [start] final error of every start that lived
    dropped: int = 0  # starts that were not finite
    rejected: int | None = None  # steps that led to a worse point; None where there are no such
    clipped: int | None = None  # steps cut short at the trust region
    compiling: float = 0.0  # of its seconds, those in which JAX compiled
    cut: bool = False  # whether it ended because its time was over
    # [iteration, start] errors on the way, NaN where not known; of a population by rank
    start_history: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))


def gains(stages: Sequence[StageRecord]) -> list[tuple[float, float]]:
    """Best error before and after each stage, in its unit; NaN where there is none to compare.

    Before it is where the last stage of the same unit ended, else its own first.
    """
    told, last = [], {}
    for stage in stages:
        own = stage.history if len(stage.history) else np.array([np.nan])
        after = float(own[-1])
        if np.isnan(after):
            after = last.get(stage.unit, np.nan)
        told.append((last.get(stage.unit, float(own[0]) if len(own) > 1 else np.nan), after))
        last[stage.unit] = after
    return told


Save = Callable[[Candidates, Sequence[StageRecord]], None]
"""Called with the candidates so far and the records of all stages until then."""


class Budget:
    """Accompanies a fit from stage to stage.

    `seconds` is the time it may take (None: as long as it needs), by the clock `working_s`: what
    JAX compiles on the way comes on top, and each stage tells how long that was. Ctrl-C ends the
    stage that runs, which keeps its best so far, and sets `interrupted`; later stages see it in
    `hurried` and do only what they must. `save` is called with the best so far at most every
    CHECKPOINT_S seconds; of processes that compute together by the first one.

    Raises ValueError for `seconds` of several processes.
    """

    def __init__(
        self,
        seconds: float | None = None,
        progress: Progress | None = None,
        save: Save | None = None,
    ):
        if seconds is not None and processes.several():
            raise ValueError(
                "fits of several processes end by their iterations, not by the clock, which each "
                "of them would read differently: give no seconds"
            )
        self.save, self.saved = save if processes.first() else None, time.monotonic()
        self.best: Candidates | None = None  # of those saved
        self.deadline = math.inf if seconds is None else working_s() + seconds
        self.progress = progress or (lambda *_: None)
        self.stages: list[StageRecord] = []
        self.interrupted = False

    @property
    def seconds_left(self) -> float:
        """Time until the deadline, s; never negative, infinite without one."""
        return max(0.0, self.deadline - working_s())

    @property
    def hurried(self) -> bool:
        """Whether no time is left, or the person has pressed Ctrl-C."""
        return self.interrupted or self.seconds_left == 0

    def checkpoint(self, found: Candidates, under_way: Sequence[StageRecord] = ()) -> None:
        """Save what has been found, with the records of the stages until now.

        Inside a stage, which may begin anew elsewhere, that is the best of those saved before.
        """
        if self.save is None or not len(found):
            return
        best = self.best
        if under_way and best is not None and best.unit == found.unit:
            found = min(best, found, key=lambda c: c.errors[0])
        self.best = found
        self.save(found, [*self.stages, *under_way])
        self.saved = time.monotonic()

    @contextmanager
    def stage(
        self, name: str, unit: str, share: float = 1.0, end: float = math.inf
    ) -> Generator[StageLog]:
        """Record one stage, which may take `share` of the time left; Ctrl-C in it ends it.

        That is the time until the deadline, or until `end` (by `working_s`) if sooner.

        What follows the `with` block runs in either case.
        """
        log = StageLog(self, name, unit, share, min(end, self.deadline))
        try:
            yield log
        except KeyboardInterrupt:
            self.interrupted = True
        self.stages.append(log.record())


class StageLog:
    """The log of one stage, written while it runs."""

    def __init__(self, budget: Budget, name: str, unit: str, share: float, end: float):
        self.budget, self.name, self.unit = budget, name, unit
        self.began, self.compiled = working_s(), compiling_s()
        self.deadline = self.began + share * max(0.0, end - self.began)
        self.history: list[float] = []
        self.start_history: list[np.ndarray] = []
        self.evaluations = self.dropped = 0
        self.rejected: int | None = None
        self.clipped: int | None = None
        self.errors: np.ndarray = np.empty(0)

    @property
    def seconds_left(self) -> float:
        """Time that this stage still has, s."""
        return max(0.0, self.deadline - working_s())

    @property
    def hurried(self) -> bool:
        """Whether the stage should come to its end."""
        return self.budget.interrupted or self.seconds_left == 0

    def step(
        self,
        done: int,
        total: int,
        best: float,
        evaluations: int = 0,
        errors: np.ndarray | None = None,
    ) -> None:
        """Note an iteration: the best error so far, and how many cells x sweeps were simulated.

        Also the `errors` of every start, always in the same order, where they are known.
        """
        self.history.append(float(best))
        self.start_history.append(np.empty(0) if errors is None else np.asarray(errors))
        self.evaluations += evaluations
        self.budget.progress(self.name, done, total, float(best), self.unit)

    def keep(self, best: Callable[[], tuple[np.ndarray, np.ndarray]]) -> None:
        """Save the best points `[P, n]` and their errors `[n]` so far, when it is time to.

        `best()` is asked for them only then.
        """
        budget = self.budget
        if budget.save is not None and time.monotonic() - budget.saved > CHECKPOINT_S:
            budget.checkpoint(Candidates.sorted(*best(), self.unit), [self.record()])

    def count(self, rejected: int, clipped: int) -> None:
        """Note steps of all starts that led to a worse point, and those that were cut short."""
        self.rejected = (self.rejected or 0) + rejected
        self.clipped = (self.clipped or 0) + clipped

    def conclude(self, errors: np.ndarray, dropped: int = 0) -> None:
        """Note the final error of every start; those that are not finite are dropped."""
        errors = np.asarray(errors, dtype=np.float64)
        alive = np.isfinite(errors)
        self.errors = np.sort(errors[alive])
        self.dropped += dropped + int((~alive).sum())

    def record(self) -> StageRecord:
        """The record of the stage, for the report."""
        compiling = compiling_s() - self.compiled
        return StageRecord(
            name=self.name,
            unit=self.unit,
            seconds=working_s() - self.began + compiling,
            evaluations=self.evaluations,
            history=np.array(self.history),
            errors=self.errors,
            dropped=self.dropped,
            rejected=self.rejected,
            clipped=self.clipped,
            compiling=compiling,
            cut=self.hurried,
            start_history=_padded(self.start_history),
        )


def _padded(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of any length as one array `[row, longest]`, NaN where there is nothing finite."""
    out = np.full((len(rows), max((row.size for row in rows), default=0)), np.nan)
    for filled, row in zip(out, rows, strict=True):
        filled[: row.size] = np.where(np.isfinite(row), row, np.nan)
    return out
