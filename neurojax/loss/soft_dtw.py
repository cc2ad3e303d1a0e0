"""Soft dynamic time warping: two courses compared after the best stretching of time."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine.folds import Carry, Fold
from neurojax.loss.features import along
from neurojax.loss.stream import sampled
from neurojax.membrane.channel import Leaf, field, pytree
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.observables import amplifier_potential
from neurojax.recording.trace import Trace

_FAR = 1e9
"""What it costs to be outside of the data: a number, so that no infinity meets another."""


@pytree
class _Band:
    """The data around each record."""

    v: Any = field(axes=("place",))  # mV
    cost: Any = field(axes=("place",))  # of a place that is outside of the data


@pytree
class SoftDTW(Fold):
    """Soft-DTW of the potential and data, over the number of records; 1 is a mean error of `scale`.

    With c_ij = ((v_i - data_j) / scale_mV)^2, D_ij = c_ij + softmin(D_i-1,j, D_i,j-1, D_i-1,j-1),
    where softmin(x) = -gamma log sum exp(-x / gamma); no more than a band of places |i - j| is
    looked at, and carried. The result, D of both last records, may be a little below zero. Each
    record costs as many operations as the band is wide, so take few of them (`every`).

    Source: Cuturi & Blondel 2017, Proc ICML 70:894 (arXiv:1703.01541).
    """

    unit: ClassVar[str] = "1"
    scale_mV: Leaf
    gamma: Leaf
    records: Leaf
    first: Any = field(axes=("place",))  # D before the first record

    def init(self, cell: Cell, s: State) -> Carry:
        places = jnp.shape(self.first)[0]
        zero = jnp.zeros((places, *s.v.shape), s.v.dtype)
        return zero + along(self.first, zero)

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        v = amplifier_potential(cell, s)
        data, far = (along(a, carry) for a in (row.v, row.cost))
        cost = ((v - data) / self.scale_mV) ** 2
        # Places move along with the record: the same data are one place on in the record before.
        before = jnp.concatenate([carry[1:], jnp.full_like(carry[:1], _FAR)])
        come = self._softmin(jnp.stack([before, carry])) + far
        # From where a path comes it may go on along the data: D_k = total_k + softmin over all
        # l <= k of come_l - total_l-1, for all k at once.
        total = jnp.cumsum(cost, axis=0)
        places = jnp.arange(len(carry))
        later = (places[:, None] > places).reshape(len(carry), len(carry), *[1] * v.ndim)
        paths = jnp.where(later, 2 * _FAR, (come - (total - cost))[:, None])
        return jnp.where(far > 0, _FAR, jnp.minimum(total + self._softmin(paths), _FAR))

    def _softmin(self, x: jax.Array) -> jax.Array:
        """Over the first axis."""
        least = jax.lax.stop_gradient(x.min(0))
        return least - self.gamma * jnp.log(jnp.exp((least - x) / self.gamma).sum(0))

    def finish(self, carry: Carry, duration: Leaf) -> jax.Array:
        return carry[len(carry) // 2] / self.records


def soft_dtw(
    trace: Trace,
    record_ms: float,
    band_ms: float = 5.0,
    scale_mV: float = 10.0,
    gamma: float = 0.1,
) -> SoftDTW:
    """The objective that a run, stretched in time by up to `band_ms`, is as a trace.

    gamma: how soft the least is, in units of (scale_mV)^2. Raises ValueError for a band of less
    than a record.
    """
    half = round(band_ms / record_ms)
    if half < 1:
        raise ValueError(f"band_ms = {band_ms}: expected at least one record of {record_ms} ms")
    v = sampled(trace, record_ms)[1:]
    at = np.arange(v.size)[:, None] + np.arange(-half, half + 1)
    outside = (at < 0) | (at >= v.size)
    band = _Band(v=v[np.clip(at, 0, v.size - 1)], cost=np.where(outside, _FAR, 0.0))
    # Before the first record nothing has been passed but the place before the first of the data.
    first = np.where(np.arange(2 * half + 1) == half, 0.0, _FAR)
    return SoftDTW(scale_mV=scale_mV, gamma=gamma, records=float(v.size), first=first, data=band)
