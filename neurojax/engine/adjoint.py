"""Checkpointed reverse mode: the gradient in any number of parameters for the price of a few runs.

Where memory allows, the forward run keeps every state, and the adjoint is pulled back through them.
Else it leaves a checkpoint every few records, and each segment is run again from its checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from neurojax.engine.folds import Fold
from neurojax.engine.passes.linearize import linearize, tangents_of
from neurojax.engine.passes.materialise import materialised
from neurojax.engine.program import Build, Gradient, Program, Theta, prepare
from neurojax.membrane.electrode import Electrode

SEGMENT = 64
"""Steps a segment, where memory allows: its states then stay in the cache."""


def segment_records(records: int, every: int, state_bytes: int, memory: int) -> int:
    """Records a segment: checkpoints and one segment's states fit into `memory` bytes.

    All of them where every state fits: nothing is then run twice. `state_bytes` is the size of one
    state of all cells that run together. Raises ValueError, with the least that would do, when
    nothing fits.
    """

    def needed(length: int) -> int:
        return state_bytes * (-(-records // length) + length * (every + 1))

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


def forward(p: Program, constants: Any, carry: Any, xs: Any, length: int) -> tuple[Any, Any]:
    """The last carry (state, fold's carry), and the carry before each segment of `length` records.

    `xs` has leading axes `[segment, record]`. This is the scan; a faster engine may take its place.
    """

    def tick(s, e):
        return p.advance(constants, s, e), None

    def record(carry, x):
        s, k = carry
        es, row = x
        s, _ = jax.lax.scan(tick, s, es)
        return (s, p.update(constants, k, s, row)), None

    def segment(carry, x):
        return jax.lax.scan(record, carry, x)[0], carry

    return jax.lax.scan(segment, carry, xs)


def run(
    build: Build,
    theta: Theta,
    electrode: Electrode,
    dt,
    fold: Fold,
    every: int = 1,
    memory: int = 2**28,
    together: int | None = None,
    forward: Callable = forward,
) -> Gradient:
    """Value and gradient of a fold, rows in theta's order, within `memory` bytes of checkpoints.

    The arguments are those of `tangent.run`; `together` cells share the memory (default: those of
    theta), and `forward` makes the first pass. Raises ValueError when the memory is too little for
    any segment length.
    """
    p = prepare(build, theta, electrode, dt, fold, every)
    records = jax.tree.leaves((p.ticks, p.rows))[0].shape[0]
    first = jax.eval_shape(p.start, p.theta)
    size = sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(first))
    if together is not None:
        size = size // math.prod(next(iter(p.theta.values())).shape) * together
    length = segment_records(records, every, size, memory)
    whole = records // length * length
    constants, push = linearize(p.constants, p.theta)
    known = (constants, [tangents_of(push(seed)) for seed in p.seeds()])

    def value(theta):
        carry = p.start(theta)
        values = [theta[k] for k in p.theta]  # a dict that JAX took apart is in another order
        for part, n in ((slice(0, whole), length), (slice(whole, records), records - whole)):
            if n:
                xs = jax.tree.map(lambda a, part=part: a[part], (p.ticks, p.rows))
                xs = jax.tree.map(lambda a, n=n: a.reshape(-1, n, *a.shape[1:]), xs)
                through = _trajectory(p, forward, n, jax.tree.leaves(xs)[0].shape[0])
                carry = through(values, known, carry, xs)
        return p.finish(carry[1])

    result, pull = jax.vjp(value, p.theta)
    (slopes,) = pull(jnp.ones_like(result))
    return Gradient(result, jnp.stack([slopes[k] for k in p.theta]), None)


def _trajectory(p: Program, forward: Callable, length: int, segments: int) -> Callable:
    """The last carry as a function of theta's values and the first carry, with its derivative.

    `known` are the constants at theta and their tangents, one list for each parameter.
    """

    @jax.custom_vjp
    def through(values, known, carry, xs):
        return forward(p, known[0], carry, xs, length)[0]

    def ahead(values, known, carry, xs):
        if segments == 1:
            xs = jax.tree.map(lambda a: a[0], xs)
            last, kept = _replay(p, known[0], carry, xs)
        else:
            last, kept = forward(p, known[0], carry, xs, length)
        return last, (values, known, kept, xs)

    def back(kept, adjoint):
        values, known, states, xs = kept
        constants, tangents = known
        carry = [jnp.zeros_like(x) for x in values], adjoint

        def segment(carry, x):
            checkpoint, xs = x
            _, states = _replay(p, constants, checkpoint, xs)
            return _pull_back(p, constants, tangents, carry, states, xs), None

        if segments == 1:
            sums, adjoint = _pull_back(p, constants, tangents, carry, states, xs)
        else:
            (sums, adjoint), _ = jax.lax.scan(segment, carry, (states, xs), reverse=True)
        return sums, None, adjoint, None

    through.defvjp(ahead, back)
    return through


def _replay(p: Program, constants, checkpoint, xs) -> tuple[Any, Any]:
    """The carry at the end, and for each record: the states before its steps, the one after them,
    and the fold's carry before it."""

    def tick(s, e):
        return p.advance(constants, s, e), s

    def record(carry, x):
        s, k = carry
        es, row = x
        last, before = jax.lax.scan(tick, s, es)
        return (last, p.update(constants, k, last, row)), (before, last, k)

    return jax.lax.scan(record, checkpoint, xs)


def _pull_back(p: Program, constants, tangents: list[list], carry, states, xs):
    """The sums for each parameter and the adjoint, pulled back through every step of a replay."""
    leaves, tree = jax.tree.flatten(constants)
    # Only what depends on theta is differentiated; the rest may be scalars shared by all cells.
    moving = [any(t[c] is not None for t in tangents) for c in range(len(leaves))]

    def pulled(f, *args):
        """The pullback of f(constants, *args): what it adds to the sums, and to the args."""
        free = [leaf for leaf, m in zip(leaves, moving, strict=True) if m]

        def whole(free, *args):
            given = iter(free)
            mixed = [next(given) if m else x for x, m in zip(leaves, moving, strict=True)]
            return f(jax.tree.unflatten(tree, mixed), *args)

        _, pull = jax.vjp(whole, free, *args)

        def back(sums, adjoint):
            slopes, *rest = pull(adjoint)
            given = iter(slopes)
            slopes = [next(given) if m else None for m in moving]
            return [_along(t, slopes, total) for t, total in zip(tangents, sums, strict=True)], rest

        return back

    def step_back(sums, adjoint, s, e):
        sums, (adjoint,) = pulled(lambda c, s: p.advance(c, s, e), s)(sums, adjoint)
        return sums, adjoint

    def tick_back(carry, x):
        return materialised(step_back, p.true)(*carry, *x), None

    def record_back(carry, x):
        sums, (adjoint, k_adjoint) = carry
        (before, last, k), (es, row) = x
        back = pulled(lambda c, k, s: p.update(c, k, s, row), k, last)
        sums, (k_adjoint, from_update) = back(sums, k_adjoint)
        adjoint = jax.tree.map(jnp.add, adjoint, from_update)
        (sums, adjoint), _ = jax.lax.scan(tick_back, (sums, adjoint), (before, es), reverse=True)
        return (sums, (adjoint, k_adjoint)), None

    return jax.lax.scan(record_back, carry, (states, xs), reverse=True)[0]


def _along(tangent: list, slopes: list, total: jax.Array) -> jax.Array:
    """total + sum of tangent * slope over the constants that depend on a parameter."""
    for t, slope in zip(tangent, slopes, strict=True):
        if t is not None:
            # A parameter may reach every compartment of its cell.
            compartments = tuple(range(slope.ndim - total.ndim))
            total = total + (t * slope).sum(compartments)
    return total
