"""Channels of thick-tufted pyramidal cells of layer 5, and the calcium shell below their membrane.

The set of Hay et al. 2011, whose names are in the docstrings. Of their eleven two are elsewhere:
Ca_HVA is CortexCaL, and NaTs2_t is PyramidalNa with a v_shift of 6 mV. Where they corrected rates
from 21 to 34 degC, by 2.3 in 10 degC, a cell's temperature does it here; set it to 34.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from neurojax.channels.sodium import slow_inactivation
from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.ions import Ion
from neurojax.membrane.rates import (
    exp_linear,
    from_inf,
    from_rates,
    from_tau,
    hill,
    sigmoid,
)
from neurojax.units import nernst

_E_CA = nernst(inside=1e-4, outside=2.0, valence=2, celsius=34.0)


def calcium_shell(
    gamma: float = 0.05, decay: float = 80.0, depth: float = 0.1, rest: float = 1e-4
) -> Ion:
    """Calcium in a shell below the membrane: ca' = -gamma i / (2 F depth) - (ca - rest) / decay.

    `gamma` is the part of calcium that no buffer holds, `decay` (ms) how fast the free part goes
    back to `rest` (mM), `depth` in um; outside are 2 mM.

    Source: Destexhe, Contreras, Sejnowski & Steriade 1994, J Neurophysiol 72:803,
    doi:10.1152/jn.1994.72.2.803, as in Hay et al. 2011 (CaDynamics_E2).
    """
    # An Ion's buffer slows its removal as it does its influx, hence the shorter tau.
    numbers: dict[str, Any] = {"inside": rest, "outside": 2.0, "depth": depth}
    return Ion(valence=2, **numbers, buffer=1 / gamma - 1, tau=decay * gamma)


def _rates_m(v):
    """Opening and closing rates of the transient sodium channel's activation."""
    x = (v + 38) / 6
    return 1.092 * exp_linear(x), 0.744 * exp_linear(-x)


@pytree
class PyramidalNa(Channel):
    """Transient sodium channel of the soma and dendrites (NaTa_t): i = g_bar m^3 h (v - E_rev).

    Source: Colbert & Pan 2002, Nat Neurosci 5:533, doi:10.1038/nn0602-857, as in Hay et al. 2011,
    PLoS Comput Biol 7:e1002107, doi:10.1371/journal.pcbi.1002107, and their program.
    """

    g_bar: Leaf = param(2040.0, "mS/cm2", 0.0, 5000.0)
    E_rev: Leaf = param(50.0, "mV", 20.0, 90.0)
    powers = {"m": 3, "h": 1}
    carries = {"na": 1.0}
    q10 = {"m": 2.3, "h": 2.3}
    celsius_ref = 21.0

    def gating(self, v):
        x = (v + 66) / 6
        h = from_rates(0.09 * exp_linear(-x), 0.09 * exp_linear(x))
        alpha, beta = _rates_m(v)
        return {"m": from_rates(alpha, beta), "h": h}


@pytree
class PyramidalNap(Channel):
    """Persistent sodium channel (Nap_Et2): i = g_bar m^3 h (v - E_rev), h over seconds.

    m takes six times as long as that of PyramidalNa.

    Source: Magistretti & Alonso 1999, J Gen Physiol 114:491, doi:10.1085/jgp.114.4.491, as in Hay
    et al. 2011, PLoS Comput Biol 7:e1002107, doi:10.1371/journal.pcbi.1002107, and their program.
    """

    g_bar: Leaf = param(1.72, "mS/cm2", 0.0, 100.0)
    E_rev: Leaf = param(50.0, "mV", 20.0, 90.0)
    powers = {"m": 3, "h": 1}
    carries = {"na": 1.0}
    q10 = {"m": 2.3, "h": 2.3}
    celsius_ref = 21.0

    def gating(self, v):
        alpha, beta = _rates_m(v)
        return {
            "m": from_inf(sigmoid((v + 52.6) / 4.6), (alpha + beta) / 6),
            "h": slow_inactivation(v),
        }


@pytree
class PyramidalKt(Channel):
    """Fast-inactivating potassium channel (K_Tst): i = g_bar m^4 h (v - E_rev).

    Source: Korngreen & Sakmann 2000, J Physiol 525:621, doi:10.1111/j.1469-7793.2000.00621.x, as in
    Hay et al. 2011, PLoS Comput Biol 7:e1002107, doi:10.1371/journal.pcbi.1002107, whose potentials
    are 10 mV more negative, for the liquid junction.
    """

    g_bar: Leaf = param(81.2, "mS/cm2", 0.0, 1000.0)
    E_rev: Leaf = param(-85.0, "mV", -120.0, -60.0)
    powers = {"m": 4, "h": 1}
    carries = {"k": 1.0}
    q10 = {"m": 2.3, "h": 2.3}
    celsius_ref = 21.0

    def gating(self, v):
        tau_m = 0.34 + 0.92 * jnp.exp(-(((v + 81) / 59) ** 2))
        tau_h = 8 + 49 * jnp.exp(-(((v + 83) / 23) ** 2))
        return {
            "m": from_tau(sigmoid((v + 10) / 19), tau_m),
            "h": from_tau(sigmoid(-(v + 76) / 10), tau_h),
        }


@pytree
class PyramidalKp(Channel):
    """Slowly inactivating potassium channel (K_Pst): i = g_bar m^2 h (v - E_rev).

    The time constant of m is the smaller of two exponentials, which cross at -60 mV.

    Source: Korngreen & Sakmann 2000, J Physiol 525:621, doi:10.1111/j.1469-7793.2000.00621.x, as in
    Hay et al. 2011, PLoS Comput Biol 7:e1002107, doi:10.1371/journal.pcbi.1002107, whose potentials
    are 10 mV more negative, for the liquid junction.
    """

    g_bar: Leaf = param(2.23, "mS/cm2", 0.0, 200.0)
    E_rev: Leaf = param(-85.0, "mV", -120.0, -60.0)
    powers = {"m": 2, "h": 1}
    carries = {"k": 1.0}
    q10 = {"m": 2.3, "h": 2.3}
    celsius_ref = 21.0

    def gating(self, v):
        z = 0.026 * (v + 10)
        tau_m = 1.25 + jnp.where(v < -60, 175.03 * jnp.exp(z), 13 * jnp.exp(-z))
        tau_h = 360 + (1010 + 24 * (v + 65)) * jnp.exp(-(((v + 85) / 48) ** 2))
        return {
            "m": from_tau(sigmoid((v + 11) / 12), tau_m),
            "h": from_tau(sigmoid(-(v + 64) / 11), tau_h),
        }


@pytree
class PyramidalKv3(Channel):
    """Fast non-inactivating potassium channel of the Kv3.1 kind (SKv3_1): i = g_bar m (v - E_rev).

    Source: Rettig et al. 1992, EMBO J 11:2473, doi:10.1002/j.1460-2075.1992.tb05312.x, as in Hay et
    al. 2011, PLoS Comput Biol 7:e1002107, doi:10.1371/journal.pcbi.1002107, without a temperature.
    """

    g_bar: Leaf = param(693.0, "mS/cm2", 0.0, 5000.0)
    E_rev: Leaf = param(-85.0, "mV", -120.0, -60.0)
    powers = {"m": 1}
    carries = {"k": 1.0}
    celsius_ref = 34.0

    def gating(self, v):
        tau = 4 * sigmoid((v + 46.56) / 44.14)
        return {"m": from_tau(sigmoid((v - 18.7) / 9.7), tau)}


@pytree
class PyramidalKm(Channel):
    """Muscarinic potassium channel (Im): i = g_bar m (v - E_rev).

    Source: Adams, Brown & Constanti 1982, J Physiol 330:537, doi:10.1113/jphysiol.1982.sp014357, as
    in Hay et al. 2011, PLoS Comput Biol 7:e1002107, doi:10.1371/journal.pcbi.1002107.
    """

    g_bar: Leaf = param(0.0675, "mS/cm2", 0.0, 20.0)
    E_rev: Leaf = param(-85.0, "mV", -120.0, -60.0)
    powers = {"m": 1}
    carries = {"k": 1.0}
    q10 = {"m": 2.3}
    celsius_ref = 21.0

    def gating(self, v):
        x = 0.1 * (v + 35)
        return {"m": from_rates(3.3e-3 * jnp.exp(x), 3.3e-3 * jnp.exp(-x))}


@pytree
class PyramidalH(Channel):
    """Cation channel opened by hyperpolarisation (HCN, Ih): i = g_bar m (v - E_rev).

    Source: Kole, Hallermann & Stuart 2006, J Neurosci 26:1677, doi:10.1523/JNEUROSCI.3664-05.2006,
    as in Hay et al. 2011, PLoS Comput Biol 7:e1002107, doi:10.1371/journal.pcbi.1002107.
    """

    g_bar: Leaf = param(0.2, "mS/cm2", 0.0, 20.0)
    E_rev: Leaf = param(-45.0, "mV", -70.0, 0.0)
    powers = {"m": 1}
    celsius_ref = 34.0

    def gating(self, v):
        alpha = 0.076517 * exp_linear(-(v + 154.9) / 11.9)
        return {"m": from_rates(alpha, 0.193 * jnp.exp(v / 33.1))}


@pytree
class PyramidalCaT(Channel):
    """Low-threshold calcium channel (Ca_LVAst): i = g_bar m^2 h (v - E_rev).

    Source: Avery & Johnston 1996, J Neurosci 16:5567, doi:10.1523/JNEUROSCI.16-18-05567.1996, and
    time constants of Randall & Tsien 1997, Neuropharmacology 36:879,
    doi:10.1016/S0028-3908(97)00086-5, as in Hay et al. 2011, PLoS Comput Biol 7:e1002107,
    doi:10.1371/journal.pcbi.1002107.
    Deviates: by default E_rev is the Nernst potential of their resting calcium; None follows it.
    """

    g_bar: Leaf = param(3.43, "mS/cm2", 0.0, 100.0)
    E_rev: Leaf = param(_E_CA, "mV", 60.0, 160.0)
    powers = {"m": 2, "h": 1}
    carries = {"ca": 1.0}
    q10 = {"m": 2.3, "h": 2.3}
    celsius_ref = 21.0

    def gating(self, v):
        tau_m = 5 + 20 * sigmoid(-(v + 35) / 5)
        tau_h = 20 + 50 * sigmoid(-(v + 50) / 7)
        return {
            "m": from_tau(sigmoid((v + 40) / 6), tau_m),
            "h": from_tau(sigmoid(-(v + 90) / 6.4), tau_h),
        }


@pytree
class PyramidalSk(Channel):
    """Small-conductance potassium channel opened by calcium (SK_E2): i = g_bar z (v - E_rev).

    z relaxes in 1 ms to 1 / (1 + (0.43 uM / ca_i)^4.8).

    Source: Kohler et al. 1996, Science 273:1709, doi:10.1126/science.273.5282.1709, as in Hay et
    al. 2011, PLoS Comput Biol 7:e1002107, doi:10.1371/journal.pcbi.1002107.
    """

    g_bar: Leaf = param(44.1, "mS/cm2", 0.0, 500.0)
    E_rev: Leaf = param(-85.0, "mV", -120.0, -60.0)
    K_ca: Leaf = param(4.3e-4, "mM", 1e-5, 1e-2)
    tau: Leaf = param(1.0, "ms", 0.01, 100.0)
    powers = {"z": 1}
    reads = ("ca_i",)
    carries = {"k": 1.0}
    celsius_ref = 34.0

    def gating(self, v, ca_i):
        open_part = hill(ca_i, self.K_ca, 4.8) * jnp.ones_like(v)
        return {"z": from_inf(open_part, jnp.ones_like(v) / self.tau)}
