"""The tables [cell], [inputs], [ions] and [channels] of a model file: a cell on its shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from neurojax.membrane.cable import IMPLICIT, Cable
from neurojax.membrane.channel import Channel, ParamInfo, params
from neurojax.membrane.compartment import Cell
from neurojax.membrane.electrode import Electrode
from neurojax.membrane.ions import Ion
from neurojax.membrane.markov import as_scheme
from neurojax.membrane.path_names import CELSIUS, Q10, whole_area
from neurojax.membrane.requirements import check_ions
from neurojax.model.registry import Registry, known_channels
from neurojax.model.shape_tables import (
    GEOMETRY,
    density_of,
    read_shape,
    value_along,
    value_by_region,
)
from neurojax.model.tables import (
    NERNST,
    TABLES,
    only,
    table_of,
    value_of,
    whole_numbers,
)
from neurojax.units import check_known, parse


def read_cell(
    document: Mapping[str, Any], registry: Registry, wider: Collection[str] = ()
) -> tuple[Cell, set[str]]:
    """The cell, and the path names of the parameters that the file sets.

    Those that are free within `wider` bounds than declared are checked against these, later.
    """
    table = table_of(document, "cell")
    shape, own = _shape(document, table, registry.folder, wider)
    area = whole_area(Cell(channels={}, area=own["area"])) if "area" in own else None
    if "celsius" in table:
        own["celsius"] = value_of(table, "celsius", CELSIUS, "[cell]")
    if "default_q10" in table:
        own["default_q10"] = value_of(table, "default_q10", Q10, "[cell]")
    written = set(table)
    ions, channels = _entries(document, "ions"), _entries(document, "channels")
    written |= {f"ions.{key}.{field}" for key, entry in ions.items() for field in entry}
    written |= {f"{key}.{field}" for key, entry in channels.items() for field in entry}
    if not channels:
        raise ValueError("no channel: expected at least one table such as [channels.leak]")
    if "electrode_ion" in table:
        own["electrode_ion"] = ion = table["electrode_ion"]
        if ion not in ions:
            have = ", ".join(ions) or "none"
            raise ValueError(
                f"[cell] electrode_ion = {ion!r}: no such table in [ions] (have: {have})"
            )
    own["channels"] = {
        key: _channel(key, entry, registry, shape, area, wider) for key, entry in channels.items()
    }
    own["ions"] = {k: _ion(k, entry, registry, shape, wider) for k, entry in ions.items()}
    own["inputs"] = _inputs(table_of(document, "inputs"), ions)
    if shape is None:
        cell = Cell(**own)
    else:
        dense = {k: density_of(x, f"[channels.{k}]", shape) for k, x in channels.items()}
        own["density"] = {k: x for k, x in dense.items() if x is not None}
        cell = replace(shape, **own)
    cell.check()
    check_ions(cell, Electrode(0.0, 0.0, 0.0))
    return cell, written


def _shape(
    document: Mapping[str, Any], table: Mapping[str, Any], folder: Path, wider: Collection[str]
) -> tuple[Cable | None, dict[str, Any]]:
    """The bare cell with compartments, None for one without, and what [cell] says of the other."""
    make = read_shape(document, folder)
    if make is None:
        known = _declared(Cell, "", wider)
        only(table, [*known, *_OTHERS], "[cell]: ", "key")
        own = {k: value_of(table, k, known[k], "[cell]") for k in ("area",) if k in table}
        area = whole_area(Cell(channels={}, area=own["area"])) if own else None
        rest = [k for k in known if k in table and k not in own]
        return None, own | {k: value_of(table, k, known[k], "[cell]", area) for k in rest}
    known = {k: info for k, info in _declared(Cable, "", wider).items() if k not in GEOMETRY}
    only(table, [*known, *_OTHERS, "electrode_at", "implicit"], "[cell]: ", "key")
    here = {k: value_by_region(table, k, known[k], "[cell]") for k in known if k in table}
    shape, own = make(**here), dict[str, Any]()
    for key, value in here.items():
        for region in shape.regions if isinstance(value, dict) else ():
            if region not in value:
                raise ValueError(f"[cell] {key}: no value for the region {region!r}")
    if "electrode_at" in table:
        own["electrode_at"] = table["electrode_at"]
    if "implicit" in table:
        kind = table["implicit"]
        check_known(str(kind), IMPLICIT, "implicit step", "[cell]: ")
        own["implicit"] = IMPLICIT[kind]
    return shape, own


def _declared(cls: type, prefix: str, wider: Collection[str]) -> dict[str, ParamInfo]:
    """The parameters of a class, without bounds where the file has wider ones of its own."""
    return {
        k: info._replace(low=-math.inf, high=math.inf) if prefix + k in wider else info
        for k, info in params(cls).items()
    }


_OTHERS = "celsius", "default_q10", "electrode_ion"
"""What [cell] may have beside parameters."""


def _entries(document: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The tables in a table, by names that can be part of a path name."""
    entries = table_of(document, kind)
    for key, entry in entries.items():
        place = f"[{kind}.{key}]"
        if "." in key or key in TABLES:
            raise ValueError(f"{place}: a name has no dot and is not one of {', '.join(TABLES)}")
        if not isinstance(entry, dict):
            what = "a table with a type" if kind == "channels" else "a table"
            raise ValueError(f"{place}: expected {what}, got {entry!r}")
    return entries


def _inputs(table: Mapping[str, Any], ions: Iterable[str]) -> dict[str, float]:
    taken = {f"{ion}_{side}": ion for ion in ions for side in "io"}
    for key in table:
        if key in taken:
            raise ValueError(f"[inputs] {key}: is a concentration of [ions.{taken[key]}]")
    return {key: parse(value, "1", f"[inputs] {key}") for key, value in table.items()}


def _ion(
    key: str,
    entry: Mapping[str, Any],
    registry: Registry,
    shape: Cable | None,
    wider: Collection[str],
) -> Ion:
    place = f"[ions.{key}]"
    cls = _class(registry.ion, entry.get("type", "Ion"), place)
    known, whole = _declared(cls, f"ions.{key}.", wider), whole_numbers(cls)
    only(entry, ["type", *whole, *known], f"{place}: ", "key")
    for key in ("valence", "inside", "outside") if cls is Ion else ():
        if key not in entry:
            raise ValueError(f"{place}: {key} is missing (valence, inside and outside are needed)")
    for key in whole:
        value = entry.get(key, 1)
        if type(value) is not int or value == 0 or (key == "pump_hill" and value < 0):
            raise ValueError(f"{place} {key} = {value!r}: expected a whole number, not 0")
    given: dict[str, Any] = {k: entry[k] for k in whole if k in entry}
    given |= {k: value_along(entry, k, known[k], place, shape) for k in known if k in entry}
    return cls(**given)


def _class(find: Callable[[Any], Any], kind: Any, place: str) -> Any:
    if not isinstance(kind, str):
        raise ValueError(f"{place}: type = {kind!r:.60}; expected the name of a class")
    try:
        return find(kind)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _channel(
    key: str,
    entry: Mapping[str, Any],
    registry: Registry,
    shape: Cable | None,
    area: float | None,
    wider: Collection[str],
) -> Channel:
    place = f"[channels.{key}]"
    if "type" not in entry:
        known = ", ".join(known_channels())
        raise ValueError(f"{place}: type is missing (a channel class: {known})")
    cls = _class(registry.channel, entry["type"], place)
    known, kind = _declared(cls, f"{key}.", wider), cls.__name__
    other = ("type", "scheme") if shape is None else ("type", "scheme", "density")
    values = {k: v for k, v in entry.items() if k not in other}
    only(values, known, f"{place}: ", f"parameter of {kind}:")
    given: dict[str, Any] = {}
    for k, value in values.items():
        if k == "E_rev" and value == NERNST:
            ions = cls.carries
            if len(ions) != 1:
                raise ValueError(
                    f"{place} E_rev = {value!r}: {kind} carries {len(ions)} ions, not 1"
                )
            given[k] = None
        else:
            given[k] = value_along(values, k, known[k], place, shape, area)
    scheme = entry.get("scheme", False)
    if not isinstance(scheme, bool):
        raise ValueError(f"{place} scheme = {scheme!r}: expected true or false")
    channel = cls(**given)
    if not scheme:
        return channel
    try:
        return as_scheme(channel)
    except ValueError as error:
        raise ValueError(f"{place} scheme = true: {error}") from None
