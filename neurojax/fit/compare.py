"""Which model? Several are fitted to a recording; the error on sweeps not fitted decides."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neurojax.fit.budget import Progress
from neurojax.fit.recipe import fit
from neurojax.fit.result import Fit
from neurojax.fit.scoring.scorer import FeatureScorer
from neurojax.fit.stages.search import Search
from neurojax.fit.task import Task
from neurojax.membrane.compartment import Cell
from neurojax.model.space import Space
from neurojax.recording.features import spikes
from neurojax.recording.trace import Trace


@dataclass(frozen=True)
class Compared:
    """One of the models: what it left."""

    name: str
    parameters: int
    fitted: float  # tolerances, the error on the sweeps fitted
    held_out: float  # tolerances, on those not fitted; NaN where nothing was held out

    @property
    def decides(self) -> float:
        """What models are compared by."""
        return self.fitted if np.isnan(self.held_out) else self.held_out


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
        where = "fitted, as nothing was held out" if np.isnan(best.held_out) else "not fitted"
        told = f"{best.name} has the least error on the sweeps {where}: {_told(best)}"
        if others:
            told += f"; {', '.join(f'{other.name} {_told(other)}' for other in others)}"
        if self.skipped:
            told += f"; not tried: {', '.join(self.skipped)}"
        return told


def _told(model: Compared) -> str:
    return f"{model.decides:.3g} tolerances with {model.parameters} parameters"


def compare(
    models: Mapping[str, tuple[Cell, Space]],
    traces: Sequence[Trace],
    held_out: Sequence[Trace] = (),
    *,
    seconds: float,
    seed: int = 0,
    progress: Progress | None = None,
    search: Search | None = None,
) -> Comparison:
    """Fit each model, a cell and its free parameters by name, for an equal part of the seconds.

    Each is searched, not refined; the one with the least error on the sweeps held out comes
    first (or, where there are none, on those fitted). Go on with it by `resume`.

    Raises ValueError for no model, and for sweeps that are no current clamp or have no spike: how a
    cell fires is what tells these models apart.
    """
    if not models:
        raise ValueError("no model to compare: give at least one")
    if any(t.clamp != "current" for t in (*traces, *held_out)):
        raise ValueError(
            "models are compared by how they fire: that needs current clamp; else name the model"
        )
    if not any(spikes(t.v_mV, t.dt_ms).number for t in traces):
        raise ValueError("no sweep to fit has a spike: name the model that you mean")
    search = search or Search(refine=False, share=1.0)
    began = time.monotonic()
    fits: dict[str, Fit] = {}
    rows: list[Compared] = []
    skipped: list[str] = []
    for k, (name, (cell, space)) in enumerate(models.items()):
        left = began + seconds - time.monotonic()
        if fits and (left <= 0 or any(f.interrupted for f in fits.values())):
            skipped.append(name)
            continue
        part = max(left, 0.0) / (len(models) - k)
        fits[name] = made = fit(
            cell, traces, space, [search],
            held_out=held_out, seconds=part, seed=seed, progress=_named(name, progress),
        )  # fmt: skip
        unseen = _error(made, traces, held_out, search) if held_out else np.nan
        rows.append(Compared(name, len(space), made.error, unseen))
    rows.sort(key=lambda row: row.decides)
    return Comparison(tuple(rows), fits, tuple(skipped))


def _named(name: str, progress: Progress | None) -> Progress | None:
    """The progress of one of the models."""
    if progress is None:
        return None
    return lambda stage, *rest: progress(f"{name}: {stage}", *rest)


def _error(made: Fit, traces: Sequence[Trace], held_out: Sequence[Trace], search: Search) -> float:
    """The error of a fit on sweeps that it has not seen, in the search's own program."""
    task = Task(
        made.cell,
        made.space,
        held_out,
        traces,
        dt=max(made.task.dt, search.dt) if made.task else search.dt,
    )
    z = made.space.point(made.values)
    scored = FeatureScorer(task)(np.repeat(z[:, None], search.population, axis=1))
    return float(scored.errors[0])
