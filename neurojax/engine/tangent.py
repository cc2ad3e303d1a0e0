"""Forward sensitivities: the tangents of the state are carried along, so nothing grows with time.

With S = ds/dtheta, one per parameter, every step is S <- J S + D, where J = ds'/ds and D =
ds'/dtheta holds the parameter's own push. The exponentials are evaluated once for all parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurojax.cell import Cell, State, step
from neurojax.channel import Leaf
from neurojax.electrode import Electrode
from neurojax.engine.linear import linearize
from neurojax.engine.scan import merge, split

Residual = Callable[[Cell, State, Any], jax.Array]
"""(cell, state, target of this record) -> weighted residuals `[R, *pop]`."""

BLOCK = 128
"""Records whose residuals are kept until one matrix product folds them."""


class GaussNewton(NamedTuple):
    """Sum of squares of a streamed residual r(theta), and its quadratic model."""

    value: jax.Array  # [pop]: sum of r^2
    gradient: jax.Array  # [P, pop]: J' r, half the gradient of value
    matrix: jax.Array  # [P, P, pop]: J' J


def run(
    build: Callable[[Mapping[str, Leaf]], Cell],
    theta: Mapping[str, Leaf],
    initial: Callable[[Cell], State],
    electrode: Electrode,
    dt,
    residual: Residual,
    targets: Any,
    every: int = 1,
) -> GaussNewton:
    """Integrate with tangents for every entry of theta (each `[pop]`), folding the residuals.

    `build(theta)` makes the cell, `initial(cell)` its first state (differentiated too), `targets`
    is a pytree with a leading record axis. Rows P are in theta's order, which jit sorts by name if
    theta is its argument. Memory does not grow with the number of steps.
    """
    names = list(theta)
    pop = jnp.broadcast_shapes(*(jnp.shape(theta[k]) for k in names))
    theta = {k: jnp.broadcast_to(theta[k], pop) for k in names}
    seeds = [{k: jnp.ones_like(theta[k]) if k == one else None for k in names} for one in names]
    constant, varying, records = split(electrode, every)

    def start(theta):
        return jax.tree.map(lambda a: jnp.broadcast_to(a, pop), initial(build(theta)))

    def move(f, s, S):
        """f(theta, s), and J S + D for each parameter."""
        value, push = linearize(f, theta, s)
        return value, [push(seed, S_p) for seed, S_p in zip(seeds, S, strict=True)]

    def tick(carry, e):
        e = merge(constant, e)
        return move(lambda theta, s: step(build(theta), s, e, dt), *carry), None

    def record(carry, xs):
        es, target = xs
        carry, _ = jax.lax.scan(tick, carry, es)
        return carry, move(lambda theta, s: residual(build(theta), s, target), *carry)

    def block(carry, xs):
        live, xs = xs
        carry, fold = carry
        carry, (r, J) = jax.lax.scan(record, carry, xs)
        return (carry, _add(fold, r, jnp.stack(J), live)), None

    s, push = linearize(start, theta)
    S = [push(seed) for seed in seeds]
    P, dtype = len(names), s.v.dtype
    zero = GaussNewton(*(jnp.zeros((*shape, *pop), dtype) for shape in ((), (P,), (P, P))))
    xs = _in_blocks((varying, jax.tree.map(lambda a: a[:records], targets)), records)
    (_, fold), _ = jax.lax.scan(block, ((s, S), zero), xs)
    return fold


def _in_blocks(xs: Any, records: int) -> tuple[jax.Array, Any]:
    """Leading axis `[record]` as `[block, BLOCK]`, padded, and which records are real."""
    blocks = -(-records // BLOCK)
    live = (jnp.arange(blocks * BLOCK) < records).reshape(blocks, BLOCK)

    def cut(a):
        a = jnp.asarray(a)
        padding = jnp.broadcast_to(a[-1:], (blocks * BLOCK - records, *a.shape[1:]))
        return jnp.concatenate([a, padding]).reshape(blocks, BLOCK, *a.shape[1:])

    return live, jax.tree.map(cut, xs)


def _add(fold: GaussNewton, r: jax.Array, J: jax.Array, live: jax.Array) -> GaussNewton:
    """The fold with residuals r `[record, R, *pop]` and their tangents J `[P, record, R, *pop]`."""
    live = live.reshape(-1, *[1] * (r.ndim - 1))
    # Where a padded record left the finite numbers, 0 * NaN would still count.
    r, J = jnp.where(live, r, 0.0), jnp.where(live, J, 0.0)
    return GaussNewton(
        fold.value + (r * r).sum((0, 1)),
        fold.gradient + jnp.einsum("pkr...,kr...->p...", J, r),
        fold.matrix + jnp.einsum("pkr...,qkr...->pq...", J, J),
    )
