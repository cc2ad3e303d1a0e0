"""Channels of the frog's node of Ranvier, which conduct by the constant-field equation."""

from __future__ import annotations

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.ghk import ConstantField
from neurojax.membrane.rates import exp_linear, from_rates, sigmoid


@pytree
class FrogNodeNa(ConstantField):
    """Fast sodium channel of the node: i = P_bar m^2 h phi, phi the constant-field current.

    Source: Frankenhaeuser & Huxley 1964, J Physiol 171:302, doi:10.1113/jphysiol.1964.sp007378.
    Deviates: rest at -70 mV; Q10 of NEURON's fh.
    """

    P_bar: Leaf = param(8e-3, "cm/s", 0.0, 0.1)
    powers = {"m": 2, "h": 1}
    valences = {"na": 1}
    q10 = {"m": 3.0, "h": 3.0}

    def gating(self, v, **_):
        u = v + 70
        alpha_m, beta_m = 1.08 * exp_linear((u - 22) / 3), 8 * exp_linear((13 - u) / 20)
        alpha_h, beta_h = 0.6 * exp_linear(-(u + 10) / 6), 4.5 * sigmoid((u - 45) / 10)
        return {"m": from_rates(alpha_m, beta_m), "h": from_rates(alpha_h, beta_h)}


@pytree
class FrogNodeK(ConstantField):
    """Delayed potassium channel of the node: i = P_bar n^2 phi, phi the constant-field current.

    Source: Frankenhaeuser & Huxley 1964, J Physiol 171:302, doi:10.1113/jphysiol.1964.sp007378.
    Deviates: rest at -70 mV; Q10 of NEURON's fh.
    """

    P_bar: Leaf = param(1.2e-3, "cm/s", 0.0, 0.1)
    powers = {"n": 2}
    valences = {"k": 1}
    q10 = {"n": 3.0}

    def gating(self, v, **_):
        u = v + 70
        alpha, beta = 0.2 * exp_linear((u - 35) / 10), 0.5 * exp_linear((10 - u) / 10)
        return {"n": from_rates(alpha, beta)}


@pytree
class FrogNodeP(ConstantField):
    """Delayed current of the node that sodium carries: i = P_bar p^2 phi, phi the constant-field
    current.

    Source: Frankenhaeuser & Huxley 1964, J Physiol 171:302, doi:10.1113/jphysiol.1964.sp007378.
    Deviates: rest at -70 mV; Q10 of NEURON's fh.
    """

    P_bar: Leaf = param(5.4e-4, "cm/s", 0.0, 0.1)
    powers = {"p": 2}
    valences = {"na": 1}
    q10 = {"p": 3.0}

    def gating(self, v, **_):
        u = v + 70
        alpha, beta = 0.06 * exp_linear((u - 40) / 10), 1.8 * exp_linear(-(u + 25) / 20)
        return {"p": from_rates(alpha, beta)}


@pytree
class FrogNodeLeak(Channel):
    """Leak of the node: i = g_bar (v - E_rev).

    It reverses at 0.026 mV from rest, as in the paper; NEURON's fh has -69.74 mV.

    Source: Frankenhaeuser & Huxley 1964, J Physiol 171:302, doi:10.1113/jphysiol.1964.sp007378.
    Deviates: rest at -70 mV.
    """

    g_bar: Leaf = param(30.3, "mS/cm2", 0.0, 500.0)
    E_rev: Leaf = param(-69.974, "mV", -110.0, -30.0)
