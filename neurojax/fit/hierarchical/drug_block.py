"""Block: the fractional currents that a drug leaves, the protocol's constant parts, resamplings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Block:
    """What is left of a current under a drug, as fractions of that before it.

    Raises ValueError for shapes that do not fit, or samples that are not equally far apart.
    """

    drug: Float[np.ndarray, " cell"]  # concentration that each cell was given, nM
    fraction: Float[np.ndarray, "cell sweep sample"]  # NaN: not measured
    times: Float[np.ndarray, " sample"]  # ms from the beginning of a sweep

    def __post_init__(self):
        cells, _, samples = self.fraction.shape
        if self.drug.shape != (cells,) or self.times.shape != (samples,):
            raise ValueError(
                f"fractions of {cells} cells at {samples} times, but drug has the shape "
                f"{self.drug.shape} and times {self.times.shape}: expected ({cells},), ({samples},)"
            )
        if not (self.drug > 0).all():
            raise ValueError(f"drug = {self.drug.min():g} nM: expected concentrations above 0")
        if samples < 2 or not np.allclose(np.diff(self.times), self.times[1] - self.times[0]):
            raise ValueError("times: expected two or more, equally far apart")


class Course(NamedTuple):
    """A sweep of constant parts, in whole steps: before its samples, along them and after."""

    holding: float  # mV, before the sweep and after it
    pulse: float  # mV, where the samples are
    lead: int  # steps of holding before the pulse
    first: int  # steps of the pulse before the first sample
    stride: int  # steps from sample to sample
    samples: int
    rest: int  # steps of the pulse after the last sample
    after: int  # steps of holding after the pulse
    waiting: int  # steps of holding before the first sweep, with the drug there already
    sweeps: int
    dt: float  # ms

    @property
    def last(self) -> int:
        """Steps of the pulse before the last sample."""
        return self.first + self.stride * (self.samples - 1)


def course_of(block: Block, command: np.ndarray, dt: float, waiting: float) -> Course:
    """The constant parts of a sweep. Raises ValueError where samples and parts do not fit."""
    v = np.asarray(command, dtype=float)
    edges = np.flatnonzero(np.diff(v)) + 1
    parts = np.split(v, edges)
    if len(parts) != 3 or parts[0][0] != parts[2][0]:
        levels = ", ".join(f"{p[0]:g}" for p in parts[:6])
        raise ValueError(
            f"the command has {len(parts)} constant parts ({levels} mV): expected holding, a pulse "
            "and holding again"
        )
    steps = block.times / dt
    whole = np.rint(steps).astype(int)
    lead, pulse, after = map(len, parts)
    if not np.allclose(steps, whole) or whole[0] < lead or whole[-1] > lead + pulse:
        raise ValueError(
            f"times from {block.times[0]:g} to {block.times[-1]:g} ms: expected whole steps of "
            f"{dt:g} ms within the pulse, {lead * dt:g} to {(lead + pulse) * dt:g} ms"
        )
    return Course(
        holding=float(v[0]), pulse=float(parts[1][0]), lead=lead, first=int(whole[0] - lead),
        stride=int(whole[1] - whole[0]), samples=len(whole), rest=int(lead + pulse - whole[-1]),
        after=after, waiting=round(waiting / dt), sweeps=block.fraction.shape[1], dt=dt,
    )  # fmt: skip


def resampled_cells(
    block: Block, levels: np.ndarray, boots: int, rng: np.random.Generator
) -> np.ndarray:
    """How often each cell counts in each resampling, `[boot, cell]`."""
    counts = np.zeros((boots, block.drug.size))
    for level in levels:
        members = np.flatnonzero(block.drug == level)
        drawn = members[rng.integers(members.size, size=(boots, members.size))]
        np.add.at(counts, (np.arange(boots)[:, None], drawn), 1.0)
    return counts


class Means(NamedTuple):
    """Mean fractions at each concentration and their weight, `[drug, record, fit]`."""

    data: np.ndarray
    weight: np.ndarray


def averaged(block: Block, levels: np.ndarray, counts: np.ndarray) -> Means:
    """Means over the cells of each concentration; the weights make all squares their mean."""
    data, weight = [], []
    for level in levels:
        members = block.drug == level
        y = block.fraction[members].reshape(members.sum(), -1)
        there = np.isfinite(y)
        n = counts[:, members] @ there
        total = counts[:, members] @ np.where(there, y, 0.0)
        data.append((total / np.maximum(n, 1)).T)
        weight.append((n > 0).astype(float).T)
    used = np.stack(weight)
    scale = np.sqrt(np.maximum(used.sum((0, 1)), 1.0))
    return Means(np.stack(data), used / scale)


def alike(means: Means, times: int) -> Means:
    return Means(*(np.repeat(a, times, axis=-1) for a in means))
