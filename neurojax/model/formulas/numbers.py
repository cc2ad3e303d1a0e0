"""What operations make of numbers, where a formula has nothing else in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def _pow(a: float, b: float) -> float:
    return float(a) ** b if a >= 0 or b == int(b) else math.nan


FOLDED: dict[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
    "/": lambda a, b: a / b, "pow": _pow, "neg": lambda a: -a,
    "<": lambda a, b: float(a < b), "<=": lambda a, b: float(a <= b),
    "==": lambda a, b: float(a == b), "and": lambda a, b: float(bool(a) and bool(b)),
    "or": lambda a, b: float(bool(a) or bool(b)), "not": lambda a: float(not a),
    "exp": math.exp, "log": math.log, "log10": math.log10, "sqrt": math.sqrt, "abs": abs,
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "tanh": math.tanh, "sinh": math.sinh,
    "cosh": math.cosh, "atan": math.atan, "asin": math.asin, "acos": math.acos,
    "floor": math.floor, "ceil": math.ceil, "min": min, "max": max,
    "fmod": math.fmod, "clip": lambda x, a, b: min(max(x, a), b),
    "exp_linear": lambda x: x / -math.expm1(-x) if x else 1.0,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
}  # fmt: skip
"""What an operation makes of numbers."""
