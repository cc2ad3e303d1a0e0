"""A page to explore a cell: sliders, live traces, phase plane, firing rate, in one file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from neurojax.explore.explorer import Range, explorer_page
from neurojax.explore.potentials import goldman_page, nernst_page
from neurojax.io.files import write_whole
from neurojax.membrane.compartment import Cell
from neurojax.model.space import Space

__all__ = ["write", "write_goldman", "write_nernst"]


def write(
    path: str | os.PathLike[str],
    cell: Cell,
    *,
    space: Space | None = None,
    title: str = "A cell",
    description: str = "",
    amplitude: float | None = None,
    step: tuple[float, float, float] | None = None,
    inputs: Mapping[str, Range] | None = None,
    dt: float = 0.025,
) -> Path:
    """Write a page on which every parameter of a cell can be moved, and what it does is seen.

    The equations run in the page, in double precision: they are those of the engine's own step, in
    JavaScript. Sliders go as far as the bounds of a `space`, or around the cell's values. The first
    `step` of current has a start, a stop, and the duration of its run (ms), and an `amplitude` (pA;
    uA/cm2 for a cell without a real area); None are those with which the cell fires. `inputs` are
    what else a step can be made of, a name as in `Cell.inputs` with the range of the step.

    Raises ValueError for a cell with compartments, a population, a channel open by chance, or an
    input that the cell has not; OSError naming the file.
    """
    inputs = dict.fromkeys(cell.inputs, (-10.0, 10.0)) | dict(inputs or {})
    made = explorer_page(cell, space, (title, description), dt, step, amplitude, inputs)
    return write_whole(path, made)


def write_nernst(path: str | os.PathLike[str]) -> Path:
    """Write a page with the Nernst potentials of four ions. Raises OSError naming the file."""
    return write_whole(path, nernst_page())


def write_goldman(path: str | os.PathLike[str]) -> Path:
    """Write a page with the Goldman-Hodgkin-Katz potential. Raises OSError naming the file."""
    return write_whole(path, goldman_page())
