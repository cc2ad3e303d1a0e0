"""What a rod's channels read: the cascade that light sets off, and calcium of both segments."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from neurojax.membrane.channel import Leaf, param, pytree, static
from neurojax.membrane.ions import Ion, change_of_pool, relaxed
from neurojax.membrane.rates import hill
from neurojax.membrane.relaxation import relax_mean

_ACTIVE, _BACK, _SPENT = 0.05, 3e-7, 3e-5  # of rhodopsin, 1/ms
_TRANSDUCIN, _TRANSDUCIN_OFF = 0.5, 2.5e-3  # 1/mM/ms by rhodopsin, 1/ms
_PDE, _PDE_OFF = 0.2, 5e-3  # 1/mM/ms by transducin, 1/ms
_BIND, _LEAVE = 0.2, 8e-4  # calcium and its buffer, 1/mM/ms and 1/ms
_OUT = 0.05  # extrusion of calcium, 1/ms


@pytree
class RodOuterSegment(Ion):
    """The cascade of a rod's outer segment, as the calcium there with all that acts on it.

    Light, in photoisomerisations per second, activates rhodopsin (os_rh, and os_rhi inactive), that
    transducin (os_tr), and that phosphodiesterase (os_pde), which destroys `cgmp`. Calcium (os_i,
    and os_bound on a buffer) enters through what cGMP opens and slows the cyclase: as it falls in
    light, cGMP is made faster. Names are those of an ion "os". "light" is one of the pools, for an
    electrode to set.

    Source: Torre, Forti, Menini & Campani 1990, Cold Spring Harb Symp Quant Biol 55:563,
    doi:10.1101/SQB.1990.055.01.054, with the numbers of Kamiyama, Wu & Usui 2009, Vision Res
    49:970, doi:10.1016/j.visres.2009.03.003.
    Deviates: their light is an amount of rhodopsin; per_photon makes the response to one photon
    1 pA, the mean of Baylor, Lamb & Yau 1979, J Physiol 288:613,
    doi:10.1113/jphysiol.1979.sp012716.
    """

    valence: int = static(2)
    inside: Leaf = param(3e-4, "mM", 1e-6, 1.0)
    outside: Leaf = param(1.6, "mM", 1e-6, 1000.0)
    light: Leaf = param(0.0, "1/s", 0.0, 1e9)
    per_photon: Leaf = param(3.2e-6, "mM", 1e-9, 1e-3)
    K_open: Leaf = param(0.01, "mM", 1e-4, 1.0)
    influx: Leaf = param(1.26e-3, "mM/ms", 0.0, 1.0)
    cyclase: Leaf = param(6.56e-5, "mM/ms", 0.0, 1.0)
    K_cyclase: Leaf = param(1e-4, "mM", 1e-6, 0.1)
    hydrolysis: Leaf = param(4e-4, "1/ms", 0.0, 1.0)
    by_pde: Leaf = param(1.0, "1/mM/ms", 0.0, 100.0)
    transducin: Leaf = param(1.0, "mM", 0.0, 10.0)
    pde: Leaf = param(0.1, "mM", 0.0, 10.0)
    buffer_total: Leaf = param(0.5, "mM", 0.0, 10.0)
    least: Leaf = param(1e-4, "mM", 0.0, 1.0)

    def pools(self, name):
        ca = self.inside
        return {
            "light": self.light,
            "cgmp": self.cyclase * (1 - hill(ca, self.K_cyclase, 4)) / self.hydrolysis,
            f"{name}_i": ca,
            f"{name}_bound": self.buffer_total * _BIND * ca / (_BIND * ca + _LEAVE),
        } | {f"{name}_{k}": 0.0 for k in ("rh", "rhi", "tr", "pde")}

    def advance(self, name, c, carried, dt):
        light, cgmp = c["light"], c["cgmp"]
        ca, bound, rh, rhi, tr, pde = (
            c[f"{name}_{k}"] for k in ("i", "bound", "rh", "rhi", "tr", "pde")
        )
        made = 1e-3 * self.per_photon * light
        rh = relaxed(lambda rh: made - _ACTIVE * rh + _BACK * rhi, rh, dt)
        rhi = relaxed(lambda rhi: _ACTIVE * rh - (_BACK + _SPENT) * rhi, rhi, dt)
        on = _TRANSDUCIN * rh
        tr = relaxed(lambda tr: on * (self.transducin - tr) - _TRANSDUCIN_OFF * tr, tr, dt)
        joined = bound_in(tr, pde, self.pde, _PDE, _PDE_OFF, dt)
        tr, pde = tr - joined, pde + joined
        opened = hill(cgmp, self.K_open, 3)
        ca = relaxed(lambda ca: self.influx * opened - _OUT * (ca - self.least), ca, dt)
        caught = bound_in(ca, bound, self.buffer_total, _BIND, _LEAVE, dt)
        ca, bound = ca - caught, bound + caught
        made = self.cyclase * (1 - hill(ca, self.K_cyclase, 4))
        cgmp = relaxed(lambda g: made - g * (self.hydrolysis + self.by_pde * pde), cgmp, dt)
        return {
            "light": light,
            "cgmp": cgmp,
            f"{name}_i": ca,
            f"{name}_bound": bound,
            f"{name}_rh": rh,
            f"{name}_rhi": rhi,
            f"{name}_tr": tr,
            f"{name}_pde": pde,
        }


_LOW, _LOW_ON, _LOW_OFF = 0.5, 0.4, 2e-4  # buffer of low affinity: mM, 1/mM/ms, 1/ms
_HIGH, _HIGH_ON, _HIGH_OFF = 0.3, 100.0, 0.09


@pytree
class RodCalcium(Ion):
    """Calcium of a rod's inner segment, below the membrane (ca_i) and within (ca_f).

    In each are a buffer of low and one of high affinity (ca_ls, ca_hs; ca_lf, ca_hf). What leaves
    one volume enters the other, to rounding. Of an Ion's own it has `inside`, `outside`, `depth`.

    Source: Kamiyama, Wu & Usui 2009, Vision Res 49:970, doi:10.1016/j.visres.2009.03.003; volumes
    over the 2000 um2 of 20 pF.
    """

    valence: int = static(2)
    inside: Leaf = param(9.65627e-5, "mM", 1e-6, 1.0)
    outside: Leaf = param(1.6, "mM", 1e-6, 1000.0)
    depth: Leaf = param(0.1906, "um", 1e-3, 100.0)
    depth_f: Leaf = param(0.2618, "um", 1e-3, 100.0)
    transfer: Leaf = param(0.16485, "1/ms", 0.0, 100.0)  # of what is below the membrane

    def pools(self, name):
        ca = self.inside
        low = _LOW * _LOW_ON * ca / (_LOW_ON * ca + _LOW_OFF)
        high = _HIGH * _HIGH_ON * ca / (_HIGH_ON * ca + _HIGH_OFF)
        held = {"i": ca, "f": ca, "ls": low, "lf": low, "hs": high, "hf": high}
        return {f"{name}_{k}": x for k, x in held.items()}

    def advance(self, name, c, carried, dt):
        surface, core = c[f"{name}_i"], c[f"{name}_f"]
        ls, hs, lf, hf = (c[f"{name}_{k}"] for k in ("ls", "hs", "lf", "hf"))
        surface = surface - dt * change_of_pool(carried[name], 2, self.depth)
        ratio = self.depth / self.depth_f
        leaving = dt * self.transfer
        moved = leaving * (surface - core) * relax_mean(leaving * (1 + ratio))
        surface, core = surface - moved, core + moved * ratio
        surface, ls, hs = _buffered(surface, ls, hs, dt)
        core, lf, hf = _buffered(core, lf, hf, dt)
        held = {"i": surface, "f": core, "ls": ls, "lf": lf, "hs": hs, "hf": hf}
        return {f"{name}_{k}": x for k, x in held.items()}


def _buffered(ca, low, high, dt):
    """Free calcium and both buffers after they have exchanged for dt."""
    caught = bound_in(ca, high, _HIGH, _HIGH_ON, _HIGH_OFF, dt)
    ca, high = ca - caught, high + caught
    caught = bound_in(ca, low, _LOW, _LOW_ON, _LOW_OFF, dt)
    return ca - caught, low + caught, high


def bound_in(c: jax.Array, b: jax.Array, total, on, off, dt) -> jax.Array:
    """How much of c binds in dt to the sites, of which b are filled, that are `total`, mM."""

    def rate(x):
        return on * (total - b - x) * (c - x) - off * (b + x)

    return relaxed(rate, jnp.zeros_like(c), dt)
