"""A time loop as one Mosaic kernel: a cell's state stays in registers for the whole run.

Every block of threads takes BLOCK cells, loads their state and constants once, and runs through
time by itself. Loops inside the loop become loops inside the kernel; what a loop reads or writes at
its k-th turn is a row in memory. This is the only file that knows Pallas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.dtypes import float0
from jax.extend.core import JaxprEqn, Var

from neurojax.engine.gpu.lane_shapes import Unsupported, filled
from neurojax.engine.gpu.lanes import Lanes, constant, loaded
from neurojax.engine.passes.jaxpr import Loop, shaped

BLOCK = 128
"""Cells a block of threads, one a thread."""


@dataclass(frozen=True)
class Kernel:
    """How kernels are made: with the hardware's quick exponentials, or interpreted on the CPU."""

    fast_math: bool = False
    interpret: bool = False


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

    def body(nothing: Any, *refs: Any) -> None:
        block = pl.ds(jax.lax.axis_index("block") * BLOCK, BLOCK)
        stored = [
            _Stored(ref, (), aval.shape, block if own else None, aval.dtype)
            for ref, aval, own in zip(refs, avals, owned, strict=True)
        ]
        sources = [
            constant(x, aval) if isinstance(x, np.ndarray) and x.dtype != float0 else memory
            for x, aval, memory in zip(inputs, avals, stored, strict=False)
        ]
        targets = [[memory] for memory in stored[len(inputs) :]]
        _Body(how, nothing[...]).loop(eqn, sources, targets)

    options: dict[str, Any] = {}
    if how.interpret:  # where JAX is new enough for it
        options["interpret"] = plgpu.InterpretGPUParams()  # pyright: ignore[reportAttributeAccessIssue]
    run = plgpu.kernel(
        body,
        out_type=tuple(kept[len(inputs) :]),
        grid=(n // BLOCK,),
        grid_names=("block",),
        compiler_params=plgpu.CompilerParams(
            lowering_semantics=plgpu.LoweringSemantics.Lane,
            # Inputs are only read and outputs only written, so there is nothing to wait for.
            unsafe_no_auto_barriers=True,
        ),
        **options,
    )
    ins = zip(inputs, kept, strict=False)
    arrays = [_number(x).astype(a.dtype).reshape(a.shape) for x, a in ins]
    results = run(jnp.zeros(BLOCK, jnp.int32), *arrays)
    outs = zip(results, avals[len(inputs) :], made, strict=True)
    return [_value(r.reshape(a.shape + (n,) * own), a.dtype) for r, a, own in outs]


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

    def __init__(self, how: Kernel, nothing: jax.Array):
        self.lanes = Lanes(BLOCK, self.inner, **_arithmetic(how))
        self.nothing = nothing
        self.wanted: dict[Var, list[_Stored]] = {}  # where the rows of inner loops are to go

    def loop(
        self, eqn: JaxprEqn, inputs: list[Any], targets: Sequence[Sequence[_Stored]]
    ) -> list[Any]:
        """A scan as a loop; its last carry. Carry and rows go to the targets of each."""
        loop = Loop.of(eqn)
        own = loop.per_cell([_per_cell(x) for x in inputs])[: loop.carry]
        consts, carry, rows = loop.split(inputs)
        consts = [loaded(c) for c in consts]
        carried = [v.aval for v in loop.jaxpr.invars[loop.consts : loop.consts + loop.carry]]

        def turn(k: Any, registers: list[Any]) -> list[Any]:
            k = loop.length - 1 - k if loop.reverse else k
            leaving = [[t.row(k) for t in several] for several in targets[loop.carry :]]
            self.wanted = {}
            for out, several in zip(loop.jaxpr.outvars[loop.carry :], leaving, strict=True):
                if isinstance(out, Var):
                    self.wanted.setdefault(out, []).extend(several)
            args = [*consts, *_values(registers, carried), *(self._row(x, k) for x in rows)]
            outputs = self.lanes.evaluate(loop.jaxpr, loop.body.consts, args)
            for several, value in zip(leaving, outputs[loop.carry :], strict=True):
                self._store(value, several)
            return self._registers(outputs[: loop.carry], own)

        registers = self._registers(carry, own)
        if loop.length == 1:
            registers = turn(0, registers)
        else:
            registers = jax.lax.fori_loop(0, loop.length, turn, registers)
        last = _values(registers, carried)
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

    def _store(self, value: Any, targets: Sequence[_Stored]) -> None:
        if isinstance(value, _Elsewhere):
            if any(t not in value.targets for t in targets):
                value.load()
        elif targets:
            value = loaded(value)
            for target in targets:
                target.store(value, self._vector)

    def _row(self, x: Any, k: Any) -> _Stored:
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


def _per_cell(value: Any) -> bool:
    """Whether a value in a kernel is one of each cell."""
    if isinstance(value, _Stored):
        return value.own is not None
    return any(jnp.ndim(element) for element in loaded(value).flat)


def _values(registers: Sequence[Any], avals: Sequence[Any]) -> list[np.ndarray]:
    """Object arrays from their elements."""
    left = iter(registers)
    return [filled(a.shape, lambda at, a=a: _value(next(left), a.dtype)) for a in avals]
