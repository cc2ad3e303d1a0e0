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

from neurojax.engine.passes.hoist import CALLS, bind


def linearize(f: Callable, *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """f(*primals), and its derivative as a function of tangents.

    Leaves of tangents, given and returned, may be None: zero. Those of integers always are.
    """
    leaves, tree = jax.tree.flatten(primals)
    floating = [_floating(leaf) for leaf in leaves]
    shape = jax.tree.structure(jax.eval_shape(f, *primals))

    def floats(*moving):
        given = iter(moving)
        all_ = [next(given) if x else leaf for x, leaf in zip(floating, leaves, strict=True)]
        out = jax.tree.leaves(f(*jax.tree.unflatten(tree, all_)))
        return [x for x in out if _floating(x)], [None if _floating(x) else x for x in out]

    moving = [leaf for leaf, x in zip(leaves, floating, strict=True) if x]
    value, along, rest = jax.linearize(floats, *moving, has_aux=True)
    linear = jax.make_jaxpr(along)(*moving)

    def push(*tangents):
        given = zip(tangents_of(tangents), floating, strict=True)
        pushed = iter(_evaluate(linear.jaxpr, linear.consts, [t for t, x in given if x]))
        return jax.tree.unflatten(shape, [next(pushed) if x is None else None for x in rest])

    of_value = iter(value)
    whole = [next(of_value) if x is None else x for x in rest]
    return jax.tree.unflatten(shape, whole), push


def _floating(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.floating)


def _is_none(leaf: Any) -> bool:
    return leaf is None


def tangents_of(tree: Any) -> list:
    """The leaves of tangents, None among them."""
    return jax.tree.leaves(tree, is_leaf=_is_none)


def none_like(tree: Any) -> Any:
    """Tangents that are all zero."""
    return jax.tree.map(lambda leaf: None, tree)


def dense(tangents: Any, like: Any) -> Any:
    """The tangents with arrays of zeros in place of None, but for integers."""
    leaves, tree = jax.tree.flatten(like)
    full = [
        jnp.zeros_like(x) if t is None and _floating(x) else t
        for t, x in zip(tangents_of(tangents), leaves, strict=True)
    ]
    return jax.tree.unflatten(tree, full)


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
    # What no argument reaches, a linear function leaves at zero.
    return [None if isinstance(a, Literal) or a in fixed else env[a] for a in jaxpr.outvars]


def _apply(eqn, inputs: list) -> list:
    name = eqn.primitive.name
    if name in CALLS:
        inner = eqn.params["jaxpr"]
        return _evaluate(inner.jaxpr, inner.consts, inputs)
    if name in ("add", "add_any") and any(x is None for x in inputs):
        return [next(x for x in inputs if x is not None)]
    full = [
        jnp.zeros(a.aval.shape, a.aval.dtype) if x is None else x
        for a, x in zip(eqn.invars, inputs, strict=True)
    ]
    return bind(eqn, full)
