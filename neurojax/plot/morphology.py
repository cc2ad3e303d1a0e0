"""A neuron as it lies in space, its compartments coloured by what they are or by a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from neurojax.membrane.cable import Cable
from neurojax.membrane.rates import Leaf
from neurojax.plot.look import CYCLE, INK, short, styled

_AXES = {"x": 0, "y": 1, "z": 2}
_LARGEST, _THINNEST = 5.0, 0.9  # inches of a panel, points of a line
SHADES = "#cfd3da", "#5b8fbd", "#6b4596", "#b3261e"
"""From low values to high ones: a neuron at rest is pale, and nothing is lost on white paper."""
_COLOURS = LinearSegmentedColormap.from_list("potential", SHADES)


@styled
def morphology(
    cell: Cable,
    values: Leaf | None = None,
    label: str = "",
    *,
    titles: Sequence[str] = (),
    view: str = "xy",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw the compartments of a cell to scale, coloured by `values`, or else by region.

    `values` are `[comp]`, or `[comp, panel]` for pictures side by side that share their colours,
    such as the potential at some times; `label` is what they are, with its unit; `titles` are those
    of the panels; `limits` the ends of the colours. `view` names the axes of the page, of x, y and
    z. A cell without places in space is drawn with straight branches. Raises ValueError for values
    that are not one for each compartment, or an unknown view.
    """
    if len(view) != 2 or len({*view} & {*_AXES}) != 2:
        raise ValueError(f"view = {view!r}: expected two of x, y and z, as 'xy'")
    shown = None if values is None else of_compartments(cell, values)
    panels = [None] if shown is None else list(shown.T)
    lines = cell.places()[..., [_AXES[a] for a in view]]
    strokes = capped(cell)[..., [_AXES[a] for a in view]]
    low, high = lines.min((0, 1)), lines.max((0, 1))
    extent = np.maximum(high - low, 0.15 * (high - low).max())
    per_um = _LARGEST / extent.max()
    wide, tall = np.maximum(extent * per_um, 1.2)
    figure = Figure(figsize=(len(panels) * wide + 1.3, tall + 0.5))
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    norm = None if shown is None else Normalize(*(limits or ends(shown)))
    for k, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
        _draw(ax, cell, strokes, panel, norm, 72 * per_um)
        _frame(ax, (low + high) / 2, extent, titles[k] if k < len(titles) else "")
    _scale_bar(axes[0], extent)
    if norm is None:
        _name_regions(figure, cell)
    else:
        bar = figure.colorbar(axes[-1].collections[-1], ax=list(axes), shrink=0.6, pad=0.02)
        bar.set_label(label)
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return figure


def of_compartments(cell: Cable, values: Leaf) -> np.ndarray:
    """Values `[comp]` or `[comp, panel]` as `[comp, panel]`. Raises ValueError for other shapes."""
    n, array = len(cell.parents), np.asarray(values, float)
    if array.ndim not in (1, 2) or array.shape[0] != n:
        raise ValueError(f"values: shape {array.shape}, expected [{n}] or [{n}, panel]")
    return array.reshape(n, -1)


def region_colours(cell: Cable) -> dict[str, str]:
    """The colour of each region: the soma's is ink."""
    others = [r for r in dict.fromkeys(cell.regions) if r != "soma"]
    found = {r: CYCLE[k % len(CYCLE)] for k, r in enumerate(others)}
    return {r: found.get(r, INK) for r in dict.fromkeys(cell.regions)}


def ends(values: np.ndarray) -> tuple[float, float]:
    """The least and the largest value, a little apart."""
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def capped(cell: Cable) -> Float[np.ndarray, "comp 3 3"]:
    """The places of compartments for lines with round caps, which close the gaps of bends.

    What is as wide as long is shorter by them.
    """
    lines = cell.places()
    diameter = np.broadcast_to(np.asarray(cell.diameter, float), (len(lines),))
    length = np.broadcast_to(np.asarray(cell.length, float), (len(lines),))
    stout = np.maximum(1 - diameter / length, 0.2)
    shorter = np.where(diameter > length / 2, stout, 1.0)[:, None, None]
    return lines[:, 1:2] + shorter * (lines - lines[:, 1:2])


def _draw(
    ax: Axes, cell: Cable, lines: np.ndarray, values: Any, norm: Normalize | None, points: float
) -> None:
    """The compartments as lines as wide as they are, `points` of the page to an um."""
    diameter = np.broadcast_to(np.asarray(cell.diameter, float), (len(lines),))
    width = np.maximum(diameter * points, _THINNEST)
    drawn = LineCollection(list(lines), linewidths=width, capstyle="round")
    if values is None:
        colours = region_colours(cell)
        drawn.set_color([colours[r] for r in cell.regions] or INK)
    else:
        drawn.set(array=values, cmap=_COLOURS, norm=norm)
    ax.add_collection(drawn)


def _name_regions(figure: Figure, cell: Cable) -> None:
    colours = region_colours(cell)
    if colours:
        handles = [Line2D([], [], color=c, linewidth=3) for c in colours.values()]
        figure.legend(handles, list(colours), loc="outside right center")


def _frame(ax: Axes, middle: np.ndarray, extent: np.ndarray, title: str) -> None:
    half = 0.53 * extent
    ax.set(
        xlim=(middle[0] - half[0], middle[0] + half[0]),
        ylim=(middle[1] - half[1], middle[1] + half[1]),
        aspect="equal", title=title,
    )  # fmt: skip
    ax.axis("off")


def _scale_bar(ax: Axes, extent: np.ndarray) -> None:
    """A line of a round length in the lower left, and how long it is."""
    about = extent.max() / 6
    decade = 10.0 ** np.floor(np.log10(about))
    long = decade * max(m for m in (1, 2, 5) if m * decade <= about)
    x, y = ax.get_xlim()[0], ax.get_ylim()[0]
    ax.plot([x, x + long], [y, y], color=INK, linewidth=1.5, clip_on=False)
    ax.text(
        x, y + 0.01 * extent.max(), f"{short(long)} um".replace("um", "µm"), va="bottom", fontsize=8
    )
