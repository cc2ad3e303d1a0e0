"""Below threshold: resting and steady potentials, sag, time constants, input resistance."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float

from neurojax.recording.features.detection import THRESHOLD, PerCell, Samples
from neurojax.recording.features.telling import lines

TAIL = 0.1
"""The part of the time before a step, and of the step, whose median is base and steady."""

CHARGED = 0.95
"""A time constant is fitted until the potential has gone so much of its way."""

DECAY = (1.0, 10.0)
"""From when to when after the step its decay is fitted, ms (eFEL's)."""


class Subthreshold(NamedTuple):
    """Potentials and time constants under a step: numbers of one trace, `[*pop]` of a population.

    NaN where a feature does not exist, as the sag of a depolarised cell.
    """

    base: PerCell  # mV, median of the last tenth of the time before the step (voltage_base)
    steady: PerCell  # mV, median of the last tenth of the step (steady_state_voltage_stimend)
    lowest: PerCell  # mV within the step (minimum_voltage)
    after: PerCell  # mV, mean from the end of the step to the end (steady_state_voltage)
    sag: PerCell  # mV, steady - lowest, of a hyperpolarised cell (sag_amplitude)
    sag_ratio: PerCell  # sag / (base - lowest) (sag_ratio1)
    tau: PerCell  # ms, the membrane charging from the onset of the step
    decay_tau: PerCell  # ms, after the step (decay_time_constant_after_stim)
    resistance_MOhm: PerCell  # (steady - base) / step, MOhm (ohmic_input_resistance_vb_ssse)

    def __str__(self) -> str:
        return lines(self)


def subthreshold(
    v: Samples,
    dt: float,
    window: tuple[float, float],
    step_pA: float | Float[np.ndarray | Array, "*pop"] | None = None,
    rest: tuple[float, float] | None = None,
) -> Subthreshold:
    """What v (mV), sampled every dt ms, does under a step (on, off) in ms.

    Medians, so that a spike or an artefact does not count. `tau` is that of one exponential from
    the onset until 95 % of the way to the extreme of the step, so that neither sag nor slow drift
    is taken for the membrane; NaN for a cell above -20 mV. eFEL's time_constant goes on until v
    moves less than 0.005 mV/ms and fits whatever is slow with it. The resistance needs the height
    of the step (pA). The base is that of the time `rest` (from, to; ms), by default all before.
    """
    with np.errstate(invalid="ignore"):  # cells that are lost are NaN, quietly
        at_rest = (0.0, window[0]) if rest is None else rest
        return _subthreshold(np.asarray(v, dtype=float), dt, window, step_pA, at_rest)


def _subthreshold(
    v: np.ndarray, dt: float, window: tuple[float, float], step_pA: Any, rest: tuple[float, float]
) -> Subthreshold:
    on, off = window
    a, b = _sample(on, dt), min(_sample(off, dt), len(v))
    nothing = np.full(v.shape[1:], np.nan)
    tail = rest[1] - TAIL * (rest[1] - rest[0])
    before, step, after = v[_sample(tail, dt) : min(_sample(rest[1], dt), a)], v[a:b], v[b:]
    last = v[_sample(off - TAIL * (off - on), dt) : b]
    base = np.median(before, axis=0) if len(before) else nothing
    steady = np.median(last, axis=0) if len(last) else nothing
    lowest = step.min(axis=0) if len(step) else nothing
    down = steady <= base
    sag = np.where(down, steady - lowest, np.nan)
    deep = base > lowest
    tau = _charging(step, base, dt) if len(step) > 3 else nothing
    return Subthreshold(
        base,
        steady,
        lowest,
        after.mean(axis=0) if len(after) else nothing,
        sag,
        np.where(deep, sag / np.where(deep, base - lowest, 1.0), np.nan),
        tau,
        _decay(v, dt, a, b) if a > 0 else nothing,
        nothing if step_pA is None else _ratio(steady - base, step_pA) * 1e3,
    )


def _sample(time: float, dt: float) -> int:
    """The first sample at or after a time."""
    return int(np.ceil(time / dt - 1e-6))


def _ratio(a: Any, b: Any) -> np.ndarray:
    b = np.broadcast_to(b, np.shape(a))
    return np.where(b != 0, a / np.where(b != 0, b, 1.0), np.nan)


def _charging(step: np.ndarray, base: float | np.ndarray, dt: float) -> np.ndarray:
    """Time constant (ms) of u = v - base in a step: u' = (u_inf - u) / tau, integrated once.

    u(t) = u(0) - (1 / tau) integral of u + (u_inf / tau) t is linear in its three constants, and
    unlike a logarithm or a slope bears noise.
    """
    u = step - base
    least, most = u.min(axis=0), u.max(axis=0)
    extreme = np.where(-least > most, least, most)
    arrived = u * np.sign(extreme) >= CHARGED * np.abs(extreme)
    n = arrived.argmax(axis=0) + 1
    fitted = np.arange(len(u)).reshape(-1, *[1] * (u.ndim - 1)) < n
    t = np.arange(len(u)).reshape(-1, *[1] * (u.ndim - 1)) / n
    area = np.cumsum(0.5 * (u + np.roll(u, 1, axis=0)), axis=0)
    area = (area - area[:1]) / n  # by the trapezoid rule, from the first sample
    X = np.stack(np.broadcast_arrays(np.ones_like(t), area, t)) * fitted
    A = np.einsum("it...,jt...->...ij", X, X)
    y = np.einsum("it...,t...->...i", X, u)
    good = np.isfinite(A).all(axis=(-1, -2)) & (step.max(axis=0) < THRESHOLD) & (n > 5)
    A = np.where(good[..., None, None], A, np.eye(3))
    slope = np.linalg.solve(A, y[..., None])[..., 1, 0]
    return np.where(good & (slope < 0), n * dt / np.where(slope < 0, -slope, 1.0), np.nan)


def _decay(v: np.ndarray, dt: float, a: int, b: int) -> np.ndarray:
    """Time constant (ms) of the straight line through log |v - v(onset)| after a step."""
    first, last = (b + _sample(x, dt) for x in DECAY)
    part = np.abs(v[first:last] - v[a])
    if len(part) < 2:
        return np.full(v.shape[1:], np.nan)
    with np.errstate(divide="ignore"):
        y = np.log(part)
    t = (np.arange(len(part)) * dt).reshape(-1, *[1] * (v.ndim - 1))
    t = t - t.mean()
    slope = (t * y).sum(axis=0) / (t * t).sum()
    known = np.isfinite(slope) & (slope != 0)
    return np.where(known, -1.0 / np.where(known, slope, 1.0), np.nan)
