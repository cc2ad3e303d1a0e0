"""A cell held by a constant current at the potential where it was recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurojax.membrane.axes import aligned
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


def held_at(cell: Cell, v: Leaf, holding: Leaf, still: Any = True, minutes: Leaf = 0.0) -> Held:
    """Hold a cell where the amplifier reads v (mV) under its holding current (uA).

    They broadcast with the population. Where it is not `still` the cell only begins at v. `minutes`
    is when the sweep began, for a pipette whose resistance drifts.
    """
    if pipette_of(cell) is not None:
        inputs = {"i_cmd": holding, "minutes": minutes}
        if cell.state_axes:  # the same in all compartments
            inputs = {k: jnp.asarray(x)[None] for k, x in inputs.items()}
        cell = replace(cell, inputs={**cell.inputs, **inputs})
    v = clamped(cell, v).v
    own = len(cell.state_axes)
    pop = jnp.shape(v)[own:]
    cell = aligned(cell, pop)
    # What holds a cell with compartments is all that goes through its membranes.
    through = (steady_current(cell, v) * cell.area).sum(tuple(range(own)))
    bias = jnp.where(still, through - holding, 0.0)
    holder = Bias(i_in=cell.entering(jnp.broadcast_to(bias, jnp.shape(v))))  # pyright: ignore[reportCallIssue]
    cell = replace(cell, channels={**cell.channels, "_bias": holder})
    return Held(cell, steady_state(cell, v, pop), bias)


def away_from_rest(cell: Cell, v: Leaf) -> Leaf:
    """How far from v (mV) a cell that is held there would rest by itself, mV `[*pop]`.

    To first order, where the electrode is. Infinite where it could not rest near v; 0 of a cell
    that nothing holds.
    """
    if cell.joined and not cell.state_axes:
        raise ValueError(
            "where a cell would rest is not known of one of its compartments: a score of a cell "
            "with compartments reads where the electrode is, without `At`"
        )
    held = [c.i_in for c in cell.channels.values() if isinstance(c, Bias)]
    i_in = sum(held, jnp.zeros_like(v))
    i, slope = jax.jvp(lambda v: steady_current(cell, v), (v,), (jnp.ones_like(v),))
    if cell.state_axes:
        off = cell.at_electrode(cell.newton(v, i + i_in, slope))
        i_in = cell.at_electrode(i_in)
        return jnp.where(i_in == 0, 0.0, jnp.where(off * i_in < 0, off, jnp.inf))
    stable = slope > 0
    off = jnp.where(stable, -i_in / jnp.where(stable, slope, 1.0), jnp.inf)
    return jnp.where(i_in == 0, 0.0, off)
