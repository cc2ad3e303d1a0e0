"""Pair plots: each parameter of many cells against each other, the good ones among all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from neurojax.plot.look import FAINT, GRID, PREDICTED, styled

MOST = 8
"""Parameters that are shown; more cannot be read."""

SHOWN = 4000
"""Points of a panel at most."""


@styled
def pair_plot(
    columns: Mapping[str, np.ndarray], good: np.ndarray, *, title: str = "", what: str = "good"
) -> Figure:
    """Parameters `[cell]` by label against each other; those of `good` `[cell]` cells in colour.

    On the diagonal is how each parameter is distributed; above it the correlation of the good ones,
    of logarithms where an axis is logarithmic. Raises ValueError for fewer than two parameters,
    more than MOST, or no cell that is good.
    """
    names = list(columns)
    if not 2 <= len(names) <= MOST:
        raise ValueError(f"{len(names)} parameters: a pair plot shows 2 to {MOST}; name some")
    if not good.any():
        raise ValueError("no cell is good: nothing to show")
    n = len(names)
    logs = {k: logarithmic(columns[k]) for k in names}
    own, others = _some(np.flatnonzero(good)), _some(np.flatnonzero(~good))
    figure = Figure(figsize=(1.7 * n + 0.6, 1.6 * n + 0.6))
    grid = figure.subplots(n, n, squeeze=False)
    for row, y in enumerate(names):
        for column, x in enumerate(names):
            axes = grid[row, column]
            if column > row:
                _correlation(axes, columns, (x, y), logs, good)
                continue
            if logs[x]:
                axes.set_xscale("log")
            if column == row:
                _distribution(axes, columns[x], good, logs[x])
            else:
                if logs[y]:
                    axes.set_yscale("log")
                many = {"ls": "", "marker": ".", "mew": 0, "rasterized": True}
                axes.plot(columns[x][others], columns[y][others], color=GRID, ms=3, **many)
                axes.plot(columns[x][own], columns[y][own], color=PREDICTED, ms=5, **many)
            for log, axis in ((logs[x], axes.xaxis), (logs[y] and row != column, axes.yaxis)):
                if log:
                    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if _narrow(axis) else (1,)))
                    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.minorticks_off()
            axes.tick_params(labelbottom=row == n - 1, labelleft=column == 0 and row > 0)
            if row == n - 1:
                axes.set_xlabel(x, fontsize=8)
            if column == 0 and row:
                axes.set_ylabel(y, fontsize=8)
    told = f"{int(good.sum()):,} of {good.size:,} cells are {what}"
    figure.suptitle(f"{title}: {told}" if title else told, x=0.02, ha="left", fontsize=10)
    return figure


def _narrow(axis: Any) -> bool:
    """Whether a logarithmic axis has less than two powers of ten."""
    low, high = axis.get_view_interval()
    return high < 100 * low


def logarithmic(values: np.ndarray) -> bool:
    """Whether values over more than a factor of three are spread more evenly by their logarithms.

    As the middle one of them tells.
    """
    low, middle, high = np.quantile(values, [0.0, 0.5, 1.0])
    if not 0 < 3 * low < high:
        return False
    linear = abs((middle - low) / (high - low) - 0.5)
    return bool(abs(np.log(middle / low) / np.log(high / low) - 0.5) < linear)


def _some(cells: np.ndarray) -> np.ndarray:
    """At most SHOWN of some cells, evenly."""
    if cells.size <= SHOWN:
        return cells
    return cells[np.linspace(0, cells.size - 1, SHOWN).astype(int)]


def _distribution(axes: Any, values: np.ndarray, good: np.ndarray, log: bool) -> None:
    low, high = values.min(), values.max()
    edges = np.geomspace(low, high, 17) if log else np.linspace(low, high, 17)
    for some, colour, filled in ((values, FAINT, False), (values[good], PREDICTED, True)):
        density = np.histogram(some, edges)[0] / max(some.size, 1)
        axes.stairs(density, edges, color=colour, fill=filled, alpha=0.7 if filled else 1.0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _correlation(
    axes: Any,
    columns: Mapping[str, np.ndarray],
    pair: tuple[str, str],
    logs: Mapping[str, bool],
    good: np.ndarray,
) -> None:
    axes.set_axis_off()
    x, y = (np.log(columns[k][good]) if logs[k] else columns[k][good] for k in pair)
    if x.size < 3 or not np.ptp(x) or not np.ptp(y):
        return
    r = np.corrcoef(x, y)[0, 1]
    size = 8 + 6 * abs(r)
    axes.text(0.5, 0.5, f"{r:+.2f}", transform=axes.transAxes, ha="center", va="center",
              fontsize=size, color=PREDICTED if abs(r) > 0.3 else FAINT)  # fmt: skip
