"""A time loop's body in terms of lanes: what a GPU kernel can run, one vector of cells at a time.

A kernel works on short vectors, one lane a cell. An array `[..., pop]` of the program becomes an
object array `[...]` of such vectors, and everything that happens along its leading axes (bins,
parameters, sweeps) happens here, while the kernel is traced. What is left is elementwise, and what
Mosaic has no instruction for is written in terms of what it has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

from neurojax.cell import Cell, batch_shape, channel_current, surroundings
from neurojax.engine.lean import CALLS, bind

Value = Any
"""An object array over the leading axes; its elements are vectors of lanes, or numbers."""

Rule = Callable[[JaxprEqn, list], list]
"""What to do instead of an equation."""


class Unsupported(NotImplementedError):
    """A program that cannot be run as lanes; the message says why."""


# -- which axes are lanes -------------------------------------------------------------------------
def lanes_of(one: Jaxpr, other: Jaxpr) -> dict[Var, bool]:
    """The variables of a jaxpr that have an axis of cells, and whether that is their last one.

    `other` is the same program traced for another number of cells: where shapes differ are cells.
    Raises Unsupported where the programs differ.
    """
    if len(one.eqns) != len(other.eqns):
        raise Unsupported("the program depends on the number of cells")
    found = {}

    def mark(a, b):
        if isinstance(a, Var) and a.aval.shape != b.aval.shape:
            found[a] = a.aval.shape[:-1] == b.aval.shape[:-1]

    inputs = zip([*one.constvars, *one.invars], [*other.constvars, *other.invars], strict=True)
    for a, b in inputs:
        mark(a, b)
    for eqn, twin in zip(one.eqns, other.eqns, strict=True):
        for a, b in zip(_inner(eqn), _inner(twin), strict=True):
            found |= lanes_of(a, b)
        for a, b in zip(eqn.outvars, twin.outvars, strict=True):
            mark(a, b)
    return found


def _inner(eqn: JaxprEqn) -> list[Jaxpr]:
    """The jaxprs inside an equation."""
    params = []
    for value in eqn.params.values():
        params.extend(value if isinstance(value, tuple | list) else [value])
    return [getattr(p, "jaxpr", p) for p in params if hasattr(getattr(p, "jaxpr", p), "eqns")]


# -- evaluation -----------------------------------------------------------------------------------
class Lanes:
    """Evaluates jaxprs on lanes: vectors of `width` cells, traced inside a kernel.

    `lanes` are the variables with an axis of cells, see `lanes_of`. `rules` say what to do with
    equations that are not simple, by the name of their primitive. With `fast`, exponentials are
    those of the hardware, see `fast_exp`; `reciprocal` is what a division is made of.
    """

    def __init__(
        self,
        lanes: dict[Var, bool],
        width: int,
        rules: Mapping[str, Rule] | None = None,
        *,
        fast: bool = False,
        reciprocal: Callable = lambda x: 1 / x,
    ):
        self.lanes, self.width, self.rules, self.fast = lanes, width, rules or {}, fast
        self.reciprocal = reciprocal

    def per_cell(self, atom: Any) -> bool:
        """Whether the last axis of a variable is that of the cells."""
        if not (isinstance(atom, Var) and atom in self.lanes):
            return False
        if not self.lanes[atom]:
            raise Unsupported(f"cells are not along the last axis of an array {atom.aval.shape}")
        return True

    def evaluate(self, jaxpr: Jaxpr, consts: Sequence, args: Sequence[Value]) -> list[Value]:
        """The outputs of a jaxpr, from inputs as object arrays (or whatever `rules` understand)."""
        env: dict[Var, Value] = {
            v: self.constant(c, v) for v, c in zip(jaxpr.constvars, consts, strict=True)
        }
        env |= zip(jaxpr.invars, args, strict=True)
        for eqn in jaxpr.eqns:
            outputs = self._apply(eqn, [self._read(env, a) for a in eqn.invars])
            env.update(zip(eqn.outvars, outputs, strict=True))
        return [self._read(env, a) for a in jaxpr.outvars]

    def _read(self, env: dict, atom: Any) -> Value:
        if isinstance(atom, Literal):
            return filled((), lambda at: np.asarray(atom.val, atom.aval.dtype)[()])
        return env[atom]

    def constant(self, array: Any, var: Var) -> Value:
        """An array that the program carries in itself, number by number."""
        if self.per_cell(var):
            raise Unsupported("the program holds a number for each cell in itself")
        if np.size(array) > 4096:
            raise Unsupported(f"the program holds an array {np.shape(array)} in itself")
        array = np.asarray(array)
        return filled(array.shape, lambda at: array[at])

    def _apply(self, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
        name = eqn.primitive.name
        if name in self.rules:
            return self.rules[name](eqn, inputs)
        if name in CALLS:
            inner = eqn.params["jaxpr"]
            return self.evaluate(inner.jaxpr, inner.consts, inputs)
        if name in ("custom_jvp_call", "custom_vjp_call"):
            inner = eqn.params["call_jaxpr"]
            return self.evaluate(inner.jaxpr, inner.consts, inputs)
        inputs = [loaded(x) for x in inputs]
        if name in _ALONG:
            return [_ALONG[name](self, eqn, *inputs)]
        if name not in ELEMENTWISE and name not in _REWRITTEN:
            raise Unsupported(f"{name!r} has no counterpart in a GPU kernel")
        out = eqn.outvars[0]
        shape = self.shape(out)
        for k, (x, atom) in enumerate(zip(inputs, eqn.invars, strict=True)):
            if self.per_cell(out) and not self.per_cell(atom) and x.ndim:
                x = x[..., 0]  # one number for all cells
            inputs[k] = np.broadcast_to(x, shape)
        return [filled(shape, lambda at: self._one(eqn, [x[at] for x in inputs]))]

    def shape(self, var: Var) -> tuple[int, ...]:
        """The leading axes of a variable."""
        shape = var.aval.shape  # pyright: ignore[reportAttributeAccessIssue]
        return shape[:-1] if self.per_cell(var) else shape

    def _one(self, eqn: JaxprEqn, elements: list) -> jax.Array:
        """One element of an elementwise equation."""
        name = eqn.primitive.name
        if all(isinstance(e, np.generic) for e in elements):
            with jax.ensure_compile_time_eval():
                return np.asarray(bind(eqn, elements)[0])[()]
        if name == "div" and jnp.issubdtype(elements[0].dtype, jnp.floating):
            # A product is as good, to 2 units in the last place, and takes 2 instructions for 8.
            by = elements[1]
            elements[1] = self.reciprocal(by) if jnp.ndim(by) else 1 / by
            return jnp.multiply(*self.alike(*elements))
        elements = self.alike(*elements)
        if self.fast and elements[0].dtype == jnp.float32 and name in _FAST:
            return _FAST[name](*elements)
        if name in _REWRITTEN:
            return _REWRITTEN[name](*elements, **_options(eqn))
        return bind(eqn, elements)[0]

    def alike(self, *elements: jax.Array) -> list[jax.Array]:
        """Elements as vectors, if one of them is."""
        vectors = any(jnp.ndim(e) for e in elements)
        return [self.vector(e) if vectors else e for e in elements]

    def vector(self, element: jax.Array) -> jax.Array:
        """A number as a vector of lanes."""
        if jnp.ndim(element):
            return element
        if element.dtype == bool:  # Mosaic has no constant of this type
            return jnp.full((self.width,), element.astype(np.int32)) != 0
        return jnp.full((self.width,), element)


def _options(eqn: JaxprEqn) -> dict:
    return {k: v for k, v in eqn.params.items() if k in ("y",)}


def filled(shape: tuple[int, ...], at: Callable[[tuple], Any]) -> Value:
    """An object array of a shape, element by element."""
    out = np.empty(math.prod(shape), object)
    for k, index in enumerate(np.ndindex(shape)):
        out[k] = at(index)
    return out.reshape(shape)


def loaded(value: Any) -> Value:
    """A value as an object array, read from memory if that is where it lies."""
    return value if isinstance(value, np.ndarray) else value.load()


# -- primitives that Mosaic lowers one to one, test_legal holds the list to it --------------------
ELEMENTWISE = set(
    """
    add sub mul div neg abs max min sign exp exp2 log log2 tanh logistic sqrt rsqrt square sin cos
    erf atan2 round one_minus_square select_n clamp lt le gt ge eq ne and or xor not rem
    shift_left shift_right_logical shift_right_arithmetic convert_element_type
    bitcast_convert_type
    """.split()  # noqa: SIM905
)


# -- and those that it does not, in terms of these ------------------------------------------------
def _expm1(x):
    # (exp(x) - 1) without cancellation: tanh(x / 2) = (e - 1) / (e + 1)
    return lax.tanh(x * 0.5) * (lax.exp(x) + 1)


def _log1p(x):
    # Kahan: the rounding of 1 + x cancels.
    u = 1 + x
    near = u == 1
    return jnp.where(near, x, lax.log(u) * x / jnp.where(near, 1.0, u - 1))


def _power(x, y):
    y = y.astype(x.dtype)
    positive = lax.exp2(y * lax.log2(jnp.where(x > 0, x, 1.0)))
    at_zero = jnp.where(y > 0, 0.0, jnp.where(y < 0, jnp.inf, 1.0))
    return jnp.where(x > 0, positive, jnp.where(x == 0, at_zero, jnp.nan)).astype(x.dtype)


def _integer_pow(x, y):
    if y < 0:
        return 1 / _integer_pow(x, -y)
    result = None
    for bit in bin(y)[2:]:
        result = None if result is None else result * result
        if bit == "1":
            result = x if result is None else result * x
    return jnp.ones_like(x) if result is None else result


def _floor(x):
    nearest = lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)
    return jnp.where(nearest > x, nearest - 1, nearest)


_REWRITTEN: dict[str, Callable] = {
    "expm1": _expm1,
    "log1p": _log1p,
    "pow": _power,
    "integer_pow": _integer_pow,
    "floor": _floor,
    "ceil": lambda x: -_floor(-x),
    "cbrt": lambda x: jnp.sign(x) * lax.exp2(lax.log2(jnp.maximum(jnp.abs(x), 1e-38)) / 3),
    "sinh": lambda x: 0.5 * (_expm1(x) - _expm1(-x)),
    "cosh": lambda x: 0.5 * (lax.exp(x) + lax.exp(-x)),
    "is_finite": lambda x: jnp.abs(x) <= jnp.finfo(x.dtype).max,
    "add_any": lambda x, y: x + y,
    "copy": lambda x: x,
    "copy_p": lambda x: x,
}


# -- what the hardware does quickly and less precisely --------------------------------------------
def fast_exp(x):
    """exp(x) as a power of two: relative error below (2 + |x|) 1.2e-7.

    The rounding of x log2(e) is most of it; the hardware's own 2^y is good to 2 units in the last
    place.
    """
    return lax.exp2(x * math.log2(math.e))


_FAST: dict[str, Callable] = {
    "exp": fast_exp,
    "logistic": lambda x: 1 / (1 + fast_exp(-x)),
}


# -- along the leading axes -----------------------------------------------------------------------
def _broadcast(self: Lanes, eqn: JaxprEqn, x: Value, *_) -> Value:
    shape = self.shape(eqn.outvars[0])
    dims = list(eqn.params["broadcast_dimensions"])
    operand, out = eqn.invars[0], eqn.outvars[0]
    if self.per_cell(operand):
        dims = dims[:-1]
    elif self.per_cell(out) and dims and dims[-1] == len(shape):
        dims = dims[:-1]  # one number for all cells
        x = x[..., 0]
    spread = [1] * len(shape)
    for k, d in enumerate(dims):
        spread[d] = x.shape[k]
    return np.broadcast_to(x.reshape(spread), shape)


def _reshape(self: Lanes, eqn: JaxprEqn, x: Value, *_) -> Value:
    out = eqn.outvars[0]
    if self.per_cell(out) and not self.per_cell(eqn.invars[0]):
        raise Unsupported("an axis becomes the cells' by a reshape")
    return x.reshape(self.shape(out))


def _leading(self: Lanes, eqn: JaxprEqn, axes: Sequence[int]) -> tuple[int, ...]:
    """Axes that are not the cells'. Raises Unsupported where one is."""
    operand: Any = eqn.invars[0]
    if self.per_cell(operand) and operand.aval.ndim - 1 in axes:
        raise Unsupported(f"{eqn.primitive.name!r} over the cells: each runs on its own")
    return tuple(axes)


def _reduction(combine: Callable) -> Callable:
    def reduce(self: Lanes, eqn: JaxprEqn, x: Value, *_) -> Value:
        axes = _leading(self, eqn, eqn.params["axes"])
        kept = [k for k in range(x.ndim) if k not in axes]
        x = x.transpose(*axes, *kept).reshape(-1, *(x.shape[k] for k in kept))

        def total(at):
            column = x[(slice(None), *at)]
            result = column[0]
            for element in column[1:]:
                result = combine(*self.alike(result, element))
            return result

        return filled(x.shape[1:], total)

    return reduce


def _slice(self: Lanes, eqn: JaxprEqn, x: Value, *_) -> Value:
    start, limit = eqn.params["start_indices"], eqn.params["limit_indices"]
    strides = eqn.params["strides"] or (1,) * len(start)
    shape: Any = eqn.invars[0].aval
    parts = [slice(*part) for part in zip(start, limit, strides, strict=True)]
    if self.per_cell(eqn.invars[0]):
        if (start[-1], limit[-1], strides[-1]) != (0, shape.shape[-1], 1):
            raise Unsupported("a slice of the cells: each runs on its own")
        parts = parts[:-1]
    return x[tuple(parts)]


def _concatenate(self: Lanes, eqn: JaxprEqn, *xs: Value) -> Value:
    _leading(self, eqn, [eqn.params["dimension"]])
    return np.concatenate(xs, axis=eqn.params["dimension"])


def _transpose(self: Lanes, eqn: JaxprEqn, x: Value, *_) -> Value:
    order = list(eqn.params["permutation"])
    if self.per_cell(eqn.invars[0]):
        if order[-1] != len(order) - 1:
            raise Unsupported("cells moved from the last axis")
        order = order[:-1]
    return x.transpose(order)


def _iota(self: Lanes, eqn: JaxprEqn, *_) -> Value:
    if self.per_cell(eqn.outvars[0]):
        raise Unsupported("numbering the cells: each runs on its own")
    dtype, axis = eqn.params["dtype"], eqn.params["dimension"]
    return filled(eqn.params["shape"], lambda at: jnp.asarray(at[axis], dtype))


def _rev(self: Lanes, eqn: JaxprEqn, x: Value, *_) -> Value:
    return np.flip(x, _leading(self, eqn, eqn.params["dimensions"]))


_ALONG: dict[str, Callable] = {
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _reshape,
    "expand_dims": _reshape,
    "reduce_sum": _reduction(lambda a, b: a + b),
    "reduce_max": _reduction(jnp.maximum),
    "reduce_min": _reduction(jnp.minimum),
    "reduce_prod": _reduction(lambda a, b: a * b),
    "reduce_and": _reduction(lambda a, b: a & b),
    "reduce_or": _reduction(lambda a, b: a | b),
    "slice": _slice,
    "concatenate": _concatenate,
    "transpose": _transpose,
    "iota": _iota,
    "rev": _rev,
}

KERNEL_SAFE = frozenset(ELEMENTWISE | set(_REWRITTEN) | set(_ALONG))
"""Primitives of which a step may be made."""


def culprits(cell: Cell, dt: float = 0.025) -> dict[str, str]:
    """Channels of a cell that no kernel can run: the reason, by the channel's name."""
    found = {}
    v = jax.ShapeDtypeStruct(batch_shape(cell), jnp.result_type(float))
    for key, channel in cell.channels.items():

        def move(v, key=key, channel=channel):
            seen = surroundings(cell, key, {})
            x = channel.advance(channel.steady_state(v, **seen), v, dt, cell.celsius, **seen)
            return channel_current(cell, key, v, x, {})

        names = {eqn.primitive.name for eqn in equations(jax.make_jaxpr(move)(v).jaxpr)}
        if bad := sorted(names - KERNEL_SAFE):
            found[key] = f"{type(channel).__name__} uses {', '.join(map(repr, bad))}"
    return found


def equations(jaxpr: Jaxpr):
    """The primitive equations of a jaxpr, those of inner calls in place of the call."""
    for eqn in jaxpr.eqns:
        inner = _inner(eqn)
        if not inner:
            yield eqn
        for sub in inner:
            yield from equations(sub)
