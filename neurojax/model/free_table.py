"""The table [free] of a model file: what a fit may move, how far, and what follows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any

from neurojax.membrane.channel import ParamInfo, check_range
from neurojax.membrane.compartment import Cell
from neurojax.membrane.path_names import parameters, regional, substitute, whole_area
from neurojax.model.space import Space
from neurojax.model.tables import only, value_of
from neurojax.units import check_known, parse

_SPEC = ("low", "high", "scale", "also", "prior", "why")


def explained(table: Mapping[str, Any], prefix: str = "") -> set[str]:
    """The parameters in [free] that say why their bounds are wider than declared."""
    found: set[str] = set()
    for key, entry in table.items():
        if isinstance(entry, dict):
            name = f"{prefix}{key}"
            found |= {name} if "why" in entry else explained(entry, f"{name}.")
    return found


def free_specs(table: Mapping[str, Any], cell: Cell) -> dict[str, dict[str, Any]]:
    """What [free] asks for, by path name."""
    known = parameters(cell) | regional(cell)
    flat = by_path_names(table, known)
    specs = {}
    for name, spec in flat.items():
        check_known(name, known, "parameter", "[free]: ")
        if spec is False:
            continue
        specs[name] = _spec(name, {} if spec is True else spec, known, whole_area(cell))
    return specs


def by_path_names(
    table: Mapping[str, Any], known: Iterable[str], prefix: str = ""
) -> dict[str, Any]:
    """A table by path names: unquoted, `na.g_bar` is TOML for a table in a table."""
    flat: dict[str, Any] = {}
    for key, entry in table.items():
        path = prefix + key
        inner = [name for name in known if name.startswith(f"{path}.")]
        # A parameter may have parts, of regions: "C_m" is told of, or "C_m.dendrite".
        if isinstance(entry, dict) and path in known:
            inner = [x for x in inner for k in entry if f"{x}.".startswith(f"{path}.{k}.")]
        if isinstance(entry, dict) and (inner or (path not in known and _of_tables(entry))):
            flat |= by_path_names(entry, known, f"{path}.")
        else:
            flat[path] = entry
    return flat


def _of_tables(entry: Mapping[str, Any]) -> bool:
    """Whether a table holds tables alone, and so is the beginning of a path name."""
    return bool(entry) and all(isinstance(inner, dict) for inner in entry.values())


def _spec(name: str, spec: Any, known: Mapping[str, Any], area: float | None) -> dict[str, Any]:
    place = f"[free] {name}"
    if not isinstance(spec, dict):
        raise ValueError(f"{place}: expected true or {{ {', '.join(_SPEC)} }}, got {spec!r}")
    only(spec, _SPEC, f"{place}: ", "key")
    info, checked = known[name][1], dict(spec)
    for edge in ("low", "high"):
        if edge in spec:
            bounds = info._replace(low=-inf, high=inf) if "why" in spec else info
            checked[edge] = value_of(spec, edge, bounds, place, area)
    if not isinstance(spec.get("why", ""), str):
        raise ValueError(f"{place}: why is {spec['why']!r}; expected words")
    if spec.get("scale", "log") not in ("linear", "log"):
        raise ValueError(f"{place}: scale is {spec['scale']!r}, not 'linear' or 'log'")
    if "prior" in spec:
        checked["prior"] = _prior(spec["prior"], info, place)
    also = spec.get("also", [])
    if not isinstance(also, list) or not all(isinstance(a, str) for a in also):
        raise ValueError(f"{place}: also is {also!r}; expected a list of parameter names")
    for other in also:
        check_known(other, known, "parameter", f"{place}: also names ")
        if known[other][1].unit != info.unit:
            raise ValueError(
                f"{place}: also names {other}, in {known[other][1].unit}, not {info.unit}"
            )
    return checked


def _prior(prior: Any, info: ParamInfo, place: str) -> tuple[float, float]:
    if not isinstance(prior, dict) or set(prior) != {"mean", "sd"}:
        raise ValueError(f"{place}: prior is {prior!r}; expected {{ mean = ..., sd = ... }}")
    mean, sd = (parse(prior[k], info.unit, f"{place} prior {k}") for k in ("mean", "sd"))
    return mean, sd


def tie(cell: Cell, specs: Mapping[str, dict[str, Any]], written: set[str]) -> Cell:
    """Give tied parameters the value of the one that leads them; refuse contradictions."""
    known, led = parameters(cell) | regional(cell), dict[str, str]()
    for name, spec in specs.items():
        for other in spec.get("also", ()):
            if other == name or other in specs:
                raise ValueError(f"[free] {name}: also names {other}, which is free itself")
            if other in led:
                raise ValueError(f"[free] {name}: also names {other}, which follows {led[other]}")
            if other in written and known[other][0] != known[name][0]:
                raise ValueError(
                    f"[free] {name}: also ties {other} = {known[other][0]:g} to "
                    f"{name} = {known[name][0]:g}; give both one value, or {other} none"
                )
            led[other] = name
    return substitute(cell, {other: known[name][0] for other, name in led.items()})


def check_start(cell: Cell, space: Space) -> None:
    """Raises ValueError for a free parameter whose value in the model is outside its bounds."""
    known = parameters(cell) | regional(cell)
    for f in space.free:
        value, info = known[f.name]
        check_range(f"[free]: the model's {f.name}", value, info._replace(low=f.low, high=f.high))
