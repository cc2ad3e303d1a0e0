"""The phase plane: how long a cell is at which potential and speed, whenever that is."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine.folds import Carry, Residuals
from neurojax.loss.features import along
from neurojax.loss.stream import carried, sampled
from neurojax.membrane.channel import Leaf, field, pytree, static
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.observables import amplifier_potential
from neurojax.membrane.sums import zero_sum
from neurojax.recording.trace import Trace


@pytree
class PhasePlane(Residuals):
    """Squared difference of the density of (v, dv/dt) from that of data, over the data's square.

    The density is a histogram in which each record is shared by its neighbours, linearly, so that
    it has a slope. v has `bins[0]` places from `low` to `high` (mV), dv/dt has `bins[1]` from
    -fastest to fastest, equal steps of asinh(dv/dt / slow), so that the slow part of the cycle is
    seen as well as the spike. Blind to when something happens.

    Source: LeMasson & Maex 2001, in De Schutter (ed.), Computational Neuroscience, CRC Press.
    Deviates: there the histogram is a step function.
    """

    unit: ClassVar[str] = "1"
    record_ms: Leaf
    low: Leaf = -90.0  # mV
    high: Leaf = 50.0  # mV
    slow: Leaf = 1.0  # mV/ms
    fastest: Leaf = 300.0  # mV/ms
    bins: tuple[int, int] = static((15, 11))
    target: Any = field(None, axes=("place of v", "place of dv/dt"))  # share of records
    scale: Leaf = 1.0

    def init(self, cell: Cell, s: State) -> Carry:
        v = amplifier_potential(cell, s)
        return v, zero_sum((*self.bins, *v.shape), v.dtype)

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        (earlier, density), v = carry, amplifier_potential(cell, s)
        middle, slope = 0.5 * (v + earlier), (v - earlier) / self.record_ms
        across = _shared((middle - self.low) / (self.high - self.low), self.bins[0])
        speed = _asinh(slope / self.slow) / _asinh(self.fastest / self.slow)
        along = _shared(0.5 + 0.5 * speed, self.bins[1])
        return v, density.plus(across[:, None] * along[None])

    def residuals(self, carry: Carry, duration: Leaf) -> jax.Array:
        density = self.density(carry, duration)
        off = (density - along(self.target, density)) * self.scale
        return off.reshape(-1, *density.shape[2:])

    def density(self, carry: Any, duration: Leaf) -> Leaf:
        """The share of records at each place, `[place of v, place of dv/dt, *pop]`."""
        return carry[1].value() * (self.record_ms / duration)


def phase_plane(trace: Trace, record_ms: float, bins: tuple[int, int] = (15, 11)) -> PhasePlane:
    """The objective that a run dwells in the phase plane where a trace does."""
    v = sampled(trace, record_ms)
    margin = 0.1 * (v.max() - v.min()) + 1.0
    bare = PhasePlane(record_ms=record_ms, low=v.min() - margin, high=v.max() + margin, bins=bins)  # pyright: ignore[reportCallIssue]
    density = np.asarray(bare.density(carried(bare, v), (v.size - 1) * record_ms), dtype=float)
    scale = float(1 / np.sqrt((density**2).sum()))
    return dataclasses.replace(bare, target=density, scale=scale)


def _shared(x: Any, places: int) -> Any:
    """How much of x, from 0 to 1, each of equally spaced places has: `[place, *pop]`, sum 1."""
    x = jnp.clip(x, 0.0, 1.0) * (places - 1)
    at = jnp.arange(places).reshape(-1, *[1] * x.ndim)
    return jnp.maximum(1 - jnp.abs(x - at), 0.0)


def _asinh(x: Any) -> Any:
    return jnp.sign(x) * jnp.log(jnp.abs(x) + jnp.sqrt(x * x + 1))
