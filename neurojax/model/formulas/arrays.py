"""The operations of a graph on arrays: NumPy's for tables and checks, JAX's in a channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from neurojax.membrane import rates

LARGEST_EXPONENT = 80.0
"""exp of this is a number in float32 too."""


def _operations(xp: Any) -> dict[str, Callable[..., Any]]:
    def power(a: Any, b: float) -> Any:
        return xp.asarray(a) ** int(b)  # of other exponents the graph makes exp(b log(a))

    def bounded_exp(x: Any) -> Any:
        return xp.exp(xp.clip(x, -LARGEST_EXPONENT, LARGEST_EXPONENT))

    return {
        "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
        "/": xp.divide, "neg": lambda a: -a, "pow": power,
        "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, "==": lambda a, b: a == b,
        "and": xp.logical_and, "or": xp.logical_or, "not": xp.logical_not,
        "select": xp.where, "exp": xp.exp, "bounded_exp": bounded_exp, "log": xp.log,
        "log10": lambda x: xp.log(x) * 0.4342944819032518, "sqrt": xp.sqrt, "abs": xp.abs,
        "sin": xp.sin, "cos": xp.cos, "tan": xp.tan, "tanh": xp.tanh, "sinh": xp.sinh,
        "cosh": xp.cosh, "atan": xp.arctan, "asin": xp.arcsin, "acos": xp.arccos,
        "floor": xp.floor, "ceil": xp.ceil, "fmod": xp.fmod, "min": xp.minimum,
        "max": xp.maximum, "clip": lambda x, a, b: xp.minimum(xp.maximum(x, a), b),
    }  # fmt: skip


def _exp_linear(x: Any) -> Any:
    x = np.asarray(x, dtype=np.float64)
    safe = np.where(x == 0, 1.0, x)
    return np.where(x == 0, 1.0, safe / -np.expm1(-safe))


JAX: Mapping[str, Callable[..., Any]] = _operations(jnp) | {
    "exp_linear": rates.exp_linear,
    "sigmoid": rates.sigmoid,
}
NUMPY: Mapping[str, Callable[..., Any]] = _operations(np) | {
    "exp_linear": _exp_linear,
    "sigmoid": lambda x: 1 / (1 + np.exp(-np.maximum(x, -700.0))),
}
