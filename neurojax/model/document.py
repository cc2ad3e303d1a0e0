"""Model files: a packaged one by its name, or one's own."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from neurojax.io.results import load_text
from neurojax.membrane.channel import Channel
from neurojax.membrane.compartment import Cell
from neurojax.membrane.path_names import replace, substitute
from neurojax.model.cell_tables import read_cell
from neurojax.model.free_table import check_start, explained, free_specs, tie
from neurojax.model.registry import registry
from neurojax.model.space import Space, free
from neurojax.model.tables import TABLES, only, table_of, text_of
from neurojax.model.through_myokit import SUFFIXES, MyokitError, as_toml
from neurojax.recording.trace import RecordingError
from neurojax.units import nearest

RESULTS = (".h5", ".hdf5")
"""Suffixes of results files, in which the fitted model is text."""


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
        values = tied | dict(values)
        own = self.space.within(values) if self.space else {}
        cell = replace(self.cell, {k: x for k, x in values.items() if k not in own})
        return substitute(cell, own)


def packaged() -> list[str]:
    """Names of the models that come with neurojax."""
    folder = resources.files("neurojax.model") / "packaged"
    return sorted(
        f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")
    )


def load_model(path_or_name: str | Path, channels: Iterable[type[Channel]] = ()) -> Model:
    """Read a model file, a packaged model by its bare name ("squid"), or a saved fit ("fit.h5").

    A .mmt or CellML file is the cell that `load_myokit` makes of it.

    `channels` are classes of your own that the file may name as those of the catalogue. It may name
    others by where they are, "channels.py:MyK" with a path from the file's folder, or
    "package.module:MyK": that Python file is then run.

    Raises ModelError for a missing file, bad TOML, an unknown table, key, channel class or
    parameter (naming the nearest valid one), a missing type, a wrong unit or a value out of bounds.
    """
    name = str(path_or_name)
    path = Path(name).expanduser()
    if path.suffix in RESULTS:
        return _saved(path, channels)
    if name in packaged():
        label = f"{name} (packaged model)"
        text = (resources.files("neurojax.model") / "packaged" / f"{name}.toml").read_text("utf-8")
        return parse_model(text, label, channels=channels)
    if path.suffix.lower() in SUFFIXES and path.is_file():
        try:
            text = as_toml(path)
        except MyokitError as error:
            raise ModelError(str(error)) from None
        return parse_model(text, name, path.stem, channels, path.parent)
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
    return parse_model(text, name, path.stem, channels, path.parent)


def _saved(path: Path, channels: Iterable[type[Channel]]) -> Model:
    """The model inside a results file."""
    try:
        text = load_text(path)
    except RecordingError as error:
        raise ModelError(str(error)) from None
    if not text:
        raise ModelError(f"{path}: these results hold no model; expected those of a fit")
    return parse_model(text, f"{path}, model", path.stem, channels, path.parent)


def parse_model(
    text: str,
    where: str = "model",
    default_name: str = "model",
    channels: Iterable[type[Channel]] = (),
    folder: Path = Path(),
) -> Model:
    """A model from the text of its file; `where` begins every message. Raises ModelError.

    `channels` are those of `load_model`; paths of Python files begin in the folder.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError, OverflowError) as error:
        # More than bad TOML: numbers of thousands of digits, brackets nested without end.
        raise ModelError(f"{where}: not valid TOML: {error}") from None
    try:
        only(document, TABLES, "", "table or key")
        name = text_of(document, "name", default_name)
        description = text_of(document, "description", "")
        table = table_of(document, "free")
        cell, written = read_cell(document, registry(channels, folder), explained(table))
        specs = free_specs(table, cell)
        if not specs:
            return Model(name, description, cell, None, text)
        cell = tie(cell, specs, written)
        space = free(cell, specs)
        check_start(cell, space)
    except (ValueError, OverflowError) as error:
        raise ModelError(f"{where}: {error}") from None
    return Model(name, description, cell, space, text)
