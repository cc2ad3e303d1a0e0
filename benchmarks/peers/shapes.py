"""Branched squid axons, the same for all contestants: sections and current."""

from __future__ import annotations

import math
from typing import NamedTuple

R_I = 100.0  # Ohm cm; the capacitance is 1 uF/cm2


class Section(NamedTuple):
    """A cylinder of equal compartments, whose start is at the far end of its parent (um)."""

    parent: int  # -1 of the first
    length: float
    diameter: float
    compartments: int


class Shape(NamedTuple):
    """A tree: its current enters the first compartment, its spikes are read in the last."""

    sections: list[Section]
    current: float  # nA

    @property
    def compartments(self) -> int:
        return sum(section.compartments for section in self.sections)


def branching(sections: int, compartments: int, diameter: float, current: float) -> Shape:
    """A tree in which each section bears two, until there are so many, by Rall's law.

    Compartments are 20 um long in the trunk, and equally long in length constants elsewhere.
    """
    parts = []
    for k in range(sections):
        order = (k + 1).bit_length() - 1
        d = diameter * 2 ** (-2 / 3 * order)
        length = compartments * 20.0 * math.sqrt(d / diameter)
        parts.append(Section((k + 1) // 2 - 1, length, d, compartments))
    return Shape(parts, current)


SHAPES = {
    "ball and stick": Shape([Section(-1, 20.0, 20.0, 1), Section(0, 475.0, 2.0, 19)], 0.5),
    "tree of 100": branching(25, 4, 4.0, 1.0),
    "tree of 1000": branching(125, 8, 8.0, 5.0),
}
