"""Forward sensitivities: the tangents of the state are carried along, so nothing grows with time.

With S = ds/dtheta, one per parameter, every step is S <- J S + D, where J = ds'/ds is the same for
all parameters and D, a parameter's own push, touches only what depends on it. Rates and
exponentials are evaluated once.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from neurojax.engine.folds import Fold
from neurojax.engine.passes.linearize import dense, linearize, none_like, tangents_of
from neurojax.engine.passes.materialise import materialised
from neurojax.engine.program import Build, Gradient, Theta, cut
from neurojax.membrane.electrode import Electrode


def run(
    build: Build,
    theta: Theta,
    electrode: Electrode,
    dt,
    fold: Fold,
    every: int = 1,
) -> Gradient:
    """Integrate with tangents for every entry of theta (each `[*pop]`), through the fold.

    `build(theta)` makes the cell and its first state, which is differentiated too. Rows P are in
    theta's order, which jit sorts by name if theta is its argument. Memory does not grow with the
    number of steps. Of a sum of squares, told by every record or at the end, the Gauss-Newton
    matrix comes along.
    """
    p = cut(build, theta, electrode, dt, fold, every)
    seeds = p.seeds()
    constants, push = linearize(p.constants, p.theta)
    own = [push(seed) for seed in seeds]

    def move(f, x, X):
        """f(constants, x) and its tangents, from x and its tangents X, one for each parameter."""
        value, push = linearize(f, constants, x)
        leaves, tree = jax.tree.flatten(x)
        columns = []
        for j, leaf in enumerate(leaves):
            unit: list = [None] * len(leaves)
            unit[j] = jnp.ones_like(leaf)
            columns.append(push(none_like(constants), jax.tree.unflatten(tree, unit)))
        moved = [
            _combined(push(c, none_like(x)), columns, tangents_of(S))
            for c, S in zip(own, X, strict=True)
        ]
        return value, [dense(m, value) for m in moved]

    def advance(s, S, e):
        # Part by part: each touches few tangents, and finds those of the part before.
        for part in p.moves:
            s, S = move(lambda c, s, part=part: part(c, s, e), s, S)
        return s, S

    def tick(carry, e):
        return materialised(advance, p.true)(*carry, e), None

    def looked(k, K, s, S, row):
        """The fold's carry and its tangents. It may mix entries along leading axes as it likes."""
        value, push = linearize(lambda c, k, s: p.look(c, k, s, row), constants, k, s)
        return value, [dense(push(*ts), value) for ts in zip(own, K, S, strict=True)]

    def record(carry, xs):
        (s, S), (k, K), sums = carry
        es, row = xs
        (s, S), _ = jax.lax.scan(tick, (s, S), es)
        if carried:
            k, K = looked(k, K, s, S, row)
        if (residual := p.residual) is not None:
            sums = _added(sums, *move(lambda c, s: residual(c, s, row), s, S))
        return ((s, S), (k, K), sums), None

    (s, k), push = linearize(p.first, p.theta)
    S, K = map(list, zip(*(dense(push(seed), (s, k)) for seed in seeds), strict=True))
    # What is squared record by record needs no carry.
    carried = not p.squares or p.residuals is not None
    P = len(seeds)
    sums = [jnp.zeros_like(s.v)] * (1 + P + P * (P + 1) // 2) if p.squares else []
    first = ((s, S), (k, K) if carried else ((), []), sums)
    (_, (k, K), sums), _ = jax.lax.scan(record, first, p.xs)
    if not p.squares:
        value, push = linearize(p.finish, k)
        return Gradient(value, jnp.stack([dense(push(K_p), value) for K_p in K]), None)
    if p.residuals is not None:
        r, push = linearize(p.residuals, k)
        sums = _added(sums, r, [dense(push(K_p), r) for K_p in K])
    return _gauss_newton(sums, P)


def _combined(total: Any, columns: list, S: list) -> Any:
    """total + sum of column * tangent over the leaves of a state, None being zero."""
    out, tree = tangents_of(total), jax.tree.structure(total, is_leaf=lambda leaf: leaf is None)
    for column, t in zip(columns, S, strict=True):
        for i, a in enumerate(tangents_of(column)):
            if a is not None and t is not None:
                out[i] = a * t if out[i] is None else out[i] + a * t
    return jax.tree.unflatten(tree, out)


def _added(sums: list, r: jax.Array, J: list) -> list:
    """r'r, J'r and the upper half of J'J, with one more record's r `[R, *pop]` and J."""
    P = len(J)
    products = [
        r * r, *(j * r for j in J), *(J[a] * J[b] for a in range(P) for b in range(a, P))
    ]  # fmt: skip
    return [total + product.sum(0) for total, product in zip(sums, products, strict=True)]


def _gauss_newton(sums: list, P: int) -> Gradient:
    half = iter(sums[1 + P :])
    rows: list[list] = [[None] * P for _ in range(P)]
    for a in range(P):
        for b in range(a, P):
            rows[a][b] = rows[b][a] = next(half)
    matrix = jnp.stack([jnp.stack(row) for row in rows])
    return Gradient(sums[0], 2 * jnp.stack(sums[1 : 1 + P]), matrix)
