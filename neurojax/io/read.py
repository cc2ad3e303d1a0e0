"""One entry for every recording format: pick the reader by content, read, check."""

from __future__ import annotations

import glob
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from neurojax.io.checks import checked
from neurojax.io.formats import format_of
from neurojax.io.ibw import read_ibw_folder
from neurojax.io.source import Asked, Clamp, quantity
from neurojax.recording.family import together
from neurojax.recording.trace import RecordingError, Trace


def read(
    path: str | os.PathLike[str],
    *,
    partner: str | os.PathLike[str] | None = None,
    clamp: Clamp | None = None,
    channel: str | int | None = None,
    command: str | int | None = None,
    unit: str | None = None,
    gain: float = 1.0,
    voltage_unit: str | None = None,
    current_unit: str | None = None,
    window: tuple[float, float] | None = None,
) -> list[Trace]:
    """The sweeps of a recording, in mV, pA and ms; `io.formats` lists what can be read.

    `path` is a file, or a folder or pattern of Igor wave pairs. `partner` names the second file
    where a recording is two. `clamp` keeps the sweeps of one kind, or says which kind a format
    without that knowledge (CSV, IBW, NPZ) holds.

    `channel` and `command` choose what was measured and what was imposed, by name or number, where
    a file has several. `unit` is the unit of that channel and `gain` what its samples are
    multiplied by; `voltage_unit` and `current_unit` replace units that the file has wrong, of
    commands too. `window` (on, off; ms) is the main step of every sweep, else that which varies.

    What looks wrong is a RecordingWarning and is kept in `Trace.warnings`; what is broken raises
    RecordingError naming file, sweep, field and what was expected.
    """
    if clamp not in (None, "current", "voltage"):
        raise ValueError(f"clamp = {clamp!r}: expected 'current', 'voltage' or None")
    for said, expected in ((voltage_unit, "voltage"), (current_unit, "current")):
        if said is not None and quantity(said) != expected:
            raise ValueError(f"{expected}_unit = {said!r}: expected a unit of {expected}")
    what = quantity(unit)
    if unit is not None and what not in ("voltage", "current"):
        raise ValueError(f"unit = {unit!r}: expected a unit of voltage or of current")
    if not np.isfinite(gain) or gain == 0:
        raise ValueError(f"gain = {gain!r}: expected a finite number other than 0")
    if window is not None and not 0 <= window[0] < window[1]:
        raise ValueError(f"window = {window!r}: expected (on, off) in ms, 0 <= on < off")
    found = Path(path).expanduser()
    other = None if partner is None else _existing(Path(partner).expanduser())
    asked = Asked(clamp, voltage_unit, current_unit, other, channel, command, unit)
    waves = _waves(found)
    if waves:
        traces = read_ibw_folder(waves, asked)
    else:
        traces = format_of(_existing(found)).read(found, asked)
    if not traces:
        raise RecordingError(f"{found}: no sweeps; expected at least one")
    traces = [_scaled(_windowed(t, window), gain) for t in _begun(traces)]
    return checked(together(traces))


def _begun(traces: list[Trace]) -> list[Trace]:
    """The sweeps with the times at which they began; one after the other where no file says so."""
    starts = [t.start_ms for t in traces]
    told = [s for s in starts if s is not None]
    if len(told) == len(starts) and all(np.diff(told) > 0):
        return traces
    ends = np.cumsum([0.0, *(t.duration_ms for t in traces)])
    return [replace(t, start_ms=float(s)) for t, s in zip(traces, ends, strict=False)]


def _windowed(trace: Trace, window: tuple[float, float] | None) -> Trace:
    if window is None:
        return trace
    if window[1] > trace.duration_ms + trace.dt_ms:
        raise ValueError(
            f"window = {window!r}: sweep {trace.sweep} of {trace.origin.path} ends at "
            f"{trace.duration_ms:g} ms"
        )
    return replace(trace, window=(float(window[0]), float(window[1])))


def _scaled(trace: Trace, gain: float) -> Trace:
    """What was measured, multiplied."""
    if gain == 1.0:
        return trace
    field = "v_mV" if trace.clamp == "current" else "i_pA"
    return replace(trace, **{field: gain * getattr(trace, field)})


def _waves(path: Path) -> list[Path]:
    """The Igor waves of a folder or of a pattern such as `cell/*_Ch0_*.ibw`; empty for a file."""
    if path.is_dir():
        waves = sorted(p for p in path.iterdir() if p.suffix.lower() == ".ibw")
        if not waves:
            raise RecordingError(
                f"{path}: is a folder without Igor waves; expected a recording or .ibw files"
            )
        return waves
    if path.exists() or not glob.has_magic(str(path)):
        return []
    waves = [Path(p) for p in sorted(glob.glob(str(path))) if p.lower().endswith(".ibw")]
    if not waves:
        raise RecordingError(f"{path}: matches no .ibw file; expected a pattern of Igor waves")
    return waves


def _existing(path: Path) -> Path:
    if not path.exists():
        raise RecordingError(f"{path}: no such file; expected a recording")
    if not path.is_file():
        raise RecordingError(f"{path}: is not a file; expected a recording")
    return path
