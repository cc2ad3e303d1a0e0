"""Where ions, charge and water come to rest, in closed form: what a simulation must settle at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from neurojax.membrane.channel import Leaf
from neurojax.membrane.ions import Ion, nernst_potential
from neurojax.units import check_known, thermal_voltage

VALENCE = {"k": 1, "na": 1, "cl": -1, "ca": 2}
"""Of the ions that are called by these names."""


def nernst(
    outside: Leaf, inside: Leaf, valence: int = 1, celsius: Leaf = 37.0
) -> Float[Array, "*pop"]:
    """E = (RT/zF) ln(outside / inside), mV, of concentrations in mM: numbers or arrays.

    Source: Nernst 1888, Z phys Chem 2:613. Raises ValueError for an uncharged solute.
    """
    if valence == 0:
        raise ValueError("an uncharged solute has no Nernst potential (valence 0)")
    return nernst_potential(jnp.asarray(inside), jnp.asarray(outside), valence, celsius)


def ghk(
    P: Mapping[str, Leaf],
    outside: Mapping[str, Leaf],
    inside: Mapping[str, Leaf],
    celsius: Leaf = 37.0,
) -> Float[Array, "*pop"]:
    """The Goldman-Hodgkin-Katz potential, mV, of the ions "k", "na", "cl" and "ca".

    V = (RT/F) ln((P_K K_o + P_Na Na_o + P_Cl Cl_i) / (P_K K_i + P_Na Na_i + P_Cl Cl_o)), with
    concentrations in mM and permeabilities in any unit: numbers or arrays. See `goldman_potential`.

    Raises ValueError for another ion, or one of which a concentration is missing.
    """
    ions: dict[str, Ion] = {}
    for name in P:
        check_known(name, VALENCE, "ion", "ghk: ")
        for side, given in (("outside", outside), ("inside", inside)):
            check_known(name, given, "concentration of", f"ghk: {side}: ")
        ions[name] = Ion(valence=VALENCE[name], inside=inside[name], outside=outside[name])
    return goldman_potential(P, ions, celsius)


def goldman_potential(
    permeabilities: Mapping[str, Leaf], ions: Mapping[str, Ion], celsius: Leaf, pump: Leaf = 1.0
) -> Float[Array, "*pop"]:
    """The potential (mV) at which the constant-field currents of ions of valence -1, 1, 2 cancel.

    Permeabilities by ion, in any unit: only ratios count. `pump` is how many sodium a pump moves
    for one potassium, 3/2, where it keeps their gradients: what then vanishes is no more the sum of
    the leaks, and potassium counts as if it were `pump` times as permeable.

    Source: Goldman 1943, J Gen Physiol 27:37, doi:10.1085/jgp.27.1.37; Hodgkin & Katz 1949,
    J Physiol 108:37, doi:10.1113/jphysiol.1949.sp004310; with a pump Mullins & Noda 1963, J Gen
    Physiol 47:117, doi:10.1085/jgp.47.1.117. Divalent ions make it a quadratic in exp(v F/RT).
    Raises ValueError for an ion that is not there or of another valence.
    """
    inside, outside, inside_2, outside_2 = 0.0, 0.0, 0.0, 0.0
    for name, P in permeabilities.items():
        if name not in ions:
            raise ValueError(f"permeability to {name!r}: no such ion (have: {', '.join(ions)})")
        ion = ions[name]
        P = P * pump if name == "k" else P
        if ion.valence == 1:
            inside, outside = inside + P * ion.inside, outside + P * ion.outside
        elif ion.valence == -1:
            inside, outside = inside + P * ion.outside, outside + P * ion.inside
        elif ion.valence == 2:
            inside_2, outside_2 = inside_2 + 4 * P * ion.inside, outside_2 + 4 * P * ion.outside
        else:
            raise ValueError(f"ion {name!r}: no closed form for valence {ion.valence}")
    # (inside y - outside) (y + 1) + inside_2 y^2 - outside_2 = 0 in y = exp(v F/RT).
    a, b, c = inside + inside_2, inside - outside, outside + outside_2
    root = jnp.sqrt(b * b + 4 * a * c)
    # Of the two ways to write the positive root, the one that does not cancel.
    safe = jnp.where(b > 0, root + b, root - b)
    y = jnp.where(b > 0, 2 * c / safe, safe / (2 * a))
    return thermal_voltage(celsius) * jnp.log(y)


class Donnan(NamedTuple):
    """A Donnan equilibrium."""

    v: Float[Array, "*pop"]  # mV, inside against outside
    inside: dict[str, Float[Array, "*pop"]]  # mM
    excess: Float[Array, "*pop"]  # mM, osmolarity inside over outside, of the mobile ions


def donnan(fixed: Leaf, ions: Mapping[str, Ion], celsius: Leaf) -> Donnan:
    """Equilibrium of all of `ions` (as outside) with `fixed` mM of charge that cannot leave.

    `fixed` counts its sign: -100 for 100 mM of charges on proteins, which draw cations in and push
    anions out until every ion has its Nernst potential at the one v, and the inside is neutral. No
    ion is pumped; water is held back by the excess of osmolarity.

    Source: Donnan 1911, Z Elektrochem 17:572.
    """
    V_T = thermal_voltage(celsius)

    def charge(u: jax.Array) -> Any:
        inside = (i.valence * i.outside * jnp.exp(-i.valence * u) for i in ions.values())
        return sum(inside, fixed)

    stop = jax.lax.stop_gradient
    edge = 20.0 * jnp.ones_like(charge(jnp.zeros(())))

    def halve(_: jax.Array, bracket: tuple[jax.Array, jax.Array]):
        low, high = bracket
        middle = 0.5 * (low + high)
        above = stop(charge(middle)) > 0  # charge falls with u, so the root is above
        return jnp.where(above, middle, low), jnp.where(above, high, middle)

    low, high = jax.lax.fori_loop(0, 60, halve, (-edge, edge))
    u = stop(0.5 * (low + high))
    slope = jax.jvp(charge, (u,), (jnp.ones_like(u),))[1]
    u = u - charge(u) / stop(slope)  # Newton's step carries the implicit derivative
    inside = {name: i.outside * jnp.exp(-i.valence * u) for name, i in ions.items()}
    excess = sum(c - ions[name].outside for name, c in inside.items())
    return Donnan(V_T * u, inside, jnp.asarray(excess))


class Volume(NamedTuple):
    """A cell that pumps sodium out, neutral and in osmotic balance."""

    v: Float[Array, "*pop"]  # mV
    inside: dict[str, Float[Array, "*pop"]]  # mM of na, k and cl
    impermeant: Float[Array, "*pop"]  # mM of what cannot leave: its amount over this is the volume


def pumped_volume(
    i_pump: Leaf,
    g_na: Leaf,
    g_k: Leaf,
    ions: Mapping[str, Ion],
    celsius: Leaf,
    valence: Leaf = -1.0,
) -> Volume:
    """Where a cell settles whose 3 Na : 2 K pump (net current i_pump, uA/cm2) balances its leaks.

    Chloride is passive, water follows osmolarity, and inside is an amount of impermeant molecules
    of mean `valence`. `ions` gives "na", "k" and "cl" outside. The volume is that amount over
    `impermeant`; a cell whose pump stops swells without bound, which shows as `impermeant` going to
    zero, or below where the pump is too weak for a volume at all.

    Source: the pump-leak balance of Tosteson & Hoffman 1960, J Gen Physiol 44:169,
    doi:10.1085/jgp.44.1.169, with linear leaks.
    """
    V_T = thermal_voltage(celsius)
    na, k, cl = (ions[name].outside for name in ("na", "k", "cl"))
    na_held = na * jnp.exp(-3 * i_pump / (g_na * V_T))
    k_held = k * jnp.exp(2 * i_pump / (g_k * V_T))
    # Neutral and isosmotic, with y = exp(-v F/RT): (1 - z) A y^2 + z S y - (1 + z) cl = 0.
    a, b, c = (1 - valence) * (na_held + k_held), valence * (na + k + cl), (1 + valence) * cl
    y = (-b + jnp.sqrt(b * b + 4 * a * c)) / (2 * a)
    inside = {"na": na_held * y, "k": k_held * y, "cl": cl / y}
    return Volume(-V_T * jnp.log(y), inside, na + k + cl - sum(inside.values()))
