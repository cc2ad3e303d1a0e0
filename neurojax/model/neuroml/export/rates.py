"""Rates, time courses and steady states as NeuroML has them: a standard form, or a ComponentType.

`exp`, `sigmoid` and `exp_linear` of a line in v are HHExp, HHSigmoid and HHExpLinear; a constant
time is a fixedTimeCourse; every other formula is written out in LEMS.
"""

from __future__ import annotations

from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement

from neurojax.model.formulas.graph import Graph, Node, factors, symbols
from neurojax.model.neuroml.export.text import dynamics, number


class Part(NamedTuple):
    """What a gate is made of."""

    standard: str  # the end of the names of its standard forms
    base: str  # the end of the name of the type that its own ones extend
    exposure: str
    unit: str  # of what it exposes
    dimension: str


RATE = Part("Rate", "Rate", "r", "per_ms", "per_time")
STEADY = Part("Variable", "Variable", "x", "", "none")
TIME = Part("", "Time", "t", "ms", "time")

_FORMS = {"exp": "HHExp", "sigmoid": "HHSigmoid", "exp_linear": "HHExpLinear"}


class Read(NamedTuple):
    """Something that a formula reads: its number here, its name and dimension in LEMS, its unit."""

    local: str
    name: str
    dimension: str
    unit: str
    text: str


READ = {
    "v": Read("V", "v", "voltage", "1mV", "V"),
    "caConc": Read("CA", "caConc", "concentration", "1mM", "CA"),
    "celsius": Read("T", "temperature", "temperature", "1K", "(T - 273.15)"),
}


def quantity(value: float, unit: str) -> str:
    """A number with its unit, as "-65 mV"."""
    return f"{number(value)} {unit}".strip()


class Formulas:
    """Writes formulas of one graph; `types` are the ComponentTypes that they needed."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.types: dict[str, Element] = {}

    def written(self, within: Element, tag: str, node: Node, part: Part, name: str) -> None:
        """Put a formula into a gate, as an element; its ComponentType, if any, has the name."""
        element = SubElement(within, tag)
        if part is TIME and node.op == "number":
            element.set("type", "fixedTimeCourse")
            element.set("tau", quantity(node.value, "ms"))
            return
        if part.standard and (found := self._standard(node)) is not None:
            form, rate, midpoint, scale = found
            element.set("type", form + part.standard)
            element.set("rate", quantity(rate, part.unit))
            element.set("midpoint", quantity(midpoint, "mV"))
            element.set("scale", quantity(scale, "mV"))
            return
        element.set("type", name)
        self.types[name] = self._type(node, part, name)

    def _standard(self, node: Node) -> tuple[str, float, float, float] | None:
        """(form, rate, midpoint, scale) of rate f((v - midpoint) / scale)."""
        rate, function = 1.0, None
        if node.op == "neg":
            rate, node = -1.0, node.args[0]
        for factor, power in factors(node):
            if factor.op == "number":
                rate *= factor.value**power
            elif power == 1 and factor.op in _FORMS and function is None:
                function = factor
            else:
                return None
        if function is None or (line := self.graph.affine(function.args[0], "v")) is None:
            return None
        at_0, slope = line
        if not (at_0.op == slope.op == "number") or slope.value == 0:
            return None
        return _FORMS[function.op], rate, -at_0.value / slope.value, 1 / slope.value

    def _type(self, node: Node, part: Part, name: str) -> Element:
        read = {k: one for k, one in READ.items() if k in symbols([node])}
        made, text = dynamics(self.graph, node, {k: one.text for k, one in read.items()})
        concentration = "Conc" if "caConc" in read else ""
        extended = f"baseVoltage{concentration}Dep{part.base}"
        element = Element("ComponentType", {"name": name, "extends": extended})
        for one in read.values():
            _constant(element, one.local, one.dimension, one.unit)
        if part.unit:
            _constant(element, "TIME", "time", "1ms")
        if "celsius" in read:
            SubElement(element, "Requirement", {"name": "temperature", "dimension": "temperature"})
        inside = SubElement(element, "Dynamics")
        for one in read.values():
            _variable(inside, one.local, f"{one.name} / {one.local}_unit")
        for variable, value in made.variables.items():
            _variable(inside, variable, value)
        last = {"per_ms": f"({text}) / TIME_unit", "ms": f"({text}) * TIME_unit", "": text}
        _variable(inside, part.exposure, last[part.unit], part)
        for variable, cases in made.cases.items():
            _cases(inside, variable, cases)
        return element


def _constant(within: Element, name: str, dimension: str, value: str) -> None:
    given = {"name": f"{name}_unit", "dimension": dimension, "value": value}
    SubElement(within, "Constant", given)


def _variable(within: Element, name: str, text: str, part: Part | None = None) -> None:
    attributes = {"name": name, "dimension": part.dimension if part else "none"}
    if part is not None:
        attributes["exposure"] = part.exposure
    SubElement(within, "DerivedVariable", attributes | {"value": text})


def _cases(within: Element, name: str, cases: list[tuple[str, str]]) -> None:
    element = SubElement(within, "ConditionalDerivedVariable", {"name": name, "dimension": "none"})
    for condition, value in cases:
        given = {"condition": condition} if condition else {}
        SubElement(element, "Case", given | {"value": value})
