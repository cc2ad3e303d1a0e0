"""`neurojax fit`: read, choose sweeps, fit with a progress bar, say how good it is, write all."""

from __future__ import annotations

import os
import shlex
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from neurojax import fit as fitting
from neurojax import report
from neurojax.cli.progress import FitProgress
from neurojax.fit import (
    STAGES,
    Draw,
    Fit,
    Stage,
    agreement,
    free_run,
)
from neurojax.fit.saving import label
from neurojax.fit.uncertainty.certificate import FreeRun
from neurojax.fit.verdict import advice, verdict
from neurojax.io import read, save
from neurojax.io.files import write_whole
from neurojax.loss import counted
from neurojax.membrane.compartment import Cell
from neurojax.model import Model, ModelError, load_model
from neurojax.plot import (
    SweepView,
    between,
    number,
    readable,
    spans,
)
from neurojax.recording.trace import RecordingError, Trace
from neurojax.report import (
    FitReport,
    as_results,
    at_bound,
    figures_folder,
)
from neurojax.units import nearest

INTERRUPTED = 130

AUTO = ("cortex", "fast_spiking", "bursting")
"""The packaged models among which `auto` chooses."""

_CHOOSING = 0.5  # of the time, in which the models are compared


@dataclass(frozen=True)
class Outputs:
    """Where results go."""

    results: Path  # HDF5
    report: Path  # HTML, with a folder of its figures beside it
    model: Path | None  # TOML

    def check(self) -> None:
        """Raise OSError now rather than after the fit when one of them cannot be written."""
        for path in (self.results, self.report, self.model):
            if path is not None:
                check_writable(path)
        figures = figures_folder(self.report)
        if figures.exists() and not figures.is_dir():
            raise OSError(f"{figures}: is a file; the report's figures need a folder of this name")


@dataclass(frozen=True)
class Job:
    """A fit as the user asked for it."""

    recording: str
    model: str
    outputs: Outputs
    sweeps: str = ""
    held_out: str = ""
    clamp: str = ""
    seconds: float = 120.0
    method: str = ""
    starts: int | None = None
    seed: int = 0
    precision: str = "single"
    stimulus: str = "auto"
    pipette: str = "auto"
    resume: Path | None = None  # results of a fit that goes on


def run_job(job: Job, out: Console, err: Console) -> int:
    """Do it; returns the exit code. Raises ValueError or OSError for what a user can put right."""
    if job.clamp not in ("", "current", "voltage"):
        raise ValueError(f"--clamp is {job.clamp!r}; expected 'current' or 'voltage'")
    if job.seconds <= 0 or (job.starts is not None and job.starts < 1):
        raise ValueError("--seconds and --starts must be positive")
    if job.precision not in ("single", "exact"):
        raise ValueError(f"--precision is {job.precision!r}; expected 'single' or 'exact'")
    stages = chosen_stages(job.method, job.starts)
    job.outputs.check()
    if job.resume is not None:
        return _go_on(job, job.resume, stages, out)
    traces = read_told(job.recording, job.clamp, err)
    how = {"stimulus": job.stimulus, "pipette": job.pipette}
    names = AUTO if job.model == "auto" else (job.model,)
    models = {name: load_model(name) for name in names}
    models, traces, notes = prepared(models, traces, out, **how)
    fitted, held_out = divide(traces, job.sweeps, job.held_out)
    settings = {
        "recording": job.recording,
        "model": job.model,
        "seconds allowed": job.seconds,
        "method": job.method or "chosen for the recording",
        "starts": job.starts or "chosen for the method",
        "seed": job.seed,
        "precision": job.precision,
        "prepared": "; ".join(notes) or "nothing had to be",
    }
    model, begun = models[names[0]], None
    if len(models) > 1:
        name, begun, settings["chosen"] = _compared(models, fitted, held_out, job, out)
        model = models[name]
        settings["model"] = name
    kept = [t for t in traces if any(t is u for u in (*fitted, *held_out))]
    done = fit_and_certify(
        model,
        kept,
        fitted,
        out,
        title=f"{Path(job.recording).name} fitted with the model {model.name}",
        settings=settings,
        stages=stages,
        begun=begun,
        checkpoint=job.outputs.results,
    )
    return deliver(done, model, job.outputs, out)


def _compared(
    models: Mapping[str, Model],
    fitted: Sequence[Trace],
    held_out: Sequence[Trace],
    job: Job,
    out: Console,
) -> tuple[str, Fit, str]:
    """The name of the model that predicts best, its fit so far, and why it was chosen, told."""
    out.print(f"comparing the models {', '.join(models)} for {_CHOOSING * job.seconds:.0f} s")
    ready = {name: (m.cell, m.space) for name, m in models.items() if m.space is not None}
    with FitProgress(out) as progress:
        found = fitting.compare(
            ready,
            fitted,
            held_out,
            seconds=_CHOOSING * job.seconds,
            seed=job.seed,
            progress=progress,
        )
    out.print(f"[yellow]chosen:[/] {escape(found.sentence())}", soft_wrap=True)
    return found.best.name, found.fits[found.best.name], found.sentence()


def _go_on(job: Job, path: Path, stages: Sequence[Stage] | None, out: Console) -> int:
    """Go on with a fit from its file, which has sweeps, model and starts; returns the exit code."""
    if job.recording or job.model or job.sweeps or job.held_out or job.clamp:
        raise ValueError(f"--resume: recording, model and sweeps are in {path}; give no other")
    begun, model = Fit.load(path), load_model(path)
    if begun.task is None:
        raise ValueError(f"{path}: does not say to which sweeps it was fitted: it cannot go on")
    settings = {"resumed": str(path), "model": model.name, "seconds allowed": job.seconds}
    done = fit_and_certify(
        model,
        [*begun.task.traces, *begun.task.held_out],
        begun.task.traces,
        out,
        title=f"{model.name}, fitted further",
        settings=settings,
        stages=stages,
        begun=begun,
        checkpoint=job.outputs.results,
    )
    return deliver(done, model, job.outputs, out)


def fit_and_certify(
    model: Model,
    traces: Sequence[Trace],
    fitted: Sequence[Trace],
    out: Console,
    *,
    title: str,
    settings: dict[str, Any],
    stages: Sequence[Stage] | None = None,
    truth: Mapping[str, float] | None = None,
    begun: Fit | None = None,
    checkpoint: Path | None = None,
) -> FitReport:
    """Fit some of the sweeps, then run the fitted cell freely on every one of them.

    A fit that was `begun` goes on. A `checkpoint` is the file with the best so far.
    """
    assert model.space is not None
    began = time.monotonic()
    names = ", ".join(label(t) for t in fitted)
    out.print(f"fitting {len(model.space)} parameters of [bold]{model.name}[/] to {escape(names)}")
    with FitProgress(out) as progress:
        seconds = settings["seconds allowed"] * (1 - _CHOOSING if "chosen" in settings else 1)
        how: dict[str, Any] = {"seconds": seconds, "progress": progress, "checkpoint": checkpoint}
        if begun is not None:
            found = fitting.resume(begun, stages, **how)
        else:
            found = fitting.fit(
                model.cell,
                list(fitted),
                model.space,
                stages,
                held_out=[t for t in traces if not any(t is f for f in fitted)],
                seed=settings["seed"],
                precision=settings.get("precision", "single"),
                **how,
            )
    known = [] if found.certificate is None else found.certificate.free_runs
    views = certified(found.cell, traces, fitted, out, known)
    return FitReport(
        title=title,
        fit=found,
        views=views,
        agreements=[agreement(v.data, v.model, v.keep) for v in views],
        truth=truth or {},
        command=shlex.join(["neurojax", *sys.argv[1:]]),
        settings=settings,
        seconds=time.monotonic() - began,
    )


def chosen_stages(method: str, starts: int | None) -> list[Stage] | None:
    """The stages that `search,polish` names; None for those that suit the recording.

    `starts` is how many points the first stage begins with. Raises ValueError for an unknown name.
    """
    if not method:
        if starts is not None:
            raise ValueError("--starts needs a --method, whose first stage begins with so many")
        return None
    stages: list[Stage] = []
    for name in (word.strip() for word in method.split(",")):
        if name not in STAGES:
            near = nearest(name, STAGES)
            raise ValueError(f"--method: no stage {name!r}{near} (have: {', '.join(STAGES)})")
        stages.append(STAGES[name]())
    if starts is not None:
        first = stages[0]
        field = "population" if hasattr(first, "population") else "starts"
        if hasattr(first, "draws"):
            stages[0] = replace(first, **{field: starts})  # pyright: ignore[reportArgumentType]
        else:
            stages.insert(0, Draw(starts))
    return stages


def step_of(trace: Trace) -> float:
    """The time step (ms) of a free run: fine for spikes, the sampling interval under a clamp."""
    return 0.025 if trace.clamp == "current" else trace.dt_ms


def deliver(done: FitReport, model: Model, outputs: Outputs, out: Console) -> int:
    """Print what was found and write it; returns the exit code."""
    out.print(_parameter_table(done))
    told = None
    for view, a in zip(done.views, done.agreements, strict=True):
        if view.data.name != told and (told := view.data.name):
            out.print(f"[bold]{escape(told)}[/]")
        mark = "[red]fitted[/]   " if view.fitted else "[blue]predicted[/]"
        out.print(f"{mark} sweep {view.data.sweep}: {escape(a.sentence())}", soft_wrap=True)
    out.print(f"\n[bold]{escape(verdict(done.runs))}[/]\n", soft_wrap=True)
    for sentence in advice(done.runs, done.fit.stages):
        out.print(f"- {escape(sentence)}", soft_wrap=True)
    began, results = time.monotonic(), as_results(done, model)
    out.print(f"results  {save(outputs.results, results)}", soft_wrap=True)
    if outputs.model is not None:
        out.print(f"model    {write_whole(outputs.model, results.model)}", soft_wrap=True)
    beside = {"results": outputs.results, "model": outputs.model}
    files = {k: os.path.relpath(p, outputs.report.parent) for k, p in beside.items() if p}
    written = report.write(outputs.report, replace(done, files=files))
    out.print(f"report   {written}", soft_wrap=True)
    out.print(f"figures  {figures_folder(outputs.report)}", soft_wrap=True)
    own, compiling = (sum(getattr(s, k) for s in done.fit.stages) for k in ("seconds", "compiling"))
    wrote = f"{time.monotonic() - began:.1f} s results and report"
    out.print(
        f"time     {own:.0f} s fit, of it {compiling:.0f} s compiling; {wrote}", soft_wrap=True
    )
    if done.fit.interrupted:
        onward = f"neurojax fit --resume {outputs.results} goes on"
        told = f"interrupted: these are the best values so far; {onward}"
        out.print(told, style="yellow", soft_wrap=True)
        return INTERRUPTED
    return 0


# -- reading ---------------------------------------------------------------------------------------
def prepared(
    models: Mapping[str, Model], traces: Sequence[Trace], out: Console, **how: Any
) -> tuple[dict[str, Model], list[Trace], tuple[str, ...]]:
    """Models and recording as `fit.prepare_recording` makes them ready, and what it did, told."""
    done: dict[str, Model] = {}
    ready: fitting.Prepared | None = None
    for name, model in models.items():
        if model.space is None:
            raise ModelError(f"model {model.name!r} has nothing free: give it a [free] table")
        ready = fitting.prepare_recording(model.cell, model.space, traces, **how)
        done[name] = replace(model, cell=ready.cell, space=ready.space)
    assert ready is not None
    for note in ready.notes:
        out.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    return done, ready.traces, ready.notes


def read_told(path: str, clamp: str, err: Console) -> list[Trace]:
    """The sweeps of a recording, what looks wrong in it told in a line each."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        traces = read(path, clamp=clamp or None)  # pyright: ignore[reportArgumentType]
    for text in dict.fromkeys(str(w.message) for w in caught):
        err.print(f"[yellow]warning:[/] {escape(text)}", soft_wrap=True)
    return traces


def choose(traces: Sequence[Trace], asked: str, what: str) -> list[Trace]:
    """The sweeps that `3`, `sine_wave`, `IV:2` or a list of such name. Raises ValueError."""
    chosen: list[Trace] = []
    for word in (w.strip() for w in asked.split(",")):
        found = [t for t in traces if word in (str(t.sweep), t.name, label(t))]
        if not word or not found:
            have = list(dict.fromkeys(label(t) for t in traces))
            listed = ", ".join(have[:20]) + (f" and {len(have) - 20} more" if have[20:] else "")
            raise ValueError(f"{what}: no sweep {word!r}{nearest(word, have)} (have: {listed})")
        chosen += [t for t in found if not any(t is c for c in chosen)]
    return chosen


def divide(traces: Sequence[Trace], sweeps: str, held_out: str) -> tuple[list[Trace], list[Trace]]:
    """Sweeps to fit and to predict, as asked, else `fit.default_sweeps`. Raises ValueError."""
    unseen = choose(traces, held_out, "--held-out") if held_out else []
    rest = [t for t in traces if not any(t is u for u in unseen)]
    chosen, others = fitting.default_sweeps(rest)
    fitted = choose(traces, sweeps, "--sweeps") if sweeps else chosen
    both = [label(t) for t in fitted if any(t is u for u in unseen)]
    if both:
        raise ValueError(f"sweep {', '.join(both)} cannot be both fitted and held out")
    if not fitted:
        raise ValueError("no sweep is left to fit: hold out fewer")
    if not held_out:
        left = rest if sweeps else others
        unseen = [t for t in left if not any(t is f for f in fitted)]
    kinds = {t.clamp for t in fitted}
    if len(kinds) > 1:
        raise ValueError(
            "the recording holds current and voltage clamp: choose with --clamp or --sweeps"
        )
    return fitted, [t for t in unseen if t.clamp in kinds]


def check_writable(path: Path) -> None:
    """Raise OSError naming the path when no file can be written there."""
    path = path.expanduser()
    folder = path.parent
    if path.is_dir():
        raise OSError(f"{path}: is a folder; name a file in it")
    if not folder.is_dir():
        raise OSError(f"{path}: its folder {folder} does not exist")
    if not os.access(folder, os.W_OK):
        raise OSError(f"{path}: no permission to write into {folder}")


# -- telling ---------------------------------------------------------------------------------------
def certified(
    cell: Cell,
    traces: Sequence[Trace],
    fitted: Sequence[Trace],
    out: Console,
    known: Sequence[FreeRun] = (),
) -> list[SweepView]:
    """The free run beside every sweep; a sweep that the model cannot run is told and left out.

    Those that are `known` from the fit's certificate are not run again.
    Raises RecordingError when it can run none.
    """
    views, failed = [], []
    done = {id(run.data): run.model for run in known}
    for trace in traces:
        try:
            model = done.get(id(trace)) or free_run(cell, trace, step_of(trace))
        except RecordingError as error:
            failed.append(error)
            out.print(f"[yellow]left out of the report: {escape(str(error))}[/]", soft_wrap=True)
        else:
            seen = any(trace is f for f in fitted)
            views.append(SweepView(trace, model, seen, counted(cell, trace)))
    if not views:
        raise failed[0]
    return views


def _parameter_table(done: FitReport) -> Table:
    fit, truth = done.fit, done.truth
    kind, known = spans(fit)
    table = Table(box=None, pad_edge=False, header_style="bold")
    told = {"interval": ["95 % interval"], "range": ["range"]}.get(kind, [])
    heads = ["parameter", "value", *told, "unit", "low", "high", *(["truth"] if truth else []), ""]
    for head in heads:
        side = "left" if head in ("parameter", "unit", "") else "right"
        table.add_column(head, justify=side, no_wrap=True)
    for f in fit.space.free:
        value, unit = readable(fit.values[f.name], f.unit)
        scale = value / fit.values[f.name] if fit.values[f.name] else 1.0
        row = [f.name, number(value)]
        if kind:
            span = known.get(f.name)
            row.append("-" if span is None else between(span.low * scale, span.high * scale))
        row += [unit, f"{f.low * scale:g}", f"{f.high * scale:g}"]
        row += [number(truth.get(f.name, np.nan) * scale)] if truth else []
        bound = at_bound(f, fit.values[f.name])
        table.add_row(*row, "[yellow]at bound[/]" if bound else "")
    return table
