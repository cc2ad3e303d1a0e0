"""Cells of a population that act on each other: gap junctions, by a sparse list of pairs.

Spikes that act on other cells with a delay have no place here yet.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from neurojax.membrane.axes import check_compartments
from neurojax.membrane.channel import Leaf
from neurojax.membrane.compartment import Cell, State, SubStep
from neurojax.membrane.electrode import Electrode, GapJunctions
from neurojax.units import factor

NS = factor("nS", "mS")

LARGEST = 1.0
"""dt g / C of the gap junctions of a compartment, at most: their part of a step is explicit."""


def sub_steps(cell: Cell, electrode: Electrode) -> tuple[SubStep, ...]:
    """The parts of a cell's step, and what other cells do to it.

    That is half before the potential's step and half after it: second order. Where axial currents
    are fast against a step, a steady state is off by the square of their ratio, of some per mille.
    """
    if electrode.gap is None:
        return cell.sub_steps()
    half = SubStep("gap junctions", move_by_gap, "events")
    found: list[SubStep] = []
    for each in cell.sub_steps():
        found += [half, each, half] if each.name == "potential" else [each]
    return tuple(found)


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


def check_gap(cell: Cell, gap: GapJunctions, pop: tuple[int, ...], dt: float) -> None:
    """Raise ValueError for gap junctions between cells or compartments that there are not.

    Or that would make the step unstable. Traced values are taken as they are.
    """
    n = math.prod(pop) if pop else 0
    if n < 2:
        raise ValueError(f"gap junctions join cells of a population: the run has {max(n, 1)}")
    shapes = {k: np.shape(getattr(gap, k)) for k in ("a", "b", "g", "at_a", "at_b")}
    edges = shapes["a"]
    if len(edges) != 1 or any(shape not in ((), edges) for shape in shapes.values()):
        raise ValueError(
            f"gap junctions: shapes {shapes}: expected a and b [pair], g [pair] or one"
        )
    for name in ("a", "b"):
        cells = getattr(gap, name)
        if isinstance(cells, Tracer):
            continue
        cells = np.asarray(cells)
        if cells.dtype.kind not in "iu" or ((cells < 0) | (cells >= n)).any():
            raise ValueError(f"gap junctions: {name} = {cells}: expected cells from 0 to {n - 1}")
    for name in ("at_a", "at_b"):
        check_compartments(
            f"gap junctions: {name}", getattr(gap, name), math.prod(cell.state_shape)
        )
    if not isinstance(gap.g, Tracer) and not (np.asarray(gap.g) >= 0).all():
        raise ValueError(f"gap junctions: g = {np.min(np.asarray(gap.g)):g} nS: expected 0 or more")
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
