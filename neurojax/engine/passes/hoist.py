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
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var
from jax.typing import DTypeLike

from neurojax.engine.passes.jaxpr import Env, bind, extend, flatten, needed, read, shaped

LARGEST_POWER = 10
"""How far apart slopes may lie: the k-th power multiplies the rounding of an exponential by k."""

_LARGEST_EXPONENT = {"float32": 80.0, "float64": 700.0}
"""Where exponentials level off, short of the largest number: there, no rate means anything."""

_OVERFLOW_GUARD = 60.0  # max(x, -80) and the like keep exp from overflowing: the cap does that here


Read = Callable[[Any], Any]
"""What gives the value of a variable or number."""


def prepare(
    f: Callable[..., Any], fixed: Any, *moving: Any
) -> tuple[list[jax.Array], Callable[..., Any]]:
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

    def advance(constants: list[Any], *moving: Any) -> Any:
        return jax.tree.unflatten(tree, split.then(constants, jax.tree.leaves(moving)))

    return constants, advance


@dataclass(frozen=True)
class _Affine:
    """slope * base + offset, where the offset is read off what is fixed.

    With a guard (predicate, case, number) it is so in one case of a select, and else the number.
    """

    base: Var
    slope: float
    offset: Callable[[Read], Any]
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


class _Family(NamedTuple):
    """Exponentials of one variable as powers of exp(slope * base)."""

    base: Var
    slope: float
    members: tuple[tuple[JaxprEqn, _Affine, int], ...]  # its argument, the power


@dataclass(frozen=True)
class _Chain:
    """base times fixed factors, or divided by them."""

    base: Var
    factors: tuple[tuple[Any, bool], ...]

    def factor(self, read: Read) -> Any:
        """All factors as one."""
        total = None
        for atom, divides in self.factors:
            by = 1 / read(atom) if divides else read(atom)
            total = by if total is None else total * by
        return jnp.asarray(total, shaped(self.base).dtype)


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
            eqn.outvars[0]: (family, j)
            for family, (_, _, members) in enumerate(self.families)
            for j, (eqn, *_) in enumerate(members)
        }
        self.chains = self._chains()
        self.late = needed(map(self._rewritten, self.late), jaxpr.outvars)
        used = {a for eqn in self.late for a in eqn.invars if isinstance(a, Var)}
        used |= {a for a in jaxpr.outvars if isinstance(a, Var)}
        early = [v for eqn in self.early for v in eqn.outvars]
        self.kept = [v for v in (*jaxpr.constvars, *jaxpr.invars[:n_fixed], *early) if v in used]
        alone = [e for e in self.late if e.outvars[0] not in self.chains]
        divisors = [e.invars[1] for e in alone if e.primitive.name == "div"]
        fixed = [v for v in divisors if isinstance(v, Var) and v in self.fixed]
        self.divisors = list(dict.fromkeys(fixed))

    def _is_fixed(self, atom: Any) -> bool:
        return isinstance(atom, Literal) or atom in self.fixed

    # -- what is affine in what -------------------------------------------------------------------
    def _arguments(self) -> list[tuple[JaxprEqn, _Affine]]:
        """Exponentials whose argument is affine in something that moves."""
        forms: dict[Var, _Affine] = {}
        numbers: dict[Var, float] = {}  # arrays that hold one number
        found = []

        def form(atom: Any) -> _Affine | None:
            if self._is_fixed(atom):
                return None
            return forms.get(atom) or _Affine(atom, 1.0, lambda read: 0.0)

        def number(atom: Any) -> float | None:
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
            if shaped(out).dtype.name not in _LARGEST_EXPONENT:
                continue
            name = eqn.primitive.name
            if name == "exp" and (argument := form(eqn.invars[0])) and argument.slope:
                found.append((eqn, argument))
            elif (made := self._form(name, eqn, form, number)) is not None:
                forms[out] = made
        return found

    def _form(
        self,
        name: str,
        eqn: JaxprEqn,
        form: Callable[[Any], Any],
        number: Callable[[Any], float | None],
    ) -> _Affine | None:
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
    def _chains(self) -> dict[Var, _Chain]:
        """Products whose fixed factors, two or more in a row, are one; by the last equation."""
        uses = Counter(a for eqn in self.late for a in eqn.invars if isinstance(a, Var))
        uses.update(a for a in self.jaxpr.outvars if isinstance(a, Var))
        ends: dict[Var, _Chain] = {}
        chains = {}
        for eqn in self.late:
            if eqn.outvars[0] in self.member or (factor := self._factor(eqn)) is None:
                continue
            base, by, divides = factor
            before = ends.get(base) if uses[base] == 1 else None
            chain = _Chain(base, ()) if before is None else before
            chain = _Chain(chain.base, (*chain.factors, (by, divides)))
            ends[eqn.outvars[0]] = chain
            if len(chain.factors) > 1:
                chains[eqn.outvars[0]] = chain
        return chains

    def _factor(self, eqn: JaxprEqn) -> tuple[Any, Any, bool] | None:
        """What is multiplied by something fixed, by what, and whether it divides."""
        if eqn.primitive.name not in ("mul", "div"):
            return None
        a, b = eqn.invars
        if eqn.primitive.name == "mul" and self._is_fixed(a):
            a, b = b, a
        if self._is_fixed(a) or not self._is_fixed(b):
            return None
        out = shaped(eqn.outvars[0])
        if out.dtype.name not in _LARGEST_EXPONENT or shaped(a).shape != out.shape:
            return None
        return a, b, eqn.primitive.name == "div"

    def _rewritten(self, eqn: JaxprEqn) -> JaxprEqn:
        """A moving equation, with what it reads as a power or as the end of a chain as inputs."""
        out = eqn.outvars[0]
        if out in self.member:
            family, j = self.member[out]
            guard = self.families[family].members[j][1].guard
            base = self.families[family].base
            return eqn.replace(invars=[base] if guard is None else [base, guard[0]])
        return eqn.replace(invars=[self.chains[out].base]) if out in self.chains else eqn

    # -- the two halves ---------------------------------------------------------------------------
    def first(self, known: Env) -> list[Any]:
        """The constants: what the moving half reads, reciprocals, and factors of exponentials."""
        env = dict(known)
        extend(env, self.early)
        value = partial(read, env)
        factors, caps = [], []
        for family in self.families:
            dtype = shaped(family.base).dtype
            offsets = [jnp.asarray(a.offset(value), dtype) for _, a, _ in family.members]
            factors.append([jnp.exp(offset) for offset in offsets])
            caps.append(_cap(offsets, [k for *_, k in family.members], dtype))
        chains = [self.chains.get(eqn.outvars[0]) for eqn in self.late]
        products = [chain.factor(value) for chain in chains if chain is not None]
        reciprocals = [1 / env[v] for v in self.divisors]
        return [[env[v] for v in self.kept], reciprocals, factors, caps, products]

    def then(self, constants: list[Any], moving: list[Any]) -> list[Any]:
        """The outputs, from the constants and the moving inputs."""
        kept, reciprocals, factors, caps, products = constants
        product = iter(products)
        env = dict(zip([*self.kept, *self.inputs], [*kept, *moving], strict=True))
        reciprocal = dict(zip(self.divisors, reciprocals, strict=True))
        powers: dict[int, dict[int, jax.Array]] = {}

        def member(eqn: JaxprEqn, base: jax.Array, *guard: jax.Array) -> jax.Array:
            at, j = self.member[eqn.outvars[0]]
            family = self.families[at]
            _, argument, k = family.members[j]
            if at not in powers:
                needed = tuple(sorted({k for *_, k in family.members}))
                made = _powers(needed, family.slope * base, caps[at])
                powers[at] = dict(zip(needed, made, strict=True))
            value = jnp.broadcast_to(powers[at][k] * factors[at][j], shaped(eqn.outvars[0]).shape)
            if argument.guard is None:
                return value
            _, case, other = argument.guard
            constant = math.exp(min(other, _LARGEST_EXPONENT["float64"]))
            cases = [value, jnp.full_like(value, constant)]
            return jax.lax.select_n(*guard, *(cases if case == 0 else cases[::-1]))

        def rule(eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
            if eqn.outvars[0] in self.member:
                return [member(eqn, *inputs)]
            if eqn.outvars[0] in self.chains:
                return [inputs[0] * next(product)]
            if eqn.primitive.name == "div" and eqn.invars[1] in self.divisors:
                return [inputs[0] * reciprocal[eqn.invars[1]]]
            if eqn.primitive.name == "div" and _same_floats(eqn.invars):
                return [_quotient(*inputs)]
            return bind(eqn, inputs)

        extend(env, self.late, rule)
        return [read(env, a) for a in self.jaxpr.outvars]


def _families(found: list[tuple[JaxprEqn, _Affine]]) -> list[_Family]:
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


def _powers_of(generator: _Affine, found: list[tuple[JaxprEqn, _Affine]]) -> _Family:
    """The family that an exponential could lead."""
    base, slope = generator.base, generator.slope
    # Numbers in a formula are rounded to the precision that it is traced in.
    rounding = jnp.finfo(shaped(base).dtype).eps
    members = []
    for eqn, a in found:
        ratio = a.slope / slope
        k = round(ratio)
        if a.base is base and 1 <= k <= LARGEST_POWER and abs(ratio - k) <= rounding * k:
            members.append((eqn, a, k))
    return _Family(base, slope, tuple(members))


def _cap(offsets: list[Any], powers: list[int], dtype: DTypeLike) -> jax.Array:
    """How large the shared exponential may become before one of its powers overflows."""
    largest = _LARGEST_EXPONENT[jnp.dtype(dtype).name]
    room = [(largest - jnp.maximum(o, 0.0)) / k for o, k in zip(offsets, powers, strict=True)]
    least = room[0]
    for other in room[1:]:
        least = jnp.minimum(least, other)
    return jnp.exp(jax.lax.stop_gradient(least))


def _same_floats(atoms: Sequence[Any]) -> bool:
    a, b = (atom.aval for atom in atoms)
    return a.shape == b.shape and a.dtype == b.dtype and jnp.issubdtype(a.dtype, jnp.floating)


Pair = tuple[jax.Array, jax.Array]


@jax.custom_jvp
def _quotient(a: jax.Array, b: jax.Array) -> jax.Array:
    return a / b


@_quotient.defjvp
def _(primals: Pair, tangents: Pair) -> Pair:
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
def _(
    which: tuple[int, ...], primals: Pair, tangents: Pair
) -> tuple[list[jax.Array], list[jax.Array]]:
    powers = _powers(which, *primals)
    return powers, [k * p * tangents[0] for k, p in zip(which, powers, strict=True)]
