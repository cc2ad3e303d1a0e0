"""What a gradient differentiates: a fold over a run, as the functions that an engine repeats.

All that depends on the parameters enters through `constants`, computed once, so a derivative with
respect to a parameter is one with respect to the few constants that it touches.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neurojax.engine import scan
from neurojax.engine.folds import Carry, Fold, SquaredResiduals
from neurojax.engine.inputs import in_steps
from neurojax.engine.passes import hoist
from neurojax.membrane.channel import Leaf
from neurojax.membrane.compartment import Cell, State, SubStep
from neurojax.membrane.electrode import Electrode, Scaled

Theta = Mapping[str, Leaf]
"""Parameters by path name, `[*pop]` each."""

Build = Callable[[Theta], tuple[Cell, State]]
"""The cell at some parameters, and the state in which its run begins."""


CURRENT = "electrode.i."
"""How path names of the sizes of a `Scaled` current begin: "electrode.i.amplitude"."""

DIFFERENTIABLE = ("elementwise", "tree")
"""The couplings that have a derivative."""


class Gradient(NamedTuple):
    """The result of a fold for each cell and its derivative in P parameters, in theta's order."""

    value: Float[Array | np.ndarray, "*pop"]
    gradient: Float[Array | np.ndarray, " P *pop"]
    matrix: (
        Float[Array | np.ndarray, "P P *pop"] | None
    )  # of a sum of squares: J'J, by tangents only


class Program(NamedTuple):
    """A run as functions of constants, which are functions of theta."""

    theta: dict[str, jax.Array]  # broadcast to [*pop]
    constants: Callable[[Theta], Any]
    start: Callable[[Theta], tuple[State, Carry]]  # the first state and the fold's first carry
    sub_steps: list[SubStep]  # move(constants, s, e)
    update: Callable[..., Any]  # the fold's, of (constants, carry, s, row)
    squares: SquaredResiduals | None  # of (constants, s, row), and of the last carry
    finish: Callable[[Any], jax.Array]
    ticks: Electrode  # `[record, every, ...]`
    rows: Any  # `[record, ...]`
    reading: str  # the coupling of what a record reads off a state
    true: jax.Array  # at run time

    @property
    def pop(self) -> tuple[int, ...]:
        """The shape of the population."""
        return next(iter(self.theta.values())).shape

    def seeds(self) -> list[dict[str, jax.Array | None]]:
        """The unit tangent of each parameter: None for all others."""
        return [
            {k: jnp.ones_like(x) if k == one else None for k, x in self.theta.items()}
            for one in self.theta
        ]

    def advance(self, constants: Any, s: State, e: Electrode) -> State:
        """The state one step later."""
        for sub_step in self.sub_steps:
            s = sub_step.move(constants, s, e)
        return s


def prepare(
    build: Build, theta: Theta, electrode: Electrode, dt: Any, fold: Fold, every: int
) -> Program:
    """The program of a run of `build(theta)` under an electrode, to be differentiated.

    Raises ValueError for a sub-step whose coupling has no derivative.
    """
    pop = jnp.broadcast_shapes(*(jnp.shape(x) for x in theta.values()))
    theta = {k: jnp.broadcast_to(x, pop) for k, x in theta.items()}
    electrode = in_steps(build(theta)[0], electrode, dt)
    constant, varying, records = scan.split(electrode, every)
    rows = jax.tree.map(lambda a: jnp.asarray(a)[:records], fold.data)
    row = jax.tree.map(lambda a: a[0], rows)
    squares = fold.squares()
    of_record, of_run = squares or (None, None)
    duration = records * every * dt

    def start(theta: Theta) -> tuple[State, Carry]:
        cell, s = build(theta)
        s = scan.first(cell, _spread(cell, s, pop), electrode)
        return s, fold.init(cell, s)

    def prepared(theta: Theta) -> tuple[Any, Any]:
        """The constants, and the functions of them."""
        cell, (s, carry) = build(theta)[0], jax.eval_shape(start, theta)
        sub_steps = scan.prepare(cell, driven(constant, theta), dt, s, varying)
        update = hoist.prepare(
            lambda cell, carry, s, row: fold.update(carry, cell, s, row), cell, carry, s, row
        )
        residuals = hoist.prepare(of_record, cell, s, row) if of_record else ([], None)
        constants, functions = zip(*sub_steps, update, residuals, strict=True)
        return constants, (cell, functions)

    cell, (*sub_steps, update, residuals) = prepared(theta)[1]
    _check(sub_steps)
    squares = squares and SquaredResiduals(
        residuals and (lambda c, s, row: residuals(c[-1], s, row)),
        of_run and (lambda carry: of_run(carry, duration)),
    )
    return Program(
        theta=theta,
        constants=lambda theta: prepared(theta)[0],
        start=start,
        sub_steps=[
            each._replace(move=lambda c, s, e, k=k, move=each.move: move(c[k], s, e))
            for k, each in enumerate(sub_steps)
        ],
        update=lambda c, carry, s, row: update(c[-2], carry, s, row),
        squares=squares,
        finish=lambda carry: fold.finish(carry, duration),
        ticks=varying,
        rows=rows,
        reading="tree" if cell.state_axes else "elementwise",
        true=_true(theta),
    )


def driven(electrode: Electrode, theta: Theta) -> Electrode:
    """The electrode with the sizes of its current that are among the parameters."""
    sizes = {k.removeprefix(CURRENT): x for k, x in theta.items() if k.startswith(CURRENT)}
    if not sizes or not isinstance(electrode.i, Scaled):
        return electrode
    return electrode._replace(i=dataclasses.replace(electrode.i, **sizes))


def in_segments(xs: Any, length: int) -> list[Any]:
    """What records read, as `[segment, record, ...]`: whole segments, then one of the rest."""
    records = jax.tree.leaves(xs)[0].shape[0]
    whole = records // length * length
    parts = ((slice(0, whole), length), (slice(whole, records), records - whole))
    return [
        jax.tree.map(lambda a, part=part, n=n: a[part].reshape(-1, n, *a.shape[1:]), xs)
        for part, n in parts
        if part.stop > part.start
    ]


def _true(theta: Mapping[str, jax.Array]) -> jax.Array:
    """True, but no compiler knows, not even one to which dt is a constant."""
    return ~(jnp.ravel(next(iter(theta.values())))[0] < -jnp.inf)


def _check(sub_steps: list[SubStep]) -> None:
    """Raise ValueError for a coupling without a derivative."""
    for name, _, coupling in sub_steps:
        if coupling not in DIFFERENTIABLE:
            raise ValueError(
                f"sub-step {name!r} has the coupling {coupling!r}, of which there is no derivative "
                f"yet (have: {', '.join(DIFFERENTIABLE)})"
            )


def _spread(cell: Cell, s: State, pop: tuple[int, ...]) -> State:
    """The state with leaves `[*pop]`, after the axes that they have by themselves."""
    own = len(cell.state_axes)

    def leaf(a: Any) -> jax.Array:
        a = jnp.asarray(a)
        if not own <= a.ndim <= own + len(pop):
            raise ValueError(
                f"a leaf of the first state has the shape {a.shape}: expected the axes "
                f"{(*cell.state_axes, *['pop'] * len(pop))}"
            )
        given, shared = a.shape[:own], [1] * (own + len(pop) - a.ndim)
        return jnp.broadcast_to(a.reshape(*given, *shared, *a.shape[own:]), (*given, *pop))

    return jax.tree.map(leaf, s)
