"""Which channel of a recording is the membrane and which the command, for formats that do not say.

Units, names, outputs and what moves decide; what was decided stands in the trace's origin, and what
was a guess is a warning. `channel`, `command`, `clamp` and the units of a caller overrule it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.io.evidence import Blocks, agree, alive, blocks, follows, like_a_command
from neurojax.io.source import NATIVE, OTHER, Asked, Clamp, convert, origin, quantity, spelled
from neurojax.io.sweeps import traces_from
from neurojax.recording.command import holding_of, is_measured
from neurojax.recording.trace import RecordingError, Trace

_ANOTHER = re.compile(
    r"(?i)trig|ttl|sync|light|led\b|laser|opto|shutter|photo|digital|temp|piezo|stim|lfp|eeg"
)
"""A voltage of such a name is no membrane."""

_COMMAND = re.compile(r"(?i)cmd|command|protocol|v_?hold|inj")
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


def traces_of(recording: Recording, asked: Asked) -> list[Trace]:
    """The sweeps of one cell: its response and the command that it had.

    Raises RecordingError where there is no response, or a command that nobody knows.
    """
    told = _Told([])
    clamp, response = _response(recording, asked, told)
    unit = asked.unit or asked.unit_of(OTHER[clamp])
    measured = _native(recording, response, OTHER[clamp], unit)
    command, name, holding = _command(recording, asked, clamp, response, measured, told)
    others = [
        f"{r.name!r} ({_kind(recording, r)})"
        for r in recording.recorded
        if r is not response and r.name != name
    ]
    note = f"{recording.note}; " if recording.note else ""
    note += f"response {response.name!r}, {clamp} clamp; command {name!r}"
    source = origin(
        recording.path,
        recording.kind,
        note + (f"; not used: {', '.join(others)}" if others else ""),
    )
    starts: Sequence[float | None] = recording.starts_ms or [None] * len(measured)
    return traces_from(
        recording.path,
        (
            {
                "clamp": clamp,
                "dt_ms": recording.dt_ms,
                "v_mV": m if clamp == "current" else c,
                "i_pA": c if clamp == "current" else m,
                "name": recording.name,
                "sweep": k,
                "holding": holding_of(c, recording.dt_ms) if holding is None else holding,
                "commanded": not is_measured(c),
                "origin": source,
                "warnings": tuple(told.sentences),
                "start_ms": start,
            }
            for k, (m, c, start) in enumerate(zip(measured, command, starts, strict=True))
        ),
    )


class _Told(NamedTuple):
    """What has to be said about the choice."""

    sentences: list[str]

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


# -- what was measured -----------------------------------------------------------------------------
def _response(recording: Recording, asked: Asked, told: _Told) -> tuple[Clamp, Recorded]:
    """How the cell was clamped, and the channel with its response."""
    if asked.channel is not None:
        chosen = _named(recording, recording.recorded, asked.channel, "channel")
        what = quantity(asked.unit or chosen.unit)
        if what not in NATIVE:
            raise RecordingError(
                f"{recording.path}: channel {chosen.name!r} is in {spelled(chosen.unit)!r}; "
                "expected a voltage or a current (unit= says which)"
            )
        clamp: Clamp = "current" if what == "voltage" else "voltage"
        if asked.clamp not in (None, clamp):
            raise RecordingError(
                f"{recording.path}: channel {chosen.name!r} is a {what}; expected a "
                f"{OTHER[str(asked.clamp)]}, the response of a {asked.clamp} clamp"
            )
        return clamp, chosen
    voltages, currents = (_of(recording, what) for what in ("voltage", "current"))
    clamp = asked.clamp or _clamp(recording, voltages, currents, told)
    found = voltages if clamp == "current" else currents
    if not found:
        raise RecordingError(
            f"{recording.path}: no {f'{asked.clamp}-clamp ' if asked.clamp else ''}channel; "
            "expected a voltage with a current command, or a current with a voltage command, but "
            f"found {_inventory(recording)}"
        )
    return clamp, _one_cell(recording, found, clamp, told)


def _of(recording: Recording, what: str) -> list[Recorded]:
    """The channels of a quantity that can be a cell's, or its command's."""
    found = [r for r in recording.recorded if quantity(r.unit) == what]
    if what == "current":
        return found
    usual = [r for r in found if not _is_other(recording, r)]
    # Where there is nothing else, a wrong gain is likelier than a trigger alone.
    return usual or (found if len(found) == len(recording.recorded) else [])


def _is_other(recording: Recording, channel: Recorded) -> bool:
    """Whether a voltage is a trigger, a light or the like."""
    scale = convert(1.0, channel.unit, "mV", "")
    far = max(float(np.nanmax(np.abs(s), initial=0.0)) for s in channel.sweeps) * scale
    return bool(far > _MOST_MV or (_ANOTHER.search(channel.name) and len(recording.recorded) > 1))


def _kind(recording: Recording, channel: Recorded) -> str:
    what = quantity(channel.unit)
    if what == "voltage" and _is_other(recording, channel):
        return f"in {spelled(channel.unit)}, a trigger, a light or the like"
    return f"in {spelled(channel.unit) or 'no unit'}"


def _clamp(
    recording: Recording, voltages: list[Recorded], currents: list[Recorded], told: _Told
) -> Clamp:
    """Current or voltage clamp, by all the evidence that there is."""
    if not voltages or not currents:
        return "voltage" if currents else "current"
    telegraphed: set[Clamp] = {r.clamp for r in (*voltages, *currents) if r.clamp}
    if len(telegraphed) == 1:
        return telegraphed.pop()
    votes = {"current": 0, "voltage": 0}
    for driven, response, kind in (
        (currents, voltages, "current"),
        (voltages, currents, "voltage"),
    ):
        votes[kind] += any(_COMMAND.search(r.name) for r in driven)
        for output in recording.outputs:
            played = blocks(output.sweeps, recording.dt_ms)
            if quantity(output.unit) != kind or not alive(played):
                continue
            linked = any(r.number == output.number for r in response)
            votes[kind] += 2 if linked else 1
            monitors = [_blocks(recording, r, kind) for r in driven]
            scaled = played.scaled(float(convert(1.0, output.unit, NATIVE[kind], "")))
            votes[kind] += 3 * any(follows(monitor, scaled) for monitor in monitors)
    i, v = (any(like_a_command(blocks(r.sweeps, recording.dt_ms)) for r in x)
            for x in (currents, voltages))  # fmt: skip
    votes["current"] += 3 * (i and not v)
    votes["voltage"] += 3 * (v and not i)
    clamp: Clamp = "voltage" if votes["voltage"] > votes["current"] else "current"
    if votes[OTHER[clamp]] or votes[clamp] < 2:
        told.say(
            f"taken for a {clamp} clamp by what moves and by the outputs' labels, which is a guess "
            f"({_inventory(recording)}); clamp= says which it is"
        )
    return clamp


def _one_cell(recording: Recording, found: list[Recorded], clamp: Clamp, told: _Told) -> Recorded:
    """The channel of one cell, of those that may be."""
    cells = [r for r in found if not (clamp == "current" and _COMMAND.search(r.name))] or found
    if len(cells) == 1:
        return cells[0]
    driving = {
        output.number
        for output in recording.outputs
        if quantity(output.unit) == clamp and alive(blocks(output.sweeps, recording.dt_ms))
    }
    moving = [r for r in cells if alive(blocks(r.sweeps, recording.dt_ms))]
    driven = [r for r in moving if r.number in driving]
    if len(driven) == 1:
        return driven[0]
    chosen = (driven or [r for r in cells if r.clamp == clamp] or moving or cells)[0]
    names = ", ".join(repr(r.name) for r in cells if r is not chosen)
    told.say(
        f"the response read is {chosen.name!r}; {names} may be of other cells: channel= chooses"
    )
    return chosen


# -- what was commanded ----------------------------------------------------------------------------
def _command(
    recording: Recording,
    asked: Asked,
    clamp: Clamp,
    response: Recorded,
    measured: list[np.ndarray],
    told: _Told,
) -> tuple[list[np.ndarray], str, float | None]:
    """The command of each sweep in mV or pA, its name, and holding where the file tells it."""
    unit = asked.unit_of(clamp)
    if asked.command is not None:
        everything = [*recording.recorded, *recording.outputs]
        chosen = _named(recording, everything, asked.command, "command")
        return _as_command(recording, chosen, clamp, unit), chosen.name, None
    monitor = _monitor(recording, clamp, response)
    output = _output(recording, clamp, response, unit, told)
    if output is None and monitor is None:
        return _nothing(recording, clamp, response, measured, unit, told)
    if output is None or (output.unknown and monitor is not None):
        assert monitor is not None
        recorded = _native(recording, monitor, clamp, unit)
        if output is not None:
            if not alive(blocks(recorded, recording.dt_ms)):
                raise RecordingError(f"{recording.path}: {output.unknown}")
            told.say(f"{output.unknown}: the recorded command {monitor.name!r} is used")
        return recorded, monitor.name, None
    if output.unknown:
        raise RecordingError(f"{recording.path}: {output.unknown}")
    played = _as_command(recording, output, clamp, unit)
    if monitor is None:
        return played, output.name, None
    recorded = _native(recording, monitor, clamp, unit)
    differ = agree(recorded, played, recording.dt_ms, clamp)
    if not differ:
        return played, output.name, None
    rec, dac = (blocks(x, recording.dt_ms) for x in (recorded, played))
    if (
        alive(dac)
        and not alive(rec)
        and follows(blocks(measured, recording.dt_ms), dac, slope=None)
    ):
        told.say(
            f"the recorded command {monitor.name!r} never moves, though the response follows the "
            f"output {output.name!r}: not connected? the output is used"
        )
        return played, output.name, None
    told.say(
        f"the recorded command {monitor.name!r} differs from the output {output.name!r} in the "
        f"header by up to {differ}: the recorded one is used"
    )
    return recorded, monitor.name, None


def _monitor(recording: Recording, clamp: Clamp, response: Recorded) -> Recorded | None:
    """The channel that recorded the command, of the same cell where there are several."""
    found = [
        r
        for r in recording.recorded
        if r is not response
        and quantity(r.unit) == clamp
        and not (clamp == "voltage" and _is_other(recording, r))
    ]
    if len(found) < 2:
        return found[0] if found else None
    mine = re.findall(r"\d+|[A-D]$", response.name)
    same = [r for r in found if mine and re.findall(r"\d+|[A-D]$", r.name) == mine]
    if len(same) == 1:
        return same[0]
    alike = [r for r in recording.recorded if quantity(r.unit) == quantity(response.unit)]
    if len(alike) == len(found):
        return found[next(k for k, r in enumerate(alike) if r is response)]
    return found[0]


def _output(
    recording: Recording, clamp: Clamp, response: Recorded, unit: str | None, told: _Told
) -> Output | None:
    """The output that drove a channel: of its number, else the only one that plays something."""
    right = [
        o
        for o in recording.outputs
        if quantity(o.unit) == clamp or (unit and o.number == response.number)
    ]
    own = [o for o in right if o.number == response.number]
    playing = [o for o in right if o.unknown or alive(blocks(o.sweeps, recording.dt_ms))]
    if own and (own[0] in playing or not playing):
        return own[0]
    if len(playing) == 1:
        told.say(
            f"the output {playing[0].name!r} is taken for the command of {response.name!r}, being "
            "the only one that plays a stimulus: command= chooses another"
        )
        return playing[0]
    if own or not playing:
        return (own or right or [None])[0]
    raise RecordingError(
        f"{recording.path}: none of the outputs {', '.join(repr(o.name) for o in playing)} has the "
        f"number of the channel {response.name!r}; name one: command="
    )


def _nothing(
    recording: Recording,
    clamp: Clamp,
    response: Recorded,
    measured: list[np.ndarray],
    unit: str | None,
    told: _Told,
) -> tuple[list[np.ndarray], str, float | None]:
    """Where no command is known: none at all in current clamp, an error where one was played."""
    for output in recording.outputs:
        if output.number == response.number and (
            output.unknown or alive(blocks(output.sweeps, recording.dt_ms))
        ):
            raise RecordingError(
                f"{recording.path}: {output.name!r}, the output that drove {response.name!r}, is "
                f"labelled {spelled(output.unit)!r}; expected a {clamp}: say its unit, "
                f"{clamp}_unit='{NATIVE[clamp]}'"
            )
    if clamp == "voltage":
        raise RecordingError(
            f"{recording.path}: no voltage command for {response.name!r}; expected an output or a "
            f"channel in mV, but found {_inventory(recording)}; command= names it"
        )
    told.say("the stimulus is not in the file: no output and no channel has a current")
    return [np.zeros_like(m) for m in measured], "none", 0.0


def _as_command(
    recording: Recording, chosen: Recorded | Output, clamp: Clamp, unit: str | None
) -> list[np.ndarray]:
    if isinstance(chosen, Output) and chosen.unknown:
        raise RecordingError(f"{recording.path}: {chosen.unknown}")
    return _native(recording, chosen, clamp, unit)


# -- helpers ---------------------------------------------------------------------------------------
def _native(
    recording: Recording, chosen: Recorded | Output, what: str, unit: str | None
) -> list[np.ndarray]:
    """The sweeps in mV or pA, from the caller's unit or the file's."""
    where = f"{recording.path}, {chosen.name!r}"
    return [convert(s, unit or chosen.unit, NATIVE[what], where) for s in chosen.sweeps]


def _blocks(recording: Recording, chosen: Recorded, what: str) -> Blocks:
    return blocks(_native(recording, chosen, what, None), recording.dt_ms)


def _named(recording: Recording, found: Sequence[Any], name: str | int, what: str) -> Any:
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


def _inventory(recording: Recording) -> str:
    """All channels and outputs with their units, as people say it."""
    recorded = ", ".join(f"{r.name!r} in {spelled(r.unit)!r}" for r in recording.recorded)
    outputs = ", ".join(f"{o.name!r} in {spelled(o.unit)!r}" for o in recording.outputs)
    return f"{recorded}; outputs {outputs or 'none'}"
