"""Channels that touch opens, reading the "indentation" (um) of what holds them."""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.rates import from_inf, sigmoid


@pytree
class TouchPiezo(Channel):
    """Cation channel that touch opens and that inactivates (Piezo2): i = g_bar m h (v - E_rev).

    m follows a Boltzmann function of the indentation, o = 1 / (1 + exp((x_half - x) / slope)), less
    what is open without any; h, with tau_h, goes to 1 - o. With a tau_h of 8 ms it is the rapidly
    adapting current, with 200 ms the slow one of Merkel cells.

    Source: Gerling et al. 2018, PLoS Comput Biol 14:e1006264, doi:10.1371/journal.pcbi.1006264, the
    two time constants; the channel is of Coste et al. 2010, Science 330:55,
    doi:10.1126/science.1193270.
    Deviates: recovery is as fast as inactivation, and both the same at any potential; x_half, slope
    and tau_m, which vary with the probe, are round numbers.
    """

    g_bar: Leaf = param(1.0, "mS/cm2", 0.0, 500.0)
    E_rev: Leaf = param(0.0, "mV", -20.0, 30.0)
    x_half: Leaf = param(4.0, "um", 0.01, 1000.0)
    slope: Leaf = param(0.8, "um", 1e-3, 100.0)
    tau_m: Leaf = param(0.5, "ms", 0.01, 10.0)
    tau_h: Leaf = param(8.0, "ms", 0.5, 5000.0)
    powers = {"m": 1, "h": 1}
    reads = ("indentation",)
    celsius_ref = 22.0

    def gating(self, v, indentation):
        one = jnp.ones_like(v)
        unpressed = sigmoid(-self.x_half / self.slope)
        pressed = sigmoid((indentation - self.x_half) / self.slope) * one
        opened = (pressed - unpressed) / (1 - unpressed)
        m = from_inf(opened, 1 / self.tau_m * one)
        return {"m": m, "h": from_inf(1 - opened, 1 / self.tau_h * one)}
