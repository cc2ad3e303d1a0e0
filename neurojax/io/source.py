"""What every reader shares: hashing, units, the shape of a command, and saying what is broken."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from neurojax.recording.trace import Origin, RecordingError
from neurojax.units import UNITS, factor, normalise

Clamp = Literal["current", "voltage"]
OTHER = {"current": "voltage", "voltage": "current"}
NATIVE = {"voltage": "mV", "current": "pA"}


class Asked(NamedTuple):
    """What the caller says about a recording; None where the file itself shall say it."""

    clamp: Clamp | None = None
    voltage_unit: str | None = None
    current_unit: str | None = None
    partner: Path | None = None
    channel: str | int | None = None  # what was measured
    command: str | int | None = None  # what was imposed
    unit: str | None = None  # of that channel

    def unit_of(self, quantity: str, in_file: str | None = None) -> str | None:
        """The unit of a quantity ("voltage" or "current"): the caller's word, else the file's."""
        said = self.voltage_unit if quantity == "voltage" else self.current_unit
        return said or in_file


@contextmanager
def reading(path: Path, kind: str) -> Generator[None]:
    """Turn whatever a third-party reader raises into a RecordingError that names the file."""
    try:
        yield
    except RecordingError:
        raise
    except Exception as error:
        said = (str(error).strip() or "no reason given").splitlines()[0][:200]
        if isinstance(error, NotImplementedError):  # it says that the file may well be whole
            raise RecordingError(
                f"{path}: is a {kind} file of a kind that cannot be read ({said})"
            ) from error
        raise RecordingError(
            f"{path}: cannot be read; expected a whole {kind} file, but it is truncated, damaged "
            f"or of another kind ({type(error).__name__}: {said})"
        ) from error


def needs(package: str, path: Path, extra: str = "io") -> RecordingError:
    """The error for an optional reader that is not installed."""
    return RecordingError(
        f"{path}: reading this format needs {package}; install it with: "
        f"pip install 'neurojax[{extra}]'"
    )


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def origin(path: Path, kind: str, note: str = "") -> Origin:
    """Where a trace came from, with the digest of the file's bytes."""
    return Origin(path=str(path), format=kind, sha256=sha256(path), note=note)


# Units as programs of rigs write them, by their lower case.
_SPELLED = {
    **{name.lower(): name for name in ("mV", "uV", "pA", "nA", "uA", "ms", "us")},
    **dict.fromkeys(("v", "volt", "volts"), "V"),
    **dict.fromkeys(("a", "amp", "amps", "ampere", "amperes"), "A"),
    **dict.fromkeys(("millivolt", "millivolts"), "mV"),
    **dict.fromkeys(("picoamp", "picoamps", "picoampere", "picoamperes"), "pA"),
    **dict.fromkeys(("nanoamp", "nanoamps", "nanoampere", "nanoamperes"), "nA"),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("msec", "millisecond", "milliseconds"), "ms"),
}


def spelled(unit: str) -> str:
    """A unit of a file without the padding of its field, in the spelling of `units`."""
    plain = "".join(c for c in unit.split("\0")[0] if c.isprintable()).strip()
    plain = plain.replace("µ", "u").replace("μ", "u")
    return plain if plain in UNITS else _SPELLED.get(plain.lower(), plain)


def quantity(unit: str | None) -> str | None:
    """What a unit measures ("voltage", "current", ...), or None for an unknown unit."""
    try:
        return UNITS[normalise(spelled(unit or ""))][0]
    except ValueError:
        return None


def convert(samples: Any, unit: str | None, to: str, where: str) -> np.ndarray:
    """Samples of a file as float64 in the unit `to`.

    Raises RecordingError, beginning with `where`, for a missing unit or one of another quantity.
    """
    if not unit or not spelled(unit):
        raise RecordingError(f"{where}: no unit is given; expected one such as {to}")
    try:
        scale = factor(spelled(unit), to)
    except ValueError as error:
        raise RecordingError(f"{where}: {error}") from None
    return np.asarray(samples, dtype=np.float64) * scale


def even_dt(times: np.ndarray, where: str) -> float:
    """The sampling interval of evenly spaced times, in their unit.

    Times that were rounded when written are taken; RecordingError for gaps, repeats or disorder.
    """
    if times.size < 2:
        raise RecordingError(f"{where}: {times.size} samples; expected at least two")
    if not np.isfinite(times).all():
        raise RecordingError(
            f"{where}: time is not finite at sample {np.argmin(np.isfinite(times))}"
        )
    dt = float(times[-1] - times[0]) / (times.size - 1)
    steps = np.diff(times)
    if dt <= 0 or steps.min() < 0:
        at = int(np.argmin(steps))
        raise RecordingError(f"{where}: time does not increase from sample {at} to {at + 1}")
    off_grid = np.abs(times - times[0] - dt * np.arange(times.size)) / dt
    if off_grid.max() > 0.51:
        at = int(np.argmax(np.abs(steps - np.median(steps))))
        raise RecordingError(
            f"{where}: time is not evenly spaced; the interval is {steps[at]:g} after sample {at} "
            f"but {np.median(steps):g} elsewhere"
        )
    return dt
