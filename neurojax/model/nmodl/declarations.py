"""What the variables of a file are before anything is computed: symbols, numbers and defaults."""

from __future__ import annotations

from collections.abc import Iterator

from neurojax.model.formulas.graph import Graph, Node
from neurojax.model.formulas.mechanism import CELSIUS
from neurojax.model.nmodl import syntax as s
from neurojax.model.nmodl.execution import Values, elements
from neurojax.model.nmodl.syntax import NmodlError

REVERSALS = {"na": 50.0, "k": -77.0, "ca": 132.4579}
"""mV, NEURON's for ions whose reversal potential no file sets."""

VALENCES = {"na": 1, "k": 1, "ca": 2, "cl": -1, "mg": 2, "zn": 2, "h": 1, "hco3": -1}
"""Of ions whose valence a file need not say."""

CONCENTRATIONS = {
    "nai": 10.0, "nao": 140.0, "ki": 54.4, "ko": 2.5, "cai": 5e-5, "cao": 2.0,
}  # fmt: skip
"""mM, NEURON's where no file sets them."""


OF_THE_SECTION = {"diam": 500.0, "area": 100.0}
"""um, um2: what NEURON knows of a compartment, whatever a file says that they are."""


class Declarations:
    """The declared variables of one file.

    Parameters that are `fixed`, as loops depend on them, are numbers.
    """

    def __init__(self, file: s.File, graph: Graph, fixed: frozenset[str]) -> None:
        self.file, self.graph, self.fixed = file, graph, fixed
        self.defaults: dict[str, float] = {}  # of symbols
        self.reversals: dict[str, str] = {}  # ions by variable, such as "ek"
        self.concentrations: dict[str, str] = {}  # "ca_i" by variable "cai"
        self.pooled: dict[str, str] = {}  # those that the file changes
        self.assigned = set(_assigned(file))
        self.written: dict[str, str] = {}  # ions by the current that the file writes, "ik"
        for ion in file.ions.values():
            self._declare_ion(ion)
        self.states = [
            name
            for d in file.declared.values()
            if d.kind == "STATE" and (d.name not in self.concentrations or d.name in self.pooled)
            for name in elements(d.name, d.size, file.constants)
        ]
        self.beginning = self._beginning()

    def may_change(self, name: str) -> bool:
        """Whether a variable is one that blocks assign, a parameter perhaps: no constant, no state.

        NEURON's own (v, celsius, what ions have) are never.
        """
        base = name.partition("[")[0]
        declared = self.file.declared.get(base)
        if declared is not None and declared.kind == "PARAMETER":
            own = {"v", "t", "dt", "celsius", *self.reversals, *self.concentrations}
            return base in self.assigned and base not in own
        fixed = name in self.file.constants or (declared and declared.kind != "ASSIGNED")
        return self.beginning[name].op != "symbol" and not fixed

    def line(self, name: str) -> int:
        """Where a variable is declared, else 0."""
        declared = self.file.declared.get(name.partition("[")[0])
        return declared.line if declared else 0

    def _declare_ion(self, ion: s.UsedIon) -> None:
        for name in ion.read + ion.write:
            if name == f"e{ion.name}":
                self.reversals[name] = ion.name
            elif name in (f"{ion.name}i", f"{ion.name}o"):
                self.concentrations[name] = f"{ion.name}_{name[-1]}"
        for name in ion.write:
            if name == f"i{ion.name}":
                self.written[name] = ion.name
            elif name in self.concentrations:
                self.pooled[name] = self.concentrations[name]
            else:
                raise NmodlError(
                    f"USEION {ion.name} WRITE {name}: a channel cannot set it; the cell has it",
                    ion.line,
                )

    def _beginning(self) -> Values:
        """All variables before INITIAL."""
        number, constants = self.graph.number, self.file.constants
        values: Values = {name: number(x) for name, x in constants.items()}
        for d in self.file.declared.values():
            outside = d.kind == "ASSIGNED" and d.name not in self.assigned  # a user sets it
            for name in elements(d.name, d.size, constants):
                if (d.kind == "PARAMETER" or outside) and name not in self.fixed:
                    values[name] = self._symbol(name, self._value(d))
                else:
                    known = d.kind in ("PARAMETER", "CONSTANT")
                    values[name] = number(self._value(d) if known else 0.0)
        for local in self.file.locals:
            for name, size in local.names:
                values |= dict.fromkeys(elements(name, size, constants), self.graph.zero)
        values |= {"t": self.graph.symbol("t"), "dt": self.graph.symbol("dt")}
        values["v"] = self._symbol("v", -65.0)
        for name, usual in OF_THE_SECTION.items():
            if name not in self.assigned:
                values[name] = self._symbol(name, usual)
        values["celsius"] = self._symbol("celsius", self._said("celsius") or CELSIUS)
        self._declare_ion_symbols(values)
        for name in self.states:
            values[name] = self._symbol(name, 0.3)
        return values

    def _declare_ion_symbols(self, values: Values) -> None:
        for name, ion in self.reversals.items():
            values[name] = self._symbol(name, self._said(name) or REVERSALS.get(ion, 0.0))
        for name in self.concentrations:
            values[name] = self._symbol(name, self._said(name) or CONCENTRATIONS.get(name, 1.0))
        for ion in self.file.ions.values():
            if f"i{ion.name}" in ion.read:
                values[f"i{ion.name}"] = self._symbol(f"i{ion.name}", 0.0)

    def _symbol(self, name: str, default: float) -> Node:
        self.defaults[name] = default
        return self.graph.symbol(name)

    def _said(self, name: str) -> float:
        """What a file says that a variable is, which is NEURON's to know; 0 where it does not."""
        declared = self.file.declared.get(name)
        return self._value(declared) if declared else 0.0

    def _value(self, declared: s.Declared) -> float:
        value = declared.value
        if isinstance(value, str):
            value = self.file.constants.get(value)
            if value is None:
                raise NmodlError(f"{declared.name} = {declared.value}: no number", declared.line)
        return value or 0.0


def _assigned(file: s.File) -> Iterator[str]:
    """The variables that statements of a file assign."""
    bodies = [block.body for block in file.blocks] + [f.body for f in file.functions.values()]
    while bodies:
        for statement in bodies.pop():
            match statement:
                case s.Assignment(target, _, _):
                    yield target.name
                case s.If(_, then, otherwise, _):
                    bodies += [then, otherwise]
                case s.While(_, body, _) | s.From(_, _, _, _, body, _) | s.Nested(body, _):
                    bodies.append(body)
                case _:
                    pass
