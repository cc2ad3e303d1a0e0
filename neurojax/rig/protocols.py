"""Voltage-clamp protocols, one line each: the command of every sweep, and where to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Real

Values: TypeAlias = Sequence[float] | Real[np.ndarray, " sweep"]


@dataclass(frozen=True, eq=False)
class Protocol:
    """Commands of all sweeps, and what differs between them.

    `windows` are the times (ms) that matter, by name: "test" is the pulse whose current is read,
    "tail" what follows it, "prepulse" what comes before.
    """

    name: str
    v: Float[np.ndarray, "step sweep"]  # mV, during each step
    dt: float  # ms
    levels: Real[np.ndarray, " sweep"]  # what differs between the sweeps, mV or ms
    windows: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def t(self) -> Float[np.ndarray, " step"]:
        """The end of each step, ms."""
        return (np.arange(len(self.v)) + 1) * self.dt

    def samples(self, window: str, steps: int | None = None) -> slice:
        """The steps within a window. Raises ValueError for a window that the protocol has not."""
        if window not in self.windows:
            raise ValueError(
                f"{self.name} has no window {window!r} (have: {', '.join(self.windows) or 'none'})"
            )
        start, stop = (round(t / self.dt) for t in self.windows[window])
        return slice(start, stop)

    def scaled(self, by: float, holding: float | None = None) -> Protocol:
        """The protocol with its deviations from holding times `by`, as for P/N leak subtraction.

        `holding` (mV) is where the small pulses start from, by default where the protocol does.
        """
        base = self.v[0]
        start = base if holding is None else holding
        return Protocol(
            f"{self.name} x {by:g}",
            start + by * (self.v - base),
            self.dt,
            self.levels,
            self.windows,
        )


def epochs(
    name: str,
    parts: Sequence[tuple[str, float, float | Real[np.ndarray, " sweep"]]],
    *,
    levels: Values,
    dt: float,
) -> Protocol:
    """A protocol of constant parts one after another: (window's name or "", ms, mV).

    Raises ValueError for a part that takes less than a step.
    """
    columns, windows, at = [], {}, 0
    levels = np.atleast_1d(np.asarray(levels, dtype=float))
    for window, duration, mV in parts:
        n = round(duration / dt)
        if n < 1:
            raise ValueError(f"{name}: a part of {duration:g} ms is shorter than a step of {dt} ms")
        columns.append(np.broadcast_to(np.asarray(mV, dtype=float), (n, levels.size)))
        if window:
            windows[window] = (at * dt, (at + n) * dt)
        at += n
    return Protocol(name, np.concatenate(columns), dt, levels, windows)


def step_family(
    levels: Values,
    *,
    holding: float = -80.0,
    before: float = 10.0,
    duration: float = 50.0,
    tail: float | None = None,
    after: float = 20.0,
    dt: float = 0.025,
) -> Protocol:
    """Steps from holding to each of the levels (mV): activation, and the I-V curve.

    `tail` is the potential after the step (default: holding).
    """
    each = np.asarray(levels, dtype=float)
    end = holding if tail is None else tail
    parts = [("", before, holding), ("test", duration, each), ("tail", after, end)]
    return epochs("step family", parts, levels=each, dt=dt)


def tail_family(
    levels: Values,
    *,
    holding: float = -80.0,
    before: float = 10.0,
    open_at: float = 20.0,
    opening: float = 10.0,
    duration: float = 30.0,
    dt: float = 0.025,
) -> Protocol:
    """The same opening pulse, then each of the levels: tail currents, reversal potential."""
    each = np.asarray(levels, dtype=float)
    parts = [("", before, holding), ("prepulse", opening, open_at), ("test", duration, each)]
    return epochs("tail family", parts, levels=each, dt=dt)


def inactivation_family(
    levels: Values,
    *,
    holding: float = -80.0,
    before: float = 10.0,
    conditioning: float = 100.0,
    test_at: float = 0.0,
    duration: float = 20.0,
    after: float = 10.0,
    dt: float = 0.025,
) -> Protocol:
    """A long conditioning pulse to each of the levels, then the same test: availability."""
    each = np.asarray(levels, dtype=float)
    parts = [
        ("", before, holding), ("prepulse", conditioning, each), ("test", duration, test_at),
        ("", after, holding),
    ]  # fmt: skip
    return epochs("inactivation family", parts, levels=each, dt=dt)


def paired_pulses(
    intervals: Values,
    *,
    holding: float = -80.0,
    pulse_at: float = 0.0,
    before: float = 10.0,
    first: float = 20.0,
    second: float = 20.0,
    dt: float = 0.025,
) -> list[Protocol]:
    """Two equal pulses at each of the intervals (ms): recovery from inactivation.

    One protocol for each interval, because the pulses are at other times. All are as long as the
    longest, held at the end, so that they compile once.
    """
    longest = max(intervals, default=0.0)
    return [
        epochs(
            f"paired pulses, {gap:g} ms",
            [("", before, holding), ("prepulse", first, pulse_at), ("", gap, holding),
             ("test", second, pulse_at), ("", before + longest - gap, holding)],
            levels=np.array([gap]), dt=dt,
        )
        for gap in intervals
    ]  # fmt: skip


def ramp(
    start: float, stop: float, *, duration: float = 500.0, before: float = 20.0, dt: float = 0.025
) -> Protocol:
    """From start to stop (mV) at a constant rate: the steady I-V curve in one sweep."""
    rise = np.linspace(start, stop, round(duration / dt))
    v = np.concatenate([np.full(round(before / dt), start), rise])[:, None]
    return Protocol("ramp", v, dt, np.array([stop]), {"test": (before, before + duration)})


def staircase(
    levels: Values,
    *,
    holding: float = -80.0,
    step: float = 500.0,
    before: float = 250.0,
    dt: float = 0.1,
) -> Protocol:
    """Levels (mV) one after the other in a single sweep, as for hERG kinetics."""
    parts: list[tuple[str, float, float]] = [("", before, holding)]
    parts += [(f"step {k}", step, mV) for k, mV in enumerate(levels)]
    parts += [("", before, holding)]
    made = epochs("staircase", parts, levels=np.array([holding]), dt=dt)
    whole = (before, before + step * len(levels))
    return Protocol(made.name, made.v, dt, made.levels, {**made.windows, "test": whole})


def sine(dt: float = 0.1) -> Protocol:
    """The sinusoidal protocol that identifies hERG's kinetics in 8 seconds.

    Source: Beattie et al. 2018, J Physiol 596:1813, doi:10.1113/JP275733, figure 1.
    """
    t = (np.arange(round(8000 / dt)) + 0.5) * dt
    waves = sum(
        amplitude * np.sin(rate * (t - 2500))
        for amplitude, rate in ((54.0, 0.007), (26.0, 0.037), (10.0, 0.19))
    )
    edges = np.array([250, 300, 500, 1500, 2000, 3000, 6500, 7000])
    plateaus = np.array([-80.0, -120.0, -80.0, 40.0, -120.0, -80.0, -30.0, -120.0, -80.0])
    part = np.searchsorted(edges, t, side="right")
    v = plateaus[part] + np.where(part == 6, waves, 0.0)
    return Protocol("sine wave", v[:, None], dt, np.array([0.0]), {"test": (3000.0, 6500.0)})


def milnes(pulse_at: float = 0.0, *, holding: float = -80.0, dt: float = 0.1) -> Protocol:
    """One sweep of 25 s, in which hERG stands open for 10 s: how fast a drug blocks it.

    Ten of them follow each other, after the drug has had time to reach the closed channels.

    Source: Milnes et al. 2010, J Pharmacol Toxicol Methods 61:178,
    doi:10.1016/j.vascn.2010.02.007; the times as in Li et al. 2017, Circ Arrhythm Electrophysiol
    10:e004628, doi:10.1161/CIRCEP.116.004628, whose data it was.
    """
    parts = [("", 940.0, holding), ("test", 10_000.0, pulse_at), ("", 14_060.0, holding)]
    return epochs("Milnes", parts, levels=np.array([pulse_at]), dt=dt)


def action_potential_clamp(
    v: Real[np.ndarray, " sample"], dt_recorded: float, dt: float = 0.025
) -> Protocol:
    """A recorded potential (mV, one sample every `dt_recorded` ms) as the command."""
    v = np.asarray(v, dtype=float)
    duration = (v.size - 1) * dt_recorded
    times = (np.arange(round(duration / dt)) + 0.5) * dt
    command = np.interp(times, np.arange(v.size) * dt_recorded, v)[:, None]
    return Protocol("action potential clamp", command, dt, np.array([0.0]), {"test": (0, duration)})
