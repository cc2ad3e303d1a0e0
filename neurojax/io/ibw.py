"""Igor binary waves through igor2: a current and a voltage, each in a file of its own."""

from __future__ import annotations

import logging
import re
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.io.source import (
    NATIVE,
    Asked,
    convert,
    needs,
    quantity,
    reading,
    sha256,
)
from neurojax.io.sweeps import traces_from
from neurojax.recording.trace import Origin, RecordingError, Trace
from neurojax.units import factor

_CHANNEL = re.compile(r"(?i)_ch(\d+)_")


_BYTES = {2: 4, 4: 8, 8: 1, 16: 2, 32: 4}
"""Of a sample, by Igor's type without the bits for complex and unsigned numbers."""


class _Wave(NamedTuple):
    path: Path
    samples: np.ndarray
    unit: str
    dt_ms: float


def read_ibw(path: Path, asked: Asked) -> list[Trace]:
    """One sweep from a pair of waves; the other one is `asked.partner` or found by its name.

    Raises RecordingError when there is no partner, or the two are not a voltage and a current of
    the same length and sampling interval.
    """
    partner = asked.partner or _partner(path, asked)
    waves = [_load(path, asked), _load(partner, asked)]
    kinds = [quantity(w.unit) for w in waves]
    if set(kinds) != {"voltage", "current"}:
        raise RecordingError(
            f"{path} is in {waves[0].unit!r} and {partner} in {waves[1].unit!r}; expected a "
            "voltage and a current"
        )
    v, i = waves if kinds[0] == "voltage" else waves[::-1]
    if abs(v.samples.size - i.samples.size) > 2:
        raise RecordingError(
            f"{v.path} has {v.samples.size} samples but {i.path} {i.samples.size}; expected equal"
        )
    if not np.isclose(v.dt_ms, i.dt_ms, rtol=1e-6):
        raise RecordingError(
            f"{v.path} is sampled every {v.dt_ms:g} ms but {i.path} every {i.dt_ms:g} ms; "
            "expected equal"
        )
    clamp = asked.clamp or "current"
    v_mV = convert(v.samples, v.unit, "mV", str(v.path))
    i_pA = convert(i.samples, i.unit, "pA", str(i.path))
    name, sweep = _name_and_sweep(v.path)
    draft = {
        "clamp": clamp,
        "dt_ms": v.dt_ms,
        "v_mV": v_mV,
        "i_pA": i_pA,
        "name": name,
        "sweep": sweep,
        "origin": Origin(
            str(v.path),
            "IBW",
            sha256(v.path),
            f"current from {i.path}, sha256 {sha256(i.path)}",
        ),
    }
    return traces_from(v.path, [draft])


def read_ibw_folder(paths: list[Path], asked: Asked) -> list[Trace]:
    """One sweep from each `_Ch<n>_` pair among the paths, in the order of their sweep numbers."""
    done: set[Path] = set()
    traces = []
    for path in sorted(paths):
        if path in done:
            continue
        partner = _partner(path, asked)
        done |= {path, partner}
        traces += read_ibw(path, asked._replace(partner=partner))
    return sorted(traces, key=lambda trace: (trace.name, trace.sweep))


def _partner(path: Path, asked: Asked) -> Path:
    """The file whose name differs from this one's in the number after `_Ch` only."""
    match = _CHANNEL.search(path.name)
    hint = "name both files: read(path, partner=other)"
    if match is None:
        raise RecordingError(
            f"{path}: an Igor wave holds a voltage or a current, not both; expected a pair named "
            f"like x_Ch0_y.ibw and x_Ch3_y.ibw, or {hint}"
        )
    head, tail = path.name[: match.start(1)].lower(), path.name[match.end(1) :].lower()
    found = [
        p
        for p in sorted(path.parent.iterdir())
        if p.name != path.name
        and p.name.lower().startswith(head)
        and p.name.lower().endswith(tail)
        and p.name[len(head) : len(p.name) - len(tail)].isdigit()
    ]
    if len(found) > 1:
        mine = quantity(_load(path, asked).unit)
        found = [p for p in found if quantity(_load(p, asked).unit) not in (mine, None)]
    if len(found) != 1:
        listed = ", ".join(p.name for p in found) or "none"
        raise RecordingError(
            f"{path}: expected one partner with another number after _Ch beside it, "
            f"found {listed}; {hint}"
        )
    return found[0]


def _name_and_sweep(path: Path) -> tuple[str, int]:
    """`B6_Ch3_IDRest_183` is sweep 183 of IDRest; a name without a final number is sweep 0."""
    stem = path.stem
    channel = _CHANNEL.search(stem)
    tail = stem[channel.end() :] if channel else stem
    match = re.fullmatch(r"(.*?)_?(\d+)", tail)
    return (match[1] or stem, int(match[2])) if match else (tail, 0)


def _load(path: Path, asked: Asked) -> _Wave:
    try:
        from igor2 import binarywave
    except ImportError as error:
        raise needs("igor2", path) from error
    with reading(path, "Igor binary wave"):
        _check_sizes(path)
        logging.getLogger("igor2").setLevel(logging.CRITICAL + 1)  # it prints what it cannot read
        wave = binarywave.load(str(path))["wave"]
        header = wave["wave_header"]
        samples = np.asarray(wave["wData"])
        version_2 = "sfA" not in header
        dt = float(header["hsA"] if version_2 else header["sfA"][0])
        unit = _text(header["dataUnits"])
        # Igor leaves the unit of time blank when it is the second.
        time_unit = _text(header["xUnits"] if version_2 else header["dimUnits"][0]) or "s"
    what = quantity(unit)
    if what in NATIVE:
        unit = asked.unit_of(what, unit) or unit
    else:
        raise RecordingError(
            f"{path}: the wave's unit is {unit!r}; expected one of voltage or current, as mV, pA"
        )
    if samples.ndim != 1 or samples.size == 0:
        raise RecordingError(f"{path}: wave of shape {samples.shape}; expected one row of samples")
    try:
        dt_ms = dt * factor(time_unit, "ms")
    except ValueError as error:
        raise RecordingError(f"{path}: time axis: {error}") from None
    return _Wave(path, samples, unit, dt_ms)


def _check_sizes(path: Path) -> None:
    """Refuse a wave whose headers promise more than the file holds: a reader may never end.

    Igor's own checksum is not asked: other programs leave it 0, and it tells no damage of samples.
    Igor writes version 2 with headers of 126 bytes in all and version 5 with 384.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(384)
    order = "<" if head[1:2] == b"\0" else ">"
    old = 2 in head[:2]
    if len(head) < (126 if old else 384):
        raise RecordingError(
            f"{path}: ends within its headers; expected a whole Igor wave of version 2 or 5, so "
            "it is truncated or damaged"
        )
    (kind,) = struct.unpack_from(f"{order}h", head, 16 if old else 80)
    (n,) = struct.unpack_from(f"{order}i", head, 58 if old else 76)
    beside = struct.unpack_from(f"{order}2i" if old else f"{order}12i", head, 6 if old else 8)
    dims = (n,) if old else struct.unpack_from(f"{order}4i", head, 132)
    each = _BYTES.get(kind & ~0x41, 0) * (2 if kind & 1 else 1)
    whole = int(np.prod([d for d in dims if d] or [0], dtype=object))
    fits = each and 0 < n * each + (126 if old else 384) <= size
    if not fits or whole != n or any(not 0 <= b <= size for b in beside):
        raise RecordingError(
            f"{path}: its headers promise {n} samples of type {kind} and {sum(beside)} bytes "
            f"more, but the file has {size}; expected a whole Igor wave of version 2 or 5, so "
            "it is truncated or damaged"
        )


def _text(field: Any) -> str:
    """A C string of a wave header, which comes as an array of single bytes."""
    raw = field if isinstance(field, bytes) else b"".join(np.asarray(field).ravel().tolist())
    return raw.split(b"\0")[0].decode("mac_roman").strip()
