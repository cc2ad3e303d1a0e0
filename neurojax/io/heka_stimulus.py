"""What a HEKA PatchMaster file says that it commanded: the segments of its stimuli, sweep by sweep.

Read here, and not through Myokit, which takes the bits of a channel's flags for bytes, so that a
stimulus relative to holding became an absolute one, and knows no ramps.

Source: StimFile_v9 of HEKA, the records of a tree of stimuli.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.io.source import Clamp
from neurojax.recording.trace import RecordingError

_ITEMS_AT, _ITEMS = 64, 12  # of a bundle: start, size, kind
_LEVELS = 4  # root, stimulus, channel, segment
_STANDARD, _RELATIVE, _FILE = 1, 2, 4  # bits of how a channel goes out
_MODES: dict[int, Clamp] = {1: "voltage", 2: "current"}
_UNITS = {"V": "V", "A": "nA"}  # segments that are labelled A are in nA
_CLASSES = ("constant", "a ramp", "continuous", "a sine", "a square wave", "a chirp")
_STORED = 1
_MOST = 5e7  # samples of a segment, over all sweeps


class Commanded(NamedTuple):
    """What an output of a series commanded in each sweep, in `unit`; where unknown, why."""

    clamp: Clamp | None
    unit: str
    sweeps: list[np.ndarray]
    unknown: str = ""


class _Record(NamedTuple):
    """A record of a tree: where its bytes are, and those below it."""

    get: Callable[[str, int], Any]
    below: list[_Record]


def stimuli(path: Path) -> list[list[Commanded]]:
    """The outputs of each stimulus of a file. Raises RecordingError for a tree that is none."""
    raw = path.read_bytes()
    for k in range(_ITEMS):
        start, size, kind = struct.unpack_from("<ii8s", raw, _ITEMS_AT + 16 * k)
        if size > 0 and kind.split(b"\0")[0] == b".pgf":
            return [
                [_commanded(stimulus, channel) for channel in stimulus.below]
                for stimulus in _tree(path, raw, start).below
            ]
    return []


def _tree(path: Path, raw: bytes, start: int) -> _Record:
    order = ">" if raw[start : start + 4] == b"Tree" else "<"
    levels = struct.unpack_from(f"{order}i", raw, start + 4)[0]
    if levels != _LEVELS or raw[start : start + 4] not in (b"Tree", b"eerT"):
        raise RecordingError(f"{path}: its tree of stimuli is damaged")
    sizes = struct.unpack_from(f"{order}{levels}i", raw, start + 8)

    def record(at: int, depth: int) -> tuple[_Record, int]:
        def get(kind: str, place: int) -> Any:
            return struct.unpack_from(order + kind, raw, at + place)[0]

        if sizes[depth] < 0:
            raise RecordingError(f"{path}: its tree of stimuli is damaged")
        (n,) = struct.unpack_from(f"{order}i", raw, at + sizes[depth])
        after, below = at + sizes[depth] + 4, []
        if n and depth == _LEVELS - 1:
            raise RecordingError(f"{path}: its tree of stimuli is damaged")
        for _ in range(n):
            found, after = record(after, depth + 1)
            below.append(found)
        return _Record(get, below), after

    return record(start + 8 + 4 * levels, 0)[0]


def _commanded(stimulus: _Record, channel: _Record) -> Commanded:
    dt, n = stimulus.get("d", 112), stimulus.get("i", 144)
    label = channel.get("8s", 40).split(b"\0")[0].decode("latin-1")
    clamp, unit = _MODES.get(channel.get("b", 25)), str(_UNITS.get(label, label))
    try:
        return Commanded(clamp, unit, _sweeps(channel, dt, n))
    except ValueError as error:
        return Commanded(clamp, unit, [], str(error))


def _sweeps(channel: _Record, dt: float, n: int) -> list[np.ndarray]:
    """What was stored of each sweep. Raises ValueError for what cannot be worked out."""
    flags, holding = channel.get("H", 76), channel.get("d", 48)
    if not flags & _STANDARD or flags & _FILE:
        raise ValueError(f"plays {'a file' if flags & _FILE else 'without the standard scale'}")
    if not (np.isfinite(dt) and dt > 0 and 0 < n < 100_000 and np.isfinite(holding)):
        raise ValueError(f"has {n} sweeps at intervals of {dt:g} s")
    tables = []
    for segment in channel.below:
        kind, stored = segment.get("b", 4), segment.get("b", 5)
        if kind not in (0, 1):
            told = _CLASSES[kind] if 0 <= kind < len(_CLASSES) else "of an unknown kind"
            raise ValueError(f"has a segment that is {told}")
        levels = _varied(segment, n, 6, 8, "voltage")
        if segment.get("i", 16) == 1:
            levels = np.full(n, holding)
        elif flags & _RELATIVE:
            levels = levels + holding
        counts = np.rint(_varied(segment, n, 7, 36, "duration") / dt)
        if not (np.isfinite(levels).all() and counts.min() >= 0 and counts.sum() < _MOST):
            raise ValueError("has a segment without end")
        tables.append((kind, stored == _STORED, levels, counts.astype(int)))
    return [_one(tables, k, holding) for k in range(n)]


def _one(tables: list[Any], sweep: int, holding: float) -> np.ndarray:
    level, parts = holding, [np.zeros(0)]
    for kind, stored, levels, counts in tables:
        count = counts[sweep]
        if count and stored:
            ramp = level + (levels[sweep] - level) * np.arange(count) / count
            parts.append(ramp if kind == 1 else np.full(count, levels[sweep]))
        if count:
            level = levels[sweep]
    return np.concatenate(parts)


def _varied(segment: _Record, n: int, mode_at: int, at: int, what: str) -> np.ndarray:
    """A level or a duration in each sweep."""
    mode, first, source = segment.get("b", mode_at), segment.get("d", at), segment.get("i", at + 8)
    factor, step = segment.get("d", at + 12), segment.get("d", at + 20)
    if source > 1 or (source and what == "duration"):
        raise ValueError(f"takes the {what} of a segment from a parameter")
    if (mode >= 5 and factor != 1) or (mode in (2, 3, 7, 8) and step):
        raise ValueError(f"has a segment whose {what} varies by factors or interleaved")
    values = first + (0.0 if mode >= 5 else step) * np.arange(n)
    if mode == 1:
        return values[::-1]
    if mode == 4:
        order = np.empty(n, int)
        order[::2], order[1::2] = np.arange((n + 1) // 2), np.arange(n - 1, (n + 1) // 2 - 1, -1)
        return values[order]
    return values
