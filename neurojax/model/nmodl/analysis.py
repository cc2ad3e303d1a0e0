"""What an NMODL file means, found by carrying out its blocks on symbols.

The order of things is NEURON's: INITIAL once, then in each step BREAKPOINT, whose SOLVE moves the
states. What a step leaves in an ASSIGNED variable for the next is taken from the same step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from neurojax.model.formulas.graph import Graph, Node, ordered, symbols
from neurojax.model.formulas.mechanism import Declared, Gate, Mechanism, PooledIon
from neurojax.model.formulas.rewriting import Safer
from neurojax.model.nmodl import kinetics
from neurojax.model.nmodl import syntax as s
from neurojax.model.nmodl.declarations import CONCENTRATIONS, VALENCES, Declarations
from neurojax.model.nmodl.execution import Executor, Fixed, Flow, Values
from neurojax.model.nmodl.syntax import NmodlError
from neurojax.model.nmodl.unit_names import known_unit


def analyse(file: s.File) -> Mechanism:
    """What a file means. Raises NmodlError for what cannot be done, with its line."""
    _refuse(file)
    fixed: frozenset[str] = frozenset()
    for _ in range(10):
        try:
            return _Analysis(file, fixed).result()
        except Fixed as found:
            fixed |= found.names
    raise NmodlError("loops depend on too many parameters")


class _Analysis:
    def __init__(self, file: s.File, fixed: frozenset[str]) -> None:
        self.file, self.graph = file, Graph()
        self.declared = Declarations(file, self.graph, fixed)
        self.states = self.declared.states
        self.executor = Executor(file, self.graph)
        self.solved: list[s.Solve] = []
        self.kinetic: list[Flow] = []

    # -- the order of things ----------------------------------------------------------------------
    def result(self) -> Mechanism:
        begin = self.declared.beginning
        settled = self._initial(begin)
        carried = {k: self.graph.symbol("@" + k) for k in begin if self.declared.may_change(k)}
        start = begin | carried
        first = dict(start)
        self._breakpoint(first, solve=False)
        moved, updated = self._solved(start, first)
        last = self._currents(moved, updated)
        known = self._from_step_to_step(carried, settled, last)
        return self._mechanism(settled, moved, updated, last, known)

    def _initial(self, begin: Values) -> Values:
        values = dict(begin)
        self.executor.on_solve = lambda _, __: None
        for block in self.file.of_kind("INITIAL"):
            self.executor.run(block.body, values)
        return values

    def _breakpoint(self, values: Values, *, solve: bool) -> None:
        self.executor.on_solve = self._note if solve else lambda _, __: None
        for block in self.file.of_kind("BREAKPOINT"):
            self.executor.run(block.body, values)

    def _note(self, solve: s.Solve, values: Values) -> None:
        del values
        if solve not in self.solved:
            self.solved.append(solve)

    def _solved(self, start: Values, first: Values) -> tuple[Values, dict[str, Node]]:
        """The values after the states' block, and the new values of states that it steps itself."""
        self._breakpoint(dict(start), solve=True)
        values = dict(first)
        for solve in self.solved:
            values["v"] = start["v"]
            self._solve(solve, values)
        symbol = {k: self.graph.symbol(k) for k in self.states}
        updated = {k: values[k] for k in self.states if values[k] is not symbol[k]}
        values |= symbol
        values["v"] = start["v"]
        return values, updated

    def _solve(self, solve: s.Solve, values: Values) -> None:
        for block in self.file.blocks:
            if block.name == solve.block:
                if block.kind in ("LINEAR", "NONLINEAR"):
                    raise NmodlError(
                        f"SOLVE {block.name}: a {block.kind} block cannot be done in a step; "
                        "write a KINETIC or DERIVATIVE block",
                        solve.line,
                    )
                if solve.steady:
                    raise NmodlError(
                        f"SOLVE {block.name} STEADYSTATE in BREAKPOINT cannot be done; SOLVE it "
                        "with a METHOD",
                        solve.line,
                    )
                before = len(self.executor.flows)
                self.executor.run(block.body, values)
                self._react(self.executor.flows[before:], values)
                return
        procedure = self.file.functions.get(solve.block)
        if procedure is None:
            raise NmodlError(f"SOLVE {solve.block}: there is no such block", solve.line)
        self.executor.run(procedure.body, values)

    def _react(self, flows: list[Flow], values: Values) -> None:
        self.kinetic += flows
        for name, change in kinetics.mass_action(self.graph, flows, values).items():
            if name in self.states:
                volume = self.executor.volumes.get(name, self.graph.one)
                values[name + "'"] = self.graph.make("/", change, volume)

    def _currents(self, moved: Values, updated: dict[str, Node]) -> Values:
        """The values after BREAKPOINT, with the states as the step has left them."""
        values = dict(moved)
        instant = {k: x for k, x in updated.items() if k not in symbols([x])}
        values |= instant
        self.executor.frozen = frozenset(updated.keys() - instant.keys())
        self._breakpoint(values, solve=False)
        self.executor.frozen = frozenset()
        return values

    def _from_step_to_step(self, carried: Values, settled: Values, last: Values) -> dict[str, Node]:
        """What a variable is when a step begins: as INITIAL or as the same step leaves it."""
        known: dict[str, Node] = {}
        for name, symbol in carried.items():
            node = last.get(name, symbol)
            known[symbol.value] = settled[name] if node is symbol else node
        for _ in range(6):
            if not any(_carried(node) for node in known.values()):
                break
            names, nodes = list(known), list(known.values())
            known = dict(zip(names, self.graph.replaced(nodes, known), strict=True))
        return known

    # -- what comes out ----------------------------------------------------------------------------
    def _mechanism(
        self,
        settled: Values,
        moved: Values,
        updated: Values,
        last: Values,
        known: Mapping[str, Node],
    ) -> Mechanism:
        m = _named(self.file, self.graph)
        changes = {k: moved[k + "'"] for k in self.states if k + "'" in moved}
        stepped = {k: x for k, x in updated.items() if k not in changes and k in symbols([x])}
        held = {k: settled[k] for k in self.states if k not in changes and k not in updated}
        named = [*self.declared.written, *self.file.listed.get("NONSPECIFIC", {})]
        rates = kinetics.scheme(self.graph, self.kinetic, set(changes))
        groups = (
            changes,
            stepped,
            {k: settled[k] for k in changes | stepped},
            {name: last[name] for name in named if name in last},
        )
        *groups, rates = self._finished([*groups, rates], {**known, **held})
        changes, stepped, initial, currents = groups
        for name, node in currents.items():
            ion = self.declared.written.get(name, "")
            m.currents[ion] = self.graph.make("+", m.currents.get(ion, self.graph.zero), node)
        self._sort(m, changes, stepped, initial)
        if rates and not self.executor.volumes and self._is_scheme(rates, initial):
            m.transitions = rates
        self._check(m)
        self._describe(m)
        return m

    def _finished(
        self, groups: Sequence[Mapping[Any, Node]], known: Mapping[str, Node]
    ) -> list[Any]:
        """Groups of formulas with what is known put in, and made safe."""
        nodes = [node for group in groups for node in group.values()]
        nodes = self.graph.replaced(nodes, known)
        rest = iter(Safer(self.graph, self.declared.defaults).safe(nodes))
        return [{k: next(rest) for k in group} for group in groups]

    def _sort(self, m: Mechanism, changes: Values, stepped: Values, initial: Values) -> None:
        """States into gates, pools and others."""
        states = set(self.states)
        for name, node in stepped.items():
            line = self.declared.line(name)
            gate = kinetics.stepped_gate(self.graph, name, node, states - {name}, line)
            m.gates.append(gate)
        for name, node in changes.items():
            line = self.graph.affine(node, name)
            if name in self.declared.pooled:
                m.pools[self.declared.pooled[name]] = node
            elif line is not None and not symbols(line) & states:
                m.gates.append(Gate(name, line[0], self.graph.make("neg", line[1])))
            else:
                m.derivatives[name] = node
        if m.derivatives:
            m.initial = {k: initial[k] for k in m.changes()}

    def _is_scheme(self, rates: kinetics.Rates, initial: Values) -> bool:
        """Whether a scheme has one steady state, and begins as parts of 1."""
        if not kinetics.is_connected(rates):
            return False
        total = self.graph.total(initial.values())
        if symbols([total]) & set(self.states):  # begun by a SOLVE
            for conserved, line in self.executor.conserved:
                if not conserved.is_number(1):
                    raise NmodlError("CONSERVE: expected parts that add up to 1", line)
            return True
        value = Safer(self.graph, self.declared.defaults).values(total, [-65.0])
        return bool(abs(value[0] - 1) < 1e-6)

    def _check(self, m: Mechanism) -> None:

        def line(name: str) -> int:
            return self.executor.read_at.get(name) or self.declared.line(name)

        for name in sorted(symbols(m.roots())):
            if name.startswith("@"):
                raise NmodlError(
                    f"{name[1:]!r} keeps its value from step to step, and is no STATE: make it one",
                    line(name[1:]),
                )
            if name in ("t", "dt"):
                raise NmodlError(f"a formula of {name} cannot be done", line(name))
            if name == "diam":
                raise NmodlError(
                    "a formula of diam cannot be done: write it as a PARAMETER", line(name)
                )
        if any(n.op == "/" and n.args[1].is_number(0) for n in ordered(m.roots())):
            raise NmodlError("a division by 0: is a variable used before it is set?")
        read = {f"i{ion}" for ion in self.file.ions} & symbols(m.roots())
        if read and m.currents:
            (name, *_) = sorted(read)
            if name in self.declared.written:
                raise NmodlError(f"{name} is never set", line(name))
            raise NmodlError(
                f"a formula of {name}, which other channels carry, cannot be done", line(name)
            )
        for name, changed in self.declared.pooled.items():
            if changed in m.pools and not changed.endswith("_i"):
                raise NmodlError(
                    f"writes {name}: only a concentration inside can change", line(name)
                )
        if m.pools and m.currents:
            raise NmodlError("writes currents and a concentration: split it into two files")
        if len(m.pools) > 1 or (m.pools and (m.gates or m.derivatives)):
            raise NmodlError("pools with other states cannot be done")
        if m.pools:
            self._check_pool(m, line)
        if not m.pools and not m.currents:
            raise NmodlError("no current: nothing for a channel to do")

    def _check_pool(self, m: Mechanism, line: Callable[[str], int]) -> None:
        """Of a pool: its concentration, the current of its ion and parameters are all it has."""
        (changed,) = m.pools
        concentrations = {k for k, n in self.declared.concentrations.items() if n != changed}
        currents = {f"i{ion}" for ion in self.file.ions} - {f"i{changed.partition('_')[0]}"}
        unknown = {"v", "celsius", "area", *concentrations, *currents}
        for name in sorted(unknown & symbols(m.roots())):
            raise NmodlError(f"a formula of {name} cannot be done in a pool", line(name))
        ion = self.file.ions[changed.partition("_")[0]]
        valence = ion.valence or VALENCES.get(ion.name, 0)
        if valence == 0:
            raise NmodlError(f"USEION {ion.name}: which VALENCE has it?", ion.line)
        inside, outside = (CONCENTRATIONS.get(ion.name + side, 1.0) for side in "io")
        m.pooled = PooledIon(valence, inside, outside)

    def _describe(self, m: Mechanism) -> None:
        used, declared = symbols(m.roots()), self.declared
        m.defaults = declared.defaults
        m.celsius = declared.defaults["celsius"]
        m.reversals = {k: ion for k, ion in declared.reversals.items() if k in used}
        m.concentrations = {k: n for k, n in declared.concentrations.items() if k in used}
        carried = {f"i{ion}" for ion in self.file.ions}
        others = {"v", "celsius", "area", *carried, *self.states, *m.reversals, *m.concentrations}
        m.parameters = {k: declared.defaults.get(k, 0.0) for k in sorted(used - others)}


def _named(file: s.File, graph: Graph) -> Mechanism:
    """A mechanism without formulas: its name, and what the file says beside them."""
    comments = [comment for _, comment in sorted(file.comments.items())]
    m = Mechanism(file.name, graph, file.title, comments)
    for name, d in file.declared.items():
        comment = file.comments.get(d.line, "")
        comment = re.sub(r"\s+", " ", comment) if len(comment) < 80 else ""
        m.declared[name] = Declared(known_unit(d.unit), d.limits, comment)
    return m


def _refuse(file: s.File) -> None:
    for line in file.listed.get("ELECTRODE", {}).values():
        raise NmodlError("ELECTRODE_CURRENT: use an electrode of neurojax", line)
    for name, line in file.listed.get("POINTER", {}).items():
        raise NmodlError(f"POINTER {name}: other mechanisms cannot be reached", line)
    if file.point_process:
        raise NmodlError(
            "POINT_PROCESS cannot be done: use a synapse or an electrode of neurojax, or SUFFIX "
            "and a current density",
            file.point_process,
        )
    for block in file.of_kind("DISCRETE", "NET_RECEIVE"):
        raise NmodlError(f"a {block.kind} block cannot be done", block.line)


def _carried(node: Node) -> bool:
    return any(name.startswith("@") for name in symbols([node]))
