"""XML that others wrote, as a tree: without entities, of bounded size. Nothing else is opened."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

LARGEST = 64_000_000
"""Bytes that a file may have."""

MOST = 400_000
"""Elements that a file may have."""

DEEPEST = 200
"""How deep elements may stand in each other."""


def read_xml(path: Path) -> ElementTree.Element:
    """The tree of an XML file; tags as "{namespace}name", each element's line as `_line`.

    Raises ValueError for what is no XML, declares entities, or is too large or too deep.
    """
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path}: has more than {LARGEST / 1e6:g} MB")
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    depth = count = 0

    def full(name: str) -> str:
        return "{" + name if "}" in name else name

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > DEEPEST:
            raise ValueError(f"{path}, line {parser.CurrentLineNumber}: nested too deep")
        if count > MOST:
            raise ValueError(f"{path}: has more than {MOST} elements")
        found = {full(k): value for k, value in attributes.items()}
        builder.start(full(name), found | {LINE: str(parser.CurrentLineNumber)})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(full(name))

    def entity(name: str, *_: object) -> None:
        raise ValueError(f"{path}: declares an entity, {name!r}: write out what it stands for")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = entity
    parser.SkippedEntityHandler = entity
    try:
        parser.Parse(path.read_bytes(), True)
        return builder.close()
    except expat.ExpatError as error:
        raise ValueError(f"{path}: no XML: {error}") from None


LINE = "_line"
"""The attribute that has an element's line."""
