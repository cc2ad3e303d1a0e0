"""Calcium of the human ventricle: what releases, stores, buffers and moves it inside the cell."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from neurojax.membrane.channel import Leaf, param, pytree, static
from neurojax.membrane.ions import Ion, change_of_pool
from neurojax.membrane.relaxation import relax_mean

_RECOVERY = 0.005  # of release channels, 1/ms
_INACTIVATION = 0.045  # 1/mM/ms


@pytree
class HumanVentricleCalcium(Ion):
    """Calcium in the cytosol (ca_i), the subspace under the membrane (ca_ss) and the sarcoplasmic
    reticulum (ca_sr), each with a rapid buffer.

    Of an Ion's own it has `inside`, `outside` and `depth`, the cytosol's volume per membrane area.
    Calcium that channels carry under the name "ca_ss" enters the subspace, where it opens the
    release from the reticulum; ca_ryr is the part of the release channels that is not inactivated.
    What leaves one volume enters the other, to rounding.

    Source: ten Tusscher & Panfilov 2006, Am J Physiol Heart 291:H1088,
    doi:10.1152/ajpheart.00109.2006; volumes over the 18500 um2 of a cell of 185 pF.
    """

    valence: int = static(2)
    inside: Leaf = param(1.26e-4, "mM", 1e-6, 1.0)
    inside_ss: Leaf = param(3.6e-4, "mM", 1e-6, 10.0)
    inside_sr: Leaf = param(3.64, "mM", 1e-3, 100.0)
    outside: Leaf = param(2.0, "mM", 1e-6, 1000.0)
    depth: Leaf = param(16404 / 18500, "um", 1e-3, 1e4)
    depth_ss: Leaf = param(54.68 / 18500, "um", 1e-5, 10.0)
    depth_sr: Leaf = param(1094 / 18500, "um", 1e-4, 100.0)
    release: Leaf = param(0.102, "1/ms", 0.0, 10.0)
    leak: Leaf = param(3.6e-4, "1/ms", 0.0, 1.0)
    transfer: Leaf = param(3.8e-3, "1/ms", 0.0, 1.0)
    up_max: Leaf = param(6.375e-3, "mM/ms", 0.0, 1.0)
    up_K: Leaf = param(2.5e-4, "mM", 1e-6, 0.1)
    buffer_i: Leaf = param(0.2, "mM", 0.0, 10.0)
    buffer_ss: Leaf = param(0.4, "mM", 0.0, 10.0)
    buffer_sr: Leaf = param(10.0, "mM", 0.0, 100.0)

    def pools(self, name):
        inactivating = _INACTIVATION * self._load(self.inside_sr) * self.inside_ss
        return {
            f"{name}_i": self.inside,
            f"{name}_ss": self.inside_ss,
            f"{name}_sr": self.inside_sr,
            f"{name}_ryr": _RECOVERY / (_RECOVERY + inactivating),
        }

    def advance(self, name, c, carried, dt):
        i, ss, sr, ryr = (c[f"{name}_{k}"] for k in ("i", "ss", "sr", "ryr"))
        inactivating = _INACTIVATION * self._load(sr) * ss
        into_i, into_ss, into_sr = self._fluxes(i, ss, sr, ryr)
        into_i = into_i - change_of_pool(carried[name], 2, self.depth)
        into_ss = into_ss - change_of_pool(carried.get(f"{name}_ss", 0.0), 2, self.depth_ss)
        rate = inactivating + _RECOVERY
        return {
            f"{name}_i": i + freed(i, dt * into_i, self.buffer_i, 1e-3),
            f"{name}_ss": ss + freed(ss, dt * into_ss, self.buffer_ss, 2.5e-4),
            f"{name}_sr": sr + freed(sr, dt * into_sr, self.buffer_sr, 0.3),
            f"{name}_ryr": ryr + dt * (_RECOVERY - rate * ryr) * relax_mean(dt * rate),
        }

    def _load(self, sr):
        """How much a store that is not full slows activation and speeds up inactivation."""
        return 2.5 - 1.5 / (1 + (1.5 / sr) ** 2)

    def _fluxes(self, i, ss, sr, ryr):
        """What fluxes inside the cell bring to its volumes, free and buffered, mM/ms."""
        opening = 0.15 / self._load(sr) * ss * ss
        released = self.release * ryr * opening / (0.06 + opening) * (sr - ss)
        taken = self.up_max / (1 + (self.up_K / i) ** 2) - self.leak * (sr - i)
        spread = self.transfer * (ss - i)
        return (
            spread - taken * self.depth_sr / self.depth,
            (released * self.depth_sr - spread * self.depth) / self.depth_ss,
            taken - released,
        )


def freed(c: jax.Array, change: jax.Array, total, K) -> jax.Array:
    """How much the free part c of an ion grows when `change` is added to free and bound, mM.

    Of the buffer's `total`, c / (c + K) is always bound. In the form that does not cancel: small
    changes are exact in float32.
    """
    sites = c + K
    part = sites + total * K / sites - change
    return 2 * change * sites / (part + jnp.sqrt(part * part + 4 * change * sites))
