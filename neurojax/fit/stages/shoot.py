"""Shoot: multiple shooting, where each piece of a trace has a first state of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine import runner, scan
from neurojax.engine.folds import Carry, Fold
from neurojax.engine.program import Gradient
from neurojax.engine.runner import Place
from neurojax.fit.budget import Budget
from neurojax.fit.candidates import Candidates
from neurojax.fit.holding import begin
from neurojax.fit.optimisers import multiple_shooting
from neurojax.fit.optimisers.descent import Schedule, descend
from neurojax.fit.optimisers.levenberg import levenberg_marquardt
from neurojax.fit.precision import Precision, computing, on_host
from neurojax.fit.stages.draw import Draw, found_or_drawn
from neurojax.fit.task import Task
from neurojax.loss import Level, Sweep, Target, VoltageError
from neurojax.membrane.axes import batch_shape, map_cells
from neurojax.membrane.channel import pytree
from neurojax.membrane.compartment import Cell, State, pools
from neurojax.membrane.electrode import Electrode, n_steps
from neurojax.membrane.pipette import before, coupled, with_v
from neurojax.membrane.rest import steady_state
from neurojax.model.space import Space
from neurojax.run.gradients import differentiate

GAP_MV, GAP = 1.0, 0.01
"""A gap of one: of the potential, and of a gate or anything else in a state."""

_GAIN, _PATIENCE = 1e-3, 4
"""A part of the error that is a gain, and iterations without one after which a start is done."""

_BEGUN = levenberg_marquardt(damping=1.0, shrink=multiple_shooting.SHRINK)
"""The optimiser while first states follow the data."""

_APART = {"single": 1e-3, "exact": 1e-6}
"""How far apart cells are, in the unit box, whose first states are compared."""


@dataclass(frozen=True)
class Shoot:
    """Gauss-Newton on pieces of the sweeps, whose gaps weigh more and more.

    A sweep is cut into pieces of `segment_ms`, all simulated at once. At first each begins in the
    state of a cell clamped to the recorded potential, so that no error grows from piece to piece.
    Then these states are free, and the squared gaps, from the end of a piece to where the next
    begins, are added to the mean squared error, times each of `gap_weights` in turn, for a gap of
    1 mV or 0.01 of a gate: loose pieces become one trajectory. Pieces shorter than a spike make
    the first part nearly convex.

    Source: Voss, Timmer & Kurths 2004, Int J Bifurcation Chaos 14:1905,
    doi:10.1142/S0218127404010345, after Bock 1983.
    """

    segment_ms: float = 1.0
    gap_weights: Sequence[float] = (0.1, 10.0)
    starts: int = 64  # random ones, where no stage came before
    draws: int = 4
    every: int = 1  # steps between compared records
    iterations: int = 30  # at most, clamped and at each of `gap_weights`
    name: str = "shoot"

    def run(self, task: Task, found: Candidates | None, budget: Budget) -> Candidates:
        """Each start's end with the error of its free run; best first.

        Raises ValueError for voltage clamp.
        """
        fresh = Draw(self.starts, self.draws, coupling=10.0)
        begun = found_or_drawn(task, found, budget, fresh, self.name)
        problem, z = task.problem(every=self.every), begun.z
        with budget.stage(self.name, problem.unit) as log:
            pieces = _cut(problem.sweeps, self.segment_ms, task.dt, self.every)
            clamped = _Clamped(task, pieces, self.every)
            schedule = Schedule(
                iterations=self.iterations, tolerance=_GAIN, patience=_PATIENCE, optimiser=_BEGUN
            )
            z, _ = descend(clamped, z, schedule, log, z.shape[1])
            free = _Free(task, pieces, self.every)
            schedule = replace(
                schedule, couplings=tuple(self.gap_weights), coarse=_GAIN, optimiser=free.steps
            )
            u = np.concatenate([z, clamped.states(z)])
            z = descend(free, u, schedule, log, z.shape[1])[0][: len(z)]
            log.conclude(errors := problem.error(problem.values(z)))
            return Candidates.sorted(z, errors, problem.unit)
        return begun


class _Pieces(NamedTuple):
    """K pieces of equal length, sweep after sweep, beside each other."""

    electrode: Electrode  # fields in time are `[step, K]`
    target: Target  # `[record, K]`
    start: tuple[Any, Level | None]  # [K] each, the sweep's v_start and level
    first: np.ndarray  # [K] bool: the first piece of its sweep

    @property
    def counts(self) -> tuple[int, ...]:
        """Pieces of each sweep."""
        return tuple(np.diff(np.append(np.flatnonzero(self.first), self.first.size)).tolist())


def _cut(sweeps: Sequence[Sweep], segment_ms: float, dt: float, every: int) -> _Pieces:
    """The pieces of sweeps, all of one length, `segment_ms` or a little more."""
    length = max(1, round(segment_ms / (dt * every))) * every

    def cut(a: Any, each: int, mode: Any) -> np.ndarray:
        a = np.asarray(a)
        count = -(-len(a) * each // length)
        return np.pad(a, (0, count * length // each - len(a)), mode=mode).reshape(count, -1).T

    def beside(leaves: Any, each: int = 1, mode: Any = "edge") -> Any:
        if np.ndim(leaves[0]) == 0:
            return leaves[0]
        return np.concatenate([cut(a, each, mode) for a in leaves], axis=1)

    counts = [-(-n_steps(s.electrode) // length) for s in sweeps]
    target = Target(
        beside([s.error.data.data for s in sweeps], every)[:, : sum(counts)],
        beside([s.error.data.weight for s in sweeps], every, "constant")[:, : sum(counts)],
    )
    return _Pieces(
        electrode=jax.tree.map(lambda *leaves: beside(leaves), *(s.electrode for s in sweeps)),
        target=target,
        start=jax.tree.map(
            lambda *of: np.repeat(of, counts), *((s.v_start, s.level) for s in sweeps)
        ),
        first=np.concatenate([np.arange(n) == 0 for n in counts]),
    )


class _Simulated:
    """Pieces of all starts, simulated in the precision of the task."""

    def __init__(self, task: Task, pieces: _Pieces, every: int):
        self.task, self.pieces, self.every = task, pieces, every
        self.precision: Precision = task.precision
        self.sweeps = task.traces
        self.P, self.K = len(task.space), pieces.first.size

    def error(self, value: Any) -> Any:
        """The root of the mean squared error, gaps included."""
        return np.sqrt(value)

    def simulated(self, z: np.ndarray, x: np.ndarray) -> multiple_shooting.Pieces:
        """The pieces of points z `[P, n]` that begin in x `[n, K, D]`."""
        with computing(self.precision):
            at, begun = jnp.asarray(z), jnp.moveaxis(jnp.asarray(x), -1, 0)
            how = self.task.dt, self.every, runner.place_of(self.task.cell, at)
            found = on_host(_fly(self.task.cell, self.task.space, at, begun, self.pieces, *how))
        return multiple_shooting.Pieces(*(np.moveaxis(a, (-2, -1), (0, 1)) for a in found))

    def clamped(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first states `[n, K, D]` of clamped cells z, and their slopes `[n, K, P, D]`.

        The slopes are differences between cells that are a little apart, for directions only.
        """
        (P, n), apart = z.shape, _APART[self.precision]
        apart = np.where(z > 0.5, -apart, apart)  # inwards
        beside = z[:, None] + apart * np.eye(P)[..., None]
        cells = np.concatenate([z[:, None], beside], axis=1).reshape(P, -1)
        how = self.pieces, self.task.dt, self.pieces.counts
        with computing(self.precision):
            at = jnp.asarray(cells)
            place = runner.place_of(self.task.cell, at)
            x = on_host(_clamped(self.task.cell, self.task.space, at, *how, place))
        x = np.moveaxis(x.reshape(len(x), 1 + P, n, -1), 0, -1)  # [1 + P, n, K, D]
        slopes = (x[1:] - x[0]) / apart[..., None, None]
        return x[0], np.moveaxis(slopes, 0, -2)


class _Clamped(_Simulated):
    """Pieces that begin in the states of a cell that is clamped to the data: parameters alone."""

    def __call__(self, z: np.ndarray, coupling: Any) -> Gradient:
        x, follows = self.clamped(z)
        pieces = self.simulated(z, x)
        half, matrix = multiple_shooting.following(pieces, follows)
        return Gradient(pieces.value.sum(-1), 2 * half.T, np.moveaxis(matrix, 0, -1))

    def states(self, z: np.ndarray) -> np.ndarray:
        """The first states `[K D, n]`, as free unknowns."""
        x, _ = self.clamped(z)
        return x.reshape(len(x), -1).T


class _Free(_Simulated):
    """Pieces whose first states are free: points `[P + K D, n]`, under a weight of gaps each."""

    def __init__(self, task: Task, pieces: _Pieces, every: int):
        super().__init__(task, pieces, every)
        with computing(self.precision):
            scale, low, high = _scales(task.cell)
        self.steps = multiple_shooting.Shooting(self.P, low, high)
        self.gap = scale**-2 * ~pieces.first[1:, None]  # [K - 1, D]

    def __call__(self, u: np.ndarray, weight: np.ndarray) -> multiple_shooting.Found:
        p, x = self.steps.split(u.T)
        pieces = self.simulated(p.T, x)
        weights = np.reshape(weight, (-1, 1, 1)) * self.gap
        return multiple_shooting.found(
            pieces, x, np.broadcast_to(weights, (len(p), *self.gap.shape))
        )


@pytree
class _End(Fold):
    """The last state, as a vector `[D, *pop]`."""

    def init(self, cell: Cell, s: State) -> Carry:
        return jnp.zeros_like(_vector(cell, s))

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        return _vector(cell, s)


def _vector(cell: Cell, s: State) -> jax.Array:
    """A state as a vector: the potential, then gates and pools, without the inputs."""
    return jnp.stack(jax.tree.leaves(s._replace(c={k: s.c[k] for k in pools(cell)}, excess={})))


def _scales(cell: Cell) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each entry of a state: a gap of one, and its bounds, `[D]`."""
    potential, gate, pool = (GAP_MV, -np.inf, np.inf), (GAP, 0.0, 1.0), (GAP, 0.0, np.inf)
    kinds, s = [potential], steady_state(cell, 0.0)
    for key in sorted(s.x):  # a pipette has a potential of its own
        own = gate if cell.channels[key].ionic else potential
        kinds += [own] * len(jax.tree.leaves(s.x[key]))
    kinds += [pool] * len(s.c)
    scale, low, high = np.array(kinds).T
    return scale, low, high


@partial(jax.jit, static_argnames=("space", "every", "place"))
def _fly(
    cell: Cell, space: Space, z: Any, x: Any, pieces: _Pieces, dt: float, every: int, place: Place
) -> multiple_shooting.Pieces:
    """Simulate all pieces of all starts, with tangents in the parameters and first states."""
    (D, n, K), names = x.shape, [f"initial {d}" for d in range(len(x))]
    cell = before(cell, pieces.electrode)

    def build(shared: Any, theta: Any):
        cell, start, first = shared
        cell, s = begin(space.apply(cell, {k: theta[k] for k in space.names}), *start)
        begun, tree = jax.tree.flatten(s)
        own = [jnp.where(first, a, theta[k]) for a, k in zip(begun, names, strict=True)]
        return cell, jax.tree.unflatten(tree, own)

    at = jnp.repeat(z, K, axis=1)
    theta = space.values(at) | dict(zip(names, x.reshape(D, n * K), strict=True))
    slope = jnp.concatenate([space.slopes(at), jnp.ones((D, n * K))])
    cell, pieces = map_cells(lambda a: jnp.tile(a, n), (cell, pieces))
    electrode, target, start, first = pieces
    how = build, (cell, start, first), theta, electrode, dt
    squares = differentiate(*how, VoltageError(data=target), every, place, matrix=True)
    end = differentiate(*how, _End(), n_steps(electrode), place, matrix=True)
    assert squares.matrix is not None
    found = multiple_shooting.Pieces(
        squares.value,
        0.5 * squares.gradient * slope,
        squares.matrix * slope[:, None] * slope[None],
        end.value,
        end.gradient * slope[:, None],
    )
    return jax.tree.map(lambda a: a.reshape(*a.shape[:-1], n, K), found)


@partial(jax.jit, static_argnames=("space", "counts", "place"))
def _clamped(
    cell: Cell, space: Space, z: Any, pieces: _Pieces, dt: float, counts: Any, place: Place
):
    """States `[D, n, K]` in which pieces begin when cells z `[P, n]` are clamped to the data."""
    steps, begun = n_steps(pieces.electrode), []
    theta, live = space.values(z), runner.live_arrays(cell)

    def program(cell: Cell, theta: Any, start: Any, electrode: Electrode):
        cell = space.apply(cell, theta)
        v_start, level = start
        _, s = begin(before(cell, electrode), v_start, level, batch_shape(theta))
        imposed = coupled(cell, electrode, None, dt)
        return s, scan.run(cell, s, imposed, dt, lambda cell, s: s, steps)[1]

    for first, count in zip(np.cumsum([0, *counts]), counts, strict=False):
        here = slice(first, first + count)
        electrode = jax.tree.map(
            lambda a, here=here: a[:, here].T.reshape(-1) if jnp.ndim(a) else a, pieces.electrode
        )
        start = jax.tree.map(lambda a, first=first: a[first], pieces.start)
        things = {"cell": cell, "theta": theta, "start": start, "electrode": electrode}
        s, seen = runner.run_population(program, place, live, **things)
        # Imposed are the data in the middle of each step; a piece begins at their end.
        ends = pieces.target.data[-1, here, None]
        x = _vector(cell, with_v(space.apply(cell, theta), seen, ends))
        begun += [_vector(cell, s)[:, None], x[:, :-1]]
    return jnp.moveaxis(jnp.concatenate(begun, axis=1), 1, -1)
