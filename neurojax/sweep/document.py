"""A sweep as a TOML file: what may stand in it, and what is said of what may not."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.membrane.compartment import Cell
from neurojax.membrane.stochastic import stochastic
from neurojax.model import load_model
from neurojax.model.document import RESULTS, packaged
from neurojax.model.free_table import by_path_names
from neurojax.model.tables import only, table_of, text_of
from neurojax.recording.trace import RecordingError
from neurojax.sweep.axes import METHODS, Range, Samples, Table, check_limits
from neurojax.sweep.definition import Sweep, check_values
from neurojax.sweep.launch import check_unit
from neurojax.sweep.protocols import AMPLITUDE, COMMAND, Protocol, command_step, step
from neurojax.sweep.quantities import Quantities, with_unit
from neurojax.sweep.storage import FLOATS, PACKINGS, Manifest, SweepError
from neurojax.sweep.tables import Known, ensemble, read_table
from neurojax.units import check_known

_TABLES = (
    "name", "model", "output", "trials", "observables", "axes", "samples", "protocols", "noise",
    "store",
)  # fmt: skip
_RANGE, _LIST = ("from", "to", "points", "scale"), ("values", "unit")
_STEP = ("clamp", "amplitude", "holding", "start", "stop", "duration", "dt", "every", "initial")
_COMMAND = ("clamp", "command", "holding", "start", "stop", "duration", "dt", "every", "initial")
_TIMES = ("start", "stop", "duration")


@dataclass(frozen=True, eq=False)
class Document:
    """What a sweep file says: the sweep, where its results go, and how they are stored."""

    sweep: Sweep
    output: Path
    store: dict[str, Any] = field(default_factory=dict)  # float, packing, shard: of `run`
    source: dict[str, Any] = field(default_factory=dict)  # to read it again


def read_sweep(path: str | Path, output: str | Path | None = None) -> Document:
    """Read a sweep file; `output` replaces the folder that it names.

    Paths in it begin in its folder. Raises SweepError with the file, the table, the key and what
    was expected.
    """
    path = Path(path).expanduser()
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise SweepError(f"{path}: no such sweep file") from None
    except IsADirectoryError:
        raise SweepError(
            f"{path}: is a folder: name a sweep file, or go on with `neurojax sweep resume {path}`"
        ) from None
    except UnicodeDecodeError:
        raise SweepError(f"{path}: is no text: name a sweep file, in TOML") from None
    except OSError as error:
        raise SweepError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_sweep(text, path.parent, str(path), output)


def parse_sweep(
    text: str, folder: Path, where: str = "sweep", output: str | Path | None = None
) -> Document:
    """A sweep from the text of its file. Raises SweepError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SweepError(f"{where}: not valid TOML: {error}{_unquoted(text, error)}") from None
    try:
        only(document, _TABLES, "", "table or key")
        named = text_of(document, "model", "")
        if not named:
            raise ValueError('model is missing: write model = "squid", or the path of a .toml file')
        model = load_model(_file(named, folder) if _is_file(named) else named)
        cell = _with_noise(model.cell, table_of(document, "noise"))
        quantities = Quantities(cell)
        protocols = {k: _step(k, t, quantities) for k, t in _protocols(document).items()}
        known = Sweep(cell, protocols).variable()
        axes = _axes(table_of(document, "axes"), known, quantities)
        samples, files = _samples(table_of(document, "samples"), known, quantities, folder)
        for key, table in _protocols(document).items():
            _check_size(key, table, protocols[key], [*axes, *(samples.names if samples else ())])
        quantities.check_area([*axes, *(samples.names if samples else ())])
        sweep = Sweep(
            cell,
            protocols,
            axes=axes,
            samples=samples,
            trials=_whole(document, "trials", 1),
            also={f.name: f.also for f in model.space.free if f.also} if model.space else {},
            observables=_observables(document),
            name=text_of(document, "name", Path(where).stem),
        )
        to = str(output) if output is not None else text_of(document, "output", "")
        if not to:
            raise ValueError('output is missing: write output = "FOLDER", or give --output FOLDER')
        store = _store(table_of(document, "store"))
    except (ValueError, RecordingError) as error:
        raise SweepError(f"{where}: {error}") from None
    files |= {named} if _is_file(named) else set()
    source = {
        "text": text,
        "folder": str(folder.resolve()),
        "files": {name: _hash(_file(name, folder)) for name in sorted(files)},
    }
    place = Path(to).expanduser() if output is not None else _file(to, folder)
    return Document(sweep, place, store, source)


def again(manifest: Manifest, output: Path) -> Document:
    """The sweep of a folder, from what its manifest keeps.

    Raises SweepError where it was made in Python, or what it reads has changed: a file that it
    names, or its model, with the files that this names and the code of channels.
    """
    source = manifest.source
    if not source:
        raise SweepError(
            f"{output}: this sweep was made in Python, and only that program knows its cells: run "
            "it again, what is finished stays"
        )
    folder = Path(source["folder"])
    for name, digest in source["files"].items():
        path = _file(name, folder)
        if not path.is_file() or _hash(path) != digest:
            raise SweepError(
                f"{path} has changed since the sweep in {output} began, or is gone: put the old one"
                " back, or begin a new sweep in another folder"
            )
    found = parse_sweep(source["text"], folder, f"{output}, its sweep file", output)
    if found.sweep.fingerprint != manifest.fingerprint:
        raise SweepError(
            f"the model of the sweep in {output} is not what it was when the sweep began (a file "
            "of a channel or a shape, or JAX's precision): put the old one back, or begin a new "
            "sweep in another folder"
        )
    return found


def _unquoted(text: str, error: Exception) -> str:
    """A half sentence for a line in which a quantity has a unit and no quotes."""
    told = re.search(r"at line (\d+)", str(error))
    line = text.splitlines()[int(told[1]) - 1] if told else ""
    found = re.search(r"=\s*([-+]?[\d.]+\s*[A-Za-z%µ][\w/]*)", line)
    return f'; a quantity with its unit stands in quotes: "{found[1]}"' if found else ""


def _file(name: str, folder: Path) -> Path:
    return folder / Path(name).expanduser()


def _is_file(name: str) -> bool:
    return name not in packaged() and (Path(name).suffix in (".toml", *RESULTS))


def _hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise SweepError(f"{path}: cannot be read: {error.strerror}") from None


# -- tables ----------------------------------------------------------------------------------------
def _whole(
    table: Mapping[str, Any], key: str, default: int, place: str = "", least: int = 1
) -> int:
    value = table.get(key, default)
    if type(value) is not int or value < least:
        raise ValueError(f"{place}{key} = {value!r}: expected a whole number, {least} or more")
    return value


def _protocols(document: Mapping[str, Any]) -> dict[str, Any]:
    tables = table_of(document, "protocols")
    if not tables:
        raise ValueError(
            "no protocol: write a table [protocols.step] with amplitude, start, stop and duration"
        )
    for key, table in tables.items():
        if not isinstance(table, dict):
            raise ValueError(f"[protocols] {key}: expected a table [protocols.{key}]")
    return tables


def _step(key: str, table: Mapping[str, Any], quantities: Quantities) -> Protocol:
    """A step of current, or with clamp = "voltage" of the potential."""
    place = f"[protocols.{key}]"
    clamp = text_of(table, "clamp", "current")
    check_known(clamp, ("current", "voltage"), "clamp", f"{place}: ")
    of_voltage = clamp == "voltage"
    only(table, _COMMAND if of_voltage else _STEP, f"{place}: ", "key")
    for name in _TIMES:
        if name not in table:
            raise ValueError(f'{place}: {name} is missing, as {name} = "100 ms"')
    given = {k: with_unit(table[k], "ms", f"{place} {k}") for k in (*_TIMES, "dt") if k in table}
    more: dict[str, Any] = {"every": _whole(table, "every", 1 if of_voltage else 4)}
    if "initial" in table:
        more["initial"] = with_unit(table["initial"], "mV", f"{place} initial")
    try:
        if of_voltage:
            for name in ("command", "holding"):
                if name in table:
                    more[f"{name}_mV"] = with_unit(table[name], "mV", f"{place} {name}")
            return command_step(**given, **more)
        for name in ("amplitude", "holding"):
            if name in table:
                more[f"{name}_pA"] = quantities.current(table[name], f"{place} {name}")
        return step(**given, **more)
    except ValueError as error:
        told = str(error)
        raise ValueError(told if told.startswith(place) else f"{place}: {told}") from None


def _check_size(
    key: str, table: Mapping[str, Any], protocol: Protocol, varied: Sequence[str]
) -> None:
    """Raise ValueError for a step of which nobody says how large it is."""
    name, unit = (COMMAND, "mV") if protocol.of_voltage else (AMPLITUDE, "pA")
    if name not in table and f"{key}.{name}" not in varied:
        alone = "" if protocol.of_voltage else ', "0 pA" to leave the cell alone'
        raise ValueError(
            f'[protocols.{key}]: {name} is missing: write {name} = "100 {unit}"{alone}; or make '
            f"{key}.{name} an axis"
        )


def _with_noise(cell: Cell, table: Mapping[str, Any]) -> Cell:
    if not table:
        return cell
    only(table, ("gamma", "n_channels", "seed", "langevin"), "[noise]: ", "key")
    langevin = table.get("langevin", False)
    if not isinstance(langevin, bool):
        raise ValueError(f"[noise] langevin = {langevin!r}: expected true or false")
    given: dict[str, Any] = {"langevin": langevin}
    if "gamma" in table:
        given["gamma_pS"] = with_unit(table["gamma"], "pS", "[noise] gamma")
    if "n_channels" in table:
        given["n_channels"] = float(_whole(table, "n_channels", 1, "[noise] "))
    return stochastic(cell, seed=_whole(table, "seed", 0, "[noise] ", least=0), **given)


def _observables(document: Mapping[str, Any]) -> list[str] | None:
    names = document.get("observables")
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ValueError(f'observables = {names!r}: expected a list as ["rate", "behaviour"]')
    return names


def _store(table: Mapping[str, Any]) -> dict[str, Any]:
    only(table, ("float", "packing", "shard", "unit"), "[store]: ", "key")
    whole = {k: _whole(table, k, 1, "[store] ") for k in ("shard", "unit") if k in table}
    if "unit" in whole:
        check_unit(whole["unit"])
    words = {"float": FLOATS, "packing": PACKINGS}
    for key, known in words.items():
        if key in table:
            check_known(str(table[key]), known, key, "[store]: ")
    return {k: table[k] for k in words if k in table} | whole


# -- axes ------------------------------------------------------------------------------------------
def _axes(table: Mapping[str, Any], known: Known, quantities: Quantities) -> dict[str, np.ndarray]:
    return {
        name: _axis(name, entry, known, quantities)
        for name, entry in by_path_names(table, known).items()
    }


def _axis(name: str, entry: Any, known: Known, quantities: Quantities) -> np.ndarray:
    place = f"[axes] {name}"
    check_known(name, known, "parameter", "[axes]: ")
    unit = known[name].unit
    if not isinstance(entry, dict):
        example = f'{{ from = "1 {unit}", to = "2 {unit}", points = 10 }}'
        listed = f'{{ values = [1, 2], unit = "{unit}" }}'
        raise ValueError(f"{place}: expected a table as {example} or {listed}, got {entry!r}")
    if "values" in entry:
        only(entry, _LIST, f"{place}: beside values, ", "key")
        return _listed(entry, place, name, unit, quantities)
    only(entry, _RANGE, f"{place}: ", "key")
    limits = _range(name, entry, known, place, quantities)
    if "points" not in entry:
        raise ValueError(f"{place}: points is missing, the number of values from one to the other")
    points = _whole(entry, "points", 2, f"{place} ", least=2)
    return limits.value(np.linspace(0.0, 1.0, points))


def _listed(
    entry: Mapping[str, Any], place: str, name: str, unit: str, quantities: Quantities
) -> np.ndarray:
    values = entry["values"]
    if not isinstance(values, list) or not values:
        raise ValueError(f"{place}: values = {values!r}: expected a list of numbers")
    if "unit" in entry:
        if any(isinstance(v, str) for v in values):
            raise ValueError(f"{place}: values = {values!r}: beside unit expected numbers")
        values = [f"{v} {entry['unit']}" for v in values]
    elif unit != "1" and not all(isinstance(v, str) for v in values):
        raise ValueError(f'{place}: values have no unit: write unit = "{unit}"')
    return np.array([quantities.value(v, name, unit, f"{place} values") for v in values])


def _range(
    name: str, entry: Mapping[str, Any], known: Known, place: str, quantities: Quantities
) -> Range:
    unit = known[name].unit
    for edge in ("from", "to"):
        if edge not in entry:
            raise ValueError(f'{place}: {edge} is missing, as {edge} = "1 {unit}"')
    low, high = (quantities.value(entry[e], name, unit, f"{place} {e}") for e in ("from", "to"))
    limits = Range(low, high, str(entry.get("scale", "linear")))
    check_limits(name, *limits)
    check_values(name, np.array([low, high]), known[name])
    return limits


# -- samples ---------------------------------------------------------------------------------------
def _samples(
    table: Mapping[str, Any], known: Known, quantities: Quantities, folder: Path
) -> tuple[Samples | Table | None, set[str]]:
    """What [samples] asks for, and the files that it reads."""
    if not table:
        return None, set()
    if file := text_of(table, "file", ""):
        only(table, ("file",), "[samples]: beside file, ", "key")
        return read_table(_file(file, folder), known, quantities), {file}
    if file := text_of(table, "fit", ""):
        only(table, ("fit", "within"), "[samples]: beside fit, ", "key")
        within = table.get("within", 0.05)
        if type(within) not in (int, float) or not 0 <= within < float("inf"):
            raise ValueError(f"[samples] within = {within!r}: expected a part, 0 or more")
        return ensemble(_file(file, folder), within), {file}
    only(table, ("method", "points", "seed", "ranges"), "[samples]: ", "key")
    ranges = dict[str, Range]()
    for name, entry in by_path_names(table_of(table, "ranges"), known).items():
        place = f"[samples.ranges] {name}"
        check_known(name, known, "parameter", "[samples.ranges]: ")
        if not isinstance(entry, dict):
            raise ValueError(f"{place}: expected a table with from and to, got {entry!r}")
        only(entry, ("from", "to", "scale"), f"{place}: ", "key")
        ranges[name] = _range(name, entry, known, place, quantities)
    if "points" not in table:
        raise ValueError("[samples]: points is missing, the number of samples")
    seed = _whole(table, "seed", 0, "[samples] ", least=0)
    method = text_of(table, "method", "sobol")
    check_known(method, METHODS, "method", "[samples]: ")
    return Samples(ranges, _whole(table, "points", 1, "[samples] "), method, seed), set()
