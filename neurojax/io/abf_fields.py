"""What a header of the Axon Binary Format can say, of either version: channels, outputs, sweeps.

Source: the ABF user guide and header (abfheadr.h) of Molecular Devices, for both versions.
"""

from __future__ import annotations

import re
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.io.source import Clamp
from neurojax.recording.trace import RecordingError

BLOCK = 512

_FIRST_OF_LIST = 11
"""The number of the first parameter of an epoch in a user list; those before concern no level."""

_EVENTS = 1
"""The mode of acquisition in which sweeps are as long as their events."""

MULTICLAMP = 24
MODES = {0: "voltage", 1: "current", 2: "current"}
"""The telegraphed mode of a MultiClamp; 2 is I = 0."""


class Input(NamedTuple):
    """A channel that was recorded: its samples are `gain * number + offset`, in its unit."""

    number: int  # of the converter, physically
    name: str
    unit: str
    gain: float
    offset: float
    clamp: Clamp | None  # what the amplifier telegraphed


class Epoch(NamedTuple):
    """An epoch of an output's table; durations, period and width in samples of one channel."""

    letter: str
    type: int
    level: float
    level_step: float  # from sweep to sweep
    samples: int
    samples_step: int
    period: int
    width: int


class UserList(NamedTuple):
    """What varies from sweep to sweep by a list: a field of an epoch, or `field` is ""."""

    epoch: int
    field: str  # "level", "samples", "period" or "width"
    values: tuple[str, ...]
    repeats: bool


class Played(NamedTuple):
    """A stimulus file that an output played."""

    path: str
    scale: float
    offset: float
    sweep: int  # 0: all in turn; -1: all but the first; n: always that one
    channel: int


class Output(NamedTuple):
    """An analog output: what it is called, where it holds, and what it plays."""

    number: int
    name: str
    unit: str
    holding: float
    source: int  # 0: nothing, 1: its epochs, 2: a file
    keeps_last: bool  # stays at the last epoch's level between sweeps
    after_train: float | None  # where sweeps begin that follow a train of conditioning pulses
    epochs: tuple[Epoch, ...]
    user_list: UserList | None
    played: Played | None
    leak: str  # how its leak was taken off the current, as "P/4"; "" where it was not


class Header(NamedTuple):
    """All of a header that matters here."""

    version: str
    dt_ms: float
    mode: int  # 5 is episodic, 3 without gaps, 1 events of any length
    protocol: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    starts_ms: tuple[float, ...] | None  # of the sweeps, where the file says so
    lengths: tuple[int, ...]  # samples of each sweep
    episodes: int  # of a run: sweeps beyond them were added later and have no stimulus
    alternates: bool  # outputs 0 and 1 play by turns
    at: int  # byte of the first sample
    dtype: Any


class Bytes:
    """Numbers and texts of a file, by where they are; RecordingError beyond its end."""

    def __init__(self, path: Path):
        self.path, self.raw = path, path.read_bytes()

    def get(self, kind: str, at: int) -> tuple[Any, ...]:
        if at < 0 or at + struct.calcsize("<" + kind) > len(self.raw):
            raise RecordingError(
                f"{self.path}: its header ends at byte {len(self.raw)}, before what is at {at}; "
                "expected a whole ABF file, so it is truncated or damaged"
            )
        return struct.unpack_from("<" + kind, self.raw, at)

    def one(self, kind: str, at: int) -> Any:
        return self.get(kind, at)[0]

    def text(self, at: int, n: int) -> str:
        return plain(self.get(f"{n}s", at)[0])


def plain(raw: bytes) -> str:
    """Text of a header, up to its first NUL and without blanks around it."""
    return raw.split(b"\0")[0].decode("latin-1").strip()


def equal_lengths(
    data: Bytes, at: int, points: int, size: int, sweeps: int, channels: int, mode: int
) -> tuple[int, ...]:
    """Samples of each sweep, of equal lengths; RecordingError for more than the file holds."""
    sweeps = 1 if mode == 3 else max(sweeps, 1)
    whole = len(data.raw)
    if not 0 < channels <= 64 or at < 0 or not 0 < points * size <= whole - at:
        raise RecordingError(
            f"{data.path}: the header promises {points} samples of {size} bytes from byte {at} on, "
            f"of {channels} channels, but the file has {whole} bytes; expected a whole ABF file, "
            "so it is truncated or damaged"
        )
    if not 0 < sweeps * channels <= points:
        raise RecordingError(
            f"{data.path}: the header promises {sweeps} sweeps of {channels} channels, but "
            f"{points} samples; expected a whole ABF file, so it is truncated or damaged"
        )
    return (points // (sweeps * channels),) * sweeps


def timed(
    synch: list[tuple[int, int]],
    lengths: tuple[int, ...],
    *,
    unit_ms: float,
    every_ms: float,
    channels: int,
    points: int,
    mode: int,
) -> tuple[tuple[float, ...] | None, tuple[int, ...]]:
    """When sweeps began (ms) and how long they are, from the table of the acquisition.

    That has the beginning of each, in `unit_ms`, and its samples of all channels, of which the file
    has `points`.
    """
    if len(synch) == len(lengths):
        told = [n for _, n in synch]
        if mode == _EVENTS and min(told) >= channels and sum(told) <= points:
            lengths = tuple(n // channels for n in told)
        starts = [unit_ms * start for start, _ in synch]
        if all(b > a for a, b in pairwise(starts)):
            return tuple(starts), lengths
    if np.isfinite(every_ms) and every_ms > 0:
        return tuple(every_ms * k for k in range(len(lengths))), lengths
    return None, lengths


def step_of(data: Bytes, number: int, factor: float, range_V: float, resolution: int) -> float:
    """What one step of the converter is, in the channel's unit."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gain = float(np.float64(range_V) / (np.float64(factor) * resolution))
    if not np.isfinite(gain) or not gain:
        raise RecordingError(
            f"{data.path}: channel {number} has a gain of {factor:g}, a range of {range_V:g} V and "
            f"{resolution} steps; expected numbers other than 0"
        )
    return gain


def leak_of(kind: int, pulses: int) -> str:
    """How leak was subtracted while recording: the kind is 1 for P/N, 2 by a resistance."""
    if kind == 2:
        return "by a resistance"
    return f"P/{abs(pulses) or 'N'}" if kind == 1 else ""


def plausible(value: float) -> float:
    """A holding level; bytes that never were one are 0."""
    return float(value) if np.isfinite(value) and 1e-6 < abs(value) < 1e6 else 0.0


def user_list(room: int, parameter: int, text: str, repeats: int) -> UserList | None:
    """What a list varies, its parameters being numbered with room for so many epochs.

    None where that concerns no epoch.
    """
    k = parameter - _FIRST_OF_LIST
    fields = ("", "level", "samples", "period", "width")
    if not 0 <= k < room * len(fields) or not fields[k // room]:
        return None
    values = tuple(word.strip() for word in re.split(r"[,;]", text) if word.strip())
    return UserList(k % room, fields[k // room], values, bool(repeats))
