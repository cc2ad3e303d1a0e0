"""Formulas made safe: finite in value and slope where an author's were 0 / 0 or overflowed.

x / (exp(x) - 1) becomes `exp_linear`, and the IF that guarded it goes; 1 / (1 + exp(x)) becomes
`sigmoid`. Whether two formulas are proportional is found by their values at some points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.model.formulas.arrays import LARGEST_EXPONENT, NUMPY
from neurojax.model.formulas.graph import Graph, Node, evaluate, factors, ordered, symbols

_V = np.array([-97.3, -61.7, -38.9, -11.3, 22.1, 47.7])
"""mV"""

POINT = 1e-2
"""mV: an IF on a narrower range is of one point, for which its author feared a division by 0."""

_GRID = np.arange(-150.0, 101.0, 2.5)


class Safer:
    """Rewrites formulas of one graph, given the default values of their symbols."""

    def __init__(self, graph: Graph, defaults: Mapping[str, float]) -> None:
        self.graph, self.defaults = graph, defaults

    def safe(self, roots: Sequence[Node]) -> list[Node]:
        """The roots, made safe."""
        without = self.graph.rebuilt(roots, self._without_equality)
        made = self.graph.rebuilt(without, self._rule)
        if not all(map(self._finite, made, without)):
            made = self.graph.rebuilt(roots, self._rule)
        return self._bounded(made)

    # -- values -----------------------------------------------------------------------------------
    def values(self, node: Node, v: Any, spread: float = 0.0) -> Any:
        """A node's values at potentials, with parameters that are a little off their defaults."""
        known: dict[str, Any] = {"v": np.asarray(v, dtype=np.float64)}
        for name in symbols([node]) - {"v"}:
            value, seed = self.defaults.get(name, 0.3), sum(map(ord, name))
            known[name] = (value or spread * 0.7) * (1 + spread * math.sin(seed))
        with np.errstate(all="ignore"):
            (value,) = evaluate([node], known, NUMPY)
        return np.broadcast_to(np.asarray(value, dtype=np.float64), np.shape(v))

    def _finite(self, made: Node, before: Node) -> bool:
        """Whether it is finite wherever an IF (v == number) was."""
        places = [
            -(a.value if a.op == "number" else math.nan) / b.value
            for node in ordered([before])
            if node.op == "=="
            and (found := self.graph.affine(self.graph.make("-", *node.args), "v")) is not None
            for a, b in [found]
            if b.op == "number" and b.value
        ]
        return not places or bool(np.isfinite(self.values(made, places)).all())

    # -- rules ------------------------------------------------------------------------------------
    def _without_equality(self, node: Node, args: tuple[Node, ...]) -> Node | None:
        """IF (v == -40) {v = v + 0.001} is of one point only: what holds beside it holds there."""
        if node.op == "select" and args[0].op == "==" and "v" in symbols([args[0]]):
            return args[2]
        return None

    def _rule(self, node: Node, args: tuple[Node, ...]) -> Node | None:
        if node.op == "/":
            return self._sigmoid(*args) or self._exp_linear(*args)
        if node.op == "select":
            return self._unguarded(*args)
        return None

    def _sigmoid(self, above: Node, below: Node) -> Node | None:
        make, number = self.graph.make, self.graph.number
        if below.op != "+":
            return None
        exponential, c = below.args
        if not (c.op == "number" and c.value > 0):
            return None
        factor, y = _exponential(exponential)
        if y is None or factor <= 0 or "v" not in symbols([y]):
            return None
        shifted = make("-", number(math.log(c.value / factor)), y)
        if c.value == factor:
            shifted = make("neg", y)
        return make("*", make("/", above, c), make("sigmoid", shifted))

    def _exp_linear(self, above: Node, below: Node) -> Node | None:
        """above / below where below has a factor exp(y) - 1 or 1 - exp(y), and above one of y."""
        for position, (factor, power) in enumerate(under := factors(below)):
            sign, y = _less_one(factor)
            if y is None or power != 1:
                continue
            rest = self.graph.product([*under[:position], *under[position + 1 :]])
            for k, (candidate, exponent) in enumerate(over := factors(above)):
                ratio = self._ratio(candidate, y) if exponent == 1 else None
                if ratio is None:
                    continue
                others = self.graph.product([*over[:k], *over[k + 1 :]])
                make = self.graph.make
                ratio = make("*", self.graph.number(sign), ratio)
                whole = make("*", make("*", ratio, others), self._linear(y))
                return make("/", whole, rest)
        return None

    def _linear(self, y: Node) -> Node:
        return self.graph.make("exp_linear", self.graph.make("neg", y))

    def _ratio(self, a: Node, y: Node) -> Node | None:
        """a / y, where that does not depend on v."""
        if a is y:
            return self.graph.one
        x, z = self.values(a, _V, 0.1), self.values(y, _V, 0.1)
        with np.errstate(all="ignore"):
            ratios = x / z
        if not np.isfinite(ratios).all() or np.ptp(z) == 0:
            return None
        if np.ptp(ratios) > 1e-9 * abs(ratios[0]):
            return None
        slopes = [self.graph.affine(node, _argument(y)) for node in (a, y)]
        if None not in slopes:
            (_, rise), (_, run) = slopes  # type: ignore[misc]
            if "v" not in symbols([rise, run]) and not run.is_number(0):
                return self.graph.make("/", rise, run)
        return None

    def _unguarded(self, condition: Node, then: Node, otherwise: Node) -> Node | None:
        """The branch away from a singularity, where it has been made safe; else None."""
        if condition.op not in ("<", "<="):
            return None
        a, b = condition.args
        if a.op == "abs" and b.op == "number":
            near, far, inner, radius = then, otherwise, a.args[0], b.value
        elif b.op == "abs" and a.op == "number":
            near, far, inner, radius = otherwise, then, b.args[0], a.value
        else:
            return None
        line = self.graph.affine(inner, _argument(inner))
        if line is None or not 0 < radius <= 0.1:
            return None
        at_0, slope = (self.values(x, 0.0) for x in line)
        if slope == 0 or not np.isfinite(at_0 + slope):
            return None
        around = (radius * np.array([-0.9, -0.3, 0.0, 0.3, 0.9]) - at_0) / slope
        x, y = self.values(near, around), self.values(far, around)
        close = np.abs(x - y) <= 2e-2 * (np.abs(x) + np.abs(y)) + 1e-12
        smooth = np.ptp(y) <= 2e-2 * np.abs(y).max()
        narrow = np.ptp(around) < POINT and smooth
        return far if bool((np.isfinite(y) & (close | narrow)).all()) else None

    def _bounded(self, roots: Sequence[Node]) -> list[Node]:
        """The roots with exponentials bounded that may overflow."""

        def rule(node: Node, args: tuple[Node, ...]) -> Node | None:
            if node.op != "exp":
                return None
            y = self.values(args[0], _GRID)
            large = not np.isfinite(y).all() or np.abs(y).max() > 0.75 * LARGEST_EXPONENT
            return self.graph.make("bounded_exp", *args) if large else None

        return self.graph.rebuilt(roots, rule)


def _argument(node: Node) -> str | Node:
    """What a formula is one of: v, or v as far as a TABLE goes."""
    return next((x for x in ordered([node]) if x.op == "clip"), "v")


def _exponential(node: Node) -> tuple[float, Node | None]:
    """(c, y) of c exp(y)."""
    if node.op == "exp":
        return 1.0, node.args[0]
    if node.op == "*" and node.args[0].op == "number" and node.args[1].op == "exp":
        return node.args[0].value, node.args[1].args[0]
    return 0.0, None


def _less_one(node: Node) -> tuple[float, Node | None]:
    """(1, y) of exp(y) - 1, and (-1, y) of 1 - exp(y)."""
    match node.op, node.args:
        case "+", (a, b) if a.op == "exp" and b.is_number(-1):
            return 1.0, a.args[0]
        case "-", (a, b) if a.is_number(1) and b.op == "exp":
            return -1.0, b.args[0]
        case "+", (a, b) if a.op == "neg" and a.args[0].op == "exp" and b.is_number(1):
            return -1.0, a.args[0].args[0]
        case _:
            return 0.0, None
