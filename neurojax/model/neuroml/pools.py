"""Concentrations inside: the models of NeuroML, and those that a file defines in LEMS."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

import jax
import numpy as np

from neurojax.membrane.channel import Leaf, param, pytree
from neurojax.membrane.ions import Ion, change_of_pool, change_of_relaxed
from neurojax.model.formulas.arrays import NUMPY
from neurojax.model.formulas.graph import Graph, Node, evaluate
from neurojax.model.neuroml.components import lineage
from neurojax.model.neuroml.document import Document, children, needed, place, tag
from neurojax.model.neuroml.expressions import node_of
from neurojax.model.neuroml.quantities import value_of

CALCIUM = 2
"""The valence that the models of NeuroML have."""

_FILLED = float(change_of_pool(1.0, CALCIUM, 1.0))
"""mM/ms of 1 uA/cm2 into a depth of 1 um."""


@pytree
class RestingPool(Ion):
    """An ion whose concentration inside goes back to its `rest`, wherever it began."""

    rest: Leaf = param(1e-4, "mM", 0.0, 1000.0)

    def changes(
        self, name: str, c: dict[str, jax.Array], carried: dict[str, jax.Array], dt: Leaf
    ) -> dict[str, jax.Array]:
        """As of `Ion`: what channels carry, and a decay to rest."""

        def rate(c: jax.Array) -> jax.Array:
            filled = change_of_pool(carried[name], self.valence, self.depth)
            return -filled - (c - self.rest) / self.tau

        inside = f"{name}_i"
        return {inside: change_of_relaxed(rate, c[inside], dt)}


@dataclass
class Pool:
    """How a concentration inside changes: start and rest, mM, its tau, ms, and its depth, um.

    A shell's depth follows from its thickness and the compartment's area.
    """

    start: float
    rest: float
    tau: float
    depth: float = 0.0
    shell: float = 0.0

    def of_area(self, area: Any) -> Any:
        """um, of compartments of an area, um2."""
        if not self.shell:
            return self.depth + 0 * area
        r = np.sqrt(area / (4 * math.pi))
        return (r**3 - (r - self.shell) ** 3) / (3 * r**2)


def pool_of(document: Document, species: Element) -> Pool:
    """The pool of a species. Raises ValueError for a model that cannot be done."""
    model = document.find(needed(species, "concentrationModel"), "concentration model")
    kind = model.get("type") or tag(model)

    def of(name: str) -> float:
        return value_of(needed(model, name), f"{place(model)} {name}")

    start = value_of(needed(species, "initialConcentration"), place(species))
    match kind:
        case "decayingPoolConcentrationModel":
            return Pool(start, of("restingConc"), of("decayConstant"), shell=of("shellThickness"))
        case "fixedFactorConcentrationModel":
            return Pool(start, of("restingConc"), of("decayConstant"), _FILLED / of("rho"))
        case "fixedFactorConcentrationModelTraub":
            return Pool(start, of("restingConc"), 1 / of("beta"), _FILLED / (1e-9 * of("phi")))
        case _ if kind in document.types:
            return _own(document, model, kind, start)
        case "concentrationModelHayEtAl":  # whose type published files leave to others
            rest = of("minCAi" if model.get("minCAi") else "minCai")
            return Pool(start, rest, of("decay"), of("depth") / of("gamma"))
        case _:
            raise ValueError(f"{place(model)}: a {kind} cannot be done")


# -- models that a file defines --------------------------------------------------------------------
_SI = {
    "none": 1.0, "voltage": 1e-3, "time": 1e-3, "per_time": 1e3, "concentration": 1.0,
    "length": 1e-6, "area": 1e-4, "volume": 1e-18, "charge_per_mole": 1.0, "current": 1e-6,
    "per_voltage": 1e3, "rho_factor": 1e5, "charge": 1e-9,
}  # fmt: skip
"""This project's units of LEMS's dimensions, in those of the SI, in which formulas are right."""

_CHANGES = "concentration"


def _own(document: Document, model: Element, kind: str, start: float) -> Pool:
    """The pool of c' = rho i + (rest - c) / tau, i the density of the current into the cell."""
    graph = Graph()
    names = {k: graph.symbol(k) for k in ("iCa", "surfaceArea", _CHANGES)}
    changes: Node | None = None
    for one in lineage(document, kind):
        for part in one:
            if tag(part) in ("Parameter", "Property", "Constant"):
                names[needed(part, "name")] = graph.number(_given(part, model))
        for part in (part for inside in children(one, "Dynamics") for part in inside):
            match tag(part):
                case "DerivedVariable" if part.get("value"):
                    names[needed(part, "name")] = node_of(graph, needed(part, "value"), names)
                case "TimeDerivative" if part.get("variable") == _CHANGES:
                    changes = node_of(graph, needed(part, "value"), names)
                case "StateVariable" if part.get("name") in (_CHANGES, "extConcentration"):
                    pass
                case "OnStart" | "OnCondition":  # a start is the species'; none is below 0 here
                    pass
                case _:
                    raise ValueError(f"{place(part)}: cannot be done in a pool")
    if changes is None:
        raise ValueError(f"{place(model)}: a {kind} has no TimeDerivative of its concentration")

    def rate(c: float, i: float, area: float = 1.0) -> float:
        known = {"iCa": i * area, "surfaceArea": area, _CHANGES: c}
        return float(evaluate([changes], known, NUMPY)[0])

    at_0 = rate(0, 0)
    decay, rho = at_0 - rate(1, 0), rate(0, 1) - at_0
    line = at_0 - 0.3 * decay + 0.2 * rho
    if not (decay > 0 and rho > 0 and math.isclose(rate(0.3, 0.2, 2e-9), line, rel_tol=1e-9)):
        raise ValueError(
            f"{place(model)}: a {kind} is no pool that a current density fills and that decays"
        )
    return Pool(start, at_0 / decay, 1e3 / decay, _FILLED / (1e-5 * rho))


def _given(part: Element, model: Element) -> float:
    """The value of a parameter or constant, in the SI."""
    name, dimension = needed(part, "name"), part.get("dimension") or "none"
    text = part.get("value") or model.get(name) or part.get("defaultValue")
    if text is None:
        raise ValueError(f"{place(model)}: {name} is missing")
    if dimension not in _SI:
        raise ValueError(f"{place(part)}: the dimension {dimension!r} cannot be done in a pool")
    return value_of(text, f"{place(model)} {name}") * _SI[dimension]
