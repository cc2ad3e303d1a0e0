"""Pumps and exchangers: ions against their gradients, and the current that is left over.

`carries` counts ions per net charge that leaves the cell, so the pools move in the exact ratio.
What a pump costs is its ATP per net charge: of a recorded current, `elementary_charges` of its
integral, times `atp`, is the number of ATP molecules that were split.
"""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.rates import sigmoid
from neurojax.units import thermal_voltage


@pytree
class HippocampusNaKPump(Channel):
    """Na/K-ATPase of hippocampal neurons: i = i_max (1 + K_k/k_o)^-2 (1 + K_na/na_i)^-3.

    Three sodium out and two potassium in for one ATP. It does not feel the potential.

    Source: Kager, Wadman & Somjen 2000, J Neurophysiol 84:495, doi:10.1152/jn.2000.84.1.495, with
    the affinities of its authors' distributed model.
    Deviates: i_max, which they set in each compartment so that it balances the leaks, is a typical
    one: 1000 to 3000 pumps per um2 at 100 to 300 turnovers a second.
    """

    i_max: Leaf = param(5.0, "uA/cm2", 0.0, 1000.0)
    K_na: Leaf = param(10.0, "mM", 0.1, 100.0)
    K_k: Leaf = param(2.0, "mM", 0.01, 50.0)
    reads = ("na_i", "k_o")
    carries = {"na": 3.0, "k": -2.0}
    atp: ClassVar[float] = 1.0
    celsius_ref = 37.0

    def current(self, v, x, celsius=None, *, na_i, k_o):
        bound = (k_o / (k_o + self.K_k)) ** 2 * (na_i / (na_i + self.K_na)) ** 3
        return self.i_max * bound * jnp.ones_like(v)


@pytree
class HeartNaKPump(Channel):
    """Na/K-ATPase of the ventricle: i = i_max f(v) k_o / (k_o + K_k) / (1 + (K_na/na_i)^1.5).

    Three sodium out and two potassium in for one ATP; f falls with hyperpolarisation, against which
    the charge is moved.

    Source: Luo & Rudy 1994, Circ Res 74:1071, doi:10.1161/01.RES.74.6.1071.
    """

    i_max: Leaf = param(1.5, "uA/cm2", 0.0, 1000.0)
    K_na: Leaf = param(10.0, "mM", 0.1, 100.0)
    K_k: Leaf = param(1.5, "mM", 0.01, 50.0)
    reads = ("na_i", "na_o", "k_o")
    carries = {"na": 3.0, "k": -2.0}
    atp: ClassVar[float] = 1.0
    celsius_ref = 37.0

    def current(self, v, x, celsius=None, *, na_i, na_o, k_o):
        u = v / thermal_voltage(self.temperature(celsius))
        sigma = (jnp.exp(na_o / 67.3) - 1) / 7
        f = 1 / (1 + 0.1245 * jnp.exp(-0.1 * u) + 0.0365 * sigma * jnp.exp(-u))
        free = self.K_na / na_i
        return self.i_max * f * k_o / (k_o + self.K_k) / (1 + free * jnp.sqrt(free))


@pytree
class HeartNaCaExchanger(Channel):
    """Na/Ca exchanger of the ventricle: i = i_max (leaves - enters) / (bound saturation), with

    leaves = na_i^3 ca_o exp(eta u), enters = alpha na_o^3 ca_i exp((eta - 1) u), u = v F/RT,
    bound = (K_na^3 + na_o^3) (K_ca + ca_o), saturation = 1 + k_sat exp((eta - 1) u).

    Three sodium for one calcium: with alpha 1 it reverses at 3 E_na - 2 E_ca, and costs no ATP of
    its own.

    Source: Luo & Rudy 1994, Circ Res 74:1071, doi:10.1161/01.RES.74.6.1071. With i_max 1000 and
    alpha 2.5, for calcium under the membrane, of ten Tusscher et al. 2004, Am J Physiol Heart
    286:H1573, doi:10.1152/ajpheart.00794.2003.
    """

    i_max: Leaf = param(2000.0, "uA/cm2", 0.0, 1e5)
    K_na: Leaf = param(87.5, "mM", 1.0, 1000.0)
    K_ca: Leaf = param(1.38, "mM", 0.01, 100.0)
    k_sat: Leaf = param(0.1, "1", 0.0, 1.0)
    eta: Leaf = param(0.35, "1", 0.0, 1.0)
    alpha: Leaf = param(1.0, "1", 0.1, 10.0)
    reads = ("na_i", "na_o", "ca_i", "ca_o")
    carries = {"na": 3.0, "ca": -2.0}
    atp: ClassVar[float] = 0.0
    celsius_ref = 37.0

    def current(self, v, x, celsius=None, *, na_i, na_o, ca_i, ca_o):
        u = v / thermal_voltage(self.temperature(celsius))
        enters = self.alpha * na_o**3 * ca_i * jnp.exp((self.eta - 1) * u)
        leaves = na_i**3 * ca_o * jnp.exp(self.eta * u)
        bound = (self.K_na**3 + na_o**3) * (self.K_ca + ca_o)
        saturation = 1 + self.k_sat * jnp.exp((self.eta - 1) * u)
        return self.i_max * (leaves - enters) / (bound * saturation)


@pytree
class HeartCaPump(Channel):
    """Calcium pump of the surface membrane: i = i_max ca_i^hill / (K_ca^hill + ca_i^hill).

    One calcium out for one ATP.

    Source: Luo & Rudy 1994, Circ Res 74:1071, doi:10.1161/01.RES.74.6.1071, where hill is 1.
    """

    i_max: Leaf = param(1.15, "uA/cm2", 0.0, 100.0)
    K_ca: Leaf = param(5e-4, "mM", 1e-5, 0.1)
    hill: Leaf = param(1.0, "1", 1.0, 4.0)
    reads = ("ca_i",)
    carries = {"ca": 1.0}
    atp: ClassVar[float] = 0.5
    celsius_ref = 37.0

    def current(self, v, x, celsius=None, *, ca_i):
        return self.i_max * sigmoid(self.hill * jnp.log(ca_i / self.K_ca)) * jnp.ones_like(v)
