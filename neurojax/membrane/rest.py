"""Where a cell rests, and the state in which it has settled at a potential."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neurojax.membrane.axes import Along, aligned, batch_shape
from neurojax.membrane.channel import Leaf
from neurojax.membrane.compartment import (
    IDEAL_CLAMP_G,
    Cell,
    State,
    channel_current,
    environment,
    pools,
)


def steady_state(cell: Cell, v: Leaf, shape: tuple[int, ...] = ()) -> State:
    """The state after the potential was held at v (mV) for ever, broadcast to the population.

    The ions are at their initial concentrations. Of channels with noise it is a draw.
    """
    s = _steady(cell, v, shape)
    return s._replace(x={k: channel.begin(s.x[k]) for k, channel in cell.channels.items()})


def _steady(cell: Cell, v: Leaf, shape: tuple[int, ...] = ()) -> State:
    own_v = Along(cell.state_axes, v)
    pop = np.broadcast_shapes(shape, batch_shape(cell, own_v))
    cell, v = aligned(cell, pop), aligned(own_v, pop).value
    shape = (*cell.state_shape, *pop)
    dtype = jnp.result_type(float)
    v = jnp.broadcast_to(jnp.asarray(v, dtype), shape)
    c = {k: jnp.asarray(value, dtype) for k, value in pools(cell).items()}
    x = {
        k: channel.steady_state(v, **environment(cell, k, c))
        for k, channel in cell.channels.items()
    }
    return jax.tree.map(lambda a: jnp.broadcast_to(a, shape), State(v, x, c))


def steady_current(cell: Cell, v: Leaf) -> Float[Array, "*pop"]:
    """Current density (uA/cm2) when v was held for ever: the steady-state I-V curve."""
    s = _steady(cell, v)
    cell = aligned(cell, s.v.shape[len(cell.state_axes) :])
    currents = (channel_current(cell, k, s.v, s.x[k], s.c) for k in cell.channels)
    return sum(currents, jnp.zeros_like(s.v))


class _Search(NamedTuple):
    """How the resting potential is looked for: on a grid of points (mV), then by halving."""

    low: float
    high: float
    points: int
    halvings: int


REST = _Search(-150.0, 50.0, 401, 40)

_SPREAD = 60
"""Newton steps to where the currents of all compartments are balanced; the first are small."""


@partial(jax.jit, static_argnames=("low", "high"))
def at_rest(cell: Cell, i: Leaf = 0.0, low: float = REST.low, high: float = REST.high) -> State:
    """The resting state: the lowest v in [low, high] mV where the steady current turns outward.

    `i` is a holding current in uA. Differentiable in every parameter. A cell without such a v rests
    at NaN, which `Recording.ok` then reports. A cell with compartments goes on from where it would
    rest if it were all at one potential.
    """
    pop = batch_shape(cell, i)
    cell = aligned(cell, pop)
    shape = (*cell.state_shape, *pop)

    def imbalance(cell: Cell, i: Leaf, v: jax.Array) -> jax.Array:
        entering = cell.entering(jnp.broadcast_to(i, shape))
        return jnp.broadcast_to(steady_current(cell, v) - entering, shape)

    fixed = jax.lax.stop_gradient(cell)
    held = jax.lax.stop_gradient(jnp.asarray(i))
    compartments = tuple(range(len(cell.state_axes)))

    def total(v: jax.Array) -> jax.Array:
        """The current of a cell that is all at one potential."""
        density = imbalance(fixed, held, jnp.broadcast_to(v, shape))
        return (density * fixed.area).sum(compartments)

    def balance(v: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The current density and its slope."""
        return jax.jvp(lambda v: imbalance(fixed, held, v), (v,), (jnp.ones_like(v),))

    def spread(k: jax.Array, v: jax.Array) -> jax.Array:
        """A step of the way to where axial currents are balanced too: small ones at first."""
        i, g = balance(v)
        return v + fixed.newton(v, i, jnp.maximum(g, 0.0) + 10 * 0.6**k)

    v = jnp.broadcast_to(_turn(total, pop, low, high), shape)
    if compartments:
        v = jax.lax.fori_loop(0, _SPREAD, spread, v)
    # One Newton step outside stop_gradient carries the implicit derivative dv/dp = -i_p / i_v.
    slope = jax.lax.stop_gradient(balance(v)[1])
    v = v + cell.newton(v, imbalance(cell, i, v), slope)
    return steady_state(cell, v, pop)


def clamped_there(
    cell: Cell, v: Leaf, pop: tuple[int, ...], g_clamp: Leaf = IDEAL_CLAMP_G
) -> jax.Array:
    """The potentials `[comp, *pop]` when the electrode has held its compartment for ever.

    At v, mV `[*pop]`; in all others axial currents and those of the membrane are balanced. With
    g_clamp (mS) 0 a pipette among the channels does it. Differentiable in v and every parameter.
    """
    cell = aligned(cell, pop)
    shape = (*cell.state_shape, *pop)
    held = jnp.broadcast_to(jnp.asarray(v, jnp.result_type(float)), shape)

    def moved(cell: Cell, held: jax.Array, v: jax.Array, least: Leaf | None = None) -> jax.Array:
        """One Newton step; `least` is the least slope (mS/cm2) that the membrane counts with."""
        i, g = jax.jvp(lambda v: steady_current(cell, v), (v,), (jnp.ones_like(v),))
        g = jax.lax.stop_gradient(g if least is None else jnp.maximum(g, 0.0) + least)
        clamp = jnp.broadcast_to(jnp.asarray(g_clamp, v.dtype), shape)
        i = i + cell.entering(clamp * (v - held))
        return v + cell.newton(v, i, g + jax.lax.stop_gradient(cell.entering(clamp)))

    fixed, there = jax.lax.stop_gradient((cell, held))

    def spread(k: jax.Array, v: jax.Array) -> jax.Array:
        return moved(fixed, there, v, 10 * 0.6**k)

    v = jax.lax.fori_loop(0, _SPREAD, spread, there)
    # The last step, outside stop_gradient, carries the implicit derivative.
    return moved(cell, held, v)


Bracket = tuple[jax.Array, jax.Array]
"""Two potentials, mV, between which the current turns outward."""


def _turn(
    total: Callable[[jax.Array], jax.Array], pop: tuple[int, ...], low: float, high: float
) -> jax.Array:
    """The lowest v in [low, high] where a current turns outward, `[*pop]`; NaN without one."""
    grid = jnp.linspace(low, high, REST.points)
    on_grid = jax.lax.map(lambda v: total(jnp.broadcast_to(v, pop)), grid)
    turns = (on_grid[:-1] < 0) & (on_grid[1:] >= 0)
    first = jnp.argmax(turns, axis=0)

    def halve(_: jax.Array, bracket: Bracket) -> Bracket:
        a, b = bracket
        m = 0.5 * (a + b)
        below = total(m) < 0
        return jnp.where(below, m, a), jnp.where(below, b, m)

    a, b = jax.lax.fori_loop(0, REST.halvings, halve, (grid[first], grid[first + 1]))
    return jnp.where(turns.any(axis=0), 0.5 * (a + b), jnp.nan)
