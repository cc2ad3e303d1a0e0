"""The tables [sections], [compartments] and [morphology] of a model file: the shape of a cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.io.morphology import read_morphology
from neurojax.membrane.builders import assemble
from neurojax.membrane.cable import Cable
from neurojax.membrane.channel import ParamInfo, check_range, params
from neurojax.membrane.profiles import DENSITY, Exponential
from neurojax.model.tables import SHAPES, only, table_of, text_of, value_of
from neurojax.morphology import END, Section
from neurojax.units import parse

GEOMETRY = ("length", "diameter")
"""Parameters of a cell that its shape tells."""

_COLUMNS = ("parents", "attached", "regions", *GEOMETRY, "to_start", "to_end", "points")
_PART = ParamInfo(0.1, "1", 1e-3, 10.0, "log")
_FUNCTIONS = {"Exponential": Exponential}
"""Functions of the path distance that a density may be."""


def read_shape(document: Mapping[str, Any], folder: Path) -> Callable[..., Cable] | None:
    """What makes the cell of its R_i and C_m, which are numbers or by region; None without a shape.

    Raises ValueError for more than one shape, or one that does not hang together.
    """
    given = [name for name in SHAPES if name in document]
    if not given:
        return None
    if len(given) > 1:
        raise ValueError(f"[{given[1]}]: the shape of the cell is in [{given[0]}] already")
    table = table_of(document, given[0])
    if given[0] == "compartments":
        fields = _compartments(table)
        return lambda **more: _by_region(Cable(channels={}, **fields), more)
    part = {}
    if given[0] == "sections":
        sections = {name: _section(name, entry) for name, entry in table.items()}
    else:
        only(table, ("file", "part"), "[morphology]: ", "key")
        if "part" in table:
            part["part"] = value_of(table, "part", _PART, "[morphology]")
        sections = read_morphology(folder / Path(text_of(table, "file", "")).expanduser())
    return lambda **more: assemble(sections, {}, **part, **more)


def _by_region(cell: Cable, values: Mapping[str, Any]) -> Cable:
    """The cell with R_i and C_m, which may be by region."""
    found = {k: cell.by_region(x) if isinstance(x, Mapping) else x for k, x in values.items()}
    return replace(cell, **found)


def _section(name: str, entry: Any) -> Section:
    place = f"[sections.{name}]"
    if not isinstance(entry, dict):
        raise ValueError(f"{place}: expected a table with length and diameter, got {entry!r}")
    only(entry, (*GEOMETRY, "compartments", "on", "at", "region"), f"{place}: ", "key")
    for key in GEOMETRY:
        if key not in entry:
            raise ValueError(f"{place}: {key} is missing")
    number = entry.get("compartments")
    if number is not None and (type(number) is not int or number < 1):
        raise ValueError(f"{place} compartments = {number!r}: expected a whole number from 1 on")
    known = params(Cable)
    length, diameter = (value_of(entry, key, known[key], place) for key in GEOMETRY)
    return Section(
        length,
        diameter,
        number,
        on=text_of(entry, "on", "") or None,
        at=parse(entry.get("at", END), "1", f"{place} at"),
        region=text_of(entry, "region", "") or None,
    )


def _compartments(table: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a Cable, from lists of as many entries."""
    only(table, _COLUMNS, "[compartments]: ", "key")
    for key in ("parents", *GEOMETRY):
        if key not in table:
            raise ValueError(f"[compartments]: {key} is missing")
    n = len(table["parents"]) if isinstance(table["parents"], list) else 0
    for key, column in table.items():
        if not isinstance(column, list) or len(column) != n:
            raise ValueError(f"[compartments] {key}: expected a list of {n} entries")
    fields: dict[str, Any] = {k: tuple(table[k]) for k in ("parents", "regions") if k in table}
    if not all(type(p) is int for p in fields["parents"]):
        raise ValueError("[compartments] parents: expected whole numbers, -1 of the root")
    known = params(Cable)
    for key in ("attached", *GEOMETRY, "to_start", "to_end", "points"):
        if key in table:
            fields[key] = _numbers(table[key], known[key].unit if key in known else "1", key)
    if "attached" in fields:
        fields["attached"] = tuple(map(float, fields["attached"]))
    return fields


def _numbers(column: list[Any], unit: str, key: str) -> np.ndarray:
    place = f"[compartments] {key}"
    if key == "points":
        try:
            return np.asarray(column, float)
        except (TypeError, ValueError):
            raise ValueError(f"{place}: expected start, centre and end of each, x, y, z") from None
    return np.array([parse(x, unit, place) for x in column])


# -- values that differ from compartment to compartment --------------------------------------------
def value_by_region(table: Mapping[str, Any], key: str, info: ParamInfo, place: str) -> Any:
    """A number, or numbers by region, or of each compartment, before the shape is known."""
    value, where = table[key], f"{place} {key}"
    if isinstance(value, list):
        return _list(value, info, where, len(value))
    if isinstance(value, dict):
        return {k: value_of(value, k, info, where) for k in value}
    return value_of(table, key, info, place)


def value_along(
    table: Mapping[str, Any],
    key: str,
    info: ParamInfo,
    place: str,
    shape: Cable | None,
    area: float | None = None,
) -> Any:
    """A number, or in a cell with compartments what differs among them.

    A table by region, `{ soma = 3000, dendrite = "1.5 mS/cm2" }`, or a list of each compartment's.
    The channel is in no region of which its conductance is not told, see `density_of`; anything
    else has to be told of all.
    """
    value = table[key]
    if shape is None or not isinstance(value, dict | list):
        return value_of(table, key, info, place, area)
    where = f"{place} {key}"
    if isinstance(value, list):
        return _list(value, info, where, len(shape.parents))
    only(value, dict.fromkeys(shape.regions), f"{where}: ", "region")
    found = {k: value_of(value, k, info, where) for k in value}
    missing = [k for k in dict.fromkeys(shape.regions) if k not in found]
    if not found or (missing and key not in CONDUCTANCES):
        raise ValueError(f"{where}: no value for the region {missing[0]!r}")
    first, *others = found.values()
    return first if all(x == first for x in others) else shape.by_region(found, first)


CONDUCTANCES = ("g_bar", "P_bar", "g_max")
"""What a channel may be told to have in some regions only."""


def _list(value: list[Any], info: ParamInfo, where: str, n: int) -> np.ndarray:
    if len(value) != n:
        raise ValueError(f"{where}: {len(value)} values for {n} compartments")
    found = np.array([parse(x, info.unit, where) for x in value])
    check_range(where, found, info)
    return found


def density_of(entry: Mapping[str, Any], place: str, shape: Cable) -> Any:
    """How dense a channel is, by region or of each compartment; 0 where it is not told.

    None where it is everywhere: its table has no density, and no conductance by region.
    """
    there = [key for key in CONDUCTANCES if isinstance(entry.get(key), dict)]
    if "density" not in entry:
        if not there or set(entry[there[0]]) == set(shape.regions):
            return None
        return shape.painted_by(dict.fromkeys(entry[there[0]], 1.0))
    value, place = entry["density"], f"{place} density"
    if isinstance(value, list) and not all(isinstance(x, str) for x in value):
        return _list(value, DENSITY, place, len(shape.parents))
    if isinstance(value, list):
        value = dict.fromkeys(value, 1.0)
    if not isinstance(value, dict):
        raise ValueError(f"{place}: expected regions, numbers by region, or a list of numbers")
    only(value, dict.fromkeys(shape.regions), f"{place}: ", "region")
    return shape.painted_by({k: _painted(value, k, place) for k in value})


def _painted(table: Mapping[str, Any], region: str, place: str) -> Any:
    entry = table[region]
    if not isinstance(entry, dict):
        return value_of(table, region, DENSITY, place)
    where = f"{place} {region}"
    kind = text_of(entry, "type", "")
    if kind not in _FUNCTIONS:
        raise ValueError(f"{where}: type is {kind!r}, not one of {', '.join(_FUNCTIONS)}")
    known = params(_FUNCTIONS[kind])
    only(entry, ("type", *known), f"{where}: ", "key")
    return _FUNCTIONS[kind](**{k: value_of(entry, k, known[k], where) for k in known if k in entry})
