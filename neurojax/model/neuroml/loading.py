"""From a file to a channel class or a cell: what `load_neuroml` does."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from neurojax.membrane.channel import Channel
from neurojax.model.formulas.channel_class import channel_class
from neurojax.model.formulas.graph import FormulaError
from neurojax.model.neuroml.channels import KINDS, channel_mechanism
from neurojax.model.neuroml.document import Document, NeuromlError, place, read_document, tag

SUFFIXES = (".nml", ".neuroml")
"""Of the files that are read here."""


def channels_in(path: str | Path) -> dict[str, type[Channel]]:
    """The channels of a NeuroML 2 file, and of those that it includes, as classes by their ids.

    `g_bar` of each is 1 mS/cm2 and `E_rev` that usual for its ion, as the file of a channel says
    neither: a cell's does. Raises NeuromlError.
    """
    document = document_of(path)
    found = {k: e for k, e in document.components.items() if tag(e) in KINDS}
    return {k: channel_of(document, e) for k, e in found.items()}


def load_channel(name: str | Path) -> type[Channel]:
    """One channel: "k.channel.nml" with one in it, or "cell.nml:k" by its id. As `channels_in`."""
    path, identity = str(name), ""
    if not path.lower().endswith(SUFFIXES):
        path, _, identity = path.rpartition(":")
    document = document_of(path)
    found = {k: e for k, e in document.components.items() if tag(e) in KINDS}
    if not identity and len(found) != 1:
        have = ", ".join(found) or "none"
        raise NeuromlError(f"{path}: {len(found)} channels, name one as {path}:id (have: {have})")
    try:
        return channel_of(document, document.find(identity or next(iter(found)), "channel"))
    except ValueError as error:
        raise NeuromlError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None


def _of_ion(path: str, identity: str, ion: str) -> type[Channel]:
    """A channel of a file as a cell has it, which says what it carries."""
    document = document_of(path)
    return channel_of(document, document.find(identity, "channel"), ion)


def document_of(path: str | Path) -> Document:
    """The document in a file, read once as long as the file is the same."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise NeuromlError(f"{path}: no such file")
    return _document(str(path.resolve()), hashlib.sha256(path.read_bytes()).hexdigest())


@cache
def _document(path: str, key: str) -> Document:
    del key
    return read_document(Path(path))


_made: dict[tuple[int, int, str], Any] = {}


def channel_of(document: Document, element: Element, ion: str = "") -> type[Channel]:
    """The class of a channel's element, made once: for one made anew JAX compiles anew.

    It carries the ion that its `species` is, or the one given.
    """
    key = id(document), id(element), ion
    if key not in _made:
        try:
            m = channel_mechanism(document, element, ion)
            name = re.sub(r"\W", "_", m.name)
            title = f"{m.title.rstrip('.')}: " if m.title else ""
            doc = f"{title}{m.name} of the NeuroML file {document.path.name}."
            made: Any = channel_class(m, name, doc)
        except FormulaError as error:
            raise NeuromlError(f"{document.path}: {place(element)}: {error}") from None
        except ValueError as error:
            raise NeuromlError(f"{document.path}: {error}") from None
        except RecursionError:
            raise NeuromlError(f"{document.path}: formulas are nested too deep") from None
        made.model_type = f"{document.path}:{m.name}"
        made.loaded = _of_ion, str(document.path), m.name, ion
        _made[key] = made
    return _made[key]
