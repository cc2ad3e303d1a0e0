"""What lark finds by the grammar, made into the syntax tree while it parses: no recursion."""

from __future__ import annotations

from typing import Any

from lark import Token, Transformer

from neurojax.model.nmodl import syntax as s
from neurojax.model.nmodl.syntax import NmodlError
from neurojax.model.nmodl.unit_names import constant

LARGEST = 1e100
"""A number that a file may have."""


class Builder(Transformer[Any, Any]):
    """One method for each rule of the grammar; it gets what the parts of the rule have become."""

    # -- expressions ------------------------------------------------------------------------------
    def number(self, parts: list[Any]) -> s.Number:
        return s.Number(_float(parts[0]), parts[0].line, _bare(parts[1:]))

    def variable(self, parts: list[Any]) -> s.Variable:
        return s.Variable(str(parts[0]), parts[0].line, *parts[1:])

    def called(self, parts: list[Any]) -> s.Call:
        return s.Call(str(parts[0]), tuple(parts[1:]), parts[0].line)

    def text(self, parts: list[Any]) -> s.Text:
        return s.Text(str(parts[0]), parts[0].line)

    def unary(self, parts: list[Any]) -> s.Expression:
        operator, of = parts
        return of if operator == "+" else s.Unary(str(operator), of, operator.line)

    def binary(self, parts: list[Any]) -> s.Binary:
        left, operator, right = parts
        return s.Binary(str(operator), left, right, operator.line)

    # -- statements -------------------------------------------------------------------------------
    def body(self, parts: list[Any]) -> s.Body:
        flat: list[Any] = []
        for part in parts:
            if type(part) is tuple:  # a body within a body
                flat.extend(part)
            elif part is not None:
                flat.append(part)
        return tuple(flat)

    def assigned(self, parts: list[Any]) -> s.Assignment:
        return s.Assignment(parts[0], parts[1], parts[0].line)

    def prime(self, parts: list[Any]) -> s.Derivative:
        return s.Derivative(parts[0].rstrip("'").rstrip(), parts[1], parts[0].line)

    def condition(self, parts: list[Any]) -> s.If:
        condition, then, *rest = parts
        otherwise = rest[0] if rest else ()
        if isinstance(otherwise, s.If):
            otherwise = (otherwise,)
        return s.If(condition, then, otherwise, condition.line)

    def loop(self, parts: list[Any]) -> s.While:
        return s.While(parts[0], parts[1], parts[0].line)

    def counted(self, parts: list[Any]) -> s.From:
        variable, first, last, *by, body = parts
        step = by[0] if by else None
        return s.From(str(variable), first, last, step, body, variable.line)

    def local(self, parts: list[Any]) -> s.Local:
        return s.Local(tuple(name for name, _ in parts), parts[0][1])

    def local_name(self, parts: list[Any]) -> tuple[tuple[str, int | str | None], int]:
        sizes = [p for p in parts[1:] if not isinstance(p, Token)]
        return (str(parts[0]), sizes[0][0] if sizes else None), parts[0].line

    def solve(self, parts: list[Any]) -> s.Solve:
        return s.Solve(str(parts[0]), "steady" in parts[1:], parts[0].line)

    def steady(self, parts: list[Any]) -> str:
        return "steady"

    def table(self, parts: list[Any]) -> s.Table | None:
        bounds = [p for p in parts if not isinstance(p, list)]
        return s.Table(bounds[0], bounds[1], bounds[0].line) if bounds else None

    def conserve(self, parts: list[Any]) -> s.Conserve:
        return s.Conserve(parts[0], parts[1], parts[0].line)

    def compartment(self, parts: list[Any]) -> s.Compartment:
        kind, *index, volume, names = parts
        number = str(index[0]) if index else None
        states = tuple(str(name) for name in names)
        return s.Compartment(volume, states, kind.type == "DIFFUSION", number, kind.line)

    def reaction(self, parts: list[Any]) -> s.Reaction:
        left, right, rates = parts[0], parts[2], parts[3:]
        arrow, line = str(parts[1]), parts[1].line
        if not rates and arrow == "->" and not isinstance(_last(right), s.Call):
            return s.Reaction(left, None, right, None, line)  # ~ A -> (rate)
        if not rates:  # `C (a, b)` reads as a call of C
            right, rates = _without_rates(right, line)
        if len(rates) != (2 if arrow == "<->" else 1):
            raise NmodlError(f"a reaction {arrow} has {len(rates)} rates", line)
        return s.Reaction(left, right, rates[0], rates[1] if len(rates) > 1 else None, line)

    def inflow(self, parts: list[Any]) -> s.Inflow:
        return s.Inflow(parts[0], parts[2], parts[1].line)

    def equation(self, parts: list[Any]) -> s.Equation:
        return s.Equation(parts[0], parts[1], parts[0].line)

    def verbatim(self, parts: list[Any]) -> s.Verbatim:
        return s.Verbatim(parts[0].line)

    def nested(self, parts: list[Any]) -> s.Nested:
        return s.Nested(parts[1], parts[0].line)

    def watch(self, parts: list[Any]) -> None:
        raise NmodlError(
            "WATCH: what happens where a variable crosses a value cannot be done", parts[0].line
        )

    def nothing(self, parts: list[Any]) -> None:
        return None

    # -- declarations -----------------------------------------------------------------------------
    def names(self, parts: list[Any]) -> list[Any]:
        return parts

    def size(self, parts: list[Any]) -> tuple[int | str]:
        return (int(_float(parts[0])) if parts[0].type == "NUMBER" else str(parts[0]),)

    def signed(self, parts: list[Any]) -> float:
        sign = -1.0 if parts[0].type == "MINUS" else 1.0
        return sign * _float(next(p for p in parts if p.type == "NUMBER"))

    def named(self, parts: list[Any]) -> str:
        return str(parts[0])

    def value(self, parts: list[Any]) -> tuple[str, float | str]:
        return "value", parts[0]

    def limits(self, parts: list[Any]) -> tuple[str, Any]:
        numbers = [p for p in parts if isinstance(p, float)]
        return "limits", (numbers[0], numbers[1]) if len(numbers) == 2 else None

    def declaration(self, parts: list[Any]) -> s.Declared:
        name, *rest = parts
        size, value, limits, unit = None, None, None, ""
        for part in rest:
            if isinstance(part, Token):
                unit = unit or part.strip("()").strip()
            elif part is not None and part[0] == "value":
                value = part[1]
            elif part is not None and part[0] == "limits":
                limits = part[1]
            elif part is not None:
                size = part[0]
        return s.Declared("", str(name), size, value, unit, limits, name.line)

    def declared(self, parts: list[Any]) -> list[s.Declared]:
        kind, *found = parts
        return [d._replace(kind=str(kind)) for d in found]

    def unit_constant(self, parts: list[Any]) -> tuple[str, str, float]:
        name, of, *unit = parts
        value = constant(of, unit[0] if unit else "")
        if value is None:
            said = " ".join([of, *unit])
            raise NmodlError(f"{name} = {said}: no such constant is known; write it", name.line)
        return "constant", str(name), value

    def number_constant(self, parts: list[Any]) -> tuple[str, str, float]:
        return "constant", str(parts[0]), parts[1]

    def units(self, parts: list[Any]) -> list[Any]:
        return [part for part in parts if part is not None]

    def define(self, parts: list[Any]) -> list[Any]:
        return [("constant", str(parts[0]), _float(parts[1]))]

    # -- NEURON -----------------------------------------------------------------------------------
    def suffix(self, parts: list[Any]) -> tuple[str, str, int]:
        return "name", str(parts[0]), 0

    def point_process(self, parts: list[Any]) -> tuple[str, str, int]:
        return "name", str(parts[0]), parts[0].line

    def use(self, parts: list[Any]) -> tuple[str, list[str]]:
        return parts[0].type, [str(name) for name in parts[1]]

    def valence(self, parts: list[Any]) -> tuple[str, Any]:
        return "VALENCE", parts[0]

    def ion(self, parts: list[Any]) -> s.UsedIon:
        ion = s.UsedIon(str(parts[0]), parts[0].line)
        for part in parts[1:]:
            if part is None:
                continue
            what, said = part
            if what == "VALENCE":
                ion.valence = int(said) if isinstance(said, float) else None
            else:
                (ion.read if what == "READ" else ion.write).extend(said)
        return ion

    def listed(self, parts: list[Any]) -> tuple[str, str, list[Any]]:
        return "listed", parts[0].type, parts[1]

    def neuron(self, parts: list[Any]) -> list[Any]:
        return parts

    # -- blocks -----------------------------------------------------------------------------------
    def block(self, parts: list[Any]) -> s.Block:
        return s.Block(str(parts[0]), "", parts[1], parts[0].line)

    def named_block(self, parts: list[Any]) -> s.Block:
        return s.Block(str(parts[0]), str(parts[1]), parts[2], parts[0].line)

    def received(self, parts: list[Any]) -> s.Received:
        arguments: list[tuple[str, str]] = next((p for p in parts if isinstance(p, list)), [])
        unit = arguments[0][1] if arguments else ""
        return s.Received(tuple(n for n, _ in arguments), unit, parts[-1], parts[0].line)

    def around(self, parts: list[Any]) -> None:
        if parts[-1]:
            line = parts[-1][0].line
            raise NmodlError("BEFORE, AFTER, CONSTRUCTOR and DESTRUCTOR cannot be done", line)

    def argument(self, parts: list[Any]) -> tuple[str, str]:
        return str(parts[0]), _bare(parts[1:])

    def arguments(self, parts: list[Any]) -> list[tuple[str, str]]:
        return parts

    def function(self, parts: list[Any]) -> s.Function:
        _, name, *rest = parts
        arguments = next((p for p in rest if isinstance(p, list)), [])
        return s.Function(str(name), tuple(a for a, _ in arguments), rest[-1], name.line)

    def table_function(self, parts: list[Any]) -> tuple[str, str, int]:
        return "table", str(parts[0]), parts[0].line

    def start(self, parts: list[Any]) -> s.File:
        file = s.File()
        for part in parts:
            for item in part if isinstance(part, list) else [part]:
                _put(file, item)
        return file


def _put(file: s.File, item: Any) -> None:
    """A block, or what one declares, into the file."""
    match item:
        case s.Declared():
            file.declared.setdefault(item.name, item)
        case s.Block():
            file.blocks.append(item)
        case s.Function():
            if item.name in file.functions:
                raise NmodlError(f"{item.name} is defined twice", item.line)
            file.functions[item.name] = item
        case s.Received():
            file.received = item
        case s.UsedIon():
            known = file.ions.setdefault(item.name, item)
            if known is not item:  # named twice: for what it reads, and for what it writes
                known.read += item.read
                known.write += item.write
        case s.Local():
            file.locals.append(item)
        case s.Verbatim():
            file.c_outside.append(item.line)
        case ("constant", name, value):
            file.constants[name] = value
        case ("name", name, point):
            file.name, file.point_process = name, point
        case ("listed", kind, names):
            file.listed.setdefault(kind, {}).update({str(n): n.line for n in names})
        case ("table", name, line):
            file.tables[name] = line
        case _:
            pass


def _float(token: Token) -> float:
    value = float(token)
    if value > LARGEST:
        raise NmodlError(f"{token}: expected a number up to {LARGEST:g}", token.line or 1)
    return value


def _bare(units: list[Any]) -> str:
    return units[0].strip("()").strip() if units else ""


def _last(e: s.Expression) -> s.Expression:
    """What a sum ends with."""
    while isinstance(e, s.Binary) and e.operator == "+":
        e = e.right
    return e


def _without_rates(right: s.Expression, line: int) -> tuple[s.Expression, list[s.Expression]]:
    """The right side of a reaction, and the rates that read as arguments of its last state."""
    match right:
        case s.Call():
            return s.Variable(right.name, right.line), list(right.arguments)
        case s.Binary():
            last, rates = _without_rates(right.right, line)
            return right._replace(right=last), rates
        case _:
            raise NmodlError("a reaction without rates in parentheses", line)
