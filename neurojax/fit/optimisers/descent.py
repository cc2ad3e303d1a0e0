"""descend: many starts minimise a cost function side by side, each until it gains no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax

from neurojax.engine import processes
from neurojax.fit.budget import StageLog
from neurojax.fit.optimisers.levenberg import LEVENBERG_MARQUARDT, LevenbergState
from neurojax.fit.precision import RESOLUTION, Precision, computing

FEWEST, LANES = 8, 64
"""Starts computed at once, of several at least and on each device at most.

Where one ends, a waiting one takes its place.
"""


class CostFunction(Protocol):
    """What is minimised: a `Problem`, or the pieces of multiple shooting."""

    @property
    def sweeps(self) -> Sequence[Any]:
        """What is simulated for each point."""
        ...

    @property
    def precision(self) -> Precision: ...

    def __call__(self, z: np.ndarray, coupling: np.ndarray, /) -> Any:
        """The `value` `[n]` of points z `[P, n]`, under a coupling each, and what steps need."""
        ...

    def error(self, value: Any) -> Any:
        """The error that a person reads of a value."""
        ...


class Steps(Protocol):
    """An optimiser of many starts at once: how it goes on from what was found at points `[P, n]`.

    A state is a tree of NumPy arrays `[n, ...]`. What it counts, steps `rejected` and `clipped`,
    are fields of it.
    """

    def begin(self, z: np.ndarray) -> Any:
        """The state of starts that have found nothing yet."""
        ...

    def move(self, state: Any, z: np.ndarray, found: Any) -> tuple[np.ndarray, Any]:
        """Where to look next, `[P, n]`, and the new state."""
        ...


@dataclass(frozen=True)
class Schedule:
    """How a start descends: from coupling to coupling, at each until it gains no more."""

    couplings: Sequence[float] = (0.0,)  # to the data, mS/cm2, strong to weak; the last one counts
    iterations: int = 60  # at most, at each coupling
    tolerance: float = 1e-6  # of its value: what is less is no gain, at the last coupling
    coarse: float = 1e-2  # and at those before
    patience: int = 6  # iterations without a gain after which a start is done
    optimiser: optax.GradientTransformation | Steps = LEVENBERG_MARQUARDT
    names: tuple[str, ...] = ()  # of the coordinates, by which an optimiser of optax sees them


def lanes(n: int) -> int:
    """How many lanes n starts take: few numbers, since each has a program of its own.

    A vector of 8 costs no more than a single lane, but four times as much where cells have many
    compartments: there one start is alone, two to four cost as much side by side.
    """
    return 1 if n == 1 else max(FEWEST, min(n, LANES * len(processes.devices())))


def descend(
    problem: CostFunction,
    z: np.ndarray,
    schedule: Schedule,
    log: StageLog,
    width: int | None = None,
    fixed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Each start's best point `[P, n]` at the last coupling, and its value `[n]`, from z `[P, n]`.

    A start that is not finite ends at once, with an infinite value. When the stage's time is up, or
    on Ctrl-C, every start is still looked at once, for it is the last coupling that counts. One
    program serves all calls of one `width`, the number of starts at a time. Coordinates `fixed`
    `[P, n]` stay where they are.
    """
    z = np.asarray(z, dtype=np.float64)
    fixed = np.zeros(z.shape, dtype=bool) if fixed is None else fixed
    descent = _Descent(problem, z, schedule, width or lanes(z.shape[1]), fixed)
    try:
        while descent.under_way and not log.hurried:
            simulated = descent.simulated
            descent.move()
            log.step(*descent.progress(), simulated, descent.errors())
            log.keep(descent.so_far)
    except KeyboardInterrupt:
        log.budget.interrupted = True
    descent.conclude()
    if descent.counts:
        log.count(descent.rejected, descent.clipped)
    return descent.best_z, descent.best


class _Descent:
    """One start in each lane, others that wait, and the results of all, `[n]` each."""

    def __init__(
        self,
        problem: CostFunction,
        z: np.ndarray,
        schedule: Schedule,
        width: int,
        fixed: np.ndarray,
    ):
        self.problem, self.schedule, self.n = problem, schedule, z.shape[1]
        self.couplings = np.asarray(schedule.couplings, dtype=np.float64)
        self.best_z, self.best, self.fixed = z.copy(), np.full(self.n, np.inf), fixed
        self.seen = np.zeros(self.n, dtype=bool)  # at the last coupling
        lanes = np.arange(width)
        self.who = np.where(lanes < self.n, lanes, -1)  # the start in each lane, -1: none
        self.waiting = min(width, self.n)  # the next start that has not begun
        self.z = z[:, lanes % self.n].copy()  # where to look next
        self.here, self.value = self.z.copy(), np.full(width, np.inf)  # best at this coupling
        self.level, self.age, self.quiet = (np.zeros(width, dtype=int) for _ in range(3))
        self.least = np.maximum(
            [schedule.coarse, schedule.tolerance], RESOLUTION[problem.precision]
        )
        self.steps = _steps(schedule, problem.precision)
        self.state = self.steps.begin(self.z)
        self.counts = hasattr(self.state, "rejected")
        self.rejected = self.clipped = 0

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
        """Mean iterations done and to come at most, and the best error at the weakest coupling."""
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

    def so_far(self) -> tuple[np.ndarray, np.ndarray]:
        """The best point of every start, `[P, n]`, and its error at the last coupling."""
        z, there = self.best_z.copy(), self._last & (self.who >= 0)
        z[:, self.who[there]] = self.here[:, there]
        return z, self.errors()

    def move(self) -> None:
        """One iteration in every lane; a start that is done goes on to what comes next."""
        found = self.problem(self.z, self.couplings[self.level])
        onward = self._onward(found)
        value = np.nan_to_num(found.value, nan=np.inf)
        gained = value < (1 - self.least[self._last.astype(int)]) * self.value
        better = value < self.value
        self.here = np.where(better, self.z, self.here)
        self.value = np.where(better, value, self.value)
        self.quiet = np.where(gained, 0, self.quiet + 1)
        self.age += 1
        self.z = onward
        done = (self.quiet >= self.schedule.patience) | (self.age >= self.schedule.iterations)
        done |= ~np.isfinite(self.value)
        for lane in map(int, np.flatnonzero(done & (self.who >= 0))):
            self._go_on(lane)

    def _onward(self, found: Any) -> np.ndarray:
        """Where each lane looks next. An optimiser begins anew where a start or a coupling does."""
        if (fresh := self.age == 0).any():
            new = self.steps.begin(self.z)
            self.state = jax.tree.map(lambda a, b: _where(fresh, a, b), new, self.state)
        fixed = self.fixed[:, self.who]
        if fixed.any():
            found = found._replace(gradient=np.where(fixed, 0.0, found.gradient))
            if found.matrix is not None:
                both = fixed[:, None] | fixed[None]
                found = found._replace(matrix=np.where(both, 0.0, found.matrix))
        onward, self.state = self.steps.move(self.state, self.z, found)
        return np.where(fixed, self.z, onward)

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
        if self.counts:
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
            found = self.problem(
                self.best_z[:, padded], np.repeat(self.couplings[-1:], len(padded))
            )
            self.best[some] = np.nan_to_num(found.value, nan=np.inf)[: some.size]


def _where(which: np.ndarray, a: Any, b: Any) -> Any:
    """a where `which` `[n]`, else b, for arrays `[n, ...]`."""
    return np.where(which.reshape(-1, *[1] * (np.ndim(a) - 1)), a, b)


def needs_matrix(optimiser: optax.GradientTransformation) -> bool:
    """Whether it is Levenberg-Marquardt, for sums of squares; any other makes do with a slope."""
    try:
        return isinstance(optimiser.init(np.zeros(1)), LevenbergState)
    except Exception:  # one that looks for names in a point, as a mask does, finds none in this
        return False


def _steps(schedule: Schedule, precision: Precision) -> Steps:
    optimiser = schedule.optimiser
    if not isinstance(optimiser, optax.GradientTransformation):
        return optimiser
    if needs_matrix(optimiser):
        return _OnHost(optimiser)
    return _InProgram(optax.with_extra_args_support(optimiser), precision, schedule.names)


@dataclass(frozen=True)
class _OnHost:
    """Levenberg-Marquardt, whose linear algebra is float64 on the host."""

    optimiser: Any

    def begin(self, z: np.ndarray) -> Any:
        return self.optimiser.init(z.T)

    def move(self, state: Any, z: np.ndarray, found: Any) -> tuple[np.ndarray, Any]:
        matrix = np.moveaxis(found.matrix, -1, 0)
        with np.errstate(all="ignore"):  # of starts that are lost
            moves, state = self.optimiser.update(
                found.gradient.T, state, z.T, value=found.value, matrix=matrix
            )
        return (z.T + moves).T, state


@dataclass(frozen=True)
class _InProgram:
    """Any other transformation of optax, one start beside the other.

    It sees a point as a dictionary by `names`, so that masks and labels can name parameters.
    """

    optimiser: Any
    precision: Precision
    names: tuple[str, ...]

    def begin(self, z: np.ndarray) -> Any:
        with computing(self.precision):
            begun = jax.vmap(lambda z: self.optimiser.init(_named(z, self.names)))(jnp.asarray(z.T))
            return jax.tree.map(np.asarray, begun)

    def move(self, state: Any, z: np.ndarray, found: Any) -> tuple[np.ndarray, Any]:
        matrix = None if found.matrix is None else np.moveaxis(found.matrix, -1, 0)
        found = found.gradient.T, found.value, matrix
        with computing(self.precision):
            moves, state = _moves(self.optimiser, self.names, state, z.T, *found)
            moves, state = jax.tree.map(np.asarray, (moves, state))
        return np.clip(z + moves.T, 0.0, 1.0), state


def _named(z: jax.Array, names: tuple[str, ...]) -> Any:
    """A point `[P]` by the names of its coordinates; as it is where they have none."""
    return dict(zip(names, z, strict=True)) if names else z


@partial(jax.jit, static_argnames=("optimiser", "names"))
def _moves(
    optimiser: Any,
    names: tuple[str, ...],
    state: Any,
    z: Any,
    gradient: Any,
    value: Any,
    matrix: Any,
) -> Any:
    def update(gradient: Any, state: Any, z: Any, value: Any, matrix: Any):
        slope, at = _named(gradient, names), _named(z, names)
        moves, state = optimiser.update(slope, state, at, value=value, matrix=matrix)
        return jnp.stack([moves[k] for k in names]) if names else moves, state

    return jax.vmap(update)(gradient, state, z, value, matrix)
