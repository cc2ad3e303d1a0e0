"""Arrays of a kernel along the compartments of a cell: in memory, a row at a time.

What is long is never held in registers. Elementwise operations on rows are put off until a loop
over the compartments needs them, so that many become one loop; what a loop along the tree reads or
writes lies in a buffer, `[row, cell]`, of which neighbouring threads touch neighbouring numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import JaxprEqn

from neurojax.engine.gpu import intrinsics
from neurojax.engine.gpu.lane_shapes import Unsupported, Value, filled
from neurojax.engine.passes.jaxpr import bind, shaped

Seen = dict[tuple[int, int], Any]
"""Rows that a turn of a loop has worked out already."""

At = Callable[[Any, Seen], Value]
"""A row, by its number, which a kernel may work out."""


class Buffer:
    """Memory for the rows of an array of a shape, a number each, and how often it was written."""

    def __init__(self, memory: Any, shape: tuple[int, ...]):
        self.memory, self.shape, self.version = memory, shape, 0

    def rows(self) -> Rows:
        """What lies in it now."""
        rows = Rows(self.shape, lambda k, seen: self.load(k))
        rows.keep(self)
        return rows

    def load(self, k: Any) -> Value:
        return self.memory.row(k).load().reshape(self.shape[1:])

    def store(self, k: Any, row: Value, vector: Callable[..., Any]) -> None:
        self.memory.row(k).store(row.reshape(()), vector)


class Rows:
    """An array whose first axis is along compartments; `at` makes a row, or loads it."""

    def __init__(self, shape: tuple[int, ...], at: At, dear: bool = False):
        self.shape, self.dear, self._at = shape, dear, at
        self.buffer: Buffer | None = None
        self.version, self.put_off = 0, True

    @staticmethod
    def of(memory: Any) -> Rows:
        """What lies in memory already."""
        rows = Rows(memory.shape, lambda k, seen: memory.row(k).load())
        rows.put_off = False
        return rows

    def at(self, k: Any, seen: Seen) -> Value:
        """The row k, an object array. Raises Unsupported if it was overwritten."""
        key = id(self), id(k)
        if key not in seen:
            seen[key] = self._row(k, seen), k  # a number that is kept is no other's
        return seen[key][0]

    def _row(self, k: Any, seen: Seen) -> Value:
        if self.buffer is None:
            return self._at(k, seen)
        if self.buffer.version != self.version:
            raise Unsupported("an array along compartments is read after it was changed")
        return self.buffer.load(k)

    def keep(self, buffer: Buffer) -> None:
        """From here on its rows are those of a buffer, into which they were stored."""
        self.buffer, self.version = buffer, buffer.version
        self.dear = self.put_off = False

    def lies_in(self, buffer: Buffer) -> bool:
        """Whether it is what a buffer holds."""
        return self.buffer is buffer and self.version == buffer.version

    def frozen(self) -> Rows:
        """The same for a loop that may read but not write it."""
        rows = Rows(self.shape, self.at)
        rows.put_off = self.put_off
        return rows


def put(lanes: Any, x: Rows, row: Value, k: Any) -> Rows:
    """The array with another row k: in its buffer, if it has one, else when rows are made."""
    if x.buffer is None:
        return Rows(x.shape, lambda j, seen: _chosen(lanes, j == k, row, x.at(j, seen)), x.dear)
    if x.buffer.version != x.version:
        raise Unsupported("an array along compartments is changed twice")
    x.buffer.store(k, row, lanes.vector)
    x.buffer.version += 1
    changed = Rows(x.shape, x.at)
    changed.keep(x.buffer)
    return changed


def _chosen(lanes: Any, which: Any, row: Value, other: Value) -> Value:
    if isinstance(which, (bool, np.bool_)):
        return row if which else other

    def element(at: tuple[int, ...]) -> Any:
        return intrinsics.select(*lanes.alike(which, other[at], row[at]))

    return filled(row.shape, element)


# -- equations -------------------------------------------------------------------------------------
_DEAR = frozenset(("exp", "exp2", "expm1", "div", "log", "pow", "tanh", "logistic"))
"""What is not to be worked out twice."""


def made(lanes: Any, eqn: JaxprEqn, inputs: Sequence[Any], elementwise: bool) -> Any:
    """The output of an equation of which an input or the output is rows.

    Raises Unsupported for what is not done row by row.
    """
    name, shape = eqn.primitive.name, shaped(eqn.outvars[0]).shape
    if elementwise:
        dear = name in _DEAR or any(isinstance(x, Rows) and x.dear for x in inputs)

        def at(k: Any, seen: Seen) -> Value:
            rows = [np.broadcast_to(row_of(lanes, x, k, seen), shape[1:]) for x in inputs]
            return filled(shape[1:], lambda at: lanes.one(eqn, [x[at] for x in rows]))

        return Rows(shape, at, dear)
    if name not in _RULES:
        raise Unsupported(f"{name!r} along compartments")
    return _RULES[name](lanes, eqn, inputs, shape)


def row_of(lanes: Any, x: Any, k: Any, seen: Seen) -> Value:
    """The row k of rows, or of what is small: the same for all, or one of a few."""
    if isinstance(x, Rows):
        return x.at(k, seen)
    if x.ndim == 0:
        return x
    row = x[0, ...]
    for j in range(1, len(x)):
        row = _chosen(lanes, k == j, x[j, ...], row)
    return row


def _placed(row: Value, axes: Sequence[int], shape: tuple[int, ...]) -> Value:
    """A row whose axes are those of a broader one, counted with the first."""
    wide = [1] * len(shape)
    for size, axis in zip(row.shape, axes, strict=True):
        wide[axis - 1] = size
    return np.broadcast_to(row.reshape(wide), shape)


def _broadcast(lanes: Any, eqn: JaxprEqn, inputs: Sequence[Any], shape: tuple[int, ...]) -> Any:
    (x, *_), axes = inputs, eqn.params["broadcast_dimensions"]
    along = 0 in axes
    if along and axes[0] != 0:
        raise Unsupported("'broadcast_in_dim' that turns compartments round")

    def at(k: Any, seen: Seen) -> Value:
        row = row_of(lanes, x, k, seen) if along else x
        return _placed(row, axes[1:] if along else axes, shape[1:])

    return Rows(shape, at, isinstance(x, Rows) and x.dear)


def _reshaped(lanes: Any, eqn: JaxprEqn, inputs: Sequence[Any], shape: tuple[int, ...]) -> Any:
    x = inputs[0]
    if not isinstance(x, Rows) or x.shape[:1] != shape[:1]:
        raise Unsupported(f"{eqn.primitive.name!r} of compartments to {shape}")
    return Rows(shape, lambda k, seen: x.at(k, seen).reshape(shape[1:]), x.dear)


def _sliced(lanes: Any, eqn: JaxprEqn, inputs: Sequence[Any], shape: tuple[int, ...]) -> Any:
    (x,), first = inputs, eqn.params["start_indices"][0]
    if x.shape[1:] != shape[1:] or set(eqn.params["strides"] or [1]) != {1}:
        raise Unsupported("'slice' of compartments, but of whole rows")
    if lanes.is_long(shape):
        return Rows(shape, lambda k, seen: x.at(k + first if first else k, seen), x.dear)
    rows = [x.at(np.int32(first + j), {}) for j in range(shape[0])]
    return filled(shape, lambda at: rows[at[0]][at[1:]])


def _joined(lanes: Any, eqn: JaxprEqn, inputs: Sequence[Any], shape: tuple[int, ...]) -> Any:
    if eqn.params["dimension"] != 0:
        raise Unsupported("'concatenate' within a row")
    inputs = [x for x in inputs if x.shape[0]]
    ends = np.cumsum([x.shape[0] for x in inputs])

    def at(k: Any, seen: Seen) -> Value:
        row = None
        for x, end in zip(inputs[::-1], ends[::-1], strict=True):
            first = int(end) - x.shape[0]
            own = jnp.clip(k - first, 0, x.shape[0] - 1)
            here = row_of(lanes, x, own, seen)
            row = here if row is None else _chosen(lanes, k < int(end), here, row)
        assert row is not None
        return row

    return Rows(shape, at, any(isinstance(x, Rows) and x.dear for x in inputs))


def _gathered(lanes: Any, eqn: JaxprEqn, inputs: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """Rows of others: at numbers that lie in memory, or few that are written in the program."""
    x, places = inputs
    if lanes.is_long(shape):
        _check_rows(eqn, x.shape)
        return Rows(
            shape, lambda k, seen: x.at(number(row_of(lanes, places, k, seen)[0, ...]), seen)
        )
    if isinstance(places, Rows) or not all(isinstance(k, np.generic) for k in places.flat):
        raise Unsupported("'gather' along compartments at places that are not known")
    numbers = np.arange(np.prod(x.shape, dtype=int), dtype=np.int32).reshape(x.shape)
    with jax.ensure_compile_time_eval():
        found = np.asarray(bind(eqn, [numbers, np.array(places.tolist(), np.int32)])[0])
    size = int(np.prod(x.shape[1:], dtype=int))

    def element(at: tuple[Any, ...]) -> Any:
        row, rest = divmod(int(found[at]), size)
        return x.at(np.int32(row), {}).flat[rest]

    return filled(shape, element)


def _check_rows(eqn: JaxprEqn, shape: tuple[int, ...]) -> None:
    """Raise Unsupported for a gather of anything but whole rows that are there."""
    how = eqn.params["dimension_numbers"]
    whole = how.start_index_map == how.collapsed_slice_dims == (0,)
    there = eqn.params["mode"] == jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS
    if not (whole and there and tuple(eqn.params["slice_sizes"]) == (1, *shape[1:])):
        raise Unsupported("'gather' along compartments, but of whole rows that are there")


def _looked_up(lanes: Any, eqn: JaxprEqn, inputs: Sequence[Any], shape: tuple[int, ...]) -> Any:
    x, k, *_ = inputs
    if shape[0] != 1 or shape[1:] != x.shape[1:]:
        raise Unsupported("'dynamic_slice' of several compartments")
    return x.at(number(k), {}).reshape(shape)


def number(k: Value) -> Any:
    """The number of a row, as an index. Raises Unsupported where each cell has its own."""
    if np.ndim(k[()]):
        raise Unsupported("a compartment of each cell's own")
    return k[()].astype(np.int32)


def _counted(lanes: Any, eqn: JaxprEqn, inputs: Sequence[Any], shape: tuple[int, ...]) -> Any:
    dtype = eqn.params["dtype"]
    if eqn.params["dimension"] != 0:
        raise Unsupported("'iota' within a row")
    return Rows(shape, lambda k, seen: filled(shape[1:], lambda at: k.astype(dtype)))


_RULES: dict[str, Callable[..., Any]] = {
    "broadcast_in_dim": _broadcast,
    "reshape": _reshaped,
    "squeeze": _reshaped,
    "expand_dims": _reshaped,
    "slice": _sliced,
    "concatenate": _joined,
    "gather": _gathered,
    "dynamic_slice": _looked_up,
    "iota": _counted,
}
"""Equations that move rows."""
