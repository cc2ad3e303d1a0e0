"""Tables of parameter sets from files: rows of a list, and the starts of a fit."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from neurojax.io.results import load
from neurojax.membrane.channel import ParamInfo
from neurojax.recording.trace import RecordingError
from neurojax.sweep.axes import Table, as_table
from neurojax.sweep.quantities import Quantities
from neurojax.sweep.storage import SweepError
from neurojax.units import check_known

Known = Mapping[str, ParamInfo]
"""What may be an axis, by name."""

_COLUMN = re.compile(r"\s*(?P<name>[^()\[\]]+?)\s*(?:[(\[]\s*(?P<unit>[^()\[\]]*?)\s*[)\]])?\s*$")


def read_table(path: Path, known: Known, quantities: Quantities) -> Table:
    """Rows of parameters from a CSV file, with a header as `na.g_bar (mS/cm2), celsius (degC)`.

    Raises SweepError for a missing unit, a column that is there twice, a row of another length, or
    what is no number, and ValueError for an unknown name or a wrong unit.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, row) for row in reader if any(x.strip() for x in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SweepError(f"{path}: cannot be read: {error}") from None
    if len(rows) < 2:
        raise SweepError(f"{path}: expected a header and a row for each cell")
    (_, header), *rows = rows
    for line, row in rows:
        if len(row) != len(header):
            raise SweepError(
                f"{path}, line {line} has {len(row)} values, expected {len(header)} as in the "
                "header, with commas between them and points in decimal numbers"
            )
    columns: dict[str, np.ndarray] = {}
    for k, head in enumerate(header):
        name, scale = _column(head, f"{path}, column {k + 1}", known, quantities)
        if name in columns:
            raise SweepError(f"{path}: column {name!r} is there twice")
        values = [_number(row[k], f"{path}, line {line}, column {name!r}") for line, row in rows]
        columns[name] = scale * np.array(values)
    return as_table(columns)


def _column(head: str, place: str, known: Known, quantities: Quantities) -> tuple[str, float]:
    """The parameter of a column, and how much in its declared unit one of the column's unit is."""
    match = _COLUMN.match(head)
    name, own = (match["name"], match["unit"]) if match else (head, None)
    check_known(name, known, "parameter", f"{place}: ")
    unit = known[name].unit
    if own:
        return name, quantities.value(f"1 {own}", name, unit, f"{place}, {name}")
    if unit != "1":
        raise SweepError(f"{place}, {name!r}, has no unit: write {name} ({unit})")
    return name, 1.0


def _number(text: str, place: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SweepError(f"{place}: {text!r} is no number") from None


def ensemble(path: str | Path, within: float = 0.05) -> Table:
    """The parameter sets of a saved fit whose error is within a part of the best.

    Raises SweepError for a file that holds no fit with several starts.
    """
    starts, errors = ends_of(path)
    good = errors <= np.min(errors[np.isfinite(errors)]) * (1 + within)
    return as_table({k: a[good] for k, a in starts.items()})


def ends_of(path: str | Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Where the starts of a saved fit ended, `[start]` by path name, and their errors `[start]`.

    Raises SweepError for a file that holds no fit with several starts, or none that is finite.
    """
    try:
        arrays = load(path).arrays
    except RecordingError as error:
        raise SweepError(str(error)) from None
    starts = {k.removeprefix("starts/"): a for k, a in arrays.items() if k.startswith("starts/")}
    errors = arrays.get("errors of starts")
    if not starts or errors is None or not np.size(errors):
        raise SweepError(f"{path}: holds no ensemble: expected a fit with several starts")
    if not np.isfinite(errors).any():
        raise SweepError(f"{path}: no start of this fit has a finite error")
    return {k: np.asarray(a, float) for k, a in starts.items()}, errors
