"""Cells with dendrites and axons: compartments in a tree, each a membrane with channels.

What a channel is, how gates move and what is recorded is that of `Cell`; here stand the geometry,
where channels are, and the axial currents. A population of cells of one shape is again a batch
shape: a parameter is one number, `[comp]`, `[1, pop]` or `[comp, pop]`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from neurojax.membrane import paths
from neurojax.membrane.axes import (
    Along,
    aligned,
    arrays,
    batch_shape,
    check_compartments,
    check_length,
)
from neurojax.membrane.channel import (
    Channel,
    Leaf,
    ParamInfo,
    check_range,
    field,
    param,
    params,
    pytree,
    static,
)
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.ions import Ion
from neurojax.membrane.pipette import Pipette
from neurojax.membrane.profiles import DENSITY, EVERYWHERE, Painted, density_of, has_parameters
from neurojax.membrane.relaxation import POTENTIAL
from neurojax.membrane.stochastic import Noisy
from neurojax.membrane.tree import (
    Nodes,
    Tree,
    conductances,
    displacement,
    outflow,
    tree,
)
from neurojax.units import check_known, factor


class Implicit(NamedTuple):
    """How the axial currents of a step are those of potentials to come.

    With M = 1 + part Z, where Z is dt / C times the conductances of membrane and axis, the
    potentials go by weights[0] / M + weights[1] / M^2 + ... of what the currents would move them.
    """

    part: float
    weights: tuple[float, ...]

    def own(self, psi: jax.Array) -> jax.Array:
        """M of a compartment without axial currents, which goes by psi of what moves it."""
        if len(self.weights) == 1:
            return self.weights[0] / psi
        a, b = self.weights
        return (a + jnp.sqrt(a * a + 4 * b * psi)) / (2 * psi)


_GAMMA = 1 - 2**-0.5
DAMPED = Implicit(_GAMMA, (_GAMMA, 1 - _GAMMA))
"""Second order, and steep gradients do not ring (L-stable); two solves, one elimination.

Source: Alexander 1977, SIAM J Numer Anal 14:1006, doi:10.1137/0714068.
"""
CRANK_NICOLSON = Implicit(0.5, (1.0,))
"""Second order, one solve. What is steep rings for many steps where dt is not small."""
BACKWARD_EULER = Implicit(1.0, (1.0,))
"""First order, one solve; does not ring."""
IMPLICIT = {
    "damped": DAMPED,
    "crank-nicolson": CRANK_NICOLSON,
    "backward-euler": BACKWARD_EULER,
}
"""Ways of the implicit step by their names."""

_HALF = ParamInfo(1.0, "1", 1e-4, 1e6, "log")


OfPath = Callable[[Float[np.ndarray, " comp"]], Any]
"""A function of path distances, um: a value for each."""
ByRegion = Mapping[str, float | OfPath] | OfPath
"""A value, or function of the path distance, for each region; or one function for all."""


@pytree
class Compartment(Cell):
    """One of the compartments of a cell, by itself: channels may be denser here than elsewhere.

    `density` is by channel what its conductance is multiplied by, 1 where it does not tell.
    """

    density: dict[str, Leaf | Painted] = field({}, axes=())

    joined: ClassVar[bool] = True

    @property
    def densities(self) -> dict[str, Leaf | Painted]:
        return self.density

    def painted(self, key: str, i: jax.Array) -> jax.Array:
        return i * density_of(self.density[key]) if key in self.density else i


@pytree
class Cable(Compartment):
    """A cell of compartments in a tree; free ends are sealed.

    A compartment has the area of a cylinder of its `length` and `diameter`. Its axial resistances
    are those of the cylinder, too, but where it tapers: from its centre to its start `to_start`
    times as large, to its far end `to_end` times. `points` may tell where the start, the centre and
    the far end of each are, um.

    `parents` tells of each compartment on which other one it hangs, -1 of the root; `attached`
    where: at its far end (1, the default), its centre (0.5) or its start (0). `density` paints the
    channels, by name: how dense each is in the compartments `[comp]`, 0 where there is none of it,
    or a function of the path distance (`painted_by`). So a parameter such as "na.g_bar" stays one
    number, which can be fitted. The electrode is in compartment `electrode_at`, a whole number or
    one for each cell; that is where current enters, where an amplifier reads, and where the pipette
    is, if the cell has one. `regions` are the names of the compartments' kinds.

    How axial currents enter a step is `implicit`: `DAMPED`, `CRANK_NICOLSON` or `BACKWARD_EULER`.
    """

    state_axes: ClassVar[tuple[str, ...]] = ("comp",)

    channels: dict[str, Channel] = field(axes=("comp",))
    ions: dict[str, Ion] = field({}, axes=("comp",))
    inputs: dict[str, Leaf] = field({}, axes=("comp",))
    density: dict[str, Leaf | Painted] = field({}, axes=("comp",))
    C_m: Leaf = param(1.0, "uF/cm2", 1e-5, 50.0, axes=("comp",))  # under myelin 1e-4
    R_i: Leaf = param(100.0, "Ohm cm", 1.0, 1e5, axes=("comp",))
    length: Leaf = param(20.0, "um", 1e-3, 1e6, axes=("comp",))
    diameter: Leaf = param(1.0, "um", 1e-3, 1e5, axes=("comp",))
    to_start: Leaf = field(1.0, axes=("comp",))
    to_end: Leaf = field(1.0, axes=("comp",))
    points: Float[np.ndarray | jax.Array, "comp 3 3"] | None = field(
        None, axes=("comp", "place", "xyz")
    )
    electrode_at: Leaf = field(0, axes=())
    parents: tuple[int, ...] = static((-1,))
    attached: tuple[float, ...] = static(())
    regions: tuple[str, ...] = static(())
    implicit: Implicit = static(DAMPED)

    area: ClassVar[Any] = property(lambda self: _side(self.length, self.diameter))  # cm2

    def __post_init__(self):
        super().__post_init__()  # pyright: ignore[reportAttributeAccessIssue]
        if self.regions and len(self.regions) != len(self.parents):
            n = len(self.parents)
            raise ValueError(f"regions: {len(self.regions)} names for {n} compartments")
        assert self.tree  # or it says what is wrong with the parents

    @property
    def tree(self) -> Tree:
        """How the compartments hang together."""
        return tree(self.parents, self.attached)

    @property
    def state_shape(self) -> tuple[int, ...]:
        return (len(self.parents),)

    @property
    def lengths(self) -> tuple[int, ...]:
        nodes = len(self.tree.parent)
        return tuple(n for n in sorted({len(self.parents), nodes - 1, nodes}) if n > 1)

    def check(self) -> None:
        n = len(self.parents)
        check_length("comp", n, cell=self)
        for name in ("length", "diameter", "R_i", "C_m"):
            check_range(name, getattr(self, name), params(self)[name])
        for name in ("to_start", "to_end"):
            check_range(name, getattr(self, name), _HALF)
        if self.points is not None:
            paths.check_points(self.points, self.length)
        for name, value in self.density.items():
            check_known(name, self.channels, "channel")
            own = Along(("comp",), value)
            painted = density_of(aligned(own, batch_shape(own)).value)
            check_range(f"density of {name!r}", painted, DENSITY)
        check_compartments("electrode_at", self.electrode_at, n)
        for key, channel in self.channels.items():
            if isinstance(channel, Noisy):
                raise ValueError(
                    f"channel {key!r}: a {type(channel).__name__} is for cells of one compartment"
                )

    # -- where what is ----------------------------------------------------------------------------
    def compartments(
        self,
        region: str | None = None,
        path: tuple[float, float] = (0.0, np.inf),
        order: int | None = None,
    ) -> Int[np.ndarray, " some"]:
        """The compartments of a region, or of all, by path distance and branch order.

        `path` is from where to where their centres may be, um, see `paths`; `order` see `orders`.
        Raises ValueError for an unknown region, or distances that differ from cell to cell.
        """
        here = np.ones(len(self.parents), bool)
        if region is not None:
            check_known(region, dict.fromkeys(self.regions), "region")
            here &= np.asarray(self.regions) == region
        if path != (0.0, np.inf):
            far = self._one_path()
            here &= (far >= path[0]) & (far <= path[1])
        if order is not None:
            here &= self.orders() == order
        return np.flatnonzero(here)

    def by_region(self, values: ByRegion, other: float = 0.0) -> Float[np.ndarray, " comp"]:
        """A value for each compartment, from those of regions; `other` where none is given.

        A value may be a function of the path distance from the soma, um; one for all is, too.
        """
        if callable(values):
            return self._of_path(values, np.arange(len(self.parents)))
        array = np.full(len(self.parents), float(other))
        for region, value in values.items():
            there = self.compartments(region)
            array[there] = self._of_path(value, there) if callable(value) else value
        return array

    def painted_by(self, values: ByRegion) -> Float[np.ndarray, " comp"] | Painted:
        """A density for each compartment, as `by_region`; functions with parameters are kept."""
        parts = {EVERYWHERE: values} if callable(values) else values
        kept = {region: f for region, f in parts.items() if has_parameters(f)}
        if not kept:
            return self.by_region(values)
        n = len(self.parents)
        there = {k: self.compartments(k) if k else np.arange(n) for k in kept}
        return Painted(
            numbers=self.by_region({k: x for k, x in parts.items() if k not in kept}),
            path=self._one_path(),
            functions=kept,
            where={k: np.isin(np.arange(n), at).astype(float) for k, at in there.items()},
        )

    def _of_path(self, f: OfPath, there: np.ndarray) -> np.ndarray:
        values = np.asarray(f(self._one_path()[there]), float)
        if values.shape not in ((), there.shape):
            raise ValueError(
                f"a function of the path distance gave shape {values.shape}, expected "
                f"{there.shape}: a value for each compartment"
            )
        return np.broadcast_to(values, there.shape)

    def paths(self, origin: int | None = None) -> paths.Distances:
        """Path distance of each compartment, um, from centre to centre along the tree.

        From the middle of the region "soma", of a cell without one from the root, or from
        compartment `origin`.
        """
        shape = self.parents, self.attached, self.length
        if origin is None:
            origin = paths.centre_of_soma(self.regions, *shape)
        return paths.distances(*shape, origin)

    def _one_path(self) -> Float[np.ndarray, " comp"]:
        """The path distances, which are those of all cells."""
        far = self.paths()
        if far.ndim > 1:
            raise ValueError("length differs from cell to cell, and so do the path distances")
        return far

    def orders(self) -> Int[np.ndarray, " comp"]:
        """Branch order of each compartment: 0 in the soma, 1 up to where a dendrite branches."""
        return paths.orders(self.parents, self.attached, self.regions)

    def places(self) -> Float[np.ndarray, "comp 3 3"]:
        """Where the start, centre and far end of each compartment are, um.

        Those of `points`, or else of a tree of straight branches in a plane.
        """
        if self.points is not None:
            return np.asarray(self.points)
        return paths.straight(self.parents, self.attached, self.length)

    # -- one step ---------------------------------------------------------------------------------
    def placed(self, x: Leaf, at: Leaf, v: jax.Array) -> jax.Array:
        here = jnp.arange(len(self.parents)).reshape(-1, *[1] * (v.ndim - 1))
        return jnp.where(here == at, x, 0.0)

    def painted(self, key: str, i: jax.Array) -> jax.Array:
        if isinstance(self.channels[key], Pipette):
            return self.placed(i, self.electrode_at, i)
        return super().painted(key, i)

    def at_electrode(self, x: jax.Array) -> jax.Array:
        return _row(x, self.electrode_at)

    def entering(self, i: jax.Array) -> jax.Array:
        return self.placed(i / self.area, self.electrode_at, i)

    def leaving(self, v: jax.Array, i: jax.Array) -> jax.Array:
        return i * self.area + outflow(self.tree, self.axial_conductance(v.ndim), v)

    def displacement(self, v: jax.Array, passed: jax.Array, z: jax.Array, dt: Leaf) -> jax.Array:
        if len(self.parents) == 1:
            return super().displacement(v, passed, z, dt)
        C, how = self.C_m * self.area, self.implicit
        axial = dt * self.axial_conductance(v.ndim)
        own = C * how.own(POTENTIAL.mean(z))
        return displacement(self.tree, own, axial, C * passed, v, C, how.weights, how.part)

    def newton(self, v: jax.Array, i: jax.Array, g: jax.Array) -> jax.Array:
        if len(self.parents) == 1:
            return super().newton(v, i, g)
        axial = self.axial_conductance(v.ndim)
        return displacement(self.tree, g * self.area, axial, i * self.area, v)

    def axial_conductance(self, ndim: int = 1) -> Nodes:
        """Conductance of each node of the tree to its parent, mS, 0 of the root."""
        half = _half_resistance(self.R_i, self.length, self.diameter)
        halves = jnp.asarray(half * self.to_start), jnp.asarray(half * self.to_end)
        pop = np.broadcast_shapes(*(x.shape[1:] for x in halves), (1,) * (ndim - 1))
        to_start, to_end = (
            jnp.broadcast_to(x.reshape(x.shape or (1,) * ndim), (*self.state_shape, *pop))
            for x in halves
        )
        return conductances(self.tree, to_start, to_end)


def _side(length: Any, diameter: Any) -> Any:
    """The area of a cylinder's side, cm2, of lengths in um."""
    return np.pi * 1e-8 * length * diameter


def length_constant(diameter: Leaf, g: Leaf, R_i: Leaf) -> Leaf:
    """Of an endless cylinder, um: sqrt(d / (4 R_i g)); g of its membrane in mS/cm2."""
    return 1e4 * np.sqrt(1e-4 * diameter / (4 * g * R_i * factor("Ohm", "kOhm")))


def _half_resistance(R_i: Any, length: Any, diameter: Any) -> Any:
    """From the centre of a cylinder to its end, kOhm; R_i in Ohm cm, lengths in um."""
    return 10 * R_i * (length / 2) / (np.pi / 4 * diameter**2)


# -- one of the compartments -----------------------------------------------------------------------
def compartment_at(cell: Cable, s: State, at: Leaf) -> tuple[Compartment, State]:
    """One compartment as a cell of its own, and its state; `at` is a number or one for each cell.

    The cell is that of a program, whose arrays are `aligned`.
    """
    things = cell, Along(cell.state_axes, s)
    leaves, structure = jax.tree.flatten(things)
    owned = ("comp" in array.own for array in arrays(things))
    chosen = [_row(x, at) if own else x for x, own in zip(leaves, owned, strict=True)]
    cell, here = jax.tree.unflatten(structure, chosen)
    fields: dict[str, Any]
    fields = {f.name: getattr(cell, f.name) for f in dataclasses.fields(Compartment)}
    fields["channels"] = _unpatched(cell)
    return Compartment(**fields), here.value


def one_of(cell: Cable) -> Compartment:
    """What any compartment is as a cell of its own, to ask what can be seen of it."""
    return Compartment(channels=_unpatched(cell), ions=cell.ions, inputs=cell.inputs)


def _unpatched(cell: Cell) -> dict[str, Channel]:
    """The channels of a compartment: the pipette is that of the whole cell."""
    return {k: c for k, c in cell.channels.items() if not isinstance(c, Pipette)}


def _row(x: Any, at: Leaf) -> jax.Array:
    """A row of an array `[comp, *pop]`, or for each cell its own; by a sum, not a gather."""
    x = jnp.asarray(x)
    if x.shape[0] == 1:
        return x[0]
    here = jnp.arange(x.shape[0]).reshape(-1, *[1] * (x.ndim - 1)) == at
    return jnp.where(here, x, 0.0).sum(0)
