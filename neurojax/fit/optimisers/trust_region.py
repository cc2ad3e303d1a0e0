"""What every damped Gauss-Newton step shares: bounds, a trust region, damping.

For NumPy arrays on the host and, in a program, for JAX arrays.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

RADIUS = 0.6
"""No step is longer in any coordinate of the unit box."""

SHRINK, GROW = 0.4, 4.0
"""By what the damping is multiplied after a better point, and after a worse one."""

LEAST, MOST = 1e-12, 1e8
"""The damping stays between these."""


def numpy_for(a: Any) -> Any:
    """The module, NumPy or jax.numpy, whose functions suit an array."""
    return jnp if isinstance(a, jax.Array) else np


def at_bound(z: Any, gradient: Any) -> Any:
    """Coordinates of the unit box that a bound holds: downhill leads out of the box."""
    return ((z <= 0) & (gradient > 0)) | ((z >= 1) & (gradient < 0))


def shortening(longest: Any, radius: float = RADIUS) -> Any:
    """What to multiply a step by whose largest coordinate is `longest`, so that it is no longer."""
    xp = numpy_for(longest)
    return xp.minimum(1.0, radius / xp.maximum(longest, radius))


def next_damping(damping: Any, better: Any, shrink: float = SHRINK, grow: float = GROW) -> Any:
    """The damping after a step that led to a better point, or did not."""
    xp = numpy_for(damping)
    return xp.clip(damping * xp.where(better, shrink, grow), LEAST, MOST)


def solve(A: Any, B: Any) -> Any:
    """X of A X = B for `[..., P, P]` and `[..., P, R]`; the shortest where A is singular."""
    try:
        return numpy_for(A).linalg.solve(A, B)
    except np.linalg.LinAlgError:
        return np.linalg.pinv(A) @ B
