"""Scorers: how good the cells of a search are, by features of the sweeps or by any objective."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine import runner, scan
from neurojax.engine.observables import amplifier_potential
from neurojax.fit.holding import held_at
from neurojax.fit.problem import Objective
from neurojax.fit.scoring.score import UNIT, score, targets
from neurojax.fit.space import Space
from neurojax.fit.task import Task
from neurojax.loss import Level
from neurojax.membrane.compartment import Cell
from neurojax.membrane.pipette import current_through

Parts = Mapping[str, np.ndarray]
"""Contributions to the errors by name, `[n]` each."""


class Scorer(Protocol):
    """Gives points z `[P, n]` their errors `[n]`, infinite where a cell was lost, and the parts."""

    unit: str
    sweeps: int  # simulated for each point

    def __call__(self, z: np.ndarray) -> tuple[np.ndarray, Parts]: ...


class FeatureScorer:
    """Scores by the features of the sweeps, in tolerances. Raises ValueError for voltage clamp.

    With `jitter`, each sweep is run twice, its current stronger and weaker by that share of it.
    `feature_weights` multiply features of the score, by name. Priors add the squares of the
    standard deviations they are missed by, over the number of sweeps.
    """

    unit = UNIT

    def __init__(
        self,
        task: Task,
        jitter: float = 0.0,
        feature_weights: Mapping[str, float] = MappingProxyType({}),
    ):
        self.task, self.feature_weights = task, feature_weights
        aim = task.jittered(jitter)
        self.targets = aim.once("targets", lambda: targets(aim.traces, aim.dt, aim.weights))
        self.sweeps = len(self.targets.sweeps)
        self.i = jnp.asarray(self.targets.i)

    def __call__(self, z: np.ndarray) -> tuple[np.ndarray, Parts]:
        t, target = self.task, self.targets
        at = jnp.asarray(z.astype(jnp.result_type(float)))
        place = runner.place_of(t.cell, at)
        v, off = _simulate(t.cell, at, self.i, target.level, t.dt, t.space, target.every, place)
        told = score(np.moveaxis(np.asarray(v), -1, 0), target, np.asarray(off))
        parts = {k: self.feature_weights.get(k, 1.0) * x for k, x in told._asdict().items()}
        if r := list(np.asarray(t.space.prior_residuals(z))):
            parts["priors"] = sum(x * x for x in r) / len(t.traces)
        errors = np.sum(list(parts.values()), axis=0)
        return np.where(np.isfinite(told.total), errors, np.inf), parts


class ObjectiveScorer:
    """Scores by an objective, see `Task.problem`; None is the squared error."""

    def __init__(self, task: Task, objective: Objective | None):
        self.problem = task.problem(objective)
        self.unit, self.sweeps = self.problem.unit, len(self.problem.sweeps)

    def __call__(self, z: np.ndarray) -> tuple[np.ndarray, Parts]:
        values = self.problem.values(jnp.asarray(z.astype(jnp.result_type(float))))
        return np.nan_to_num(self.problem.error(values), nan=np.inf), {}


@partial(jax.jit, static_argnames=("space", "every", "place"))
def _simulate(cell: Cell, z, i, level: Level, dt, space: Space, every: int, place):
    """Potentials `[sweep, n, record]` of cells z `[P, n]` under currents i `[step, sweep]`.

    Every cell is held at the potential at which each sweep began; how far from there it would rest
    by itself is `[sweep, n]` mV.
    """

    def program(cell, theta):
        def one(level, i):
            held = held_at(space.apply(cell, theta), *level)
            electrode = current_through(cell, i)
            _, v, _ = scan.run(held.cell, held.state, electrode, dt, amplifier_potential, every)
            return v, held.off

        return jax.vmap(one, in_axes=(0, 1))(level, i)

    live = i.shape[1] * runner.live_arrays(cell)
    v, off = runner.run_population(program, place, live, cell=cell, theta=space.values(z))
    return jnp.moveaxis(v, 1, -1), off
