"""Maps of parameter space: a result of every cell against two of its parameters, and families."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from neurojax.plot.look import CYCLE, GRID, styled
from neurojax.plot.pairs import logarithmic

_SIZE = 5.6, 4.4  # inches
CLASSES = ["#d7dade", "#b07d1e", "#23699e", "#3c8457", "#8b5ea8", "#c8452f"]
"""Of silent, phasic, tonic, adapting, bursting cells, and those in block."""


@styled
def parameter_map(
    x: np.ndarray,
    y: np.ndarray,
    values: np.ndarray,
    *,
    labels: tuple[str, str, str],
    title: str = "",
    classes: Sequence[str] = (),
) -> Figure:
    """A result in two parameters: `[y, x]` of a grid, or with x and y `[point]` each.

    labels: of x, y and the result. classes: names of what whole numbers from 0 on mean. Cells
    without a result are hatched.
    """
    figure = Figure(figsize=_SIZE)
    axes = figure.add_subplot()
    axes.patch.set(facecolor="white", edgecolor=GRID, hatch="////", linewidth=0)
    how: dict[str, Any] = {"cmap": "viridis"}
    if classes:
        colours = ListedColormap(CLASSES[: len(classes)])
        how = {"cmap": colours, "norm": BoundaryNorm(np.arange(len(classes) + 1) - 0.5, colours.N)}
    shown = np.ma.masked_invalid(values)
    if not classes and shown.mask.all():
        how |= {"vmin": 0.0, "vmax": 1.0}
        title += "\n(no cell has this result)"
    if values.ndim == 2:
        drawn = axes.pcolormesh(x, y, shown, shading="nearest", rasterized=True, **how)
        for which, a in (("x", x), ("y", y)):
            if evenly_log(a):
                getattr(axes, f"set_{which}scale")("log")
    else:
        drawn = axes.scatter(x, y, c=shown, s=12, linewidths=0, **how)
        for which, a in (("x", x), ("y", y)):
            if logarithmic(a):
                getattr(axes, f"set_{which}scale")("log")
    axes.set(xlabel=labels[0], ylabel=labels[1], title=title)
    bar = figure.colorbar(drawn, ax=axes, label="" if classes else labels[2])
    if classes:
        bar.set_ticks(list(range(len(classes))), labels=list(classes))
    return figure


@styled
def family(
    x: np.ndarray,
    y: np.ndarray,
    values: np.ndarray,
    *,
    labels: tuple[str, str, str],
    title: str = "",
) -> Figure:
    """A result `[y, x]` against x, a line for each y: such as rates against currents.

    Of one y without a label there is one line, which needs no legend.
    """
    figure = Figure(figsize=_SIZE)
    axes = figure.add_subplot()
    rows = np.unique(np.linspace(0, len(y) - 1, 8).astype(int))
    colours = (
        matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(rows))) if len(rows) > 1 else CYCLE
    )
    for row, colour in zip(rows, colours, strict=False):
        axes.plot(x, values[row], color=colour, marker="o", ms=2.5, label=f"{y[row]:.4g}")
    axes.set(xlabel=labels[0], ylabel=labels[2], title=title)
    if labels[1]:
        axes.legend(title=labels[1])
    return figure


def evenly_log(values: np.ndarray) -> bool:
    """Whether values are spaced evenly on a log scale, and not on a linear one."""
    if len(values) < 3 or np.min(values) <= 0:
        return False
    steps, ratios = np.diff(values), np.diff(np.log(values))
    return bool(np.allclose(ratios, ratios[0], rtol=1e-3) and not np.allclose(steps, steps[0]))
