"""A soma traced as an outline, and the row of frusta that stands for it.

Source: Import3d of NEURON 9 (`contour2centroid` in `import3d_gui.hoc`).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from neurojax.morphology.points import SOMA, Points

Row = Float[np.ndarray, "point 4"]
"""x, y, z and diameter of points in their order, um."""

_ALONG_OUTLINE, _ALONG_AXIS = 101, 21


def is_outline(points: Points) -> bool:
    """Whether the points of a soma go round it: they come back, and are much thinner than wide."""
    soma = points.type == SOMA
    xyz = points.xyz[soma]
    if len(xyz) < 5:
        return False
    way = np.linalg.norm(np.diff(xyz, axis=0), axis=1).sum()
    back = np.linalg.norm(xyz[-1] - xyz[0])
    extent = np.ptp(xyz, axis=0).max()
    return bool(back < 0.3 * way and points.diameter[soma].max() < extent / 2)


def filled(points: Points) -> Points:
    """The tree with a row of frusta for the outline of its soma; neurites hang on its centre."""
    soma = points.type == SOMA
    row = frusta(points.xyz[soma])
    n, others = len(row), np.flatnonzero(~soma)
    place = np.zeros(len(soma), int)  # of all of the soma: its first point
    place[others] = n + np.arange(len(others))
    on_soma = soma[points.parent[others]]
    return Points(
        np.append(np.full(n, SOMA), points.type[others]),
        np.vstack([row[:, :3], points.xyz[others]]),
        np.append(row[:, 3], points.diameter[others]),
        np.append(np.arange(n) - 1, place[points.parent[others]]),
        frozenset(place[others[on_soma]].tolist()),
    )


def frusta(outline: Float[np.ndarray, "point 3"]) -> Row:
    """The row of frusta as wide as an outline, along its longest axis.

    Raises ValueError for an outline that is a line, or not finite.
    """
    if not np.isfinite(outline).all():
        raise ValueError("the soma's outline: expected finite numbers")
    xyz = _even(np.asarray(outline, float))
    middle = xyz.mean(0)
    values, axes = np.linalg.eigh((xyz - middle).T @ (xyz - middle))
    major = axes[:, np.argmax(values)]
    major = major * np.sign(major[np.argmax(np.abs(major))])
    minor = axes[:, 3 - np.argmin(values) - np.argmax(values)] * [1.0, 1.0, 0.0]
    size = np.linalg.norm(minor)
    if size < 1e-6:
        raise ValueError("the soma's outline is a line, expected one that encloses an area")
    along, across = (xyz - middle) @ major, (xyz - middle) @ minor / size
    first = int(np.argmax(along))
    along, across = np.roll(along, -first), np.roll(across, -first)
    last = int(np.argmin(along))
    there = _rising(along[:last][::-1], across[:last][::-1])
    back = _rising(along[last:], across[last:])
    both = np.sort(np.append(there[0], back[0]))
    at = np.linspace(both[1], both[-2], _ALONG_AXIS)
    width = np.abs(np.interp(at, *there) - np.interp(at, *back))
    width[[0, -1]] = (width[[0, -1]] + width[[1, -2]]) / 2  # no diameter is 0
    return np.column_stack([middle + np.outer(at, major), width])


def _even(outline: np.ndarray) -> np.ndarray:
    """Points at equal distances along an outline, from its first point to its last."""
    way = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(outline, axis=0), axis=1)))
    at = np.linspace(0.0, way[-1], _ALONG_OUTLINE)
    return np.stack([np.interp(at, way, outline[:, k]) for k in range(3)], 1)


def _rising(along: np.ndarray, across: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One side of an outline without what goes back, so that there is one width at each place."""
    kept = list(range(len(along)))
    k = len(kept) - 1
    while k > 0:
        if along[kept[k]] <= along[kept[k - 1]]:
            del kept[k]
            k += k != len(kept)
        k -= 1
    return along[kept], across[kept]
