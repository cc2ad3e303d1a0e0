"""Pictures of a recording beside a model of it: traces, residuals, spikes and firing rates."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurojax import features
from neurojax.electrode import Trace
from neurojax.plot import FAINT, FITTED, GRID, INK, PREDICTED, WIDTH, styled, thin


@dataclass(frozen=True, eq=False)
class SweepView:
    """A measured sweep and the model's free run of it; fitted, or predicted unseen."""

    data: Trace
    model: Trace
    fitted: bool = True

    @property
    def label(self) -> str:
        name = f"{self.data.name} " if self.data.name else ""
        return f"{name}sweep {self.data.sweep}"

    @property
    def role(self) -> str:
        return "fitted" if self.fitted else "predicted"

    @property
    def colour(self) -> str:
        return FITTED if self.fitted else PREDICTED


def measured(trace: Trace) -> np.ndarray:
    """What a clamp measures: mV in current clamp, pA in voltage clamp."""
    return trace.v_mV if trace.clamp == "current" else trace.i_pA


def commanded(trace: Trace) -> np.ndarray:
    """What a clamp imposes: pA in current clamp, mV in voltage clamp."""
    return trace.i_pA if trace.clamp == "current" else trace.v_mV


def residual(data: Trace, model: Trace) -> tuple[np.ndarray, np.ndarray]:
    """Times (ms) and model minus data at the data's samples, over the time that both cover."""
    t = data.t_ms
    t = t[t <= model.t_ms[-1] + 1e-9]
    return t, np.interp(t, model.t_ms, measured(model)) - measured(data)[: t.size]


def spike_times(trace: Trace) -> np.ndarray:
    """Times (ms) of the spikes' peaks in a current-clamp trace."""
    if trace.clamp != "current":
        return np.zeros(0)
    return features.spikes(trace.v_mV, trace.dt_ms).times


# -- traces over data ------------------------------------------------------------------------------
@styled
def sweep(view: SweepView) -> Figure:
    """One sweep: model over data, residual and command, with close-ups of what is hard to see."""
    figure = Figure(figsize=(WIDTH, 4.0))
    grid = figure.add_gridspec(3, 2, width_ratios=[1.75, 1], height_ratios=[3, 1.1, 0.9])
    main = figure.add_subplot(grid[0, 0])
    error = figure.add_subplot(grid[1, 0], sharex=main)
    command = figure.add_subplot(grid[2, 0], sharex=main)
    _overlay(main, view, legend=True)
    _residual(error, view)
    scale, unit = _scale(view.data, of_command=True)
    command.plot(*thin(view.data.t_ms, commanded(view.data) * scale), color=FAINT, lw=0.9)
    command.set(xlabel="time (ms)", ylabel=unit, xlim=(0, view.data.duration_ms))
    for axes in (main, error):
        axes.tick_params(labelbottom=False)
    figure.align_ylabels([main, error, command])
    side = grid[:, 1].subgridspec(2, 1)
    for axes, panel in zip(
        [figure.add_subplot(side[0]), figure.add_subplot(side[1])], _close_ups(view), strict=True
    ):
        panel(axes)
    return figure


@styled
def traces(views: Sequence[SweepView]) -> Figure:
    """Model over data for several sweeps, one panel each."""
    return _stacked(views, 1.7, functools.partial(_overlay, legend=True))


@styled
def residuals(views: Sequence[SweepView]) -> Figure:
    """Model minus data for several sweeps, one panel each."""
    return _stacked(views, 1.1, _residual)


def _stacked(
    views: Sequence[SweepView], inches: float, draw: Callable[[Axes, SweepView], None]
) -> Figure:
    """A panel for each sweep, one below the other, on one time axis."""
    figure = Figure(figsize=(WIDTH, inches * len(views) + 0.5))
    panels = np.atleast_1d(figure.subplots(len(views), 1, sharex=True))
    for axes, view in zip(panels, views, strict=True):
        draw(axes, view)
        axes.set_title(f"{view.label}, {view.role}")
    panels[-1].set_xlabel("time (ms)")
    return figure


def _overlay(axes: Axes, view: SweepView, legend: bool = False) -> None:
    scale, unit = _scale(view.data)
    axes.plot(*thin(view.data.t_ms, measured(view.data) * scale), color=INK, lw=0.9, label="data")
    axes.plot(
        *thin(view.model.t_ms, measured(view.model) * scale),
        color=view.colour,
        lw=0.9,
        alpha=0.85,
        label=f"model, {view.role}",
    )
    axes.set_ylabel(unit)
    if view.data.clamp == "voltage":
        axes.set_ylim(*_robust_limits(view, scale))
    if legend:
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=2, borderaxespad=0)


def _residual(axes: Axes, view: SweepView) -> None:
    scale, unit = _scale(view.data)
    t, r = residual(view.data, view.model)
    axes.axhline(0, color=GRID, lw=0.8)
    axes.plot(*thin(t, r * scale), color=view.colour, lw=0.7)
    axes.set_ylabel(f"model - data\n({unit})")
    if view.data.clamp == "voltage":
        low, high = _robust_limits(view, scale)
        edge = 1.2 * np.quantile(np.abs(r), 0.995) * scale or high - low
        axes.set_ylim(-edge, edge)


def _close_ups(view: SweepView) -> list[Callable[[Axes], None]]:
    """What the two small panels show: spikes where there are any, else where most happens."""
    times = spike_times(view.data)
    if times.size:
        return [
            functools.partial(_first_spikes, view=view),
            functools.partial(_spike_shape, view=view),
        ]
    windows = _busiest(view)
    return [functools.partial(_window, view=view, window=w) for w in windows]


def _first_spikes(axes: Axes, view: SweepView) -> None:
    times, own = spike_times(view.data), spike_times(view.model)
    first = min([times[0], *own[:1]])
    last = times[min(2, times.size - 1)]
    pad = 0.08 * (last - first) + 8.0
    _window(axes, view, (first - pad, last + 2 * pad))
    axes.set_title("first spikes")


def _spike_shape(axes: Axes, view: SweepView) -> None:
    """The middle spike of each, aligned at its peak."""
    for trace, colour in ((view.data, INK), (view.model, view.colour)):
        times = spike_times(trace)
        if times.size:
            t = trace.t_ms - times[times.size // 2]
            near = (t >= -4.0) & (t <= 8.0)
            axes.plot(t[near], trace.v_mV[near], color=colour)

    axes.set(xlabel="time from the peak (ms)", ylabel="mV", title="a middle spike, aligned")


def _window(axes: Axes, view: SweepView, window: tuple[float, float]) -> None:
    scale, unit = _scale(view.data)
    for trace, colour in ((view.data, INK), (view.model, view.colour)):
        near = (trace.t_ms >= window[0]) & (trace.t_ms <= window[1])
        axes.plot(*thin(trace.t_ms[near], measured(trace)[near] * scale), color=colour, lw=1.0)
    axes.set(xlim=window, ylabel=unit, xlabel="time (ms)", title="close-up")
    if view.data.clamp == "voltage":
        axes.set_ylim(*_robust_limits(view, scale, window))


def _busiest(view: SweepView, parts: int = 14) -> list[tuple[float, float]]:
    """Two stretches of the sweep in which the model moves most, in order of time."""
    y = measured(view.model)
    edges = np.linspace(0, y.size, parts + 1).astype(int)
    moves = np.array([np.std(y[a:b]) for a, b in itertools.pairwise(edges)])
    first = int(np.argmax(moves))
    far = np.where(np.abs(np.arange(parts) - first) > 1, moves, -1.0)
    chosen = sorted([first, int(np.argmax(far))])
    dt = view.model.dt_ms
    return [(edges[k] * dt, edges[k + 1] * dt) for k in chosen]


def _scale(trace: Trace, of_command: bool = False) -> tuple[float, str]:
    """Factor and unit for an axis: mV, or pA or nA, whichever reads better."""
    if (trace.clamp == "current") != of_command:
        return 1.0, "mV"
    samples = commanded(trace) if of_command else measured(trace)
    return (1e-3, "nA") if np.quantile(np.abs(samples), 0.999) >= 1500 else (1.0, "pA")


def _robust_limits(
    view: SweepView, scale: float, window: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Limits that show model and data but not the tips of capacitive transients."""
    values = []
    for trace in (view.data, view.model):
        y, t = measured(trace), trace.t_ms
        if window is not None:
            y = y[(t >= window[0]) & (t <= window[1])]
        shown = [0.004, 0.996] if trace is view.data else [0.0, 1.0]
        values.append(np.quantile(y, shown) * scale)
    low, high = np.min(values), np.max(values)
    pad = 0.12 * (high - low) or 1.0
    return float(low - pad), float(high + pad)


# -- firing ----------------------------------------------------------------------------------------
@styled
def firing(views: Sequence[SweepView]) -> Figure:
    """Spike times of data and model for each sweep, and their rates against the step of current."""
    figure = Figure(figsize=(WIDTH, max(2.8, 0.42 * len(views) + 1.2)))
    raster, rates = figure.subplots(1, 2, width_ratios=[1.75, 1])
    order = sorted(views, key=lambda view: view.data.step_window()[2])
    for row, view in enumerate(order):
        data, model = spike_times(view.data), spike_times(view.model)
        raster.vlines(data, row + 0.04, row + 0.34, color=INK, lw=1.0)
        raster.vlines(model, row - 0.34, row - 0.04, color=view.colour, lw=1.0)
    raster.set(xlabel="time (ms)", xlim=(0, max(v.data.duration_ms for v in views)))
    raster.set_yticks(range(len(order)), [f"{v.label}\n{v.role}" for v in order])
    raster.set(ylim=(-0.6, len(order) - 0.4), title="spike times: data above, model below")
    raster.spines["left"].set_visible(False)
    raster.tick_params(axis="y", length=0)
    heights = [view.data.step_window()[2] for view in order]
    rates.plot(heights, [rate(v.data, v.data) for v in order], "o-", color=INK, ms=5, label="data")
    for role, colour in (("fitted", FITTED), ("predicted", PREDICTED)):
        of = [
            (h, rate(v.model, v.data))
            for h, v in zip(heights, order, strict=True)
            if v.role == role
        ]
        if of:
            style = {"color": colour, "mfc": "none", "mew": 1.6, "ms": 8, "label": f"model, {role}"}
            rates.plot(*zip(*of, strict=True), "o", **style)
    rates.set(xlabel="step of current (pA)", ylabel="firing rate during the step (Hz)")
    rates.margins(0.08)
    rates.set_ylim(bottom=0.0)
    rates.legend()
    return figure


def rate(trace: Trace, stimulus: Trace) -> float:
    """Spikes per second (Hz) in the stimulus's step, one under way at its end among them."""
    start, stop, _ = stimulus.step_window()
    times = spike_times(trace)
    return float(np.sum((times >= start) & (times <= stop + 2.0)) / (stop - start) * 1e3)
