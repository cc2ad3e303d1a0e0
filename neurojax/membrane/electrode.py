"""Electrode: what the rig does to a cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from neurojax.membrane.access import R_S, conductance, none_or
from neurojax.membrane.channel import Leaf, check_range, field, pytree
from neurojax.membrane.events import Events
from neurojax.recording.trace import Trace
from neurojax.units import PA, factor

InTime: TypeAlias = Real[np.ndarray | Array, " step *pop"]
"""What changes from step to step: the same for all cells, or with an entry for each."""


@pytree
class Scaled:
    """One shape in time for all cells, and how large it is in each: holding + amplitude * shape.

    The product is formed within each step: a population needs no array `[step, pop]`.
    """

    shape: Leaf | InTime = field(axes=("step",))
    amplitude: Leaf = field(1.0, axes=())
    holding: Leaf = field(0.0, axes=())

    def at(self, shape: Leaf) -> Leaf:
        """Its value where the shape has this one, with the axes of the shape and then `[*pop]`."""
        return self.holding + self.amplitude * shape


def now(x: Leaf | Scaled) -> Leaf:
    """The value of a field of a tick."""
    return x.at(x.shape) if isinstance(x, Scaled) else x


@pytree
class PointCurrent:
    """A current (uA) into one compartment, or into another one of each cell.

    In each cell it is `gain` times i: a family of steps is one course in time, and a gain a cell.
    """

    i: Leaf | InTime = field(axes=("step",))
    at: Leaf = field(0, axes=())
    gain: Leaf = field(1.0, axes=())


@pytree
class Outside:
    """A potential outside the cell, mV: at each compartment v, times its `course` in time; or as
    `given` in every step. `extracellular` makes them."""

    course: Leaf | InTime = field(1.0, axes=("step",))
    v: Leaf = field(0.0, axes=("comp",))
    given: Leaf = field(0.0, axes=("step", "comp"))


@pytree
class Before:
    """Where an ideal clamp held the cell before the first step: a potential v, mV."""

    v: Leaf = field(axes=())


@pytree
class GapJunctions:
    """Conductances g (nS) between cells a and b of a population, `[pair]` each.

    They are in compartments `at_a` and `at_b`: one for all, or `[pair]`.
    """

    a: Leaf = field(axes=("pair",))
    b: Leaf = field(axes=("pair",))
    g: Leaf = field(1.0, axes=("pair",))
    at_a: Leaf = field(0, axes=("pair",))
    at_b: Leaf = field(0, axes=("pair",))

    def __post_init__(self):
        for name in ("a", "b", "g", "at_a", "at_b"):
            value = getattr(self, name)
            if not isinstance(value, float | int | jax.Array):
                object.__setattr__(self, name, np.asarray(value))


@pytree
class Connections:
    """Synapses `[pair]`: a spike of cell `pre` is an event of cell `post` after a `delay` (ms).

    A spike is a rise of the potential through the `threshold` (mV) in compartment `of`; the event
    has a `weight` and comes to compartment `at`, to the channel under whose name the connections
    are given. `of` and the threshold are the same for all. Four spikes of a cell may be on their
    way at once: a cell that fires more often within its longest delay fails, see `Recording.ok`.
    """

    pre: Leaf = field(axes=("pair",))
    post: Leaf = field(axes=("pair",))
    delay: Leaf = field(axes=("pair",))
    weight: Leaf = field(1.0, axes=("pair",))
    at: Leaf = field(0, axes=("pair",))
    of: Leaf = 0
    threshold: Leaf = -20.0

    def __post_init__(self):
        for name in ("pre", "post", "delay", "weight", "at"):
            value = getattr(self, name)
            if not isinstance(value, float | int | jax.Array):
                object.__setattr__(self, name, np.asarray(value))


class Electrode(NamedTuple):
    """What reaches the cell from outside: one tick, or a whole run with a leading time axis.

    `(i, v_cmd, g)` is current clamp with g = 0; voltage clamp through a series resistance R_s with
    g = 1 / R_s; an ideal clamp with g None, which puts v on the command at the end of a step; and,
    with v_cmd the recorded trace, nudging. A run's field is `[step]` (the same for all cells),
    `[step, pop]`, or without time axis when it never changes; a current or a command that only
    differs in size from cell to cell is `Scaled`. An ideal clamp that held another potential
    `before` the run than at the end of its first step says which.
    """

    i: Leaf | InTime | Scaled  # injected current, uA, depolarising positive
    v_cmd: Leaf | InTime | Scaled  # command potential, mV
    g: Leaf | InTime | None  # coupling conductance, mS; None: v is imposed
    inputs: dict[str, Leaf | InTime] = {}  # what else reaches the cell, see `Cell.inputs`
    currents: tuple[PointCurrent, ...] = ()  # injected at places, beside i
    outside: tuple[Outside, ...] = ()  # the field, which adds up
    gap: GapJunctions | None = None  # to other cells of the population
    connections: dict[str, Connections] = {}  # their spikes, by the channel that receives them
    events: dict[str, Any] = {}  # `Events` by channel or input; in a tick, what arrives in it
    before: Before | None = None  # of an ideal clamp


def n_steps(electrode: Electrode) -> int:
    """Number of time steps. Raises ValueError when fields differ, or none has a time axis."""
    fields = {"i": electrode.i, "v_cmd": electrode.v_cmd, "g": electrode.g} | electrode.inputs
    fields = {k: x.shape if isinstance(x, Scaled) else x for k, x in fields.items()}
    fields |= {f"currents.{k}.i": one.i for k, one in enumerate(electrode.currents)}
    for k, one in enumerate(electrode.outside):
        fields |= {f"outside.{k}.course": one.course, f"outside.{k}.given": one.given}
    lengths = {k: np.shape(x)[0] for k, x in fields.items() if x is not None and np.ndim(x) > 0}
    if not lengths:
        raise ValueError("the electrode has no time axis: give i, v_cmd or g one sample per step")
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the electrode's fields differ in length: {lengths}")
    return next(iter(lengths.values()))


def current_clamp(
    i: Leaf | InTime | Sequence[Any],
    at: Sequence[Any] | None = None,
    unit: str = "uA",
    *,
    amplitude: Leaf | None = None,
    holding: Leaf = 0.0,
) -> Electrode:
    """Inject a current, uA (uA/cm2 for a cell of the default area), into `Cable.electrode_at`.

    In another `unit`, such as "pA", if that is said. With an `amplitude`, one number or one for
    each cell `[pop]`, i is the shape in time of a current of this size, beside a `holding` current,
    both in the unit: `current_clamp(steps(1, ...), amplitude=np.linspace(0, 300, 1000),
    unit="pA")` is a thousand steps in the memory of one. With places `at`, a current into each of
    these compartments: i is a list of as many. A place is a number, or one for each cell `[pop]`.
    Raises ValueError where they are not as many, for an amplitude at places, and for a unit of
    something else.
    """
    in_uA = factor(unit, "uA")
    if at is None:
        return Electrode(i=_sized(i, amplitude, holding, in_uA), v_cmd=0.0, g=0.0)
    if not _is_plain(amplitude, holding):
        raise ValueError(
            "an amplitude or a holding current is that of the cell's electrode: of currents at "
            "places it is the `gain` of each PointCurrent"
        )
    several = isinstance(i, Sequence) or np.ndim(i) > 0
    currents: Any = [_sized(x, unit=in_uA) for x in i] if several else i  # type: ignore[union-attr]
    return with_currents(Electrode(0.0, 0.0, 0.0), currents, at)


def _is_plain(amplitude: Leaf | None, holding: Leaf) -> bool:
    """Whether a course in time is to be taken as it is."""
    return amplitude is None and isinstance(holding, float | int) and holding == 0


def _sized(
    course: Any, amplitude: Leaf | None = None, holding: Leaf = 0.0, unit: float = 1.0
) -> Any:
    """A course in time as it is, or `Scaled` to sizes, which are in a unit."""
    course = jnp.asarray(course)
    if _is_plain(amplitude, holding):
        return course if unit == 1 else course * unit
    size = jnp.asarray(1.0 if amplitude is None else amplitude) * unit
    return Scaled(shape=course, amplitude=size, holding=jnp.asarray(holding) * unit)


def with_currents(
    electrode: Electrode, i: Leaf | InTime | Sequence[Any], at: Sequence[Any]
) -> Electrode:
    """The same rig with currents i (uA) into compartments `at` too, see `current_clamp`."""
    lists = all(isinstance(x, Sequence) or np.ndim(x) > 0 for x in (i, at))
    if not lists or len(i) != len(at):
        raise ValueError(f"currents at {at!r}: expected lists of as many currents as places")
    more = [PointCurrent(i=jnp.asarray(x), at=np.asarray(k)) for x, k in zip(i, at, strict=True)]
    return electrode._replace(currents=(*electrode.currents, *more))


def stimulus(electrode: Electrode | None = None, **inputs: Leaf | InTime | Events) -> Electrode:
    """Change the cell's inputs in time, or let events come: `stimulus(glu=..., exc=Events(...))`.

    Concentrations that the cell holds are inputs too, as "k_o". `Events` go to the channel of this
    name, or to an input as pulses of transmitter. With an electrode, its current or clamp at the
    same time. See `Cell.inputs`.
    """
    electrode = current_clamp(0.0) if electrode is None else electrode
    events = {name: x for name, x in inputs.items() if isinstance(x, Events)}
    new = {name: jnp.asarray(x) for name, x in inputs.items() if not isinstance(x, Events)}
    return electrode._replace(inputs=electrode.inputs | new, events=electrode.events | events)


def in_field(electrode: Electrode | None, *sources: Outside) -> Electrode:
    """The same experiment in the field of sources, see `extracellular`. None: nothing inside."""
    electrode = current_clamp(0.0) if electrode is None else electrode
    return electrode._replace(outside=(*electrode.outside, *sources))


def joined(electrode: Electrode | None, gap: GapJunctions) -> Electrode:
    """The same experiment with cells of the population joined by gap junctions.

    All cells then run together, on one device, and there are no derivatives along the run.
    """
    electrode = current_clamp(0.0) if electrode is None else electrode
    return electrode._replace(gap=gap)


def connected(electrode: Electrode | None, **connections: Connections) -> Electrode:
    """The same experiment with cells that send spikes to each other: `connected(drive, exc=...)`.

    As `joined`; each name is that of a channel that receives events.
    """
    electrode = current_clamp(0.0) if electrode is None else electrode
    return electrode._replace(connections=electrode.connections | connections)


def voltage_clamp(
    v_cmd: InTime, R_s_MOhm: Leaf = 0.0, *, amplitude: Leaf | None = None, holding: Leaf = 0.0
) -> Electrode:
    """Impose a command potential, mV, during each step.

    With an `amplitude`, one number or one for each cell `[pop]`, v_cmd is the shape in time of a
    command of this size on top of a `holding` potential. R_s_MOhm = 0 is the ideal clamp: v follows
    v_cmd exactly and the clamp current is the ionic current. After a step v then stands at the
    command of the next, as the samples of a recording do, and a run begins at v_cmd[0]. Raises
    ValueError for a resistance that no pipette has.
    """
    check_range("R_s_MOhm", R_s_MOhm, none_or(R_S))
    shape = jnp.asarray(v_cmd)
    ends = jnp.concatenate([shape[1:], shape[-1:]]) if R_s_MOhm == 0 else shape
    command = _sized(ends, amplitude, holding)
    if R_s_MOhm != 0:
        return Electrode(i=0.0, v_cmd=command, g=conductance(R_s_MOhm))
    return _ideal_clamp(command, command.at(shape[0]) if isinstance(command, Scaled) else shape[0])


def _ideal_clamp(v_end: Any, before: Leaf) -> Electrode:
    """Set v to `v_end` at the end of each step, from where it was `before` the first."""
    held = Before(v=before)  # pyright: ignore[reportCallIssue]
    v_end = v_end if isinstance(v_end, Scaled) else jnp.asarray(v_end)
    return Electrode(i=0.0, v_cmd=v_end, g=None, before=held)


def first_command(electrode: Electrode) -> Leaf:
    """Where an ideal clamp holds the cell when a run begins, mV."""
    if electrode.before is not None:
        return electrode.before.v
    command = electrode.v_cmd
    shape: Any = command.shape if isinstance(command, Scaled) else command
    first = shape[0] if np.ndim(shape) else shape
    return command.at(first) if isinstance(command, Scaled) else first


def is_ideal_clamp(electrode: Electrode) -> bool:
    """Whether the electrode imposes its command, without a series resistance."""
    return electrode.g is None


def steps(
    amplitude: Leaf | Sequence[float],
    *,
    start: float,
    stop: float,
    duration: float,
    dt: float,
    holding: float = 0.0,
) -> Float[np.ndarray, " step *pop"]:
    """A rectangular step of one amplitude, or of one for each cell, in their unit.

    Times in ms. Raises ValueError when the step does not lie within the run.
    """
    if not 0 <= start <= stop <= duration:
        raise ValueError(
            f"expected 0 <= start <= stop <= duration, got {start}, {stop}, {duration} ms"
        )
    midpoints = (np.arange(round(duration / dt)) + 0.5) * dt
    on = (midpoints >= start) & (midpoints < stop)
    height = np.asarray(amplitude, dtype=np.float64)
    return np.where(on.reshape(-1, *[1] * height.ndim), height, 0.0) + holding


def resample(
    samples: Float[np.ndarray, " sample"], dt_from: float, dt_to: float, *, at: float
) -> Float[np.ndarray, " step"]:
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
        return _ideal_clamp(resample(trace.v_mV, trace.dt_ms, dt, at=1.0), float(trace.v_mV[0]))
    return voltage_clamp(resample(trace.v_mV, trace.dt_ms, dt, at=0.5), R_s_MOhm)


def nudged(electrode: Electrode, v_data: InTime, g: Leaf) -> Electrode:
    """The same experiment with the cell coupled to a recorded potential by g (mS)."""
    return electrode._replace(v_cmd=jnp.asarray(v_data), g=g)
