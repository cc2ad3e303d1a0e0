"""Channels of rod photoreceptors: what light closes, and the currents of the inner segment.

The light itself is in rod_outer_segment.py. Numbers per area are those of a rod of 20 pF on 2000
um2: 1 nS is 0.05 mS/cm2 and 1 pA is 0.05 uA/cm2.
"""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.rates import exp_linear, from_rates, hill, sigmoid


@pytree
class RodCgmp(Channel):
    """Cation channel of the outer segment, opened by cGMP: i = i_max o (exp((v - E_rev) / 17) - 1).

    o = cgmp^3 / (cgmp^3 + K^3). In darkness 2 uM open less than 1 % of all, which carry the dark
    current; light takes the cGMP away.

    Source: Torre, Forti, Menini & Campani 1990, Cold Spring Harb Symp Quant Biol 55:563,
    doi:10.1101/SQB.1990.055.01.054, as in Kamiyama, Wu & Usui 2009, Vision Res 49:970,
    doi:10.1016/j.visres.2009.03.003.
    """

    i_max: Leaf = param(252.0, "uA/cm2", 0.0, 1e4)
    E_rev: Leaf = param(8.5, "mV", -20.0, 30.0)
    K: Leaf = param(0.01, "mM", 1e-4, 1.0)
    reads = ("cgmp",)
    celsius_ref = 17.0

    def current(self, v, x, celsius: Leaf | None = None, **c):
        return self.i_max * hill(c["cgmp"], self.K, 3) * (jnp.exp((v - self.E_rev) / 17) - 1)


@pytree
class RodH(Channel):
    """Cation channel opened by hyperpolarisation: i = g_bar m^2 (6 - 8 m + 3 m^2) (v - E_rev).

    It has four gates m and conducts with two or more of them open.

    Source: Kamiyama, Wu & Usui 2009, Vision Res 49:970, doi:10.1016/j.visres.2009.03.003.
    """

    g_bar: Leaf = param(0.15, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(-32.0, "mV", -60.0, 0.0)
    powers = {"m": 4}
    celsius_ref = 17.0

    def gating(self, v):
        alpha = 0.008 * sigmoid(-(v + 78) / 14)
        return {"m": from_rates(alpha, 0.018 * sigmoid((v + 8) / 19))}

    def conductance(self, x):
        m = x["m"]
        return self.g_bar * (m * m) * (6 - 8 * m + 3 * (m * m))


@pytree
class RodKv(Channel):
    """Delayed-rectifier potassium channel: i = g_bar m^3 h (v - E_rev).

    Source: Kamiyama, Wu & Usui 2009, Vision Res 49:970, doi:10.1016/j.visres.2009.03.003.
    """

    g_bar: Leaf = param(0.1, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(-74.0, "mV", -110.0, -40.0)
    powers = {"m": 3, "h": 1}
    carries = {"k": 1.0}
    celsius_ref = 17.0

    def gating(self, v):
        alpha_m = 0.21 * exp_linear((v - 100) / 42)
        beta_m = 0.009 * jnp.exp(-(v - 20) / 40)
        alpha_h = 1.5e-4 * jnp.exp(-v / 22)
        beta_h = 4.125e-4 * sigmoid((v - 10) / 7)
        return {"m": from_rates(alpha_m, beta_m), "h": from_rates(alpha_h, beta_h)}


@pytree
class RodCa(Channel):
    """L-type calcium channel of the rod's terminal: i = g_bar m^4 h (v - E_rev).

    h follows at once.

    Source: Kamiyama, Wu & Usui 2009, Vision Res 49:970, doi:10.1016/j.visres.2009.03.003.
    """

    g_bar: Leaf = param(0.035, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(121.0, "mV", 30.0, 180.0)
    powers = {"m": 4, "h": 1}
    carries = {"ca": 1.0}
    celsius_ref = 17.0

    def gating(self, v):
        alpha = 0.075 * exp_linear((v - 80) / 25)
        return {"m": from_rates(alpha, 0.01 * sigmoid(-(v + 38) / 7))}

    def instant(self, v):
        return {"h": sigmoid(-(v - 40) / 18)}


@pytree
class RodKca(Channel):
    """Potassium channel opened by voltage and calcium: i = g_bar m^2 s (v - E_rev).

    s = ca_i / (ca_i + K) follows at once.

    Source: Kamiyama, Wu & Usui 2009, Vision Res 49:970, doi:10.1016/j.visres.2009.03.003.
    """

    g_bar: Leaf = param(0.25, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(-74.0, "mV", -110.0, -40.0)
    K: Leaf = param(3e-4, "mM", 1e-6, 0.1)
    powers = {"m": 2, "s": 1}
    reads = ("ca_i",)
    carries = {"k": 1.0}
    celsius_ref = 17.0

    def gating(self, v, **_):
        alpha = 0.6 * exp_linear((v - 80) / 40)
        return {"m": from_rates(alpha, 0.02 * jnp.exp(-v / 35))}

    def instant(self, v, ca_i):
        return {"s": ca_i / (ca_i + self.K) * jnp.ones_like(v)}


@pytree
class RodClca(Channel):
    """Chloride channel opened by calcium: i = g_bar s (v - E_rev).

    s = 1 / (1 + exp((K - ca_i) / width)) follows at once.

    Source: Kamiyama, Wu & Usui 2009, Vision Res 49:970, doi:10.1016/j.visres.2009.03.003.
    """

    g_bar: Leaf = param(0.1, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(-20.0, "mV", -80.0, 20.0)
    K: Leaf = param(3.7e-4, "mM", 1e-6, 0.1)
    width: Leaf = param(9e-5, "mM", 1e-6, 0.1)
    powers = {"s": 1}
    reads = ("ca_i",)
    carries = {"cl": 1.0}
    celsius_ref = 17.0

    def instant(self, v, ca_i):
        return {"s": sigmoid((ca_i - self.K) / self.width) * jnp.ones_like(v)}


@pytree
class RodNaCaExchanger(Channel):
    """What sodium that enters takes out of calcium: i = i_max exp(-(v + 14) / 70) s.

    s = (ca_i - least) / (ca_i - least + K). All of i counts as calcium that leaves.

    Source: Kamiyama, Wu & Usui 2009, Vision Res 49:970, doi:10.1016/j.visres.2009.03.003.
    """

    i_max: Leaf = param(1.0, "uA/cm2", 0.0, 100.0)
    K: Leaf = param(2.3e-3, "mM", 1e-6, 0.1)
    least: Leaf = param(1e-5, "mM", 0.0, 1e-3)
    reads = ("ca_i",)
    carries = {"ca": 1.0}
    celsius_ref = 17.0

    def current(self, v, x, celsius: Leaf | None = None, **c):
        return self.i_max * jnp.exp(-(v + 14) / 70) * _excess(self, c["ca_i"])


@pytree
class RodCaPump(Channel):
    """Calcium pump: i = i_max s, with s = (ca_i - least) / (ca_i - least + K).

    Source: Kamiyama, Wu & Usui 2009, Vision Res 49:970, doi:10.1016/j.visres.2009.03.003.
    """

    i_max: Leaf = param(1.0, "uA/cm2", 0.0, 100.0)
    K: Leaf = param(5e-4, "mM", 1e-6, 0.1)
    least: Leaf = param(1e-5, "mM", 0.0, 1e-3)
    reads = ("ca_i",)
    carries = {"ca": 1.0}
    celsius_ref = 17.0

    def current(self, v, x, celsius: Leaf | None = None, **c):
        return self.i_max * _excess(self, c["ca_i"]) * jnp.ones_like(v)


def _excess(pump, ca_i):
    above = ca_i - pump.least
    return above / (above + pump.K)
