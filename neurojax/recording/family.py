"""Sweeps of a protocol together: the step that they share, where each alone would not tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from neurojax.recording.command import Step, in_window
from neurojax.recording.trace import Trace

_SAME_MS = 5.0
"""Steps whose ends differ by less begin and end together, unless they are as short themselves."""

_VARIES = 0.05
"""A step varies where its heights differ by more than this part of the largest."""


def together(traces: Sequence[Trace]) -> list[Trace]:
    """The sweeps, each with the main step of its protocol as its `window`.

    That is the first depolarising step that varies from sweep to sweep; without one, the first that
    varies. A test pulse is the same in all, and a sweep of no current in a family has its step
    where the others have theirs. What has a window keeps it, and where nothing varies each sweep
    has its own step.
    """
    found = list(traces)
    keys = [(name, t.clamp) for name, t in zip(_protocols(traces), traces, strict=True)]
    for key in dict.fromkeys(keys):
        members = [k for k, mine in enumerate(keys) if mine == key]
        shared = _shared([traces[k] for k in members]) if len(members) > 1 else None
        for k in members:
            trace = traces[k]
            if shared is not None and trace.window is None and _takes_part(trace, shared):
                found[k] = replace(trace, window=(shared.on, shared.off))
    return found


def _protocols(traces: Sequence[Trace]) -> list[str]:
    """The protocol of each sweep; a name that no other has, as `Step_7`, is one with its number."""
    names = [t.name for t in traces]
    return names if len(set(names)) < len(names) else [re.sub(r"\d+", "", n) or n for n in names]


def steps_of(traces: Sequence[Trace]) -> list[Step]:
    """The main step of each sweep, as its protocol tells it."""
    return [trace.main_step() for trace in together(traces)]


def _shared(traces: Sequence[Trace]) -> Step | None:
    """The main step of a protocol in one of its sweeps; None where no step varies at one time."""
    places: list[Step] = []
    for trace in traces:
        for step in trace.steps():
            if not any(_alike(step, place) for place in places):
                places.append(step)
    varied: list[tuple[Step, np.ndarray]] = []
    for place in sorted(places, key=lambda s: s.on):
        heights = np.array([_height(t, place) for t in traces])
        if np.isnan(heights).sum() > len(traces) / 2:
            continue
        heights = np.nan_to_num(heights)
        if np.ptp(heights) > _VARIES * np.abs(heights).max():
            varied.append((place, heights))
    if not varied:
        return None
    chosen, own = next(
        ((p, h) for p, h in varied if h.max() > _VARIES * np.abs(h).max()), varied[0]
    )
    # A step that each sweep has at another time is at no place of the family.
    for other, theirs in varied:
        apart = ((own == 0) & (theirs != 0)).any() and ((own != 0) & (theirs == 0)).any()
        if other is not chosen and (apart or _overlap(chosen, other)):
            return None
    return chosen


def _takes_part(trace: Trace, shared: Step) -> bool:
    """Whether a sweep has the protocol's step, of whatever height, and not one across its ends.

    A measured command may look uneven, or begin late, by the artefacts of spikes on it.
    """
    if np.isnan(_height(trace, shared)):
        return False
    if not trace.commanded and _alike(trace.main_step(), shared):
        return True
    window = (shared.on, shared.off)
    mine = in_window(trace.command, trace.dt_ms, trace.holding, window)
    return mine.flat == shared.flat or mine.height == 0


def _alike(a: Step, b: Step) -> bool:
    limit = min(_SAME_MS, 0.25 * (a.off - a.on), 0.25 * (b.off - b.on))
    return abs(a.on - b.on) <= limit and abs(a.off - b.off) <= limit


def _overlap(a: Step, b: Step) -> bool:
    return a.on < b.off and b.on < a.off


def _height(trace: Trace, place: Step) -> float:
    """How high the command of a sweep is when a step is; NaN where the sweep has ended."""
    if place.off > trace.duration_ms + trace.dt_ms:
        return float("nan")
    return in_window(trace.command, trace.dt_ms, trace.holding, (place.on, place.off)).height
