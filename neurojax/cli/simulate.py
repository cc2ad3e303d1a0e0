"""`neurojax simulate`: read what to do from text with units, run it, tell and save the outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from rich.markup import escape

from neurojax import plot
from neurojax.cli import console
from neurojax.cli.deliver import check_writable
from neurojax.cli.parameters import settings
from neurojax.cli.pictures import check_picture, save_picture
from neurojax.cli.stimulus import Made, Replay, Stimulus, Table, stimuli
from neurojax.fit import agreement
from neurojax.fit.saving import parameter_records
from neurojax.io import Results, save
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.electrode import current_clamp, first_command
from neurojax.membrane.holding import held_at
from neurojax.membrane.observables import observables, observe
from neurojax.membrane.requirements import check_single
from neurojax.membrane.rest import at_rest, steady_state
from neurojax.model import Model, load_model
from neurojax.model.document import RESULTS
from neurojax.plot import SweepView
from neurojax.plot.sweep import commanded
from neurojax.recording import features
from neurojax.recording.trace import Trace
from neurojax.run.simulation import simulate
from neurojax.run.step_error import error_of
from neurojax.units import PA, nearest, parse

_NO_MODELS = {
    ".mod": "an NMODL channel: name it in a model, `type = \"{}\"`, or `neurojax convert {}`",
    ".nml": "NeuroML: a model names a channel of it, `type = \"{}\"` or `type = \"{}:na\"`",
    ".swc": "a morphology: a model names it, `[morphology]` with `file = \"{}\"`, beside channels",
    ".asc": "a morphology: a model names it, `[morphology]` with `file = \"{}\"`, beside channels",
    ".hoc": "a program of NEURON, which neurojax does not run",
    ".py": "Python: a model names a channel in it, `type = \"{}:MyNa\"`",
}  # fmt: skip


@dataclass(frozen=True)
class SimulateJob:
    """A simulation as the user asked for it."""

    model: str
    stimulus: Made | Table | Replay
    dt: str = "0.025 ms"
    sets: Sequence[str] = ()
    hold: str = ""
    record: str = ""
    step_error: bool = False
    output: Path | None = None
    picture: Path | None = None

    def check(self) -> None:
        """Raise ValueError or OSError for what could not be done, before anything is run."""
        told = _NO_MODELS.get(Path(self.model).suffix.lower())
        if told:
            copy = "neurojax models cortex > mine.toml is one to begin with"
            raise ValueError(f"{self.model}: is {told.replace('{}', self.model)}; {copy}")
        if self.output is not None:
            check_writable(self.output, RESULTS)
        if self.picture is not None:
            check_picture(self.picture)


class Sweep(NamedTuple):
    """A simulated sweep: as a rig would have recorded it, and all that was asked for."""

    trace: Trace
    data: dict[str, np.ndarray]  # `[sample]`, from before the first step on
    of: Stimulus


def run(job: SimulateJob) -> None:
    """Simulate, print a summary, write what was asked for. Raises ValueError or OSError."""
    job.check()
    loaded = load_model(job.model)
    cell = loaded.at(settings(job.sets, loaded))
    step_ms = parse(job.dt, "ms", "--dt")
    if not 0 < step_ms <= 1:
        raise ValueError(f"--dt = {job.dt}: expected a time step between 0 and 1 ms")
    names = [n.strip() for n in job.record.split(",") if n.strip()]
    for name in names:
        if name not in observables(cell):
            have = ", ".join(observables(cell))
            near = nearest(name, observables(cell))
            raise ValueError(f"--record: cannot record {name!r}{near} (have: {have})")
    done = []
    for stimulus in stimuli(job.stimulus, cell, step_ms):
        stimulus, initial = _begun(loaded.name, cell, stimulus, job.hold)
        shown = names or [_measured(cell, stimulus.clamp)]
        sweep = _run(loaded.name, cell, stimulus, step_ms, shown, initial)
        done.append(sweep)
        console.out.print(_summary(loaded.name, sweep), soft_wrap=True)
        if job.step_error:
            told = error_of(cell, stimulus.electrode, step_ms, initial=initial)
            console.out.print(str(told), soft_wrap=True)
    if job.output is not None:
        console.out.print(f"results: {_save(job, loaded, cell, done, step_ms)}", soft_wrap=True)
    if job.picture is not None:
        save_picture(_picture(loaded.name, cell, done, bool(names)), job.picture)
        console.out.print(f"drawn: {job.picture}", soft_wrap=True)


def _begun(name: str, cell: Cell, s: Stimulus, hold: str) -> tuple[Stimulus, State]:
    """The stimulus, with the current that holds the cell where asked, and the state it finds."""
    if s.clamp == "voltage":
        if hold:
            raise ValueError("--hold is of a current clamp; a voltage clamp has its --holding")
        check_single(cell, "a voltage clamp here")
        return s, steady_state(cell, first_command(s.electrode))
    if hold:
        v = parse(hold, "mV", "--hold")
        if not -150 <= v <= 60:
            raise ValueError(f"--hold = {hold}: expected between -150 and 60 mV")
        own: Any = np.full(cell.state_shape, v) if cell.state_axes else v
        bias = float(np.ravel(np.asarray(held_at(cell, own, s.holding * PA).bias))[0]) / PA
        command = s.command + bias
        s = s._replace(
            electrode=current_clamp(command * PA), command=command, holding=s.holding + bias
        )
        console.out.print(f"held at {v:g} mV by {s.holding:.4g} pA", soft_wrap=True)
        return s, steady_state(cell, own)
    initial = at_rest(cell, s.holding * PA)
    if not np.isfinite(np.asarray(initial.v)).all():
        raise ValueError(
            f"{name} has no resting potential at a holding current of {s.holding:g} pA"
        )
    return s, initial


def _run(name: str, cell: Cell, s: Stimulus, dt: float, names: list[str], initial: State) -> Sweep:
    """The simulated sweep, and every observable, from before the first step on."""
    measured = _measured(cell, s.clamp)
    wanted = list(dict.fromkeys([measured, *names]))
    done = simulate(cell, s.electrode, dt, record=wanted, initial=initial)
    if not bool(done.ok):
        raise ValueError(f"{name} left the finite numbers: use a smaller --dt (now {dt:g} ms)")
    data = {
        k: np.concatenate([np.asarray(observe(cell, initial, k))[None], np.asarray(v)])
        for k, v in done.data.items()
    }
    # One sample more than steps; the last command holds on.
    command = np.r_[s.command, s.command[-1:]]
    if s.clamp == "current":
        v, i = data[measured], command
    else:
        v, i = np.r_[float(initial.v), s.command], data["i_ion"] * float(np.asarray(cell.area)) / PA
    trace = Trace(
        clamp=s.clamp,  # pyright: ignore[reportArgumentType]
        dt_ms=dt,
        v_mV=v,
        i_pA=i,
        name=name,
        sweep=s.sweep,
        holding=s.holding,
        window=None if s.data is None else s.data.window,
    )
    return Sweep(trace, {k: data[k] for k in names}, s)


def _save(
    job: SimulateJob, loaded: Model, cell: Cell, done: Sequence[Sweep], step_ms: float
) -> Path:
    """Results as HDF5: of several sweeps each has its number behind its name."""
    assert job.output is not None
    one = len(done) == 1
    end = [("", "")] if one else [(f" {s.of.sweep}", f"/{s.of.sweep}") for s in done]
    traces = {f"simulation{a}": s.trace for (a, _), s in zip(end, done, strict=True)}
    arrays = {
        f"{name}{b}": values
        for (_, b), s in zip(end, done, strict=True)
        for name, values in {"t_ms": s.trace.t_ms, **s.data}.items()
    }
    results = Results(
        parameters=parameter_records(cell),
        traces=traces,
        arrays=arrays,
        settings={
            "model": job.model, "dt_ms": step_ms, "set": list(job.sets),
            "record": list(done[0].data), "stimulus": str(job.stimulus),
        },
        provenance={"model": loaded.source},
    )  # fmt: skip
    return save(job.output, results)


def _picture(name: str, cell: Cell, done: Sequence[Sweep], recorded: bool) -> Figure:
    """Model over data of what is a replay; else what was recorded, sweeps on each other."""
    views = [SweepView(s.of.data, beside, False, given=True) for s in done
             if s.of.data is not None and (beside := _as_sampled(s.trace, s.of.data))]  # fmt: skip
    if views and not recorded:
        return plot.sweep(views[0]) if len(views) == 1 else plot.overview(views)
    label = "current (pA)" if done[0].of.clamp == "current" else "command (mV)"
    alike = [s for s in done if s.trace.v_mV.size == done[0].trace.v_mV.size]
    data = [_at_electrode(cell, s.data) for s in alike]
    stacked = {k: np.stack([d[k] for d in data], axis=-1) for k in data[0]}
    command = np.stack([commanded(s.trace) for s in alike], axis=-1)
    if len(alike) == 1:
        stacked, command = {k: x[:, 0] for k, x in stacked.items()}, command[:, 0]
    return plot.observed(done[0].trace.t_ms, stacked, command, label, name)


def _as_sampled(model: Trace, data: Trace) -> Trace:
    """The model at the times of the data's samples."""
    v, i = (np.interp(data.t_ms, model.t_ms, x) for x in (model.v_mV, model.i_pA))
    return replace(data, v_mV=v, i_pA=i, name=model.name)


def _at_electrode(cell: Cell, data: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What is drawn, `[record]`: of a cell with compartments that in which its electrode is."""
    at = int(np.asarray(getattr(cell, "electrode_at", 0)))
    return {k: x if x.ndim == 1 else x[:, at] for k, x in data.items()}


def _measured(cell: Cell, clamp: str) -> str:
    """What the amplifier measures; of a cell with compartments where the electrode is."""
    if clamp == "voltage":
        return "i_ion"
    return "v_amp" if cell.state_axes else "v"


def _summary(name: str, done: Sweep) -> str:
    """A sweep in a line; of a replay also how near it is to what was recorded."""
    trace = done.trace
    step = (done.of.data or trace).main_step()
    on, off, height = step
    if not height and np.ptp(trace.command):  # noise has no step
        what = f"stimulus of {trace.command.mean():.3g} +- {trace.command.std():.3g}"
    else:
        what = f"step of {height:.4g}" if step.flat else f"stimulus up to {height:.4g}"
    if trace.clamp == "voltage":
        low, high = trace.i_pA.min(), trace.i_pA.max()
        return f"{name}: current from {low:.4g} to {high:.4g} pA, {what} mV"
    found = features.spikes(trace.v_mV, trace.dt_ms)
    count = found.times.size
    told = f"{name}: rest {trace.v_mV[0]:.1f} mV, {what} pA, {count} spike"
    told += "" if count == 1 else "s"
    if count:
        told += f", peak {np.nanmax(found.peaks):.1f} mV, first {found.times[0] - on:.2f} ms after"
        told += " the onset"
    if count > 1 and off > on:
        told += f", {count / (off - on) * 1e3:.1f} Hz"
    if done.of.data is not None:
        near = agreement(done.of.data, _as_sampled(trace, done.of.data)).sentence()
        told += f"\n  beside sweep {done.of.sweep} of the recording: {escape(near)}"
    return told
