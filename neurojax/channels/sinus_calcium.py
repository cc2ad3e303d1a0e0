"""Calcium of the sinus node: what releases, stores, buffers and moves it inside the cell."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax

from neurojax.membrane.channel import Leaf, param, pytree, static
from neurojax.membrane.ions import Ion, change_of_pool
from neurojax.membrane.rates import hill, sigmoid
from neurojax.membrane.relaxation import relax_lag, relax_mean

_CELL = math.pi * 3.9**2 * 67  # um3, a cylinder
_SUB = 2 * math.pi * 0.02 * (3.9 - 0.01) * 67  # the shell of 0.02 um under its membrane
_AREA = 5700.0  # um2 of 57 pF

_MAGNESIUM = 2.5  # mM


class Buffer(NamedTuple):
    """What binds calcium: so much of it, at these rates."""

    total: float  # mM
    on: float  # 1/mM/ms
    off: float  # 1/ms

    def filled(self, c: Leaf) -> Leaf:
        """The part that is bound in equilibrium."""
        return self.on * c / (self.on * c + self.off)


_CALMODULIN = Buffer(0.045, 1642.0, 0.542)
_CALSEQUESTRIN = Buffer(10.0, 0.1754, 0.445)
_TROPONIN = Buffer(0.031, 88.8, 0.446)
_TROPONIN_MG = Buffer(0.062, 227.7, 7.51e-3)  # sites that magnesium takes too:
_MG_ON, _MG_OFF = 2.277 * _MAGNESIUM, 0.751  # 1/ms


@pytree
class SinusCalcium(Ion):
    """Calcium in the cytosol (ca_i), the subspace under the membrane (ca_sub), the network and the
    junctional part of the sarcoplasmic reticulum (ca_nsr, ca_jsr), and on its buffers.

    Of an Ion's own it has `inside`, `outside` and `depth`, the cytosol's volume per membrane area.
    Calcium that channels carry under the name "ca_sub" enters the subspace. Release channels are
    open by two independent gates: ca_open with calcium squared, unless ca_shut with calcium. Parts
    of buffers that are filled: calmodulin (ca_cm, ca_cm_sub), calsequestrin (ca_cq), troponin
    (ca_tc; ca_tmc with calcium and ca_tmm with magnesium). What leaves one volume enters the other,
    to rounding.

    Source: Fabbri et al. 2017, J Physiol 595:2365, doi:10.1113/JP273259, after Severi et al. 2012,
    J Physiol 590:4483, doi:10.1113/jphysiol.2012.229435; volumes over the 5700 um2 of 57 pF.
    Deviates: their four states of the release channel are the same as the two gates.
    """

    valence: int = static(2)
    inside: Leaf = param(1e-4, "mM", 1e-6, 1.0)
    inside_sub: Leaf = param(6e-5, "mM", 1e-6, 1.0)
    inside_nsr: Leaf = param(0.41, "mM", 1e-3, 100.0)
    inside_jsr: Leaf = param(0.27, "mM", 1e-3, 100.0)
    outside: Leaf = param(1.8, "mM", 1e-6, 1000.0)
    depth: Leaf = param((0.46 * _CELL - _SUB) / _AREA, "um", 1e-3, 1e4)
    depth_sub: Leaf = param(_SUB / _AREA, "um", 1e-5, 10.0)
    depth_nsr: Leaf = param(0.0116 * _CELL / _AREA, "um", 1e-5, 10.0)
    depth_jsr: Leaf = param(0.0012 * _CELL / _AREA, "um", 1e-5, 10.0)
    release: Leaf = param(1.480410851e5, "1/ms", 0.0, 1e7)
    tau_diffusion: Leaf = param(0.05469, "ms", 1e-3, 10.0)
    tau_transfer: Leaf = param(40.0, "ms", 0.1, 1e4)
    up_max: Leaf = param(5e-3, "mM/ms", 0.0, 1.0)
    up_K: Leaf = param(2.86113e-4, "mM", 1e-6, 0.1)

    def pools(self, name):
        i, sub, jsr = self.inside, self.inside_sub, self.inside_jsr
        (opening, closing), (shutting, freeing) = self._release_rates(sub, jsr)
        mg, ca = _MG_ON / _MG_OFF, _TROPONIN_MG.on * i / _TROPONIN_MG.off
        parts = {
            "i": i,
            "sub": sub,
            "nsr": self.inside_nsr,
            "jsr": jsr,
            "open": opening / (opening + closing),
            "shut": shutting / (shutting + freeing),
            "cm": _CALMODULIN.filled(i),
            "cm_sub": _CALMODULIN.filled(sub),
            "cq": _CALSEQUESTRIN.filled(jsr),
            "tc": _TROPONIN.filled(i),
            "tmc": ca / (1 + ca + mg),
            "tmm": mg / (1 + ca + mg),
        }
        return {f"{name}_{k}": value for k, value in parts.items()}

    def advance(self, name, c, carried, dt):
        now = {k: c[f"{name}_{k}"] for k in _PARTS}
        i, sub, nsr, jsr = (now[k] for k in ("i", "sub", "nsr", "jsr"))
        new = self._release_moved(now, dt)
        released = self.release * now["open"] * (1 - now["shut"]) * (jsr - sub)
        transferred = (nsr - jsr) / self.tau_transfer
        taken = self.up_max * sigmoid((i - self.up_K) / 5e-5)

        entering = -change_of_pool(carried.get(f"{name}_sub", 0.0), 2, self.depth_sub)
        entering = entering + released * self.depth_jsr / self.depth_sub
        cm = (_CALMODULIN, now["cm_sub"], 1 - now["cm_sub"])
        spread = 1 / self.tau_diffusion
        mean, new["sub"], (new["cm_sub"],) = bound(sub, entering + i * spread, spread, [cm], dt)

        gained = (mean - i) * spread * self.depth_sub - taken * self.depth_nsr
        gained = gained / self.depth - change_of_pool(carried[name], 2, self.depth)
        tmc, tmm = now["tmc"], now["tmm"]
        buffers = [
            (_CALMODULIN, now["cm"], 1 - now["cm"]),
            (_TROPONIN, now["tc"], 1 - now["tc"]),
            (_TROPONIN_MG, tmc, 1 - tmc - tmm),
        ]
        _, new["i"], (new["cm"], new["tc"], new["tmc"]) = bound(i, gained, 0.0, buffers, dt)
        mg = _MG_ON + _MG_OFF
        new["tmm"] = tmm + dt * (_MG_ON * (1 - tmc) - mg * tmm) * relax_mean(dt * mg)

        cq = (_CALSEQUESTRIN, now["cq"], 1 - now["cq"])
        _, new["jsr"], (new["cq"],) = bound(jsr, transferred - released, 0.0, [cq], dt)
        new["nsr"] = nsr + dt * (taken - transferred * self.depth_jsr / self.depth_nsr)
        return {f"{name}_{k}": value for k, value in new.items()}

    def _release_rates(self, sub, jsr):
        """Of the release channels' two gates: to their state with calcium and back, 1/ms."""
        load = 15 - 14 * hill(jsr, 0.45, 2.5)
        return (10 / load * sub * sub, 0.66), (0.5 * load * sub, 5e-3)

    def _release_moved(self, now, dt):
        moved = {}
        rates = self._release_rates(now["sub"], now["jsr"])
        for gate, (forth, back) in zip(("open", "shut"), rates, strict=True):
            rate = forth + back
            moved[gate] = now[gate] + dt * (forth - rate * now[gate]) * relax_mean(dt * rate)
        return moved


_PARTS = ("i", "sub", "nsr", "jsr", "open", "shut", "cm", "cm_sub", "cq", "tc", "tmc", "tmm")


def bound(
    c: jax.Array, source, decay, buffers: list[tuple[Buffer, jax.Array, jax.Array]], dt
) -> tuple[jax.Array, jax.Array, list[jax.Array]]:
    """An ion c' = source - decay c beside buffers (filled, free), after a step dt.

    Its mean during the step, its end, and how filled the buffers are then. Buffers see the mean, so
    what they take is what is lost; c relaxes as if their occupancy stood still, which is stable
    however fast they bind.
    """
    slope = decay + sum(b.total * b.on * free for b, _, free in buffers)
    unbinding = sum(b.total * b.off * filled for b, filled, _ in buffers)
    mean = c + dt * (source + unbinding - slope * c) * relax_lag(dt * slope)
    end = c + dt * (source + unbinding - slope * mean)
    moved = [filled + dt * (b.on * mean * free - b.off * filled) for b, filled, free in buffers]
    return mean, end, moved
