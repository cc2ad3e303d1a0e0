"""Words of model files: tables, classes and values, read with messages that name their place."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from neurojax.membrane.channel import ParamInfo, check_range, params
from neurojax.membrane.ions import Ion
from neurojax.units import nearest, parse

SHAPES = ("sections", "compartments", "morphology")
"""Tables of which a cell with compartments has one."""

TABLES = ("name", "description", "cell", *SHAPES, "inputs", "ions", "channels", "free")
NERNST = "nernst"
"""An `E_rev` that follows the concentrations."""


def only(table: Mapping[str, Any], known: Iterable[str], place: str, what: str) -> None:
    """Raises ValueError for a key that is not known, naming the nearest one."""
    known = list(known)
    for key in table:
        if key not in known:
            raise ValueError(
                f"{place}unknown {what} {key!r}{nearest(key, known)} (have: {', '.join(known)})"
            )


def table_of(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A table of a table, empty where there is none."""
    table = document.get(key, {})
    if isinstance(table, list):
        raise ValueError(f"[[{key}]]: expected one table, written [{key}]")
    if not isinstance(table, dict):
        raise ValueError(f"[{key}]: expected a table, got {table!r}")
    return table


def text_of(document: Mapping[str, Any], key: str, default: str) -> str:
    """Text of a table."""
    text = document.get(key, default)
    if not isinstance(text, str):
        raise ValueError(f"{key}: expected text, got {text!r}")
    return text


def value_of(
    table: Mapping[str, Any], key: str, info: ParamInfo, place: str, area: float | None = None
) -> float:
    """A number in its declared unit and bounds; of a cell of an area (cm2) in nS and pF, too."""
    value = parse(table[key], info.unit, f"{place} {key}", area)
    check_range(f"{place} {key}", value, info)
    return value


def whole_numbers(cls: type[Ion]) -> list[str]:
    """The fields of an ion that are no parameters."""
    return [f.name for f in dataclasses.fields(cls) if f.name not in params(cls)]
