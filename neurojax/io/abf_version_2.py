"""The header of an Axon Binary Format file of version 2: sections, whose places a table tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neurojax.io.abf_fields import (
    BLOCK,
    MODES,
    MULTICLAMP,
    Bytes,
    Epoch,
    Header,
    Input,
    Output,
    Played,
    UserList,
    equal_lengths,
    leak_of,
    plausible,
    step_of,
    timed,
    user_list,
)
from neurojax.recording.trace import RecordingError

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


_EPOCHS = (((2, 9), 50), ((0, 0), 10))
"""How many epochs a table has room for, since which version: pClamp 11 writes 2.9."""


def version_2(data: Bytes) -> Header:
    """What a header of version 2 says. Raises RecordingError where it is not whole."""
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
    inputs = tuple(_input(data, at, protocol, word) for at in rows("inputs"))
    block, size, points = found["data"]
    at = block * BLOCK
    lengths = equal_lengths(data, at, points, size, data.one("I", 12), len(inputs), mode)
    # More entries than sweeps tell nothing of them: not even how they are laid out.
    counted = found["synch"][2] == len(lengths)
    synch: Any = [data.get("ii", row) for row in rows("synch")] if counted else []
    starts, lengths = timed(
        synch,
        lengths,
        unit_ms=1e-3 * (data.one("f", protocol + 14) or interval / max(len(inputs), 1)),
        every_ms=1e3 * data.one("f", protocol + 62),
        channels=len(inputs),
        points=points,
        mode=mode,
    )
    epochs = [
        (data.one("h", row + 2), Epoch(chr(ord("A") + data.one("h", row) % 26), *fields))
        for row in rows("epochs")
        for fields in [data.get("hffiiii", row + 4)]
    ]
    major, minor = data.raw[7], data.raw[6]
    room = next(n for first, n in _EPOCHS if (major, minor) >= first)
    lists = dict(_list(data, row, room, word) for row in rows("lists"))
    return Header(
        f"{major}.{minor}",
        interval * 1e-3,
        mode,
        Path(word(data.one("I", 72)).replace("\\", "/")).stem,
        inputs,
        tuple(_output(data, at, epochs, lists, word) for at in rows("outputs")),
        starts,
        lengths,
        data.one("i", protocol + 30) or len(lengths),
        bool(data.one("h", protocol + 182)),
        at,
        np.dtype("<f4" if data.one("h", 30) == 1 else "<i2"),
    )


def _strings(data: Bytes, block: int, size: int, n: int) -> list[str]:
    """The texts that other sections name by number, from 1."""
    start = block * BLOCK
    raw = data.raw[start : start + size]
    if not n or not raw.startswith(b"SSCH"):
        raise RecordingError(
            f"{data.path}: its table of strings is missing; expected a whole ABF file, so it is "
            "truncated or damaged"
        )
    return [part.decode("latin-1").strip() for part in raw[44:].split(b"\0")]


def _input(data: Bytes, at: int, protocol: int, word: Any) -> Input:
    number, telegraphs, instrument = data.get("hhh", at)
    factor = data.one("f", at + 28) * data.one("f", at + 40) * data.one("f", at + 48)
    clamp: Any = None
    if telegraphs:
        factor *= data.one("f", at + 6)
        if instrument == MULTICLAMP:
            clamp = MODES.get(data.one("h", at + 18))
    range_V, resolution = data.one("f", protocol + 110), data.one("i", protocol + 118)
    return Input(
        number,
        word(data.one("i", at + 74)),
        word(data.one("i", at + 78)),
        step_of(data, number, factor, range_V, resolution),
        data.one("f", at + 44) - data.one("f", at + 52),
        clamp,
    )


def _output(data: Bytes, at: int, epochs: Any, lists: dict[int, Any], word: Any) -> Output:
    number, enabled = data.one("h", at), data.one("h", at + 40)
    source = data.one("h", at + 42) if enabled else 0
    scale, offset, sweep, channel = data.get("ffih", at + 46)
    trained = data.one("h", at + 60) and data.one("f", at + 82) > 0
    return Output(
        number,
        word(data.one("i", at + 24)),
        word(data.one("i", at + 28)),
        plausible(data.one("f", at + 12)),
        source,
        bool(data.one("h", at + 44)),
        plausible(data.one("f", at + 86)) if trained else None,
        tuple(e for output, e in epochs if output == number),
        lists.get(number),
        Played(word(data.one("i", at + 118)), scale, offset, sweep, channel)
        if source == 2
        else None,
        leak_of(data.one("h", at + 92), data.one("h", at + 104)),
    )


def _list(data: Bytes, at: int, room: int, word: Any) -> tuple[int, UserList | None]:
    """The output that a user list belongs to, and the list.

    Clampex writes only lists that are in use, and all the same 0 where the format has "enabled".
    """
    number, _, parameter, repeats, index = data.get("hhhhi", at)
    return number, user_list(room, parameter, word(index), repeats)
