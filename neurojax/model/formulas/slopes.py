"""How a formula follows its symbols: derivatives, as formulas of the same graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from neurojax.model.formulas.graph import Graph, Node, ordered


def slopes(graph: Graph, roots: Mapping[str, Node], of: Iterable[str]) -> dict[Any, Node]:
    """The derivatives of named formulas with respect to symbols, by both names, zeros left out.

    A step by `stiff` is of second order with any of them, so steps and corners have the slope that
    they have beside themselves, and what a series makes smooth (`exp_linear`) none.
    """
    found: dict[Any, Node] = {}
    nodes = ordered(roots.values())
    for name in of:
        rise: dict[Node, Node] = {}
        for node in nodes:
            if node.op == "symbol":
                rise[node] = graph.one if node.value == name else graph.zero
            elif all(rise[a] is graph.zero for a in node.args):
                rise[node] = graph.zero
            else:
                rise[node] = _slope(graph, node, [rise[a] for a in node.args])
        of_roots = {root: rise[node] for root, node in roots.items()}
        found |= {(root, name): d for root, d in of_roots.items() if d is not graph.zero}
    return found


def _slope(g: Graph, node: Node, rise: list[Node]) -> Node:
    make, args = g.make, node.args
    match node.op:
        case "+" | "-" | "neg":
            return make(node.op, *rise)
        case "*":
            return make("+", make("*", rise[0], args[1]), make("*", args[0], rise[1]))
        case "/":
            return make("/", make("-", rise[0], make("*", node, rise[1])), args[1])
        case "select":
            return make("select", args[0], rise[1], rise[2])
        case "min" | "max":
            first = args if node.op == "min" else args[::-1]
            return make("select", make("<", *first), rise[0], rise[1])
        case "clip":
            inside = make("and", make("<", args[1], args[0]), make("<", args[0], args[2]))
            return make("select", inside, rise[0], g.zero)
        case _:
            outer = _outer(g, node)
            return g.zero if outer is None else make("*", outer, rise[0])


def _outer(g: Graph, node: Node) -> Node | None:
    """The derivative of a function with respect to its argument; None for one without."""
    make, number, x = g.make, g.number, node.args[0]
    square = make("*", node, node)
    match node.op:
        case "exp" | "bounded_exp":
            return node
        case "log":
            return make("/", g.one, x)
        case "log10":
            return make("/", number(0.4342944819032518), x)
        case "sqrt":
            return make("/", number(0.5), node)
        case "pow":
            n = node.args[1]
            return make("*", n, make("pow", x, make("-", n, g.one)))
        case "sigmoid":
            return make("-", node, square)
        case "tanh":
            return make("-", g.one, square)
        case "sinh":
            return make("cosh", x)
        case "cosh":
            return make("sinh", x)
        case "sin":
            return make("cos", x)
        case "cos":
            return make("neg", make("sin", x))
        case "tan":
            return make("+", g.one, square)
        case "atan":
            return make("/", g.one, make("+", g.one, make("*", x, x)))
        case "abs":
            return make("select", make("<", x, g.zero), number(-1), g.one)
        case _:
            return None
