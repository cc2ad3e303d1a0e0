"""Whether a run can be differentiated: how tangents grow, what is lost, whether sub-steps lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.dtypes import float0
from jaxtyping import Float

from neurojax.engine import tangent
from neurojax.engine.folds import Carry, Fold, Mean
from neurojax.engine.passes.linearize import dense, linearize, none_like, tangents_of
from neurojax.engine.passes.materialise import materialised
from neurojax.engine.program import DIFFERENTIABLE, Build, Theta, prepare
from neurojax.membrane.axes import aligned
from neurojax.membrane.channel import Leaf, pytree
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.electrode import Electrode, n_steps
from neurojax.run.gradients import builder, gradient
from neurojax.run.simulation import checked, simulate

COUPLINGS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Strengths of nudging that are tried, mS/cm2."""

BEARABLE = {"float32": 1e3, "float64": 1e6}
"""By how much tangents may grow before rounding counts."""

MILLIVOLTS = 100.0
"""A change of v by so many mV counts as much as one of a gate by 1."""

_MOST = 5  # cells that a sentence names


class Lost(NamedTuple):
    """Where a cell first left the finite numbers."""

    cell: tuple[int, ...]
    step: int  # 0 is the initial state; the time is step * dt
    t_ms: float
    what: str  # "v", "na.m" or the name of a concentration

    def sentence(self) -> str:
        """In words."""
        cell = f"cell {', '.join(map(str, self.cell))}" if self.cell else "the cell"
        kind = "gate " if "." in self.what else ""
        return f"{cell}, step {self.step} ({self.t_ms:g} ms), {kind}{self.what}"


class Health(NamedTuple):
    """How fit a run is for gradients; `str` tells it in words."""

    wrt: tuple[str, ...]
    t_ms: Float[np.ndarray, " record"]
    exponent: Float[np.ndarray, "*pop"]  # 1/ms, of tangents of the state; positive where they grow
    growth: Float[np.ndarray, " record *pop"]  # how much they have grown, natural logarithm
    sensitivity: Float[np.ndarray, "P record *pop"]  # of the state's change by each parameter
    horizon_ms: Float[np.ndarray, "*pop"]  # until a thousandfold growth (float64: a millionfold)
    nudging: Float[np.ndarray, "*pop"]  # mS/cm2, the weakest with which they shrink; 0: without
    lost: tuple[Lost, ...]
    notes: tuple[str, ...]  # what else is wrong, in words

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def sentences(self) -> list[str]:
        """What a person needs to know."""
        n, told = self.exponent.size, []
        known = self.exponent[np.isfinite(self.exponent)]
        if known.size:
            low, high = known.min(), known.max()
            between = (
                f"{low:.3g}"
                if n == 1
                else f"{low:.3g} to {high:.3g} (median {np.median(known):.3g})"
            )
            told.append(f"tangents grow at a rate of {between} per ms")
        short = self.horizon_ms[np.isfinite(self.horizon_ms)]
        if short.size:
            told.append(
                f"in {short.size} of {n} cells tangents outgrow the precision: fit at most "
                f"{short.min():.4g} ms at a time, or nudge with {_some(self.nudging)} mS/cm2"
            )
        if self.lost:
            first = "; ".join(each.sentence() for each in self.lost[:_MOST])
            told.append(f"{len(self.lost)} of {n} cells left the finite numbers: {first}")
        return [*told, *self.notes]


def _some(nudging: np.ndarray) -> str:
    known = nudging[np.isfinite(nudging)]
    return f"{known.max():g}" if known.size else f"more than {COUPLINGS[-1]:g}"


def health(
    cell: Cell,
    electrode: Electrode,
    dt: float = 0.025,
    *,
    wrt: Sequence[str],
    of: Fold | None = None,
    every: int = 20,
    initial: State | Leaf | None = None,
) -> Health:
    """How tangents grow along a run of a cell or population, what is lost and what has no effect.

    The exponent is the finite-time Lyapunov exponent, from the growth between records (every so
    many steps) under a smooth weight that vanishes at either end: of a cell at rest the slowest
    rate of return, 0 of one that fires regularly. Couplings are tried on the tangents themselves,
    for a cell that is on its data. With an objective `of` its gradient is computed too, in the same
    records: a parameter that it does not depend on, or whose derivative is lost, is named. The
    other arguments are those of `simulate`; `wrt` are those of `gradient`.

    Raises ValueError for an unknown parameter, and where `simulate` does.
    """
    folds = {} if of is None else {"of": of}
    electrode, begun, pop = checked(cell, electrode, dt, every, initial, folds)
    grown = _growth(cell, begun, electrode, dt, tuple(wrt), every, pop)
    state, of_wrt = (np.asarray(a, np.float64) for a in grown)
    t = (1 + np.arange(state.shape[1])) * every * dt
    exponents = _exponents(state, t)
    bearable = np.log(BEARABLE[jnp.result_type(float).name])
    past = state[0] > bearable
    horizon = np.where(past.any(axis=0), t[past.argmax(axis=0)], np.inf)
    shrinks = exponents * t[-1] < -1.0
    nudging = np.where(shrinks.any(0), np.take(COUPLINGS, shrinks.argmax(0)), np.nan)
    lost = _lost(cell, electrode, dt, initial)
    notes = _overflown(wrt, of_wrt, t, lost)
    if of is not None:
        slope = gradient(cell, electrode, dt, of=of, wrt=wrt, every=every, initial=initial)
        notes += describe(wrt, np.asarray(slope.gradient))
    return Health(
        tuple(wrt), t, exponents[0], state[0], of_wrt, horizon, nudging, tuple(lost), tuple(notes)
    )


@partial(jax.jit, static_argnames=("wrt", "every", "pop"))
def _growth(
    cell: Cell,
    initial: Any,
    electrode: Electrode,
    dt: Leaf,
    wrt: tuple[str, ...],
    every: int,
    pop: tuple[int, ...],
) -> tuple[jax.Array, jax.Array]:
    build, shared, theta = builder(cell, initial, wrt, pop, electrode)
    theta = {k: jnp.broadcast_to(x, pop) for k, x in theta.items()}
    return _tangent_growth(lambda theta: build(shared, theta), theta, electrode, dt, every)


def _tangent_growth(
    build: Build, theta: Theta, electrode: Electrode, dt: Any, every: int
) -> tuple[jax.Array, jax.Array]:
    """The logarithm of how much tangents have grown at each record, under each of `COUPLINGS`.

    `[coupling, record, *pop]` of the first state's, since the beginning; `[P, record, *pop]` of the
    state's change by 1 unit of a parameter. A coupling pulls a tangent back as nudging pulls a cell
    towards data that it follows. Tangents of the first state are made short at each record; those
    of parameters are left as a gradient has them, so that they are lost where it is.
    """
    p = prepare(build, theta, electrode, dt, Mean(of="v"), every)
    seeds, G = p.seeds(), len(COUPLINGS)
    constants, push = linearize(p.constants, p.theta)
    own = [none_like(constants)] * G + [push(seed) for seed in seeds]
    s, push = linearize(lambda theta: p.start(theta)[0], p.theta)
    Z = [dense(push(seed), s) for seed in seeds]
    cell = build(p.theta)[0]
    axes = tuple(range(len(cell.state_axes)))
    falls = [jnp.exp(-dt * g / cell.C_m).astype(s.v.dtype) for g in COUPLINGS]

    def length(S: State) -> jax.Array:
        parts = [S.v / MILLIVOLTS, *jax.tree.leaves(S.x), *jax.tree.leaves(S.c)]
        return jnp.sqrt(jnp.asarray(sum(part * part for part in parts)).sum(axes))

    def step(
        s: State, S: list[State], Z: list[State], e: Electrode
    ) -> tuple[State, list[State], list[State]]:
        s, both = tangent.advance(p, constants, own, s, [*S, *Z], e)
        S = [A._replace(v=A.v * fall) for A, fall in zip(both[:G], falls, strict=True)]
        return s, S, both[G:]

    def tick(carry: Any, e: Electrode) -> tuple[Any, None]:
        return materialised(step, p.true)(*carry, e), None

    def record(carry: Any, es: Electrode) -> tuple[Any, Any]:
        (s, S, Z), grown = carry
        (s, S, Z), _ = jax.lax.scan(tick, (s, S, Z), es)
        lengths = [length(A) for A in S]
        short = zip(S, lengths, strict=True)
        S = [jax.tree.map(lambda a, now=now: a / now, A) for A, now in short]
        grown = grown + jnp.log(jnp.stack(lengths))
        return ((s, S, Z), grown), (grown, jnp.log(jnp.stack([length(A) for A in Z])))

    one = State(jnp.full_like(s.v, MILLIVOLTS), *jax.tree.map(jnp.ones_like, (s.x, s.c)))
    one = one._replace(excess=jax.tree.map(jnp.zeros_like, s.excess))
    one = jax.tree.map(lambda leaf: leaf / length(one), one)
    grown = jnp.zeros((G, *p.pop), s.v.dtype)
    _, grown = jax.lax.scan(record, ((s, [one] * G, Z), grown), p.ticks)
    of_state, of_parameters = (jnp.moveaxis(a, 0, 1) for a in grown)
    return of_state, of_parameters


def _exponents(grown: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Mean growth rate (1/ms) `[coupling, *pop]` of log growth `[coupling, record, *pop]`.

    Weighted by a bump that is flat at both ends, in which a periodic part averages out far sooner
    than in the plain mean, and the beginning counts little.
    """
    rate = np.diff(grown, axis=1) / np.diff(t).reshape(-1, *[1] * (grown.ndim - 2))
    x = (np.arange(rate.shape[1]) + 0.5) / max(rate.shape[1], 1)
    weight = np.exp(-1.0 / (x * (1 - x)))
    return np.tensordot(weight / weight.sum(), rate, axes=(0, 1))


@pytree
class FirstLost(Fold):
    """The record at which each part of the state first was not finite, `[part, *pop]`; -1: never.

    The initial state is record 0. Parts are in the order of `parts`.
    """

    counts = True
    tells_failure = True

    def init(self, cell: Cell, s: State) -> Carry:
        return jnp.int32(0), jnp.where(self._gone(cell, s), 0, -1).astype(jnp.int32)

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        count, first = carry
        return count + 1, jnp.where((first < 0) & self._gone(cell, s), count + 1, first)

    def finish(self, carry: Carry, duration: Leaf) -> Any:
        return carry[1]

    @staticmethod
    def _gone(cell: Cell, s: State) -> jax.Array:
        lost = ~jnp.isfinite(jnp.stack([leaf for _, leaf in parts(s)]))
        return lost.any(axis=tuple(range(1, 1 + len(cell.state_axes))))


def parts(s: State) -> list[tuple[str, Any]]:
    """Names and values of a state, in the order in which a step moves them: gates, v, ions."""
    gates = [(f"{c}.{g}", s.x[c][g]) for c in sorted(s.x) for g in sorted(s.x[c])]
    return [*gates, ("v", s.v), *((name, s.c[name]) for name in sorted(s.c))]


def _lost(cell: Cell, electrode: Electrode, dt: float, initial: Any) -> list[Lost]:
    """Every lost cell, where it was lost first: a run that is looked at after every step."""
    run = simulate(cell, electrode, dt, record=(), initial=initial, folds={"first": FirstLost()})
    if np.asarray(run.ok).all():
        return []
    names = [name for name, _ in parts(run.final)]
    first = np.asarray(run.folds["first"])
    steps = np.where(first < 0, n_steps(electrode) + 1, first)
    found = []
    for where in zip(*np.nonzero(~np.asarray(run.ok)), strict=True) if first.ndim > 1 else [()]:
        here = steps[(slice(None), *where)]
        step = int(here.min())
        what = names[int(here.argmin())]
        found.append(Lost(tuple(map(int, where)), step, step * dt, what))
    return found


def _overflown(
    wrt: Sequence[str], of_wrt: np.ndarray, t: np.ndarray, lost: list[Lost]
) -> list[str]:
    """Parameters whose tangents left the finite numbers in cells that did not."""
    kept = np.ones(of_wrt.shape[2:], dtype=bool)
    for each in lost:
        kept[each.cell] = False
    notes = []
    for name, grown in zip(wrt, of_wrt, strict=True):
        gone = (np.isnan(grown) | (grown == np.inf)) & kept
        if gone.any():
            cells = int(gone.any(axis=0).sum())
            when = t[gone.reshape(len(t), -1).any(axis=1).argmax()]
            notes.append(
                f"{name}: its tangents overflow in {cells} of {kept.size} cells, first at "
                f"{when:g} ms: its gradient is lost there, though the cells are finite"
            )
    return notes


def describe(wrt: Sequence[str], slope: np.ndarray) -> list[str]:
    """What is wrong with a gradient `[P, *pop]`, in words: rows that are zero or not finite."""
    notes = []
    for name, row in zip(wrt, np.asarray(slope), strict=True):
        zero, gone, n = int((row == 0).sum()), int((~np.isfinite(row)).sum()), row.size
        if zero and zero == n - gone:
            which = "the cell" if n == 1 else f"all {zero} cells" + " that are finite" * bool(gone)
            notes.append(f"{name}: the objective does not depend on it: zero derivative in {which}")
        elif zero:
            notes.append(f"{name}: zero derivative in {zero} of {n} cells")
        if gone:
            notes.append(f"{name}: the derivative is not finite in {gone} of {n} cells")
    return notes


def check_couplings(cell: Any, s: State, e: Electrode, dt: float) -> None:
    """Raise ValueError for a sub-step of a cell that mixes more than its coupling says.

    Tangents of each sub-step, from the state `s` on and under one tick `e` of an electrode, are
    made as the engine makes them and by `jax.jvp`, in a random direction of all parameters and the
    state; and no cell of a population may act on another. Give a state away from rest, at least two
    cells, and float64. What a sub-step does not feel in this state is not seen.
    """
    numbers = np.random.default_rng(0)
    rounding = 1e5 * float(jnp.finfo(jnp.result_type(float)).eps)

    def floating(a: Any) -> bool:
        return jnp.issubdtype(jnp.result_type(a), jnp.floating)

    def direction(a: Any) -> jax.Array | None:
        """Each number moves by about its own size; integers do not."""
        if not floating(a):
            return None
        return jnp.asarray(numbers.normal(size=jnp.shape(a)) * (0.1 + np.abs(a)), a.dtype)

    def moving(leaves: list[Any], s: State) -> tuple[list[Any], State, State]:
        own, ds = jax.tree.map(direction, (leaves, s))
        return own, s, ds

    def pushed(f: Callable[..., Any], primals: Any, tangents: Any) -> list[jax.Array]:
        """The tangents of f by JAX, of numbers that are floating."""
        zeros = [np.zeros(jnp.shape(a), float0) for a in jax.tree.leaves(primals)]
        given = zip(zeros, tangents_of(tangents), strict=True)
        full = [zero if t is None else t for zero, t in given]
        full = jax.tree.unflatten(jax.tree.structure(primals), full)
        value, found = jax.jvp(f, primals, full)
        kept = zip(jax.tree.leaves(value), jax.tree.leaves(found), strict=True)
        return [t for a, t in kept if floating(a)]

    s = jax.tree.map(jnp.asarray, s)
    cell = aligned(cell, s.v.shape[len(cell.state_axes) :])
    leaves, tree = jax.tree.flatten(jax.tree.map(jnp.asarray, cell))
    alone = s.v.ndim == len(cell.state_axes)
    for name, move, coupling in cell.sub_steps():

        def f(leaves: list[Any], s: State, move: Callable[..., State] = move) -> State:
            return move(jax.tree.unflatten(tree, leaves), s, e, dt)

        @jax.jit
        def compared(
            leaves: list[Any],
            own: list[Any],
            s: State,
            ds: State,
            f: Callable[..., State] = f,
            coupling: str = coupling,
        ) -> tuple[State, tuple[list[Any], list[Any], list[Any]]]:
            """As the engine makes them, as JAX does, and with only the first cell moving."""
            new, (found,) = tangent.moved(f, coupling, leaves, [own], s, [ds])
            first = jax.tree.map(lambda t: t if alone else t.at[..., 1:].set(0.0), ds)
            none = jax.tree.map(jnp.zeros_like, own)
            exact = pushed(f, (leaves, s), (own, ds))
            of_first = pushed(f, (leaves, s), (none, first))
            return new, (jax.tree.leaves(found), exact, of_first)

        if coupling not in DIFFERENTIABLE:
            s = f(leaves, s)
        else:
            s, told = compared(leaves, *moving(leaves, s))
            for a, b, of_first in zip(*told, strict=True):
                wrong, size = np.abs(a - b).max(), np.abs(b).max()
                if not wrong <= rounding * size:
                    raise ValueError(
                        f"sub-step {name!r} is not {coupling!r}: its tangents are wrong by up to "
                        f"{wrong:.3g} of {size:.3g}"
                    )
                if not alone and np.any(of_first[..., 1:]):
                    raise ValueError(f"sub-step {name!r} is not {coupling!r}: it mixes cells")
