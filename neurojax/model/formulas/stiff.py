"""A step of states that act on each other, v held: linearly implicit, second order, L-stable.

Source: Verwer, Spee, Blom & Hundsdorfer 1999, SIAM J Sci Comput 20:1456,
doi:10.1137/S1064827597326651: the Rosenbrock method ROS2 with gamma = 1 - 1/sqrt(2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from neurojax.membrane.channel import Gates
from neurojax.membrane.rates import Leaf

GAMMA = 1 - 1 / math.sqrt(2)

Changes = Callable[[Gates], Gates]
"""The derivatives of states, 1/ms."""


def step(changes: Changes, x: Gates, h: Leaf) -> Gates:
    """The states a step h (ms) later; what a scheme conserves is conserved."""
    names = list(x)
    solve = _eliminated(changes, x, GAMMA * h)
    k1 = solve(changes(x))
    ahead = changes({k: x[k] + h * k1[k] for k in names})
    k2 = solve({k: ahead[k] - 2 * k1[k] for k in names})
    return {k: x[k] + h * (1.5 * k1[k] + 0.5 * k2[k]) for k in names}


def settle(changes: Changes, x: Gates) -> Gates:
    """The states after a very long time, by implicit steps that grow."""
    for k in range(30):
        h = 0.05 * 3.0**k
        solve = _eliminated(changes, x, h)
        moved = solve(changes(x))
        x = {name: x[name] + h * moved[name] for name in x}
    return x


def _eliminated(changes: Changes, x: Gates, h: Leaf) -> Callable[[Gates], Gates]:
    """What solves (1 - h J) k = b: Gauss without pivots, as the matrix is near a diagonal one."""
    names = list(x)
    zero = {k: jnp.zeros_like(x[k]) for k in names}
    matrix: list[list[Any]] = [[] for _ in names]
    for column, k in enumerate(names):
        slope = jax.jvp(changes, (x,), (zero | {k: jnp.ones_like(x[k])},))[1]
        for row, name in enumerate(names):
            matrix[row].append((1.0 if row == column else 0.0) - h * slope[name])

    def solve(b: Gates) -> Gates:
        a = [list(row) for row in matrix]
        right = [b[name] for name in names]
        n = len(names)
        for pivot in range(n):
            inverse = 1 / a[pivot][pivot]
            for row in range(pivot + 1, n):
                factor = a[row][pivot] * inverse
                right[row] = right[row] - factor * right[pivot]
                for column in range(pivot + 1, n):
                    a[row][column] = a[row][column] - factor * a[pivot][column]
        for row in reversed(range(n)):
            for column in range(row + 1, n):
                right[row] = right[row] - a[row][column] * right[column]
            right[row] = right[row] / a[row][row]
        return dict(zip(names, right, strict=True))

    return solve
