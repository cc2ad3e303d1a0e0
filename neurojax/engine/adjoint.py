"""Checkpointed reverse mode: the gradient in any number of parameters for the price of a few runs.

Where memory allows, the run keeps every state, and the adjoint is pulled back through them. Else it
keeps a state every few records, and each segment is run again from its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurojax.engine.folds import Fold
from neurojax.engine.halves import merged
from neurojax.engine.passes.linearize import linearize, moving
from neurojax.engine.passes.materialise import materialised
from neurojax.engine.program import Build, Gradient, Program, Theta, in_segments, prepare
from neurojax.membrane.compartment import State
from neurojax.membrane.electrode import Electrode
from neurojax.membrane.sums import summed_plainly, zero_sum

SEGMENT = 64
"""Steps a segment, where memory allows: its states then stay in the cache."""


def segment_records(
    records: int, every: int, state_bytes: int, memory: int, fold_bytes: int = 0
) -> int:
    """Records a segment: checkpoints and one segment's states fit into `memory` bytes.

    All of them where every state fits: nothing is then run twice. `state_bytes` is the size of one
    state of all cells that run together, `fold_bytes` that of the fold's carry, which is kept once
    a record. Raises ValueError, with the least that would do, when nothing fits.
    """

    def needed(length: int) -> int:
        checkpoints = -(-records // length) * (state_bytes + fold_bytes)
        return checkpoints + length * ((every + 1) * state_bytes + fold_bytes)

    if needed(records) <= memory:
        return records
    length = max(1, min(records, SEGMENT // every))
    least = max(1, round((records / (every + 1)) ** 0.5))
    while needed(length) > memory and length != least:
        length = min(2 * length, least) if length < least else max(length // 2, least)
    if needed(length) > memory:
        raise ValueError(
            f"the gradient needs {needed(length) / 2**20:.3g} MB for its checkpoints, "
            f"but only {memory / 2**20:.3g} MB are allowed"
        )
    return length


def run(
    build: Build,
    theta: Theta,
    electrode: Electrode,
    dt: Any,
    fold: Fold,
    every: int = 1,
    memory: int = 2**28,
    together: int | None = None,
) -> Gradient:
    """Value and gradient of a fold, rows in theta's order, within `memory` bytes of checkpoints.

    The arguments are those of `tangent.run`; `together` cells share the memory (default: those of
    theta). Raises ValueError when the memory is too little for any segment length, and for a
    coupling without a derivative.
    """
    p = prepare(build, theta, electrode, dt, fold, every)
    xs = p.ticks, p.rows
    records = jax.tree.leaves(p.ticks)[0].shape[0]
    cells = math.prod(p.pop)

    def size(tree: Any) -> int:
        """Bytes of a tree, of all cells that run together."""
        bytes_ = sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(tree))
        return bytes_ // cells * (cells if together is None else together)

    state, carry = jax.eval_shape(p.start, p.theta)
    length = segment_records(records, every, size(state), memory, size(carry))
    steps = _steps(p)

    def value(theta: Theta) -> jax.Array:
        carry = p.start(theta)
        values = [theta[k] for k in p.theta]  # a dict that JAX took apart is in another order
        for cut in in_segments(xs, length):
            carry = _through(steps)(values, carry, cut)
        return p.finish(carry[1])

    result, pull = jax.vjp(value, p.theta)
    (slopes,) = pull(jnp.ones_like(result))
    return Gradient(result, jnp.stack([slopes[k] for k in p.theta]), None)


class _Steps(NamedTuple):
    """A program as functions of those constants that depend on theta, None for all others."""

    constants: Any
    tangents: list[list[Any]]  # of the constants, for each parameter; None for zero
    advance: Callable[[Any, Any, Any], Any]  # (constants, s, e)
    update: Callable[[Any, Any, Any, Any], Any]  # (constants, carry, s, row)
    true: jax.Array


def _steps(p: Program) -> _Steps:
    constants, push = linearize(p.constants, p.theta)
    values, still, tangents = moving(constants, [push(seed) for seed in p.seeds()])

    def of_moving(f: Callable[..., Any]) -> Callable[..., Any]:
        return lambda values, *args: f(merged(values, still), *args)

    return _Steps(values, tangents, of_moving(p.advance), of_moving(p.update), p.true)


def _through(p: _Steps) -> Callable[..., Any]:
    """The last carry (state, fold's carry), with its derivative in theta's values and the first.

    `xs` has leading axes `[segment, record]`.
    """

    @jax.custom_vjp
    def through(values: list[Any], carry: Any, xs: Any) -> Any:
        return ahead(values, carry, xs)[0]

    def ahead(values: list[Any], carry: Any, xs: Any) -> tuple[Any, Any]:
        if jax.tree.leaves(xs)[0].shape[0] == 1:
            last, kept = _replay(p, carry, jax.tree.map(lambda a: a[0], xs))
        else:
            last, kept = jax.lax.scan(lambda carry, x: (_replay(p, carry, x)[0], carry), carry, xs)
        return last, (values, kept, xs)

    def back(kept: Any, adjoint: Any) -> tuple[Any, Any, None]:
        values, kept, xs = kept
        carry = [zero_sum(x.shape, x.dtype) for x in values], adjoint

        def segment(carry: Any, x: Any) -> tuple[Any, None]:
            checkpoint, xs = x
            return _pull_back(p, carry, _replay(p, checkpoint, xs)[1], xs), None

        if jax.tree.leaves(xs)[0].shape[0] == 1:
            sums, adjoint = _pull_back(p, carry, kept, jax.tree.map(lambda a: a[0], xs))
        else:
            (sums, adjoint), _ = jax.lax.scan(segment, carry, (kept, xs), reverse=True)
        return [total.value() for total in sums], adjoint, None

    through.defvjp(ahead, back)
    return through


def _replay(p: _Steps, carry: Any, xs: Any) -> tuple[Any, Any]:
    """The carry after a segment, and for each record: the states before its steps, the one after
    them, and the fold's carry before it."""

    def tick(s: State, e: Electrode) -> tuple[State, State]:
        return p.advance(p.constants, s, e), s

    def record(carry: Any, x: Any) -> tuple[Any, Any]:
        s, k = carry
        es, row = x
        last, before = jax.lax.scan(tick, s, es)
        return (last, p.update(p.constants, k, last, row)), (before, last, k)

    return jax.lax.scan(record, carry, xs)


def _pull_back(p: _Steps, carry: Any, states: Any, xs: Any) -> Any:
    """The sums for each parameter and the adjoint, pulled back through every step of a replay."""

    nothing = [jnp.zeros_like(total.total) for total in carry[0]]

    def pulled(
        f: Callable[..., Any], sums: list[Any], adjoint: Any, *args: Any
    ) -> tuple[list[Any], list[Any]]:
        """The sums with what f(constants, *args) adds to them, and the adjoints of the args."""
        _, pull = jax.vjp(f, p.constants, *args)
        slopes, *rest = pull(adjoint)
        return [_along(t, slopes, total) for t, total in zip(p.tangents, sums, strict=True)], rest

    def step_back(sums: list[Any], adjoint: Any, s: State, e: Electrode) -> tuple[list[Any], Any]:
        sums, (adjoint,) = pulled(lambda c, s: p.advance(c, s, e), sums, adjoint, s)
        return sums, adjoint

    def tick_back(carry: Any, x: Any) -> tuple[Any, None]:
        return materialised(step_back, p.true)(*carry, *x), None

    def record_back(carry: Any, x: Any) -> tuple[Any, None]:
        few, (adjoint, k_adjoint) = carry
        (before, last, k), (es, row) = x
        few, (k_adjoint, of_last) = pulled(
            lambda c, k, s: p.update(c, k, s, row), few, k_adjoint, k, last
        )
        adjoint = jax.tree.map(jnp.add, adjoint, of_last)
        (few, adjoint), _ = jax.lax.scan(tick_back, (few, adjoint), (before, es), reverse=True)
        return (few, (adjoint, k_adjoint)), None

    def some_back(carry: Any, x: Any) -> tuple[Any, None]:
        sums, adjoint = carry
        (few, adjoint), _ = jax.lax.scan(record_back, (nothing, adjoint), x, reverse=True)
        return ([total.plus(term) for total, term in zip(sums, few, strict=True)], adjoint), None

    records = jax.tree.leaves(xs)[0].shape[0]
    for cut in reversed(in_segments((states, xs), summed_plainly(records))):
        carry, _ = jax.lax.scan(some_back, carry, cut, reverse=True)
    return carry


def _along(tangent: list[Any], slopes: Any, total: jax.Array) -> jax.Array:
    """The total with tangent * slope of every constant that depends on a parameter."""
    for t, slope in zip(tangent, jax.tree.leaves(slopes), strict=True):
        if t is not None:
            term = t * slope
            # A parameter may reach every compartment of its cell.
            total = total + term.sum(tuple(range(term.ndim - total.ndim)))
    return total
