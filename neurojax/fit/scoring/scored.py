"""A task as the score sees it: every sweep around its stimulus, held, of one length or of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

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

_SAVED = 0.15
"""Of all simulated time, for which short sweeps are worth a program of their own."""


class Window(NamedTuple):
    """The part of a sweep that is scored."""

    on: float  # ms, of its stimulus
    off: float  # ms
    end: float  # ms: what is after it was padded
    slots: int = 1  # spikes compared one by one


@dataclass(frozen=True, eq=False)
class Windows:
    """Makes the score of a sweep cut out around its stimulus: an objective, see `Task.problem`."""

    weights: Mapping[str, float]
    windows: Mapping[int, Window]  # of a trace by id
    traces: tuple[Trace, ...] = field(default=(), repr=False)  # so that their ids stay theirs

    def __call__(self, trace: Trace, record_ms: float) -> Score:
        on, off, end, slots = self.windows[id(trace)]
        times = spikes(trace.v_mV, trace.dt_ms).times
        onset = latency_from(trace, times[0]) if times.size else on
        return score(
            sampled(trace, record_ms), record_ms, on, off,
            onset_ms=onset, weights=self.weights, end_ms=end, slots=slots,
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
    # Sweeps held out are looked at too, so that they share the programs when they are scored.
    every_sweep = (*task.traces, *task.held_out)
    parts, windows = _around_stimuli(every_sweep)
    n = len(task.traces)
    named = {id(t): w for t, w in zip(parts[:n], windows[:n], strict=True)}
    cut = replace(task, traces=parts[:n], keep=None, hold=True)
    # A simulation is read at the recording's own interval.
    every = max(1, round(max(_GRID_MS, *(t.dt_ms for t in every_sweep)) / task.dt))
    return cut.problem(Windows(weights, named, tuple(parts[:n])), every)


def _around_stimuli(traces: Sequence[Trace]) -> tuple[list[Trace], list[Window]]:
    """The sweeps around their stimulus, those of like length padded to one, and their windows."""
    steps = [stimulated(t) if t.changes().size else None for t in traces]
    spans = [
        (max(0.0, step[0] - _BEFORE_MS), min(t.duration_ms, step[1] + _AFTER_MS)) if step else None
        for t, step in zip(traces, steps, strict=True)
    ]
    # One without a step beside others that have one says as much as they do in as much time.
    longest = max((span[1] - span[0] for span in spans if span), default=np.inf)
    parts: list[Trace] = []
    windows: list[Window] = []
    for trace, step, span in zip(traces, steps, spans, strict=True):
        start, stop = span or (0.0, min(trace.duration_ms, longest))
        part = trace.crop(start, stop)
        on, off = step or (0.0, stop)
        parts.append(part)
        windows.append(Window(on - start, off - start, part.duration_ms))
    numbers = [int(spikes(p.v_mV, p.dt_ms).number) for p in parts]
    lengths = padded_lengths([w.end for w in windows])
    slots = {
        length: max(1, *(n for n, own in zip(numbers, lengths, strict=True) if own == length))
        for length in lengths
    }
    return (
        [_padded(part, length) for part, length in zip(parts, lengths, strict=True)],
        [w._replace(slots=slots[length]) for w, length in zip(windows, lengths, strict=True)],
    )


def padded_lengths(ends: Sequence[float]) -> list[float]:
    """To which length each sweep is padded: one for all, or two where that saves much time."""
    at = np.sort(np.asarray(ends, float))
    longest, n = float(at[-1]), at.size
    saved = (longest - at) * np.arange(1, n + 1)  # if those up to here have this length
    best = int(saved.argmax())
    if saved[best] < _SAVED * n * longest:
        return [longest] * n
    return [float(at[best]) if end <= at[best] else longest for end in ends]


def _padded(trace: Trace, duration_ms: float) -> Trace:
    more = round(duration_ms / trace.dt_ms) - trace.v_mV.size
    if more <= 0:
        return trace
    v, i = (np.pad(x, (0, more), mode="edge") for x in (trace.v_mV, trace.i_pA))
    return replace(trace, v_mV=v, i_pA=i)
