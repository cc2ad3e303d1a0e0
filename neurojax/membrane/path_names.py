"""Parameters of a cell by path name: `na.g_bar`, `C_m`, `ions.ca.tau`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from neurojax.membrane.channel import Leaf, ParamInfo, check_range, check_real, params
from neurojax.membrane.compartment import CELSIUS, Cell
from neurojax.membrane.profiles import functions_of, with_parameters
from neurojax.units import check_known


def parameters(cell: Cell) -> dict[str, tuple[Leaf, ParamInfo]]:
    """Every parameter of a cell by path name ("na.g_bar", "C_m"): its value and its declaration."""
    return {
        name: (getattr(owner, field), params(owner)[field]) for name, owner, field in _walk(cell)
    }


def settable(cell: Cell) -> dict[str, tuple[Leaf, ParamInfo]]:
    """All that `replace` takes: the parameters and the temperature."""
    return parameters(cell) | {"celsius": (cell.celsius, CELSIUS)}


def replace(cell: Cell, values: Mapping[str, Leaf]) -> Cell:
    """The cell with other parameter values, by path name.

    Raises ValueError for an unknown name (with the nearest valid one), a value that is no number,
    see `check_real`, or one outside the parameter's bounds. Traced values are taken as they are.
    """
    known = settable(cell)
    for name, value in values.items():
        check_real(name, value)
        check_value(name, value, known)
    return substitute(cell, values)


def check_value(
    name: str, value: Leaf | Sequence[float], known: Mapping[str, tuple[Leaf, ParamInfo]]
) -> None:
    """Raise ValueError for an unknown parameter name, or concrete values outside its bounds."""
    check_known(name, known, "parameter")
    check_range(name, value, known[name][1])


def substitute(cell: Cell, values: Mapping[str, Leaf]) -> Cell:
    """`replace` without checks, for values that were checked where they entered."""
    own = {k: v for k, v in values.items() if "." not in k}
    parts: dict[str, dict[str, Any]]
    parts = {"channels": dict(cell.channels), "ions": dict(cell.ions)}
    painted = {k: x for k, x in values.items() if k.startswith("density.")}
    if painted:
        parts["density"] = with_parameters(cell.densities, painted)
    for name, value in values.items():
        if "." in name and name not in painted:
            *_, key, field = name.split(".")
            part = parts["ions" if name.startswith("ions.") else "channels"]
            part[key] = dataclasses.replace(part[key], **{field: value})
    return dataclasses.replace(cell, **parts, **own)


def _walk(cell: Cell) -> Iterator[tuple[str, Any, str]]:
    """Every parameter that has a value: its path name, its owner and the owner's field."""
    owners = [("", cell)]
    owners += [(f"{key}.", channel) for key, channel in cell.channels.items()]
    owners += [(f"ions.{key}.", ion) for key, ion in cell.ions.items()]
    owners += functions_of(cell.densities)
    for prefix, owner in owners:
        for field in params(owner):
            if getattr(owner, field) is not None:
                yield prefix + field, owner, field
