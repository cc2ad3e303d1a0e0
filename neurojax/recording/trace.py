"""Trace: one sweep as a rig wrote it down, and the windows of its stimulus."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from neurojax.units import MINUTE

_GAP_MS = 10.0
"""A command that falters for less is still the same step: artefacts of spikes may break it."""


class RecordingError(ValueError):
    """A recording that cannot be used: the message names file, sweep, field and the expected."""


@dataclass(frozen=True)
class Origin:
    """Where a trace came from, kept with every result made from it."""

    path: str = ""
    format: str = ""
    sha256: str = ""
    note: str = ""


@dataclass(frozen=True, eq=False)
class Trace:
    """One sweep of a recording: what was commanded and what was measured.

    In current clamp `i_pA` was injected (depolarising positive) and `v_mV` measured; in voltage
    clamp `v_mV` was commanded and `i_pA` measured (outward positive). Of a cell that is modelled
    with compartments, `at` is the number of the one where its pipette was, and `current_at` the one
    into which its current went, where that was another pipette's.

    Raises RecordingError, naming file, sweep and field, for empty, unequal or non-finite samples.
    """

    clamp: Literal["current", "voltage"]
    dt_ms: float
    v_mV: Float[np.ndarray, " sample"]
    i_pA: Float[np.ndarray, " sample"]
    name: str = ""
    sweep: int = 0
    holding: float = 0.0  # pA in current clamp, mV in voltage clamp
    commanded: bool = True  # False: the stimulus is itself a measurement, with its noise
    origin: Origin = field(default_factory=Origin)
    warnings: tuple[str, ...] = ()
    start_ms: float | None = None  # when it began in its recording, where that is known
    at: int | None = None  # None: where the cell's electrode is
    current_at: int | None = None  # None: where its pipette was

    def __post_init__(self):
        where = f"{self.origin.path or 'trace'}, sweep {self.sweep}"
        if self.clamp not in ("current", "voltage"):
            raise RecordingError(f"{where}: clamp is {self.clamp!r}, not 'current' or 'voltage'")
        if not (np.isfinite(self.dt_ms) and self.dt_ms > 0):
            raise RecordingError(
                f"{where}: dt_ms is {self.dt_ms!r}; expected a positive time in ms"
            )
        for name in ("v_mV", "i_pA"):
            samples = np.asarray(getattr(self, name), dtype=np.float64)
            object.__setattr__(self, name, samples)
            if samples.ndim != 1 or samples.size == 0:
                raise RecordingError(
                    f"{where}: {name} has shape {samples.shape}; expected one row of samples"
                )
            bad = np.flatnonzero(~np.isfinite(samples))
            if bad.size:
                raise RecordingError(
                    f"{where}: {name} is not finite at {bad.size} samples, "
                    f"first at sample {bad[0]} ({bad[0] * self.dt_ms:g} ms)"
                )
        if self.v_mV.size != self.i_pA.size:
            raise RecordingError(
                f"{where}: v_mV has {self.v_mV.size} samples but i_pA has {self.i_pA.size}"
            )

    @property
    def t_ms(self) -> Float[np.ndarray, " sample"]:
        """Sample times, ms."""
        return np.arange(self.v_mV.size) * self.dt_ms

    @property
    def duration_ms(self) -> float:
        return self.v_mV.size * self.dt_ms

    @property
    def begun_ms(self) -> float:
        """When the sweep began; unless told, sweeps follow each other without a pause."""
        return self.sweep * self.duration_ms if self.start_ms is None else self.start_ms

    @property
    def begun_minutes(self) -> float:
        """The same in minutes, in which a pipette drifts."""
        return self.begun_ms / MINUTE

    def step_window(self) -> tuple[float, float, float]:
        """Onset (ms), offset (ms) and height (pA or mV above holding) of the sweep's step.

        Of several it is the longest, of those of either sign that reach half of the largest; what
        lasts from the beginning or to the end counts only where there is nothing else. A sweep
        without a step gives (0, duration, 0).
        """
        deviation, level, block = self._levels()
        found = []
        for height in self._heights(level):
            above = level * np.sign(height) > 0.5 * abs(height)
            beyond = deviation * np.sign(height) > 0.5 * abs(height)
            for run in _runs(above, round(_GAP_MS / (block * self.dt_ms))):
                first, last = max(0, run[0] - 1) * block, (run[-1] + 2) * block
                on = first + int(np.argmax(beyond[first:]))
                off = min(last, deviation.size) - int(np.argmax(beyond[first:last][::-1]))
                found.append((on > 0 and off < deviation.size, off - on, on, off))
        if not found:
            return 0.0, self.duration_ms, 0.0
        *_, on, off = max(found)
        return float(on * self.dt_ms), float(off * self.dt_ms), float(np.median(deviation[on:off]))

    def _levels(self) -> tuple[np.ndarray, np.ndarray, int]:
        """The command above holding, its medians over blocks, and how many samples each takes."""
        deviation = (self.i_pA if self.clamp == "current" else self.v_mV) - self.holding
        # Blocks of a millisecond: a measured command is noisy, and carries artefacts at spikes.
        block = min(max(1, round(1.0 / self.dt_ms)), deviation.size)
        whole = deviation.size // block * block
        return deviation, np.median(deviation[:whole].reshape(-1, block), axis=1), block

    @staticmethod
    def _heights(level: np.ndarray) -> list[float]:
        """Of the largest step of either sign, where there is one.

        That is what 5 % of the sweep reach: plateaus, not one artefact.
        """
        noise = np.median(np.abs(np.diff(level))) if level.size > 1 else 0.0
        low, high = np.quantile(level, (0.05, 0.95))
        least = max(5 * noise, 0.05 * max(-low, high), 1e-9)
        return [h for h in (min(low, 0.0), max(high, 0.0)) if abs(h) > least]

    def changes(self) -> Float[np.ndarray, " change"]:
        """Times (ms) at which the stimulus moves by 0.3 of its largest step or more."""
        deviation, level, block = self._levels()
        height = max(map(abs, self._heights(level)), default=0.0)
        jumps = np.flatnonzero(np.abs(np.diff(level)) > 0.3 * height) if height else []
        times = []
        for k in jumps:  # the first sample past the middle of the jump, within the blocks around it
            around = deviation[k * block : (k + 2) * block]
            half = 0.5 * (level[k] + level[k + 1])
            times.append((k * block + np.argmax((around > half) != (level[k] > half))) * self.dt_ms)
        return np.unique(np.array(times))

    def crop(self, start_ms: float, stop_ms: float) -> Trace:
        """The samples between two times."""
        a, b = round(start_ms / self.dt_ms), round(stop_ms / self.dt_ms)
        begun = self.begun_ms + a * self.dt_ms
        return replace(self, v_mV=self.v_mV[a:b], i_pA=self.i_pA[a:b], start_ms=begun)


def _runs(above: np.ndarray, gap: int) -> list[np.ndarray]:
    """The indices of each run of what is above, gaps of up to so many within."""
    at = np.flatnonzero(above)
    return np.split(at, np.flatnonzero(np.diff(at) > gap + 1) + 1)
