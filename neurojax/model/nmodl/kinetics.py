"""From reactions and hand-written steps to rates: schemes, and gates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from neurojax.model.formulas.graph import Graph, Node, factors, symbols
from neurojax.model.formulas.mechanism import Gate
from neurojax.model.nmodl.execution import Flow, Values
from neurojax.model.nmodl.syntax import NmodlError

Rates = dict[tuple[str, str], Node]
"""Rate constants, 1/ms, by the state left and the state entered."""


def mass_action(graph: Graph, flows: Iterable[Flow], values: Values) -> Values:
    """The change of each species, by the law of mass action: concentration, or amount, per ms."""
    make, zero = graph.make, graph.zero
    change: Values = {}
    for flow in flows:
        forth, back = flow.forth, flow.back
        for name in flow.left:
            forth = make("*", forth, values.get(name, zero))
        for name in flow.right:
            back = make("*", back, values.get(name, zero))
        net = make("-", forth, back)
        for name in flow.left:
            change[name] = make("-", change.get(name, zero), net)
        for name in flow.right:
            change[name] = make("+", change.get(name, zero), net)
    return change


def scheme(graph: Graph, flows: Iterable[Flow], states: set[str]) -> Rates:
    """The rates of a scheme of all states; none where reactions are not one to one."""
    rates: Rates = {}
    for flow in flows:
        one_to_one = len(flow.left) == len(flow.right) == 1 and flow.left != flow.right
        between = one_to_one and {*flow.left, *flow.right} <= states
        if not between or symbols([flow.forth, flow.back]) & states:
            return {}
        (a,), (b,) = flow.left, flow.right
        for pair, rate in (((a, b), flow.forth), ((b, a), flow.back)):
            if not rate.is_number(0):
                rates[pair] = graph.make("+", rates.get(pair, graph.zero), rate)
    return rates if {k for pair in rates for k in pair} == states else {}


def is_connected(rates: Mapping[tuple[str, str], Node]) -> bool:
    """Whether each state can be reached from each other one: there is one steady state."""
    states = {k for pair in rates for k in pair}
    for way in (1, -1):
        seen, new = set[str](), {next(iter(states))}
        while new:
            seen |= new
            new = {pair[::way][1] for pair in rates if pair[::way][0] in seen} - seen
        if seen != states:
            return False
    return True


def stepped_gate(graph: Graph, name: str, node: Node, others: set[str], line: int) -> Gate:
    """The gate of a step that a file writes out: x = x + (1 - exp(-dt / tau)) (inf - x).

    Raises NmodlError for a step that is none of a gate.
    """
    wrong = NmodlError(f"{name}: its step is not that of a gate, x + (1 - exp(-dt/tau)) ...", line)
    affine = graph.affine(node, name)
    if affine is None or symbols(affine) & others:
        raise wrong
    new, kept = affine
    if kept.op in ("exp", "bounded_exp"):
        of_dt = graph.affine(kept.args[0], "dt")
        if of_dt is None or not of_dt[0].is_number(0) or "dt" in symbols([of_dt[1]]):
            raise wrong
        rate = graph.make("neg", of_dt[1])
        inf = _over(graph, new, graph.make("-", graph.one, kept))
        if "dt" in symbols([inf]):
            raise wrong
        return Gate(name, graph.make("*", inf, rate), rate)
    # Euler's: x + dt (a - b x)
    euler = graph.affine(node, "dt")
    change = graph.affine(euler[1], name) if euler and euler[0].value == name else None
    if change is None or "dt" in symbols(change):
        raise wrong
    return Gate(name, change[0], graph.make("neg", change[1]))


def _over(graph: Graph, product: Node, factor: Node) -> Node:
    """A product without a factor that it has; else divided by it."""
    if product.op == "neg":
        return graph.make("neg", _over(graph, product.args[0], factor))
    parts = factors(product)
    if (factor, 1) not in parts:
        return graph.make("/", product, factor)
    parts.remove((factor, 1))
    return graph.product(parts)
