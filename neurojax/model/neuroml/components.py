"""Rates, time courses and other parts of gates as formulas: standard ones, and ComponentTypes."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from neurojax.model.formulas.graph import Graph, Node
from neurojax.model.formulas.mechanism import Declared
from neurojax.model.neuroml.document import Document, children, needed, place, tag
from neurojax.model.neuroml.expressions import node_of
from neurojax.model.neuroml.quantities import COHERENT, value_of
from neurojax.units import nearest

_STANDARD = {
    f"HH{form}{kind}": (form, "per_time" if kind == "Rate" else "none")
    for form in ("Exp", "Sigmoid", "ExpLinear")
    for kind in ("Rate", "Variable")
}
"""Forms of rates and steady states: what they are, and the dimension of `rate`."""


class Formulas:
    """The formulas of one channel: its graph, its parameters and their values."""

    def __init__(self, document: Document) -> None:
        self.document, self.graph = document, Graph()
        self.defaults: dict[str, float] = {}
        self.declared: dict[str, Declared] = {}
        self.celsius: float | None = None
        self.temperature = self.graph.make(
            "+", self.graph.symbol("celsius"), self.graph.number(273.15)
        )
        self.v = self.graph.symbol("v")
        self.scope = {
            "v": self.v, "caConc": self.graph.symbol("caConc"),
            "caConcExt": self.graph.symbol("caConcExt"), "temperature": self.temperature,
        }  # fmt: skip

    def parameter(self, name: str, value: float, dimension: str) -> Node:
        """A parameter of the channel."""
        while name in self.defaults:
            name += "_"
        self.defaults[name] = value
        self.declared[name] = Declared(COHERENT.get(dimension, "1"))
        return self.graph.symbol(name)

    def attribute(self, element: Element, name: str, prefix: str, dimension: str) -> Node:
        """An attribute of an element as a parameter."""
        value = value_of(needed(element, name), f"{place(element)} {name}")
        return self.parameter(f"{prefix}_{name}", value, dimension)

    def output(
        self, element: Element, exposure: str, prefix: str, scope: Mapping[str, Node]
    ) -> Node:
        """What an element exposes: the rate r, the steady state x, the time t ..."""
        kind = element.get("type") or tag(element)
        if kind in _STANDARD:
            return self._standard(element, *_STANDARD[kind], prefix)
        if kind == "fixedTimeCourse":
            return self.attribute(element, "tau", prefix, "time")
        if kind in self.document.types:
            return _Instance(self, element, kind, prefix, {**self.scope, **scope}).exposed(exposure)
        known = [*_STANDARD, "fixedTimeCourse", *self.document.types]
        raise ValueError(f"{place(element)}: no type {kind!r}{nearest(kind, known)}")

    def _standard(self, element: Element, form: str, dimension: str, prefix: str) -> Node:
        make = self.graph.make
        rate = self.attribute(element, "rate", prefix, dimension)
        midpoint = self.attribute(element, "midpoint", prefix, "voltage")
        scale = self.attribute(element, "scale", prefix, "voltage")
        x = make("/", make("-", self.v, midpoint), scale)
        function = {"Exp": "exp", "Sigmoid": "sigmoid", "ExpLinear": "exp_linear"}[form]
        return make("*", rate, make(function, x))

    def scaling(self, elements: list[Element], prefix: str) -> Node:
        """The product of temperature factors: q10Settings, or of the conductance."""
        product = self.graph.one
        for element in elements:
            product = self.graph.make("*", product, self._q10(element, prefix))
        return product

    def _q10(self, element: Element, prefix: str) -> Node:
        kind, make = element.get("type") or tag(element), self.graph.make
        if kind == "q10Fixed":
            where = f"{place(element)} fixedQ10"
            return self.graph.number(value_of(needed(element, "fixedQ10"), where))
        if kind in ("q10ExpTemp", "q10ConductanceScaling"):
            factor = value_of(needed(element, "q10Factor"), f"{place(element)} q10Factor")
            at = value_of(needed(element, "experimentalTemp"), f"{place(element)} experimentalTemp")
            if factor <= 0:
                raise ValueError(f"{place(element)}: q10Factor = {factor:g}, expected above 0")
            if self.celsius is None:
                self.celsius = at - 273.15
            warmer = make("-", self.graph.symbol("celsius"), self.graph.number(at - 273.15))
            base = self.parameter(f"{prefix}_q10", factor, "none")
            tens = make("/", warmer, self.graph.number(10))
            return make("exp", make("*", tens, make("log", base)))
        exposure = "q10" if tag(element) == "q10Settings" else "factor"
        return self.output(element, exposure, prefix, {})


class _Instance:
    """One component of a ComponentType that a file defines."""

    def __init__(
        self, formulas: Formulas, element: Element, kind: str, prefix: str,
        scope: Mapping[str, Node],
    ) -> None:  # fmt: skip
        self.formulas, self.graph, self.kind = formulas, formulas.graph, kind
        self.types = lineage(formulas.document, kind)
        self.known: dict[str, Node | None] = dict(scope)
        self.variables: dict[str, Element] = {}
        self.exposures: dict[str, str] = {}
        for one in self.types:
            for part in one:
                self._declare(part, element, prefix)
            for dynamics in children(one, "Dynamics"):
                for part in dynamics:
                    if tag(part) in ("DerivedVariable", "ConditionalDerivedVariable"):
                        self.variables[needed(part, "name")] = part
                        if (shown := part.get("exposure")) is not None:
                            self.exposures[shown] = needed(part, "name")
                    else:
                        raise ValueError(f"{place(part)}: a state of a {kind} cannot be done")
        for name in self.variables:
            self.known.pop(name, None)

    def _declare(self, part: Element, element: Element, prefix: str) -> None:
        name = part.get("name") or ""
        if tag(part) == "Constant":
            where = f"{place(part)} value"
            self.known[name] = self.graph.number(value_of(needed(part, "value"), where))
        elif tag(part) in ("Parameter", "Property"):
            given = element.get(name) or part.get("defaultValue")
            if given is None:
                raise ValueError(f"{place(element)}: {name} is missing")
            value = value_of(given, f"{place(element)} {name}")
            made = self.formulas.parameter(
                f"{prefix}_{name}", value, part.get("dimension") or "none"
            )
            self.known[name] = made

    def exposed(self, exposure: str) -> Node:
        """The formula of what it exposes."""
        name = self.exposures.get(exposure, exposure)
        if name not in self.variables:
            raise ValueError(f"the ComponentType {self.kind!r} exposes no {exposure!r}")
        return self._variable(name)

    def _variable(self, name: str) -> Node:
        node = self.known.get(name)
        if node is not None:
            return node
        part = self.variables[name]
        if name in self.known:
            raise ValueError(f"{place(part)}: is a formula of itself")
        self.known[name] = None
        if part.get("select") is not None:
            raise ValueError(f"{place(part)}: select cannot be done here")
        if tag(part) == "DerivedVariable":
            node = self._formula(needed(part, "value"), part)
        else:
            node = self._cases(children(part, "Case"), part)
        self.known[name] = node
        return node

    def _cases(self, cases: list[Element], part: Element) -> Node:
        if not cases:
            raise ValueError(f"{place(part)}: has no Case")
        last = cases[-1]  # which holds where no other does
        node = self._formula(needed(last, "value"), last)
        for case in reversed(cases[:-1]):
            condition = case.get("condition")
            value = self._formula(needed(case, "value"), case)
            if condition is None:
                raise ValueError(f"{place(case)}: condition is missing")
            node = self.graph.make("select", self._formula(condition, case), value, node)
        return node

    def _formula(self, text: str, part: Element) -> Node:
        try:
            return node_of(self.graph, text, _Lazy(self))
        except ValueError as error:
            raise ValueError(f"{place(part)}: {error}") from None

    def names(self) -> list[str]:
        """All names that a formula may have."""
        return [*self.variables, *self.known]


class _Lazy(Mapping[str, Node]):
    """Names of a component; a variable's formula is worked out when it is asked for."""

    def __init__(self, instance: _Instance) -> None:
        self.instance = instance

    def __getitem__(self, name: str) -> Node:
        if name in self.instance.variables:
            return self.instance._variable(name)  # pyright: ignore[reportPrivateUsage]
        node = self.instance.known[name]
        if node is None:
            raise KeyError(name)
        return node

    def __iter__(self):
        return iter(dict.fromkeys(self.instance.names()))

    def __len__(self) -> int:
        return len(set(self.instance.names()))

    def __contains__(self, name: object) -> bool:
        return name in self.instance.variables or self.instance.known.get(str(name)) is not None


def lineage(document: Document, kind: str) -> list[Element]:
    """A ComponentType after all those of the file that it extends."""
    found: list[Element] = []
    while kind in document.types:
        element = document.types[kind]
        if element in found or len(found) > 50:
            raise ValueError(f"{place(element)}: extends itself, or through too many others")
        found.append(element)
        kind = element.get("extends") or ""
    return found[::-1]
