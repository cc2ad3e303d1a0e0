"""Pictures of spikes without time: dv/dt against v, and the mean spike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurojax.plot.look import DATA, GRID, WIDTH, styled
from neurojax.plot.sweep import SweepView, spike_times
from neurojax.recording.trace import Trace

FINEST_MS = 0.04
"""Sampling intervals below are averaged up to this: the slope of noise is all that they add."""

MOST_SPIKES = 8
BEFORE_MS, AFTER_MS = 4.0, 8.0


def phase_course(trace: Trace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time (ms), potential (mV) and its slope (mV/ms) along a trace, by central differences."""
    block = max(1, round(FINEST_MS / trace.dt_ms))
    whole = trace.v_mV.size // block * block
    t, v = (x[:whole].reshape(-1, block).mean(axis=1) for x in (trace.t_ms, trace.v_mV))
    if v.size < 2:
        return t, v, np.zeros(v.size)
    return t, v, np.gradient(v, block * trace.dt_ms)


@styled
def phase_plane(views: Sequence[SweepView]) -> Figure:
    """dv/dt against v around spikes of data and model, and the mean spike, a row for each sweep."""
    figure = Figure(figsize=(WIDTH, 3.1 * len(views)))
    panels = figure.subplots(len(views), 2, squeeze=False, width_ratios=[1.25, 1])
    for (plane, mean), view in zip(panels, views, strict=True):
        plane.axhline(0, color=GRID, lw=0.8)
        for trace, colour, name in (
            (view.data, DATA, "data"),
            (view.model, view.colour, f"model, {view.role}"),
        ):
            _loops(plane, trace, colour, name)
            _mean_spike(mean, trace, colour)
        plane.set(xlabel="v (mV)", ylabel="dv/dt (mV/ms)", title=view.label)
        mean.set(xlabel="time from the peak (ms)", ylabel="mV", title="mean spike")
        plane.legend(loc="upper left")
    return figure


def _loops(axes: Axes, trace: Trace, colour: str, name: str) -> None:
    """The loops of up to MOST_SPIKES spikes, from first to last."""
    t, v, slope = phase_course(trace)
    peaks = spike_times(trace)
    chosen = (
        np.unique(np.linspace(0, peaks.size - 1, MOST_SPIKES).astype(int)) if peaks.size else []
    )
    for peak in peaks[chosen]:
        near = (t >= peak - BEFORE_MS) & (t <= peak + AFTER_MS)
        axes.plot(v[near], slope[near], color=colour, lw=0.8, alpha=0.75)
    axes.plot([], [], color=colour, label=name)


def _mean_spike(axes: Axes, trace: Trace, colour: str) -> None:
    peaks = spike_times(trace)
    peaks = peaks[(peaks > BEFORE_MS) & (peaks < trace.duration_ms - AFTER_MS - trace.dt_ms)]
    if peaks.size:
        lag = np.arange(-BEFORE_MS, AFTER_MS, max(trace.dt_ms, FINEST_MS))
        spikes = np.interp(peaks[:, None] + lag, trace.t_ms, trace.v_mV)
        axes.plot(lag, spikes.mean(axis=0), color=colour)
