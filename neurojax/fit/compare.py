"""Which model? Several race for a recording; the error on sweeps not fitted decides."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from neurojax.config import cores
from neurojax.fit.budget import Progress
from neurojax.fit.compiling import working_s
from neurojax.fit.precision import Precision
from neurojax.fit.problem import Problem
from neurojax.fit.recipe import default_stages, fires, fit, resume
from neurojax.fit.result import Fit
from neurojax.fit.scoring.scorer import FeatureScorer
from neurojax.fit.stage import Stage
from neurojax.fit.stages.certify import Certify
from neurojax.fit.stages.search import Search
from neurojax.fit.task import Task
from neurojax.fit.uncertainty.certificate import Likelihood
from neurojax.fit.uncertainty.evidence import likelihood, quiet_noise
from neurojax.membrane.compartment import Cell
from neurojax.model.space import Space
from neurojax.recording.trace import Trace

_FIRST = 0.5  # of the time, in which all models are in the race
_COMPILING = 0.5  # of the time: after that no other model joins it


@dataclass(frozen=True)
class Compared:
    """One of the models: what it left."""

    name: str
    parameters: int
    fitted: float  # the error on the sweeps fitted, in `unit`
    held_out: float  # on those not fitted; NaN where nothing was held out
    unit: str = "tolerances"
    seconds: float = 0.0  # how long it was fitted, compilation not counted
    given_up: bool = False  # whether others were ahead before the end
    parts: Mapping[str, float] = field(default_factory=dict)  # of the error that decides
    likelihood: Likelihood | None = None  # where the recording has a noise model

    @property
    def decides(self) -> float:
        """What models are compared by."""
        return self.fitted if np.isnan(self.held_out) else self.held_out

    def sentence(self) -> str:
        """ "12.3 tolerances with 25 parameters"; with AIC and BIC where there is a likelihood."""
        told = f"{self.decides:.3g} {self.unit} with {self.parameters} parameters"
        if self.likelihood is not None:
            told += f" ({self.likelihood.criteria()})"
        return f"{told}, given up after {self.seconds:.0f} s" if self.given_up else told


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several models fitted to one recording, the best first."""

    models: tuple[Compared, ...]
    fits: Mapping[str, Fit]  # of each model, from which `resume` goes on
    skipped: tuple[str, ...] = ()  # for want of time, or because the person pressed Ctrl-C

    @property
    def best(self) -> Compared:
        return self.models[0]

    def sentence(self) -> str:
        """Which model was chosen, by how much and on what ground."""
        best, *others = self.models
        least = min(model.decides for model in self.models)
        where = "fitted, as nothing was held out" if np.isnan(best.held_out) else "not fitted"
        among = ", of those fitted to the end," if best.decides > least else ""
        told = f"{best.name} has{among} the least error on the sweeps {where}: {best.sentence()}"
        if others:
            told += f"; {', '.join(f'{other.name} {other.sentence()}' for other in others)}"
            told += _reason(best, others[0])
        if self.skipped:
            told += f"; not tried: {', '.join(self.skipped)}"
        return told


def _reason(best: Compared, second: Compared) -> str:
    """In what the second is behind most; nothing where its parts are not known."""
    behind = {k: x - best.parts[k] for k, x in second.parts.items() if k in best.parts}
    worst = max(behind, key=lambda k: behind[k], default=None)
    if worst is None or not behind[worst] > 0:
        return ""
    both = f"{second.parts[worst]:.3g} against {best.parts[worst]:.3g}"
    return f". {second.name} is behind most in {worst}: {both}"


def compare(
    models: Mapping[str, tuple[Cell, Space]],
    traces: Sequence[Trace],
    held_out: Sequence[Trace] = (),
    *,
    seconds: float,
    seed: int = 0,
    precision: Precision = "single",
    hold: bool = False,
    progress: Progress | None = None,
    search: Search | None = None,
) -> Comparison:
    """Fit several models, a cell and its free parameters by name, as one race of so many seconds.

    First all are fitted for an equal part of half of the time, then the worse half of them is given
    up and the others share what is left, round after round, until two have been compared at the
    end. No model joins whose programs are not compiled in half of the time. Those with the
    least error on the sweeps held out go on and come first (or, where there are none, on those
    fitted). Go on with the best by `resume`.

    Spiking sweeps are searched on their features, `search` is how; others are fitted as by `fit`,
    once each, and have a likelihood where their noise is known. `hold` is as in `fit`. Raises
    ValueError for no model.
    """
    if not models:
        raise ValueError("no model to compare: give at least one")
    spiking = fires(traces)
    search = search or Search(refine=False, ranges=False)
    racers = [
        _Racer(
            name,
            Task(cell, space, traces, held_out, seed=seed, precision=precision, hold=hold),
            search,
        )
        for name, (cell, space) in models.items()
    ]
    end = working_s() + seconds
    skipped: list[str] = []
    if spiking and len(racers) > 1:
        ready = _compiled(racers, time.monotonic() + _COMPILING * seconds)
        racers, skipped = ready, [r.name for r in racers if r not in ready]
    rounds = max(1, math.ceil(math.log2(len(racers)))) if spiking else 1
    ahead = list(racers)
    for k in range(rounds):
        part = 1.0 if k == rounds - 1 else _FIRST if k == 0 else 1 / (rounds - k)
        until = working_s() + part * max(0.0, end - working_s())
        for n, racer in enumerate(ahead):
            left = max(0.0, until - working_s())
            stopped = any(r.made is not None and r.made.interrupted for r in racers)
            if any(r.made is not None for r in racers) and (left == 0 or stopped):
                skipped += [racer.name] if racer.made is None else []
                continue
            racer.run(left / (len(ahead) - n), progress)
        ahead = sorted((r for r in ahead if r.made is not None), key=lambda r: r.row().decides)
        if k < rounds - 1:
            for racer in ahead[-(-len(ahead) // 2) :]:
                racer.given_up = True
            ahead = ahead[: -(-len(ahead) // 2)]
    rows = sorted((r.row() for r in racers if r.made is not None), key=lambda row: row.decides)
    rows.sort(key=lambda row: row.given_up)
    return Comparison(tuple(rows), {r.name: r.made for r in racers if r.made}, tuple(skipped))


class _Racer:
    """A model in the race."""

    def __init__(self, name: str, task: Task, search: Search):
        self.name, self.task, self.search = name, task, search
        self.made: Fit | None = None
        self.given_up = False
        self._row: Compared | None = None

    def run(self, seconds: float, progress: Progress | None) -> None:
        """Begin to fit, or go on: what was explored is then refined."""
        told = progress and (lambda stage, *rest: progress(f"{self.name}: {stage}", *rest))
        task, self._row = self.task, None
        if self.made is not None:
            on = replace(self.search, refine=True, explore=0.0)
            self.made = resume(self.made, [on], seconds=seconds, progress=told)
            return
        stages: list[Stage] = [self.search]
        if not fires(task.traces):
            stages = [s for s in default_stages(task) if not isinstance(s, Certify)]
        self.made = fit(
            task.cell, task.traces, task.space, stages, held_out=task.held_out, seconds=seconds,
            seed=task.seed, precision=task.precision, hold=task.hold, progress=told,
        )  # fmt: skip

    def row(self) -> Compared:
        """What it has left so far."""
        if self._row is None:
            self._row = self._compared()
        return replace(self._row, given_up=self.given_up)

    def _compared(self) -> Compared:
        made, task = self.made, self.task
        assert made is not None
        z = made.space.point(made.values)[:, None]
        unseen, parts, known = np.nan, made.contributions, None
        spiking = fires((*task.traces, *task.held_out))
        if task.held_out:
            held_out = replace(task, traces=task.held_out, held_out=task.traces, keep=None)
            if spiking:
                found = _scorer(held_out, self.search)(z)
                # Priors say nothing of sweeps.
                parts = {k: float(x[0]) for k, x in found.parts.items() if k != "priors"}
                unseen = np.nan_to_num(sum(parts.values()), nan=np.inf)
            else:
                problem = _of_data(held_out)
                unseen = problem.error(problem.values(z)[0])
        if not spiking:
            problem = _of_data(task)
            known = likelihood(problem, quiet_noise(task.traces), float(problem.values(z)[0]))
        return Compared(
            self.name, len(task.space), made.error, float(unseen), made.unit,
            seconds=sum(s.seconds - s.compiling for s in made.stages), parts=parts,
            likelihood=known,
        )  # fmt: skip


def _scorer(task: Task, search: Search) -> FeatureScorer:
    """What tells how good a model of spikes is, by the program of the search."""
    return FeatureScorer(task.stepped(max(task.dt, search.dt)))


def _of_data(task: Task) -> Problem:
    """The squared error of a task's sweeps alone, without priors."""
    return replace(task.problem(None, task.every_sample), prior=0.0)


def _compiled(racers: Sequence[_Racer], until: float) -> list[_Racer]:
    """Those whose programs could be compiled, on all cores; the first, whatever the time is."""

    def once(racer: _Racer) -> bool:
        if racer is not racers[0] and time.monotonic() > until:
            return False
        _scorer(racer.task, racer.search)(np.full((len(racer.task.space), 1), 0.5))
        return True

    with ThreadPoolExecutor(cores()) as pool:
        done = list(pool.map(once, racers))
    return [racer for racer, ready in zip(racers, done, strict=True) if ready]
