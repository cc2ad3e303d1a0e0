"""Ions: concentrations on both sides of the membrane, the potentials that they make, their flux."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from neurojax.membrane.channel import Leaf, param, pytree, static
from neurojax.membrane.rates import exp_linear
from neurojax.membrane.relaxation import relax_mean
from neurojax.units import AVOGADRO, FARADAY, UNITS, thermal_voltage

# uA/cm2 over um, per charge, as mM/ms
_POOL = 10 / FARADAY
# elementary charges in 1 nC (1 uA for 1 ms)
_CHARGES = 1e-9 * AVOGADRO / FARADAY


@pytree
class Ion:
    """An ion of a cell, inside and outside, in mM.

    A side with a `depth` is a pool, of that volume per membrane area: its concentration is state,
    begins at the value given, and is changed by the currents that the cell's channels carry. A side
    without is held. What is bound to a buffer follows at once: `buffer` is bound per free. `tau` is
    the time in which the cell brings the inside back to where it began, `pump_max` and `pump_K`
    those of a saturable removal of Hill coefficient `pump_hill`, balanced at the initial value by a
    constant leak.
    """

    valence: int = static(1)
    inside: Leaf = param(10.0, "mM", 1e-6, 1000.0)
    outside: Leaf = param(100.0, "mM", 1e-6, 1000.0)
    depth: Leaf | None = param(None, "um", 1e-3, 1e4)
    depth_o: Leaf | None = param(None, "um", 1e-3, 1e4)
    buffer: Leaf = param(0.0, "1", 0.0, 1e4)
    tau: Leaf | None = param(None, "ms", 1e-3, 1e7)
    pump_max: Leaf | None = param(None, "mM/ms", 1e-9, 10.0)
    pump_K: Leaf = param(1e-3, "mM", 1e-6, 100.0)
    pump_hill: int = static(1)

    def pools(self, name: str) -> dict[str, Leaf]:
        """The concentrations that are state, by name ("ca_i", "k_o"), at their initial values."""
        sides = {f"{name}_i": (self.depth, self.inside), f"{name}_o": (self.depth_o, self.outside)}
        return {k: c for k, (depth, c) in sides.items() if depth is not None}

    def advance(
        self, name: str, c: dict[str, jax.Array], carried: dict[str, jax.Array], dt: Leaf
    ) -> dict[str, jax.Array]:
        """The ion's pools a step dt (ms) later, under mean current densities (uA/cm2, outward).

        `carried` holds what channels carry of this ion, by the name that they carry it under.
        """
        return {k: c[k] + change for k, change in self.changes(name, c, carried, dt).items()}

    def changes(
        self, name: str, c: dict[str, jax.Array], carried: dict[str, jax.Array], dt: Leaf
    ) -> dict[str, jax.Array]:
        """By how much the pools grow in that step, mM: far less than can be told beside them."""
        i = carried[name]
        grown = {}
        if f"{name}_i" in c:
            grown[f"{name}_i"] = self._change_inside(c[f"{name}_i"], i, dt)
        if f"{name}_o" in c:
            grown[f"{name}_o"] = dt * change_of_pool(i, self.valence, self.depth_o)
        return grown

    def _change_inside(self, c: jax.Array, i: jax.Array, dt: Leaf) -> jax.Array:
        def rate(c: jax.Array) -> jax.Array:
            total = -change_of_pool(i, self.valence, self.depth)
            if self.tau is not None:
                total = total - (c - self.inside) / self.tau
            if self.pump_max is not None:
                total = total - (self._pumped(c) - self._pumped(self.inside))
            return total / (1 + self.buffer)

        return change_of_relaxed(rate, c, dt)

    def _pumped(self, c: Leaf) -> Leaf:
        part = (c / self.pump_K) ** self.pump_hill
        return self.pump_max * part / (1 + part)


def change_of_pool(i: Leaf, valence: int, depth: Leaf) -> Leaf:
    """How fast a current density (uA/cm2) fills a volume of `depth` um per membrane area: mM/ms."""
    return _POOL * i / (valence * depth)


def relaxed(rate: Callable[[jax.Array], jax.Array], c: jax.Array, dt: Leaf) -> jax.Array:
    """c after a step dt of c' = rate(c), exponential Euler: exact where the rate is linear in c."""
    return c + change_of_relaxed(rate, c, dt)


def change_of_relaxed(rate: Callable[[jax.Array], jax.Array], c: jax.Array, dt: Leaf) -> jax.Array:
    """By how much c grows in that step."""
    f, slope = jax.jvp(rate, (c,), (jnp.ones_like(c),))
    return dt * f * relax_mean(-dt * slope)


def nernst_potential(
    inside: Leaf, outside: Leaf, valence: int, celsius: Leaf
) -> Float[Array, "*pop"]:
    """E = (RT/zF) ln(outside/inside), mV: where an ion's two driving forces are in balance.

    Source: Nernst 1888, Z phys Chem 2:613.
    """
    return thermal_voltage(celsius) / valence * jnp.log(outside / inside)


def ghk_current(
    v: Leaf, inside: Leaf, outside: Leaf, valence: int, celsius: Leaf
) -> Float[Array, "*pop"]:
    """Current density of an ion (uA/cm2, outward positive) through a permeability of 1 cm/s.

    i = z F u (c_i - c_o exp(-u)) / (1 - exp(-u)) with u = z v F/RT; at v = 0, where that is 0/0, it
    is z F (c_i - c_o).

    Source: Goldman 1943, J Gen Physiol 27:37, doi:10.1085/jgp.27.1.37; Hodgkin & Katz 1949,
    J Physiol 108:37, doi:10.1113/jphysiol.1949.sp004310.
    """
    u = valence * v / thermal_voltage(celsius)
    return valence * FARADAY * (inside * exp_linear(u) - outside * exp_linear(-u))


def elementary_charges(charge: Leaf, area_um2: Leaf = 1.0) -> Leaf:
    """How many elementary charges a charge density is, of uA/cm2 times ms, on a membrane's area.

    Of C_m times v: the ions whose surplus on one side makes v. Of the integral of what channels
    carry of an ion, over its valence: how many passed.
    """
    return _CHARGES * charge * (area_um2 * UNITS["um2"][1])
