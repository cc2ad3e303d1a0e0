"""Occupancies of a scheme's states, while the rates between them stand still.

They move as x' = x Q. A step of dt is exp(dt Q), here as powers of a backward Euler step: with
J = 1 / (1 - gamma dt Q) it is 1 + (J - 1) r(J), where r is a polynomial, so that one elimination
serves all of its terms. Whatever the rates, that is the exponential to `ERROR`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

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

    state: str
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
        found.append(Eliminated(state, share, to, come))
    return found, leaks[order[-1]]


def solved(eliminated: list[Eliminated], last: str, leak: Leaf, b: Occupancies) -> Occupancies:
    """The y of y (1 - Q) = b, of states that leak at rate 1; the last has `leak` left of it."""
    b = dict(b)
    for state, _, to, _ in eliminated:
        for j, part in to.items():
            b[j] = b[j] + part * b[state]
    y = {last: b[last] / leak}
    for state, share, _, come in reversed(eliminated):
        y[state] = b[state] * share + sum(part * y[i] for i, part in come.items())
    return y


def settled(order: tuple[str, ...], rates: Rates, one: jax.Array) -> Occupancies:
    """The occupancies in which nothing changes any more."""
    x: Occupancies = {order[-1]: one}
    for state, _, _, come in reversed(eliminate(order, rates, 0.0)[0]):
        # Their sum is 1 at every stage: the ratio of the last to the first may overflow.
        more = sum(x[i] * part for i, part in come.items())
        whole = 1 / (1 + more)
        x = {k: a * whole for k, a in x.items()}
        x[state] = jnp.asarray(more * whole)
    return x


def moved(order: tuple[str, ...], rates: Rates, x: Occupancies, dt: Leaf) -> Occupancies:
    """The occupancies a step dt (ms) later."""
    gone = {pair: dt * rate * x[pair[0]] for pair, rate in rates.items()}
    net = {k: jnp.zeros_like(x[k]) for k in order}
    pairs = dict.fromkeys(
        pair if pair[::-1] not in rates else tuple(sorted(pair)) for pair in rates
    )
    for a, b in pairs:
        flow = gone[a, b] - gone.get((b, a), 0.0)
        net[a], net[b] = net[a] - flow, net[b] + flow

    eliminated, leak = eliminate(order, {k: GAMMA * dt * rate for k, rate in rates.items()}, 1.0)

    def J(b: Occupancies) -> Occupancies:
        return solved(eliminated, order[-1], leak, b)

    # (J - 1) x is also gamma dt J (x Q), in which slow changes are not lost beside x. Where much
    # goes to and fro, what rounding leaves of that would be.
    few = sum(gone.values()) < _GROSS
    change = J({k: jnp.where(few, GAMMA * net[k], x[k]) for k in order})
    change = {k: change[k] - jnp.where(few, 0.0, x[k]) for k in order}
    first, second, *others = COEFFICIENTS
    before, now = change, {k: 2 * y - change[k] for k, y in J(change).items()}
    total = {k: x[k] + first * before[k] + second * now[k] for k in order}
    for coefficient in others:
        ahead = {k: 4 * y - 2 * now[k] - before[k] for k, y in J(now).items()}
        before, now = now, ahead
        total = {k: total[k] + coefficient * now[k] for k in order}
    # What the error and rounding leave below 0 is taken from the others: they add up to 1.
    total = {k: jnp.maximum(a, 0.0) for k, a in total.items()}
    whole = 1 / sum(total.values())
    return {k: a * whole for k, a in total.items()}
