"""Pictures: each function returns a matplotlib Figure of its own; pyplot and its state stay out.

One look throughout: data in ink, what was fitted in vermilion, what was predicted in blue.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec

import jax.numpy as jnp
import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from neurojax.channel import Channel
from neurojax.fit.parameters import Free, Space
from neurojax.fit.result import Fit, Stage
from neurojax.units import factor

INK, FAINT, GRID = "#26282b", "#8a8f98", "#e3e5e8"
FITTED, PREDICTED, TRUTH = "#c8452f", "#23699e", "#3c8457"
CYCLE = ["#23699e", "#c8452f", "#3c8457", "#8b5ea8", "#b07d1e", "#4c8f94", "#a34a70", "#6b6f76"]

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.7,
    "axes.prop_cycle": cycler(color=CYCLE),
    "axes.facecolor": "none",
    "figure.facecolor": "white",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.2,
    "lines.solid_capstyle": "round",
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",
    "savefig.dpi": 160,
}
WIDTH = 9.0  # inches

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw with this module's look, leaving the caller's matplotlib settings alone."""

    @functools.wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return inside


def thin(t, y, columns: int = 1100) -> tuple[np.ndarray, np.ndarray]:
    """A line with no more points than can be seen: the extremes of each column of pixels."""
    t, y = np.asarray(t), np.asarray(y)
    if y.size <= 3 * columns:
        return t, y
    width = y.size // columns
    whole = y[: width * columns].reshape(columns, width)
    ends = np.sort(np.stack([whole.argmin(1), whole.argmax(1)], axis=1), axis=1)
    kept = (ends + width * np.arange(columns)[:, None]).ravel()
    kept = np.unique(np.concatenate([kept, np.arange(width * columns, y.size), [y.size - 1]]))
    return t[kept], y[kept]


def number(value: float, digits: int = 4) -> str:
    """A number for reading: so many significant digits, powers of ten only where they help."""
    if not np.isfinite(value):
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        places = digits - 1 - (int(np.floor(np.log10(abs(value)))) if value else 0)
        return f"{value:.{max(places, 0)}f}"
    return f"{value:.{digits - 1}e}"


def readable(value: float, unit: str) -> tuple[float, str]:
    """A value and its unit as people say them: the area of a neuron in um2."""
    if unit == "cm2" and abs(value) < 1e-2:
        return value * factor("cm2", "um2"), "um2"
    return value, "" if unit == "1" else unit


def _plain_log(axes: Axes, which: str = "y") -> None:
    """A log axis with plain numbers on it, at 1, 2 and 5 where it spans few decades."""
    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    low, high = axis.get_data_interval()
    subs = (1.0, 2.0, 5.0) if high < 100 * low else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(NullFormatter())


# -- channels and simulations ----------------------------------------------------------------------
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
        _plain_log(right)
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
def observed(t_ms, data: dict[str, Any], stimulus, stimulus_label: str, title: str = "") -> Figure:
    """What a simulation recorded, one panel for each observable, above the stimulus."""
    rows = len(data) + 1
    heights = [2.0 if name == "v" else 1.3 for name in data] + [0.7]
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.8))
    panels = np.atleast_1d(figure.subplots(rows, 1, sharex=True, height_ratios=heights))
    for axes, (name, values) in zip(panels, data.items(), strict=False):
        axes.plot(*thin(t_ms, np.asarray(values)), color=INK if name == "v" else CYCLE[0])
        axes.set_ylabel(_observable_label(name))
    panels[-1].plot(*thin(t_ms, np.asarray(stimulus)), color=FAINT)
    panels[-1].set(xlabel="time (ms)", ylabel=stimulus_label)
    figure.align_ylabels()
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5)
    return figure


def _observable_label(name: str) -> str:
    if name == "v":
        return "membrane\npotential (mV)"
    if name == "i_ion" or name.endswith(".i"):
        return f"{name}\n(uA/cm2)"
    if name.startswith("E_"):
        return f"{name} (mV)"
    return f"{name} (mM)" if name.endswith(("_i", "_o")) else name


# -- fits ------------------------------------------------------------------------------------------
@styled
def convergence(stages: Sequence[Stage]) -> Figure:
    """The best error as a fit went on, stage by stage, and where all of its starts ended."""
    units = list(dict.fromkeys(s.unit for s in stages if len(s.history)))
    figure = Figure(figsize=(WIDTH, 2.7 * max(1, len(units)) + 0.2))
    panels = figure.subplots(max(1, len(units)), 2, squeeze=False)
    for (left, right), unit in zip(panels, units, strict=False):
        done = 0
        for number, stage in enumerate(stages, start=1):
            if stage.unit != unit or not len(stage.history):
                continue
            colour = CYCLE[(number - 1) % len(CYCLE)]
            x = done + np.arange(1, len(stage.history) + 1)
            label = f"{number} {stage.name}"
            left.plot(x, stage.history, color=colour, label=label, marker="." if len(x) < 4 else "")
            errors = np.sort(stage.errors)
            if errors.size:
                rank, marker = np.arange(1, errors.size + 1), "." if errors.size < 4 else ""
                right.plot(rank, errors, color=colour, label=label, marker=marker)
            done += len(stage.history)
        for axes in (left, right):
            low, high = axes.dataLim.intervaly
            if low > 0 and high > 5 * low:
                _plain_log(axes)
        name = "error" if unit in ("", "1") else f"error ({unit})"
        left.set(xlabel="iteration", ylabel=f"best {name}", title="best so far")
        right.set(
            xlabel="start, best first", ylabel=f"final {name}", title="where the starts ended"
        )
        left.legend(fontsize=7.5)
    return figure


@styled
def intervals(fit: Fit, truth: dict[str, float] | None = None) -> Figure:
    """Each free parameter within its bounds: best value, its interval, other good starts."""
    free = fit.space.free
    figure = Figure(figsize=(WIDTH, 0.32 * len(free) + 0.9))
    axes = figure.subplots()
    good = _good_starts(fit)
    for row, f in enumerate(free):
        y, best = len(free) - 1 - row, fit.values[f.name]
        axes.plot([0, 1], [y, y], color=GRID, lw=5, solid_capstyle="butt", zorder=0)
        others = _places(f, fit.starts.get(f.name, np.zeros(0))[:good])
        axes.plot(others, np.full(others.size, y), "|", color=FAINT, ms=8, alpha=0.6)
        error = fit.standard_errors.get(f.name, np.nan)
        interval = fit.ranges.get(f.name, (best - 2 * error, best + 2 * error))
        if np.isfinite(interval).all():
            ends = _places(f, np.array(interval))
            axes.plot(ends, [y, y], color=FITTED, lw=2.2, solid_capstyle="butt")
        axes.plot(_places(f, np.array([best])), [y], "o", color=FITTED, ms=5.5, zorder=5)
        if truth and f.name in truth:
            axes.plot(
                _places(f, np.array([truth[f.name]])),
                [y],
                "D",
                mfc="none",
                mec=TRUTH,
                ms=8,
                mew=1.4,
            )
        (low, unit), (high, _) = readable(f.low, f.unit), readable(f.high, f.unit)
        axes.text(1.02, y, f"{low:g} to {high:g} {unit}", va="center", fontsize=8)
    axes.set_yticks(range(len(free)), [f.name for f in reversed(free)])
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.7, len(free) - 0.3))
    axes.set_xticks([0, 0.5, 1], ["lower bound", "middle", "upper bound"])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    return figure


def _good_starts(fit: Fit, within: float = 1.05) -> int:
    """How many starts of the last stage ended within 5 % of the best error."""
    errors = np.sort(fit.stages[-1].errors) if fit.stages else np.zeros(0)
    return int(np.sum(errors <= within * errors[0])) if errors.size else 0


def _places(f: Free, values: np.ndarray) -> np.ndarray:
    """Where values lie between the bounds, 0 to 1, on the parameter's own scale."""
    floor = f.low if f.scale == "log" else -np.inf
    return Space((f,)).point({f.name: np.maximum(values, floor)})[0]
