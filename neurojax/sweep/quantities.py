"""Quantities of sweep files: numbers with their units, currents also as densities."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurojax.membrane.compartment import Cell
from neurojax.units import PA, UNITS, normalise, parse

_DIGITS = r"\s*[-+]?[\d.]+([eE][-+]?\d+)?"
_NUMBER = re.compile(rf"{_DIGITS}\s*$")

AREA = ("area", "diameter", "length")
"""Parameters on which the area of a cell depends; of a region they go on after a dot."""


def with_unit(value: Any, unit: str, what: str) -> float:
    """A quantity in a unit, which must have been written with one, unless it is a pure number."""
    if unit != "1" and _NUMBER.match(str(value)):
        raise ValueError(f'{what} = {value!r} has no unit: write "{value} {unit}"')
    return parse(value, unit, what)


@dataclass(frozen=True)
class Quantities:
    """Reads the quantities of a sweep of this cell, whose area makes a current of a density."""

    cell: Cell
    densities: list[str] = field(default_factory=list)  # what was written as one

    def value(self, value: Any, name: str, unit: str, what: str) -> float:
        """The value of a parameter in its unit; of a protocol's current also from a density."""
        if name.endswith((".amplitude", ".holding")) and unit == "pA":
            return self.current(value, what)
        return with_unit(value, unit, what)

    def current(self, value: Any, what: str) -> float:
        """A current in pA; a density is multiplied by the area of the cell."""
        text = value if isinstance(value, str) else ""
        unit = re.sub(rf"^{_DIGITS}", "", text).strip()
        try:
            kind = UNITS[normalise(unit)][0] if unit else ""
        except ValueError:
            kind = ""
        if kind != "current density":
            return with_unit(value, "pA", what)
        self.densities.append(what)
        return parse(value, "uA/cm2", what) * float(np.sum(np.asarray(self.cell.area))) / PA

    def check_area(self, names: Iterable[str]) -> None:
        """Raise ValueError where a current is a density and the area differs from cell to cell."""
        for name in names:
            if self.densities and name.partition(".")[0] in AREA:
                raise ValueError(
                    f"{self.densities[0]} is a density, and {name!r} differs from cell to cell, so "
                    "that each would need a current of its own: write the current in pA"
                )
