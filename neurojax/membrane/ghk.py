"""Channels that conduct by the constant-field equation: permeabilities in place of conductances."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax

from neurojax.membrane.channel import Channel, Gates, Leaf, pytree
from neurojax.membrane.ions import ghk_current


@pytree
class ConstantField(Channel):
    """A channel through which each of several ions moves by its own constant-field flux.

    i is the sum over ions of P z F u (c_i - c_o exp(-u)) / (1 - exp(-u)), u = z v F/RT. An author
    names the ions that pass and their `valences`, and writes `permeabilities`; both concentrations
    of each are read, so that gating formulas take them (as `**c`). Pools get each ion's own flux.

    Source: Goldman 1943, J Gen Physiol 27:37, doi:10.1085/jgp.27.1.37; Hodgkin & Katz 1949,
    J Physiol 108:37, doi:10.1113/jphysiol.1949.sp004310.
    """

    valences: ClassVar[Mapping[str, int]] = {}

    def __init_subclass__(cls) -> None:
        sides = [f"{ion}_{side}" for ion in cls.valences for side in "io"]
        cls.reads = tuple(dict.fromkeys([*sides, *cls.reads]))

    def permeabilities(self, x: Gates) -> dict[str, jax.Array]:
        """The permeability to each ion, cm/s, of the gating variables x."""
        (ion,) = self.valences
        return {ion: self.conductance(x)}

    def conductance(self, x: Mapping[str, Leaf]) -> Leaf:
        """The permeability that the ions share, cm/s."""
        return self.P_bar * math.prod(x[k] ** p for k, p in self.powers.items())  # type: ignore[attr-defined]

    def current(self, v: jax.Array, x: Gates, celsius: Leaf | None = None, **c: Any) -> jax.Array:
        return sum(self._fluxes(v, x, celsius, **c).values())  # type: ignore[return-value]

    def ion_fluxes(
        self, i: jax.Array, v: jax.Array, x: Gates, celsius: Leaf | None = None, **c: Any
    ) -> dict[str, jax.Array]:
        return self._fluxes(v, x, celsius, **c)

    def _fluxes(
        self, v: jax.Array, x: Gates, celsius: Leaf | None, **c: Any
    ) -> dict[str, jax.Array]:
        scale = self.q10_factor(self.q10_g, celsius)
        temperature = self.temperature(celsius)

        def flux(ion: str) -> jax.Array:
            return ghk_current(v, c[f"{ion}_i"], c[f"{ion}_o"], self.valences[ion], temperature)

        permeabilities = self.permeabilities(self.gates(v, x, **c))
        return {ion: scale * P * flux(ion) for ion, P in permeabilities.items()}
