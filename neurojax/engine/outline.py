"""Values that are used more than once, computed once.

XLA:CPU fuses by copying cheap operations into every user. For a step with many outputs, such as
one with tangents, that repeats most of the work. Here a function is traced, and each value with
several users and a cost is computed in a conditional of its own, into which XLA does not fuse. Its
condition always holds, but XLA cannot know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import JaxprEqn, Literal, Var

from neurojax.engine.lean import bind, flatten

_COST = {"exp": 20, "tanh": 20, "log": 20, "div": 8, "sqrt": 8}
_FREE = {"broadcast_in_dim", "convert_element_type", "reshape", "squeeze"}

WORTH = 4
"""Operations from which on a value is rather kept than computed again."""


def outlined(f: Callable, true: jax.Array) -> Callable:
    """f on the CPU with its shared and costly values computed once; `true` is a bool only run time
    knows, and it is True."""
    if jax.default_backend() != "cpu":
        return f

    def once(*args: Any) -> Any:
        closed, tree = flatten(f, *args, rules=False)
        jaxpr = closed.jaxpr
        env = dict(zip(jaxpr.constvars, closed.consts, strict=True))
        env |= zip(jaxpr.invars, jax.tree.leaves(args), strict=True)
        maker = {v: eqn for eqn in jaxpr.eqns for v in eqn.outvars}
        for v in _kept(jaxpr, env):
            eqns, inputs = _made_from([v], env, maker)
            env[v] = _apart(eqns, inputs, v, env, true)
        eqns, _ = _made_from(_variables(jaxpr.outvars), env, maker)
        _evaluate(eqns, env)
        leaves = [a.val if isinstance(a, Literal) else env[a] for a in jaxpr.outvars]
        return jax.tree.unflatten(tree, leaves)

    return once


def _variables(atoms: Iterable) -> list[Var]:
    return [a for a in atoms if not isinstance(a, Literal)]


def _kept(jaxpr: Any, known: Iterable[Var]) -> list[Var]:
    """Variables with several users that cost something to make, in the order of their making."""
    users = Counter(v for eqn in jaxpr.eqns for v in set(_variables(eqn.invars)))
    users.update(_variables(jaxpr.outvars))
    cost: dict[Var, int] = dict.fromkeys(known, 0)
    kept = []
    for eqn in jaxpr.eqns:
        name = eqn.primitive.name
        total = 0 if name in _FREE else _COST.get(name, 1)
        total += sum(cost[v] for v in set(_variables(eqn.invars)))
        cost.update(dict.fromkeys(eqn.outvars, total))
        if len(eqn.outvars) == 1 and total >= WORTH and users[eqn.outvars[0]] > 1:
            kept.append(eqn.outvars[0])
            cost[eqn.outvars[0]] = 0
    return kept


def _made_from(wanted: list[Var], env: dict, maker: dict) -> tuple[list[JaxprEqn], list[Var]]:
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


def _evaluate(eqns: list[JaxprEqn], env: dict) -> None:
    for eqn in eqns:
        inputs = [a.val if isinstance(a, Literal) else env[a] for a in eqn.invars]
        env.update(zip(eqn.outvars, bind(eqn, inputs), strict=True))


def _apart(eqns: list[JaxprEqn], inputs: list[Var], v: Var, env: dict, true: Any) -> Any:
    """The variable, computed where XLA fuses nothing of it into its users."""

    def made(*values):
        inner = dict(zip(inputs, values, strict=True))
        _evaluate(eqns, inner)
        return inner[v]

    def never(*values):
        return jnp.zeros(v.aval.shape, v.aval.dtype)  # pyright: ignore[reportAttributeAccessIssue]

    return jax.lax.cond(true, made, never, *(env[i] for i in inputs))
