"""NumPy archives: `P__V_mV` and `P__I_pA` for each protocol P, `[sample]` or `[sweep, sample]`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from neurojax.io.source import (
    Asked,
    convert,
    origin,
    reading,
    sha256,
)
from neurojax.io.sweeps import traces_from
from neurojax.recording.trace import Origin, RecordingError, Trace

_LAYOUT = "`P__V_mV`, `P__I_pA` (or nA) and `P__dt_ms` for each protocol P"
_KEY = re.compile(r"(?P<protocol>.+)__(?P<symbol>[VI])_(?P<unit>[^_]+)")


_MOST_PACKED = 1100
"""How many times as large as its file an archive can become: what zip can do, and no more."""


class _Samples(NamedTuple):
    key: str
    unit: str
    rows: np.ndarray  # [sweep, sample]


def read_npz(path: Path, asked: Asked) -> list[Trace]:
    """Every sweep of every protocol.

    An archive of currents only is voltage clamp: its commands come from `asked.partner`, or from
    `<x>_protocols.npz` beside `<x>_<cell>.npz`. Raises RecordingError where either half is missing.
    """
    arrays = _arrays(path)
    found = _samples(path, arrays)
    protocols = list(dict.fromkeys(protocol for protocol, _ in found))
    if not protocols:
        raise RecordingError(
            f"{path}: holds {sorted(arrays)[:8] or 'nothing'}; expected the arrays {_LAYOUT}"
        )
    clamp, commands, note = asked.clamp or "current", {}, _note(arrays)
    if all((p, "V") not in found for p in protocols):
        partner = asked.partner or _partner(path)
        beside = _arrays(partner)
        commands = {key: s for key, s in _samples(partner, beside).items() if key[1] == "V"}
        arrays = beside | arrays
        clamp = asked.clamp or "voltage"
        note = f"{note}; commands from {partner}, sha256 {sha256(partner)}".lstrip("; ")
    source = origin(path, "NPZ", note)
    traces = []
    for protocol in protocols:
        v, i = (found.get((protocol, s)) or commands.get((protocol, s)) for s in "VI")
        if v is None or i is None:
            absent, unit = ("voltage", "V_mV") if v is None else ("current", "I_pA")
            raise RecordingError(
                f"{path}: protocol {protocol!r} has no {absent}; expected {protocol}__{unit}"
            )
        traces += _traces(path, protocol, v, i, arrays, clamp, asked, source)
    return traces


def _traces(
    path: Path,
    protocol: str,
    v: _Samples,
    i: _Samples,
    arrays: Mapping[str, np.ndarray],
    clamp: Literal["current", "voltage"],
    asked: Asked,
    source: Origin,
) -> list[Trace]:
    where = f"{path}, protocol {protocol!r}"
    if v.rows.shape != i.rows.shape:
        raise RecordingError(
            f"{where}: {v.key} has shape {v.rows.shape} but {i.key} {i.rows.shape} "
            "(sweeps, samples); expected equal"
        )
    dt = arrays.get(f"{protocol}__dt_ms", arrays.get("dt_ms"))
    if dt is None or np.size(dt) != 1:
        raise RecordingError(f"{where}: no {protocol}__dt_ms; expected one sampling interval in ms")
    sweeps = np.ravel(arrays.get(f"{protocol}__sweep", np.arange(len(v.rows))))
    if sweeps.size != len(v.rows):
        raise RecordingError(
            f"{where}: {protocol}__sweep names {sweeps.size} sweeps; expected {len(v.rows)}"
        )
    voltage_unit, current_unit = asked.unit_of("voltage", v.unit), asked.unit_of("current", i.unit)
    v_mV = convert(v.rows, voltage_unit, "mV", f"{where}, {v.key}")
    i_pA = convert(i.rows, current_unit, "pA", f"{where}, {i.key}")
    dt_ms = float(_number(dt, f"{where}, dt_ms"))
    if not np.isfinite(np.ravel(sweeps).astype(float)).all():
        raise RecordingError(f"{where}: {protocol}__sweep is not finite; expected whole numbers")
    return traces_from(
        path,
        (
            {
                "clamp": clamp,
                "dt_ms": dt_ms,
                "v_mV": v_mV[k],
                "i_pA": i_pA[k],
                "name": protocol,
                "sweep": int(sweeps[k]),
                "origin": source,
            }
            for k in range(len(sweeps))
        ),
    )


def _number(value: np.ndarray, where: str) -> float:
    try:
        return float(np.ravel(value)[0])
    except (TypeError, ValueError, OverflowError):
        raise RecordingError(f"{where} is {value!r:.60}; expected a number") from None


def _arrays(path: Path) -> dict[str, np.ndarray]:
    # Opened here: np.load leaves a damaged file open.
    with (
        reading(path, "NumPy .npz"),
        open(path, "rb") as file,
        np.load(file, allow_pickle=False) as archive,
    ):
        size = sum(part.file_size for part in archive.zip.infolist())
        if size > _MOST_PACKED * max(path.stat().st_size, 1):
            raise RecordingError(f"{path}: would be {size} bytes unpacked; expected a recording")
        return {key: archive[key] for key in archive.files}


def _samples(path: Path, arrays: dict[str, np.ndarray]) -> dict[tuple[str, str], _Samples]:
    """Voltages and currents by (protocol, "V" or "I")."""
    found = {}
    for key, array in arrays.items():
        match = _KEY.fullmatch(key)
        if match:
            if array.dtype.kind not in "iuf" or array.ndim > 2:
                raise RecordingError(
                    f"{path}, {key}: is {array.dtype} of shape {array.shape}; expected numbers, "
                    "[sample] or [sweep, sample]"
                )
            rows = np.atleast_2d(array)
            found[match["protocol"], match["symbol"]] = _Samples(key, match["unit"], rows)
    return found


def _partner(path: Path) -> Path:
    """`herg_protocols.npz` beside `herg_<cell>.npz`."""
    found = [
        p
        for p in sorted(path.parent.glob("*_protocols.npz"))
        if path.name.startswith(p.name.removesuffix("protocols.npz")) and p != path
    ]
    if len(found) != 1:
        raise RecordingError(
            f"{path}: holds currents without voltages; expected one archive of commands beside it, "
            f"{path.stem.rsplit('_', 1)[0]}_protocols.npz, found "
            f"{[p.name for p in found] or 'none'}; name it: read(path, partner=other)"
        )
    return found[0]


def _note(arrays: dict[str, np.ndarray]) -> str:
    """Provenance from the archive's own description: origin, licence, note."""
    try:
        meta = json.loads(str(arrays["meta_json"]))
        return "; ".join(str(meta[key]) for key in ("origin", "licence", "note") if meta.get(key))
    except (KeyError, ValueError, AttributeError, TypeError, RecursionError):
        return ""
