"""The command of a sweep: where it holds, and every step away from there. One definition for all.

A step is a stretch at a level other than holding, however short; a ramp, a sine or a train of equal
pulses is one step that is not flat. A command that is a measurement has noise, and artefacts of
spikes: its level is that of medians over milliseconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_ROUNDING = 5e-7
"""Numbers of float32 are off by less than this part of the largest: that is no step."""

_PART = 1e-3
"""What moves by less than this part of the largest step is no step either ..."""

_NOISY_PART = 0.05
"""... nor by less than this, where the command is measured."""

_LEVEL = 0.05
"""What stays within this part of its height is at one level."""

_BLOCK_MS = 1.0
_FILTER = 11  # blocks of the running median: an artefact of a spike takes less than half
_GAP_MS = 10.0
"""A measured command, or a wave, that is at holding for less than this is still away from it."""

_PIECES = 8
"""A stretch of more levels than this is a ramp or a wave."""

_HOLDING_MS = 20.0

_LASTING = 0.05
"""What takes less than this part of a sweep is no plateau, but a pulse beside one."""


class Step(NamedTuple):
    """A step of a command: when (ms), and how high above holding (pA or mV)."""

    on: float
    off: float
    height: float

    @property
    def flat(self) -> bool:
        """Whether it is at one level."""
        return True


class Wave(Step):
    """A ramp, a sine or a train: its height is the farthest that it goes."""

    @property
    def flat(self) -> bool:
        return False


def is_measured(command: np.ndarray) -> bool:
    """Whether a stimulus carries a measurement's noise: it keeps changing, up and down by turns.

    A commanded step hardly ever changes, a commanded ramp or sine keeps its direction.
    """
    changes = np.diff(command)
    changes = changes[np.abs(changes) > _ROUNDING * np.abs(command).max(initial=0.0)]
    if changes.size < 0.02 * command.size or changes.size < 2:
        return False
    return bool(np.mean(changes[1:] * changes[:-1] < 0) > 0.3)


def holding_of(command: np.ndarray, dt_ms: float) -> float:
    """The level a command starts from: the median until it first moves, at most 20 ms.

    At least a millisecond, and at most 5 % of the sweep where it does not move before.
    """
    n = max(1, min(command.size // 20, round(_HOLDING_MS / dt_ms)))
    block = max(1, min(n, round(_BLOCK_MS / dt_ms)))
    if not is_measured(command):
        moved = np.flatnonzero(np.abs(command[:n] - command[0]) > _tolerance(command, command[0]))
        return float(np.median(command[: moved[0] if moved.size else n]))
    levels, _ = _levels(command, dt_ms)
    near = levels[: n // block]
    if near.size < 2:
        return float(np.median(command[:n]))
    moved = np.flatnonzero(np.abs(near - near[0]) > _noisy_tolerance(levels, near[0]))
    return float(np.median(command[: moved[0] * block if moved.size else n]))


def steps(command: np.ndarray, dt_ms: float, holding: float) -> list[Step]:
    """Every step of a command (pA or mV), in time; empty where it stays at holding."""
    away = command - holding
    if is_measured(command):
        return _noisy_steps(away, dt_ms)
    tolerance = _tolerance(command, holding)
    if not (np.abs(away) > tolerance).any():
        return []
    found = []
    for a, b in _runs(np.abs(away) > tolerance, 0):
        edges = a + 1 + np.flatnonzero(np.abs(np.diff(away[a:b])) > tolerance)
        found += _pieces(away, [a, *edges.tolist(), b], dt_ms, 3)
    return _trains(_merged(found, away, dt_ms))


def plateaus(found: Sequence[Step], duration_ms: float) -> Sequence[Step]:
    """The steps that last, or all where none does."""
    return [x for x in found if x.off - x.on >= _LASTING * duration_ms] or found


def main_step(found: Sequence[Step], duration_ms: float) -> Step | None:
    """The step that a sweep is about: the longest that reaches half of its sign's largest plateau.

    Of several as long, the first that depolarises. What lasts from the beginning or to the end
    counts only where there is nothing else.
    """
    largest = {s: max((abs(x.height) for x in plateaus(found, duration_ms) if (x.height > 0) == s),
                      default=0.0) for s in (True, False)}  # fmt: skip
    high = [x for x in found if abs(x.height) >= 0.5 * largest[x.height > 0]]
    inside = [x for x in high if x.on > 0 and x.off < duration_ms - 1e-9] or high
    if not inside:
        return None
    longest = max(x.off - x.on for x in inside)
    return min(
        (x for x in inside if x.off - x.on >= 0.99 * longest), key=lambda x: (x.height < 0, x.on)
    )


def in_window(
    command: np.ndarray, dt_ms: float, holding: float, window: tuple[float, float]
) -> Step:
    """What a command does in a window (on, off) in ms, as a step."""
    a, b = (min(max(round(x / dt_ms), 0), command.size) for x in window)
    part = command[a:b] - holding
    if not part.size:
        return Step(*window, 0.0)
    measured = is_measured(command)
    if measured:
        levels, _ = _levels(part, dt_ms)
        tolerance = max(6 * _noise(levels), 0.1 * abs(float(np.median(levels))))
        part = _filtered(levels)
    else:
        tolerance = _tolerance(command, holding)
    # The first and last of a window may be of the edges.
    inner = part[1:-1] if part.size > 4 else part
    flat = float(np.ptp(inner)) <= tolerance
    height = float(np.median(part) if flat else part[np.argmax(np.abs(part))])
    if not measured and abs(height) <= tolerance:
        height = 0.0
    return (Step if flat else Wave)(*window, height)


# -- commands without noise ------------------------------------------------------------------------
def _tolerance(command: np.ndarray, holding: float) -> float:
    """What counts as no change of a command without noise."""
    largest = float(np.abs(command - holding).max(initial=0.0))
    rounding = _ROUNDING * float(np.abs(command).max(initial=0.0))
    return max(_PART * largest, rounding, 1e-9)


def _runs(away: np.ndarray, gap: int) -> list[tuple[int, int]]:
    """First sample and the one after the last of each run, gaps of up to so many within."""
    at = np.flatnonzero(away)
    if not at.size:
        return []
    parts = np.split(at, np.flatnonzero(np.diff(at) > gap + 1) + 1)
    return [(int(p[0]), int(p[-1]) + 1) for p in parts]


def _pieces(away: np.ndarray, edges: list[int], dt_ms: float, least: int) -> list[Step]:
    """The steps of a stretch away from holding that changes its level at the edges."""
    if len(edges) - 1 > _PIECES:
        part = away[edges[0] : edges[-1]]
        extreme = float(part[np.argmax(np.abs(part))])
        return [Wave(edges[0] * dt_ms, edges[-1] * dt_ms, extreme)]
    # What is too short to be a level is a slow edge of its neighbours.
    whole = [(a, b) for a, b in itertools.pairwise(edges) if b - a >= least]
    starts = [edges[0], *(a for a, _ in whole[1:])]
    stops = [*starts[1:], edges[-1]]
    return [_piece(away, a, b, dt_ms) for a, b in zip(starts, stops, strict=True)]


def _piece(away: np.ndarray, a: int, b: int, dt_ms: float) -> Step:
    """A stretch without jumps: a step, or a ramp that is slow."""
    part = away[a + 1 : b - 1] if b - a > 4 else away[a:b]
    height = float(np.median(part))
    if np.ptp(part) <= _LEVEL * abs(height):
        return Step(a * dt_ms, b * dt_ms, height)
    return Wave(a * dt_ms, b * dt_ms, float(part[np.argmax(np.abs(part))]))


def _merged(found: list[Step], away: np.ndarray, dt_ms: float) -> list[Step]:
    """Stretches of a wave that are close together are one."""
    out: list[Step] = []
    for step in found:
        if out and not (step.flat or out[-1].flat) and step.on - out[-1].off <= _GAP_MS:
            last = out.pop()
            step = Wave(last.on, step.off, max(last.height, step.height, key=abs))
        out.append(step)
    return out


def _trains(found: list[Step]) -> list[Step]:
    """Three or more equal pulses at equal intervals are one train."""
    if len(found) < 3 or not all(x.flat for x in found):
        return found
    on, off, height = (np.array([x[k] for x in found]) for k in range(3))
    alike = np.ptp(height) <= 0.05 * np.abs(height).max() and np.ptp(off - on) <= 0.05 * np.max(
        off - on
    )
    gaps = np.diff(on)
    if alike and np.ptp(gaps) <= 0.1 * gaps.max():
        return [Wave(found[0].on, found[-1].off, float(np.median(height)))]
    return found


# -- commands that were measured -------------------------------------------------------------------
def _levels(command: np.ndarray, dt_ms: float) -> tuple[np.ndarray, int]:
    """Medians over blocks of a millisecond, and how many samples each takes."""
    block = min(max(1, round(_BLOCK_MS / dt_ms)), command.size)
    whole = command.size // block * block
    return np.median(command[:whole].reshape(-1, block), axis=1), block


def _noise(levels: np.ndarray) -> float:
    return float(np.median(np.abs(np.diff(levels)))) if levels.size > 1 else 0.0


def _noisy_tolerance(levels: np.ndarray, holding: float) -> float:
    low, high = np.quantile(levels - holding, (0.02, 0.98))
    return max(5 * _noise(levels), _NOISY_PART * max(-low, high), 1e-9)


def _filtered(levels: np.ndarray) -> np.ndarray:
    """The running median of blocks, without the artefacts of spikes."""
    if levels.size < _FILTER:
        return levels
    half = _FILTER // 2
    padded = np.pad(levels, half, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, _FILTER), axis=1)


def _noisy_steps(away: np.ndarray, dt_ms: float) -> list[Step]:
    levels, block = _levels(away, dt_ms)
    smooth, reach = _filtered(levels), _FILTER // 2
    tolerance = max(5 * _noise(levels), _NOISY_PART * float(np.abs(smooth).max()), 1e-9)
    if np.abs(smooth).max() <= tolerance:
        # No plateau: perhaps a pulse of a few milliseconds, far above the noise.
        smooth, reach = levels, 2
        tolerance = max(10 * _noise(levels), 0.5 * float(np.abs(levels).max()))
        if not (np.abs(levels) > max(tolerance, 1e-9)).any():
            return []
    found = []
    for a, b in _runs(np.abs(smooth) > tolerance, round(_GAP_MS / (block * dt_ms))):
        jumps = np.flatnonzero(np.abs(np.diff(smooth[a:b])) > max(tolerance, 0.1 * np.ptp(smooth)))
        # A change of level takes two blocks at most: its other half is no other change.
        inner = [a + 1 + int(k) for n, k in enumerate(jumps)
                 if 0 < k < b - a - 3 and (not n or k - jumps[n - 1] > 2)]  # fmt: skip
        edges = [_edge(away, smooth, k, block, reach) for k in (a, *inner, b)]
        found += _noisy_pieces(away, smooth, edges, block, tolerance, dt_ms)
    return _joined(found, tolerance)


def _joined(found: list[Step], tolerance: float) -> list[Step]:
    """Steps that follow each other at one level are one."""
    out: list[Step] = []
    for step in found:
        if out and out[-1].flat and step.flat and out[-1].off == step.on:
            last = out[-1]
            if abs(step.height - last.height) <= max(tolerance, _LEVEL * abs(last.height)):
                longer = max(last, step, key=lambda s: s.off - s.on)
                out[-1] = Step(last.on, step.off, longer.height)
                continue
        out.append(step)
    return out


def _edge(away: np.ndarray, levels: np.ndarray, k: int, block: int, reach: int) -> int:
    """The sample at which the command has passed the middle of its change near block k.

    The artefact of a spike beside an edge moves what is smoothed by as many blocks as it has: the
    edge is looked for within so many.
    """
    before, after = levels[max(k - 2, 0)], levels[min(k + 1, levels.size - 1)]
    if k <= 0 or k >= levels.size:
        return 0 if k <= 0 else away.size
    first = max(k - reach, 0) * block
    part = away[first : (k + reach) * block]
    middle, up = 0.5 * (before + after), after > before
    passed = part > middle if up else part < middle
    # Where most samples before have not passed and most after have: noise may cross the middle
    # before, and the artefact of a spike after.
    most = np.cumsum(np.r_[0, np.where(passed, -1, 1)])
    return first + int(np.argmax(most))


def _noisy_pieces(
    away: np.ndarray,
    smooth: np.ndarray,
    edges: list[int],
    block: int,
    tolerance: float,
    dt_ms: float,
) -> list[Step]:
    found = []
    for a, b in itertools.pairwise(edges):
        if b <= a:
            continue
        inner = smooth[a // block + 2 : max(b // block - 2, a // block + 3)]
        height = float(np.median(away[a:b]))
        flat = inner.size < 3 or float(np.ptp(inner)) <= max(2 * tolerance, 0.2 * abs(height))
        if not flat:
            height = float(inner[np.argmax(np.abs(inner))])
        found.append((Step if flat else Wave)(a * dt_ms, b * dt_ms, height))
    if len(found) > _PIECES:
        extreme = max((x.height for x in found), key=abs)
        return [Wave(found[0].on, found[-1].off, extreme)]
    return found
