"""LINEAR blocks: states that follow from equations, solved as formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from neurojax.model.formulas.graph import Graph, Node, symbols
from neurojax.model.formulas.rewriting import Safer
from neurojax.model.nmodl.syntax import NmodlError

MOST = 30
"""Equations that a block may have."""


def solved(
    graph: Graph,
    equations: Sequence[Node],
    states: Sequence[str],
    defaults: Mapping[str, float],
    line: int,
) -> dict[str, Node]:
    """The states that make all `equations` 0, by Gauss: pivots are largest at default values.

    Raises NmodlError for equations that are not linear, not as many as states, or that leave some
    undetermined.
    """
    names = [k for k in states if k in symbols(equations)]
    if not names or len(names) != len(equations) or len(names) > MOST:
        said = f"{len(equations)} equations for {len(names)} states"
        raise NmodlError(f"LINEAR: {said}: expected as many, up to {MOST}", line)
    make, safer = graph.make, Safer(graph, defaults)
    rows = [_row(graph, equation, names, line) for equation in equations]
    for column in range(len(names)):
        sizes = [abs(float(safer.values(row[column], [-65.0])[0])) for row in rows[column:]]
        largest = max(range(len(sizes)), key=sizes.__getitem__)
        if not sizes[largest] > 0:
            raise NmodlError(f"LINEAR: its equations leave {names[column]} undetermined", line)
        rows[column], rows[column + largest] = rows[column + largest], rows[column]
        pivot = rows[column]
        for row in rows[column + 1 :]:
            if not row[column].is_number(0):
                times = make("/", row[column], pivot[column])
                row[:] = [
                    make("-", a, make("*", times, b)) for a, b in zip(row, pivot, strict=True)
                ]
    found: dict[str, Node] = {}
    for k in reversed(range(len(names))):
        right = rows[k][-1]
        for j in range(k + 1, len(names)):
            right = make("-", right, make("*", rows[k][j], found[names[j]]))
        found[names[k]] = make("/", right, rows[k][k])
    return found


def _row(graph: Graph, equation: Node, names: Sequence[str], line: int) -> list[Node]:
    """The coefficients of the states, and the right side."""
    row: list[Node] = []
    rest = equation
    for name in names:
        parts = graph.affine(rest, name)
        if parts is None or symbols([parts[1]]) & set(names):
            raise NmodlError(f"LINEAR: an equation is not linear in {name}", line)
        rest, slope = parts
        row.append(slope)
    return [*row, graph.make("neg", rest)]
