"""Densities that vary in a segment group with the path distance from the root."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from neurojax.membrane.cable import Cable
from neurojax.model.formulas.arrays import NUMPY
from neurojax.model.formulas.graph import Graph, Node, evaluate
from neurojax.model.neuroml.document import child, children, needed, place
from neurojax.model.neuroml.expressions import node_of
from neurojax.model.neuroml.quantities import value_of

_S_PER_M2 = 0.1
"""mS/cm2: formulas of densities are in units of the SI."""


@dataclass(frozen=True)
class Profile:
    """A density as a formula of the distance p, um."""

    formula: Node
    variable: str
    from_nearest: bool  # p is 0 where the group begins
    at_farthest: float | None  # what p is made to be where the group ends

    def density(self, cell: Cable, there: np.ndarray) -> np.ndarray:
        """mS/cm2 in each compartment, where it is there. Raises ValueError where it is below 0."""
        n = len(cell.parents)
        length = np.broadcast_to(np.asarray(cell.length, float), (n,))
        p = cell.paths(origin=0) + length[0] / 2
        if self.from_nearest:
            p = p - (p - length / 2)[there].min()
        if self.at_farthest is not None:
            p = p * self.at_farthest / (p + length / 2)[there].max()
        (values,) = evaluate([self.formula], {self.variable: p[there]}, NUMPY)
        found = np.zeros(n)
        found[there] = _S_PER_M2 * np.asarray(values, float)
        return found


def profile_of(morphology: Element, varies: Element) -> Profile:
    """The profile of a <variableParameter>. Raises ValueError for what cannot be done."""
    if needed(varies, "parameter") != "condDensity":
        raise ValueError(f"{place(varies)}: only condDensity may vary")
    value = child(varies, "inhomogeneousValue")
    if value is None:
        raise ValueError(f"{place(varies)}: <inhomogeneousValue> is missing")
    name, group = needed(value, "inhomogeneousParameter"), needed(varies, "segmentGroup")
    groups = [g for g in children(morphology, "segmentGroup") if g.get("id") == group]
    known = [p for g in groups for p in children(g, "inhomogeneousParameter")]
    found = next((p for p in known if p.get("id") == name), None)
    if found is None:
        raise ValueError(f"{place(value)}: no inhomogeneousParameter {name!r} of {group!r}")
    if needed(found, "metric") != "Path Length from root":
        raise ValueError(f"{place(found)}: a metric other than the path length cannot be done")
    graph, variable = Graph(), needed(found, "variable")
    formula = node_of(graph, needed(value, "value"), {variable: graph.symbol(variable)})
    end = child(found, "distal")
    at = None if end is None else value_of(needed(end, "normalizationEnd"), place(end))
    return Profile(formula, variable, child(found, "proximal") is not None, at)
