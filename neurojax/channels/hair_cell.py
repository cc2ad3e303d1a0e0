"""Channels of hair cells of the bullfrog's sacculus: transduction, and what makes them resonate.

Numbers per area are those of a cell of 15 pF on 1500 um2: 1 nS is 0.0667 mS/cm2.
"""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.membrane.channel import (
    Channel,
    Leaf,
    param,
    pytree,
    static,
)
from neurojax.membrane.ions import Ion, change_of_pool, relaxed
from neurojax.membrane.markov import Scheme
from neurojax.membrane.rates import from_inf, from_rates, sigmoid
from neurojax.units import AVOGADRO, GAS_CONSTANT, thermal_voltage

_PER_FORCE = 1e-18 * AVOGADRO / (GAS_CONSTANT * 298.0)  # of kT, 1/pN/um
_FAST_MOST, _SLOW_MOST = 0.29, 2.0  # um, how far either part of adaptation can go
_PER_CHARGE = 2 / thermal_voltage(26.3)  # RT/F of 25.8 mV, per calcium, 1/mV


@pytree
class HairCellMet(Channel):
    """Transduction channel on gating springs: i = g_bar o (v - E_rev).

    `displacement` (um, towards the tall edge), less what adaptation takes off it, pulls channels
    through two closed states: o = 1 / (1 + exp(-z2 (x - x2)) (1 + exp(-z1 (x - x1)))), where z is
    the force that gates a channel over kT. Adaptation goes towards extent times the displacement: a
    fast part towards 0.29 tanh(extent displacement / 0.29), a slow part towards the rest. The gates
    are their positions, 1/2 at rest: fast by 0.29 um to either side, slow by 2 um.

    Source: Corey & Hudspeth 1983, J Neurosci 3:962, doi:10.1523/JNEUROSCI.03-05-00962.1983, the
    states, with the forces of Hudspeth & Lewis 1988, J Physiol 400:275; gating springs in Markin &
    Hudspeth 1995, Annu Rev Biophys Biomol Struct 24:59, doi:10.1146/annurev.bb.24.060195.000423;
    extent, tau_slow and the 0.29 um of frog saccules, Stauffer et al. 2005, Neuron 47:541,
    doi:10.1016/j.neuron.2005.07.024; tau_fast of the turtle, Wu, Ricci & Fettiplace 1999,
    J Neurophysiol 82:2171, doi:10.1152/jn.1999.82.5.2171.
    Deviates: how the fast part saturates is a tanh; channels follow at once; calcium that enters
    does not set the rates of adaptation.
    """

    g_bar: Leaf = param(0.2, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(0.0, "mV", -20.0, 20.0)
    force1: Leaf = param(0.0696, "pN", 1e-3, 1.0)
    force2: Leaf = param(0.01395, "pN", 1e-3, 1.0)
    x1: Leaf = param(0.0749, "um", -1.0, 1.0)
    x2: Leaf = param(0.125, "um", -1.0, 1.0)
    extent: Leaf = param(0.85, "1", 0.0, 1.0)
    tau_fast: Leaf = param(1.0, "ms", 0.05, 100.0)
    tau_slow: Leaf = param(26.0, "ms", 1.0, 1000.0)
    powers = {"fast": 1, "slow": 1}
    reads = ("displacement",)
    celsius_ref = 22.0

    @classmethod
    def gate_names(cls):
        return ["fast", "o", "slow"]

    def gating(self, v, displacement):
        one = jnp.ones_like(v)
        goal = self.extent * displacement
        u = goal / _FAST_MOST
        near = _FAST_MOST * jnp.tanh(u)
        far = jnp.clip(0.5 + 0.5 * (goal - near) / _SLOW_MOST, 0.0, 1.0)
        return {
            "fast": from_inf(sigmoid(2 * u) * one, 1 / self.tau_fast * one),
            "slow": from_inf(far * one, 1 / self.tau_slow * one),
        }

    def adaptation(self, x):
        """How far adaptation has followed the displacement, um."""
        return _FAST_MOST * (2 * x["fast"] - 1) + _SLOW_MOST * (2 * x["slow"] - 1)

    def gates(self, v, x, **c):
        pulled = c["displacement"] - self.adaptation(x)
        e1, e2 = (
            jnp.exp(-_PER_FORCE * force * (pulled - at))
            for force, at in ((self.force1, self.x1), (self.force2, self.x2))
        )
        return x | {"o": 1 / (1 + e2 * (1 + e1))}

    def conductance(self, x):
        return self.g_bar * x["o"]


@pytree
class HairCellCa(Channel):
    """Calcium channel, fast and not inactivating: i = g_bar m^3 (v - E_rev).

    Source: Hudspeth & Lewis 1988, J Physiol 400:237, doi:10.1113/jphysiol.1988.sp017119, as in
    their model, J Physiol 400:275, doi:10.1113/jphysiol.1988.sp017120.
    """

    g_bar: Leaf = param(0.276, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(100.0, "mV", 30.0, 180.0)
    powers = {"m": 3}
    carries = {"ca": 1.0}
    celsius_ref = 22.0

    def gating(self, v):
        alpha = 9.7e-4 * jnp.exp((v + 70) / 6.17) + 0.94
        return {"m": from_rates(alpha, 22.8 * jnp.exp(-(v + 70) / 8.01) + 0.51)}


@pytree
class HairCellKca(Scheme):
    """Potassium channel opened by calcium (BK): i = g_bar (O2 + O3) (v - E_rev).

    C0 - C1 - C2 - O2 - O3: two calcium ions bind to the closed channel, which then opens, and a
    third holds it open. The first and third sites lie 0.2 of the way through the field.

    Source: Hudspeth & Lewis 1988, J Physiol 400:237, doi:10.1113/jphysiol.1988.sp017119, as in
    their model, J Physiol 400:275, doi:10.1113/jphysiol.1988.sp017120.
    """

    g_bar: Leaf = param(1.12, "mS/cm2", 0.0, 50.0)
    E_rev: Leaf = param(-80.0, "mV", -110.0, -40.0)
    opening: Leaf = param(1.0, "1/ms", 0.01, 100.0)
    closing: Leaf = param(0.45, "1/ms", 0.01, 100.0)  # at 0 mV
    states = ("C0", "C1", "C2", "O2", "O3")
    conducting = {"O2": 1.0, "O3": 1.0}
    reads = ("ca_i",)
    carries = {"k": 1.0}
    celsius_ref = 22.0

    def transitions(self, v, ca_i):
        one = jnp.ones_like(v)
        across = ca_i * jnp.exp(-0.2 * _PER_CHARGE * v)
        return {
            ("C0", "C1"): 0.3 / 6e-3 * across, ("C1", "C0"): 0.3 * one,
            ("C1", "C2"): 5.0 / 45e-3 * ca_i * one, ("C2", "C1"): 5.0 * one,
            ("C2", "O2"): self.opening * one, ("O2", "C2"): self.closing * jnp.exp(-v / 33),
            ("O2", "O3"): 1.5 / 20e-3 * across, ("O3", "O2"): 1.5 * one,
        }  # fmt: skip


@pytree
class HairCellCalcium(Ion):
    """Calcium below the membrane where its channels and those that it opens lie together.

    It is removed in proportion to itself, within `tau`, and begins at `inside`: at rest, what the
    resting calcium current makes it. 2 % of it is free; depth is 50 times that of their volume.

    Source: Hudspeth & Lewis 1988, J Physiol 400:275, doi:10.1113/jphysiol.1988.sp017120.
    """

    valence: int = static(2)
    inside: Leaf = param(3e-3, "mM", 1e-6, 1.0)
    outside: Leaf = param(4.0, "mM", 1e-6, 1000.0)
    depth: Leaf = param(0.85 / 600, "um", 1e-4, 10.0)
    tau: Leaf = param(1 / 2.8, "ms", 1e-3, 1e3)

    def advance(self, name, c, carried, dt):
        flow = -change_of_pool(carried[name], 2, self.depth)
        key = f"{name}_i"
        return {key: relaxed(lambda ca: flow - ca / self.tau, c[key], dt)}
