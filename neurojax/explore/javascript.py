"""A function of numbers, as JAX traces it, written in JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.extend.core import JaxprEqn

from neurojax.engine.passes.jaxpr import evaluate, flatten, shaped

OPERATORS = {
    "add": "+",
    "add_any": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "eq": "==",
    "ne": "!=",
}
"""Of two numbers."""

FUNCTIONS = {
    name: f"Math.{name}"
    for name in (
        *("abs", "cbrt", "ceil", "cos", "exp", "expm1", "floor", "log", "log1p", "max", "min"),
        *("pow", "sign", "sin", "sqrt", "tan", "tanh"),
    )
}
"""Of one or two numbers, by the name that JavaScript has for them; NaN goes through all."""

UNCHANGED = (
    *("broadcast_in_dim", "convert_element_type", "copy", "optimization_barrier"),
    *("reshape", "slice", "squeeze", "stop_gradient"),
)
"""What leaves one number as it is."""


def written(name: str, f: Callable[..., Any], *arguments: Any) -> str:
    """The function f as a function in JavaScript, of an array for each argument, that gives one.

    `arguments` are pytrees of numbers, as f takes them; their leaves are the elements of the
    arrays, and those of the result the elements of what is returned. Numbers there are of double
    precision: trace it in float64. Raises ValueError naming what cannot be written, such as an
    array of several numbers.
    """
    flat, _ = flatten(f, *arguments, rules=False)
    letters = "abcdefgh"[: len(arguments)]
    leaves = [
        f"{letter}[{k}]"
        for letter, argument in zip(letters, arguments, strict=True)
        for k in range(len(jax.tree.leaves(argument)))
    ]
    lines: dict[str, tuple[str, list[str]]] = {}  # by name, what it is and what that reads
    known: dict[str, str] = {}  # the names of what is computed already

    def rule(eqn: JaxprEqn, inputs: list[str]) -> list[str]:
        if any(np.size(shaped(a)) != 1 for a in (*eqn.invars, *eqn.outvars)):
            raise ValueError(f"{name}: {eqn.primitive.name} of more than one number")
        if eqn.primitive.name in UNCHANGED:
            return [inputs[0]]
        said = _expression(eqn, inputs, name)
        if said not in known:
            known[said] = f"x{len(known)}"
            lines[known[said]] = said, inputs
        return [known[said]]

    outputs = evaluate(flat.jaxpr, flat.consts, leaves, rule, _number)
    needed = set(outputs)
    for line, (_, read) in reversed(lines.items()):
        needed |= set(read) if line in needed else set()
    told = [f"const {line} = {said};" for line, (said, _) in lines.items() if line in needed]
    body = "\n".join(f"  {line}" for line in [*told, f"return [{', '.join(outputs)}];"])
    return f"function {name}({', '.join(letters)}) {{\n{body}\n}}"


def _expression(eqn: JaxprEqn, inputs: list[str], where: str) -> str:
    kind = eqn.primitive.name
    if kind in OPERATORS:
        return f"{inputs[0]} {OPERATORS[kind]} {inputs[1]}"
    if kind in FUNCTIONS:
        return f"{FUNCTIONS[kind]}({', '.join(inputs)})"
    if kind == "neg":
        return f"-{inputs[0]}"
    if kind in ("square", "integer_pow"):
        return _power(inputs[0], eqn.params.get("y", 2))
    if kind == "rsqrt":
        return f"1 / Math.sqrt({inputs[0]})"
    if kind == "logistic":
        return f"1 / (1 + Math.exp(-{inputs[0]}))"
    if kind == "is_finite":
        return f"Number.isFinite({inputs[0]})"
    if kind in ("and", "or", "not") and shaped(eqn.outvars[0]).dtype == bool:
        return (
            f"!{inputs[0]}" if kind == "not" else {"and": " && ", "or": " || "}[kind].join(inputs)
        )
    if kind == "select_n" and len(inputs) == 3:
        return f"{inputs[0]} ? {inputs[2]} : {inputs[1]}"
    raise ValueError(f"{where}: {kind} has no counterpart in JavaScript here")


def _power(x: str, y: int) -> str:
    product = " * ".join([x] * abs(y)) or "1"
    return product if y >= 0 else f"1 / ({product})"


def _number(value: Any, aval: Any) -> str:
    """A number as JavaScript writes it; an array of one is that one."""
    if np.size(value) != 1:
        raise ValueError(
            f"an array of {np.size(value)} numbers: expected a cell of one compartment"
        )
    one = np.asarray(value).item()
    if isinstance(one, bool):
        return "true" if one else "false"
    if not np.isfinite(one):
        return "NaN" if np.isnan(one) else "Infinity" if one > 0 else "(-Infinity)"
    return f"({one!r})" if one < 0 else repr(one)
