"""One compartment: a membrane, its channels, and the step that moves them by dt.

A population is a batch shape of the leaves: give any parameter the shape `[pop]` and everything
that is computed from it has it too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from neurojax.channel import Channel, Gates, Leaf, ParamInfo, param, params, pytree
from neurojax.electrode import Electrode
from neurojax.rates import relax_mean
from neurojax.units import nearest


@pytree
class Cell:
    """An isopotential compartment.

    With the default area of 1 cm2 an injected current in uA is a density in uA/cm2. `celsius` None
    leaves every channel at the temperature at which it was measured.
    """

    channels: dict[str, Channel]
    C_m: Leaf = param(1.0, "uF/cm2", 0.3, 3.0)
    area: Leaf = param(1.0, "cm2", 1e-8, 10.0)
    celsius: Leaf | None = None


CELSIUS = ParamInfo(20.0, "degC", -10.0, 60.0, "linear")
"""What `celsius` may be; it is no `param` because None is a value of it."""


class State(NamedTuple):
    """What the next step needs: membrane potential (mV) and the gates of each channel."""

    v: jax.Array
    x: dict[str, Gates]


def ionic_current(cell: Cell, v: jax.Array, x: dict[str, Gates]) -> jax.Array:
    """Sum of the channels' current densities, uA/cm2, outward positive."""
    return sum((c.current(v, x[k]) for k, c in cell.channels.items()), jnp.zeros_like(v))


def step(cell: Cell, s: State, e: Electrode, dt) -> State:
    """Exponential Euler by dt (ms): gates with v held, then v with gates held.

    Staggered in time: the gates of a state are those of half a step before its potential, which
    makes v second order from rest, or from any state whose gates are settled. The potential relaxes
    exactly along the slope conductance, which keeps stiff clamps stable at any dt.
    """
    for move in MOVES:
        s = move(cell, s, e, dt)
    return s


def move_gates(cell: Cell, s: State, e: Electrode, dt) -> State:
    """The gates by dt, with v held."""
    x = {k: c.advance(s.x[k], s.v, dt, cell.celsius) for k, c in cell.channels.items()}
    return State(s.v, x)


def move_potential(cell: Cell, s: State, e: Electrode, dt) -> State:
    """The potential by dt, with the gates held."""

    def i_total(v):
        return ionic_current(cell, v, s.x) + (e.g * (v - e.v_cmd) - e.i) / cell.area

    i, g = jax.jvp(i_total, (s.v,), (jnp.ones_like(s.v),))
    dt_per_C = dt / cell.C_m
    return State(s.v - dt_per_C * i * relax_mean(dt_per_C * g), s.x)


MOVES = (move_gates, move_potential)
"""The parts of a step, in their order: each changes what the others leave."""


def batch_shape(*trees: Any) -> tuple[int, ...]:
    """The population shape to which all leaves broadcast."""
    return np.broadcast_shapes(*(np.shape(x) for x in jax.tree.leaves(trees)))


def settled(cell: Cell, v, shape: tuple[int, ...] = ()) -> State:
    """The state after the potential was held at v (mV) for ever, broadcast to the population."""
    leaves = jax.tree.leaves((cell, v))
    shape = np.broadcast_shapes(shape, *(np.shape(x) for x in leaves))
    v = jnp.broadcast_to(jnp.asarray(v, dtype=jnp.result_type(float)), shape)
    x = {k: c.steady_state(v) for k, c in cell.channels.items()}
    return State(v, jax.tree.map(lambda a: jnp.broadcast_to(a, shape), x))


def steady_current(cell: Cell, v) -> jax.Array:
    """Ionic current density (uA/cm2) when v was held for ever: the steady-state I-V curve."""
    return ionic_current(cell, v, settled(cell, v).x)


@partial(jax.jit, static_argnames=("low", "high"))
def at_rest(cell: Cell, i: Leaf = 0.0, low: float = -150.0, high: float = 50.0) -> State:
    """The resting state: the lowest v in [low, high] mV where the steady current turns outward.

    `i` is a holding current in uA. Differentiable in every parameter. A cell without such a v rests
    at NaN, which `Recording.ok` then reports.
    """
    shape = batch_shape(cell, i)

    def imbalance(v):
        return steady_current(cell, v) - i / cell.area

    fixed = jax.lax.stop_gradient(cell)
    held = jax.lax.stop_gradient(jnp.asarray(i))
    grid = jnp.linspace(low, high, 401)

    def imbalance_fixed(v):
        return jnp.broadcast_to(steady_current(fixed, v) - held / fixed.area, shape)

    on_grid = jax.lax.map(lambda v: imbalance_fixed(jnp.broadcast_to(v, shape)), grid)
    turns = (on_grid[:-1] < 0) & (on_grid[1:] >= 0)
    first = jnp.argmax(turns, axis=0)
    a, b = grid[first], grid[first + 1]

    def halve(_, bracket):
        a, b = bracket
        m = 0.5 * (a + b)
        below = imbalance_fixed(m) < 0
        return jnp.where(below, m, a), jnp.where(below, b, m)

    a, b = jax.lax.fori_loop(0, 40, halve, (a, b))
    v = jnp.where(turns.any(axis=0), 0.5 * (a + b), jnp.nan)
    # One Newton step outside stop_gradient carries the implicit derivative dv/dp = -i_p / i_v.
    slope = jax.jvp(imbalance_fixed, (v,), (jnp.ones_like(v),))[1]
    v = v - imbalance(v) / jax.lax.stop_gradient(slope)
    return settled(cell, v, shape)


# -- parameters by path name ----------------------------------------------------------------------
def parameters(cell: Cell) -> dict[str, tuple[Leaf, ParamInfo]]:
    """Every parameter of a cell by path name ("na.g_bar", "C_m"): its value and its declaration."""
    return {
        name: (getattr(owner, field), params(owner)[field]) for name, owner, field in _walk(cell)
    }


def settable(cell: Cell) -> dict[str, tuple[Leaf, ParamInfo]]:
    """All that `replace` takes: the parameters and the temperature."""
    return parameters(cell) | {"celsius": (cell.celsius, CELSIUS)}


def replace(cell: Cell, values: Mapping[str, Leaf]) -> Cell:
    """The cell with other parameter values, by path name.

    Raises ValueError for an unknown name (with the nearest valid one) or a value outside the
    parameter's bounds. Traced values are taken as they are.
    """
    known = settable(cell)
    for name, value in values.items():
        check_value(name, value, known)
    return substitute(cell, values)


def check_value(name: str, value: Leaf, known: Mapping[str, tuple[Leaf, ParamInfo]]) -> None:
    """Raise ValueError for an unknown parameter name, or a concrete value outside its bounds."""
    if name not in known:
        raise ValueError(f"no parameter {name!r}{nearest(name, known)} (have: {', '.join(known)})")
    info = known[name][1]
    if isinstance(value, Tracer):
        return
    array = np.asarray(value, dtype=np.float64)
    slack = 1e-6 * (info.high - info.low)
    outside = ~((array >= info.low - slack) & (array <= info.high + slack))
    if outside.any():
        raise ValueError(
            f"{name} = {array[outside].flat[0]:g} {info.unit} is outside "
            f"[{info.low:g}, {info.high:g}] {info.unit}"
        )


def substitute(cell: Cell, values: Mapping[str, Leaf]) -> Cell:
    """`replace` without checks, for values that were checked where they entered."""
    own = {k: v for k, v in values.items() if "." not in k}
    channels = dict(cell.channels)
    for name, value in values.items():
        if "." in name:
            key, field = name.split(".", 1)
            channels[key] = dataclasses.replace(channels[key], **{field: value})
    return dataclasses.replace(cell, channels=channels, **own)


def _walk(cell: Cell) -> Iterator[tuple[str, Any, str]]:
    for field in params(cell):
        yield field, cell, field
    for key, channel in cell.channels.items():
        for field in params(channel):
            yield f"{key}.{field}", channel, field
