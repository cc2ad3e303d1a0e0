"""Channels of cortical neurons: the minimal set of Pospischil et al. 2008, and adaptation."""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.rates import (
    exp_linear,
    from_inf,
    from_rates,
    from_tau,
    sigmoid,
)
from neurojax.units import nernst

# Both calcium channels of the set see a fixed pool at 36 degC.
_E_CA = nernst(inside=2.4e-4, outside=2.0, valence=2, celsius=36.0)


@pytree
class CortexLeak(Channel):
    """Leak of a cortical neuron: i = g_bar (v - E_rev).

    Source: Pospischil et al. 2008, Biol Cybern 99:427, doi:10.1007/s00422-008-0263-8.
    """

    g_bar: Leaf = param(0.1, "mS/cm2", 1e-4, 2.0)
    E_rev: Leaf = param(-70.0, "mV", -110.0, -30.0)


def _traub_na(u):
    """Activation m and inactivation h of Traub and Miles's sodium channel, u = v - V_T."""
    alpha_m = 1.28 * exp_linear((u - 13) / 4)
    beta_m = 1.4 * exp_linear((40 - u) / 5)
    alpha_h = 0.128 * jnp.exp((17 - u) / 18)
    beta_h = 4 * sigmoid((u - 40) / 5)
    return {"m": from_rates(alpha_m, beta_m), "h": from_rates(alpha_h, beta_h)}


@pytree
class CortexNa(Channel):
    """Fast sodium channel of the spike: i = g_bar m^3 h (v - E_rev), V_T setting its threshold.

    Source: Traub & Miles 1991, as in Pospischil et al. 2008, Biol Cybern 99:427,
    doi:10.1007/s00422-008-0263-8, equation 3.
    """

    g_bar: Leaf = param(50.0, "mS/cm2", 0.0, 1000.0)
    E_rev: Leaf = param(50.0, "mV", 20.0, 90.0)
    V_T: Leaf = param(-55.0, "mV", -80.0, -20.0)
    powers = {"m": 3, "h": 1}
    carries = {"na": 1.0}
    q10 = {"m": 3.0, "h": 3.0}
    celsius_ref = 36.0

    def gating(self, v):
        return _traub_na(v - self.V_T)


@pytree
class CortexNaS(Channel):
    """Fast sodium channel that also inactivates slowly: i = g_bar m^3 h s (v - E_rev).

    m and h are those of CortexNa; s takes seconds. `slow_scale` multiplies the time constant of s.

    Source: Fleidervish, Friedman & Gutnick 1996, J Physiol 493:83,
    doi:10.1113/jphysiol.1996.sp021366, for s.
    Deviates: V_T and v_shift move m and h as in CortexNa; V_T leaves s where it was measured.
    """

    g_bar: Leaf = param(60.0, "mS/cm2", 0.0, 1000.0)
    E_rev: Leaf = param(50.0, "mV", 20.0, 90.0)
    V_T: Leaf = param(-55.0, "mV", -80.0, -20.0)
    slow_scale: Leaf = param(1.0, "1", 0.01, 10.0)
    powers = {"m": 3, "h": 1, "s": 1}
    carries = {"na": 1.0}
    q10 = {"m": 3.0, "h": 3.0}
    celsius_ref = 36.0

    def gating(self, v):
        alpha_s = 0.001 * jnp.exp(-(v + 85) / 30)
        beta_s = 0.0034 * sigmoid((v + 17) / 10)
        s = from_rates(alpha_s, beta_s)
        return _traub_na(v - self.V_T) | {"s": s.faster(1 / self.slow_scale)}


@pytree
class CortexKdr(Channel):
    """Delayed-rectifier potassium channel of the spike: i = g_bar n^4 (v - E_rev).

    Source: Traub & Miles 1991, as in Pospischil et al. 2008, Biol Cybern 99:427,
    doi:10.1007/s00422-008-0263-8, equation 4.
    """

    g_bar: Leaf = param(5.0, "mS/cm2", 0.0, 500.0)
    E_rev: Leaf = param(-100.0, "mV", -120.0, -60.0)
    V_T: Leaf = param(-55.0, "mV", -80.0, -20.0)
    powers = {"n": 4}
    carries = {"k": 1.0}
    q10 = {"n": 3.0}
    celsius_ref = 36.0

    def gating(self, v):
        u = v - self.V_T
        alpha = 0.16 * exp_linear((u - 15) / 5)
        beta = 0.5 * jnp.exp((10 - u) / 40)
        return {"n": from_rates(alpha, beta)}


@pytree
class CortexKm(Channel):
    """Slow potassium channel (M) of spike-frequency adaptation: i = g_bar p (v - E_rev).

    Source: Yamada et al. 1989, as in Pospischil et al. 2008, Biol Cybern 99:427,
    doi:10.1007/s00422-008-0263-8, equation 5.
    """

    g_bar: Leaf = param(0.07, "mS/cm2", 0.0, 20.0)
    E_rev: Leaf = param(-100.0, "mV", -120.0, -60.0)
    tau_max: Leaf = param(1000.0, "ms", 20.0, 10000.0)
    powers = {"p": 1}
    carries = {"k": 1.0}
    q10 = {"p": 2.3}
    celsius_ref = 36.0

    def gating(self, v):
        z = (v + 35) / 20
        inf = sigmoid(2 * z)
        rate = (3.3 * jnp.exp(z) + jnp.exp(-z)) / self.tau_max
        return {"p": from_inf(inf, rate)}


def reuveni_ca(v):
    """Activation q and inactivation r of the high-threshold channel of Reuveni et al. 1993."""
    alpha_q = 0.209 * exp_linear((v + 27) / 3.8)
    beta_q = 0.94 * jnp.exp(-(v + 75) / 17)
    alpha_r = 0.000457 * jnp.exp(-(v + 13) / 50)
    beta_r = 0.0065 * sigmoid((v + 15) / 28)
    return {"q": from_rates(alpha_q, beta_q), "r": from_rates(alpha_r, beta_r)}


@pytree
class CortexCaL(Channel):
    """High-threshold (L-type) calcium channel of bursting cells: i = g_bar q^2 r (v - E_rev).

    Source: Reuveni et al. 1993, as in Pospischil et al. 2008, Biol Cybern 99:427,
    doi:10.1007/s00422-008-0263-8, equation 6.
    Deviates: E_rev is the Nernst potential of a fixed pool, 0.24 uM inside and 2 mM outside.
    """

    g_bar: Leaf = param(0.17, "mS/cm2", 0.0, 20.0)
    E_rev: Leaf = param(_E_CA, "mV", 60.0, 160.0)
    powers = {"q": 2, "r": 1}
    carries = {"ca": 1.0}
    celsius_ref = 36.0

    def gating(self, v):
        return reuveni_ca(v)


@pytree
class CortexCaT(Channel):
    """Low-threshold (T-type) calcium channel of rebound bursts: i = g_bar s^2 u (v - E_rev).

    s follows v without delay.

    Source: Huguenard & McCormick 1992, as in Pospischil et al. 2008, Biol Cybern 99:427,
    doi:10.1007/s00422-008-0263-8, equation 7.
    Deviates: E_rev is the Nernst potential of a fixed pool, 0.24 uM inside and 2 mM outside.
    """

    g_bar: Leaf = param(0.4, "mS/cm2", 0.0, 20.0)
    E_rev: Leaf = param(_E_CA, "mV", 60.0, 160.0)
    powers = {"s": 2, "u": 1}
    carries = {"ca": 1.0}
    q10 = {"u": 3.0}
    celsius_ref = 24.0

    def instant(self, v):
        return {"s": sigmoid((v + 59) / 6.2)}

    def gating(self, v):
        w = v + 2
        inf = sigmoid(-(w + 81) / 4)
        # (211.4 + exp((w + 113.2) / 5)) / (1 + 1 / q), free of the large exponentials whose squares
        # would overflow in its derivative.
        q = jnp.exp(-(w + 84) / 3.2)
        tau = 30.8 + (211.4 * q + jnp.exp((w + 113.2) / 5 - (w + 84) / 3.2)) / (1 + q)
        return {"u": from_tau(inf, tau)}


@pytree
class CortexKahp(Channel):
    """Potassium channel of adaptation (AHP), opened by spikes only: i = g_bar z (v - E_rev).

    Source: Prescott & Sejnowski 2008, J Neurosci 28:13649, doi:10.1523/JNEUROSCI.1792-08.2008.
    """

    g_bar: Leaf = param(5.0, "mS/cm2", 0.0, 500.0)
    E_rev: Leaf = param(-100.0, "mV", -120.0, -60.0)
    tau: Leaf = param(100.0, "ms", 2.0, 5000.0)
    powers = {"z": 1}
    carries = {"k": 1.0}
    q10 = {"z": 1.0}

    def gating(self, v):
        inf = sigmoid(v / 4)
        return {"z": from_inf(inf, jnp.ones_like(v) / self.tau)}
