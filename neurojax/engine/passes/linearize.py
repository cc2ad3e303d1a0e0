"""Linearise a function once, then push tangents through it at no cost for those that are zero.

`jax.linearize` evaluates the expensive part (rates, exponentials) once, but its result treats every
tangent as dense. Here a tangent leaf may be None: known to be zero. What depends on nothing else is
never computed, so a parameter's own push costs only the few operations that it touches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import JaxprEqn

from neurojax.engine.halves import divided, merged
from neurojax.engine.passes.jaxpr import bind, evaluate, extend, needed, read, shaped


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
        eqns = needed(jaxpr.eqns, [out])

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


def _linear(f: Callable[..., Any], primals: Any) -> tuple[Any, Any, list[bool], list[bool]]:
    """f(*primals), its derivative as a closed jaxpr of real numbers, and which leaves these are.

    Of the primals and of the result.
    """

    def floats(moving: Any) -> tuple[Any, Any]:
        out = f(*merged(moving, still))
        return divided(out, _floating(out))

    given = _floating(primals)
    moving, still = divided(primals, given)
    value, along, rest = jax.linearize(floats, moving, has_aux=True)
    linear = jax.make_jaxpr(along)(moving)
    value = merged(value, rest)
    return value, linear, given, _floating(value)


def _floating(tree: Any) -> list[bool]:
    """Which leaves are real numbers."""
    return [jnp.issubdtype(jnp.result_type(x), jnp.floating) for x in jax.tree.leaves(tree)]


def _is_none(leaf: Any) -> bool:
    return leaf is None


def tangents_of(tree: Any) -> list[Any]:
    """The leaves of tangents, None among them."""
    return jax.tree.leaves(tree, is_leaf=_is_none)


def moving(values: Any, own: Sequence[Any]) -> tuple[Any, Any, list[list[Any]]]:
    """The halves of a tree that move and do not, and for each of `own` the tangents of the first.

    What moves has a tangent in any of them. The rest may be single numbers for all cells.
    """
    tangents = [tangents_of(each) for each in own]
    moves = [any(t is not None for t in each) for each in zip(*tangents, strict=True)]
    chosen = [[t for t, m in zip(each, moves, strict=True) if m] for each in tangents]
    return *divided(values, moves), chosen


def none_like(tree: Any) -> Any:
    """Tangents that are all zero."""
    return jax.tree.map(lambda leaf: None, tree)


def dense(tangents: Any, like: Any) -> Any:
    """The tangents with arrays of zeros in place of None, but for integers."""
    leaves, tree = jax.tree.flatten(like)
    full = [
        jnp.zeros_like(x) if t is None and real else t
        for t, x, real in zip(tangents_of(tangents), leaves, _floating(leaves), strict=True)
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
