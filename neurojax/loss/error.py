"""Errors record by record: the potential, or the current under a clamp, against recorded data."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import jax

from neurojax.cell import Cell, State, ionic_current
from neurojax.channel import pytree
from neurojax.electrode import PA
from neurojax.fold import Squares


class Target(NamedTuple):
    """What one record is compared with: data in mV or pA, and the weight of its residual."""

    data: Any
    weight: Any


@pytree
class VoltageError(Squares):
    """Sum of squared weighted errors of the membrane potential, mV, against a Target."""

    unit: ClassVar[str] = "mV"

    def measured(self, cell: Cell, s: State) -> jax.Array:
        """What the rig measures of a state, in `unit`."""
        return s.v

    def residual(self, cell, s, row):
        return ((self.measured(cell, s) - row.data) * row.weight)[None]


@pytree
class CurrentError(VoltageError):
    """Sum of squared weighted errors of the current under an ideal voltage clamp, pA."""

    unit: ClassVar[str] = "pA"

    def measured(self, cell, s):
        return ionic_current(cell, s.v, s.x, s.c) * (cell.area / PA)
