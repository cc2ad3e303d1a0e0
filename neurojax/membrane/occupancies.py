"""Occupancies of a scheme's states, while the rates between them stand still.

They move as x' = x Q. A step of dt is exp(dt Q), here as powers of a backward Euler step: with
J = 1 / (1 - gamma dt Q) it is 1 + (J - 1) r(J), where r is a polynomial, so that one elimination
serves all of its terms. Whatever the rates, that is the exponential to `ERROR`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from neurojax.membrane.rates import Leaf

Transition = tuple[str, str]
"""The state left and the state entered."""

Rates = Mapping[Transition, Leaf]
"""Rate constants, 1/ms."""

Occupancies = dict[str, jax.Array]
"""By state, `[*pop]`."""

GAMMA, TERMS = 0.114, 14
"""The part of dt of which J is a step, and how many of them make a step of dt."""

ERROR = 8e-7
"""How far exp(-s) is from what stands for it, at most, over all s >= 0; s is dt times a rate."""


def _remainder(v: np.ndarray) -> np.ndarray:
    """r, with which exp(-s) = 1 - (1 - w) r, of v = 2 w - 1 and w = 1 / (1 + gamma s)."""
    w = (1 + v) / 2
    return -np.expm1(-(1 / w - 1) / GAMMA) / (1 - w)


COEFFICIENTS = tuple(np.polynomial.Chebyshev.interpolate(_remainder, TERMS - 1).coef)
"""Of r, in Chebyshev polynomials of v: none is large, so that rounding stays what it is."""

_GROSS = 1.0
"""What leaves all states in a step, at most, where flows are sums that lose nothing by rounding."""


class Eliminated(NamedTuple):
    """A state that was expressed by those after it in the order of elimination."""

    share: Leaf  # one over all that leaves it
    to: Mapping[str, Leaf]  # the part of it that goes to each of them
    come: Mapping[str, Leaf]  # the part that comes from each


def elimination_order(states: Iterable[str], transitions: Iterable[Transition]) -> tuple[str, ...]:
    """The states, those with the fewest neighbours that are left first: little is filled in."""
    near: dict[str, set[str]] = {k: set() for k in states}
    for a, b in transitions:
        near[a].add(b)
        near[b].add(a)
    order: list[str] = []
    while near:
        state = min(near, key=lambda k: len(near[k]))
        around = near.pop(state)
        for k in around:
            near[k] = (near[k] | around) - {k, state}
        order.append(state)
    return tuple(order)


def eliminate(order: tuple[str, ...], rates: Rates, leak: float) -> tuple[list[Eliminated], Leaf]:
    """Of the equations in which each state also leaks at a rate, all but the last state's.

    And what leaks of that. Source: Grassmann, Taksar & Heyman 1985, Oper Res 33:1107,
    doi:10.1287/opre.33.5.1107: without a subtraction, so that nothing cancels or turns negative.
    """
    left, leaks = dict(rates), dict[str, Leaf](dict.fromkeys(order, leak))
    found: list[Eliminated] = []
    for k, state in enumerate(order[:-1]):
        rest = order[k + 1 :]
        leaving = {j: left[state, j] for j in rest if (state, j) in left}
        share = 1 / (leaks[state] + sum(leaving.values()))
        to = {j: rate * share for j, rate in leaving.items()}
        come = {i: left[i, state] * share for i in rest if (i, state) in left}
        for i, part in come.items():
            if leak:
                leaks[i] = leaks[i] + part * leaks[state]
            for j in leaving.keys() - {i}:
                left[i, j] = left.get((i, j), 0.0) + part * leaving[j]
        found.append(Eliminated(share, to, come))
    return found, leaks[order[-1]]


def solved(
    order: tuple[str, ...], eliminated: list[Eliminated], leak: Leaf, b: Occupancies
) -> Occupancies:
    """The y of y (1 - Q) = b, of states that leak at rate 1; the last has `leak` left of it."""
    b, by_state = dict(b), list(zip(order, eliminated, strict=False))
    for state, (_, to, _) in by_state:
        for j, part in to.items():
            b[j] = b[j] + part * b[state]
    y = {order[-1]: b[order[-1]] / leak}
    for state, (share, _, come) in reversed(by_state):
        y[state] = b[state] * share + sum(part * y[i] for i, part in come.items())
    return y


def settled(order: tuple[str, ...], rates: Rates, one: jax.Array) -> Occupancies:
    """The occupancies in which nothing changes any more."""
    x: Occupancies = {order[-1]: one}
    eliminated, _ = eliminate(order, rates, 0.0)
    for state, (_, _, come) in zip(order[-2::-1], reversed(eliminated), strict=True):
        # Their sum is 1 at every stage: the ratio of the last to the first may overflow.
        more = sum(x[i] * part for i, part in come.items())
        whole = 1 / (1 + more)
        x = {k: a * whole for k, a in x.items()}
        x[state] = jnp.asarray(more * whole)
    return x


def moved(order: tuple[str, ...], rates: Rates, x: Occupancies, dt: Leaf) -> Occupancies:
    """The occupancies a step dt (ms) later."""
    parts = {pair: jnp.asarray(dt * rate, x[order[0]].dtype) for pair, rate in rates.items()}
    shape = jnp.broadcast_shapes(*map(jnp.shape, [*x.values(), *parts.values()]))
    x = {k: jnp.broadcast_to(x[k], shape) for k in order}
    elimination = eliminate(order, {k: GAMMA * part for k, part in parts.items()}, 1.0)
    total = _stepped(order, x, parts, lax.stop_gradient(elimination))
    # What the error and rounding leave below 0 is taken from the others: they add up to 1.
    total = {k: jnp.maximum(total[k], 0.0) for k in order}
    whole = 1 / sum(total.values())
    return {k: a * whole for k, a in total.items()}


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _stepped(
    order: tuple[str, ...], x: Occupancies, parts: Rates, elimination: tuple[Any, Leaf]
) -> Occupancies:
    """x exp(dt Q), from the parts dt * rate, and from the elimination that they make of J."""

    def J(b: Occupancies) -> Occupancies:
        return solved(order, *elimination, b)

    change = _begun(J, _few(x, parts), x, _net(order, x, parts))
    terms = _second(x, change, J(change))
    for coefficient in COEFFICIENTS[2:]:
        terms = _further(terms, J(terms.now), coefficient)
    return terms.total


@_stepped.defjvp
def _(
    order: tuple[str, ...], primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Occupancies, Occupancies]:
    """With y = J b goes dy = J (db + gamma dt y dQ), so that no elimination is differentiated.

    The terms are a loop: one after the other, their derivatives would take minutes to compile.
    """
    x, parts, (eliminated, leak) = primals
    dx, dparts, _ = tangents

    def J(b: Occupancies) -> Occupancies:
        return solved(order, eliminated, leak, b)

    def dJ(db: Occupancies, y: Occupancies) -> Occupancies:
        flows = _net(order, y, dparts)
        return J({k: db[k] + GAMMA * flows[k] for k in order})

    few = _few(x, parts)
    change = _begun(J, few, x, _net(order, x, parts))
    ends = {k: x[k] + change[k] for k in order}
    dchange = _begun(lambda db: dJ(db, ends), few, dx, _net(order, dx, parts))
    y = J(change)
    terms = _second(x, change, y), _second(dx, dchange, dJ(dchange, y))

    def turn(carry: tuple[_Terms, _Terms], coefficient: jax.Array) -> tuple[Any, None]:
        terms, dterms = carry
        y = J(terms.now)
        dy = dJ(dterms.now, y)
        return (_further(terms, y, coefficient), _further(dterms, dy, coefficient)), None

    others = jnp.asarray(COEFFICIENTS[2:], x[order[0]].dtype)
    (terms, dterms), _ = lax.scan(turn, terms, others)
    return terms.total, dterms.total


class _Terms(NamedTuple):
    """Two Chebyshev polynomials of 2 J - 1 in a row, applied to the first term, and the sum."""

    before: Occupancies
    now: Occupancies
    total: Occupancies


def _few(x: Occupancies, parts: Rates) -> jax.Array:
    """Where so little goes to and fro in a step that rounding takes nothing of its sums."""
    return sum(part * x[a] for (a, _), part in parts.items()) < _GROSS  # pyright: ignore


def _net(order: tuple[str, ...], x: Occupancies, parts: Rates) -> Occupancies:
    """dt x Q: what the states win and lose at the beginning."""
    net = {k: jnp.zeros_like(x[k]) for k in order}
    pairs = dict.fromkeys(
        pair if pair[::-1] not in parts else tuple(sorted(pair)) for pair in parts
    )
    for a, b in pairs:
        flow = x[a] * parts[a, b]
        if (b, a) in parts:
            flow = flow - x[b] * parts[b, a]
        net[a], net[b] = net[a] - flow, net[b] + flow
    return net


def _begun(
    J: Callable[[Occupancies], Occupancies], few: jax.Array, x: Occupancies, net: Occupancies
) -> Occupancies:
    """(J - 1) x, which is also gamma dt J (x Q), in which slow changes are not lost beside x.

    Where much goes to and fro, what rounding leaves of that would be.
    """
    y = J({k: jnp.where(few, GAMMA * net[k], x[k]) for k in x})
    return {k: y[k] - jnp.where(few, 0.0, x[k]) for k in x}


def _second(x: Occupancies, change: Occupancies, y: Occupancies) -> _Terms:
    """The first two terms, where y is J of the change."""
    first, second, *_ = COEFFICIENTS
    now = {k: 2 * y[k] - change[k] for k in x}
    return _Terms(change, now, {k: x[k] + first * change[k] + second * now[k] for k in x})


def _further(terms: _Terms, y: Occupancies, coefficient: Leaf) -> _Terms:
    """One term more, where y is J of the last."""
    before, now, total = terms
    ahead = {k: 4 * y[k] - 2 * now[k] - before[k] for k in now}
    return _Terms(now, ahead, {k: total[k] + coefficient * ahead[k] for k in now})
