"""Levenberg-Marquardt in the unit box, as an optax gradient transformation of one start."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

NEAR = 1e-3
"""Relative change of the value in a step below which its end tells the curvature of residuals."""


class LevenbergState(NamedTuple):
    """The best point with its quadratic model, the damping, and how the steps went."""

    z: jax.Array  # [P]
    value: jax.Array
    gradient: jax.Array  # [P]
    matrix: jax.Array  # [P, P]
    bend: jax.Array  # [P, P] what the curvature of the residuals adds to it
    damping: jax.Array
    rejected: jax.Array  # int32, steps to a point that was worse, or not finite
    clipped: jax.Array  # int32, steps cut short at the trust region


def levenberg_marquardt(
    damping: float = 10.0, shrink: float = 0.4, grow: float = 4.0, radius: float = 0.6
) -> optax.GradientTransformationExtraArgs:
    """Damped Gauss-Newton steps within the box [0, 1]^P and a trust region.

    `update(gradient, state, z, value=, matrix=)` takes the sum of squares at z `[P]`, its gradient
    `[P]` and J'J `[P, P]`. A point worse than the last accepted one is rejected: the update then
    leads from z to a shorter step from that point. No step is longer than `radius` in any
    coordinate; coordinates held by a bound are left out of the solve. Cautious first steps, from a
    large damping, miss fewer basins than bold ones.

    A model that is not quite right leaves residuals whose own curvature can double that of J'J:
    Gauss-Newton then overshoots for ever. Once steps change little, it is learned from how the
    gradient changes along them (symmetric rank-one secant, sized).

    Sources: Marquardt 1963, J SIAM 11:431, doi:10.1137/0111030; Dennis, Gay & Welsch 1981, ACM
    Trans Math Softw 7:348, doi:10.1145/355958.355965.
    """

    def init(params: Any) -> LevenbergState:
        z = params
        return LevenbergState(
            z=z,
            value=jnp.full((), jnp.inf, z.dtype),
            gradient=jnp.zeros_like(z),
            matrix=jnp.zeros((z.size, z.size), z.dtype),
            bend=jnp.zeros((z.size, z.size), z.dtype),
            damping=jnp.full((), damping, z.dtype),
            rejected=jnp.zeros((), jnp.int32),
            clipped=jnp.zeros((), jnp.int32),
        )

    def update(updates: Any, state: Any, params: Any = None, *, value, matrix, **_: Any):
        z, gradient = params, 0.5 * updates
        better = value < state.value  # False for NaN
        matrix = jnp.where(better, matrix, state.matrix)
        near = jnp.abs(value / state.value - 1) < NEAR
        learned = _learned(state.bend, matrix, z - state.z, gradient - state.gradient)
        state = LevenbergState(
            z=jnp.where(better, z, state.z),
            value=jnp.where(better, value, state.value),
            gradient=jnp.where(better, gradient, state.gradient),
            matrix=matrix,
            bend=jnp.where(near, learned, jnp.where(better, 0.0, state.bend)),
            damping=jnp.clip(state.damping * jnp.where(better, shrink, grow), 1e-12, 1e8),
            rejected=state.rejected + ~better,
            clipped=state.clipped,
        )
        step, clipped = _solve(state, radius)
        candidate = jnp.clip(state.z + step, 0.0, 1.0)
        return candidate - z, state._replace(clipped=state.clipped + clipped)

    return optax.GradientTransformationExtraArgs(init, update)  # pyright: ignore[reportArgumentType]


LEVENBERG_MARQUARDT = levenberg_marquardt()
"""The optimiser of sums of squares, with the damping that suits most."""


def _learned(bend: jax.Array, matrix: jax.Array, s: jax.Array, y: jax.Array) -> jax.Array:
    """What to add to J'J, from a step s `[P]` along which half the gradient changed by y."""
    missing = y - matrix @ s
    known, tiny = jnp.abs(s @ bend @ s), jnp.finfo(s.dtype).tiny
    bend = bend * jnp.minimum(1.0, jnp.abs(s @ missing) / jnp.maximum(known, tiny))
    missing = missing - bend @ s
    along = missing @ s
    bent = bend + jnp.outer(missing, missing) / along
    sound = jnp.abs(along) > 1e-8 * jnp.sqrt((missing @ missing) * (s @ s))
    return jnp.where(sound & jnp.isfinite(bent).all(), bent, bend)


def _solve(state: LevenbergState, radius: float) -> tuple[jax.Array, jax.Array]:
    """The damped step `[P]`, none beyond a bound; and whether it was cut short to `radius`."""
    z, g = state.z, state.gradient
    held = ((z <= 0) & (g > 0)) | ((z >= 1) & (g < 0))
    free = ~held
    H, bend = (jnp.where(free[:, None] & free, a, 0.0) for a in (state.matrix, state.bend))
    diagonal = jnp.diagonal(H)
    tiny = jnp.finfo(z.dtype).tiny
    scale = jnp.where(free, jnp.maximum(diagonal, 1e-9 * diagonal.max() + tiny), 1.0)
    # In coordinates of unit diagonal the solve is as well conditioned as it can be.
    root = jnp.sqrt(scale)
    H, bend, down = H / (root[:, None] * root), bend / (root[:, None] * root), -g * free / root
    H = jnp.where(jnp.eye(z.size, dtype=bool), jnp.where(free, 1 + state.damping, 1.0), H)
    step = jnp.linalg.solve(H + bend, down)
    # What was learned may be wrong by now, and lead uphill; Gauss-Newton never does.
    step = jnp.where(step @ down > 0, step, jnp.linalg.solve(H, down)) / root
    longest = jnp.abs(step).max()
    step = step * jnp.minimum(1.0, radius / jnp.maximum(longest, tiny))
    return jnp.where(jnp.isfinite(step), step, 0.0), longest > radius
