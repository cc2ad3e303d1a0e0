"""The stimulus of a sweep as it was meant, where the current is a measurement of it.

A monitor of the current carries noise and, at each spike, an artefact of the spike itself. A model
driven by the artefact fires because the artefact makes it: right in time for the wrong reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from neurojax.recording.features import spikes
from neurojax.recording.trace import Trace

_PART, _BLOCK_MS = 0.05, 5.0
"""What is left beside a step, by its medians over so long, is less than this part of its height."""

_SMOOTH_MS = 20.0
"""The median over so long has neither noise nor artefacts of spikes."""

_NEAR_MS = (1.0, 2.0)
"""How long before and after the peak of a spike its artefact lasts."""

_FIRST_MS, _LAST_MS, _BEFORE_MS = 0.75, 5.0, 3.0
"""What of the potential around a step's edge tells how far it jumps there."""


def one_step(trace: Trace) -> Trace | None:
    """The sweep with a measured current replaced by its holding level and its one step, pA.

    None where the current is no such thing: a second pulse, a ramp, a noisy stimulus.
    """
    on, off, height = trace.step_window()
    a, b = round(on / trace.dt_ms), round(off / trace.dt_ms)
    around = np.r_[trace.i_pA[:a], trace.i_pA[b:]] if height else trace.i_pA
    holding = float(np.median(around)) if around.size else trace.holding
    i = np.full(trace.i_pA.size, holding)
    if height:
        i[a:b] = np.median(trace.i_pA[a:b])
    if not _is_noise(trace.i_pA - i, trace.dt_ms, (a, b) if height else (), abs(height)):
        return None
    return replace(trace, i_pA=i, holding=holding)


def _is_noise(rest: np.ndarray, dt_ms: float, edges: Sequence[int], height: float) -> bool:
    """Whether what is left beside a step has no course of its own."""
    block = max(1, round(_BLOCK_MS / dt_ms))
    whole = rest.size // block * block
    if not whole:
        return True
    levels = np.median(rest[:whole].reshape(-1, block), axis=1)
    near = {edge // block + k for edge in edges for k in (-1, 0, 1)}
    kept = np.array([k not in near for k in range(levels.size)])
    noise = 1.4826 * np.median(np.abs(rest - np.median(rest)))
    # The median of a block of noise scatters by 1.25 sd / sqrt(samples).
    limit = max(_PART * height, 5 * 1.25 * noise / np.sqrt(block))
    return bool((np.abs(levels[kept]) <= limit).all())


def spike_artefact(trace: Trace) -> float:
    """How far the current moves at the peaks of spikes, pA, in the mean; 0 where it does not."""
    times = spikes(trace.v_mV, trace.dt_ms).times
    if trace.commanded or not times.size:
        return 0.0
    beside = trace.i_pA - smoothed(trace).i_pA
    before, after = (max(1, round(ms / trace.dt_ms)) for ms in _NEAR_MS)
    at = np.rint(times / trace.dt_ms).astype(int)[:, None] + np.arange(-before, after + 1)
    peaks = np.abs(beside[np.clip(at, 0, beside.size - 1)]).max(axis=1)
    # As far as noise alone goes in so many samples.
    usual = np.quantile(np.abs(beside), 0.5) / 0.6745 * np.sqrt(2 * np.log(2 * at.shape[1]))
    mean, height = float(peaks.mean()), abs(trace.step_window()[2])
    return mean if mean > max(2.5 * usual, 0.05 * height) else 0.0


def smoothed(trace: Trace) -> Trace:
    """The sweep with its measured current as the running median of 20 ms, edges as they are."""
    from scipy.ndimage import median_filter  # which takes a while to load

    width = 2 * round(0.5 * _SMOOTH_MS / trace.dt_ms) + 1
    return replace(trace, i_pA=median_filter(trace.i_pA, size=width, mode="reflect"))


class Access(NamedTuple):
    """How far the potential jumps at the edges of steps, as a resistance."""

    R_MOhm: float  # the median over edges
    low: float  # MOhm, and the lower quartile
    edges: int


def jump_at_steps(traces: Sequence[Trace]) -> Access | None:
    """The resistance through which the recorded potential jumps with the current, MOhm.

    In current clamp, at edges of steps without a spike near. It is what bridge balance has left of
    the series resistance, and what of the cell charges within half a millisecond. None without
    such an edge.
    """
    found = [R for trace in traces for R in _jumps(trace)]
    if not found:
        return None
    return Access(float(np.median(found)), float(np.quantile(found, 0.25)), len(found))


def _jumps(trace: Trace) -> list[float]:
    on, off, height = trace.step_window()
    if trace.clamp == "voltage" or not height:
        return []
    dt, v, found = trace.dt_ms, trace.v_mV, []
    times = spikes(v, dt).times
    after = np.arange(round(_FIRST_MS / dt) + 1, round(_LAST_MS / dt))
    before = np.arange(-max(3, round(_BEFORE_MS / dt)), -1)
    for edge, step_pA in ((on, height), (off, -height)):
        at = round(edge / dt)
        if at + before[0] < 0 or at + _LAST_MS / dt >= v.size or after.size < 4:
            continue
        if ((times > edge - 20.0) & (times < edge + 10.0)).any():
            continue
        # Both sides are carried on to the edge itself.
        reached = np.polyval(np.polyfit(after, v[at + after], 2), 0.0)
        left = np.polyval(np.polyfit(before, v[at + before], 1), 0.0)
        found.append(float((reached - left) / step_pA * 1e3))
    return found


def latency_from(trace: Trace, spike_ms: float) -> float:
    """The last change of the stimulus before a spike, ms: from there its latency counts."""
    changes = trace.changes()
    return float(changes[changes < spike_ms].max(initial=0.0))
