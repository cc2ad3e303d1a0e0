"""A fit as a results file: all that its report shows, as numbers with their units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from neurojax.fit import Agreement
from neurojax.fit.saving import Entry, arrays_of, keys
from neurojax.fit.verdict import verdict
from neurojax.io import Results
from neurojax.model import Model
from neurojax.plot.firing import firing_rates
from neurojax.plot.phase import phase_course
from neurojax.plot.sweep import measured, step_of
from neurojax.report import words
from neurojax.report.content import FitReport
from neurojax.report.properties import properties
from neurojax.report.sweeps import held_by_pA

_UNITS = {
    "spike_time_error_ms": "ms",
    "mean_interval_ms": "ms",
    "latency_error_ms": "ms",
    "peak_error_mV": "mV",
    "trough_error_mV": "mV",
    "width_error_ms": "ms",
    "subthreshold_rmse_mV": "mV",
    "quiet_rmse_mV": "mV",
    "between_rmse_mV": "mV",
}


def as_results(report: FitReport, model: Model) -> Results:
    """Parameters, data and free runs, firing, phase planes, the certificate, every stage.

    Arrays of one value a sweep, and lists in `settings`, go in the order of `settings["sweeps"]`.
    """
    views, names = report.views, _keys(report)
    name, told = model.name, f"{model.description} Fitted: {report.title}.".strip()
    found = report.fit.as_results(name, told)
    traces = {f"{key} data": v.data for key, v in zip(names, views, strict=True)}
    traces |= {f"{key} model": v.model for key, v in zip(names, views, strict=True)}
    arrays, units = arrays_of([*_sweeps(report, names)])
    settings = {
        **report.settings,
        "fitted": [k for k, v in zip(names, views, strict=True) if v.fitted],
        "held out": [k for k, v in zip(names, views, strict=True) if not v.fitted],
        **found.settings,  # the task's own order of them, if it has one
        "sweeps": names,
        "steps": [step_of(v) for v in views],
        "agreement": {k: a.sentence() for k, a in zip(names, report.agreements, strict=True)},
        "verdict": verdict(report.runs),
        "cautions": words.cautions(report),
        "left open": words.left_open(report),
        "truth": dict(report.truth),
        "seconds": report.seconds,
    }
    return replace(
        found,
        traces=found.traces | traces,
        arrays=found.arrays | arrays,
        units=found.units | units,
        settings=settings,
        provenance={"command": report.command, "model": model.source},
    )


def _keys(report: FitReport) -> list[str]:
    """The names of the sweeps in the file: those that the fit has given them, if it has."""
    data, task = [view.data for view in report.views], report.fit.task
    known = [] if task is None else [*task.traces, *task.held_out]
    own = {id(trace): key for key, trace in zip(keys(known), known, strict=True)}
    return [own.get(id(t), key) for key, t in zip(keys(data), data, strict=True)]


def _sweeps(report: FitReport, names: list[str]) -> Iterator[Entry]:
    views, is_current = report.views, report.clamp == "current"
    height = [v.step.height for v in views]
    yield "sweeps/fitted", [v.fitted for v in views], "1"
    yield "sweeps/step", height, "pA" if is_current else "mV"
    if is_current:
        yield "sweeps/held by", [held_by_pA(v) for v in views], "pA"
    for name in Agreement._fields[1:]:
        values = [getattr(a, name) for a in report.agreements]
        own = "mV" if is_current else "pA"
        yield f"agreement/{name}", values, own if name == "rmse" else _UNITS.get(name, "1")
    for p in properties(report):
        yield f"cell/{p.name} of data", p.data, p.unit
        yield f"cell/{p.name} of model", p.model, p.unit
    for key, view in zip(names, views, strict=True):
        difference = measured(view.model) - measured(view.data)
        yield f"residual/{key}", difference, "mV" if is_current else "pA"
    if report.spiking:
        data, model = firing_rates(views)
        yield "f-I/step", height, "pA"
        yield "f-I/rate of data", data, "Hz"
        yield "f-I/rate of model", model, "Hz"
        for key, view, a in zip(names, views, report.agreements, strict=True):
            for kind, trace, spikes in (
                ("data", view.data, a.spikes_data),
                ("model", view.model, a.spikes_model),
            ):
                if spikes:
                    t, v, slope = (x.astype(np.float32) for x in phase_course(trace))
                    under = f"phase plane/{key} {kind}"
                    yield f"{under}/t", t, "ms"
                    yield f"{under}/v", v, "mV"
                    yield f"{under}/dv_dt", slope, "mV/ms"
