"""The hERG channel as a Markov scheme that a drug binds to, for the safety of drugs (CiPA)."""

from __future__ import annotations

import math

import jax.numpy as jnp

from neurojax.membrane.channel import Leaf, param, pytree
from neurojax.membrane.markov import Scheme
from neurojax.membrane.rates import sigmoid

# A (1/ms), B (1/mV) and the q10 of each rate A exp(B v) q10^((T - 20) / 10).
_RATES = {
    ("C1", "C2"): (0.0264, 4.631e-5, 4.843), ("C2", "C1"): (4.986e-6, -0.004226, 4.23),
    ("IC2", "IO"): (0.001214, 0.008516, 4.962), ("IO", "IC2"): (1.854e-5, -0.04641, 3.769),
    ("IC1", "IC2"): (0.0007868, 1.535e-8, 4.942), ("IC2", "IC1"): (5.455e-6, -0.1688, 4.156),
    ("C2", "O"): (0.005509, 7.771e-9, 4.22), ("O", "C2"): (0.001416, -0.02877, 1.459),
    ("C1", "IC1"): (0.4492, 0.008595, 5.0), ("IC1", "C1"): (0.01241, 0.1725, 5.568),
    ("C2", "IC2"): (0.3181, 3.613e-8, 4.663), ("IC2", "C2"): (0.3226, -0.0006575, 5.0),
    ("O", "IO"): (0.149, 0.004668, 2.412), ("IO", "O"): (0.008978, -0.02215, 5.682),
}  # fmt: skip
_CELSIUS = 37.0
_TRAP_SLOPE = 6.789  # mV


@pytree
class HergBlock(Scheme):
    """hERG that a drug blocks: i = g_bar O (v - E_rev), by the `drug` around the cell, nM.

    Two closed states, an open one and their inactivated partners. A drug binds to O and IO with
    Kmax Ku drug^n / (drug^n + halfmax) and leaves Obound with Ku; a channel that closes around it
    traps it in Cbound, with Kt, and opens again with Kt / (1 + exp(-(v - Vhalf) / 6.789 mV)). The
    nearer Vhalf is to 0 mV, the more of it stays trapped at rest.

    Source: Li et al. 2017, Circ Arrhythm Electrophysiol 10:e004628, doi:10.1161/CIRCEP.116.004628.
    The drug's parameters are the optimum for dofetilide of Chang et al. 2017, Front Physiol 8:917,
    doi:10.3389/fphys.2017.00917, whose program hERG_fitting (FDA, CiPA 1.0) has all numbers; g_bar
    is that of Dutta et al. 2017, Front Physiol 8:616, doi:10.3389/fphys.2017.00616.
    Deviates: the drug binds and unbinds as at 37 degC at any temperature, as no factor was told.
    """

    g_bar: Leaf = param(0.0466, "mS/cm2", 1e-4, 1000.0)
    E_rev: Leaf = param(-88.0, "mV", -120.0, -60.0)
    Kmax: Leaf = param(35.1, "1", 1e-8, 1e8)
    Ku: Leaf = param(1.816e-5, "1/ms", 1e-9, 1.0)
    n: Leaf = param(1.08, "1", 0.5, 2.0)
    halfmax: Leaf = param(216.6, "1", 1e-3, 1e9)  # nM^n
    Vhalf: Leaf = param(-1.0, "mV", -200.0, -1.0)
    Kt: Leaf = param(3.5e-5, "1/ms", 1e-9, 1.0)
    states = ("IC1", "IC2", "C1", "C2", "O", "IO", "IObound", "Obound", "Cbound")
    conducting = {"O": 1.0}
    stiff = True
    reads = ("drug", "temperature")
    commands = {"drug": 0.0}
    carries = {"k": 1.0}
    celsius_ref = _CELSIUS

    def transitions(self, v, drug, temperature=_CELSIUS):
        decades = (temperature - 20) / 10
        rates = {
            pair: A * jnp.exp(B * v + math.log(q10) * decades)
            for pair, (A, B, q10) in _RATES.items()
        }
        one = jnp.ones_like(v)
        binding = self.Kmax * self.Ku * self.occupied(drug) * one
        leaving, closing = self.Ku * one, self.Kt * one
        opening = self.Kt * sigmoid((v - self.Vhalf) / _TRAP_SLOPE)
        # A bound channel inactivates as a free one does, so that nothing flows in a circle.
        inactive = leaving * rates["O", "IO"] / rates["IO", "O"]
        return rates | {
            ("O", "Obound"): binding, ("Obound", "O"): leaving,
            ("IO", "IObound"): binding, ("IObound", "IO"): inactive,
            ("Obound", "Cbound"): closing, ("Cbound", "Obound"): opening,
            ("IObound", "Cbound"): closing, ("Cbound", "IObound"): opening,
        }  # fmt: skip

    def occupied(self, drug: Leaf):
        """drug^n / (drug^n + halfmax) of a drug in nM, 0 without one."""
        drug = jnp.asarray(drug)
        some = jnp.where(drug > 0, drug, 1.0)  # where no logarithm is infinite
        return jnp.where(drug > 0, sigmoid(self.n * jnp.log(some) - jnp.log(self.halfmax)), 0.0)
