"""A function of numbers, as JAX traces it, as formulas: the way back from code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.extend.core import JaxprEqn

from neurojax.config import float64
from neurojax.engine.passes.jaxpr import evaluate, flatten, shaped
from neurojax.model.formulas.arrays import LARGEST_EXPONENT
from neurojax.model.formulas.graph import Graph, Node, ordered
from neurojax.model.formulas.rewriting import Safer

_UNCHANGED = {
    "broadcast_in_dim", "convert_element_type", "copy", "optimization_barrier", "reshape",
    "squeeze", "stop_gradient",
}  # fmt: skip
_SAME = {
    "add": "+", "add_any": "+", "sub": "-", "mul": "*", "div": "/", "neg": "neg", "lt": "<",
    "le": "<=", "eq": "==", "and": "and", "or": "or", "not": "not", "pow": "pow", "exp": "exp",
    "log": "log", "sqrt": "sqrt", "abs": "abs", "sin": "sin", "cos": "cos", "tan": "tan",
    "tanh": "tanh", "sinh": "sinh", "cosh": "cosh", "atan": "atan", "floor": "floor",
    "ceil": "ceil", "max": "max", "min": "min", "logistic": "sigmoid",
}  # fmt: skip
_REVERSED = {"gt": "<", "ge": "<="}


def formulas_of(
    graph: Graph, f: Callable[[Mapping[str, Any]], Mapping[Any, Any]], names: Mapping[str, Node]
) -> dict[Any, Any]:
    """What f gives with nodes for numbers, where it takes numbers by name that are these nodes.

    Numbers that f has in itself are those of the formulas. What kept an exponential from
    overflowing, and a quotient from 0 / 0, is made simple again. Raises ValueError for an operation
    that no formula has.
    """
    with float64():
        try:
            flat, tree = flatten(f, dict.fromkeys(names, 0.0), rules=False)
        except TypeError as error:
            raise ValueError(f"cannot be traced: {error}") from None

    def rule(eqn: JaxprEqn, inputs: list[Node]) -> list[Node]:
        if any(np.size(shaped(a)) != 1 for a in (*eqn.invars, *eqn.outvars)):
            raise ValueError(f"{eqn.primitive.name} of more than one number is no formula")
        return [_operation(graph, eqn, inputs)]

    def number(value: Any, aval: Any) -> Node:
        if np.size(value) != 1:
            raise ValueError(f"an array of {np.size(value)} numbers is no formula")
        return graph.number(float(np.asarray(value).item()))

    symbols = [names[k] for k in sorted(names)]  # as JAX orders the keys of a dict
    nodes = evaluate(flat.jaxpr, flat.consts, symbols, rule, number)
    return dict(jax.tree.unflatten(tree, _plain(graph, nodes)))


def _operation(graph: Graph, eqn: JaxprEqn, inputs: list[Node]) -> Node:
    make, number, kind = graph.make, graph.number, eqn.primitive.name
    if kind in _UNCHANGED:
        return inputs[0]
    if kind in _SAME:
        return make(_SAME[kind], *inputs)
    if kind in _REVERSED:
        return make(_REVERSED[kind], *inputs[::-1])
    match kind, inputs:
        case "ne", [a, b]:
            return make("not", make("==", a, b))
        case "select_n", [c, otherwise, then]:
            return make("select", c, then, otherwise)
        case "clamp", [low, x, high]:
            return make("clip", x, low, high)
        case (("square" | "integer_pow"), [x]):
            power = eqn.params.get("y", 2)
            raised = make("pow", x, number(abs(power)))
            return raised if power > 0 else make("/", graph.one, raised)
        case "rsqrt", [x]:
            return make("/", graph.one, make("sqrt", x))
        case "expm1", [x]:
            return make("+", make("exp", x), number(-1))
        case "log1p", [x]:
            return make("log", make("+", x, graph.one))
        case "exp2", [x]:
            return make("exp", make("*", number(float(np.log(2))), x))
        case _:
            raise ValueError(f"{kind} is in no formula")


def _plain(graph: Graph, roots: list[Node]) -> list[Node]:
    """The formulas as a person would write them: guards of float32 gone, see `rates.patched`."""
    roots = graph.rebuilt(roots, lambda node, args: _chosen(graph, node, args))
    roots = graph.rebuilt(roots, lambda node, args: _unbounded(graph, node, args))
    safe = Safer(graph, {}).safe(roots)
    return graph.rebuilt(
        safe, lambda n, a: graph.make("exp", *a) if n.op == "bounded_exp" else None
    )


def _chosen(graph: Graph, node: Node, args: tuple[Node, ...]) -> Node | None:
    """A branch knows its condition: in it, what depends on that condition has been chosen."""
    if node.op != "select":
        return None
    condition, *branches = args
    made = []
    for branch, place in zip(branches, (1, 2), strict=True):

        def rule(n: Node, a: tuple[Node, ...], place: int = place) -> Node | None:
            return a[place] if n.op == "select" and a[0] is condition else None

        inside = any(n.op == "select" for n in ordered([branch]))
        made += graph.rebuilt([branch], rule) if inside else [branch]
    return graph.make("select", condition, *made)


def _unbounded(graph: Graph, node: Node, args: tuple[Node, ...]) -> Node | None:
    """exp of what was bounded so that float32 has it, without the bound."""
    if node.op != "exp":
        return None
    (x,) = args
    inner = x.args[0] if x.op == "neg" else x
    bare = [a for a in inner.args if a.op != "number"]
    bounds = sorted(a.value for a in inner.args if a.op == "number")
    far = {
        "max": lambda: bounds[0] <= -LARGEST_EXPONENT,
        "min": lambda: bounds[0] >= LARGEST_EXPONENT,
        "clip": lambda: bounds[0] <= -LARGEST_EXPONENT and bounds[-1] >= LARGEST_EXPONENT,
    }
    if inner.op not in far or len(bare) != 1 or not far[inner.op]():
        return None
    return graph.make("exp", graph.make("neg", bare[0]) if x.op == "neg" else bare[0])
