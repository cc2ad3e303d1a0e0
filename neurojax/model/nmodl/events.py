"""NET_RECEIVE: what an event does to the states of a synapse, which is then a receiving channel."""

from __future__ import annotations

from neurojax.model.formulas.form import WEIGHT
from neurojax.model.formulas.graph import Graph, Node, symbols
from neurojax.model.formulas.mechanism import Mechanism
from neurojax.model.nmodl import syntax as s
from neurojax.model.nmodl.execution import Executor, Values
from neurojax.model.nmodl.syntax import NmodlError
from neurojax.model.nmodl.unit_names import known_unit

DEFAULT = 1e-3
"""uS, of an event of weight 1."""


def increments(executor: Executor, start: Values, received: s.Received) -> dict[str, Node]:
    """By how much an event changes each variable: states by a multiple of `WEIGHT`.

    Raises NmodlError for what depends on the time, or on what a connection keeps.
    """
    graph, line = executor.graph, received.line
    values = dict(start)
    local: Values = {name: graph.symbol("#" + name) for name in received.arguments}
    if received.arguments:
        local[received.arguments[0]] = graph.symbol(WEIGHT)
    executor.run(received.body, values, local | {"flag": graph.zero})
    changed = {k: x for k, x in values.items() if x is not start.get(k) and not k.endswith("'")}
    for name, node in changed.items():
        used = {k for k in symbols([node]) if k.startswith("#")} - {WEIGHT}
        if used:
            raise NmodlError(
                f"NET_RECEIVE: {name} depends on {min(used)[1:]}, which each connection keeps for "
                "itself: only the weight can be",
                line,
            )
        if symbols([node]) & {"t", "dt", "v"}:
            raise NmodlError(f"NET_RECEIVE: {name} depends on t or v: only on the weight", line)
    return changed


def opened_by(graph: Graph, name: str, new: Node, states: set[str], line: int) -> Node:
    """The k of a state that is x + k weight after an event. Raises NmodlError for another one."""
    after = graph.affine(new, WEIGHT)
    own = after is not None and after[0] is graph.symbol(name)
    if after is None or not own or symbols([after[1]]) & states:
        raise NmodlError(
            f"NET_RECEIVE: {name} after an event is not {name} + k weight: synapses that saturate "
            "or that have plasticity cannot be done",
            line,
        )
    return after[1]


def open_by_events(m: Mechanism, by: dict[str, Node], received: s.Received) -> None:
    """Make the mechanism one that receives events: each adds its weight to every state.

    The states are in units of what an event adds to them: they decay on their own, so that this
    changes nothing but their scale. A weight that is a conductance is `g_max` times a number.
    """
    graph, line = m.graph, received.line
    others = [*m.derivatives, *m.scheme_states()]
    others += [g.name for g in m.gates if not g.opening.is_number(0) or g.name not in by]
    if others or not m.gates:
        which = f"{others[0]} is none" if others else "it has none"
        raise NmodlError(
            f"NET_RECEIVE: expected states that events open and that decay, x' = -x/tau: {which}",
            line,
        )
    unit = known_unit(received.unit) or ""
    scale = graph.symbol(WEIGHT) if unit in ("uS", "nS", "pS", "mS", "S") else graph.one
    in_units = {k: graph.make("*", graph.make("*", by[k], scale), graph.symbol(k)) for k in by}
    m.currents = dict(zip(m.currents, graph.replaced(m.currents.values(), in_units), strict=True))
    m.receives = True
