"""Scorers: how good the cells of a search are, by features of the sweeps or by any objective."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine import runner, scan
from neurojax.engine.observables import amplifier_potential
from neurojax.engine.runner import Place
from neurojax.fit.holding import held_at
from neurojax.fit.precision import computing
from neurojax.fit.problem import Objective
from neurojax.fit.scoring.score import UNIT, score, targets
from neurojax.fit.task import Task
from neurojax.loss import Level
from neurojax.membrane.compartment import Cell
from neurojax.membrane.electrode import Electrode
from neurojax.membrane.pipette import current_through
from neurojax.model.space import Space

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
        with computing(task.precision):
            self.i = [jnp.asarray(i) for i in self.targets.i.T]

    def __call__(self, z: np.ndarray) -> tuple[np.ndarray, Parts]:
        t, target = self.task, self.targets
        with computing(t.precision):
            at = jnp.asarray(z)
            place = runner.place_of(t.cell, at)
            how = t.dt, t.space, target.every, place
            levels = [Level(*of_sweep) for of_sweep in zip(*target.level, strict=True)]
            each = zip(self.i, levels, strict=True)
            v, off = zip(*[_simulate(t.cell, at, i, level, *how) for i, level in each], strict=True)
        found = score(np.moveaxis(np.stack(v), -1, 0), target, np.stack(off))
        parts = {k: self.feature_weights.get(k, 1.0) * x for k, x in found._asdict().items()}
        if r := list(t.space.prior_residuals(z)):
            parts["priors"] = sum(x * x for x in r) / len(t.traces)
        errors = np.sum(list(parts.values()), axis=0)
        return np.where(np.isfinite(found.total), errors, np.inf), parts


class ObjectiveScorer:
    """Scores by an objective, see `Task.problem`; None is the squared error."""

    def __init__(self, task: Task, objective: Objective | None):
        self.problem = task.problem(objective)
        self.unit, self.sweeps = self.problem.unit, len(self.problem.sweeps)

    def __call__(self, z: np.ndarray) -> tuple[np.ndarray, Parts]:
        values = self.problem.values(z)
        return np.nan_to_num(self.problem.error(values), nan=np.inf), {}


@partial(jax.jit, static_argnames=("space", "every", "place"))
def _simulate(
    cell: Cell, z: Any, i: Any, level: Level, dt: float, space: Space, every: int, place: Place
):
    """Potentials `[n, record]` of cells z `[P, n]` under a current i `[step]`.

    Every cell is held at the potential at which the sweep began; how far from there it would rest
    by itself is `[n]` mV.
    """

    def program(cell: Cell, theta: Any, level: Level, electrode: Electrode):
        held = held_at(space.apply(cell, theta), *level)
        how = electrode, dt, amplifier_potential, every
        return scan.run(held.cell, held.state, *how)[1], held.off

    things = {"cell": cell, "theta": space.values(z), "level": level}
    electrode, live = current_through(cell, i), runner.live_arrays(cell)
    v, off = runner.run_population(program, place, live, **things, electrode=electrode)
    return v.T, off
