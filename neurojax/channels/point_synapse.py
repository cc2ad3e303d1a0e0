"""Synapses of a given time course, which events open: conductances of one place, in nS.

Receptors that a transmitter opens are in `synapse`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.rates import Gating, from_rates
from neurojax.units import factor

NS = factor("nS", "mS")


@pytree
class SynapseExp(Channel):
    """Synapse whose conductance steps up and decays: i = g_max s (v - E_rev) / area.

    s' = -s / tau; an event of weight w adds w to s. In NEURON it is ExpSyn.

    Source: Rall 1967, J Neurophysiol 30:1138, doi:10.1152/jn.1967.30.5.1138, for conductances of a
    given time course; Carnevale & Hines 2006, The NEURON Book, ISBN 9780521843218.
    """

    g_max: Leaf = param(1.0, "nS", 0.0, 1e6)
    E_rev: Leaf = param(0.0, "mV", -120.0, 60.0)
    tau: Leaf = param(2.0, "ms", 0.01, 1e4)
    powers = {"s": 1}
    q10 = {"s": 1.0}
    reads = ("area",)
    receives = True

    def gating(self, v, area):
        return {"s": _falling(v, self.tau)}

    def conductance(self, x):
        return NS * self.g_max * x["s"]

    def current(self, v, x, celsius=None, *, area):
        return self.conductance(x) / area * (v - self.E_rev)


@pytree
class SynapseExp2(Channel):
    """Synapse whose conductance rises and decays: i = g_max n (decay - rise) (v - E_rev) / area.

    An event of weight w adds w to both, which fall with time constants tau_rise and tau_decay, and
    n makes w the height of the peak. In NEURON it is Exp2Syn; equal time constants are the alpha
    function, to 1e-3.

    Source: Rall 1967, J Neurophysiol 30:1138, doi:10.1152/jn.1967.30.5.1138, for conductances of a
    given time course; Carnevale & Hines 2006, The NEURON Book, ISBN 9780521843218.
    """

    g_max: Leaf = param(1.0, "nS", 0.0, 1e6)
    E_rev: Leaf = param(0.0, "mV", -120.0, 60.0)
    tau_rise: Leaf = param(0.5, "ms", 0.01, 1e4)
    tau_decay: Leaf = param(3.0, "ms", 0.01, 1e4)
    powers = {"rise": 1, "decay": 1}
    q10 = {"rise": 1.0, "decay": 1.0}
    reads = ("area",)
    receives = True

    def gating(self, v, area):
        return {"rise": _falling(v, self._rise()), "decay": _falling(v, self.tau_decay)}

    def _rise(self) -> jax.Array:
        """The time constant of the rise, kept apart from that of the decay."""
        near = jnp.abs(self.tau_rise - self.tau_decay) < _APART * self.tau_decay
        return jnp.where(near, (1 - _APART) * self.tau_decay, self.tau_rise)

    def conductance(self, x):
        rise = self._rise()
        # Where the difference peaks both fall as fast: at log(decay / rise) times this.
        common = rise * self.tau_decay / (self.tau_decay - rise)
        peak = common * jnp.log(self.tau_decay / rise)
        height = jnp.exp(-peak / self.tau_decay) - jnp.exp(-peak / rise)
        return NS * self.g_max * (x["decay"] - x["rise"]) / height

    def current(self, v, x, celsius=None, *, area):
        return self.conductance(x) / area * (v - self.E_rev)


_APART = 1e-3
"""Two time constants differ by this part of them at least: their difference is what is left."""


def _falling(v: jax.Array, tau: Leaf) -> Gating:
    return from_rates(jnp.zeros_like(v), jnp.ones_like(v) / tau)
