"""What the header of an Axon Binary Format file says, versions 1 and 2: channels, outputs, sweeps.

Read here byte by byte, so that a header is believed only as far as the file is long, and what other
readers pass over is known: holding levels, trains, user lists, stimulus files, times of sweeps.

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
_WHOLE_1 = 6144
"""Bytes of a header of version 1.6 and later; older ones end at 2048."""

_EPOCHS_OF_LIST = {1: 10, 2: 50}
"""How many epochs the numbering of a user list's parameters leaves room for, by version."""

_FIRST_OF_LIST = 11
"""The number of the first parameter of an epoch in a user list; those before concern no level."""

_MULTICLAMP = 24
_MODES = {0: "voltage", 1: "current", 2: "current"}
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
    epochs: tuple[Epoch, ...]
    user_list: UserList | None
    played: Played | None


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


class _Bytes:
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


def read_header(path: Path) -> Header:
    """Raises RecordingError for a header that is not whole or promises more than the file holds."""
    data = _Bytes(path)
    header = _version_2(data) if data.raw[:4] == b"ABF2" else _version_1(data)
    if not (np.isfinite(header.dt_ms) and header.dt_ms > 0):
        raise RecordingError(
            f"{path}: the header's sampling interval is {header.dt_ms:g} ms; expected more than 0"
        )
    return header


def samples(path: Path, header: Header) -> list[np.ndarray]:
    """The numbers of each channel, `[sample]` over all sweeps, in the channels' units."""
    n = sum(header.lengths) * len(header.inputs)
    with open(path, "rb") as file:
        file.seek(header.at)
        raw = np.fromfile(file, header.dtype, n).reshape(-1, len(header.inputs))
    if raw.dtype.kind == "f":
        return [raw[:, k].astype(np.float64) for k in range(len(header.inputs))]
    return [raw[:, k] * x.gain + x.offset for k, x in enumerate(header.inputs)]


def _lengths(data: _Bytes, at: int, points: int, size: int, sweeps: int, channels: int, mode: int):
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


def _timed(
    synch: list[tuple[int, int]], unit_us: float, lengths: tuple[int, ...], mode: int, header: Any
) -> tuple[tuple[float, ...] | None, tuple[int, ...]]:
    """When sweeps began (ms) and how long they are, from the table of the acquisition."""
    channels, interval_us, every_s = header
    if len(synch) == len(lengths):
        if mode == 1 and sum(n for _, n in synch) <= sum(lengths) * channels:
            lengths = tuple(max(n // channels, 1) for _, n in synch)
        starts = [start * (unit_us or interval_us) * 1e-3 for start, _ in synch]
        if all(b > a for a, b in pairwise(starts)):
            return tuple(starts), lengths
    if np.isfinite(every_s) and every_s > 0:
        return tuple(1e3 * every_s * k for k in range(len(lengths))), lengths
    return None, lengths


# -- version 1: everything has its place -----------------------------------------------------------
def _version_1(data: _Bytes) -> Header:
    version, one = data.one("f", 4), data.one
    channels, mode = one("h", 120), one("h", 8)
    float_data = one("h", 100) == 1
    size = 4 if float_data else 2
    at = one("i", 40) * BLOCK + one("h", 14) * size
    lengths = _lengths(data, at, one("i", 10), size, one("i", 16), channels, mode)
    interval, second = one("f", 122), one("f", 126)
    if second and second != interval and one("i", 194) > 0:
        raise RecordingError(
            f"{data.path}: sampled every {interval:g} us and then every {second:g} us; expected "
            "one interval"
        )
    table, n = one("i", 92) * BLOCK, one("i", 96)
    inside = table > 0 and 0 < n <= len(lengths) and table + 8 * n <= len(data.raw)
    synch = [data.get("ii", table + 8 * k) for k in range(n)] if inside else []
    known = (channels, interval, one("f", 178))
    starts, lengths = _timed(synch, one("f", 130), lengths, mode, known)  # pyright: ignore[reportArgumentType]
    extended = version >= 1.6 and at >= _WHOLE_1
    outputs = tuple(_output_1(data, k, extended) for k in range(4))
    return Header(
        f"{version:.2f}",
        interval * channels * 1e-3,
        mode,
        Path(data.text(4898, 256).replace("\\", "/")).stem if extended else "",
        tuple(_input_1(data, number, extended) for number in data.get(f"{channels}h", 410)),
        outputs,
        starts,
        lengths,
        one("i", 146) or len(lengths),
        extended and bool(one("h", 5876)),
        at,
        np.dtype("<f4" if float_data else "<i2"),
    )


def _input_1(data: _Bytes, number: int, extended: bool) -> Input:
    if not 0 <= number < 16:
        raise RecordingError(f"{data.path}: records channel {number}; expected one of 0 to 15")
    f = {at: data.one("f", at + 4 * number) for at in (730, 922, 986, 1050, 1114)}
    factor = f[730] * f[922] * f[1050]
    clamp: Any = None
    if extended and data.one("h", 4512 + 2 * number):
        factor *= data.one("f", 4576 + 4 * number)
        if data.one("h", 4544 + 2 * number) == _MULTICLAMP:
            clamp = _MODES.get(data.one("h", 4768 + 2 * number))
    return Input(
        number,
        data.text(442 + 10 * number, 10),
        data.text(602 + 8 * number, 8),
        _gain(data, number, factor, data.one("f", 244), data.one("i", 252)),
        f[986] - f[1114],
        clamp,
    )


def _gain(data: _Bytes, number: int, factor: float, range_V: float, resolution: int) -> float:
    """What one step of the converter is, in the channel's unit."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gain = float(np.float64(range_V) / (np.float64(factor) * resolution))
    if not np.isfinite(gain) or not gain:
        raise RecordingError(
            f"{data.path}: channel {number} has a gain of {factor:g}, a range of {range_V:g} V and "
            f"{resolution} steps; expected numbers other than 0"
        )
    return gain


def _output_1(data: _Bytes, k: int, extended: bool) -> Output:
    source, keeps, epochs, listed, played = 0, False, (), None, None
    if extended and k < 2:
        enabled, source, keeps = (data.one("h", at + 2 * k) for at in (2296, 2300, 2304))
        source = source if enabled else 0
        places = ((2308, "h", 2), (2348, "f", 4), (2428, "f", 4))
        places += ((2508, "i", 4), (2588, "i", 4), (2136, "i", 4), (2216, "i", 4))
        epochs = _epochs(
            data, [[at + size * (10 * k + e) for at, _, size in places] for e in range(10)], places
        )
        if data.one("h", 3360 + 2 * k):
            parameter, repeats = data.one("h", 3368 + 2 * k), data.one("h", 4400 + 2 * k)
            listed = _user_list(1, parameter, data.text(3376 + 256 * k, 256), repeats)
        scale, offset = data.one("f", 2708 + 4 * k), data.one("f", 2716 + 4 * k)
        sweep, channel = data.one("i", 2724 + 4 * k), data.one("h", 2732 + 2 * k)
        played = Played(data.text(2736 + 256 * k, 256), scale, offset, sweep, channel)
    elif not extended and k == data.one("h", 1440):
        source, keeps = data.one("h", 1438), data.one("h", 1442)
        places = ((1444, "h", 2), (1464, "f", 4), (1504, "f", 4), (1544, "h", 2), (1564, "h", 2))
        epochs = _epochs(
            data, [[at + size * e for at, _, size in places] for e in range(10)], places
        )
        if data.one("h", 1966):
            listed = _user_list(1, data.one("h", 1762), data.text(1764, 80), False)
        scale, offset = data.get("ff", 1620)
        sweep, channel = data.get("hh", 1630)
        played = Played(data.text(1634, 84), scale, offset, sweep, channel)
    return Output(
        k,
        data.text(1306 + 10 * k, 10),
        data.text(1346 + 8 * k, 8),
        _level(data.one("f", 1394 + 4 * k)),
        source,
        bool(keeps),
        epochs,
        listed,
        played if source == 2 else None,
    )


def _epochs(data: _Bytes, rows: list[list[int]], places: Any) -> tuple[Epoch, ...]:
    """The epochs of which each row says where their fields are."""
    found = []
    for e, row in enumerate(rows):
        told = [data.one(kind, at) for at, (_, kind, _) in zip(row, places, strict=True)]
        told += [0] * (7 - len(told))
        found.append(Epoch._make([chr(ord("A") + e % 26), *told]))
    return tuple(found)


def _level(value: float) -> float:
    """A holding level; bytes that never were one are 0."""
    return float(value) if np.isfinite(value) and 1e-6 < abs(value) < 1e6 else 0.0


def _user_list(version: int, parameter: int, text: str, repeats: int) -> UserList | None:
    """What a list varies; None where that concerns no epoch."""
    room, k = _EPOCHS_OF_LIST[version], parameter - _FIRST_OF_LIST
    fields = ("", "level", "samples", "period", "width")
    if not 0 <= k < room * len(fields) or not fields[k // room]:
        return None
    values = tuple(word.strip() for word in re.split(r"[,;]", text) if word.strip())
    return UserList(k % room, fields[k // room], values, bool(repeats))


# -- version 2: sections, each with its place, size and number of entries --------------------------
_SECTIONS = {
    "protocol": 76,
    "inputs": 92,
    "outputs": 108,
    "epochs": 156,
    "lists": 172,
    "strings": 220,
    "data": 236,
    "synch": 316,
}


def _version_2(data: _Bytes) -> Header:
    found = {name: data.get("IIq", at) for name, at in _SECTIONS.items()}
    strings = _strings(data, *found["strings"])

    def rows(name: str) -> list[int]:
        """Where the entries of a section are, in bytes."""
        block, size, n = found[name]
        start = block * BLOCK
        if n < 0 or n * size > len(data.raw) - start:
            raise RecordingError(
                f"{data.path}: the header promises {n} entries of {name}, but the file has "
                f"{len(data.raw)} bytes; expected a whole ABF file, so it is truncated or damaged"
            )
        return [start + k * size for k in range(n)] if size and block else []

    def word(index: int) -> str:
        return strings[index - 1] if 0 < index <= len(strings) else ""

    protocol = found["protocol"][0] * BLOCK
    mode, interval = data.one("h", protocol), data.one("f", protocol + 2)
    inputs = tuple(_input_2(data, at, protocol, word) for at in rows("inputs"))
    block, size, points = found["data"]
    at = block * BLOCK
    lengths = _lengths(data, at, points, size, data.one("I", 12), len(inputs), mode)
    every = data.one("f", protocol + 62)
    # More entries than sweeps tell nothing of them: not even how they are laid out.
    counted = found["synch"][2] == len(lengths)
    synch = [data.get("ii", row) for row in rows("synch")] if counted else []
    known = (len(inputs), interval / max(len(inputs), 1), every)
    starts, lengths = _timed(synch, data.one("f", protocol + 14), lengths, mode, known)  # pyright: ignore[reportArgumentType]
    epochs = [
        (data.one("h", row + 2), Epoch(chr(ord("A") + data.one("h", row) % 26), *fields))
        for row in rows("epochs")
        for fields in [data.get("hffiiii", row + 4)]
    ]
    lists = {data.one("h", row): row for row in rows("lists")}
    major, minor = data.raw[7], data.raw[6]
    return Header(
        f"{major}.{minor}",
        interval * 1e-3,
        mode,
        Path(word(data.one("I", 72)).replace("\\", "/")).stem,
        inputs,
        tuple(_output_2(data, at, epochs, lists, word) for at in rows("outputs")),
        starts,
        lengths,
        data.one("i", protocol + 30) or len(lengths),
        bool(data.one("h", protocol + 182)),
        at,
        np.dtype("<f4" if data.one("h", 30) == 1 else "<i2"),
    )


def _strings(data: _Bytes, block: int, size: int, n: int) -> list[str]:
    """The texts that other sections name by number, from 1."""
    start = block * BLOCK
    raw = data.raw[start : start + size]
    if not n or not raw.startswith(b"SSCH"):
        raise RecordingError(
            f"{data.path}: its table of strings is missing; expected a whole ABF file, so it is "
            "truncated or damaged"
        )
    return [part.decode("latin-1").strip() for part in raw[44:].split(b"\0")]


def _input_2(data: _Bytes, at: int, protocol: int, word: Any) -> Input:
    number, telegraphs, instrument = data.get("hhh", at)
    factor = data.one("f", at + 28) * data.one("f", at + 40) * data.one("f", at + 48)
    clamp: Any = None
    if telegraphs:
        factor *= data.one("f", at + 6)
        if instrument == _MULTICLAMP:
            clamp = _MODES.get(data.one("h", at + 18))
    range_V, resolution = data.one("f", protocol + 110), data.one("i", protocol + 118)
    return Input(
        number,
        word(data.one("i", at + 74)),
        word(data.one("i", at + 78)),
        _gain(data, number, factor, range_V, resolution),
        data.one("f", at + 44) - data.one("f", at + 52),
        clamp,
    )


def _output_2(data: _Bytes, at: int, epochs: Any, lists: dict[int, int], word: Any) -> Output:
    number, enabled = data.one("h", at), data.one("h", at + 40)
    source = data.one("h", at + 42) if enabled else 0
    listed = None
    if number in lists:
        _, on, parameter, repeats, index = data.get("hhhhi", lists[number])
        listed = _user_list(2, parameter, word(index), repeats) if on else None
    scale, offset, sweep, channel = data.get("ffih", at + 46)
    return Output(
        number,
        word(data.one("i", at + 24)),
        word(data.one("i", at + 28)),
        _level(data.one("f", at + 12)),
        source,
        bool(data.one("h", at + 44)),
        tuple(e for output, e in epochs if output == number),
        listed,
        Played(word(data.one("i", at + 118)), scale, offset, sweep, channel)
        if source == 2
        else None,
    )
