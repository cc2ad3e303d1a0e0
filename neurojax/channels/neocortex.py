"""Channels of neocortical pyramidal cells, of which dendrites made different patterns of firing.

The rates were measured at 23 degC; as in the authors' program, temperature raises conductances by
the same factor as rates, 2.3 in 10 degC.
"""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.channels.cortex import reuveni_ca
from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.rates import exp_linear, from_inf, from_rates, sigmoid


@pytree
class NeocortexNa(Channel):
    """Sodium channel of neocortical pyramidal cells: i = g_bar m^3 h (v - E_rev).

    Source: Mainen & Sejnowski 1996, Nature 382:363, doi:10.1038/382363a0. By their program, the
    cells of its figure 1 have a v_shift of -5 mV.
    """

    g_bar: Leaf = param(2.0, "mS/cm2", 0.0, 5000.0)
    E_rev: Leaf = param(60.0, "mV", 20.0, 90.0)
    powers = {"m": 3, "h": 1}
    carries = {"na": 1.0}
    q10 = {"m": 2.3, "h": 2.3}
    q10_g = 2.3
    celsius_ref = 23.0

    def gating(self, v):
        alpha_m = 1.638 * exp_linear((v + 25) / 9)
        beta_m = 1.116 * exp_linear(-(v + 25) / 9)
        # Of inactivation these give the time constant only.
        rate_h = 0.12 * exp_linear((v + 40) / 5) + 0.0455 * exp_linear(-(v + 65) / 5)
        return {"m": from_rates(alpha_m, beta_m), "h": from_inf(sigmoid(-(v + 55) / 6.2), rate_h)}


@pytree
class NeocortexKv(Channel):
    """Fast delayed rectifier of neocortical pyramidal cells: i = g_bar n (v - E_rev).

    Source: Mainen & Sejnowski 1996, Nature 382:363, doi:10.1038/382363a0.
    """

    g_bar: Leaf = param(20.0, "mS/cm2", 0.0, 1000.0)
    E_rev: Leaf = param(-90.0, "mV", -120.0, -60.0)
    powers = {"n": 1}
    carries = {"k": 1.0}
    q10 = {"n": 2.3}
    q10_g = 2.3
    celsius_ref = 23.0

    def gating(self, v):
        z = (v - 25) / 9
        return {"n": from_rates(0.18 * exp_linear(z), 0.018 * exp_linear(-z))}


@pytree
class NeocortexKm(Channel):
    """Slow potassium channel (M) of neocortical pyramidal cells: i = g_bar n (v - E_rev).

    Source: Mainen & Sejnowski 1996, Nature 382:363, doi:10.1038/382363a0.
    """

    g_bar: Leaf = param(0.01, "mS/cm2", 0.0, 20.0)
    E_rev: Leaf = param(-90.0, "mV", -120.0, -60.0)
    powers = {"n": 1}
    carries = {"k": 1.0}
    q10 = {"n": 2.3}
    q10_g = 2.3
    celsius_ref = 23.0

    def gating(self, v):
        z = (v + 30) / 9
        return {"n": from_rates(0.009 * exp_linear(z), 0.009 * exp_linear(-z))}


@pytree
class NeocortexKca(Channel):
    """Potassium channel opened by calcium (AHP): i = g_bar n (v - E_rev).

    n' = 0.01 ca_i (1 - n) - 0.02 n, with ca_i in mM as in the authors' program.

    Source: Reuveni et al. 1993, J Neurosci 13:4609, doi:10.1523/JNEUROSCI.13-11-04609.1993, as in
    Mainen & Sejnowski 1996, Nature 382:363, doi:10.1038/382363a0.
    """

    g_bar: Leaf = param(0.3, "mS/cm2", 0.0, 100.0)
    E_rev: Leaf = param(-90.0, "mV", -120.0, -60.0)
    powers = {"n": 1}
    reads = ("ca_i",)
    carries = {"k": 1.0}
    q10 = {"n": 2.3}
    q10_g = 2.3
    celsius_ref = 23.0

    def gating(self, v, ca_i):
        return {"n": from_rates(0.01 * ca_i, 0.02 * jnp.ones_like(v))}


@pytree
class NeocortexCa(Channel):
    """High-threshold calcium channel of neocortical pyramidal cells: i = g_bar q^2 r (v - E_rev).

    Source: Reuveni et al. 1993, J Neurosci 13:4609, doi:10.1523/JNEUROSCI.13-11-04609.1993, as in
    Mainen & Sejnowski 1996, Nature 382:363, doi:10.1038/382363a0.
    """

    g_bar: Leaf = param(0.03, "mS/cm2", 0.0, 20.0)
    E_rev: Leaf = param(140.0, "mV", 60.0, 180.0)
    powers = {"q": 2, "r": 1}
    carries = {"ca": 1.0}
    q10 = {"q": 2.3, "r": 2.3}
    q10_g = 2.3
    celsius_ref = 23.0

    def gating(self, v):
        return reuveni_ca(v)
