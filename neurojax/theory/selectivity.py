"""Why a pore prefers one ion: what a site gains by binding it, against what dehydration costs.

A permeability ratio is P_X / P_K = exp(-ddG / RT), ddG the free energy of moving X rather than
potassium from water into the filter. Energies in kJ/mol, lengths in Angstrom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neurojax.membrane.channel import Leaf, param, pytree, static
from neurojax.units import GAS_CONSTANT, ZERO_CELSIUS

HYDRATION = {"li": -475.0, "na": -365.0, "k": -295.0, "rb": -275.0, "cs": -250.0}
"""Standard free energies of hydration, kJ/mol.

Source: Marcus 1991, J Chem Soc Faraday Trans 87:2995, doi:10.1039/FT9918702995.
"""

RADIUS = {"li": 0.60, "na": 0.95, "k": 1.33, "rb": 1.48, "cs": 1.69}
"""Crystal radii, Angstrom. Source: Pauling 1960, The Nature of the Chemical Bond, 3rd edition."""

SEQUENCES = (
    "cs>rb>k>na>li",
    "rb>cs>k>na>li",
    "rb>k>cs>na>li",
    "k>rb>cs>na>li",
    "k>rb>na>cs>li",
    "k>na>rb>cs>li",
    "na>k>rb>cs>li",
    "na>k>rb>li>cs",
    "na>k>li>rb>cs",
    "na>li>k>rb>cs",
    "li>na>k>rb>cs",
)
"""Eisenman's eleven of 120 conceivable orders, I to XI, from the weakest field to the strongest."""

_COULOMB = 1389.354577  # kJ Angstrom/mol between two elementary charges


def anionic_site(radius: Leaf) -> dict[str, Float[Array, "*pop"]]:
    """What each ion gains, kJ/mol, by touching a monovalent anion of this radius (Angstrom).

    The smaller, the stronger its field: -1389 / (r_ion + radius). Weak fields leave hydration to
    decide, which costs the largest ion least; strong ones choose the smallest.

    Source: Eisenman 1962, Biophys J 2:259; Hille 2001, Ion Channels of Excitable Membranes, 3rd
    edition, ISBN 0-87893-321-2.
    """
    return {ion: -_COULOMB / (r + jnp.asarray(radius)) for ion, r in RADIUS.items()}


@pytree
class Cage:
    """A site of carbonyl groups about an ion, all oxygens at one distance from it.

    Oxygens touch an ion of the size of the cage, or larger; to a smaller one they close in only by
    `give`, so that it rattles. Each group is a dipole of `charge` on oxygen and carbon, 1.23
    Angstrom apart; they draw the ion and repel each other. With no give the site holds any small
    ion alike, and what sodium's dehydration costs more than potassium's decides alone.

    Source: the snug fit of Doyle et al. 1998, Science 280:69, doi:10.1126/science.280.5360.69, and
    what its softness leaves of it, Noskov, Berneche & Roux 2004, Nature 431:830,
    doi:10.1038/nature02943.
    """

    oxygens: int = static(8)  # 4, 6 or 8
    charge: Leaf = param(0.5, "1", 0.0, 1.0)
    distance: Leaf = param(
        2.73, "Angstrom", 1.5, 4.0
    )  # of oxygens from the centre: potassium's radius
    give: Leaf = param(0.0, "Angstrom", 0.0, 2.0)
    radius_o: Leaf = param(1.40, "Angstrom", 1.0, 2.0)

    def binding(self) -> dict[str, Float[Array, "*pop"]]:
        """What each ion gains, kJ/mol. Raises ValueError for another number of oxygens."""
        if self.oxygens not in _COSINES:
            raise ValueError(f"oxygens = {self.oxygens}: expected one of {sorted(_COSINES)}")
        closed = self.distance - self.give
        return {
            ion: self._energy(jnp.maximum(r + self.radius_o, closed)) for ion, r in RADIUS.items()
        }

    def _energy(self, d: Array) -> Array:
        d, charge = (jnp.asarray(a)[..., None] for a in (d, self.charge))  # [*pop, pair]
        ends = ((d, -charge), (d + _CARBONYL, charge))
        drawn = self.oxygens * charge * (1 / ends[1][0] - 1 / d)
        cosine = _COSINES[self.oxygens]
        repelled = sum(
            q1 * q2 / jnp.sqrt(r1 * r1 + r2 * r2 - 2 * r1 * r2 * cosine)
            for r1, q1 in ends
            for r2, q2 in ends
        )
        return _COULOMB * (drawn[..., 0] + jnp.sum(repelled, axis=-1))


_CARBONYL = 1.23  # Angstrom, from carbon to oxygen


def _cosines(directions: list[tuple[float, float, float]]) -> np.ndarray:
    """The cosine of the angle between the directions of each pair."""
    unit = np.array(directions, dtype=float)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(unit), 1)]


_TURNS = math.pi / 4 * np.arange(8)
_COSINES = {
    4: _cosines([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]),
    6: _cosines([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]),
    # A square antiprism of equal edges, as in potassium channels.
    8: _cosines([(math.cos(a), math.sin(a), (-1) ** k * 8**-0.25) for k, a in enumerate(_TURNS)]),
}


def preference(binding: Mapping[str, Leaf], over: str = "k") -> dict[str, Leaf]:
    """ddG of each ion, kJ/mol: its way from water into the site, less that of the ion `over`.

    Positive where that one is preferred.
    """
    moved = {ion: gained - HYDRATION[ion] for ion, gained in binding.items()}
    return {ion: g - moved[over] for ion, g in moved.items()}


def permeability_ratio(ddG: Leaf, celsius: Leaf = 25.0) -> Float[Array, "*pop"]:
    """P_X / P_K = exp(-ddG / RT), ddG in kJ/mol.

    As if the site's occupancy decided alone, and both ions moved on at one rate.
    """
    return jnp.exp(-1e3 * jnp.asarray(ddG) / (GAS_CONSTANT * (celsius + ZERO_CELSIUS)))


def sequence(binding: Mapping[str, Leaf]) -> str:
    """The ions in their order, the best liked first: "k>rb>cs>na>li"."""
    ddG = preference(binding, next(iter(binding)))
    return ">".join(sorted(ddG, key=lambda ion: float(ddG[ion])))
