"""A time loop's body in terms of lanes: what a GPU kernel can run, one vector of cells at a time.

A kernel works on short vectors, one lane a cell. An array `[..., pop]` of the program becomes an
object array `[...]` of such vectors, and everything that happens along its leading axes (bins,
parameters, sweeps) happens here, while the kernel is traced. What is left is elementwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

from neurojax.engine.gpu import intrinsics
from neurojax.engine.gpu.lane_shapes import (
    ALONG,
    Unsupported,
    Value,
    each,
    filled,
)
from neurojax.engine.passes.hoist import CALLS, bind
from neurojax.membrane.compartment import Cell, batch_shape, channel_current, environment

Rule = Callable[[JaxprEqn, list], list]
"""What to do instead of an equation."""


# -- which axes are lanes -------------------------------------------------------------------------
def lanes_of(one: Jaxpr, other: Jaxpr) -> dict[Var, bool]:
    """The variables of a jaxpr that have an axis of cells, and whether that is their last one.

    `other` is the same program traced for another number of cells: where shapes differ are cells.
    Raises Unsupported where the programs differ.
    """
    found: dict[Var, bool] = {}
    shared: set[Var] = set()
    cells: list[tuple] = []  # how many there are in both, as the first input tells

    def mark(a: Any, b: Any) -> None:
        mine, theirs = a.aval.shape, b.aval.shape
        if isinstance(a, Var) and mine != theirs:
            cells.append((mine[-1], theirs[-1]))
            found[a] = mine[:-1] == theirs[:-1] and cells[-1] == cells[0]
        elif isinstance(a, Var):
            shared.add(a)

    def visit(one: Jaxpr, other: Jaxpr) -> None:
        if len(one.eqns) != len(other.eqns):
            raise Unsupported("the program depends on the number of cells")
        mine, theirs = [*one.constvars, *one.invars], [*other.constvars, *other.invars]
        for a, b in zip(mine, theirs, strict=True):
            mark(a, b)
        for eqn, twin in zip(one.eqns, other.eqns, strict=True):
            for a, b in zip(_inner(eqn), _inner(twin), strict=True):
                visit(a, b)
            for a, b in zip(eqn.outvars, twin.outvars, strict=True):
                mark(a, b)

    visit(one, other)
    if shared & found.keys():  # JAX traced one function for both
        raise Unsupported("there are as many cells as an array beside them has entries")
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
    equations that are not simple, by the name of their primitive. `reciprocal` is what a division
    is made of, and `power_of_two`, where given, exponentials, see `fast_exp`.
    """

    def __init__(
        self,
        lanes: dict[Var, bool],
        width: int,
        rules: Mapping[str, Rule] | None = None,
        *,
        reciprocal: Callable = lambda x: 1 / x,
        power_of_two: Callable | None = None,
    ):
        self.lanes, self.width, self.rules = lanes, width, rules or {}
        self.reciprocal, self.power_of_two = reciprocal, power_of_two

    def per_cell(self, atom: Any) -> bool:
        """Whether the last axis of a variable is that of the cells."""
        if not (isinstance(atom, Var) and atom in self.lanes):
            return False
        if not self.lanes[atom]:
            shape = atom.aval.shape  # pyright: ignore[reportAttributeAccessIssue]
            raise Unsupported(f"cells are not along the last axis of an array {shape}")
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
            aval: Any = atom.aval
            return filled((), lambda at: np.asarray(atom.val, aval.dtype)[()])
        return env[atom]

    def constant(self, array: Any, var: Any) -> Value:
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
        if (called := _called(eqn)) is not None:
            return self.evaluate(*called, inputs)
        inputs = [loaded(x) for x in inputs]
        if name == "cond":
            return self._choice(eqn, *inputs)
        for out in eqn.outvars:
            self._check(name, out.aval)
        if name in ALONG:
            outputs = ALONG[name](self, eqn, *inputs)
            return outputs if isinstance(outputs, list) else [outputs]
        if name not in ELEMENTWISE and name not in intrinsics.REWRITTEN:
            raise Unsupported(f"{_name(eqn)!r} has no counterpart in a GPU kernel")
        out = eqn.outvars[0]
        shape = self.shape(out)
        for k, (x, atom) in enumerate(zip(inputs, eqn.invars, strict=True)):
            if self.per_cell(out) and not self.per_cell(atom) and x.ndim:
                x = x[..., 0]  # one number for all cells
            inputs[k] = np.broadcast_to(x, shape)
        return [filled(shape, lambda at: self._one(eqn, [x[at] for x in inputs]))]

    def _check(self, name: str, aval: Any) -> None:
        if not (aval.dtype == bool or jnp.issubdtype(aval.dtype, jnp.number)) or (
            jnp.issubdtype(aval.dtype, jnp.complexfloating) or aval.dtype.itemsize > 4
        ):
            raise Unsupported(f"{name!r} makes {aval.dtype}, which GPU kernels do not compute in")

    def _choice(self, eqn: JaxprEqn, which: Value, *operands: Value) -> list[Value]:
        """A branch that the program takes; where only a run can tell, all are taken."""
        branches = eqn.params["branches"]
        which = which[()]
        if isinstance(which, np.generic):
            taken = branches[int(which)]
            return self.evaluate(taken.jaxpr, taken.consts, operands)
        results = [self.evaluate(b.jaxpr, b.consts, operands) for b in branches]
        number = filled((), lambda at: which)
        return [
            each(self, intrinsics.select, np.broadcast_to(number, x.shape), x, *map(loaded, others))
            for x, *others in zip(map(loaded, results[0]), *results[1:], strict=True)
        ]

    def shape(self, var: Var) -> tuple[int, ...]:
        """The leading axes of a variable."""
        shape = var.aval.shape  # pyright: ignore[reportAttributeAccessIssue]
        return shape[:-1] if self.per_cell(var) else shape

    def _one(self, eqn: JaxprEqn, elements: list) -> Any:
        """One element of an elementwise equation."""
        name = eqn.primitive.name
        if all(isinstance(e, np.generic) for e in elements):
            with jax.ensure_compile_time_eval():
                return np.asarray(bind(eqn, elements)[0])[()]
        if name == "div" and jnp.issubdtype(elements[0].dtype, jnp.floating):
            # A product is as good, to 2 units in the last place, and takes 2 instructions for 8.
            by = elements[1]
            with np.errstate(divide="ignore", over="ignore"):
                elements[1] = self.reciprocal(by) if jnp.ndim(by) else 1 / by
            return jnp.multiply(*self.alike(*elements))
        elements = self.alike(*elements)
        if self.power_of_two is not None and elements[0].dtype == jnp.float32:
            if name == "exp":
                return intrinsics.fast_exp(elements[0], self.power_of_two)
            if name == "exp2":
                return self.power_of_two(*elements)
            if name == "logistic":
                return self.reciprocal(1 + intrinsics.fast_exp(-elements[0], self.power_of_two))
        if name in intrinsics.REWRITTEN:
            options = {k: v for k, v in eqn.params.items() if k in intrinsics.PARAMETERS}
            return intrinsics.REWRITTEN[name](*elements, **options)
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


def _called(eqn: JaxprEqn) -> tuple[Jaxpr, Sequence] | None:
    """What an equation that is only a call calls: a jaxpr and its constants."""
    if eqn.primitive.name not in (*CALLS, "custom_jvp_call", "custom_vjp_call", "remat2"):
        return None
    inner = eqn.params["jaxpr"] if "jaxpr" in eqn.params else eqn.params["call_jaxpr"]
    return getattr(inner, "jaxpr", inner), getattr(inner, "consts", ())


def _name(eqn: JaxprEqn) -> str:
    """What a user may know an equation's primitive by."""
    kind = eqn.params.get("_prim")  # JAX wraps its newer ones
    return eqn.primitive.name if kind is None else type(kind).__name__


def loaded(value: Any) -> Value:
    """A value as an object array, read from memory if that is where it lies."""
    return value if isinstance(value, np.ndarray) else value.load()


# -- primitives that Mosaic lowers one to one, test_lanes holds the list to it --------------------
ELEMENTWISE = set(
    """
    add sub mul div neg abs max min sign exp exp2 log log2 tanh logistic sqrt rsqrt square sin cos
    erf atan2 round one_minus_square clamp lt le gt ge eq ne and or xor not
    shift_left shift_right_logical shift_right_arithmetic bitcast_convert_type
    """.split()  # noqa: SIM905
)


KERNEL_SAFE = frozenset(ELEMENTWISE | set(intrinsics.REWRITTEN) | set(ALONG))
"""Primitives of which a step may be made."""


def culprits(cell: Cell, dt: float = 0.025) -> dict[str, str]:
    """Channels of a cell that no kernel can run: the reason, by the channel's name."""
    leaves, tree = jax.tree.flatten(cell)
    kinds = tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)
    return dict(_culprits(tree, kinds, jnp.result_type(float), dt))


@cache  # a program is the same for all numbers
def _culprits(tree: Any, kinds: tuple, dtype: Any, dt: float) -> dict[str, str]:
    cell = jax.tree.unflatten(tree, [jax.ShapeDtypeStruct(*kind) for kind in kinds])
    v = jax.ShapeDtypeStruct(batch_shape(cell), dtype)
    found = {}
    for key, channel in cell.channels.items():

        def move(cell, v, key=key):
            channel, seen = cell.channels[key], environment(cell, key, {})
            x = channel.advance(channel.steady_state(v, **seen), v, dt, cell.celsius, **seen)
            return channel_current(cell, key, v, x, {})

        made = equations(jax.make_jaxpr(move)(cell, v).jaxpr)
        if bad := sorted({_name(e) for e in made if e.primitive.name not in KERNEL_SAFE}):
            found[key] = f"{type(channel).__name__} uses {', '.join(map(repr, bad))}"
    return found


def equations(jaxpr: Jaxpr) -> Iterator[JaxprEqn]:
    """The primitive equations of a jaxpr, those of calls, choices and scans in place of these."""
    for eqn in jaxpr.eqns:
        opened = _called(eqn) is not None or eqn.primitive.name in ("cond", "scan")
        if not opened:
            yield eqn
        for sub in _inner(eqn) if opened else ():
            yield from equations(sub)
