"""`neurojax plate`: fit all recordings of a folder at once, and write a table and a report."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from neurojax.cli.deliver import INTERRUPTED, PAGES, TABLES, check_writable
from neurojax.cli.progress import FitProgress
from neurojax.cli.reading import Reading
from neurojax.cli.sweeps import choose
from neurojax.fit import CohortFit, CohortWarning, cohort
from neurojax.fit.stages.regress import CONDUCTANCES
from neurojax.io.formats import BY_SUFFIX
from neurojax.membrane.requirements import check_single
from neurojax.model import load_model
from neurojax.model.space import Space
from neurojax.plot import number
from neurojax.recording.trace import RecordingError, Trace
from neurojax.report import write_plate


@dataclass(frozen=True)
class PlateJob:
    """A plate as the user asked for it."""

    folder: Path
    model: str
    table: Path  # CSV
    report: Path  # HTML
    sweeps: str = ""
    own: str = ""
    alone: bool = False
    seconds: float = 300.0
    seed: int = 0
    reading: Reading = field(default_factory=lambda: Reading("voltage"))

    def check(self) -> None:
        """Raise ValueError or OSError for what could not be done, before anything is read."""
        if not self.seconds > 0:
            raise ValueError("--seconds must be positive")
        self.reading.check()
        check_writable(self.table, TABLES)
        check_writable(self.report, PAGES)


def run_plate(job: PlateJob, out: Console, err: Console) -> int:
    """Do it; returns the exit code. Raises ValueError or OSError for what a user can put right."""
    job.check()
    model = load_model(job.model)
    if model.space is None:
        raise ValueError(f"{job.model}: no parameter is free: the model file needs a [free] table")
    check_single(model.cell, "a plate")
    own = own_of(model.space, job.own)
    names, recordings = read_folder(job, err)
    out.print(f"{len(names)} cells of {escape(str(job.folder))}, model {model.name}")
    shared = [n for n in model.space.names if n not in own]
    with FitProgress(out) as progress, warnings.catch_warnings():
        warnings.simplefilter("ignore", CohortWarning)  # the summary says it
        found = cohort(
            model.cell, recordings, model.space, shared=[] if job.alone else shared,
            pooled=[] if job.alone else own, names=names, seconds=job.seconds, seed=job.seed,
            progress=progress,
        )  # fmt: skip
    out.print(printed(found))
    out.print(escape(found.summary()), soft_wrap=True)
    found.write_csv(job.table)
    write_plate(job.report, found, title=f"{job.folder.resolve().name} fitted with {model.name}")
    out.print(f"table {job.table}, report {job.report}", soft_wrap=True)
    return INTERRUPTED if found.ended == "interrupted" else 0


def read_folder(job: PlateJob, err: Console) -> tuple[list[str], list[list[Trace]]]:
    """Every recording of a folder as a cell, by its file's name.

    A file that cannot be read is told and left out, and so is the table of an earlier fit.
    Raises ValueError where nothing is left.
    """
    folder = job.folder
    if not folder.is_dir():
        raise ValueError(f"{folder}: expected a folder with a file for each cell")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in BY_SUFFIX)
    names, recordings, failed = [], [], []
    for path in (p for p in files if p.resolve() != job.table.resolve()):
        try:
            traces = job.reading.read(str(path))
        except RecordingError as error:
            failed.append(error)
            err.print(f"[yellow]left out:[/] {escape(str(error))}", soft_wrap=True)
            continue
        names.append(path.name if path.stem in names else path.stem)
        asked = job.sweeps
        recordings.append(choose(traces, asked, f"{path.name}: --sweeps") if asked else traces)
    if recordings:
        return names, recordings
    if failed:
        raise failed[0]
    raise ValueError(f"{folder}: no recording (read are: {', '.join(sorted(BY_SUFFIX))})")


def own_of(space: Space, asked: str) -> list[str]:
    """The parameters that are each cell's own: conductances, unless others are asked for.

    Raises ValueError for one that is not free.
    """
    if not asked:
        return [name for name in space.names if name.rpartition(".")[2] in CONDUCTANCES]
    own = [name.strip() for name in asked.split(",")]
    for name in own:
        if name not in space.names:
            raise ValueError(f"--own: {name!r} is not free (free: {', '.join(space.names)})")
    return own


def printed(found: CohortFit) -> Table:
    """The plate as a table for a terminal, without columns in which nothing could be told."""
    head, rows = found.table()
    told = [k for k in range(len(head)) if not all(_unknown(row[k]) for row in rows)]
    table = Table()
    for k in told:
        table.add_column(escape(head[k]), min_width=24 if head[k] == "remarks" else None)
    for row in rows:
        cells = (row[k] for k in told)
        table.add_row(*(escape(x) if isinstance(x, str) else number(x) for x in cells))
    return table


def _unknown(x: str | float) -> bool:
    return not isinstance(x, str) and math.isnan(x)
