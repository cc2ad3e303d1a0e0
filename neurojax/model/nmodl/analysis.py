"""What an NMODL file means, found by carrying out its blocks on symbols.

The order of things is NEURON's: INITIAL once, then in each step BREAKPOINT, whose SOLVE moves the
states. What a step leaves in an ASSIGNED variable for the next is taken from the same step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from neurojax.model.formulas.graph import Graph, Node, factors, ordered, symbols
from neurojax.model.formulas.mechanism import Declared, Gate, Mechanism, PooledIon
from neurojax.model.formulas.rewriting import Safer
from neurojax.model.nmodl import events, kinetics, linear, states
from neurojax.model.nmodl import syntax as s
from neurojax.model.nmodl.declarations import (
    CONCENTRATIONS,
    OF_THE_SECTION,
    VALENCES,
    Declarations,
)
from neurojax.model.nmodl.execution import Executor, Fixed, Flow, Values
from neurojax.model.nmodl.states import Formulas
from neurojax.model.nmodl.syntax import NmodlError
from neurojax.model.nmodl.unit_names import known_unit


def analyse(file: s.File) -> Mechanism:
    """What a file means. Raises NmodlError for what cannot be done, with its line."""
    _refuse(file)
    fixed: frozenset[str] = frozenset()
    refused: NmodlError | None = None
    for _ in range(10):
        analysis = _Analysis(file, fixed)
        try:
            return analysis.result()
        except Fixed as found:
            fixed |= found.names
        except NmodlError as error:
            # Perhaps only in a branch that is off: its switches are numbers then.
            switches = analysis.executor.switches - fixed
            if refused is not None or not switches:
                raise refused or error from None
            refused, fixed = error, fixed | switches
    raise NmodlError("loops depend on too many parameters")


class _Analysis:
    def __init__(self, file: s.File, fixed: frozenset[str]) -> None:
        self.file, self.graph = file, Graph()
        self.declared = Declarations(file, self.graph, fixed)
        self.states, self.defaults = self.declared.states, self.declared.defaults
        if file.received is not None:
            self.defaults[events.WEIGHT] = events.DEFAULT
        self.begun: Values = {}  # concentrations when INITIAL has ended
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
        received = self.file.received
        events_set = events.increments(self.executor, start, received) if received else {}
        known = self._from_step_to_step(carried, settled, last, events_set)
        return self._mechanism(settled, moved, updated, last, known, events_set)

    def _initial(self, begin: Values) -> Values:
        values = dict(begin)
        self.executor.on_solve = lambda _, __: None
        self.executor.calls_derivatives = True
        for block in self.file.of_kind("INITIAL"):
            self.executor.run(block.body, values)
        self.executor.calls_derivatives = False
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
                if block.kind == "NONLINEAR":
                    raise NmodlError(
                        f"SOLVE {block.name}: a NONLINEAR block cannot be done; write a KINETIC or "
                        "DERIVATIVE block",
                        solve.line,
                    )
                if solve.steady:
                    raise NmodlError(
                        f"SOLVE {block.name} STEADYSTATE in BREAKPOINT cannot be done; SOLVE it "
                        "with a METHOD",
                        solve.line,
                    )
                before = len(self.executor.flows)
                self.executor.equations.clear()
                self.executor.run(block.body, values)
                if block.kind == "LINEAR":
                    values |= linear.solved(
                        self.graph, self.executor.equations, self.states, self.defaults, block.line
                    )
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

    def _from_step_to_step(
        self, carried: Values, settled: Values, last: Values, by_events: Values
    ) -> dict[str, Node]:
        """What a variable is when a step begins: as INITIAL or as the same step leaves it.

        What INITIAL sets alone, of what changes, is only known when it is begun: "!name".
        """
        known: dict[str, Node] = {}
        changing = {"v", "t", *self.states, *(f"i{ion}" for ion in self.file.ions)}
        changing |= {k for k in self.declared.concentrations if k.endswith("i")}
        for name, symbol in carried.items():
            node = last.get(name, symbol)
            if node is symbol:
                node = settled[name]
                begun = bool(symbols([node]) & changing) or name in by_events
                node = self.graph.symbol("!" + name) if begun else node
            known[symbol.value] = node
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
        by_events: Mapping[str, Node],
    ) -> Mechanism:
        m = _named(self.file, self.graph)
        changes = {k: moved[k + "'"] for k in self.states if k + "'" in moved}
        stepped = {k: x for k, x in updated.items() if k not in changes and k in symbols([x])}
        held = {k: settled[k] for k in self.states if k not in changes and k not in updated}
        groups = (
            changes,
            stepped,
            {k: settled[k] for k in [*changes, *stepped]},
            self._densities(last),
            {k: x for k, x in by_events.items() if k in self.states},
        )
        known = {**known, **held}
        self._put(m, Formulas(*self._finished(groups, known)), last, known)
        self._check(m)
        self._describe(m)
        return m

    def _densities(self, last: Values) -> Values:
        """The currents that the file sets, outward, mA/cm2: those of a point, nA, by the area."""
        inward = self.file.listed.get("ELECTRODE", {})
        named = [*self.declared.written, *self.file.listed.get("NONSPECIFIC", {}), *inward]
        found = {name: last[name] for name in named if name in last}
        make = self.graph.make
        if self.file.point_process:
            per_area = make("/", self.graph.number(100.0), self.graph.symbol("area"))
            found = {k: make("*", i, per_area) for k, i in found.items()}
        return {k: make("neg", i) if k in inward else i for k, i in found.items()}

    def _put(self, m: Mechanism, f: Formulas, last: Values, known: Mapping[str, Node]) -> None:
        """Formulas into the mechanism: currents, and states by what they are."""
        graph = self.graph
        currents = {f"i{ion}" for ion in self.file.ions}
        pooled = self.declared.pooled
        self.begun = {k: f.initial[k] for k in f.initial}
        f = states.named_as_pools(graph, f, last, pooled)
        results = set(pooled) | f.events.keys()
        changing = {"t", "dt", "diam", *currents, *f.changes}
        idle = states.without_use(graph, f, results, changing)
        f = f.without(idle)
        flows = [flow for flow in self.kinetic if not {*flow.left, *flow.right} <= idle]
        rates = kinetics.scheme(graph, flows, set(f.changes))
        (rates,) = self._finished([rates], known)
        is_scheme = bool(rates) and not self.executor.volumes.keys() & f.changes.keys()
        if is_scheme and self._is_scheme(rates, f.initial):
            m.transitions = rates
        else:
            f = states.by_their_sums(graph, f, self.executor.conserved)
        for name, node in f.currents.items():
            if node.is_number(0):  # it is there that NEURON may run the BREAKPOINT
                continue
            ion = self.declared.written.get(name, "")
            m.currents[ion] = graph.make("+", m.currents.get(ion, graph.zero), node)
        self._sort(m, f.changes, f.stepped, f.initial)
        if self.file.received is not None:
            by = {
                k: events.opened_by(graph, k, x, set(self.states), self.file.received.line)
                for k, x in f.events.items()
            }
            events.open_by_events(m, by, self.file.received)

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
        names = {*changes, *stepped}
        for name, node in stepped.items():
            m.gates.append(self._stepped_gate(name, node, names - {name}))
        for name, node in changes.items():
            line = self.graph.affine(node, name)
            if name in self.declared.pooled:
                m.pools[self.declared.pooled[name]] = node
            elif line is not None and not symbols(line) & names:
                m.gates.append(Gate(name, line[0], self.graph.make("neg", line[1])))
            else:
                m.derivatives[name] = node
        m.begun = {g.name: initial[g.name] for g in m.gates if g.name in initial}
        if m.derivatives:
            m.initial = {k: initial[k] for k in m.changes()}

    def _stepped_gate(self, name: str, node: Node, others: set[str]) -> Gate:
        """The gate of a step that is written out, switched on by parameters that are 1."""
        try:
            return kinetics.stepped_gate(self.graph, name, node, others, self.declared.line(name))
        except NmodlError:
            line = self.graph.affine(node, name)
            on = {f.value for f, _ in factors(line[1]) if f.op == "symbol"} if line else set[str]()
            on = {k for k in on if self.executor.is_parameter(k) and self.defaults[k] == 1}
            if not on:
                raise
            raise Fixed(on) from None

    def _is_scheme(self, rates: kinetics.Rates, initial: Values) -> bool:
        """Whether a scheme has one steady state, and begins as parts of 1."""
        if not kinetics.is_connected(rates):
            return False
        total = self.graph.total(initial.values())
        if symbols([total]) & set(self.states):  # begun by a SOLVE
            for kept in self.executor.conserved:
                if not kept.total.is_number(1):
                    raise NmodlError("CONSERVE: expected parts that add up to 1", kept.line)
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
            if name.startswith("!"):
                raise NmodlError(
                    f"{name[1:]!r} keeps what INITIAL or an event makes it, of what changes in "
                    "time: compute it in BREAKPOINT, or make it a PARAMETER",
                    line(name[1:]),
                )
            if name in ("t", "dt"):
                point = self.file.point_process
                more = "; use an electrode or a synapse of neurojax" if point else ""
                raise NmodlError(f"a formula of {name} cannot be done{more}", line(name))
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
        if not m.pools and not m.currents and self.declared.pooled:
            (name, *_) = self.declared.pooled
            raise NmodlError(f"writes {name}, which is no STATE with a derivative", line(name))
        if not m.pools and not m.currents:
            raise NmodlError("no current: nothing for a channel to do")

    def _check_pool(self, m: Mechanism, line: Callable[[str], int]) -> None:
        """Of a pool: its concentration, the current of its ion and parameters are all it has."""
        (changed,) = m.pools
        concentrations = {k for k, n in self.declared.concentrations.items() if n != changed}
        currents = {f"i{ion}" for ion in self.file.ions} - {f"i{changed.partition('_')[0]}"}
        unknown = {"v", "celsius", "area", "diam", *concentrations, *currents}
        for name in sorted(unknown & symbols(m.roots())):
            raise NmodlError(f"a formula of {name} cannot be done in a pool", line(name))
        ion = self.file.ions[changed.partition("_")[0]]
        valence = ion.valence or VALENCES.get(ion.name, 0)
        if valence == 0:
            raise NmodlError(f"USEION {ion.name}: which VALENCE has it?", ion.line)
        inside, outside = (CONCENTRATIONS.get(ion.name + side, 1.0) for side in "io")
        begun = self.begun.get(ion.name + "i")
        if begun is not None and not symbols([begun]) & {*self.declared.concentrations}:
            value = float(Safer(self.graph, self.defaults).values(begun, [-65.0])[0])
            inside = value if 0 < value < 1e3 else inside
        m.pooled = PooledIon(valence, inside, outside)

    def _describe(self, m: Mechanism) -> None:
        used, declared = symbols(m.roots()), self.declared
        m.defaults = declared.defaults
        m.celsius = declared.defaults["celsius"]
        m.reversals = {k: ion for k, ion in declared.reversals.items() if k in used}
        m.concentrations = {k: n for k, n in declared.concentrations.items() if k in used}
        carried = {f"i{ion}" for ion in self.file.ions}
        section = {*OF_THE_SECTION} - self.declared.assigned
        others = {"v", "celsius", *section, *carried, *self.states, *m.reversals}
        others |= m.concentrations.keys()
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
    for name, line in file.listed.get("POINTER", {}).items():
        raise NmodlError(f"POINTER {name}: other mechanisms cannot be reached", line)
    if file.received and not file.point_process:
        raise NmodlError("NET_RECEIVE: only a POINT_PROCESS has events", file.received.line)
    for block in file.of_kind("DISCRETE"):
        raise NmodlError(f"a {block.kind} block cannot be done", block.line)


def _carried(node: Node) -> bool:
    return any(name.startswith("@") for name in symbols([node]))
