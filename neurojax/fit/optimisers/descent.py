"""descent: many starts walk downhill at once, each at its own schedule and its own coupling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from neurojax.fit.budget import StageLog
from neurojax.fit.optimisers.levenberg import LEVENBERG_MARQUARDT, LevenbergState
from neurojax.fit.problem import Problem

LANES = 64
"""Starts that each device computes at once; where one ends, a waiting one takes its place."""

PATIENCE = 6
"""Iterations without a gain after which a start is done."""


@dataclass(frozen=True)
class Schedule:
    """How a start goes down: from coupling to coupling, at each until it gains no more."""

    couplings: Sequence[float] = (0.0,)  # to the data, mS/cm2, firm to faint; the last one counts
    iterations: int = 60  # at most, at each coupling
    tolerance: float = 1e-6  # of its error: what is less is no gain, at the last coupling
    coarse: float = 1e-2  # and at those before
    optimiser: optax.GradientTransformation = LEVENBERG_MARQUARDT


def lanes(n: int) -> int:
    """How many lanes n starts take: few numbers, since each has a program of its own.

    A single lane is four to seven times as quick as a vector, in which 8 cost no more than 2.
    """
    return 1 if n <= 4 else max(8, min(n, LANES * jax.local_device_count()))


def descend(
    problem: Problem, z: np.ndarray, schedule: Schedule, log: StageLog, width: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Each start's best point `[P, n]` at the last coupling, and its value `[n]`, from z `[P, n]`.

    A start that is not finite ends at once, with an infinite value. When the stage's time is up, or
    on Ctrl-C, every start is still looked at once, for it is the last coupling that counts. One
    program serves all calls of one `width`, the number of starts at a time.
    """
    walkers = _Walkers(
        problem, np.asarray(z, dtype=np.float64), schedule, width or lanes(z.shape[1])
    )
    try:
        while walkers.under_way and not log.hurried:
            walkers.move()
            log.step(*walkers.progress(), walkers.simulated, walkers.errors())
    except KeyboardInterrupt:
        log.budget.interrupted = True
    walkers.conclude()
    if isinstance(walkers.state, LevenbergState):
        log.count(walkers.rejected, walkers.clipped)
    return walkers.best_z, walkers.best


class _Walkers:
    """A start in each lane, under way; others that wait; and what came of all, `[n]` each."""

    def __init__(self, problem: Problem, z: np.ndarray, schedule: Schedule, width: int):
        self.problem, self.schedule, self.n = problem, schedule, z.shape[1]
        self.couplings = np.asarray(schedule.couplings, dtype=np.float64)
        self.best_z, self.best = z.copy(), np.full(self.n, np.inf)
        self.seen = np.zeros(self.n, dtype=bool)  # at the last coupling
        lanes = np.arange(width)
        self.who = np.where(lanes < self.n, lanes, -1)  # -1: nobody is in this lane any more
        self.waiting = min(width, self.n)
        self.z = z[:, lanes % self.n].copy()  # where to look next
        self.here, self.value = self.z.copy(), np.full(width, np.inf)  # best at this coupling
        self.level, self.age, self.quiet = (np.zeros(width, dtype=int) for _ in range(3))
        self.optimiser = optax.with_extra_args_support(schedule.optimiser)
        self.state: Any = jax.vmap(self.optimiser.init, -1, -1)(jnp.asarray(self.z))
        self.rejected = self.clipped = 0  # steps of Levenberg-Marquardt

    @property
    def under_way(self) -> bool:
        return bool((self.who >= 0).any())

    @property
    def simulated(self) -> int:
        """Cells x sweeps in one move."""
        return int((self.who >= 0).sum()) * len(self.problem.sweeps)

    @property
    def _last(self) -> np.ndarray:
        """Which lanes have come to the last coupling."""
        return self.level == self.couplings.size - 1

    def progress(self) -> tuple[int, int, float]:
        """Mean iterations done and to come at most, and the best error at the faintest coupling."""
        ahead = self.n - self.waiting
        done = self.level * self.schedule.iterations + self.age
        whole = self.couplings.size * self.schedule.iterations
        finished = self.n - ahead - int((self.who >= 0).sum())
        mean = (finished * whole + done[self.who >= 0].sum()) / self.n
        best = min(self.best.min(), np.where(self._last, self.value, np.inf).min())
        if not np.isfinite(best):
            best = self.value[self.level == self.level.max()].min()
        return int(mean), whole, float(self.problem.error(best))

    def errors(self) -> np.ndarray:
        """Of every start, `[n]`, its best at the last coupling so far; infinite before."""
        value = self.best.copy()
        there = self._last & (self.who >= 0)
        value[self.who[there]] = self.value[there]
        return np.asarray(self.problem.error(value))

    def move(self) -> None:
        """One iteration in every lane; a start that is done goes on to what comes next."""
        z = jnp.asarray(self.z)
        found = self.problem(z, self.couplings[self.level])
        fresh = jnp.asarray(self.age == 0)
        onward, self.state = _move(self.optimiser, self.state, fresh, z, found)
        value = np.nan_to_num(np.asarray(found.value), nan=np.inf)
        least = np.where(self._last, self.schedule.tolerance, self.schedule.coarse)
        gained = value < (1 - least) * self.value
        self._keep(value)
        self.quiet = np.where(gained, 0, self.quiet + 1)
        self.age += 1
        self.z = np.array(onward)
        done = (self.quiet >= PATIENCE) | (self.age >= self.schedule.iterations)
        done |= ~np.isfinite(self.value)
        for lane in map(int, np.flatnonzero(done & (self.who >= 0))):
            self._go_on(lane)

    def _keep(self, value: np.ndarray) -> None:
        better = value < self.value
        self.here = np.where(better, self.z, self.here)
        self.value = np.where(better, value, self.value)

    def _go_on(self, lane: int) -> None:
        """To the next coupling; or, from the last one, this lane to the next start."""
        self._count(lane)
        if self._last[lane] or not np.isfinite(self.value[lane]):
            self._note(lane)
            if self.waiting < self.n:
                self.who[lane] = self.waiting
                self.here[:, lane] = self.best_z[:, self.waiting]
                self.waiting += 1
            else:
                self.who[lane] = -1
            self.level[lane] = 0
        else:
            self.level[lane] += 1
        self.z[:, lane] = self.here[:, lane]
        self.value[lane] = np.inf
        self.age[lane] = self.quiet[lane] = 0

    def _note(self, lane: int) -> None:
        start = self.who[lane]
        self.seen[start] = True
        self.best_z[:, start], self.best[start] = self.here[:, lane], self.value[lane]

    def _count(self, lane: int) -> None:
        if isinstance(self.state, LevenbergState):
            self.rejected += int(self.state.rejected[lane])
            self.clipped += int(self.state.clipped[lane])

    def conclude(self) -> None:
        """Look once at every start that has not come to the last coupling."""
        for lane in map(int, np.flatnonzero(self.who >= 0)):
            self._count(lane)
            if self._last[lane] and self.age[lane] > 0:
                self._note(lane)
            else:
                self.best_z[:, self.who[lane]] = self.here[:, lane]
        unseen = np.flatnonzero(~self.seen)
        for k in range(0, unseen.size, self.who.size):
            some = unseen[k : k + self.who.size]
            padded = np.resize(some, self.who.size)
            found = self.problem(jnp.asarray(self.best_z[:, padded]), self.couplings[-1:])
            value = np.nan_to_num(np.asarray(found.value), nan=np.inf)
            self.best[some] = value[: some.size]


@partial(jax.jit, static_argnames="optimiser")
def _move(optimiser, state, fresh, z, found):
    """Where each lane looks next, and its optimiser's state, made anew where it is `fresh`."""
    new = jax.vmap(optimiser.init, -1, -1)(z)
    state = jax.tree.map(partial(jnp.where, fresh), new, state)

    def update(gradient, state, z, value, matrix):
        moves, state = optimiser.update(gradient, state, z, value=value, matrix=matrix)
        return jnp.clip(z + moves, 0.0, 1.0), state

    return jax.vmap(update, -1, -1)(found.gradient, state, z, found.value, found.matrix)
