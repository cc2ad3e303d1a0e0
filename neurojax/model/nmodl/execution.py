"""Blocks carried out on symbols: what each variable is, after a block, of what went into it.

FUNCTIONs and PROCEDUREs are inlined, IF becomes a choice between the values of its branches, loops
are unrolled, TABLE is left out: its formulas are computed exactly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from neurojax.model.formulas.graph import Graph, Node, symbols
from neurojax.model.nmodl import library
from neurojax.model.nmodl import syntax as s
from neurojax.model.nmodl.syntax import NmodlError

MOST_STATEMENTS = 8_000
MOST_TURNS = 1_000
DEEPEST_CALL = 15
TABLE_ENDS = 100.0  # mV

Values = dict[str, Node]
"""What variables are, by name; elements of arrays are "name[0]", derivatives "name'"."""

_BINARY = {"+": "+", "-": "-", "*": "*", "/": "/", "<": "<", "<=": "<=", "==": "=="}
_SILENT = {"printf", "fprintf", "prin", "net_event", "at_time"}
_HARMLESS_C = re.compile(
    r"(/\*.*?\*/|//[^\n]*|\breturn\s*(?:0\.?0*\s*)?;|\bf?printf\s*\([^;]*\)\s*;|[:\s]"
    r"|(\w+)\s*=\s*_ion_\2\s*;|#[^\n]*|(?:static|extern)\s[^;{}]*;)*",
    re.DOTALL,
)
_C_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
LONGEST_C = 2_000


class Fixed(Exception):
    """Parameters that say how often a loop runs: they are no parameters then, but numbers."""

    def __init__(self, names: set[str]) -> None:
        self.names = names
        super().__init__(names)


class Flow(NamedTuple):
    """A reaction: from states to states at rates, or into a state."""

    left: tuple[str, ...]
    right: tuple[str, ...]
    forth: Node
    back: Node
    line: int


class Kept(NamedTuple):
    """CONSERVE: states whose sum is always a value."""

    states: tuple[str, ...]
    total: Node
    line: int


class Executor:
    """Carries out the blocks of one file, within bounds."""

    def __init__(self, file: s.File, graph: Graph) -> None:
        self.file, self.graph = file, graph
        self.line = 0
        self.flows: list[Flow] = []
        self.volumes: dict[str, Node] = {}
        self.conserved: list[Kept] = []
        self.equations: list[Node] = []  # of a LINEAR block: what is to be 0
        self.switches: set[str] = set()  # parameters that alone decide an IF
        self.calls_derivatives = False  # whether a DERIVATIVE block may be called, as in INITIAL
        self.read_at: dict[str, int] = {}  # the line in which a variable is read first
        self.frozen: frozenset[str] = frozenset()  # variables that keep their values
        self.on_solve: Callable[[s.Solve, Values], None] = lambda _, __: None
        self._statements = 0
        self._calls: list[str] = []
        self._arrays = {d.name for d in file.declared.values() if d.size is not None}

    def run(self, body: s.Body, values: Values, local: Values | None = None) -> None:
        """Carry out statements on values, which change; `local` ones are its arguments."""
        try:
            self._body(body, values, {} if local is None else local)
        except RecursionError:
            raise NmodlError("nested too deep", self.line) from None
        except NmodlError as error:
            raise error if error.line else NmodlError(error.message, self.line) from None

    # -- statements -------------------------------------------------------------------------------
    def _body(self, body: s.Body, values: Values, local: Values) -> None:
        for place, statement in enumerate(body, 1):
            self._statements += 1
            if self._statements > MOST_STATEMENTS:
                raise NmodlError(f"more than {MOST_STATEMENTS} statements, with loops unrolled")
            self.line = statement.line or self.line
            if isinstance(statement, s.Verbatim):
                self._c_code(statement.line, last=place == len(body))
            else:
                self._statement(statement, values, local)

    def _c_code(self, line: int, *, last: bool) -> None:
        """Pass over C code that does nothing, such as a `return` at the end of a block."""
        code = self.file.c_code.get(line, "")
        returns = not last and re.search(r"\breturn\b", _C_COMMENT.sub("", code))
        if returns or len(code) > LONGEST_C or not _HARMLESS_C.fullmatch(code):
            raise NmodlError("VERBATIM: C code cannot be done; write it in NMODL", line)

    def _statement(self, statement: s.Statement, values: Values, local: Values) -> None:
        match statement:
            case s.Assignment(target, value, _):
                self._assign(self._place(target, values, local), value, values, local)
            case s.Derivative(state, value, _):
                values[state + "'"] = self._expression(value, values, local)
            case s.Call():
                self._expression(statement, values, local)
            case s.If():
                self._if(statement, values, local)
            case s.While():
                self._while(statement, values, local)
            case s.From():
                self._from(statement, values, local)
            case s.Local(names, _):
                for name, size in names:
                    for element in self._elements(name, size):
                        local[element] = self.graph.zero
            case s.Solve():
                self.on_solve(statement, values)
            case s.Reaction() | s.Inflow():
                self._reaction(statement, values, local)
            case s.Compartment():
                self._compartment(statement, values, local)
            case s.Conserve(total, value, line):
                states = self._summed(total, values, local)
                self.conserved.append(Kept(states, self._expression(value, values, local), line))
            case s.Nested() | s.Table() | s.Verbatim():
                pass
            case s.Equation(left, right, _):
                sides = [self._expression(side, values, local) for side in (left, right)]
                self.equations.append(self.graph.make("-", *sides))

    def _assign(self, name: str, value: s.Expression, values: Values, local: Values) -> None:
        node = self._expression(value, values, local)
        if name in local:
            local[name] = node
        elif name not in self.frozen:
            values[name] = node
        if node.args:
            self.graph.hints.setdefault(node, name)

    def _if(self, statement: s.If, values: Values, local: Values) -> None:
        condition = self._expression(statement.condition, values, local)
        if condition.op == "number":
            body = statement.then if condition.value else statement.otherwise
            self._body(body, values, local)
            return
        if (names := symbols([condition])) and all(map(self.is_parameter, names)):
            self.switches |= names
        branches: list[tuple[Values, Values]] = []
        flows = len(self.flows)
        for body in (statement.then, statement.otherwise):
            branch = dict(values), dict(local)
            self._body(body, *branch)
            branches.append(branch)
        if len(self.flows) != flows:
            raise NmodlError("reactions in IF cannot be done", statement.line)
        for k, into in enumerate((values, local)):
            then, otherwise = branches[0][k], branches[1][k]
            for name in then | otherwise:
                a = then.get(name, into.get(name, self.graph.zero))
                b = otherwise.get(name, into.get(name, self.graph.zero))
                into[name] = self.graph.make("select", condition, a, b)

    def _while(self, statement: s.While, values: Values, local: Values) -> None:
        for _ in range(MOST_TURNS):
            going = self._expression(statement.condition, values, local)
            if going.op != "number":
                raise NmodlError("WHILE: how often cannot be known beforehand", statement.line)
            if not going.value:
                return
            self._body(statement.body, values, local)
        raise NmodlError(f"WHILE: more than {MOST_TURNS} turns", statement.line)

    def _from(self, statement: s.From, values: Values, local: Values) -> None:
        ends = [statement.first, statement.last, statement.by or s.Number(1.0, statement.line)]
        first, last, by = (self._static(x, values, local) for x in ends)
        if by == 0 or abs(last - first) > MOST_TURNS * abs(by):
            raise NmodlError(f"FROM: more than {MOST_TURNS} turns", statement.line)
        inner = dict(local)
        k = first
        while (k <= last) if by > 0 else (k >= last):
            inner[statement.variable] = self.graph.number(k)
            self._body(statement.body, values, inner)
            k += by
        local.update({name: node for name, node in inner.items() if name in local})

    # -- reactions ---------------------------------------------------------------------------------
    def _reaction(self, r: s.Reaction | s.Inflow, values: Values, local: Values) -> None:
        zero = self.graph.zero
        if isinstance(r, s.Inflow):
            into = self._species(r.state, values, local)
            rate = self._expression(r.rate, values, local)
            self.flows.append(Flow((), into, rate, zero, r.line))
            return
        left = self._species(r.left, values, local)
        right = self._species(r.right, values, local) if r.right is not None else ()
        forth = self._expression(r.forth, values, local)
        back = zero if r.back is None else self._expression(r.back, values, local)
        self.flows.append(Flow(left, right, forth, back, r.line))
        # f_flux and b_flux, which a statement may read next
        values["f_flux"] = self._product(forth, left, values)
        values["b_flux"] = self._product(back, right, values)

    def _product(self, rate: Node, species: tuple[str, ...], values: Values) -> Node:
        for name in species:
            rate = self.graph.make("*", rate, values.get(name, self.graph.symbol(name)))
        return rate

    def _species(self, side: s.Expression, values: Values, local: Values) -> tuple[str, ...]:
        match side:
            case s.Variable():
                name = self._place(side, values, local)
                if name not in values:
                    raise NmodlError(f"{name!r} is no state that can react", side.line)
                return (name,)
            case s.Binary("+", left, right, _):
                return (*self._species(left, values, local), *self._species(right, values, local))
            case s.Binary("*", s.Number(n), of, _) if n in (1, 2, 3, 4):
                return int(n) * self._species(of, values, local)
            case _:
                raise NmodlError("expected states on both sides of a reaction", side.line)

    def _summed(self, total: s.Expression, values: Values, local: Values) -> tuple[str, ...]:
        """The states of a sum; none of another expression."""
        try:
            return self._species(total, values, local)
        except NmodlError:
            return ()

    def _compartment(self, statement: s.Compartment, values: Values, local: Values) -> None:
        if statement.diffuses:
            raise NmodlError("LONGITUDINAL_DIFFUSION cannot be done", statement.line)
        if statement.counter is None:
            volume = self._expression(statement.volume, values, local)
            for name in statement.states:
                for element in self._elements(name, self._size(name)):
                    self.volumes[element] = volume
            return
        for name in statement.states:
            for k, element in enumerate(self._elements(name, self._size(name))):
                inner = local | {statement.counter: self.graph.number(k)}
                self.volumes[element] = self._expression(statement.volume, values, inner)

    # -- expressions -------------------------------------------------------------------------------
    def _expression(self, e: s.Expression, values: Values, local: Values) -> Node:
        make = self.graph.make
        match e:
            case s.Number(value):
                return self.graph.number(value)
            case s.Variable():
                return self._read(e, values, local)
            case s.Unary("-", of, _):
                return make("neg", self._expression(of, values, local))
            case s.Unary(_, of, _):
                return make("not", self._expression(of, values, local))
            case s.Binary():
                return self._binary(e, values, local)
            case s.Call():
                return self._call(e, values, local)
            case s.Text():
                raise NmodlError("text where a number is expected", e.line)

    def _binary(self, e: s.Binary, values: Values, local: Values) -> Node:
        make = self.graph.make
        a = self._expression(e.left, values, local)
        b = self._expression(e.right, values, local)
        match e.operator:
            case "^":
                return make("pow", a, b)
            case "&&":
                return make("and", a, b)
            case "||":
                return make("or", a, b)
            case "!=":
                return make("not", make("==", a, b))
            case ">":
                return make("<", b, a)
            case ">=":
                return make("<=", b, a)
            case operator:
                return make(_BINARY[operator], a, b)

    def _read(self, e: s.Variable, values: Values, local: Values) -> Node:
        name = self._place(e, values, local)
        if name in local:
            return local[name]
        if name in values:
            self.read_at.setdefault(name, e.line)
            return values[name]
        raise NmodlError(f"{name!r} is declared nowhere", e.line)

    def _place(self, e: s.Variable, values: Values, local: Values) -> str:
        if e.at is None:
            if f"{e.name}[0]" in local or (e.name not in local and f"{e.name}[0]" in values):
                return f"{e.name}[0]"  # as C takes an array without its index
            return e.name
        index = self._static(e.at, values, local)
        name = f"{e.name}[{int(index)}]"
        if name not in local and name not in values:
            raise NmodlError(f"{name!r}: no such element of an array", e.line)
        return name

    def _static(self, e: s.Expression, values: Values, local: Values) -> float:
        node = self._expression(e, values, local)
        if node.op == "number":
            return node.value
        names = symbols([node])
        if all(map(self.is_parameter, names)):
            raise Fixed(names)
        raise NmodlError("an index or a bound of a loop must be a number", e.line)

    def is_parameter(self, name: str) -> bool:
        """Whether a symbol is a PARAMETER, and none of what NEURON sets."""
        declared = self.file.declared.get(name)
        of_ions = (n for ion in self.file.ions.values() for n in ion.read + ion.write)
        others = {"v", "t", "dt", "celsius", "diam", "area", *of_ions}
        return declared is not None and declared.kind == "PARAMETER" and name not in others

    def _size(self, name: str) -> int | str | None:
        declared = self.file.declared.get(name)
        return declared.size if declared else None

    def _elements(self, name: str, size: int | str | None) -> list[str]:
        return elements(name, size, self.file.constants)

    def _call(self, e: s.Call, values: Values, local: Values) -> Node:
        function = self.file.functions.get(e.name)
        if function is not None:
            return self._inline(function, e, values, local)
        if e.name in _SILENT:
            return self.graph.zero
        if self.calls_derivatives and self._derivatives(e.name, values):
            return self.graph.zero
        if e.name == "net_send":
            raise NmodlError("net_send(): a synapse cannot send itself events", e.line)
        if e.name in self.file.tables:
            raise NmodlError(
                f"{e.name}: FUNCTION_TABLE has its data elsewhere; write a FUNCTION", e.line
            )
        args = [self._expression(a, values, local) for a in e.arguments]
        if e.name == "state_discontinuity" and isinstance(e.arguments[0], s.Variable):
            values[self._place(e.arguments[0], values, local)] = args[1]
            return self.graph.zero
        return library.computed(self.graph, e.name, args, e.line)

    def _derivatives(self, name: str, values: Values) -> bool:
        """Carry out a DERIVATIVE block for what it assigns, the derivatives left alone."""
        block = next((b for b in self.file.of_kind("DERIVATIVE") if b.name == name), None)
        if block is None:
            return False
        inner = dict(values)
        self._body(block.body, inner, {})
        values.update({k: x for k, x in inner.items() if not k.endswith("'")})
        return True

    def _inline(self, f: s.Function, e: s.Call, values: Values, local: Values) -> Node:
        if f.name in self._calls or len(self._calls) >= DEEPEST_CALL:
            raise NmodlError(f"{f.name}: calls itself, or calls go too deep", e.line)
        # C takes a call with too few arguments, and one with too many.
        if len(e.arguments) < len(f.arguments):
            raise NmodlError(f"{f.name}() takes {len(f.arguments)} arguments", e.line)
        given = [self._expression(a, values, local) for a in e.arguments]
        inner = {f.name: self.graph.zero} | dict(zip(f.arguments, given, strict=False))
        self._end_at_table(f, values, inner)
        line = self.line
        self._calls.append(f.name)
        self._body(f.body, values, inner)
        self._calls.pop()
        self.line = line
        return inner[f.name]

    def _end_at_table(self, f: s.Function, values: Values, inner: Values) -> None:
        """Beyond a TABLE's ends NEURON takes what is at the end: where these are within 100 mV."""
        table = next((x for x in f.body if isinstance(x, s.Table)), None)
        if table is None or len(f.arguments) != 1:
            return
        ends = [self._expression(end, values, inner) for end in (table.first, table.last)]
        if all(end.op == "number" for end in ends):
            low, high = (end.value for end in ends)
            if low <= -TABLE_ENDS and high >= TABLE_ENDS:
                return
        (name,) = f.arguments
        inner[name] = self.graph.make("clip", inner[name], *ends)


def elements(name: str, size: int | str | None, constants: Mapping[str, float]) -> list[str]:
    """A variable, or the elements of an array. Raises NmodlError for a size that is none."""
    if size is None:
        return [name]
    n = constants.get(size) if isinstance(size, str) else size
    if n is None or not 0 < n <= MOST_TURNS:
        raise NmodlError(f"{name}[{size}]: expected a size from 1 to {MOST_TURNS}")
    return [f"{name}[{k}]" for k in range(int(n))]
