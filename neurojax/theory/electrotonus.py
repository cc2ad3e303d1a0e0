"""How far and how well potentials spread in a cell at rest: resistances, length constants.

Small steady changes about the resting potential, at which gates follow. Numbers are MOhm (mV for
nA), um, and parts; a compartment is named by its number, or by one for each cell `[pop]`.

Source: Rall 1969, Biophys J 9:1483, doi:10.1016/S0006-3495(69)86467-2, for cables and trees; Koch
1999, Biophysics of Computation, ISBN 9780195181999, chapter 3, for transfer resistances.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from neurojax.membrane import cable, paths
from neurojax.membrane.axes import aligned, batch_shape, check_compartments, population
from neurojax.membrane.cable import Cable
from neurojax.membrane.compartment import Cell
from neurojax.membrane.electrode import current_clamp
from neurojax.membrane.requirements import check_ions
from neurojax.membrane.rest import at_rest, steady_current
from neurojax.units import factor

PerCompartment = Float[np.ndarray, "comp *pop"]

Place = int | Int[np.ndarray, " pop"] | Int[Array, " pop"]


def transfer_resistance(cell: Cell, at: Place) -> Float[Array, "*compartments"]:
    """What a steady current into compartment `at` moves every potential by, MOhm, `[comp, *pop]`.

    It is the same from one place to another as back. Raises ValueError for a compartment that the
    cell has not.
    """
    _check(cell, at=at)
    return _transfer(cell, jnp.asarray(at))


def input_resistance(cell: Cell, at: Place = 0) -> Float[Array, "*pop"]:
    """The potential that a small steady current changes where it enters, over it, MOhm."""
    return _at(cell, transfer_resistance(cell, at), at)


def attenuation(cell: Cell, origin: Place, to: Place) -> Float[Array, "*pop"]:
    """How many times smaller a steady potential that enters at `origin` is at another place."""
    _check(cell, to=to)
    moved = transfer_resistance(cell, origin)
    return _at(cell, moved, origin) / _at(cell, moved, to)


def length_constant(cell: Cable) -> PerCompartment:
    """The distance, um, over which a potential falls e-fold in an endless cable like each part:
    sqrt(d R_m / (4 R_i)), with the membrane's slope resistance R_m at rest."""
    _check(cell)
    _, g = _slope(cell, jnp.zeros((), int))
    d, R_i = (np.asarray(x, float) for x in (cell.diameter, cell.R_i))
    d, R_i = (x[:, None] if x.ndim == 1 < g.ndim else x for x in (d, R_i))
    return cable.length_constant(d, np.asarray(g), R_i)


def electrotonic_distance(cell: Cable, origin: int = 0) -> PerCompartment:
    """How many length constants lie on the way from one compartment's centre to each other's."""
    _check(cell, origin=origin)
    constants = length_constant(cell)
    length = np.asarray(cell.length, float)
    length = length[:, None] if length.ndim == 1 < constants.ndim else length
    return paths.distances(cell.parents, cell.attached, length / constants, origin)


def _check(cell: Cell, **places: Any) -> None:
    cell.check()
    check_ions(cell, current_clamp(0.0))
    population(cell=cell)
    for name, at in places.items():
        check_compartments(name, at, int(np.prod(cell.state_shape)))


def _slope(cell: Cell, at: jax.Array) -> tuple[Cell, jax.Array]:
    """The cell, its arrays aligned, and its membrane's slope conductance at rest, mS/cm2."""
    pop = np.broadcast_shapes(batch_shape(cell), at.shape)
    v = at_rest(cell).v
    missing = len(cell.state_axes) + len(pop) - v.ndim
    v = jnp.broadcast_to(v.reshape(*v.shape, *[1] * missing), (*cell.state_shape, *pop))
    cell = aligned(cell, pop)
    return cell, jax.jvp(lambda v: steady_current(cell, v), (v,), (jnp.ones_like(v),))[1]


@jax.jit
def _transfer(cell: Cell, at: jax.Array) -> jax.Array:
    cell, g = _slope(cell, at)
    enters = cell.placed(jnp.ones_like(g) / cell.area, at, g)
    return cell.newton(jnp.zeros_like(g), -enters, g) * factor("kOhm", "MOhm")


def _at(cell: Cell, x: jax.Array, place: Place) -> jax.Array:
    """The entry of a compartment, or of another one for each cell."""
    if not cell.state_axes:
        return x
    here = jnp.arange(len(x)).reshape(-1, *[1] * (x.ndim - 1)) == jnp.asarray(place)
    return jnp.where(here, x, 0.0).sum(0)
