"""Linearise a function once, then push tangents through it at no cost for those that are zero.

`jax.linearize` evaluates the expensive part (rates, exponentials) once, but its result treats every
tangent as dense. Here a tangent leaf may be None: known to be zero. What depends on nothing else is
never computed, so a parameter's own push costs only the few operations that it touches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Var

from neurojax.engine.passes.jaxpr import bind, evaluate, extend, read, shaped


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """f(*primals), and its derivative as a function of tangents.

    Leaves of tangents, given and returned, may be None: zero. Those of integers always are.
    """
    value, linear, given, made = _linear(f, primals)

    def push(*tangents: Any) -> Any:
        along = [_Tangent(t) for t, x in zip(tangents_of(tangents), given, strict=True) if x]
        pushed = iter(evaluate(linear.jaxpr, linear.consts, along, _pushed))
        # What no argument reaches, a linear function leaves at zero.
        pushed = (x.value if isinstance(x, _Tangent) else None for x in pushed)
        return jax.tree.unflatten(
            jax.tree.structure(value), [next(pushed) if x else None for x in made]
        )

    return value, push


def diagonal(f: Callable[..., Any], *primals: Any) -> tuple[Any, list[list[Any]]]:
    """f(*primals) of an elementwise f, and how each leaf of it depends on each leaf of theirs.

    `slopes[i][j]` is the derivative of every entry of leaf i in the same entry of leaf j, None for
    zero. Pulled back from the few results, so that their number counts and that of the primals does
    not.
    """
    value, linear, given, made = _linear(f, primals)
    jaxpr = linear.jaxpr
    args = jaxpr.invars
    reached = evaluate(
        jaxpr,
        linear.consts,
        [frozenset([j]) for j in range(len(args))],
        lambda eqn, inputs: [frozenset().union(*inputs)] * len(eqn.outvars),
        lambda number, aval: frozenset(),
    )

    def row(i: int, leaf: jax.Array) -> list[Any]:
        columns = sorted(reached[i])
        out = jaxpr.outvars[i]
        eqns = _needed(jaxpr, out)

        def result(*along: Any) -> Any:
            env = dict(zip(jaxpr.constvars, linear.consts, strict=True))
            env |= zip((args[j] for j in columns), along, strict=True)
            extend(env, eqns)
            return read(env, out)

        found: list[Any] = [None] * len(args)
        if columns:
            pull = jax.linear_transpose(result, *(shaped(args[j]) for j in columns))
            for j, slope in zip(columns, pull(jnp.ones_like(leaf)), strict=True):
                found[j] = slope
        own = iter(found)
        return [next(own) if x else None for x in given]

    numbers = iter(range(len(jaxpr.outvars)))
    return value, [
        row(next(numbers), leaf) if x else [None] * len(given)
        for leaf, x in zip(jax.tree.leaves(value), made, strict=True)
    ]


def _needed(jaxpr: Jaxpr, out: Any) -> list[JaxprEqn]:
    """The equations on which a result depends."""
    wanted, eqns = ({out} if isinstance(out, Var) else set()), []
    for eqn in reversed(jaxpr.eqns):
        if wanted.intersection(eqn.outvars):
            wanted.update(a for a in eqn.invars if isinstance(a, Var))
            eqns.append(eqn)
    return eqns[::-1]


def _linear(f: Callable[..., Any], primals: Any) -> tuple[Any, Any, list[bool], list[bool]]:
    """f(*primals), its derivative as a closed jaxpr of real numbers, and which leaves these are.

    Of the primals and of the result.
    """
    leaves, tree = jax.tree.flatten(primals)
    given = [_floating(leaf) for leaf in leaves]
    shape = jax.tree.structure(jax.eval_shape(f, *primals))

    def floats(*moving: Any) -> tuple[list[Any], list[Any]]:
        own = iter(moving)
        all_ = [next(own) if x else leaf for x, leaf in zip(given, leaves, strict=True)]
        out = jax.tree.leaves(f(*jax.tree.unflatten(tree, all_)))
        return [x for x in out if _floating(x)], [None if _floating(x) else x for x in out]

    moving = [leaf for leaf, x in zip(leaves, given, strict=True) if x]
    value, along, rest = jax.linearize(floats, *moving, has_aux=True)
    linear = jax.make_jaxpr(along)(*moving)
    of_value = iter(value)
    whole = jax.tree.unflatten(shape, [next(of_value) if x is None else x for x in rest])
    return whole, linear, given, [x is None for x in rest]


def _floating(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.floating)


def _is_none(leaf: Any) -> bool:
    return leaf is None


def tangents_of(tree: Any) -> list[Any]:
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


class _Tangent(NamedTuple):
    """A value that depends on the arguments of a linear function; None is zero."""

    value: Any


def _pushed(eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
    """The rule of equations that are linear in what is a tangent."""
    tangents = [x.value for x in inputs if isinstance(x, _Tangent)]
    if not tangents:
        return bind(eqn, inputs)
    if all(x is None for x in tangents):
        return [_Tangent(None)] * len(eqn.outvars)
    if eqn.primitive.name in ("add", "add_any") and any(x is None for x in tangents):
        return [_Tangent(next(x for x in tangents if x is not None))]
    full = []
    for atom, x in zip(eqn.invars, inputs, strict=True):
        value, kind = x.value if isinstance(x, _Tangent) else x, shaped(atom)
        full.append(jnp.zeros(kind.shape, kind.dtype) if value is None else value)
    return [_Tangent(y) for y in bind(eqn, full)]
