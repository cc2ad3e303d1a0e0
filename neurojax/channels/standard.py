"""One family of curves for voltage-gated channels: thousands of published ones are its members."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.rates import from_inf, sigmoid

LARGEST = 40.0
"""The largest exponent of a time constant: exp of it, squared too, is a number in float32."""

SCALE = 25.0
"""mV, the unit of u, in which the numbers b, c and d are of a size."""


@pytree
class StandardForm(Channel):
    """Two gates of one family of curves: i = g_bar m^p_m h^p_h (v - E_rev).

    Of each gate, with u = (v - vh) / 25 mV:
    inf = low + span / (1 + exp(b - a v)),
    tau = A / (exp(-(b1 u + c1 u^2 + d1 u^3)) + exp(b2 u + c2 u^2 + d2 u^3)).
    All of this are parameters, the exponents p_m and p_h too: channels that differ in them are one
    population, and one compiled program. `genealogy` makes them of published tables. q10_tau is how
    much faster the gates are per 10 degC. The defaults are a delayed rectifier that inactivates.

    Source: Chintaluri et al. 2025, bioRxiv 2025.10.03.680368, doi:10.1101/2025.10.03.680368; their
    steady states "optionally scaled" have low and span here.
    Deviates: theirs is u = v - vh; an exponent of tau is at most 40.
    """

    g_bar: Leaf = param(1.0, "mS/cm2", 0.0, 1e6)
    E_rev: Leaf = param(-80.0, "mV", -200.0, 200.0)
    q10_tau: Leaf = param(3.0, "1", 0.1, 10.0)

    p_m: Leaf = param(4.0, "1", 0.0, 16.0)
    low_m: Leaf = param(0.0, "1", -5.0, 5.0)
    span_m: Leaf = param(1.0, "1", -5.0, 5.0)
    a_m: Leaf = param(0.08, "1/mV", -100.0, 100.0)
    b_m: Leaf = param(-3.2, "1", -1e4, 1e4)
    A_m: Leaf = param(4.0, "ms", 1e-3, 1e7)
    vh_m: Leaf = param(-50.0, "mV", -200.0, 200.0)
    b1_m: Leaf = param(1.0, "1", -100.0, 100.0)
    c1_m: Leaf = param(0.0, "1", -100.0, 100.0)
    d1_m: Leaf = param(0.0, "1", -100.0, 100.0)
    b2_m: Leaf = param(-0.75, "1", -100.0, 100.0)
    c2_m: Leaf = param(0.0, "1", -100.0, 100.0)
    d2_m: Leaf = param(0.0, "1", -100.0, 100.0)

    p_h: Leaf = param(1.0, "1", 0.0, 16.0)
    low_h: Leaf = param(0.1, "1", -5.0, 5.0)
    span_h: Leaf = param(0.9, "1", -5.0, 5.0)
    a_h: Leaf = param(-0.1, "1/mV", -100.0, 100.0)
    b_h: Leaf = param(6.0, "1", -1e4, 1e4)
    A_h: Leaf = param(400.0, "ms", 1e-3, 1e7)
    vh_h: Leaf = param(-60.0, "mV", -200.0, 200.0)
    b1_h: Leaf = param(0.5, "1", -100.0, 100.0)
    c1_h: Leaf = param(0.0, "1", -100.0, 100.0)
    d1_h: Leaf = param(0.0, "1", -100.0, 100.0)
    b2_h: Leaf = param(-0.5, "1", -100.0, 100.0)
    c2_h: Leaf = param(0.0, "1", -100.0, 100.0)
    d2_h: Leaf = param(0.0, "1", -100.0, 100.0)

    powers = {"m": 1, "h": 1}
    celsius_ref = 6.3

    def gating(self, v):
        return {gate: from_inf(self._inf(gate, v), self._rate(gate, v)) for gate in self.powers}

    def steady_state(self, v, **_):
        return {gate: self._inf(gate, v - self.v_shift) for gate in self.powers}

    def conductance(self, x):
        return self.g_bar * _power(x["m"], self.p_m) * _power(x["h"], self.p_h)

    @classmethod
    def lacks_q10(cls):
        return False

    def speed(self, gate, celsius):
        scale = 1 / self.tau_scale
        if celsius is None:
            return scale
        return scale * jnp.exp(jnp.log(self.q10_tau) / 10 * (celsius - self.celsius_ref))

    def _of(self, gate: str, *names: str) -> tuple[Any, ...]:
        return tuple(getattr(self, f"{name}_{gate}") for name in names)

    def _inf(self, gate: str, v: Any) -> Any:
        low, span, a, b = self._of(gate, "low", "span", "a", "b")
        return low + span * sigmoid(a * v - b)

    def _rate(self, gate: str, v: Any) -> Any:
        """1 / tau."""
        A, vh, b1, c1, d1, b2, c2, d2 = self._of(
            gate, "A", "vh", "b1", "c1", "d1", "b2", "c2", "d2"
        )
        u = (v - vh) / SCALE
        down = jnp.clip(-u * (b1 + u * (c1 + u * d1)), -LARGEST, LARGEST)
        up = jnp.clip(u * (b2 + u * (c2 + u * d2)), -LARGEST, LARGEST)
        return (jnp.exp(down) + jnp.exp(up)) / A


def _power(x: Any, p: Any) -> Any:
    """x^p with an exponent that differs from cell to cell, finite with its slopes for x >= 0."""
    least = math.exp(-LARGEST)
    return jnp.exp(p * jnp.log(jnp.maximum(x, least)))
