"""Channels of neurons of the stomatogastric ganglion of crabs and lobsters.

Time constants published as 43.4 - 42.6 / (1 + exp(...)) are written as 0.8 + 42.6 / (1 + ...) with
the sign turned round: the same numbers, of which float32 loses no digits.
"""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.rates import from_tau, sigmoid


@pytree
class StomatogastricNa(Channel):
    """Sodium channel of stomatogastric neurons: i = g_bar m^3 h (v - E_rev).

    Source: Liu, Golowasch, Marder & Abbott 1998, J Neurosci 18:2309,
    doi:10.1523/JNEUROSCI.18-07-02309.1998, with the time constants of Prinz, Billimoria & Marder
    2003, J Neurophysiol 90:3998, doi:10.1152/jn.00641.2003.
    """

    g_bar: Leaf = param(200.0, "mS/cm2", 0.0, 2000.0)
    E_rev: Leaf = param(50.0, "mV", 20.0, 90.0)
    powers = {"m": 3, "h": 1}
    carries = {"na": 1.0}
    celsius_ref = 11.0

    def gating(self, v):
        tau_m = 0.12 + 2.52 * sigmoid(-(v + 120) / 25)
        tau_h = 1.34 * sigmoid((v + 62.9) / 10) * (1.5 + sigmoid(-(v + 34.9) / 3.6))
        return {
            "m": from_tau(sigmoid((v + 25.5) / 5.29), tau_m),
            "h": from_tau(sigmoid(-(v + 48.9) / 5.18), tau_h),
        }


@pytree
class StomatogastricCaT(Channel):
    """Transient calcium channel of stomatogastric neurons: i = g_bar m^3 h (v - E_rev).

    Source: Liu, Golowasch, Marder & Abbott 1998, J Neurosci 18:2309,
    doi:10.1523/JNEUROSCI.18-07-02309.1998, with the time constants of Prinz, Billimoria & Marder
    2003, J Neurophysiol 90:3998, doi:10.1152/jn.00641.2003.
    """

    g_bar: Leaf = param(2.5, "mS/cm2", 0.0, 50.0)
    E_rev: Leaf = param(None, "mV", 40.0, 180.0)
    powers = {"m": 3, "h": 1}
    carries = {"ca": 1.0}
    celsius_ref = 11.0

    def gating(self, v):
        tau_m = 0.8 + 42.6 * sigmoid(-(v + 68.1) / 20.5)
        tau_h = 30.4 + 179.6 * sigmoid(-(v + 55) / 16.9)
        return {
            "m": from_tau(sigmoid((v + 27.1) / 7.2), tau_m),
            "h": from_tau(sigmoid(-(v + 32.1) / 5.5), tau_h),
        }


@pytree
class StomatogastricCaS(Channel):
    """Slow calcium channel of stomatogastric neurons: i = g_bar m^3 h (v - E_rev).

    Source: Liu, Golowasch, Marder & Abbott 1998, J Neurosci 18:2309,
    doi:10.1523/JNEUROSCI.18-07-02309.1998, with the time constants of Prinz, Billimoria & Marder
    2003, J Neurophysiol 90:3998, doi:10.1152/jn.00641.2003.
    """

    g_bar: Leaf = param(4.0, "mS/cm2", 0.0, 50.0)
    E_rev: Leaf = param(None, "mV", 40.0, 180.0)
    powers = {"m": 3, "h": 1}
    carries = {"ca": 1.0}
    celsius_ref = 11.0

    def gating(self, v):
        tau_m = 2.8 + 14 / (jnp.exp((v + 27) / 10) + jnp.exp(-(v + 70) / 13))
        tau_h = 120 + 300 / (jnp.exp((v + 55) / 9) + jnp.exp(-(v + 65) / 16))
        return {
            "m": from_tau(sigmoid((v + 33) / 8.1), tau_m),
            "h": from_tau(sigmoid(-(v + 60) / 6.2), tau_h),
        }


@pytree
class StomatogastricKa(Channel):
    """Transient potassium channel (A) of stomatogastric neurons: i = g_bar m^3 h (v - E_rev).

    Source: Liu, Golowasch, Marder & Abbott 1998, J Neurosci 18:2309,
    doi:10.1523/JNEUROSCI.18-07-02309.1998, with the time constants of Prinz, Billimoria & Marder
    2003, J Neurophysiol 90:3998, doi:10.1152/jn.00641.2003.
    """

    g_bar: Leaf = param(20.0, "mS/cm2", 0.0, 500.0)
    E_rev: Leaf = param(-80.0, "mV", -110.0, -60.0)
    powers = {"m": 3, "h": 1}
    carries = {"k": 1.0}
    celsius_ref = 11.0

    def gating(self, v):
        tau_m = 2.4 + 20.8 * sigmoid(-(v + 32.9) / 15.2)
        tau_h = 18.8 + 58.4 * sigmoid(-(v + 38.9) / 26.5)
        return {
            "m": from_tau(sigmoid((v + 27.2) / 8.7), tau_m),
            "h": from_tau(sigmoid(-(v + 56.9) / 4.9), tau_h),
        }


@pytree
class StomatogastricKca(Channel):
    """Potassium channel of stomatogastric neurons, opened by calcium and by the potential:
    i = g_bar m^4 (v - E_rev), where half of the channels can open at 3 uM.

    Source: Liu, Golowasch, Marder & Abbott 1998, J Neurosci 18:2309,
    doi:10.1523/JNEUROSCI.18-07-02309.1998, with the time constants of Prinz, Billimoria & Marder
    2003, J Neurophysiol 90:3998, doi:10.1152/jn.00641.2003.
    """

    g_bar: Leaf = param(10.0, "mS/cm2", 0.0, 200.0)
    E_rev: Leaf = param(-80.0, "mV", -110.0, -60.0)
    powers = {"m": 4}
    reads = ("ca_i",)
    carries = {"k": 1.0}
    celsius_ref = 11.0

    def gating(self, v, ca_i):
        tau = 30.4 + 150.2 * sigmoid(-(v + 46) / 22.7)
        return {"m": from_tau(ca_i / (ca_i + 3e-3) * sigmoid((v + 28.3) / 12.6), tau)}


@pytree
class StomatogastricKd(Channel):
    """Delayed rectifier of stomatogastric neurons: i = g_bar m^4 (v - E_rev).

    Source: Liu, Golowasch, Marder & Abbott 1998, J Neurosci 18:2309,
    doi:10.1523/JNEUROSCI.18-07-02309.1998, with the time constants of Prinz, Billimoria & Marder
    2003, J Neurophysiol 90:3998, doi:10.1152/jn.00641.2003.
    """

    g_bar: Leaf = param(100.0, "mS/cm2", 0.0, 1000.0)
    E_rev: Leaf = param(-80.0, "mV", -110.0, -60.0)
    powers = {"m": 4}
    carries = {"k": 1.0}
    celsius_ref = 11.0

    def gating(self, v):
        tau = 1.6 + 12.8 * sigmoid(-(v + 28.3) / 19.2)
        return {"m": from_tau(sigmoid((v + 12.3) / 11.8), tau)}


@pytree
class StomatogastricH(Channel):
    """Cation channel opened by hyperpolarisation, of a thalamic cell: i = g_bar m (v - E_rev).

    Source: Huguenard & McCormick 1992, J Neurophysiol 68:1373, doi:10.1152/jn.1992.68.4.1373, as
    in Prinz, Billimoria & Marder 2003, J Neurophysiol 90:3998, doi:10.1152/jn.00641.2003.
    """

    g_bar: Leaf = param(0.02, "mS/cm2", 0.0, 5.0)
    E_rev: Leaf = param(-20.0, "mV", -60.0, 20.0)
    powers = {"m": 1}
    celsius_ref = 11.0

    def gating(self, v):
        tau = 2 / (jnp.exp(-(v + 169.7) / 11.6) + jnp.exp((v - 26.7) / 14.3))
        return {"m": from_tau(sigmoid(-(v + 75) / 5.5), tau)}


@pytree
class StomatogastricLeak(Channel):
    """Leak of stomatogastric neurons: i = g_bar (v - E_rev).

    Source: Prinz, Billimoria & Marder 2003, J Neurophysiol 90:3998, doi:10.1152/jn.00641.2003.
    """

    g_bar: Leaf = param(0.02, "mS/cm2", 0.0, 5.0)
    E_rev: Leaf = param(-50.0, "mV", -90.0, 0.0)
