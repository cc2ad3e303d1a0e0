"""How fast a spike travels from one place to another."""

from __future__ import annotations

import numpy as np
from jaxtyping import Array, Float

from neurojax.recording.features.detection import Samples
from neurojax.recording.spike import THRESHOLD

AtTwoPlaces = Float[np.ndarray | Array, "sample 2 *pop"]


def arrival(v: Samples, dt: float, threshold: float = THRESHOLD) -> Float[np.ndarray, "*pop"]:
    """When the potential first goes up through a threshold (mV), ms; NaN where it does not.

    v is `[sample, *pop]`, every dt ms, the first at dt; between samples it is a straight line.
    """
    v = np.asarray(v, np.float64)
    up = (v[:-1] < threshold) & (v[1:] >= threshold)
    k = up.argmax(axis=0)
    before, behind = (np.take_along_axis(v, n[None], 0)[0] for n in (k, k + 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = dt * (1 + k + (threshold - before) / (behind - before))
    return np.asarray(np.where(up.any(axis=0), t, np.nan))


def conduction_velocity(
    v: AtTwoPlaces, dt: float, distance: float, threshold: float = THRESHOLD
) -> Float[np.ndarray, "*pop"]:
    """How fast the first spike goes from one place to the other, m/s.

    v is `[sample, 2, *pop]` at two places so many um apart, in mV, every dt ms. Negative where
    the second fires first, NaN where one does not. Raises ValueError for a distance that is not
    positive.
    """
    if not distance > 0:
        raise ValueError(f"distance = {distance!r} um: expected more than 0")
    first, second = arrival(v, dt, threshold)
    with np.errstate(divide="ignore"):
        return np.asarray(1e-3 * distance / (second - first))
