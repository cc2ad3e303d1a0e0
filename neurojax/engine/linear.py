"""Linearise a function once, then push tangents through it at no cost for those that are zero.

`jax.linearize` evaluates the expensive part (rates, exponentials) once, but its result treats every
tangent as dense. Here a tangent leaf may be None: known to be zero. What depends on nothing else is
never computed, so a parameter's own push costs only the few operations that it touches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, Literal

_CALLS = ("pjit", "jit", "closed_call")


def linearize(f: Callable, *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """f(*primals), and its derivative as a function of tangents in which None leaves are zero."""
    value, along = jax.linearize(f, *primals)
    linear = jax.make_jaxpr(along)(*primals)

    def push(*tangents):
        given = jax.tree.leaves(tangents, is_leaf=lambda leaf: leaf is None)
        pushed = _evaluate(linear.jaxpr, linear.consts, given)
        leaves, tree = jax.tree.flatten(value)
        dense = [
            jnp.zeros_like(leaf) if p is None else p for p, leaf in zip(pushed, leaves, strict=True)
        ]
        return jax.tree.unflatten(tree, dense)

    return value, push


def _evaluate(jaxpr: Jaxpr, consts: list, args: list) -> list:
    """Evaluate a jaxpr that is linear in its arguments, None standing for a zero argument."""
    env = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))
    fixed = set(jaxpr.constvars)

    def read(atom):
        return atom.val if isinstance(atom, Literal) else env[atom]

    for eqn in jaxpr.eqns:
        inputs = [read(a) for a in eqn.invars]
        tangents = [
            x
            for a, x in zip(eqn.invars, inputs, strict=True)
            if not (isinstance(a, Literal) or a in fixed)
        ]
        if not tangents:
            fixed.update(eqn.outvars)
        if tangents and all(x is None for x in tangents):
            outputs = [None] * len(eqn.outvars)
        else:
            outputs = _apply(eqn, inputs)
        env.update(zip(eqn.outvars, outputs, strict=True))
    return [read(a) for a in jaxpr.outvars]


def _apply(eqn, inputs: list) -> list:
    name = eqn.primitive.name
    if name in _CALLS:
        inner = eqn.params["jaxpr"]
        return _evaluate(inner.jaxpr, inner.consts, inputs)
    if name in ("add", "add_any") and any(x is None for x in inputs):
        return [next(x for x in inputs if x is not None)]
    dense = [
        jnp.zeros(a.aval.shape, a.aval.dtype) if x is None else x
        for a, x in zip(eqn.invars, inputs, strict=True)
    ]
    outputs = eqn.primitive.bind(*dense, **eqn.params)
    return list(outputs) if eqn.primitive.multiple_results else [outputs]
