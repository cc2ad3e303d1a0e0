"""What a program does along the leading axes of arrays of cells, element by element.

An array `[..., pop]` is here an object array `[...]` of vectors of lanes; one that all cells share
is an object array of numbers. Moving elements costs a kernel nothing, what combines them is
unrolled. Nothing here moves cells: each runs on its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn

from neurojax.engine.gpu.intrinsics import select

Value = Any
"""An object array over the leading axes; its elements are vectors of lanes, or numbers."""


class Unsupported(NotImplementedError):
    """A program that cannot be run as lanes; the message says why."""


def filled(shape: tuple[int, ...], at: Callable[[tuple], Any]) -> Value:
    """An object array of a shape, element by element."""
    out = np.empty(math.prod(shape), object)
    for k, index in enumerate(np.ndindex(shape)):
        out[k] = at(index)
    return out.reshape(shape)


# Below, `lanes` is the `legal.Lanes` that evaluates the equation.


def each(lanes: Any, f: Callable, *xs: Value) -> Value:
    """f of the elements of object arrays of one shape."""
    return filled(xs[0].shape, lambda at: f(*lanes.alike(*(x[at] for x in xs))))


def _axes(lanes: Any, eqn: JaxprEqn, axes: Sequence[int], of: int = 0) -> tuple[int, ...]:
    """Axes of an input that are not the cells'. Raises Unsupported where one is."""
    aval: Any = eqn.invars[of].aval
    if lanes.per_cell(eqn.invars[of]) and aval.ndim - 1 in axes:
        raise Unsupported(f"{eqn.primitive.name!r} over the cells: each runs on its own")
    return tuple(axes)


def _whole(lanes: Any, eqn: JaxprEqn, parts: Sequence, whole: Any) -> list:
    """One part for each leading axis. Raises Unsupported unless the cells' part is the whole."""
    parts = list(parts)
    if lanes.per_cell(eqn.invars[0]) and parts.pop() != whole:
        raise Unsupported(f"{eqn.primitive.name!r} of the cells: each runs on its own")
    return parts


# -- moving elements ------------------------------------------------------------------------------
def _broadcast(lanes: Any, eqn: JaxprEqn, x: Value, *_) -> Value:
    operand, out = eqn.invars[0], eqn.outvars[0]
    shape = lanes.shape(out)
    dims = list(eqn.params["broadcast_dimensions"])
    if lanes.per_cell(operand):
        dims = dims[:-1]
    elif lanes.per_cell(out) and dims and dims[-1] == len(shape):
        dims = dims[:-1]  # one number for all cells
        x = x[..., 0]
    spread = [1] * len(shape)
    for k, d in enumerate(dims):
        spread[d] = x.shape[k]
    return np.broadcast_to(x.reshape(spread), shape)


def _reshape(lanes: Any, eqn: JaxprEqn, x: Value, *_) -> Value:
    if lanes.per_cell(eqn.outvars[0]) != lanes.per_cell(eqn.invars[0]):
        raise Unsupported("a reshape that takes the cells apart or makes them from something else")
    return x.reshape(lanes.shape(eqn.outvars[0]))


def _slice(lanes: Any, eqn: JaxprEqn, x: Value, *_) -> Value:
    start, limit = eqn.params["start_indices"], eqn.params["limit_indices"]
    parts = zip(start, limit, eqn.params["strides"] or (1,) * len(start), strict=True)
    shape: Any = eqn.invars[0].aval
    parts = _whole(lanes, eqn, list(parts), (0, shape.shape[-1], 1) if shape.ndim else None)
    return x[tuple(slice(*part) for part in parts)]


def _transpose(lanes: Any, eqn: JaxprEqn, x: Value, *_) -> Value:
    order = eqn.params["permutation"]
    return x.transpose(_whole(lanes, eqn, order, len(order) - 1))


def _rev(lanes: Any, eqn: JaxprEqn, x: Value, *_) -> Value:
    return np.flip(x, _axes(lanes, eqn, eqn.params["dimensions"]))


def _tile(lanes: Any, eqn: JaxprEqn, x: Value, *_) -> Value:
    return np.tile(x, _whole(lanes, eqn, eqn.params["reps"], 1))


def _pad(lanes: Any, eqn: JaxprEqn, x: Value, by: Value) -> Value:
    config = [tuple(map(int, c)) for c in eqn.params["padding_config"]]
    config = _whole(lanes, eqn, config, (0, 0, 0))
    out = filled(lanes.shape(eqn.outvars[0]), lambda at: by[()])
    for at in np.ndindex(x.shape):
        to = tuple(low + k * (between + 1) for k, (low, _, between) in zip(at, config, strict=True))
        if all(0 <= k < size for k, size in zip(to, out.shape, strict=True)):
            out[to] = x[at]
    return out


def _concatenate(lanes: Any, eqn: JaxprEqn, *xs: Value) -> Value:
    (axis,) = _axes(lanes, eqn, [eqn.params["dimension"]])
    return np.concatenate(xs, axis=axis)


def _stack(lanes: Any, eqn: JaxprEqn, *xs: Value) -> Value:
    lanes.per_cell(eqn.outvars[0])  # raises where the cells would not stay last
    return np.stack(xs, axis=eqn.params["axis"])


def _split(lanes: Any, eqn: JaxprEqn, x: Value) -> list[Value]:
    (axis,) = _axes(lanes, eqn, [eqn.params["axis"]])
    return np.split(x, np.cumsum(eqn.params["sizes"])[:-1], axis=axis)


def _unstack(lanes: Any, eqn: JaxprEqn, x: Value) -> list[Value]:
    (axis,) = _axes(lanes, eqn, [eqn.params["axis"]])
    parts = np.split(x, x.shape[axis], axis=axis)
    return [part.reshape(lanes.shape(v)) for part, v in zip(parts, eqn.outvars, strict=True)]


def _iota(lanes: Any, eqn: JaxprEqn, *_) -> Value:
    if lanes.per_cell(eqn.outvars[0]):
        raise Unsupported("numbering the cells: each runs on its own")
    dtype, axis = eqn.params["dtype"], eqn.params["dimension"]
    return filled(eqn.params["shape"], lambda at: np.asarray(at[axis], dtype)[()])


# -- where to is known by number: the primitive itself moves the numbers --------------------------
def _known(eqn: JaxprEqn, index: Value) -> np.ndarray:
    """Indices, which must be known while the kernel is traced."""
    if not all(isinstance(k, np.generic) for k in index.flat):
        raise Unsupported(f"{eqn.primitive.name!r} at places that are not written in the program")
    return np.array(index.tolist(), np.int32).reshape(index.shape)


def _numbers(lanes: Any, atom: Any, x: Value, first: int = 0) -> np.ndarray:
    """A number for each element, of the array's rank: the cells are one."""
    shape = (*x.shape, 1) if lanes.per_cell(atom) else x.shape
    return np.arange(first, first + x.size, dtype=np.int32).reshape(shape)


def _gather(lanes: Any, eqn: JaxprEqn, x: Value, index: Value) -> Value:
    p, operand = eqn.params, eqn.invars[0]
    aval: Any = operand.aval
    sizes = _whole(lanes, eqn, p["slice_sizes"], aval.shape[-1])
    with jax.ensure_compile_time_eval():
        taken = lax.gather(
            _numbers(lanes, operand, x),
            _known(eqn, index),
            p["dimension_numbers"],
            (*sizes, 1) if lanes.per_cell(operand) else tuple(sizes),
            mode=p["mode"],
            fill_value=-1,
        )
    taken = np.asarray(taken).reshape(lanes.shape(eqn.outvars[0]))
    missing = np.asarray(np.nan if p["fill_value"] is None else p["fill_value"], aval.dtype)[()]
    return filled(taken.shape, lambda at: x.flat[taken[at]] if taken[at] >= 0 else missing)


def _dynamic_slice(lanes: Any, eqn: JaxprEqn, x: Value, *starts: Value) -> Value:
    aval: Any = eqn.invars[0].aval
    sizes = _whole(lanes, eqn, eqn.params["slice_sizes"], aval.shape[-1] if aval.ndim else None)
    first = [_known(eqn, start) for start, _ in zip(starts, sizes, strict=False)]
    first = [int(np.clip(k, 0, n - size)) for k, n, size in zip(first, x.shape, sizes, strict=True)]
    return x[tuple(slice(k, k + size) for k, size in zip(first, sizes, strict=True))]


def _scatter(combine: Callable) -> Callable:
    def scatter(lanes: Any, eqn: JaxprEqn, x: Value, index: Value, new: Value) -> Value:
        p, dims = eqn.params, eqn.params["dimension_numbers"]
        apart = {*dims.inserted_window_dims, *dims.scatter_dims_to_operand_dims}
        _axes(lanes, eqn, [*apart, *dims.operand_batching_dims])
        old, more = (_numbers(lanes, eqn.invars[k], a) for k, a in ((0, x), (2, new)))
        with jax.ensure_compile_time_eval():
            placed = lax.scatter(
                np.full_like(old, -1), _known(eqn, index), more, dims, mode=p["mode"]
            )
        placed = np.asarray(placed).reshape(x.shape)
        if not p["unique_indices"] and (placed >= 0).sum() < new.size:
            raise Unsupported(f"{eqn.primitive.name!r} to one place more than once")

        def one(at):
            return x[at] if placed[at] < 0 else combine(*lanes.alike(x[at], new.flat[placed[at]]))

        return filled(x.shape, one)

    return scatter


# -- combining them -------------------------------------------------------------------------------
def _reduced(lanes: Any, x: Value, axes: Sequence[int], combine: Callable) -> Value:
    kept = [k for k in range(x.ndim) if k not in axes]
    columns = x.transpose(*kept, *axes).reshape(*(x.shape[k] for k in kept), -1)

    def total(at):
        result, *others = columns[at]
        for element in others:
            result = combine(*lanes.alike(result, element))
        return result

    return filled(columns.shape[:-1], total)


def _reduction(combine: Callable) -> Callable:
    def reduce(lanes: Any, eqn: JaxprEqn, x: Value, *_) -> Value:
        return _reduced(lanes, x, _axes(lanes, eqn, eqn.params["axes"]), combine)

    return reduce


def _cumulation(combine: Callable) -> Callable:
    def cumulate(lanes: Any, eqn: JaxprEqn, x: Value) -> Value:
        (axis,) = _axes(lanes, eqn, [eqn.params["axis"]])
        out = np.moveaxis(x, axis, 0)[:: -1 if eqn.params["reverse"] else 1].copy()
        for k in range(1, len(out)):
            out[k : k + 1] = each(lanes, combine, out[k - 1 : k], out[k : k + 1])
        return np.moveaxis(out[:: -1 if eqn.params["reverse"] else 1], 0, axis)

    return cumulate


def _place_of(better: Callable) -> Callable:
    """The first place of an extreme; that of a number that is none goes before."""

    def place(lanes: Any, eqn: JaxprEqn, x: Value) -> Value:
        (axis,) = _axes(lanes, eqn, eqn.params["axes"])
        columns = np.moveaxis(x, axis, -1)
        dtype = np.dtype(eqn.params["index_dtype"])

        def one(at):
            best, *others = columns[at]
            where = dtype.type(0)
            for k, element in enumerate(others, 1):
                best, element = lanes.alike(best, element)
                here = better(element, best) | ((element != element) & (best == best))
                best = select(here, best, element)
                where = select(*lanes.alike(here, where, dtype.type(k)))
            return where

        return filled(columns.shape[:-1], one)

    return place


def _dot(lanes: Any, eqn: JaxprEqn, a: Value, b: Value) -> Value:
    """Products, summed over the axes that both contract; free axes follow those in common."""
    contracted, common = eqn.params["dimension_numbers"]
    spread = []
    for k, x in enumerate((a, b)):
        axes = _axes(lanes, eqn, contracted[k], of=k)
        own = [d for d in common[k] if d < x.ndim]
        free = [d for d in range(x.ndim) if d not in (*axes, *own)]
        x = x.transpose(*own, *free, *axes)
        sizes = x.shape[len(own) : len(own) + len(free)]
        spread.append((x, x.shape[: len(own)], sizes, x.shape[len(own) + len(free) :]))
    (a, own, free_a, axes), (b, _, free_b, _) = spread
    shape = (*own, *free_a, *free_b, *axes)
    a = np.broadcast_to(a.reshape(*own, *free_a, *[1] * len(free_b), *axes), shape)
    b = np.broadcast_to(b.reshape(*own, *[1] * len(free_a), *free_b, *axes), shape)
    last = range(len(shape) - len(axes), len(shape))
    return _reduced(lanes, each(lanes, _multiply, a, b), last, _add)


def _add(x, y):
    return x + y


def _multiply(x, y):
    return x * y


ALONG: dict[str, Callable] = {
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _reshape,
    "expand_dims": _reshape,
    "slice": _slice,
    "transpose": _transpose,
    "rev": _rev,
    "tile": _tile,
    "pad": _pad,
    "concatenate": _concatenate,
    "stack": _stack,
    "split": _split,
    "unstack": _unstack,
    "iota": _iota,
    "optimization_barrier": lambda lanes, eqn, *xs: list(xs),
    "gather": _gather,
    "dynamic_slice": _dynamic_slice,
    "scatter": _scatter(lambda x, y: y),
    "scatter-add": _scatter(_add),
    "scatter-mul": _scatter(_multiply),
    "scatter-max": _scatter(jnp.maximum),
    "scatter-min": _scatter(jnp.minimum),
    "reduce_sum": _reduction(_add),
    "reduce_max": _reduction(jnp.maximum),
    "reduce_min": _reduction(jnp.minimum),
    "reduce_prod": _reduction(_multiply),
    "reduce_and": _reduction(lambda x, y: x & y),
    "reduce_or": _reduction(lambda x, y: x | y),
    "cumsum": _cumulation(_add),
    "cumprod": _cumulation(_multiply),
    "cummax": _cumulation(jnp.maximum),
    "cummin": _cumulation(jnp.minimum),
    "argmax": _place_of(lambda x, y: x > y),
    "argmin": _place_of(lambda x, y: x < y),
    "dot_general": _dot,
}
"""What to do for a primitive: (lanes, equation, *inputs) to its output, or a list of them."""
