"""A cell as the text of a model file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from neurojax.membrane.channel import Channel, params
from neurojax.membrane.compartment import Cell, check_single
from neurojax.membrane.ions import Ion
from neurojax.membrane.markov import Scheme
from neurojax.membrane.path_names import check_value, parameters
from neurojax.model.registry import Registry, registry
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
    check_single(cell, "a model file")
    known, classes = parameters(cell), registry(channels)
    for path, (value, _) in known.items():
        check_value(path, value, known)
    lines = [f"name = {_quoted(name)}", f"description = {_quoted(description)}", "", "[cell]"]
    lines += [_entry(k, getattr(cell, k), info.unit) for k, info in params(cell).items()]
    if cell.celsius is not None:
        lines.append(_entry("celsius", cell.celsius, "degC"))
    if cell.electrode_ion is not None:
        lines.append(f"electrode_ion = {_quoted(cell.electrode_ion)}")
    if cell.inputs:
        lines += ["", "[inputs]", *(_entry(_key(k), v, "1") for k, v in cell.inputs.items())]
    for key, ion in cell.ions.items():
        lines += ["", f"[ions.{_key(key)}]", *_ion_lines(key, ion, classes)]
    for key, channel in cell.channels.items():
        lines += ["", f"[channels.{_key(key)}]", *_channel_lines(key, channel, classes)]
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
            lines.append(f"{_quoted(f.name)} = {{ {', '.join(parts)} }}  # {f.unit}")
    return "\n".join(lines) + "\n"


def _ion_lines(key: str, ion: Ion, classes: Registry) -> list[str]:
    kind = type(ion)
    if (name := classes.name_of(kind)) is None:
        raise _nowhere(f"ion {key!r}", kind)
    lines = [] if kind is Ion else [f"type = {_quoted(name)}"]
    lines += [f"{k} = {getattr(ion, k)}" for k in whole_numbers(kind)]
    values = ((k, getattr(ion, k), info) for k, info in params(ion).items())
    return lines + [_entry(k, value, info.unit) for k, value, info in values if value is not None]


def _channel_lines(key: str, channel: Channel, classes: Registry) -> list[str]:
    kind, is_scheme = _class_of(key, channel, classes)
    lines = [f"type = {_quoted(kind)}"] + ["scheme = true"] * is_scheme
    for field, info in params(channel).items():
        value = getattr(channel, field)
        if value is None and info.default is not None:
            lines.append(f'{field} = "{NERNST}"')
        elif value is not None and (field not in ("v_shift", "tau_scale") or value != info.default):
            lines.append(_entry(field, value, info.unit))
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


def _entry(key: str, value: Any, unit: str) -> str:
    return f"{key} = {_number(key, value)}" + (f"  # {unit}" if unit != "1" else "")


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
