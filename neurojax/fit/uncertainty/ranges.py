"""How far each parameter can move alone before a fit is noticeably worse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from neurojax.model.space import Space

OFFSETS = np.r_[0.002 * 2.0 ** np.arange(9), 1.0]
"""How far from the best point it is looked, as parts of the bounds' distance."""


def probes(best: Float[np.ndarray, " param"]) -> Float[np.ndarray, "param probe"]:
    """Points `[P, P * 2 * offset]` around the best `[P]`: one coordinate off at a time."""
    P, n = best.size, 2 * OFFSETS.size
    points = np.repeat(best[:, None], P * n, axis=1)
    signed = np.r_[-OFFSETS, OFFSETS]
    for k in range(P):
        points[k, k * n : (k + 1) * n] += signed
    return np.clip(points, 0.0, 1.0)


def ranges(
    space: Space,
    best: Float[np.ndarray, " param"],
    errors: Float[np.ndarray, " probe"],
    allowed: float,
) -> dict[str, tuple[float, float]]:
    """From the errors of the probes, the values at which the error first passes `allowed`.

    Linear in z between probes; a bound where it never does. The other parameters are held, so a
    wide range means that the data hardly care, but a narrow one not that the value is certain.
    """
    errors = errors.reshape(best.size, 2, OFFSETS.size)
    found = {}
    for k, f in enumerate(space.free):
        value = _valued(Space((f,)))
        low, high = (
            np.clip(best[k] + sign * _reach(e, allowed), 0.0, 1.0)
            for sign, e in zip((-1, 1), errors[k], strict=True)
        )
        found[f.name] = value(low), value(high)
    return found


def _reach(errors: np.ndarray, allowed: float) -> float:
    """The offset at which the errors first pass what is allowed."""
    beyond = np.flatnonzero(~(errors <= allowed))
    if not beyond.size:
        return 1.0
    j = int(beyond[0])
    x0, e0 = (OFFSETS[j - 1], errors[j - 1]) if j else (0.0, allowed - 1.0)
    if not np.isfinite(errors[j]):
        return float(x0)
    part = (allowed - e0) / (errors[j] - e0)
    return float(x0 + part * (OFFSETS[j] - x0))


def _valued(space: Space) -> Callable[[float], float]:
    name = space.names[0]
    return lambda z: float(space.values(np.array([z]))[name])
