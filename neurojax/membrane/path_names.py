"""Parameters of a cell by path name: `na.g_bar`, `C_m`, `ions.ca.tau`, `diameter.dendrite`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from neurojax.membrane.channel import Leaf, ParamInfo, check_range, check_real, params
from neurojax.membrane.compartment import Cell
from neurojax.membrane.profiles import DENSITY, Painted, functions_of, with_parameters
from neurojax.units import check_known, parse

CELSIUS = ParamInfo(20.0, "degC", -10.0, 60.0, "linear")
"""What `celsius` may be; it is no `param` because None is a value of it."""

Q10 = ParamInfo(None, "1", 0.1, 10.0, "log")
"""What `default_q10` may be."""


def parameters(cell: Cell) -> dict[str, tuple[Leaf, ParamInfo]]:
    """Every parameter of a cell by path name ("na.g_bar", "C_m"): its value and its declaration."""
    return {
        name: (getattr(owner, field), params(owner)[field]) for name, owner, field in _walk(cell)
    }


def regional(cell: Cell) -> dict[str, tuple[Leaf, ParamInfo]]:
    """The parameters of each region of a cell, as `parameters`: "diameter.dendrite".

    Those that are one number for all compartments of the region; what differs within it, as the
    diameter of a dendrite that tapers, is left out.
    """
    found: dict[str, tuple[Leaf, ParamInfo]] = {}
    for region, there in _regions(cell).items():
        for name, owner, field in _walk(cell):
            info = params(owner)[field]
            if name.startswith("density."):  # a function has its own parameters
                continue
            value = _within(getattr(owner, field), there)
            if value is not None:
                found[f"{name}.{region}"] = value, info
        for key, painted in cell.densities.items():
            own = None if isinstance(painted, Painted) else _within(painted, there)
            if own is not None:
                found[f"density.{key}.{region}"] = own, DENSITY
    return found


def _regions(cell: Cell) -> dict[str, np.ndarray]:
    """Which compartments are of each region `[comp]`; nothing of a cell without regions."""
    regions = np.asarray(getattr(cell, "regions", ()), dtype=object)
    return {name: regions == name for name in dict.fromkeys(regions)}


def _within(value: Any, there: np.ndarray) -> Leaf | None:
    """What a value is in some compartments: a number, `[pop]`, or None where they differ."""
    if isinstance(value, Tracer):
        return None
    array = np.asarray(value)
    if array.ndim == 0:
        return value
    some = array if array.shape[0] == 1 else array[there]
    if (some != some[:1]).any():
        return None
    return float(some[0]) if some[0].ndim == 0 else some[0]


def settable(cell: Cell) -> dict[str, tuple[Leaf, ParamInfo]]:
    """All that `replace` takes: the parameters, those of regions, and the temperature."""
    return parameters(cell) | regional(cell) | {"celsius": (cell.celsius, CELSIUS)}


def whole_area(cell: Cell) -> float | None:
    """The area of a cell of one compartment, cm2; None where it is not one number, or not given.

    1 cm2, the default, and all that no cell has stands for densities.
    """
    if cell.state_axes or isinstance(cell.area, Tracer) or np.size(cell.area) != 1:
        return None
    area = float(np.ravel(np.asarray(cell.area))[0])
    return area if 0 < area < LARGEST_AREA else None


LARGEST_AREA = 1e-2
"""No cell has so many cm2: who has them counts in densities."""


def _has_unit(value: Any) -> bool:
    """Whether a value is text that is more than a number."""
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False


def replace(cell: Cell, values: Mapping[str, Leaf | str]) -> Cell:
    """The cell with other parameter values, by path name.

    A value may be text with a unit: "60 mS/cm2", or "50 nS" and "20 pF" where the area of the cell
    is known, which may be among the values. Raises ValueError for an unknown name (with the nearest
    valid one), a value that is no number, see `check_real`, or one outside the parameter's bounds.
    Traced values are taken as they are.
    """
    known = settable(cell)
    read: dict[str, Any] = {k: x for k, x in values.items() if not _has_unit(x)}
    for name in sorted(values.keys() - read.keys(), key=lambda name: name != "area"):
        check_known(name, known, "parameter")
        other = "area" in read and not cell.state_axes
        area = whole_area(dataclasses.replace(cell, area=read["area"]) if other else cell)
        read[name] = parse(str(values[name]), known[name][1].unit, name, area)
    for name, value in read.items():
        check_real(name, value)
        check_value(name, value, known)
    # A whole number is no program of its own: 0 is 0.0, as the fields have it.
    plain = {name: float(x) if type(x) is int else x for name, x in read.items()}
    return substitute(cell, {name: plain[name] for name in values})


def check_value(
    name: str, value: Leaf | Sequence[float], known: Mapping[str, tuple[Leaf, ParamInfo]]
) -> None:
    """Raise ValueError for an unknown parameter name, or concrete values outside its bounds."""
    check_known(name, known, "parameter")
    check_range(name, value, known[name][1])


def check_one_number(name: str, value: Leaf) -> None:
    """Raise ValueError for a parameter in which compartments differ: it is not one number."""
    if isinstance(value, Tracer) or np.ndim(value) == 0:
        return
    array = np.asarray(value)
    if (array != array[:1]).any():
        raise ValueError(
            f"{name} differs from compartment to compartment: free it by region, as "
            f'"{name}.dendrite", or paint a channel by `density`'
        )


def substitute(cell: Cell, values: Mapping[str, Leaf]) -> Cell:
    """`replace` without checks, for values that were checked where they entered.

    Values are as their fields have them; of a region they are a number or `[1, pop]`.
    """
    regions = _regions(cell)
    split = {k: x for k, x in values.items() if k.rpartition(".")[2] in regions}
    values = {k: x for k, x in values.items() if k not in split}
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
    cell = dataclasses.replace(cell, **parts, **own)
    for name, value in split.items():
        base, _, region = name.rpartition(".")
        cell = _with_region(cell, base, regions[region], value)
    return cell


def _with_region(cell: Cell, name: str, there: np.ndarray, value: Leaf) -> Cell:
    """The cell with another value of a parameter, or of a density, in some compartments."""
    kind, _, key = name.partition(".")
    if kind == "density":
        density = dict(cell.densities)
        density[key] = _put(density.get(key, 1.0), there, value)
        return dataclasses.replace(cell, density=density)
    old = next(getattr(owner, field) for known, owner, field in _walk(cell) if known == name)
    return substitute(cell, {name: _put(old, there, value)})


def _put(old: Any, there: np.ndarray, value: Any) -> Any:
    """A value for all compartments, `[comp]` or `[comp, pop]`, with another one in some."""
    xp = jnp if isinstance(old, jax.Array) or isinstance(value, jax.Array) else np
    ndim = max(np.ndim(value), np.ndim(old), 1)
    if np.ndim(old) == 1 < ndim:
        old = old[:, None]
    return xp.where(there.reshape(-1, *[1] * (ndim - 1)), value, old)


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
