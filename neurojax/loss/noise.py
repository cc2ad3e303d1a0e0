"""The noise of a recording, read off its quiet stretches: how large it is, how long it lasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neurojax.recording.trace import Trace

_MAINS = (50.0, 60.0)  # Hz
_OUTLYING = 4.0  # standard deviations: what lies further is an event, not noise


class Noise(NamedTuple):
    """What a recording does when nothing is asked of it.

    Samples `lasting_ms` apart count as independent: it is the integral of the autocorrelation over
    both directions of time, one sampling interval for white noise.
    """

    sd: float  # of the noise without drift, mains hum and events, in `unit`
    lasting_ms: float
    hum: float  # amplitude of the mains, in `unit`; 0 where it does not stand out
    hum_Hz: float  # 0 without hum
    quiet_ms: float  # how much of the recording told it
    unit: str

    def independent(self, duration_ms: float) -> float:
        """How many independent samples a stretch of the recording is worth, 1 or more."""
        return max(1.0, duration_ms / self.lasting_ms)


def noise_of(traces: Sequence[Trace], least_ms: float = 5.0) -> Noise | None:
    """The noise of sweeps of one recording, from what lies before each stimulus begins.

    Each quiet stretch is freed of a straight drift, of the mains (50 or 60 Hz and the two next
    harmonics, where they stand out and last two periods), and of events more than 4 sd away. The
    autocorrelation is summed up to five times its own duration.

    None where no sweep is quiet for `least_ms`. Raises ValueError for sweeps of several clamps.

    Source of the summation's end: Sokal 1997, in Functional Integration, NATO ASI Series B 361,
    doi:10.1007/978-1-4899-0319-8_6.
    """
    if len({t.clamp for t in traces}) > 1:
        raise ValueError("noise of current clamp and voltage clamp together: give one kind")
    quiet = [(y, t.dt_ms) for t in traces if (y := _quiet(t)).size * t.dt_ms >= least_ms]
    quiet = [(y, dt) for y, dt in quiet if y.size >= 8]
    if not quiet:
        return None
    total = sum(y.size * dt for y, dt in quiet)
    rests, hums = zip(*(_without_hum(_without_drift(y), dt) for y, dt in quiet), strict=True)
    sd = float(np.sqrt(sum(dt * _core(r) for r, (_, dt) in zip(rests, quiet, strict=True)) / total))
    hum, mains = max(hums)
    unit = "mV" if traces[0].clamp == "current" else "pA"
    return Noise(sd, _lasting(rests, quiet[0][1]), hum, mains, total, unit)


def _quiet(trace: Trace) -> np.ndarray:
    """What was measured before the stimulus first changes its level."""
    changes = trace.changes()
    stop = int((changes[0] if len(changes) else trace.duration_ms) / trace.dt_ms) - 1
    return (trace.v_mV if trace.clamp == "current" else trace.i_pA)[: max(stop, 0)]


def _without_drift(y: np.ndarray) -> np.ndarray:
    """Residuals of a straight line that events do not pull."""
    t = np.linspace(-1.0, 1.0, y.size)
    kept = np.ones(y.size, dtype=bool)
    rest = y
    for _ in range(5):
        rest = y - np.polyval(np.polyfit(t[kept], y[kept], 1), t)
        kept = np.abs(rest) <= max(_OUTLYING * np.std(rest[kept]), np.finfo(float).tiny)
        if kept.all():
            break
    return rest


def _without_hum(rest: np.ndarray, dt: float) -> tuple[np.ndarray, tuple[float, float]]:
    """The rest without the mains, and the amplitude and frequency (Hz) of what was taken off."""
    t_s = np.arange(rest.size) * dt * 1e-3
    limit = 10 * _spectrum(rest, dt)
    kept = np.abs(rest) <= _OUTLYING * np.sqrt(_core(rest) / rest.size)
    best, found = rest, (0.0, 0.0)
    for mains in _MAINS:
        if t_s[-1] * mains < 2:
            continue
        phases = 2 * np.pi * mains * t_s
        waves = np.stack([f(h * phases) for h in (1, 2, 3) for f in (np.cos, np.sin)], axis=1)
        parts, *_ = np.linalg.lstsq(waves[kept], rest[kept], rcond=None)
        power = float(parts[0] ** 2 + parts[1] ** 2)
        if power > limit and power**0.5 > found[0]:
            best, found = rest - waves @ parts, (power**0.5, mains)
    return best, found


def _spectrum(rest: np.ndarray, dt: float) -> float:
    """Power that noise alone has in a sine of the mains' frequency: the median of those around."""
    power = 4 * np.abs(np.fft.rfft(rest)) ** 2 / rest.size**2
    f = np.fft.rfftfreq(rest.size, dt * 1e-3)
    around = power[(f > 20.0) & (f < 300.0)]
    return float(np.median(around) / np.log(2)) if around.size else float("inf")


def _core(rest: np.ndarray) -> float:
    """Sum of squares as it would be without events: the mean over what lies within 4 sd."""
    kept = rest
    for _ in range(20):
        inside = np.abs(kept - kept.mean()) <= _OUTLYING * kept.std()
        if inside.all():
            break
        kept = kept[inside]
    return float(np.var(kept) * rest.size)


def _lasting(rests: Sequence[np.ndarray], dt: float) -> float:
    """Integral of the autocorrelation of all stretches together, ms."""
    longest = max(r.size for r in rests)
    products, pairs = np.zeros(longest), np.zeros(longest)
    for r in rests:
        sd = np.sqrt(_core(r) / r.size)
        r = np.clip(r, -_OUTLYING * sd, _OUTLYING * sd)
        f = np.fft.rfft(r, 2 * r.size)
        products[: r.size] += np.fft.irfft(f * f.conj(), 2 * r.size)[: r.size]
        pairs[: r.size] += np.arange(r.size, 0, -1)
    if not products[0] > 0:
        return dt
    rho = products / products[0] * (pairs[0] / pairs)
    sums = 2 * np.cumsum(rho) - 1
    window = np.arange(longest) >= 5 * np.maximum(sums, 1.0)
    end = int(np.argmax(window)) if window.any() else longest - 1
    return float(dt * max(sums[end], 1.0))
