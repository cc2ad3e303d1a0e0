"""Channels of heart muscle, and what those of its several tissues share."""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.rates import from_rates
from neurojax.units import thermal_voltage


def mixed_potential(first, second, ratio, celsius):
    """The potential, mV, at which two ions of valence 1 together carry nothing.

    Each is (inside, outside) in mM; `ratio` is how permeable the second is, of the first.
    """
    (first_i, first_o), (second_i, second_o) = first, second
    return thermal_voltage(celsius) * jnp.log(
        (first_o + ratio * second_o) / (first_i + ratio * second_i)
    )


@pytree
class HergKr(Channel):
    """The hERG potassium current I_Kr at room temperature: i = g_bar a r (v - E_rev).

    a' = p1 exp(p2 v) (1 - a) - p3 exp(-p4 v) a, r' = p7 exp(-p8 v) (1 - r) - p5 exp(p6 v) r.

    Source: Beattie et al. 2018, J Physiol 596:1813, doi:10.1113/JP275733, figure 5; the defaults
    are the maximum-posterior values of its cell 5.
    Deviates: a density; the paper's 0.1524 uS are g_bar on 2e-5 cm2, the membrane of 20 pF.
    """

    g_bar: Leaf = param(7.62, "mS/cm2", 1e-3, 1000.0)
    E_rev: Leaf = param(-88.4, "mV", -120.0, -60.0)
    p1: Leaf = param(2.260e-4, "1/ms", 1e-7, 1e3)
    p2: Leaf = param(0.06992, "1/mV", 1e-7, 0.4, scale="linear")
    p3: Leaf = param(3.448e-5, "1/ms", 1e-7, 1e3)
    p4: Leaf = param(0.05461, "1/mV", 1e-7, 0.4, scale="linear")
    p5: Leaf = param(0.08732, "1/ms", 1e-7, 1e3)
    p6: Leaf = param(0.008913, "1/mV", 1e-7, 0.4, scale="linear")
    p7: Leaf = param(0.005151, "1/ms", 1e-7, 1e3)
    p8: Leaf = param(0.03158, "1/mV", 1e-7, 0.4, scale="linear")
    powers = {"a": 1, "r": 1}
    carries = {"k": 1.0}
    celsius_ref = 21.5

    def gating(self, v):
        opening = self.p1 * jnp.exp(self.p2 * v)
        closing = self.p3 * jnp.exp(-self.p4 * v)
        inactivation = self.p5 * jnp.exp(self.p6 * v)
        recovery = self.p7 * jnp.exp(-self.p8 * v)
        return {"a": from_rates(opening, closing), "r": from_rates(recovery, inactivation)}
