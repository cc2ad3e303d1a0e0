"""The field outside a cell: potentials that sources make at its membrane, and that it makes itself.

The medium is endless, the same everywhere, and conducts sigma (S/m; 0.3 is that of brain). Places
are (x, y, z) in um, in the coordinates of `Cable.places`. One table of resistances serves both
ways, for what a current at a place does to a compartment a current there does to the place.

Source: Holt & Koch 1999, J Comput Neurosci 6:169, doi:10.1023/A:1008832702585, for line sources;
Rattay 1986, IEEE Trans Biomed Eng 33:974, doi:10.1109/TBME.1986.325670, for how a field excites.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from neurojax.membrane.axes import aligned
from neurojax.membrane.cable import Cable
from neurojax.membrane.channel import Leaf
from neurojax.membrane.electrode import Outside
from neurojax.membrane.tree import outflow

SIGMA = 0.3
"""Conductivity of grey matter, S/m; Goto et al. 2010, doi:10.1152/jn.00116.2010."""


PerCompartment = Float[Array, "comp *pop"]
AtPlaces = Float[Array, "place *pop"]
InTime = Float[Array, "record place *pop"]
Table = Float[Array, "place comp"]


def resistances(cell: Cable, places: Any, sigma: float = SIGMA, *, line: bool = True) -> Table:
    """The potential at places `[place, 3]` that a current from each compartment makes, kOhm.

    By `line` the current leaves evenly along the line from a compartment's start to its end, else
    at its centre. A place nearer to it than the compartment's radius is taken as on its surface.
    Raises ValueError for places that are not in space, a sigma that is not positive, or by `line` a
    compartment that is a point: it ends where it begins.
    """
    places = jnp.atleast_2d(jnp.asarray(places, jnp.result_type(float)))
    if places.shape[-1] != 3:
        raise ValueError(f"places: shape {places.shape}: expected [place, 3], x, y and z in um")
    if not sigma > 0:
        raise ValueError(f"sigma = {sigma!r} S/m: expected more than 0")
    ends = cell.places()
    radius = np.broadcast_to(np.asarray(cell.diameter, float), len(ends)) / 2
    # mV of uA through S/m at a distance in um.
    of_1_um = 1e3 / (4 * np.pi * sigma)
    if not line:
        apart = jnp.linalg.norm(places[:, None] - ends[:, 1], axis=-1)
        return of_1_um / jnp.maximum(apart, radius)
    begin, end = ends[:, 0], ends[:, 2]
    length = np.linalg.norm(end - begin, axis=-1)
    if not length.all():
        k = int(np.argmin(length))
        raise ValueError(
            f"compartment {k} begins and ends at {begin[k].tolist()} um, so that no current leaves "
            "along it: expected two places, or line=False"
        )
    along = (end - begin) / length[:, None]
    from_begin = ((places[:, None] - begin) * along).sum(-1)
    aside = jnp.linalg.norm(places[:, None] - begin - from_begin[..., None] * along, axis=-1)
    aside = jnp.maximum(aside, radius)
    integral = jnp.arcsinh(from_begin / aside) - jnp.arcsinh((from_begin - length) / aside)
    return integral * (of_1_um / length)


def point_source(cell: Cable, i: Leaf, place: Any, sigma: float = SIGMA) -> Outside:
    """The field of a small electrode that passes a current i (uA, `[step]`; cathodic is negative).

    `place` is (x, y, z) in um, or `[3, pop]`, one for each cell. Raises ValueError for one that
    lies within the cell, and where `resistances` does.
    """
    place = jnp.asarray(place, jnp.result_type(float))
    if place.shape[0] != 3 or place.ndim > 2:
        raise ValueError(f"place: shape {place.shape}: expected [3], or [3, pop], um")
    per_uA = resistances(cell, place.T, sigma, line=False)
    if not isinstance(place, Tracer):
        radius = np.broadcast_to(np.asarray(cell.diameter, float), per_uA.shape[1]) / 2
        apart = np.linalg.norm(np.atleast_2d(place.T)[:, None] - cell.places()[:, 1], axis=-1)
        if (apart < radius).any():
            k = int(np.argwhere(apart < radius)[0, 1])
            raise ValueError(f"place: {np.asarray(place)} um lies within compartment {k}")
    return Outside(course=i, v=per_uA[0] if place.ndim == 1 else per_uA.T)


def uniform(cell: Cable, E: Leaf, direction: Any = (1.0, 0.0, 0.0)) -> Outside:
    """An even field of E V/m (`[step]`) along a direction, as between two plates.

    The potential falls along the direction, and is 0 at the origin of coordinates.
    """
    way = np.asarray(direction, float)
    if way.shape != (3,) or not np.linalg.norm(way) > 0:
        raise ValueError(f"direction = {direction!r}: expected (x, y, z), not all 0")
    along = cell.places()[:, 1] @ (way / np.linalg.norm(way))
    return Outside(course=E, v=jnp.asarray(-1e-3 * along, jnp.result_type(float)))


def given(v: Float[np.ndarray | Array, "step comp"]) -> Outside:
    """A potential outside each compartment, mV, in every step: `[step, comp]`, or with pop."""
    if np.ndim(v) < 2:
        raise ValueError(f"v: shape {np.shape(v)}: expected [step, comp] or [step, comp, pop], mV")
    return Outside(given=jnp.asarray(v))


# -- what the cell makes ---------------------------------------------------------------------------
def membrane_currents(cell: Cable, v: Leaf) -> PerCompartment:
    """The current that leaves each compartment through its membrane, uA; v is `[comp, *pop]`, mV.

    It is what comes along the axis, so that all of a cell add up to nothing. What an electrode
    inside injects counts as if it came in through the membrane there, as a synapse's does.
    """
    v = jnp.asarray(v)
    cell = aligned(cell, v.shape[1:])
    return -outflow(cell.tree, cell.axial_conductance(v.ndim), v)


def potential(cell: Cable, v: Leaf, resistances: Leaf) -> AtPlaces:
    """The potential that a cell makes at places, mV, of which these are the `resistances`.

    v are its membrane potentials `[comp, *pop]`, in no field but its own.
    """
    currents = membrane_currents(cell, v)
    table = jnp.asarray(resistances)
    table = table.reshape(*table.shape, *[1] * (1 + currents.ndim - table.ndim))
    return (table * currents).sum(1)


def potentials(cell: Cable, v: Leaf, resistances: Leaf) -> InTime:
    """`potential` of every record of v `[record, comp, *pop]`."""
    return jax.lax.map(lambda v: potential(cell, v, resistances), jnp.asarray(v))
