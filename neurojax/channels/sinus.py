"""Channels of the human sinus node, after Fabbri and colleagues; its calcium is in sinus_calcium.

The paper gives conductances in nS and currents in pA of a cell of 57 pF: densities are theirs over
57, at 1 uF/cm2.
"""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.channels.heart import mixed_potential
from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.ions import ghk_current, nernst_potential
from neurojax.membrane.rates import (
    exp_linear,
    from_inf,
    from_tau,
    hill,
    sigmoid,
)
from neurojax.units import FARADAY, thermal_voltage

_PF = 57.0
_PERMEABILITY = 1e3 / (2 * FARADAY * _PF)  # of the paper's nA/mM per cell, as cm/s


@pytree
class SinusF(Channel):
    """Funny current of the sinus node (HCN): i = g_bar y (v - E_k + ratio_na (v - E_na))
    / (1 + ratio_na).

    Hyperpolarisation opens it. 1 uM isoprenaline shifts it by v_shift = 7.5 mV, 10 nM acetylcholine
    by -1 - 9.898 a / (a + 0.00122423) mV, a = (1e-5)^0.618.

    Source: Fabbri et al. 2017, J Physiol 595:2365, doi:10.1113/JP273259.
    Deviates: the published time constant becomes negative above 97 mV; here it stays at that of
    60 mV.
    """

    g_bar: Leaf = param(4.27 / _PF, "mS/cm2", 0.0, 10.0)
    ratio_na: Leaf = param(0.5927, "1", 0.0, 10.0)
    powers = {"y": 1}
    reads = ("k_i", "k_o", "na_i", "na_o")
    carries = {"na": 1.0, "k": 1.0}
    celsius_ref = 37.0

    def gating(self, v, **_):
        steep = 0.01329 + 0.99921 * sigmoid(-(v + 97.134) / 8.1752)
        inf = jnp.where(v < -80, steep, 0.0002501 * jnp.exp(-v / 12.861))
        u = jnp.minimum(v, 60.0)
        total = 0.36 / 0.066 * exp_linear(-0.066 * (u + 148.8)) + 0.5 * exp_linear(0.2 * (u + 87.3))
        return {"y": from_inf(inf, 1e-3 * total / (1 - 0.054 * total))}

    def current(self, v, x, celsius=None, **c):
        return sum(self.ion_fluxes(None, v, x, celsius, **c).values(), jnp.zeros_like(v))

    def ion_fluxes(self, i, v, x, celsius=None, *, k_i, k_o, na_i, na_o):
        temperature = self.temperature(celsius)
        g = self.conductance(x) / (1 + self.ratio_na)
        return {
            "k": g * (v - nernst_potential(k_i, k_o, 1, temperature)),
            "na": g * self.ratio_na * (v - nernst_potential(na_i, na_o, 1, temperature)),
        }


@pytree
class SinusNa(Channel):
    """Sodium channel of the sinus node: i = g_bar m^3 h (v - E).

    Potassium passes too: E = RT/F ln((na_o + ratio_k k_o) / (na_i + ratio_k k_i)).

    Source: Fabbri et al. 2017, J Physiol 595:2365, doi:10.1113/JP273259.
    """

    g_bar: Leaf = param(22.3 / _PF, "mS/cm2", 0.0, 50.0)
    ratio_k: Leaf = param(0.12, "1", 0.0, 1.0)
    powers = {"m": 3, "h": 1}
    reads = ("k_i", "k_o", "na_i", "na_o")
    carries = {"na": 1.0}
    celsius_ref = 37.0

    def gating(self, v, **_):
        rate_m = 2 * exp_linear((v + 41) / 10) + 8 * jnp.exp(-0.056 * (v + 66))
        rate_h = 0.02 * jnp.exp(-0.125 * (v + 75)) + 2 / (320 * jnp.exp(-0.1 * (v + 75)) + 1)
        return {
            "m": from_inf(sigmoid((v + 42.0504) / 8.3106), rate_m),
            "h": from_inf(sigmoid(-(v + 69.804) / 4.4565), rate_h),
        }

    def current(self, v, x, celsius=None, *, k_i, k_o, na_i, na_o):
        temperature = self.temperature(celsius)
        E = mixed_potential((na_i, na_o), (k_i, k_o), self.ratio_k, temperature)
        return self.conductance(x) * (v - E)


@pytree
class SinusCaL(Channel):
    """L-type calcium channel of the sinus node: i = P_bar d f f_ca
    (phi_ca + ratio_k phi_k + ratio_na phi_na).

    phi are the constant-field currents at a permeability of 1; calcium of the subspace closes f_ca.

    Source: Fabbri et al. 2017, J Physiol 595:2365, doi:10.1113/JP273259.
    """

    P_bar: Leaf = param(0.4578 * _PERMEABILITY, "cm/s", 0.0, 1e-2)
    ratio_k: Leaf = param(2 * 3.65e-4, "1", 0.0, 1.0)
    ratio_na: Leaf = param(2 * 1.85e-5, "1", 0.0, 1.0)
    slope_d: Leaf = param(4.3371, "mV", 1.0, 20.0)
    powers = {"d": 1, "f": 1, "f_ca": 1}
    reads = ("ca_sub", "ca_o", "k_i", "k_o", "na_i", "na_o")
    carries = {"ca_sub": 1.0, "k": 1.0, "na": 1.0}
    celsius_ref = 37.0

    def gating(self, v, ca_sub, **_):
        opening = 0.070975 * exp_linear((v + 41.8) / 2.5) + 0.40752 * exp_linear((v + 6.8) / 4.8)
        closing = 0.028575 * exp_linear(-(v + 1.8) / 2.5)
        free = 0.000338 / (0.000338 + ca_sub)
        return {
            "d": from_inf(sigmoid((v + 16.4508) / self.slope_d), opening + closing),
            "f": from_tau(
                sigmoid(-(v + 37.4) / 5.3), 44.3 + 230 * jnp.exp(-(((v + 36) / 10) ** 2))
            ),
            "f_ca": from_tau(free, free / 0.0075),
        }

    def conductance(self, x):
        return self.P_bar * x["d"] * x["f"] * x["f_ca"]

    def current(self, v, x, celsius=None, **c):
        return sum(self.ion_fluxes(None, v, x, celsius, **c).values(), jnp.zeros_like(v))

    def ion_fluxes(self, i, v, x, celsius=None, *, ca_sub, ca_o, k_i, k_o, na_i, na_o):
        temperature = self.temperature(celsius)
        P = self.conductance(x)
        return {
            "ca_sub": P * ghk_current(v, ca_sub, ca_o, 2, temperature),
            "k": P * self.ratio_k * ghk_current(v, k_i, k_o, 1, temperature),
            "na": P * self.ratio_na * ghk_current(v, na_i, na_o, 1, temperature),
        }


@pytree
class SinusCaT(Channel):
    """T-type calcium channel of the sinus node: i = P_bar d f phi, phi the constant-field current.

    Source: Fabbri et al. 2017, J Physiol 595:2365, doi:10.1113/JP273259.
    """

    P_bar: Leaf = param(0.04132 * _PERMEABILITY, "cm/s", 0.0, 1e-2)
    powers = {"d": 1, "f": 1}
    reads = ("ca_sub", "ca_o")
    carries = {"ca_sub": 1.0}
    celsius_ref = 37.0

    def gating(self, v, **_):
        u = (v + 38.3) / 30
        rate_f = 0.01667 * (jnp.exp(-(v + 75) / 83.3) + jnp.exp((v + 75) / 15.38))
        return {
            "d": from_inf(sigmoid((v + 38.3) / 5.5), 1.068 * (jnp.exp(u) + jnp.exp(-u))),
            "f": from_inf(sigmoid(-(v + 58.7) / 3.8), rate_f),
        }

    def conductance(self, x):
        return self.P_bar * x["d"] * x["f"]

    def current(self, v, x, celsius=None, *, ca_sub, ca_o):
        temperature = self.temperature(celsius)
        return self.conductance(x) * ghk_current(v, ca_sub, ca_o, 2, temperature)


@pytree
class SinusTo(Channel):
    """Transient outward potassium channel of the sinus node: i = g_bar q r (v - E_rev).

    Source: Fabbri et al. 2017, J Physiol 595:2365, doi:10.1113/JP273259.
    """

    g_bar: Leaf = param(3.5 / _PF, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(None, "mV", -120.0, -60.0)
    powers = {"q": 1, "r": 1}
    carries = {"k": 1.0}
    celsius_ref = 37.0

    def gating(self, v):
        slow = 0.57 * jnp.exp(-0.08 * (v + 44)) + 0.065 * jnp.exp(0.1 * (v + 45.93))
        fast = 1.037 * jnp.exp(0.09 * (v + 30.61)) + 0.369 * jnp.exp(-0.12 * (v + 23.84))
        return {
            "q": from_tau(sigmoid(-(v + 49) / 13), 0.6 * (65.17 / slow + 10.1)),
            "r": from_tau(sigmoid((v - 19.3) / 15), 0.66 * 1.4 * (15.59 / fast + 2.98)),
        }


@pytree
class SinusKr(Channel):
    """Rapid delayed rectifier (hERG) of the sinus node: i = g_bar pa piy (v - E_rev).

    pa = 0.9 paf + 0.1 pas activates fast and slowly, piy inactivates.

    Source: Fabbri et al. 2017, J Physiol 595:2365, doi:10.1113/JP273259.
    """

    g_bar: Leaf = param(4.24 / _PF, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(None, "mV", -120.0, -60.0)
    powers = {"paf": 1, "pas": 1, "piy": 1}
    carries = {"k": 1.0}
    celsius_ref = 37.0

    def gating(self, v):
        opened = sigmoid((v + 10.0144) / 7.6607)
        rate_fast = 1e-3 * (30 * jnp.exp(v / 10) + jnp.exp(-v / 12))
        rate_slow = (4.2 * jnp.exp(v / 17) + 0.15 * jnp.exp(-v / 21.6)) / 846.55354
        rate_closed = 0.1 * jnp.exp(-v / 54.645) + 0.656 * jnp.exp(v / 106.157)
        return {
            "paf": from_inf(opened, rate_fast),
            "pas": from_inf(opened, rate_slow),
            "piy": from_inf(sigmoid(-(v + 28.6) / 17.1), rate_closed),
        }

    def conductance(self, x):
        return self.g_bar * (0.9 * x["paf"] + 0.1 * x["pas"]) * x["piy"]


@pytree
class SinusKs(Channel):
    """Slow delayed rectifier of the sinus node: i = g_bar n^2 (v - E).

    Sodium passes too: E = RT/F ln((k_o + ratio_na na_o) / (k_i + ratio_na na_i)).

    Source: Fabbri et al. 2017, J Physiol 595:2365, doi:10.1113/JP273259.
    """

    g_bar: Leaf = param(0.65 / _PF, "mS/cm2", 0.0, 10.0)
    ratio_na: Leaf = param(0.12, "1", 0.0, 1.0)
    powers = {"n": 2}
    reads = ("k_i", "k_o", "na_i", "na_o")
    carries = {"k": 1.0}
    celsius_ref = 37.0

    def gating(self, v, **_):
        rate = 0.028 * sigmoid((v - 40) / 3) + 1e-3 * jnp.exp(-(v - 5) / 25)
        return {"n": from_inf(jnp.sqrt(sigmoid((v + 0.6383) / 10.7071)), rate)}

    def current(self, v, x, celsius=None, *, k_i, k_o, na_i, na_o):
        temperature = self.temperature(celsius)
        E = mixed_potential((k_i, k_o), (na_i, na_o), self.ratio_na, temperature)
        return self.conductance(x) * (v - E)


@pytree
class SinusKur(Channel):
    """Ultra-rapid potassium channel of the sinus node: i = g_bar r s (v - E_rev).

    Source: Fabbri et al. 2017, J Physiol 595:2365, doi:10.1113/JP273259.
    """

    g_bar: Leaf = param(0.1539 / _PF, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(None, "mV", -120.0, -60.0)
    powers = {"r": 1, "s": 1}
    carries = {"k": 1.0}
    celsius_ref = 37.0

    def gating(self, v):
        return {
            "r": from_tau(sigmoid((v + 6) / 8.6), 9 * sigmoid(-(v + 5) / 12) + 0.5),
            "s": from_tau(sigmoid(-(v + 7.5) / 10), 590 * sigmoid(-(v + 60) / 10) + 3050),
        }


@pytree
class SinusNaKPump(Channel):
    """Na/K-ATPase of the sinus node: i = i_max f hill(k_o, K_k, 1.2) hill(na_i, K_na, 1.3).

    Three sodium out and two potassium in; f = 1 / (1 + exp(-(v - E_na + 110) / 20)), and
    hill(c, K, n) = c^n / (K^n + c^n).

    Source: Fabbri et al. 2017, J Physiol 595:2365, doi:10.1113/JP273259.
    """

    i_max: Leaf = param(81.05 / _PF, "uA/cm2", 0.0, 1000.0)
    K_na: Leaf = param(14.0, "mM", 0.1, 100.0)
    K_k: Leaf = param(1.4, "mM", 0.01, 50.0)
    reads = ("na_i", "na_o", "k_o")
    carries = {"na": 3.0, "k": -2.0}
    celsius_ref = 37.0

    def current(self, v, x, celsius=None, *, na_i, na_o, k_o):
        E_na = nernst_potential(na_i, na_o, 1, self.temperature(celsius))
        bound = hill(k_o, self.K_k, 1.2) * hill(na_i, self.K_na, 1.3)
        return self.i_max * bound * sigmoid((v - E_na + 110) / 20)


@pytree
class SinusNaCaExchanger(Channel):
    """Na/Ca exchanger of the sinus node: i = i_max (k14 k43 k32 k21 - k12 k23 k34 k41) / x.

    Three sodium for one calcium, by four states in a ring that is gone round one way or the other;
    x is the sum of their weights.

    Source: Fabbri et al. 2017, J Physiol 595:2365, doi:10.1113/JP273259, the ring of Dokos, Celler
    & Lovell 1996, J Theor Biol 181:245, doi:10.1006/jtbi.1996.0129.
    """

    i_max: Leaf = param(3343 / _PF, "uA/cm2", 0.0, 1e4)
    reads = ("na_i", "na_o", "ca_sub", "ca_o")
    carries = {"na": 3.0, "ca_sub": -2.0}
    celsius_ref = 37.0

    def current(self, v, x, celsius=None, *, na_i, na_o, ca_sub, ca_o):
        u = v / thermal_voltage(self.temperature(celsius))
        inward, outward = jnp.exp(-0.4315 / 2 * u), jnp.exp(0.4315 / 2 * u)
        calcium = ca_sub / 0.0207
        entry = calcium * jnp.exp(-0.1369 * u)
        two_i, three_i = na_i / 395.3 * na_i / 2.289, 1 + na_i / 26.44
        two_o, three_o = na_o / 1628 * na_o / 561.4, 1 + na_o / 4.663
        inside = 1 + calcium * three_i + entry + na_i / 395.3 + two_i * three_i
        outside = 1 + 2 * ca_o / 3.663 + na_o / 1628 + two_o * three_o
        k12, k14 = entry / inside, two_i * three_i * outward / inside
        k21, k23 = ca_o / 3.663 / outside, two_o * three_o * inward / outside
        k32, k34, k41, k43 = outward, na_o / (4.663 + na_o), inward, na_i / (26.44 + na_i)
        weights = (k41 * k34 + k14 * k43) * (k23 + k21) + (k32 * k43 + k23 * k34) * (k14 + k12)
        weights += (k21 * k32 + k12 * k23) * (k43 + k41) + (k41 * k12 + k14 * k21) * (k34 + k32)
        return self.i_max * (k14 * k43 * k32 * k21 - k12 * k23 * k34 * k41) / weights
