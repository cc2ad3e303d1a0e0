"""Draw: random points of the box, each the best of several draws, from which to walk downhill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.fit.budget import Budget
from neurojax.fit.candidates import Candidates
from neurojax.fit.precision import computing
from neurojax.fit.problem import Problem
from neurojax.fit.task import Task
from neurojax.membrane.axes import aligned, batch_shape
from neurojax.membrane.compartment import Cell, environment, warmed
from neurojax.membrane.requirements import check_single
from neurojax.membrane.rest import steady_state
from neurojax.model.space import Space
from neurojax.recording.trace import Trace

RATE_LIMITS = (1.67e-5, 1e3)
"""Rates (1/ms) between which every gate of a random start stays over the potentials of the data.

Source: the prior of Beattie et al. 2018, J Physiol 596:1813, doi:10.1113/JP275733.
"""

COARSE_MS = 0.5
"""Time step of a first round under voltage clamp: gates are exact there while v is held.

Not of a cell with compartments, in which the rest follows.
"""


@dataclass(frozen=True)
class Draw:
    """`starts` random points, each the best of its own `draws` by the squared error.

    A clamp current is linear in the conductances, so in voltage clamp each draw is first brought to
    its best amplitude; otherwise draws that carry no current at all would pass for good ones. In
    current clamp the cells are coupled to the data by `coupling`. Points that came from a stage
    before are kept.
    """

    starts: int = 32
    draws: int = 16
    coupling: float = 0.0  # mS/cm2
    dt: float | None = None  # ms; default: the task's
    name: str = "draw"

    def run(self, task: Task, found: Candidates | None, budget: Budget) -> Candidates:
        """Each start that is finite, best first."""
        problem = task.stepped(self.dt).problem()
        with budget.stage(self.name, problem.unit) as log:
            n = self.starts * self.draws
            z = task.space.random(n, task.seed, partial(_rate_excess, task))
            z, errors = _best_of_its_draws(problem, z, self.draws, self.coupling)
            log.step(1, 1, errors.min(), evaluations=n * len(problem.sweeps))
            log.conclude(errors)
            if found is not None:
                z = np.concatenate([found.z, z], axis=1)
                errors = np.concatenate([found.errors, errors])
            return Candidates.sorted(z, errors, problem.unit)
        raise KeyboardInterrupt


def found_or_drawn(
    task: Task, found: Candidates | None, budget: Budget, fresh: Draw, stage: str
) -> Candidates:
    """What a stage that knows current clamp only begins with: what was found, or else fresh draws.

    Raises ValueError for voltage clamp, and for a cell with compartments.
    """
    if task.clamp == "voltage":
        raise ValueError(f"{stage} follows recorded potentials: it needs current clamp")
    check_single(task.cell, f"the stage {stage!r}")
    return fresh.run(task, None, budget) if found is None else found


def _best_of_its_draws(problem: Problem, z: np.ndarray, draws: int, coupling: float):
    """Of points `[P, draws * n]` the best of each n, and their errors, from every tenth record."""
    simulated, data = problem.thinned(z, coupling)
    gain = np.ones(z.shape[1])
    space = problem.space
    g_bars = [name for name in space.names if name.endswith(".g_bar")]
    # Along a tree axial currents do not grow with the conductances.
    linear = problem.clamp == "voltage" and not problem.cell.state_axes
    if draws > 1 and linear and len(g_bars) == len(problem.cell.channels):
        with np.errstate(all="ignore"):
            gain = (simulated * data[:, None]).sum(0) / (simulated * simulated).sum(0)
        z, gain = _scaled(space, z, g_bars, np.nan_to_num(gain, nan=1.0))
    error = np.sqrt(10 * ((gain * simulated - data[:, None]) ** 2).sum(0))
    error = np.where(np.isfinite(error), error, np.inf).reshape(draws, -1)
    best = error.argmin(axis=0), np.arange(error.shape[1])
    return z.reshape(len(z), draws, -1)[:, *best], error[best]


def _scaled(space: Space, z: np.ndarray, g_bars: list[str], gain: np.ndarray):
    """The points, their conductances times `gain` as far as bounds allow, and that gain."""
    values = space.values(z)
    for f in space.free:
        if f.name in g_bars:
            gain = np.clip(gain, f.low / values[f.name], f.high / values[f.name])
    return space.point(values | {name: values[name] * gain for name in g_bars}), gain


def _rate_excess(task: Task, theta: Mapping[str, np.ndarray]) -> np.ndarray:
    """By how many e-folds `[n]` gates leave RATE_LIMITS over the traces' potentials."""
    with computing(task.precision):
        return np.asarray(_excess(task, task.space.apply(task.cell, theta)))


def _excess(task: Task, cell: Cell) -> jax.Array:
    low, high = np.log(RATE_LIMITS)
    excess = jnp.zeros(())
    cell = aligned(cell, batch_shape(cell))
    for v in _extremes(task.traces):
        s = steady_state(cell, v)
        for key, channel in cell.channels.items():
            if not channel.ionic:  # a pipette's potential is no gate
                continue
            seen = environment(cell, key, s.c)
            for gate in warmed(cell, key).kinetics(s.v, cell.celsius, **seen).values():
                at = jnp.log(gate.rate)
                excess = jnp.maximum(excess, jnp.maximum(at - high, low - at))
    worst = tuple(range(min(len(cell.state_axes), excess.ndim)))  # of all compartments
    return excess.max(worst)


def _extremes(traces: Sequence[Trace]) -> tuple[float, float]:
    """The lowest and the highest potential of the data, mV."""
    return min(t.v_mV.min() for t in traces), max(t.v_mV.max() for t in traces)
