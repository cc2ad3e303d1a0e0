"""Channels of the giant muscle fibre of the barnacle.

Morris and Lecar's two-variable model; V1 to V4 and phi are as they call them.
"""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.rates import from_inf, sigmoid


@pytree
class BarnacleCa(Channel):
    """Calcium channel of barnacle muscle: i = g_bar m (v - E_rev), m = (1 + tanh((v - V1)/V2))/2.

    m follows v without delay.

    Source: Morris & Lecar 1981, Biophys J 35:193, doi:10.1016/S0006-3495(81)84782-0, equation 9.
    Deviates: the values are those of Rinzel & Ermentrout 1989, in Methods in Neuronal Modeling.
    """

    g_bar: Leaf = param(4.4, "mS/cm2", 0.0, 100.0)
    E_rev: Leaf = param(120.0, "mV", 50.0, 160.0)
    V1: Leaf = param(-1.2, "mV", -40.0, 40.0)
    V2: Leaf = param(18.0, "mV", 5.0, 60.0)
    powers = {"m": 1}
    carries = {"ca": 1.0}

    def instant(self, v):
        return {"m": sigmoid(2 * (v - self.V1) / self.V2)}


@pytree
class BarnacleK(Channel):
    """Potassium channel of barnacle muscle: i = g_bar w (v - E_rev), slow to open.

    w' = phi cosh((v - V3)/(2 V4)) (w_inf - w), w_inf = (1 + tanh((v - V3)/V4))/2.

    Source: Morris & Lecar 1981, Biophys J 35:193, doi:10.1016/S0006-3495(81)84782-0, equation 9.
    Deviates: the values are those of Rinzel & Ermentrout 1989, in Methods in Neuronal Modeling.
    """

    g_bar: Leaf = param(8.0, "mS/cm2", 0.0, 100.0)
    E_rev: Leaf = param(-84.0, "mV", -120.0, -50.0)
    V3: Leaf = param(2.0, "mV", -40.0, 40.0)
    V4: Leaf = param(30.0, "mV", 5.0, 60.0)
    phi: Leaf = param(0.04, "1/ms", 1e-3, 1.0)
    powers = {"w": 1}
    carries = {"k": 1.0}

    def gating(self, v):
        z = (v - self.V3) / self.V4
        return {"w": from_inf(sigmoid(2 * z), self.phi * (jnp.exp(z / 2) + jnp.exp(-z / 2)) / 2)}


@pytree
class BarnacleLeak(Channel):
    """Leak of barnacle muscle: i = g_bar (v - E_rev).

    Source: Morris & Lecar 1981, Biophys J 35:193, doi:10.1016/S0006-3495(81)84782-0.
    Deviates: the values are those of Rinzel & Ermentrout 1989, in Methods in Neuronal Modeling.
    """

    g_bar: Leaf = param(2.0, "mS/cm2", 1e-3, 20.0)
    E_rev: Leaf = param(-60.0, "mV", -100.0, -20.0)
