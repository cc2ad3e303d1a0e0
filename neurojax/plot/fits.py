"""Pictures of a fit: how it converged, what its parameters may be, what its error is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurojax.fit import (
    Certificate,
    Fit,
    Free,
    Space,
    StageRecord,
)
from neurojax.plot.look import (
    FAINT,
    FITTED,
    GRID,
    INK,
    STAGES,
    TRUTH,
    WIDTH,
    number,
    plain_log,
    readable,
    short,
    styled,
)

FEATURES = {
    "number": "spike count",
    "times": "spike times",
    "latency": "first-spike latency",
    "peak": "spike peak",
    "width": "spike width",
    "fall": "fall from the peak",
    "base": "resting potential",
    "rise": "before the first spike",
    "course": "between spikes",
    "after": "after the last spike",
    "priors": "what is known beforehand",
}
"""Contributions to the error of a search as people call them."""


MOST_STARTS = 48
"""Starts that are drawn one by one."""

TOGETHER, OPPOSED = STAGES[2], STAGES[1]


class Span(NamedTuple):
    """Values that a parameter may have, in its unit; an end that is open is a bound of the fit."""

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False


def spans(fit: Fit) -> tuple[str, dict[str, Span]]:
    """What a fit knows of each parameter, by name, and what that is.

    "interval": values that the data allow at 95 %, the others fitted anew; "range": how far it can
    move alone; "" where nothing is known.
    """
    if fit.certificate is not None and fit.certificate.intervals:
        return "interval", {k: Span(*i) for k, i in fit.certificate.intervals.items()}
    free = {f.name: f for f in fit.space.free}
    if np.isfinite(list(fit.standard_errors.values())).any():
        errors = {k: 1.96 * e for k, e in fit.standard_errors.items() if k in free}
        ends = {k: (fit.values[k] - e, fit.values[k] + e) for k, e in errors.items()}
        return "interval", {k: _within(free[k], *e) for k, e in ends.items() if np.isfinite(e[0])}
    if fit.ranges:
        return "range", {k: _within(free[k], *ends) for k, ends in fit.ranges.items()}
    return "", {}


def _within(f: Free, low: float, high: float) -> Span:
    near = 1e-4 * (f.high - f.low)
    below = low <= (f.low * (1 + 1e-4) if f.scale == "log" else f.low + near)
    return Span(max(low, f.low), min(high, f.high), bool(below), bool(high >= f.high - near))


def good_starts(fit: Fit, within: float = 1.05) -> int:
    """How many starts ended within 5 % of the best error."""
    if fit.certificate is not None and fit.certificate.ensemble is not None:
        return fit.certificate.ensemble.kept
    errors = np.sort(fit.stages[-1].errors) if fit.stages else np.zeros(0)
    return int(np.sum(errors <= within * errors[0])) if errors.size else 0


# -- convergence -----------------------------------------------------------------------------------
@styled
def convergence(stages: Sequence[StageRecord]) -> Figure:
    """The error as a fit went on, stage by stage, of every start where it was noted; and the end.

    A row for each unit of the error. Left: the best so far, and in thin lines the starts. Right:
    where all of them ended.
    """
    units = list(dict.fromkeys(s.unit for s in stages if len(s.history)))
    figure = Figure(figsize=(WIDTH, 2.9 * max(1, len(units)) + 0.2))
    panels = figure.subplots(max(1, len(units)), 2, squeeze=False)
    for (left, right), unit in zip(panels, units, strict=False):
        done = 0
        for k, stage in enumerate(stages, start=1):
            if stage.unit == unit and len(stage.history):
                colour = STAGES[(k - 1) % len(STAGES)]
                _course(left, stage, done, colour, f"{k} {stage.name}")
                _ends(right, stage, colour)
                done += len(stage.history)
        for axes in (left, right):
            low, high = axes.dataLim.intervaly
            if low > 0 and high > 5 * low:
                plain_log(axes)
        name = "error" if unit in ("", "1") else f"error ({unit})"
        left.set(xlabel="iteration", ylabel=name, title="best so far, and the starts")
        right.set(xlabel="start, best first", ylabel=f"final {name}", title="where starts ended")
        # Beside both panels, whose colours it tells: inside it would lie on lines.
        lines, labels = left.get_legend_handles_labels()
        where = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "ncols": 1 + len(labels) // 16}
        right.legend(lines, labels, fontsize=7.5, **where)
    return figure


def _course(axes: Axes, stage: StageRecord, done: int, colour: str, label: str) -> None:
    x = done + np.arange(1, len(stage.history) + 1)
    starts = stage.start_history.shape[1]
    for k in np.unique(np.linspace(0, starts - 1, MOST_STARTS).astype(int)) if starts else ():
        axes.plot(x, stage.start_history[:, k], color=colour, lw=0.6, alpha=0.45)
    marker = "o" if len(x) < 4 else ""
    axes.plot(x, stage.history, color=colour, label=label, marker=marker, ms=3.5, lw=1.8, zorder=3)


def _ends(axes: Axes, stage: StageRecord, colour: str) -> None:
    errors = np.sort(stage.errors)
    if errors.size:
        rank, marker = np.arange(1, errors.size + 1), "o" if errors.size < 60 else ""
        axes.plot(rank, errors, color=colour, marker=marker, ms=3.5)


# -- parameters ------------------------------------------------------------------------------------
@styled
def intervals(fit: Fit, truth: Mapping[str, float] | None = None) -> Figure:
    """Each free parameter within its bounds: best value, what it may be, other good starts."""
    free, (_, known) = fit.space.free, spans(fit)
    figure = Figure(figsize=(WIDTH, 0.3 * len(free) + 0.8))
    axes = figure.subplots()
    good = min(good_starts(fit), MOST_STARTS)
    for row, f in enumerate(free):
        y = len(free) - 1 - row
        axes.plot([0, 1], [y, y], color=GRID, lw=7, solid_capstyle="round", zorder=0)
        others = _places(f, fit.starts.get(f.name, np.zeros(0))[1:good])
        axes.plot(others, np.full(others.size, y), "|", color=FAINT, ms=9, alpha=0.7)
        if f.name in known:
            ends = _places(f, np.array(known[f.name][:2]))
            axes.plot(ends, [y, y], color=INK, lw=2.2, solid_capstyle="butt", zorder=2)
        axes.plot(
            _places(f, np.array([fit.values[f.name]])), [y], "o", color=FITTED, ms=6, zorder=5
        )
        if truth and f.name in truth:
            at = _places(f, np.array([truth[f.name]]))
            axes.plot(at, [y], "D", mfc="none", mec=TRUTH, ms=8.5, mew=1.5, zorder=6)
        (low, unit), (high, _) = readable(f.low, f.unit), readable(f.high, f.unit)
        unit = f"({unit})" if unit[:1].isdigit() else unit
        axes.text(1.03, y, f"{short(low)} to {short(high)} {unit}", va="center", fontsize=8)
    axes.set_yticks(range(len(free)), [f.name for f in reversed(free)])
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.7, len(free) - 0.3))
    axes.set_xticks([0, 0.5, 1], ["lower bound", "middle", "upper bound"])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    return figure


def _places(f: Free, values: np.ndarray) -> np.ndarray:
    """Where values lie between the bounds, 0 to 1, on the parameter's own scale."""
    floor = f.low if f.scale == "log" else -np.inf
    return Space((f,)).point({f.name: np.maximum(values, floor)})[0]


@styled
def correlation(certificate: Certificate) -> Figure:
    """Correlations of the estimates: which parameters trade against each other."""
    matrix, names = certificate.correlation, certificate.names
    if matrix is None:
        raise ValueError("a certificate without Fisher information has no correlations")
    side = min(WIDTH - 1.6, 0.34 * len(names) + 1.0)
    figure = Figure(figsize=(side + 1.6, side))
    axes = figure.subplots()
    area = 5200 / (len(names) + 8)
    for row, across in enumerate(matrix):
        for column, value in enumerate(across[:row]):
            if np.isfinite(value):
                colour = TOGETHER if value > 0 else OPPOSED
                # An area that grows with the correlation; the eye reads areas too small.
                axes.scatter(column, row, s=area * abs(value), color=colour, lw=0)
                if abs(value) >= 0.5:
                    told = f"{value:.2f}".replace("0.", ".")
                    axes.text(column + 0.33, row, told, fontsize=6.5, va="center")
    axes.set_xticks(range(len(names) - 1), names[:-1], rotation=40, ha="right")
    axes.set_yticks(range(1, len(names)), names[1:])
    axes.set(
        xlim=(-0.6, len(names) - 1.2), ylim=(len(names) - 0.4, 0.4), aspect="equal", anchor="W"
    )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.grid(color=GRID, lw=0.6)
    axes.set_axisbelow(True)
    for colour, told in ((TOGETHER, "rise together"), (OPPOSED, "one rises, the other falls")):
        axes.scatter([], [], s=60, color=colour, lw=0, label=told)
    axes.legend(loc="upper left", bbox_to_anchor=(0.62, 1.0))
    return figure


@styled
def profiles(certificate: Certificate) -> Figure:
    """Profile likelihoods: chi-squared above its least for each value of each parameter."""
    known = certificate.profiles
    free = {f.name: f for f in certificate.space.free}
    columns = min(4, len(known))
    rows = -(-len(known) // columns)
    figure = Figure(figsize=(WIDTH, 1.75 * rows + 0.2))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, profile) in zip(panels, known.items(), strict=False):
        f = free[name]
        factor = readable(f.high, f.unit)[0] / f.high if f.high else 1.0
        axes.axhline(3.84, color=FAINT, lw=0.8, ls="--")
        axes.plot(profile.values * factor, profile.rise, ".-", color=INK, ms=4)
        axes.axvline(certificate.values[name] * factor, color=FITTED, lw=1.2)
        axes.set(ylim=(0, 12), xlabel=f"{name} ({readable(f.high, f.unit)[1] or '1'})")
        near = profile.values[profile.rise < 14] * factor
        if near.size > 1:
            axes.set_xlim(near.min(), near.max())
        axes.tick_params(labelsize=7)
        axes.locator_params(axis="x", nbins=3)
    for axes in panels[len(known) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel("chi-squared")
    return figure


@styled
def contributions(fit: Fit) -> Figure:
    """What the final error is made of: the part of each feature, largest first."""
    parts = sorted(fit.contributions.items(), key=lambda part: part[1])
    figure = Figure(figsize=(WIDTH, 0.24 * len(parts) + 0.7))
    axes = figure.subplots()
    names, values = zip(*parts, strict=True)
    names = [FEATURES.get(name) or name for name in names]
    axes.barh(names, values, color=FAINT, height=0.62)
    for row, value in enumerate(values):
        axes.text(value, row, f" {number(value, 2)}", va="center", fontsize=8)
    axes.set(xlabel=f"part of the error ({fit.unit or '1'})")
    axes.margins(x=0.08, y=0.02)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure
