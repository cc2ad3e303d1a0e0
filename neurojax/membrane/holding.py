"""A cell held by a constant current at the potential where it was recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Gates, Leaf, param, pytree
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.pipette import clamped, pipette_of
from neurojax.membrane.rest import steady_current, steady_state


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


def held_at(cell: Cell, v: Any, holding: Any, still: Any = True, minutes: Any = 0.0) -> Held:
    """Hold a cell where the amplifier reads v (mV) under its holding current (uA).

    They broadcast with the population. Where it is not `still` the cell only begins at v. `minutes`
    is when the sweep began, for a pipette whose resistance drifts.
    """
    if pipette_of(cell) is not None:
        cell = replace(cell, inputs={**cell.inputs, "i_cmd": holding, "minutes": minutes})
    v = clamped(cell, v).v
    bias = jnp.where(still, steady_current(cell, v) * cell.area - holding, 0.0)
    holder = Bias(i_in=bias / cell.area)  # pyright: ignore[reportCallIssue]
    cell = replace(cell, channels={**cell.channels, "_bias": holder})
    return Held(cell, steady_state(cell, v, jnp.shape(v)), bias)


def away_from_rest(cell: Cell, v: Any) -> Any:
    """How far from v (mV) a cell that is held there would rest by itself, mV `[*pop]`.

    To first order. Infinite where it could not rest near v; 0 of a cell that nothing holds.
    """
    held = [c.i_in for c in cell.channels.values() if isinstance(c, Bias)]
    i_in = sum(held, jnp.zeros_like(v))
    slope = jax.jvp(lambda v: steady_current(cell, v), (v,), (jnp.ones_like(v),))[1]
    stable = slope > 0
    off = jnp.where(stable, -i_in / jnp.where(stable, slope, 1.0), jnp.inf)
    return jnp.where(i_in == 0, 0.0, off)
