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
from jax.extend.core import JaxprEqn, Var

from neurojax.engine.gpu.lane_shapes import Unsupported, filled
from neurojax.engine.gpu.lanes import Lanes, constant, loaded
from neurojax.engine.passes.jaxpr import bind, evaluate, flatten
from neurojax.engine.passes.materialise import not_materialised

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


def fused(f: Callable, per_cell: Sequence[bool], how: Kernel) -> Callable:
    """f(leaves), a program for one cell, for a population: its time loops as kernels.

    `per_cell` says which leaves belong to the cells, `[..., n]`; f gets them without that axis.
    Every leaf of the result is `[..., n]`; where no leaf is the cells', there is one cell and its
    result is f's. Derivatives are f's too: under a transformation a loop is a scan again. Warns
    (RuntimeWarning) of a loop that remains one for another reason.
    """

    def run(leaves: list) -> Any:
        own, n = list(per_cell), BLOCK
        if any(own):
            n = next(jnp.shape(a)[-1] for a, o in zip(leaves, own, strict=True) if o)
        else:  # one cell and its copies: what is a number of all is then one of each
            own = [jnp.ndim(a) == 0 and jnp.result_type(a) == jnp.float32 for a in leaves]
            leaves = [_spread(a, n) if o else a for a, o in zip(leaves, own, strict=True)]
        kinds = [jax.typeof(a) for a in leaves]
        one = [
            jax.ShapeDtypeStruct(k.shape[: k.ndim - o], k.dtype, weak_type=k.weak_type)
            for k, o in zip(kinds, own, strict=True)
        ]
        with not_materialised():
            program, tree = flatten(f, one)
        blocks = in_blocks(n)
        given = [_Cells(_padded(a, blocks)) if o else a for a, o in zip(leaves, own, strict=True)]
        rule = partial(_for_cells, how)
        out = evaluate(program.jaxpr, program.consts, given, rule)
        out = [_whole(x, blocks)[..., :n] if any(per_cell) else _whole(x, 1)[..., 0] for x in out]
        return jax.tree.unflatten(tree, out)

    return run


class _Cells(NamedTuple):
    """An array `[..., n]` with an entry for each cell; what all share is an array itself."""

    array: Any


def _whole(x: Any, n: int) -> Any:
    """An array `[..., n]`, whether its cells share one or not."""
    return x.array if isinstance(x, _Cells) else _spread(x, n)


def _spread(x: Any, n: int) -> Any:
    """What all cells share as one for each."""
    shape = (*jnp.shape(x), n)
    if jnp.result_type(x) == float0:
        return np.zeros(shape, float0)
    return jnp.broadcast_to(jnp.expand_dims(x, -1), shape)


def in_blocks(n: int) -> int:
    """How many cells a kernel computes for n: whole blocks."""
    return -(-n // BLOCK) * BLOCK


def _padded(a: Any, n: int) -> jax.Array:
    """Whole blocks of cells: the last one is repeated."""
    more = n - jnp.shape(a)[-1]
    return jnp.concatenate([a, jnp.repeat(a[..., -1:], more, axis=-1)], axis=-1) if more else a


def _axes(own: Sequence[bool]) -> list[int | None]:
    return [-1 if o else None for o in own]


def _for_cells(how: Kernel | None, eqn: JaxprEqn, inputs: list) -> list:
    """The rule of a program for one cell that makes it one for many, with its loops as kernels."""
    own = [isinstance(x, _Cells) for x in inputs]
    if not any(own):
        return bind(eqn, inputs)
    arrays = [x.array if o else x for x, o in zip(inputs, own, strict=True)]
    if eqn.primitive.name == "scan":
        return _Population.of(eqn, how, own, arrays).outputs(arrays)
    if eqn.primitive.name in (
        "reshape",
        "squeeze",
    ):  # by JAX's rule an array would be transposed, and back
        (out,) = eqn.outvars
        return [_Cells(arrays[0].reshape(*out.aval.shape, -1))]
    outputs = jax.vmap(lambda *xs: bind(eqn, xs), _axes(own), -1)(*arrays)
    return [_Cells(y) for y in outputs]


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

    def per_cell(self, given: Sequence[bool]) -> list[bool]:
        """Which of its outputs belong to the cells, from which of its inputs do."""
        consts, carry, rows = self.split(given)
        while True:
            outputs = _reached(self.body, [*consts, *carry, *rows])
            grown = [a or b for a, b in zip(carry, outputs[: self.carry], strict=True)]
            if grown == carry:
                return [*carry, *outputs[self.carry :]]
            carry = grown


def _reached(body: Any, given: Sequence[bool]) -> list[bool]:
    """Which outputs of a closed jaxpr depend on given inputs."""

    def rule(eqn, inputs):
        if eqn.primitive.name == "scan":
            return _Loop.of(eqn).per_cell(inputs)
        return [any(inputs)] * len(eqn.outvars)

    return evaluate(body.jaxpr, body.consts, given, rule, lambda number, aval: False)


@dataclass(frozen=True, eq=False)
class _Population:
    """A loop over a population of n cells."""

    eqn: JaxprEqn  # the scan of one cell
    how: Kernel | None  # None: no kernel
    n: int
    given: list[bool]  # which inputs belong to the cells
    made: list[bool]  # and which outputs do
    known: dict[int, np.ndarray]  # constants that the program itself wrote down: indices, for one

    @staticmethod
    def of(eqn: JaxprEqn, how: Kernel | None, own: Sequence[bool], arrays: Sequence) -> _Population:
        """The loop of arrays of which some are the cells' own."""
        loop = _Loop.of(eqn)
        n = next(jnp.shape(x)[-1] for x, o in zip(arrays, own, strict=True) if o)
        made = loop.per_cell(own)
        consts, _, rows = loop.split(own)  # what the carry becomes, it is from the beginning
        known = {
            k: np.asarray(x)
            for k, x in enumerate(arrays[: loop.consts])
            if not isinstance(x, Tracer) and jnp.issubdtype(jnp.result_type(x), jnp.integer)
        }
        return _Population(eqn, how, n, [*consts, *made[: loop.carry], *rows], made, known)

    def outputs(self, arrays: Sequence) -> list:
        """What the loop makes; differentiated or mapped it is a scan."""
        scan = partial(self.scan, None)
        mapped = custom_vmap(self.run)

        @mapped.def_vmap
        def _(size, batched, *arrays):
            axes = [0 if b else None for b in batched]
            return jax.vmap(scan, axes)(*arrays), [True] * len(self.made)

        loop = jax.custom_jvp(mapped)
        loop.defjvp(lambda primals, tangents: jax.jvp(scan, primals, tangents))
        of_cells = [
            _spread(x, self.n) if o and jnp.ndim(x) == v.aval.ndim else x
            for x, o, v in zip(arrays, self.given, self.eqn.invars, strict=True)
        ]
        return [_Cells(y) if o else y for y, o in zip(loop(*of_cells), self.made, strict=True)]

    def run(self, *arrays) -> list:
        """As one kernel, or else as a scan, of which the loops within may be kernels."""
        loop = _Loop.of(self.eqn)
        inner = [_Loop.of(e).split(e.invars) for e in loop.jaxpr.eqns if e.primitive.name == "scan"]
        made = {v for e in loop.jaxpr.eqns for v in e.outvars}
        read = {a for _, _, rows in inner for a in rows if isinstance(a, Var)}
        # Rows that a turn makes for itself need memory, which XLA manages.
        if self.how and any(self.made[: loop.carry]) and not made & read:
            try:
                return _launch(self, [self.known.get(k, x) for k, x in enumerate(arrays)])
            except Unsupported as reason:
                warn_of_scan(str(reason))
        return self.scan(self.how, *arrays)

    def scan(self, how: Kernel | None, *arrays) -> list:
        """As a scan of which each turn is for all cells."""
        loop = _Loop.of(self.eqn)
        consts, carry, rows = loop.split(arrays)

        def turn(carry, rows):
            given = zip([*consts, *carry, *rows], self.given, strict=True)
            given = [_Cells(x) if own else x for x, own in given]
            rule = partial(_for_cells, how)
            made = zip(evaluate(loop.jaxpr, loop.body.consts, given, rule), self.made, strict=True)
            outputs = [_whole(x, self.n) if own else x for x, own in made]
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


def _launch(population: _Population, inputs: Sequence) -> list[jax.Array]:
    """A loop over a population as one kernel; inputs that are NumPy's are part of the program."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import mosaic_gpu as plgpu

    eqn, how, n = population.eqn, population.how, population.n
    avals = [v.aval for v in (*eqn.invars, *eqn.outvars)]
    owned = [*population.given, *population.made]
    kept = [_kept(aval, (n,) * own) for aval, own in zip(avals, owned, strict=True)]

    def body(nothing, *refs):
        block = pl.ds(jax.lax.axis_index("block") * BLOCK, BLOCK)
        stored = [
            _Stored(ref, (), aval.shape, block if own else None, aval.dtype)
            for ref, aval, own in zip(refs, avals, owned, strict=True)
        ]
        sources = [
            constant(x, v.aval) if isinstance(x, np.ndarray) and x.dtype != float0 else memory
            for x, v, memory in zip(inputs, eqn.invars, stored, strict=False)
        ]
        targets = [[memory] for memory in stored[len(inputs) :]]
        _Body(how, nothing[...]).loop(eqn, sources, targets)

    options: Any = {"interpret": plgpu.InterpretGPUParams()} if how.interpret else {}
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
    outs = zip(results, eqn.outvars, population.made, strict=True)
    return [_value(r.reshape(v.aval.shape + (n,) * own), v.aval.dtype) for r, v, own in outs]


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

    def __init__(self, how: Kernel, nothing: jax.Array):
        self.lanes = Lanes(BLOCK, {"scan": self.inner}, **_arithmetic(how))
        self.nothing = nothing
        self.wanted: dict[Var, list[_Stored]] = {}  # where the rows of inner loops are to go

    def loop(self, eqn: JaxprEqn, inputs: list, targets: Sequence[Sequence[_Stored]]) -> list:
        """A scan as a loop; its last carry. Carry and rows go to the targets of each."""
        loop = _Loop.of(eqn)
        own = loop.per_cell([_per_cell(x) for x in inputs])[: loop.carry]
        consts, carry, rows = loop.split(inputs)
        consts = [loaded(c) for c in consts]
        carried = [v.aval for v in loop.jaxpr.invars[loop.consts : loop.consts + loop.carry]]

        def turn(k, registers):
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

    def _registers(self, values: Sequence, own: Sequence[bool]) -> list:
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


def _values(registers: Sequence, avals: Sequence) -> list[np.ndarray]:
    """Object arrays from their elements."""
    left = iter(registers)
    return [filled(a.shape, lambda at, a=a: _value(next(left), a.dtype)) for a in avals]
