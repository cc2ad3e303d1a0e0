"""A task as the score sees it: every sweep around its stimulus, held, all of one length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from neurojax.fit.holding import stimulated
from neurojax.fit.problem import Problem
from neurojax.fit.task import Task
from neurojax.loss.score import Score, score
from neurojax.loss.stream import sampled
from neurojax.recording.features import spikes
from neurojax.recording.stimulus import latency_from
from neurojax.recording.trace import Trace

_GRID_MS = 0.05
"""The finest sampling at which a simulation is read: a coarser one cuts the tops of spikes."""

_BEFORE_MS, _AFTER_MS = 50.0, 100.0
"""Around the stimulus so much is simulated."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Makes the score of a sweep cut out around its stimulus: an objective, see `Task.problem`."""

    weights: Mapping[str, float]
    slots: int
    windows: Mapping[int, tuple[float, float, float]]  # of a trace by id: on, off and end, ms
    traces: tuple[Trace, ...] = field(default=(), repr=False)  # so that their ids stay theirs

    def __call__(self, trace: Trace, record_ms: float) -> Score:
        on, off, end = self.windows[id(trace)]
        times = spikes(trace.v_mV, trace.dt_ms).times
        onset = latency_from(trace, times[0]) if times.size else on
        return score(
            sampled(trace, record_ms), record_ms, on, off,
            onset_ms=onset, weights=self.weights, end_ms=end, slots=self.slots,
        )  # fmt: skip


def scored(task: Task, weights: Mapping[str, float] = MappingProxyType({})) -> Problem:
    """The sum of the scores of a task's sweeps, each held where it began.

    `weights` multiply parts of the score. Raises ValueError for voltage clamp.
    """
    return task.once(("scored", tuple(sorted(weights.items()))), lambda: _scored(task, weights))


def by_part(problem: Problem) -> Problem:
    """The same, each sweep's result told by the parts of its score."""
    sweeps = [s._replace(error=replace(s.error, told="parts")) for s in problem.sweeps]
    return replace(problem, sweeps=sweeps)


def _scored(task: Task, weights: Mapping[str, float]) -> Problem:
    for trace in task.traces:
        if trace.clamp != "current":
            raise ValueError(f"sweep {trace.sweep}: a search on features needs current clamp")
    # Sweeps held out are looked at too, so that they share the program when they are scored.
    every_sweep, all_windows = _around_stimuli((*task.traces, *task.held_out))
    most = max(int(spikes(t.v_mV, t.dt_ms).number) for t in every_sweep)
    parts, windows = every_sweep[: len(task.traces)], all_windows[: len(task.traces)]
    named = {id(t): w for t, w in zip(parts, windows, strict=True)}
    objective = Windows(weights, max(1, most), named, tuple(parts))
    cut = replace(task, traces=parts, keep=None, hold=True)
    # A simulation is read at the recording's own interval.
    every = max(1, round(max(_GRID_MS, *(t.dt_ms for t in every_sweep)) / task.dt))
    return cut.problem(objective, every)


def _around_stimuli(
    traces: Sequence[Trace],
) -> tuple[list[Trace], list[tuple[float, float, float]]]:
    """The sweeps around their stimulus, padded to one length, and on, off and end of each, ms."""
    parts: list[Trace] = []
    windows: list[tuple[float, float, float]] = []
    for trace in traces:
        first, last = stimulated(trace)
        start = max(0.0, first - _BEFORE_MS)
        part = trace.crop(start, min(trace.duration_ms, last + _AFTER_MS))
        parts.append(part)
        windows.append((first - start, last - start, part.duration_ms))
    longest = max(end for *_, end in windows)
    return [_padded(part, longest) for part in parts], windows


def _padded(trace: Trace, duration_ms: float) -> Trace:
    more = round(duration_ms / trace.dt_ms) - trace.v_mV.size
    if more <= 0:
        return trace
    v, i = (np.pad(x, (0, more), mode="edge") for x in (trace.v_mV, trace.i_pA))
    return replace(trace, v_mV=v, i_pA=i)
