"""What an output of an ABF file commanded in each sweep: its epochs, or the file that it played.

Source: `ABFH_GetWaveform` of Molecular Devices' axon library, whose rules these are: a 64th of the
sweep at holding before the first epoch; a train's samples are those with `k % period < width`;
what follows an epoch begins at its level.
"""

from __future__ import annotations

import ntpath
from collections.abc import Callable
from pathlib import Path

import numpy as np

from neurojax.io.abf_fields import Epoch, Header, Output, Played
from neurojax.io.abf_header import read_header, samples
from neurojax.io.atf import read_columns
from neurojax.recording.trace import RecordingError

EPISODIC = 5
_BEFORE = 64
"""One part of so many of a sweep is at holding before its first epoch."""


class UnknownStimulus(ValueError):
    """Why a header does not tell what an output commanded, as half a sentence."""


def commands(path: Path, header: Header, output: Output) -> list[np.ndarray]:
    """What an output commanded in each sweep `[sample]`, in its unit. Raises UnknownStimulus."""
    n = header.lengths
    if header.mode != EPISODIC or output.source == 0:
        return [np.full(k, output.holding) for k in n]
    if output.source == 2 and output.played is not None:
        return _from_file(path, header, output.played, n)
    if output.source != 1:
        raise UnknownStimulus(f"{output.name!r} plays a stimulus of unknown source")
    return [_sweep(header, output, sweep, k) for sweep, k in enumerate(n)]


# -- epochs ----------------------------------------------------------------------------------------
def _sweep(header: Header, output: Output, sweep: int, n: int) -> np.ndarray:
    start = _start_level(output, sweep)
    command = np.full(n, start)
    if sweep >= header.episodes:
        return command
    silent = header.alternates and output.number == (sweep + 1) % 2
    at = max(1, n // _BEFORE)
    for k, epoch in enumerate(output.epochs):
        told = _in_sweep(output, k, epoch, sweep)
        if not told.type or told.samples <= 0:
            continue
        if at + told.samples > n:
            raise UnknownStimulus(
                f"epoch {told.letter} of {output.name!r} ends after the sweep's {n} samples"
            )
        part = slice(at, at + told.samples)
        if not silent:
            command[part] = _SHAPES[_known(told, output)](told, start)
            start = told.level
        at = part.stop
    command[at:] = start if output.keeps_last else output.holding
    return command


def _start_level(output: Output, sweep: int) -> float:
    """Where a sweep begins: at holding, where a train left it, or where the one before ended."""
    if output.after_train is not None:
        return output.after_train
    used = [k for k, e in enumerate(output.epochs) if e.type]
    if sweep == 0 or not output.keeps_last or not used:
        return output.holding
    return _in_sweep(output, used[-1], output.epochs[used[-1]], sweep - 1).level


def _in_sweep(output: Output, k: int, epoch: Epoch, sweep: int) -> Epoch:
    """An epoch as it is in one sweep, what varies being worked out."""
    epoch = epoch._replace(
        level=epoch.level + sweep * epoch.level_step,
        samples=epoch.samples + sweep * epoch.samples_step,
    )
    listed = output.user_list
    if listed is None or listed.epoch != k:
        return epoch
    if not listed.values:
        raise UnknownStimulus(f"the user list of {output.name!r} is empty")
    place = sweep % len(listed.values) if listed.repeats else min(sweep, len(listed.values) - 1)
    try:
        value = float(listed.values[place])
        told = value if listed.field == "level" else int(value)
    except (ValueError, OverflowError):
        raise UnknownStimulus(
            f"the user list of {output.name!r} has {listed.values[place]!r}; expected a number"
        ) from None
    return epoch._replace(**{listed.field: told})


def _known(epoch: Epoch, output: Output) -> int:
    """The type of an epoch that can be worked out."""
    name = f"epoch {epoch.letter} of {output.name!r}"
    if epoch.type not in _SHAPES:
        raise UnknownStimulus(f"{name} is of type {epoch.type} ({_NAMES.get(epoch.type, '?')})")
    if not np.isfinite(epoch.level):
        raise UnknownStimulus(f"{name} has a level of {epoch.level:g}")
    if epoch.type in _TRAINS and (epoch.period <= 0 or not 0 <= epoch.width <= epoch.period):
        raise UnknownStimulus(
            f"{name}, {_NAMES[epoch.type]}, has a period of {epoch.period} samples and a width of "
            f"{epoch.width}"
        )
    return epoch.type


def _step(epoch: Epoch, start: float) -> np.ndarray:
    return np.full(epoch.samples, epoch.level)


def _ramp(epoch: Epoch, start: float) -> np.ndarray:
    return np.linspace(start, epoch.level, epoch.samples)


def _phase(epoch: Epoch) -> np.ndarray:
    return np.arange(epoch.samples) % epoch.period


def _pulses(epoch: Epoch, start: float) -> np.ndarray:
    return np.where(_phase(epoch) < epoch.width, epoch.level, start)


def _triangles(epoch: Epoch, start: float) -> np.ndarray:
    k, up, down = _phase(epoch), epoch.width, epoch.period - epoch.width
    part = np.where(k < up, k / max(up, 1), 1 - (k - up) / max(down, 1))
    return start + (epoch.level - start) * part


def _cosines(epoch: Epoch, start: float) -> np.ndarray:
    part = 0.5 * (1 - np.cos(2 * np.pi * _phase(epoch) / epoch.period))
    return start + (epoch.level - start) * part


def _biphasic(epoch: Epoch, start: float) -> np.ndarray:
    k, height = _phase(epoch), epoch.level - start
    sign = np.where(k < epoch.width // 2, 1.0, np.where(k < epoch.width, -1.0, 0.0))
    return start + height * sign


_SHAPES: dict[int, Callable[[Epoch, float], np.ndarray]] = {
    1: _step,
    2: _ramp,
    3: _pulses,
    4: _triangles,
    5: _cosines,
    7: _biphasic,
}
_TRAINS = (3, 4, 5, 7)
_NAMES = {
    3: "a pulse train",
    4: "a train of triangles",
    5: "a train of cosines",
    6: "a resistance test",
    7: "a biphasic train",
}


# -- files -----------------------------------------------------------------------------------------
def _from_file(path: Path, header: Header, played: Played, n: tuple[int, ...]) -> list[np.ndarray]:
    """The sweeps of a stimulus file, scaled as they were played."""
    found = _beside(path, played)
    sweeps = _file_sweeps(found, played.channel)
    chosen: list[np.ndarray] = []
    for k, size in enumerate(n):
        place = k + 1 if played.sweep < 0 else played.sweep - 1 if played.sweep > 0 else k
        command = sweeps[min(place, len(sweeps) - 1)]
        if command.size != size:
            raise UnknownStimulus(
                f"the stimulus file {found} has {command.size} samples, but the sweep {size}"
            )
        chosen.append(command * played.scale + played.offset)
    return chosen


def _beside(path: Path, played: Played) -> Path:
    """The stimulus file: beside the recording, else where the header says it was."""
    name = ntpath.basename(played.path)
    if not name:
        raise UnknownStimulus("the stimulus was played from a file that the header does not name")
    for folder in (path.parent, *path.parent.parents[:1]):
        same = [p for p in _listed(folder) if p.name.lower() == name.lower()]
        if same and same[0] != path:
            return same[0]
    there = Path(played.path)
    if there.is_absolute() and there.is_file():
        return there
    raise UnknownStimulus(
        f"the stimulus was played from the file {name} ({played.path}), which is not beside the "
        "recording; put it into the same folder"
    )


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.suffix.lower() in (".abf", ".atf"))
    except OSError:
        return []


def _file_sweeps(path: Path, channel: int) -> list[np.ndarray]:
    """The sweeps of one channel of a stimulus file, ABF or ATF."""
    try:
        if path.suffix.lower() == ".atf":
            columns = read_columns(path)
            names = list(dict.fromkeys(c.name for c in columns.signals))
            wanted = names[channel] if 0 <= channel < len(names) else names[0]
            return [c.samples for c in columns.signals if c.name == wanted]
        header = read_header(path)
        place = [x.number for x in header.inputs]
        whole = samples(path, header)[place.index(channel) if channel in place else 0]
        return np.split(whole, np.cumsum(header.lengths)[:-1])
    except RecordingError as error:
        raise UnknownStimulus(f"its stimulus file cannot be read: {error}") from error
