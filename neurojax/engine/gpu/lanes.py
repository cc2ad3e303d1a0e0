"""A program for one cell in terms of lanes: what a GPU kernel can run, a vector of cells at a time.

A kernel works on short vectors, one lane a cell. An array of the program for one cell becomes an
object array of the same shape; its elements are such vectors, or numbers that all cells share. What
happens along its axes (bins, parameters, spikes) happens here, while the kernel is traced; what is
left is elementwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn

from neurojax.engine.gpu import intrinsics
from neurojax.engine.gpu.lane_shapes import (
    COMBINED,
    MOVING,
    Unsupported,
    Value,
    combined,
    filled,
    moved,
)
from neurojax.engine.gpu.rows import Rows, made, number, put
from neurojax.engine.passes.jaxpr import Rule, bind, called, equations, evaluate, shaped
from neurojax.membrane.axes import batch_shape
from neurojax.membrane.compartment import Cell, channel_current, environment, warmed

LARGEST = 4096
"""Numbers of an array that a program may hold in itself: each is an operand of its own."""


class Lanes:
    """Evaluates jaxprs on lanes: vectors of `width` cells, traced inside a kernel.

    `loop` is the rule of a loop inside the program. `reciprocal` is what a division is made of, and
    `power_of_two`, where given, exponentials, see `fast_exp`. Arrays whose first axis is one of the
    `lengths` are `Rows`, and `total` is the rule of a sum along them.
    """

    def __init__(
        self,
        width: int,
        loop: Rule | None = None,
        total: Rule | None = None,
        *,
        lengths: Sequence[int] = (),
        reciprocal: Callable[..., Any] = lambda x: 1 / x,
        power_of_two: Callable[..., Any] | None = None,
    ):
        self.width, self.loop, self.total, self.lengths = width, loop, total, lengths
        self.reciprocal, self.power_of_two = reciprocal, power_of_two

    def evaluate(
        self,
        jaxpr: Jaxpr,
        consts: Sequence[Any],
        args: Sequence[Value],
        note: Callable[[JaxprEqn, list[Value]], None] = lambda eqn, outputs: None,
    ) -> list[Value]:
        """The outputs of a jaxpr, from inputs as object arrays (or whatever `loaded` takes).

        Of every equation `note` is told.
        """

        def rule(eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
            outputs = self._rule(eqn, inputs)
            note(eqn, outputs)
            return outputs

        return evaluate(jaxpr, consts, args, rule, self._held)

    def _held(self, array: Any, aval: Any) -> Value:
        """An array that the program holds in itself."""
        return constant(array, aval)

    def _rule(self, eqn: JaxprEqn, inputs: list[Value]) -> list[Value]:
        name = eqn.primitive.name
        if name == "scan" and self.loop is not None:
            return self.loop(eqn, inputs)
        if (inner := called(eqn)) is not None:
            return self.evaluate(*inner, inputs)
        if name == "custom_linear_solve":
            return self.evaluate(*_solving(eqn, inputs))
        inputs = [self.loaded(x) for x in inputs]
        for out in eqn.outvars:
            _check(name, out.aval)
        if self.lengths and (
            any(isinstance(x, Rows) for x in inputs) or self.is_long(shaped(eqn.outvars[0]).shape)
        ):
            return self._along(eqn, inputs)
        if name in MOVING:
            return moved(eqn, inputs)
        if name in COMBINED:
            (x,), combine = inputs, COMBINED[name]
            return [combined(eqn, x, lambda x, y: combine(*self.alike(x, y)))]
        if not _elementwise(name):
            raise Unsupported(f"{_name(eqn)!r} has no counterpart in a GPU kernel")
        shape = shaped(eqn.outvars[0]).shape
        inputs = [np.broadcast_to(x, shape) for x in inputs]
        return [filled(shape, lambda at: self.one(eqn, [x[at] for x in inputs]))]

    def _along(self, eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
        """The outputs of an equation along compartments."""
        name = eqn.primitive.name
        if name == "dynamic_update_slice" and isinstance(inputs[0], Rows):
            x, row, k, *_ = inputs
            if isinstance(row, Rows) or row.shape != (1, *x.shape[1:]):
                raise Unsupported("'dynamic_update_slice' of several compartments")
            return [put(self, x, row[0, ...], number(k))]
        if name in COMBINED and self.total is not None and 0 in eqn.params.get("axes", ()):
            return self.total(eqn, inputs)
        return [made(self, eqn, inputs, _elementwise(name))]

    def is_long(self, shape: Sequence[int]) -> bool:
        """Whether an array of this shape is along compartments."""
        return len(shape) > 0 and shape[0] in self.lengths

    def loaded(self, value: Any) -> Any:
        """A value as an object array, or what is long as rows."""
        if isinstance(value, Rows):
            return value
        long = self.is_long(getattr(value, "shape", ()))  # what lies elsewhere has none
        return Rows.of(value) if long else loaded(value)

    def one(self, eqn: JaxprEqn, elements: list[Any]) -> Any:
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

    def alike(self, *elements: Any) -> list[Any]:
        """Elements as vectors, if one of them is."""
        vectors = any(jnp.ndim(e) for e in elements)
        return [self.vector(e) if vectors else e for e in elements]

    def vector(self, element: Any) -> jax.Array:
        """A number as a vector of lanes."""
        if jnp.ndim(element):
            return element
        if element.dtype == bool:  # Mosaic has no constant of this type
            return jnp.full((self.width,), element.astype(np.int32)) != 0
        return jnp.full((self.width,), element)


def _elementwise(name: str) -> bool:
    return name in ELEMENTWISE or name in intrinsics.REWRITTEN


def _solving(eqn: JaxprEqn, inputs: list[Value]) -> tuple[Jaxpr, Sequence[Any], list[Value]]:
    """The solver of a linear system: its jaxpr, constants and inputs."""
    counts, solver = eqn.params["const_lengths"], eqn.params["jaxprs"].solve
    before = counts.matvec + counts.vecmat
    own = inputs[before : before + counts.solve]
    return solver.jaxpr, solver.consts, [*own, *inputs[sum(counts) :]]


def _check(name: str, aval: Any) -> None:
    """Raise Unsupported for numbers that kernels do not compute in."""
    kinds = jnp.floating, jnp.integer, jnp.bool_
    if not any(jnp.issubdtype(aval.dtype, k) for k in kinds) or aval.dtype.itemsize > 4:
        raise Unsupported(f"{name!r} makes {aval.dtype}, which GPU kernels do not compute in")


def constant(array: Any, aval: Any) -> Value:
    """An array that the program holds in itself, number by number."""
    if np.size(array) > LARGEST:
        raise Unsupported(f"the program holds an array {np.shape(array)} in itself")
    array = np.asarray(array, aval.dtype)
    return filled(array.shape, lambda at: array[at])


def loaded(value: Any) -> Value:
    """A value as an object array, read from memory if that is where it lies."""
    return value if isinstance(value, np.ndarray) else value.load()


def _name(eqn: JaxprEqn) -> str:
    """What a user may know an equation's primitive by."""
    kind = eqn.params.get("_prim")  # JAX wraps its newer ones
    return eqn.primitive.name if kind is None else type(kind).__name__


# -- primitives that Mosaic lowers one to one, test_lanes holds the list to it --------------------
ELEMENTWISE = set(
    """
    add sub mul div neg abs max min sign exp exp2 log log2 tanh logistic sqrt rsqrt square sin cos
    erf atan2 round one_minus_square clamp lt le gt ge eq ne and or xor not
    shift_left shift_right_logical shift_right_arithmetic bitcast_convert_type
    """.split()  # noqa: SIM905
)


KERNEL_SAFE = frozenset(ELEMENTWISE | intrinsics.REWRITTEN.keys() | MOVING | COMBINED.keys())
"""Primitives of which a step may be made."""


def culprits(cell: Cell, dt: float = 0.025) -> dict[str, str]:
    """Channels of a cell that no kernel can run: the reason, by the channel's name."""
    leaves, tree = jax.tree.flatten(cell)
    kinds = tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)
    return dict(_culprits(tree, kinds, jnp.result_type(float), dt))


@cache  # a program is the same for all numbers
def _culprits(tree: Any, kinds: tuple[Any, ...], dtype: Any, dt: float) -> dict[str, str]:
    cell = jax.tree.unflatten(tree, [jax.ShapeDtypeStruct(*kind) for kind in kinds])
    v = jax.ShapeDtypeStruct(batch_shape(cell), dtype)
    found = {}
    for key, channel in cell.channels.items():

        def move(cell: Cell, v: jax.Array, key: str = key) -> jax.Array:
            channel, seen = warmed(cell, key), environment(cell, key, {})
            x = channel.advance(channel.steady_state(v, **seen), v, dt, cell.celsius, **seen)
            return channel_current(cell, key, v, x, {})

        made = equations(jax.make_jaxpr(move)(cell, v).jaxpr)
        if bad := sorted({_name(e) for e in made if e.primitive.name not in KERNEL_SAFE}):
            found[key] = f"{type(channel).__name__} uses {', '.join(map(repr, bad))}"
    return found
