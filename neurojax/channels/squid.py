"""Channels of the squid giant axon."""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.rates import exp_linear, from_rates, sigmoid


@pytree
class SquidNa(Channel):
    """Sodium channel of the squid giant axon: i = g_bar m^3 h (v - E_rev).

    Source: Hodgkin & Huxley 1952, J Physiol 117:500, doi:10.1113/jphysiol.1952.sp004764.
    Deviates: modern sign convention, rest at -65 mV.
    """

    g_bar: Leaf = param(120.0, "mS/cm2", 0.0, 1000.0)
    E_rev: Leaf = param(50.0, "mV", 20.0, 90.0)
    powers = {"m": 3, "h": 1}
    carries = {"na": 1.0}
    q10 = {"m": 3.0, "h": 3.0}
    celsius_ref = 6.3

    def gating(self, v):
        alpha_m = exp_linear((v + 40) / 10)
        beta_m = 4 * jnp.exp(-(v + 65) / 18)
        alpha_h = 0.07 * jnp.exp(-(v + 65) / 20)
        beta_h = sigmoid((v + 35) / 10)
        return {"m": from_rates(alpha_m, beta_m), "h": from_rates(alpha_h, beta_h)}


@pytree
class SquidK(Channel):
    """Delayed-rectifier potassium channel of the squid giant axon: i = g_bar n^4 (v - E_rev).

    Source: Hodgkin & Huxley 1952, J Physiol 117:500, doi:10.1113/jphysiol.1952.sp004764.
    Deviates: modern sign convention, rest at -65 mV.
    """

    g_bar: Leaf = param(36.0, "mS/cm2", 0.0, 500.0)
    E_rev: Leaf = param(-77.0, "mV", -110.0, -50.0)
    powers = {"n": 4}
    carries = {"k": 1.0}
    q10 = {"n": 3.0}
    celsius_ref = 6.3

    def gating(self, v):
        alpha = 0.1 * exp_linear((v + 55) / 10)
        beta = 0.125 * jnp.exp(-(v + 65) / 80)
        return {"n": from_rates(alpha, beta)}


@pytree
class SquidLeak(Channel):
    """Leak of the squid giant axon: i = g_bar (v - E_rev).

    Source: Hodgkin & Huxley 1952, J Physiol 117:500, doi:10.1113/jphysiol.1952.sp004764.
    """

    g_bar: Leaf = param(0.3, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(-54.387, "mV", -110.0, 0.0)
