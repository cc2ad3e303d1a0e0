"""Functions that a file calls without defining them: C's, and NEURON's."""

from __future__ import annotations

from collections.abc import Sequence

from neurojax.model.formulas.graph import Graph, Node
from neurojax.model.nmodl.syntax import NmodlError

_ARGUMENTS = {
    "exp": 1, "log": 1, "log10": 1, "sqrt": 1, "fabs": 1, "abs": 1, "sin": 1, "cos": 1, "tan": 1,
    "tanh": 1, "sinh": 1, "cosh": 1, "atan": 1, "asin": 1, "acos": 1, "floor": 1, "ceil": 1,
    "pow": 2, "fmod": 2, "fmin": 2, "fmax": 2, "min": 2, "max": 2, "exprelr": 1,
    "nrn_ghk": 4,
}  # fmt: skip
"""How many arguments each takes."""


def computed(graph: Graph, name: str, args: Sequence[Node], line: int) -> Node:
    """What a function makes of its arguments. Raises NmodlError for another one."""
    if _ARGUMENTS.get(name) != len(args):
        known = name in _ARGUMENTS
        what = f"takes {_ARGUMENTS.get(name)} argument(s)" if known else "is no known function"
        raise NmodlError(f"{name}() {what}", line)
    if name == "nrn_ghk":
        return _ghk(graph, *args)
    if name == "exprelr":  # x / (exp(x) - 1)
        return graph.make("exp_linear", graph.make("neg", args[0]))
    return graph.make({"fabs": "abs", "fmin": "min", "fmax": "max"}.get(name, name), *args)


def _ghk(g: Graph, v: Node, inside: Node, outside: Node, z: Node) -> Node:
    """NEURON's nrn_ghk, in mA/cm2 for a permeability of 1 cm/s: z F u (ci - co exp(-u)) ..."""
    make = g.make
    kelvin = make("+", g.symbol("celsius"), g.number(273.15))
    u = make("*", make("/", make("*", v, z), kelvin), g.number(1 / 0.0861733326214))
    flow = make(
        "-",
        make("*", inside, make("exp_linear", u)),
        make("*", outside, make("exp_linear", make("neg", u))),
    )
    return make("*", make("*", g.number(1e-3 * 96485.33212), z), flow)
