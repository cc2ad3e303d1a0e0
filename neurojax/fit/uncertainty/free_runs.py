"""free_runs: what a cell makes of every sweep of a task, with nothing to guide it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from neurojax.fit.precision import computing
from neurojax.fit.scoring.agreement import agreement, free_run
from neurojax.fit.task import Task
from neurojax.fit.uncertainty.certificate import FreeRun
from neurojax.loss import counted
from neurojax.membrane.compartment import Cell
from neurojax.recording.trace import RecordingError


def free_runs(task: Task, cell: Cell) -> list[FreeRun]:
    """Every sweep's free run, fitted ones first; what cannot be simulated says why."""
    return [_run(task, cell, k) for k in range(len(task.traces) + len(task.held_out))]


def mask_of(task: Task, k: int) -> Bool[np.ndarray, " sample"] | None:
    """The samples that count of a task's sweep k, the held-out ones after the fitted."""
    if task.keep is None:
        return None
    fitted = len(task.traces)
    return task.keep[k] if k < fitted else counted(task.cell, task.held_out[k - fitted])


def _run(task: Task, cell: Cell, k: int) -> FreeRun:
    trace, keep = [*task.traces, *task.held_out][k], mask_of(task, k)
    held_out = k >= len(task.traces)
    try:
        with computing(task.precision):
            model = free_run(cell, trace, task.dt)
    except RecordingError as error:
        return FreeRun(trace, None, None, held_out, str(error), keep)
    return FreeRun(trace, model, agreement(trace, model, keep), held_out, keep=keep)
