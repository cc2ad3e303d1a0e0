"""Sweeps of a protocol together: the step that they share, where each alone would not tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neurojax.recording.trace import Trace

_SAME_MS = 5.0
"""Steps whose ends differ by less begin and end together."""


class Step(NamedTuple):
    """The step of a sweep: when (ms), and how high above holding (pA or mV)."""

    on: float
    off: float
    height: float


def steps_of(traces: Sequence[Trace]) -> list[Step]:
    """The step of each sweep: its own, unless that is a test pulse, which most sweeps have.

    A sweep whose step is smaller than its test pulse, or nothing, would pass for the pulse: it gets
    what it commands when most sweeps of its protocol have their step.
    """
    own = [Step(*trace.step_window()) for trace in traces]
    found = list(own)
    for name in dict.fromkeys(t.name for t in traces):
        members = [k for k, t in enumerate(traces) if t.name == name]
        times = Counter(_place(own[k]) for k in members if own[k].height)
        place, most = times.most_common(1)[0] if times else ((0, 0), 0)
        if most <= len(members) / 2:
            continue
        shared = next(own[k] for k in members if own[k].height and _place(own[k]) == place)
        for k in members:
            alike = [j for j in members if _same(_command(traces[j], own[k]), own[k].height)]
            if own[k].height and _place(own[k]) != place and len(alike) > len(members) / 2:
                height = _command(traces[k], shared)
                found[k] = shared._replace(height=height) if np.isfinite(height) else own[k]
    return found


def _place(step: Step) -> tuple[int, int]:
    return round(step.on / _SAME_MS), round(step.off / _SAME_MS)


def _same(height: float, other: float) -> bool:
    return abs(height - other) <= 0.1 * abs(other)


def _command(trace: Trace, step: Step) -> float:
    """The median of a sweep's command above holding when the step is; NaN where it has ended."""
    a, b = round(step.on / trace.dt_ms), round(step.off / trace.dt_ms)
    command = trace.i_pA if trace.clamp == "current" else trace.v_mV
    if b > command.size or b <= a:
        return float("nan")
    return float(np.median(command[a:b])) - trace.holding
