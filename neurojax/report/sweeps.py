"""The sections that show the model beside the recording: the table, every sweep, the spikes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from neurojax.fit.verdict import explained
from neurojax.plot.look import number
from neurojax.plot.sweep import SweepView, step_of
from neurojax.report import page, properties, words
from neurojax.report.content import FitReport
from neurojax.report.figures import Drawn


def beside(
    report: FitReport, made: Mapping[str, Drawn], own: Mapping[int, tuple[str, Drawn]]
) -> Iterator[str]:
    """Every sweep, recorded and simulated."""
    yield page.paragraph(
        "Every trace of the model is a free run: it gets the stimulus and nothing of the response. "
        '<span class="fitted">Fitted</span> sweeps were used to find the parameters, '
        '<span class="predicted">predicted</span> ones were not.'
    )
    yield _table(report)
    yield from properties.section(report)
    if "overview" in made:
        yield page.drawing("overview", made["overview"])
    unfolded = {report.typical(fitted=True), report.typical(fitted=False)}
    for k, (name, one) in own.items():
        view = report.views[k]
        title = page.heading(3, f"{page.text(report.label(view))}, {step_of(view)} {_badge(view)}")
        told = f'<span class="rest">{page.text(words.told(report.agreements[k]))}</span>'
        yield page.details(f"{title} {told}", page.drawing(name, one), k in unfolded)
    if rest := len(report.views) - len(own):
        yield page.paragraph(f"{rest} more sweeps are in the table above but not drawn.", "note")
    if "contributions" in made:
        yield page.heading(3, "What the remaining error is made of")
        yield page.drawing("contributions", made["contributions"])


def spikes(made: Mapping[str, Drawn]) -> Iterator[str]:
    """When it fires, how often, and the shape of its spikes."""
    yield page.heading(3, "When and how often")
    yield page.drawing("firing", made["firing"])
    if "phase_plane" in made:
        yield page.heading(3, "Shape in the phase plane")
        yield page.drawing("phase_plane", made["phase_plane"])


def _badge(view: SweepView) -> str:
    return f'<span class="badge {view.role}">{view.role}</span>'


def _table(report: FitReport) -> str:
    step, unit = ("step", "mV") if report.clamp == "current" else ("command", "pA")
    held = [held_by_pA(view) for view in report.views]
    is_held = any(abs(pA) >= 0.05 for pA in held)
    errors = ["spike time (ms)", "latency (ms)", "peak (mV)", "trough (mV)", "width (ms)"]
    counts = ["spikes", "model", *errors, "below threshold (mV)"]
    head = ["sweep", "", step, *(["held by (pA)"] if is_held else [])]
    head += [*(counts if report.spiking else ["explained"]), f"RMSE ({unit})"]
    rows: list[list[page.Cell]] = []
    protocols, told = {view.data.name for view in report.views}, None
    both = zip(report.runs, report.views, report.agreements, strict=False)
    for k, (run, view, a) in enumerate(both):
        if len(protocols) > 1 and view.data.name != told:
            rows.append([(page.text(view.data.name or "unnamed"), "group")])
        told = view.data.name
        row: list[page.Cell] = [f"{view.data.sweep}", (_badge(view), ""), (step_of(view), "number")]
        row += [_fixed(held[k], "+.1f")] if is_held else []
        if report.spiking:
            row += [f"{a.spikes_data}", f"{a.spikes_model}"]
            alike = a.spikes_model == a.spikes_data
            row.append(_fixed(a.spike_time_error_ms if alike else np.nan, ".1f"))
            row += [_fixed(a.latency_error_ms, "+.1f"), _fixed(a.peak_error_mV, "+.1f")]
            row += [_fixed(a.trough_error_mV, "+.1f"), _fixed(a.width_error_ms, "+.2f")]
            row.append(_fixed(a.subthreshold_rmse_mV, ".1f"))
        else:
            row.append(f"{100 * explained(run):.1f} %")
        rows.append([*row, number(a.rmse, 3)])
    note = {
        (True, "current"): (
            "Spikes of the data, then of the model. The columns from spike time to width are "
            "errors: the mean distance in time of the spikes where their numbers agree, then model "
            "minus data. Below threshold: RMSE away from spikes."
        ),
        (False, "voltage"): "Capacitive transients are left out.",
    }.get((report.spiking, report.clamp), "")
    if is_held:
        note += (
            " Held by: the constant current, beside what was injected, that holds the model at the "
            "potential at which the sweep began; without it, it would rest elsewhere."
        )
    table = page.table(head, rows, "Agreement on every sweep")
    return table + (page.paragraph(note, "note") if note else "")


def held_by_pA(view: SweepView) -> float:
    """The constant current that the free run of a sweep got on top of the recorded one, pA."""
    if view.data.clamp == "voltage" or view.model.i_pA.size != view.data.i_pA.size:
        return 0.0
    beside = view.model.i_pA - view.data.i_pA
    return float(np.median(beside)) if np.ptp(beside) < 1e-3 else 0.0


def _fixed(value: float, form: str) -> page.Cell:
    told = format(value, form) if np.isfinite(value) else "-"
    is_zero = told != "-" and not told.strip("+-0.")
    return (told.lstrip("+-") if is_zero else told, "number")
