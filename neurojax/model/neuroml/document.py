"""NeuroML files as elements by their ids, with what they include from beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element

from neurojax.model.xml import LINE, read_xml
from neurojax.units import nearest

MOST_FILES = 300
"""How many files may be included."""


class NeuromlError(ValueError):
    """What is wrong in a NeuroML file, or cannot be done: file, element, and what to do."""


def tag(element: Element) -> str:
    """The name of an element, without its namespace."""
    return element.tag.rpartition("}")[2]


def children(element: Element, *names: str) -> list[Element]:
    """The elements in an element that have one of these names."""
    return [one for one in element if tag(one) in names]


def child(element: Element, name: str) -> Element | None:
    """The one element of a name in an element, if any."""
    return next(iter(children(element, name)), None)


def place(element: Element) -> str:
    """How messages call an element: its name, id and line."""
    identity = element.get("id") or element.get("name")
    named = f" {identity!r}" if identity else ""
    return f"line {element.get(LINE)}, <{tag(element)}>{named}"


def needed(element: Element, name: str) -> str:
    """An attribute that an element must have. Raises ValueError."""
    value = element.get(name)
    if value is None:
        raise ValueError(f"{place(element)}: {name} is missing")
    return value


@dataclass
class Document:
    """All that stands in a file, and in those that it includes."""

    path: Path
    root: Element
    components: dict[str, Element] = field(default_factory=dict)  # by id
    types: dict[str, Element] = field(default_factory=dict)  # ComponentTypes, by name
    missing: list[str] = field(default_factory=list)  # files that it includes and are not there

    def find(self, identity: str, what: str) -> Element:
        """A component by its id. Raises ValueError, with the nearest id and the files missing."""
        if identity in self.components:
            return self.components[identity]
        told = (
            f"; not found: {', '.join(self.missing)}"
            if self.missing
            else ": the file neither has nor includes it; a LEMS file that does may be read instead"
        )
        raise ValueError(f"no {what} {identity!r}{nearest(identity, self.components)}{told}")


def read_document(path: Path) -> Document:
    """A NeuroML 2 file and what it includes. Raises NeuromlError."""
    try:
        root = read_xml(path)
        if tag(root) not in ("neuroml", "Lems"):
            raise ValueError(f"begins with <{tag(root)}>: expected <neuroml>, of NeuroML 2")
        if tag(root) == "neuroml" and "neuroml2" not in root.tag:
            raise ValueError("is of another version: expected the namespace of NeuroML 2")
        document = Document(path, root)
        _gather(document, root, path, {path.resolve()})
        return document
    except ValueError as error:
        raise NeuromlError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None


def _gather(document: Document, root: Element, path: Path, seen: set[Path]) -> None:
    for element in root:
        name = tag(element)
        if name in ("include", "Include"):
            _include(document, element, path, seen)
        elif name == "ComponentType":
            document.types.setdefault(needed(element, "name"), element)
        elif element.get("id"):
            document.components.setdefault(element.get("id") or "", element)


def _include(document: Document, element: Element, path: Path, seen: set[Path]) -> None:
    href = element.get("href") or element.get("file") or ""
    there = (path.parent / href).resolve()
    if "://" in href or there.suffix not in (".nml", ".xml") or not there.is_file():
        document.missing.append(href)
        return
    if there in seen:
        return
    seen.add(there)
    if len(seen) > MOST_FILES:
        raise ValueError(f"includes more than {MOST_FILES} files")
    _gather(document, read_xml(there), there, seen)
