"""Channels of crab walking-leg axons."""

from __future__ import annotations

import math

import jax.numpy as jnp

from neurojax.channel import Channel, Leaf, param, pytree
from neurojax.rates import from_tau, sigmoid


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
