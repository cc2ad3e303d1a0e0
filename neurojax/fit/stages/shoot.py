"""Shoot: multiple shooting, where each piece of a trace has a first state of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine import runner, scan
from neurojax.engine.folds import Fold
from neurojax.fit.budget import Budget, StageLog
from neurojax.fit.candidates import Candidates
from neurojax.fit.holding import begin
from neurojax.fit.optimisers import multiple_shooting
from neurojax.fit.space import Space
from neurojax.fit.stages.draw import Draw, found_or_drawn
from neurojax.fit.task import Task
from neurojax.loss import Level, Sweep, Target, VoltageError
from neurojax.membrane.axes import map_cells
from neurojax.membrane.channel import pytree
from neurojax.membrane.compartment import Cell, State, steady_state
from neurojax.membrane.electrode import IDEAL_CLAMP_G, Electrode, n_steps
from neurojax.membrane.pipette import before, coupled, with_v
from neurojax.run.gradients import differentiate

GAP_MV, GAP = 1.0, 0.01
"""A gap of one: of the potential, and of a gate or anything else in a state."""


@dataclass(frozen=True)
class Shoot:
    """Gauss-Newton on pieces of the sweeps, whose gaps weigh more and more (float64).

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
        """Each start's end, judged by the error of its free run; best first.

        Raises ValueError for voltage clamp.
        """
        fresh = Draw(self.starts, self.draws, coupling=10.0)
        found = found_or_drawn(task, found, budget, fresh, self.name)
        z = found.z
        with jax.enable_x64(True):
            problem = task.problem(every=self.every)
            with budget.stage(self.name, problem.unit) as log:
                pieces = _cut(problem.sweeps, self.segment_ms, task.dt, self.every)
                shots = _Shots(task, pieces, z, self.every)
                try:
                    self._join(shots, log)
                except KeyboardInterrupt:
                    budget.interrupted = True
                errors = problem.error(problem.values(jnp.asarray(shots.z)))
                log.conclude(errors)
                return Candidates.sorted(shots.z, errors, problem.unit)
        return found

    def _join(self, shots: _Shots, log: StageLog) -> None:
        total = (1 + len(self.gap_weights)) * self.iterations
        for k, weight in enumerate((None, *self.gap_weights)):
            shots.weigh(weight)
            for m in range(self.iterations):
                if log.hurried or shots.converged:
                    break
                shots.move()
                best = float(np.sqrt(shots.cost.min()))
                log.step(k * self.iterations + m + 1, total, best, evaluations=shots.z.shape[1])


class _Pieces(NamedTuple):
    """K pieces of equal length, sweep after sweep, beside each other."""

    electrode: Electrode  # fields in time are `[step, K]`
    target: Target  # `[record, K]`
    start: tuple[Any, Level | None]  # [K] each, the sweep's v_start and level
    first: np.ndarray  # [K] bool: the first piece of its sweep

    @property
    def counts(self) -> tuple[int, ...]:
        """Pieces of each sweep."""
        return tuple(np.diff([*np.flatnonzero(self.first), self.first.size]).tolist())


def _cut(sweeps: Sequence[Sweep], segment_ms: float, dt: float, every: int) -> _Pieces:
    """The pieces of sweeps, all of one length, `segment_ms` or a little more."""
    length = max(1, round(segment_ms / (dt * every))) * every

    def cut(a, each, mode):
        a = np.asarray(a)
        count = -(-len(a) * each // length)
        return np.pad(a, (0, count * length // each - len(a)), mode=mode).reshape(count, -1).T

    def beside(leaves, each=1, mode="edge"):
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


class _Shots:
    """All starts under way: their points z `[P, n]`, and states x `[D, n, K]` of pieces."""

    def __init__(self, task: Task, pieces: _Pieces, z: np.ndarray, every: int):
        self.task, self.pieces, self.every, self.z = task, pieces, every, z
        self.x, self.follows = self._clamp(z)
        scale, self.low, self.high = _scales(task.cell)
        self.gap = scale[:, None] ** -2 * ~pieces.first[1:]  # [D, K - 1]
        self.flight = self._fly(self.z, self.x)

    def _fly(self, z, x) -> multiple_shooting.Flight:
        place = runner.place_of(self.task.cell, z)
        how = self.task.dt, self.every, place
        return _fly(self.task.cell, self.task.space, z, x, self.pieces, *how)

    def _clamp(self, z):
        how = self.pieces, self.task.dt, self.pieces.counts
        return _clamped(self.task.cell, self.task.space, jnp.asarray(z), *how)

    def weigh(self, weight: float | None) -> None:
        """Begin anew with another weight of the gaps; None: with states of the clamped cell."""
        self.led = weight is None
        self.weights = (weight or 0.0) * self.gap
        self.damping, self.quiet = np.ones(self.z.shape[1]), np.zeros(self.z.shape[1], dtype=int)
        self.cost = self._cost(self.flight, self.x)

    def _cost(self, flight, x) -> np.ndarray:
        return np.nan_to_num(
            np.asarray(multiple_shooting.cost(flight, x, self.weights)), nan=np.inf
        )

    @property
    def converged(self) -> bool:
        """Whether no start gains any more at this weight."""
        return bool((self.quiet >= 4).all())

    def move(self) -> None:
        """One step of every start."""
        follows = self.follows
        if self.led:
            dz = multiple_shooting.led(self.flight, self.z, self.follows, self.damping)
            z = np.clip(self.z + np.asarray(dz), 0.0, 1.0)
            x, follows = self._clamp(z)
        else:
            dz, dx = multiple_shooting.step(self.flight, self.z, self.x, self.weights, self.damping)
            z = np.clip(self.z + np.asarray(dz), 0.0, 1.0)
            x = np.clip(self.x + np.asarray(dx), self.low[:, None, None], self.high[:, None, None])
        flight = self._fly(z, x)
        cost = self._cost(flight, x)
        better = cost < self.cost
        self.quiet = np.where(cost < 0.999 * self.cost, 0, self.quiet + 1)
        self.z, now = np.where(better, z, self.z), (x, follows, flight)
        self.x, self.follows, self.flight = jax.tree.map(
            lambda a, b: jnp.where(better[:, None], a, b),
            now, (self.x, self.follows, self.flight),
        )  # fmt: skip
        self.cost = np.where(better, cost, self.cost)
        self.damping = np.clip(self.damping * np.where(better, 0.3, 4.0), 1e-9, 1e9)


@pytree
class _End(Fold):
    """The last state, as a vector `[D, *pop]`."""

    def init(self, cell, s):
        return jnp.zeros_like(_vector(cell, s))

    def update(self, carry, cell, s, row):
        return _vector(cell, s)


def _vector(cell: Cell, s: State) -> jax.Array:
    """A state as a vector: the potential, then gates and pools, without the inputs."""
    pools = {k: s.c[k] for name, ion in cell.ions.items() for k in ion.pools(name)}
    return jnp.stack(jax.tree.leaves(s._replace(c=pools)))


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
def _fly(cell, space: Space, z, x, pieces: _Pieces, dt, every, place) -> multiple_shooting.Flight:
    """Simulate all pieces of all starts, with tangents in the parameters and first states."""
    (D, n, K), names = x.shape, [f"initial {d}" for d in range(len(x))]
    cell = before(cell, pieces.electrode)

    def build(shared, theta):
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
    flight = multiple_shooting.Flight(
        squares.value,
        0.5 * squares.gradient * slope,
        squares.matrix * slope[:, None] * slope[None],
        end.value,
        end.gradient * slope[:, None],
    )
    return jax.tree.map(lambda a: a.reshape(*a.shape[:-1], n, K), flight)


@partial(jax.jit, static_argnames=("space", "counts"))
def _clamped(cell, space: Space, z, pieces: _Pieces, dt, counts):
    """The states `[D, n, K]` in which pieces begin when cells z are clamped to the data.

    And their slopes in z, `[P, D, n, K]`.
    """
    x, slope = jax.linearize(lambda z: _begin(cell, space, z, pieces, dt, counts), z)
    unit = jnp.eye(len(z))[..., None] * jnp.ones_like(z)
    return x, jax.vmap(slope)(unit)


def _begin(cell, space: Space, z, pieces: _Pieces, dt, counts):
    cell, n, begun = space.apply(cell, space.values(z)), len(pieces.electrode.v_cmd), []
    for first, count in zip(np.cumsum([0, *counts]), counts, strict=False):
        here = slice(first, first + count)
        electrode = jax.tree.map(
            lambda a, here=here: a[:, here].T.reshape(-1) if jnp.ndim(a) else a, pieces.electrode
        )
        v_start, level = jax.tree.map(lambda a, first=first: a[first], pieces.start)
        _, s = begin(before(cell, electrode), v_start, level, z.shape[1:])
        imposed = coupled(cell, electrode, IDEAL_CLAMP_G, dt)
        _, seen, _ = scan.run(cell, s, imposed, dt, lambda cell, s: s, n)
        # Imposed are the data in the middle of each step; a piece begins at their end.
        ends = pieces.target.data[-1, here, None]
        x = _vector(cell, with_v(cell, seen, ends))
        begun += [_vector(cell, s)[:, None], x[:, :-1]]
    return jnp.moveaxis(jnp.concatenate(begun, axis=1), 1, -1)
