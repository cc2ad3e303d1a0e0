"""Axon Binary Format, versions 1 and 2, through pyabf."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.io.source import (
    NATIVE,
    OTHER,
    Asked,
    convert,
    is_measured,
    needs,
    origin,
    quantity,
)
from neurojax.io.source import reading as guarded
from neurojax.recording.trace import RecordingError, Trace


def read_abf(path: Path, asked: Asked) -> list[Trace]:
    """Every sweep of the first channel that has a matching command: mV with pA, or pA with mV.

    The stimulus is the amplifier's command; where that is not in the file, a recorded channel.
    Raises RecordingError for a damaged file, or when no channel makes a clamp experiment.
    """
    try:
        import pyabf
    except ImportError as error:
        raise needs("pyabf", path) from error
    with warnings.catch_warnings(), guarded(path, "ABF"):
        warnings.simplefilter("ignore")  # pyabf's own, such as a stimulus file it cannot find
        _check_sweep_count(path)
        _check_size(pyabf.ABF(str(path), loadData=False), path)
        abf = pyabf.ABF(str(path))
        return _traces(abf, path, asked)


def _check_sweep_count(path: Path) -> None:
    """Refuse a header that promises more sweeps than there are samples, before pyabf lists them."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(20)
    # lActualEpisodes: at byte 12 of version 2, at byte 16 of version 1.
    (count,) = struct.unpack_from("<I", head, 12 if head.startswith(b"ABF2") else 16)
    if count > size // 2:
        raise RecordingError(
            f"{path}: the header promises {count} sweeps, but the file has {size} bytes; expected "
            "a whole ABF file, so it is truncated or damaged"
        )


def _check_size(header: Any, path: Path) -> None:
    """Refuse a header that promises more samples than the file holds, before pyabf reads them."""
    size = path.stat().st_size
    needed = header.dataByteStart + header.dataPointCount * header.dataPointByteSize
    if not 0 < needed <= size or not 0 < header.sweepCount <= header.dataPointCount:
        raise RecordingError(
            f"{path}: the header promises {header.sweepCount} sweeps in {needed} bytes, but the "
            f"file has {size}; expected a whole ABF file, so it is truncated or damaged"
        )


def _unit(units: list[str], channel: int, asked: Asked) -> str | None:
    """The unit of a channel, corrected by the caller's word for its quantity."""
    unit = units[channel] if channel < len(units) else None
    what = quantity(unit)
    return asked.unit(what, unit) if what in NATIVE else unit


def _traces(abf: Any, path: Path, asked: Asked) -> list[Trace]:
    measured = {c: quantity(_unit(abf.adcUnits, c, asked)) for c in abf.channelList}
    driven = {c: quantity(_unit(abf.dacUnits, c, asked)) for c in abf.channelList}
    channel = _channel(abf, path, measured, driven, asked)
    response = str(measured[channel])
    clamp = OTHER[response]
    stimulus = next((c for c in abf.channelList if measured[c] == clamp), None)
    responses = [_sweep(abf, path, s, channel, asked) for s in abf.sweepList]
    if driven[channel] == clamp:
        commands = [_command(abf, path, s, channel, asked) for s in abf.sweepList]
        holding = float(
            convert(
                abf.holdingCommand[channel], _unit(abf.dacUnits, channel, asked), NATIVE[clamp], ""
            )
        )
        silent = all(np.ptp(c) == 0 for c in commands)
    else:
        commands, holding, silent = [], None, True
    from_channel = silent and stimulus is not None
    if from_channel and stimulus is not None:
        commands = [_sweep(abf, path, s, stimulus, asked) for s in abf.sweepList]
        holding = None
    note = f"pyabf; ABF {abf.abfVersionString}; response from {abf.adcNames[channel]!r}"
    if len(abf.channelList) > 1 and not from_channel:
        others = [abf.adcNames[c] for c in abf.channelList if c != channel]
        note += f"; other recorded channels not used: {others}"
    source = origin(path, f"ABF{abf.abfVersion['major']}", note)
    return [
        Trace(
            clamp=clamp,  # pyright: ignore[reportArgumentType]
            dt_ms=1e3 / abf.dataRate,
            v_mV=v if response == "voltage" else c,
            i_pA=c if response == "voltage" else v,
            name=abf.protocol,
            sweep=int(s),
            holding=float(np.median(c[: max(1, c.size // 20)])) if holding is None else holding,
            commanded=not (from_channel and is_measured(c)),
            origin=source,
        )
        for s, v, c in zip(abf.sweepList, responses, commands, strict=True)
    ]


def _channel(
    abf: Any, path: Path, measured: dict[str, Any], driven: dict[str, Any], asked: Asked
) -> int:
    """The response channel: one with a matching command, else with a matching recorded channel."""
    wanted = (OTHER[asked.clamp],) if asked.clamp else ("voltage", "current")
    for channel in abf.channelList:
        if measured[channel] in wanted and driven[channel] == OTHER[measured[channel]]:
            return channel
    for response in wanted:
        channels = [c for c in abf.channelList if measured[c] == response]
        if channels and OTHER[response] in measured.values():
            return channels[0]
    found = ", ".join(
        f"{abf.adcNames[c]!r} in {abf.adcUnits[c]!r} with command in "
        f"{abf.dacUnits[c] if c < len(abf.dacUnits) else 'no unit'!r}"
        for c in abf.channelList
    )
    kind = f"{asked.clamp}-clamp " if asked.clamp else ""
    raise RecordingError(
        f"{path}: no {kind}channel; expected a voltage with a current command, or a current with a "
        f"voltage command, but found {found}"
    )


def _sweep(abf: Any, path: Path, sweep: int, channel: int, asked: Asked) -> np.ndarray:
    abf.setSweep(sweep, channel=channel)
    unit = _unit(abf.adcUnits, channel, asked)
    where = f"{path}, sweep {sweep}, channel {abf.adcNames[channel]!r}"
    if not np.size(abf.sweepY):
        raise RecordingError(f"{where}: no samples; expected at least one")
    return convert(abf.sweepY, unit, NATIVE[str(quantity(unit))], where)


def _command(abf: Any, path: Path, sweep: int, channel: int, asked: Asked) -> np.ndarray:
    abf.setSweep(sweep, channel=channel)
    command = np.asarray(abf.sweepC, dtype=np.float64)
    unit = _unit(abf.dacUnits, channel, asked)
    where = f"{path}, sweep {sweep}, command {abf.dacNames[channel]!r}"
    if command.size and np.isnan(command).all():
        raise RecordingError(
            f"{where}: the stimulus was played from a separate file that is not beside it; "
            "put that .abf or .atf file into the same folder"
        )
    return convert(command, unit, NATIVE[str(quantity(unit))], where)
