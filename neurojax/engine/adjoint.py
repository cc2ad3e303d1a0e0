"""Checkpointed reverse mode: the gradient in any number of parameters for the price of a few runs.

The forward run leaves a checkpoint every few records; backward, each segment is run again from its
checkpoint, its states are kept, and the adjoint of every step is pulled through them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from neurojax.electrode import Electrode
from neurojax.engine.linear import depends
from neurojax.engine.outline import outlined
from neurojax.engine.pieces import Build, Gradient, Pieces, Theta, cut
from neurojax.fold import Fold

SEGMENT = 32
"""Steps a segment, where memory allows: its states then stay in the cache."""


def segment_records(records: int, every: int, state_bytes: int, memory: int) -> int:
    """Records a segment: checkpoints and one segment's states fit into `memory` bytes.

    `state_bytes` is the size of one state of all cells that run together. Raises ValueError, with
    the least that would do, when nothing fits.
    """

    def needed(length: int) -> int:
        return state_bytes * (-(-records // length) + length * (every + 1))

    length = max(1, min(records, SEGMENT // every))
    least = max(1, round((records / (every + 1)) ** 0.5))
    while needed(length) > memory and length < least:
        length = min(2 * length, least)
    if needed(length) > memory:
        raise ValueError(
            f"the gradient needs {needed(length) / 2**20:.3g} MB for its checkpoints, "
            f"but only {memory / 2**20:.3g} MB are allowed"
        )
    return length


def forward(p: Pieces, constants: Any, carry: Any, xs: Any, length: int) -> tuple[Any, Any]:
    """The last carry (state, fold's carry), and the carry before each segment of `length` records.

    `xs` has leading axes `[segment, record]`. This is the scan; a faster engine may take its place.
    """

    def tick(s, e):
        return p.advance(constants, s, e), None

    def record(carry, x):
        s, k = carry
        es, row = x
        s, _ = jax.lax.scan(tick, s, es)
        return (s, p.look(constants, k, s, row)), None

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
    forward: Callable = forward,
) -> Gradient:
    """Value and gradient of a fold, rows in theta's order, within `memory` bytes of checkpoints.

    The arguments are those of `tangent.run`; `forward` makes the first pass. Raises ValueError when
    the memory is too little for any segment length.
    """
    p = cut(build, theta, electrode, dt, fold, every)
    records = jax.tree.leaves(p.xs)[0].shape[0]
    first = jax.eval_shape(p.first, p.theta)
    size = sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(first))
    length = segment_records(records, every, size, memory)
    whole = records // length * length
    moving = depends(p.constants, p.theta)

    def value(theta):
        constants = p.constants(theta)
        leaves, tree = jax.tree.flatten(constants)
        # Only what depends on theta is differentiated; the rest may be scalars shared by all cells.
        free = [x for x, m in zip(leaves, moving, strict=True) if m]
        rest = [x for x, m in zip(leaves, moving, strict=True) if not m]

        def joined(free, rest):
            given, other = iter(free), iter(rest)
            return jax.tree.unflatten(tree, [next(given) if m else next(other) for m in moving])

        carry = p.first(theta)
        for part, n in ((slice(0, whole), length), (slice(whole, records), records - whole)):
            if n:
                xs = jax.tree.map(lambda a, part=part: a[part], p.xs)
                xs = jax.tree.map(lambda a, n=n: a.reshape(-1, n, *a.shape[1:]), xs)
                carry = _trajectory(p, joined, forward, n)(free, rest, carry, xs)
        return p.finish(carry[1])

    result, pull = jax.vjp(value, p.theta)
    (slopes,) = pull(jnp.ones_like(result))
    return Gradient(result, jnp.stack([slopes[k] for k in p.theta]), None)


def _trajectory(p: Pieces, joined: Callable, forward: Callable, length: int) -> Callable:
    """The last carry as a function of constants and the first carry, with its own derivative."""

    @jax.custom_vjp
    def through(free, rest, carry, xs):
        return forward(p, joined(free, rest), carry, xs, length)[0]

    def ahead(free, rest, carry, xs):
        last, checkpoints = forward(p, joined(free, rest), carry, xs, length)
        return last, (free, rest, checkpoints, xs)

    def back(kept, adjoint):
        free, rest, checkpoints, xs = kept
        sums = jax.tree.map(jnp.zeros_like, free)
        segment = partial(_segment_back, p, joined, free, rest)
        (sums, adjoint), _ = jax.lax.scan(segment, (sums, adjoint), (checkpoints, xs), reverse=True)
        return sums, None, adjoint, None

    through.defvjp(ahead, back)
    return through


def _segment_back(p: Pieces, joined: Callable, free, rest, carry, x):
    """Pull sums and adjoint back through one segment: forward once more, then every step back."""
    checkpoint, xs = x
    constants = joined(free, rest)

    def tick(s, e):
        return p.advance(constants, s, e), s

    def record(carry, x):
        s, k = carry
        es, row = x
        last, before = jax.lax.scan(tick, s, es)
        return (last, p.look(constants, k, last, row)), (before, last, k)

    def step_back(sums, adjoint, s, e):
        _, pull = jax.vjp(lambda free, s: p.advance(joined(free, rest), s, e), free, s)
        more, adjoint = pull(adjoint)
        return jax.tree.map(jnp.add, sums, more), adjoint

    def tick_back(carry, x):
        return outlined(step_back, p.true)(*carry, *x), None

    def record_back(carry, x):
        sums, (adjoint, k_adjoint) = carry
        (before, last, k), (es, row) = x
        _, pull = jax.vjp(lambda free, k, s: p.look(joined(free, rest), k, s, row), free, k, last)
        more, k_adjoint, from_look = pull(k_adjoint)
        sums = jax.tree.map(jnp.add, sums, more)
        adjoint = jax.tree.map(jnp.add, adjoint, from_look)
        (sums, adjoint), _ = jax.lax.scan(tick_back, (sums, adjoint), (before, es), reverse=True)
        return (sums, (adjoint, k_adjoint)), None

    _, states = jax.lax.scan(record, checkpoint, xs)
    return jax.lax.scan(record_back, carry, (states, xs), reverse=True)
