"""Traced points of a neuron, and the sections that they make: the conventions of NEURON's import.

Source: Import3d of NEURON 9 (`read_swc.hoc`).
Deviates: a soma goes on where its next point does not follow in the file. Where a stem branches at
its first point, and the point of the soma before it is part of the stem, the branches hang on that
first point; NEURON hangs all but one on the soma. Other files give the same sections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from neurojax.morphology.section import CENTRE, END, START, Section

SOMA = 1
REGIONS = {0: "undefined", SOMA: "soma", 2: "axon", 3: "basal", 4: "apical"}


class MorphologyError(ValueError):
    """A morphology that cannot be used: the message names file, line or point, and the expected."""


class MorphologyWarning(UserWarning):
    """A morphology that can be used, but in which something was wrong: what was done about it."""


class Morphology(Mapping[str, Section]):
    """The sections of a neuron by name, each after the one on which it hangs: for `assemble`.

    `source` is the file from which it was read, `repairs` what was wrong there, in sentences.
    """

    def __init__(
        self, sections: Mapping[str, Section], source: str = "", repairs: tuple[str, ...] = ()
    ):
        self.sections = dict(sections)
        self.source = source
        self.repairs = repairs

    def __getitem__(self, name: str) -> Section:
        return self.sections[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.sections)

    def __len__(self) -> int:
        return len(self.sections)

    def __repr__(self) -> str:
        lengths: dict[str, float] = {}
        for name, section in self.items():
            region = section.region or name
            lengths[region] = lengths.get(region, 0.0) + section.length
        parts = ", ".join(f"{region} {length:.0f} um" for region, length in lengths.items())
        return f"Morphology({self.source or 'made here'}: {len(self)} sections; {parts})"


class Points(NamedTuple):
    """Points of one tree, each after its parent; the first is the root."""

    type: Int[np.ndarray, " point"]  # 1 soma, 2 axon, 3 basal, 4 apical, others as the user likes
    xyz: Float[np.ndarray, "point 3"]  # um
    diameter: Float[np.ndarray, " point"]  # um
    parent: Int[np.ndarray, " point"]  # -1 of the root
    wired: frozenset[int] = frozenset()  # those that hang on the soma's centre, wherever they begin


def region_name(kind: int) -> str:
    """The region of points of a type."""
    return REGIONS.get(kind, f"custom{kind}")


def sections(points: Points) -> tuple[dict[str, Section], list[int]]:
    """The sections of a tree of points, in the points' order, and the points at which none begins.

    Names are "soma[0]", "basal[3]", with regions "soma", "axon", "basal", "apical", "custom5". A
    soma of one point, or of three points as NeuroMorpho has them, is a cylinder with the area of
    the sphere. A dendrite that begins at an end of the soma's points begins there; on other somata
    it hangs on the centre, and what lies between centre and dendrite is left out. A section of no
    length is none, and what hangs on it hangs where it did. Raises ValueError for a root of none.
    """
    points, old = _without_poles(points)
    children: list[list[int]] = [[] for _ in points.parent]
    for k, p in enumerate(points.parent):
        if p >= 0:
            children[p].append(k)
    runs = _runs(points, children)
    run_of = {k: run for run in runs for k in run}
    made: dict[str, Section] = {}
    count: dict[str, int] = {}
    where: dict[int, tuple[str | None, float | None]] = {}  # of a run: its name, or where it hung
    none: list[int] = []
    for run in runs:
        on, at, along = _place(points, children, run, run_of)
        above, instead = where[on] if on >= 0 else (None, None)
        at = at if instead is None else instead
        if not np.ptp(along[:, :3], axis=0).any():
            if above is None:
                raise ValueError("the root's points are all at one place, expected a length")
            where[run[0]] = above, at
            none.append(int(old[run[0]]))
            continue
        region = region_name(int(points.type[run[0]]))
        name = f"{region}[{count.setdefault(region, 0)}]"
        count[region] += 1
        where[run[0]] = name, None
        made[name] = Section.along(along, on=above, at=at, region=region)
    return made, none


def _without_poles(points: Points) -> tuple[Points, np.ndarray]:
    """A soma of three points that stand for a sphere as the one in their middle; which are kept.

    Source: neuromorpho.org/SomaFormat.html
    """
    soma = np.flatnonzero(points.type == SOMA)
    if not is_sphere(points):
        return points, np.arange(len(points.type))
    kept = np.setdiff1d(np.arange(len(points.type)), soma[1:])
    new = np.append(np.cumsum(np.isin(np.arange(len(points.type)), kept)) - 1, -1)  # of -1: -1
    centred = Points(
        points.type[kept], points.xyz[kept], points.diameter[kept], new[points.parent[kept]],
        frozenset(int(new[k]) for k in points.wired),
    )  # fmt: skip
    return centred, kept


def is_sphere(points: Points) -> bool:
    """Whether its soma is three points for a sphere: a centre and two poles, of one diameter."""
    soma = np.flatnonzero(points.type == SOMA)
    if len(soma) != 3 or soma[0] != 0 or (points.parent[soma[1:]] != 0).any():
        return False
    d = points.diameter[soma]
    apart = np.linalg.norm(points.xyz[soma[1:]] - points.xyz[0], axis=1).sum()
    free = not np.isin(points.parent, soma[1:]).any()
    return bool(free and np.ptp(d) < 1e-6 * d[0] and abs(apart / d[0] - 1) < 0.01)


def _runs(points: Points, children: list[list[int]]) -> list[list[int]]:
    """Unbranched rows of points of one type, in the order of their first points."""
    runs: list[list[int]] = []
    follows = {k: _next(points, children, k) for k in range(len(children))}
    first = [0, *(k for k, p in enumerate(points.parent) if p >= 0 and follows[int(p)] != k)]
    for k in first:
        run = [k]
        while (after := follows[run[-1]]) is not None:
            run.append(after)
        runs.append(run)
    return runs


def _next(points: Points, children: list[list[int]], k: int) -> int | None:
    """The point with which the section of a point goes on, if it does."""
    same = [j for j in children[k] if points.type[j] == points.type[k]]
    if not same:
        return None
    if points.type[k] == SOMA:
        return same[0] if k == 0 or len(same) == 1 else None
    # A section has two points: neither the root nor a point that only a wire joins is one alone.
    if k == 0 or _on_wire(points, children, k):
        return same[0]
    return k + 1 if children[k] == [k + 1] else None  # as NEURON: only to the next in the file


def _on_wire(points: Points, children: list[list[int]], k: int) -> bool:
    """Whether a point is the first of a neurite which does not begin at the soma's own point."""
    p = int(points.parent[k])
    if k in points.wired:
        return True
    if p < 0 or points.type[p] != SOMA or points.type[k] == SOMA:
        return False
    onward = sum(points.type[j] == SOMA for j in children[p])
    if p == 0:
        return onward != 1  # a sphere, or where a soma branches
    return onward > 0


def _place(
    points: Points, children: list[list[int]], run: list[int], run_of: dict[int, list[int]]
) -> tuple[int, float, np.ndarray]:
    """The first point of the section on which one hangs, where on it, and its own points."""
    k = run[0]
    own = np.column_stack([points.xyz[run], points.diameter[run]])
    p = int(points.parent[k])
    if p < 0:
        return -1, END, own if len(run) > 1 else sphere(own[0])
    on = run_of[p]
    if len(run) == 1 or not _on_wire(points, children, k):
        of_parent = np.append(points.xyz[p], points.diameter[p])
        if points.type[p] == SOMA != points.type[k]:
            of_parent[3] = own[0, 3]
        own = np.vstack([of_parent, own])
    if points.type[p] == SOMA:
        if (len(on) == 1 and p == 0) or k in points.wired:
            at = CENTRE
        else:
            at = START if p == 0 else END if p == on[-1] else CENTRE
    else:
        at = END if p == on[-1] else START
    return on[0], at, own


def sphere(point: np.ndarray) -> np.ndarray:
    """The row of a cylinder as long as wide along x, which has the area of a sphere, `[3, 4]`."""
    ends = np.tile(point, (3, 1))
    ends[:, 0] += point[3] / 2 * np.array([-1.0, 0.0, 1.0])
    return ends
