"""A channel as NeuroML's: gates by their rates or by steady state and time constant, schemes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from neurojax.membrane.channel import Channel, params
from neurojax.membrane.markov import Scheme
from neurojax.membrane.stochastic import Noisy
from neurojax.model.formulas.graph import Graph, Node, factors
from neurojax.model.formulas.tracing import formulas_of
from neurojax.model.neuroml.export.rates import RATE, STEADY, TIME, Formulas
from neurojax.model.neuroml.export.text import number

Held = Mapping[str, float]
"""What a channel reads and a run does not change, by name: numbers."""


def check_conducts(key: str, channel: Channel) -> None:
    """Raise ValueError for a channel whose current NeuroML has not."""
    kind = type(channel)
    name = f"channel {key!r}: a {kind.__name__}"
    if isinstance(channel, Noisy):
        raise ValueError(f"{name} opens by chance, which no channel of NeuroML does")
    if kind.receives:
        raise ValueError(f"{name} is opened by events: NeuroML has synapses in a network")
    if kind.commands or not kind.ionic:
        raise ValueError(f"{name} has inputs of its own ({', '.join(kind.commands)})")
    known = params(channel)
    if kind.current is not Channel.current or not known.keys() >= {"g_bar", "E_rev"}:
        raise ValueError(
            f"{name} carries another current than g_bar times gates times (v - E_rev), which is "
            "all that a channelDensity has"
        )
    plain = Scheme if isinstance(channel, Scheme) else Channel
    if kind.advance is not plain.advance:
        raise ValueError(f"{name} moves its states by a step of its own, not as gates")
    if kind.conductance is not plain.conductance:
        raise ValueError(f"{name} has a conductance of its own, not g_bar times its gates")


def channel_element(
    channel: Channel, name: str, held: Held, celsius: float | None
) -> tuple[Element, dict[str, Element]]:
    """The ionChannel of a channel of one cell, and the ComponentTypes of its rates.

    `held` are the concentrations that do not move; ca_i, where it moves, is caConc. Where there is
    a temperature Q10 and what reads it are written, else the rates are at the channel's own.
    Raises ValueError, which does not name the channel, for what NeuroML has not.
    """
    return _Channel(channel, name, held, celsius).element()


class _Channel:
    def __init__(self, channel: Channel, name: str, held: Held, celsius: float | None) -> None:
        self.channel, self.name, self.celsius = channel, name, celsius
        self.graph = Graph()
        self.formulas = Formulas(self.graph)
        self.held: dict[str, Any] = {}
        self.reads = {"v": self.graph.symbol("v")}
        for read in channel.reads:
            if read in held:
                self.held[read] = held[read]
            elif read == "temperature":
                if celsius is None:
                    self.held[read] = float(channel.celsius_ref)
                else:
                    self.reads[read] = self.graph.symbol("celsius")
            elif read == "ca_i":
                self.reads[read] = self.graph.symbol("caConc")
            else:
                raise ValueError(f"reads {read!r}, which no channel of NeuroML sees")

    def element(self) -> tuple[Element, dict[str, Element]]:
        scheme = isinstance(self.channel, Scheme)
        element = Element("ionChannelKS" if scheme else "ionChannelHH", {"id": self.name})
        element.set("conductance", "10pS")
        if carried := self._ion():
            element.set("species", carried)
        if self.channel.q10_g != 1 and self.celsius is not None:
            if scheme:
                raise ValueError("has a Q10 of its conductance, which no ionChannelKS has")
            SubElement(element, "q10ConductanceScaling", self._q10(self.channel.q10_g))
        if isinstance(self.channel, Scheme):
            self._scheme(element, self.channel)
        else:
            self._gates(element)
        return element, self.formulas.types

    def _ion(self) -> str | None:
        carried = self.channel.carries
        if len(carried) > 1 or any(share != 1 for share in carried.values()):
            raise ValueError(f"carries {' and '.join(carried)}: NeuroML has one ion of a channel")
        return next(iter(carried), None)

    def _q10(self, q10: float) -> dict[str, str]:
        at = f"{number(self.channel.celsius_ref)}degC"
        return {"q10Factor": number(q10), "experimentalTemp": at}

    def _settings(self, gate: Element, name: str) -> None:
        if self.celsius is not None and (q10 := self.channel.q10.get(name, 1.0)) != 1:
            SubElement(gate, "q10Settings", {"type": "q10ExpTemp", **self._q10(q10)})

    def _of(self, f: Any) -> dict[Any, Any]:
        """Formulas of what f gives at v as the channel sees it."""

        def traced(x: Mapping[str, Any]) -> Mapping[Any, Any]:
            rest = {k: value for k, value in x.items() if k != "v"}
            return f(x["v"] - self.channel.v_shift, **rest, **self.held)

        return formulas_of(self.graph, traced, self.reads)

    # -- gates ------------------------------------------------------------------------------------
    def _gates(self, element: Element) -> None:
        at_once = self._of(self.channel.instant)
        moving = self._of(lambda v, **c: dict(self.channel.gating(v, **c)))
        for name, power in self.channel.powers.items():
            if power != int(power) or power < 1:
                raise ValueError(f"{name} to the power of {power}: NeuroML has whole instances")
            gate = SubElement(element, "gate", {"id": name, "instances": str(int(power))})
            if name in at_once:
                gate.set("type", "gateHHInstantaneous")
                self._part(gate, "steadyState", at_once[name], name)
            else:
                self._settings(gate, name)
                self._relaxation(gate, name, moving[name])

    def _relaxation(self, gate: Element, name: str, gating: tuple[Node, Node]) -> None:
        make, graph = self.graph.make, self.graph
        opening, rate = gating
        slower = graph.number(1 / self.channel.speed("", None))  # without a Q10: tau_scale
        beta = make("-", rate, opening)
        if beta.op != "-":  # the rate is a sum of which opening is one part
            gate.set("type", "gateHHrates")
            self._part(gate, "forwardRate", make("/", opening, slower), name)
            self._part(gate, "reverseRate", make("/", beta, slower), name)
            return
        gate.set("type", "gateHHtauInf")
        self._part(gate, "timeCourse", _quotient(graph, slower, rate), name)
        self._part(gate, "steadyState", _quotient(graph, opening, rate), name)

    def _part(self, gate: Element, tag: str, node: Node, name: str) -> None:
        part, called = _PARTS[tag]
        self.formulas.written(gate, tag, node, part, f"{self.name}_{name}_{called}")

    # -- schemes ----------------------------------------------------------------------------------
    def _scheme(self, element: Element, channel: Scheme) -> None:
        if any(weight != 1 for weight in channel.conducting.values()):
            raise ValueError("conducts in part in some states: in NeuroML a state is open or not")
        gate = SubElement(element, "gateKS", {"id": "n", "instances": "1"})
        self._settings(gate, "all")
        for tag, conducts in (("closedState", False), ("openState", True)):
            for state in channel.states:
                if (state in channel.conducting) is conducts:
                    SubElement(gate, tag, {"id": state})
        slower = channel.tau_scale

        def scaled(v: Any, **c: Any) -> dict[Any, Any]:
            return {k: rate / slower for k, rate in channel.transitions(v, **c).items()}

        rates = self._of(scaled)
        for (a, b), rate in rates.items():
            ends = {"id": f"{a}_{b}", "from": a, "to": b}
            step = SubElement(gate, "forwardTransition", ends)
            self.formulas.written(step, "rate", rate, RATE, f"{self.name}_{a}_{b}")


_PARTS = {
    "forwardRate": (RATE, "alpha"), "reverseRate": (RATE, "beta"), "timeCourse": (TIME, "tau"),
    "steadyState": (STEADY, "inf"),
}  # fmt: skip


def _quotient(graph: Graph, above: Node, below: Node) -> Node:
    """above / below without the factors that both have."""
    left = factors(above)
    for node, power in factors(below):
        if (node, power) in left:
            left.remove((node, power))
        else:
            left.append((node, -power))
    return graph.product(sorted(left, key=lambda one: one[1] < 0))


def one_number(name: str, value: Any) -> float:
    """A leaf that is one number. Raises ValueError for a population."""
    array = np.asarray(value)
    if array.size != 1:
        raise ValueError(f"{name} has shape {array.shape}: a NeuroML file holds one cell")
    return float(str(array.reshape(())[()]))  # the shortest that its precision has
