"""Errors of the potential that a cell makes outside, as a recording there has it."""

from __future__ import annotations

from typing import Any

import jax

from neurojax.engine.folds import Squares
from neurojax.loss.error import Target
from neurojax.membrane.cable import Cable
from neurojax.membrane.channel import Leaf, field, pytree
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.extracellular import potential


@pytree
class FieldError(Squares):
    """Sum of squared weighted errors of the potential at places outside a cell, mV.

    `data` is a Target `[record, place]`, and `resistances` are those of the places, both as in
    `extracellular`. What it sees is the cell's own field.
    """

    data: Target = field(axes=("record", "place"))
    resistances: Leaf = field(axes=("place", "comp"))

    def residual(self, cell: Cell, s: State, row: Any) -> jax.Array:
        """Weighted errors `[place, *pop]`."""
        assert isinstance(cell, Cable)
        seen = potential(cell, s.v, self.resistances)
        data, weight = (x.reshape(*x.shape, *[1] * (seen.ndim - x.ndim)) for x in row)
        return (seen - data) * weight
