"""Receptors that a transmitter opens, reading its concentration (mM): "glu", "gaba", "ach".

At rest these inputs of a cell are 0; a vesicle is a pulse of about 1 mM for 1 ms.
"""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.markov import Scheme
from neurojax.membrane.rates import Gating, from_rates


@pytree
class SynapseAmpa(Channel):
    """Glutamate receptor of AMPA type, as two states: i = g_bar r (v - E_rev).

    Glutamate binds and opens at once, r' = alpha glu (1 - r) - beta r. That of HippocampusAmpa
    desensitises.

    Source: Destexhe, Mainen & Sejnowski 1994, Neural Comput 6:14, doi:10.1162/neco.1994.6.1.14;
    numbers of the same 1998, in Koch & Segev, Methods in Neuronal Modeling, ISBN 9780262112314.
    """

    g_bar: Leaf = param(0.1, "mS/cm2", 0.0, 100.0)
    E_rev: Leaf = param(0.0, "mV", -30.0, 30.0)
    alpha: Leaf = param(1.1, "1/mM/ms", 0.01, 100.0)
    beta: Leaf = param(0.19, "1/ms", 1e-3, 10.0)
    powers = {"r": 1}
    reads = ("glu",)
    celsius_ref = 31.0

    def gating(self, v, glu):
        return {"r": _bound(self, glu, v)}


@pytree
class SynapseNmda(Channel):
    """Glutamate receptor of NMDA type, blocked by magnesium: i = g_bar r b (v - E_rev).

    r' = alpha glu (1 - r) - beta r, and b = 1 / (1 + mg exp(-0.062 v) / 3.57) is not blocked.

    Source: Destexhe, Mainen & Sejnowski 1994, Neural Comput 6:14, doi:10.1162/neco.1994.6.1.14;
    numbers of the same 1998, in Koch & Segev, Methods in Neuronal Modeling, ISBN 9780262112314; the
    block of Jahr & Stevens 1990, J Neurosci 10:3178, doi:10.1523/JNEUROSCI.10-09-03178.1990.
    """

    g_bar: Leaf = param(0.03, "mS/cm2", 0.0, 100.0)
    E_rev: Leaf = param(0.0, "mV", -30.0, 30.0)
    alpha: Leaf = param(0.072, "1/mM/ms", 1e-3, 10.0)
    beta: Leaf = param(0.0066, "1/ms", 1e-4, 1.0)
    mg: Leaf = param(1.0, "mM", 0.0, 10.0)
    powers = {"r": 1, "b": 1}
    reads = ("glu",)
    celsius_ref = 31.0

    def gating(self, v, glu):
        return {"r": _bound(self, glu, v)}

    def instant(self, v, **_):
        return {"b": 1 / (1 + self.mg / 3.57 * jnp.exp(-0.062 * v))}


@pytree
class SynapseGabaA(Channel):
    """GABA receptor of type A, a chloride channel, as two states: i = g_bar r (v - E_rev).

    r' = alpha gaba (1 - r) - beta r.

    Source: Destexhe, Mainen & Sejnowski 1994, Neural Comput 6:14, doi:10.1162/neco.1994.6.1.14;
    numbers of the same 1998, in Koch & Segev, Methods in Neuronal Modeling, ISBN 9780262112314.
    """

    g_bar: Leaf = param(0.1, "mS/cm2", 0.0, 100.0)
    E_rev: Leaf = param(-80.0, "mV", -110.0, -30.0)
    alpha: Leaf = param(5.0, "1/mM/ms", 0.05, 500.0)
    beta: Leaf = param(0.18, "1/ms", 1e-3, 10.0)
    powers = {"r": 1}
    reads = ("gaba",)
    carries = {"cl": 1.0}
    celsius_ref = 31.0

    def gating(self, v, gaba):
        return {"r": _bound(self, gaba, v)}


@pytree
class SynapseGabaB(Scheme):
    """GABA receptor of type B, whose G-protein opens potassium channels:
    i = g_bar G^4 / (G^4 + KD) (v - E_rev).

    R' = K1 gaba (1 - R) - K2 R, and what is bound makes active G-protein, G' = K3 R - K4 G, of
    which four open a channel. A state says whether a receptor is free or bound (F, B), and whether
    it was so when its G-protein was last renewed, at rate K4 (f, b): then G is K3 / K4 times the
    part of states in b.

    Source: Destexhe, Bal, McCormick & Sejnowski 1996, J Neurophysiol 76:2049,
    doi:10.1152/jn.1996.76.3.2049, after Destexhe & Sejnowski 1995, PNAS 92:9515,
    doi:10.1073/pnas.92.21.9515.
    """

    g_bar: Leaf = param(0.1, "mS/cm2", 0.0, 100.0)
    E_rev: Leaf = param(-95.0, "mV", -120.0, -60.0)
    K1: Leaf = param(0.52, "1/mM/ms", 0.005, 50.0)
    K2: Leaf = param(0.0013, "1/ms", 1e-5, 1.0)
    K3: Leaf = param(0.098, "1/ms", 1e-3, 10.0)
    K4: Leaf = param(0.033, "1/ms", 1e-3, 1.0)
    KD: Leaf = param(100.0, "1", 1e-3, 1e5)
    states = ("Ff", "Bf", "Fb", "Bb")
    conducting = {"Fb": 1.0, "Bb": 1.0}
    reads = ("gaba",)
    carries = {"k": 1.0}
    celsius_ref = 31.0

    def transitions(self, v, gaba):
        one = jnp.ones_like(v)
        bind, leave, renew = self.K1 * gaba * one, self.K2 * one, self.K4 * one
        return {
            ("Ff", "Bf"): bind, ("Bf", "Ff"): leave,
            ("Fb", "Bb"): bind, ("Bb", "Fb"): leave,
            ("Bf", "Bb"): renew, ("Fb", "Ff"): renew,
        }  # fmt: skip

    def conductance(self, x):
        G = self.K3 / self.K4 * sum(x[k] for k in self.conducting)
        opening = (G * G) * (G * G)
        return self.g_bar * opening / (opening + self.KD)


@pytree
class HippocampusAmpa(Scheme):
    """Glutamate receptor of AMPA type that desensitises: i = g_bar O (v - E_rev).

    C0 - C1 - C2 - O by two glutamate ions, the second loosely bound; C1 and C2 desensitise to D1
    and D2.

    Source: Destexhe, Mainen & Sejnowski 1998, in Koch & Segev, Methods in Neuronal Modeling, ISBN
    9780262112314: a scheme of Patneau & Mayer 1991, Neuron 6:785, fitted to currents of Xiang et
    al. 1994, J Neurophysiol 71:2552.
    """

    g_bar: Leaf = param(0.1, "mS/cm2", 0.0, 100.0)
    E_rev: Leaf = param(0.0, "mV", -30.0, 30.0)
    states = ("C0", "C1", "C2", "O", "D1", "D2")
    conducting = {"O": 1.0}
    stiff = True
    reads = ("glu",)
    celsius_ref = 31.0

    def transitions(self, v, glu):
        one = jnp.ones_like(v)
        bind = 13.0 * glu * one
        return {
            ("C0", "C1"): bind, ("C1", "C0"): 0.0059 * one,
            ("C1", "C2"): bind, ("C2", "C1"): 86.0 * one,
            ("C2", "O"): 2.7 * one, ("O", "C2"): 0.2 * one,
            ("C1", "D1"): 0.9 * one, ("D1", "C1"): 0.064 * one,
            ("C2", "D2"): 0.9 * one, ("D2", "C2"): 0.064 * one,
        }  # fmt: skip


@pytree
class EndplateAch(Scheme):
    """Acetylcholine receptor of the frog's endplate: i = g_bar A2O (v - E_rev).

    R - AR - A2R - A2O: two equal sites bind acetylcholine (unbinding / binding is 77 uM), then the
    channel opens, and closes at closing exp((v + 120) / v_closing), sooner when depolarised.

    Source: Colquhoun & Sakmann 1985, J Physiol 369:501, doi:10.1113/jphysiol.1985.sp015912, rates
    of opening and unbinding; Colquhoun & Ogden 1988, J Physiol 395:131, affinity, and opening /
    closing at -120 mV and at +100 mV, where at most 0.41 of channels open.
    Deviates: sites are equal; no channel is blocked by acetylcholine, none desensitises.
    """

    g_bar: Leaf = param(1.0, "mS/cm2", 0.0, 1000.0)
    E_rev: Leaf = param(0.0, "mV", -30.0, 30.0)
    binding: Leaf = param(8.15 / 0.077, "1/mM/ms", 1.0, 1e4)
    unbinding: Leaf = param(8.15, "1/ms", 0.01, 100.0)
    opening: Leaf = param(30.6, "1/ms", 0.1, 1000.0)
    closing: Leaf = param(30.6 / 32, "1/ms", 0.01, 100.0)  # at -120 mV
    v_closing: Leaf = param(57.6, "mV", 20.0, 500.0)
    states = ("R", "AR", "A2R", "A2O")
    conducting = {"A2O": 1.0}
    stiff = True
    reads = ("ach",)
    celsius_ref = 11.0

    def transitions(self, v, ach):
        one = jnp.ones_like(v)
        bind, leave = self.binding * ach * one, self.unbinding * one
        return {
            ("R", "AR"): 2 * bind, ("AR", "R"): leave,
            ("AR", "A2R"): bind, ("A2R", "AR"): 2 * leave,
            ("A2R", "A2O"): self.opening * one,
            ("A2O", "A2R"): self.closing * jnp.exp((v + 120) / self.v_closing),
        }  # fmt: skip


def _bound(receptor, transmitter, v) -> Gating:
    one = jnp.ones_like(v)
    return from_rates(receptor.alpha * transmitter * one, receptor.beta * one)
