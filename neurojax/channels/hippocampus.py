"""Channels of hippocampal pyramidal cells."""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.rates import from_inf, sigmoid


@pytree
class HippocampusH(Channel):
    """Cation channel opened by hyperpolarisation (HCN) of CA1 cells: i = g_bar l (v - E_rev).

    V_half is -73 mV near the soma and -81 mV beyond 100 um of the apical dendrite.

    Source: Magee 1998, J Neurosci 18:7613, doi:10.1523/JNEUROSCI.18-19-07613.1998, at 33 degC, in
    the form of Migliore's programs: tau = exp(0.4 z) / (0.011 (1 + exp(z))), z = 0.0832 (v + 75).
    """

    g_bar: Leaf = param(0.1, "mS/cm2", 0.0, 20.0)
    E_rev: Leaf = param(-30.0, "mV", -70.0, 0.0)
    V_half: Leaf = param(-73.0, "mV", -110.0, -50.0)
    slope: Leaf = param(8.0, "mV", 3.0, 20.0)
    powers = {"l": 1}
    q10 = {"l": 4.5}
    celsius_ref = 33.0

    def gating(self, v):
        z = 0.08316 * (v + 75)
        rate = 0.011 * (jnp.exp(-0.4 * z) + jnp.exp(0.6 * z))
        return {"l": from_inf(sigmoid(-(v - self.V_half) / self.slope), rate)}
