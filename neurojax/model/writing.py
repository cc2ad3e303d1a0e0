"""A cell as the text of a model file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.membrane.cable import DAMPED, IMPLICIT, Cable
from neurojax.membrane.channel import Channel, check_range, params
from neurojax.membrane.compartment import Cell
from neurojax.membrane.ions import Ion
from neurojax.membrane.markov import Scheme
from neurojax.membrane.path_names import parameters
from neurojax.membrane.profiles import Exponential, Painted
from neurojax.model.registry import Registry, registry
from neurojax.model.shape_tables import GEOMETRY
from neurojax.model.space import Space
from neurojax.model.tables import NERNST, whole_numbers


def to_toml(
    cell: Cell,
    space: Space | None = None,
    *,
    name: str = "model",
    description: str = "",
    channels: Iterable[type[Channel]] = (),
) -> str:
    """A cell as the text of a model file, with its free parameters and their bounds.

    A class of your own is named by where it is; of `channels` by its bare name, as `load_model`
    takes it with the same `channels`. Raises ValueError for a population, a class that could not
    be found again, as one of a script or notebook, or a number not finite.
    """
    known, classes = parameters(cell), registry(channels)
    regions = cell.regions if isinstance(cell, Cable) else ()
    wider = {f.name: f for f in space.free if f.why} if space else {}
    for path, (value, info) in known.items():
        if path in wider:
            info = info._replace(low=wider[path].low, high=wider[path].high)
        check_range(path, value, info)
    lines = [f"name = {_quoted(name)}", f"description = {_quoted(description)}", "", "[cell]"]
    own = {
        k: i for k, i in params(cell).items() if not isinstance(cell, Cable) or k not in GEOMETRY
    }
    lines += [_entry(k, getattr(cell, k), info.unit, regions) for k, info in own.items()]
    if cell.celsius is not None:
        lines.append(_entry("celsius", cell.celsius, "degC"))
    if cell.default_q10 is not None:
        lines.append(_entry("default_q10", cell.default_q10, "1"))
    if cell.electrode_ion is not None:
        lines.append(f"electrode_ion = {_quoted(cell.electrode_ion)}")
    if isinstance(cell, Cable):
        lines += _shape_lines(cell)
    if cell.inputs:
        lines += ["", "[inputs]", *(_entry(_key(k), v, "1") for k, v in cell.inputs.items())]
    for key, ion in cell.ions.items():
        lines += ["", f"[ions.{_key(key)}]", *_ion_lines(key, ion, classes, regions)]
    for key, channel in cell.channels.items():
        lines += ["", f"[channels.{_key(key)}]", *_channel_lines(key, channel, classes, regions)]
        if key in cell.densities:
            lines.append(f"density = {_density(key, cell.densities[key], regions)}")
    if space is not None:
        lines += ["", "[free]"]
        for f in space.free:
            parts = [f"low = {_number(f.name, f.low)}", f"high = {_number(f.name, f.high)}"]
            parts.append(f'scale = "{f.scale}"')
            if f.also:
                parts.append(f"also = [{', '.join(map(_quoted, f.also))}]")
            if f.prior:
                mean, sd = (_number(f.name, part) for part in f.prior)
                parts.append(f"prior = {{ mean = {mean}, sd = {sd} }}")
            if f.why:
                parts.append(f"why = {_quoted(f.why)}")
            lines.append(f"{_quoted(f.name)} = {{ {', '.join(parts)} }}  # {f.unit}")
    return "\n".join(lines) + "\n"


def _shape_lines(cell: Cable) -> list[str]:
    """Where the electrode is, how the step is made, and the table [compartments]."""
    lines = [f"electrode_at = {_whole('electrode_at', cell.electrode_at)}"]
    if cell.implicit != DAMPED:
        kind = next((k for k, how in IMPLICIT.items() if how == cell.implicit), None)
        if kind is None:
            raise ValueError(f"implicit: a model file knows {', '.join(IMPLICIT)} only")
        lines.append(f"implicit = {_quoted(kind)}")
    n = len(cell.parents)
    lines += ["", "[compartments]", f"parents = {list(cell.parents)}"]
    if cell.attached:
        lines.append(f"attached = {list(cell.attached)}")
    if cell.regions:
        lines.append(f"regions = [{', '.join(map(_quoted, cell.regions))}]")
    for key in (*GEOMETRY, "to_start", "to_end"):
        values = _one_cell(key, getattr(cell, key), (n,))
        if key in GEOMETRY or (values != 1).any():
            lines.append(f"{key} = {_listed(key, values)}")
    if cell.points is not None:
        lines.append(f"points = {_one_cell('points', cell.points, (n, 3, 3)).tolist()}")
    return lines


def _whole(key: str, value: Any) -> int:
    if np.ndim(value):
        raise ValueError(f"{key} has shape {np.shape(value)}: a model file holds one cell")
    return int(value)


def _one_cell(key: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The values of one cell's compartments. Raises ValueError for those of a population."""
    array = np.asarray(value)
    if array.ndim > len(shape):
        raise ValueError(f"{key} has shape {array.shape}: a model file holds one cell")
    return np.broadcast_to(array, shape)


def _listed(key: str, values: Any) -> str:
    return f"[{', '.join(_number(key, x) for x in values)}]"


def _density(key: str, density: Any, regions: Sequence[str]) -> str:
    """How dense a channel is; functions of the path distance by region."""
    if not isinstance(density, Painted):
        return _value(f"density.{key}", density, regions)
    parts: dict[str, str] = {}
    numbers = _one_cell(key, density.numbers, (len(regions),))
    for region in dict.fromkeys(regions):
        f = density.functions.get(region)
        there = numbers[np.asarray(regions) == region]
        if f is None and (there != there[0]).any():
            raise ValueError(f"density of {key!r} differs within the region {region!r}")
        parts[region] = _number(key, there[0]) if f is None else _function(key, f)
    if set(density.functions) - set(parts):
        raise ValueError(f"density of {key!r}: a model file has functions by region")
    return _table(parts)


def _function(key: str, f: Any) -> str:
    if type(f) is not Exponential:
        raise ValueError(f"density of {key!r}: no model file could name a {type(f).__name__}")
    parts = {k: _number(k, getattr(f, k)) for k in params(f)}
    return _table({"type": '"Exponential"'} | parts)


def _table(parts: Mapping[str, str]) -> str:
    return f"{{ {', '.join(f'{_key(k)} = {x}' for k, x in parts.items())} }}"


def _ion_lines(key: str, ion: Ion, classes: Registry, regions: Sequence[str]) -> list[str]:
    kind = type(ion)
    if (name := classes.name_of(kind)) is None:
        raise _nowhere(f"ion {key!r}", kind)
    lines = [] if kind is Ion else [f"type = {_quoted(name)}"]
    lines += [f"{k} = {getattr(ion, k)}" for k in whole_numbers(kind)]
    values = ((k, getattr(ion, k), info) for k, info in params(ion).items())
    known = ((k, value, info.unit) for k, value, info in values if value is not None)
    return lines + [_entry(*each, regions) for each in known]


def _channel_lines(
    key: str, channel: Channel, classes: Registry, regions: Sequence[str]
) -> list[str]:
    kind, is_scheme = _class_of(key, channel, classes)
    lines = [f"type = {_quoted(kind)}"] + ["scheme = true"] * is_scheme
    for field, info in params(channel).items():
        value = getattr(channel, field)
        if value is None and info.default is not None:
            lines.append(f'{field} = "{NERNST}"')
        elif value is not None and not (
            field in ("v_shift", "tau_scale") and (np.asarray(value) == info.default).all()
        ):
            lines.append(_entry(field, value, info.unit, regions))
    return lines


def _class_of(key: str, channel: Channel, classes: Registry) -> tuple[str, bool]:
    """What its class is called, and whether it is the scheme of that class's particles."""
    if name := classes.name_of(type(channel)):
        return name, False
    for kind in type(channel).__mro__ if isinstance(channel, Scheme) else ():
        name = classes.name_of(kind)
        if name and not issubclass(kind, Scheme) and issubclass(kind, Channel):
            return name, True
    raise _nowhere(f"channel {key!r}", type(channel))


def nameless(cell: Cell) -> set[type[Channel]]:
    """The classes of a cell's channels that no model file could name: those of a notebook."""
    own: set[type[Channel]] = set()
    for channel in cell.channels.values():
        kinds = [k for k in type(channel).__mro__ if issubclass(k, Channel) and k is not Channel]
        # Of the scheme of a channel's particles it is the channel that a file names.
        kind = next((k for k in kinds if not issubclass(k, Scheme)), type(channel))
        if registry().name_of(kind) is None:
            own.add(kind)
    return own


def _nowhere(what: str, kind: type) -> ValueError:
    return ValueError(
        f"{what}: {kind.__name__} cannot be found from a model file: put the class into a Python "
        "file of its own and load the model with its path, or pass it as one of `channels`"
    )


def _entry(key: str, value: Any, unit: str, regions: Sequence[str] = ()) -> str:
    return f"{key} = {_value(key, value, regions)}" + (f"  # {unit}" if unit != "1" else "")


def _value(key: str, value: Any, regions: Sequence[str]) -> str:
    """A number; what differs among compartments by region, or as a list of each one's."""
    array = np.asarray(value)
    if array.ndim != 1 or not regions:
        return _number(key, value)
    n = len(regions)
    array = _one_cell(key, array, (n,))
    there = {region: array[np.asarray(regions) == region] for region in dict.fromkeys(regions)}
    if all((x == x[0]).all() for x in there.values()):
        return _table({region: _number(key, x[0]) for region, x in there.items()})
    return _listed(key, array)


def _number(key: str, value: Any) -> str:
    array = np.asarray(value)
    if array.ndim:
        raise ValueError(f"{key} has shape {array.shape}: a model file holds one cell")
    # Shortest text that reads back to the same number in the leaf's own precision.
    number = float(str(array[()]))
    if not np.isfinite(number):
        raise ValueError(f"{key} = {number} is not finite")
    return repr(number)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    printable = (c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in escaped)
    return f'"{"".join(printable)}"'


def _key(key: str) -> str:
    bare = key and all(c.isascii() and (c.isalnum() or c in "_-") for c in key)
    return key if bare else _quoted(key)
