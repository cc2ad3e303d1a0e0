"""The Shaker potassium channel of Drosophila, by the charge that its voltage sensors move."""

from __future__ import annotations

import jax.numpy as jnp

from neurojax.membrane.channel import Leaf, param, pytree
from neurojax.membrane.markov import Scheme
from neurojax.units import thermal_voltage

SUBUNITS = 4


def _state(first: int, second: int) -> str:
    """Of the subunits, so many have made the first step, and so many of these the second."""
    return f"s{first}{second}"


@pytree
class Shaker(Scheme):
    """Shaker channel without inactivation: i = g_bar s44 (v - E_rev).

    Each of four subunits makes two steps, resting to intermediate to activated, that move the
    charges z_alpha + z_beta and z_gamma + z_delta; the channel conducts with all four activated
    (s44), and the first of them then leaves `stability` times more slowly. Rates are k(0) exp(z v
    F/RT).

    Source: Zagotta, Hoshi & Aldrich 1994, J Gen Physiol 103:321, doi:10.1085/jgp.103.2.321.
    Deviates: without the closed state behind the open one and without the slight negative
    cooperativity of subunits. F/RT is that of 20 degC at any temperature. The rates are as commonly
    quoted from this paper, not read off its table.
    """

    g_bar: Leaf = param(10.0, "mS/cm2", 0.0, 500.0)
    E_rev: Leaf = param(-80.0, "mV", -110.0, -20.0)
    alpha: Leaf = param(1.12, "1/ms", 0.01, 100.0)
    beta: Leaf = param(0.373, "1/ms", 0.001, 100.0)
    gamma: Leaf = param(2.8, "1/ms", 0.01, 100.0)
    delta: Leaf = param(0.021, "1/ms", 0.0001, 10.0)
    z_alpha: Leaf = param(0.25, "1", 0.0, 4.0)
    z_beta: Leaf = param(1.6, "1", 0.0, 4.0)
    z_gamma: Leaf = param(0.32, "1", 0.0, 4.0)
    z_delta: Leaf = param(1.1, "1", 0.0, 4.0)
    stability: Leaf = param(9.4, "1", 1.0, 100.0)
    states = tuple(_state(i, j) for i in range(SUBUNITS + 1) for j in range(i + 1))
    conducting = {_state(SUBUNITS, SUBUNITS): 1.0}
    carries = {"k": 1.0}

    def transitions(self, v):
        u = v / thermal_voltage(self.celsius_ref)
        alpha = self.alpha * jnp.exp(self.z_alpha * u)
        beta = self.beta * jnp.exp(-self.z_beta * u)
        gamma = self.gamma * jnp.exp(self.z_gamma * u)
        delta = self.delta * jnp.exp(-self.z_delta * u)
        rates = {}
        for i in range(SUBUNITS + 1):
            for j in range(i + 1):
                here = _state(i, j)
                if i < SUBUNITS:
                    rates[here, _state(i + 1, j)] = (SUBUNITS - i) * alpha
                    rates[_state(i + 1, j), here] = (i + 1 - j) * beta
                if j < i:
                    leaves = delta / self.stability if i == j + 1 == SUBUNITS else delta
                    rates[here, _state(i, j + 1)] = (i - j) * gamma
                    rates[_state(i, j + 1), here] = (j + 1) * leaves
        return rates

    def charges(self):
        first, second = self.z_alpha + self.z_beta, self.z_gamma + self.z_delta
        return {
            _state(i, j): i * first + j * second for i in range(SUBUNITS + 1) for j in range(i + 1)
        }
