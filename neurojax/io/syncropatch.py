"""SyncroPatch 384 recordings as exported to text: one file for the currents of a well and a sweep.

A file `plate-protocol-A01.csv`, or `plate-protocol-A01-before-sweep1.csv`, has the current in pA
below the word "current". Beside it are the times of a plate, `plate-protocol-times.csv`, and the
command: `plate-protocol-voltages.csv` or `protocol-PROTOCOL.csv` with columns of time and voltage.

Source: the layout in which Lei et al. 2019 (Biophys J 117:2438, doi:10.1016/j.bpj.2019.07.029)
published theirs, and which their programs pcpostprocess and syncropatch_export go on to write.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from neurojax.io.source import Asked, convert, even_dt, origin, quantity, reading
from neurojax.io.sweeps import traces_from
from neurojax.recording.trace import RecordingError, Trace

_NAME = re.compile(r"(?P<plate>.+)-(?P<well>[A-P]\d\d)(?P<rest>(?:-[^-]+)*)")
_TITLE = re.compile(r"(?P<name>[a-z]+)\s*(?:[(\[](?P<unit>[^()\[\]]*)[)\]])?")
_SHORTEST_MS = 4e-3
"""Intervals below cannot be ms, at which the instrument samples at most every 0.01: they are s."""

_PROTOCOLS = ("", "protocols", "protocol-time-series", "../protocol-time-series", "../protocols")


def read_syncropatch(path: Path, asked: Asked) -> list[Trace]:
    """The sweep of a well, in voltage clamp. `asked.partner` may name the file of the command.

    Raises RecordingError where times or command are missing, or do not fit the current.
    """
    found = _NAME.fullmatch(path.stem)
    if found is None:
        raise RecordingError(
            f"{path}: is one column of current, as of a SyncroPatch; expected a name such as "
            "plate-protocol-A01.csv, by which the files of times and voltages are found"
        )
    if asked.clamp == "current":
        raise RecordingError(f"{path}: is a voltage clamp; expected one to be asked for")
    current, _ = _columns(path)["current"]
    plate = found["plate"]
    told = _beside(path, asked, plate)
    times = path.with_name(f"{plate}-times.csv")
    t_ms = _times(_columns(times, "time"), times) if times.is_file() else None
    command = _columns(told)
    if not {"time", "voltage"} <= command.keys():
        raise RecordingError(f"{told}: expected columns of time and of voltage")
    at_ms = _times(command, told)
    if t_ms is None:
        t_ms = at_ms
    if t_ms.size != current.size:
        raise RecordingError(
            f"{path}: has {current.size} samples, but {times if times.is_file() else told} "
            f"{t_ms.size} times; expected as many"
        )
    volts, unit = command["voltage"]
    v_mV = convert(volts, asked.unit_of("voltage", unit or "mV"), "mV", str(told))
    dt_ms = float(f"{even_dt(t_ms, str(times)):.9g}")
    sweep = re.search(r"-sweep(\d+)", found["rest"])
    i_unit = asked.unit or asked.unit_of("current", "pA")
    v_mV = _at(t_ms, at_ms, v_mV, dt_ms, told)
    draft = {
        "clamp": "voltage",
        "dt_ms": dt_ms,
        "v_mV": v_mV,
        "i_pA": convert(current, i_unit, "pA", str(path)),
        "name": f"{plate}-{found['well']}{re.sub('-sweep[0-9]+', '', found['rest'])}",
        "sweep": int(sweep[1]) if sweep else 0,
        "origin": origin(path, "SyncroPatch", f"well {found['well']}; command {told.name!r}"),
    }
    return traces_from(path, [draft])


def _beside(path: Path, asked: Asked, plate: str) -> Path:
    """The file of the command."""
    if asked.partner is not None:
        return asked.partner
    names = [f"{plate}-voltages.csv", f"protocol-{plate.split('-')[-1]}.csv"]
    for folder in _PROTOCOLS:
        for name in names:
            if (path.parent / folder / name).is_file():
                return path.parent / folder / name
    raise RecordingError(
        f"{path}: the command is in another file, and none is beside it; expected {names[0]} or "
        f"{names[1]} with columns time and voltage, or partner=that file"
    )


def _columns(path: Path, only: str = "") -> dict[str, tuple[np.ndarray, str]]:
    """The columns of a table by their titles, with units where there are; one without is `only`."""
    with reading(path, "text table"):
        lines = path.read_text("utf-8-sig", errors="replace").splitlines()
        titles = [t.strip().strip('"').lower() for t in (lines or [""])[0].lstrip("# ").split(",")]
        names = [_TITLE.fullmatch(t) for t in titles]
        if not any(names):
            titles, names, start = [only], [_TITLE.fullmatch(only)], 0
        else:
            start = 1
        table = np.loadtxt(lines[start:], delimiter=",", ndmin=2)
    if table.shape[1] != len(titles) or not table.size:
        raise RecordingError(
            f"{path}: has {table.shape[0]} rows of {table.shape[1]} numbers; expected {len(titles)}"
        )
    return {m["name"]: (table[:, k], (m["unit"] or "").strip()) for k, m in enumerate(names) if m}


def _times(columns: dict[str, tuple[np.ndarray, str]], path: Path) -> np.ndarray:
    """Times in ms; without a unit they are s where their steps are too small for ms."""
    if "time" not in columns:
        raise RecordingError(f"{path}: no column of time")
    times, unit = columns["time"]
    if not unit:
        unit = "s" if even_dt(times, str(path)) < _SHORTEST_MS else "ms"
    if quantity(unit) != "time":
        raise RecordingError(f"{path}: time is in {unit!r}; expected ms or s")
    return convert(times, unit, "ms", str(path))


def _at(
    t_ms: np.ndarray, at_ms: np.ndarray, v_mV: np.ndarray, dt_ms: float, path: Path
) -> np.ndarray:
    """The command at the times of the current; between its samples it goes straight."""
    if t_ms.size == at_ms.size and np.abs(t_ms - at_ms).max() < 0.5 * dt_ms:
        return v_mV
    if at_ms[0] > t_ms[0] + dt_ms or at_ms[-1] < t_ms[-1] - dt_ms:
        raise RecordingError(
            f"{path}: lasts from {at_ms[0]:g} to {at_ms[-1]:g} ms, but the current from "
            f"{t_ms[0]:g} to {t_ms[-1]:g} ms; expected the command of the same protocol"
        )
    return np.interp(t_ms, at_ms, v_mV)
