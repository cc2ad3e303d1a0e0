"""Quality of a plate's recordings: noise, seal, access, drift, run-down, read off the traces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from neurojax.recording.trace import Trace

LIMITS = {
    "seal_MOhm": (100.0, np.inf),
    "R_s_MOhm": (1.0, 25.0),
    "C_pF": (1.0, 100.0),
    "signal_to_noise": (5.0, np.inf),
    "run_down": (-0.2, 0.2),
}
"""Between which a cell passes; what could not be read off is no reason to fail.

Source: Lei et al. 2019, Biophys J 117:2438, doi:10.1016/j.bpj.2019.07.029, whose criteria they are:
seal, series resistance and capacitance, signal over noise (25 as variances), two sweeps alike.
"""

_NORMAL = 0.6744897501960817
"""The median of the absolute value of a standard normal number."""

_LEVEL_MS, _LEAST_MV, _FLAT_MV = 5.0, 2.0, 0.5
"""A plateau of the command lasts so long, a step is so high, and neighbours of one differ less."""

_STANDS_OUT = 6.0
"""Standard deviations of the noise that a transient's peak must reach."""


@dataclass(frozen=True)
class Quality:
    """What the recordings of a plate's cells say of themselves, `[cell]`; NaN: cannot be told.

    Of voltage clamp. Seal, access and capacitance are those of the first step to a lower potential,
    at which the channels of interest should be shut: a transient that was compensated tells none.
    """

    noise: Float[np.ndarray, " cell"]  # standard deviation, pA or mV
    signal_to_noise: Float[np.ndarray, " cell"]  # standard deviation of the signal over the noise's
    seal_MOhm: Float[np.ndarray, " cell"]  # at least: it may be that the noise hides the leak
    R_s_MOhm: Float[np.ndarray, " cell"]  # uncompensated, at the end of the transient's filter
    C_pF: Float[np.ndarray, " cell"]
    drift: Float[np.ndarray, " cell"]  # of what is measured at holding, from beginning to end
    run_down: Float[np.ndarray, " cell"]  # share lost from the first sweep to its last repetition

    def remarks(self, cell: int) -> list[str]:
        """Why a cell does not pass, if it does not."""
        told = []
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)[cell]
            if value < low or value > high:
                told.append(f"{_SPOKEN[name]} {value:.3g}{_UNITS.get(name, '')}")
        return told


_SPOKEN = {
    "seal_MOhm": "seal", "R_s_MOhm": "series resistance", "C_pF": "capacitance",
    "signal_to_noise": "signal over noise", "run_down": "run-down",
}  # fmt: skip
_UNITS = {"seal_MOhm": " MOhm", "R_s_MOhm": " MOhm", "C_pF": " pF"}


def quality_of(recordings: Sequence[Sequence[Trace]]) -> Quality:
    """What the sweeps of each cell say of their quality."""
    noise = np.array([noise_between_samples(sweeps) for sweeps in recordings])
    seal, R_s, C = np.array(
        [_step(sweeps, sd) for sweeps, sd in zip(recordings, noise, strict=True)]
    ).T
    power = np.array([np.mean([_measured(t).var() for t in sweeps]) for sweeps in recordings])
    with np.errstate(divide="ignore"):
        ratio = np.sqrt(np.maximum(power - noise**2, 0.0)) / noise
    drift = np.array([_drift(sweeps) for sweeps in recordings])
    lost = [_run_down(sweeps, sd) for sweeps, sd in zip(recordings, noise, strict=True)]
    return Quality(noise, ratio, seal, R_s, C, drift, np.array(lost))


def noise_between_samples(traces: Sequence[Trace]) -> float:
    """Standard deviation of white noise, in pA (voltage clamp) or mV, whatever lies beneath it.

    From the second differences of neighbouring samples, by their median, which neither a slow
    current nor transients move; at least what rounding to the steps of a converter makes. Noise
    that a filter has made smooth is larger than it says.
    """
    steps = [np.diff(_measured(trace)) for trace in traces]
    second = np.abs(np.concatenate([np.diff(step) for step in steps]))
    between = np.abs(np.concatenate(steps))
    rounding = np.min(between, where=between > 0, initial=np.inf) / np.sqrt(12)
    white = np.median(second) / _NORMAL / np.sqrt(6)
    return float(max(white, rounding) if np.isfinite(rounding) else white)


def _measured(trace: Trace) -> np.ndarray:
    return trace.i_pA if trace.clamp == "voltage" else trace.v_mV


def _plateaus(trace: Trace) -> list[tuple[int, int, float]]:
    """Where the command stands still: first sample, the one after the last, and the level, mV."""
    edges = np.flatnonzero(np.abs(np.diff(trace.v_mV)) > _FLAT_MV) + 1
    bounds = [0, *map(int, edges), trace.v_mV.size]
    parts = [(a, b) for a, b in pairwise(bounds) if (b - a) * trace.dt_ms >= _LEVEL_MS]
    flat = [(a, b) for a, b in parts if np.ptp(trace.v_mV[a:b]) < _FLAT_MV]
    return [(a, b, float(np.median(trace.v_mV[a:b]))) for a, b in flat]


def _late(trace: Trace, a: int, b: int) -> np.ndarray:
    """What was measured in the second half of a plateau."""
    return _measured(trace)[(a + b) // 2 : b]


def _step(sweeps: Sequence[Trace], noise: float) -> tuple[float, float, float]:
    """Seal (MOhm), series resistance (MOhm) and capacitance (pF), by the first step down."""
    for trace, before, after in _steps_down(sweeps):
        down = before[2] - after[2]
        rest, leak = _late(trace, *before[:2]), _late(trace, *after[:2])
        least = 2 * noise * np.sqrt(1 / rest.size + 1 / leak.size)
        seal = 1e3 * down / max(rest.mean() - leak.mean(), least, 1e-9)
        return seal, *_transient(trace, after, down, float(leak.mean()), noise)
    return np.nan, np.nan, np.nan


def _steps_down(
    sweeps: Sequence[Trace],
) -> Iterator[tuple[Trace, tuple[int, int, float], tuple[int, int, float]]]:
    for trace in sweeps:
        if trace.clamp == "voltage":
            for before, after in pairwise(_plateaus(trace)):
                if before[1] == after[0] and before[2] - after[2] > _LEAST_MV:
                    yield trace, before, after


def _transient(
    trace: Trace, after: tuple[int, int, float], down: float, leak: float, noise: float
) -> tuple[float, float]:
    """Series resistance (MOhm) and capacitance (pF) by the charge of a transient and its decay."""
    a, b, _ = after
    n = min((b - a) // 2, round(_LEVEL_MS / trace.dt_ms))
    y = leak - trace.i_pA[a : a + n]  # inward is positive
    peak = int(np.argmax(y)) if n else 0
    falling = y[peak:]
    if n < 4 or falling[0] < _STANDS_OUT * noise:
        return np.nan, np.nan
    C = float(y.sum() * trace.dt_ms / down)  # pA ms = fC over mV
    tail = falling[: np.argmax(falling < max(0.2 * falling[0], 2 * noise))]
    if not C > 0:
        return np.nan, np.nan
    if tail.size < 3:
        return np.nan, C
    slope = np.polyfit(np.arange(tail.size) * trace.dt_ms, np.log(tail), 1)[0]
    return 1e3 / (-slope * C), C


def _drift(sweeps: Sequence[Trace]) -> float:
    """How far what is measured has gone from the first plateau to the last of the same level."""
    first, last = sweeps[0], sweeps[-1]
    if first.clamp != "voltage":
        return np.nan
    begun, ended = _plateaus(first), _plateaus(last)
    if not begun or not ended or abs(begun[0][2] - ended[-1][2]) > _FLAT_MV:
        return np.nan
    return float(np.mean(_late(last, *ended[-1][:2])) - np.mean(_late(first, *begun[0][:2])))


def _run_down(sweeps: Sequence[Trace], noise: float) -> float:
    """The share by which the last repetition of the first sweep's command is smaller."""
    first = sweeps[0]
    again = [
        t
        for t in sweeps[1:]
        if t.v_mV.size == first.v_mV.size and np.allclose(t.v_mV, first.v_mV, atol=_FLAT_MV)
    ]
    if not again or first.clamp != "voltage":
        return np.nan
    x, y = (_measured(t) - np.median(_measured(t)) for t in (first, again[-1]))
    own = float(x @ x) - x.size * noise**2  # the noise would make the ratio smaller
    return float(1 - (x @ y) / own) if own > 0 else np.nan
