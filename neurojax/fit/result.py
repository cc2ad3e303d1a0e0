"""What a fit gives back: the fitted cell, what is known of how good it is, and its file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from neurojax import io
from neurojax.fit import saving
from neurojax.fit.budget import StageRecord
from neurojax.fit.candidates import Candidates
from neurojax.fit.task import Task
from neurojax.fit.uncertainty.certificate import Certificate, FreeRun
from neurojax.fit.uncertainty.saving import certificate_in, certificate_out, certificate_told
from neurojax.fit.verdict import advice, grade, out_of_time, verdict
from neurojax.membrane.channel import Channel
from neurojax.membrane.compartment import Cell
from neurojax.model import ModelError, load_model, to_toml
from neurojax.model.space import Free, Space
from neurojax.model.writing import nameless
from neurojax.recording.trace import RecordingError

End = Literal["done", "interrupted", "under way"]
"""How a fit came to its end: by itself, by Ctrl-C, or not yet (a checkpoint)."""


@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """A fitted cell, with what is known of how good it is.

    `print(fit.summary())` tells it, `save` writes all of it into one file that `Fit.load` and
    `nj.model.load_model` read; `neurojax.report.write(path, fit)` makes a report with figures.
    """

    cell: Cell  # at the best values
    space: Space
    values: dict[str, float]  # best value of each free parameter
    error: float  # at the best values, in the unit of the last stage
    stages: list[StageRecord]
    starts: dict[str, Float[np.ndarray, " start"]]  # final values of each parameter, best first
    # of these; empty where they are not known
    errors: Float[np.ndarray, " _"] = field(default_factory=lambda: np.empty(0))
    standard_errors: dict[str, float] = field(default_factory=dict)  # from the Gauss-Newton matrix
    # how far each can move alone before the error grows by one of its unit
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    contributions: dict[str, float] = field(default_factory=dict)  # of each feature to the error
    ended: End = "done"
    unit: str = ""  # of the error
    certificate: Certificate | None = None  # where a stage made one
    task: Task | None = None  # what was fitted to what
    under_way: saving.UnderWay | None = None  # of a checkpoint: where the fit was

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it: these are the best values so far."""
        return self.ended == "interrupted"

    @property
    def free_runs(self) -> Sequence[FreeRun]:
        """Every sweep with the free run of the fitted cell, where a certificate has made them."""
        return () if self.certificate is None else self.certificate.free_runs

    @property
    def candidates(self) -> Candidates:
        """Where its starts ended, as the points from which other stages can go on."""
        errors = self.errors if self.errors.size else np.full(1, self.error)
        starts = self.starts if self.errors.size else {k: [v] for k, v in self.values.items()}
        return Candidates.sorted(self.space.point(starts), errors, self.unit)

    # -- telling -----------------------------------------------------------------------------------
    def __repr__(self) -> str:
        error = f"{self.error:.3g} {'' if self.unit == '1' else self.unit}".strip()
        told = [f"{len(self.space)} parameters", f"error {error}"]
        told += [f"{grade(self.free_runs)} on {_sweeps(self.free_runs)}"] if self.free_runs else []
        told += [self.ended] if self.ended != "done" else []
        return f"Fit({', '.join(told)})"

    def summary(self) -> str:
        """The verdict, a table of the parameters, and what the certificate says, as text."""
        rows = [["parameter", "value", "", "95 % interval"], *self._rows()]
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        table = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        told = advice(self.free_runs, self.stages)
        lines = [self._verdict(), *told, "", *table]
        if self.certificate is not None:
            lines += ["", *self.certificate.sentences()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The same for a notebook, without the certificate's sentences."""
        head = "".join(f"<th>{h}</th>" for h in ("parameter", "value", "", "95 % interval"))
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
            for row in self._rows()
        )
        return f"<p>{escape(self._verdict())}</p><table><tr>{head}</tr>{body}</table>"

    def _verdict(self) -> str:
        said = verdict(self.free_runs) if self.free_runs else repr(self)
        early = {
            "interrupted": " The fit was interrupted: these are the best values until then.",
            "under way": " The fit was still under way when this was saved.",
        }
        late = out_of_time(self.stages) if grade(self.free_runs) == "good" else ""
        return f"{said}{early.get(self.ended, '')} {late}".rstrip()

    def _rows(self) -> list[list[str]]:
        known = {} if self.certificate is None else self.certificate.intervals

        def row(f: Free) -> list[str]:
            interval = known[f.name].sentence() if f.name in known else ""
            unit = "" if f.unit == "1" else f.unit
            return [f.name, f"{self.values[f.name]:.4g}", unit, interval]

        return [row(f) for f in self.space.free]

    # -- the file ----------------------------------------------------------------------------------
    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write all of it to one HDF5 file, whole or not at all.

        The fitted model is in it as text: `neurojax simulate fit.h5` and `load_model` take it.
        Raises OSError naming the file.
        """
        return io.save(path, self.as_results())

    def as_results(self, name: str = "fitted", description: str = "") -> io.Results:
        """All of it as a results file has it; name and description are the fitted model's."""
        task = None if self.task is None else saving.task_out(self.task, self.free_runs)
        told = io.Results() if task is None else task
        entries = [
            *saving.stages_out(self.stages),
            *saving.starts_out(self.space, self.starts, self.errors, self.unit),
            *((f"ranges/{k}", ends, _unit(self.space, k)) for k, ends in self.ranges.items()),
            *((f"contributions/{k}", x, self.unit) for k, x in self.contributions.items()),
        ]
        settings = told.settings | {
            "stages": [s.name for s in self.stages],
            "stage units": [s.unit for s in self.stages],
            "ended": self.ended,
            "error": self.error,
            "error unit": self.unit,
            "values": self.values,
        }
        if self.under_way is not None:
            settings["under way"], where = saving.under_way_out(self.under_way)
            entries += where
        if self.certificate is not None:
            entries += certificate_out(self.certificate)
            settings["certificate"] = certificate_told(self.certificate)
        arrays, units = saving.arrays_of(entries)
        return replace(
            told,
            parameters=saving.parameter_records(self.cell, self.space, self.standard_errors),
            arrays=told.arrays | arrays,
            units=told.units | units,
            settings=settings,
            model=_model_text(self.cell, self.space, name, description),
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], channels: Iterable[type[Channel]] = ()) -> Fit:
        """Read what `save`, a checkpoint or `neurojax fit` wrote.

        `channels` are classes of your own that the model names by their bare name, as those of a
        script or a notebook. Raises RecordingError naming the file, and what it lacks.
        """
        results = io.load(path)
        try:
            model = load_model(Path(path), channels=channels)
            if model.space is None:
                raise RecordingError("has a model in which nothing is free")
            return cls._of(results, model.cell, model.space)
        except ModelError as error:
            raise RecordingError(str(error)) from error
        except (KeyError, IndexError, TypeError, ValueError) as error:
            said = f"has no {error}" if isinstance(error, KeyError) else str(error)
            raise RecordingError(f"{Path(path).expanduser()}: {said}") from error

    @classmethod
    def _of(cls, results: io.Results, cell: Cell, space: Space) -> Fit:
        arrays, settings = results.arrays, results.settings
        told = {k: saving.needed(settings, k, "setting") for k in ("error", "error unit", "ended")}
        values = saving.needed(settings, "values", "setting")
        ranges = {
            k: (float(low), float(high))
            for k, (low, high) in saving.under(arrays, "ranges/").items()
        }
        task, runs = saving.task_in(results, cell, space)
        certificate = None
        if "certificate" in settings:
            certificate = Certificate(
                space,
                values,
                told["error"],
                told["error unit"],
                free_runs=runs,
                ranges=ranges,
                **certificate_in(arrays, results.units, settings["certificate"]),
            )
        errors = {k: results.parameters[k].standard_error for k in space.names}
        return cls(
            cell=cell,
            space=space,
            values=values,
            error=told["error"],
            unit=told["error unit"],
            stages=saving.stages_in(results),
            starts=saving.under(arrays, "starts/"),
            errors=saving.needed(arrays, "errors of starts"),
            standard_errors={k: float(e) for k, e in errors.items() if e is not None},
            ranges=ranges,
            contributions={k: float(x) for k, x in saving.under(arrays, "contributions/").items()},
            ended=told["ended"],
            certificate=certificate,
            task=task,
            under_way=saving.under_way_in(results),
        )


def _sweeps(runs: Sequence[FreeRun]) -> str:
    unseen = [run for run in runs if run.held_out]
    n = len(unseen or runs)
    return f"{n} {'unseen' if unseen else 'fitted'} sweep{'' if n == 1 else 's'}"


def _unit(space: Space, name: str) -> str:
    return next(f.unit for f in space.free if f.name == name)


def _model_text(cell: Cell, space: Space, name: str, description: str) -> str:
    """As a model file; classes that no file could name go by their bare name."""
    return to_toml(cell, space, name=name, description=description, channels=nameless(cell))
