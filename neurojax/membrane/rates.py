"""The maths of gating: all that a channel may use beside jnp.exp, log, tanh and arithmetic.

Every function here is finite in value and gradient at its removable singularity, in float32 too,
and uses only primitives that a GPU kernel can lower.
"""

from __future__ import annotations

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
    """What voltage does to one gating variable: x' = opening - rate * x."""

    opening: Float[Array, "*pop"]  # 1/ms, from none open
    rate: Float[Array, "*pop"]  # 1/ms, one over the time constant

    @property
    def inf(self) -> Float[Array, "*pop"]:
        """The steady state."""
        return self.opening / self.rate

    def faster(self, times: Leaf) -> Gating:
        """So many times faster, to the same steady state."""
        return Gating(self.opening * times, self.rate * times)


def from_rates(alpha: Leaf, beta: Leaf) -> Gating:
    """A gate of opening and closing rates, 1/ms."""
    return Gating(alpha, alpha + beta)


def from_inf(inf: Leaf, rate: Leaf) -> Gating:
    """A gate of a steady state and a rate, 1/ms, with which it is approached."""
    return Gating(inf * rate, rate)


def from_tau(inf: Leaf, tau: Leaf) -> Gating:
    """A gate of a steady state and a time constant, ms."""
    return from_inf(inf, 1 / tau)


# Taylor coefficients about 0. Float32 needs the first few inside the switching radius, float64 all.
_EXP_LINEAR = (1.0, 1 / 2, 1 / 12, 0.0, -1 / 720, 0.0, 1 / 30240)
_EXPREL = (1.0, 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040, 1 / 40320, 1 / 362880)


def polynomial(x: jax.Array, coefficients: Sequence[float]) -> jax.Array:
    """A polynomial in x, of coefficients from the constant up."""
    total = coefficients[-1] * jnp.ones_like(x)
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


def patched(
    x: Leaf,
    radius: float,
    coefficients: tuple[float, ...],
    terms: int,
    formula: Callable[[jax.Array], jax.Array],
) -> jax.Array:
    """A formula with a removable singularity at 0, and within a radius of it a series.

    The formula never sees the singular point, so neither value nor gradient can be NaN there.
    """
    x = jnp.asarray(x)
    near = jnp.abs(x) < radius
    kept = coefficients[: terms if x.dtype == jnp.float32 else None]
    return jnp.where(near, polynomial(x, kept), formula(jnp.where(near, jnp.ones_like(x), x)))


def exp_linear(x: Leaf) -> jax.Array:
    """x / (1 - exp(-x)), the rate of Hodgkin and Huxley's alpha_m and alpha_n; 1 at x = 0."""
    # Beyond -80 the value is 0 to float32; the bound keeps exp from overflowing in the derivative.
    return patched(x, 0.1, _EXP_LINEAR, 3, lambda z: z / (1 - jnp.exp(-jnp.maximum(z, -80.0))))


def exprel(x: Leaf) -> jax.Array:
    """(exp(x) - 1) / x; 1 at x = 0."""
    return patched(x, 0.1, _EXPREL, 5, lambda z: (jnp.exp(z) - 1) / z)


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
