"""The least-squares problem: sweeps and free parameters as a function of points in the unit box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.cell import Cell, settled, surroundings
from neurojax.electrode import Trace
from neurojax.engine import blocked, scan
from neurojax.engine.pieces import Gradient
from neurojax.fit.parameters import Space
from neurojax.fold import Fold
from neurojax.gradient import differentiate
from neurojax.loss import Sweep

Objective = Callable[[Trace, float], Fold]
"""Makes the fold that judges a simulation of a trace from records at record_ms, 2 record_ms ..."""

RATE_LIMITS = (1.67e-5, 1e3)
"""Rates (1/ms) between which every gate of a random start stays over the potentials of the data.

Source: the prior of Beattie et al. 2018, J Physiol 596:1813, doi:10.1113/JP275733.
"""


@dataclass(frozen=True, eq=False)
class Problem:
    """Sum of squares over all sweeps, its gradient and Gauss-Newton matrix at z `[P, pop]`."""

    cell: Cell
    space: Space
    sweeps: Sequence[Sweep]
    dt: float
    every: int
    clamp: str

    @property
    def unit(self) -> str:
        """Of the error, the root of the sum of squares."""
        return self.sweeps[0].error.unit

    @property
    def samples(self) -> int:
        """How many records count."""
        return sum(int((np.asarray(s.error.data.weight) > 0).sum()) for s in self.sweeps)

    def __call__(self, z: jax.Array, nudge: float = 0.0) -> Gradient:
        """Summed over the sweeps, every cell coupled to its data by `nudge` mS/cm2 (current clamp).

        The gradient is with respect to z.
        """
        how = self.dt, self.every, blocked.place_of(self.cell, z)
        folds = [
            _evaluate(self.cell, self.space, z, *self._coupled(s, nudge), *how) for s in self.sweeps
        ]
        return jax.tree.map(lambda *parts: sum(parts), *folds)

    def thinned(self, z: jax.Array, nudge: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Every tenth record, weighted: simulated `[record, pop]` and data `[record]`."""
        parts = [
            _thinned(self.cell, self.space, z, *self._coupled(s, nudge), self.dt, 10 * self.every)
            for s in self.sweeps
        ]
        simulated, data = zip(*parts, strict=True)
        return np.concatenate(simulated), np.concatenate(data)

    def _coupled(self, sweep: Sweep, nudge: float):
        electrode = sweep.electrode
        if self.clamp == "current":
            # As an array, so that another strength is not another program.
            electrode = electrode._replace(g=jnp.asarray(nudge * float(self.cell.area)))
        return electrode, sweep.error, sweep.v_start


@partial(jax.jit, static_argnames=("space", "every", "place"))
def _evaluate(cell, space, z, electrode, error, v_start, dt, every, place):
    def build(shared, theta):
        cell, v_start = shared
        cell = space.apply(cell, theta)
        return cell, settled(cell, v_start)

    theta = space.values(z)
    found = differentiate(
        build, (cell, v_start), theta, electrode, dt, error, every, z.shape[1:], place, matrix=True
    )
    assert found.matrix is not None
    slope = space.slopes(z)
    return Gradient(
        found.value, found.gradient * slope, found.matrix * slope[:, None] * slope[None]
    )


@partial(jax.jit, static_argnames=("space", "every"))
def _thinned(cell, space, z, electrode, error, v_start, dt, every):
    cell = space.apply(cell, space.values(z))
    s = settled(cell, v_start, z.shape[1:])
    _, seen, _ = scan.run(cell, s, electrode, dt, error.measured, every)
    data, weight = (a[9::10][: len(seen)] for a in error.data)
    return seen * weight[:, None], data * weight


def random_starts(
    problem: Problem, traces: Sequence[Trace], starts: int, draws: int, nudge: float, seed: int
) -> np.ndarray:
    """Random points of the box `[P, start]`, each the best of its own `draws`.

    A clamp current is linear in the conductances, so in voltage clamp each draw is first brought to
    its best amplitude; otherwise draws that carry no current at all would pass for good ones.
    """
    space = problem.space
    z = space.random(starts * draws, seed, partial(_rate_excess, problem.cell, space, traces))
    if draws == 1:
        return z
    simulated, data = problem.thinned(jnp.asarray(z), nudge)
    gain = np.ones(z.shape[1])
    g_bars = [name for name in space.names if name.endswith(".g_bar")]
    if problem.clamp == "voltage" and len(g_bars) == len(problem.cell.channels):
        with np.errstate(all="ignore"):
            gain = (simulated * data[:, None]).sum(0) / (simulated * simulated).sum(0)
        z, gain = _scaled(space, z, g_bars, np.nan_to_num(gain, nan=1.0))
    error = ((gain * simulated - data[:, None]) ** 2).sum(0)
    error = np.where(np.isfinite(error), error, np.inf).reshape(draws, starts)
    return z.reshape(len(z), draws, starts)[:, error.argmin(axis=0), np.arange(starts)]


def _scaled(space: Space, z: np.ndarray, g_bars: list[str], gain: np.ndarray):
    """The points, their conductances times `gain` as far as bounds allow, and that gain."""
    values = {k: np.asarray(v) for k, v in space.values(z).items()}
    for f in space.free:
        if f.name in g_bars:
            gain = np.clip(gain, f.low / values[f.name], f.high / values[f.name])
    return space.point(values | {name: values[name] * gain for name in g_bars}), gain


def _rate_excess(cell: Cell, space: Space, traces: Sequence[Trace], theta) -> jax.Array:
    """By how many e-folds `[pop]` gates leave RATE_LIMITS over the traces' potentials."""
    cell = space.apply(cell, theta)
    low, high = np.log(RATE_LIMITS)
    excess = jnp.zeros(jnp.shape(next(iter(theta.values()))))
    for v in (min(t.v_mV.min() for t in traces), max(t.v_mV.max() for t in traces)):
        s = settled(cell, v)
        for key, channel in cell.channels.items():
            seen = surroundings(cell, key, s.c)
            for gate in channel.kinetics(s.v, cell.celsius, **seen).values():
                at = jnp.log(gate.rate)
                excess = jnp.maximum(excess, jnp.maximum(at - high, low - at))
    return excess
