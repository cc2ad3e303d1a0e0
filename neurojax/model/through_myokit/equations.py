"""The equations of a Myokit model as a mechanism: states, parameters and the membrane's current."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from neurojax.model.formulas.form import Form, divisors, field_name, field_of
from neurojax.model.formulas.graph import FormulaError, Graph, Node, factors, symbols
from neurojax.model.formulas.mechanism import Declared, Mechanism
from neurojax.model.formulas.rewriting import Safer
from neurojax.model.through_myokit.expressions import node_of
from neurojax.model.through_myokit.reading import MyokitError, Read
from neurojax.model.through_myokit.units import coherent_unit, conversion, unit_of

PACE = "pace"
"""The input that a model's own stimulus follows."""

_POTENTIALS = {"v", "vm", "v_m", "e_m", "em", "u"}
"""How a membrane potential without a unit may be named."""

LARGEST_CELL = 0.1
"""uF: no cell has more, so more than that is what a cm2 has."""

_CONSTANTS = {"f": (96485.0, 96.485, 96485e3), "r": (8.314, 8314.0, 8.314e-3)}
"""Faraday's constant and that of gases, which are no parameters, in units that models have."""


@dataclass
class Equations:
    """A membrane model as this project needs it."""

    mechanism: Mechanism
    form: Form
    v: float  # mV, where it begins
    C_m: float  # uF/cm2
    area: float  # cm2
    per_ms: float  # the model's units of time in 1 ms
    remarks: list[str] = field(default_factory=list)


def equations(read: Read, file: str) -> Equations:
    """The equations of a model. Raises MyokitError for one that is no membrane."""
    try:
        return _Equations(read, file).result()
    except (FormulaError, ValueError) as error:
        said = str(error).removeprefix(f"{file}: ")
        raise MyokitError(f"{file}: {said}") from None


class _Equations:
    def __init__(self, read: Read, file: str) -> None:
        self.model, self.file, self.remarks = read.model, file, list(read.remarks)
        self.graph = Graph()
        self.nodes: dict[Any, Node] = {}  # by variable, the right hand side
        self.symbol: dict[Any, Node] = {}  # of a state, in the model's unit
        self.defaults: dict[str, float] = {}
        self.declared: dict[str, Declared] = {}

    def result(self) -> Equations:
        v = self._potential()
        per_ms, per_mV = self._time(), self._voltage(v)
        begun = self._states(v, per_mV)
        self._right_hand_sides()
        make, number = self.graph.make, self.graph.number
        changes: dict[str, Node] = {}
        for state, (name, scale) in begun.items():
            changes[name] = make("*", number(per_ms * scale), self.nodes[state])
        v_changes = make("*", number(per_ms * per_mV), self.nodes[v])
        C_m, area, v_changes = self._capacitance(v_changes, list(changes.values()))
        nodes = Safer(self.graph, self.defaults).safe([v_changes, *changes.values()])
        v_changes, changes = nodes[0], dict(zip(changes, nodes[1:], strict=True))
        m = Mechanism(self._name(), self.graph, self._title())
        m.derivatives = changes
        m.initial = {name: number(self.defaults[name]) for name, _ in begun.values()}
        m.currents = {"": make("*", number(-1e-3), v_changes)}
        m.defaults, m.declared = self.defaults, self.declared
        self._check(m)
        return Equations(m, self._form(m), self.begins, C_m, area, per_ms, self.remarks)

    # -- the potential and the time --------------------------------------------------------------
    def _potential(self) -> Any:
        from myokit.lib import guess

        v = self.model.label("membrane_potential")
        if v is None:
            v = guess.membrane_potential(self.model)
            if v is None or not self._is_potential(v):
                raise MyokitError(
                    "no membrane potential: label it, as `label membrane_potential` under its "
                    "equation"
                )
            self.remarks.append(f"the membrane potential is taken to be {v.qname()}")
        if not v.is_state():
            raise MyokitError(
                f"the membrane potential {v.qname()} has no equation dot({v.name()}) = ...: a "
                "clamp, or a formula of charges, cannot be done"
            )
        return v

    def _is_potential(self, v: Any) -> bool:
        unit = v.unit()
        if unit is None or conversion(unit, "mV") is None:
            return unit is None and v.name().lower() in _POTENTIALS
        return True

    def _time(self) -> float:
        """How many of the model's unit of time are in 1 ms."""
        time = self.model.time()
        if time is None:
            raise MyokitError("no time: bind it, as `time = 0 bind time`")
        ms = conversion(time.unit(), "ms")
        if ms is None:
            self.remarks.append("the time has no unit: taken to be ms")
            return 1.0
        return 1 / ms

    def _voltage(self, v: Any) -> float:
        """How many mV one of the model's unit of voltage is."""
        mV = conversion(v.unit(), "mV")
        if mV is None:
            self.remarks.append(f"{v.qname()} has no unit of a voltage: taken to be mV")
            return 1.0
        return mV

    # -- variables --------------------------------------------------------------------------------
    def _states(self, v: Any, per_mV: float) -> dict[Any, tuple[str, float]]:
        """Names of the states beside v, and how many of our unit one of the model's is."""
        make, number = self.graph.make, self.graph.number
        begun: dict[Any, tuple[str, float]] = {}
        start = self.model.initial_values(as_floats=True)
        self.begins = per_mV * start[v.index()]
        self.symbol[v] = make("*", number(1 / per_mV), self.graph.symbol("v"))
        for state, value in zip(self.model.states(), start, strict=True):
            if state is v:
                continue
            _, scale = coherent_unit(state.unit(), "")
            name = self._new(field_name(state.qname()))
            begun[state] = name, scale
            self.defaults[name] = value * scale
            self.symbol[state] = make("*", number(1 / scale), self.graph.symbol(name))
        return begun

    def _new(self, name: str) -> str:
        while name in self.defaults or name == "v":
            name += "_"
        return name

    def _right_hand_sides(self) -> None:
        """Every variable as a formula of states and parameters, in the model's units."""
        exponents = self._exponents()
        for _, assignments in self.model.solvable_order().items():
            for equation in assignments:
                variable = equation.lhs.var()
                try:
                    self.nodes[variable] = self._right(variable, exponents)
                except ValueError as error:
                    raise MyokitError(f"{variable.qname()}: {error}") from None

    def _right(self, variable: Any, exponents: set[Any]) -> Node:
        if variable.binding() == PACE:
            self.defaults[PACE] = 0.0
            return self.graph.symbol(PACE)
        if variable.binding() == "time":
            return self.graph.symbol("t")
        if variable.is_literal() and not variable.is_state():
            value = variable.rhs().eval()
            fixed = variable.binding() or variable in exponents or _is_constant(variable, value)
            return self.graph.number(value) if fixed else self._parameter(variable, value)
        return node_of(self.graph, variable.rhs(), self._named)

    def _named(self, name: Any) -> Node:
        variable = name.var()
        if type(name).__name__ == "Name" and variable.is_state():
            return self.symbol[variable]
        return self.nodes[variable]

    def _exponents(self) -> set[Any]:
        """Whole numbers that are an exponent somewhere: they are no parameters."""
        import myokit

        found: set[Any] = set()
        for variable in self.model.variables(deep=True):
            for power in variable.rhs().walk(myokit.Power):
                second = power[1]
                if isinstance(second, myokit.Name) and second.var().is_literal():
                    value = second.var().rhs().eval()
                    found |= {second.var()} if value == int(value) else set()
        return found

    def _parameter(self, variable: Any, value: float) -> Node:
        name = self._new(field_name(variable.qname()))
        unit, scale = coherent_unit(unit_of(variable), variable.name())
        self.defaults[name] = value * scale
        text = " ".join((variable.meta.get("desc") or "").split())
        self.declared[name] = Declared(unit, None, text if len(text) < 80 else "")
        scaled = self.graph.number(1 / scale)
        return self.graph.make("*", scaled, self.graph.symbol(name))

    # -- the membrane -----------------------------------------------------------------------------
    def _capacitance(self, v_changes: Node, others: Iterable[Node]) -> tuple[float, float, Node]:
        """(uF/cm2, cm2, minus the current density in uA/cm2).

        A capacitance per area is the cell's `C_m`, and no parameter of the channel where the sum of
        currents is divided by it; one of the whole cell makes the area, at 1 uF/cm2; else currents
        are per uF, at 1 uF/cm2.
        """
        from myokit.lib import guess

        found = guess.membrane_capacitance(self.model)
        unit = found.unit() if found is not None else None
        if found is None or not found.is_literal():
            self.remarks.append("no capacitance: currents are taken per uF, at 1 uF/cm2")
            return 1.0, 1.0, v_changes
        value, name = found.rhs().eval(), field_name(found.qname())
        whole, of = conversion(unit, "uF"), f"{found.qname()} = {value:g} {unit or ''}".strip()
        if whole is not None and 0 < value * whole < LARGEST_CELL:
            self.remarks.append(f"the area is such that {of} is 1 uF/cm2")
            return 1.0, value * whole, v_changes
        C_m = value * (conversion(unit, "uF/cm2") or whole or 1.0)
        if not 0.3 <= C_m <= 50:
            self.remarks.append(f"{of} is no usual capacitance: currents are per uF, at 1 uF/cm2")
            return 1.0, 1.0, v_changes
        if conversion(unit, "uF/cm2") is None:
            self.remarks.append(f"{of} is taken to be {C_m:g} uF/cm2")
        rest, divided = _without(self.graph, v_changes, self.graph.symbol(name))
        if divided and name not in symbols([rest, *others]):
            scale = self.graph.number(C_m / self.defaults[name])
            return C_m, 1.0, self.graph.make("*", scale, rest)
        return C_m, 1.0, self.graph.make("*", self.graph.number(C_m), v_changes)

    def _check(self, m: Mechanism) -> None:
        used = symbols(m.roots())
        if "t" in used:
            names = [variable.qname() for variable in self.model.time().refs_by()]
            raise MyokitError(
                f"a formula of the time ({', '.join(names)}) cannot be done: bind `pace` for a "
                "stimulus"
            )
        if "v" not in symbols([m.total]):
            raise MyokitError("no current follows the potential: is this a membrane?")

    def _form(self, m: Mechanism) -> Form:
        used = symbols(m.roots())
        m.parameters = {k: self.defaults[k] for k in self.declared if k in used}
        form = Form(powers=dict.fromkeys(m.derivatives, 1))
        below = divisors(m)
        form.fields = [field_of(m, name, below) for name in m.parameters]
        if PACE in used:
            form.reads, m.concentrations = (PACE,), {PACE: PACE}
        return form

    def _name(self) -> str:
        return re.sub(r"\W+", "_", self.model.name() or "Membrane").strip("_") or "Membrane"

    def _title(self) -> str:
        return " ".join((self.model.name() or "").split())


def _is_constant(variable: Any, value: float) -> bool:
    """Whether it is Faraday's constant, or that of gases."""
    known = _CONSTANTS.get(variable.name().lower(), ())
    return any(abs(value / x - 1) < 2e-3 for x in known)


def _without(graph: Graph, node: Node, divisor: Node) -> tuple[Node, bool]:
    """A product without what divides it, and whether it was there."""
    sign = node.op == "neg"
    parts = factors(node.args[0] if sign else node)
    for k, (part, power) in enumerate(parts):
        if part is divisor and power == -1:
            rest = graph.product([*parts[:k], *parts[k + 1 :]])
            return (graph.make("neg", rest) if sign else rest), True
    return node, False
