"""Levenberg-Marquardt in the unit box, as an optax gradient transformation."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from neurojax.fit.optimisers.trust_region import (
    GROW,
    RADIUS,
    SHRINK,
    at_bound,
    next_damping,
    numpy_for,
    shortening,
    solve,
)

NEAR = 1e-3
"""Relative change of the value in a step below which the curvature of residuals is learned."""


class LevenbergState(NamedTuple):
    """The best point with its quadratic model, the damping, and how the steps went."""

    z: Any  # [..., P]
    value: Any  # [...]
    gradient: Any  # [..., P] half of it
    matrix: Any  # [..., P, P] J'J
    curvature: Any  # [..., P, P] what the curvature of the residuals adds to it
    damping: Any  # [...]
    rejected: Any  # [...] int32, steps to a point that was worse, or not finite
    clipped: Any  # [...] int32, steps cut short at the trust region


def levenberg_marquardt(
    damping: float = 10.0, shrink: float = SHRINK, grow: float = GROW, radius: float = RADIUS
) -> optax.GradientTransformationExtraArgs:
    """Damped Gauss-Newton steps within the box [0, 1]^P and a trust region.

    `update(gradient, state, z, value=, matrix=)` takes the sum of squares at z `[..., P]`, its
    gradient `[..., P]` and J'J `[..., P, P]`: of one start in a program, or as NumPy arrays on the
    host, there of many at once. A point worse than the last accepted one is rejected: the update
    then leads from z to a shorter step from that point. No step is longer than `radius` in any
    coordinate; coordinates held by a bound are left out of the solve. Cautious first steps, from a
    large damping, miss fewer basins than bold ones.

    A model that is not quite right leaves residuals whose own curvature can double that of J'J:
    Gauss-Newton then overshoots for ever. Once steps change little, it is learned from how the
    gradient changes along them (symmetric rank-one secant, sized).

    Sources: Marquardt 1963, J SIAM 11:431, doi:10.1137/0111030; Dennis, Gay & Welsch 1981, ACM
    Trans Math Softw 7:348, doi:10.1145/355958.355965.
    """

    def init(params: Any) -> LevenbergState:
        z, xp = params, numpy_for(params)
        starts, P = z.shape[:-1], z.shape[-1]
        return LevenbergState(
            z=z,
            value=xp.full(starts, xp.inf, z.dtype),
            gradient=xp.zeros_like(z),
            matrix=xp.zeros((*starts, P, P), z.dtype),
            curvature=xp.zeros((*starts, P, P), z.dtype),
            damping=xp.full(starts, damping, z.dtype),
            rejected=xp.zeros(starts, xp.int32),
            clipped=xp.zeros(starts, xp.int32),
        )

    def update(updates: Any, state: Any, params: Any = None, *, value: Any, matrix: Any, **_: Any):
        z, gradient, xp = params, 0.5 * updates, numpy_for(params)
        better = value < state.value  # False for NaN
        of_vector, of_matrix = better[..., None], better[..., None, None]
        matrix = xp.where(of_matrix, matrix, state.matrix)
        near = (xp.abs(value / state.value - 1) < NEAR)[..., None, None]
        learned = _learned(state.curvature, matrix, z - state.z, gradient - state.gradient)
        state = LevenbergState(
            z=xp.where(of_vector, z, state.z),
            value=xp.where(better, value, state.value),
            gradient=xp.where(of_vector, gradient, state.gradient),
            matrix=matrix,
            curvature=xp.where(near, learned, xp.where(of_matrix, 0.0, state.curvature)),
            damping=next_damping(state.damping, better, shrink, grow),
            rejected=state.rejected + ~better,
            clipped=state.clipped,
        )
        step, clipped = _step(state, radius)
        candidate = xp.clip(state.z + step, 0.0, 1.0)
        return candidate - z, state._replace(clipped=state.clipped + clipped)

    return optax.GradientTransformationExtraArgs(init, update)  # pyright: ignore[reportArgumentType]


LEVENBERG_MARQUARDT = levenberg_marquardt()
"""The optimiser of sums of squares, with the damping that suits most."""

BOLD = levenberg_marquardt(damping=1e-3)
"""The optimiser of those that are near their minimum already."""


def _learned(curvature: Any, matrix: Any, s: Any, y: Any) -> Any:
    """What to add to J'J, from steps s `[..., P]` along which half the gradient changed by y."""
    xp = numpy_for(s)
    missing = y - _times(matrix, s)
    known, tiny = xp.abs(_dot(s, _times(curvature, s))), jnp.finfo(s.dtype).tiny
    size = xp.minimum(1.0, xp.abs(_dot(s, missing)) / xp.maximum(known, tiny))
    curvature = curvature * size[..., None, None]
    missing = missing - _times(curvature, s)
    along = _dot(missing, s)
    bent = curvature + missing[..., None] * missing[..., None, :] / along[..., None, None]
    sound = xp.abs(along) > 1e-8 * xp.sqrt(_dot(missing, missing) * _dot(s, s))
    sound = sound & xp.isfinite(bent).all((-2, -1))
    return xp.where(sound[..., None, None], bent, curvature)


def _step(state: LevenbergState, radius: float) -> tuple[Any, Any]:
    """The damped steps `[..., P]`, none beyond a bound; and whether they were cut short."""
    z, g, xp = state.z, state.gradient, numpy_for(state.z)
    free = ~at_bound(z, g)
    both = free[..., :, None] & free[..., None, :]
    H, curvature = (xp.where(both, a, 0.0) for a in (state.matrix, state.curvature))
    diagonal = xp.diagonal(H, axis1=-2, axis2=-1)
    floor = 1e-9 * diagonal.max(-1, keepdims=True) + jnp.finfo(z.dtype).tiny
    scale = xp.where(free, xp.maximum(diagonal, floor), 1.0)
    # In coordinates of unit diagonal the solve is as well conditioned as it can be.
    root = xp.sqrt(scale)
    each = root[..., :, None] * root[..., None, :]
    H, curvature, down = H / each, curvature / each, -g * free / root
    damped = xp.where(free, 1 + state.damping[..., None], 1.0)
    H = xp.where(xp.eye(z.shape[-1], dtype=bool), damped[..., None], H)
    step = solve(H + curvature, down[..., None])[..., 0]
    # What was learned may be wrong by now, and lead uphill; Gauss-Newton never does.
    downhill = (_dot(step, down) > 0)[..., None]
    step = xp.where(downhill, step, solve(H, down[..., None])[..., 0]) / root
    longest = xp.abs(step).max(-1, keepdims=True)
    step = step * shortening(longest, radius)
    return xp.where(xp.isfinite(step), step, 0.0), longest[..., 0] > radius


def _times(A: Any, x: Any) -> Any:
    return (A @ x[..., None])[..., 0]


def _dot(a: Any, b: Any) -> Any:
    return (a * b).sum(-1)
