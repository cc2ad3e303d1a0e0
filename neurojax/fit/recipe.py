"""fit, minimise and resume: stage after stage, by default those that suit the recording."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import optax

from neurojax.engine import processes
from neurojax.fit.budget import Budget, Progress, Save, StageRecord
from neurojax.fit.candidates import Candidates
from neurojax.fit.optimisers.levenberg import BOLD
from neurojax.fit.precision import Precision
from neurojax.fit.problem import Objective
from neurojax.fit.result import End, Fit
from neurojax.fit.saving import UnderWay
from neurojax.fit.stage import Stage
from neurojax.fit.stages.certify import Certify
from neurojax.fit.stages.draw import COARSE_MS, Draw
from neurojax.fit.stages.minimise import Minimise
from neurojax.fit.stages.nudge import Nudge
from neurojax.fit.stages.polish import Polish
from neurojax.fit.stages.regress import Regress
from neurojax.fit.stages.search import Search
from neurojax.fit.stages.shoot import Shoot
from neurojax.fit.task import Task
from neurojax.membrane.compartment import Cell
from neurojax.model.space import Space, free
from neurojax.recording.features import spikes
from neurojax.recording.trace import Trace

STAGES = {
    stage.name: stage for stage in (Draw, Regress, Search, Nudge, Shoot, Minimise, Polish, Certify)
}
"""Every stage by its name."""

_AGAIN = 0.2
"""Of the time of a fit that goes on, in which it looks elsewhere too."""


def fit(
    cell: Cell,
    traces: Sequence[Trace],
    space: Space | Sequence[str] | Mapping[str, Any],
    stages: Sequence[Stage] | None = None,
    *,
    held_out: Sequence[Trace] = (),
    dt: float | None = None,
    keep: Sequence[np.ndarray] | None = None,
    weights: Sequence[float] | None = None,
    hold: bool = False,
    precision: Precision = "single",
    seconds: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Fit:
    """Fit the free parameters of a cell to the sweeps of a recording, stage after stage.

    `stages` are run in their order, each on what the one before found: by default those of
    `default_stages`. Sweeps `held_out` are predicted, not fitted. dt, keep, weights, hold and
    precision are those of `Task`. A fit that has used its `seconds`, or is interrupted by Ctrl-C,
    gives back its best so far; the time in which JAX compiles comes on top of `seconds`. The best
    is also written to a file `checkpoint`, whole, after every stage and now and then, from which
    `resume` goes on.

    Raises ValueError for no traces, mixed clamps or unknown parameters, and when not one start
    could be simulated.
    """
    if not isinstance(space, Space):
        space = free(cell, space)
    task = Task(cell, space, traces, held_out, dt or 0.0, keep, weights, seed, hold, precision)
    saver = _Saver(task, checkpoint)
    return _run(task, stages, None, Budget(seconds, progress, saver.save), saver)


def minimise(
    cell: Cell,
    traces: Sequence[Trace],
    space: Space | Sequence[str] | Mapping[str, Any],
    optimiser: optax.GradientTransformation,
    *,
    iterations: int = 300,
    patience: int = 60,
    restarts: int = 1,
    batch: int | None = None,
    objective: Objective | None = None,
    **options: Any,
) -> Fit:
    """Fit by any optimiser of optax, from the cell's own values: `Minimise` as a fit of one stage.

        fit.minimise(cell, traces, ["na.g_bar", "k.g_bar"], optax.adam(0.02))

    The learning rate counts in the distance between the bounds, the optimiser sees a dictionary by
    path name; iterations, patience, restarts, batch and objective are those of `Minimise`. Sweeps
    `held_out` end it early. `options` are the others of `fit`; for standard errors,
    `fit(..., stages=[Minimise(optimiser), Certify()])`.
    """
    stage = Minimise(optimiser, iterations, patience, restarts, batch, objective=objective)
    return fit(cell, traces, space, [stage], **options)


def resume(
    begun: Fit,
    stages: Sequence[Stage] | None = None,
    *,
    seconds: float | None = None,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Fit:
    """Go on from where a fit ended, or from a checkpoint of it, on the same sweeps.

    Of a fit that was killed, with the `stages` that it had (default: those that suit the
    recording): the stage that was under way begins anew, and the result is bit for bit that of a
    fit which was not killed, unless time ended one of its stages. But a `Search`, which follows the
    clock, goes on from its best points.

    Of a fit that has ended, or with other stages: they begin with the starts of the fit; by default
    all that suit the recording, but none that only draws points. Random numbers are others than
    before. Raises ValueError for a fit that does not say what it was fitted to.
    """
    if begun.task is None:
        raise ValueError("this fit does not say to which sweeps it was fitted: it cannot go on")
    at = begun.under_way
    if at is not None and _same(at, default_stages(begun.task) if stages is None else stages):
        saver = _Saver(begun.task, checkpoint)
        budget = Budget(seconds, progress, saver.save)
        budget.stages = list(begun.stages[: at.records])
        found = at.found
        if found is not None:
            told = {"contributions": begun.contributions, "ranges": begun.ranges}
            found = replace(found, **told)
        return _run(begun.task, stages, found, budget, saver, at.done)
    task = replace(begun.task, seed=begun.task.seed + 1)
    if stages is None:
        stages = [s for s in default_stages(task) if not isinstance(s, Draw)]
        stages = [replace(s, explore=_AGAIN) if isinstance(s, Search) else s for s in stages]
    saver = _Saver(task, checkpoint)
    budget = Budget(seconds, progress, saver.save)
    budget.stages = list(begun.stages)
    return _run(task, stages, begun.candidates, budget, saver)


def _same(at: UnderWay, stages: Sequence[Stage]) -> bool:
    """Whether stages are those of a fit that was killed, and it can go on exactly where it was."""
    if [s.name for s in stages] != at.stages:
        return False
    return at.done == len(stages) or not isinstance(stages[at.done], Search)


def _run(
    task: Task,
    stages: Sequence[Stage] | None,
    found: Candidates | None,
    budget: Budget,
    saver: _Saver,
    done: int = 0,
) -> Fit:
    """The stages one after the other, but those that are done."""
    asked = list(default_stages(task) if stages is None else stages)
    names = [stage.name for stage in asked]
    for k, stage in enumerate(asked[done:], start=done):
        saver.at = UnderWay(names, k, len(budget.stages), found)
        found = stage.run(task, found, budget)
        if not len(found):
            raise ValueError(
                f"{stage.name}: every start failed: none could be simulated to the end. Narrow the "
                "bounds of the free parameters, or use a smaller dt"
            )
        saver.at = UnderWay(names, k + 1, len(budget.stages), found)
        budget.checkpoint(found)
    if found is None:
        raise ValueError("no stage: a fit needs at least one")
    made = conclude(task, found, budget.stages, "interrupted" if budget.interrupted else "done")
    saver.write(made)
    return made


class _Saver:
    """Writes checkpoints to a file, if there is one, without what takes long to compute."""

    def __init__(self, task: Task, path: str | os.PathLike[str] | None):
        self.task, self.path, self.at = task, path, UnderWay([], 0, 0, None)

    @property
    def save(self) -> Save | None:
        """What a budget calls with the best so far."""
        return None if self.path is None else self._save

    def _save(self, found: Candidates, stages: Sequence[StageRecord]) -> None:
        so_far = conclude(self.task, replace(found, standard_errors=dict), stages, "under way")
        self.write(replace(so_far, under_way=self.at))

    def write(self, made: Fit) -> None:
        """Write a fit; a file that cannot be written ends none. Only the first process writes."""
        if self.path is None or not processes.first():
            return
        try:
            made.save(self.path)
        except OSError as error:
            warnings.warn(f"no checkpoint: {error}", stacklevel=2)


def default_stages(task: Task) -> list[Stage]:
    """The stages that suit a recording.

    Voltage clamp: random starts polished in coarse steps, then the best in fine ones. Current clamp
    without a spike: random starts polished. The last polish is of a few starts and exact, for
    recordings that have hardly any noise. With spikes: a search on their features, since the plain
    voltage error of a real cell is smallest without any spike; the times of a single sweep count
    four times, as most of its information is in them. At the end the certificate.
    """
    if fires(task.traces):
        alone = {"times": 4.0} if len(task.traces) == 1 else {}
        return [Search(share=0.9, feature_weights=alone), Certify()]
    last = Polish(starts=8, within=1.2, optimiser=BOLD, precision="exact")
    if task.clamp == "current":
        return [Draw(), Polish(name="first polish"), last, Certify()]
    coarse = task.dt if task.cell.state_axes else max(task.dt, COARSE_MS)
    return [
        Draw(dt=coarse),
        Polish(dt=coarse, iterations=120, name="coarse polish"),
        last,
        Certify(),
    ]


def fires(traces: Sequence[Trace]) -> bool:
    """Whether there is a spike in any of the sweeps, in current clamp."""
    return any(t.clamp == "current" and spikes(t.v_mV, t.dt_ms).number for t in traces)


def conclude(task: Task, found: Candidates, stages: Sequence[StageRecord], ended: End) -> Fit:
    """The fit that candidates are after some stages."""
    starts = {
        # A point on a bound is no further for the rounding of a logarithm.
        f.name: np.clip(value, f.low, f.high)
        for f, value in zip(task.space.free, task.space.values(found.z).values(), strict=True)
    }
    values = {k: float(v[0]) for k, v in starts.items()}
    return Fit(
        cell=task.space.apply(task.cell, values),
        space=task.space,
        values=values,
        error=float(found.errors[0]),
        unit=found.unit,
        stages=list(stages),
        starts=starts,
        errors=found.errors,
        standard_errors=dict(found.standard_errors()),
        ranges=dict(found.ranges),
        contributions=dict(found.contributions),
        certificate=found.certificate,
        ended=ended,
        task=replace(task),  # without what its stages have derived from it
    )
