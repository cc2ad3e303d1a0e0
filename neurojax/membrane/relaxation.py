"""How a quantity relaxes during a step: exactly, or as suits a step that also moves the potential.

y' = -y over a time x, from 1. What a step needs of it is the mean of y, m(x) = (1 - y(x)) / x, so
that y(x) = 1 - x m(x), and the lag (1 - m(x)) / x of that mean behind the end.

With v held a gate's relaxation is the exponential, and a step exact. With v moving a step holds one
of the two while the other moves, an error of second order, so that a relaxation need be no better:
y(x) = 1 / (1 + x + x^2 / 2 + x^3 / 6 + x^4 / 24) costs one division and no exponential, is between
1 and 0 and falls to 0 for long steps. benchmarks/relaxation.py tries other third-order terms, which
cancel a part of the error of some neurons, and add to that of others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.membrane.rates import Leaf, patched, polynomial


def _relaxed(x: np.ndarray) -> np.ndarray:
    return -np.expm1(-x) / x


class _Doublings(NamedTuple):
    """How (1 - exp(-x)) / x is computed: a polynomial for a small part of x, then doublings of it.

    Exact to a rounding or two in [-1, limit]; beyond the limit exp(-x) is nothing.
    """

    doublings: int
    coefficients: tuple[float, ...]

    @property
    def limit(self) -> float:
        return 2.0**self.doublings


def _doublings(doublings: int, degree: int) -> _Doublings:
    low = -(0.5**doublings)
    fit = np.polynomial.Chebyshev.interpolate(_relaxed, degree, domain=(low, 1.0))
    return _Doublings(doublings, tuple(fit.convert(kind=np.polynomial.Polynomial).coef))


_MEAN_SLOPE = tuple((-1) ** (k + 1) * (k + 1) / math.factorial(k + 2) for k in range(12))
_DOUBLINGS = {"float32": _doublings(4, 5), "float64": _doublings(6, 12)}


@jax.custom_jvp
def relax_mean(x: Leaf) -> jax.Array:
    """(1 - exp(-x)) / x, x >= -1: the mean of exp(-s) over 0 < s < x; 1 at x = 0.

    Relative error below 3e-7 (float32), 3e-15 (float64), at any size of x, without an exponential:
    1 - exp(-2 x) = (1 - exp(-x)) (2 - (1 - exp(-x))).
    """
    x = jnp.asarray(x)
    how = _DOUBLINGS[x.dtype.name]
    part = x * (1 / how.limit)
    beyond = jnp.where(part > 1, part, 1.0)
    part = jnp.where(part < 1, part, 1.0)
    mean = polynomial(part, how.coefficients)
    for k in range(how.doublings):
        mean = mean - (2.0 ** (k - 1) * part * mean) * mean
    return mean / beyond


@relax_mean.defjvp
def _(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,) = primals
    mean = relax_mean(x)
    # (exp(-x) - mean) / x with exp(-x) = 1 - x mean, by its series where that cancels.
    near = jnp.abs(x) < 0.3
    safe = jnp.where(near, 1.0, x)
    left = jnp.where(x < _DOUBLINGS[mean.dtype.name].limit, 1 - safe * mean, 0.0)
    series = polynomial(x, _MEAN_SLOPE[: 6 if mean.dtype == jnp.float32 else None])
    return mean, jnp.where(near, series, (left - mean) / safe) * tangents[0]


_LAG = tuple((-1) ** k / math.factorial(k + 2) for k in range(12))


def relax_lag(x: Leaf) -> jax.Array:
    """(1 - relax_mean(x)) / x, x >= -1: the mean of (1 - exp(-s)) / x over 0 < s < x; 1/2 at 0."""
    x = jnp.asarray(x)
    terms = 6 if x.dtype == jnp.float32 else 12
    return patched(x, 0.3, _LAG, terms, lambda z: (1 - relax_mean(z)) / z)


class Relaxation(NamedTuple):
    """The mean and the lag of a relaxation, as functions of x: dt times a rate."""

    mean: Callable[[jax.Array], jax.Array]
    lag: Callable[[jax.Array], jax.Array]


def rational(third: float = 1 / 6, fourth: float = 1 / 24, *, grows: bool) -> Relaxation:
    """The relaxation y(x) = 1 / (1 + x + x^2 / 2 + third x^3 + fourth x^4), x >= 0.

    With n(x) = (1 / y(x) - 1) / x its mean is n / (1 + x n). What `grows` is asked for x < 0 too:
    there the mean is n(-x), the polynomial of the same terms.
    """

    def numerator(x: jax.Array) -> jax.Array:
        # Bounded, as x n would overflow in float32: from 1e7 on the mean is 1 / x.
        return jnp.minimum(1 + x * (0.5 + x * (third + fourth * x)), 1e18)

    def chosen(x: jax.Array, falling: jax.Array, growing: jax.Array) -> jax.Array:
        return jnp.where(x < 0, growing, falling) if grows else falling

    def size(x: jax.Array) -> jax.Array:
        return jnp.abs(x) if grows else x

    @jax.custom_jvp
    def mean(x: jax.Array) -> jax.Array:
        n = numerator(size(x))
        return chosen(x, n / (1 + x * n), n)

    @mean.defjvp
    def _(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
        (x,) = primals
        u = size(x)
        n, rise = numerator(u), 0.5 + u * (2 * third + 3 * fourth * u)
        y = 1 / (1 + u * n)
        falling = n * y  # the mean, by the division that its slope takes too
        return chosen(x, falling, n), chosen(x, (y * rise) * y - falling**2, -rise) * tangents[0]

    def lag(x: jax.Array) -> jax.Array:
        u = size(x)
        rest = 0.5 + u * (0.5 - third + u * (third - fourth + fourth * u))
        falling = jnp.minimum(rest, 1e18) / (1 + u * numerator(u))
        return chosen(x, falling, 0.5 + u * (third + fourth * u))

    return Relaxation(mean, lag)


EXACT = Relaxation(relax_mean, relax_lag)
GATES = rational(grows=False)
POTENTIAL = rational(grows=True)
