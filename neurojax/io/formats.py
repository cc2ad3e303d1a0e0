"""Every format of recordings that can be read: one entry each, found by content and by suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from neurojax.io.abf import read_abf
from neurojax.io.atf import read_atf
from neurojax.io.csv import is_utf_16, read_csv
from neurojax.io.ibw import read_ibw
from neurojax.io.npz import read_npz
from neurojax.io.nwb import read_nwb
from neurojax.io.source import Asked
from neurojax.io.syncropatch import read_syncropatch
from neurojax.io.through_myokit import read_heka, read_wcp
from neurojax.io.through_neo import read_axograph, read_spike2
from neurojax.recording.trace import RecordingError, Trace


class Format(NamedTuple):
    """A format: what its files are called, how they begin, and who reads them."""

    name: str
    suffixes: tuple[str, ...]
    magic: tuple[bytes, ...]  # of which one begins each file; none where text or nothing does
    read: Callable[[Path, Asked], list[Trace]]
    package: str = ""  # that is needed, and the extra that brings it
    extra: str = "io"


FORMATS = (
    Format("ABF", (".abf",), (b"ABF ", b"ABF2"), read_abf),
    Format("ATF", (".atf",), (b"ATF",), read_atf),
    Format("NWB", (".nwb",), (b"\x89HDF\r\n\x1a\n",), read_nwb, "pynwb"),
    # Igor's version is a 16-bit integer in the byte order of the machine that wrote it.
    Format(
        "IBW",
        (".ibw", ".bwav"),
        (b"\x02\x00", b"\x00\x02", b"\x05\x00", b"\x00\x05"),
        read_ibw,
        "igor2",
    ),
    Format("CSV", (".csv", ".tsv", ".txt"), (), read_csv),
    Format(
        "SyncroPatch",
        (".csv",),
        (b'"current"\n', b'"current"\r\n', b"current\n", b"current\r\n"),
        read_syncropatch,
    ),
    Format("NPZ", (".npz",), (b"PK\x03\x04",), read_npz),
    Format("HEKA", (".dat",), (b"DATA", b"DAT1", b"DAT2"), read_heka, "myokit", "io-more"),
    Format("WCP", (".wcp",), (b"VER=",), read_wcp, "myokit", "io-more"),
    Format("AxoGraph", (".axgd", ".axgx"), (b"AxGr", b"axgx"), read_axograph, "neo", "io-more"),
    Format("Spike2", (".smr", ".smrx"), (), read_spike2, "neo", "io-more"),
)
BY_NAME = {f.name: f for f in FORMATS}
BY_SUFFIX = {suffix: f for f in reversed(FORMATS) for suffix in f.suffixes}

_OTHERS = {
    b"\x89PNG": "a PNG image",
    b"%PDF": "a PDF document",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x1f\x8b": "a gzip archive",
    b"MATLAB": "a MATLAB file",
    **dict.fromkeys(
        (b"\x03\x00", b"\x00\x03"), "an Igor wave of version 3: save it once more in Igor"
    ),
}
_NO_RECORDINGS = {
    ".mod": "a channel in NMODL: `neurojax convert` makes a channel of it",
    ".nml": 'NeuroML: a model names its channels, as `type = "k.channel.nml"`',
    ".swc": "a morphology: nj.io.read_morphology reads it, nj.assemble makes a cell of it",
    ".asc": "a morphology: nj.io.read_morphology reads it, nj.assemble makes a cell of it",
    ".toml": "a model: it is the MODEL of `neurojax fit` and `neurojax simulate`",
    ".h5": "of neurojax's results or of a morphology: a fit is a MODEL, or goes on with --resume",
    ".hoc": "a program of NEURON, which neurojax does not run",
    ".mat": "a MATLAB file: save its sweeps as a table with a header such as `t (ms), v (mV), i "
    "(pA)`, or with NumPy",
}
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def format_of(path: Path) -> Format:
    """The format of a file. Raises RecordingError when its content and suffix disagree."""
    expected = BY_SUFFIX.get(path.suffix.lower())
    known = f"one of {', '.join(sorted(BY_SUFFIX))}"
    if path.suffix.lower() in _NO_RECORDINGS:
        told = _NO_RECORDINGS[path.suffix.lower()]
        raise RecordingError(f"{path}: is {told}; expected a recording, {known}")
    try:
        with open(path, "rb") as file:
            head = file.read(1024)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be opened ({error.strerror})") from error
    if not head:
        raise RecordingError(
            f"{path}: is an empty file; expected {expected.name if expected else known}"
        )
    actual = _content(head)
    if actual is None and expected is not None:
        if not expected.magic and expected.name != "CSV":
            return expected
        raise RecordingError(
            f"{path}: is named {path.suffix} but does not begin like one; expected "
            f"{expected.name} content, so the file is damaged or of another kind"
        )
    if not isinstance(actual, Format):
        raise RecordingError(f"{path}: is {actual or 'of an unknown kind'}; expected {known}")
    if expected is not None and path.suffix.lower() not in actual.suffixes:
        raise RecordingError(
            f"{path}: is named {path.suffix} but its content is {actual.name}; expected "
            f"{expected.name}"
        )
    return actual


def _content(head: bytes) -> Format | str | None:
    """What the first bytes of a file are: a format, another kind in words, or None."""
    if head.startswith(_UTF_16) or is_utf_16(head[:64]):
        return BY_NAME["CSV"]
    for found in sorted(FORMATS, key=lambda f: -max(map(len, f.magic), default=0)):
        if head.startswith(found.magic):
            return found
    for magic, kind in _OTHERS.items():
        if head.startswith(magic):
            return kind
    text = head.strip()
    is_text = bool(text) and not any(byte < 9 or 13 < byte < 32 for byte in text)
    return BY_NAME["CSV"] if is_text else None
