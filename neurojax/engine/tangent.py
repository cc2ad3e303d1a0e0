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
from neurojax.engine.halves import merged
from neurojax.engine.passes.linearize import dense, diagonal, linearize, moving, tangents_of
from neurojax.engine.passes.materialise import materialised
from neurojax.engine.program import Build, Gradient, Program, Theta, in_segments, prepare
from neurojax.membrane.compartment import State
from neurojax.membrane.electrode import Electrode
from neurojax.membrane.sums import Sum, summed_plainly, zero_sum


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

            def residuals(c: Any, s: State, of_record: Any = of_record) -> list[jax.Array]:
                return list(of_record(c, s, row))

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

    Where f is elementwise, its slope in each leaf of x, and in each constant that has tangents, is
    one array for all of them. Else each tangent goes through the linearised f.
    """
    if coupling != "elementwise":
        value, push = linearize(f, constants, x)
        return value, [dense(push(*tangents), value) for tangents in zip(own, X, strict=True)]
    values, still, tangents = moving(constants, own)
    shape = jnp.shape(jax.tree.leaves(x)[0])
    values = jax.tree.map(lambda a: _spread(a, shape), values)
    value, slopes = diagonal(lambda values, x: f(merged(values, still), x), values, x)
    out, kind = jax.tree.flatten(value)

    def along(c: list[Any], s: Any) -> Any:
        given = c + tangents_of(s)
        sums = [_sum(row, given, jnp.ndim(y)) for row, y in zip(slopes, out, strict=True)]
        return dense(jax.tree.unflatten(kind, sums), value)

    return value, [along(c, s) for c, s in zip(tangents, X, strict=True)]


def _spread(a: Any, shape: tuple[int, ...]) -> Any:
    """A constant with an entry for each of a state's leaf, else its slope would be a sum of them.

    Those of other sub-steps may have shapes of their own.
    """
    own = jnp.shape(a)
    fits = all(n in (1, m) for n, m in zip(own[::-1], shape[::-1], strict=False))
    return jnp.broadcast_to(a, jnp.broadcast_shapes(own, shape)) if fits else a


def _sum(slopes: list[Any], tangents: list[Any], ndim: int) -> Any:
    """The sum of slope * tangent, None being zero; over what a constant has as axes of its own."""
    total = None
    for slope, tangent in zip(slopes, tangents, strict=True):
        if slope is not None and tangent is not None:
            term = slope * tangent
            if term.ndim > ndim:
                term = term.sum(tuple(range(term.ndim - ndim)))
            total = term if total is None else total + term
    return total


def _products(r: Sequence[jax.Array], J: list[Any]) -> list[jax.Array]:
    """r'r, J'r and the upper half of J'J of residuals r `[*pop]` each and their slopes."""
    P = len(J)
    pairs = [(r, r), *((j, r) for j in J), *((J[a], J[b]) for a in range(P) for b in range(a, P))]
    return [sum(x * y for x, y in zip(*pair, strict=True)) for pair in pairs]  # pyright: ignore


def _added(sums: list[Sum], terms: list[jax.Array]) -> list[Sum]:
    return [total.plus(term) for total, term in zip(sums, terms, strict=True)]


def _gauss_newton(sums: list[Sum], P: int) -> Gradient:
    value, *numbers = (total.value() for total in sums)
    half = iter(numbers[P:])
    upper = {(a, b): next(half) for a in range(P) for b in range(a, P)}
    rows = [[upper[min(a, b), max(a, b)] for b in range(P)] for a in range(P)]
    matrix = jnp.stack([jnp.stack(row) for row in rows])
    return Gradient(value, 2 * jnp.stack(numbers[:P]), matrix)
