"""Time loops as GPU kernels: a cell's state stays in registers for the whole run.

XLA launches the kernels of a scan's body anew at every step. Here a program is traced, and each of
its time loops over a population becomes one Mosaic kernel: every block of threads takes BLOCK
cells, loads their state and constants once, and runs through time by itself. Loops inside the loop
become loops inside the kernel; what a loop reads or writes at its k-th turn is a row in memory.
This is the only file that knows Pallas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jax.extend.core import JaxprEqn, Literal, Var

from neurojax.engine.lean import bind, flatten
from neurojax.engine.outline import left_whole
from neurojax.engine.legal import Lanes, Unsupported, filled, lanes_of, loaded

BLOCK = 128
"""Cells a block of threads, one a thread."""


@dataclass(frozen=True)
class Kernel:
    """How kernels are made: with the hardware's quick exponentials, or interpreted on the CPU."""

    fast_math: bool = False
    interpret: bool = False


@cache
def missing(device: jax.Device) -> str | None:
    """Why a device cannot run kernels, found out by running one; None if it can."""
    if jax.__version_info__ < (0, 11):
        return f"JAX {jax.__version__} is too old for them (0.11 is needed, with Python 3.12)"
    if device.platform != "gpu" or "nvidia" not in device.device_kind.lower():
        return f"{device.device_kind} is not an NVIDIA GPU"
    try:
        with jax.default_device(device):
            x = jnp.arange(BLOCK, dtype=jnp.float32)
            y = jax.jit(fused(lambda leaves: _probe(*leaves), [True], Kernel()))([x])
            np.testing.assert_allclose(y, 3 * np.arange(BLOCK), rtol=1e-6)
    except Exception as error:  # whatever it is, the scan runs
        return f"a first kernel failed: {type(error).__name__}: {str(error).splitlines()[0][:200]}"
    return None


def _probe(x: jax.Array) -> jax.Array:
    return jax.lax.scan(lambda y, _: (y + x, None), x, length=2)[0]


def fused(f: Callable, split: Sequence[bool], how: Kernel) -> Callable:
    """f(leaves) with its time loops as kernels.

    `split` says which leaves belong to the cells, along their last axis, a multiple of BLOCK. The
    result is the same, and so are its derivatives: under a transformation a loop is a scan again.
    """

    def run(leaves: list) -> Any:
        def sized(a, s, more):
            kind = jax.typeof(a)
            shape = (*kind.shape[:-1], kind.shape[-1] + more) if s else kind.shape
            return jax.ShapeDtypeStruct(shape, kind.dtype, weak_type=kind.weak_type)

        # Traced twice, for more cells the second time: what differs are the axes of cells.
        with left_whole():
            (closed, tree), (twin, _) = (
                flatten(f, [sized(*x, more) for x in zip(leaves, split, strict=True)])
                for more in (0, BLOCK)
            )
        lanes = lanes_of(closed.jaxpr, twin.jaxpr)
        jaxpr = closed.jaxpr
        env = dict(zip(jaxpr.constvars, closed.consts, strict=True))
        env |= zip(jaxpr.invars, leaves, strict=True)
        for eqn in jaxpr.eqns:
            inputs = [a.val if isinstance(a, Literal) else env[a] for a in eqn.invars]
            if eqn.primitive.name == "scan" and _carries_cells(eqn, lanes):
                outputs = _differentiable(eqn, lanes, how)(*inputs)
            else:
                outputs = bind(eqn, inputs)
            env.update(zip(eqn.outvars, outputs, strict=True))
        return jax.tree.unflatten(
            tree, [a.val if isinstance(a, Literal) else env[a] for a in jaxpr.outvars]
        )

    return run


class _Loop(NamedTuple):
    """A scan's parts: its body, and how many of its inputs are constants and carry."""

    body: Any
    consts: int
    carry: int
    length: int
    reverse: bool

    @staticmethod
    def of(eqn: JaxprEqn) -> _Loop:
        p = eqn.params
        if "num_carry" in p:
            consts, carry = p["num_consts"], p["num_carry"]
        else:
            consts, carry = (len(group) for group in p["ft_in"].unpack()[:2])
        return _Loop(p["jaxpr"], consts, carry, p["length"], p["reverse"])

    def split(self, values: Sequence) -> tuple[list, list, list]:
        """Inputs as constants, carry and what each turn reads."""
        values = list(values)
        first, second = self.consts, self.consts + self.carry
        return values[:first], values[first:second], values[second:]


def _carries_cells(eqn: JaxprEqn, lanes: dict[Var, bool]) -> bool:
    loop = _Loop.of(eqn)
    return any(lanes.get(v) for v in eqn.outvars[: loop.carry])


def _differentiable(eqn: JaxprEqn, lanes: dict[Var, bool], how: Kernel) -> Callable:
    """The loop as a kernel; differentiated or mapped it is the scan that it was."""

    def scan(*inputs):
        return bind(eqn, list(inputs))

    mapped = custom_vmap(lambda *inputs: _launch(eqn, lanes, how, inputs))

    @mapped.def_vmap
    def _(axis_size, batched, *inputs):
        axes = [0 if b else None for b in batched]
        return jax.vmap(scan, axes)(*inputs), [True] * len(eqn.outvars)

    loop = jax.custom_jvp(mapped)
    loop.defjvp(lambda primals, tangents: jax.jvp(scan, primals, tangents))
    return loop


# -- one kernel -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Stored:
    """A value in memory: rows of a reference, of which a kernel sees the lanes of its own block."""

    ref: Any
    at: tuple  # index into its first axes
    shape: tuple[int, ...]  # the leading axes that are left
    own: Any  # the block's lanes, None for what all cells share
    dtype: Any

    def row(self, k: Any) -> _Stored:
        return _Stored(self.ref, (*self.at, k), self.shape[1:], self.own, self.dtype)

    def _index(self, at: tuple) -> tuple:
        lanes = () if self.own is None else (self.own,)
        return (*self.at, *at, *lanes) or (0,)

    def load(self) -> np.ndarray:
        return filled(self.shape, lambda at: self.ref[self._index(at)])

    def store(self, value: np.ndarray, vector: Callable) -> None:
        for at in np.ndindex(self.shape):
            element = value[at] if self.own is None else vector(value[at])
            self.ref[self._index(at)] = element.astype(self.dtype)


def _launch(eqn: JaxprEqn, lanes: dict[Var, bool], how: Kernel, inputs: Sequence) -> list[jax.Array]:
    """A scan over a population as one kernel."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import mosaic_gpu as plgpu

    def kept(aval):
        """Truth values are kept as numbers; single numbers as arrays of one."""
        dtype = jnp.int32 if aval.dtype == bool else aval.dtype
        return jax.ShapeDtypeStruct(aval.shape or (1,), dtype)

    population = next(v.aval.shape[-1] for v in eqn.outvars if lanes.get(v))
    axes = Lanes(lanes, BLOCK)
    ins = [kept(a.aval) for a in eqn.invars]
    outs = [kept(v.aval) for v in eqn.outvars]

    def body(nothing, *refs):
        own = pl.ds(jax.lax.axis_index("block") * BLOCK, BLOCK)

        def stored(ref, var):
            return _Stored(
                ref, (), axes.shape(var), own if axes.per_cell(var) else None, ref.dtype
            )

        sources = [stored(*x) for x in zip(refs[: len(ins)], eqn.invars, strict=True)]
        targets = [stored(*x) for x in zip(refs[len(ins) :], eqn.outvars, strict=True)]
        _Body(lanes, how, nothing[...]).loop(eqn, sources, targets)

    options: Any = {"interpret": plgpu.InterpretGPUParams()} if how.interpret else {}
    run = plgpu.kernel(
        body,
        out_type=tuple(outs),
        grid=(population // BLOCK,),
        grid_names=("block",),
        compiler_params=plgpu.CompilerParams(
            lowering_semantics=plgpu.LoweringSemantics.Lane,
            approx_math=how.fast_math,
            # Inputs are only read and outputs only written, so there is nothing to wait for.
            unsafe_no_auto_barriers=True,
        ),
        **options,
    )
    arrays = [
        jnp.asarray(x).astype(a.dtype).reshape(a.shape) for x, a in zip(inputs, ins, strict=True)
    ]
    results = run(jnp.zeros(BLOCK, jnp.int32), *arrays)
    return [
        r.astype(v.aval.dtype).reshape(v.aval.shape)
        for r, v in zip(results, eqn.outvars, strict=True)
    ]


def _reciprocal(x: jax.Array) -> jax.Array:
    """1 / x in one instruction, to one unit in the last place; infinite for |x| < 1.2e-38.

    XLA's takes seven, for the sake of these.
    """
    from jax.experimental.pallas import mosaic_gpu as plgpu

    layout = plgpu.Layout.WG_STRIDED(x.shape, vec_size=max(BLOCK // 128, 1))
    kind = plgpu.ShapeDtypeStruct(x.shape, x.dtype, layout=layout)

    @plgpu.inline_mgpu(arg_types=(layout,), return_type=kind)
    def instruction(ctx, x):
        return x._pointwise(x._lift_fast_instr("rcp.approx.ftz.f32"))

    return instruction(x)


class _Body:
    """What happens inside a kernel: loops within loops, over values in registers.

    `nothing` is a vector of zeros from memory, which the compiler cannot know to be one number:
    loops carry a register of each thread, not a constant of all.
    """

    def __init__(self, lanes: dict[Var, bool], how: Kernel, nothing: jax.Array):
        more: Any = {} if how.interpret else {"reciprocal": _reciprocal}
        self.lanes = Lanes(lanes, BLOCK, {"scan": self.inner}, fast=how.fast_math, **more)
        self.nothing = nothing
        self.wanted: dict[Var, _Stored] = {}  # where the rows of inner loops are to go

    def loop(self, eqn: JaxprEqn, inputs: list, targets: Sequence) -> list:
        """A scan as a loop, its last carry.

        The carry goes to the first targets, its rows to the rest, where they are not None.
        """
        loop = _Loop.of(eqn)
        jaxpr = getattr(loop.body, "jaxpr", loop.body)
        consts, carry, rows = loop.split(inputs)
        consts = [loaded(c) for c in consts]
        carried = jaxpr.invars[loop.consts : loop.consts + loop.carry]
        leaving = list(zip(targets[loop.carry :], jaxpr.outvars[loop.carry :], strict=True))

        def turn(k, registers):
            k = loop.length - 1 - k if loop.reverse else k
            for target, out in leaving:
                if target is not None and isinstance(out, Var):
                    self.wanted[out] = target.row(k)
            args = [*consts, *self._values(registers, carried), *(self._row(x, k) for x in rows)]
            outputs = self.lanes.evaluate(jaxpr, loop.body.consts, args)
            for (target, _), value in zip(leaving, outputs[loop.carry :], strict=True):
                if target is not None and not isinstance(value, _Stored):
                    target.row(k).store(loaded(value), self._vector)
            return self._registers(outputs[: loop.carry], carried)

        registers = self._registers([loaded(c) for c in carry], carried)
        if loop.length == 1:
            registers = turn(0, registers)
        else:
            registers = jax.lax.fori_loop(0, loop.length, turn, registers)
        last = self._values(registers, carried)
        for target, value in zip(targets[: loop.carry], last, strict=True):
            if target is not None:
                target.store(value, self._vector)
        return last

    def inner(self, eqn: JaxprEqn, inputs: list) -> list:
        """A loop in the kernel: its carry stays in registers, its rows are part of outer rows."""
        carry = _Loop.of(eqn).carry
        rows = [self.wanted.pop(v, None) for v in eqn.outvars[carry:]]
        return [*self.loop(eqn, inputs, [*[None] * carry, *rows]), *rows]

    def _row(self, x: Any, k: Any) -> _Stored:
        if not isinstance(x, _Stored):
            raise Unsupported("a loop inside a loop goes over something made in the outer one")
        return x.row(k)

    def _vector(self, element: jax.Array) -> jax.Array:
        return element if jnp.ndim(element) else element + self.nothing.astype(element.dtype)

    def _registers(self, values: Sequence[np.ndarray], variables: Sequence[Var]) -> list:
        """The elements of object arrays, one after the other; truth values as numbers."""
        registers = []
        for value, var in zip(values, variables, strict=True):
            for element in value.flat:
                number = element.astype(jnp.int32) if element.dtype == bool else element
                registers.append(self._vector(number) if self.lanes.per_cell(var) else number)
        return registers

    def _values(self, registers: Sequence, variables: Sequence[Var]) -> list[np.ndarray]:
        """Object arrays of the variables' shapes from their elements."""
        left = iter(registers)

        def element(dtype):
            number = next(left)
            return number != 0 if dtype == bool else number

        return [
            filled(self.lanes.shape(v), lambda at, v=v: element(v.aval.dtype)) for v in variables
        ]
