"""Curves that are read off a voltage clamp: I-V, activation, inactivation, recovery, with fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Real

from neurojax.membrane.rates import Leaf
from neurojax.rig.voltage_clamp import Clamped

PerSweep: TypeAlias = Float[np.ndarray, " sweep"]

Points: TypeAlias = Sequence[float] | Real[np.ndarray, " point"]
"""Measured points, as many of the one as of the other."""


class Boltzmann(NamedTuple):
    """amplitude / (1 + exp(-(v - V_half) / k)): a fitted curve, with standard errors.

    k is positive for activation and negative for inactivation.
    """

    V_half: float  # mV
    k: float  # mV
    amplitude: float
    errors: tuple[float, float, float]  # of the three

    def __call__(self, v: Leaf):
        return self.amplitude / (1 + np.exp(-(np.asarray(v) - self.V_half) / self.k))


def peak(clamped: Clamped, window: str = "test") -> PerSweep:
    """The current of largest size in a window, pA."""
    i = clamped.window(window)
    return np.take_along_axis(i, np.abs(i).argmax(axis=0)[None], axis=0)[0]


def steady(clamped: Clamped, window: str = "test", part: float = 0.1) -> PerSweep:
    """The mean current of the last part of a window, pA."""
    i = clamped.window(window)
    return i[-max(1, round(part * len(i))) :].mean(axis=0)


def at_start(clamped: Clamped, window: str = "tail", skip: float = 0.0) -> PerSweep:
    """The current `skip` ms after a window begins, pA: the amplitude of a tail."""
    dt = float(clamped.t[1] - clamped.t[0])
    return clamped.window(window)[round(skip / dt)]


def reversal(v: Points, i: Points) -> float:
    """The potential (mV) at which an I-V curve crosses zero, by interpolation.

    Raises ValueError where it crosses nowhere, or more than once.
    """
    v, i = np.asarray(v, float), np.asarray(i, float)
    sign = np.sign(i)
    zeros = [float(x) for x in v[sign == 0]]
    for k in np.flatnonzero(sign[:-1] * sign[1:] < 0):
        zeros.append(float(v[k] - i[k] * (v[k + 1] - v[k]) / (i[k + 1] - i[k])))
    if len(zeros) != 1:
        raise ValueError(
            f"the current is zero {len(zeros)} times between {v[0]:g} and {v[-1]:g} mV, not once"
        )
    return zeros[0]


def conductance(
    v: Points, i: Points, E_rev: float, nearest: float = 5.0
) -> Float[np.ndarray, " point"]:
    """Chord conductance i / (v - E_rev), pA/mV = nS; NaN within `nearest` mV of E_rev."""
    force = np.asarray(v, float) - E_rev
    near = np.abs(force) < nearest
    return np.where(near, np.nan, np.asarray(i, float) / np.where(near, 1.0, force))


def fit_boltzmann(v: Points, y: Points) -> Boltzmann:
    """The Boltzmann curve nearest to points, NaN left out.

    Raises ValueError for fewer than 4 points.
    """
    v, y = np.asarray(v, float), np.asarray(y, float)
    good = np.isfinite(v) & np.isfinite(y)
    v, y = v[good], y[good]
    if v.size < 4:
        raise ValueError(f"a Boltzmann curve has 3 parameters, but there are {v.size} points")
    top = y[np.abs(y).argmax()]
    order = np.argsort(v)
    rises = abs(y[order[-1]]) > abs(y[order[0]])
    middle = v[np.abs(y - top / 2).argmin()]
    start = [middle, 6.0 if rises else -6.0, top]
    found, covariance = _curve_fit(
        lambda v, V_half, k, a: a / (1 + np.exp(-np.clip((v - V_half) / k, -500, 500))),
        v, y, start, maxfev=20_000,
    )  # fmt: skip
    errors = tuple(float(e) for e in np.sqrt(np.diag(covariance)))
    return Boltzmann(*map(float, found), errors=errors)  # pyright: ignore[reportArgumentType]


def _curve_fit(*args: Any, **options: Any) -> Any:
    """SciPy's, which is loaded when it is needed: it takes a third of a second."""
    from scipy.optimize import curve_fit

    return curve_fit(*args, **options)


def fit_exponential(t: Points, y: Points) -> tuple[float, float, float]:
    """tau (ms), amplitude and final value of y(t) = final + amplitude exp(-t / tau)."""
    t, y = np.asarray(t, float) - t[0], np.asarray(y, float)
    start = [max((t[-1] - t[0]) / 3, 1e-3), y[0] - y[-1], y[-1]]
    (tau, amplitude, final), _ = _curve_fit(
        lambda t, tau, a, final: final + a * np.exp(-t / np.abs(tau)), t, y, start, maxfev=20_000
    )
    return float(abs(tau)), float(amplitude), float(final)
