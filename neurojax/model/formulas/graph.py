"""Expressions as a graph in which what is the same is there once; made simple while it is made.

A node is made after those that it is made of and has a larger number: whatever goes through a graph
goes by number, without recursion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from neurojax.model.formulas.numbers import FOLDED


class FormulaError(ValueError):
    """Formulas of which no channel can be made."""


LARGEST_POWER = 64
"""Of larger ones an exponential is made."""

MOST_NODES = 30_000
"""How large a graph may grow."""


class Node:
    """One operation: "number", "symbol", an operator or a function, and what it is applied to."""

    __slots__ = ("args", "number", "op", "value")

    def __init__(self, op: str, args: tuple[Node, ...], value: Any, number: int) -> None:
        self.op, self.args, self.value, self.number = op, args, value, number

    def is_number(self, value: float | None = None) -> bool:
        """Whether it is a number, or this one."""
        return self.op == "number" and (value is None or self.value == value)

    def __repr__(self) -> str:
        if self.op in ("number", "symbol"):
            return f"{self.value:g}" if self.op == "number" else str(self.value)
        return f"{self.op}({', '.join(map(repr, self.args))})"


class Graph:
    """All nodes of one file, and the names that its variables gave them."""

    def __init__(self) -> None:
        self._known: dict[Any, Node] = {}
        self.hints: dict[Node, str] = {}
        self.zero, self.one = self.number(0.0), self.number(1.0)

    def number(self, value: float) -> Node:
        """A number."""
        return self._node("number", (), float(value))

    def symbol(self, name: str) -> Node:
        """What is known by its name only: v, a parameter, a state."""
        return self._node("symbol", (), name)

    def _node(self, op: str, args: tuple[Node, ...], value: Any = None) -> Node:
        key = (op, args, value)
        node = self._known.get(key)
        if node is None:
            if len(self._known) >= MOST_NODES:
                raise FormulaError(f"the formulas have more than {MOST_NODES} parts")
            node = self._known[key] = Node(op, args, value, len(self._known))
        return node

    def make(self, op: str, *args: Node) -> Node:
        """An operation, computed where it is one of numbers, simplified where that is exact."""
        if op in FOLDED and all(a.op == "number" for a in args):
            try:
                value = float(FOLDED[op](*(a.value for a in args)))
            except (ArithmeticError, ValueError, TypeError):
                value = math.nan
            if math.isfinite(value):
                return self.number(value)
        rule = _RULES.get(op)
        simpler = rule(self, *args) if rule else None
        return simpler if simpler is not None else self._node(op, args)

    def nodes(self) -> Iterable[Node]:
        """All of them, in the order of their numbers."""
        return self._known.values()

    def total(self, terms: Iterable[Node]) -> Node:
        """The sum of nodes."""
        result = self.zero
        for term in terms:
            result = self.make("+", result, term)
        return result

    def product(self, factors: Iterable[tuple[Node, int]]) -> Node:
        """The product of nodes, of which those with power -1 divide."""
        result = self.one
        for node, power in factors:
            result = self.make("*" if power > 0 else "/", result, node)
        return result

    # -- what goes through a graph ----------------------------------------------------------------
    def rebuilt(
        self, roots: Iterable[Node], rule: Callable[[Node, tuple[Node, ...]], Node | None]
    ) -> list[Node]:
        """The roots made anew: by the rule from a node and its new parts, or as they were."""
        roots, new = list(roots), dict[Node, Node]()
        for node in ordered(roots):
            args = tuple(new[a] for a in node.args)
            made = rule(node, args)
            if made is None:
                made = self.make(node.op, *args) if node.args else node
            if made is not node and node in self.hints:
                self.hints.setdefault(made, self.hints[node])
            new[node] = made
        return [new[root] for root in roots]

    def replaced(self, roots: Iterable[Node], values: Mapping[str, Node]) -> list[Node]:
        """The roots with nodes in place of symbols."""
        return self.rebuilt(roots, lambda n, _: values.get(n.value) if n.op == "symbol" else None)

    def affine(self, root: Node, of: str | Node) -> tuple[Node, Node] | None:
        """(a, b) with root = a + b * symbol, or other node; None where it is not so."""
        target = self.symbol(of) if isinstance(of, str) else of
        found: dict[Node, tuple[Node, Node] | None] = {}
        for node in ordered([root]):
            parts = [found[a] for a in node.args]
            found[node] = self._affine(node, parts, target)
        return found[root]

    def _affine(self, node: Node, parts: list[Any], target: Node) -> tuple[Node, Node] | None:
        if node is target:
            return self.zero, self.one
        if all(p is not None and p[1] is self.zero for p in parts):
            return node, self.zero
        if None in parts:
            return None
        a, b = parts[0], parts[-1]
        make = self.make
        match node.op:
            case "+" | "-":
                return make(node.op, a[0], b[0]), make(node.op, a[1], b[1])
            case "neg":
                return make("neg", a[0]), make("neg", a[1])
            case "*" if b[1] is self.zero:
                return make("*", a[0], b[0]), make("*", a[1], b[0])
            case "*" if a[1] is self.zero:
                return make("*", a[0], b[0]), make("*", a[0], b[1])
            case "/" if b[1] is self.zero:
                return make("/", a[0], b[0]), make("/", a[1], b[0])
            case "select" if parts[0][1] is self.zero:
                _, x, y = parts
                c = node.args[0]
                return make("select", c, x[0], y[0]), make("select", c, x[1], y[1])
            case _:
                return None


def ordered(roots: Iterable[Node]) -> list[Node]:
    """All nodes that roots are made of, parts before wholes."""
    seen, stack = set[Node](), list(roots)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(node.args)
    return sorted(seen, key=lambda node: node.number)


def factors(node: Node) -> list[tuple[Node, int]]:
    """What a product is made of, with powers 1 and -1."""
    found, stack = list[tuple[Node, int]](), [(node, 1)]
    while stack:
        node, power = stack.pop()
        if node.op == "*":
            stack += [(node.args[1], power), (node.args[0], power)]
        elif node.op == "/":
            stack += [(node.args[1], -power), (node.args[0], power)]
        else:
            found.append((node, power))
    return found


def symbols(roots: Iterable[Node]) -> set[str]:
    """The names of the symbols that roots are made of."""
    return {node.value for node in ordered(roots) if node.op == "symbol"}


def evaluate(
    roots: Iterable[Node], values: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]
) -> list[Any]:
    """The roots' values, by what each operation is in an array library, see `arrays`."""
    roots, found = list(roots), dict[Node, Any]()
    for node in ordered(roots):
        if node.op == "number":
            found[node] = node.value
        elif node.op == "symbol":
            found[node] = values[node.value]
        else:
            found[node] = functions[node.op](*(found[a] for a in node.args))
    return [found[root] for root in roots]


# -- simplifications, each of them exact -----------------------------------------------------------
def _add(g: Graph, a: Node, b: Node) -> Node | None:
    if a.is_number(0):
        return b
    if b.is_number(0):
        return a
    if b.op == "number" and a.op == "+" and a.args[1].op == "number":
        return g.make("+", a.args[0], g.number(a.args[1].value + b.value))
    if a.op == "number" and b.op != "number":
        return g.make("+", b, a)
    if b.op == "neg":
        return g.make("-", a, b.args[0])
    if a.op == "neg":
        return g.make("-", b, a.args[0])
    if a.op == "-" and a.args[0].op == "number" and b.op == "number":
        return g.make("-", g.number(a.args[0].value + b.value), a.args[1])
    if a.op == "-" and a.args[1] is b:
        return a.args[0]
    return None


def _subtract(g: Graph, a: Node, b: Node) -> Node | None:
    if b.is_number(0):
        return a
    if a is b:
        return g.zero
    if a.is_number(0):
        return g.make("neg", b)
    if b.op == "number":
        return g.make("+", a, g.number(-b.value))
    if b.op == "neg":
        return g.make("+", a, b.args[0])
    if a.op == "+" and b in a.args:
        return a.args[0] if a.args[1] is b else a.args[1]
    # 1 - (1 - x), as hand-written steps of gates have it.
    if b.op == "-" and b.args[0] is a:
        return b.args[1]
    if a.op == "number" and b.op == "+" and b.args[1] is a:
        return g.make("neg", b.args[0])
    return None


def _multiply(g: Graph, a: Node, b: Node) -> Node | None:
    if a.is_number(0) or b.is_number(0):
        return g.zero
    if a.is_number(1):
        return b
    if b.is_number(1):
        return a
    if a.is_number(-1):
        return g.make("neg", b)
    if a.op == "neg" and b.op != "number":
        return g.make("neg", g.make("*", a.args[0], b))
    if b.op == "neg" and a.op != "number":
        return g.make("neg", g.make("*", a, b.args[0]))
    if b.op == "number" and a.op != "number":
        return g.make("*", b, a)
    if a.op == "number" and b.op == "*" and b.args[0].op == "number":
        return g.make("*", g.number(a.value * b.args[0].value), b.args[1])
    if a.op == "number" and b.op == "neg":
        return g.make("*", g.number(-a.value), b.args[0])
    # m m m h, and g m m m h
    if b.op == "symbol":
        power = _times_itself(g, a.args[1] if a.op == "*" else a, b)
        if power is not None:
            return g.make("*", a.args[0], power) if a.op == "*" else power
    for x, y in ((a, b), (b, a)):
        if x.op == "*" and x.args[0].op == "number" and y.op != "number":
            rest = (x.args[1], y) if x is a else (y, x.args[1])
            return g.make("*", x.args[0], g.make("*", *rest))
    # (x / s) s, and (x / s) (q s), as a steady state and a rate of a + b have it
    for x, y in ((a, b), (b, a)):
        if x.op == "/" and x.args[1].op != "number":
            if x.args[1] is y:
                return x.args[0]
            if y.op == "*" and x.args[1] in y.args:
                q = y.args[1] if y.args[0] is x.args[1] else y.args[0]
                return g.make("*", q, x.args[0])
    return None


def _times_itself(g: Graph, a: Node, b: Node) -> Node | None:
    """b^2 of b b, b^(n + 1) of b^n b; None for another a."""
    if a is b:
        return g.make("pow", b, g.number(2))
    whole = a.op == "pow" and a.args[0] is b and a.args[1].op == "number"
    if whole and 1 < a.args[1].value < LARGEST_POWER:
        return g.make("pow", b, g.number(a.args[1].value + 1))
    return None


def _divide(g: Graph, a: Node, b: Node) -> Node | None:
    if a.is_number(0) and not b.is_number(0):
        return g.zero
    if b.is_number(1):
        return a
    if b.is_number(-1):
        return g.make("neg", a)
    if a.op == "neg" and b.op != "number":
        return g.make("neg", g.make("/", a.args[0], b))
    if b.op == "neg":
        return g.make("neg", g.make("/", a, b.args[0]))
    if a is b and a.op != "number":
        return g.one
    # 1 / (1 / x)
    if b.op == "/" and (b.args[0].op == "/" or (b.args[0].op == "number" and b.args[0].value)):
        return g.make("*", b.args[1], g.make("/", a, b.args[0]))
    if b.op == "number" and b.value and a.op == "*" and a.args[0].op == "number":
        return g.make("*", g.number(a.args[0].value / b.value), a.args[1])
    return None


def _negate(g: Graph, a: Node) -> Node | None:
    if a.op == "neg":
        return a.args[0]
    if a.op == "-":
        return g.make("-", a.args[1], a.args[0])
    if a.op in "*/" and a.args[0].op in ("number", "-", "neg"):
        return g.make(a.op, g.make("neg", a.args[0]), a.args[1])
    return None


def _power(g: Graph, a: Node, b: Node) -> Node | None:
    if b.is_number(1):
        return a
    if b.is_number(0):
        return g.one
    if b.op == "number" and (abs(b.value) > LARGEST_POWER or b.value != int(b.value)):
        return g.make("exp", g.make("*", b, g.make("log", a)))
    if b.op != "number":
        return g.make("exp", g.make("*", b, g.make("log", a)))
    return None


def _select(g: Graph, c: Node, a: Node, b: Node) -> Node | None:
    if a is b:
        return a
    if c.op == "number":
        return a if c.value else b
    # IF (x < -100) {0} ELSE {exp(x)}: the same to any precision
    if c.op == "<" and a.is_number(0) and b.op == "exp" and b.args[0] is c.args[0]:
        return b if c.args[1].op == "number" and c.args[1].value <= -40 else None
    return None


def _compared(op: str) -> Callable[..., Node | None]:
    def rule(g: Graph, a: Node, b: Node) -> Node | None:
        if b.op == "number" and a.op == "+" and a.args[1].op == "number":
            return g.make(op, a.args[0], g.number(b.value - a.args[1].value))
        if a.op == "number" and b.op == "+" and b.args[1].op == "number":
            return g.make(op, g.number(a.value - b.args[1].value), b.args[0])
        return None

    return rule


def _both(g: Graph, a: Node, b: Node) -> Node | None:
    for x, y in ((a, b), (b, a)):
        if x.op == "number":
            return y if x.value else g.zero
    return None


def _either(g: Graph, a: Node, b: Node) -> Node | None:
    for x, y in ((a, b), (b, a)):
        if x.op == "number":
            return g.one if x.value else y
    return None


def _logarithm(g: Graph, a: Node) -> Node | None:
    return a.args[0] if a.op == "exp" else None


_RULES: dict[str, Callable[..., Node | None]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "neg": _negate,
    "pow": _power,
    "select": _select,
    "<": _compared("<"),
    "<=": _compared("<="),
    "and": _both,
    "or": _either,
    "log": _logarithm,
}
