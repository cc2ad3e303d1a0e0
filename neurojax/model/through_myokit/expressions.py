"""Expressions of Myokit as nodes of a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neurojax.model.formulas.graph import Graph, Node

_PAIRS = {
    "Plus": "+", "Minus": "-", "Multiply": "*", "Divide": "/", "Power": "pow", "Less": "<",
    "LessEqual": "<=", "Equal": "==", "And": "and", "Or": "or",
}  # fmt: skip
_SINGLE = {
    "PrefixMinus": "neg", "Not": "not", "Exp": "exp", "Log10": "log10", "Sqrt": "sqrt",
    "Sin": "sin", "Cos": "cos", "Tan": "tan", "ASin": "asin", "ACos": "acos", "ATan": "atan",
    "Floor": "floor", "Ceil": "ceil", "Abs": "abs",
}  # fmt: skip
_REVERSED = {"More": "<", "MoreEqual": "<="}


def node_of(graph: Graph, expression: Any, variable: Callable[[Any], Node]) -> Node:
    """An expression as a node; `variable` gives that of a name, or of a derivative.

    Raises ValueError for what no formula of a membrane has.
    """

    def of(e: Any) -> Node:
        kind = type(e).__name__
        if kind in ("Name", "Derivative"):
            return variable(e)
        if kind == "Number":
            return graph.number(e.eval())
        parts = [of(part) for part in e]
        make = graph.make
        if kind in _PAIRS:
            return make(_PAIRS[kind], *parts)
        if kind in _REVERSED:
            return make(_REVERSED[kind], *parts[::-1])
        if kind in _SINGLE:
            return make(_SINGLE[kind], *parts)
        match kind, parts:
            case "PrefixPlus", [x]:
                return x
            case "NotEqual", [a, b]:
                return make("not", make("==", a, b))
            case "Log", [x]:
                return make("log", x)
            case "Log", [x, base]:
                return make("/", make("log", x), make("log", base))
            case "Quotient", [a, b]:
                return make("floor", make("/", a, b))
            case "Remainder", [a, b]:
                return make("-", a, make("*", b, make("floor", make("/", a, b))))
            case "If", [c, a, b]:
                return make("select", c, a, b)
            case "Piecewise", [*pieces, last]:
                for k in reversed(range(0, len(pieces), 2)):
                    last = make("select", pieces[k], pieces[k + 1], last)
                return last
            case _:
                raise ValueError(f"{kind} in a formula cannot be done: {e.code()[:60]}")

    return of(expression)
