"""The benchmarks' log-log charts: a line per contestant, named at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from neurojax.plot import CYCLE, FAINT, GRID, INK, STYLE

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
LOOK = {"font.size": 12, "axes.labelsize": 12, "xtick.labelsize": 11, "ytick.labelsize": 11}

Line = tuple[Sequence[float], Sequence[float]]


def loglog(
    path: Path,
    panels: Mapping[str, Mapping[str, Line]],
    x: str,
    y: str,
    *,
    share: bool = True,
) -> None:
    """Panels side by side, by title, with the same axes or not; in each a line by name."""
    with matplotlib.rc_context(STYLE | LOOK):
        figure = Figure(figsize=(2.6 + 5.4 * len(panels), 5.4))
        axes = figure.subplots(1, len(panels), sharex=share, sharey=share, squeeze=False)[0]
        for ax, (title, lines) in zip(axes, panels.items(), strict=True):
            ax.set(xscale="log", yscale="log", xlabel=x, title=title)
            ax.grid(color=GRID, linewidth=0.8)
            for k, (name, (xs, ys)) in enumerate(lines.items()):
                first = name.startswith("neurojax")
                ax.plot(
                    xs, ys, marker="o", color=color(name, k), linewidth=2.6 if first else 1.5,
                    markersize=6 if first else 4, zorder=3 if first else 2,
                    linestyle="--" if name == "C" else "-",
                )  # fmt: skip
        axes[0].set_ylabel(y)
        figure.canvas.draw()  # or the axes' limits are not there yet
        for ax, lines in zip(axes, panels.values(), strict=True):
            name_lines(ax, lines)
        figure.savefig(path)


def color(name: str, k: int) -> str:
    """A contestant's colour, also of its variants ("Jaxley, exact")."""
    return COLORS.get(name, COLORS.get(name.split(",")[0], CYCLE[k % len(CYCLE)]))


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
