"""Pictures of a recorded sweep beside the model's free run of it: traces, residuals, close-ups."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure

from neurojax.plot.look import DATA, FAINT, FITTED, INK, PREDICTED, WIDTH, thin
from neurojax.plot.panels import Line, Panel, Picture, figure_of
from neurojax.recording import features
from neurojax.recording.command import Step
from neurojax.recording.family import steps_of
from neurojax.recording.trace import Trace


@dataclass(frozen=True, eq=False)
class SweepView:
    """A measured sweep and the model's free run of it; fitted, or predicted unseen.

    Where the model was given, and no fit made it, it is `given`.
    `keep` are the samples `[sample]` that count, None for all. `shared` is its step as the other
    sweeps of the protocol tell it; see `together`.
    """

    data: Trace
    model: Trace
    fitted: bool = True
    keep: np.ndarray | None = None
    shared: Step | None = None
    given: bool = False

    @property
    def label(self) -> str:
        name = f"{self.data.name} " if self.data.name else ""
        return f"{name}sweep {self.data.sweep}"

    @property
    def role(self) -> str:
        return "as given" if self.given else "fitted" if self.fitted else "predicted"

    @property
    def colour(self) -> str:
        return FITTED if self.fitted else PREDICTED

    @property
    def step(self) -> Step:
        """When its step is, and how high."""
        return self.shared or self.data.main_step()


def together(views: Sequence[SweepView]) -> list[SweepView]:
    """The views, each with its step as all of them tell it."""
    shared = steps_of([view.data for view in views])
    return [replace(v, shared=v.shared or s) for v, s in zip(views, shared, strict=True)]


def measured(trace: Trace) -> np.ndarray:
    """What a clamp measures: mV in current clamp, pA in voltage clamp."""
    return trace.v_mV if trace.clamp == "current" else trace.i_pA


def commanded(trace: Trace) -> np.ndarray:
    """What a clamp imposes: pA in current clamp, mV in voltage clamp."""
    return trace.i_pA if trace.clamp == "current" else trace.v_mV


def step_of(view: SweepView) -> str:
    """The stimulus of a sweep as people say it: "+80 pA", "-120 to 40 mV"."""
    if view.data.clamp == "voltage":
        return f"{view.data.v_mV.min():.0f} to {view.data.v_mV.max():.0f} mV"
    height = view.step.height
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
def sweep(view: SweepView) -> Figure:
    """One sweep: model over data, residual and command, with close-ups of what is hard to see."""
    return figure_of(sweep_picture(view))


def glance(view: SweepView) -> Figure:
    """One sweep at a glance: model over data."""
    return figure_of(glance_picture(view))


def overview(views: Sequence[SweepView]) -> Figure:
    """Model over data for several sweeps, small, on common axes."""
    return figure_of(overview_picture(views))


def sweep_picture(view: SweepView) -> Picture:
    """What `sweep` shows."""
    left, wide, over = 0.82, 4.6, (0.0, view.data.duration_ms)
    scale, unit = _scale(view.data)
    of_command, its_unit = _scale(view.data, of_command=True)
    t, command = view.data.t_ms, commanded(view.data) * of_command
    main = Panel(
        (left, 0.3, wide, 1.95),
        _both(view, scale),
        ylabel=unit,
        xlim=over,
        ylim=_robust_limits(view, scale),
        bare_x=True,
        legend=True,
    )
    stimulus = Panel(
        (left, 3.05, wide, 0.5),
        [Line(*thin(t, command, 500), FAINT, 0.9)],
        xlabel="time (ms)",
        ylabel=its_unit,
        xlim=over,
    )
    panels = [main, _residual(view, (left, 2.4, wide, 0.5), over), stimulus]
    places = [(6.15, top, 2.6, 1.25) for top in (0.3, 2.3)]
    return Picture(WIDTH, 4.05, [*panels, *_close_ups(view, places)])


def glance_picture(view: SweepView) -> Picture:
    """What `glance` shows."""
    scale, unit = _scale(view.data)
    panel = Panel(
        (0.68, 0.3, WIDTH - 0.95, 1.5),
        _both(view, scale),
        title=f"{view.label}, {step_of(view)}",
        xlabel="time (ms)",
        ylabel=unit,
        xlim=_around_step(view),
        ylim=_robust_limits(view, scale),
        legend=True,
    )
    return Picture(WIDTH, 2.3, [panel])


def overview_picture(views: Sequence[SweepView]) -> Picture:
    """What `overview` shows."""
    columns = 4 if len(views) > 9 else 3
    rows = -(-len(views) // columns)
    wide, high = (WIDTH - 0.7) / columns, 1.5
    scale, unit = _scale(views[0].data)
    edges = [_robust_limits(view, scale) for view in views]
    over = 0.0, max(view.data.duration_ms for view in views)
    panels = []
    for k, view in enumerate(views):
        row, column = divmod(k, columns)
        lowest = k + columns >= len(views)
        panels.append(
            Panel(
                (0.65 + column * wide, 0.3 + row * high, wide - 0.2, high - 0.4),
                _both(view, scale, columns=250),
                title=f"{view.data.sweep}: {step_of(view)}, {view.role}",
                title_colour=view.colour,
                xlabel="time (ms)" if lowest else "",
                ylabel="" if column else unit,
                xlim=over,
                ylim=(min(low for low, _ in edges), max(high for _, high in edges)),
                bare_x=not lowest,
                bare_y=column > 0,
            )
        )
    return Picture(WIDTH, high * rows + 0.45, panels)


def _around_step(view: SweepView) -> tuple[float, float]:
    """A current step with some rest before and after it, ms; under voltage clamp all."""
    trace = view.data
    if trace.clamp == "voltage":
        return 0.0, trace.duration_ms
    start, stop = view.step.on, view.step.off
    pad = 0.15 * (stop - start)
    return max(0.0, start - pad), min(trace.duration_ms, stop + 1.5 * pad)


def _both(
    view: SweepView,
    scale: float,
    within: tuple[float, float] = (-np.inf, np.inf),
    columns: int = 500,
) -> list[Line]:
    """The model's line over the data's, of the samples within times (ms)."""
    lines = []
    for trace, colour, width, label in (
        (view.data, DATA, 1.5, "data"),
        (view.model, view.colour, 1.0, f"model, {view.role}"),
    ):
        t = trace.t_ms
        near = (t >= within[0]) & (t <= within[1])
        y = measured(trace)[near] * scale
        lines.append(Line(*thin(t[near], y, columns), colour, width, label))
    return lines


def _residual(
    view: SweepView, place: tuple[float, float, float, float], over: tuple[float, float]
) -> Panel:
    scale, unit = _scale(view.data)
    t, r = residual(view.data, view.model)
    edge = None
    if view.data.clamp == "voltage":
        low, high = _robust_limits(view, scale)
        most = 1.2 * float(np.quantile(np.abs(r), 0.995)) * scale or high - low
        edge = -most, most
    return Panel(
        place,
        [Line(*thin(t, r * scale, 500), view.colour, 0.7)],
        ylabel=f"model - data\n({unit})",
        xlim=over,
        ylim=edge,
        at_zero=True,
        bare_x=True,
    )


def _close_ups(view: SweepView, places: Sequence[tuple[float, float, float, float]]) -> list[Panel]:
    """What the two small panels show: spikes where there are any, else where most happens."""
    times, own = spike_times(view.data), spike_times(view.model)
    if not times.size:
        both = zip(places, _busiest(view), strict=True)
        return [_window(view, place, within) for place, within in both]
    first, last = min([times[0], *own[:1]]), times[min(2, times.size - 1)]
    pad = 0.08 * (last - first) + 8.0
    within = float(first - pad), float(last + 2 * pad)
    return [_window(view, places[0], within, "first spikes"), _spike_shape(view, places[1])]


def _spike_shape(view: SweepView, place: tuple[float, float, float, float]) -> Panel:
    """The middle spike of each, aligned at its peak."""
    lines = []
    for trace, colour, width in ((view.data, DATA, 2.0), (view.model, view.colour, 1.2)):
        times = spike_times(trace)
        if times.size:
            t = trace.t_ms - times[times.size // 2]
            near = (t >= -4.0) & (t <= 8.0)
            lines.append(Line(t[near], trace.v_mV[near], colour, width))
    axes = "time from the peak (ms)", "mV"
    return Panel(place, lines, "a middle spike, aligned", INK, *axes, xlim=(-4.0, 8.0))


def _window(
    view: SweepView,
    place: tuple[float, float, float, float],
    within: tuple[float, float],
    title: str = "",
) -> Panel:
    scale, unit = _scale(view.data)
    is_clamp = view.data.clamp == "voltage"
    return Panel(
        place,
        _both(view, scale, within),
        title or f"{within[0]:.0f} to {within[1]:.0f} ms",
        INK,
        "time (ms)",
        unit,
        within,
        _robust_limits(view, scale, within) if is_clamp else None,
    )


def _busiest(view: SweepView, parts: int = 14) -> list[tuple[float, float]]:
    """Two stretches of the sweep in which the model moves most, in order of time."""
    y = measured(view.model)
    edges = np.linspace(0, y.size, parts + 1).astype(int)
    moves = np.array([np.std(y[a:b]) for a, b in itertools.pairwise(edges)])
    first = int(np.argmax(moves))
    far = np.where(np.abs(np.arange(parts) - first) > 1, moves, -1.0)
    chosen = sorted([first, int(np.argmax(far))])
    dt = view.model.dt_ms
    return [(float(edges[k] * dt), float(edges[k + 1] * dt)) for k in chosen]


def _scale(trace: Trace, of_command: bool = False) -> tuple[float, str]:
    """Factor and unit for an axis: mV, or pA or nA, whichever reads better."""
    if (trace.clamp == "current") != of_command:
        return 1.0, "mV"
    samples = commanded(trace) if of_command else measured(trace)
    return (1e-3, "nA") if np.quantile(np.abs(samples), 0.999) >= 1500 else (1.0, "pA")


def _robust_limits(
    view: SweepView, scale: float, window: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Limits that show all of potentials, of currents all but the tips of capacitive transients."""
    values = []
    for trace in (view.data, view.model):
        y, t = measured(trace), trace.t_ms
        if window is not None:
            y = y[(t >= window[0]) & (t <= window[1])]
        all_of_it = trace is view.model or trace.clamp == "current"
        values.append(np.quantile(y, [0.0, 1.0] if all_of_it else [0.004, 0.996]) * scale)
    low, high = np.min(values), np.max(values)
    pad = (0.12 if view.data.clamp == "voltage" else 0.05) * (high - low) or 1.0
    return float(low - pad), float(high + pad)
