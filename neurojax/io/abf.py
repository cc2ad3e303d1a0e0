"""Axon Binary Format, versions 1 and 2."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neurojax.io.abf_fields import Header
from neurojax.io.abf_fields import Output as HeaderOutput
from neurojax.io.abf_header import read_header, samples
from neurojax.io.abf_waveform import UnknownStimulus, commands
from neurojax.io.channels import traces_of
from neurojax.io.rig import Output, Recorded, Recording
from neurojax.io.source import Asked, reading
from neurojax.recording.trace import Trace


def read_abf(path: Path, asked: Asked) -> list[Trace]:
    """Every sweep of one cell: mV with pA, or pA with mV; `io.channels` says how it is chosen.

    The command is what the header says of the output, compared with a channel that recorded it.
    Raises RecordingError for a damaged file, or when no channel makes a clamp experiment.
    """
    with reading(path, "ABF"):
        header = read_header(path)
        whole = samples(path, header)
    ends = np.cumsum(header.lengths)[:-1]
    recorded = [
        Recorded(x.name or f"channel {x.number}", x.unit, np.split(w, ends), x.number, x.clamp)
        for x, w in zip(header.inputs, whole, strict=True)
    ]
    outputs = [_output(path, header, x) for x in header.outputs]
    version = "ABF1" if header.version.startswith("1") else "ABF2"
    rig = Recording(
        path,
        version,
        f"ABF {header.version}",
        header.dt_ms,
        recorded,
        outputs,
        header.starts_ms,
        header.protocol or path.stem,
    )
    return traces_of(rig, asked)


def _output(path: Path, header: Header, output: HeaderOutput) -> Output:
    """What an output commanded; where that is not known, why."""
    name = output.name or f"output {output.number}"
    try:
        played, unknown = commands(path, header, output), ""
    except UnknownStimulus as error:
        played, unknown = [np.full(n, output.holding) for n in header.lengths], str(error)
    return Output(name, output.unit, output.number, played, unknown, output.leak)
