"""HEKA PatchMaster and WinWCP, through Myokit: channels, and what its outputs reconstruct."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.io.channels import traces_of
from neurojax.io.rig import Output, Recorded, Recording
from neurojax.io.source import Asked, needs, reading
from neurojax.recording.trace import RecordingError, Trace

_EXTRA = "io-more"


def read_heka(path: Path, asked: Asked) -> list[Trace]:
    """Every whole series of a PatchMaster file, each under its own name, group and all.

    A series that holds no clamp experiment is left out and named in the others' warnings.
    Raises RecordingError for a damaged file, or where no series is left.
    """
    try:
        from myokit.formats.heka import PatchMasterFile
    except ImportError as error:
        raise needs("myokit", path, _EXTRA) from error
    with warnings.catch_warnings(), reading(path, "HEKA PatchMaster"):
        warnings.simplefilter("ignore")  # Myokit's own, on what it does not know
        # Made in two steps: Myokit leaves a file open that it cannot read.
        file: Any = object.__new__(PatchMasterFile)
        try:
            file.__init__(str(path))
            sources = [
                (f"{group.label()}/{series.label()}", series) for group in file for series in group
            ]
            return _all_of(path, "HEKA", sources, asked)
        finally:
            if hasattr(file, "_handle"):
                file.close()


def read_wcp(path: Path, asked: Asked) -> list[Trace]:
    """Every record of a WinWCP file of version 9. Raises RecordingError for a damaged file."""
    try:
        from myokit.formats.wcp import WcpFile
    except ImportError as error:
        raise needs("myokit", path, _EXTRA) from error
    with warnings.catch_warnings(), reading(path, "WinWCP"):
        warnings.simplefilter("ignore")
        return _all_of(path, "WCP", [(path.stem, WcpFile(str(path)))], asked)


def _all_of(path: Path, kind: str, sources: list[tuple[str, Any]], asked: Asked) -> list[Trace]:
    traces: list[Trace] = []
    failed: list[str] = []
    for name, source in sources:
        try:
            traces += traces_of(_recording(path, kind, name, source), asked)
        except RecordingError as error:
            failed.append(f"{name}: {str(error).removeprefix(f'{path}: ')}")
    if not traces:
        raise RecordingError(f"{path}: no series to read; {'; '.join(failed[:5]) or 'it is empty'}")
    told = (f"series left out: {'; '.join(failed[:5])}",) if failed else ()
    return [replace(t, warnings=(*t.warnings, *told)) for t in traces]


def _recording(path: Path, kind: str, name: str, source: Any) -> Recording:
    """What Myokit calls a source of sweeps, as a rig wrote it."""
    if not source.sweep_count() or not source.channel_count():
        raise RecordingError(f"{path}: has no sweeps")
    recorded: list[Recorded] = []
    times: list[np.ndarray] = []
    names, units = source.channel_names(), source.channel_units()
    for k in range(source.channel_count()):
        times, sweeps = source.channel(k)
        recorded.append(Recorded(names[k], _unit(units[k]), _arrays(sweeps), k))
    to_ms = 1e3 if str(source.time_unit()) == "[s]" else 1.0
    first = np.asarray(times[0], float)
    if first.size < 2:
        raise RecordingError(f"{path}: {name} has {first.size} samples; expected at least two")
    dt_ms = float(f"{to_ms * (first[-1] - first[0]) / (first.size - 1):.9g}")
    starts = [to_ms * float(t[0]) for t in times]
    return Recording(path, kind, "myokit", dt_ms, recorded, _outputs(source), starts, name)


def _outputs(source: Any) -> list[Output]:
    """The outputs, as far as Myokit can reconstruct them."""
    try:
        count, names, units = source.da_count(), source.da_names(), source.da_units()
    except Exception:  # Myokit has an exception of its own for each thing it cannot tell
        return []
    found = []
    for k in range(count):
        try:
            _, sweeps = source.da(k)
        except Exception as error:
            found.append(Output(names[k], _unit(units[k]), k, [], f"output {names[k]!r}: {error}"))
        else:
            found.append(Output(names[k], _unit(units[k]), k, _arrays(sweeps)))
    return found


def _arrays(sweeps: Any) -> list[np.ndarray]:
    return [np.asarray(s, np.float64) for s in sweeps]


def _unit(unit: Any) -> str:
    """Myokit writes `[mV]`."""
    return "" if unit is None else str(unit).strip("[]")
