"""HEKA PatchMaster and WinWCP, through Myokit; what a PatchMaster commanded, by ourselves."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.io.channels import traces_of
from neurojax.io.heka_stimulus import Commanded, stimuli
from neurojax.io.rig import Output, Recorded, Recording
from neurojax.io.source import NATIVE, Asked, Clamp, needs, quantity, reading
from neurojax.recording.trace import RecordingError, Trace

_EXTRA = "io-more"


class _Source(NamedTuple):
    """Sweeps that belong together, and what they were commanded."""

    name: str
    sweeps: Any
    played: list[Commanded] = []
    begun_ms: float = 0.0


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
            played = stimuli(path)
            series = [(group, one) for group in file for one in group]
            begun = [one[0].time() for _, one in series if len(one)]
            sources = [
                _Source(
                    f"{group.label()}/{one.label()}",
                    one,
                    _played(one, played),
                    1e3 * (one[0].time() - begun[0]).total_seconds() if len(one) else 0.0,
                )
                for group, one in series
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
        return _all_of(path, "WCP", [_Source(path.stem, WcpFile(str(path)))], asked)


def _played(series: Any, played: list[list[Commanded]]) -> list[Commanded]:
    """What the outputs of a series commanded."""
    number = getattr(series[0], "_stimulus_id", -1) if len(series) else -1
    return played[number] if 0 <= number < len(played) else []


def _all_of(path: Path, kind: str, sources: list[_Source], asked: Asked) -> list[Trace]:
    traces: list[Trace] = []
    failed: list[str] = []
    for source in sources:
        try:
            traces += traces_of(_recording(path, kind, source), asked)
        except (RecordingError, NotImplementedError) as error:
            failed.append(f"{source.name}: {str(error).removeprefix(f'{path}: ')}")
    if not traces:
        raise RecordingError(f"{path}: no series to read; {'; '.join(failed[:5]) or 'it is empty'}")
    told = (f"series left out: {'; '.join(failed[:5])}",) if failed else ()
    return [replace(t, warnings=(*t.warnings, *told)) for t in traces]


def _recording(path: Path, kind: str, told: _Source) -> Recording:
    """What Myokit calls a source of sweeps, as a rig wrote it."""
    name, source = told.name, told.sweeps
    clamps: set[Clamp | None] = {p.clamp for p in told.played}
    clamp = clamps.pop() if len(clamps) == 1 else None
    if not source.sweep_count() or not source.channel_count():
        raise RecordingError(f"{path}: has no sweeps")
    recorded: list[Recorded] = []
    times: list[np.ndarray] = []
    names, units = source.channel_names(), source.channel_units()
    for k in range(source.channel_count()):
        times, sweeps = _sampled(source, k)
        recorded.append(Recorded(names[k], _unit(units[k]), _arrays(sweeps), k, clamp))
    to_ms = 1e3 if str(source.time_unit()) == "[s]" else 1.0
    first = np.asarray(times[0], float)
    if first.size < 2:
        raise RecordingError(f"{path}: {name} has {first.size} samples; expected at least two")
    dt_ms = float(f"{to_ms * (first[-1] - first[0]) / (first.size - 1):.9g}")
    starts = [told.begun_ms + to_ms * float(t[0]) for t in times]
    outputs = [_output(recorded, k, p) for k, p in enumerate(told.played)]
    return Recording(path, kind, "myokit", dt_ms, recorded, outputs, starts, name)


def _sampled(source: Any, k: int) -> tuple[Any, Any]:
    """Times and samples of a channel in each sweep; of a PatchMaster's also those not planned."""
    if not hasattr(source, "stimulus"):
        return source.channel(k)
    sweeps: list[Any] = list(source)
    if any(len(sweep) <= k for sweep in sweeps):
        raise RecordingError("its sweeps have different channels")
    begun = [(sweep.time() - sweeps[0].time()).total_seconds() for sweep in sweeps]
    times = [t + sweep[k].times() for t, sweep in zip(begun, sweeps, strict=True)]
    return times, [sweep[k].values() for sweep in sweeps]


def _output(recorded: list[Recorded], k: int, played: Commanded) -> Output:
    """An output; its number is that of the channel that responds to it."""
    name = f"Stim-{k + 1}"
    answers = NATIVE.keys() - {quantity(played.unit)}
    number = next((r.number for r in recorded if quantity(r.unit) in answers), k)
    sizes = [s.size for s in recorded[0].sweeps]
    sweeps, unknown = played.sweeps[: len(sizes)], played.unknown
    if not unknown and len(sweeps) < len(sizes):
        unknown = f"has {len(sweeps)} sweeps, but {len(sizes)} were recorded"
    for place, (sweep, size) in enumerate(zip(sweeps, sizes, strict=False)):
        if size < sweep.size and place == len(sizes) - 1:
            sweeps[place] = sweep[:size]  # it was stopped
        elif size != sweep.size and not unknown:
            unknown = f"has {sweep.size} samples in sweep {place}, but {size} were recorded"
    return Output(name, played.unit, number, sweeps, unknown and f"the output {name!r} {unknown}")


def _arrays(sweeps: Any) -> list[np.ndarray]:
    return [np.asarray(s, np.float64) for s in sweeps]


def _unit(unit: Any) -> str:
    """Myokit writes `[mV]`."""
    return "" if unit is None else str(unit).strip("[]")
