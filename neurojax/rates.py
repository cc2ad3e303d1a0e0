"""The maths of gating: all that a channel may use beside jnp.exp, log, tanh and arithmetic.

Every function here is finite in value and gradient at its removable singularity, in float32 too,
and uses only primitives that a GPU kernel can lower.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Gating(NamedTuple):
    """What voltage does to one gating variable x' = rate * (inf - x)."""

    inf: jax.Array  # steady state, 1
    rate: jax.Array  # 1 / time constant, 1/ms


def from_rates(alpha: jax.Array, beta: jax.Array) -> Gating:
    """Opening and closing rates (1/ms) as steady state and rate."""
    rate = alpha + beta
    return Gating(alpha / rate, rate)


def from_tau(inf: jax.Array, tau: jax.Array) -> Gating:
    """Steady state and time constant (ms) as steady state and rate."""
    return Gating(inf, 1 / tau)


# Taylor coefficients about 0. Float32 needs the first few inside the switching radius, float64 all.
_EXP_LINEAR = (1.0, 1 / 2, 1 / 12, 0.0, -1 / 720, 0.0, 1 / 30240)
_EXPREL = (1.0, 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040, 1 / 40320, 1 / 362880)
_RELAX = (0.0, 1.0, -1 / 2, 1 / 6, -1 / 24, 1 / 120, -1 / 720, 1 / 5040)


def _series(x: jax.Array, coefficients: tuple[float, ...], terms: int) -> jax.Array:
    kept = coefficients[: terms if x.dtype == jnp.float32 else None]
    total = kept[-1] * jnp.ones_like(x)
    for c in reversed(kept[:-1]):
        total = total * x + c
    return total


def _patched(x, radius: float, coefficients: tuple[float, ...], terms: int, formula) -> jax.Array:
    # The formula never sees the singular point, so neither value nor gradient can be NaN there.
    x = jnp.asarray(x)
    near = jnp.abs(x) < radius
    return jnp.where(
        near, _series(x, coefficients, terms), formula(jnp.where(near, jnp.ones_like(x), x))
    )


def exp_linear(x) -> jax.Array:
    """x / (1 - exp(-x)), the rate of Hodgkin and Huxley's alpha_m and alpha_n; 1 at x = 0."""
    # Beyond -80 the value is 0 to float32; the bound keeps exp from overflowing in the derivative.
    return _patched(x, 0.1, _EXP_LINEAR, 3, lambda z: z / (1 - jnp.exp(-jnp.maximum(z, -80.0))))


def exprel(x) -> jax.Array:
    """(exp(x) - 1) / x; 1 at x = 0."""
    return _patched(x, 0.1, _EXPREL, 5, lambda z: (jnp.exp(z) - 1) / z)


def relax(x) -> jax.Array:
    """1 - exp(-x): the part of the way to its steady state that a gate goes in x = dt * rate."""
    return _patched(x, 0.03, _RELAX, 4, lambda z: 1 - jnp.exp(-z))


def sigmoid(x) -> jax.Array:
    """1 / (1 + exp(-x)), the Boltzmann function, without overflow at either end."""
    return 0.5 * (1 + jnp.tanh(0.5 * jnp.asarray(x)))
