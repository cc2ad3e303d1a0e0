"""A fit as a results file: all that its report shows, as numbers with their units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from neurojax.fit import Agreement, Certificate, Space
from neurojax.io import ParameterRecord, Results
from neurojax.membrane.compartment import Cell, parameters
from neurojax.model import Model
from neurojax.plot.firing import firing_rates
from neurojax.plot.phase import phase_course
from neurojax.plot.sweep import measured, step_of
from neurojax.recording.trace import Trace
from neurojax.report import words
from neurojax.report.content import FitReport
from neurojax.report.course import gains

Entry = tuple[str, Any, str]
"""Name of an array, groups apart by a slash; its values; their unit."""

_UNITS = {
    "spike_time_error_ms": "ms",
    "mean_interval_ms": "ms",
    "latency_error_ms": "ms",
    "peak_error_mV": "mV",
    "trough_error_mV": "mV",
    "width_error_ms": "ms",
    "subthreshold_rmse_mV": "mV",
    "quiet_rmse_mV": "mV",
}


def as_results(report: FitReport, model: Model) -> Results:
    """Parameters, data and free runs, firing, phase planes, the certificate, every stage.

    Arrays of one value a sweep, and lists in `settings`, go in the order of `settings["sweeps"]`.
    """
    fit = report.fit
    traces = {}
    for view in report.views:
        traces[f"{_key(view.data)} data"] = view.data
        traces[f"{_key(view.data)} model"] = view.model
    entries = [*_sweeps(report), *_stages(report), *_starts(report)]
    if fit.certificate is not None:
        entries += _certificate(fit.certificate)
    settings = {
        **report.settings,
        "sweeps": [label(v.data) for v in report.views],
        "fitted": [label(v.data) for v in report.views if v.fitted],
        "held out": [label(v.data) for v in report.views if not v.fitted],
        "steps": [step_of(v.data) for v in report.views],
        "stages": [s.name for s in fit.stages],
        "stage units": [s.unit for s in fit.stages],
        "agreement": {
            label(v.data): a.sentence()
            for v, a in zip(report.views, report.agreements, strict=True)
        },
        "verdict": words.verdict(report),
        "cautions": words.cautions(report),
        "left open": words.left_open(report),
        "truth": dict(report.truth),
        "interrupted": fit.interrupted,
        "error": fit.error,
        "error unit": fit.unit,
        "seconds": report.seconds,
    }
    return Results(
        parameters=parameter_records(fit.cell, fit.space, fit.standard_errors),
        traces=traces,
        arrays={name: np.asarray(values) for name, values, _ in entries},
        units={name: unit for name, _, unit in entries},
        settings=settings,
        provenance={"command": report.command, "model": model.source},
    )


def parameter_records(
    cell: Cell, space: Space | None = None, errors: dict[str, float] | None = None
) -> dict[str, ParameterRecord]:
    """Every parameter of a cell for the results file, the free ones with their search bounds."""
    free = {f.name: f for f in space.free} if space else {}
    records = {}
    for name, (value, p) in parameters(cell).items():
        f = free.get(name, p)
        error = (errors or {}).get(name)
        records[name] = ParameterRecord(
            values=np.asarray(value, dtype=np.float64),
            unit=p.unit,
            low=f.low,
            high=f.high,
            scale=f.scale,
            free=name in free,
            standard_error=None if error is None else np.asarray(error),
        )
    return records


def label(trace: Trace) -> str:
    """How a sweep is called on the command line and in results."""
    return f"{trace.name}:{trace.sweep}" if trace.name else f"{trace.sweep}"


def _key(trace: Trace) -> str:
    return label(trace).replace("/", "_")


def _sweeps(report: FitReport) -> Iterator[Entry]:
    views, is_current = report.views, report.clamp == "current"
    height = [v.data.step_window()[2] for v in views]
    yield "sweeps/fitted", [v.fitted for v in views], "1"
    yield "sweeps/step", height, "pA" if is_current else "mV"
    for name in Agreement._fields[1:]:
        values = [getattr(a, name) for a in report.agreements]
        own = "mV" if is_current else "pA"
        yield f"agreement/{name}", values, own if name == "rmse" else _UNITS.get(name, "1")
    for view in views:
        difference = measured(view.model) - measured(view.data)
        yield f"residual/{_key(view.data)}", difference, "mV" if is_current else "pA"
    if report.spiking:
        data, model = firing_rates(views)
        yield "f-I/step", height, "pA"
        yield "f-I/rate of data", data, "Hz"
        yield "f-I/rate of model", model, "Hz"
        for view, a in zip(views, report.agreements, strict=True):
            for kind, trace, spikes in (
                ("data", view.data, a.spikes_data),
                ("model", view.model, a.spikes_model),
            ):
                if spikes:
                    t, v, slope = (x.astype(np.float32) for x in phase_course(trace))
                    under = f"phase plane/{_key(view.data)} {kind}"
                    yield f"{under}/t", t, "ms"
                    yield f"{under}/v", v, "mV"
                    yield f"{under}/dv_dt", slope, "mV/ms"


def _stages(report: FitReport) -> Iterator[Entry]:
    done = report.fit.stages
    before, after = np.array(gains(done)).reshape(-1, 2).T
    yield "stages/error before", before, ""
    yield "stages/error after", after, ""
    yield "stages/seconds", [s.seconds for s in done], "s"
    yield "stages/simulated sweeps", [s.evaluations for s in done], "1"
    yield "stages/lost starts", [s.dropped for s in done], "1"
    yield "stages/steps rejected", [np.nan if s.rejected is None else s.rejected for s in done], "1"
    yield "stages/steps clipped", [np.nan if s.clipped is None else s.clipped for s in done], "1"
    for k, stage in enumerate(done, start=1):
        under = f"stages/{k} {stage.name.replace('/', '_')}"
        yield f"{under}/history", stage.history, stage.unit
        yield f"{under}/errors", stage.errors, stage.unit
        yield f"{under}/history of starts", stage.start_history, stage.unit
    for name, part in report.fit.contributions.items():
        yield f"contributions/{name}", part, report.fit.unit


def _starts(report: FitReport) -> Iterator[Entry]:
    for f in report.fit.space.free:
        if f.name in report.fit.starts:
            yield f"starts/{f.name}", report.fit.starts[f.name], f.unit
        if f.name in report.fit.ranges:
            yield f"ranges/{f.name}", report.fit.ranges[f.name], f.unit


def _certificate(c: Certificate) -> Iterator[Entry]:
    """Matrices in the order of the free parameters; ends of intervals, and whether open."""
    free = {f.name: f for f in c.space.free}
    for name, i in c.intervals.items():
        yield f"certificate/intervals/{name}", (i.low, i.high), free[name].unit
        yield f"certificate/open ends/{name}", (i.open_low, i.open_high), "1"
    for name, error in c.standard_errors.items():
        yield f"certificate/standard errors/{name}", error, free[name].unit
    for name, matrix, unit in (
        ("fisher", c.fisher, "1"),
        ("covariance", c.covariance, "products of the parameters' units"),
        ("correlation", c.correlation, "1"),
    ):
        if matrix is not None:
            yield f"certificate/{name}", matrix, unit
    if c.directions:
        yield "certificate/directions", [d.weights for d in c.directions], "1"
        yield "certificate/half widths", [d.half_width for d in c.directions], "1"
    for name, profile in c.profiles.items():
        yield f"certificate/profiles/{name}/values", profile.values, free[name].unit
        yield f"certificate/profiles/{name}/chi-squared", profile.rise, "1"
    if c.posterior is not None:
        for name, samples in c.posterior.samples.items():
            yield f"certificate/posterior/{name}", samples, free[name].unit
    for name, level in (("noise", c.noise), ("misfit", c.misfit)):
        if level is not None:
            yield f"certificate/{name}/sd", level.sd, level.unit
            yield f"certificate/{name}/correlation", level.correlation_ms, "ms"
    if c.ensemble is not None:
        for name, ends in c.ensemble.spread.items():
            yield f"certificate/ensemble/{name}", ends, free[name].unit
        groups = [k for k, group in enumerate(c.ensemble.groups) for _ in group]
        places = np.concatenate(c.ensemble.groups) if groups else np.empty(0, dtype=int)
        order = np.argsort(places, kind="stable")
        yield "certificate/ensemble/group of start", np.array(groups, dtype=int)[order], "1"
