"""Compartments as segments, and sets of them as segment groups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from neurojax.membrane.cable import Cable
from neurojax.membrane.compartment import Cell
from neurojax.model.neuroml.export.text import number

UNBRANCHED = "sao864921383"
"""How NeuroML marks a group that is one unbranched section."""


class Groups:
    """Sets of compartments by the names of their groups: made when they are asked for."""

    def __init__(self, regions: Sequence[str], n: int) -> None:
        self.n = n
        self.names: dict[tuple[int, ...], str] = {tuple(range(n)): "all"}
        for region in dict.fromkeys(regions):
            members = tuple(np.flatnonzero(np.asarray(regions) == region).tolist())
            name = re.sub(r"\W", "_", region, flags=re.ASCII)
            self.names.setdefault(members, f"_{name}" if name[:1].isdigit() else name)

    def of(self, where: np.ndarray) -> str:
        """The group of the compartments where it is so."""
        members = tuple(np.flatnonzero(where).tolist())
        return self.names.setdefault(members, f"group_{len(self.names)}")

    def attribute(self, where: np.ndarray) -> dict[str, str]:
        """What says that something is there: nothing where it is everywhere."""
        return {} if where.all() else {"segmentGroup": self.of(where)}


def morphology(cell: Cell, name: str, groups: Groups) -> Element:
    """The shape of a cell: a segment for each compartment, of its length and diameter.

    Raises ValueError for a compartment that tapers.
    """
    element = Element("morphology", {"id": f"{name}_morphology"})
    if not isinstance(cell, Cable):
        side = float(np.sqrt(np.asarray(cell.area, float).reshape(()) * 1e8 / np.pi))
        segment = SubElement(element, "segment", {"id": "0", "name": "soma"})
        _point(segment, "proximal", np.zeros(3), side)
        _point(segment, "distal", np.array([side, 0.0, 0.0]), side)
        _section(element, "soma_section", [0])
    else:
        _tree(element, cell)
    for members, group in groups.names.items():
        if group != "all":
            _group(element, group, members)
    return element


def _tree(element: Element, cell: Cable) -> None:
    n = len(cell.parents)
    length, diameter, to_start, to_end = (
        np.broadcast_to(np.asarray(x, float), (n,))
        for x in (cell.length, cell.diameter, cell.to_start, cell.to_end)
    )
    if not (np.allclose(to_start, 1, rtol=1e-9) and np.allclose(to_end, 1, rtol=1e-9)):
        raise ValueError("compartments taper: only cells of cylinders are written as NeuroML")
    attached = cell.attached or (1.0,) * n
    ends = np.zeros((n, 2, 3))
    hung: dict[int, int] = {}
    for k, parent in enumerate(cell.parents):
        if parent >= 0:
            start = ends[parent, 0] + attached[k] * (ends[parent, 1] - ends[parent, 0])
            along = _direction(ends[parent], hung.get(parent, 0), attached[k])
            hung[parent] = hung.get(parent, 0) + 1
        else:
            start, along = np.zeros(3), np.array([1.0, 0.0, 0.0])
        ends[k] = start, start + length[k] * along
    goes_on = [
        parent >= 0 and hung[parent] == 1 and attached[k] == 1
        and (length[k], diameter[k]) == (length[parent], diameter[parent])
        for k, parent in enumerate(cell.parents)
    ]  # fmt: skip
    sections: list[list[int]] = []
    of: dict[int, list[int]] = {}
    for k, parent in enumerate(cell.parents):
        segment = SubElement(element, "segment", {"id": str(k), "name": f"compartment_{k}"})
        if parent >= 0:
            place = {} if attached[k] == 1 else {"fractionAlong": number(attached[k])}
            SubElement(segment, "parent", {"segment": str(parent), **place})
        if not goes_on[k]:
            _point(segment, "proximal", ends[k, 0], diameter[k])
        _point(segment, "distal", ends[k, 1], diameter[k])
        if goes_on[k]:
            of[k] = of[parent]
        else:
            of[k] = []
            sections.append(of[k])
        of[k].append(k)
    for count, members in enumerate(sections):
        _section(element, f"section_{count}", members)


def _direction(parent: np.ndarray, already: int, at: float) -> np.ndarray:
    """Where a compartment goes: on as its parent, or at an angle from it."""
    on = parent[1] - parent[0]
    on = on / np.linalg.norm(on)
    if already == 0 and at == 1:
        return on
    turn = 0.6 * (already + (at != 1)) * (-1) ** already
    c, s = np.cos(turn), np.sin(turn)
    return np.array([c * on[0] - s * on[1], s * on[0] + c * on[1], on[2]])


def _point(segment: Element, tag: str, at: np.ndarray, diameter: float) -> None:
    x, y, z = (number(float(value)) for value in at)
    SubElement(segment, tag, {"x": x, "y": y, "z": z, "diameter": number(float(diameter))})


def _section(element: Element, name: str, members: Sequence[int]) -> None:
    """An unbranched section, and of how many compartments it is."""
    group = _group(element, name, members)
    group.set("neuroLexId", UNBRANCHED)
    divisions = Element("property", {"tag": "numberInternalDivisions", "value": str(len(members))})
    group.insert(0, divisions)


def _group(element: Element, name: str, members: Sequence[int]) -> Element:
    group = SubElement(element, "segmentGroup", {"id": name})
    for member in members:
        SubElement(group, "member", {"segment": str(member)})
    return group
