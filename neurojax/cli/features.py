"""`neurojax features`: what is read off recordings, sweep by sweep and cell by cell, as tables."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.markup import escape
from rich.table import Table

from neurojax.cli import console
from neurojax.cli.deliver import TABLES, check_writable
from neurojax.cli.files import recordings
from neurojax.cli.reading import Reading
from neurojax.io.files import write_whole
from neurojax.recording.command import Step
from neurojax.recording.excitability import (
    Curve,
    Excitability,
    excitability,
    fi_curve,
    first_in_step,
)
from neurojax.recording.family import steps_of
from neurojax.recording.features import Features, of_trace
from neurojax.recording.trace import Trace

Row = Sequence[str | float]


@dataclass(frozen=True)
class FeaturesJob:
    """What the user asked to be read off, and how it is to be told."""

    files: Sequence[str]
    reading: Reading
    sweeps: str = ""
    criterion: str = "10 mV/ms"
    pool: bool = False
    as_csv: bool = False  # on the terminal
    table: Path | None = None  # a row for each sweep, CSV
    curve: Path | None = None  # the f-I curve, CSV
    summary: Path | None = None  # a row for each cell, CSV
    picture: Path | None = None

    def check(self) -> None:
        """Raise ValueError or OSError for what could not be done, before anything is read."""
        from neurojax.cli.pictures import check_picture

        self.reading.check()
        self.slope()
        inputs = {Path(f).expanduser().resolve() for f in self.files}
        for path in (self.table, self.curve, self.summary):
            if path is not None:
                check_writable(path, TABLES)
                if path.expanduser().resolve() in inputs:
                    raise ValueError(f"{path}: is a recording that is read; name another file")
        if self.picture is not None:
            check_picture(self.picture)

    def slope(self) -> float:
        """From which slope on a spike begins, mV/ms, which is V/s."""
        plain = re.sub(r"\s*(mV/ms|V/s)\s*$", "", self.criterion)
        try:
            slope = float(plain)
        except ValueError:
            slope = math.nan
        if not 0 < slope < math.inf:
            raise ValueError(
                f"--criterion is {self.criterion!r}; expected a slope above 0, as '20 mV/ms'"
            )
        return slope


class Told(NamedTuple):
    """A cell that was read: its sweeps, their main steps and features."""

    name: str
    files: list[str]  # of each sweep
    traces: list[Trace]
    steps: list[Step]
    found: list[Features]

    @property
    def curve(self) -> Curve:
        return fi_curve(self.steps, self.found)

    @property
    def summary(self) -> Excitability:
        return excitability(self.steps, self.found)


def run_features(job: FeaturesJob) -> int:
    """Do it; returns the exit code: 1 where a file was left out. Raises ValueError or OSError."""
    job.check()
    files = recordings(job.files)
    told, failed = _read_all(job, files)
    if job.pool and len(told) > 1:
        told = [_pooled(told)]
    rows = [row for cell in told for row in _sweep_rows(cell)]
    if job.as_csv:
        console.out.file.write(_csv(SWEEP, rows))
    else:
        _print(told)
    curves = [row for cell in told for row in _curve_rows(cell)]
    for path, head, body in (
        (job.table, SWEEP, rows),
        (job.curve, CURVE, curves),
        (job.summary, CELL, [_cell_row(cell) for cell in told]),
    ):
        if path is not None:
            write_whole(path, _csv(head, body))
            console.err.print(f"written: {escape(str(path))}", soft_wrap=True)
    if job.picture is not None:
        from neurojax.cli.pictures import save_picture
        from neurojax.plot.excitability import excitability_of

        save_picture(excitability_of({c.name: (c.traces, c.curve) for c in told}), job.picture)
        console.err.print(f"drawn: {escape(str(job.picture))}", soft_wrap=True)
    if failed:
        told_of = f"{failed} of {len(files)} recordings could not be read and are left out"
        console.err.print(told_of, style="yellow", soft_wrap=True)
    return 1 if failed else 0


def _read_all(job: FeaturesJob, files: Sequence[str]) -> tuple[list[Told], int]:
    """Every recording that can be read, and how many could not, each told. Raises with none."""
    told, errors = [], []
    for path in files:
        try:
            told.append(_of_file(job, path))
        except (ValueError, OSError) as error:
            if len(files) == 1:
                if job.as_csv and not Path(path).exists():
                    raise ValueError(
                        f"{error}; --csv prints the table and takes no file: > FILE, or --output"
                    ) from None
                raise
            errors.append(error)
            console.err.print(f"[yellow]left out:[/] {escape(str(error))}", soft_wrap=True)
    if not told:
        raise ValueError(f"none of {len(files)} recordings could be read")
    return told, len(errors)


def _of_file(job: FeaturesJob, path: str) -> Told:
    traces = job.reading.read(path, job.sweeps)
    current = [t for t in traces if t.clamp == "current"]
    if not current:
        raise ValueError(
            f"{path}: is a voltage clamp, whose potential is commanded and has no features; "
            "expected current clamp (--clamp current, where the file does not say so)"
        )
    if len(current) < len(traces):
        console.warn([f"{path}: {len(traces) - len(current)} sweeps of voltage clamp left out"])
    found = [of_trace(trace, onset_slope=job.slope()) for trace in current]
    return Told(path, [path] * len(current), current, steps_of(current), found)


def _pooled(told: Sequence[Told]) -> Told:
    """All recordings as one cell."""
    parts = [[x for cell in told for x in cell[k]] for k in range(1, 5)]
    return Told("all together", *parts)  # pyright: ignore[reportArgumentType]


# -- rows ------------------------------------------------------------------------------------------
def _of_first(name: str) -> Callable[[Step, Features], float]:
    """Of the shape of the first spike in the step."""

    def value(step: Step, found: Features) -> float:
        k = first_in_step(step, found)
        return math.nan if k is None else float(getattr(found.shapes, name)[k])

    return value


def _of_firing(name: str) -> Callable[[Step, Features], float]:
    return lambda _, found: float(getattr(found.firing, name))


def _below(name: str) -> Callable[[Step, Features], float]:
    return lambda _, found: float(getattr(found.subthreshold, name))


COLUMNS: dict[str, Callable[[Step, Features], float]] = {
    "step_pA": lambda step, _: step.height,
    "on_ms": lambda step, _: step.on,
    "off_ms": lambda step, _: step.off,
    "spikes": _of_firing("number"),
    "rate_Hz": _of_firing("rate"),
    "latency_ms": _of_firing("latency"),
    "mean_interval_ms": _of_firing("mean_interval"),
    "irregularity": _of_firing("irregularity"),
    "adaptation": _of_firing("adaptation"),
    "threshold_mV": _of_first("onsets"),
    "amplitude_mV": _of_first("amplitudes"),
    "half_width_ms": _of_first("half_widths"),
    "upstroke_mV_per_ms": _of_first("upstrokes"),
    "downstroke_mV_per_ms": _of_first("downstrokes"),
    "ahp_mV": _of_first("ahps"),
    "base_mV": _below("base"),
    "steady_mV": _below("steady"),
    "sag_mV": _below("sag"),
    "sag_ratio": _below("sag_ratio"),
    "tau_ms": _below("tau"),
    "resistance_MOhm": _below("resistance_MOhm"),
}
"""What a sweep is told by; that of a spike is of the first in the step."""

SHOWN = ("step_pA", "spikes", "rate_Hz", "latency_ms", "threshold_mV", "amplitude_mV",
         "half_width_ms", "base_mV", "sag_ratio", "tau_ms", "resistance_MOhm")  # fmt: skip
"""Those for a terminal."""

SWEEP = ("file", "protocol", "sweep", *COLUMNS)
CURVE = ("cell", *Curve._fields)
CELL = ("cell", "sweeps", *Excitability._fields)


def _sweep_rows(cell: Told) -> list[Row]:
    return [
        (file, trace.name, trace.sweep, *(value(step, found) for value in COLUMNS.values()))
        for file, trace, step, found in zip(
            cell.files, cell.traces, cell.steps, cell.found, strict=True
        )
    ]


def _curve_rows(cell: Told) -> list[Row]:
    return [(cell.name, *map(float, row)) for row in zip(*cell.curve, strict=True)]


def _cell_row(cell: Told) -> Row:
    return cell.name, len(cell.traces), *cell.summary


def _csv(head: Sequence[str], rows: Sequence[Row]) -> str:
    """A table as CSV; what does not exist is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([x if isinstance(x, str) else _plain(x) for x in row] for row in rows)
    return text.getvalue()


def _plain(x: float) -> str:
    return f"{x:.6g}" if math.isfinite(x) else ""


# -- for a terminal --------------------------------------------------------------------------------
_UNIT = re.compile(r"(.+?)_(Hz_per_pA|mV_per_ms|mV|ms|pA|Hz|MOhm)")


def _print(told: Sequence[Told]) -> None:
    if len(told) > 1:
        rows = [(Path(cell.name).name, *_cell_row(cell)[1:]) for cell in told]
        console.out.print(_table(CELL, rows))
        return
    (cell,) = told
    console.out.print(f"[bold]{escape(cell.name)}[/]")
    places = [SWEEP.index(name) for name in ("sweep", *SHOWN)]
    rows = [[row[k] for k in places] for row in _sweep_rows(cell)]
    console.out.print(_table([SWEEP[k] for k in places], rows))
    if (cell.curve.rate_Hz > 0).any():
        console.out.print("\n[bold]f-I curve[/]")
        console.out.print(_table(Curve._fields, [row[1:] for row in _curve_rows(cell)]))
    console.out.print()
    for name, value in zip(Excitability._fields, cell.summary, strict=True):
        if math.isfinite(value):
            words, unit = _words(name)
            console.out.print(f"{words} {_text(value)} {unit}".rstrip())


def _table(head: Sequence[str], rows: Sequence[Row]) -> Table:
    """The columns in which something is known, each with its unit below its name."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    known = [k for k in range(len(head)) if any(_text(row[k]) != "-" for row in rows)]
    for k in known:
        side = "left" if isinstance(rows[0][k], str) else "right"
        table.add_column("\n".join(_words(head[k])), justify=side, overflow="fold")
    for row in rows:
        table.add_row(*(escape(_text(row[k])) for k in known))
    return table


def _words(name: str) -> tuple[str, str]:
    """The name of a column as words, and its unit: "half width", "ms"."""
    match = _UNIT.fullmatch(name)
    words, unit = match.groups() if match else (name, "")
    return words.replace("_", " "), unit.replace("_per_", "/")


def _text(x: str | float) -> str:
    if isinstance(x, str):
        return x
    return f"{x:.4g}" if math.isfinite(x) else "-"
