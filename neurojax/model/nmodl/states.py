"""Which states a mechanism needs: those without use, under another name or known by a sum go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from neurojax.model.formulas.graph import Graph, Node, symbols
from neurojax.model.nmodl.execution import Kept, Values


@dataclass
class Formulas:
    """What a file computes, by state or by current."""

    changes: Values  # derivatives
    stepped: Values  # the states that a file steps itself, a step later
    initial: Values
    currents: Values  # mA/cm2, outward
    events: Values  # states after an event

    def all(self) -> list[Values]:
        """Its groups, in the order of the fields."""
        return [self.changes, self.stepped, self.initial, self.currents, self.events]

    def replaced(self, graph: Graph, known: Mapping[str, Node]) -> Formulas:
        """The same with formulas in place of symbols."""
        rest = iter(graph.replaced([x for group in self.all() for x in group.values()], known))
        return Formulas(*({k: next(rest) for k in group} for group in self.all()))

    def without(self, names: Iterable[str]) -> Formulas:
        """The same without states."""
        gone = set(names)
        return Formulas(*({k: x for k, x in g.items() if k not in gone} for g in self.all()))

    def with_names(self, names: Mapping[str, str]) -> Formulas:
        """The same with states called otherwise."""
        return Formulas(*({names.get(k, k): x for k, x in g.items()} for g in self.all()))


def without_use(graph: Graph, f: Formulas, results: set[str], changing: set[str]) -> set[str]:
    """States on which no current and no result depends, and that are no gates by themselves.

    Such as a charge that a file adds up for its reader. `changing` is what no gate may depend on.
    """
    formulas = f.changes | f.stepped
    used = symbols(f.currents.values()) | results
    while more := symbols(formulas[k] for k in used & formulas.keys()) - used:
        used |= more
    unused = formulas.keys() - used
    return {k for k in unused if not _is_gate(graph, f, k, changing)}


def _is_gate(graph: Graph, f: Formulas, name: str, changing: set[str]) -> bool:
    if name in f.stepped:
        return True
    line = graph.affine(f.changes[name], name)
    return line is not None and not line[1].is_number(0) and not symbols(line) & changing


def named_as_pools(graph: Graph, f: Formulas, last: Values, pooled: Iterable[str]) -> Formulas:
    """States called by the concentrations that they are: ca' = ..., cai = ca."""
    names: dict[str, str] = {}
    for concentration in pooled:
        state = last.get(concentration)
        if state is not None and state.op == "symbol" and state.value in f.changes:
            names[state.value] = concentration
    f = f.replaced(graph, {state: graph.symbol(name) for state, name in names.items()})
    return f.with_names(names)


def by_their_sums(graph: Graph, f: Formulas, conserved: Iterable[Kept]) -> Formulas:
    """Of two states with a known sum one remains, which is a gate then: am = 1 - ac."""
    for kept in conserved:
        if len(kept.states) != 2 or not set(kept.states) <= f.changes.keys():
            continue
        first, second = kept.states
        if first == second or symbols([kept.total]) & f.changes.keys():
            continue
        if second in symbols(f.currents.values()) and first not in symbols(f.currents.values()):
            first, second = second, first
        other = graph.make("-", kept.total, graph.symbol(first))
        f = f.without([second]).replaced(graph, {second: other})
    return f
