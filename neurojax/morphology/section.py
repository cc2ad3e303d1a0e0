"""A section: an unbranched piece of a neuron, and how it is cut into compartments.

It is a cylinder, a row of cylinders, or a row of frusta between traced points. Area and axial
resistance of a compartment are integrals along it, as in NEURON.

Source: Hines & Carnevale 1997, Neural Comput 9:1179, doi:10.1162/neco.1997.9.6.1179.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

END, CENTRE, START = 1.0, 0.5, 0.0
"""Where something may be attached to its parent: at its far end, its middle, or its start."""

Numbers = Float[np.ndarray, " comp"]


class Section(NamedTuple):
    """A cylinder cut into compartments of equal length, which may hang on another section.

    By default they are so many as `enough` says. One that is no cylinder is made by `along`.
    """

    length: float  # um
    diameter: float | Sequence[float]  # um; or of each compartment
    compartments: int | None = None
    on: str | None = None  # the section on which it hangs, by name
    at: float = END  # where on it: 1 its far end, 0 its start, between in a compartment's centre
    region: str | None = None  # by default the section's own name
    points: Float[np.ndarray, "point 4"] | None = None  # x, y, z and diameter along it, um

    @classmethod
    def along(cls, points: Any, compartments: int | None = None, **more: Any) -> Section:
        """A section through points `[point, 4]`: x, y, z and diameter, um, in their order.

        Between two points it is a frustum; two at one place are a step of the diameter. `more` is
        `on`, `at` and `region`. Raises ValueError for less than two points, a length of 0, or
        diameters that are not positive.
        """
        points = np.asarray(points, float)
        if points.ndim != 2 or points.shape[1] != 4 or len(points) < 2:
            raise ValueError(f"points: shape {points.shape}, expected [at least 2, 4]")
        if not np.isfinite(points).all() or (points[:, 3] <= 0).any():
            raise ValueError("points: expected finite numbers, and diameters above 0 um")
        length = float(_arc(points)[-1])
        if length == 0:
            raise ValueError("points: all at one place, expected a length above 0 um")
        area = float(_integrals(points, np.array([length]))[0][0])
        return cls(length, area / (np.pi * length), compartments, points=points, **more)

    def n_compartments(self, **needs: float) -> int:
        """How many compartments it is cut into; `needs` may have R_i, C_m and part, see `enough`.

        Raises ValueError for less than one, or diameters that are not one for each.
        """
        n, given = self.compartments, np.size(self.diameter)
        if n is None and np.ndim(self.diameter):
            return given
        if n is None:
            return enough(self.length, self._narrowness(), **needs)
        if n < 1 or given not in (1, n):
            raise ValueError(f"{n} compartments{f', {given} diameters' if given > 1 else ''}")
        return n

    def _narrowness(self) -> float:
        """The diameter of a cylinder with as many length constants, um."""
        if self.points is None:
            return float(np.asarray(self.diameter))
        d = self.points[:, 3]
        ds = np.diff(_arc(self.points))
        return float((self.length / (ds / np.sqrt((d[1:] + d[:-1]) / 2)).sum()) ** 2)


class Cut(NamedTuple):
    """What a section's compartments are, each as in `Cable`."""

    length: Numbers
    diameter: Numbers
    to_start: Numbers
    to_end: Numbers


def cut(section: Section, n: int) -> Cut:
    """The section as n compartments of equal length.

    The diameter of each is that of a cylinder of equal area; `to_start` and `to_end` are how many
    times the cylinder's the axial resistances from the centre to both ends are.
    """
    length = np.full(n, section.length / n)
    if section.points is None:
        diameter = np.broadcast_to(np.asarray(section.diameter, float), (n,))
        return Cut(length, diameter, np.ones(n), np.ones(n))
    area, resistance = _integrals(section.points, _halves(section, n))
    diameter = np.diff(area[::2]) / (np.pi * length)
    of_cylinder = (length / 2) / (np.pi / 4 * diameter**2)
    to_start, to_end = (np.diff(resistance)[side::2] / of_cylinder for side in (0, 1))
    return Cut(length, diameter, to_start, to_end)


def places(section: Section, n: int) -> Float[np.ndarray, "comp 3 3"]:
    """Start, centre and far end of n compartments, um, of a section `along` points."""
    assert section.points is not None
    s, at = _arc(section.points), _halves(section, n)
    xyz = np.stack([np.interp(at, s, section.points[:, k]) for k in range(3)], -1)
    return np.stack([xyz[:-2:2], xyz[1::2], xyz[2::2]], 1)


def _halves(section: Section, n: int) -> np.ndarray:
    """Where along the section half compartments begin and end, um."""
    assert section.points is not None
    return _arc(section.points)[-1] * np.linspace(0, 1, 2 * n + 1)


def _arc(points: np.ndarray) -> np.ndarray:
    """How far along the section each of its points is, um."""
    return np.append(0.0, np.cumsum(np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1)))


def _integrals(points: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From the start of the section to places `at` along it, um: its side's area, um2, and the
    integral of 1 / cross section, 1/um."""
    s, d = _arc(points), points[:, 3]
    ds, d0, d1 = np.diff(s), d[:-1], d[1:]

    def frustum(ds: np.ndarray, d0: np.ndarray, d1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        side = np.pi / 2 * (d0 + d1) * np.hypot(ds, (d1 - d0) / 2)
        return side, ds / (np.pi / 4 * d0 * d1)

    before = [np.append(0.0, np.cumsum(x)[:-1]) for x in frustum(ds, d0, d1)]
    # The frustum of each place. Steps of the diameter at the ends belong to the section.
    k = np.where(at < s[-1], np.searchsorted(s[1:], at), len(ds) - 1)
    part = np.divide(at - s[k], ds[k], out=np.ones(len(at)), where=ds[k] > 0)
    within = frustum(part * ds[k], d0[k], d0[k] + part * (d1 - d0)[k])
    area, resistance = (
        np.where(at > 0, x[k] + y, 0.0) for x, y in zip(before, within, strict=True)
    )
    return area, resistance


def enough(
    length: float, diameter: float, R_i: float = 100.0, C_m: float = 1.0, part: float = 0.1
) -> int:
    """How many compartments a cylinder needs: each at most a part of its length constant at 100 Hz.

    Lengths in um, R_i in Ohm cm, C_m in uF/cm2; an odd number, so that there is one in the middle.

    Source: Hines & Carnevale 2001, Neuroscientist 7:123, doi:10.1177/107385840100700207 (d_lambda).
    """
    at_100_Hz = 1e5 * np.sqrt(diameter / (4 * np.pi * 100 * R_i * C_m))
    return int((length / (part * at_100_Hz) + 0.9) / 2) * 2 + 1
