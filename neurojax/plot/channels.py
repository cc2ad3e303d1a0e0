"""Pictures of channels and of simulations: gates against potential, what was recorded in time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurojax.membrane.channel import Channel, Leaf
from neurojax.membrane.markov import Scheme
from neurojax.plot.look import (
    CYCLE,
    FAINT,
    GRID,
    INK,
    WIDTH,
    plain_log,
    styled,
    thin,
)
from neurojax.rig.channel_curves import channel_curves as channel_curves_of


@styled
def channel_curves(
    channel: Channel,
    title: str = "",
    *,
    low_mV: float = -120.0,
    high_mV: float = 60.0,
    celsius: float | None = None,
    at: Mapping[str, float] | None = None,
) -> Figure:
    """Steady states and time constants of a channel's gates, and its I-V, against potential.

    `at` are the concentrations and inputs that it reads. Raises ValueError where one is missing.
    """
    points = 721 if not isinstance(channel, Scheme) else 61
    curves = channel_curves_of(channel, np.linspace(low_mV, high_mV, points), celsius, at)
    figure = Figure(figsize=(WIDTH, 3.0))
    left, middle, right = figure.subplots(1, 3)
    for name, inf in curves.steady.items():
        instant = not isinstance(channel, Scheme) and name not in curves.tau
        left.plot(curves.v, inf, label=f"{name} (instant)" if instant else name)
    left.set(xlabel="membrane potential (mV)", ylabel="steady state", ylim=(-0.03, 1.03))
    for k, name in enumerate(curves.steady):
        if name in curves.tau:
            middle.plot(curves.v, curves.tau[name], color=CYCLE[k % len(CYCLE)], label=name)
    middle.set(xlabel="membrane potential (mV)", ylabel="time constant (ms)")
    taus = list(curves.tau.values())
    if taus and max(t.max() for t in taus) > 30 * min(t.min() for t in taus):
        plain_log(middle)
    elif taus:
        middle.set_ylim(bottom=0)
    else:
        middle.text(0.5, 0.5, _no_taus(curves.steady), ha="center", transform=middle.transAxes)
    if curves.steady:
        left.legend()
    else:
        left.text(0.5, 0.5, "no gates: always open", ha="center", transform=left.transAxes)
    right.axhline(0, color=GRID, lw=0.8)
    peak = f"peak, from {curves.holding:g} mV"
    right.plot(curves.v, curves.i_peak, color=CYCLE[1], label=peak)
    right.plot(curves.v, curves.i_steady, color=INK, label="steady")
    right.set(xlabel="membrane potential (mV)", ylabel="current (uA/cm2)")
    right.legend()
    title = title or type(channel).__name__
    title += "".join(f", {name} = {value:g}" for name, value in (at or {}).items())
    title += "" if curves.E_ion is None else f", E = {curves.E_ion:g} mV"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5)
    return figure


def _no_taus(steady: Mapping[str, Any]) -> str:
    return "no time constants:\na scheme, or instant" if steady else "no gates: always open"


@styled
def observed(
    t_ms: Leaf, data: dict[str, Any], stimulus: Leaf, stimulus_label: str, title: str = ""
) -> Figure:
    """What a simulation recorded, one panel for each observable, above the stimulus.

    Samples are `[sample]`, or `[sample, sweep]` of several: drawn on each other, first to last from
    dark to light.
    """
    rows = len(data) + 1
    heights = [2.0 if name == "v" else 1.3 for name in data] + [0.7]
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.8))
    panels = np.atleast_1d(figure.subplots(rows, 1, sharex=True, height_ratios=heights))
    for axes, (name, values) in zip(panels, data.items(), strict=False):
        _courses(axes, t_ms, values, INK if name == "v" else CYCLE[0])
        axes.set_ylabel(_observable_label(name))
    _courses(panels[-1], t_ms, stimulus, FAINT)
    panels[-1].set(xlabel="time (ms)", ylabel=stimulus_label)
    figure.align_ylabels()
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5)
    return figure


def _courses(axes: Axes, t_ms: Any, values: Any, colour: str) -> None:
    """A line in time, or one for each sweep."""
    values = np.asarray(values)
    if values.ndim == 1:
        axes.plot(*thin(t_ms, values), color=colour)
        return
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, values.shape[1]))
    for column, shade in zip(values.T, shades, strict=True):
        axes.plot(*thin(t_ms, column), color=shade, lw=0.9)


def _observable_label(name: str) -> str:
    if name == "v":
        return "membrane\npotential (mV)"
    if name == "i_ion" or name.endswith(".i"):
        return f"{name}\n(uA/cm2)"
    if name.startswith("E_"):
        return f"{name} (mV)"
    return f"{name} (mM)" if name.endswith(("_i", "_o")) else name
