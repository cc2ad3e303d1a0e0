"""Channels of thalamic relay and reticular neurons; their spikes are of CortexNa and CortexKdr.

CortexCaT is the relay cell's T channel too, with activation that follows v at once.
"""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.ghk import ConstantField
from neurojax.membrane.rates import from_tau, sigmoid
from neurojax.units import nernst

_E_CA = nernst(inside=2.4e-4, outside=2.0, valence=2, celsius=36.0)


@pytree
class ThalamusCaT(ConstantField):
    """Low-threshold (T-type) calcium channel of relay cells: i = P_bar m^2 h phi.

    phi is the constant-field current. The time constant of h has two published branches, below and
    above -80 mV, with a step of 17 % between them.

    Source: Huguenard & McCormick 1992, J Neurophysiol 68:1373, doi:10.1152/jn.1992.68.4.1373, as in
    Destexhe, Neubig, Ulrich & Huguenard 1998, J Neurosci 18:3574,
    doi:10.1523/JNEUROSCI.18-10-03574.1998; Q10 of Coulter, Huguenard & Prince 1989, J Physiol
    414:587, doi:10.1113/jphysiol.1989.sp017705.
    Deviates: screening by 2 mM of calcium, -2 mV in those programs, is left to v_shift.
    """

    P_bar: Leaf = param(2e-4, "cm/s", 0.0, 1e-2)
    powers = {"m": 2, "h": 1}
    valences = {"ca": 2}
    q10 = {"m": 5.0, "h": 3.0}
    celsius_ref = 24.0

    def gating(self, v, **_):
        tau_m = 0.612 + 1 / (jnp.exp(-(v + 132) / 16.7) + jnp.exp((v + 16.8) / 18.2))
        tau_h = jnp.where(
            v < -80,
            jnp.exp((v + 467) / 66.6),
            28 + jnp.exp(-(jnp.maximum(v, -80.0) + 22) / 10.5),
        )
        return {
            "m": from_tau(sigmoid((v + 57) / 6.2), tau_m),
            "h": from_tau(sigmoid(-(v + 81) / 4), tau_h),
        }


@pytree
class ThalamusCaTs(Channel):
    """Slower T-type calcium channel of reticular cells: i = g_bar m^2 h (v - E_rev).

    Source: Huguenard & Prince 1992, J Neurosci 12:3804, doi:10.1523/JNEUROSCI.12-10-03804.1992, as
    in Destexhe et al. 1996, J Neurosci 16:169, doi:10.1523/JNEUROSCI.16-01-00169.1996.
    Deviates: E_rev is the Nernst potential of a fixed pool, 0.24 uM inside and 2 mM outside.
    """

    g_bar: Leaf = param(3.0, "mS/cm2", 0.0, 50.0)
    E_rev: Leaf = param(_E_CA, "mV", 60.0, 160.0)
    powers = {"m": 2, "h": 1}
    carries = {"ca": 1.0}
    q10 = {"m": 5.0, "h": 3.0}
    celsius_ref = 24.0

    def gating(self, v):
        tau_m = 3 + 1 / (jnp.exp((v + 25) / 10) + jnp.exp(-(v + 100) / 15))
        tau_h = 85 + 1 / (jnp.exp((v + 46) / 4) + jnp.exp(-(v + 405) / 50))
        return {
            "m": from_tau(sigmoid((v + 50) / 7.4), tau_m),
            "h": from_tau(sigmoid(-(v + 78) / 5), tau_h),
        }


@pytree
class ThalamusH(Channel):
    """Cation channel of relay cells, opened by hyperpolarisation: i = g_bar h (v - E_rev).

    Source: McCormick & Pape 1990, J Physiol 431:291, doi:10.1113/jphysiol.1990.sp018331, as in
    Destexhe, Bal, McCormick & Sejnowski 1996, J Neurophysiol 76:2049,
    doi:10.1152/jn.1996.76.3.2049.
    Deviates: without the binding of calcium, by which theirs stays open for seconds.
    """

    g_bar: Leaf = param(0.02, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(-40.0, "mV", -70.0, 0.0)
    powers = {"h": 1}
    q10 = {"h": 3.0}
    celsius_ref = 36.0

    def gating(self, v):
        tau = 20 + 1000 / (jnp.exp((v + 71.5) / 14.2) + jnp.exp(-(v + 89) / 11.6))
        return {"h": from_tau(sigmoid(-(v + 75) / 5.5), tau)}
