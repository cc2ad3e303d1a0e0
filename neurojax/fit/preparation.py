"""A recording made ready for a fit: the stimulus as it was meant, and the pipette in the loop.

What is guessed is said, in `Prepared.notes`, and each guess can be refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from neurojax.membrane.compartment import Cell
from neurojax.membrane.pipette import Pipette, pipette_of
from neurojax.model.space import Space, free
from neurojax.recording.stimulus import jump_at_steps, one_step, smoothed, spike_artefact
from neurojax.recording.trace import Trace

Stimulus = Literal["auto", "measured"]
"""Whether a measured current is replaced by its steps, or drives the model as it is."""

InLoop = Literal["auto", "yes", "no"]
"""Whether a pipette stands between amplifier and cell: "auto", where the recording shows one."""

_SHOWN_MOHM, _EDGES = 1.0, 3
"""A pipette is seen where three of four edges jump through more than this, of at least so many."""

_PIPETTE = {"R_s": (0.5, 150.0), "C_pip": (0.01, 50.0)}
"""Between which its series resistance (MOhm) and stray capacitance (pF) are looked for."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A recording and a model, ready for a fit."""

    cell: Cell
    space: Space
    traces: list[Trace]  # in the order given
    notes: tuple[str, ...]  # what was changed and why, a sentence each


def prepare_recording(
    cell: Cell,
    space: Space,
    traces: Sequence[Trace],
    *,
    stimulus: Stimulus = "auto",
    pipette: InLoop = "auto",
) -> Prepared:
    """Make a recording and a model ready, as `neurojax fit` does.

    In current clamp: a measured current that is one step beside its noise is replaced by that step;
    one that carries the artefacts of spikes and is more than a step, by its running median. Where
    the potential jumps with the current at steps, a pipette of free R_s and C_pip stands between
    amplifier and cell, unless the cell has one.

    Raises ValueError for an unknown `stimulus` or `pipette`.
    """
    for name, given, known in (
        ("stimulus", stimulus, ("auto", "measured")),
        ("pipette", pipette, ("auto", "yes", "no")),
    ):
        if given not in known:
            raise ValueError(f"{name} is {given!r}; expected one of {', '.join(known)}")
    ready, notes = list(traces), []
    if stimulus == "auto":
        ready, notes = _as_meant(traces)
    wanted, why = _wants_pipette(cell, ready, pipette)
    if wanted:
        cell, space = with_pipette(cell, space)
        notes = [*notes, why]
    return Prepared(cell, space, ready, tuple(notes))


def with_pipette(cell: Cell, space: Space) -> tuple[Cell, Space]:
    """A cell behind a pipette, whose series resistance and stray capacitance are free too."""
    cell = replace(cell, channels={**cell.channels, "pipette": Pipette()})  # pyright: ignore[reportCallIssue]
    left = {f"pipette.{name}": bounds for name, bounds in _PIPETTE.items()}
    return cell, Space(space.free + free(cell, left).free)


def _as_meant(traces: Sequence[Trace]) -> tuple[list[Trace], list[str]]:
    """The sweeps with their stimulus as it was meant, and what was done, told."""
    ready, done = [], Counter[str]()
    for trace in traces:
        how, meant = _meant(trace)
        ready.append(meant)
        done[how] += 1
    told = {
        "step": "the measured current of {} replaced by its holding level and step",
        "median": "the measured current of {} replaced by its running median of 20 ms: it carries "
        "artefacts of spikes",
    }
    some = {how: f"{n} sweep{'' if n == 1 else 's'}" for how, n in done.items()}
    return ready, [words.format(some[how]) for how, words in told.items() if done[how]]


def _meant(trace: Trace) -> tuple[str, Trace]:
    if trace.commanded or trace.clamp == "voltage":
        return "", trace
    step = one_step(trace)
    if step is not None:
        return "step", step
    return ("median", smoothed(trace)) if spike_artefact(trace) else ("", trace)


def _wants_pipette(cell: Cell, traces: Sequence[Trace], asked: InLoop) -> tuple[bool, str]:
    """Whether to put a pipette into the loop, and why."""
    current = [t for t in traces if t.clamp == "current"]
    if asked == "no" or pipette_of(cell) is not None or not current:
        return False, ""
    if asked == "yes":
        return True, "a pipette stands between amplifier and cell, as asked"
    jump = jump_at_steps(current)
    if jump is None or jump.edges < _EDGES or jump.low < _SHOWN_MOHM:
        return False, ""
    why = (
        f"the potential jumps through {jump.R_MOhm:.2g} MOhm at the edges of steps: a pipette, its "
        "R_s and C_pip free, stands between amplifier and cell"
    )
    if cell.state_axes:
        why += " (a soma that charges into its dendrites looks alike: pipette 'no' leaves it out)"
    return True, why
