"""Expressions of LEMS, as "rate * exp((v - midpoint)/scale)", as nodes of a graph."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from neurojax.model.formulas.graph import Graph, Node
from neurojax.units import nearest

_TOKEN = re.compile(
    r"\s*(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|\s*(?P<word>\.[a-z]+\.)"
    r"|\s*(?P<name>[A-Za-z_]\w*)|\s*(?P<sign>[-+*/^()])"
)

_BINARY = {
    ".or.": ("or", 1), ".and.": ("and", 2), ".gt.": ("<", 3), ".lt.": ("<", 3),
    ".geq.": ("<=", 3), ".leq.": ("<=", 3), ".eq.": ("==", 3), ".neq.": ("==", 3),
    "+": ("+", 4), "-": ("-", 4), "*": ("*", 5), "/": ("/", 5), "^": ("pow", 7),
}  # fmt: skip
_REVERSED = {".gt.", ".geq."}
_NEGATIVE = 6
_LONGEST = 20_000
"""Characters that an expression may have."""

_FUNCTIONS = {
    "exp": "exp", "ln": "log", "log": "log", "log10": "log10", "sqrt": "sqrt", "abs": "abs",
    "sin": "sin", "cos": "cos", "tan": "tan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh",
    "ceil": "ceil", "floor": "floor",
}  # fmt: skip


def node_of(graph: Graph, text: str, names: Mapping[str, Node]) -> Node:
    """An expression as a node. Raises ValueError for what is none, or a name that is not known."""
    return _Parser(graph, text, names).whole()


class _Parser:
    """By precedence, as Pratt 1973."""

    def __init__(self, graph: Graph, text: str, names: Mapping[str, Node]) -> None:
        self.graph, self.text, self.names = graph, text, names
        if len(text) > _LONGEST:
            raise ValueError(f"{text[:40]!r}...: has more than {_LONGEST} characters")
        self.tokens: list[tuple[str, str]] = []
        place, end = 0, len(text.rstrip())
        while place < end:
            match = _TOKEN.match(text, place)
            if match is None or match.lastgroup is None:
                raise ValueError(f"{text!r}: unexpected {text[place:].strip()[:1]!r}")
            self.tokens.append((match.lastgroup, match[match.lastgroup]))
            place = match.end()
        self.at, self.depth = 0, 0

    def whole(self) -> Node:
        node = self.up_to(0)
        if self.peek() != "":
            raise ValueError(f"{self.text!r}: unexpected {self.peek()!r}")
        return node

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def up_to(self, least: int) -> Node:
        self.depth += 1
        if self.depth > 100:
            raise ValueError(f"{self.text[:40]!r}...: nested too deep")
        left = self.first()
        while (sign := self.peek()) in _BINARY and _BINARY[sign][1] > least:
            op, power = _BINARY[sign]
            self.at += 1
            right = self.up_to(power - (sign == "^"))
            pair = (right, left) if sign in _REVERSED else (left, right)
            left = self.graph.make(op, *pair)
            if sign == ".neq.":
                left = self.graph.make("not", left)
        self.depth -= 1
        return left

    def first(self) -> Node:
        if self.at >= len(self.tokens):
            raise ValueError(f"{self.text!r}: ends too early")
        kind, token = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            if math.isinf(value := float(token)):
                raise ValueError(f"{self.text[:40]!r}: {token[:20]} is too large a number")
            return self.graph.number(value)
        if token in ("-", "+"):
            node = self.up_to(_NEGATIVE)
            return self.graph.make("neg", node) if token == "-" else node
        if token == "(":
            return self._closed()
        if kind == "name" and self.peek() == "(":
            self.at += 1
            return self._called(token, self._closed())
        if kind == "name" and token in self.names:
            return self.names[token]
        near = nearest(token, self.names)
        raise ValueError(f"{self.text!r}: {token!r} is not known here{near}")

    def _closed(self) -> Node:
        node = self.up_to(0)
        if self.peek() != ")":
            raise ValueError(f"{self.text!r}: a ) is missing")
        self.at += 1
        return node

    def _called(self, name: str, x: Node) -> Node:
        if name == "H":
            return self.graph.make(
                "select", self.graph.make("<", x, self.graph.zero), self.graph.zero, self.graph.one
            )
        if name not in _FUNCTIONS:
            raise ValueError(f"{self.text!r}: the function {name} cannot be done")
        return self.graph.make(_FUNCTIONS[name], x)
