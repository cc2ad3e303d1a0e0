"""What a sweep does to its cells: a step of current or of a command, or any electrode.

The size of a step may be an axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import jax
import numpy as np

from neurojax.membrane.axes import arrays
from neurojax.membrane.cable import Cable
from neurojax.membrane.channel import ParamInfo
from neurojax.membrane.compartment import Cell
from neurojax.membrane.electrode import (
    Electrode,
    PointCurrent,
    Scaled,
    is_ideal_clamp,
    n_steps,
    steps,
    voltage_clamp,
)
from neurojax.units import PA

AMPLITUDE, HOLDING, COMMAND = "amplitude", "holding", "command"

CURRENT = ParamInfo(0.0, "pA", -1e9, 1e9, "linear")
"""What the amplitude of a step may be."""

POTENTIAL = ParamInfo(0.0, "mV", -300.0, 300.0, "linear")
"""What the command of a voltage clamp may be."""


@dataclass(frozen=True, eq=False)
class Protocol:
    """An experiment on each cell: an electrode, the step of time, and where the run begins.

    `every` steps of `dt` ms folds look at the state. `initial` is a potential (mV) at which gates
    have settled, None for rest. `window` is when the stimulus is on, ms: there firing is judged.
    """

    electrode: Electrode
    dt: float = 0.025
    every: int = 4
    initial: float | None = None
    window: tuple[float, float] | None = None

    def __post_init__(self):
        steps = n_steps(self.electrode)
        if not (np.isfinite(self.dt) and self.dt > 0):
            raise ValueError(f"dt = {self.dt!r}: expected a positive time step in ms")
        if not steps:
            raise ValueError(f"dt = {self.dt:g} ms: expected a time step shorter than the run")
        if not 1 <= self.every <= steps:
            raise ValueError(f"every = {self.every}: expected 1 to {steps} steps between records")
        start, stop = self.judged
        if not 0 <= start < stop <= self.duration + 1e-6:
            raise ValueError(
                f"window = {self.window}: expected 0 <= start < stop <= {self.duration:g} ms"
            )
        if self.electrode.gap is not None or self.electrode.connections:
            raise ValueError("the cells of a sweep do not act on each other: use nj.simulate")
        if any(array.pop for array in arrays(self.electrode)):
            raise ValueError(
                "the electrode of a sweep is that of one cell: what differs from cell to cell is "
                "an axis of the sweep"
            )

    @property
    def of_voltage(self) -> bool:
        """Whether it imposes the potential, so that currents are what is observed."""
        return is_ideal_clamp(self.electrode)

    @property
    def steps(self) -> int:
        """Steps of a run."""
        return n_steps(self.electrode)

    @property
    def duration(self) -> float:
        """ms"""
        return self.steps * self.dt

    @property
    def record_ms(self) -> float:
        """Between two looks of a fold."""
        return self.every * self.dt

    @property
    def judged(self) -> tuple[float, float]:
        """When the stimulus is on, ms; all the time where nothing was said."""
        return self.window or (0.0, self.duration)

    def settings(self) -> dict[str, Any]:
        """All of it but the electrode, as numbers."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "electrode"}

    def axes(self) -> dict[str, ParamInfo]:
        """What of it may be an axis."""
        return {}

    def at(self, values: Mapping[str, np.ndarray], cell: Cell) -> Electrode:
        """The electrode of cells with these values of its axes, `[cell]` each."""
        return self.electrode

    def shortened(self, steps: int) -> Protocol:
        """The same for fewer steps, to see how long one takes."""
        constant, short = jax.tree.flatten(self.electrode)[1], []
        for array in arrays(self.electrode):
            short.append(array.value[:steps] if "step" in array.own else array.value)
        electrode = jax.tree.unflatten(constant, short)
        return replace(self, electrode=electrode, window=None, every=min(self.every, steps))


@dataclass(frozen=True, eq=False)
class CurrentStep(Protocol):
    """A step of current; `step` makes it. Its amplitude and holding current (pA) may be axes."""

    amplitude: float = 0.0
    holding: float = 0.0

    def axes(self) -> dict[str, ParamInfo]:
        return {AMPLITUDE: CURRENT, HOLDING: CURRENT}

    def at(self, values: Mapping[str, np.ndarray], cell: Cell) -> Electrode:
        given = {AMPLITUDE: self.amplitude, HOLDING: self.holding} | dict(values)
        step, held = self.electrode.currents
        place = cell.electrode_at if isinstance(cell, Cable) else 0
        gains = (np.asarray(given[name]) * PA for name in (AMPLITUDE, HOLDING))
        currents = tuple(
            PointCurrent(i=one.i, at=place, gain=gain)
            for one, gain in zip((step, held), gains, strict=True)
        )
        return self.electrode._replace(currents=currents)


def step(
    amplitude_pA: float = 0.0,
    *,
    start: float,
    stop: float,
    duration: float,
    holding_pA: float = 0.0,
    dt: float = 0.025,
    every: int = 4,
    initial: float | None = None,
) -> CurrentStep:
    """A step of current from start to stop of a run, ms, into the cell's electrode.

    `CurrentStep` says what may be an axis: "step.amplitude" of a protocol of the name "step". The
    other arguments are those of `Protocol`. Raises ValueError when the step is not in the run.
    """
    if not (np.isfinite(dt) and dt > 0):
        raise ValueError(f"dt = {dt!r}: expected a positive time step in ms")
    if not start < stop:
        raise ValueError(f"the step lasts from {start:g} to {stop:g} ms: expected start < stop")
    on: Any = steps(1.0, start=start, stop=stop, duration=duration, dt=dt).astype(np.float32)
    currents = PointCurrent(i=on), PointCurrent(i=np.ones_like(on))
    return CurrentStep(
        Electrode(0.0, 0.0, 0.0, currents=currents),
        dt=dt,
        every=every,
        initial=initial,
        window=(start, stop),
        amplitude=amplitude_pA,
        holding=holding_pA,
    )


@dataclass(frozen=True, eq=False)
class CommandStep(Protocol):
    """A step of an ideal voltage clamp, see `command_step`. Both potentials (mV) may be axes."""

    command: float = 0.0
    holding: float = -80.0

    def axes(self) -> dict[str, ParamInfo]:
        return {COMMAND: POTENTIAL, HOLDING: POTENTIAL}

    def at(self, values: Mapping[str, np.ndarray], cell: Cell) -> Electrode:
        given = {COMMAND: self.command, HOLDING: self.holding} | dict(values)
        own = self.electrode.v_cmd
        assert isinstance(own, Scaled) and self.electrode.before is not None
        held = np.asarray(given[HOLDING], float)
        height: Any = np.asarray(given[COMMAND], float) - held
        command = replace(own, amplitude=height, holding=held)
        before = replace(self.electrode.before, v=held)
        return self.electrode._replace(v_cmd=command, before=before)


def command_step(
    command_mV: float = 0.0,
    *,
    holding_mV: float = -80.0,
    start: float,
    stop: float,
    duration: float,
    dt: float = 0.025,
    every: int = 1,
    initial: float | None = None,
) -> CommandStep:
    """A step of the potential from start to stop of a run, ms, from a holding potential.

    The clamp is ideal; what it measures is told by the observables of `Currents`. `CommandStep`
    says what may be an axis: "iv.command" of a protocol of the name "iv". Records are of every
    step of time, as peaks are short. Raises ValueError when the step is not in the run.
    """
    if not (np.isfinite(dt) and dt > 0):
        raise ValueError(f"dt = {dt!r}: expected a positive time step in ms")
    if not start < stop:
        raise ValueError(f"the step lasts from {start:g} to {stop:g} ms: expected start < stop")
    if not start > 0:
        raise ValueError(
            f"the step begins at {start:g} ms: expected some time at holding before it"
        )
    on: Any = steps(1.0, start=start, stop=stop, duration=duration, dt=dt).astype(np.float32)
    height = float(command_mV) - float(holding_mV)
    return CommandStep(
        voltage_clamp(on, amplitude=height, holding=float(holding_mV)),
        dt=dt,
        every=every,
        initial=initial,
        window=(start, stop),
        command=command_mV,
        holding=holding_mV,
    )
