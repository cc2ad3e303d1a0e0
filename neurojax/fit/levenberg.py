"""Levenberg-Marquardt in the unit box, as an optax gradient transformation, batched over starts."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


class LevenbergState(NamedTuple):
    """The best point of each start with its quadratic model, and its damping."""

    z: jax.Array  # [P, pop]
    value: jax.Array  # [pop]
    gradient: jax.Array  # [P, pop]
    matrix: jax.Array  # [P, P, pop]
    damping: jax.Array  # [pop]


def levenberg_marquardt(
    damping: float = 1e-2, shrink: float = 0.2, grow: float = 4.0, radius: float = 0.6
) -> optax.GradientTransformationExtraArgs:
    """Damped Gauss-Newton steps within the box [0, 1]^P and a trust region.

    `update(gradient, state, z, value=, matrix=)` takes the sum of squares `[pop]` at z `[P, pop]`,
    its gradient `[P, pop]` and J'J `[P, P, pop]`. A point worse than the last accepted one is
    undone: the update then leads from z to a shorter step from that point. Each start has its own
    damping. No step is longer than `radius` in any coordinate; coordinates held by a bound are left
    out of the solve.

    Source: Marquardt 1963, J SIAM 11:431, doi:10.1137/0111030.
    """

    def init(params: Any) -> LevenbergState:
        z = params
        P, pop = z.shape
        return LevenbergState(
            z=z,
            value=jnp.full(pop, jnp.inf, z.dtype),
            gradient=jnp.zeros_like(z),
            matrix=jnp.zeros((P, P, pop), z.dtype),
            damping=jnp.full(pop, damping, z.dtype),
        )

    def update(updates: Any, state: Any, params: Any = None, *, value, matrix, **_: Any):
        z, gradient = params, updates
        better = value < state.value  # False for NaN
        state = LevenbergState(
            z=jnp.where(better, z, state.z),
            value=jnp.where(better, value, state.value),
            gradient=jnp.where(better, 0.5 * gradient, state.gradient),
            matrix=jnp.where(better, matrix, state.matrix),
            damping=jnp.clip(state.damping * jnp.where(better, shrink, grow), 1e-12, 1e8),
        )
        candidate = jnp.clip(state.z + _solve(state, radius), 0.0, 1.0)
        return candidate - z, state

    return optax.GradientTransformationExtraArgs(init, update)  # pyright: ignore[reportArgumentType]


def _solve(state: LevenbergState, radius: float) -> jax.Array:
    """The damped step `[P, pop]`, at most `radius` in any coordinate, none beyond a bound."""
    z, g, H = state.z, state.gradient, state.matrix
    held = ((z <= 0) & (g > 0)) | ((z >= 1) & (g < 0))
    free = ~held
    H = jnp.where(free[:, None] & free[None], H, 0.0)
    P = z.shape[0]
    diagonal = H[jnp.arange(P), jnp.arange(P)]
    floor = 1e-9 * diagonal.max(axis=0) + jnp.finfo(z.dtype).tiny
    scale = jnp.where(free, jnp.maximum(diagonal, floor), 1.0)
    # In coordinates of unit diagonal the solve is as well conditioned as it can be.
    root = jnp.sqrt(scale)
    H = H / (root[:, None] * root[None])
    H = jnp.where(jnp.eye(P, dtype=bool)[..., None], jnp.where(free, 1 + state.damping, 1.0), H)
    rhs = jnp.where(free, -g, 0.0) / root
    step = jnp.linalg.solve(jnp.moveaxis(H, -1, 0), rhs.T[..., None])[..., 0].T / root
    longest = jnp.abs(step).max(axis=0)
    step = step * jnp.minimum(1.0, radius / jnp.maximum(longest, jnp.finfo(z.dtype).tiny))
    return jnp.where(jnp.isfinite(step), step, 0.0)
