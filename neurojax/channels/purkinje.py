"""Channels of the cerebellar Purkinje cell."""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.membrane.channel import Leaf, param, pytree
from neurojax.membrane.ghk import ConstantField
from neurojax.membrane.rates import from_tau, sigmoid


@pytree
class PurkinjeCaP(ConstantField):
    """P-type calcium channel of Purkinje cells: i = P_bar m^3 phi, phi the constant-field current.

    The time constant's two published branches meet at -40 mV with a step of 0.7 %.

    Source: Swensen & Bean 2005, J Neurosci 25:3509, doi:10.1523/JNEUROSCI.3929-04.2005, recorded at
    23 degC; as fitted by Anwar, Hong & De Schutter 2012, Cerebellum 11:681,
    doi:10.1007/s12311-010-0224-3.
    """

    P_bar: Leaf = param(2.2e-4, "cm/s", 0.0, 1e-2)
    powers = {"m": 3}
    valences = {"ca": 2}
    q10 = {"m": 3.0}
    celsius_ref = 23.0

    def gating(self, v, **_):
        bell = 0.2702 + 1.1622 * jnp.exp(-((v + 26.798) ** 2) / 164.19)
        tau = jnp.where(v >= -40, bell, 0.6923 * jnp.exp(v / 1089.372))
        return {"m": from_tau(sigmoid((v + 29.458) / 8.429), tau)}
