"""Pictures of a recorded sweep beside the model's free run of it: traces, residuals, close-ups."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurojax.plot.look import (
    DATA,
    FAINT,
    FITTED,
    GRID,
    PREDICTED,
    WIDTH,
    styled,
    thin,
)
from neurojax.recording import features
from neurojax.recording.trace import Trace


@dataclass(frozen=True, eq=False)
class SweepView:
    """A measured sweep and the model's free run of it; fitted, or predicted unseen.

    `keep` are the samples `[sample]` that count, None for all.
    """

    data: Trace
    model: Trace
    fitted: bool = True
    keep: np.ndarray | None = None

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


def step_of(trace: Trace) -> str:
    """The stimulus of a sweep as people say it: "+80 pA", "-120 to 40 mV"."""
    if trace.clamp == "voltage":
        return f"{trace.v_mV.min():.0f} to {trace.v_mV.max():.0f} mV"
    height = trace.step_window()[2]
    return f"{height:+.0f} pA" if round(height) else "no step"


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
def glance(view: SweepView) -> Figure:
    """One sweep at a glance: model over data."""
    figure = Figure(figsize=(WIDTH, 2.3))
    axes = figure.subplots()
    _overlay(axes, view, legend=True)
    axes.set(xlabel="time (ms)", xlim=_around_step(view.data))
    axes.set_title(f"{view.label}, {step_of(view.data)}")
    return figure


def _around_step(trace: Trace) -> tuple[float, float]:
    """A current step with some rest before and after it, ms; under voltage clamp all."""
    if trace.clamp == "voltage":
        return 0.0, trace.duration_ms
    start, stop, _ = trace.step_window()
    pad = 0.15 * (stop - start)
    return max(0.0, start - pad), min(trace.duration_ms, stop + 1.5 * pad)


@styled
def overview(views: Sequence[SweepView]) -> Figure:
    """Model over data for several sweeps, small, on common axes."""
    columns = 4 if len(views) > 9 else 3
    rows = -(-len(views) // columns)
    figure = Figure(figsize=(WIDTH, 1.5 * rows + 0.4))
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, view in zip(panels.ravel(), views, strict=False):
        _overlay(axes, view, columns=400)
        axes.set_ylabel("")
        title = f"{view.data.sweep}: {step_of(view.data)}, {view.role}"
        axes.set_title(title, color=view.colour, fontsize=8.5)
    for axes in panels.ravel()[len(views) :]:
        axes.set_visible(False)
    for k in range(columns):
        shown = (len(views) - 1 - k) // columns
        panels[shown, k].tick_params(labelbottom=True)
    figure.supxlabel("time (ms)", fontsize=9)
    for axes in panels[:, 0]:
        axes.set_ylabel(_scale(views[0].data)[1])
    return figure


def _overlay(axes: Axes, view: SweepView, legend: bool = False, columns: int = 800) -> None:
    scale, unit = _scale(view.data)
    data, model = (measured(trace) * scale for trace in (view.data, view.model))
    axes.plot(*thin(view.data.t_ms, data, columns), color=DATA, lw=1.5, label="data")
    axes.plot(
        *thin(view.model.t_ms, model, columns),
        color=view.colour,
        lw=1.0,
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
    for trace, colour, width in _both(view):
        times = spike_times(trace)
        if times.size:
            t = trace.t_ms - times[times.size // 2]
            near = (t >= -4.0) & (t <= 8.0)
            axes.plot(t[near], trace.v_mV[near], color=colour, lw=width)

    axes.set(xlabel="time from the peak (ms)", ylabel="mV", title="a middle spike, aligned")


def _window(axes: Axes, view: SweepView, window: tuple[float, float]) -> None:
    scale, unit = _scale(view.data)
    for trace, colour, width in _both(view):
        near = (trace.t_ms >= window[0]) & (trace.t_ms <= window[1])
        axes.plot(*thin(trace.t_ms[near], measured(trace)[near] * scale), color=colour, lw=width)
    axes.set(
        xlim=window, ylabel=unit, xlabel="time (ms)", title=f"{window[0]:.0f} to {window[1]:.0f} ms"
    )
    if view.data.clamp == "voltage":
        axes.set_ylim(*_robust_limits(view, scale, window))


def _both(view: SweepView) -> list[tuple[Trace, str, float]]:
    """Data and model with the colours and widths of their lines."""
    return [(view.data, DATA, 2.0), (view.model, view.colour, 1.2)]


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
