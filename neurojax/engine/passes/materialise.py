"""Values that are used more than once, computed once.

XLA:CPU fuses by copying cheap operations into every user. For a step with many outputs, such as
one with tangents, that repeats most of the work. Here a function is traced, and each value with
several users and a cost is computed in a conditional, into which XLA does not fuse. Its condition
always holds, but XLA cannot know.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

from neurojax.engine.passes.jaxpr import Env, extend, flatten, read, shaped

_COST = {"exp": 20, "tanh": 20, "log": 20, "div": 8, "sqrt": 8}
_FREE = {"broadcast_in_dim", "convert_element_type", "reshape", "squeeze"}

WORTH = 4
"""Operations from which on a value is rather kept than computed again."""

_wanted = ContextVar("wanted", default=True)


@contextmanager
def not_materialised() -> Generator[None]:
    """What is traced in here is not for XLA:CPU: nothing is materialised."""
    token = _wanted.set(False)
    try:
        yield
    finally:
        _wanted.reset(token)


def materialised(f: Callable[..., Any], true: jax.Array) -> Callable[..., Any]:
    """f with its shared and costly values computed once, where that is XLA:CPU's weakness.

    `true` is True, but must be a value that only the run knows.
    """
    if jax.default_backend() != "cpu" or not _wanted.get():
        return f

    def once(*args: Any) -> Any:
        closed, tree = flatten(f, *args, rules=False)
        jaxpr = closed.jaxpr
        env = dict(zip(jaxpr.constvars, closed.consts, strict=True))
        env |= zip(jaxpr.invars, jax.tree.leaves(args), strict=True)
        maker = {v: eqn for eqn in jaxpr.eqns for v in eqn.outvars}
        for level in _levels(_kept(jaxpr, env), env, maker):
            eqns, inputs = _made_from(level, env, maker)
            env.update(zip(level, _in_conditional(eqns, inputs, level, env, true), strict=True))
        eqns, _ = _made_from(_variables(jaxpr.outvars), env, maker)
        extend(env, eqns)
        return jax.tree.unflatten(tree, [read(env, a) for a in jaxpr.outvars])

    return once


def _variables(atoms: Iterable[Any]) -> list[Var]:
    return [a for a in atoms if not isinstance(a, Literal)]


def _kept(jaxpr: Jaxpr, known: Iterable[Var]) -> list[Var]:
    """Variables that cost something and are wanted in several places, in order of their making.

    A place is an output, or another variable that is kept: what is wanted twice in one place XLA
    computes once.
    """
    places: defaultdict[Var, set[Var]] = defaultdict(set)
    for v in _variables(jaxpr.outvars):
        places[v].add(v)
    for eqn in reversed(jaxpr.eqns):
        here = set().union(*(places[v] for v in eqn.outvars))
        kept = eqn.outvars[0] if len(here) > 1 else None
        for v in _variables(eqn.invars):
            places[v] |= here if kept is None else {kept}
    cost: dict[Var, int] = dict.fromkeys(known, 0)
    worth = []
    for eqn in jaxpr.eqns:
        name = eqn.primitive.name
        total = 0 if name in _FREE else _COST.get(name, 1)
        total += sum(cost[v] for v in set(_variables(eqn.invars)))
        cost.update(dict.fromkeys(eqn.outvars, total))
        if name == "scan":  # which no conditional is to run again
            worth += (made := [v for v in eqn.outvars if places[v]])
            cost.update(dict.fromkeys(made, 0))
            continue
        v = eqn.outvars[0]
        if len(eqn.outvars) == 1 and total >= WORTH and len(places[v]) > 1:
            worth.append(v)
            cost[v] = 0
    return worth


def _made_from(
    wanted: list[Var], env: Env, maker: dict[Var, JaxprEqn]
) -> tuple[list[JaxprEqn], list[Var]]:
    """The equations that make what is wanted from what is known, in order, and what they read."""
    order: dict[int, JaxprEqn] = {}
    inputs: dict[Var, None] = {}

    def visit(v: Var) -> None:
        if v in env:
            inputs[v] = None
        elif id(maker[v]) not in order:
            for a in _variables(maker[v].invars):
                visit(a)
            order[id(maker[v])] = maker[v]

    for v in wanted:
        visit(v)
    return list(order.values()), list(inputs)


def _levels(kept: list[Var], known: Iterable[Var], maker: dict[Var, JaxprEqn]) -> list[list[Var]]:
    """The kept variables in groups, none of which needs another of its group."""
    depth: dict[Var, int] = dict.fromkeys(known, 0)
    levels: list[list[Var]] = []
    apart = set(kept)
    for eqn in maker.values():
        for v in eqn.outvars:
            below = max((depth[a] for a in _variables(eqn.invars)), default=0)
            depth[v] = below + (v in apart)
            if v in apart:
                levels += [[] for _ in range(depth[v] - len(levels))]
                levels[depth[v] - 1].append(v)
    return levels


def _in_conditional(
    eqns: list[JaxprEqn], inputs: list[Var], out: list[Var], env: Env, true: jax.Array
) -> list[Any]:
    """Variables, computed where XLA fuses nothing of them into their users."""

    def made(*values: Any) -> list[Any]:
        inner = dict(zip(inputs, values, strict=True))
        extend(inner, eqns)
        return [inner[v] for v in out]

    def never(*values: Any) -> list[jax.Array]:
        return [jnp.zeros(kind.shape, kind.dtype) for kind in map(shaped, out)]

    return jax.lax.cond(true, made, never, *(env[i] for i in inputs))
