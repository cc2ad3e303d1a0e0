"""A model is a TOML file: a cell, its channels, and which of its parameters a fit may move.

name = "squid"
[cell]
area = "1000 um2"              # a number in the declared unit, or text with a unit
electrode_ion = "k"            # what carries its current into the pools of [ions]
[inputs]
light = 0                      # what channels read beside ions, at rest
[ions.ca]
valence = 2
inside = "100 nM"
outside = 2
depth = 0.1                    # um; without, the concentration inside is held
tau = 200                      # `type` names a class with more pools, if any
[channels.na]
type = "SquidNa"               # a class of the catalogue; parameters by name
g_bar = 120
scheme = true                  # as the Markov scheme of its particles
[channels.ca]
type = "CortexCaL"
E_rev = "nernst"               # of [ions.ca], which it carries
[free]
"na.g_bar" = { low = 20, high = 500, scale = "log" }
"na.E_rev" = true              # the bounds of its declaration
"k.E_rev" = { also = ["m.E_rev"] }   # one value for both
"na.v_shift" = { prior = { mean = 0, sd = "5 mV" } }   # what is known beforehand
"ions.ca.tau" = true
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.cell import CELSIUS, Cell, check_ions, check_value, parameters, replace, substitute
from neurojax.channel import Channel, ParamInfo, params
from neurojax.channels import catalogue, ions_catalogue
from neurojax.electrode import Electrode
from neurojax.fit.parameters import Space, free
from neurojax.ion import Ion
from neurojax.pipette import Pipette
from neurojax.scheme import Scheme, as_scheme
from neurojax.units import nearest, parse

_TABLES = ("name", "description", "cell", "inputs", "ions", "channels", "free")
_SPEC = ("low", "high", "scale", "also", "prior")
_NERNST = "nernst"


class ModelError(ValueError):
    """A model file that cannot be used: the message names file, table, key and what is allowed."""


@dataclass(frozen=True)
class Model:
    """A cell with its name and, unless nothing is free, the space in which a fit moves it."""

    name: str
    description: str
    cell: Cell
    space: Space | None
    source: str  # the text of the file

    def at(self, values: Mapping[str, Any]) -> Cell:
        """The cell at other parameter values by path name; tied parameters follow their leader."""
        led = {f.name: f.also for f in self.space.free} if self.space else {}
        tied = {other: values[k] for k in values for other in led.get(k, ())}
        return replace(self.cell, tied | dict(values))


def packaged() -> list[str]:
    """Names of the models that come with neurojax."""
    folder = resources.files("neurojax") / "models"
    return sorted(
        f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")
    )


def load_model(path_or_name: str | Path) -> Model:
    """Read a model file, or a packaged model by its bare name ("squid").

    Raises ModelError for a missing file, bad TOML, an unknown table, key, channel class or
    parameter (naming the nearest valid one), a missing type, a wrong unit or a value out of bounds.
    """
    name = str(path_or_name)
    path = Path(name).expanduser()
    if name in packaged():
        label = f"{name} (packaged model)"
        text = (resources.files("neurojax") / "models" / f"{name}.toml").read_text("utf-8")
        return parse_model(text, label)
    if not path.is_file():
        known = packaged()
        if path.suffix or len(path.parts) > 1:
            raise ModelError(f"{name}: no such model file{nearest(path.stem, known)}")
        raise ModelError(
            f"no model {name!r}{nearest(name, known)} "
            f"(packaged: {', '.join(known)}; or give the path of a .toml file)"
        )
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{name}: cannot be read: {error}") from error
    return parse_model(text, name, default_name=path.stem)


def parse_model(text: str, where: str = "model", default_name: str = "model") -> Model:
    """A model from the text of its file; `where` begins every message. Raises ModelError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ModelError(f"{where}: not valid TOML: {error}") from None
    try:
        _only(document, _TABLES, "", "table or key")
        name = _text(document, "name", default_name)
        description = _text(document, "description", "")
        cell, written = _cell(document)
        specs = _free_specs(_table(document, "free"), cell)
        if not specs:
            return Model(name, description, cell, None, text)
        cell = _tie(cell, specs, written)
        space = free(cell, specs)
        _check_start(cell, space)
    except ValueError as error:
        raise ModelError(f"{where}: {error}") from None
    return Model(name, description, cell, space, text)


# -- reading ---------------------------------------------------------------------------------------
def _only(table: Mapping[str, Any], known: Iterable[str], place: str, what: str) -> None:
    known = list(known)
    for key in table:
        if key not in known:
            raise ValueError(
                f"{place}unknown {what} {key!r}{nearest(key, known)} (have: {', '.join(known)})"
            )


def _table(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise ValueError(f"[{key}]: expected a table, got {table!r}")
    return table


def _text(document: Mapping[str, Any], key: str, default: str) -> str:
    text = document.get(key, default)
    if not isinstance(text, str):
        raise ValueError(f"{key}: expected text, got {text!r}")
    return text


def _value(table: Mapping[str, Any], key: str, info: ParamInfo, place: str) -> float:
    value = parse(table[key], info.unit, f"{place} {key}")
    if not info.low <= value <= info.high:
        raise ValueError(
            f"{place} {key} = {table[key]!r} is outside [{info.low:g}, {info.high:g}] {info.unit}"
        )
    return value


def _cell(document: Mapping[str, Any]) -> tuple[Cell, set[str]]:
    """The cell, and the path names of the parameters that the file sets."""
    table, known = _table(document, "cell"), params(Cell)
    _only(table, [*known, "celsius", "electrode_ion"], "[cell]: ", "key")
    own: dict[str, Any] = {k: _value(table, k, known[k], "[cell]") for k in known if k in table}
    if "celsius" in table:
        own["celsius"] = _value(table, "celsius", CELSIUS, "[cell]")
    written = set(own)
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
    cell = Cell(
        channels={key: _channel(entry, f"[channels.{key}]") for key, entry in channels.items()},
        ions={key: _ion(entry, f"[ions.{key}]") for key, entry in ions.items()},
        inputs=_inputs(_table(document, "inputs"), ions),
        **own,
    )
    check_ions(cell, Electrode(0.0, 0.0, 0.0))
    return cell, written


def _entries(document: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The tables in a table, by names that can be part of a path name."""
    entries = _table(document, kind)
    for key, entry in entries.items():
        place = f"[{kind}.{key}]"
        if "." in key or key in _TABLES:
            raise ValueError(f"{place}: a name has no dot and is not one of {', '.join(_TABLES)}")
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


def _ion(entry: Mapping[str, Any], place: str) -> Ion:
    classes = _ion_classes()
    kind = entry.get("type", "Ion")
    if not isinstance(kind, str) or kind not in classes:
        raise ValueError(
            f"{place}: no ion class {kind!r}{nearest(str(kind), classes)} "
            f"(have: {', '.join(classes)})"
        )
    cls = classes[kind]
    known, whole = params(cls), _whole_numbers(cls)
    _only(entry, ["type", *whole, *known], f"{place}: ", "key")
    for key in ("valence", "inside", "outside") if cls is Ion else ():
        if key not in entry:
            raise ValueError(f"{place}: {key} is missing (valence, inside and outside are needed)")
    for key in whole:
        value = entry.get(key, 1)
        if type(value) is not int or value == 0 or (key == "pump_hill" and value < 0):
            raise ValueError(f"{place} {key} = {value!r}: expected a whole number, not 0")
    given: dict[str, Any] = {k: entry[k] for k in whole if k in entry}
    given |= {k: _value(entry, k, known[k], place) for k in known if k in entry}
    return cls(**given)


def _ion_classes() -> dict[str, type[Ion]]:
    return {"Ion": Ion} | ions_catalogue()


def _whole_numbers(cls: type[Ion]) -> list[str]:
    """The fields of an ion that are no parameters."""
    return [f.name for f in dataclasses.fields(cls) if f.name not in params(cls)]


def _channel_classes() -> dict[str, Any]:
    return catalogue() | {"Pipette": Pipette}


def _channel(entry: Mapping[str, Any], place: str) -> Channel:
    classes = _channel_classes()
    if "type" not in entry:
        raise ValueError(f"{place}: type is missing (a channel class: {', '.join(classes)})")
    kind = entry["type"]
    if not isinstance(kind, str) or kind not in classes:
        raise ValueError(
            f"{place}: no channel class {kind!r}{nearest(str(kind), classes)} "
            f"(have: {', '.join(classes)})"
        )
    known = params(classes[kind])
    values = {k: v for k, v in entry.items() if k not in ("type", "scheme")}
    _only(values, known, f"{place}: ", f"parameter of {kind}:")
    given: dict[str, Any] = {}
    for k, value in values.items():
        if k == "E_rev" and value == _NERNST:
            ions = classes[kind].carries
            if len(ions) != 1:
                raise ValueError(
                    f"{place} E_rev = {value!r}: {kind} carries {len(ions)} ions, not 1"
                )
            given[k] = None
        else:
            given[k] = _value(values, k, known[k], place)
    scheme = entry.get("scheme", False)
    if not isinstance(scheme, bool):
        raise ValueError(f"{place} scheme = {scheme!r}: expected true or false")
    channel = classes[kind](**given)
    if not scheme:
        return channel
    try:
        return as_scheme(channel)
    except ValueError as error:
        raise ValueError(f"{place} scheme = true: {error}") from None


def _free_specs(table: Mapping[str, Any], cell: Cell) -> dict[str, dict[str, Any]]:
    """What [free] asks for, by path name."""
    known = parameters(cell)
    flat = _flat(table, known)
    specs = {}
    for name, spec in flat.items():
        if name not in known:
            raise ValueError(
                f"[free]: no parameter {name!r}{nearest(name, known)} (have: {', '.join(known)})"
            )
        if spec is False:
            continue
        specs[name] = _spec(name, {} if spec is True else spec, known)
    return specs


def _flat(table: Mapping[str, Any], known: Iterable[str], prefix: str = "") -> dict[str, Any]:
    """A table by path names: unquoted, `na.g_bar` is TOML for a table in a table."""
    flat: dict[str, Any] = {}
    for key, entry in table.items():
        path = prefix + key
        if isinstance(entry, dict) and any(name.startswith(f"{path}.") for name in known):
            flat |= _flat(entry, known, f"{path}.")
        else:
            flat[path] = entry
    return flat


def _spec(name: str, spec: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    place = f"[free] {name}"
    if not isinstance(spec, dict):
        raise ValueError(f"{place}: expected true or {{ {', '.join(_SPEC)} }}, got {spec!r}")
    _only(spec, _SPEC, f"{place}: ", "key")
    info, checked = known[name][1], dict(spec)
    for edge in ("low", "high"):
        if edge in spec:
            checked[edge] = _value(spec, edge, info, place)
    if spec.get("scale", "log") not in ("linear", "log"):
        raise ValueError(f"{place}: scale is {spec['scale']!r}, not 'linear' or 'log'")
    if "prior" in spec:
        checked["prior"] = _prior(spec["prior"], info, place)
    also = spec.get("also", [])
    if not isinstance(also, list) or not all(isinstance(a, str) for a in also):
        raise ValueError(f"{place}: also is {also!r}; expected a list of parameter names")
    for other in also:
        if other not in known:
            raise ValueError(f"{place}: also names no parameter {other!r}{nearest(other, known)}")
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


def _tie(cell: Cell, specs: Mapping[str, dict[str, Any]], written: set[str]) -> Cell:
    """Give tied parameters the value of the one that leads them; refuse contradictions."""
    known, led = parameters(cell), dict[str, str]()
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


def _check_start(cell: Cell, space: Space) -> None:
    known = parameters(cell)
    for f in space.free:
        value, slack = known[f.name][0], 1e-6 * (f.high - f.low)
        if not f.low - slack <= value <= f.high + slack:
            raise ValueError(
                f"[free] {f.name}: the model's value {value:g} {f.unit} is outside "
                f"[{f.low:g}, {f.high:g}] {f.unit}"
            )


# -- writing ---------------------------------------------------------------------------------------
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
    if kind not in _ion_classes().values():
        raise ValueError(f"ion {key!r}: a model file holds an Ion, not a {kind.__name__}")
    lines = [] if kind is Ion else [f'type = "{kind.__name__}"']
    lines += [f"{k} = {getattr(ion, k)}" for k in _whole_numbers(kind)]
    values = ((k, getattr(ion, k), info) for k, info in params(ion).items())
    return lines + [_entry(k, value, info.unit) for k, value, info in values if value is not None]


def _channel_lines(key: str, channel: Channel) -> list[str]:
    kind, is_scheme = _class_of(key, channel)
    lines = [f'type = "{kind}"'] + ["scheme = true"] * is_scheme
    for field, info in params(channel).items():
        value = getattr(channel, field)
        if value is None and info.default is not None:
            lines.append(f'{field} = "{_NERNST}"')
        elif value is not None and (field not in ("v_shift", "tau_scale") or value != info.default):
            lines.append(_entry(field, value, info.unit))
    return lines


def _class_of(key: str, channel: Channel) -> tuple[str, bool]:
    """Its class in the catalogue, and whether it is the scheme of that class's particles."""
    classes = _channel_classes()
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
