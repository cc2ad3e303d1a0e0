"""The report of a fit: one HTML file that says how good it is, shows it, and how it was made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from neurojax.fit import Fit
from neurojax.io.files import write_whole
from neurojax.membrane.cable import Cable
from neurojax.report import (
    course,
    opening,
    page,
    parameters,
    shape,
    sweeps,
)
from neurojax.report.content import FitReport, at_bound, report_of
from neurojax.report.figures import figures, sweep_figures, write_figures
from neurojax.report.neuron import turning
from neurojax.report.plate import write_plate
from neurojax.report.records import as_results

__all__ = [
    "FitReport",
    "as_results",
    "at_bound",
    "figures_folder",
    "report_of",
    "to_html",
    "write",
    "write_neuron",
    "write_plate",
]


def figures_folder(path: str | os.PathLike[str]) -> Path:
    """Where the figures of a report at `path` are written: fit_figures/ beside fit.html."""
    path = Path(path).expanduser()
    return path.with_name(f"{path.stem}_figures")


def write(path: str | os.PathLike[str], report: FitReport | Fit, *, bitmaps: bool = False) -> Path:
    """Write the report as one HTML file, whole or not at all, and its figures beside it as SVG.

    `bitmaps` makes PNG of the figures too, which takes longer. Of a fit, or of one that was loaded,
    it is the report of `report_of(fit)`. Raises OSError naming the file, and ValueError for a fit
    that does not say to which sweeps it was fitted.
    """
    if isinstance(report, Fit):
        report = report_of(report)
    folder = figures_folder(path)
    made, own = figures(report) | shape.trees(report.fit), sweep_figures(report)
    written = write_whole(path, _page(report, made, own, folder.name))
    write_figures(folder, made | dict(own.values()), bitmaps)
    return written


def to_html(report: FitReport) -> str:
    """The report as one HTML document that needs nothing else."""
    made = figures(report) | shape.trees(report.fit)
    return _page(report, made, sweep_figures(report), "")


def _page(report: FitReport, made: Any, own: Any, folder: str) -> str:
    sections = [("sweeps", "The model beside the recording", sweeps.beside(report, made, own))]
    if report.spiking:
        sections.append(("firing", "Spikes", sweeps.spikes(made)))
    if isinstance(report.fit.cell, Cable):
        told = {k: one for k, one in made.items() if k.startswith("tree_")}
        sections.append(("shape", "The cell in space", shape.section(report.fit, told)))
    sections += [
        ("parameters", "Parameters", parameters.section(report, made)),
        ("course", "How the fit went", course.stages(report, made)),
        ("making", "How this was made", course.making(report, folder)),
    ]
    parts = [(key, name, "\n".join(content)) for key, name, content in sections]
    return page.page(report.title, opening.opening(report, made), parts)


def write_neuron(
    path: str | os.PathLike[str], cell: Cable, values: Any = None, label: str = "", **more: Any
) -> Path:
    """Write a page with a neuron to turn, as one HTML file; see `neuron.turning`.

    `more` is `times` and their `unit`, and the `title`. Raises OSError naming the file.
    """
    title = more.pop("title", "A neuron")
    drawn = turning(cell, values, label, **more)
    return write_whole(path, page.page(title, [page.heading(1, page.text(title)), drawn], []))
