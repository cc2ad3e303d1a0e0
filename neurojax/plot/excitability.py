"""Pictures of recorded cells: their sweeps, and how fast they fire against the injected current."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurojax.plot.look import CYCLE, WIDTH, styled, thin
from neurojax.recording.excitability import Curve
from neurojax.recording.family import steps_of
from neurojax.recording.trace import Trace

MOST_SWEEPS = 12
"""Drawn of a cell: evenly over its steps."""


@styled
def excitability_of(cells: Mapping[str, tuple[Sequence[Trace], Curve]]) -> Figure:
    """Sweeps of one cell, coloured by their step, beside its f-I curve; of several the curves."""
    one = len(cells) == 1
    figure = Figure(figsize=(WIDTH if one else 0.6 * WIDTH, 3.6))
    axes = figure.subplots(1, 2, width_ratios=[1.4, 1]) if one else [figure.add_subplot()]
    for (name, (traces, curve)), colour in zip(cells.items(), _cycle(len(cells)), strict=True):
        if one:
            _sweeps(axes[0], traces)
        axes[-1].errorbar(
            curve.step_pA, curve.rate_Hz, np.nan_to_num(curve.sd_Hz), marker="o", ms=4,
            color=colour, label=Path(name).name,
        )  # fmt: skip
    axes[-1].set(xlabel="step of current (pA)", ylabel="firing rate (Hz)", title="f-I curve")
    axes[-1].set_ylim(bottom=0)
    if 1 < len(cells) <= len(CYCLE):
        axes[-1].legend()
    return figure


def _cycle(n: int) -> list[str]:
    return [CYCLE[k % len(CYCLE)] for k in range(n)]


def _sweeps(axes: Axes, traces: Sequence[Trace]) -> None:
    heights = [step.height for step in steps_of(traces)]
    order = np.argsort(heights, kind="stable")
    rows = order[np.unique(np.linspace(0, len(traces) - 1, MOST_SWEEPS).astype(int))]
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, max(len(rows), 2)))
    for k, colour in zip(rows, colours, strict=False):
        t, v = thin(traces[k].t_ms, traces[k].v_mV)
        label = f"{heights[k]:+.0f} pA" if k in (rows[0], rows[-1]) else None
        axes.plot(t, v, color=colour, lw=0.8, label=label)
    axes.set(xlabel="time (ms)", ylabel="membrane potential (mV)", title="sweeps")
    axes.legend()
