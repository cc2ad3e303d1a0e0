"""What a fit hands over: its outputs, what is printed of it, results and report as files."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from neurojax import report
from neurojax.fit import free_run
from neurojax.fit.uncertainty.certificate import FreeRun
from neurojax.fit.verdict import advice, verdict
from neurojax.io import save
from neurojax.io.files import write_whole
from neurojax.loss import counted
from neurojax.membrane.compartment import Cell
from neurojax.model import Model
from neurojax.model.document import RESULTS
from neurojax.plot import SweepView, between, number, readable, spans
from neurojax.recording.trace import RecordingError, Trace
from neurojax.report import FitReport, as_results, at_bound, figures_folder

INTERRUPTED = 130
"""The exit code after Ctrl-C."""

PAGES, TABLES = (".html", ".htm"), (".csv",)


@dataclass(frozen=True)
class Outputs:
    """Where results go."""

    results: Path  # HDF5
    report: Path  # HTML, with a folder of its figures beside it
    model: Path | None  # TOML

    def check(self) -> None:
        """Raise OSError now rather than after the fit when one of them cannot be written."""
        for path, suffixes in (
            (self.results, RESULTS),
            (self.report, PAGES),
            (self.model, (".toml",)),
        ):
            if path is not None:
                check_writable(path, suffixes)
        figures = figures_folder(self.report)
        if figures.exists() and not figures.is_dir():
            raise OSError(f"{figures}: is a file; the report's figures need a folder of this name")


def check_writable(path: Path, suffixes: Sequence[str]) -> None:
    """Raise OSError naming the path when no file can be written there.

    Raises ValueError for a name that does not end in what is written.
    """
    path = path.expanduser()
    if not path.is_dir() and path.suffix.lower() not in suffixes:
        raise ValueError(f"{path}: expected a name that ends in {' or '.join(suffixes)}")
    folder = path.parent
    if path.is_dir():
        raise OSError(f"{path}: is a folder; name a file in it")
    if not folder.is_dir():
        raise OSError(f"{path}: its folder {folder} does not exist")
    if not os.access(folder, os.W_OK):
        raise OSError(f"{path}: no permission to write into {folder}")


def deliver(done: FitReport, model: Model, outputs: Outputs, out: Console) -> None:
    """Print what was found and write it."""
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
    wrote = f"{time.monotonic() - began:.1f} s results and report"
    own = f"{done.seconds:.0f} s fit, of it {done.compiling:.0f} s compiling"
    out.print(f"time     {own}; {wrote}", soft_wrap=True)
    if done.fit.interrupted:
        onward = f"neurojax fit --resume {outputs.results} goes on"
        told = f"interrupted: these are the best values so far; {onward}"
        out.print(told, style="yellow", soft_wrap=True)


def step_of(trace: Trace) -> float:
    """The time step (ms) of a free run: fine for spikes, the sampling interval under a clamp."""
    return 0.025 if trace.clamp == "current" else trace.dt_ms


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
