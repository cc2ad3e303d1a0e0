"""Results of a fit or simulation as one HDF5 file, written whole or not at all.

Layout: root attributes `format`, `format_version`; `parameters/<path.name>` with `values`, perhaps
`standard_error`, and attributes unit, low, high, scale, free; `traces/<name>` with `v_mV`, `i_pA`
and the trace's other fields as attributes; `arrays/<name>`, in groups where the name has slashes;
`settings` (JSON text); `model`, the text of a model file, where there is one; `versions` and
`provenance` (attributes, text). A dataset's unit is its attribute `unit`.
"""

from __future__ import annotations

import io
import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from neurojax.io.files import write_whole
from neurojax.io.inside import check_inside
from neurojax.recording.trace import Origin, RecordingError, Trace

Out = TypeVar("Out")

FORMAT = "neurojax results"
FORMAT_VERSION = 1
_DEEPEST = 20  # groups of arrays in groups


@dataclass(frozen=True, eq=False)
class ParameterRecord:
    """A parameter: values `[...]` in `unit`, bounds, and standard error where one is known."""

    values: np.ndarray
    unit: str
    low: float
    high: float
    scale: str = "linear"  # "linear" or "log": the coordinate in which a fit moves it
    free: bool = True
    standard_error: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Results:
    """What a fit or a simulation found, by name: parameters, traces, arrays; and how it was made.

    Names of `arrays` may have slashes, as in "starts/na.g_bar"; `units` are those of arrays.
    `settings` is what JSON can hold; `model` the text of a model file; `versions` and `provenance`
    are text, and `save` completes `versions` with those of the running program.
    """

    parameters: dict[str, ParameterRecord] = field(default_factory=dict)
    traces: dict[str, Trace] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    model: str = ""


def save(path: str | os.PathLike[str], results: Results) -> Path:
    """Write results to an HDF5 file; a file that is there is replaced only by a whole new one.

    Raises ValueError for a name or value that HDF5 or JSON cannot hold, and OSError naming the file
    when it cannot be written; either leaves an older file as it was.
    """
    path = Path(path).expanduser()
    # Built in memory: HDF5 does not report a full disk until the file is closed, and not cleanly.
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        _write(file, results)
    return write_whole(path, buffer.getvalue())


def load(path: str | os.PathLike[str]) -> Results:
    """Read what `save` wrote. Raises RecordingError naming the file when it is anything else."""
    return _opened(path, _read)


def load_text(path: str | os.PathLike[str]) -> str:
    """The model file inside a results file, without the rest of it; "" where there is none.

    Raises RecordingError naming the file when it is anything but neurojax results.
    """
    return _opened(
        path, lambda file: _text(np.asarray(file["model"]).item()) if "model" in file else ""
    )


def _opened(path: str | os.PathLike[str], read: Callable[[h5py.File], Out]) -> Out:
    path = Path(path).expanduser()
    if not path.is_file():
        raise RecordingError(f"{path}: no such file; expected neurojax results (HDF5)")
    try:
        with h5py.File(path, "r") as file:
            check_inside(file)
            kind, version = _text(file.attrs.get("format")), file.attrs.get("format_version")
            if kind != FORMAT:
                raise RecordingError(
                    f"{path}: is HDF5 but not neurojax results (its format is {kind!r}); "
                    "recordings are read by neurojax.io.read"
                )
            if version != FORMAT_VERSION:
                raise RecordingError(
                    f"{path}: results of format version {version}; expected {FORMAT_VERSION}"
                )
            return read(file)
    except RecordingError as error:
        if str(path) in str(error):
            raise
        raise RecordingError(f"{path}: {error}") from error
    except Exception as error:
        said = (str(error).strip() or "no reason given").splitlines()[0]
        raise RecordingError(
            f"{path}: cannot be read; expected whole neurojax results (HDF5), but the file is "
            f"truncated, damaged or of another kind ({type(error).__name__}: {said})"
        ) from error


def running_versions() -> dict[str, str]:
    """Versions of everything that a number in a result can depend on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("neurojax", "jax", "jaxlib", "numpy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed as a package"
    return found


def _write(file: h5py.File, results: Results) -> None:
    file.attrs["format"], file.attrs["format_version"] = FORMAT, FORMAT_VERSION
    for name, record in _named(file, "parameters", results.parameters):
        group = file.create_group(f"parameters/{name}")
        for key in ("values", "standard_error"):
            if (numbers := getattr(record, key)) is not None:
                _put(group, key, numbers, f"parameter {name!r}, {key}", record.unit)
        group.attrs.update(
            unit=record.unit,
            low=float(record.low),
            high=float(record.high),
            scale=record.scale,
            free=bool(record.free),
        )
    for name, trace in _named(file, "traces", results.traces):
        group = file.create_group(f"traces/{name}")
        _put(group, "v_mV", trace.v_mV, f"trace {name!r}, v_mV", "mV")
        _put(group, "i_pA", trace.i_pA, f"trace {name!r}, i_pA", "pA")
        group.attrs.update(
            clamp=trace.clamp,
            dt_ms=float(trace.dt_ms),
            name=trace.name,
            sweep=int(trace.sweep),
            holding=float(trace.holding),
            commanded=bool(trace.commanded),
            start_ms=np.nan if trace.start_ms is None else float(trace.start_ms),
            window=np.array(trace.window or (np.nan, np.nan), float),
            at=_NOWHERE if trace.at is None else int(trace.at),
            current_at=_NOWHERE if trace.current_at is None else int(trace.current_at),
            warnings=json.dumps(list(trace.warnings)),
        )
        for key in ("path", "format", "sha256", "note"):
            group.attrs[f"origin_{key}"] = getattr(trace.origin, key)
    _write_arrays(file, results)
    if results.model:
        file["model"] = results.model
    try:
        file["settings"] = json.dumps(results.settings)
    except (TypeError, ValueError) as error:
        raise ValueError(f"settings: {error}; expected what JSON can hold") from error
    for key, value in _named(file, "versions", running_versions() | results.versions):
        file["versions"].attrs[key] = value
    for key, value in _named(file, "provenance", results.provenance):
        file["provenance"].attrs[key] = value


def _write_arrays(file: h5py.File, results: Results) -> None:
    group = file.create_group("arrays", track_order=True)
    if stray := set(results.units) - set(results.arrays):
        raise ValueError(f"units: there is no array {sorted(stray)[0]!r} to have one")
    for name, array in results.arrays.items():
        for part in name.split("/") if isinstance(name, str) else [name]:  # pyright: ignore[reportUnnecessaryIsInstance]
            _check_name(part, "arrays", name)
        if name in group or any(isinstance(group.get(x), h5py.Dataset) for x in _above(name)):
            raise ValueError(f"arrays: {name!r} is both an array and a group of arrays")
        _put(group, name, array, f"array {name!r}", results.units.get(name))


def _above(name: str) -> list[str]:
    """The groups that an array of this name is in."""
    parts = name.split("/")
    return ["/".join(parts[:k]) for k in range(1, len(parts))]


def _put(group: h5py.Group, name: str, values: Any, what: str, unit: str | None) -> None:
    """Store numbers, packed where there are many, with their unit."""
    numbers = _numbers(values, what)
    packed = {"compression": "gzip", "shuffle": True} if numbers.size > 1000 else {}
    data = group.create_dataset(name, data=numbers, **packed)
    if unit is not None:
        data.attrs["unit"] = unit


def _check_name(part: Any, group: str, name: Any) -> None:
    if not isinstance(part, str) or part in ("", ".") or "/" in part or not part.isprintable():
        raise ValueError(f"{group}: the name {name!r} is not printable text without a slash")


def _named(file: h5py.File, group: str, things: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The items of a mapping after making their group and checking that HDF5 takes their names."""
    file.create_group(group, track_order=True)
    for name in things:
        _check_name(name, group, name)
    return list(things.items())


def _numbers(values: Any, what: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "biufc":
        raise ValueError(f"{what}: dtype is {array.dtype}; expected numbers or booleans")
    return array


def _read(file: h5py.File) -> Results:
    parameters = {
        name: ParameterRecord(
            values=_numbers(group["values"][()], f"parameter {name!r}"),
            unit=_text(group.attrs["unit"]),
            low=float(group.attrs["low"]),
            high=float(group.attrs["high"]),
            scale=_text(group.attrs["scale"]),
            free=bool(group.attrs["free"]),
            standard_error=_numbers(group["standard_error"][()], f"error of {name!r}")
            if "standard_error" in group
            else None,
        )
        for name, group in _group(file, "parameters").items()
    }
    traces = {}
    for name, group in _group(file, "traces").items():
        told = group.attrs
        traces[name] = Trace(
            clamp=_text(told["clamp"]),  # pyright: ignore[reportArgumentType]
            dt_ms=float(told["dt_ms"]),
            v_mV=group["v_mV"][()],
            i_pA=group["i_pA"][()],
            name=_text(told["name"]),
            sweep=int(told["sweep"]),
            holding=float(told["holding"]),
            commanded=bool(told["commanded"]),
            origin=Origin(
                *(_text(told[f"origin_{key}"]) for key in ("path", "format", "sha256", "note"))
            ),
            warnings=tuple(json.loads(_text(told["warnings"]))),
            start_ms=_known(told.get("start_ms", np.nan)),
            window=_window(told.get("window")),
            at=_place(told.get("at", _NOWHERE)),
            current_at=_place(told.get("current_at", _NOWHERE)),
        )
    arrays: dict[str, h5py.Dataset] = {}
    _collect(_group(file, "arrays"), "", arrays)
    for kind, names in (("parameters", parameters), ("traces", traces), ("arrays", arrays)):
        for name in names:
            for part in name.split("/") if kind == "arrays" else [name]:
                _check_name(part, kind, name)
    return Results(
        parameters=parameters,
        traces=traces,
        arrays={name: _numbers(a[()], f"array {name!r}") for name, a in arrays.items()},
        units={name: _text(a.attrs["unit"]) for name, a in arrays.items() if "unit" in a.attrs},
        settings=_settings(_text(np.asarray(file["settings"]).item())),
        provenance={key: _text(value) for key, value in file["provenance"].attrs.items()},
        versions={key: _text(value) for key, value in file["versions"].attrs.items()},
        model=_model(file),
    )


def _settings(text: str) -> dict[str, Any]:
    told = json.loads(text)
    if not isinstance(told, dict):
        raise RecordingError(f"settings are {text[:40]!r}; expected a table")
    return told


def _model(file: h5py.File) -> str:
    return _text(np.asarray(file["model"]).item()) if "model" in file else ""


def _collect(group: h5py.Group, under: str, found: dict[str, h5py.Dataset]) -> None:
    """All arrays of a group and of the groups in it, by name."""
    if under.count("/") > _DEEPEST:
        raise RecordingError(f"arrays: {under[:40]}... is more than {_DEEPEST} groups deep")
    for name, item in group.items():
        if isinstance(item, h5py.Dataset):
            found[f"{under}{name}"] = item
        else:
            _collect(item, f"{under}{name}/", found)


def _group(file: h5py.File, name: str) -> h5py.Group:
    group = file.get(name)
    if not isinstance(group, h5py.Group):
        raise RecordingError(f"{file.filename}: has no group {name!r}; expected neurojax results")
    return group


def _window(told: Any) -> tuple[float, float] | None:
    """The main step of a trace, where it has one of its own."""
    if told is None or np.isnan(told).any():
        return None
    on, off = (float(x) for x in told)
    return on, off


def _known(value: float) -> float | None:
    """A number, None for NaN."""
    return None if np.isnan(value) else float(value)


_NOWHERE = -1
"""Stands for no compartment."""


def _place(value: Any) -> int | None:
    """The number of a compartment, None where there is none."""
    return None if int(value) == _NOWHERE else int(value)


def _text(value: Any) -> str:
    """Text from an HDF5 attribute or dataset, which may come as bytes; it can be written again."""
    text = value.decode() if isinstance(value, bytes) else "" if value is None else str(value)
    if "\0" in text or text != text.encode("utf-8", "replace").decode():
        raise RecordingError(f"the text {text[:40]!r} is none; expected UTF-8")
    return text
