"""Segments of a NeuroML morphology as sections, and its segment groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from neurojax.model.neuroml.document import child, children, needed, place
from neurojax.morphology import Section


@dataclass
class Segment:
    """A frustum between two points `[x, y, z, diameter]`, um, on its parent."""

    start: np.ndarray
    end: np.ndarray
    parent: str | None
    at: float  # where on the parent

    @property
    def length(self) -> float:
        """um."""
        return float(np.linalg.norm(self.end[:3] - self.start[:3]))

    @property
    def area(self) -> float:
        """Of its side, um2; of one without length that of a sphere."""
        a, b = self.start[3], self.end[3]
        if self.length == 0:
            return float(np.pi * a * b)
        return float(np.pi / 2 * (a + b) * np.hypot(self.length, (a - b) / 2))


def segments_of(morphology: Element) -> dict[str, Segment]:
    """The segments by id, each after its parent, else as in the file.

    Raises ValueError for what is no tree.
    """
    elements = {needed(s, "id"): s for s in children(morphology, "segment")}
    found: dict[str, Segment] = {}
    waiting: dict[str | None, list[str]] = {}
    for identity, element in elements.items():
        parent = child(element, "parent")
        waiting.setdefault(None if parent is None else parent.get("segment"), []).append(identity)
    roots = waiting.get(None, [])
    if len(roots) != 1:
        raise ValueError(f"{place(morphology)}: {len(roots)} segments without a parent, expected 1")
    stack = list(roots)
    while stack:
        identity = stack.pop()
        found[identity] = _segment(elements[identity], found)
        stack += waiting.get(identity, [])[::-1]
    if lost := elements.keys() - found.keys():
        raise ValueError(f"{place(elements[min(lost)])}: hangs on no segment of the tree")
    at = {identity: k for k, identity in enumerate(elements)}
    if all(s.parent is None or at[s.parent] < at[k] for k, s in found.items()):
        return {k: found[k] for k in elements}
    return found


def _segment(element: Element, found: dict[str, Segment]) -> Segment:
    parent, proximal, distal = (child(element, k) for k in ("parent", "proximal", "distal"))
    if distal is None:
        raise ValueError(f"{place(element)}: <distal> is missing")
    end = _point(distal)
    if parent is None:
        if proximal is None:
            raise ValueError(f"{place(element)}: the root has no <proximal>")
        return Segment(_point(proximal), end, None, 1.0)
    on, at = needed(parent, "segment"), _number(parent.get("fractionAlong", "1"), parent)
    if not 0 <= at <= 1:
        raise ValueError(f"{place(parent)}: fractionAlong = {at:g}, expected 0 to 1")
    above = found[on]
    start = above.start + at * (above.end - above.start) if proximal is None else _point(proximal)
    return Segment(start, end, on, at)


def _point(element: Element) -> np.ndarray:
    point = np.array([_number(needed(element, k), element) for k in ("x", "y", "z", "diameter")])
    if point[3] <= 0:
        raise ValueError(f"{place(element)}: diameter = {point[3]:g}, expected above 0")
    return point


def _number(text: str, element: Element) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise ValueError(f"{place(element)}: {text!r} is no number")
    return value


def groups_of(morphology: Element, segments: dict[str, Segment]) -> dict[str, set[str]]:
    """The segments of each group. Raises ValueError for a group that is not there."""
    elements = {needed(g, "id"): g for g in children(morphology, "segmentGroup")}
    found: dict[str, set[str]] = {}

    def group(identity: str, within: tuple[str, ...] = ()) -> set[str]:
        if identity in found:
            return found[identity]
        if identity in within or identity not in elements:
            raise ValueError(f"{place(morphology)}: no segmentGroup {identity!r}, or in a circle")
        element = elements[identity]
        some = {needed(m, "segment") for m in children(element, "member")}
        for other in children(element, "include"):
            some |= group(needed(other, "segmentGroup"), (*within, identity))
        for part in children(element, "path", "subTree"):
            some |= _along(part, segments)
        if unknown := some - segments.keys():
            raise ValueError(f"{place(element)}: no segment {min(unknown)!r}")
        found[identity] = some
        return some

    for identity in elements:
        group(identity)
    return {"all": set(segments)} | found


def _along(part: Element, segments: dict[str, Segment]) -> set[str]:
    """The segments of a path, or of all that hangs on one."""
    ends = {k: child(part, k) for k in ("from", "to")}
    first, last = (None if e is None else needed(e, "segment") for e in ends.values())
    if last is not None:
        some, at = set[str](), last
        while at is not None and at in segments:
            some.add(at)
            if at == first:
                break
            at = segments[at].parent
        return some
    some = set(segments) if first is None else {first}
    for identity, segment in segments.items():  # parents come first
        if segment.parent in some:
            some.add(identity)
    return some


Divided = dict[str, tuple[str, int]]
"""Segments in a group that says of how many compartments it is: the group, and the number."""


def divisions(morphology: Element, groups: dict[str, set[str]]) -> Divided:
    """Of the groups with numberInternalDivisions. Raises ValueError for what is no number."""
    found: Divided = {}
    for group in children(morphology, "segmentGroup"):
        for one in children(group, "property"):
            if one.get("tag") == "numberInternalDivisions":
                name, said = needed(group, "id"), needed(one, "value")
                if not said.isdigit() or not 0 < int(said) < 1000:
                    raise ValueError(f"{place(one)}: {said!r}: expected a number of compartments")
                found |= dict.fromkeys(groups[name], (name, int(said)))
    return found


def sections_of(
    segments: dict[str, Segment], region: dict[str, str], divided: Divided
) -> dict[str, Section]:
    """Sections of segments that follow each other without branching, in one region.

    One of a group in `divided` is of as many compartments as its part of that group's length. A
    segment without length is a sphere if it is the root, and else none: what hangs on it hangs
    where it does.
    """
    hanging: dict[str, int] = {}
    for s in segments.values():
        if s.parent is not None:
            hanging[s.parent] = hanging.get(s.parent, 0) + 1
    runs: dict[str, list[str]] = {}
    of: dict[str, str] = {}
    for identity, s in segments.items():
        if s.parent is not None and _goes_on(s, segments[s.parent], hanging[s.parent]):
            alike = [(region[k], divided.get(k)) for k in (s.parent, identity)]
            of[identity] = of[s.parent] if alike[0] == alike[1] else identity
        else:
            of[identity] = identity
        runs.setdefault(of[identity], []).append(identity)
    whole: dict[str, float] = {}
    for identity, (group, _) in divided.items():
        whole[group] = whole.get(group, 0.0) + segments[identity].length
    made: dict[str, Section] = {}
    for name, run in runs.items():
        first = segments[run[0]]
        hung = _hung(first, segments, runs, of)
        if sum(segments[k].length for k in run) == 0:
            d = first.start[3]
            made[name] = Section(d, d, region=region[name], **hung)
            continue
        points = np.array([first.start, *(segments[k].end for k in run)])
        n = None
        if run[0] in divided:
            group, n = divided[run[0]]
            n = max(1, round(n * sum(segments[k].length for k in run) / whole[group]))
        made[name] = Section.along(points, n, region=region[name], **hung)
    return made


def _goes_on(s: Segment, above: Segment, hanging: int) -> bool:
    """Whether a segment is all that follows the one above, and begins as that ends."""
    return hanging == 1 and s.at == 1 and bool((above.end == s.start).all()) and above.length > 0


def _hung(
    first: Segment, segments: dict[str, Segment], runs: dict[str, list[str]], of: dict[str, str]
) -> dict[str, Any]:
    """Where a section hangs: on which other one, and how far along it."""
    if first.parent is None:
        return {}
    on = of[first.parent]
    lengths = [segments[k].length for k in runs[on]]
    before = sum(lengths[: runs[on].index(first.parent)])
    total = sum(lengths)
    at = (before + first.at * segments[first.parent].length) / total if total else first.at
    return {"on": on, "at": round(at, 9)}
