"""Neurodata Without Borders, version 1, as the Allen Institute published its cells.

Source: the NWB 1.0 format: an epoch of each sweep has the time series of stimulus and response, and
which of their samples are its own. Samples times `conversion` are in `unit`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neurojax.io.source import NATIVE, OTHER, Asked, Clamp, convert, origin, quantity
from neurojax.io.sweeps import clamped, traces_from
from neurojax.recording.command import holding_of
from neurojax.recording.trace import RecordingError, Trace


def is_version_1(file: h5py.File) -> bool:
    """Whether a file says its version as only the first did."""
    return "nwb_version" in file and "nwb_version" not in file.attrs


def read_nwb_1(path: Path, file: h5py.File, asked: Asked) -> list[Trace]:
    """Every sweep with a stimulus. Raises RecordingError where there is none."""
    drafts, lonely = [], []
    source = origin(path, "NWB1")
    for sweep, name, response, stimulus in _pairs(file):
        if stimulus is None:
            lonely.append(name)
            continue
        where = f"{path}, sweep {sweep} ({name!r})"
        measured, unit, dt_ms, start_ms = _samples(response, where)
        clamp = _clamp(response, unit, where)
        if asked.clamp in (None, clamp):
            command, its_unit, its_dt_ms, _ = _samples(stimulus, where)
            if not np.isclose(dt_ms, its_dt_ms):
                raise RecordingError(
                    f"{where}: response every {dt_ms:g} ms, but stimulus every {its_dt_ms:g} ms"
                )
            command = convert(command, asked.unit_of(clamp, its_unit), NATIVE[clamp], where)
            told: list[str] = []
            if clamp == "current":
                command, told = with_bias(command, dt_ms, _bias(response))
            what = OTHER[clamp]
            measured = convert(measured, asked.unit_of(what, unit), NATIVE[what], where)
            drafts.append(
                clamped(clamp, measured, command)
                | {
                    "dt_ms": dt_ms,
                    "name": name,
                    "sweep": sweep,
                    "origin": source,
                    "start_ms": start_ms,
                    "warnings": tuple(told),
                }
            )
    if not drafts:
        raise RecordingError(
            f"{path}: no {asked.clamp or 'patch'}-clamp sweep with a stimulus; expected epochs "
            f"named Sweep_1 ..., each with a response and a stimulus; without one: {lonely[:8]}"
        )
    if lonely:
        for draft in drafts:
            draft["warnings"] += (f"left out, having no stimulus: {', '.join(lonely)}",)
    return traces_from(path, drafts)


def with_bias(command: np.ndarray, dt_ms: float, bias_pA: float) -> tuple[np.ndarray, list[str]]:
    """A current with the amplifier's bias, and that it was added.

    It is seldom part of the stimulus series, yet the cell received it.
    """
    if not bias_pA or abs(holding_of(command, dt_ms) - bias_pA) <= 0.5 * abs(bias_pA):
        return command, []
    told = f"the series' bias current of {bias_pA:g} pA was added to its stimulus"
    return command + bias_pA, [told]


def _bias(part: Any) -> float:
    """The bias current in pA; files have it in A, and NaN where nobody knew it."""
    series = part.get("timeseries", part)
    bias = 1e12 * float(series["bias_current"][()]) if "bias_current" in series else 0.0
    return bias if np.isfinite(bias) else 0.0


def _pairs(file: h5py.File) -> list[tuple[int, str, Any, Any]]:
    """Number, name, response and stimulus of each sweep: from the epochs, else by equal names."""
    found: list[tuple[int, str, Any, Any]] = []
    epochs: Any = file.get("epochs", {})
    for name in epochs:
        number = re.fullmatch(r"(?i)sweep_(\d+)", name)
        if number and "response" in epochs[name]:
            epoch = epochs[name]
            found.append((int(number[1]), name, epoch["response"], epoch.get("stimulus")))
    if not found:
        recorded: Any = file.get("acquisition/timeseries", {})
        played: Any = file.get("stimulus/presentation", {})
        for place, name in enumerate(sorted(recorded)):
            number = re.findall(r"\d+", name)
            stimulus = played.get(name)
            found.append((int(number[-1]) if number else place, name, recorded[name], stimulus))
    return sorted(found, key=lambda pair: pair[0])


def _samples(part: Any, where: str) -> tuple[np.ndarray, str, float, float]:
    """Samples in the unit that is told, the interval and the start in ms."""
    series = part.get("timeseries", part)
    data, start = series["data"], series["starting_time"]
    first, n = (int(part[k][()]) if k in part else None for k in ("idx_start", "count"))
    first = first or 0
    samples = data[first : None if n is None else first + n]
    unit = data.attrs.get("unit", "")
    unit = unit.decode() if isinstance(unit, bytes) else str(unit)
    rate = float(start.attrs["rate"])
    if not (np.isfinite(rate) and rate > 0):
        raise RecordingError(f"{where}: rate is {rate:g}; expected samples in a second")
    scale = float(data.attrs.get("conversion", 1.0))
    dt_ms = float(f"{1e3 / rate:.9g}")
    began = 1e3 * float(start[()]) + first * dt_ms
    return np.asarray(samples, np.float64) * scale, unit, dt_ms, began


def _clamp(part: Any, unit: str, where: str) -> Clamp:
    """What the series is of, else what its unit tells."""
    series = part.get("timeseries", part)
    kinds = " ".join(str(kind) for kind in np.ravel(series.attrs.get("ancestry", ())))
    if "VoltageClamp" in kinds or "CurrentClamp" in kinds:
        return "voltage" if "VoltageClamp" in kinds else "current"
    what = quantity(unit)
    if what not in NATIVE:
        raise RecordingError(f"{where}: its unit is {unit!r}; expected volts or amperes")
    return "current" if what == "voltage" else "voltage"
