"""Pictures of channels and of simulations: gates against potential, what was recorded in time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurojax.membrane.channel import Channel, Leaf
from neurojax.plot.look import (
    CYCLE,
    FAINT,
    INK,
    WIDTH,
    plain_log,
    styled,
    thin,
)


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
    """Steady states and time constants of a channel's gates against membrane potential.

    `at` are the concentrations and inputs that it reads. Raises ValueError where one is missing.
    """
    at = dict(at or {})
    if set(at) != set(channel.reads):
        raise ValueError(
            f"{type(channel).__name__} reads {', '.join(channel.reads) or 'nothing'}: "
            f"its curves are those at given values, got {', '.join(at) or 'none'}"
        )
    v = jnp.linspace(low_mV, high_mV, 721)
    seen = {name: jnp.full_like(v, value) for name, value in at.items()}
    gates = channel.kinetics(v, celsius, **seen)
    states = channel.steady_state(v, **seen) | channel.instant(v - channel.v_shift, **seen)
    figure = Figure(figsize=(WIDTH, 3.2))
    left, right = figure.subplots(1, 2)
    for name, inf in states.items():
        left.plot(v, inf, label=name if name in gates else f"{name} (instant)")
    left.set(xlabel="membrane potential (mV)", ylabel="steady state", ylim=(-0.03, 1.03))
    for name in states:
        tau = 1 / np.asarray(gates[name].rate) if name in gates else np.full(v.shape, np.nan)
        right.plot(v, tau, label=name)
    right.set(xlabel="membrane potential (mV)", ylabel="time constant (ms)")
    taus = [1 / np.asarray(g.rate) for g in gates.values()]
    if taus and max(t.max() for t in taus) > 30 * min(t.min() for t in taus):
        plain_log(right)
    elif taus:
        right.set_ylim(bottom=0)
    if states:
        left.legend()
    else:
        for axes in (left, right):
            axes.text(0.5, 0.5, "no gates: always open", ha="center", transform=axes.transAxes)
    title = title or type(channel).__name__
    title += "".join(f", {name} = {value:g}" for name, value in at.items())
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5)
    return figure


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
