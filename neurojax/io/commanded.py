"""What was commanded, where a recording does not say so: an output, or a channel with it."""

from __future__ import annotations

import re

import numpy as np

from neurojax.io.evidence import agree, alive, blocks, flickers, follows
from neurojax.io.rig import Output, Recorded, Recording, Told, inventory, is_other, named, native
from neurojax.io.source import NATIVE, Asked, Clamp, quantity, spelled
from neurojax.recording.trace import RecordingError


def command_of(
    recording: Recording,
    asked: Asked,
    clamp: Clamp,
    response: Recorded,
    measured: list[np.ndarray],
    told: Told,
) -> tuple[list[np.ndarray], str, float | None]:
    """The command of each sweep in mV or pA, its name, and holding where the file tells it."""
    unit = asked.unit_of(clamp)
    if asked.command is not None:
        everything = [*recording.recorded, *recording.outputs]
        chosen = named(recording, everything, asked.command, "command")
        return _as_command(recording, chosen, clamp, unit), chosen.name, None
    monitor = _monitor(recording, clamp, response)
    if monitor is not None and flickers(native(recording, monitor, clamp, unit), clamp):
        monitor = monitor._replace(sweeps=[np.full_like(s, np.median(s)) for s in monitor.sweeps])
    output = _output(recording, clamp, response, unit, told)
    if output is None and monitor is None:
        return _nothing(recording, clamp, response, measured, unit, told)
    if output is None or (output.unknown and monitor is not None):
        assert monitor is not None
        recorded = native(recording, monitor, clamp, unit)
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
    recorded = native(recording, monitor, clamp, unit)
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
        and not (clamp == "voltage" and is_other(recording, r))
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
    recording: Recording, clamp: Clamp, response: Recorded, unit: str | None, told: Told
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
    if not playing:
        return _at_rest(recording, clamp, response, right, told)
    if own:
        return own[0]
    raise RecordingError(
        f"{recording.path}: none of the outputs {', '.join(repr(o.name) for o in playing)} has the "
        f"number of the channel {response.name!r}; name one: command="
    )


def _at_rest(
    recording: Recording, clamp: Clamp, response: Recorded, right: list[Output], told: Told
) -> Output | None:
    """The output whose holding is the command, where none plays anything; None if nobody knows."""
    if not right or any(o.number == response.number for o in recording.outputs):
        return None  # what drove it is labelled otherwise
    told.say(
        f"no output has the number of {response.name!r}: the holding of {right[0].name!r} is taken "
        f"for its {clamp}, which is a guess; command= chooses another"
    )
    return right[0]


def _nothing(
    recording: Recording,
    clamp: Clamp,
    response: Recorded,
    measured: list[np.ndarray],
    unit: str | None,
    told: Told,
) -> tuple[list[np.ndarray], str, float | None]:
    """Where no command is known: none at all in current clamp, an error where one was played."""
    for output in recording.outputs:
        playing = output.unknown or alive(blocks(output.sweeps, recording.dt_ms))
        if output.number == response.number and (playing or clamp == "voltage"):
            raise RecordingError(
                f"{recording.path}: {output.name!r}, the output that drove {response.name!r}, is "
                f"labelled {spelled(output.unit)!r}; expected a {clamp}: say its unit, "
                f"{clamp}_unit='{NATIVE[clamp]}', or that of the channel, if it is the one that is "
                f"wrong: channel={response.name!r}, unit='{NATIVE[clamp]}'"
            )
    if clamp == "voltage":
        hint = (
            "command= names it"
            if recording.outputs or len(recording.recorded) > 1
            else "what was commanded is not in this file, and a current alone tells no conductance"
        )
        raise RecordingError(
            f"{recording.path}: no voltage command for {response.name!r}; expected an output or a "
            f"channel in mV, but found {inventory(recording)}; {hint}"
        )
    told.say("the stimulus is not in the file: no output and no channel has a current")
    return [np.zeros_like(m) for m in measured], "none", 0.0


def _as_command(
    recording: Recording, chosen: Recorded | Output, clamp: Clamp, unit: str | None
) -> list[np.ndarray]:
    if isinstance(chosen, Output) and chosen.unknown:
        raise RecordingError(f"{recording.path}: {chosen.unknown}")
    return native(recording, chosen, clamp, unit)
