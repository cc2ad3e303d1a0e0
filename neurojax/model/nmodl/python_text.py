"""Parts of a mechanism as text of Python: numbers, operations, names, declarations."""

from __future__ import annotations

import keyword
import math
import re
import textwrap
from collections.abc import Mapping, Sequence

from neurojax.model.formulas.form import Field
from neurojax.model.formulas.graph import Node

INFIX = {"+": 1, "-": 1, "*": 2, "/": 2}
"""Operations between their parts, and how tightly they bind."""

WIDTH = 76
"""Characters that a formula may have before a part of it becomes a variable."""


def base_of(exponent: Node) -> str | None:
    """The q10 of exp(log(q10) y), as an author writes it; None for another formula."""
    if exponent.op != "*" or exponent.args[0].op != "number":
        return None
    base = math.exp(min(exponent.args[0].value, 10.0))
    is_short = base > 1.05 and math.isclose(base, round(base, 2), rel_tol=1e-13)
    return number(round(base, 2)) if is_short else None


def infix(node: Node, parts: list[tuple[str, int]]) -> tuple[str, int]:
    """An operation between its parts, each with how tightly it binds."""
    level = INFIX[node.op]
    if node.op == "*" and parts[0][0] == "1":  # 0.001 times 1000
        return parts[1]
    left, right = within(parts[0], level), within(parts[1], level + 1)
    if node.op == "+" and node.args[1].is_number() and node.args[1].value < 0:
        return f"{left} - {number(-node.args[1].value)}", 1
    return f"{left} {node.op} {right}", level


def within(part: tuple[str, int], level: int) -> str:
    """A part, in parentheses where it binds less tightly than a level."""
    return part[0] if part[1] >= level else f"({part[0]})"


def declared(f: Field) -> str:
    """A parameter as a line of a class."""
    comment = f"  # {f.comment}" if f.comment and f.name not in ("g_bar", "E_rev") else ""
    bounds = f"{number(f.low)}, {number(f.high)}"
    line = f'{f.name}: Leaf = param({number(f.default)}, "{f.unit}", {bounds})'
    return line + comment if len(line + comment) < 96 else line


def free_name(name: str, taken: set[str]) -> str:
    """A name for a variable, with a number where it is taken."""
    if keyword.iskeyword(name) or not name.isidentifier():
        name += "_"
    free, k = name, 1
    while free in taken:
        k += 1
        free = f"{name}{k}"
    taken.add(free)
    return free


def number(value: float) -> str:
    """A number as one writes it."""
    text = re.sub(r"e(-?)\+?0?", r"e\1", f"{value:.10g}")
    return text if re.search(r"[.e]|inf|nan", text) else text + ".0" if abs(value) >= 1e9 else text


def tuple_of(names: Sequence[str]) -> str:
    """A tuple of names, in lines that are not too long."""
    quoted = [f'"{name}"' for name in names]
    one = "(" + ", ".join(quoted) + ("," if len(names) == 1 else "") + ")"
    if len(one) < WIDTH:
        return one
    lines = textwrap.wrap(", ".join(quoted) + ",", 90)
    return "(\n" + textwrap.indent("\n".join(lines), "    ") + "\n)  # fmt: skip"


def dict_of(entries: Mapping[str, float]) -> str:
    """A dict of numbers, in lines that are not too long."""
    one = "{" + ", ".join(f'"{k}": {x}' for k, x in entries.items()) + "}"
    if len(one) < WIDTH:
        return one
    return "{\n" + "".join(f'    "{k}": {x},\n' for k, x in entries.items()) + "}"
