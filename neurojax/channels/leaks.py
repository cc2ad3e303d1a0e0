"""Leaks that are always open and let several ions pass, each by its own gradient."""

from __future__ import annotations

from neurojax.membrane.channel import Leaf, param, pytree
from neurojax.membrane.ghk import ConstantField


@pytree
class GoldmanLeak(ConstantField):
    """Resting leak: i = P_bar (phi_k + ratio_na phi_na + ratio_cl phi_cl), phi the constant-field
    currents of potassium, sodium and chloride at a permeability of 1.

    `P_bar` is the permeability to potassium, the ratios are those of the others to it. Where no net
    current flows it is at the Goldman potential.

    Source: Hodgkin & Katz 1949, J Physiol 108:37, doi:10.1113/jphysiol.1949.sp004310, with
    1 : 0.04 : 0.45 for the resting squid axon.
    Deviates: sodium 1 : 40 and no chloride, the textbook's neuron; P_bar is a slope conductance of
    about 0.1 mS/cm2 at rest.
    """

    P_bar: Leaf = param(1e-6, "cm/s", 0.0, 1e-3)
    ratio_na: Leaf = param(0.025, "1", 0.0, 100.0)
    ratio_cl: Leaf = param(0.0, "1", 0.0, 100.0)
    valences = {"k": 1, "na": 1, "cl": -1}

    def permeabilities(self, x):
        P = self.conductance(x)
        return {"k": P, "na": P * self.ratio_na, "cl": P * self.ratio_cl}
