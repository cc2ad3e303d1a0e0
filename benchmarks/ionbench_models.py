"""The channels of ionBench's problems, as neurojax channels with its parameters p1, p2 ...

Sources of the kinetics are given at each; the values of ionBench's model files are the defaults.
"""

from __future__ import annotations

from math import log

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.markov import Scheme
from neurojax.membrane.rates import exp_linear, exprel, from_inf, sigmoid

_R, _F = 8314.472, 96485.0  # mJ/mol/K and C/mol, as ionBench has them


@pytree
class AtrialKr(Channel):
    """I_Kr of a human atrial cell, its internal potassium a parameter (ionBench "loewe2016.ikr").

    Source: Courtemanche, Ramirez & Nattel 1998, Am J Physiol 275:H301, as parametrised by Loewe et
    al. 2016, Front Bioeng Biotechnol 3:209.
    """

    p1: Leaf = param(3e-4, "1/ms/mV", 1e-6, 1.0)
    p2: Leaf = param(14.1, "mV", -60.0, 80.0)
    p3: Leaf = param(5.0, "mV", 0.1, 100.0)
    p4: Leaf = param(3.3328, "mV", -60.0, 80.0)
    p5: Leaf = param(5.1237, "mV", 0.1, 100.0)
    p6: Leaf = param(1.0, "1", 0.01, 100.0)
    p7: Leaf = param(14.1, "mV", -60.0, 80.0)
    p8: Leaf = param(6.5, "mV", 0.1, 100.0)
    p9: Leaf = param(15.0, "mV", -60.0, 80.0)
    p10: Leaf = param(22.4, "mV", 1.0, 300.0)
    p11: Leaf = param(0.029411765, "mS/cm2", 1e-4, 10.0)
    p12: Leaf = param(138.994, "mM", 1.0, 2000.0)
    powers = {"x": 1}

    def gating(self, v):
        opening = self.p1 * self.p3 * exp_linear((v + self.p2) / self.p3)
        closing = 7.3898e-5 * self.p5 / exprel((v - self.p4) / self.p5)
        rate = (opening + closing) * self.p6
        return {"x": from_inf(sigmoid((v + self.p7) / self.p8), rate)}

    def current(self, v, x, celsius: Leaf = None, *_, **c):
        rectified = sigmoid(-(v + self.p9) / self.p10)
        E_K = _R * 295 / _F * jnp.log(5 / self.p12)
        return self.p11 * x["x"] * rectified * (v - E_K)


@pytree
class VentricularKr(Scheme):
    """I_Kr of a human ventricular cell in five states at 37 degC (ionBench "staircase.mm").

    Source: Fink et al. 2008, Prog Biophys Mol Biol 96:357.
    """

    p1: Leaf = param(0.20618, "1/ms", 1e-7, 1e3)
    p2: Leaf = param(0.0112, "1/mV", 1e-7, 0.4, scale="linear")
    p3: Leaf = param(0.04209, "1/ms", 1e-7, 1e3)
    p4: Leaf = param(0.02202, "1/ms", 1e-7, 1e3)
    p5: Leaf = param(0.0365, "1/mV", 1e-7, 0.4, scale="linear")
    p6: Leaf = param(0.41811, "1/ms", 1e-7, 1e3)
    p7: Leaf = param(0.0223, "1/mV", 1e-7, 0.4, scale="linear")
    p8: Leaf = param(0.13279, "1/ms", 1e-7, 1e3)
    p9: Leaf = param(0.0603, "1/mV", 1e-7, 0.4, scale="linear")
    p10: Leaf = param(0.08094, "1/ms", 1e-7, 1e3)
    p11: Leaf = param(0.0002262, "1/ms", 1e-7, 1e3)
    p12: Leaf = param(0.0399, "1/mV", 1e-7, 0.4, scale="linear")
    p13: Leaf = param(0.04150, "1/ms", 1e-7, 1e3)
    p14: Leaf = param(0.0312, "1/mV", 1e-7, 0.4, scale="linear")
    g_bar: Leaf = param(0.024, "mS/cm2", 0.02, 0.2)
    E_rev: Leaf = param(_R * 310 / 96485.3415 * log(5.4 / 141.0167), "mV", -120.0, -60.0)
    states = ("C1", "C2", "C3", "O", "I")
    conducting = {"O": 1.0}

    def transitions(self, v):
        return {
            ("C1", "C2"): self.p1 * jnp.exp(self.p2 * v),
            ("C2", "C3"): self.p3 + 0 * v,
            ("C3", "O"): self.p4 * jnp.exp(self.p5 * v),
            ("O", "I"): self.p6 * jnp.exp(self.p7 * v),
            ("C2", "C1"): self.p8 * jnp.exp(-self.p9 * v),
            ("C3", "C2"): self.p10 + 0 * v,
            ("O", "C3"): self.p11 * jnp.exp(-self.p12 * v),
            ("I", "O"): self.p13 * jnp.exp(-self.p14 * v),
        }


@pytree
class CardiacNa(Scheme):
    """I_Na of a heart cell in eight states (ionBench "moreno2016.ina").

    Source: Moreno, Lewis & Clancy 2016, PLoS ONE 11:e0150761.
    """

    p1: Leaf = param(7.6178e-3, "ms", 1e-4, 1.0)
    p2: Leaf = param(32.764, "mV", 1.0, 200.0)
    p3: Leaf = param(0.58871, "1", 1e-3, 100.0)
    p4: Leaf = param(0.15422, "1", 1e-3, 100.0)
    p5: Leaf = param(2.5898, "ms", 1e-2, 100.0)
    p6: Leaf = param(8.5072, "mV", 1.0, 200.0)
    p7: Leaf = param(1.3760e-3, "1", 1e-6, 1.0)
    p8: Leaf = param(2.888, "1", 1e-2, 100.0)
    p9: Leaf = param(3.2459e-5, "1/ms", 1e-8, 1.0)
    p10: Leaf = param(9.5951, "mV", 1.0, 200.0)
    p11: Leaf = param(1.3771, "1/ms", 1e-2, 100.0)
    p12: Leaf = param(21.126, "mV", 1.0, 200.0)
    p13: Leaf = param(11.086, "1/ms", 1e-2, 1e3)
    p14: Leaf = param(43.725, "mV", 1.0, 400.0)
    p15: Leaf = param(4.1476e-2, "1", 1e-4, 10.0)
    p16: Leaf = param(2.0802e-2, "1", 1e-4, 10.0)
    g_bar: Leaf = param(1.0, "mS/cm2", 0.01, 100.0)
    E_rev: Leaf = param(_R * 295 / _F * log(138 / 10), "mV", 20.0, 100.0)
    states = ("C3", "C2", "C1", "O", "IC3", "IC2", "IF", "IS")
    conducting = {"O": 1.0}

    def transitions(self, v):
        a11 = jnp.exp(v / self.p2) / self.p1
        a12, a13 = self.p3 * a11, self.p4 * a11
        b11 = jnp.exp(-v / self.p6) / self.p5
        b12, b13 = self.p7 * b11, self.p8 * b11
        a3, b3 = self.p9 * jnp.exp(-v / self.p10), self.p11 * jnp.exp(v / self.p12)
        a2 = self.p13 * jnp.exp(v / self.p14)
        b2 = a13 * a2 * a3 / (b13 * b3)
        return {
            ("IC3", "IC2"): a11, ("IC2", "IC3"): b11, ("IC2", "IF"): a12, ("IF", "IC2"): b12,
            ("C3", "C2"): a11, ("C2", "C3"): b11, ("C2", "C1"): a12, ("C1", "C2"): b12,
            ("C1", "O"): a13, ("O", "C1"): b13, ("O", "IF"): a2, ("IF", "O"): b2,
            ("IC3", "C3"): a3, ("C3", "IC3"): b3, ("IC2", "C2"): a3, ("C2", "IC2"): b3,
            ("IF", "C1"): a3, ("C1", "IF"): b3,
            ("O", "IS"): self.p15 * a2, ("IS", "O"): self.p16 * a3,
        }  # fmt: skip
