"""A recording as a rig wrote it, where nothing says yet which channel is what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.io.evidence import Blocks, blocks
from neurojax.io.source import NATIVE, Clamp, convert, spelled
from neurojax.recording.trace import RecordingError

_ANOTHER = re.compile(
    r"(?i)trig|ttl|sync|light|led\b|laser|opto|shutter|photo|digital|temp|piezo|stim|lfp|eeg"
)
"""A voltage of such a name is no membrane."""

COMMAND_NAME = re.compile(r"(?i)cmd|command|protocol|v_?hold|inj")
_MOST_MV = 500.0
"""A voltage that goes beyond is no potential of a membrane, and nobody's command."""


class Recorded(NamedTuple):
    """A channel that was recorded, in its own unit."""

    name: str
    unit: str
    sweeps: list[np.ndarray]
    number: int  # of the converter, or its place in the file
    clamp: Clamp | None = None  # what the amplifier says it was


class Output(NamedTuple):
    """What an output of the amplifier commanded, in its own unit."""

    name: str
    unit: str
    number: int
    sweeps: list[np.ndarray]
    unknown: str = ""  # why it is not known what it commanded
    leak: str = ""  # how leak was taken off the current that it drove, as "P/4"


class Recording(NamedTuple):
    """A file as the rig wrote it."""

    path: Path
    kind: str
    note: str
    dt_ms: float
    recorded: list[Recorded]
    outputs: list[Output]
    starts_ms: Sequence[float] | None
    name: str


class Told(NamedTuple):
    """What has to be said about the choice."""

    sentences: list[str]

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


def is_other(recording: Recording, channel: Recorded) -> bool:
    """Whether a voltage is a trigger, a light or the like."""
    scale = convert(1.0, channel.unit, "mV", "")
    far = max(float(np.nanmax(np.abs(s), initial=0.0)) for s in channel.sweeps) * scale
    return bool(far > _MOST_MV or (_ANOTHER.search(channel.name) and len(recording.recorded) > 1))


def native(
    recording: Recording, chosen: Recorded | Output, what: str, unit: str | None
) -> list[np.ndarray]:
    """The sweeps in mV or pA, from the caller's unit or the file's."""
    where = f"{recording.path}, {chosen.name!r}"
    return [convert(s, unit or chosen.unit, NATIVE[what], where) for s in chosen.sweeps]


def blocks_of(recording: Recording, chosen: Recorded, what: str) -> Blocks:
    return blocks(native(recording, chosen, what, None), recording.dt_ms)


def named(recording: Recording, found: Sequence[Any], name: str | int, what: str) -> Any:
    """The channel or output of a name or number."""
    text = str(name)
    hits = [r for r in found if r.name == text] or [
        r for r in found if r.name.lower() == text.lower()
    ]
    if not hits and text.isdigit():
        hits = [r for r in found if r.number == int(text)][:1]
    if len(hits) != 1:
        have = ", ".join(f"{r.name!r} (number {r.number})" for r in found) or "none"
        raise RecordingError(f"{recording.path}: {what}={name!r}: expected one of {have}")
    return hits[0]


def inventory(recording: Recording) -> str:
    """All channels and outputs with their units, as people say it."""
    recorded = ", ".join(f"{r.name!r} in {spelled(r.unit)!r}" for r in recording.recorded)
    outputs = ", ".join(f"{o.name!r} in {spelled(o.unit)!r}" for o in recording.outputs)
    return f"{recorded}; outputs {outputs or 'none'}"
