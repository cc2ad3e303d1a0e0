"""A cell held where it was recorded: what drifts between sweeps must not pass for its response.

From sweep to sweep the potential before the stimulus moves by millivolts: seals, access and pumps
change. A constant current, told before the stimulus by that potential alone, makes up for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurojax.loss import Level
from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.compartment import Cell, State, steady_current, steady_state
from neurojax.membrane.pipette import clamped, pipette_of


@pytree
class Bias(Channel):
    """A constant current into the cell: i = -i_in."""

    i_in: Leaf = param(0.0, "uA/cm2", -1e6, 1e6)

    def current(self, v, x, celsius=None):
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
