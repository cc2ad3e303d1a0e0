"""A mechanism as formulas: gates, states, currents and pools, of v, parameters and ions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from neurojax.model.formulas.graph import Graph, Node

CELSIUS = 6.3
"""The temperature of NEURON where nobody sets one, degC."""


@dataclass
class Gate:
    """A state with x' = opening - rate x."""

    name: str
    opening: Node  # 1/ms
    rate: Node  # 1/ms


class PooledIon(NamedTuple):
    """An ion whose concentration inside a mechanism changes: what it is before."""

    valence: int
    inside: float  # mM
    outside: float


class Declared(NamedTuple):
    """What a file says of a symbol: its unit as this project spells it, its bounds, a remark."""

    unit: str | None = None
    limits: tuple[float, float] | None = None  # in that unit
    comment: str = ""


@dataclass
class Mechanism:
    """A membrane mechanism as formulas."""

    name: str
    graph: Graph
    title: str = ""
    comments: list[str] = field(default_factory=list)  # of the file, in their order
    declared: dict[str, Declared] = field(default_factory=dict)  # by symbol, or array
    gates: list[Gate] = field(default_factory=list)
    derivatives: dict[str, Node] = field(default_factory=dict)  # of states that are no gates, 1/ms
    initial: dict[str, Node] = field(default_factory=dict)  # of those
    begun: dict[str, Node] = field(default_factory=dict)  # gates as a file begins them
    transitions: dict[tuple[str, str], Node] = field(default_factory=dict)  # 1/ms, of a scheme
    currents: dict[str, Node] = field(default_factory=dict)  # mA/cm2, by ion; "" of none
    pools: dict[str, Node] = field(default_factory=dict)  # mM/ms, of concentrations
    parameters: dict[str, float] = field(default_factory=dict)  # that formulas have, and defaults
    reversals: dict[str, str] = field(default_factory=dict)  # ions by variable, such as "ek"
    concentrations: dict[str, str] = field(default_factory=dict)  # "ca_i" by variable "cai"
    defaults: dict[str, float] = field(default_factory=dict)  # of all symbols
    celsius: float = CELSIUS
    pooled: PooledIon | None = None  # the ion whose pool changes
    receives: bool = False  # whether events open it: each adds its weight to every gate

    def told(self) -> str:
        """All that it computes as text, which is the same for the same formulas."""
        nodes = [(n.op, [a.number for a in n.args], n.value) for n in self.graph.nodes()]
        own = {name: _numbered(getattr(self, name)) for name in _COMPUTED}
        return repr((nodes, own))

    @property
    def total(self) -> Node:
        """The sum of all currents, mA/cm2, outward."""
        return self.graph.total(self.currents.values())

    def scheme_states(self) -> list[str]:
        """The states of a scheme, in the order of its transitions."""
        return list(dict.fromkeys(k for pair in self.transitions for k in pair))

    def changes(self) -> dict[str, Node]:
        """The derivatives of all states, 1/ms, gates among them."""
        make = self.graph.make
        gates = {
            g.name: make("-", g.opening, make("*", g.rate, self.graph.symbol(g.name)))
            for g in self.gates
        }
        return gates | self.derivatives

    def guess(self) -> dict[str, float]:
        """What states are taken to be where INITIAL leaves them to a SOLVE: equal shares."""
        states = self.changes()
        return dict.fromkeys(states, 1 / len(states))

    def roots(self) -> list[Node]:
        """All formulas."""
        gates = [node for gate in self.gates for node in (gate.opening, gate.rate)]
        groups = (self.derivatives, self.initial, self.transitions, self.currents, self.pools)
        return gates + [node for group in groups for node in group.values()]


_COMPUTED = (
    *("gates", "derivatives", "initial", "transitions", "currents", "pools", "parameters"),
    *("reversals", "concentrations", "defaults", "celsius", "pooled", "receives"),
)
"""The fields of a mechanism on which its numbers depend."""


def _numbered(value: Any) -> Any:
    """A field with the numbers of nodes in place of nodes, which may be shared."""
    if isinstance(value, Node):
        return value.number
    if isinstance(value, Gate):
        return value.name, value.opening.number, value.rate.number
    if isinstance(value, dict):
        return {k: _numbered(x) for k, x in value.items()}
    return [_numbered(x) for x in value] if isinstance(value, list) else value
