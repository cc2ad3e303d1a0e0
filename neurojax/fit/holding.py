"""A cell held where it was recorded: what drifts between sweeps must not pass for its response.

From sweep to sweep the potential before the stimulus moves by millivolts: seals, access and pumps
change. A constant current, found from that potential alone, makes up for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.loss import Level
from neurojax.membrane.channel import Channel, Gates, Leaf, param, pytree
from neurojax.membrane.compartment import Cell, State, steady_current, steady_state
from neurojax.membrane.pipette import clamped, pipette_of
from neurojax.recording import features
from neurojax.recording.trace import Trace
from neurojax.units import PA

_QUIET_MS = 10.0
"""Time before a stimulus without which a cell cannot be said to rest, ms."""


@pytree
class Bias(Channel):
    """A constant current into the cell: i = -i_in."""

    i_in: Leaf = param(0.0, "uA/cm2", -1e6, 1e6)

    def current(self, v: jax.Array, x: Gates, celsius: Leaf | None = None) -> jax.Array:
        return -self.i_in * jnp.ones_like(v)


class Held(NamedTuple):
    """A cell with the current that holds it, settled at the recorded potential."""

    cell: Cell
    state: State
    bias: Any  # uA, what it took besides the recording's own holding current
    off: Any  # mV, how far the cell would rest from there by itself, infinite where it could not


def begin(cell: Cell, v: Any, level: Level | None, shape: tuple[int, ...] = ()):
    """A cell and the state in which a sweep begins: held at a level, or settled at v, mV.

    v is what the amplifier read or commanded. Without a level the cell's inputs are those before
    the sweep, see `pipette.before`.
    """
    if level is None:
        return cell, clamped(cell, v, shape)
    cell, state, *_ = held_at(cell, *level)
    return cell, jax.tree.map(lambda a: jnp.broadcast_to(a, shape or jnp.shape(a)), state)


def held_at(cell: Cell, v: Any, holding: Any, still: Any = True, minutes: Any = 0.0) -> Held:
    """Hold a cell where the amplifier reads v (mV) under its holding current (uA).

    They broadcast with the population. Where it is not `still` the cell only begins at v. `minutes`
    is when the sweep began, for a pipette whose resistance drifts.
    """
    if pipette_of(cell) is not None:
        cell = replace(cell, inputs={**cell.inputs, "i_cmd": holding, "minutes": minutes})
    v = clamped(cell, v).v
    i, slope = jax.jvp(lambda v: steady_current(cell, v), (v,), (jnp.ones_like(v),))
    bias = jnp.where(still, i * cell.area - holding, 0.0)
    stable = slope > 0
    off = jnp.where(stable, -bias / cell.area / jnp.where(stable, slope, 1.0), jnp.inf)
    off = jnp.where(still, off, 0.0)
    holder = Bias(i_in=bias / cell.area)  # pyright: ignore[reportCallIssue]
    cell = replace(cell, channels={**cell.channels, "_bias": holder})
    return Held(cell, steady_state(cell, v, jnp.shape(v)), bias, off)


def stimulated(trace: Trace) -> tuple[float, float]:
    """When the current first leaves its holding level and when it is back for good, ms.

    A sweep without a step is all stimulus.
    """
    changes = trace.changes()
    if not changes.size:
        return 0.0, trace.duration_ms
    return float(changes[0]), float(changes[-1] if changes.size > 1 else trace.duration_ms)


def base_mV(trace: Trace) -> tuple[float, bool]:
    """The potential at which a sweep begins, and whether the cell rested there.

    That is its median before the stimulus; without 10 ms of peace it is just the first sample.
    """
    before = round(stimulated(trace)[0] / trace.dt_ms)
    quiet = trace.v_mV[:before]
    if before * trace.dt_ms < _QUIET_MS or features.spikes(quiet, trace.dt_ms).number:
        return float(trace.v_mV[0]), False
    return float(np.median(quiet)), True


def level(trace: Trace) -> Level:
    """From where a current-clamp sweep begins."""
    v, still = base_mV(trace)
    return Level(v, holding_pA(trace) * PA, still, trace.begun_minutes)


def holding_pA(trace: Trace) -> float:
    """The current under which a cell rests before the stimulus: what was really injected, pA.

    Without a time before it that is what the sweep says of itself.
    """
    before = trace.i_pA[: round(stimulated(trace)[0] / trace.dt_ms)]
    return float(np.median(before)) if before.size else trace.holding
