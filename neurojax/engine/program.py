"""What a gradient differentiates: a fold over a run, cut into the pieces that an engine repeats.

All that depends on the parameters enters through `constants`, computed once, so a derivative with
respect to a parameter is one with respect to the few constants that it touches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurojax.engine import scan
from neurojax.engine.folds import Fold, Told
from neurojax.engine.passes import hoist
from neurojax.membrane.channel import Leaf
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.electrode import Electrode

Theta = Mapping[str, Leaf]
"""Parameters by path name, `[*pop]` each."""

Build = Callable[[Theta], tuple[Cell, State]]
"""The cell at some parameters, and the state in which its run begins."""


class Gradient(NamedTuple):
    """The result of a fold for each cell and its derivative in P parameters, in theta's order."""

    value: jax.Array  # [*pop]
    gradient: jax.Array  # [P, *pop]
    matrix: jax.Array | None  # [P, P, *pop] of a sum of squares: J'J, by tangents only


class Pieces(NamedTuple):
    """A run as functions of constants, which are functions of theta."""

    theta: dict[str, jax.Array]  # broadcast to [*pop]
    constants: Callable[[Theta], Any]
    first: Callable[[Theta], tuple[State, Any]]  # the initial state and the fold's carry
    moves: list[Callable[[Any, State, Electrode], State]]  # the parts of a step
    look: Callable[[Any, Any, State, Any], Any]  # the carry with one more record
    squares: bool  # whether the result is a sum of squares
    residual: Callable[[Any, State, Any], jax.Array] | None  # of a record, where it tells any
    residuals: Callable[[Any], jax.Array] | None  # of the last carry, where it tells any
    finish: Callable[[Any], jax.Array]
    xs: tuple[Electrode, Any]  # ticks `[record, every, ...]` and rows `[record, ...]`
    true: Any  # at run time

    def seeds(self) -> list[dict[str, jax.Array | None]]:
        """The unit tangent of each parameter: None for all others."""
        return [
            {k: jnp.ones_like(x) if k == one else None for k, x in self.theta.items()}
            for one in self.theta
        ]

    def advance(self, constants: Any, s: State, e: Electrode) -> State:
        """The state one step later."""
        for move in self.moves:
            s = move(constants, s, e)
        return s


def cut(
    build: Build,
    theta: Theta,
    electrode: Electrode,
    dt,
    fold: Fold,
    every: int,
) -> Pieces:
    """The pieces of a run of `build(theta)` under an electrode."""
    pop = jnp.broadcast_shapes(*(jnp.shape(x) for x in theta.values()))
    theta = {k: jnp.broadcast_to(x, pop) for k, x in theta.items()}
    constant, varying, records = scan.split(electrode, every)
    rows = jax.tree.map(lambda a: jnp.asarray(a)[:records], fold.data)
    row = jax.tree.map(lambda a: a[0], rows)
    squares = fold.squares()
    each, ended = squares or Told(None, None)
    duration = records * every * dt

    def first(theta):
        cell, s = build(theta)
        s = scan.first(jax.tree.map(lambda a: jnp.broadcast_to(a, pop), s), electrode)
        return s, fold.init(cell, s)

    def prepared(theta):
        cell, (s, carry) = build(theta)[0], jax.eval_shape(first, theta)
        moves = scan.moving(cell, constant, dt, s, varying)
        looking = hoist.prepare(
            lambda cell, carry, s, row: fold.update(carry, cell, s, row), cell, carry, s, row
        )
        residual = ([], None)  # no constants
        if each is not None:
            residual = hoist.prepare(each, cell, s, row)
        return zip(*moves, looking, residual, strict=True)

    _, (*moves, look, residual) = prepared(theta)
    return Pieces(
        theta=theta,
        constants=lambda theta: next(iter(prepared(theta))),
        first=first,
        moves=[lambda c, s, e, k=k, move=move: move(c[k], s, e) for k, move in enumerate(moves)],
        look=lambda c, carry, s, row: look(c[-2], carry, s, row),
        squares=squares is not None,
        residual=residual and (lambda c, s, row: residual(c[-1], s, row)),
        residuals=ended and (lambda carry: ended(carry, duration)),
        finish=lambda carry: fold.finish(carry, duration),
        xs=(varying, rows),
        true=jnp.asarray(dt) > 0,
    )
