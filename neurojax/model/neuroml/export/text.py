"""Formulas as LEMS writes them: expressions, and cases where a formula has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from neurojax.model.formulas.graph import Graph, Node, ordered

_SIGNS = {
    "or": (".or.", 1), "and": (".and.", 2), "<": (".lt.", 3), "<=": (".leq.", 3),
    "==": (".eq.", 3), "+": ("+", 4), "-": ("-", 4), "*": ("*", 5), "/": ("/", 5), "pow": ("^", 7),
}  # fmt: skip
_NEGATIVE, _WHOLE = 4, 9  # a sign in front is closed in all but a sum
_FUNCTIONS = {
    "exp": "exp", "log": "ln", "sqrt": "sqrt", "abs": "abs", "sin": "sin", "cos": "cos",
    "tan": "tan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "floor": "floor", "ceil": "ceil",
}  # fmt: skip
_CASES = {"select", "max", "min", "clip", "exp_linear"}
"""Operations that are a variable of cases."""

LONGEST = 300
"""Characters of an expression: parts of a longer one have names."""

NEAR = 1e-5
"""Where x / (1 - exp(-x)) is its series: to 1e-11."""


def number(value: float) -> str:
    """A number, to twelve digits."""
    return f"{value:.12g}"


@dataclass
class Dynamics:
    """The variables of a ComponentType in their order: a value each, or cases."""

    variables: dict[str, str] = field(default_factory=dict)
    cases: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # condition and value


def dynamics(graph: Graph, root: Node, symbols: Mapping[str, str]) -> tuple[Dynamics, str]:
    """What must be computed for a formula, and its expression; `symbols` say how names are written.

    Raises ValueError for an operation that LEMS has not.
    """
    return _Writer(graph, symbols).written(root)


class _Writer:
    def __init__(self, graph: Graph, symbols: Mapping[str, str]) -> None:
        self.graph, self.symbols, self.made = graph, symbols, Dynamics()
        self.known: dict[Node, tuple[str, int]] = {}  # an expression, and how tightly it binds

    def written(self, root: Node) -> tuple[Dynamics, str]:
        nodes = ordered(self._lean([root]))
        uses: dict[Node, int] = {}
        for node in nodes:
            for arg in node.args:
                uses[arg] = uses.get(arg, 0) + 1
        for node in nodes:
            text, strength = self._of(node)
            again = uses.get(node, 0) > 1 and bool(node.args) and len(text) > 12
            if node.op not in _CASES and (again or len(text) > LONGEST) and node is not nodes[-1]:
                name = self._new()
                self.made.variables[name] = text
                text, strength = name, _WHOLE
            self.known[node] = text, strength
        return self.made, self.known[nodes[-1]][0]

    def _lean(self, roots: Iterable[Node]) -> list[Node]:
        """Without what LEMS has no word for but a formula."""
        make, number = self.graph.make, self.graph.number

        def rule(node: Node, args: tuple[Node, ...]) -> Node | None:
            if node.op == "sigmoid":
                below = make("+", make("exp", make("neg", args[0])), number(1))
                return make("/", number(1), below)
            if node.op == "bounded_exp":
                return make("exp", *args)
            if node.op == "not" and args[0].op in ("<", "<="):
                return make({"<": "<=", "<=": "<"}[args[0].op], *args[0].args[::-1])
            if node.op == "log10":
                return make("*", number(0.4342944819032518), make("log", *args))
            return None

        return self.graph.rebuilt(roots, rule)

    def _new(self) -> str:
        return f"x{len(self.made.variables) + len(self.made.cases) + 1}"

    def _of(self, node: Node) -> tuple[str, int]:
        parts = [self.known[a] for a in node.args]
        if node.op == "number":
            return number(node.value), _WHOLE if node.value >= 0 else _NEGATIVE
        if node.op == "symbol":
            return self.symbols[node.value], _WHOLE
        if node.op in _CASES:
            return self._of_cases(node.op, [text for text, _ in parts]), _WHOLE
        if (raised := _power(node)) is not None:
            base, exponent = raised
            return f"{_closed(self.known[base], 8)}^({number(exponent)})", _SIGNS["pow"][1]
        if node.op in _FUNCTIONS:
            return f"{_FUNCTIONS[node.op]}({parts[0][0]})", _WHOLE
        if node.op == "neg":
            return f"-{_closed(parts[0], _NEGATIVE + 1)}", _NEGATIVE
        if node.op == "not" and node.args[0].op == "==":
            a, b = (_closed(self.known[a], _NEGATIVE) for a in node.args[0].args)
            return f"{a} .neq. {b}", _SIGNS["=="][1]
        if node.op not in _SIGNS:
            raise ValueError(f"NeuroML has no {node.op}")
        sign, strength = _SIGNS[node.op]
        left = _closed(parts[0], strength + (node.op == "pow"))
        right = _closed(parts[1], strength + 1)
        return f"{left} {sign} {right}" if node.op != "pow" else f"{left}^{right}", strength

    def _of_cases(self, op: str, args: list[str]) -> str:
        args = [self._named(text) for text in args] if op in ("exp_linear", "clip") else args
        name = self._new()
        match op, args:
            case "select", [condition, then, otherwise]:
                cases = [(condition, then), ("", otherwise)]
            case "max", [a, b]:
                cases = [(f"{a} .lt. {b}", b), ("", a)]
            case "min", [a, b]:
                cases = [(f"{a} .lt. {b}", a), ("", b)]
            case "clip", [x, low, high]:
                cases = [(f"{x} .lt. {low}", low), (f"{x} .gt. {high}", high), ("", x)]
            case _:
                (x,) = args
                near = f"abs({x}) .lt. {number(NEAR)}"
                cases = [(near, f"1 + {x} / 2"), ("", f"{x} / (1 - exp(-{x}))")]
        self.made.cases[name] = cases
        return name

    def _named(self, text: str) -> str:
        if text.isidentifier() or text.replace(".", "").isdigit():
            return text
        name = self._new()
        self.made.variables[name] = text
        return name


def _power(node: Node) -> tuple[Node, float] | None:
    """(x, n) of exp(n ln(x)), as which formulas have powers that are no whole numbers."""
    if node.op == "exp" and node.args[0].op == "*":
        n, logarithm = node.args[0].args
        if n.op == "number" and logarithm.op == "log":
            return logarithm.args[0], n.value
    return None


def _closed(part: tuple[str, int], least: int) -> str:
    text, strength = part
    return text if strength >= least else f"({text})"
