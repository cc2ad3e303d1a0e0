"""Channels of crab walking-leg axons."""

from __future__ import annotations

import math

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.rates import exp_linear, from_rates, from_tau, sigmoid


@pytree
class CrabNa(Channel):
    """Sodium channel of a crab's axon: i = g_bar m^3 h (v - E_rev).

    Source: Connor, Walter & McKown 1977, Biophys J 18:81, doi:10.1016/S0006-3495(77)85598-7, in the
    form of Dayan & Abbott 2001, chapter 6.
    """

    g_bar: Leaf = param(120.0, "mS/cm2", 0.0, 1000.0)
    E_rev: Leaf = param(55.0, "mV", 20.0, 90.0)
    powers = {"m": 3, "h": 1}
    carries = {"na": 1.0}
    celsius_ref = 18.0

    def gating(self, v):
        alpha_m = 3.8 * exp_linear((v + 29.7) / 10)
        beta_m = 15.2 * jnp.exp(-0.0556 * (v + 54.7))
        alpha_h = 0.266 * jnp.exp(-(v + 48) / 20)
        beta_h = 3.8 * sigmoid((v + 18) / 10)
        return {"m": from_rates(alpha_m, beta_m), "h": from_rates(alpha_h, beta_h)}


@pytree
class CrabK(Channel):
    """Delayed rectifier of a crab's axon: i = g_bar n^4 (v - E_rev).

    Source: Connor, Walter & McKown 1977, Biophys J 18:81, doi:10.1016/S0006-3495(77)85598-7, in the
    form of Dayan & Abbott 2001, chapter 6.
    """

    g_bar: Leaf = param(20.0, "mS/cm2", 0.0, 500.0)
    E_rev: Leaf = param(-72.0, "mV", -110.0, -50.0)
    powers = {"n": 4}
    carries = {"k": 1.0}
    celsius_ref = 18.0

    def gating(self, v):
        alpha = 0.2 * exp_linear((v + 45.7) / 10)
        beta = 0.25 * jnp.exp(-0.0125 * (v + 55.7))
        return {"n": from_rates(alpha, beta)}


@pytree
class CrabLeak(Channel):
    """Leak of a crab's axon: i = g_bar (v - E_rev).

    Source: Connor, Walter & McKown 1977, Biophys J 18:81, doi:10.1016/S0006-3495(77)85598-7, in the
    form of Dayan & Abbott 2001, chapter 6.
    """

    g_bar: Leaf = param(0.3, "mS/cm2", 1e-3, 10.0)
    E_rev: Leaf = param(-17.0, "mV", -90.0, 20.0)


@pytree
class CrabKa(Channel):
    """Transient potassium channel (A), which delays the first spike: i = g_bar a^3 b (v - E_rev).

    Source: Connor, Walter & McKown 1977, Biophys J 18:81, doi:10.1016/S0006-3495(77)85598-7, in the
    form of Dayan & Abbott 2001, chapter 6.

    The published fit of a's steady state exceeds 1, by up to 1.3 %, between 41 and 96 mV.
    """

    g_bar: Leaf = param(47.7, "mS/cm2", 0.0, 500.0)
    E_rev: Leaf = param(-75.0, "mV", -120.0, -60.0)
    powers = {"a": 3, "b": 1}
    carries = {"k": 1.0}
    celsius_ref = 18.0

    def gating(self, v):
        log_odds = (
            math.log(0.0761) + 0.0314 * (v + 94.22) - jnp.log(1 + jnp.exp(0.0346 * (v + 1.17)))
        )
        tau_a = 0.3632 + 1.158 * sigmoid(-0.0497 * (v + 55.96))
        tau_b = 1.24 + 2.678 * sigmoid(-0.0624 * (v + 50))
        return {
            "a": from_tau(jnp.exp(log_odds / 3), tau_a),
            "b": from_tau(sigmoid(-0.0688 * (v + 53.3)) ** 4, tau_b),
        }
