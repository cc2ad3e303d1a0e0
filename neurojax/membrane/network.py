"""Cells of a population that act on each other, by sparse lists of pairs.

Gap junctions carry current at any time. Connections carry spikes, with a delay: each cell knows how
long ago its last spikes were, and a spike arrives in the step in which that becomes the delay, with
the time within the step. What is on its way is part of the state.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from neurojax.membrane.axes import check_compartments
from neurojax.membrane.channel import Leaf
from neurojax.membrane.compartment import Cell, State, SubStep, environment
from neurojax.membrane.electrode import Connections, Electrode, GapJunctions
from neurojax.units import factor

NS = factor("nS", "mS")

LARGEST = 1.0
"""dt g / C of the gap junctions of a compartment, at most: their part of a step is explicit."""

SPIKES = 4
"""Spikes of a cell that may be on their way at once."""

LONG_AGO = 1e9
"""The age of a spike that never was, ms."""


def sub_steps(cell: Cell, electrode: Electrode) -> tuple[SubStep, ...]:
    """The parts of a cell's step, and what other cells do to it.

    Of gap junctions half goes before the potential's step and half after it: second order. Where
    axial currents are fast against a step, a steady state is off by the square of their ratio, of
    some per mille. Spikes arrive before the potential's step, and leave after it.
    """
    before: list[SubStep] = []
    after: list[SubStep] = []
    if electrode.gap is not None:
        half = SubStep("gap junctions", move_by_gap, "events")
        before, after = [half], [half]
    if electrode.connections:
        before = [SubStep("spikes arrive", spikes_arrive, "events"), *before]
        after = [*after, SubStep("spikes leave", spikes_leave, "events")]
    found: list[SubStep] = []
    for each in cell.sub_steps():
        found += [*before, each, *after] if each.name == "potential" else [each]
    return tuple(found)


def acts(electrode: Electrode) -> bool:
    """Whether cells of a population act on each other."""
    return electrode.gap is not None or bool(electrode.connections)


# -- spikes ----------------------------------------------------------------------------------------
def _ages(key: str) -> list[str]:
    """The names of the ages of a cell's last spikes in its state, the youngest first."""
    return [f"spikes.{key}.{k}" for k in range(SPIKES)]


def _before(key: str) -> str:
    return f"spikes.{key}.v"


def without_spikes(s: State, electrode: Electrode) -> State:
    """The first state of a run: no spike is on its way but those that the state already has."""
    own: dict[str, jax.Array] = {}
    for key in electrode.connections:
        own |= {name: jnp.full_like(s.v, LONG_AGO) for name in _ages(key)}
        own[_before(key)] = s.v
    return s._replace(c=own | s.c)


def spikes_leave(cell: Cell, s: State, e: Electrode, dt: Leaf) -> State:
    """All spikes older by dt, and those new whose potential went up through the threshold."""
    c = dict(s.c)
    for key, wires in e.connections.items():
        ages, v = [c[name] + dt for name in _ages(key)], c[_before(key)]
        up = (v < wires.threshold) & (s.v >= wires.threshold)
        since = dt * (s.v - wires.threshold) / jnp.where(up, s.v - v, 1.0)
        # One that is on its way and has no place left would be lost: the cell is marked as failed.
        longest = jnp.zeros(v.shape[-1], v.dtype).at[wires.pre].max(wires.delay)
        lost = up & (ages[-1] <= longest + dt)
        older = [since, *ages[:-1]]
        ages = [jnp.where(up, young, old) for young, old in zip(older, ages, strict=True)]
        ages[0] = jnp.where(lost, jnp.nan, ages[0])
        c |= dict(zip(_ages(key), ages, strict=True)) | {_before(key): s.v}
    return s._replace(c=c)


def spikes_arrive(cell: Cell, s: State, e: Electrode, dt: Leaf) -> State:
    """The gates with what arrives: in its step by the part for which it is there, the rest next.

    See `events.on_average`: a delay is at least a step, so that the time is known beforehand.
    """
    x = dict(s.x)
    for key, wires in e.connections.items():
        channel, seen, gates = cell.channels[key], environment(cell, key, s.c), dict(x[key])
        to, source = (wires.post,), (wires.pre,)
        if cell.state_axes:
            to, source = (wires.at, *to), (wires.of, *source)
        # No rate of such a channel follows v.
        kinetics = channel.kinetics(jnp.zeros_like(s.v), cell.celsius, **seen)
        rates = {k: jnp.broadcast_to(g.rate, s.v.shape)[to] for k, g in kinetics.items()}
        for name in _ages(key):
            there = s.c[name][source] + dt - wires.delay  # how long at the step's end
            part = jnp.where(there <= dt, there / dt, 2 - there / dt)
            part = jnp.where((there > 0) & (there <= 2 * dt) | jnp.isnan(there), part, 0.0)
            for k, rate in rates.items():
                left = jnp.exp(-0.5 * jnp.clip(there, 0.0, 2 * dt) * rate)
                gates[k] = gates[k].at[to].add(wires.weight * part * left)
        x[key] = gates
    return s._replace(x=x)


# -- gap junctions ---------------------------------------------------------------------------------
def move_by_gap(cell: Cell, s: State, e: Electrode, dt: Leaf) -> State:
    """The potential by half of dt, with nothing but the currents through gap junctions.

    Source: Heun's method, of second order, as the step is.
    """
    gap = e.gap
    assert gap is not None

    def slope(v: jax.Array) -> jax.Array:
        return entering(cell, gap, v) / (cell.C_m * cell.area)

    half = 0.5 * dt
    first = slope(s.v)
    second = slope(s.v + half * first)
    return s._replace(v=s.v + 0.5 * half * (first + second))


def entering(cell: Cell, gap: GapJunctions, v: jax.Array) -> jax.Array:
    """The currents that gap junctions bring into each compartment of each cell, uA."""
    a, b = ((gap.at_a, gap.a), (gap.at_b, gap.b)) if cell.state_axes else ((gap.a,), (gap.b,))
    i = NS * gap.g * (v[b] - v[a])
    return jnp.zeros_like(v).at[a].add(i).at[b].add(-i)


# -- contracts -------------------------------------------------------------------------------------
def check_network(cell: Cell, electrode: Electrode, pop: tuple[int, ...], dt: float) -> None:
    """Raise ValueError for a network that there cannot be.

    Its pairs join cells or compartments that there are not, a channel receives no events, a delay
    is shorter than a step, or the step would be unstable. Traced values are taken as they are.
    """
    n = math.prod(pop) if pop else 1
    if n < 2:
        raise ValueError("cells that act on each other: the run has 1, expected a population")
    if electrode.gap is not None:
        _check_gap(cell, electrode.gap, n, dt)
    for key, wires in electrode.connections.items():
        _check_connections(f"connections of {key!r}", cell, key, wires, n, dt)


def _check_pairs(
    what: str, pairs: Any, numbers: tuple[str, ...], cells: tuple[str, str], n: int
) -> None:
    """Raise ValueError for lists of different lengths, or cells that there are not."""
    shapes = {k: np.shape(getattr(pairs, k)) for k in (*cells, *numbers)}
    length = shapes[cells[0]]
    if len(length) != 1 or shapes[cells[1]] != length or {*shapes.values()} - {(), length}:
        raise ValueError(
            f"{what}: shapes {shapes}: expected {cells[0]} and {cells[1]} [pair], the others "
            "[pair] or one"
        )
    for name in cells:
        value = getattr(pairs, name)
        if isinstance(value, Tracer):
            continue
        value = np.asarray(value)
        if value.dtype.kind not in "iu" or ((value < 0) | (value >= n)).any():
            raise ValueError(f"{what}: {name} = {value}: expected cells from 0 to {n - 1}")


def _check_least(what: str, value: Any, least: float, unit: str) -> None:
    """Raise ValueError for a value below what it may be, or one that is no number."""
    if isinstance(value, Tracer):
        return
    array = np.atleast_1d(np.asarray(value, float))
    wrong = array[~((array >= least) & np.isfinite(array))]
    if wrong.size:
        raise ValueError(f"{what} = {wrong[0]:g}{unit}: expected {least:g}{unit} or more")


def _check_connections(
    what: str, cell: Cell, key: str, wires: Connections, n: int, dt: float
) -> None:
    if key not in cell.channels or not cell.channels[key].receives:
        have = [k for k, channel in cell.channels.items() if channel.receives]
        raise ValueError(f"{what}: no such channel that receives events (have: {', '.join(have)})")
    _check_pairs(what, wires, ("delay", "weight", "at"), ("pre", "post"), n)
    _check_least(f"{what}: delay", wires.delay, dt, " ms")
    _check_least(f"{what}: weight", wires.weight, 0.0, "")
    for name in ("at", "of"):
        check_compartments(f"{what}: {name}", getattr(wires, name), math.prod(cell.state_shape))


def _check_gap(cell: Cell, gap: GapJunctions, n: int, dt: float) -> None:
    _check_pairs("gap junctions", gap, ("g", "at_a", "at_b"), ("a", "b"), n)
    _check_least("gap junctions: g", gap.g, 0.0, " nS")
    for name in ("at_a", "at_b"):
        check_compartments(
            f"gap junctions: {name}", getattr(gap, name), math.prod(cell.state_shape)
        )
    traced = (gap.g, gap.a, gap.b, gap.at_a, gap.at_b, cell.C_m, cell.area)
    if not any(isinstance(x, Tracer) for x in traced):
        _check_step(cell, gap, n, dt)


def _check_step(cell: Cell, gap: GapJunctions, n: int, dt: float) -> None:
    """Raise ValueError where gap junctions even out faster than a step can follow."""
    total = np.zeros((math.prod(cell.state_shape), n))
    for at, which in ((gap.at_a, gap.a), (gap.at_b, gap.b)):
        where = np.broadcast_arrays(np.asarray(at), np.asarray(which))
        np.add.at(total, tuple(where), np.broadcast_to(np.asarray(gap.g), np.shape(gap.a)))
    C_m, area = (np.asarray(x, float) for x in (cell.C_m, cell.area))
    if cell.state_axes:
        C_m, area = (x[:, None] if x.ndim == 1 else x for x in (C_m, area))
    part = dt * NS * total / (C_m * area)
    if part.max() > LARGEST:
        k = int(np.unravel_index(part.argmax(), part.shape)[1])
        raise ValueError(
            f"gap junctions of cell {k}: {total[:, k].max():g} nS even out within "
            f"{dt / part.max():.3g} ms: take a step of at most {LARGEST * dt / part.max():.3g} ms"
        )
