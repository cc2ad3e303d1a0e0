"""The train of spikes under a step: latency, rates, intervals, adaptation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from neurojax.recording.features.detection import PerCell, Spikes
from neurojax.recording.features.telling import lines


class Firing(NamedTuple):
    """How a cell fires within a step: numbers of one trace, `[*pop]` of a population.

    NaN where a feature does not exist, as the interval of a cell with one spike.
    """

    number: Int[np.ndarray, "*pop"]  # spikes within the step
    latency: PerCell  # ms from the onset of the step to the first peak (eFEL: time_to_first_spike)
    rate: PerCell  # Hz, spikes over the duration of the step
    mean_frequency: PerCell  # Hz, spikes over the time from onset to the last (mean_frequency)
    intervals: Float[np.ndarray, "*pop spike-1"]  # ms between peaks (all_ISI_values)
    mean_interval: PerCell  # ms
    irregularity: PerCell  # standard deviation of the intervals over their mean
    adaptation: PerCell  # mean of (next - this) / (next + this) interval; positive: firing slows
    late_adaptation: PerCell  # the same without the first interval (adaptation_index2)

    def __str__(self) -> str:
        return lines(self)


EVOKED_MS = 20.0
"""A spike that a short pulse evokes comes by so long after its onset, most after its end."""


def firing(found: Spikes, window: tuple[float, float]) -> Firing:
    """What the spikes within a step (on, off), ms, tell of firing.

    A step shorter than 20 ms has those up to 20 ms after its onset. Spikes that were counted but
    not described are missing here.
    """
    on, off = window
    within = (found.times >= on) & (found.times < max(off, on + EVOKED_MS))
    t = np.where(within, found.times, np.nan)
    number = within.sum(axis=-1)
    first = np.where(within, t, np.inf).min(axis=-1, initial=np.inf)
    last = np.where(within, t, -np.inf).max(axis=-1, initial=-np.inf)
    fired = number > 0
    intervals = np.diff(t, axis=-1)
    mean = mean_of(intervals)
    slowing = (intervals[..., 1:] - intervals[..., :-1]) / (
        intervals[..., 1:] + intervals[..., :-1]
    )
    return Firing(
        number,
        np.where(fired, first - on, np.nan),
        number / (off - on) * 1e3,
        np.where(fired, number / np.where(fired, last - on, 1.0) * 1e3, np.nan),
        intervals,
        mean,
        np.sqrt(mean_of((intervals - mean[..., None]) ** 2, less=1)) / mean,
        mean_of(slowing),
        mean_of(_without_first(slowing)),
    )


def _without_first(x: np.ndarray) -> np.ndarray:
    """x with the first number of each row, where it is one, made NaN."""
    order = np.cumsum(np.isfinite(x), axis=-1)
    return np.where(order > 1, x, np.nan)


def mean_of(x: np.ndarray, less: int = 0) -> np.ndarray:
    """Mean over the last axis of what is finite, the number of it `less` some; NaN of nothing."""
    known = np.isfinite(x)
    n = known.sum(axis=-1) - less
    total = np.where(known, x, 0.0).sum(axis=-1)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)
