"""The report of a fit: one HTML file that says how good it is, shows it, and how it was made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import jax
import numpy as np

from neurojax import plot, plot_sweep
from neurojax import report_page as page
from neurojax.cell import parameters
from neurojax.files import write_whole
from neurojax.fit import Agreement, Fit, Free, Space
from neurojax.io.results import running_versions
from neurojax.loss import capacitive_mask
from neurojax.plot import number, readable
from neurojax.plot_sweep import SweepView, measured, residual

MOST_FIGURES = 12
"""Sweeps drawn one by one; the table lists all."""


@dataclass(frozen=True, eq=False)
class FitReport:
    """All that a report tells: the fit, each sweep beside its free run, and how it was made."""

    title: str
    fit: Fit
    views: Sequence[SweepView]
    agreements: Sequence[Agreement]  # of each view
    truth: Mapping[str, float] = field(default_factory=dict)  # where the data are synthetic
    command: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def spiking(self) -> bool:
        return self.views[0].data.clamp == "current" and any(
            a.spikes_data or a.spikes_model for a in self.agreements
        )


def write(path: str | os.PathLike[str], report: FitReport) -> Path:
    """Write the report as one HTML file, whole or not at all. Raises OSError naming the file."""
    return write_whole(path, to_html(report))


def to_html(report: FitReport) -> str:
    """The report as one HTML document that needs nothing else."""
    body = [
        *_opening(report),
        *_sweeps(report),
        *_parameters(report),
        *_stages(report),
        *_making(report),
    ]
    return page.page(report.title, body)


# -- in words --------------------------------------------------------------------------------------
def verdict(report: FitReport) -> str:
    """How good the fit is, in plain language: first a judgement, then what it rests on."""
    pairs = list(zip(report.views, report.agreements, strict=True))
    fitted = [(v, a) for v, a in pairs if v.fitted]
    unseen = [(v, a) for v, a in pairs if not v.fitted]
    said = _spikes_said if report.spiking else _trace_said
    told = [said(some, where) for some, where in ((fitted, "fitted"), (unseen, "not seen")) if some]
    grade = _grade(report, unseen or fitted)
    basis = "the sweeps it had not seen" if unseen else "the sweeps it was fitted to"
    judged = {
        "close": f"A close fit, judged by {basis}.",
        "rough": f"A rough fit, judged by {basis}: right in kind, off in detail.",
        "poor": f"A poor fit, judged by {basis}: this model does not describe this recording yet.",
    }[grade]
    if not unseen:
        judged += " Nothing was held out, so this says little about prediction."
    return " ".join([judged, *told])


def _grade(report: FitReport, pairs: Sequence[tuple[SweepView, Agreement]]) -> str:
    if report.spiking:
        real = sum(a.spikes_data for _, a in pairs)
        off = [abs(a.spikes_model - a.spikes_data) for _, a in pairs]
        miscounted = sum(off) / max(real, 1)
        worst = max(n / max(a.spikes_data, 2) for n, (_, a) in zip(off, pairs, strict=True))
        # Matched in order, spikes of trains that differ in number say nothing of timing.
        alike = [a for _, a in pairs if a.spikes_model == a.spikes_data]
        late = [a.spike_time_error for a in alike if np.isfinite(a.spike_time_error)]
        mistimed = float(np.mean(late or [0.0]))
        if miscounted <= 0.1 and mistimed <= 0.5:
            return "close"
        return "rough" if miscounted <= 0.25 and worst <= 0.5 else "poor"
    missed = 1 - min(explained(view) for view, _ in pairs)
    return "close" if missed < 0.03 else "rough" if missed < 0.2 else "poor"


def _spikes_said(pairs: Sequence[tuple[SweepView, Agreement]], where: str) -> str:
    """Spikes of model and data: sweep by sweep where they are few, else in all."""
    model, real = ([getattr(a, k) for _, a in pairs] for k in ("spikes_model", "spikes_data"))
    if len(pairs) > 5:
        model, real = [sum(model)], [sum(real)]
    # Matched in order, spikes of two trains that differ in number say little of timing.
    alike = [a for _, a in pairs if a.spikes_model == a.spikes_data]
    late = [(a.spike_time_error_ms, 100 * a.spike_time_error) for a in alike]
    late = [pair for pair in late if np.isfinite(pair).all()]
    timing = ""
    if late:
        ms, share = np.mean(late, axis=0)
        off = f"{number(ms, 2)} ms" if ms >= 0.1 else "less than 0.1 ms"
        share = f"{share:.0f}" if share >= 1 else "below 1"
        timing = f", {off} off on average ({share} % of the interval)"
        timing += " where their numbers agree" if len(alike) < len(pairs) else ""
    sweeps = f"the {len(pairs)} sweeps" if len(pairs) > 1 else "the one sweep"
    return (
        f"On {sweeps} {where} it fires {_listed(model)} spikes where the neuron fired "
        f"{_listed(real)}{timing}."
    )


def _listed(counts: Sequence[int]) -> str:
    *most, last = map(str, counts)
    return f"{', '.join(most)} and {last}" if most else last


def _trace_said(pairs: Sequence[tuple[SweepView, Agreement]], where: str) -> str:
    share = [explained(view) for view, _ in pairs]
    worst = f" (worst sweep {100 * min(share):.1f} %)" if len(share) > 1 else ""
    what = "current" if pairs[0][0].data.clamp == "voltage" else "potential"
    sweeps = f"the {len(pairs)} sweeps" if len(pairs) > 1 else "the one sweep"
    return (
        f"On {sweeps} {where} it explains {100 * float(np.mean(share)):.1f} % of the variance of "
        f"the {what}{worst}."
    )


def explained(view: SweepView) -> float:
    """Share of the measured variance that the model explains, capacitive transients left out."""
    _, r = residual(view.data, view.model)
    y = measured(view.data)[: r.size]
    if view.data.clamp == "voltage":
        kept = capacitive_mask(view.data)[: r.size]
        y, r = y[kept], r[kept]
    return float(1 - np.mean(r**2) / max(float(np.var(y)), 1e-12))


def at_bound(f: Free, value: float, within: float = 0.005) -> str:
    """ "lower" or "upper" where a value sits on a bound of its search, else nothing."""
    place = float(Space((f,)).point({f.name: value})[0])
    return "lower" if place < within else "upper" if place > 1 - within else ""


def cautions(report: FitReport) -> list[str]:
    """What a reader should know before using the numbers."""
    fit, found = report.fit, []
    if fit.interrupted:
        found.append("The fit was interrupted; these are the best values until then.")
    stuck = [f.name for f in fit.space.free if at_bound(f, fit.values[f.name])]
    if stuck:
        found.append(
            f"{', '.join(stuck)} {'sits' if len(stuck) == 1 else 'sit'} on a bound of the search: "
            "widen it, or suspect the model."
        )
    errors = fit.standard_errors
    loose = [k for k, e in errors.items() if not np.isfinite(e)]
    if loose:
        which = ", ".join(loose) if len(loose) < len(errors) else "the parameters together"
        found.append(f"The data do not determine {which}: no standard error exists.")
    for view in report.views:
        found += [f"{view.label}: {warning}" for warning in view.data.warnings]
    return list(dict.fromkeys(found))


# -- sections --------------------------------------------------------------------------------------
def _opening(report: FitReport) -> Iterator[str]:
    when = datetime.now().astimezone().strftime("%d %B %Y, %H:%M")
    yield page.paragraph(f"Report of a fit with neurojax, {when}", "eyebrow")
    yield page.heading(1, page.text(report.title))
    yield page.paragraph(page.text(verdict(report)), "verdict")
    fit = report.fit
    last = fit.stages[-1]
    unit = "" if last.unit == "1" else f", {last.unit}"
    yield page.facts(
        [
            (f"{sum(v.fitted for v in report.views)}", "sweeps fitted"),
            (f"{sum(not v.fitted for v in report.views)}", "sweeps predicted"),
            (f"{len(fit.space)}", "free parameters"),
            (number(fit.error), f"final error{unit} ({last.name})"),
            (f"{report.seconds:.0f} s", "for everything"),
        ]
    )
    if found := cautions(report):
        yield page.bullets([page.text(x) for x in found], "Before you use these numbers")


def _sweeps(report: FitReport) -> Iterator[str]:
    yield page.heading(2, "The model beside the recording")
    yield page.paragraph(
        "Every trace of the model is a free run: it gets the stimulus and nothing of the response. "
        '<span class="fitted">Fitted</span> sweeps were used to find the parameters, '
        '<span class="predicted">predicted</span> ones were not.'
    )
    yield _sweep_table(report)
    if report.spiking:
        label = "Spike times and firing rates of data and model"
        yield page.figure(plot_sweep.firing(report.views), "firing", label)
    order = sorted(range(len(report.views)), key=lambda k: not report.views[k].fitted)
    for k in sorted(order[:MOST_FIGURES]):
        view = report.views[k]
        badge = f'<span class="badge {view.role}">{view.role}</span>'
        yield page.heading(3, f"{page.text(view.label)} {badge}")
        yield page.paragraph(page.text(_told(report.agreements[k])), "note")
        label = f"Model over data, {view.label}, {view.role}"
        yield page.figure(plot_sweep.sweep(view), f"sweep{k}", label)
    if len(report.views) > MOST_FIGURES:
        rest = len(report.views) - MOST_FIGURES
        yield page.paragraph(f"{rest} more sweeps are in the table above but not drawn.", "note")


def _told(a: Agreement) -> str:
    sentence = a.sentence()
    return f"{sentence[0].upper()}{sentence[1:]}."


def _sweep_table(report: FitReport) -> str:
    clamp = report.views[0].data.clamp
    step, unit = ("step (pA)", "mV") if clamp == "current" else ("step (mV)", "pA")
    errors = ["spike time (ms)", "latency (ms)", "peak (mV)", "trough (mV)", "width (ms)"]
    spikes = ["spikes", "model", *errors]
    head = ["sweep", "", step, *(spikes if report.spiking else ["explained"]), f"RMSE ({unit})"]
    rows = []
    for view, a in zip(report.views, report.agreements, strict=True):
        row: list[page.Cell] = [
            view.label,
            (f'<span class="badge {view.role}">{view.role}</span>', ""),
            f"{view.data.step_window()[2]:.0f}",
        ]
        if report.spiking:
            row += [f"{a.spikes_data}", f"{a.spikes_model}"]
            alike = a.spikes_model == a.spikes_data
            row.append(_fixed(a.spike_time_error_ms if alike else np.nan, ".1f"))
            row += [_fixed(a.latency_error_ms, "+.1f"), _fixed(a.peak_error_mV, "+.1f")]
            row += [_fixed(a.trough_error_mV, "+.1f"), _fixed(a.width_error_ms, "+.2f")]
        else:
            row.append(f"{100 * explained(view):.1f} %")
        rows.append([*row, number(a.rmse, 3)])
    note = (
        "Spikes of the data, then of the model. The columns from spike time to width are errors: "
        "the mean distance in time of the spikes where their numbers agree, then model minus data."
    )
    if clamp == "voltage":
        note = "Explained variance leaves capacitive transients out; the RMSE counts every sample."
    table = page.table(head, rows, "Agreement on every sweep")
    return table + (page.paragraph(note, "note") if report.spiking or clamp == "voltage" else "")


def _fixed(value: float, form: str) -> page.Cell:
    told = format(value, form) if np.isfinite(value) else "-"
    is_zero = told != "-" and not told.strip("+-0.")
    return (told.lstrip("+-") if is_zero else told, "number")


def _parameters(report: FitReport) -> Iterator[str]:
    fit, truth = report.fit, report.truth
    yield page.heading(2, "Parameters")
    errors = ["standard error"] if fit.standard_errors else ["range"] if fit.ranges else []
    head = ["parameter", "value", *errors, "unit", "lower", "upper"]
    head += ["truth", "off by"] if truth else []
    rows = [[*_parameter(report, f)] for f in fit.space.free]
    yield page.table([*head, ""], rows, "Fitted parameters")
    if not (fit.ranges or fit.standard_errors):
        note = "No intervals: the fit was interrupted before it could look beside its best point."
        yield page.paragraph(note, "note")
    elif fit.ranges:
        note = (
            "Range: how far a parameter can move alone, the others held, before the error grows by "
            "one tolerance. A wide range means that the data hardly care about it."
        )
        yield page.paragraph(note, "note")
    free = {name for f in fit.space.free for name in (f.name, *f.also)}
    fixed = [
        (name, f"{number(float(readable(v, i.unit)[0]))} {readable(v, i.unit)[1]}")
        for name, (v, i) in parameters(fit.cell).items()
        if name not in free
    ]
    caption = (
        "Each parameter between the bounds of its search, on its own scale. Dot: best value. "
        + ("Bar: two standard errors. " if fit.standard_errors else "")
        + ("Bar: its range. " if fit.ranges else "")
        + "Ticks: other starts that ended within 5 % of the best error."
        + (" Diamond: the truth." if truth else "")
    )
    drawn = plot.intervals(fit, dict(truth))
    yield page.figure(drawn, "intervals", "Parameters within bounds", caption)
    yield page.details(f"{len(fixed)} parameters were held fixed", page.definitions(fixed))


def _parameter(report: FitReport, f: Free) -> Iterator[page.Cell]:
    fit = report.fit
    (value, unit) = readable(fit.values[f.name], f.unit)
    scale = value / fit.values[f.name] if fit.values[f.name] else 1.0
    error = fit.standard_errors.get(f.name, np.nan) * scale
    also = f'<br><span class="note">also {page.text(", ".join(f.also))}</span>' if f.also else ""
    yield f"<code>{page.text(f.name)}</code>{also}", ""
    yield number(value)
    if fit.standard_errors:
        yield f"± {number(error, 2)}" if np.isfinite(error) else "-", "number"
    elif fit.ranges:
        low, high = fit.ranges[f.name]
        yield f"{number(low * scale, 3)} to {number(high * scale, 3)}", "number"
    yield unit
    yield f"{f.low * scale:g}"
    yield f"{f.high * scale:g}"
    if report.truth:
        true = report.truth.get(f.name, np.nan) * scale
        yield number(true)
        yield f"{100 * (value - true) / abs(true):+.1f} %" if true else "-"
    bound = at_bound(f, fit.values[f.name])
    yield f'<span class="flag">at its {bound} bound</span>' if bound else "", ""


def _stages(report: FitReport) -> Iterator[str]:
    yield page.heading(2, "How the fit went")
    rows = []
    for k, stage in enumerate(report.fit.stages, start=1):
        rows.append(
            [
                f"{k}",
                (page.text(stage.name), "wrap"),
                f"{stage.seconds:.1f}",
                f"{stage.evaluations:,}",
                f"{len(stage.history)}",
                f"{len(stage.errors)}",
                f"{stage.dropped}",
                number(float(stage.history[-1])) if len(stage.history) else "-",
                "" if stage.unit == "1" else stage.unit,
            ]
        )
    head = ["", "stage", "seconds", "simulated sweeps", "iterations", "starts kept", "dropped"]
    yield page.table([*head, "best error", "unit"], rows, "Stages of the fit")
    if any(stage.dropped for stage in report.fit.stages):
        yield page.paragraph("Dropped starts left the finite numbers on the way.", "note")
    if any(stage.unit == "tolerances" for stage in report.fit.stages):
        note = "A search adds up how far features of the sweeps are off, each in its own tolerance."
        yield page.paragraph(note, "note")
    drawn = plot.convergence(report.fit.stages)
    yield page.figure(drawn, "convergence", "Best error by iteration, final errors of all starts")


def _making(report: FitReport) -> Iterator[str]:
    yield page.heading(2, "How this was made")
    devices = jax.devices()
    hardware = f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})"
    items = [("command", report.command)] if report.command else []
    items += [(k, str(v)) for k, v in report.settings.items()]
    items += [("hardware", f"{hardware}, {os.cpu_count()} cores")]
    items += list(running_versions().items())
    yield page.definitions(items)
    yield page.heading(3, "Recording")
    origins = {v.data.origin: [] for v in report.views}
    for view in report.views:
        origins[view.data.origin].append(str(view.data.sweep))
    rows = [
        [
            (page.text(", ".join(sweeps)), ""),
            (f"<code>{page.text(Path(o.path).name or 'made in memory')}</code>", ""),
            o.format,
            (f"<code>{page.text(o.sha256)}</code>", "wrap"),
            (page.text(o.note), "wrap"),
        ]
        for o, sweeps in origins.items()
    ]
    yield page.table(
        ["sweep", "file", "format", "sha256", "note"], rows, "Where the data come from"
    )
