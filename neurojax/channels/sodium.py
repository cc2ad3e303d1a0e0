"""Sodium currents that outlast the spike: persistent, and resurgent after it."""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.markov import Scheme
from neurojax.membrane.rates import Gating, exp_linear, from_inf, sigmoid


def slow_inactivation(v) -> Gating:
    """Inactivation of persistent sodium current, over seconds, of Magistretti & Alonso 1999."""
    rate = 1.33344e-5 * exp_linear(-(v + 17) / 4.63) + 1.825220e-5 * exp_linear((v + 64.4) / 2.63)
    return from_inf(sigmoid(-(v + 48.8) / 10), rate)


@pytree
class EntorhinalNap(Channel):
    """Persistent sodium channel of entorhinal layer-II cells: i = g_bar m h (v - E_rev).

    m follows v without delay; h takes seconds.

    Source: Magistretti & Alonso 1999, J Gen Physiol 114:491, doi:10.1085/jgp.114.4.491, figures 4
    and 8, at 22 degC.
    """

    g_bar: Leaf = param(0.04, "mS/cm2", 0.0, 20.0)
    E_rev: Leaf = param(50.0, "mV", 20.0, 90.0)
    powers = {"m": 1, "h": 1}
    carries = {"na": 1.0}
    celsius_ref = 22.0

    def instant(self, v):
        return {"m": sigmoid((v + 52.6) / 4.6)}

    def gating(self, v):
        return {"h": slow_inactivation(v)}


# Inactivation is easier by this factor for each sensor that has moved, recovery harder.
_ON, _OFF = (0.75 / 0.005) ** 0.25, (0.005 / 0.5) ** 0.25


@pytree
class PurkinjeNaR(Scheme):
    """Sodium channel of Purkinje cells with resurgent current: i = g_bar O (v - E_rev).

    Closed C1 to C5, open O, inactivated I1 to I6, and B: open, but blocked by a particle that
    hyperpolarisation expels, so that channels reopen on repolarisation. Rates reach hundreds in a
    ms.

    Source: Khaliq, Gouwens & Raman 2003, J Neurosci 23:4899,
    doi:10.1523/JNEUROSCI.23-12-04899.2003, after Raman & Bean 2001, Biophys J 80:729,
    doi:10.1016/S0006-3495(01)76052-3; Q10 of Akemann & Knopfel 2006, J Neurosci 26:4602,
    doi:10.1523/JNEUROSCI.5204-05.2006.
    """

    g_bar: Leaf = param(15.0, "mS/cm2", 0.0, 500.0)
    E_rev: Leaf = param(60.0, "mV", 20.0, 90.0)
    states = ("C1", "C2", "C3", "C4", "C5", "O", "B", "I1", "I2", "I3", "I4", "I5", "I6")
    conducting = {"O": 1.0}
    stiff = True
    carries = {"na": 1.0}
    q10 = {"all": 3.0}
    celsius_ref = 22.0

    def transitions(self, v):
        alpha, beta = 150 * jnp.exp(v / 20), 3 * jnp.exp(-v / 20)
        one = jnp.ones_like(v)
        rates = {
            ("C5", "O"): 150 * one, ("O", "C5"): 40 * one,
            ("I5", "I6"): 150 * one, ("I6", "I5"): 40 * one,
            ("O", "I6"): 0.75 * one, ("I6", "O"): 0.005 * one,
            ("O", "B"): 1.75 * one, ("B", "O"): 0.03 * jnp.exp(-v / 25),
        }  # fmt: skip
        for k in range(1, 5):
            here, there = str(k), str(k + 1)
            rates["C" + here, "C" + there] = (5 - k) * alpha
            rates["C" + there, "C" + here] = k * beta
            rates["I" + here, "I" + there] = (5 - k) * _ON * alpha
            rates["I" + there, "I" + here] = k * _OFF * beta
        for k in range(5):
            rates[f"C{k + 1}", f"I{k + 1}"] = 0.005 * _ON**k * one
            rates[f"I{k + 1}", f"C{k + 1}"] = 0.5 * _OFF**k * one
        return rates
