"""A scheme while the potential is held: exact over any time, by powers of one small step.

The occupancies x of the states of a scheme go with x' = A x, and where nothing that its rates see
changes, to exp(A t) x. The matrix of a step so short that a series gives it is squared again and
again; each square is that of twice the time. What is a hundred thousand steps for an engine that
follows a command is a handful of products here.

Everything is `[..., *pop]`, in float64 where digits of slow rates beside fast ones are to be kept.

Source: Moler & Van Loan 2003, SIAM Rev 45:3, doi:10.1137/S00361445024180, scaling and squaring.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from neurojax.membrane.channel import Leaf
from neurojax.membrane.markov import Scheme

_TERMS = 10
"""Of the series of exp(A h) about h = 0, where |A| h is 1 or less: 3e-8 off in the fastest mode."""


def generator(channel: Scheme, v: Leaf, celsius: Leaf | None = None, **c: Any) -> jax.Array:
    """A of x' = A x, 1/ms, `[to, from, *pop]`, at v (mV) and what else a channel reads."""
    place = {name: k for k, name in enumerate(channel.states)}
    rates = channel.rates(jnp.asarray(v), celsius, **c)
    shape = jnp.broadcast_shapes(*(jnp.shape(rate) for rate in rates.values()))
    rows: list[list[Any]] = [[jnp.zeros(shape) for _ in place] for _ in place]
    for (a, b), rate in rates.items():
        rows[place[b]][place[a]] = rows[place[b]][place[a]] + rate
        rows[place[a]][place[a]] = rows[place[a]][place[a]] - rate
    return jnp.stack([jnp.stack(row) for row in rows])


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """The product of matrices, `[to, via, *pop]` by `[via, from, *pop]`."""
    # Term by term, so that a loop goes over the cells: a product of many small matrices is slow.
    terms = [a[:, k, None] * b[None, k] for k in range(b.shape[0])]
    return sum(terms[1:], terms[0])


def applied(a: jax.Array, x: jax.Array) -> jax.Array:
    """A matrix `[to, from, *pop]` applied to occupancies `[from, *pop]`."""
    terms = [a[:, k] * x[k] for k in range(x.shape[0])]
    return sum(terms[1:], terms[0])


def propagator(A: jax.Array, t: float) -> jax.Array:
    """exp(A t) `[to, from, *pop]` of a generator A, for a time t in ms."""
    one = jnp.broadcast_to(
        jnp.eye(A.shape[0], dtype=A.dtype).reshape(*A.shape[:2], *[1] * (A.ndim - 2)), A.shape
    )
    # What leaves a state is on the diagonal: twice that bounds the norm.
    fastest = jax.lax.stop_gradient(2 * jnp.abs(A).max())
    halved = jnp.ceil(jnp.log2(jnp.maximum(fastest * t, 1.0)))
    h = t / 2.0**halved

    def term(k: jax.Array, power: jax.Array) -> jax.Array:  # Horner: 1 + A h (1 + A h / 2 (...))
        return one + product(A * (h / (_TERMS - k)), power)

    step = jax.lax.fori_loop(0, _TERMS, term, one)
    return jax.lax.fori_loop(0, halved.astype(int), lambda _, P: product(P, P), step)


def doublings(P: jax.Array, times: int) -> jax.Array:
    """P, P P, P P P P and so on `[doubling, to, from, *pop]`, to go up to `times` steps of P."""
    count = max(times, 1).bit_length()
    return jax.lax.scan(lambda P, _: (product(P, P), P), P, None, length=count)[1]


def repeated(doubled: jax.Array, times: int, x: jax.Array) -> jax.Array:
    """The occupancies `[state, *pop]` after `times` of the steps that were doubled."""
    bits = times.bit_length()
    taken = jnp.array([bool(times >> k & 1) for k in range(bits)])

    # A loop, though it also computes what is not taken: unrolled it takes a minute to compile.
    def further(x: jax.Array, step: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        P, counts = step
        return jnp.where(counts, applied(P, x), x), None

    return jax.lax.scan(further, x, (doubled[:bits], taken))[0]


def readings(doubled: jax.Array, row: jax.Array, first: int, stride: int, count: int) -> jax.Array:
    """What rows `[count, state, *pop]` read of the occupancies before any step.

    The first reads as `row` `[state, *pop]` does `first` steps later, each of the others `stride`
    steps after the one before: so all readings of a run are one product with where it begins.
    """
    back = jnp.swapaxes(doubled, 1, 2)
    row = repeated(back, first, row)
    return jax.lax.scan(lambda r, _: (repeated(back, stride, r), r), row, None, length=count)[1]
