"""Time loops as GPU kernels: a cell's state stays in registers for the whole run.

XLA launches the kernels of a scan's body anew at every step. Here a program is traced, and each of
its time loops over a population becomes one Mosaic kernel: every block of threads takes BLOCK
cells, loads their state and constants once, and runs through time by itself. Loops inside the loop
become loops inside the kernel; what a loop reads or writes at its k-th turn is a row in memory.
A loop that cannot be a kernel is a scan, of which the loops within may be. This is the only file
that knows Pallas.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.custom_batching import custom_vmap
from jax.dtypes import float0
from jax.extend.core import JaxprEqn, Literal, Var

from neurojax.engine.gpu.lane_shapes import Unsupported, filled
from neurojax.engine.gpu.lanes import Lanes, lanes_of, loaded
from neurojax.engine.passes.hoist import bind, flatten
from neurojax.engine.passes.materialise import left_whole

BLOCK = 128
"""Cells a block of threads, one a thread."""


@dataclass(frozen=True)
class Kernel:
    """How kernels are made: with the hardware's quick exponentials, or interpreted on the CPU."""

    fast_math: bool = False
    interpret: bool = False


@cache
def missing(device: Any) -> str | None:
    """Why a device cannot run kernels, found out by running one; None if it can."""
    if jax.__version_info__ < (0, 11):
        return f"JAX {jax.__version__} is too old (0.11 is needed, with Python 3.12)"
    if device.platform != "gpu" or "nvidia" not in device.device_kind.lower():
        return f"{device.device_kind} is not an NVIDIA GPU"
    try:
        with jax.default_device(device):
            x = jnp.arange(BLOCK, dtype=jnp.float32)
            y = jax.jit(fused(lambda leaves: _probe(*leaves), [True], Kernel()))([x])
            np.testing.assert_allclose(y, 3 * np.arange(BLOCK), rtol=1e-6)
    except Exception as error:  # whatever it is, the scan runs
        return f"a first kernel failed: {type(error).__name__}: {_line(error)}"
    return None


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]


def _probe(x: jax.Array) -> jax.Array:
    return jax.lax.scan(lambda y, _: (y + x, None), x, length=2)[0]


@cache
def warn_of_scan(reason: str) -> None:
    """Say once why a population's time loop is no kernel."""
    warnings.warn(
        f"a time loop is no GPU kernel but a scan, many times slower: {reason}",
        RuntimeWarning,
        stacklevel=4,
    )


def fused(f: Callable, split: Sequence[bool], how: Kernel) -> Callable:
    """f(leaves) with its time loops as kernels.

    `split` says which leaves belong to the cells, along their last axis, a multiple of BLOCK. The
    result is the same, and so are its derivatives: under a transformation a loop is a scan again.
    Warns (RuntimeWarning) of a loop that remains one for another reason.
    """

    def run(leaves: list) -> Any:
        def sized(a, s, more):
            kind = jax.typeof(a)
            shape = (*kind.shape[:-1], kind.shape[-1] + more) if s else kind.shape
            return jax.ShapeDtypeStruct(shape, kind.dtype, weak_type=kind.weak_type)

        def traced(more):
            with left_whole():
                return flatten(f, [sized(*x, more) for x in zip(leaves, split, strict=True)])

        closed, tree = traced(0)
        try:
            # Traced again for more cells: what differs are the axes of cells.
            lanes = lanes_of(closed.jaxpr, traced(BLOCK)[0].jaxpr)
        except Unsupported as reason:
            warn_of_scan(str(reason))
            return f(leaves)
        except (TypeError, ValueError) as error:
            warn_of_scan(f"the program runs for this number of cells only: {_line(error)}")
            return f(leaves)
        return jax.tree.unflatten(tree, _evaluate(closed.jaxpr, closed.consts, leaves, lanes, how))

    return run


def _evaluate(
    jaxpr: Any, consts: Sequence, inputs: Sequence, lanes: dict[Var, bool], how: Kernel
) -> list:
    """The outputs of a jaxpr, its loops over cells as kernels."""
    env = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True))

    def read(atom):
        return atom.val if isinstance(atom, Literal) else env[atom]

    for eqn in jaxpr.eqns:
        inputs = [read(a) for a in eqn.invars]
        if _carries_cells(eqn, lanes):
            outputs = _differentiable(eqn, lanes, how, inputs)(*inputs)
        else:
            outputs = bind(eqn, inputs)
        env.update(zip(eqn.outvars, outputs, strict=True))
    return [read(a) for a in jaxpr.outvars]


class _Loop(NamedTuple):
    """A scan's parts: its body, and how many of its inputs are constants and carry."""

    body: Any  # a closed jaxpr
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

    @property
    def jaxpr(self) -> Any:
        return self.body.jaxpr

    def split(self, values: Sequence) -> tuple[list, list, list]:
        """Inputs as constants, carry and what each turn reads."""
        values = list(values)
        first, second = self.consts, self.consts + self.carry
        return values[:first], values[first:second], values[second:]


def _carries_cells(eqn: JaxprEqn, lanes: dict[Var, bool]) -> bool:
    """Whether an equation is a loop over a population."""
    return eqn.primitive.name == "scan" and any(
        lanes.get(v) for v in eqn.outvars[: _Loop.of(eqn).carry]
    )


def _differentiable(
    eqn: JaxprEqn, lanes: dict[Var, bool], how: Kernel, inputs: Sequence
) -> Callable:
    """The loop as a kernel; differentiated or mapped it is the scan that it was.

    Of its `inputs` it keeps what the program itself wrote down: indices, for one.
    """
    known = {
        k: np.asarray(x)
        for k, x in enumerate(inputs[: _Loop.of(eqn).consts])
        if not isinstance(x, Tracer) and jnp.issubdtype(jax.typeof(x).dtype, jnp.integer)
    }

    def scan(*inputs):
        return bind(eqn, list(inputs))

    def run(*inputs):
        return _run(eqn, lanes, how, [known.get(k, x) for k, x in enumerate(inputs)])

    mapped = custom_vmap(run)

    @mapped.def_vmap
    def _(axis_size, batched, *inputs):
        axes = [0 if b else None for b in batched]
        return jax.vmap(scan, axes)(*inputs), [True] * len(eqn.outvars)

    loop = jax.custom_jvp(mapped)
    loop.defjvp(lambda primals, tangents: jax.jvp(scan, primals, tangents))
    return loop


def _run(eqn: JaxprEqn, lanes: dict[Var, bool], how: Kernel, inputs: Sequence) -> list:
    """A loop as one kernel, or else as a scan, of which the loops within may be kernels."""
    loop = _Loop.of(eqn)
    inner = [e for e in loop.jaxpr.eqns if _carries_cells(e, lanes)]
    made = {v for e in loop.jaxpr.eqns for v in e.outvars}
    read = {a for e in inner for a in _Loop.of(e).split(e.invars)[2] if isinstance(a, Var)}
    if not made & read:  # rows that a turn makes for itself need memory, which XLA manages
        try:
            return _launch(eqn, lanes, how, inputs)
        except Unsupported as reason:
            warn_of_scan(str(reason))
    if not inner:
        return bind(eqn, list(inputs))
    consts, carry, rows = loop.split(inputs)

    def turn(carry, rows):
        given = [*consts, *carry, *rows]
        outputs = _evaluate(loop.jaxpr, loop.body.consts, given, lanes, how)
        return outputs[: loop.carry], outputs[loop.carry :]

    carry, rows = jax.lax.scan(turn, carry, rows, loop.length, loop.reverse)
    return [*carry, *rows]


# -- one kernel -----------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class _Stored:
    """A value in memory: rows of a reference, of which a kernel sees the lanes of its own block."""

    ref: Any
    at: tuple  # index into its first axes
    shape: tuple[int, ...]  # the leading axes that are left
    own: Any  # the block's lanes, None for what all cells share
    dtype: Any  # of the program; memory has another for truth values

    def row(self, k: Any) -> _Stored:
        return _Stored(self.ref, (*self.at, k), self.shape[1:], self.own, self.dtype)

    def _index(self, at: tuple) -> tuple:
        lanes = () if self.own is None else (self.own,)
        return (*self.at, *at, *lanes) or (0,)

    def load(self) -> np.ndarray:
        return filled(self.shape, lambda at: _value(self.ref[self._index(at)], self.dtype))

    def store(self, value: np.ndarray, vector: Callable) -> None:
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


def _launch(
    eqn: JaxprEqn, lanes: dict[Var, bool], how: Kernel, inputs: Sequence
) -> list[jax.Array]:
    """A scan over a population as one kernel."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import mosaic_gpu as plgpu

    outvars: Any = eqn.outvars
    population = next(v.aval.shape[-1] for v in outvars if lanes.get(v))
    axes = Lanes(lanes, BLOCK)
    ins = [_kept(a.aval) for a in eqn.invars]
    outs = [_kept(v.aval) for v in outvars]

    def body(nothing, *refs):
        own = pl.ds(jax.lax.axis_index("block") * BLOCK, BLOCK)

        def stored(ref, var):
            lanes = own if axes.per_cell(var) else None
            return _Stored(ref, (), axes.shape(var), lanes, var.aval.dtype)

        sources = [
            axes.constant(x, var) if isinstance(x, np.ndarray) else stored(ref, var)
            for ref, var, x in zip(refs[: len(ins)], eqn.invars, inputs, strict=True)
        ]
        targets = [[stored(*x)] for x in zip(refs[len(ins) :], eqn.outvars, strict=True)]
        _Body(lanes, how, nothing[...]).loop(eqn, sources, targets)

    options: Any = {"interpret": plgpu.InterpretGPUParams()} if how.interpret else {}
    run = plgpu.kernel(
        body,
        out_type=tuple(outs),
        grid=(population // BLOCK,),
        grid_names=("block",),
        compiler_params=plgpu.CompilerParams(
            lowering_semantics=plgpu.LoweringSemantics.Lane,
            # Inputs are only read and outputs only written, so there is nothing to wait for.
            unsafe_no_auto_barriers=True,
        ),
        **options,
    )
    arrays = [_number(x).astype(a.dtype).reshape(a.shape) for x, a in zip(inputs, ins, strict=True)]
    results = run(jnp.zeros(BLOCK, jnp.int32), *arrays)
    return [
        _value(r.reshape(v.aval.shape), v.aval.dtype) for r, v in zip(results, outvars, strict=True)
    ]


# Truth values are kept as numbers, and so are, as zeros, the tangents of integers: they have none.
def _kept(aval: Any) -> jax.ShapeDtypeStruct:
    """What is kept in memory: single numbers as arrays of one."""
    dtype = jnp.int32 if aval.dtype in (bool, float0) else aval.dtype
    return jax.ShapeDtypeStruct(aval.shape or (1,), dtype)


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
    def instruction(ctx, x):
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

    def __init__(self, lanes: dict[Var, bool], how: Kernel, nothing: jax.Array):
        self.lanes = Lanes(lanes, BLOCK, {"scan": self.inner}, **_arithmetic(how))
        self.nothing = nothing
        self.wanted: dict[Var, list[_Stored]] = {}  # where the rows of inner loops are to go

    def loop(self, eqn: JaxprEqn, inputs: list, targets: Sequence[Sequence[_Stored]]) -> list:
        """A scan as a loop; its last carry. Carry and rows go to the targets of each."""
        loop = _Loop.of(eqn)
        consts, carry, rows = loop.split(inputs)
        consts = [loaded(c) for c in consts]
        carried = loop.jaxpr.invars[loop.consts : loop.consts + loop.carry]

        def turn(k, registers):
            k = loop.length - 1 - k if loop.reverse else k
            leaving = [[t.row(k) for t in several] for several in targets[loop.carry :]]
            self.wanted = {}
            for out, several in zip(loop.jaxpr.outvars[loop.carry :], leaving, strict=True):
                if isinstance(out, Var):
                    self.wanted.setdefault(out, []).extend(several)
            args = [*consts, *self._values(registers, carried), *(self._row(x, k) for x in rows)]
            outputs = self.lanes.evaluate(loop.jaxpr, loop.body.consts, args)
            for several, value in zip(leaving, outputs[loop.carry :], strict=True):
                self._store(value, several)
            return self._registers(outputs[: loop.carry], carried)

        registers = self._registers([loaded(c) for c in carry], carried)
        if loop.length == 1:
            registers = turn(0, registers)
        else:
            registers = jax.lax.fori_loop(0, loop.length, turn, registers)
        last = self._values(registers, carried)
        for several, value in zip(targets[: loop.carry], last, strict=True):
            self._store(value, several)
        return last

    def inner(self, eqn: JaxprEqn, inputs: list) -> list:
        """A loop in the kernel: its carry stays in registers, its rows are part of outer rows."""
        carry = _Loop.of(eqn).carry
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

    def _registers(self, values: Sequence[np.ndarray], variables: Sequence[Var]) -> list:
        """The elements of object arrays, one after the other, as numbers."""
        registers = []
        for value, var in zip(values, variables, strict=True):
            for element in value.flat:
                number = _number(element)
                registers.append(self._vector(number) if self.lanes.per_cell(var) else number)
        return registers

    def _values(self, registers: Sequence, variables: Sequence[Var]) -> list[np.ndarray]:
        """Object arrays of the variables' shapes from their elements."""
        left = iter(registers)

        def element(aval: Any):
            return _value(next(left), aval.dtype)

        return [filled(self.lanes.shape(v), lambda at, v=v: element(v.aval)) for v in variables]
