"""A step of states that act on each other, v held: linearly implicit, second order, L-stable.

Source: Verwer, Spee, Blom & Hundsdorfer 1999, SIAM J Sci Comput 20:1456,
doi:10.1137/S1064827597326651: the Rosenbrock method ROS2 with gamma = 1 - 1/sqrt(2). It is of
second order whatever the matrix; that it is stable is because of the slopes in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from neurojax.membrane.channel import Gates
from neurojax.membrane.rates import Leaf

GAMMA = 1 - 1 / math.sqrt(2)

Changes = Callable[[Gates], Gates]
"""The derivatives of states, 1/ms."""

Slopes = Mapping[tuple[str, str], Any]
"""How the derivative of one state follows another, 1/ms: by both names. What is not there is 0."""


_GROWING = [0.05 * 3.0**k for k in range(30)]
"""ms"""


def step(
    changes: Changes, x: Gates, h: Leaf, slopes: Callable[[Gates], Slopes] | None = None
) -> Gates:
    """The states a step h (ms) later; what a scheme conserves is conserved.

    Without `slopes` each state may follow each other one.
    """
    names = list(x)
    solve = _factorised(names, _slopes(changes, x) if slopes is None else slopes(x), GAMMA * h)
    k1 = solve(changes(x))
    ahead = changes({k: x[k] + h * k1[k] for k in names})
    k2 = solve({k: ahead[k] - 2 * k1[k] for k in names})
    return {k: x[k] + h * (1.5 * k1[k] + 0.5 * k2[k]) for k in names}


def settle(changes: Changes, x: Gates, slopes: Callable[[Gates], Slopes] | None = None) -> Gates:
    """The states after a very long time, by implicit steps that grow."""
    names = list(x)
    steps = jnp.asarray(_GROWING, jnp.result_type(*x.values()))

    def longer(k: Any, x: Gates) -> Gates:
        solve = _factorised(names, _slopes(changes, x) if slopes is None else slopes(x), steps[k])
        moved = solve(changes(x))
        return {name: x[name] + steps[k] * moved[name] for name in names}

    return jax.lax.fori_loop(0, len(_GROWING), longer, x)


def _slopes(changes: Changes, x: Gates) -> Slopes:
    zero = {k: jnp.zeros_like(x[k]) for k in x}
    found: dict[tuple[str, str], Any] = {}
    for k in x:
        slope = jax.jvp(changes, (x,), (zero | {k: jnp.ones_like(x[k])},))[1]
        found |= {(name, k): slope[name] for name in x}
    return found


def _factorised(names: Iterable[str], slopes: Slopes, h: Leaf) -> Changes:
    """What solves (1 - h J) k = b: Gauss without pivots, as the matrix is near a diagonal one."""
    names = list(names)
    rows: dict[str, dict[str, Any]] = {k: {k: 1.0} for k in names}
    for (row, column), slope in slopes.items():
        rows[row][column] = rows[row].get(column, 0.0) - h * slope
    order = elimination_order(names, slopes)
    factors: list[tuple[str, str, Any]] = []
    for place, pivot in enumerate(order):
        inverse = 1 / rows[pivot][pivot]
        for row in order[place + 1 :]:
            if pivot not in rows[row]:
                continue
            factor = rows[row].pop(pivot) * inverse
            factors.append((row, pivot, factor))
            for column, value in rows[pivot].items():
                if column != pivot:
                    rows[row][column] = rows[row].get(column, 0.0) - factor * value

    def solve(b: Gates) -> Gates:
        right = dict(b)
        for row, pivot, factor in factors:
            right[row] = right[row] - factor * right[pivot]
        for row in reversed(order):
            for column, value in rows[row].items():
                if column != row:
                    right[row] = right[row] - value * right[column]
            right[row] = right[row] / rows[row][row]
        return {k: right[k] for k in names}

    return solve


def elimination_order(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> list[str]:
    """In which order states are eliminated so that few entries appear: the least joined first."""
    left = list(names)
    after = {k: {b for a, b in pairs if a == k} - {k} for k in left}
    before = {k: {a for a, b in pairs if b == k} - {k} for k in left}
    order: list[str] = []
    while left:
        pivot = min(left, key=lambda k: len(after[k]) * len(before[k]))
        left.remove(pivot)
        order.append(pivot)
        for row in before[pivot]:
            after[row] = (after[row] | after[pivot]) - {pivot, row}
        for column in after[pivot]:
            before[column] = (before[column] | before[pivot]) - {pivot, column}
    return order
