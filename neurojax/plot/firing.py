"""Pictures of firing: spike times sweep by sweep, and the rate against the injected current."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurojax.plot.look import (
    DATA,
    FAINT,
    FITTED,
    PREDICTED,
    WIDTH,
    styled,
)
from neurojax.plot.sweep import SweepView, spike_times, together
from neurojax.recording import features
from neurojax.recording.command import Step
from neurojax.recording.excitability import repeats
from neurojax.recording.trace import Trace

MOST_ROWS = 36
"""Sweeps in a raster; the f-I curve has all."""


@styled
def firing(views: Sequence[SweepView]) -> Figure:
    """Spike times of data and model for each sweep, and their rates against the step of current."""
    order = sorted(together(views), key=lambda view: view.step.height)
    rows = np.unique(np.linspace(0, len(order) - 1, MOST_ROWS).astype(int))
    height = max(3.4, 0.27 * min(len(order), MOST_ROWS) + 0.9)
    figure = Figure(figsize=(WIDTH, height))
    grid = figure.add_gridspec(1, 2, width_ratios=[1.5, 1])
    _raster(figure.add_subplot(grid[0]), [order[k] for k in rows])
    upper = min(height, 4.2)
    side = grid[1].subgridspec(2, 1, height_ratios=[upper, max(height - upper, 1e-3)])
    _rates(figure.add_subplot(side[0] if height > upper else grid[1]), order)
    return figure


def _raster(axes: Axes, views: Sequence[SweepView]) -> None:
    for row, view in enumerate(views):
        for trace, colour, low in ((view.data, DATA, 0.04), (view.model, view.colour, -0.36)):
            axes.vlines(spike_times(trace), row + low, row + low + 0.32, color=colour, lw=0.9)
    heights = [view.step.height for view in views]
    labels = [f"{h:.0f} pA, {v.data.sweep}" for h, v in zip(heights, views, strict=True)]
    begun, over = zip(*(v.step[:2] for v in views), strict=True)
    ends = [*(spike_times(t)[-1:] for v in views for t in (v.data, v.model)), [np.median(over)]]
    axes.set(xlabel="time (ms)", xlim=(min(begun) - 5, np.concatenate(ends).max() + 20))
    axes.set_yticks(range(len(views)), labels)
    axes.set(ylim=(-0.6, len(views) - 0.4), title="spikes: data above, model below; step, sweep")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _rates(axes: Axes, views: Sequence[SweepView]) -> None:
    """Sweeps with a step at least half as long as the longest: short ones have no rate."""
    long = np.array([view.step.off - view.step.on for view in views])
    views = [view for view, lasting in zip(views, long, strict=True) if lasting >= long.max() / 2]
    heights = np.array([view.step.height for view in views])
    data, model = firing_rates(views)
    axes.plot(*_mean_at(heights, model), "-", color=FAINT, lw=1.0)
    axes.plot(*_mean_at(heights, data), "-", color=DATA)
    axes.plot(heights, data, "o", color=DATA, ms=4.5, label="data")
    for role, colour in (("fitted", FITTED), ("predicted", PREDICTED)):
        of = np.array([view.role == role for view in views])
        if of.any():
            look: dict[str, Any] = {"color": colour, "mfc": "none", "mew": 1.6, "ms": 8}
            axes.plot(heights[of], model[of], "o", label=f"model, {role}", **look)
    axes.set(xlabel="step of current (pA)", ylabel="firing rate (Hz)", title="f-I curve")
    axes.margins(0.08)
    axes.set_ylim(bottom=min(0.0, -0.04 * max(data.max(), model.max())))
    axes.legend()


def _mean_at(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of y at each step of current, over its repeats."""
    steps = repeats(x)
    return np.array([x[k].mean() for k in steps]), np.array([y[k].mean() for k in steps])


def firing_rates(views: Sequence[SweepView]) -> tuple[np.ndarray, np.ndarray]:
    """Rates of data and model in Hz, `[sweep]` each."""
    return (
        np.array([rate(v.data, v.step) for v in views]),
        np.array([rate(v.model, v.step) for v in views]),
    )


def rate(trace: Trace, step: Step) -> float:
    """Spikes per second (Hz) of a current-clamp trace in a step."""
    found = features.spikes(trace.v_mV, trace.dt_ms)
    return float(features.firing(found, (step.on, step.off)).rate)
