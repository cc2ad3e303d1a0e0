"""Forward sensitivities: the tangents of the state are carried along, so nothing grows with time.

With S = ds/dtheta `[P, ...]` every step is S <- J S + D, where J = ds'/ds is applied by one linearised
step and D = ds'/dtheta holds each parameter's own push. The exponentials are evaluated once for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurojax.cell import Cell, State, step, substitute
from neurojax.channel import Leaf
from neurojax.electrode import Electrode
from neurojax.engine.scan import merge, split

Residual = Callable[[Cell, State, Any], jax.Array]
"""(cell, state, target of this record) -> weighted residuals `[R, *pop]`."""


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
) -> tuple[State, GaussNewton]:
    """Integrate with tangents for every entry of theta (each `[pop]`), folding residuals as they come.

    `build(theta)` makes the cell, `initial(cell)` its first state (differentiated too), `targets` is a
    pytree with a leading record axis. Memory does not grow with the number of steps.
    """
    names = list(theta)
    pop = jnp.broadcast_shapes(*(jnp.shape(theta[k]) for k in names))
    theta = {k: jnp.broadcast_to(theta[k], pop) for k in names}
    constant, varying, records = split(electrode, every)
    targets = jax.tree.map(lambda a: a[:records], targets)

    def own_push(f, *primals):
        """D of f(theta, *primals), stacked `[P, ...]`: one parameter at a time, others known zero."""
        pushes = []
        for k in names:
            one = lambda p, k=k: f(theta | {k: p}, *primals)  # noqa: E731
            pushes.append(jax.jvp(one, (theta[k],), (jnp.ones_like(theta[k]),))[1])
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *pushes)

    def start(th):
        s = initial(build(th))
        return jax.tree.map(lambda a: jnp.broadcast_to(a, pop), s)

    s0, S0 = start(theta), own_push(start)
    cell = build(theta)

    def tick(carry, e):
        s, S = carry
        e = merge(constant, e)
        s_next, along = jax.linearize(lambda s: step(cell, s, e, dt), s)
        D = own_push(lambda th, s: step(build(th), s, e, dt), s)
        S = jax.tree.map(jnp.add, jax.vmap(along)(S), D)
        return (s_next, S), None

    def record(carry, xs):
        es, target = xs
        (s, S), fold = carry
        (s, S), _ = jax.lax.scan(tick, (s, S), es)
        r, along = jax.linearize(lambda s: residual(cell, s, target), s)
        J = jax.vmap(along)(S) + own_push(lambda th, s: residual(build(th), s, target), s)
        fold = GaussNewton(
            fold.value + (r * r).sum(0),
            fold.gradient + (J * r).sum(1),
            fold.matrix + (J[:, None] * J[None]).sum(2),
        )
        return ((s, S), fold), None

    P, dtype = len(names), s0.v.dtype
    zero = GaussNewton(
        jnp.zeros(pop, dtype), jnp.zeros((P, *pop), dtype), jnp.zeros((P, P, *pop), dtype)
    )
    ((s, _), fold), _ = jax.lax.scan(record, ((s0, S0), zero), (varying, targets))
    return s, fold


def substitution(cell: Cell) -> Callable[[Mapping[str, Leaf]], Cell]:
    """`build` for parameters named by path: theta replaces the cell's own values."""
    return lambda theta: substitute(cell, theta)
