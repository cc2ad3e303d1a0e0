"""The sections on how the fit went, stage by stage, and how all of this was made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

from neurojax.fit.budget import StageRecord, gains
from neurojax.io.results import running_versions
from neurojax.loss.score import PARTS
from neurojax.plot.look import number
from neurojax.recording.features import TOLERANCES
from neurojax.recording.trace import Origin
from neurojax.report import page
from neurojax.report.content import FitReport
from neurojax.report.figures import Drawn


def stages(report: FitReport, made: Mapping[str, Drawn]) -> Iterator[str]:
    """What each stage gained and cost, and how the error fell."""
    done = report.fit.stages
    rows = []
    for k, (stage, (before, after)) in enumerate(zip(done, gains(done), strict=True), start=1):
        rows.append(
            [
                f"{k}",
                (page.text(stage.name), "wrap"),
                number(before),
                number(after),
                "" if stage.unit == "1" else stage.unit,
                _gained(before, after),
                f"{stage.seconds:.1f}",
                f"{stage.compiling:.1f}",
                f"{stage.evaluations:,}",
                f"{len(stage.history)}",
                f"{len(stage.errors)}" if len(stage.errors) else "-",
                f"{stage.dropped}",
                "-" if stage.rejected is None else f"{stage.rejected:,}",
                "-" if stage.clipped is None else f"{stage.clipped:,}",
            ]
        )
    head = ["", "stage", "error before", "after", "unit", "gained", "seconds", "compiling"]
    yield page.table(
        [
            *head,
            "simulated sweeps",
            "iterations",
            "starts kept",
            "lost",
            "steps rejected",
            "clipped",
        ],
        rows,
        "Stages of the fit",
    )
    yield page.paragraph(_note(done), "note")
    yield page.drawing("convergence", made["convergence"])


def _gained(before: float, after: float) -> str:
    part = 100 * (1 - after / before) if before > 0 else np.nan
    if not np.isfinite(part) or abs(part) < 0.01:
        return "-"
    return f"{part:.0f} %" if abs(part) >= 1 else f"{part:.1g} %"


def _note(done: Sequence[StageRecord]) -> str:
    told = "Errors of one unit follow each other from stage to stage; a stage in finer time steps "
    told += "may begin above the end of the one before."
    if any(stage.dropped for stage in done):
        told += " Lost starts left the finite numbers on the way."
    if any(stage.clipped is not None for stage in done):
        told += " Steps to a worse point were rejected, those beyond the trust region clipped."
    if any(stage.unit == "tolerances" for stage in done):
        each = "; ".join(f"{name} {TOLERANCES[name]}" for name in PARTS.values())
        told += " A search adds up how far features of the sweeps are off, each in its tolerance: "
        told += f"{each}."
    return told


def making(report: FitReport, folder: str) -> Iterator[str]:
    """Command, settings, machine, versions, and where the data come from."""
    devices = jax.devices()
    hardware = f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})"
    items = [("command", report.command)] if report.command else []
    items += [(k, str(v)) for k, v in report.settings.items()]
    items += [("hardware", f"{hardware}, {os.cpu_count()} cores")]
    items += list(running_versions().items())
    linked = [(kind, page.link(file, file)) for kind, file in report.files.items()]
    linked += [("figures", page.link(f"{folder}/", f"{folder}/"))] if folder else []
    yield page.definitions([*linked, *((k, page.text(v)) for k, v in items)])
    yield page.heading(3, "Recording")
    rows = [
        [
            (page.text(sweeps), ""),
            (f"<code>{page.text(Path(o.path).name or 'made in memory')}</code>", ""),
            o.format,
            (f"<code>{page.text(o.sha256)}</code>", "wrap"),
            (page.text(o.note), "wrap"),
        ]
        for o, sweeps in _origins(report)
    ]
    head = ["sweeps", "file", "format", "sha256", "note"]
    yield page.table(head, rows, "Where the data come from")


def _origins(report: FitReport) -> Iterator[tuple[Origin, str]]:
    """Files and what of them was used: "IV 1, 2, 3"."""
    sweeps: dict[tuple[Origin, str], list[str]] = {}
    for view in report.views:
        sweeps.setdefault((view.data.origin, view.data.name), []).append(str(view.data.sweep))
    for (origin, name), numbers in sweeps.items():
        yield origin, f"{name} {', '.join(numbers)}".strip()
