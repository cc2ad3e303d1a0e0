"""A step that costs less: what time does not change is computed once, exponentials are shared.

Channels are written one formula at a time; together they ask for more exponentials than the
membrane potential has slopes. Here a function of (fixed, moving) arguments is traced once and
split: `prepare` evaluates all that depends on `fixed` alone; in what remains, `advance`,

- exponentials of one variable whose slopes are whole multiples of each other are powers of one,
- a division by something fixed is a multiplication, and a chain of fixed factors is one factor.

Values agree with the original to a few roundings (test_hoist holds the bounds), derivatives too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, Literal, Var

LARGEST_POWER = 10
"""How far apart slopes may lie: the k-th power multiplies the rounding of an exponential by k."""

_LARGEST_EXPONENT = {"float32": 80.0, "float64": 700.0}
"""Where exponentials level off, short of the largest number: there, no rate means anything."""

_OVERFLOW_GUARD = 60.0  # max(x, -80) and the like keep exp from overflowing: the cap does that here

CALLS = ("pjit", "jit", "closed_call")
"""Equations that only call another jaxpr."""


def prepare(f: Callable, fixed: Any, *moving: Any) -> tuple[list[jax.Array], Callable]:
    """Constants, and a function with `advance(constants, *moving) == f(fixed, *moving)`.

    `moving` are examples: only their shapes and dtypes count.
    """
    closed, tree = flatten(f, fixed, *moving)
    jaxpr = closed.jaxpr
    n_fixed = len(jax.tree.leaves(fixed))
    split = _Split(jaxpr, n_fixed)
    known = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    known |= zip(jaxpr.invars[:n_fixed], jax.tree.leaves(fixed), strict=True)
    constants = split.first(known)

    def advance(constants, *moving):
        return jax.tree.unflatten(tree, split.then(constants, jax.tree.leaves(moving)))

    return constants, advance


def flatten(f: Callable, *args: Any, rules: bool = True) -> tuple[Any, Any]:
    """The jaxpr of f with inner jits in place of their calls, and the tree of its result.

    Without `rules`, functions that bring their own derivative are opened too.
    """

    leaves, tree = jax.tree.flatten(args)
    nested, shape = jax.make_jaxpr(
        lambda *leaves: f(*jax.tree.unflatten(tree, leaves)), return_shape=True
    )(*leaves)
    flat = jax.make_jaxpr(lambda *leaves: _evaluate(nested.jaxpr, nested.consts, leaves, rules))(
        *leaves
    )
    return flat, jax.tree.structure(shape)


def _evaluate(jaxpr: Jaxpr, consts: Sequence, args: Sequence, rules: bool) -> list:
    env = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))
    for eqn in jaxpr.eqns:
        inputs = [_read(env, a) for a in eqn.invars]
        inner = eqn.params.get("jaxpr") if eqn.primitive.name in CALLS else None
        if eqn.primitive.name == "custom_jvp_call":
            body = eqn.params["call_jaxpr"]
            # An exponential is to be seen: its own derivative is as good as any rule.
            if not rules or any(e.primitive.name == "exp" for e in body.eqns):
                inner = body
        if inner is not None:
            outputs = _evaluate(inner.jaxpr, inner.consts, inputs, rules)
        else:
            outputs = bind(eqn, inputs)
        env.update(zip(eqn.outvars, outputs, strict=True))
    return [_read(env, a) for a in jaxpr.outvars]


def _read(env: dict, atom: Any) -> Any:
    return atom.val if isinstance(atom, Literal) else env[atom]


def bind(eqn: Any, inputs: list) -> list:
    """The outputs of an equation."""
    outputs = eqn.primitive.bind(*inputs, **eqn.primitive.get_bind_params(eqn.params))
    return list(outputs) if eqn.primitive.multiple_results else [outputs]


@dataclass(frozen=True)
class _Affine:
    """slope * base + offset, where the offset is read off what is fixed.

    With a guard (predicate, case, number) it is so in one case of a select, and else the number.
    """

    base: Var
    slope: float
    offset: Callable[[Callable], Any]
    guard: tuple[Var, int, float] | None = None

    def scaled(self, by: float) -> _Affine:
        guard = self.guard and (*self.guard[:2], self.guard[2] * by)
        return replace(
            self,
            slope=self.slope * by,
            offset=lambda read, own=self.offset: own(read) * by,
            guard=guard,
        )

    def shifted(self, atom: Any, sign: int) -> _Affine | None:
        if self.guard:
            return None
        return replace(self, offset=lambda read, own=self.offset: own(read) + sign * read(atom))


@dataclass(frozen=True)
class _Family:
    """Exponentials of one variable as powers of exp(slope * base)."""

    base: Var
    slope: float
    members: tuple[tuple[Any, _Affine, int], ...]  # equation, its argument, the power


@dataclass(frozen=True)
class _Chain:
    """base times fixed factors, or divided by them."""

    base: Var
    factors: tuple[tuple[Any, bool], ...]

    def factor(self, read: Callable) -> Any:
        """All factors as one."""
        total = None
        for atom, divides in self.factors:
            by = 1 / read(atom) if divides else read(atom)
            total = by if total is None else total * by
        return jnp.asarray(total, self.base.aval.dtype)  # pyright: ignore[reportAttributeAccessIssue]


class _Split:
    """A jaxpr cut into what is fixed and what moves, and the exponentials that are shared."""

    def __init__(self, jaxpr: Jaxpr, n_fixed: int):
        self.jaxpr = jaxpr
        self.inputs = jaxpr.invars[n_fixed:]
        self.fixed: set[Var] = {*jaxpr.constvars, *jaxpr.invars[:n_fixed]}
        self.early, self.late = [], []
        for eqn in jaxpr.eqns:
            moves = any(not self._is_fixed(a) for a in eqn.invars) or eqn.effects
            (self.late if moves else self.early).append(eqn)
            if not moves:
                self.fixed.update(eqn.outvars)
        self.families = _families(self._arguments())
        self.member = {
            id(eqn): (family, k) for family in self.families for eqn, _, k in family.members
        }
        self.chains = self._chains()
        self.late = self._needed()
        alone = [e for e in self.late if id(e) not in self.chains]
        used = {a for eqn in alone for a in eqn.invars if isinstance(a, Var)}
        used |= {a.guard[0] for _, a in self._shared() if a.guard}
        used |= {a for a in jaxpr.outvars if isinstance(a, Var)}
        self.kept = [v for v in self._fixed_in_order() if v in used]
        divisors = [e.invars[1] for e in alone if e.primitive.name == "div"]
        fixed = [v for v in divisors if isinstance(v, Var) and v in self.fixed]
        self.divisors = list(dict.fromkeys(fixed))

    def _fixed_in_order(self):
        yield from self.jaxpr.constvars
        yield from (v for v in self.jaxpr.invars if v in self.fixed)
        for eqn in self.early:
            yield from eqn.outvars

    def _is_fixed(self, atom: Any) -> bool:
        return isinstance(atom, Literal) or atom in self.fixed

    def _is_divisor(self, atom: Any) -> bool:
        return isinstance(atom, Var) and atom in self.divisors

    def _shared(self):
        return [(eqn, a) for family in self.families for eqn, a, _ in family.members]

    # -- what is affine in what -------------------------------------------------------------------
    def _arguments(self) -> list[tuple[Any, _Affine]]:
        """Exponentials whose argument is affine in something that moves."""
        forms: dict[Var, _Affine] = {}
        numbers: dict[Var, float] = {}  # arrays that hold one number
        found = []

        def form(atom):
            if self._is_fixed(atom):
                return None
            return forms.get(atom) or _Affine(atom, 1.0, lambda read: 0.0)

        def number(atom):
            if isinstance(atom, Literal) and jnp.ndim(atom.val) == 0:
                return float(atom.val)
            return numbers.get(atom) if isinstance(atom, Var) else None

        for eqn in self.early:
            if eqn.primitive.name in ("broadcast_in_dim", "convert_element_type"):
                value = number(eqn.invars[0])
                if value is not None:
                    numbers[eqn.outvars[0]] = value
        for eqn in self.late:
            out = eqn.outvars[0]
            if out.aval.dtype.name not in _LARGEST_EXPONENT:
                continue
            name = eqn.primitive.name
            if name == "exp" and (argument := form(eqn.invars[0])) and argument.slope:
                found.append((eqn, argument))
            elif (made := self._form(name, eqn, form, number)) is not None:
                forms[out] = made
        return found

    def _form(self, name: str, eqn: Any, form: Callable, number: Callable) -> _Affine | None:
        if name == "neg":
            return form(eqn.invars[0]).scaled(-1.0)
        if name == "select_n" and len(eqn.invars) == 3:
            which, *cases = eqn.invars
            for k in (0, 1):
                other, own = number(cases[1 - k]), form(cases[k])
                if other is not None and own is not None and not own.guard:
                    return replace(own, guard=(which, k, other))
            return None
        if len(eqn.invars) != 2:
            return None
        a, b = eqn.invars
        if name == "mul" and (by := number(a)) is not None:
            return form(b).scaled(by)
        if name in ("mul", "div") and (by := number(b)) is not None and by != 0:
            return form(a).scaled(by if name == "mul" else 1 / by)
        if name in ("add", "sub") and self._is_fixed(b):
            return form(a).shifted(b, 1 if name == "add" else -1)
        if name in ("add", "sub") and self._is_fixed(a):
            own = form(b) if name == "add" else form(b).scaled(-1.0)
            return own.shifted(a, 1)
        if name in ("max", "min"):
            for own, bound in ((a, number(b)), (b, number(a))):
                if bound is not None and abs(bound) >= _OVERFLOW_GUARD:
                    return form(own)
        return None

    # -- fixed factors one after the other ---------------------------------------------------------
    def _chains(self) -> dict[int, _Chain]:
        """Products whose fixed factors, two or more in a row, are one; by the last equation."""
        uses = Counter(a for eqn in self.late for a in eqn.invars if isinstance(a, Var))
        uses.update(a for a in self.jaxpr.outvars if isinstance(a, Var))
        ends: dict[Var, _Chain] = {}
        chains = {}
        for eqn in self.late:
            if id(eqn) in self.member or (factor := self._factor(eqn)) is None:
                continue
            base, by, divides = factor
            before = ends.get(base) if uses[base] == 1 else None
            chain = _Chain(base, ()) if before is None else before
            chain = _Chain(chain.base, (*chain.factors, (by, divides)))
            ends[eqn.outvars[0]] = chain
            if len(chain.factors) > 1:
                chains[id(eqn)] = chain
        return chains

    def _factor(self, eqn: Any) -> tuple[Var, Any, bool] | None:
        """What is multiplied by something fixed, by what, and whether it divides."""
        if eqn.primitive.name not in ("mul", "div"):
            return None
        a, b = eqn.invars
        if eqn.primitive.name == "mul" and self._is_fixed(a):
            a, b = b, a
        if self._is_fixed(a) or not self._is_fixed(b):
            return None
        out = eqn.outvars[0].aval
        if out.dtype.name not in _LARGEST_EXPONENT or a.aval.shape != out.shape:
            return None
        return a, b, eqn.primitive.name == "div"

    def _needed(self) -> list:
        """The moving equations on which the outputs depend once exponentials are shared."""
        needed = {a for a in self.jaxpr.outvars if isinstance(a, Var)}
        kept = []
        for eqn in reversed(self.late):
            if not (eqn.effects or needed.intersection(eqn.outvars)):
                continue
            kept.append(eqn)
            if id(eqn) in self.member:
                family, _ = self.member[id(eqn)]
                needed.add(family.base)
                guards = [a.guard[0] for e, a, _ in family.members if a.guard and e is eqn]
                needed.update(guards)
            elif id(eqn) in self.chains:
                needed.add(self.chains[id(eqn)].base)
            else:
                needed.update(a for a in eqn.invars if isinstance(a, Var))
        return kept[::-1]

    # -- the two halves ---------------------------------------------------------------------------
    def first(self, known: dict) -> list:
        """The constants: what the moving half reads, reciprocals, and factors of exponentials."""
        env = dict(known)
        for eqn in self.early:
            outputs = bind(eqn, [_read(env, a) for a in eqn.invars])
            env.update(zip(eqn.outvars, outputs, strict=True))
        read = partial(_read, env)
        factors, caps = [], []
        for family in self.families:
            dtype: Any = family.base.aval.dtype  # pyright: ignore[reportAttributeAccessIssue]
            offsets = [jnp.asarray(a.offset(read), dtype) for _, a, _ in family.members]
            factors.append([jnp.exp(offset) for offset in offsets])
            caps.append(_cap(offsets, [k for *_, k in family.members], dtype))
        products = [self.chains[id(e)].factor(read) for e in self.late if id(e) in self.chains]
        reciprocals = [1 / env[v] for v in self.divisors]
        return [[env[v] for v in self.kept], reciprocals, factors, caps, products]

    def then(self, constants: list, moving: list) -> list:
        """The outputs, from the constants and the moving inputs."""
        kept, reciprocals, factors, caps, products = constants
        product = iter(products)
        env = dict(zip([*self.kept, *self.inputs], [*kept, *moving], strict=True))
        reciprocal = dict(zip(self.divisors, reciprocals, strict=True))
        powers: dict[int, dict[int, jax.Array]] = {}
        for eqn in self.late:
            if id(eqn) in self.member:
                family, k = self.member[id(eqn)]
                at = self.families.index(family)
                if at not in powers:
                    y = family.slope * _read(env, family.base)
                    needed = tuple(sorted({k for *_, k in family.members}))
                    powers[at] = dict(zip(needed, _powers(needed, y, caps[at]), strict=True))
                outputs = [self._member(eqn, env, family, powers[at][k], factors[at])]
            elif id(eqn) in self.chains:
                outputs = [_read(env, self.chains[id(eqn)].base) * next(product)]
            elif eqn.primitive.name == "div" and self._is_divisor(eqn.invars[1]):
                outputs = [_read(env, eqn.invars[0]) * reciprocal[eqn.invars[1]]]
            elif eqn.primitive.name == "div" and _same_floats(eqn.invars):
                outputs = [_quotient(*(_read(env, a) for a in eqn.invars))]
            else:
                outputs = bind(eqn, [_read(env, a) for a in eqn.invars])
            env.update(zip(eqn.outvars, outputs, strict=True))
        return [_read(env, a) for a in self.jaxpr.outvars]

    def _member(self, eqn, env: dict, family: _Family, power, factors: list):
        at = next(j for j, (e, *_) in enumerate(family.members) if e is eqn)
        argument = family.members[at][1]
        value = jnp.broadcast_to(power * factors[at], eqn.outvars[0].aval.shape)
        if argument.guard is None:
            return value
        which, case, other = argument.guard
        constant = math.exp(min(other, _LARGEST_EXPONENT["float64"]))
        cases = [value, jnp.full_like(value, constant)]
        return jax.lax.select_n(env[which], *(cases if case == 0 else cases[::-1]))


def _families(found: list[tuple[Any, _Affine]]) -> list[_Family]:
    """Groups of exponentials, each of one variable and of slopes that are multiples of one."""
    families = []
    while found:
        best = max((_powers_of(a, found) for _, a in found), key=lambda f: len(f.members))
        if len(best.members) < 2:
            return families
        families.append(best)
        taken = {id(eqn) for eqn, *_ in best.members}
        found = [(eqn, a) for eqn, a in found if id(eqn) not in taken]
    return families


def _powers_of(generator: _Affine, found: list[tuple[Any, _Affine]]) -> _Family:
    """The family that an exponential could lead."""
    base, slope = generator.base, generator.slope
    # Numbers in a formula are rounded to the precision that it is traced in.
    rounding = jnp.finfo(base.aval.dtype).eps  # pyright: ignore[reportAttributeAccessIssue]
    members = []
    for eqn, a in found:
        ratio = a.slope / slope
        k = round(ratio)
        if a.base is base and 1 <= k <= LARGEST_POWER and abs(ratio - k) <= rounding * k:
            members.append((eqn, a, k))
    return _Family(base, slope, tuple(members))


def _cap(offsets: list, powers: list[int], dtype) -> jax.Array:
    """How large the shared exponential may become before one of its powers overflows."""
    largest = _LARGEST_EXPONENT[jnp.dtype(dtype).name]
    room = [(largest - jnp.maximum(o, 0.0)) / k for o, k in zip(offsets, powers, strict=True)]
    least = room[0]
    for other in room[1:]:
        least = jnp.minimum(least, other)
    return jnp.exp(jax.lax.stop_gradient(least))


def _same_floats(atoms: Sequence) -> bool:
    a, b = (atom.aval for atom in atoms)
    return a.shape == b.shape and a.dtype == b.dtype and jnp.issubdtype(a.dtype, jnp.floating)


@jax.custom_jvp
def _quotient(a: jax.Array, b: jax.Array) -> jax.Array:
    return a / b


@_quotient.defjvp
def _(primals, tangents):
    # One division for the value and all tangents; JAX's own rule makes three.
    (a, b), (da, db) = primals, tangents
    reciprocal = 1 / b
    q = a * reciprocal
    return q, (da - q * db) * reciprocal


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _powers(which: tuple[int, ...], y: jax.Array, cap: jax.Array) -> list[jax.Array]:
    """exp(k * y) for each k, all from one exponential."""
    e = jnp.exp(y)
    # As a select it costs one instruction, and keeps XLA from turning e * e back into exp(2 * y).
    made = {1: jnp.where(e < cap, e, cap)}

    def power(k: int) -> jax.Array:
        if k not in made:
            made[k] = power(k // 2) * power(k - k // 2)
        return made[k]

    return [power(k) for k in which]


@_powers.defjvp
def _(which, primals, tangents):
    powers = _powers(which, *primals)
    return powers, [k * p * tangents[0] for k, p in zip(which, powers, strict=True)]
