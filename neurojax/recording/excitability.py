"""Sweeps of one cell together: the f-I curve, the rheobase, and the cell below threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from neurojax.recording.command import Step
from neurojax.recording.features import Features

SAME_PA = 2.0
"""Steps of current this close to each other are repeats of one."""

_PART = 1e-3
"""A step of less than this part of the largest is none: files round what is zero."""

_LEAST_MS = 100.0
"""What is shorter has no firing rate."""


class Curve(NamedTuple):
    """Firing against the step of current, a number for each step `[step]`."""

    step_pA: Float[np.ndarray, " step"]
    rate_Hz: Float[np.ndarray, " step"]  # spikes over the duration of the step, mean of its sweeps
    sd_Hz: Float[np.ndarray, " step"]  # between its sweeps; NaN of one
    initial_Hz: Float[np.ndarray, " step"]  # one over the first interval; NaN below two spikes
    sweeps: Int[np.ndarray, " step"]


class Excitability(NamedTuple):
    """A cell in numbers; NaN where its sweeps do not tell one."""

    base_mV: float  # median of sweeps, before the step
    resistance_MOhm: float  # median of silent, hyperpolarising steps; of depolarising without one
    tau_ms: float  # of the same steps
    sag_ratio: float  # of the most hyperpolarising step
    rheobase_pA: float  # the weakest step that fires it
    gain_Hz_per_pA: float  # slope of the f-I curve, a straight line through the steps that fire
    highest_rate_Hz: float
    threshold_mV: float  # of the first spike at rheobase, and what follows of the same spike
    amplitude_mV: float
    half_width_ms: float


def fi_curve(steps: Sequence[Step], found: Sequence[Features]) -> Curve:
    """The f-I curve of sweeps: their main steps, and their features; steps of 100 ms and more.

    Steps within 2 pA are repeats of one.
    """
    chosen = [(s, f) for s, f in zip(steps, found, strict=True) if s.off - s.on >= _LEAST_MS]
    chosen.sort(key=lambda pair: pair[0].height)
    height = np.array([s.height for s, _ in chosen])
    rate = np.array([float(f.firing.rate) for _, f in chosen])
    first = np.array([_first(1e3 / f.firing.intervals) for _, f in chosen])
    groups = repeats(height)
    return Curve(
        np.array([height[g].mean() for g in groups]),
        np.array([rate[g].mean() for g in groups]),
        np.array([rate[g].std(ddof=1) if g.sum() > 1 else np.nan for g in groups]),
        np.array([_mean(first[g]) for g in groups]),
        np.array([int(g.sum()) for g in groups], int),
    )


def repeats(height_pA: Float[np.ndarray, " sweep"]) -> list[Bool[np.ndarray, " sweep"]]:
    """Which sweeps repeat each step, weakest first; their heights rise from sweep to sweep."""
    level = np.cumsum(np.diff(height_pA, prepend=height_pA[:1]) > SAME_PA)
    return [level == k for k in range(int(level.max(initial=-1)) + 1)]


def excitability(steps: Sequence[Step], found: Sequence[Features]) -> Excitability:
    """A cell as its sweeps tell it: their main steps, and their features."""
    pairs = list(zip(steps, found, strict=True))
    curve = fi_curve(steps, found)
    least = _PART * max((abs(s.height) for s in steps), default=0.0)
    stepped = [p for p in pairs if abs(p[0].height) > least]
    silent = [p for p in stepped if not int(p[1].firing.number)]
    passive = [f for s, f in silent if s.height < 0] or [f for _, f in silent]
    down = min((p for p in stepped if p[0].height < 0), key=lambda p: p[0].height, default=None)
    fired = [p for p in stepped if p[0].height > 0 and int(p[1].firing.number)]
    weakest = min(fired, key=lambda p: p[0].height, default=None)
    fires = curve.rate_Hz > 0
    line = np.polyfit(curve.step_pA[fires], curve.rate_Hz[fires], 1) if fires.sum() > 1 else None
    within = None if weakest is None else _first_spike(*weakest)
    return Excitability(
        _median([float(f.subthreshold.base) for _, f in pairs]),
        _median([float(f.subthreshold.resistance_MOhm) for f in passive]),
        _median([float(f.subthreshold.tau) for f in passive]),
        float("nan") if down is None else float(down[1].subthreshold.sag_ratio),
        float("nan") if weakest is None else float(weakest[0].height),
        float("nan") if line is None else float(line[0]),
        float(curve.rate_Hz.max()) if curve.rate_Hz.size else float("nan"),
        *(within or (float("nan"),) * 3),
    )


def first_in_step(step: Step, found: Features) -> int | None:
    """The number of the first spike that begins the firing within a step; None without one."""
    if not int(found.firing.number):
        return None
    return int(np.argmax(found.spikes.times >= step.on))


def _first_spike(step: Step, found: Features) -> tuple[float, float, float]:
    k, shapes = first_in_step(step, found), found.shapes
    assert k is not None
    return float(shapes.onsets[k]), float(shapes.amplitudes[k]), float(shapes.half_widths[k])


def _first(x: np.ndarray) -> float:
    known = x[np.isfinite(x)]
    return float(known[0]) if known.size else float("nan")


def _mean(x: np.ndarray) -> float:
    known = x[np.isfinite(x)]
    return float(known.mean()) if known.size else float("nan")


def _median(values: Sequence[float]) -> float:
    known = [x for x in values if np.isfinite(x)]
    return float(np.median(known)) if known else float("nan")
