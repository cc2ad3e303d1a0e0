"""Axon Text Format: a header, then a column of time and one for each sweep of each signal.

Source: Axon Text File Format 1.0, Molecular Devices.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neurojax.io.channels import traces_of
from neurojax.io.rig import Recorded, Recording
from neurojax.io.source import Asked, convert, even_dt, reading
from neurojax.recording.trace import RecordingError, Trace

_TITLE = re.compile(r'"?(?P<name>.*?)\s*\((?P<unit>[^()]*)\)\s*"?')
_MOST_LINES = 1000  # of a header


class Column(NamedTuple):
    """A sweep of a signal."""

    name: str
    unit: str  # "" where the file has none, as files of stimuli
    samples: np.ndarray


class Columns(NamedTuple):
    """Time in ms, and every sweep of every signal in the order of the file."""

    t_ms: np.ndarray
    signals: list[Column]


def read_atf(path: Path, asked: Asked) -> list[Trace]:
    """Every sweep of the membrane's channel with its command, as the signals' names and units say.

    Raises RecordingError for a header or a table that is none.
    """
    columns = read_columns(path)
    by_name: dict[str, list[Column]] = {}
    for column in columns.signals:
        by_name.setdefault(column.name, []).append(column)
    recorded = [
        Recorded(name, sweeps[0].unit, [s.samples for s in sweeps], number)
        for number, (name, sweeps) in enumerate(by_name.items())
    ]
    if len({len(r.sweeps) for r in recorded}) > 1:
        told = ", ".join(f"{r.name!r} {len(r.sweeps)}" for r in recorded)
        raise RecordingError(f"{path}: its signals have different numbers of sweeps: {told}")
    dt_ms = float(f"{even_dt(columns.t_ms, str(path)):.9g}")
    return traces_of(Recording(path, "ATF", "", dt_ms, recorded, [], None, path.stem), asked)


def read_columns(path: Path) -> Columns:
    """The table of a file. Raises RecordingError."""
    with reading(path, "ATF"), open(path, encoding="latin-1") as file:
        first, second = file.readline().split(), file.readline().split()
        if not first or first[0] != "ATF" or len(second) < 2 or int(second[0]) > _MOST_LINES:
            raise RecordingError(f"{path}: does not begin like an ATF file; expected ATF 1.0")
        extra = [file.readline().strip() for _ in range(int(second[0]))]
        titles = [title.strip().strip('"') for title in file.readline().rstrip("\n").split("\t")]
        table = np.loadtxt(file, delimiter="\t", ndmin=2)
    if table.shape[1] != len(titles) or table.shape[1] < 2:
        raise RecordingError(
            f"{path}: has {len(titles)} titles, but {table.shape[1]} columns; expected as many, "
            "and at least two"
        )
    signals = _signals(extra, len(titles) - 1)
    found = []
    for k, title in enumerate(titles[1:]):
        match = _TITLE.fullmatch(title)
        name, unit = (match["name"], match["unit"]) if match else (title, "")
        name = signals[k] if signals else _plain(name)
        found.append(Column(name, unit, table[:, k + 1]))
    time = _TITLE.fullmatch(titles[0])
    t_ms = convert(table[:, 0], time["unit"] if time else None, "ms", f"{path}, column of time")
    return Columns(t_ms, found)


def _plain(title: str) -> str:
    """The name of a signal without the number of its sweep: "Trace #3" is one of "Trace"."""
    return re.sub(r"\s*#\s*\d+$", "", title) or title


def _signals(header: list[str], columns: int) -> list[str]:
    """The signal of each column, from the line `"Signals=" "Vm" "Im"`; empty without one."""
    for line in header:
        if line.strip('"').startswith("Signals="):
            names = [part.strip().strip('"') for part in line.split("\t")[1:]]
            return [names[k % len(names)] for k in range(columns)] if names else []
    return []
