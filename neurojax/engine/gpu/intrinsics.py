"""Functions that Mosaic has no instruction for, in terms of those that it has.

Each takes the elements of an equation, vectors of lanes or single numbers, and what of the
equation's parameters it needs. Bounds of their errors are in test_lanes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike


def _expm1(x: jax.Array) -> jax.Array:
    # (exp(x) - 1) without cancellation: tanh(x / 2) = (e - 1) / (e + 1)
    return lax.tanh(x * 0.5) * (lax.exp(x) + 1)


def _log1p(x: jax.Array) -> jax.Array:
    # Kahan: the rounding of 1 + x cancels. Where 1 + x is infinite, x is too.
    u = 1 + x
    itself = (u == 1) | (u == jnp.inf)
    return jnp.where(itself, x, lax.log(u) * x / jnp.where(itself, 1.0, u - 1))


def _power(x: jax.Array, y: jax.Array) -> jax.Array:
    y = y.astype(x.dtype)
    size = jnp.exp2(y * jnp.log2(jnp.where(x == 0, 1.0, jnp.abs(x))))
    whole = _round(y) == y
    odd = whole & (2 * _round(0.5 * y) != y)
    power = jnp.where(x > 0, size, jnp.where(whole, jnp.where(odd, -size, size), jnp.nan))
    power = jnp.where(x == 0, jnp.where(y > 0, 0.0, jnp.inf), power)
    return jnp.where(y == 0, 1.0, power)


def _integer_pow(x: jax.Array, y: int) -> jax.Array:
    if y < 0:
        return 1 / _integer_pow(x, -y)
    result = None
    for bit in bin(y)[2:]:
        result = None if result is None else result * result
        if bit == "1":
            result = x if result is None else result * x
    return jnp.ones_like(x) if result is None else result


def _round(x: jax.Array) -> jax.Array:
    return lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)


def _floor(x: jax.Array) -> jax.Array:
    nearest = _round(x)
    return jnp.where(nearest > x, nearest - 1, nearest)


def _remainder(x: jax.Array, y: jax.Array) -> jax.Array:
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return lax.rem(x, y)
    # Of the sizes, with the sign of x. Where the quotient was rounded over a whole number, it is
    # one too many or too few.
    a, b = jnp.abs(x), jnp.abs(y)
    rest = a - b * _floor(a / b)
    rest = jnp.where(rest < 0, rest + b, rest)
    rest = jnp.where(rest >= b, rest - b, rest)
    return jnp.where(x < 0, -rest, rest)


def _polynomial(x: jax.Array, *coefficients: jax.Array) -> jax.Array:
    total = coefficients[-1]
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


def _converted(x: jax.Array, new_dtype: DTypeLike) -> jax.Array:
    if jnp.issubdtype(new_dtype, jnp.bool_) and x.dtype != bool:
        return x != 0  # Mosaic has no conversion for it
    return x.astype(new_dtype)


def select(which: jax.Array, *cases: jax.Array) -> jax.Array:
    """The case that `which` names, a truth value or a number."""
    if which.dtype != bool:
        chosen = cases[0]
        for k, case in enumerate(cases[1:], 1):
            chosen = select(which == k, chosen, case)
        return chosen
    dtype = cases[0].dtype
    if not jnp.issubdtype(dtype, jnp.integer):
        return lax.select_n(which, *cases)
    # Mosaic forgets the sign of an integer here where one case is the same in all lanes.
    as_float = [lax.bitcast_convert_type(c.astype(jnp.int32), jnp.float32) for c in cases]
    return lax.bitcast_convert_type(lax.select_n(which, *as_float), jnp.int32).astype(dtype)


REWRITTEN: dict[str, Callable[..., Any]] = {
    "expm1": _expm1,
    "log1p": _log1p,
    "pow": _power,
    "integer_pow": _integer_pow,
    "polynomial": _polynomial,
    "floor": _floor,
    "ceil": lambda x: -_floor(-x),
    "rem": _remainder,
    "select_n": select,
    "atan": lambda x: lax.atan2(x, jnp.ones_like(x)),
    "sinh": lambda x: 0.5 * (_expm1(x) - _expm1(-x)),
    "cosh": lambda x: 0.5 * (lax.exp(x) + lax.exp(-x)),
    "is_finite": lambda x: jnp.abs(x) <= jnp.finfo(x.dtype).max,
    "convert_element_type": _converted,
    "add_any": lambda x, y: x + y,
    "copy": lambda x: x,
    "copy_p": lambda x: x,
    "stop_gradient": lambda x: x,
}

PARAMETERS = ("y", "new_dtype")
"""Those of an equation's that a formula takes."""


def fast_exp(x: jax.Array, power_of_two: Callable[..., Any] = lax.exp2) -> jax.Array:
    """exp(x) as a power of two: relative error below (2 + |x|) 1.2e-7.

    The rounding of x log2(e) is most of it; the hardware's own 2^y is good to 2 units in the last
    place.
    """
    return power_of_two(x * math.log2(math.e))
