"""Trace: one sweep as a rig wrote it down, and the windows of its stimulus."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from neurojax.recording.command import Step, in_window, main_step, plateaus, steps
from neurojax.units import MINUTE


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
    window: tuple[float, float] | None = None  # ms; the main step, where its family or a user says

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
        if not np.isfinite(self.holding):
            raise RecordingError(f"{where}: holding is {self.holding!r}; expected a finite number")
        if self.window is not None and not 0 <= self.window[0] < self.window[1]:
            raise RecordingError(
                f"{where}: window is {self.window!r}; expected (on, off) in ms, 0 <= on < off"
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

    @property
    def command(self) -> Float[np.ndarray, " sample"]:
        """What was imposed: pA in current clamp, mV in voltage clamp."""
        return self.i_pA if self.clamp == "current" else self.v_mV

    def steps(self) -> list[Step]:
        """Every step of the command, in time."""
        return steps(self.command, self.dt_ms, self.holding)

    def main_step(self) -> Step:
        """The step that the sweep is about: that of its `window`, else as `recording.command` says.

        A sweep without a step has one from its beginning to its end, of height 0.
        """
        if self.window is not None:
            return in_window(self.command, self.dt_ms, self.holding, self.window)
        found = main_step(self.steps(), self.duration_ms)
        return found or Step(0.0, self.duration_ms, 0.0)

    def step_window(self) -> tuple[float, float, float]:
        """Onset (ms), offset (ms) and height (pA or mV above holding) of the sweep's main step."""
        step = self.main_step()
        return step.on, step.off, step.height

    def changes(self) -> Float[np.ndarray, " change"]:
        """Times (ms) at which the stimulus moves by 0.3 of its largest plateau or more."""
        found = self.steps()
        edges: dict[float, float] = {}
        for step in found:
            for time, jump in ((step.on, step.height), (step.off, -step.height)):
                if 0 < time < self.duration_ms - 0.5 * self.dt_ms:
                    # Where one step follows another, what counts is the jump between them.
                    near = next((t for t in edges if abs(t - time) < 0.5 * self.dt_ms), time)
                    edges[near] = edges.get(near, 0.0) + jump
        lasting = plateaus(found, self.duration_ms)
        least = 0.3 * max((abs(step.height) for step in lasting), default=0.0)
        return np.array(sorted(t for t, jump in edges.items() if abs(jump) > least), float)

    def rest_before(self, time_ms: float) -> tuple[float, float]:
        """When (from, to, ms) the command was last at holding before a time; empty if it was not.

        A step that follows another has its base before both.
        """
        busy = [s for s in self.steps() if s.on < time_ms - 0.5 * self.dt_ms]
        end = time_ms
        for step in reversed(busy):
            if step.off < end - 0.5 * self.dt_ms:
                return step.off, end
            end = min(end, step.on)
        return 0.0, end

    def less_junction(self, potential_mV: float) -> Trace:
        """The sweep with a liquid junction potential (mV) taken off what the amplifier called V.

        The membrane was at that less the junction potential, in either clamp; its origin says so.
        """
        if not np.isfinite(potential_mV) or abs(potential_mV) > 100:
            raise ValueError(
                f"junction potential = {potential_mV!r}: expected mV between -100 and 100"
            )
        said = f"junction potential of {potential_mV:g} mV taken off"
        note = "; ".join(x for x in (self.origin.note, said) if x)
        return replace(
            self,
            v_mV=self.v_mV - potential_mV,
            holding=self.holding - (potential_mV if self.clamp == "voltage" else 0.0),
            origin=replace(self.origin, note=note),
        )

    def crop(self, start_ms: float, stop_ms: float) -> Trace:
        """The samples between two times."""
        a, b = round(start_ms / self.dt_ms), round(stop_ms / self.dt_ms)
        begun, window = self.begun_ms + a * self.dt_ms, self.window
        if window is not None:
            on, off = (min(max(x - a * self.dt_ms, 0.0), (b - a) * self.dt_ms) for x in window)
            window = (on, off) if on < off else None
        return replace(
            self, v_mV=self.v_mV[a:b], i_pA=self.i_pA[a:b], start_ms=begun, window=window
        )
