"""The syntax tree of an NMODL file: what was written, with its lines, not what it means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class NmodlError(ValueError):
    """What is wrong in a .mod file, or cannot be done: the file, the line, and what to do."""

    def __init__(self, message: str, line: int = 0, file: str = "") -> None:
        self.message, self.line, self.file = message, line, file
        place = f"{file or 'NMODL'}, line {line}: " if line else f"{file}: " if file else ""
        super().__init__(place + message)


# -- expressions ----------------------------------------------------------------------------------
class Number(NamedTuple):
    """A number as written; its unit, if any, is text."""

    value: float
    line: int
    unit: str = ""


class Variable(NamedTuple):
    """A variable, or an element of an array."""

    name: str
    line: int
    at: Expression | None = None  # its index


class Unary(NamedTuple):
    """ "-" or "!" and what it is applied to."""

    operator: str
    of: Expression
    line: int


class Binary(NamedTuple):
    """Two expressions and the operator between them."""

    operator: str
    left: Expression
    right: Expression
    line: int


class Call(NamedTuple):
    """A call of a FUNCTION, a PROCEDURE or of the C library: an expression or a statement."""

    name: str
    arguments: tuple[Expression, ...]
    line: int


class Text(NamedTuple):
    """A string, as printf takes."""

    value: str
    line: int


Expression = Number | Variable | Unary | Binary | Call | Text


# -- statements -----------------------------------------------------------------------------------
class Assignment(NamedTuple):
    """variable = value."""

    target: Variable
    value: Expression
    line: int


class Derivative(NamedTuple):
    """state' = value."""

    state: str
    value: Expression
    line: int


class If(NamedTuple):
    """IF (condition) { then } ELSE { otherwise }."""

    condition: Expression
    then: Body
    otherwise: Body
    line: int


class While(NamedTuple):
    """WHILE (condition) { body }."""

    condition: Expression
    body: Body
    line: int


class From(NamedTuple):
    """FROM variable = first TO last BY by { body }."""

    variable: str
    first: Expression
    last: Expression
    by: Expression | None
    body: Body
    line: int


class Local(NamedTuple):
    """LOCAL variables, with the length of those that are arrays."""

    names: tuple[tuple[str, int | str | None], ...]
    line: int


class Solve(NamedTuple):
    """SOLVE block, in a step or (STEADYSTATE) for ever."""

    block: str
    steady: bool
    line: int


class Table(NamedTuple):
    """TABLE ... FROM first TO last: where the argument of its function ends."""

    first: Expression
    last: Expression
    line: int


class Conserve(NamedTuple):
    """CONSERVE total = value: what a sum of states always is."""

    total: Expression
    value: Expression
    line: int


class Compartment(NamedTuple):
    """COMPARTMENT volume { states }, or LONGITUDINAL_DIFFUSION of them."""

    volume: Expression
    states: tuple[str, ...]
    diffuses: bool
    counter: str | None  # the index of arrays, in the volume
    line: int


class Reaction(NamedTuple):
    """~ left <-> right (forth, back), ~ left -> right (forth), or ~ left -> (forth)."""

    left: Expression
    right: Expression | None
    forth: Expression
    back: Expression | None
    line: int


class Inflow(NamedTuple):
    """~ state << (rate)."""

    state: Expression
    rate: Expression
    line: int


class Equation(NamedTuple):
    """~ left = right of a LINEAR block."""

    left: Expression
    right: Expression
    line: int


class Verbatim(NamedTuple):
    """C code, which `File.c_code` has by its line."""

    line: int


class Nested(NamedTuple):
    """INITIAL inside NET_RECEIVE."""

    body: Body
    line: int


Statement = (
    Assignment | Derivative | If | While | From | Local | Solve | Conserve | Compartment
    | Reaction | Inflow | Equation | Verbatim | Nested | Table | Call
)  # fmt: skip
Body = tuple[Statement, ...]


# -- blocks ---------------------------------------------------------------------------------------
class Declared(NamedTuple):
    """A variable of PARAMETER, CONSTANT, ASSIGNED or STATE."""

    kind: str
    name: str
    size: int | str | None
    value: float | str | None
    unit: str
    limits: tuple[float, float] | None
    line: int


class Block(NamedTuple):
    """INITIAL, BREAKPOINT, DERIVATIVE, KINETIC ... with their statements."""

    kind: str
    name: str
    body: Body
    line: int


class Function(NamedTuple):
    """A FUNCTION or PROCEDURE."""

    name: str
    arguments: tuple[str, ...]
    body: Body
    line: int


class Received(NamedTuple):
    """NET_RECEIVE: what an event with a weight, and what else a connection has, does."""

    arguments: tuple[str, ...]  # the first is the weight
    unit: str  # of the weight
    body: Body
    line: int


@dataclass
class UsedIon:
    """USEION name READ ... WRITE ... VALENCE."""

    name: str
    line: int
    read: list[str] = field(default_factory=list)
    write: list[str] = field(default_factory=list)
    valence: int | None = None


@dataclass
class File:
    """All of a file."""

    name: str = ""  # of the mechanism
    title: str = ""
    comments: dict[int, str] = field(default_factory=dict)  # by line
    point_process: int = 0  # the line of POINT_PROCESS
    ions: dict[str, UsedIon] = field(default_factory=dict)
    listed: dict[str, dict[str, int]] = field(default_factory=dict)  # RANGE ...: names, lines
    constants: dict[str, float] = field(default_factory=dict)
    declared: dict[str, Declared] = field(default_factory=dict)
    locals: list[Local] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    functions: dict[str, Function] = field(default_factory=dict)
    received: Received | None = None
    tables: dict[str, int] = field(default_factory=dict)  # FUNCTION_TABLE: line
    c_code: dict[int, str] = field(default_factory=dict)  # of VERBATIM, by line
    c_outside: list[int] = field(default_factory=list)  # lines of those that are in no block

    def of_kind(self, *kinds: str) -> list[Block]:
        """The blocks of these kinds, in their order."""
        return [block for block in self.blocks if block.kind in kinds]

    def states(self) -> list[Declared]:
        """What STATE declares."""
        return [d for d in self.declared.values() if d.kind == "STATE"]
