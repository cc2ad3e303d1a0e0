"""free_runs: what a cell makes of every sweep of a task, with nothing to guide it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from neurojax.fit.precision import computing
from neurojax.fit.scoring import agreement
from neurojax.fit.task import Task
from neurojax.fit.uncertainty.certificate import FreeRun
from neurojax.loss import counted
from neurojax.membrane.compartment import Cell
from neurojax.recording.trace import RecordingError


def free_runs(task: Task, cell: Cell) -> list[FreeRun]:
    """Every sweep's free run, fitted ones first; what cannot be simulated says why."""
    sweeps, n = [*task.traces, *task.held_out], len(task.traces)
    with computing(task.precision):
        models = agreement.free_runs(cell, sweeps, task.dt)
    found = []
    for k, (trace, model) in enumerate(zip(sweeps, models, strict=True)):
        keep = mask_of(task, k)
        if isinstance(model, RecordingError):
            found.append(FreeRun(trace, None, None, k >= n, str(model), keep))
        else:
            alike = agreement.agreement(trace, model, keep)
            found.append(FreeRun(trace, model, alike, k >= n, keep=keep))
    return found


def mask_of(task: Task, k: int) -> Bool[np.ndarray, " sample"] | None:
    """The samples that count of a task's sweep k, the held-out ones after the fitted."""
    if task.keep is None:
        return None
    fitted = len(task.traces)
    return task.keep[k] if k < fitted else counted(task.cell, task.held_out[k - fitted])
