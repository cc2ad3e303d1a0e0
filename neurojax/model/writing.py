"""A cell as the text of a model file."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurojax.fit.space import Space
from neurojax.membrane.channel import Channel, params
from neurojax.membrane.compartment import Cell, check_value, parameters
from neurojax.membrane.ions import Ion
from neurojax.membrane.markov import Scheme, as_scheme
from neurojax.model.tables import NERNST, channel_classes, ion_classes, whole_numbers


def to_toml(
    cell: Cell, space: Space | None = None, *, name: str = "model", description: str = ""
) -> str:
    """A cell as the text of a model file, with its free parameters and their bounds.

    Raises ValueError for a population, a channel outside the catalogue or a number not finite.
    """
    known = parameters(cell)
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
        lines += ["", f"[ions.{_key(key)}]", *_ion_lines(key, ion)]
    for key, channel in cell.channels.items():
        lines += ["", f"[channels.{_key(key)}]", *_channel_lines(key, channel)]
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


def _ion_lines(key: str, ion: Ion) -> list[str]:
    kind = type(ion)
    if kind not in ion_classes().values():
        raise ValueError(f"ion {key!r}: a model file holds an Ion, not a {kind.__name__}")
    lines = [] if kind is Ion else [f'type = "{kind.__name__}"']
    lines += [f"{k} = {getattr(ion, k)}" for k in whole_numbers(kind)]
    values = ((k, getattr(ion, k), info) for k, info in params(ion).items())
    return lines + [_entry(k, value, info.unit) for k, value, info in values if value is not None]


def _channel_lines(key: str, channel: Channel) -> list[str]:
    kind, is_scheme = _class_of(key, channel)
    lines = [f'type = "{kind}"'] + ["scheme = true"] * is_scheme
    for field, info in params(channel).items():
        value = getattr(channel, field)
        if value is None and info.default is not None:
            lines.append(f'{field} = "{NERNST}"')
        elif value is not None and (field not in ("v_shift", "tau_scale") or value != info.default):
            lines.append(_entry(field, value, info.unit))
    return lines


def _class_of(key: str, channel: Channel) -> tuple[str, bool]:
    """Its class in the catalogue, and whether it is the scheme of that class's particles."""
    classes = channel_classes()
    for name, kind in classes.items():
        if type(channel) is kind:
            return name, False
        of_kind = isinstance(channel, Scheme) and isinstance(channel, kind)
        if of_kind and type(as_scheme(kind())) is type(channel):
            return name, True
    raise ValueError(
        f"channel {key!r}: {type(channel).__name__} is not in the catalogue of neurojax"
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
