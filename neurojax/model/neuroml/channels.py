"""Ion channels of NeuroML as mechanisms: gates by rates or time courses, kinetic schemes."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from neurojax.model.formulas.graph import Node, symbols
from neurojax.model.formulas.mechanism import CELSIUS, Declared, Gate, Mechanism
from neurojax.model.formulas.rewriting import Safer
from neurojax.model.neuroml.components import Formulas, lineage
from neurojax.model.neuroml.document import Document, child, children, needed, place, tag
from neurojax.model.neuroml.quantities import value_of

KINDS = ("ionChannel", "ionChannelHH", "ionChannelKS", "ionChannelPassive", "ionChannelVShift")
"""Elements that are channels."""

REVERSALS = {"na": 50.0, "k": -77.0, "ca": 120.0}
"""mV: where a channel reverses of which no cell says so; others at -65."""

_GATES = {
    "gateHHrates": "rates", "gateHHtauInf": "tauInf", "gateHHratesTau": "ratesTau",
    "gateHHratesInf": "ratesInf", "gateHHratesTauInf": "ratesTauInf",
    "gateHHInstantaneous": "instantaneous", "gateFractional": "fractional", "gateKS": "scheme",
}  # fmt: skip


def channel_mechanism(document: Document, element: Element, ion: str = "") -> Mechanism:
    """The mechanism of a channel's element. Raises ValueError for what cannot be done."""
    return _Channel(document, element).result(ion)


class _Channel:
    def __init__(self, document: Document, element: Element) -> None:
        self.element, self.formulas = element, Formulas(document)
        self.graph = self.formulas.graph
        self.gates: list[tuple[str, Node, Node]] = []  # name, opening and rate
        self.transitions: dict[tuple[str, str], Node] = {}
        self.schemes = 0

    def result(self, ion: str) -> Mechanism:
        formulas, make = self.formulas, self.graph.make
        kind = self.element.get("type") or tag(self.element)
        if kind not in KINDS:
            raise ValueError(f"{place(self.element)}: no kind of channel {kind!r}")
        shift = value_of(self.element.get("vShift", "0 mV"), f"{place(self.element)} vShift")
        formulas.scope["vShift"] = formulas.parameter("vShift", shift, "voltage")
        g = formulas.parameter("g_bar", 1.0, "none")
        formulas.declared["g_bar"] = Declared("mS/cm2")
        species = ion or (self.element.get("species") or "").lower()
        e_rev = formulas.parameter("E_rev", REVERSALS.get(species, -65.0), "voltage")
        self.e_rev: str = e_rev.value
        product = make("*", self.graph.number(1e-3), g)
        for gate in self.element:
            if tag(gate) == "gate" or tag(gate) in _GATES:
                product = make("*", product, self._gate(gate))
            elif "onductanceScaling" in tag(gate):
                product = make("*", product, formulas.scaling([gate], "g"))
            elif tag(gate) not in ("notes", "annotation", "property"):
                raise ValueError(f"{place(gate)}: cannot be done in a channel")
        current = make("*", product, make("-", formulas.v, e_rev))
        return self._mechanism(current, species if species in REVERSALS else "")

    def _mechanism(self, current: Node, ion: str) -> Mechanism:
        m = Mechanism(needed(self.element, "id"), self.graph)
        notes = child(self.element, "notes")
        m.title = " ".join(((notes.text if notes is not None else "") or "").split())[:200]
        flat = [node for _, opening, rate in self.gates for node in (opening, rate)]
        roots = [current, *flat, *self.transitions.values()]
        current, *rest = Safer(self.graph, self.formulas.defaults).safe(roots)
        values = iter(rest)
        m.gates = [Gate(name, next(values), next(values)) for name, _, _ in self.gates]
        rates = {pair: next(values) for pair in self.transitions}
        if self.schemes == 1 and not m.gates:
            m.transitions = rates
        elif rates:
            self._mass_action(m, rates)
        m.currents = {ion: current}
        m.defaults, m.declared = self.formulas.defaults, self.formulas.declared
        celsius = self.formulas.celsius
        m.celsius = CELSIUS if celsius is None else celsius
        used = symbols(m.roots())
        read = {"caConc": "ca_i", "caConcExt": "ca_o"}
        m.concentrations = {k: name for k, name in read.items() if k in used}
        m.reversals = {self.e_rev: ion} if ion and self.e_rev in used else {}
        m.parameters = {k: x for k, x in m.defaults.items() if k in used - m.reversals.keys()}
        return m

    def _mass_action(self, m: Mechanism, rates: dict[tuple[str, str], Node]) -> None:
        """Schemes beside other gates: by the derivative of each state."""
        make, graph = self.graph.make, self.graph
        for (a, b), rate in rates.items():
            flow = make("*", rate, graph.symbol(a))
            m.derivatives[a] = make("-", m.derivatives.get(a, graph.zero), flow)
            m.derivatives[b] = make("+", m.derivatives.get(b, graph.zero), flow)
        share = graph.number(self.schemes / len(m.derivatives))
        m.initial = dict.fromkeys(m.changes(), share)

    # -- gates ------------------------------------------------------------------------------------
    def _gate(self, gate: Element) -> Node:
        """The open part of a gate to the power of its instances."""
        name, element_kind = needed(gate, "id"), gate.get("type") or tag(gate)
        kind = _GATES.get(element_kind)
        if kind is None and element_kind in self.formulas.document.types:
            kind = self._of_own_type(gate, element_kind)
        if kind is None:
            raise ValueError(f"{place(gate)}: no kind of gate {element_kind!r}")
        where = f"{place(gate)} instances"
        instances = value_of(gate.get("instances", "1"), where)
        if instances < 0 or instances != int(instances):
            raise ValueError(f"{where} = {instances:g}: expected a whole number")
        speed = self.formulas.scaling(children(gate, "q10Settings"), name)
        if kind == "instantaneous":
            open_part = self._of(gate, "steadyState", "x", f"{name}_inf")
        elif kind == "instantaneous rates":
            opening, rate = self._relaxation(gate, "rates", name, self.graph.one)
            open_part = self.graph.make("/", opening, rate)
        elif kind == "fractional":
            open_part = self.graph.total(
                self._sub_gate(part, name, speed) for part in children(gate, "subGate")
            )
        elif kind == "scheme":
            open_part = self._scheme(gate, name, speed)
        else:
            opening, rate = self._relaxation(gate, kind, name, speed)
            self.gates.append((name, opening, rate))
            open_part = self.graph.symbol(name)
        return self.graph.make("pow", open_part, self.graph.number(instances))

    def _of_own_type(self, gate: Element, kind: str) -> str:
        """A gate of a ComponentType: those that follow v at once are known, as files have them."""
        variables: dict[str, str] = {}
        for one in lineage(self.formulas.document, kind):
            for part in (part for inside in children(one, "Dynamics") for part in inside):
                said = part.get("value") or part.get("select") or tag(part)
                variables[part.get("name") or tag(part)] = said.replace(" ", "")
        if variables.get("q") == "inf" and "TimeDerivative" not in variables:
            if variables.get("inf") == "steadyState/x":
                return "instantaneous"
            if variables.get("inf") == "alpha/(alpha+beta)":
                return "instantaneous rates"
        raise ValueError(f"{place(gate)}: a gate with dynamics of its own cannot be done")

    def _of(self, element: Element, part: str, exposure: str, prefix: str, **scope: Node) -> Node:
        found = child(element, part)
        if found is None:
            raise ValueError(f"{place(element)}: <{part}> is missing")
        return self.formulas.output(found, exposure, prefix, scope)

    def _relaxation(self, gate: Element, kind: str, name: str, speed: Node) -> tuple[Node, Node]:
        """Opening and rate, 1/ms."""
        make, scope = self.graph.make, {"rateScale": speed}
        if "rates" in kind:
            scope["alpha"] = self._of(gate, "forwardRate", "r", f"{name}_alpha", **scope)
            scope["beta"] = self._of(gate, "reverseRate", "r", f"{name}_beta", **scope)
            total = make("+", scope["alpha"], scope["beta"])
            if kind == "rates":
                return make("*", speed, scope["alpha"]), make("*", speed, total)
            scope["inf"], rate = make("/", scope["alpha"], total), total
        if kind.endswith("Inf"):
            scope["inf"] = self._of(gate, "steadyState", "x", f"{name}_inf", **scope)
        if "au" in kind:
            tau = self._of(gate, "timeCourse", "t", f"{name}_tau", **scope)
            rate = make("/", self.graph.one, tau)
        rate = make("*", speed, rate)  # pyright: ignore[reportPossiblyUnboundVariable]
        return make("*", scope["inf"], rate), rate

    def _sub_gate(self, part: Element, gate: str, speed: Node) -> Node:
        name = f"{gate}_{needed(part, 'id')}"
        opening, rate = self._relaxation(part, "tauInf", name, speed)
        self.gates.append((name, opening, rate))
        where = f"{place(part)} fractionalConductance"
        share = value_of(needed(part, "fractionalConductance"), where)
        return self.graph.make("*", self.graph.number(share), self.graph.symbol(name))

    # -- schemes ----------------------------------------------------------------------------------
    def _scheme(self, gate: Element, name: str, speed: Node) -> Node:
        """The open part of a kinetic scheme; its rates go into `transitions`."""
        self.schemes += 1
        states = {needed(s, "id"): tag(s) for s in children(gate, "closedState", "openState")}
        if "openState" not in states.values():
            raise ValueError(f"{place(gate)}: has no openState")
        names = {state: f"{name}_{state}" for state in states}
        for element in gate:
            if tag(element).endswith("Transition"):
                self._transition(element, names, name, speed)
        used = {state for pair in self.transitions for state in pair}
        for state in names.values():
            if state not in used:
                raise ValueError(f"{place(gate)}: no transition of the state {state!r}")
        is_open = (names[state] for state, kind in states.items() if kind == "openState")
        return self.graph.total(self.graph.symbol(state) for state in is_open)

    def _transition(self, element: Element, names: dict[str, str], gate: str, speed: Node) -> None:
        ends = [needed(element, key) for key in ("from", "to")]
        for end in ends:
            if end not in names:
                raise ValueError(f"{place(element)}: no state {end!r} (have: {', '.join(names)})")
        a, b = (names[end] for end in ends)
        make, prefix = self.graph.make, f"{gate}_{'_'.join(ends)}"
        zero = self.graph.zero
        match tag(element):
            case "forwardTransition":
                rates = self._of(element, "rate", "r", f"{prefix}_forward", rateScale=speed), zero
            case "reverseTransition":
                rates = zero, self._of(element, "rate", "r", f"{prefix}_reverse", rateScale=speed)
            case "tauInfTransition":
                tau = self._of(element, "timeCourse", "t", f"{prefix}_tau")
                inf = self._of(element, "steadyState", "x", f"{prefix}_inf")
                rates = make("/", inf, tau), make("/", make("-", self.graph.one, inf), tau)
            case "vHalfTransition":
                rates = self._by_charge(element, prefix)
            case kind:
                raise ValueError(f"{place(element)}: no kind of transition {kind!r}")
        for pair, rate in zip(((a, b), (b, a)), rates, strict=True):
            if rate is not zero:
                rate = make("*", speed, rate)
                before = self.transitions.get(pair, zero)
                self.transitions[pair] = make("+", before, rate)

    def _by_charge(self, element: Element, prefix: str) -> tuple[Node, Node]:
        """Rates of a charge z that moves, gamma of it to the barrier, at kT/e = 25.3 mV."""
        make, number = self.graph.make, self.graph.number
        kinds = {"vHalf": "voltage", "z": "none", "gamma": "none", "tau": "time", "tauMin": "time"}
        values = {k: self.formulas.attribute(element, k, prefix, kind) for k, kind in kinds.items()}
        u = make("*", values["z"], make("-", self.formulas.v, values["vHalf"]))
        u = make("/", u, number(25.3))
        forth = make("*", values["gamma"], u)
        back = make("*", make("-", values["gamma"], number(1)), u)
        tau, least = values["tau"], values["tauMin"]

        def rate(exponent: Node) -> Node:
            time = make("*", tau, make("exp", make("neg", exponent)))
            return make("/", number(1), make("+", time, least))

        return rate(forth), rate(back)
