"""What a program for one cell does along the axes of its arrays, element by element.

An array is here an object array of vectors of lanes, or of numbers. Moving elements costs a kernel
nothing, what combines them is unrolled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import JaxprEqn

from neurojax.engine.passes.jaxpr import bind

Value = Any
"""An object array; its elements are vectors of lanes, or numbers."""


class Unsupported(NotImplementedError):
    """A program that cannot be run as lanes; the message says why."""


def filled(shape: tuple[int, ...], at: Callable[[tuple[Any, ...]], Any]) -> Value:
    """An object array of a shape, element by element."""
    out = np.empty(math.prod(shape), object)
    for k, index in enumerate(np.ndindex(shape)):
        out[k] = at(index)
    return out.reshape(shape)


MOVING = frozenset(
    """
    broadcast_in_dim reshape squeeze expand_dims slice transpose rev tile pad concatenate stack
    split unstack iota optimization_barrier dynamic_slice dynamic_update_slice gather
    """.split()  # noqa: SIM905
)
"""Primitives that only move elements."""

_PLACES = {"dynamic_slice": 1, "gather": 1, "dynamic_update_slice": 2}
"""Which inputs, from one on, say where to: they must be numbers written in the program."""


def moved(eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
    """The outputs of an equation that only moves elements: the primitive moves their numbers."""
    name = eqn.primitive.name
    places = inputs[_PLACES.get(name, len(inputs)) :]
    if not all(isinstance(k, np.generic) for x in places for k in x.flat):
        raise Unsupported(f"{name!r} at places that are not written in the program")
    elements, numbered = [], []
    for x in inputs[: len(inputs) - len(places)]:
        first = len(elements)
        elements += x.flat
        numbered.append(np.arange(first, len(elements), dtype=np.int32).reshape(x.shape))
    numbered += [np.array(x.tolist(), np.int32).reshape(x.shape) for x in places]
    with jax.ensure_compile_time_eval():
        outputs = [np.asarray(y) for y in bind(eqn, numbered)]
    if eqn.params.get("fill_value") is not None or any((y < 0).any() for y in outputs):
        raise Unsupported(f"{name!r} may read what lies beyond an array")
    if name == "iota":
        return [filled(y.shape, lambda at, y=y: y[at]) for y in outputs]
    return [filled(y.shape, lambda at, y=y: elements[y[at]]) for y in outputs]


COMBINED: dict[str, Callable[..., Any]] = {
    "reduce_sum": lambda x, y: x + y,
    "reduce_prod": lambda x, y: x * y,
    "reduce_max": jnp.maximum,
    "reduce_min": jnp.minimum,
    "reduce_and": lambda x, y: x & y,
    "reduce_or": lambda x, y: x | y,
    "cumsum": lambda x, y: x + y,
    "cummax": jnp.maximum,
    "cummin": jnp.minimum,
}
"""How the elements along an axis are combined, one after the other."""


def combined(eqn: JaxprEqn, x: Value, combine: Callable[..., Any]) -> Value:
    """All elements along the axes of a reduction, or those up to each of a running one."""
    if "axes" in eqn.params:
        axes = eqn.params["axes"]
        kept = [k for k in range(x.ndim) if k not in axes]
        columns = x.transpose(*kept, *axes).reshape(*(x.shape[k] for k in kept), -1)
        return filled(columns.shape[:-1], lambda at: reduce(combine, columns[at]))
    out = np.moveaxis(x.copy(), eqn.params["axis"], 0)
    order = range(len(out))[:: -1 if eqn.params["reverse"] else 1]
    for before, k in pairwise(order):
        for at in np.ndindex(out.shape[1:]):
            out[k, *at] = combine(out[before, *at], out[k, *at])
    return np.moveaxis(out, 0, eqn.params["axis"])
