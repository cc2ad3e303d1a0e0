"""What the rig does to the cell (Electrode) and what it wrote down (Trace)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from neurojax.units import factor

PA = factor("pA", "uA")
"""One picoampere in the coherent unit of current, uA."""

MINUTE = 6e4
"""ms"""

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
    """One sweep of a recording, [sample] each: what was commanded and what was measured.

    In current clamp `i_pA` was injected (depolarising positive) and `v_mV` measured; in voltage
    clamp `v_mV` was commanded and `i_pA` measured (outward positive).

    Raises RecordingError, naming file, sweep and field, for empty, unequal or non-finite samples.
    """

    clamp: Literal["current", "voltage"]
    dt_ms: float
    v_mV: np.ndarray
    i_pA: np.ndarray
    name: str = ""
    sweep: int = 0
    holding: float = 0.0  # pA in current clamp, mV in voltage clamp
    commanded: bool = True  # False: the stimulus is itself a measurement, with its noise
    origin: Origin = field(default_factory=Origin)
    warnings: tuple[str, ...] = ()
    start_ms: float | None = None  # when it began in its recording, where that is known

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
    def t_ms(self) -> np.ndarray:
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

    def changes(self) -> np.ndarray:
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

    def idealised(self) -> Trace:
        """The sweep with a measured current replaced by its holding level and its step, pA.

        For monitors that carry noise and artefacts of spikes. A commanded current stays as it is.
        """
        if self.commanded or self.clamp == "voltage":
            return self
        on, off, height = self.step_window()
        a, b = round(on / self.dt_ms), round(off / self.dt_ms)
        around = np.r_[self.i_pA[:a], self.i_pA[b:]] if height else self.i_pA
        holding = float(np.median(around)) if around.size else self.holding
        i = np.full(self.i_pA.size, holding)
        if height:
            i[a:b] = np.median(self.i_pA[a:b])
        return replace(self, i_pA=i, holding=holding, warnings=())

    def crop(self, start_ms: float, stop_ms: float) -> Trace:
        """The samples between two times."""
        a, b = round(start_ms / self.dt_ms), round(stop_ms / self.dt_ms)
        begun = self.begun_ms + a * self.dt_ms
        return replace(self, v_mV=self.v_mV[a:b], i_pA=self.i_pA[a:b], start_ms=begun)


def _runs(above: np.ndarray, gap: int) -> list[np.ndarray]:
    """The indices of each run of what is above, gaps of up to so many within."""
    at = np.flatnonzero(above)
    return np.split(at, np.flatnonzero(np.diff(at) > gap + 1) + 1)


class Electrode(NamedTuple):
    """What the rig does to the cell: one tick, or a whole run with a leading time axis.

    `(i, v_cmd, g)` is current clamp with g = 0; voltage clamp through a series resistance R_s with
    g = 1 / R_s; an ideal clamp as g grows; and, with v_cmd the recorded trace, nudging. A run's
    field is `[step]` (the same for all cells), `[step, pop]`, or without time axis when it never
    changes.
    """

    i: Any  # injected current, uA, depolarising positive
    v_cmd: Any  # command potential, mV
    g: Any  # coupling conductance, mS
    inputs: dict[str, Any] = {}  # what else reaches the cell, see `Cell.inputs`


IDEAL_CLAMP_G = 1e9
"""Coupling conductance (mS) at which the membrane sits on the command within one step."""


def n_steps(electrode: Electrode) -> int:
    """Number of time steps. Raises ValueError when fields differ, or none has a time axis."""
    fields = {k: x for k, x in electrode._asdict().items() if k != "inputs"} | electrode.inputs
    lengths = {name: np.shape(x)[0] for name, x in fields.items() if np.ndim(x) > 0}
    if not lengths:
        raise ValueError("the electrode has no time axis: give i, v_cmd or g one sample per step")
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the electrode's fields differ in length: {lengths}")
    return next(iter(lengths.values()))


def current_clamp(i) -> Electrode:
    """Inject a current `[step]` or `[step, pop]`, uA (uA/cm2 for a cell of the default area)."""
    return Electrode(i=jnp.asarray(i), v_cmd=0.0, g=0.0)


def stimulus(electrode: Electrode | None = None, **inputs) -> Electrode:
    """Change the cell's inputs in time, `[step]` or `[step, pop]` each: `stimulus(glu=...)`.

    Concentrations that the cell holds are inputs too, as "k_o". With an electrode, its current or
    clamp at the same time. See `Cell.inputs`.
    """
    electrode = current_clamp(0.0) if electrode is None else electrode
    new = {name: jnp.asarray(x) for name, x in inputs.items()}
    return electrode._replace(inputs=electrode.inputs | new)


def voltage_clamp(v_cmd, R_s_MOhm: float = 0.0) -> Electrode:
    """Impose a command potential `[step]` or `[step, pop]`, mV, during each step.

    R_s_MOhm = 0 is the ideal clamp: v follows v_cmd exactly and the clamp current is the ionic
    current. After a step v then stands at the command of the next, as the samples of a recording
    do, so start the run at v_cmd[0]. Raises ValueError for a negative resistance.
    """
    if R_s_MOhm < 0:
        raise ValueError(f"R_s_MOhm = {R_s_MOhm}: a series resistance is not negative")
    v_cmd = jnp.asarray(v_cmd)
    if R_s_MOhm == 0:
        return _ideal_clamp(jnp.concatenate([v_cmd[1:], v_cmd[-1:]]))
    return Electrode(i=0.0, v_cmd=v_cmd, g=1 / (R_s_MOhm * factor("MOhm", "kOhm")))


def _ideal_clamp(v_end) -> Electrode:
    """Set v to `v_end` at the end of each step."""
    return Electrode(i=0.0, v_cmd=jnp.asarray(v_end), g=IDEAL_CLAMP_G)


def is_ideal_clamp(electrode: Electrode) -> bool:
    """Whether the electrode was made to impose its command without a series resistance."""
    return isinstance(electrode.g, float) and electrode.g == IDEAL_CLAMP_G


def steps(
    amplitude,
    *,
    start: float,
    stop: float,
    duration: float,
    dt: float,
    holding: float = 0.0,
) -> np.ndarray:
    """A rectangular step `[step]`, or `[step, pop]` for an array of amplitudes, in their unit.

    Times in ms. Raises ValueError when the step does not lie within the run.
    """
    if not 0 <= start <= stop <= duration:
        raise ValueError(
            f"expected 0 <= start <= stop <= duration, got {start}, {stop}, {duration} ms"
        )
    midpoints = (np.arange(round(duration / dt)) + 0.5) * dt
    on = (midpoints >= start) & (midpoints < stop)
    amplitude = np.asarray(amplitude, dtype=np.float64)
    return np.where(on.reshape(-1, *[1] * amplitude.ndim), amplitude, 0.0) + holding


def resample(samples: np.ndarray, dt_from: float, dt_to: float, *, at: float) -> np.ndarray:
    """Samples taken every `dt_from` ms, linearly interpolated to the steps of `dt_to` ms.

    `at` is where in each step: 0.5 its middle (second order for currents), 1.0 its end.
    """
    n = int(np.floor((len(samples) - 1) * dt_from / dt_to + 1e-6))
    times = (np.arange(n) + at) * dt_to
    return np.interp(times, np.arange(len(samples)) * dt_from, samples)


def from_trace(trace: Trace, dt: float, R_s_MOhm: float = 0.0) -> Electrode:
    """Repeat what a trace's rig did, its current or its command, in steps of `dt` ms.

    A run of it ends at the last sample; the simulated sample after step k is at time (k + 1) * dt.
    """
    if trace.clamp == "current":
        return current_clamp(resample(trace.i_pA, trace.dt_ms, dt, at=0.5) * PA)
    if R_s_MOhm == 0:
        return _ideal_clamp(resample(trace.v_mV, trace.dt_ms, dt, at=1.0))
    return voltage_clamp(resample(trace.v_mV, trace.dt_ms, dt, at=0.5), R_s_MOhm)


def nudged(electrode: Electrode, v_data, g) -> Electrode:
    """The same experiment with the cell coupled to a recorded potential `[step]` by g (mS)."""
    return electrode._replace(v_cmd=jnp.asarray(v_data), g=g)
