"""AxoGraph and Spike2, through neo: its segments are sweeps, its signals channels."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.io.channels import traces_of
from neurojax.io.rig import Recorded, Recording
from neurojax.io.source import Asked, needs, reading
from neurojax.recording.trace import RecordingError, Trace


def read_axograph(path: Path, asked: Asked) -> list[Trace]:
    """Every episode of an AxoGraph file. Raises RecordingError for a damaged one."""
    return _read(path, "AxoGraph", "AxographIO", asked)


def read_spike2(path: Path, asked: Asked) -> list[Trace]:
    """The sweeps of a 32-bit Spike2 file. Raises RecordingError for another or a damaged one."""
    if path.suffix.lower() == ".smrx":
        raise RecordingError(
            f"{path}: is a Spike2 file of 64 bits, which only CED's own library reads; expected "
            "one of 32 bits: in Spike2, File, Export As, .smr"
        )
    return _read(path, "Spike2", "Spike2IO", asked)


def _read(path: Path, kind: str, reader: str, asked: Asked) -> list[Trace]:
    try:
        from neo import io as neo_io
    except ImportError as error:
        raise needs("neo", path, "io-more") from error
    with warnings.catch_warnings(), reading(path, kind):
        warnings.simplefilter("ignore")  # neo's own, on deprecations
        logging.getLogger("neo").setLevel(logging.CRITICAL + 1)  # what it cannot read, we say
        blocks = getattr(neo_io, reader)(str(path)).read(lazy=False)
        segments = [segment for block in blocks for segment in block.segments]
        return traces_of(_recording(path, kind, segments), asked)


def _recording(path: Path, kind: str, segments: list[Any]) -> Recording:
    """The signals that all segments have, sampled alike."""
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    intervals: set[float] = set()
    for segment in segments:
        for signal in segment.analogsignals:
            names = signal.array_annotations.get("channel_names", [signal.name] * signal.shape[1])
            unit = signal.units.dimensionality.string
            intervals.add(float(f"{float(signal.sampling_period.rescale('ms')):.9g}"))
            for k, name in enumerate(names):
                samples = np.asarray(signal.magnitude[:, k], np.float64)
                found.setdefault((str(name), unit), []).append(samples)
    whole = {key: sweeps for key, sweeps in found.items() if len(sweeps) == len(segments)}
    if not whole or len(intervals) != 1:
        raise RecordingError(
            f"{path}: has the signals {[name for name, _ in found] or 'none'} at {len(intervals)} "
            "sampling intervals; expected signals that all sweeps have, at one"
        )
    recorded = [
        Recorded(name, unit, sweeps, k) for k, ((name, unit), sweeps) in enumerate(whole.items())
    ]
    starts = [float(s.analogsignals[0].t_start.rescale("ms")) for s in segments]
    return Recording(path, kind, "neo", intervals.pop(), recorded, [], starts, path.stem)
