"""`neurojax simulate`: read what to do from text with units, run it, tell and save the outcome."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure
from rich.console import Console

from neurojax import plot
from neurojax.cli.deliver import check_writable
from neurojax.cli.reading import Reading
from neurojax.cli.sweeps import choose
from neurojax.engine.observables import observables, observe
from neurojax.fit.saving import parameter_records
from neurojax.io import Results, save
from neurojax.io.files import write_whole
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.electrode import (
    Electrode,
    current_clamp,
    first_command,
    from_trace,
    steps,
    voltage_clamp,
)
from neurojax.membrane.path_names import settable
from neurojax.membrane.requirements import check_single
from neurojax.membrane.rest import at_rest, steady_state
from neurojax.model import Model, load_model
from neurojax.plot.sweep import commanded
from neurojax.recording import features
from neurojax.recording.trace import Trace
from neurojax.run.simulation import simulate
from neurojax.run.step_error import error_of
from neurojax.units import PA, UNITS, check_known, nearest, normalise, parse

_UNIT = re.compile(r"^\s*[-+]?[\d.]+([eE][-+]?\d+)?")  # the number, which leaves the unit


@dataclass(frozen=True)
class Step:
    """A rectangular step as the user wrote it."""

    amplitude: str
    duration: str
    start: str
    stop: str
    holding: str


@dataclass(frozen=True)
class Replay:
    """A recording whose stimulus is played again, of one of its sweeps."""

    recording: str
    sweep: str
    reading: Reading


class Stimulus(NamedTuple):
    """What the rig does, in a trace's units, `[step]`."""

    electrode: Electrode
    clamp: str
    command: np.ndarray  # pA or mV
    holding: float  # pA or mV


def run(
    out: Console,
    *,
    model: str,
    stimulus: Step | Replay,
    dt: str,
    sets: Sequence[str],
    record: str,
    step_error: bool,
    output: Path | None,
    picture: Path | None,
) -> None:
    """Simulate, print a summary, write what was asked for. Raises ValueError or OSError."""
    loaded = load_model(model)
    cell = loaded.at(settings(sets, loaded))
    step_ms = parse(dt, "ms", "--dt")
    if not 0 < step_ms <= 1:
        raise ValueError(f"--dt = {dt}: expected a time step between 0 and 1 ms")
    names = [n.strip() for n in record.split(",") if n.strip()]
    for name in names:
        if name not in observables(cell):
            have = ", ".join(observables(cell))
            near = nearest(name, observables(cell))
            raise ValueError(f"--record: cannot record {name!r}{near} (have: {have})")
    for path in (output, picture):
        if path is not None:
            check_writable(path)
    done = _stimulus(stimulus, cell, step_ms)
    names = names or [_measured(cell, done.clamp)]
    initial = _rest(loaded.name, cell, done)
    trace, data = _run(loaded.name, cell, done, step_ms, names, initial)
    out.print(_summary(loaded.name, trace), soft_wrap=True)
    if step_error:
        told = error_of(cell, done.electrode, step_ms, initial=initial)
        out.print(str(told), soft_wrap=True)
    if output is not None:
        results = Results(
            parameters=parameter_records(cell),
            traces={"simulation": trace},
            arrays={"t_ms": trace.t_ms, **data},
            settings={"model": model, "dt_ms": step_ms, "set": list(sets), "record": names},
            provenance={"model": loaded.source},
        )
        out.print(f"results: {save(output, results)}", soft_wrap=True)
    if picture is not None:
        label = "current (pA)" if done.clamp == "current" else "command (mV)"
        shown = _at_electrode(cell, data)
        drawn = plot.observed(trace.t_ms, shown, commanded(trace), label, loaded.name)
        save_picture(drawn, picture)
        out.print(f"drawn: {picture}", soft_wrap=True)


def settings(sets: Sequence[str], model: Model) -> dict[str, float]:
    """Parameter values from `name=value` texts. Raises ValueError for a bad name, unit or value."""
    known, values = settable(model.cell), {}
    for text in sets:
        name, equals, value = text.partition("=")
        name, value = name.strip(), value.strip().strip("'\"")
        if not equals:
            raise ValueError(f"--set {text!r}: expected name=value, such as na.g_bar='60 mS/cm2'")
        check_known(name, known, "parameter", "--set: ")
        values[name] = parse(value, known[name][1].unit, f"--set {name}")
    return values


def _stimulus(asked: Step | Replay, cell: Cell, dt: float) -> Stimulus:
    if isinstance(asked, Replay):
        asked.reading.check()
        traces = asked.reading.read(asked.recording, Console(stderr=True, highlight=False))
        (trace, *_) = choose(traces, asked.sweep, "--sweep") if asked.sweep else traces
        electrode = from_trace(trace, dt)
        in_current = trace.clamp == "current"
        command = np.asarray(electrode.i) / PA if in_current else np.asarray(electrode.v_cmd)
        return Stimulus(electrode, trace.clamp, command, trace.holding)
    if not asked.amplitude:
        raise ValueError("give a stimulus: --amplitude '170 pA', or --recording FILE")
    times = {k: parse(getattr(asked, k), "ms", f"--{k}") for k in ("duration", "start")}
    times["stop"] = parse(asked.stop, "ms", "--stop") if asked.stop else times["duration"] - 50.0
    size, kind = quantity(asked.amplitude, "--amplitude", cell)
    held, held_kind = (
        quantity(asked.holding, "--holding", cell)
        if asked.holding
        else (0.0 if kind == "pA" else -80.0, kind)
    )
    if kind != held_kind:
        raise ValueError(f"--amplitude is in {kind} but --holding in {held_kind}")
    lift = size if kind == "pA" else size - held
    command = steps(lift, **times, dt=dt, holding=held)
    if kind == "pA":
        return Stimulus(current_clamp(command * PA), "current", command, held)
    return Stimulus(voltage_clamp(command), "voltage", command, held)


def quantity(text: str, what: str, cell: Cell) -> tuple[float, str]:
    """A current in pA (a density is multiplied by the cell's area), or a voltage in mV."""
    unit = _UNIT.sub("", text).strip()
    expected = (
        "expected a current (pA, nA), a current density (uA/cm2) or, for a voltage clamp, a "
        "voltage (mV)"
    )
    try:
        kind = UNITS[normalise(unit)][0] if unit else ""
    except ValueError as error:
        raise ValueError(f"{what} = {text!r}: {error}; {expected}") from None
    if kind == "current density":
        density = parse(text, "uA/cm2", what)
        return density * float(np.sum(cell.area)) / PA, "pA"
    if kind == "current":
        return parse(text, "pA", what), "pA"
    if kind == "voltage":
        return parse(text, "mV", what), "mV"
    raise ValueError(f"{what} = {text!r}: {expected}")


def _rest(name: str, cell: Cell, s: Stimulus) -> State:
    """The state in which the stimulus finds the cell."""
    if s.clamp == "voltage":
        check_single(cell, "a voltage clamp here")
    initial = (
        at_rest(cell, s.holding * PA)
        if s.clamp == "current"
        else steady_state(cell, first_command(s.electrode))
    )
    if not np.isfinite(np.asarray(initial.v)).all():
        raise ValueError(
            f"{name} has no resting potential at a holding current of {s.holding:g} pA"
        )
    return initial


def _run(name: str, cell: Cell, s: Stimulus, dt: float, names: list[str], initial: State):
    """The simulated sweep as a trace, and every observable, from before the first step on."""
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
        holding=s.holding,
    )
    return trace, {k: data[k] for k in names}


def _at_electrode(cell: Cell, data: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What is drawn, `[record]`: of a cell with compartments that in which its electrode is."""
    at = int(np.asarray(getattr(cell, "electrode_at", 0)))
    return {k: x if x.ndim == 1 else x[:, at] for k, x in data.items()}


def _measured(cell: Cell, clamp: str) -> str:
    """What the amplifier measures; of a cell with compartments where the electrode is."""
    if clamp == "voltage":
        return "i_ion"
    return "v_amp" if cell.state_axes else "v"


def _summary(name: str, trace: Trace) -> str:
    on, off, height = trace.step_window()
    if trace.clamp == "voltage":
        low, high = trace.i_pA.min(), trace.i_pA.max()
        return f"{name}: current from {low:.4g} to {high:.4g} pA, step of {height:.4g} mV"
    found = features.spikes(trace.v_mV, trace.dt_ms)
    count = found.times.size
    told = f"{name}: rest {trace.v_mV[0]:.1f} mV, step of {height:.4g} pA, {count} spike"
    told += "" if count == 1 else "s"
    if count:
        told += f", peak {np.nanmax(found.peaks):.1f} mV, first {found.times[0] - on:.2f} ms after"
        told += " the onset"
    if count > 1 and off > on:
        told += f", {count / (off - on) * 1e3:.1f} Hz"
    return told


def check_picture(path: Path) -> None:
    """Raise ValueError for a name that is of no format that can be drawn."""
    if path.suffix[1:].lower() not in FigureCanvasBase.filetypes:
        usual = ".png, .svg or .pdf"
        raise ValueError(f"{path}: cannot draw {path.suffix or 'without a suffix'}; use {usual}")


def save_picture(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all, in the format that the file's name says.

    Raises ValueError for a format that cannot be drawn and OSError when it cannot be written.
    """
    check_picture(path)
    buffer = io.BytesIO()
    with matplotlib.rc_context(plot.STYLE):
        figure.savefig(buffer, format=path.suffix[1:].lower())
    write_whole(path, buffer.getvalue())
