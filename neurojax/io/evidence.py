"""What a channel does, to tell commands from responses: does it move, in steps, like another?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_BLOCK_MS = 1.0
_MOST_SWEEPS = 40  # are looked at
_FLOOR = {"voltage": 1.0, "current": 2.0}
"""Differences of a command that are within an amplifier's offset, mV or pA."""


class Blocks(NamedTuple):
    """Medians over milliseconds, of each sweep, and the noise of one median."""

    sweeps: list[np.ndarray]
    noise: float

    def scaled(self, factor: float) -> Blocks:
        return Blocks([s * factor for s in self.sweeps], self.noise * abs(factor))

    @property
    def size(self) -> float:
        """How far it goes, over all sweeps."""
        if not self.sweeps:
            return 0.0
        return float(max(s.max() for s in self.sweeps) - min(s.min() for s in self.sweeps))


def blocks(sweeps: Sequence[np.ndarray], dt_ms: float) -> Blocks:
    """The medians of some sweeps."""
    if len(sweeps) > _MOST_SWEEPS:
        sweeps = [sweeps[k] for k in np.linspace(0, len(sweeps) - 1, _MOST_SWEEPS).astype(int)]
    found = []
    for sweep in sweeps:
        n = min(max(1, round(_BLOCK_MS / dt_ms)), sweep.size)
        whole = sweep.size // n * n
        found.append(np.median(np.nan_to_num(sweep[:whole]).reshape(-1, n), axis=1))
    noise = max((float(np.median(np.abs(np.diff(f)))) for f in found if f.size > 1), default=0.0)
    return Blocks(found, noise)


def alive(x: Blocks) -> bool:
    """Whether it moves by more than its noise, in whatever unit."""
    largest = max((float(np.abs(s).max()) for s in x.sweeps), default=0.0)
    return x.size > max(8 * x.noise, 1e-6 * largest)


def like_a_command(x: Blocks) -> bool:
    """Whether it moves in steps: nearly all of the way within 2 ms, and there it stays."""
    if not alive(x):
        return False
    for s in x.sweeps:
        size = float(np.ptp(s))
        if s.size < 8 or size < 0.5 * x.size:
            continue
        jump = np.abs(s[2:-4] - s[:-6])
        k = int(np.argmax(jump))
        stays = abs(s[k + 6] - s[k + 2]) < 0.15 * size + 3 * x.noise
        if not (jump[k] > 0.6 * size and stays):
            return False
    return True


def follows(x: Blocks, command: Blocks, slope: float | None = 1.0) -> bool:
    """Whether it goes with a command: one by one, or with a slope of its own where that is None."""
    a, b = _flat(x, command)
    a, b = a - a.mean(), b - b.mean()
    power = float(b @ b)
    if not power or not float(a @ a):
        return False
    gain = float(a @ b) / power
    explained = gain * float(a @ b) / float(a @ a)
    return explained > 0.3 if slope is None else explained > 0.9 and abs(gain / slope - 1) < 0.2


def _flat(x: Blocks, y: Blocks) -> tuple[np.ndarray, np.ndarray]:
    """Both, sweep behind sweep, as long as both are."""
    pairs = [(a[: b.size], b[: a.size]) for a, b in zip(x.sweeps, y.sweeps, strict=False)]
    return np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])


def agree(
    recorded: Sequence[np.ndarray], played: Sequence[np.ndarray], dt_ms: float, clamp: str
) -> str:
    """By how much a recorded command and the output's differ, told; "" where they agree."""
    a, b = blocks(recorded, dt_ms), blocks(played, dt_ms)
    limit = max(0.05 * max(a.size, b.size), 6 * a.noise, _FLOOR[clamp])
    worst = 0.0
    for rec, out in zip(a.sweeps, b.sweeps, strict=True):
        steady = np.ones(out.size, bool)
        moving = np.flatnonzero(np.abs(np.diff(out)) > 1e-9 + 1e-3 * b.size)
        for k in (-1, 0, 1, 2):  # at a jump the recorded one is a filter's time late
            steady[np.clip(moving + k, 0, out.size - 1)] = False
        if moving.size > 0.5 * out.size:
            steady[:] = True  # a ramp or a wave
        apart = np.abs(rec - out)[steady]
        if apart.size:
            worst = max(worst, float(np.quantile(apart, 0.99)))
    return f"{worst:.3g} {'pA' if clamp == 'current' else 'mV'}" if worst > limit else ""


def flickers(sweeps: Sequence[np.ndarray], clamp: str) -> bool:
    """Whether a recorded command only moves between a few neighbouring numbers of its converter.

    It then stood still. A commanded step, however small, comes to the same in each sweep, or lasts.
    """
    spread = max(float(np.ptp(s)) for s in sweeps)
    if not 0 < spread <= 2 * _FLOOR[clamp]:
        return False
    if len(np.unique(np.concatenate([np.unique(s) for s in sweeps]))) > 8:
        return False
    changes = [np.flatnonzero(np.diff(s)) for s in sweeps]
    often = any(x.size > 4 for x in changes)
    alike = all(np.array_equal(x, changes[0]) for x in changes)
    return often or not alike
