"""The header and the samples of an Axon Binary Format file.

Read byte by byte, so that a header is believed only as far as the file is long, and what other
readers pass over is known: holding levels, trains, user lists, stimulus files, times of sweeps.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neurojax.io.abf_fields import Bytes, Header
from neurojax.io.abf_version_1 import version_1
from neurojax.io.abf_version_2 import version_2
from neurojax.recording.trace import RecordingError


def read_header(path: Path) -> Header:
    """Raises RecordingError for a header that is not whole or promises more than the file holds."""
    data = Bytes(path)
    header = version_2(data) if data.raw[:4] == b"ABF2" else version_1(data)
    if not (np.isfinite(header.dt_ms) and header.dt_ms > 0):
        raise RecordingError(
            f"{path}: the header's sampling interval is {header.dt_ms:g} ms; expected more than 0"
        )
    return header


def samples(path: Path, header: Header) -> list[np.ndarray]:
    """The numbers of each channel, `[sample]` over all sweeps, in the channels' units."""
    n = sum(header.lengths) * len(header.inputs)
    with open(path, "rb") as file:
        file.seek(header.at)
        raw = np.fromfile(file, header.dtype, n).reshape(-1, len(header.inputs))
    if raw.dtype.kind == "f":
        return [raw[:, k].astype(np.float64) for k in range(len(header.inputs))]
    return [raw[:, k] * x.gain + x.offset for k, x in enumerate(header.inputs)]
