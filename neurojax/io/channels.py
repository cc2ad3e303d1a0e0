"""Which channel of a recording is the membrane and which the command, for formats that do not say.

Units, names, outputs and what moves decide; what was decided stands in the trace's origin, and what
was a guess is a warning. `channel`, `command`, `clamp` and the units of a caller overrule it.
"""

from __future__ import annotations

from collections.abc import Sequence

from neurojax.io.commanded import command_of
from neurojax.io.evidence import alive, blocks, follows, like_a_command
from neurojax.io.rig import (
    COMMAND_NAME,
    Recorded,
    Recording,
    Told,
    blocks_of,
    inventory,
    is_other,
    named,
    native,
)
from neurojax.io.source import NATIVE, OTHER, Asked, Clamp, convert, origin, quantity, spelled
from neurojax.io.sweeps import clamped, traces_from
from neurojax.recording.trace import RecordingError, Trace


def traces_of(recording: Recording, asked: Asked) -> list[Trace]:
    """The sweeps of one cell: its response and the command that it had.

    Raises RecordingError where there is no response, or a command that nobody knows.
    """
    told = Told([])
    clamp, response = _response(recording, asked, told)
    unit = asked.unit or asked.unit_of(OTHER[clamp])
    measured = native(recording, response, OTHER[clamp], unit)
    _tell_of_leak(recording, clamp, response, told)
    command, name, holding = command_of(recording, asked, clamp, response, measured, told)
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
                "dt_ms": recording.dt_ms,
                "name": recording.name,
                "sweep": k,
                "origin": source,
                "warnings": tuple(told.sentences),
                "start_ms": start,
            }
            | clamped(clamp, m, c)
            | ({} if holding is None else {"holding": holding})
            for k, (m, c, start) in enumerate(zip(measured, command, starts, strict=True))
        ),
    )


def _tell_of_leak(recording: Recording, clamp: Clamp, response: Recorded, told: Told) -> None:
    """That a current has been made free of leak: a model with one would be fitted to nothing."""
    leak = {o.leak for o in recording.outputs if o.leak and o.number == response.number}
    if leak and clamp == "voltage":
        told.say(
            f"leak was subtracted while recording ({', '.join(leak)}): the current is without leak "
            "and capacitive transients, and a model of it needs none (fix its leak at 0)"
        )


def _kind(recording: Recording, channel: Recorded) -> str:
    what = quantity(channel.unit)
    if what == "voltage" and is_other(recording, channel):
        return f"in {spelled(channel.unit)}, a trigger, a light or the like"
    return f"in {spelled(channel.unit) or 'no unit'}"


def _response(recording: Recording, asked: Asked, told: Told) -> tuple[Clamp, Recorded]:
    """How the cell was clamped, and the channel with its response."""
    if asked.channel is not None:
        chosen = named(recording, recording.recorded, asked.channel, "channel")
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
            f"found {inventory(recording)}"
        )
    return clamp, _one_cell(recording, found, clamp, told)


def _of(recording: Recording, what: str) -> list[Recorded]:
    """The channels of a quantity that can be a cell's, or its command's."""
    found = [r for r in recording.recorded if quantity(r.unit) == what]
    if what == "current":
        return found
    usual = [r for r in found if not is_other(recording, r)]
    # Where there is nothing else, a wrong gain is likelier than a trigger alone.
    return usual or (found if len(found) == len(recording.recorded) else [])


def _clamp(
    recording: Recording, voltages: list[Recorded], currents: list[Recorded], told: Told
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
        votes[kind] += any(COMMAND_NAME.search(r.name) for r in driven)
        for output in recording.outputs:
            played = blocks(output.sweeps, recording.dt_ms)
            if quantity(output.unit) != kind or not alive(played):
                continue
            linked = any(r.number == output.number for r in response)
            votes[kind] += 2 if linked else 1
            monitors = [blocks_of(recording, r, kind) for r in driven]
            scaled = played.scaled(float(convert(1.0, output.unit, NATIVE[kind], "")))
            votes[kind] += 3 * any(follows(monitor, scaled) for monitor in monitors)
    i, v = (any(like_a_command(blocks(r.sweeps, recording.dt_ms)) for r in x)
            for x in (currents, voltages))  # fmt: skip
    votes["current"] += 3 * (i and not v)
    # A current may follow a potential at once, but a membrane no current.
    votes["voltage"] += v * (1 if i else 3)
    clamp: Clamp = "voltage" if votes["voltage"] > votes["current"] else "current"
    if votes[OTHER[clamp]] or votes[clamp] < 2:
        told.say(
            f"taken for a {clamp} clamp by what moves and by the outputs' labels, which is a guess "
            f"({inventory(recording)}); clamp= says which it is"
        )
    return clamp


def _one_cell(recording: Recording, found: list[Recorded], clamp: Clamp, told: Told) -> Recorded:
    """The channel of one cell, of those that may be."""
    cells = [r for r in found if not (clamp == "current" and COMMAND_NAME.search(r.name))] or found
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
