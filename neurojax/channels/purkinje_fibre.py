"""Channels of the heart's Purkinje fibres."""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.rates import exp_linear, from_rates, sigmoid


@pytree
class PurkinjeFibreNa(Channel):
    """Sodium channel of Purkinje fibres: i = g_bar m^3 h (v - E_rev) + g_open (v - E_rev).

    `g_open` is what is open at any potential; with it the fibre is its own pacemaker.

    Source: Noble 1962, J Physiol 160:317, doi:10.1113/jphysiol.1962.sp006849.
    """

    g_bar: Leaf = param(400.0, "mS/cm2", 0.0, 2000.0)
    g_open: Leaf = param(0.14, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(40.0, "mV", 0.0, 100.0)
    powers = {"m": 3, "h": 1}
    carries = {"na": 1.0}
    celsius_ref = 37.0

    def gating(self, v):
        alpha_m, beta_m = 1.5 * exp_linear((v + 48) / 15), 0.6 * exp_linear(-(v + 8) / 5)
        alpha_h, beta_h = 0.17 * jnp.exp(-(v + 90) / 20), sigmoid((v + 42) / 10)
        return {"m": from_rates(alpha_m, beta_m), "h": from_rates(alpha_h, beta_h)}

    def conductance(self, x):
        return self.g_bar * x["m"] ** 3 * x["h"] + self.g_open


@pytree
class PurkinjeFibreK1(Channel):
    """Inward rectifier of Purkinje fibres: i = g_bar r (v - E_rev).

    r = exp(-(v + 90) / 50) + 0.0125 exp((v + 90) / 60) falls at once with depolarisation.

    Source: Noble 1962, J Physiol 160:317, doi:10.1113/jphysiol.1962.sp006849.
    """

    g_bar: Leaf = param(1.2, "mS/cm2", 0.0, 100.0)
    E_rev: Leaf = param(-100.0, "mV", -120.0, -60.0)
    carries = {"k": 1.0}
    celsius_ref = 37.0

    def current(self, v, x, celsius=None, *, E_nernst=None):
        E_rev = E_nernst if self.E_rev is None else self.E_rev
        u = v - self.v_shift + 90
        return self.g_bar * (jnp.exp(-u / 50) + 0.0125 * jnp.exp(u / 60)) * (v - E_rev)


@pytree
class PurkinjeFibreK(Channel):
    """Delayed rectifier of Purkinje fibres: i = g_bar n^4 (v - E_rev).

    A hundred times slower than that of nerve: its closing is the pacemaker potential.

    Source: Noble 1962, J Physiol 160:317, doi:10.1113/jphysiol.1962.sp006849 (there g_K2).
    """

    g_bar: Leaf = param(1.2, "mS/cm2", 0.0, 100.0)
    E_rev: Leaf = param(-100.0, "mV", -120.0, -60.0)
    powers = {"n": 4}
    carries = {"k": 1.0}
    celsius_ref = 37.0

    def gating(self, v):
        return {"n": from_rates(1e-3 * exp_linear((v + 50) / 10), 2e-3 * jnp.exp(-(v + 90) / 80))}


@pytree
class PurkinjeFibreLeak(Channel):
    """Anion leak of Purkinje fibres: i = g_bar (v - E_rev).

    Source: Noble 1962, J Physiol 160:317, doi:10.1113/jphysiol.1962.sp006849 (there g_An).
    """

    g_bar: Leaf = param(0.075, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(-60.0, "mV", -120.0, 0.0)
    carries = {"cl": 1.0}
    celsius_ref = 37.0
