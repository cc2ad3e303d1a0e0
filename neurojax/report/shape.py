"""The section on a cell with compartments: how it lies in space, and where its channels are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.figure import Figure

from neurojax.fit import Fit
from neurojax.membrane.cable import Cable
from neurojax.membrane.profiles import density_of
from neurojax.plot.morphology import morphology
from neurojax.report import page
from neurojax.report.figures import Drawn, drawn
from neurojax.report.neuron import turning

_MOST = 4
"""Channels that are drawn."""


def trees(fit: Fit) -> dict[str, Drawn]:
    """Pictures of the tree, by the name of their file, one for each fitted conductance.

    Of channels that are not everywhere alike.
    """
    cell, made = fit.cell, {}
    if not isinstance(cell, Cable):
        return {}
    fitted = {name.split(".")[0] for f in fit.space.free for name in (f.name, *f.also)}
    for key in cell.channels:
        values = conductance(cell, key)
        if key in fitted and values is not None and np.ptp(values) > 0 and len(made) < _MOST:
            made[f"tree_{key}"] = drawn(
                _picture(cell, key, values), f"The conductance of {key} along the cell"
            )
    return made


def _picture(cell: Cable, key: str, values: np.ndarray) -> Figure:
    return morphology(cell, values, f"{key}.g_bar (mS/cm2)")


def conductance(cell: Cable, key: str) -> np.ndarray | None:
    """The largest conductance of a channel in each compartment, mS/cm2; None without a g_bar."""
    g_bar = getattr(cell.channels[key], "g_bar", None)
    if g_bar is None:
        return None
    dense = np.asarray(density_of(cell.density.get(key, 1.0)))
    return np.broadcast_to(np.asarray(g_bar) * dense, (len(cell.parents),))


def section(fit: Fit, made: Mapping[str, Drawn]) -> Iterator[str]:
    """The cell to turn, and its fitted conductances."""
    assert isinstance(fit.cell, Cable)
    cell, at = fit.cell, int(np.asarray(fit.cell.electrode_at))
    where = f" ({cell.regions[at]})" if cell.regions else ""
    n = len(cell.parents)
    yield page.paragraph(
        f"The fitted cell has {n} compartments; its electrode is in compartment {at}"
        f"{page.text(where)}. Lengths and diameters are those of the fit."
    )
    yield turning(cell)
    for name, one in made.items():
        yield page.drawing(name, one)
