"""`neurojax fit`: read, choose sweeps and a model, fit with a progress bar, hand results over.

The recordings of a job are of one cell; cells one after the other are in `cli.batch`.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from neurojax import fit as fitting
from neurojax.cli.deliver import INTERRUPTED, Outputs, certified, deliver
from neurojax.cli.parameters import Edits
from neurojax.cli.progress import FitProgress
from neurojax.cli.reading import Reading
from neurojax.cli.sweeps import divide, prepared
from neurojax.fit import STAGES, Draw, Fit, Stage, agreement
from neurojax.fit.compiling import compiling_s
from neurojax.fit.precision import Precision, checked
from neurojax.fit.recipe import fires
from neurojax.fit.saving import label
from neurojax.model import Model, ModelError, load_model, packaged
from neurojax.recording.trace import Trace
from neurojax.report import FitReport
from neurojax.units import nearest

FIRING = ("cortex", "regular", "adapting", "fast_spiking", "bursting")
"""The packaged models among which `auto` chooses for a recording with spikes."""

SILENT = ("passive", "sag")
"""And for one without."""

_CHOOSING = 0.5  # of the time, in which the models are compared


@dataclass(frozen=True)
class Job:
    """A fit as the user asked for it."""

    recordings: Sequence[str]  # of one cell
    model: str
    outputs: Outputs
    sweeps: str = ""
    held_out: str = ""
    reading: Reading = field(default_factory=Reading)
    edits: Edits = field(default_factory=Edits)
    hold: bool = False
    seconds: float = 120.0
    method: str = ""
    starts: int | None = None
    seed: int = 0
    precision: str = "single"
    stimulus: str = "auto"
    pipette: str = "auto"
    resume: Path | None = None  # results of a fit that goes on

    def check(self) -> None:
        """Raise ValueError or OSError for what could not be done, before anything is read."""
        self.reading.check()
        if not self.seconds > 0 or (self.starts is not None and self.starts < 1):
            raise ValueError("--seconds and --starts must be positive")
        if self.precision not in ("single", "exact"):
            raise ValueError(f"--precision is {self.precision!r}; expected 'single' or 'exact'")
        chosen_stages(self.method, self.starts)
        if self.resume is not None:
            self._check_onward(self.resume)
        elif self.model != "auto":
            self.edits.apply(named(self.model))
        self.outputs.check()

    def _check_onward(self, path: Path) -> None:
        """Raise ValueError for what a fit that goes on has decided before."""
        anew = Job(
            (), "", self.outputs, seconds=self.seconds, method=self.method, starts=self.starts,
            resume=path,
        )  # fmt: skip
        if self != anew:
            raise ValueError(
                f"--resume: recording, model and sweeps are in {path}, and how they were read and "
                "made ready, seed and precision too; give no other"
            )


@dataclass(frozen=True)
class Clock:
    """How long a fit has taken, and how much of it was compilation."""

    began: float = field(default_factory=time.monotonic)
    compiled: float = field(default_factory=compiling_s)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def working(self) -> float:
        return self.seconds - self.compiling

    @property
    def compiling(self) -> float:
        return compiling_s() - self.compiled


@dataclass(frozen=True)
class Work:
    """What is to be fitted, to what, and what the report says of it beside the result."""

    model: Model
    traces: Sequence[Trace]  # on all of which the fitted cell runs freely
    fitted: Sequence[Trace]  # those of them that are fitted; the others are held out
    title: str
    settings: Mapping[str, Any]
    seconds: float
    seed: int = 0
    hold: bool = False
    precision: Precision = "single"
    begun: Fit | None = None  # a fit that goes on, with its own seed and precision
    truth: Mapping[str, float] = field(default_factory=dict)  # where the data are synthetic
    clock: Clock = field(default_factory=Clock)


def run_job(job: Job, out: Console) -> FitReport:
    """Do it, and hand over what was found.

    Raises ValueError or OSError for what a user can put right.
    """
    job.check()
    stages = chosen_stages(job.method, job.starts)
    work = _new(job, out) if job.resume is None else _onward(job, job.resume)
    done = fit_and_certify(work, out, stages, job.outputs.results)
    deliver(done, work.model, job.outputs, out)
    return done


def exit_code(done: FitReport) -> int:
    """Of one fit: whether it was interrupted."""
    return INTERRUPTED if done.fit.interrupted else 0


def _read(job: Job) -> list[Trace]:
    """The sweeps of the recordings of one cell; of several each is named by its file."""
    if len(job.recordings) == 1:
        return job.reading.read(job.recordings[0])
    return [
        replace(trace, name=f"{Path(path).stem} {trace.name}".removesuffix(f" {Path(path).stem}"))
        for path in job.recordings
        for trace in job.reading.read(path)
    ]


def _new(job: Job, out: Console) -> Work:
    """A fit of a cell's recordings, made ready; of several models that which predicts best."""
    traces = _read(job)
    names = choices(divide(traces, job.sweeps, job.held_out)[0]) if job.model == "auto" else ()
    models = {name: load_model(name) for name in names} or {job.model: named(job.model)}
    models = {name: job.edits.apply(model) for name, model in models.items()}
    how = {"stimulus": job.stimulus, "pipette": job.pipette}
    models, traces, notes = prepared(models, traces, out, **how)
    models = {name: job.edits.apply(model, pipette=True) for name, model in models.items()}
    fitted, held_out = divide(traces, job.sweeps, job.held_out)
    settings = {
        "recording": ", ".join(job.recordings),
        "model": job.model,
        "seconds allowed": job.seconds,
        "method": job.method or "chosen for the recording",
        "starts": job.starts or "chosen for the method",
        "seed": job.seed,
        "precision": job.precision,
        **{k: list(v) for k, v in vars(job.edits).items() if v},
        **({"junction potential": job.reading.junction} if job.reading.junction else {}),
        **({"hold": True} if job.hold else {}),
        "prepared": "; ".join(notes) or "nothing had to be",
    }
    model, begun, clock = next(iter(models.values())), None, Clock()
    if len(models) > 1:
        name, begun, settings["chosen"] = _compared(models, fitted, held_out, job, out)
        model = models[name]
        settings["model"] = name
    return Work(
        model,
        [t for t in traces if any(t is u for u in (*fitted, *held_out))],
        fitted,
        title=f"{_called(job.recordings)} fitted with the model {model.name}",
        settings=settings,
        seconds=job.seconds if begun is None else max(0.0, job.seconds - clock.working),
        seed=job.seed,
        precision=checked(job.precision),
        begun=begun,
        clock=clock,
        hold=job.hold,
    )


def _called(recordings: Sequence[str]) -> str:
    """The recordings of a title, not too many."""
    names = [Path(path).name for path in recordings]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _onward(job: Job, path: Path) -> Work:
    """A fit that goes on from its file, which has sweeps, model and starts."""
    begun, model = Fit.load(path), load_model(path)
    if begun.task is None:
        raise ValueError(f"{path}: does not say to which sweeps it was fitted: it cannot go on")
    return Work(
        model,
        [*begun.task.traces, *begun.task.held_out],
        begun.task.traces,
        title=f"{model.name}, fitted further",
        settings={"resumed": str(path), "model": model.name, "seconds allowed": job.seconds},
        seconds=job.seconds,
        begun=begun,
    )


def choices(fitted: Sequence[Trace]) -> tuple[str, ...]:
    """The packaged models that may describe a recording. Raises ValueError for voltage clamp."""
    if any(t.clamp == "voltage" for t in fitted):
        raise ValueError(
            "auto chooses among models of whole neurons, by how they fire in current clamp; this "
            "is voltage clamp. Name a model of what you recorded, such as herg, or a TOML file "
            "with its channels (neurojax models, neurojax channels)"
        )
    return FIRING if fires(fitted) else SILENT


def named(name: str) -> Model:
    """A model by its name or file. Raises ModelError, with a hint where auto was meant."""
    try:
        return load_model(name)
    except ModelError as error:
        if not Path(name).suffix and "'auto'" in nearest(name, (*packaged(), "auto")):
            raise ModelError(f"no model {name!r}; did you mean 'auto', which chooses?") from error
        raise


def _compared(
    models: Mapping[str, Model],
    fitted: Sequence[Trace],
    held_out: Sequence[Trace],
    job: Job,
    out: Console,
) -> tuple[str, Fit, str]:
    """The name of the model that predicts best, its fit so far, and why it was chosen, told."""
    out.print(f"comparing the models {', '.join(models)} for {_CHOOSING * job.seconds:.0f} s")
    ready = {name: (m.cell, m.space) for name, m in models.items() if m.space is not None}
    with FitProgress(out) as progress:
        found = fitting.compare(
            ready,
            fitted,
            held_out,
            seconds=_CHOOSING * job.seconds,
            seed=job.seed,
            precision=checked(job.precision),
            hold=job.hold,
            progress=progress,
        )
    out.print(f"[yellow]chosen:[/] {escape(found.sentence())}", soft_wrap=True)
    return found.best.name, found.fits[found.best.name], found.sentence()


def fit_and_certify(
    work: Work, out: Console, stages: Sequence[Stage] | None = None, checkpoint: Path | None = None
) -> FitReport:
    """Fit some of the sweeps, then run the fitted cell freely on every one of them.

    A `checkpoint` is the file with the best so far.
    """
    model, traces, fitted = work.model, work.traces, work.fitted
    assert model.space is not None
    names = ", ".join(label(t) for t in fitted)
    out.print(f"fitting {len(model.space)} parameters of [bold]{model.name}[/] to {escape(names)}")
    with FitProgress(out) as progress:
        how: dict[str, Any] = {
            "seconds": work.seconds, "progress": progress, "checkpoint": checkpoint,
        }  # fmt: skip
        if work.begun is not None:
            found = fitting.resume(work.begun, stages, **how)
        else:
            found = fitting.fit(
                model.cell,
                list(fitted),
                model.space,
                stages,
                held_out=[t for t in traces if not any(t is f for f in fitted)],
                seed=work.seed,
                precision=work.precision,
                hold=work.hold,
                **how,
            )
    known = [] if found.certificate is None else found.certificate.free_runs
    views = certified(found.cell, traces, fitted, out, known)
    return FitReport(
        title=work.title,
        fit=found,
        views=views,
        agreements=[agreement(v.data, v.model, v.keep) for v in views],
        truth=work.truth,
        command=shlex.join(["neurojax", *sys.argv[1:]]),
        settings=work.settings,
        seconds=work.clock.seconds,
        compiling=work.clock.compiling,
    )


def chosen_stages(method: str, starts: int | None) -> list[Stage] | None:
    """The stages that `search,polish` names; None for those that suit the recording.

    `starts` is how many points the first stage begins with. Raises ValueError for an unknown name.
    """
    if not method:
        if starts is not None:
            raise ValueError("--starts needs a --method, whose first stage begins with so many")
        return None
    stages: list[Stage] = []
    for name in (word.strip() for word in method.split(",")):
        if name not in STAGES:
            near = nearest(name, STAGES)
            raise ValueError(f"--method: no stage {name!r}{near} (have: {', '.join(STAGES)})")
        stages.append(STAGES[name]())
    if starts is not None:
        first = stages[0]
        many = "population" if hasattr(first, "population") else "starts"
        if hasattr(first, "draws"):
            stages[0] = replace(first, **{many: starts})  # pyright: ignore[reportArgumentType]
        else:
            stages.insert(0, Draw(starts))
    return stages
