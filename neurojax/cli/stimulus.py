"""What `neurojax simulate` imposes: steps, ramps, sines, noise, a table, a recording's own."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neurojax.cli.reading import Reading
from neurojax.io.csv import read_commands
from neurojax.membrane.compartment import Cell
from neurojax.membrane.electrode import (
    Electrode,
    current_clamp,
    from_trace,
    resample,
    steps,
    voltage_clamp,
)
from neurojax.recording.command import holding_of
from neurojax.recording.trace import Trace
from neurojax.units import PA, UNITS, normalise, parse

SHAPES = ("step", "ramp", "sine", "noise")

MOST_SWEEPS = 1000
"""More amplitudes are a sweep over parameters: neurojax sweep."""

_UNIT = re.compile(r"^\s*[-+]?[\d.]+([eE][-+]?\d+)?")  # the number, which leaves the unit


@dataclass(frozen=True)
class Made:
    """A stimulus as the user wrote it: an amplitude or several, from start to stop, of a shape."""

    amplitude: str = ""
    duration: str = "300 ms"
    start: str = "50 ms"
    stop: str = ""
    holding: str = ""
    shape: str = "step"
    frequency: str = ""  # of a sine
    correlation: str = ""  # of noise
    seed: int = 0


@dataclass(frozen=True)
class Table:
    """A text table of time and current, or of time and voltage."""

    path: str


@dataclass(frozen=True)
class Replay:
    """A recording whose stimulus is played again, of some of its sweeps."""

    recording: str
    sweeps: str = ""
    reading: Reading = field(default_factory=Reading)


class Stimulus(NamedTuple):
    """What the rig does in a sweep, in a trace's units, `[step]`."""

    electrode: Electrode
    clamp: str
    command: np.ndarray  # pA or mV
    holding: float  # pA or mV
    sweep: int = 0
    data: Trace | None = None  # what was recorded under it


def stimuli(asked: Made | Table | Replay, cell: Cell, dt: float) -> list[Stimulus]:
    """The sweeps that were asked for, in steps of dt (ms). Raises ValueError or RecordingError."""
    if isinstance(asked, Replay):
        asked.reading.check()
        traces = asked.reading.read(asked.recording, asked.sweeps)
        return [_replayed(t, dt) for t in (traces if asked.sweeps else traces[:1])]
    if isinstance(asked, Table):
        told = read_commands(Path(asked.path).expanduser())
        return [
            _imposed(resample(x, dt_ms, dt, at=0.5), unit, holding_of(x, dt_ms), k)
            for k, (_, dt_ms, x, unit) in enumerate(told, 1)
        ]
    return _made(asked, cell, dt)


def _replayed(trace: Trace, dt: float) -> Stimulus:
    electrode = from_trace(trace, dt)
    in_current = trace.clamp == "current"
    command = np.asarray(electrode.i) / PA if in_current else np.asarray(electrode.v_cmd)
    return Stimulus(electrode, trace.clamp, command, trace.holding, trace.sweep, trace)


def _imposed(command: np.ndarray, unit: str, holding: float, sweep: int) -> Stimulus:
    if unit == "pA":
        return Stimulus(current_clamp(command * PA), "current", command, holding, sweep)
    return Stimulus(voltage_clamp(command), "voltage", command, holding, sweep)


def _made(asked: Made, cell: Cell, dt: float) -> list[Stimulus]:
    if not asked.amplitude:
        raise ValueError(
            "give a stimulus: --amplitude '170 pA', --current FILE.csv, or --recording FILE"
        )
    if asked.shape not in SHAPES:
        raise ValueError(f"--shape is {asked.shape!r}; expected one of {', '.join(SHAPES)}")
    for option, text, shape in (
        ("--frequency", asked.frequency, "sine"),
        ("--correlation", asked.correlation, "noise"),
    ):
        if text and asked.shape != shape:
            raise ValueError(f"{option} is of --shape {shape}, not of {asked.shape}")
    times = {k: parse(getattr(asked, k), "ms", f"--{k}") for k in ("duration", "start")}
    times["stop"] = parse(asked.stop, "ms", "--stop") if asked.stop else times["duration"] - 50.0
    sizes, kind = amplitudes(asked.amplitude, cell)
    _check_memory(times["duration"], dt, len(sizes))
    held, held_kind = (
        quantity(asked.holding, "--holding", cell)
        if asked.holding
        else (0.0 if kind == "pA" else -80.0, kind)
    )
    if kind != held_kind:
        raise ValueError(f"--amplitude is in {kind} but --holding in {held_kind}")
    unit = steps(1.0, **times, dt=dt)  # where it is on
    t = (np.arange(unit.size) + 0.5) * dt - times["start"]
    made = []
    for k, size in enumerate(sizes, 1):
        # A step or a ramp of a clamp goes to a potential; a sine or noise is about holding.
        lift = size - held if kind == "mV" and asked.shape in ("step", "ramp") else size
        course = _course(asked, t, times["stop"] - times["start"], dt, k)
        made.append(_imposed(held + lift * unit * course, kind, held, k))
    return made


def _course(asked: Made, t: np.ndarray, lasts: float, dt: float, sweep: int) -> np.ndarray | float:
    """The shape in time, of amplitude 1, t (ms) from its onset."""
    if asked.shape == "step":
        return 1.0
    if asked.shape == "ramp":
        return t / lasts if lasts else 0.0
    if asked.shape == "sine":
        if not asked.frequency:
            raise ValueError("--shape sine needs a --frequency, such as '10 Hz'")
        rate = parse(asked.frequency, "Hz", "--frequency")
        if not 0 < rate <= 500 / dt:
            raise ValueError(
                f"--frequency = {asked.frequency}: expected more than 0 and at most {500 / dt:g} "
                "Hz, half of the steps in time"
            )
        return np.sin(2e-3 * np.pi * rate * t)
    return _noise(asked, t.size, dt, sweep)


def _noise(asked: Made, n: int, dt: float, sweep: int) -> np.ndarray:
    """Ornstein-Uhlenbeck noise of sd 1, exact in steps of dt; each sweep has its own."""
    from scipy.signal import lfilter  # which takes a while to load

    tau = parse(asked.correlation, "ms", "--correlation") if asked.correlation else 2.0
    if not tau > 0:
        raise ValueError(f"--correlation = {asked.correlation}: expected a time above 0 ms")
    if asked.seed < 0:
        raise ValueError(f"--seed is {asked.seed}; expected 0 or more")
    white = np.random.default_rng((asked.seed, sweep)).standard_normal(n)
    keep = np.exp(-dt / tau)
    drive = white * np.sqrt(1 - keep**2)
    drive[:1] = white[:1]  # it begins as it goes on
    return np.asarray(lfilter([1.0], [1.0, -keep], drive))


def _check_memory(duration_ms: float, dt: float, sweeps: int) -> None:
    """Raise ValueError for a run that no memory of this machine holds."""
    n = duration_ms / dt * sweeps
    needed, have = 64 * n, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > have:
        raise ValueError(
            f"--duration: {n:.3g} steps of {dt:g} ms take about {needed / 1e9:.3g} GB, but this "
            f"machine has {have / 1e9:.3g} GB"
        )


def amplitudes(text: str, cell: Cell) -> tuple[list[float], str]:
    """Currents in pA, or voltages in mV: of "170 pA", "0, 50, 100 pA" or "-100:50:300 pA".

    In a list the last unit is that of the numbers without one; a range is from:by:to, with both
    ends.
    """
    words = [w.strip() for w in text.split(",")]
    unit = next((u for w in reversed(words) if (u := _UNIT.sub("", w.split(":")[-1]).strip())), "")
    found: list[tuple[float, str]] = []
    for word in words:
        ends = [e.strip() for e in word.split(":")]
        read = [quantity(e if _UNIT.sub("", e).strip() else f"{e} {unit}", "--amplitude", cell)
                for e in ends]  # fmt: skip
        if len({kind for _, kind in read}) > 1 or len(read) not in (1, 3):
            raise ValueError(
                f"--amplitude {word!r}: expected one amplitude, or from:by:to in one unit, as "
                "'-100:50:300 pA'"
            )
        found += [(x, read[0][1]) for x in _between(word, [x for x, _ in read])]
    kinds = {kind for _, kind in found}
    if len(kinds) > 1:
        raise ValueError(f"--amplitude {text!r}: is in pA and in mV; expected one of them")
    if len(found) > MOST_SWEEPS:
        raise ValueError(
            f"--amplitude {text!r}: {len(found)} sweeps; expected at most {MOST_SWEEPS}: "
            "neurojax sweep is for more"
        )
    return [x for x, _ in found], kinds.pop()


def _between(word: str, ends: Sequence[float]) -> Sequence[float]:
    """The numbers of a range (from, by, to), or the one."""
    if len(ends) == 1:
        return ends
    first, by, last = ends
    if by == 0 or (last - first) / by < 0:
        raise ValueError(f"--amplitude {word!r}: {by:g} never leads from {first:g} to {last:g}")
    many = min((last - first) / by, MOST_SWEEPS)
    return [first + k * by for k in range(int(many + 1e-9) + 1)]


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
