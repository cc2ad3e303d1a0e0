"""One entry for every recording format: pick the reader by content, read, check."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from neurojax.io.abf import read_abf
from neurojax.io.checks import checked
from neurojax.io.csv import read_csv
from neurojax.io.ibw import read_ibw, read_ibw_folder
from neurojax.io.npz import read_npz
from neurojax.io.nwb import read_nwb
from neurojax.io.source import Asked, Clamp, quantity
from neurojax.recording.trace import RecordingError, Trace

READERS = {"ABF": read_abf, "NWB": read_nwb, "IBW": read_ibw, "CSV": read_csv, "NPZ": read_npz}
SUFFIXES = {
    ".abf": "ABF",
    ".nwb": "NWB",
    ".ibw": "IBW",
    ".csv": "CSV",
    ".tsv": "CSV",
    ".txt": "CSV",
    ".npz": "NPZ",
}
_MAGIC = {
    b"ABF ": "ABF",
    b"ABF2": "ABF",
    b"\x89HDF\r\n\x1a\n": "NWB",
    b"PK\x03\x04": "NPZ",
    b"\x89PNG": "a PNG image",
    b"%PDF": "a PDF document",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x1f\x8b": "a gzip archive",
    b"MATLAB": "a MATLAB file",
}
# Igor's version number is a 16-bit integer in the byte order of the machine that wrote it.
_IGOR = (b"\x02\x00", b"\x00\x02", b"\x05\x00", b"\x00\x05")


def read(
    path: str | os.PathLike[str],
    *,
    partner: str | os.PathLike[str] | None = None,
    clamp: Clamp | None = None,
    voltage_unit: str | None = None,
    current_unit: str | None = None,
) -> list[Trace]:
    """The sweeps of a recording, in mV, pA and ms: ABF, NWB 2, Igor waves, CSV or NPZ.

    `path` is a file, or a folder or pattern of Igor wave pairs. `partner` names the second file
    where a recording is two. `clamp` keeps the sweeps of one kind, or says which kind a format
    without that knowledge (CSV, IBW, NPZ) holds; `voltage_unit` and `current_unit` replace units
    that the file has wrong.

    What looks wrong is a RecordingWarning and is kept in `Trace.warnings`; what is broken raises
    RecordingError naming file, sweep, field and what was expected.
    """
    if clamp not in (None, "current", "voltage"):
        raise ValueError(f"clamp = {clamp!r}: expected 'current', 'voltage' or None")
    for unit, expected in ((voltage_unit, "voltage"), (current_unit, "current")):
        if unit is not None and quantity(unit) != expected:
            raise ValueError(f"{expected}_unit = {unit!r}: expected a unit of {expected}")
    found = Path(path).expanduser()
    other = None if partner is None else _existing(Path(partner).expanduser())
    asked = Asked(clamp, voltage_unit, current_unit, other)
    waves = _waves(found)
    if waves:
        traces = read_ibw_folder(waves, asked)
    else:
        traces = READERS[_format(_existing(found))](found, asked)
    if not traces:
        raise RecordingError(f"{found}: no sweeps; expected at least one")
    return checked(traces)


def _waves(path: Path) -> list[Path]:
    """The Igor waves of a folder or of a pattern such as `cell/*_Ch0_*.ibw`; empty for a file."""
    if path.is_dir():
        waves = sorted(p for p in path.iterdir() if p.suffix.lower() == ".ibw")
        if not waves:
            raise RecordingError(
                f"{path}: is a folder without Igor waves; expected a recording or .ibw files"
            )
        return waves
    if path.exists() or not glob.has_magic(str(path)):
        return []
    waves = [Path(p) for p in sorted(glob.glob(str(path))) if p.lower().endswith(".ibw")]
    if not waves:
        raise RecordingError(f"{path}: matches no .ibw file; expected a pattern of Igor waves")
    return waves


def _existing(path: Path) -> Path:
    if not path.exists():
        raise RecordingError(f"{path}: no such file; expected a recording")
    if not path.is_file():
        raise RecordingError(f"{path}: is not a file; expected a recording")
    return path


def _format(path: Path) -> str:
    """The format of a file. Raises RecordingError when its content and suffix disagree."""
    expected = SUFFIXES.get(path.suffix.lower())
    known = f"one of {', '.join(sorted(SUFFIXES))}"
    try:
        with open(path, "rb") as file:
            head = file.read(1024)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be opened ({error.strerror})") from error
    if not head:
        raise RecordingError(f"{path}: is an empty file; expected {expected or known}")
    actual = _content(head)
    if actual is None and expected is not None:
        raise RecordingError(
            f"{path}: is named {path.suffix} but does not begin like one; expected {expected} "
            "content, so the file is damaged or of another kind"
        )
    if actual not in READERS:
        raise RecordingError(f"{path}: is {actual or 'of an unknown kind'}; expected {known}")
    if expected is not None and expected != actual:
        raise RecordingError(
            f"{path}: is named {path.suffix} but its content is {actual}; expected {expected}"
        )
    return actual


def _content(head: bytes) -> str | None:
    """What the first bytes of a file are: a format of READERS, another kind in words, or None."""
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if head.startswith(_IGOR):
        return "IBW"
    text = head.strip()
    is_text = bool(text) and not any(byte < 9 or 13 < byte < 32 for byte in text)
    return "CSV" if is_text else None
