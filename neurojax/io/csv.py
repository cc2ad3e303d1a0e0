"""Text tables: a column of time, of voltage and of current, with their units in the header."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from neurojax.io.source import (
    Asked,
    convert,
    even_dt,
    origin,
    quantity,
    reading,
)
from neurojax.io.sweeps import traces_from
from neurojax.recording.trace import RecordingError, Trace

_LAYOUT = (
    "a header such as `t (ms), v (mV), i (pA)`, with a column `sweep` or v1, v2, ... for several"
)
_WITH_UNIT = re.compile(r"(?P<name>[^()\[\]]+?)\s*[(\[]\s*(?P<unit>[^()\[\]]*?)\s*[)\]]")
_MOST_BEFORE = 60
"""Lines that may stand before a header."""

_NAMES = {
    "time": {"t", "time", "times"},
    "voltage": {"v", "vm", "voltage", "potential", "membrane potential"},
    "current": {"i", "im", "iinj", "current", "stimulus", "command"},
    "sweep": {"sweep", "trace", "episode"},
}


class _Column(NamedTuple):
    place: int
    kind: str  # "time", "voltage", "current" or "sweep"
    number: int | None  # 2 in `v2`
    label: str
    unit: str | None


def read_csv(path: Path, asked: Asked) -> list[Trace]:
    """Every sweep of a text table, columns separated by commas, semicolons, tabs or blanks.

    Raises RecordingError for a column without unit, a cell that is not a number, uneven time or a
    header that does not say which column is what.
    """
    with reading(path, "text table"):
        lines = _lines(path)
        skip, cells, delimiter = _header(path, lines)
        skip, columns = _with_units(skip, _columns(cells), lines, delimiter)
        table = _numbers(path, lines[skip:], delimiter, columns, len(cells))
    clamp = asked.clamp or "current"
    source = origin(path, "CSV", f"columns {', '.join(c.label for c in columns)}")
    drafts = []
    for number, rows, time, v, i in _sweeps(path, columns, table):
        where = f"{path}, sweep {number}"
        t_ms = convert(table[rows, time.place], time.unit, "ms", f"{where}, column {time.label!r}")
        v_mV, i_pA = (
            convert(
                table[rows, c.place],
                asked.unit_of(kind, c.unit),
                to,
                f"{where}, column {c.label!r}",
            )
            for c, kind, to in ((v, "voltage", "mV"), (i, "current", "pA"))
        )
        dt_ms = float(f"{even_dt(t_ms, where):.9g}")  # 0.05, not 0.05000000000000001
        drafts.append(
            {
                "clamp": clamp,
                "dt_ms": dt_ms,
                "v_mV": v_mV,
                "i_pA": i_pA,
                "name": path.stem,
                "sweep": number,
                "origin": source,
            }
        )
    return traces_from(path, drafts)


def read_commands(path: Path) -> list[tuple[str, float, np.ndarray, Literal["pA", "mV"]]]:
    """What a text table of time and current, or of time and voltage, imposes: no measurement.

    Of each column its label, dt (ms), its samples and their unit. Raises RecordingError for what
    `read_csv` refuses, and for a table of both, which is a recording.
    """
    with reading(path, "text table"):
        lines = _lines(path)
        skip, cells, delimiter = _header(path, lines)
        skip, columns = _with_units(skip, _columns(cells), lines, delimiter)
        kinds = {c.kind for c in columns} & {"current", "voltage"}
        if len(kinds) != 1 or any(c.kind == "sweep" for c in columns):
            raise RecordingError(
                f"{path}: has columns {', '.join(map(repr, cells))}; expected one of time and one "
                "or more of current, or of voltage, such as `t (ms), i (pA)`"
            )
        (kind,) = kinds
        to: Literal["pA", "mV"] = "pA" if kind == "current" else "mV"
        table = _numbers(path, lines[skip:], delimiter, columns, len(cells), ("time", kind))
    time = next(c for c in columns if c.kind == "time")
    t_ms = convert(table[:, time.place], time.unit, "ms", f"{path}, column {time.label!r}")
    dt_ms = float(f"{even_dt(t_ms, str(path)):.9g}")
    told = []
    for c in (c for c in columns if c.kind == kind):
        samples = convert(table[:, c.place], c.unit, to, f"{path}, column {c.label!r}")
        if not np.isfinite(samples).all():
            raise RecordingError(
                f"{path}, column {c.label!r}: expected a finite number in each row"
            )
        told.append((c.label, dt_ms, samples, to))
    return told


def _lines(path: Path) -> list[str]:
    """The lines of a text in UTF-8 or, as Excel writes it, UTF-16; else in Windows' own code."""
    raw = path.read_bytes()
    if is_utf_16(raw[:64]):
        return raw.decode("utf-16-le", errors="replace").splitlines()
    for mark, code in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig")):
        if raw.startswith(mark):
            try:
                return raw.decode(code).splitlines()
            except UnicodeDecodeError:
                continue
    return raw.decode("cp1252", errors="replace").splitlines()


def is_utf_16(head: bytes) -> bool:
    """Whether a text is in UTF-16 without saying so: every second byte is 0."""
    return len(head) > 8 and not any(head[1::2]) and all(head[::2])


def _header(path: Path, lines: list[str]) -> tuple[int, list[str], str | None]:
    """How many lines to skip before the numbers, the header's cells, and the delimiter.

    Lines that tell of the recording may stand before it.
    """
    for skip, line in enumerate(lines[:_MOST_BEFORE]):
        cells, delimiter = _cells(line)
        if {"time", "voltage", "current"} <= {c.kind for c in _columns(cells)}:
            return skip + 1, cells, delimiter
    for skip, line in enumerate(lines):  # noqa: B007, both are what the loop looks for
        if line.strip() and not line.lstrip().startswith("#"):
            break
    else:
        raise RecordingError(f"{path}: no lines; expected {_LAYOUT}")
    cells, delimiter = _cells(line)
    if all(re.fullmatch(r"[-+.\deE]+|nan|inf", cell) for cell in cells):
        raise RecordingError(f"{path}: the first line is numbers; expected {_LAYOUT}")
    return skip + 1, cells, delimiter


def _cells(line: str) -> tuple[list[str], str | None]:
    """What stands in a line, and what parts it."""
    delimiter = next((d for d in ("\t", ";", ",") if d in line), None)
    line = line.strip("\r\n").removeprefix("#") if delimiter else line
    return [cell.strip().strip("\"'") for cell in line.split(delimiter)], delimiter


def _columns(cells: list[str]) -> list[_Column]:
    """The columns that a header names.

    Where no name says which is the voltage, say, it is what has such a unit: "Trace #1 (mV)". But
    not when units are shared by different names, of which one may be a trigger.
    """
    told = [(c, stem) for k, cell in enumerate(cells) for c, stem in _column(k, cell)]
    named = {c.kind for c, stem in told if not stem}
    stems = {kind: {stem for c, stem in told if c.kind == kind and stem} for kind in _NAMES}
    return [c for c, stem in told if not stem or (c.kind not in named and len(stems[c.kind]) == 1)]


def _with_units(
    skip: int, columns: list[_Column], lines: list[str], delimiter: str | None
) -> tuple[int, list[_Column]]:
    """The columns with the units of a line of their own below the header, where there is one."""
    below = lines[skip].strip("\r\n").split(delimiter) if skip < len(lines) else []
    units = [cell.strip().strip("\"'()[]") for cell in below]
    wanted = [c for c in columns if c.kind != "sweep"]
    if all(
        c.unit is None and c.place < len(units) and quantity(units[c.place]) == c.kind
        for c in wanted
    ):
        return skip + 1, [
            c if c.kind == "sweep" else c._replace(unit=units[c.place]) for c in columns
        ]
    return skip, columns


def _column(index: int, cell: str) -> list[tuple[_Column, str]]:
    """What a header cell says: `v2 (mV)`, `v2 [mV]` or `v2_mV`; none for another kind.

    With it comes "", or the name, where only the unit says of what kind it is.
    """
    match = _WITH_UNIT.fullmatch(cell)
    name, unit = (match["name"], match["unit"]) if match else (cell, None)
    if unit is None and "_" in cell:
        head, tail = cell.rsplit("_", 1)
        if quantity(tail) in ("time", "voltage", "current"):
            name, unit = head, tail
    number = re.search(r"_?(\d+)$", name)
    word = (name[: number.start()] if number else name).lower().replace("_", " ").strip()
    place = int(number[1]) if number else None
    what = quantity(unit)
    for kind, words in _NAMES.items():
        if word in words and not (kind == "sweep" and what in _NAMES):  # "Trace 1 (mV)"
            return [(_Column(index, kind, place, cell, unit), "")]
    return [(_Column(index, what, place, cell, unit), word or "?")] if what in _NAMES else []


def _numbers(
    path: Path,
    lines: list[str],
    delimiter: str | None,
    columns: list[_Column],
    width: int,
    needed: Sequence[str] = ("time", "voltage", "current"),
) -> np.ndarray:
    """The table `[row, column]` of the file below a header of `width` cells.

    Columns that nothing names stay empty.
    """
    counts = {kind: sum(c.kind == kind for c in columns) for kind in _NAMES}
    missing = [kind for kind in needed if not counts[kind]]
    if missing:
        raise RecordingError(f"{path}: no column of {' and of '.join(missing)}; expected {_LAYOUT}")
    if counts["time"] > 1:
        raise RecordingError(f"{path}: {counts['time']} columns of time; expected one")
    used = [c.place for c in columns]
    if delimiter in (";", "\t") and any("," in line for line in lines[:20]):
        lines = [line.replace(",", ".") for line in lines]  # decimal commas
    first = next((_cells(line)[0] for line in lines if line.strip()), [])
    while first and not first[-1]:
        first.pop()
    if delimiter == "," and len(first) > width:
        raise RecordingError(
            f"{path}: a row of {len(first)} cells below a header of {width}; if its numbers have "
            "decimal commas, semicolons or tabs must part the columns"
        )
    try:
        read = _table(lines, delimiter, used)
    except ValueError as error:
        raise RecordingError(
            f"{path}: {str(error).split(';')[0]} (rows counted from the first line after the "
            "header); expected a number in every cell, with a decimal point, or with a comma "
            "where semicolons or tabs part the columns"
        ) from None
    times = [k for k, c in enumerate(columns) if c.kind == "time"]
    while times and read.size and np.isnan(read[-1, times[0]]):  # what a spreadsheet adds
        read = read[: 1 + int(np.flatnonzero(~np.isnan(read[:, times[0]]))[-1:].max(initial=-1))]
    if read.size == 0:
        raise RecordingError(f"{path}: a header but no samples; expected a row for each sample")
    table = np.full((read.shape[0], max(used) + 1), np.nan)
    table[:, used] = read
    return table


def _table(lines: list[str], delimiter: str | None, used: list[int]) -> np.ndarray:
    """The numbers `[row, column]`; an empty cell is NaN: a sweep may be shorter than others.

    Raises ValueError for a cell that is no number.
    """
    how: dict[str, Any] = {"delimiter": delimiter, "usecols": used, "ndmin": 2, "quotechar": '"'}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, on a table without rows: said better elsewhere
        try:
            return np.loadtxt(lines, **how)
        except ValueError:
            if delimiter is None or not any(2 * delimiter in line for line in lines[-100:]):
                raise
            return np.loadtxt(lines, converters=_number, encoding="utf-8", **how)


def _number(cell: str) -> float:
    return float(cell) if cell.strip() else float("nan")


def _sweeps(path: Path, columns: list[_Column], table: np.ndarray):
    """Of each sweep: number, rows, and its columns of time, voltage and current."""
    by_kind = {kind: [c for c in columns if c.kind == kind] for kind in _NAMES}
    time, voltages, currents = by_kind["time"][0], by_kind["voltage"], by_kind["current"]
    if by_kind["sweep"]:
        if len(voltages) > 1 or len(currents) > 1:
            raise RecordingError(
                f"{path}: a sweep column and {len(voltages)} columns of voltage; expected {_LAYOUT}"
            )
        numbers = table[:, by_kind["sweep"][0].place]
        if not np.array_equal(numbers, np.round(numbers)) or np.abs(numbers).max() > 2**53:
            raise RecordingError(f"{path}: the sweep column has fractions; expected whole numbers")
        for number in dict.fromkeys(numbers.tolist()):
            yield int(number), numbers == number, time, voltages[0], currents[0]
        return
    everything = slice(None)
    for k, v in enumerate(voltages):
        matches = [i for i in currents if i.number == v.number]
        shared = currents if len(currents) == 1 else matches
        if len(shared) != 1:
            raise RecordingError(
                f"{path}: {len(shared)} columns of current for {v.label!r}; expected one current "
                f"for all, or one of the same number for each voltage; {_LAYOUT}"
            )
        yield k if v.number is None else v.number, everything, time, v, shared[0]
