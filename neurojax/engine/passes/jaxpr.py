"""The one evaluator of traced programs: equation after equation, each as a rule says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

Closed = Any
"""A closed jaxpr: a jaxpr and its constants. JAX does not export its type."""

Env = dict[Var, Any]
"""What stands for the values of variables."""

CALLS = ("pjit", "jit", "closed_call")
"""Equations that only call another jaxpr: `evaluate` opens them."""

Rule = Callable[[JaxprEqn, list[Any]], list[Any]]
"""The outputs of an equation from its inputs, whatever stands for their values."""

Own = Callable[[Any, Any], Any]
"""What stands for a number that the jaxpr holds in itself, from the number and its aval."""


def bind(eqn: JaxprEqn, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of an equation: the rule that changes nothing."""
    outputs = eqn.primitive.bind(*inputs, **eqn.primitive.get_bind_params(eqn.params))
    return list(outputs) if eqn.primitive.multiple_results else [outputs]


def _itself(number: Any, aval: Any) -> Any:
    return number


def evaluate(
    jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any], rule: Rule = bind, own: Own = _itself
) -> list[Any]:
    """The outputs of a jaxpr, every equation by the rule."""
    env = {v: own(c, v.aval) for v, c in zip(jaxpr.constvars, consts, strict=True)}
    env |= zip(jaxpr.invars, args, strict=True)
    extend(env, jaxpr.eqns, rule, own)
    return [read(env, a, own) for a in jaxpr.outvars]


def extend(env: Env, eqns: Iterable[JaxprEqn], rule: Rule = bind, own: Own = _itself) -> None:
    """Add to the values of variables those that equations make."""
    for eqn in eqns:
        inputs = [read(env, a, own) for a in eqn.invars]
        if eqn.primitive.name in CALLS:
            inner = eqn.params["jaxpr"]
            outputs = evaluate(inner.jaxpr, inner.consts, inputs, rule, own)
        else:
            outputs = rule(eqn, inputs)
        env.update(zip(eqn.outvars, outputs, strict=True))


def read(env: Env, atom: Any, own: Own = _itself) -> Any:
    """The value of a variable, or of a number written in the program."""
    return own(atom.val, atom.aval) if isinstance(atom, Literal) else env[atom]


def needed(eqns: Iterable[JaxprEqn], wanted: Iterable[Any]) -> list[JaxprEqn]:
    """Those of equations that make what is wanted, or have an effect."""
    wanted = {a for a in wanted if isinstance(a, Var)}
    kept: list[JaxprEqn] = []
    for eqn in reversed(list(eqns)):
        if eqn.effects or wanted.intersection(eqn.outvars):
            wanted.update(a for a in eqn.invars if isinstance(a, Var))
            kept.append(eqn)
    return kept[::-1]


def shaped(atom: Any) -> Any:
    """The shape and dtype of a variable or number of a program, which only arrays have."""
    return atom.aval


def flatten(f: Callable[..., Any], *args: Any, rules: bool = True) -> tuple[Closed, Any]:
    """The closed jaxpr of f with inner jits in place of their calls, and the tree of its result.

    Without `rules`, functions that bring their own derivative are opened too.
    """

    def rule(eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
        if eqn.primitive.name == "custom_jvp_call":
            body = eqn.params["call_jaxpr"]
            # An exponential is to be seen: its own derivative is as good as any rule.
            if not rules or any(e.primitive.name == "exp" for e in body.eqns):
                return evaluate(body.jaxpr, body.consts, inputs, rule)
        return bind(eqn, inputs)

    leaves, tree = jax.tree.flatten(args)
    nested, shape = jax.make_jaxpr(
        lambda *leaves: f(*jax.tree.unflatten(tree, leaves)), return_shape=True
    )(*leaves)
    flat = jax.make_jaxpr(lambda *leaves: evaluate(nested.jaxpr, nested.consts, leaves, rule))(
        *leaves
    )
    return flat, jax.tree.structure(shape)


def called(eqn: JaxprEqn) -> tuple[Jaxpr, Sequence[Any]] | None:
    """The jaxpr and constants of an equation that is a call, even with a derivative of its own."""
    if eqn.primitive.name not in (*CALLS, "custom_jvp_call", "custom_vjp_call", "remat2"):
        return None
    inner = eqn.params["jaxpr"] if "jaxpr" in eqn.params else eqn.params["call_jaxpr"]
    return getattr(inner, "jaxpr", inner), getattr(inner, "consts", ())


def equations(jaxpr: Jaxpr) -> Iterator[JaxprEqn]:
    """The primitive equations of a jaxpr, those of calls and scans in place of these."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "scan":
            yield from equations(eqn.params["jaxpr"].jaxpr)
        elif (inner := called(eqn)) is not None:
            yield from equations(inner[0])
        else:
            yield eqn


class Loop(NamedTuple):
    """A scan's parts: its body, and how many of its inputs are constants and carry."""

    body: Closed
    consts: int
    carry: int
    length: int
    reverse: bool

    @staticmethod
    def of(eqn: JaxprEqn) -> Loop:
        p = eqn.params
        if "num_carry" in p:
            consts, carry = p["num_consts"], p["num_carry"]
        else:
            consts, carry = (len(group) for group in p["ft_in"].unpack()[:2])
        return Loop(p["jaxpr"], consts, carry, p["length"], p["reverse"])

    @property
    def jaxpr(self) -> Jaxpr:
        return self.body.jaxpr

    def split(self, values: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """Inputs as constants, carry and what each turn reads."""
        values = list(values)
        first, second = self.consts, self.consts + self.carry
        return values[:first], values[first:second], values[second:]

    def per_cell(self, given: Sequence[bool]) -> list[bool]:
        """Which of its outputs belong to the cells, from which of its inputs do."""
        consts, carry, rows = self.split(given)
        while True:
            outputs = _reached(self.body, [*consts, *carry, *rows])
            grown = [a or b for a, b in zip(carry, outputs[: self.carry], strict=True)]
            if grown == carry:
                return [*carry, *outputs[self.carry :]]
            carry = grown


def _reached(body: Closed, given: Sequence[bool]) -> list[bool]:
    """Which outputs of a closed jaxpr depend on given inputs."""

    def rule(eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
        if eqn.primitive.name == "scan":
            return Loop.of(eqn).per_cell(inputs)
        return [any(inputs)] * len(eqn.outvars)

    return evaluate(body.jaxpr, body.consts, given, rule, lambda number, aval: False)
