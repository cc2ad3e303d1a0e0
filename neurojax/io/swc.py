"""Morphologies in SWC, a line for each traced point: what is wrong is repaired or refused.

A repair changes no number that is in the file without a word: each is told with its lines. MorphIO
is not asked: it keeps neither where on the soma a neurite begins nor double precision, takes
negative radii, and drops what hangs in a circle.

Source: Cannon et al. 1998, J Neurosci Methods 84:49, doi:10.1016/S0165-0270(98)00091-0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from neurojax.morphology import MorphologyError, Points
from neurojax.morphology.outline import filled, is_outline
from neurojax.morphology.points import SOMA, is_sphere, sections
from neurojax.morphology.section import Section

COLUMNS = "number, type, x, y, z, radius, parent"
THINNEST, WIDEST = 1e-3, 5e4
"""A radius below, um, is none: a membrane is five times as thick. No neuron has one above."""


@dataclass
class Row:
    """A line of the file."""

    line: int
    number: int
    type: int
    xyz: tuple[float, float, float]
    radius: float
    parent: int  # a number; -1 of a root


Rows = dict[int, Row]
"""The lines of a file by their numbers."""


class Repairs(list[str]):
    """What was repaired, in sentences that name file and lines."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path

    def tell(self, rows: Sequence[Row | int], what: str) -> None:
        """Note a repair of lines, if there are any."""
        if rows:
            self.append(f"{_at(self.path, rows)}: {what}")


def _at(path: Path, rows: Sequence[Row | int]) -> str:
    """The file and its lines: "cell.swc, lines 3, 4, 5 and 9 more"."""
    lines = [row if isinstance(row, int) else row.line for row in rows]
    shown = ", ".join(map(str, lines[:5])) + (f" and {len(lines) - 5} more" if lines[5:] else "")
    return f"{path}, line{'s' if len(lines) > 1 else ''} {shown}"


def read_swc(path: Path) -> tuple[dict[str, Section], list[str]]:
    """The sections of a file, see `points.sections`, and what was repaired in it.

    Raises MorphologyError, which names file and lines, for what cannot be repaired.
    """
    repairs = Repairs(path)
    rows = _parsed(path, repairs)
    _check_parents(path, rows, repairs)
    hung = _one_root(path, rows, repairs)
    rows = _from_the_soma(path, rows, repairs)
    rows = _in_order(path, rows, repairs)
    _fill_radii(path, rows, repairs)
    rows = _without_doubles(rows, hung, repairs)
    _type_roots(rows, hung, repairs)
    return _sections(list(rows.values()), _points(rows, hung), repairs), repairs


def _sections(rows: list[Row], points: Points, repairs: Repairs) -> dict[str, Section]:
    try:
        if is_outline(points):
            soma = [r for r in rows if r.type == SOMA]
            repairs.tell(
                soma,
                "the soma's points go round it: taken as its outline; what hangs on them hangs on "
                "its centre",
            )
            points, rows = filled(points), [*soma[:1] * 21, *(r for r in rows if r.type != SOMA)]
        else:
            _look_at_soma(rows, points, repairs)
        made, none = sections(points)
    except ValueError as error:
        raise MorphologyError(f"{repairs.path}: {error}") from None
    repairs.tell([rows[k] for k in none], "a section of length 0 begins here: left out")
    return made


# -- lines -----------------------------------------------------------------------------------------
def _parsed(path: Path, repairs: Repairs) -> Rows:
    raw = path.read_bytes()
    if b"\0" in raw:
        raise MorphologyError(f"{path}: is not text; expected SWC: {COLUMNS}")
    rows: Rows = {}
    longer: list[int] = []
    again: list[Row] = []
    for line, text in enumerate(raw.decode("utf-8-sig", errors="replace").splitlines(), 1):
        # DOS programs end a file by the character 26.
        words = text.partition("#")[0].replace("\x1a", " ").split()
        if not words:
            continue
        if len(words) < 7:
            raise MorphologyError(
                f"{path}, line {line}: {len(words)} columns, expected 7: {COLUMNS}"
            )
        if len(words) > 7:
            longer.append(line)
        row = _row(path, line, words)
        if row.number in rows:
            if replace(row, line=0) != replace(rows[row.number], line=0):
                both = _at(path, [rows[row.number], row])
                raise MorphologyError(f"{both}: both are point {row.number}, expected one")
            again.append(row)
        rows.setdefault(row.number, row)
    if not rows:
        raise MorphologyError(f"{path}: no points; expected lines of {COLUMNS}")
    repairs.tell(longer, "more than 7 columns: the others are not read")
    repairs.tell(again, "said before, in the same words: left out")
    return rows


def _row(path: Path, line: int, words: Sequence[str]) -> Row:
    def number(
        k: int, what: str, whole: bool = False, low: float = -math.inf, high: float = math.inf
    ) -> float:
        try:
            value = float(words[k])
        except ValueError:
            value = math.nan
        fits = low <= value <= high and (value.is_integer() or not whole)
        if not (math.isfinite(value) and fits):
            kind = "a whole number" if whole else "a number"
            least = f" of at least {low:g}" if low > -math.inf else ""
            most = f" and at most {high:g} um" if high < math.inf else ""
            raise MorphologyError(
                f"{path}, line {line}: {what} is {words[k]!r}, expected {kind}{least}{most}"
            )
        return value

    return Row(
        line,
        int(number(0, "the point's number", whole=True, low=0)),
        int(number(1, "the type", whole=True, low=0)),
        (number(2, "x"), number(3, "y"), number(4, "z")),
        number(5, "the radius", low=0, high=WIDEST),
        int(number(6, "the parent", whole=True, low=-1)),
    )


# -- a tree ----------------------------------------------------------------------------------------
def _check_parents(path: Path, rows: Rows, repairs: Repairs) -> None:
    """Every parent is there, and nothing hangs on itself."""
    first = next(iter(rows.values()))
    if first.parent == 0 and 0 not in rows and all(r.parent >= 0 for r in rows.values()):
        repairs.tell([first], "hangs on point 0, which there is not: taken as the root")
        first.parent = -1
    for row in rows.values():
        if row.parent >= 0 and row.parent not in rows:
            raise MorphologyError(
                f"{path}, line {row.line}: hangs on point {row.parent}, which there is not"
            )
    known: set[int] = set()
    for k in rows:
        way: dict[int, None] = {}
        while k not in known and k not in way:
            way[k] = None
            if rows[k].parent < 0:
                break
            k = rows[k].parent
        else:
            if k in way:
                round_ = list(way)[list(way).index(k) :]
                lines = _at(path, [rows[j] for j in round_])
                raise MorphologyError(f"{lines}: hang in a circle, expected a tree")
        known.update(way)


def _one_root(path: Path, rows: Rows, repairs: Repairs) -> frozenset[int]:
    """Hangs neurites without a parent on the soma, and tells which they are."""
    roots = [r for r in rows.values() if r.parent < 0]
    if len(roots) == 1:
        return frozenset()
    children = _children(rows)
    strays = [r for r in roots if not children[r.number] and r.type != SOMA]
    if len(strays) < len(roots):
        repairs.tell(strays, "hangs on nothing, and nothing on it: left out")
        for r in strays:
            del rows[r.number]
        roots = [r for r in roots if r.number in rows]
    if len(roots) == 1:
        return frozenset()
    with_soma = [r for r in roots if any(rows[k].type == SOMA for k in _below(children, r.number))]
    if len(with_soma) != 1 or with_soma[0].type != SOMA:
        raise MorphologyError(
            f"{_at(path, roots)}: {len(roots)} roots, of which {len(with_soma)} have a soma; "
            "expected one tree, or one whose root is the soma and neurites without a parent"
        )
    soma = with_soma[0]
    others = [r for r in roots if r is not soma]
    far = max(math.dist(r.xyz, soma.xyz) for r in others)
    repairs.tell(
        others,
        f"without a parent, up to {far:.3g} um from the soma's first point: hung on the soma's "
        "centre",
    )
    for r in others:
        r.parent = soma.number
    return frozenset(r.number for r in others)


def _from_the_soma(path: Path, rows: Rows, repairs: Repairs) -> Rows:
    """The tree with its root in the soma: turned round, if it was traced from elsewhere."""
    inner = [r for r in rows.values() if r.type == SOMA and r.parent >= 0]
    outermost = [r for r in inner if rows[r.parent].type != SOMA]
    root = next(r for r in rows.values() if r.parent < 0)
    if not outermost:
        return rows
    if len(outermost) > 1 or root.type == SOMA:
        raise MorphologyError(
            f"{_at(path, outermost)}: a point of the soma hangs on another neurite; expected the "
            "soma's points to follow each other"
        )
    repairs.tell([root], "the root is not in the soma: the tree is turned round")
    way, k = [], outermost[0].number
    while k >= 0:
        way.append(rows[k])
        k = rows[k].parent
    for above, row in itertools.pairwise(way):
        row.parent = above.number
    way[0].parent = -1
    return rows


def _children(rows: Rows) -> dict[int, list[int]]:
    children: dict[int, list[int]] = {k: [] for k in rows}
    for row in rows.values():
        if row.parent >= 0:
            children[row.parent].append(row.number)
    return children


def _below(children: dict[int, list[int]], root: int) -> list[int]:
    """A point and all that hang on it, each after its parent, a branch together."""
    found: list[int] = []
    ahead = [root]
    while ahead:
        k = ahead.pop()
        found.append(k)
        ahead += reversed(children[k])
    return found


def _in_order(path: Path, rows: Rows, repairs: Repairs) -> Rows:
    """Each point after its parent."""
    place = {k: n for n, k in enumerate(rows)}
    late = [r for r in rows.values() if r.parent >= 0 and place[r.parent] > place[r.number]]
    if not late:
        return rows
    repairs.tell(late, "before the parent: put in order")
    root = next(k for k, r in rows.items() if r.parent < 0)
    return {k: rows[k] for k in _below(_children(rows), root)}


# -- points ----------------------------------------------------------------------------------------
def _fill_radii(path: Path, rows: Rows, repairs: Repairs) -> None:
    """Radii of 0, or nearly, from the nearest points of the same type, above and below."""
    zero = [r for r in rows.values() if r.radius < THINNEST]
    if not zero:
        return
    children, filled = _children(rows), {}

    def nearest(start: Row, onward: Callable[[Row], list[int]]) -> list[float]:
        ahead = onward(start)
        while ahead:
            near = [rows[k] for k in ahead if k >= 0 and rows[k].type == start.type]
            if found := [r.radius for r in near if r.radius >= THINNEST]:
                return [sum(found) / len(found)]
            ahead = [k for r in near for k in onward(r)]
        return []

    for row in zero:
        known = nearest(row, lambda r: [r.parent]) + nearest(row, lambda r: children[r.number])
        if not known:
            raise MorphologyError(
                f"{path}, line {row.line}: the radius is {row.radius:g} um, and no point of its "
                f"type is near; expected at least {THINNEST:g} um"
            )
        filled[row.number] = sum(known) / len(known)
    for k, radius in filled.items():
        rows[k].radius = radius
    repairs.tell(zero, "the radius is 0, or nearly: that of the nearest of its type is taken")


def _without_doubles(rows: Rows, hung: frozenset[int], repairs: Repairs) -> Rows:
    """Points that are as their parents, or as others on the same parent, left out."""
    on_parent: list[Row] = []
    twins: list[Row] = []
    same: dict[int, int] = {}
    seen: dict[tuple[object, ...], int] = {}
    kept: Rows = {}
    for row in rows.values():
        row.parent = same.get(row.parent, row.parent)
        what = row.type, row.xyz, row.radius
        above = kept.get(row.parent)
        if above and what == (above.type, above.xyz, above.radius):
            same[row.number] = row.parent
            on_parent.append(row)
        elif (row.parent, *what) in seen and row.number not in hung:
            same[row.number] = seen[row.parent, *what]
            twins.append(row)
        else:
            seen[row.parent, *what] = row.number
            kept[row.number] = row
    repairs.tell(on_parent, "as its parent, at the same place: left out")
    repairs.tell(twins, "as another point on the same parent: taken as one")
    return kept


def _type_roots(rows: Rows, hung: frozenset[int], repairs: Repairs) -> None:
    """A root that is alone of its type is of the type of the first point on it."""
    children = _children(rows)
    for root in (r for r in rows.values() if r.parent < 0 or r.number in hung):
        on_root = [rows[k].type for k in children[root.number]]
        if root.type != SOMA and on_root and root.type not in on_root:
            repairs.tell([root], f"the root alone is of type {root.type}: taken as {on_root[0]}")
            root.type = on_root[0]


def _points(rows: Rows, hung: frozenset[int]) -> Points:
    place = {k: n for n, k in enumerate(rows)} | {-1: -1}
    return Points(
        np.array([r.type for r in rows.values()]),
        np.array([r.xyz for r in rows.values()], float),
        2 * np.array([r.radius for r in rows.values()], float),
        np.array([place[r.parent] for r in rows.values()]),
        frozenset(place[k] for k in hung if k in place),
    )


def _look_at_soma(rows: list[Row], points: Points, repairs: Repairs) -> None:
    """Tells of somata that are no plain row of points."""
    soma = np.flatnonzero(points.type == SOMA)
    if not soma.size:
        repairs.append(f"{repairs.path}: no soma (type {SOMA}): the first point is the root")
        return
    if is_sphere(points):
        return
    parents = points.parent[soma]
    forks = [int(k) for k in soma if (parents == k).sum() > 1]
    if len(soma) == 3 and forks == [0]:
        repairs.tell(
            [rows[k] for k in soma],
            "a soma of three points, but not a centre and two poles of equal radii: two cylinders",
        )
    else:
        repairs.tell([rows[k] for k in forks], "the soma branches: each branch is a section")
