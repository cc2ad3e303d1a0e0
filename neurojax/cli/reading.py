"""How a recording is to be read: the options that commands share, and what looks wrong, told."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from neurojax.cli import console
from neurojax.cli.sweeps import choose, without
from neurojax.io import read
from neurojax.recording.trace import Trace
from neurojax.units import parse

ClampOption = Annotated[
    str, typer.Option(help="'current' or 'voltage', where a file holds both or does not say.")
]
ChannelOption = Annotated[
    str, typer.Option(help="What was measured, by its name or number, where a file has several.")
]
CommandOption = Annotated[
    str, typer.Option(help="What was imposed: a recorded channel or an output, by name or number.")
]
GainOption = Annotated[float, typer.Option(help="What was measured is multiplied by this.")]
UnitOption = Annotated[str, typer.Option(help="The unit of that channel, where the file is wrong.")]
WindowOption = Annotated[
    str, typer.Option(help="The step that counts, as 200-700 (ms). Default: the one that varies.")
]
SweepsOption = Annotated[
    str, typer.Option(help="Sweeps that count: 3, 1-5, sine_wave, IV:2 or a list. Default: all.")
]
ExcludeOption = Annotated[str, typer.Option(help="Sweeps to leave out, as 4 or 7-9.")]
JunctionOption = Annotated[
    str,
    typer.Option(
        "--junction-potential", help="Liquid junction potential, as '14 mV': taken off every V."
    ),
]


@dataclass(frozen=True)
class Reading:
    """A recording as the user asked for it; "" where the file itself shall say it."""

    clamp: str = ""
    channel: str = ""
    command: str = ""
    gain: float = 1.0
    unit: str = ""
    window: str = ""
    exclude: str = ""
    junction: str = ""

    def check(self) -> None:
        """Raise ValueError for what cannot be meant, before anything is read."""
        if self.clamp not in ("", "current", "voltage"):
            raise ValueError(f"--clamp is {self.clamp!r}; expected 'current' or 'voltage'")
        self.times()
        self.junction_mV()

    def times(self) -> tuple[float, float] | None:
        """The window (on, off) in ms."""
        if not self.window:
            return None
        parts = re.split(r"\s*(?:-|,|:|to)\s*", self.window.strip().removesuffix("ms").strip())
        if len(parts) != 2:
            raise ValueError(f"--window is {self.window!r}; expected on-off in ms, as 200-700")
        on, off = (parse(part, "ms", "--window") for part in parts)
        if not 0 <= on < off:
            raise ValueError(f"--window is {self.window!r}; expected 0 <= on < off, in ms")
        return on, off

    def junction_mV(self) -> float:
        """The liquid junction potential, mV."""
        return parse(self.junction, "mV", "--junction-potential") if self.junction else 0.0

    def read(self, path: str, sweeps: str = "") -> list[Trace]:
        """The sweeps of a recording, what looks wrong in it told in a line each.

        Raises ValueError for a sweep that it has not, RecordingError for what cannot be read.
        """
        told: dict[str, Any] = {
            key: getattr(self, key) or None for key in ("clamp", "channel", "command", "unit")
        }
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            traces = read(path, gain=self.gain, window=self.times(), **told)
        console.warn(str(w.message) for w in caught)
        if self.exclude:
            traces = without(traces, self.exclude, f"{path}: --exclude")
        if sweeps:
            traces = choose(traces, sweeps, f"{path}: --sweeps")
        if self.junction:
            traces = [trace.less_junction(self.junction_mV()) for trace in traces]
        return traces
