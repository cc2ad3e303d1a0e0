"""Channels and pump of the human ventricle, after ten Tusscher and Panfilov; its calcium is in
human_ventricle_calcium.

Currents are per capacitance in the papers, A/F: uA/cm2 at 1 uF/cm2.
"""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.channels.heart import mixed_potential
from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.ions import ghk_current
from neurojax.membrane.rates import from_inf, from_tau, sigmoid
from neurojax.units import thermal_voltage


@pytree
class HumanVentricleNa(Channel):
    """Fast sodium channel of the human ventricle: i = g_bar m^3 h j (v - E_rev).

    The rates of h and j have branches that meet at -40 mV with a step, as published.

    Source: ten Tusscher et al. 2004, Am J Physiol Heart 286:H1573, doi:10.1152/ajpheart.00794.2003.
    """

    g_bar: Leaf = param(14.838, "mS/cm2", 0.0, 200.0)
    E_rev: Leaf = param(None, "mV", 0.0, 100.0)
    powers = {"m": 3, "h": 1, "j": 1}
    carries = {"na": 1.0}
    celsius_ref = 37.0

    def gating(self, v):
        tau_m = sigmoid((v + 60) / 5) * 0.1 * (sigmoid(-(v + 35) / 5) + sigmoid((50 - v) / 200))
        low = v < -40
        rate_h = jnp.where(
            low,
            0.057 * jnp.exp(-(v + 80) / 6.8)
            + 2.7 * jnp.exp(0.079 * v)
            + 3.1e5 * jnp.exp(0.3485 * v),
            0.77 / 0.13 * sigmoid((v + 10.66) / 11.1),
        )
        closing = -2.5428e4 * jnp.exp(0.2444 * v) - 6.948e-6 * jnp.exp(-0.04391 * v)
        rate_j = jnp.where(
            low,
            closing * (v + 37.78) * sigmoid(-0.311 * (v + 79.23))
            + 0.02424 * jnp.exp(-0.01052 * v) * sigmoid(0.1378 * (v + 40.14)),
            0.6 * jnp.exp(0.057 * v) * sigmoid(0.1 * (v + 32)),
        )
        inactivated = sigmoid(-(v + 71.55) / 7.43) ** 2
        return {
            "m": from_tau(sigmoid((v + 56.86) / 9.03) ** 2, tau_m),
            "h": from_inf(inactivated, rate_h),
            "j": from_inf(inactivated, rate_j),
        }


@pytree
class HumanVentricleCaL(Channel):
    """L-type calcium channel of the human ventricle: i = P_bar d f f2 f_ca phi.

    phi is the constant-field current at v - 15 mV from a quarter of the calcium of the subspace,
    whose calcium closes f_ca.

    Source: ten Tusscher & Panfilov 2006, Am J Physiol Heart 291:H1088,
    doi:10.1152/ajpheart.00109.2006, and its authors' program (the CellML version differs in the
    time constant of f2).
    """

    P_bar: Leaf = param(3.98e-5, "cm/s", 0.0, 1e-2)
    powers = {"d": 1, "f": 1, "f2": 1, "f_ca": 1}
    reads = ("ca_ss", "ca_o")
    carries = {"ca_ss": 1.0}
    celsius_ref = 37.0

    def gating(self, v, ca_ss, **_):
        tau_d = (1.4 * sigmoid((v + 35) / 13) + 0.25) * 1.4 * sigmoid(-(v + 5) / 5) + sigmoid(
            (v - 50) / 20
        )
        tau_f = 1102.5 * jnp.exp(-((v + 27) ** 2) / 225) + 200 * sigmoid((v - 13) / 10)
        tau_f2 = 600 * jnp.exp(-((v + 25) ** 2) / 170) + 31 * sigmoid((v - 25) / 10)
        free = 1 / (1 + (ca_ss / 0.05) ** 2)
        return {
            "d": from_tau(sigmoid((v + 8) / 7.5), tau_d),
            "f": from_tau(sigmoid(-(v + 20) / 7), tau_f + 180 * sigmoid(-(v + 30) / 10) + 20),
            "f2": from_tau(
                0.67 * sigmoid(-(v + 35) / 7) + 0.33, tau_f2 + 16 * sigmoid(-(v + 30) / 10)
            ),
            "f_ca": from_tau(0.6 * free + 0.4, 80 * free + 2),
        }

    def conductance(self, x):
        return self.P_bar * x["d"] * x["f"] * x["f2"] * x["f_ca"]

    def current(self, v, x, celsius=None, *, ca_ss, ca_o):
        temperature = self.temperature(celsius)
        return self.conductance(x) * ghk_current(v - 15, 0.25 * ca_ss, ca_o, 2, temperature)


@pytree
class HumanVentricleTo(Channel):
    """Transient outward potassium channel of the human epicardium: i = g_bar r s (v - E_rev).

    Source: ten Tusscher et al. 2004, Am J Physiol Heart 286:H1573, doi:10.1152/ajpheart.00794.2003.
    Mid-myocardial cells have the same; endocardial ones a quarter, with another s.
    """

    g_bar: Leaf = param(0.294, "mS/cm2", 0.0, 20.0)
    E_rev: Leaf = param(None, "mV", -120.0, -60.0)
    powers = {"r": 1, "s": 1}
    carries = {"k": 1.0}
    celsius_ref = 37.0

    def gating(self, v):
        tau_s = 85 * jnp.exp(-((v + 45) ** 2) / 320) + 5 * sigmoid((20 - v) / 5) + 3
        return {
            "r": from_tau(sigmoid((v - 20) / 6), 9.5 * jnp.exp(-((v + 40) ** 2) / 1800) + 0.8),
            "s": from_tau(sigmoid(-(v + 20) / 5), tau_s),
        }


@pytree
class HumanVentricleKr(Channel):
    """Rapid delayed rectifier (hERG) of the human ventricle: i = g_bar sqrt(k_o / 5.4 mM) xr1 xr2
    (v - E_rev).

    xr1 activates, xr2 inactivates and recovers faster: the current peaks as the cell repolarises.

    Source: ten Tusscher et al. 2004, Am J Physiol Heart 286:H1573, doi:10.1152/ajpheart.00794.2003,
    with g_bar of ten Tusscher & Panfilov 2006, doi:10.1152/ajpheart.00109.2006.
    """

    g_bar: Leaf = param(0.153, "mS/cm2", 0.0, 20.0)
    E_rev: Leaf = param(None, "mV", -120.0, -60.0)
    powers = {"xr1": 1, "xr2": 1}
    reads = ("k_o",)
    carries = {"k": 1.0}
    celsius_ref = 37.0

    def gating(self, v, **_):
        tau_xr1 = 2700 * sigmoid((v + 45) / 10) * sigmoid(-(v + 30) / 11.5)
        tau_xr2 = 3.36 * sigmoid((v + 60) / 20) * sigmoid((60 - v) / 20)
        return {
            "xr1": from_tau(sigmoid((v + 26) / 7), tau_xr1),
            "xr2": from_tau(sigmoid(-(v + 88) / 24), tau_xr2),
        }

    def current(self, v, x, celsius=None, *, E_nernst=None, k_o):
        E_rev = E_nernst if self.E_rev is None else self.E_rev
        return jnp.sqrt(k_o / 5.4) * self.conductance(x) * (v - E_rev)


@pytree
class HumanVentricleKs(Channel):
    """Slow delayed rectifier of the human ventricle: i = g_bar xs^2 (v - E).

    Sodium passes too, with `ratio_na` of potassium's permeability:
    E = RT/F ln((k_o + ratio_na na_o) / (k_i + ratio_na na_i)).

    Source: ten Tusscher & Panfilov 2006, Am J Physiol Heart 291:H1088,
    doi:10.1152/ajpheart.00109.2006. Mid-myocardial cells have a quarter.
    """

    g_bar: Leaf = param(0.392, "mS/cm2", 0.0, 20.0)
    ratio_na: Leaf = param(0.03, "1", 0.0, 1.0)
    powers = {"xs": 2}
    reads = ("k_i", "k_o", "na_i", "na_o")
    carries = {"k": 1.0}
    celsius_ref = 37.0

    def gating(self, v, **_):
        tau = 1400 * jnp.sqrt(sigmoid((v - 5) / 6)) * sigmoid((35 - v) / 15) + 80
        return {"xs": from_tau(sigmoid((v + 5) / 14), tau)}

    def current(self, v, x, celsius=None, *, k_i, k_o, na_i, na_o):
        temperature = self.temperature(celsius)
        E = mixed_potential((k_i, k_o), (na_i, na_o), self.ratio_na, temperature)
        return self.conductance(x) * (v - E)


@pytree
class HumanVentricleK1(Channel):
    """Inward rectifier of the human ventricle: i = g_bar sqrt(k_o / 5.4 mM) r (v - E_rev).

    r falls at once with v - E_rev, the more the further potassium is driven out.

    Source: ten Tusscher et al. 2004, Am J Physiol Heart 286:H1573, doi:10.1152/ajpheart.00794.2003.
    """

    g_bar: Leaf = param(5.405, "mS/cm2", 0.0, 100.0)
    E_rev: Leaf = param(None, "mV", -120.0, -60.0)
    reads = ("k_o",)
    carries = {"k": 1.0}
    celsius_ref = 37.0

    def current(self, v, x, celsius=None, *, E_nernst=None, k_o):
        u = v - (E_nernst if self.E_rev is None else self.E_rev)
        alpha = 0.1 * sigmoid(0.06 * (200 - u))
        rise = 3 * jnp.exp(0.0002 * (u + 100)) + jnp.exp(0.1 * (u - 10))
        beta = rise * sigmoid(0.5 * u)
        return self.g_bar * jnp.sqrt(k_o / 5.4) * alpha / (alpha + beta) * u


@pytree
class HumanVentricleKp(Channel):
    """Plateau potassium channel of the human ventricle: i = g_bar r (v - E_rev).

    r = 1 / (1 + exp((25 - v) / 5.98)) follows v at once.

    Source: ten Tusscher et al. 2004, Am J Physiol Heart 286:H1573, doi:10.1152/ajpheart.00794.2003.
    """

    g_bar: Leaf = param(0.0146, "mS/cm2", 0.0, 2.0)
    E_rev: Leaf = param(None, "mV", -120.0, -60.0)
    powers = {"r": 1}
    carries = {"k": 1.0}
    celsius_ref = 37.0

    def instant(self, v):
        return {"r": sigmoid((v - 25) / 5.98)}


@pytree
class HumanVentricleLeakNa(Channel):
    """Background sodium current of the human ventricle: i = g_bar (v - E_rev).

    Source: ten Tusscher et al. 2004, Am J Physiol Heart 286:H1573, doi:10.1152/ajpheart.00794.2003.
    """

    g_bar: Leaf = param(2.9e-4, "mS/cm2", 0.0, 1.0)
    E_rev: Leaf = param(None, "mV", 0.0, 100.0)
    carries = {"na": 1.0}
    celsius_ref = 37.0


@pytree
class HumanVentricleLeakCa(Channel):
    """Background calcium current of the human ventricle: i = g_bar (v - E_rev).

    Source: ten Tusscher et al. 2004, Am J Physiol Heart 286:H1573, doi:10.1152/ajpheart.00794.2003.
    """

    g_bar: Leaf = param(5.92e-4, "mS/cm2", 0.0, 1.0)
    E_rev: Leaf = param(None, "mV", 0.0, 200.0)
    carries = {"ca": 1.0}
    celsius_ref = 37.0


@pytree
class HumanVentricleNaKPump(Channel):
    """Na/K-ATPase of the human ventricle: i = i_max f k_o / (k_o + K_k) na_i / (na_i + K_na).

    Three sodium out and two potassium in. f = 1 / (1 + 0.1245 exp(-u / 10) + 0.0353 exp(-u)) with
    u = v F/RT falls with hyperpolarisation, against which the charge is moved.

    Source: ten Tusscher et al. 2004, Am J Physiol Heart 286:H1573, doi:10.1152/ajpheart.00794.2003,
    with i_max of ten Tusscher & Panfilov 2006, doi:10.1152/ajpheart.00109.2006.
    """

    i_max: Leaf = param(2.724, "uA/cm2", 0.0, 1000.0)
    K_na: Leaf = param(40.0, "mM", 0.1, 200.0)
    K_k: Leaf = param(1.0, "mM", 0.01, 50.0)
    reads = ("na_i", "k_o")
    carries = {"na": 3.0, "k": -2.0}
    celsius_ref = 37.0

    def current(self, v, x, celsius=None, *, na_i, k_o):
        u = v / thermal_voltage(self.temperature(celsius))
        f = 1 / (1 + 0.1245 * jnp.exp(-0.1 * u) + 0.0353 * jnp.exp(-u))
        return self.i_max * f * k_o / (k_o + self.K_k) * na_i / (na_i + self.K_na)
