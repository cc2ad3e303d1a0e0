"""Channels of interneurons of the hippocampus and of the cortex."""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.rates import exp_linear, from_rates, from_tau, sigmoid


@pytree
class InterneuronNa(Channel):
    """Sodium channel of a fast-spiking interneuron: i = g_bar m^3 h (v - E_rev).

    m follows v without delay; phi is how much faster h is than in the squid.

    Source: Wang & Buzsaki 1996, J Neurosci 16:6402, doi:10.1523/JNEUROSCI.16-20-06402.1996.
    """

    g_bar: Leaf = param(35.0, "mS/cm2", 0.0, 500.0)
    E_rev: Leaf = param(55.0, "mV", 20.0, 90.0)
    phi: Leaf = param(5.0, "1", 0.5, 20.0)
    powers = {"m": 3, "h": 1}
    carries = {"na": 1.0}

    def instant(self, v):
        return {"m": from_rates(exp_linear((v + 35) / 10), 4 * jnp.exp(-(v + 60) / 18)).inf}

    def gating(self, v):
        alpha = 0.07 * jnp.exp(-(v + 58) / 20)
        return {"h": from_rates(alpha, sigmoid((v + 28) / 10)).faster(self.phi)}


@pytree
class InterneuronK(Channel):
    """Delayed rectifier of a fast-spiking interneuron: i = g_bar n^4 (v - E_rev).

    phi is how much faster n is than in the squid.

    Source: Wang & Buzsaki 1996, J Neurosci 16:6402, doi:10.1523/JNEUROSCI.16-20-06402.1996.
    """

    g_bar: Leaf = param(9.0, "mS/cm2", 0.0, 200.0)
    E_rev: Leaf = param(-90.0, "mV", -120.0, -60.0)
    phi: Leaf = param(5.0, "1", 0.5, 20.0)
    powers = {"n": 4}
    carries = {"k": 1.0}

    def gating(self, v):
        alpha = 0.1 * exp_linear((v + 34) / 10)
        beta = 0.125 * jnp.exp(-(v + 44) / 80)
        return {"n": from_rates(alpha, beta).faster(self.phi)}


@pytree
class InterneuronKd(Channel):
    """D-type potassium channel (Kv1) of fast-spiking cells: i = g_bar a^3 b (v - E_rev).

    It opens below the threshold and inactivates slowly, so that the first spike is late: the nearer
    the current to rheobase, the later. `tau` is the time constant of b.

    Source: Golomb et al. 2007, PLoS Comput Biol 3:e156, doi:10.1371/journal.pcbi.0030156.
    """

    g_bar: Leaf = param(0.39, "mS/cm2", 0.0, 50.0)
    E_rev: Leaf = param(-90.0, "mV", -120.0, -60.0)
    tau: Leaf = param(150.0, "ms", 10.0, 5000.0)
    powers = {"a": 3, "b": 1}
    carries = {"k": 1.0}

    def gating(self, v):
        one = jnp.ones_like(v)
        return {
            "a": from_tau(sigmoid((v + 50) / 20), 2 * one),
            "b": from_tau(sigmoid(-(v + 70) / 6), self.tau * one),
        }


@pytree
class InterneuronLeak(Channel):
    """Leak of a fast-spiking interneuron: i = g_bar (v - E_rev).

    Source: Wang & Buzsaki 1996, J Neurosci 16:6402, doi:10.1523/JNEUROSCI.16-20-06402.1996.
    """

    g_bar: Leaf = param(0.1, "mS/cm2", 1e-4, 2.0)
    E_rev: Leaf = param(-65.0, "mV", -110.0, -30.0)
