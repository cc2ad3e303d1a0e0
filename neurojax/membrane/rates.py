"""The maths of gating: all that a channel may use beside jnp.exp, log, tanh and arithmetic.

Every function here is finite in value and gradient at its removable singularity, in float32 too,
and uses only primitives that a GPU kernel can lower.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

if TYPE_CHECKING:  # which takes the product of a NumPy array and one of JAX for NumPy's
    Leaf = Any
else:
    Leaf = int | float | np.floating | np.integer | Real[np.ndarray, "..."] | Real[Array, "..."]
"""A number, or an array: a parameter's is `[pop]`, in a cell with compartments see `axes`.

It is computed in float32 or float64; whole numbers become either.
"""


class Gating(NamedTuple):
    """What voltage does to one gating variable x' = rate * (inf - x)."""

    inf: Float[Array, "*pop"]  # steady state, 1
    rate: Float[Array, "*pop"]  # 1 / time constant, 1/ms


def from_rates(alpha: Leaf, beta: Leaf) -> Gating:
    """Opening and closing rates (1/ms) as steady state and rate."""
    rate = alpha + beta
    return Gating(alpha / rate, rate)


def from_tau(inf: Leaf, tau: Leaf) -> Gating:
    """Steady state and time constant (ms) as steady state and rate."""
    return Gating(inf, 1 / tau)


# Taylor coefficients about 0. Float32 needs the first few inside the switching radius, float64 all.
_EXP_LINEAR = (1.0, 1 / 2, 1 / 12, 0.0, -1 / 720, 0.0, 1 / 30240)
_EXPREL = (1.0, 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040, 1 / 40320, 1 / 362880)


def _polynomial(x: jax.Array, coefficients: Sequence[float]) -> jax.Array:
    total = coefficients[-1] * jnp.ones_like(x)
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


def _patched(
    x: Leaf,
    radius: float,
    coefficients: tuple[float, ...],
    terms: int,
    formula: Callable[[jax.Array], jax.Array],
) -> jax.Array:
    # The formula never sees the singular point, so neither value nor gradient can be NaN there.
    x = jnp.asarray(x)
    near = jnp.abs(x) < radius
    kept = coefficients[: terms if x.dtype == jnp.float32 else None]
    return jnp.where(near, _polynomial(x, kept), formula(jnp.where(near, jnp.ones_like(x), x)))


def exp_linear(x: Leaf) -> jax.Array:
    """x / (1 - exp(-x)), the rate of Hodgkin and Huxley's alpha_m and alpha_n; 1 at x = 0."""
    # Beyond -80 the value is 0 to float32; the bound keeps exp from overflowing in the derivative.
    return _patched(x, 0.1, _EXP_LINEAR, 3, lambda z: z / (1 - jnp.exp(-jnp.maximum(z, -80.0))))


def exprel(x: Leaf) -> jax.Array:
    """(exp(x) - 1) / x; 1 at x = 0."""
    return _patched(x, 0.1, _EXPREL, 5, lambda z: (jnp.exp(z) - 1) / z)


@jax.custom_jvp
def sigmoid(x: Leaf) -> jax.Array:
    """1 / (1 + exp(-x)), the Boltzmann function, without overflow at either end."""
    return 1 / (1 + jnp.exp(-jnp.maximum(x, -80.0)))


@sigmoid.defjvp
def _(primals: tuple[Any], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    s = sigmoid(*primals)
    return s, s * (1 - s) * tangents[0]


def hill(c: Leaf, K: Leaf, n: Leaf) -> jax.Array:
    """c^n / (K^n + c^n): the part of sites that a concentration c > 0 fills, half at K."""
    return sigmoid(n * jnp.log(c / K))


# -- relaxation during a step ---------------------------------------------------------------------
def _relaxed(x: np.ndarray) -> np.ndarray:
    return -np.expm1(-x) / x


class _Relaxation(NamedTuple):
    """How (1 - exp(-x)) / x is computed: a polynomial for a small part of x, then doublings of it.

    Exact to a rounding or two in [-1, limit]; beyond the limit exp(-x) is nothing.
    """

    doublings: int
    coefficients: tuple[float, ...]

    @property
    def limit(self) -> float:
        return 2.0**self.doublings


def _relaxation(doublings: int, degree: int) -> _Relaxation:
    low = -(0.5**doublings)
    fit = np.polynomial.Chebyshev.interpolate(_relaxed, degree, domain=(low, 1.0))
    return _Relaxation(doublings, tuple(fit.convert(kind=np.polynomial.Polynomial).coef))


_MEAN_SLOPE = tuple((-1) ** (k + 1) * (k + 1) / math.factorial(k + 2) for k in range(12))
_RELAXATION = {"float32": _relaxation(4, 5), "float64": _relaxation(6, 12)}


def relax(x: Leaf) -> jax.Array:
    """1 - exp(-x), x >= -1: the part of its way that a gate goes in x = dt * rate.

    Relative error below 3e-7 (float32), 3e-15 (float64), for however small an x, without an
    exponential: relax(2 x) = relax(x) (2 - relax(x)). Its slope, 1 - relax(x), is rounded as 1 is.
    """
    x = jnp.asarray(x)
    return _doubled(x * (1 / _RELAXATION[x.dtype.name].limit))


@jax.custom_jvp
def _doubled(part: jax.Array) -> jax.Array:
    """relax of `limit` times a part."""
    how = _RELAXATION[part.dtype.name]
    part = jnp.where(part < 1, part, 1.0)
    total = part * _polynomial(part, how.coefficients)
    for _ in range(how.doublings):
        total = total * (2 - total)
    return total


@_doubled.defjvp
def _(primals: tuple[Any], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    total = _doubled(*primals)
    return total, (1 - total) * (_RELAXATION[total.dtype.name].limit * tangents[0])


@jax.custom_jvp
def relax_mean(x: Leaf) -> jax.Array:
    """(1 - exp(-x)) / x, x >= -1: the mean of exp(-s) over 0 < s < x; 1 at x = 0.

    Errors as those of `relax`, at any size of x.
    """
    x = jnp.asarray(x)
    how = _RELAXATION[x.dtype.name]
    part = x * (1 / how.limit)
    beyond = jnp.where(part > 1, part, 1.0)
    part = jnp.where(part < 1, part, 1.0)
    mean = _polynomial(part, how.coefficients)
    for k in range(how.doublings):
        mean = mean - (2.0 ** (k - 1) * part * mean) * mean
    return mean / beyond


@relax_mean.defjvp
def _(primals: tuple[Any], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,) = primals
    mean = relax_mean(x)
    # (exp(-x) - mean) / x with exp(-x) = 1 - x mean, by its series where that cancels.
    near = jnp.abs(x) < 0.3
    safe = jnp.where(near, 1.0, x)
    left = jnp.where(x < _RELAXATION[mean.dtype.name].limit, 1 - safe * mean, 0.0)
    series = _polynomial(x, _MEAN_SLOPE[: 6 if mean.dtype == jnp.float32 else None])
    return mean, jnp.where(near, series, (left - mean) / safe) * tangents[0]


_LAG = tuple((-1) ** k / math.factorial(k + 2) for k in range(12))


def relax_lag(x: Leaf) -> jax.Array:
    """(1 - relax_mean(x)) / x, x >= -1: the mean of (1 - exp(-s)) / x over 0 < s < x; 1/2 at 0."""
    x = jnp.asarray(x)
    terms = 6 if x.dtype == jnp.float32 else 12
    return _patched(x, 0.3, _LAG, terms, lambda z: (1 - relax_mean(z)) / z)
