"""The balance of currents in a cell made to follow its recording: linear in its conductances.

With the potential known, gates are known, and what is injected must charge the membrane and flow
through the channels: area (C_m dv/dt + sum of g_k j_k) = i, with j_k the current of channel k for
one unit of g_k. Integrated over short windows it needs no derivative of a noisy trace. Through a
pipette v and i are those behind it.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine import runner, scan
from neurojax.engine.folds import Carry, Fold
from neurojax.engine.runner import Place
from neurojax.membrane.axes import batch_shape
from neurojax.membrane.channel import Leaf, pytree, static
from neurojax.membrane.compartment import Cell, State, channel_current
from neurojax.membrane.electrode import Electrode
from neurojax.membrane.path_names import substitute
from neurojax.membrane.pipette import clamped, membrane_v
from neurojax.model.space import Space
from neurojax.recording.trace import Trace
from neurojax.units import PA

QUIET_MV = 3.0
"""Windows over which the potential moves by more count less: in a spike all terms are noisy."""

Values = tuple[tuple[str, float], ...]
"""Parameter values by path name, hashable."""


class Column(NamedTuple):
    """One linear unknown: the current of some channels at these values of their parameters."""

    channels: tuple[str, ...]
    values: Values


class Row(NamedTuple):
    """What a step means to the windows it lies in: hats that rise over a block of steps and fall
    over the next, so that every step lies in two."""

    v: np.ndarray  # [step] mV, as recorded, in the middle of the step
    slope: np.ndarray  # mV/ms, of v
    rise: np.ndarray  # weight in the window that begins with this block, ms
    fall: np.ndarray  # in the one that ends with it, ms
    turn: np.ndarray  # True where a block ends
    weight: np.ndarray  # of the window that ends here
    charge: np.ndarray  # injected over it, uA ms


def rows(trace: Trace, dt: float, block: int) -> Row:
    """The steps of a recorded sweep, in windows of twice `block` steps."""
    v, i = (_means(x, trace.dt_ms, dt) for x in (trace.v_mV, trace.i_pA * PA))
    n = v.size // block * block
    up = np.resize((np.arange(block) + 0.5) / block, n)
    last = np.arange(n) % block == block - 1
    charge, rise_mV = np.zeros(n), np.zeros(n)
    risen, fallen = ((w * i[:n] * dt).reshape(-1, block).sum(axis=1) for w in (up, 1 - up))
    charge[last] = np.r_[0.0, risen[:-1]] + fallen
    rise_mV[last] = np.diff(v[:n].reshape(-1, block).mean(axis=1), prepend=0.0)
    weight = (last & (np.arange(n) >= block)) / (1 + (rise_mV / QUIET_MV) ** 2)
    slope = np.gradient(v[:n]) / dt
    return Row(v[:n], slope, up * dt, (1 - up) * dt, last, weight, charge)


def noise_of_rise(trace: Trace, dt: float, block: int) -> float:
    """The variance (mV2) that white noise of the recording leaves in the rise over a window.

    A noisy regressor draws every estimate towards zero; what is known of its noise can be taken
    off. The noise is read off second differences, of which few see a spike.
    """
    second = np.diff(trace.v_mV, 2)
    sd = np.median(np.abs(second)) / 0.6745 / math.sqrt(6) if second.size else 0.0
    return float(2 * sd**2 / max(1.0, block * dt / trace.dt_ms))


def _means(samples: np.ndarray, dt_from: float, dt_to: float) -> np.ndarray:
    """Means of linearly interpolated samples over steps of `dt_to`, ms."""
    n = int(np.floor((samples.size - 1) * dt_from / dt_to + 1e-6))
    area = np.r_[0.0, np.cumsum(0.5 * (samples[1:] + samples[:-1]))] * dt_from
    at = np.arange(n + 1) * dt_to / dt_from
    k = np.minimum(at.astype(int), samples.size - 2)
    part = at - k  # within a sample the integral is a parabola
    bent = samples[k] * part + 0.5 * (samples[k + 1] - samples[k]) * part**2
    return np.diff(area[k] + bent * dt_from) / dt_to


@pytree
class Balance(Fold):
    """Products of all terms of the balance, summed over the windows, `[Q, Q, *pop]`.

    Q terms: the columns and the current of all other channels (uA/cm2 ms), by how much the
    potential rose (mV), and the injected charge (uA ms).
    """

    columns: tuple[Column, ...] = static(())
    block: int = static(1)  # steps

    def _terms(self, cell: Cell, s: State, v: jax.Array) -> jax.Array:
        """Current densities in this step, uA/cm2, `[columns + 1, *pop]`."""
        linear = {key for column in self.columns for key in column.channels}
        asked = [(c.channels, substitute(cell, dict(c.values))) for c in self.columns]
        asked.append((tuple(key for key in cell.channels if key not in linear), cell))
        zero = jnp.zeros_like(s.v)
        s = s._replace(c={k: x for k, x in s.c.items() if k != "coupling"})  # which imposes v
        return jnp.stack(
            [sum((channel_current(c, k, v, s.x[k], s.c) for k in keys), zero) for keys, c in asked]
        )

    def init(self, cell: Cell, s: State) -> Carry:
        terms, zero = jnp.zeros_like(self._terms(cell, s, s.v)), jnp.zeros_like(s.v)
        Q = len(self.columns) + 3
        return terms, terms, terms, zero, zero, jnp.zeros((Q, Q, *s.v.shape), s.v.dtype)

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        before, rising, falling, last, mean, products = carry
        v = jnp.broadcast_to(membrane_v(cell, row.v, row.slope, s.c), s.v.shape)
        mean = mean + v / self.block
        terms = self._terms(cell, s, v)
        rising, falling = rising + row.rise * terms, falling + row.fall * terms
        known = [mean - last, jnp.broadcast_to(row.charge, s.v.shape)]
        window = jnp.concatenate([before + falling, jnp.stack(known)])
        products = products + row.weight * window[:, None] * window[None]
        turned = [(rising, before), (0.0, rising), (0.0, falling), (mean, last), (0.0, mean)]
        return *(jnp.where(row.turn, then, still) for then, still in turned), products

    def finish(self, carry: Carry, duration: Leaf):
        return carry[-1]


@partial(jax.jit, static_argnames=("space", "place"))
def products(
    cell: Cell,
    space: Space,
    z: jax.Array,
    electrode: Electrode,
    fold: Balance,
    v_start: jax.Array,
    dt: float,
    place: Place,
):
    """The products `[Q, Q, n]` of cells z `[P, n]` on which an electrode imposes the recording."""

    def program(cell: Cell, theta: Any, v_start: Any, electrode: Electrode, fold: Balance):
        cell = space.apply(cell, theta)
        s = clamped(cell, v_start, batch_shape(theta))
        return scan.value(cell, s, electrode, dt, fold)

    things = {"cell": cell, "theta": space.values(z), "v_start": v_start}
    live = runner.live_arrays(cell) + (len(fold.columns) + 3) ** 2
    return runner.run_population(program, place, live, **things, electrode=electrode, fold=fold)
