"""The benchmarks' log-log charts: a line per contestant, named at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from neurojax.plot import (
    CYCLE,
    FAINT,
    GRID,
    INK,
    STYLE,
)

COLORS = {
    "neurojax": "#c8452f",
    "C": INK,
    "Jaxley": "#23699e",
    "BrainCell": "#4c8f94",
    "Diffrax": "#8b5ea8",
    "Arbor": "#3c8457",
    "CoreNEURON": "#b07d1e",
    "NEURON": "#a34a70",
    "Brian 2": "#6b6f76",
}
LOOK = {
    "font.size": 12,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
}

Line = tuple[Sequence[float], Sequence[float]]


def loglog(
    path: Path,
    panels: Mapping[str, Mapping[str, Line]],
    x: str | Sequence[str],
    y: str,
    *,
    share: bool = True,
    legend: bool = False,
    ticks: Sequence[Sequence[float]] | None = None,
) -> None:
    """Panels side by side, by title, in each a line by name.

    `share`: all with the same y axis. `legend`: names beside the last panel, for lines that end too
    near to one another to be named at their ends. `ticks`: the numbers on every panel's x axis.
    """
    labels = [x] * len(panels) if isinstance(x, str) else x
    with matplotlib.rc_context(STYLE | LOOK):
        figure = Figure(figsize=(2.6 + (4.2 if legend else 5.4) * len(panels), 5.4))
        axes = figure.subplots(1, len(panels), sharey=share, squeeze=False)[0]
        for ax, label, (title, lines) in zip(axes, labels, panels.items(), strict=True):
            ax.set(xscale="log", yscale="log", xlabel=label, title=title)
            ax.grid(color=GRID, linewidth=0.8)
            for k, (name, (xs, ys)) in enumerate(lines.items()):
                first = name.startswith("neurojax")
                ax.plot(
                    xs, ys, marker="o", color=color(name, k), linewidth=2.6 if first else 1.5,
                    markersize=6 if first else 4, zorder=3 if first else 2,
                    linestyle=dashes(name, lines), label=name,
                )  # fmt: skip
            if ticks:
                at = ticks[list(panels).index(title)]
                ax.set_xticks(at, [f"{t:g}" for t in at])
                ax.xaxis.set_minor_formatter(NullFormatter())
        for ax in axes:  # with all lines drawn, as panels may share an axis
            low, high = ax.get_ylim()
            if high < 10 * low:  # a decade at least, or the axis has no number on it
                middle = (low * high) ** 0.5
                ax.set_ylim(middle / 10**0.5, middle * 10**0.5)
            if high < 1000 * low:
                ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
                ax.yaxis.set_minor_formatter(NullFormatter())
        axes[0].set_ylabel(y)
        if legend:
            handles, names = axes[-1].get_legend_handles_labels()
            figure.legend(handles, names, loc="outside right upper", handlelength=3)
        else:
            figure.canvas.draw()  # or the axes' limits are not there yet
            for ax, lines in zip(axes, panels.values(), strict=True):
                name_lines(ax, lines)
        figure.savefig(path)


def color(name: str, k: int) -> str:
    """A contestant's colour, also of its variants ("Jaxley, exact")."""
    return COLORS.get(name, COLORS.get(name.split(",")[0], CYCLE[k % len(CYCLE)]))


def dashes(name: str, lines: Mapping[str, Line]) -> str:
    """A ceiling is dashed; so are the further variants of a contestant, each in its own way."""
    alike = [other for other in lines if other.split(",")[0] == name.split(",")[0]]
    return "--" if name == "C" else ("-", "--", ":", "-.")[alike.index(name) % 4]


def name_lines(ax, lines: Mapping[str, Line]) -> None:
    """Write each name beside the right end of its line, apart from its neighbours."""
    ends = {name: (xs[-1], ys[-1]) for name, (xs, ys) in lines.items() if len(xs)}
    if not ends:
        return
    low, high = np.log(ax.get_ylim())
    order = sorted(ends, key=lambda name: ends[name][1])
    wanted = np.array([(np.log(ends[name][1]) - low) / (high - low) for name in order])
    places = apart(wanted, 0.058)
    for name, place in zip(order, places, strict=True):
        k = list(lines).index(name)
        ax.annotate(
            name, ends[name], xytext=(1.03, place), textcoords="axes fraction", va="center",
            color=color(name, k), fontweight="bold" if name.startswith("neurojax") else "normal",
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.6, "shrinkB": 4},
            annotation_clip=False,
        )  # fmt: skip


def apart(wanted: np.ndarray, gap: float) -> np.ndarray:
    """Ascending places at least `gap` from one another, as near as can be to the wanted ones."""
    spacing = gap * np.arange(wanted.size)
    groups = [[x] for x in wanted - spacing]
    k = 0
    while k < len(groups) - 1:  # what would come out of order becomes a group at its mean
        if np.mean(groups[k]) > np.mean(groups[k + 1]):
            groups[k : k + 2] = [groups[k] + groups[k + 1]]
            k = max(k - 1, 0)
        else:
            k += 1
    return spacing + np.concatenate([np.full(len(g), np.mean(g)) for g in groups])
