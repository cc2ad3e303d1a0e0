"""Forward sensitivities: the tangents of the state are carried along, so nothing grows with time.

With S = ds/dtheta, one for each parameter, every step is S <- J S + D. J = ds'/ds is the same for
all parameters; D, a parameter's own part, touches only what depends on it. Rates and exponentials
are evaluated once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from neurojax.engine.folds import Fold
from neurojax.engine.passes.linearize import dense, linearize, none_like, tangents_of
from neurojax.engine.passes.materialise import materialised
from neurojax.engine.program import Build, Gradient, Program, Theta, in_segments, prepare
from neurojax.engine.sums import Sum, summed_plainly, zero_sum
from neurojax.membrane.compartment import State
from neurojax.membrane.electrode import Electrode


def run(
    build: Build, theta: Theta, electrode: Electrode, dt: Any, fold: Fold, every: int = 1
) -> Gradient:
    """Integrate with tangents for every entry of theta (each `[*pop]`), through the fold.

    `build(theta)` makes the cell and its first state, which is differentiated too. Rows P are in
    theta's order, which jit sorts by name if theta is its argument. Memory does not grow with the
    number of steps. A sum of squares brings its Gauss-Newton matrix along. Raises ValueError for a
    coupling without a derivative.
    """
    p = prepare(build, theta, electrode, dt, fold, every)
    seeds = p.seeds()
    constants, push = linearize(p.constants, p.theta)
    own = [push(seed) for seed in seeds]
    (s, k), push = linearize(p.start, p.theta)
    S, K = map(list, zip(*(dense(push(seed), (s, k)) for seed in seeds), strict=True))
    of_record, of_run = p.squares or (None, None)
    # What is squared record by record needs no carry.
    carried = not p.squares or of_run

    def step(s: State, S: Sequence[State], e: Electrode) -> tuple[State, list[State]]:
        return advance(p, constants, own, s, S, e)

    def tick(carry: Any, e: Electrode) -> tuple[Any, None]:
        return materialised(step, p.true)(*carry, e), None

    def record(carry: Any, xs: Any) -> tuple[Any, None]:
        (s, S), (k, K), sums = carry
        es, row = xs
        (s, S), _ = jax.lax.scan(tick, (s, S), es)
        if carried:

            def update(c: Any, ks: Any) -> Any:
                return p.update(c, *ks, row)

            k, K = moved(update, "tree", constants, own, (k, s), list(zip(K, S, strict=True)))
        if of_record:

            def residuals(c: Any, s: State, of_record: Any = of_record) -> jax.Array:
                return of_record(c, s, row)

            terms = _products(*moved(residuals, p.reading, constants, own, s, S))
            sums = [total + term for total, term in zip(sums, terms, strict=True)]
        return ((s, S), (k, K), sums), None

    P = len(seeds)
    size = 1 + P + P * (P + 1) // 2 if p.squares else 0
    sums = [zero_sum(p.pop, s.v.dtype)] * size
    nothing = [jnp.zeros(p.pop, s.v.dtype)] * (size if of_record else 0)

    def segment(carry: Any, xs: Any) -> tuple[Any, None]:
        *state, sums = carry
        (*state, few), _ = jax.lax.scan(record, (*state, nothing), xs)
        return (*state, _added(sums, few) if of_record else sums), None

    records = jax.tree.leaves(p.ticks)[0].shape[0]
    carry = ((s, S), (k, K) if carried else ((), []), sums)
    for xs in in_segments((p.ticks, p.rows), summed_plainly(records) if of_record else records):
        carry, _ = jax.lax.scan(segment, carry, xs)
    _, (k, K), sums = carry
    if not p.squares:
        value, push = linearize(p.finish, k)
        return Gradient(value, jnp.stack([dense(push(K_p), value) for K_p in K]), None)
    if of_run:
        r, push = linearize(of_run, k)
        sums = _added(sums, _products(r, [dense(push(K_p), r) for K_p in K]))
    return _gauss_newton(sums, P)


def advance(
    p: Program, constants: Any, own: Sequence[Any], s: State, S: Sequence[State], e: Electrode
) -> tuple[State, list[State]]:
    """The state one step later, and its tangents.

    `S` are tangents of the state, and `own` those of the constants that go with each: leaves may be
    None, for zero.
    """
    # One sub-step after the other: each touches few tangents, and finds those of the one before.
    for _, move, coupling in p.sub_steps:
        s, S = moved(lambda c, s, move=move: move(c, s, e), coupling, constants, own, s, S)
    return s, list(S)


def moved(
    f: Callable[..., Any],
    coupling: str,
    constants: Any,
    own: Sequence[Any],
    x: Any,
    X: Sequence[Any],
) -> tuple[Any, list[Any]]:
    """f(constants, x) and its tangents, from the tangents `X` of x and `own` of the constants.

    Where f is elementwise, its derivative in each leaf of x is one column for all tangents. Else
    each tangent goes through the linearised f.
    """
    value, push = linearize(f, constants, x)
    if coupling != "elementwise":
        return value, [dense(push(*tangents), value) for tangents in zip(own, X, strict=True)]
    leaves, tree = jax.tree.flatten(x)
    columns = []
    for j, leaf in enumerate(leaves):
        unit: list[Any] = [None] * len(leaves)
        unit[j] = jnp.ones_like(leaf)
        columns.append(push(none_like(constants), jax.tree.unflatten(tree, unit)))
    summed = [
        _combined(push(c, none_like(x)), columns, tangents_of(tangent))
        for c, tangent in zip(own, X, strict=True)
    ]
    return value, [dense(tangent, value) for tangent in summed]


def _combined(total: Any, columns: list[Any], S: list[Any]) -> Any:
    """total + sum of column * tangent over the leaves of a state, None being zero."""
    out, tree = tangents_of(total), jax.tree.structure(total, is_leaf=lambda leaf: leaf is None)
    for column, t in zip(columns, S, strict=True):
        for i, a in enumerate(tangents_of(column)):
            if a is not None and t is not None:
                out[i] = a * t if out[i] is None else out[i] + a * t
    return jax.tree.unflatten(tree, out)


def _products(r: jax.Array, J: list[Any]) -> list[jax.Array]:
    """r'r, J'r and the upper half of J'J of a record's residuals r `[R, *pop]` and their slopes."""
    P = len(J)
    products = [
        r * r, *(j * r for j in J), *(J[a] * J[b] for a in range(P) for b in range(a, P))
    ]  # fmt: skip
    return [product.sum(0) for product in products]


def _added(sums: list[Sum], terms: list[jax.Array]) -> list[Sum]:
    return [total.plus(term) for total, term in zip(sums, terms, strict=True)]


def _gauss_newton(sums: list[Sum], P: int) -> Gradient:
    value, *numbers = (total.value() for total in sums)
    half = iter(numbers[P:])
    rows: list[list[Any]] = [[None] * P for _ in range(P)]
    for a in range(P):
        for b in range(a, P):
            rows[a][b] = rows[b][a] = next(half)
    matrix = jnp.stack([jnp.stack(row) for row in rows])
    return Gradient(value, 2 * jnp.stack(numbers[:P]), matrix)
