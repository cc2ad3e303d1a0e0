"""`neurojax fit` of several cells: one after the other, and a table of what was found."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from neurojax.cli.deliver import INTERRUPTED, TABLES, Outputs, check_writable
from neurojax.cli.fit import Job, run_job
from neurojax.fit.verdict import grade, judged
from neurojax.io.files import write_whole
from neurojax.plot import spans
from neurojax.report import FitReport

_ALWAYS = ("recording", "model", "verdict", "sweeps_fitted", "sweeps_predicted", "spikes_data",
           "spikes_model", "seconds", "problem")  # fmt: skip
"""The columns that each row has; those of parameters follow, and `problem` is the last."""

Row = dict[str, str | float]


def run_batch(job: Job, summary: Path | None, out: Console, err: Console) -> int:
    """Fit each recording of a job; returns the exit code: 1 where one could not be fitted.

    Raises ValueError or OSError for what could be done for none of them. The table is written
    after each, so that it is there when the rest is stopped.
    """
    if job.resume is not None:
        job.check()  # which says that it goes on with its own recording
    named = outputs_of(job.outputs, job.recordings)
    table = summary or job.outputs.results.with_suffix(".csv")
    check_writable(table, TABLES)
    if table.expanduser().resolve() in {Path(p).expanduser().resolve() for p in job.recordings}:
        raise ValueError(f"{table}: is a recording that is read; name another with --summary")
    jobs = [
        replace(job, recordings=(path,), outputs=outputs)
        for path, outputs in zip(job.recordings, named, strict=True)
    ]
    for one in jobs:
        one.check()
    rows: list[Row] = []
    stopped = False
    for k, one in enumerate(jobs, start=1):
        (path,) = one.recordings
        out.print(f"\n[bold]{k} of {len(jobs)}: {escape(path)}[/]", soft_wrap=True)
        try:
            done = run_job(one, out)
        except (ValueError, OSError) as error:
            rows.append({"recording": path, "model": one.model, "problem": str(error)})
            err.print(f"[yellow]left out:[/] {escape(str(error))}", soft_wrap=True)
        else:
            rows.append(_row(path, done))
            stopped = done.fit.interrupted
        write_whole(table, _csv(rows))
        if stopped:
            break
    out.print()
    out.print(_shown(rows))
    out.print(f"table    {escape(str(table))}", soft_wrap=True)
    if stopped:
        return INTERRUPTED
    failed = sum("problem" in row for row in rows)
    if failed:
        told = f"{failed} of {len(rows)} recordings could not be fitted; the table says why"
        err.print(told, style="yellow", soft_wrap=True)
    return 1 if failed else 0


def outputs_of(outputs: Outputs, recordings: Sequence[str]) -> list[Outputs]:
    """Where each recording's results go: `fit.h5` of cell7.abf is `fit-cell7.h5`.

    Of two of one name each has its number too.
    """
    stems = [Path(path).stem for path in recordings]
    for k, stem in enumerate(stems):
        if stems.count(stem) > 1 or stem in stems[:k]:
            stems[k] = f"{stem}-{k + 1}"

    def own(path: Path, stem: str) -> Path:
        return path.with_name(f"{path.stem}-{stem}{path.suffix}")

    return [
        Outputs(
            own(outputs.results, stem),
            own(outputs.report, stem),
            None if outputs.model is None else own(outputs.model, stem),
        )
        for stem in stems
    ]


def _row(path: str, done: FitReport) -> Row:
    told = [a for _, a in judged(done.runs)]
    fires = done.clamp == "current"
    fitted = sum(view.fitted for view in done.views)
    row: Row = {
        "recording": path,
        "model": str(done.settings.get("model", "")),
        "verdict": grade(done.runs),
        "sweeps_fitted": fitted,
        "sweeps_predicted": len(done.views) - fitted,
        "spikes_data": sum(a.spikes_data for a in told) if fires else math.nan,
        "spikes_model": sum(a.spikes_model for a in told) if fires else math.nan,
        "seconds": done.seconds,
    }
    return row | dict(_values(done))


def _values(done: FitReport) -> Iterator[tuple[str, float]]:
    """Each parameter, and its 95 % interval where it is known."""
    kind, known = spans(done.fit)
    for f in done.fit.space.free:
        unit = "" if f.unit == "1" else f" ({f.unit})"
        yield f"{f.name}{unit}", done.fit.values[f.name]
        if kind == "interval" and f.name in known:
            yield f"{f.name}_low{unit}", known[f.name].low
            yield f"{f.name}_high{unit}", known[f.name].high


def _csv(rows: Sequence[Row]) -> str:
    """The rows as CSV: what one has not is an empty cell."""
    *first, last = _ALWAYS
    others = dict.fromkeys(key for row in rows for key in row if key not in _ALWAYS)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = [*first, *others, last]
    writer.writerow(head)
    writer.writerows([_text(row.get(key, "")) for key in head] for row in rows)
    return text.getvalue()


def _text(x: str | float) -> str:
    if isinstance(x, str):
        return x
    return f"{x:.6g}" if math.isfinite(x) else ""


def _shown(rows: Sequence[Row]) -> Table:
    """The table for a terminal: what is wrong in a line, or how good the fit is."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("recording", "model", "verdict", "spikes, data", "spikes, model"):
        table.add_column(head, justify="right" if "spikes" in head else "left", overflow="fold")
    for row in rows:
        verdict = "not fitted" if "problem" in row else str(row["verdict"])
        spikes = (_text(row.get(key, "")) for key in ("spikes_data", "spikes_model"))
        name = Path(str(row["recording"])).name
        table.add_row(escape(name), escape(str(row["model"])), verdict, *spikes)
    return table
