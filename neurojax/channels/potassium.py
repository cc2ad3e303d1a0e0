"""Potassium channels by family: opened by calcium, inward rectifiers, two-pore leaks."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.ghk import ConstantField
from neurojax.membrane.ions import nernst_potential
from neurojax.membrane.markov import Scheme
from neurojax.membrane.rates import from_rates, sigmoid
from neurojax.units import thermal_voltage

_PER_CHARGE = 2 / thermal_voltage(23.0)  # of a bound calcium in the whole field, 1/mV


@pytree
class BkK(Channel):
    """Large-conductance potassium channel (BK), by calcium and voltage: i = g_bar o (v - E_rev).

    Calcium binds to the closed and to the open state, K1 and K2 at 0 mV, across the parts d1 and d2
    of the field: alpha = 0.48 ca_i / (ca_i + K1 exp(-2 d1 v F/RT)) opens and
    beta = 0.28 / (1 + ca_i exp(2 d2 v F/RT) / K2) closes it. Programs of CA1 cells (Migliore's
    cagk) take K1 = 0.48 uM and K2 = 0.13 nM: their channels open at potentials 110 mV lower.

    Source: Moczydlowski & Latorre 1983, J Gen Physiol 82:511, doi:10.1085/jgp.82.4.511, of channels
    from muscle, channel A of Table II.
    Deviates: RT/F is that of 23 degC at any temperature.
    """

    g_bar: Leaf = param(10.0, "mS/cm2", 0.0, 500.0)
    E_rev: Leaf = param(-90.0, "mV", -120.0, -60.0)
    K1: Leaf = param(0.18, "mM", 1e-6, 10.0)
    K2: Leaf = param(0.011, "mM", 1e-9, 1.0)
    d1: Leaf = param(0.84, "1", 0.0, 2.0)
    d2: Leaf = param(1.0, "1", 0.0, 2.0)
    powers = {"o": 1}
    reads = ("ca_i",)
    carries = {"k": 1.0}
    celsius_ref = 23.0

    def gating(self, v, ca_i):
        u = _PER_CHARGE * v
        alpha = 0.48 * sigmoid(self.d1 * u + jnp.log(ca_i / self.K1))
        beta = 0.28 * sigmoid(-(self.d2 * u + jnp.log(ca_i / self.K2)))
        return {"o": from_rates(alpha, beta)}


@pytree
class SkK(Scheme):
    """Small-conductance potassium channel (SK2), by calcium alone: i = g_bar (O1 + O2) (v - E_rev).

    Three calcium ions bind one after the other, C1 to C4; with two or three the channel opens.

    Source: Hirschberg, Maylie, Adelman & Marrion 1998, J Gen Physiol 111:565,
    doi:10.1085/jgp.111.4.565; the rates, and their Q10 about 23 degC, as in Solinas et al. 2007,
    Front Cell Neurosci 1:2, doi:10.3389/neuro.03.002.2007.
    Deviates: Solinas' channels see a third of the calcium of their pool; these see all of it.
    """

    g_bar: Leaf = param(1.0, "mS/cm2", 0.0, 500.0)
    E_rev: Leaf = param(-90.0, "mV", -120.0, -60.0)
    states = ("C1", "C2", "C3", "C4", "O1", "O2")
    conducting = {"O1": 1.0, "O2": 1.0}
    reads = ("ca_i",)
    carries = {"k": 1.0}
    q10 = {"all": 3.0}
    celsius_ref = 23.0

    def transitions(self, v, ca_i):
        one = jnp.ones_like(v)
        bound = ca_i * one
        return {
            ("C1", "C2"): 200 * bound, ("C2", "C1"): 0.08 * one,
            ("C2", "C3"): 160 * bound, ("C3", "C2"): 0.08 * one,
            ("C3", "C4"): 80 * bound, ("C4", "C3"): 0.2 * one,
            ("C3", "O1"): 0.16 * one, ("O1", "C3"): 1.0 * one,
            ("C4", "O2"): 1.2 * one, ("O2", "C4"): 0.1 * one,
        }  # fmt: skip


@pytree
class KirK(Channel):
    """Inward rectifier (Kir2): i = g_bar sqrt(k_o / k_ref) m (v - E_k).

    m = 1 / (1 + exp((v - E_k - V_half) / slope)) follows v at once: what blocks from inside is
    pushed out by potassium that enters, so rectification moves with E_k.

    Source: Hagiwara & Takahashi 1974, J Membr Biol 18:61, doi:10.1007/BF01870103, of starfish eggs:
    the laws, and both numbers of m.
    Deviates: g_bar is at k_ref, not at 1 mM; m follows without delay.
    """

    g_bar: Leaf = param(1.0, "mS/cm2", 0.0, 100.0)
    k_ref: Leaf = param(5.0, "mM", 0.5, 20.0)
    V_half: Leaf = param(-15.0, "mV", -60.0, 30.0)
    slope: Leaf = param(7.0, "mV", 3.0, 30.0)
    reads = ("k_i", "k_o")
    carries = {"k": 1.0}
    celsius_ref = 23.0

    def current(self, v, x, celsius: Leaf | None = None, **c: Any):
        temperature = self.temperature(celsius)
        E_k = nernst_potential(c["k_i"], c["k_o"], 1, temperature)
        m = sigmoid((E_k + self.V_half + self.v_shift - v) / self.slope)
        return self.g_bar * jnp.sqrt(c["k_o"] / self.k_ref) * m * (v - E_k)


@pytree
class TwoPoreK(ConstantField):
    """Two-pore potassium leak (TASK, TREK), always open: i = P_bar phi.

    phi is the constant-field current, which rectifies only because there is more potassium inside.

    Source: Duprat et al. 1997, EMBO J 16:5464, doi:10.1093/emboj/16.17.5464; the equation is of
    Goldman 1943, J Gen Physiol 27:37, doi:10.1085/jgp.27.1.37.
    """

    P_bar: Leaf = param(1e-6, "cm/s", 0.0, 1e-3)
    valences = {"k": 1}
