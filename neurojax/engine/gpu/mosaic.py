"""A time loop as one Mosaic kernel: a cell's state stays in registers for the whole run.

Every block of threads takes BLOCK cells, loads their state and constants once, and runs through
time by itself. Loops inside the loop become loops inside the kernel; what a loop reads or writes at
its k-th turn is a row in memory. What is along compartments lies in memory of the kernel's own, see
`rows`. This is the only file that knows Pallas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.dtypes import float0
from jax.extend.core import JaxprEqn, Var

from neurojax.engine.gpu.lane_shapes import COMBINED, Unsupported, filled
from neurojax.engine.gpu.lanes import Lanes, constant, loaded
from neurojax.engine.gpu.rows import Buffer, Rows, row_of
from neurojax.engine.passes.jaxpr import Loop, evaluate, shaped

BLOCK = 128
"""Cells a block of threads, one a thread."""


@dataclass(frozen=True)
class Kernel:
    """How kernels are made: with the hardware's quick exponentials, or interpreted on the CPU.

    Arrays whose first axis is as long as one of `lengths` are along compartments.
    """

    fast_math: bool = False
    interpret: bool = False
    lengths: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class _Stored:
    """A value in memory: rows of a reference, of which a kernel sees the lanes of its own block."""

    ref: Any
    at: tuple[Any, ...]  # index into its first axes
    shape: tuple[int, ...]  # the leading axes that are left
    own: Any  # the block's lanes, None for what all cells share
    dtype: Any  # of the program; memory has another for truth values

    def row(self, k: Any) -> _Stored:
        return _Stored(self.ref, (*self.at, k), self.shape[1:], self.own, self.dtype)

    def _index(self, at: tuple[Any, ...]) -> tuple[Any, ...]:
        lanes = () if self.own is None else (self.own,)
        return (*self.at, *at, *lanes) or (0,)

    def load(self) -> np.ndarray:
        return filled(self.shape, lambda at: _value(self.ref[self._index(at)], self.dtype))

    def store(self, value: np.ndarray, vector: Callable[..., Any]) -> None:
        for at in np.ndindex(self.shape):
            element = _number(value[at]).astype(self.ref.dtype)
            self.ref[self._index(at)] = element if self.own is None else vector(element)


class _Elsewhere(NamedTuple):
    """The rows of an inner loop: they went to memory, as part of the outer loop's own."""

    targets: list[_Stored]

    def load(self) -> Any:
        raise Unsupported("what an inner loop made turn by turn is used by the loop around it")

    def row(self, k: Any) -> Any:
        return self.load()


def launch(
    eqn: JaxprEqn,
    how: Kernel,
    n: int,
    given: Sequence[bool],
    made: Sequence[bool],
    inputs: Sequence[Any],
) -> list[jax.Array]:
    """The scan of one cell as a kernel for n, a multiple of BLOCK.

    Of its inputs some are `given` as `[..., n]`, and some outputs are `made` so. Inputs that are
    NumPy's are part of the program. Raises Unsupported for what no kernel can do.
    """
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import mosaic_gpu as plgpu

    avals, owned = [shaped(v) for v in (*eqn.invars, *eqn.outvars)], [*given, *made]
    kept = [_kept(aval, (n,) * own) for aval, own in zip(avals, owned, strict=True)]
    taken: list[int] = []

    def body(nothing: Any, *refs: Any) -> None:
        block = pl.ds(jax.lax.axis_index("block") * BLOCK, BLOCK)
        stored = [
            _Stored(ref, (), aval.shape, block if own else None, aval.dtype)
            for ref, aval, own in zip(refs, avals, owned, strict=False)
        ]
        sources = [
            constant(x, aval) if _is_written(x, how) else memory
            for x, aval, memory in zip(inputs, avals, stored, strict=False)
        ]
        targets = [[memory] for memory in stored[len(inputs) :]]
        room = _Room(refs[len(avals) :], block)
        _Body(how, nothing[...], room).loop(eqn, sources, targets)
        taken.append(room.taken)

    options: dict[str, Any] = {}
    if how.interpret:  # where JAX is new enough for it
        options["interpret"] = plgpu.InterpretGPUParams()  # pyright: ignore[reportAttributeAccessIssue]

    def run(rooms: int, *arrays: Any) -> Any:
        rows = jax.ShapeDtypeStruct((max(how.lengths, default=0), n), jnp.float32)
        kernel = plgpu.kernel(
            body,
            out_type=(*kept[len(inputs) :], *[rows] * rooms),
            grid=(n // BLOCK,),
            grid_names=("block",),
            compiler_params=plgpu.CompilerParams(
                lowering_semantics=plgpu.LoweringSemantics.Lane,
                # A thread reads inputs and what it wrote itself: there is nothing to wait for.
                unsafe_no_auto_barriers=True,
            ),
            **options,
        )
        return kernel(jnp.zeros(BLOCK, jnp.int32), *arrays)

    ins = zip(inputs, kept, strict=False)
    arrays = [_number(x).astype(a.dtype).reshape(a.shape) for x, a in ins]
    if how.lengths:  # how many rooms it takes, a first time tells
        jax.eval_shape(partial(run, _MOST_ROOMS), *arrays)
    results = run(taken[-1] if taken else 0, *arrays)
    outs = zip(results, avals[len(inputs) :], made, strict=False)
    return [_value(r.reshape(a.shape + (n,) * own), a.dtype) for r, a, own in outs]


def _is_written(x: Any, how: Kernel) -> bool:
    """Whether an input is part of the program, and not along compartments."""
    known = isinstance(x, np.ndarray) and x.dtype != float0
    return known and not (x.ndim and x.shape[0] in how.lengths)


_MOST_ROOMS = 64
"""Arrays along compartments that a kernel may hold in memory of its own."""


class _Room:
    """Memory of the kernel's own for what is along compartments."""

    def __init__(self, refs: Sequence[Any], block: Any):
        self.refs, self.block, self.taken = refs, block, 0

    def take(self, rows: Rows) -> Buffer:
        """A buffer for some rows. Raises Unsupported where there is none left."""
        if self.taken == len(self.refs) or math.prod(rows.shape[1:]) > 1:
            raise Unsupported(f"an array {rows.shape} along compartments that a loop carries")
        self.taken += 1
        ref = self.refs[self.taken - 1]
        memory = _Stored(ref, (), rows.shape[:1], self.block, jnp.dtype(jnp.float32))
        return Buffer(memory, rows.shape)


# Truth values are kept as numbers, and so are, as zeros, the tangents of integers: they have none.
def _kept(aval: Any, cells: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    """What is kept in memory: single numbers as arrays of one."""
    dtype = jnp.int32 if aval.dtype in (bool, float0) else aval.dtype
    return jax.ShapeDtypeStruct((*aval.shape, *cells) or (1,), dtype)


def _number(value: Any) -> Any:
    dtype = getattr(value, "dtype", None)
    if dtype == float0:
        return jnp.zeros(np.shape(value), jnp.int32)
    return jnp.asarray(value).astype(jnp.int32) if dtype == np.bool_ else jnp.asarray(value)


def _value(number: Any, dtype: Any) -> Any:
    if dtype == float0:
        return np.zeros(np.shape(number), float0)
    return number != 0 if dtype == np.bool_ else number


def _instruction(name: str, x: jax.Array) -> jax.Array:
    """An instruction of the hardware, by its name in PTX."""
    from jax.experimental.pallas import mosaic_gpu as plgpu

    layout = plgpu.Layout.WG_STRIDED(x.shape, vec_size=max(BLOCK // 128, 1))
    kind = plgpu.ShapeDtypeStruct(x.shape, x.dtype, layout=layout)

    @plgpu.inline_mgpu(arg_types=(layout,), return_type=kind)
    def instruction(ctx: Any, x: Any) -> Any:
        return x._pointwise(x._lift_fast_instr(name))

    return instruction(x)  # pyright: ignore[reportCallIssue]


def _arithmetic(how: Kernel) -> dict[str, Any]:
    """What divisions are made of, and if they are to be quick, exponentials.

    1 / x in one instruction is right to one unit in the last place, but infinite for |x| < 1.2e-38;
    XLA's takes seven, for the sake of these. 2^x is right to two units.
    """
    if how.interpret:
        return {"power_of_two": jax.lax.exp2 if how.fast_math else None}
    power_of_two = partial(_instruction, "ex2.approx.ftz.f32")
    return {
        "reciprocal": partial(_instruction, "rcp.approx.ftz.f32"),
        "power_of_two": power_of_two if how.fast_math else None,
    }


class _Body:
    """What happens inside a kernel: loops within loops, over values in registers.

    `nothing` is a vector of zeros from memory, which the compiler cannot know to be one number:
    loops carry a register of each thread, not a constant of all.
    """

    def __init__(self, how: Kernel, nothing: jax.Array, room: _Room):
        options = _arithmetic(how)
        self.lanes = Lanes(BLOCK, self.inner, self.total, lengths=how.lengths, **options)
        self.nothing, self.room = nothing, room
        self.wanted: dict[Var, list[_Stored]] = {}  # where the rows of inner loops are to go
        self.pending: list[Rows] = []  # what a turn ends with, and is worked out already

    def loop(
        self, eqn: JaxprEqn, inputs: list[Any], targets: Sequence[Sequence[_Stored]]
    ) -> list[Any]:
        """A scan as a loop; its last carry. Carry and rows go to the targets of each."""
        loop = Loop.of(eqn)
        own = loop.per_cell([_per_cell(x) for x in inputs])[: loop.carry]
        consts, carry, rows = loop.split(inputs)
        consts = [self.lanes.loaded(c) for c in consts]
        carry = [self.lanes.loaded(c) for c in carry]
        buffers = self._buffered(consts, carry)
        consts = [c.frozen() if isinstance(c, Rows) else c for c in consts]
        carried = [v.aval for v in loop.jaxpr.invars[loop.consts : loop.consts + loop.carry]]
        few = [k for k in range(loop.carry) if k not in buffers]
        body = _inlined(loop) if buffers else loop.body

        def current(registers: list[Any]) -> list[Any]:
            small = iter(_values(registers, [carried[k] for k in few]))
            return [buffers[k].rows() if k in buffers else next(small) for k in range(loop.carry)]

        def turn(k: Any, registers: list[Any]) -> list[Any]:
            k = loop.length - 1 - k if loop.reverse else k
            leaving = [[t.row(k) for t in several] for several in targets[loop.carry :]]
            before, self.pending, self.wanted = self.pending, [], {}
            outs = body.jaxpr.outvars
            for out, several in zip(outs[loop.carry :], leaving, strict=True):
                if isinstance(out, Var):
                    self.wanted.setdefault(out, []).extend(several)
            args = [*consts, *current(registers), *(self._row(x, k) for x in rows)]
            ends = {out for out in outs[: loop.carry] if isinstance(out, Var)}
            outputs = self.lanes.evaluate(body.jaxpr, body.consts, args, self._noting(ends))
            for several, value in zip(leaving, outputs[loop.carry :], strict=True):
                self._store(value, several)
            self._written([(outputs[k], buffer) for k, buffer in buffers.items()])
            self.pending = before
            return self._registers([outputs[k] for k in few], [own[k] for k in few])

        registers = self._registers([carry[k] for k in few], [own[k] for k in few])
        if loop.length == 1:
            registers = turn(0, registers)
        else:
            registers = jax.lax.fori_loop(0, loop.length, turn, registers)
        last = current(registers)
        for several, value in zip(targets[: loop.carry], last, strict=True):
            self._store(value, several)
        return last

    def inner(self, eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
        """A loop in the kernel: its carry stays in registers, its rows are part of outer rows."""
        carry = Loop.of(eqn).carry
        rows = [self.wanted.pop(v, []) for v in eqn.outvars[carry:]]
        outer, targets = self.wanted, [*[[]] * carry, *rows]
        last = self.loop(eqn, inputs, targets)
        self.wanted = outer
        return [*last, *map(_Elsewhere, rows)]

    # -- along compartments -----------------------------------------------------------------------
    def _buffered(self, consts: list[Any], carry: list[Any]) -> dict[int, Buffer]:
        """A buffer for each of a carry that is along compartments, by its number.

        What the loop reads is worked out before, and what the turn around it ends with as well.
        """
        moves = {k: x for k, x in enumerate(carry) if isinstance(x, Rows)}
        buffers = {k: self.room.take(x) for k, x in moves.items()}
        read = {id(x): x for x in consts if isinstance(x, Rows) and x.put_off}
        kept = [*read.values(), *(x for x in self.pending if x.put_off and id(x) not in read)]
        self.pending = []
        stored = [(x, self.room.take(x)) for x in kept]
        self._written([*stored, *((x, buffers[k]) for k, x in moves.items())])
        for x, buffer in stored:
            x.keep(buffer)
        return buffers

    def _written(self, pairs: Sequence[tuple[Rows, Buffer]]) -> None:
        """Rows worked out and stored in one loop, but for those that are there already."""
        pairs = [(x, buffer) for x, buffer in pairs if not x.lies_in(buffer)]
        if not pairs:
            return

        for length in sorted({x.shape[0] for x, _ in pairs}):  # with joints, and without
            some = [pair for pair in pairs if pair[0].shape[0] == length]
            self._each_row(length, some)
        for _, buffer in pairs:
            buffer.version += 1

    def _each_row(self, length: int, pairs: Sequence[tuple[Rows, Buffer | _Stored]]) -> None:
        def turn(k: Any, carry: Any) -> Any:
            seen: dict[Any, Any] = {}
            rows = [x.at(k, seen) for x, _ in pairs]
            for (_, to), row in zip(pairs, rows, strict=True):
                if isinstance(to, Buffer):
                    to.store(k, row, self._vector)
                else:
                    to.row(k).store(row, self._vector)
            return carry

        jax.lax.fori_loop(0, length, turn, 0)

    def total(self, eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
        """A sum or the like along compartments: a loop."""
        (x,), combine = inputs, COMBINED[eqn.primitive.name]
        if tuple(eqn.params["axes"]) != (0,):
            raise Unsupported(f"{eqn.primitive.name!r} along compartments and within a row")
        rest = [jax.ShapeDtypeStruct(x.shape[1:], shaped(eqn.outvars[0]).dtype)]

        def turn(k: Any, registers: list[Any]) -> list[Any]:
            (so_far,), row = _values(registers, rest), x.at(k, {})
            made = filled(x.shape[1:], lambda at: combine(*self.lanes.alike(so_far[at], row[at])))
            return self._registers([made], [True])

        first = self._registers([x.at(np.int32(0), {})], [True])
        return _values(jax.lax.fori_loop(1, x.shape[0], turn, first), rest)

    def _noting(self, ends: set[Var]) -> Callable[[JaxprEqn, list[Any]], None]:
        """Notes what a turn ends with, as soon as it is known how to work it out."""

        def note(eqn: JaxprEqn, outputs: list[Any]) -> None:
            pairs = zip(eqn.outvars, outputs, strict=True)
            self.pending += [x for v, x in pairs if v in ends and isinstance(x, Rows) and x.dear]

        return note

    # -- registers and memory ---------------------------------------------------------------------
    def _store(self, value: Any, targets: Sequence[_Stored]) -> None:
        if isinstance(value, _Elsewhere):
            if any(t not in value.targets for t in targets):
                value.load()
        elif isinstance(value, Rows):
            for target in targets:
                self._each_row(value.shape[0], [(value, target)])
        elif targets:
            value = loaded(value)
            for target in targets:
                target.store(value, self._vector)

    def _row(self, x: Any, k: Any) -> Any:
        if isinstance(x, Rows):
            return x.at(k, {})
        if isinstance(x, np.ndarray) and isinstance(k, int):
            return x[k, ...]
        if isinstance(x, np.ndarray) and self.lanes.lengths:  # such as places, a few
            return row_of(self.lanes, x, k, {})
        if isinstance(x, np.ndarray):
            raise Unsupported("a loop inside a loop goes over something made in the outer one")
        return x.row(k)

    def _vector(self, element: jax.Array) -> jax.Array:
        return element if jnp.ndim(element) else element + self.nothing.astype(element.dtype)

    def _registers(self, values: Sequence[Any], own: Sequence[bool]) -> list[Any]:
        """The elements of values, one after the other, as numbers."""
        registers = []
        for value, vector in zip(values, own, strict=True):
            for element in loaded(value).flat:
                number = _number(element)
                registers.append(self._vector(number) if vector else number)
        return registers


def _inlined(loop: Loop) -> Any:
    """The body of a loop with inner jits in place of their calls."""
    kinds = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in map(shaped, loop.jaxpr.invars)]
    return jax.make_jaxpr(lambda *xs: evaluate(loop.jaxpr, loop.body.consts, xs))(*kinds)


def _per_cell(value: Any) -> bool:
    """Whether a value in a kernel is one of each cell."""
    if isinstance(value, _Stored):
        return value.own is not None
    if isinstance(value, Rows):
        return True
    return any(jnp.ndim(element) for element in loaded(value).flat)


def _values(registers: Sequence[Any], avals: Sequence[Any]) -> list[np.ndarray]:
    """Object arrays from their elements."""
    left = iter(registers)
    return [filled(a.shape, lambda at, a=a: _value(next(left), a.dtype)) for a in avals]
