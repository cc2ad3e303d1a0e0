"""What a fit knows, as named arrays and settings of a results file, and back again.

Each part has a pair: `..._out` gives entries (name, values, unit) and what JSON holds, `..._in`
reads them. A file that lacks one is told by the name of what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.fit.budget import StageRecord, gains
from neurojax.fit.candidates import Candidates
from neurojax.fit.scoring.agreement import agreement
from neurojax.fit.task import Task
from neurojax.fit.uncertainty.certificate import FreeRun
from neurojax.fit.uncertainty.free_runs import mask_of
from neurojax.io import ParameterRecord, Results
from neurojax.membrane.compartment import Cell
from neurojax.membrane.path_names import parameters, regional
from neurojax.model.space import Space
from neurojax.recording.trace import RecordingError, Trace

Entry = tuple[str, Any, str]
"""Name of an array, groups apart by a slash; its values; their unit."""


def needed(table: Mapping[str, Any], name: str, what: str = "array") -> Any:
    """An entry of a file. Raises RecordingError naming the one that is missing."""
    if name not in table:
        raise RecordingError(f"has no {what} {name!r}; expected the results of a fit")
    return table[name]


def under(arrays: Mapping[str, np.ndarray], group: str) -> dict[str, np.ndarray]:
    """The arrays of a group, by their names in it."""
    return {k.removeprefix(group): v for k, v in arrays.items() if k.startswith(group)}


# -- where a fit is that is under way --------------------------------------------------------------
class UnderWay(NamedTuple):
    """Where a fit was when its checkpoint was written."""

    stages: list[str]  # the names of all
    done: int  # how many of them have ended
    records: int  # that they left
    found: Candidates | None  # what they found


def under_way_out(at: UnderWay) -> tuple[dict[str, Any], list[Entry]]:
    """It as a setting, and the points exactly as they are in the unit box."""
    told = {"stages": at.stages, "done": at.done, "records": at.records}
    if at.found is None:
        return told, []
    entries: list[Entry] = [
        ("under way/z", at.found.z, "1"), ("under way/errors", at.found.errors, at.found.unit)
    ]  # fmt: skip
    return told, entries


def under_way_in(results: Results) -> UnderWay | None:
    """Where a fit was; None of one that has ended."""
    told = results.settings.get("under way")
    if told is None:
        return None
    z, errors = (results.arrays.get(f"under way/{k}") for k in ("z", "errors"))
    found = None
    if z is not None and errors is not None:
        found = Candidates(z, errors, results.units["under way/errors"])
    return UnderWay(list(told["stages"]), int(told["done"]), int(told["records"]), found)


# -- parameters ------------------------------------------------------------------------------------
def parameter_records(
    cell: Cell, space: Space | None = None, errors: Mapping[str, float] | None = None
) -> dict[str, ParameterRecord]:
    """Every parameter of a cell for the results file, the free ones with their search bounds.

    Those of regions only where they are free.
    """
    free = {f.name: f for f in space.free} if space else {}
    records = {}
    of_regions = {k: x for k, x in regional(cell).items() if k in free}
    for name, (value, p) in (parameters(cell) | of_regions).items():
        f = free.get(name, p)
        error = (errors or {}).get(name)
        records[name] = ParameterRecord(
            values=np.asarray(value, dtype=np.float64),
            unit=p.unit,
            low=f.low,
            high=f.high,
            scale=f.scale,
            free=name in free,
            standard_error=None if error is None else np.asarray(error),
        )
    return records


# -- sweeps ----------------------------------------------------------------------------------------
def label(trace: Trace) -> str:
    """How a sweep is called on the command line and in results."""
    return f"{trace.name}:{trace.sweep}" if trace.name else f"{trace.sweep}"


def keys(traces: Sequence[Trace]) -> list[str]:
    """The names of sweeps in a file: their labels, a repeated one with its place behind it."""
    found: list[str] = []
    for k, trace in enumerate(traces, start=1):
        key = label(trace).replace("/", "_")
        found.append(key if key not in found else f"{key} ({k})")
    return found


def task_out(task: Task, runs: Sequence[FreeRun]) -> Results:
    """The sweeps with their free runs, and how they were simulated."""
    traces: dict[str, Trace] = {}
    sweeps = [*task.traces, *task.held_out]
    entries: list[Entry] = []
    for key, trace in zip(keys(sweeps), sweeps, strict=True):
        traces[f"{key} data"] = trace
    for key, run in zip(keys(sweeps), runs, strict=False):
        if run.model is not None:
            traces[f"{key} model"] = run.model
    for key, mask in zip(keys(task.traces), task.keep or (), strict=False):
        entries.append((f"sweeps/counted/{key}", mask, "1"))
    told = {
        "fitted": keys(sweeps)[: len(task.traces)],
        "held out": keys(sweeps)[len(task.traces) :],
        "failures": [run.failure for run in runs],
        "simulated": {
            "dt": task.dt,
            "weights": None if task.weights is None else list(map(float, task.weights)),
            "seed": task.seed,
            "hold": task.hold,
            "precision": task.precision,
        },
    }
    arrays, units = arrays_of(entries)
    return Results(traces=traces, arrays=arrays, units=units, settings=told)


def task_in(results: Results, cell: Cell, space: Space) -> tuple[Task | None, list[FreeRun]]:
    """The task that was fitted, None where the fit did not say; and the free runs."""
    told = results.settings
    if "simulated" not in told:
        return None, []
    fitted, held_out = (needed(told, k, "setting") for k in ("fitted", "held out"))
    names = [*fitted, *held_out]
    traces = [needed(results.traces, f"{name} data", "trace") for name in names]
    masks = under(results.arrays, "sweeps/counted/")
    keep = [masks[name] for name in fitted] if masks else None
    n = len(fitted)
    task = Task(cell, space, traces[:n], traces[n:], keep=keep, **told["simulated"])
    runs = []
    for k, failure in enumerate(told.get("failures", [])):
        model, mask = results.traces.get(f"{names[k]} model"), mask_of(task, k)
        alike = None if model is None else agreement(traces[k], model, mask)
        runs.append(FreeRun(traces[k], model, alike, k >= n, failure, mask))
    return task, runs


def arrays_of(entries: Sequence[Entry]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Entries as the arrays of a results file, and their units."""
    arrays = {name: np.asarray(values) for name, values, _ in entries}
    return arrays, {name: unit for name, _, unit in entries}


# -- stages ----------------------------------------------------------------------------------------
def stages_out(stages: Sequence[StageRecord]) -> Iterator[Entry]:
    """What each stage gained, cost and went through."""
    before, after = np.array(gains(stages)).reshape(-1, 2).T
    yield "stages/error before", before, ""
    yield "stages/error after", after, ""
    yield "stages/seconds", [s.seconds for s in stages], "s"
    yield "stages/compiling", [s.compiling for s in stages], "s"
    yield "stages/out of time", [s.cut for s in stages], "1"
    yield "stages/simulated sweeps", [s.evaluations for s in stages], "1"
    yield "stages/lost starts", [s.dropped for s in stages], "1"
    for name, counts in (
        ("rejected", [s.rejected for s in stages]),
        ("clipped", [s.clipped for s in stages]),
    ):
        yield f"stages/steps {name}", [np.nan if n is None else n for n in counts], "1"
    for k, stage in enumerate(stages, start=1):
        group = f"stages/{k} {stage.name.replace('/', '_')}"
        yield f"{group}/history", stage.history, stage.unit
        yield f"{group}/errors", stage.errors, stage.unit
        yield f"{group}/history of starts", stage.start_history, stage.unit


def stages_in(results: Results) -> list[StageRecord]:
    """The records of the stages."""
    arrays, found = results.arrays, []
    names = needed(results.settings, "stages", "setting")
    units = needed(results.settings, "stage units", "setting")
    column = {n: needed(arrays, f"stages/{n}") for n in _COLUMNS} if names else {}
    for k, (name, unit) in enumerate(zip(names, units, strict=True)):
        group = f"stages/{k + 1} {name.replace('/', '_')}"
        rejected, clipped = (column[f"steps {n}"][k] for n in ("rejected", "clipped"))
        found.append(
            StageRecord(
                name=name,
                unit=unit,
                seconds=float(column["seconds"][k]),
                evaluations=int(column["simulated sweeps"][k]),
                history=needed(arrays, f"{group}/history"),
                errors=needed(arrays, f"{group}/errors"),
                dropped=int(column["lost starts"][k]),
                rejected=None if np.isnan(rejected) else int(rejected),
                clipped=None if np.isnan(clipped) else int(clipped),
                compiling=float(column["compiling"][k]),
                cut=bool(column["out of time"][k]),
                start_history=needed(arrays, f"{group}/history of starts"),
            )
        )
    return found


_COLUMNS = (
    "seconds",
    "compiling",
    "out of time",
    "simulated sweeps",
    "lost starts",
    "steps rejected",
    "steps clipped",
)


# -- starts ----------------------------------------------------------------------------------------
def starts_out(
    space: Space, starts: Mapping[str, np.ndarray], errors: np.ndarray, unit: str
) -> Iterator[Entry]:
    """Where every start ended, best first, and its error."""
    for f in space.free:
        if f.name in starts:
            yield f"starts/{f.name}", starts[f.name], f.unit
    yield "errors of starts", errors, unit
