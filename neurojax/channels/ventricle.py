"""Channels of the mammalian ventricle, after the phase-1 model of Luo and Rudy."""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.channels.heart import mixed_potential
from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.rates import exp_linear, exprel, from_rates, sigmoid


@pytree
class VentricleNa(Channel):
    """Fast sodium channel of the ventricle: i = g_bar m^3 h j (v - E_rev).

    j inactivates as h does, but recovers slowly. The branches of h and j meet at -40 mV with a
    step, as published.

    Source: Luo & Rudy 1991, Circ Res 68:1501, doi:10.1161/01.RES.68.6.1501, table 1.
    """

    g_bar: Leaf = param(23.0, "mS/cm2", 0.0, 200.0)
    E_rev: Leaf = param(54.4, "mV", 0.0, 100.0)
    powers = {"m": 3, "h": 1, "j": 1}
    carries = {"na": 1.0}
    celsius_ref = 37.0

    def gating(self, v):
        low = v < -40
        alpha_h = jnp.where(low, 0.135 * jnp.exp(-(v + 80) / 6.8), 0.0)
        beta_h = jnp.where(
            low,
            3.56 * jnp.exp(0.079 * v) + 3.1e5 * jnp.exp(0.35 * v),
            sigmoid((v + 10.66) / 11.1) / 0.13,
        )
        closing = -1.2714e5 * jnp.exp(0.2444 * v) - 3.474e-5 * jnp.exp(-0.04391 * v)
        alpha_j = jnp.where(low, closing * (v + 37.78) * sigmoid(-0.311 * (v + 79.23)), 0.0)
        beta_j = jnp.where(
            low,
            0.1212 * jnp.exp(-0.01052 * v) * sigmoid(0.1378 * (v + 40.14)),
            0.3 * jnp.exp(-2.535e-7 * v) * sigmoid(0.1 * (v + 32)),
        )
        return {
            "m": from_rates(3.2 * exp_linear((v + 47.13) / 10), 0.08 * jnp.exp(-v / 11)),
            "h": from_rates(alpha_h, beta_h),
            "j": from_rates(alpha_j, beta_j),
        }


@pytree
class VentricleCa(Channel):
    """Slow inward calcium current of the ventricle: i = g_bar d f (v - E_si).

    E_si = 7.7 - 13.0287 ln(ca_i / 1 mM) mV follows the calcium that it lets in.

    Source: Luo & Rudy 1991, Circ Res 68:1501, doi:10.1161/01.RES.68.6.1501, table 1, after Beeler &
    Reuter 1977, J Physiol 268:177, doi:10.1113/jphysiol.1977.sp011853.
    """

    g_bar: Leaf = param(0.09, "mS/cm2", 0.0, 10.0)
    powers = {"d": 1, "f": 1}
    reads = ("ca_i",)
    carries = {"ca": 1.0}
    celsius_ref = 37.0

    def gating(self, v, ca_i):
        alpha_d = 0.095 * jnp.exp(-0.01 * (v - 5)) * sigmoid(0.072 * (v - 5))
        beta_d = 0.07 * jnp.exp(-0.017 * (v + 44)) * sigmoid(-0.05 * (v + 44))
        alpha_f = 0.012 * jnp.exp(-0.008 * (v + 28)) * sigmoid(-0.15 * (v + 28))
        beta_f = 0.0065 * jnp.exp(-0.02 * (v + 30)) * sigmoid(0.2 * (v + 30))
        return {"d": from_rates(alpha_d, beta_d), "f": from_rates(alpha_f, beta_f)}

    def current(self, v, x, celsius=None, *, ca_i):
        return self.conductance(x) * (v - (7.7 - 13.0287 * jnp.log(ca_i)))


@pytree
class VentricleK(Channel):
    """Delayed rectifier of the ventricle: i = g_bar sqrt(k_o / 5.4 mM) x r (v - E).

    r is an inward rectification that follows v at once, from -100 mV on. Sodium passes too:
    E = RT/F ln((k_o + ratio_na na_o) / (k_i + ratio_na na_i)).

    Source: Luo & Rudy 1991, Circ Res 68:1501, doi:10.1161/01.RES.68.6.1501, table 1.
    """

    g_bar: Leaf = param(0.282, "mS/cm2", 0.0, 20.0)
    ratio_na: Leaf = param(0.01833, "1", 0.0, 1.0)
    powers = {"x": 1, "r": 1}
    reads = ("k_i", "k_o", "na_i", "na_o")
    carries = {"k": 1.0}
    celsius_ref = 37.0

    def gating(self, v, **_):
        alpha = 0.0005 * jnp.exp(0.083 * (v + 50)) * sigmoid(-0.057 * (v + 50))
        beta = 0.0013 * jnp.exp(-0.06 * (v + 20)) * sigmoid(0.04 * (v + 20))
        return {"x": from_rates(alpha, beta)}

    def instant(self, v, **_):
        fall = 2.837 * 0.04 * exprel(0.04 * (v + 77)) * jnp.exp(-0.04 * (v + 35))
        return {"r": jnp.where(v > -100, fall, 1.0)}

    def current(self, v, x, celsius=None, *, k_i, k_o, na_i, na_o):
        temperature = self.temperature(celsius)
        E = mixed_potential((k_i, k_o), (na_i, na_o), self.ratio_na, temperature)
        gates = self.gates(v, x)
        return jnp.sqrt(k_o / 5.4) * self.conductance(gates) * (v - E)


@pytree
class VentricleK1(Channel):
    """Inward rectifier of the ventricle: i = g_bar sqrt(k_o / 5.4 mM) r (v - E_rev).

    r falls at once with v - E_rev, the more the further potassium is driven out.

    Source: Luo & Rudy 1991, Circ Res 68:1501, doi:10.1161/01.RES.68.6.1501, table 1.
    """

    g_bar: Leaf = param(0.6047, "mS/cm2", 0.0, 50.0)
    E_rev: Leaf = param(None, "mV", -120.0, -60.0)
    reads = ("k_o",)
    carries = {"k": 1.0}
    celsius_ref = 37.0

    def current(self, v, x, celsius=None, *, E_nernst=None, k_o):
        u = v - (E_nernst if self.E_rev is None else self.E_rev)
        alpha = 1.02 * sigmoid(-0.2385 * (u - 59.215))
        rise = 0.49124 * jnp.exp(0.08032 * (u + 5.476)) + jnp.exp(0.06175 * (u - 594.31))
        beta = rise * sigmoid(0.5143 * (u + 4.753))
        return self.g_bar * jnp.sqrt(k_o / 5.4) * alpha / (alpha + beta) * u


@pytree
class VentricleKp(Channel):
    """Plateau potassium channel of the ventricle: i = g_bar r (v - E_rev).

    r = 1 / (1 + exp((7.488 - v) / 5.98)) follows v at once.

    Source: Luo & Rudy 1991, Circ Res 68:1501, doi:10.1161/01.RES.68.6.1501, table 1.
    """

    g_bar: Leaf = param(0.0183, "mS/cm2", 0.0, 2.0)
    E_rev: Leaf = param(None, "mV", -120.0, -60.0)
    powers = {"r": 1}
    carries = {"k": 1.0}
    celsius_ref = 37.0

    def instant(self, v):
        return {"r": sigmoid((v - 7.488) / 5.98)}


@pytree
class VentricleLeak(Channel):
    """Background current of the ventricle: i = g_bar (v - E_rev).

    Source: Luo & Rudy 1991, Circ Res 68:1501, doi:10.1161/01.RES.68.6.1501, table 1.
    """

    g_bar: Leaf = param(0.03921, "mS/cm2", 0.0, 5.0)
    E_rev: Leaf = param(-59.87, "mV", -120.0, 0.0)
    celsius_ref = 37.0
