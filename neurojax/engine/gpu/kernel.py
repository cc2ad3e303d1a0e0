"""A program for one cell as one for a population, its time loops GPU kernels.

XLA launches the kernels of a scan's body anew at every step. Here a program is traced for one cell;
for many, each of its time loops becomes one kernel, and the rest is mapped over the cells, which
are along the last axis of their arrays. A loop that cannot be a kernel is a scan, of which the
loops within may be.
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

from neurojax.engine.gpu.lane_shapes import Unsupported
from neurojax.engine.gpu.mosaic import BLOCK, Kernel, launch
from neurojax.engine.passes.jaxpr import Loop, bind, evaluate, flatten, shaped
from neurojax.engine.passes.materialise import not_materialised


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


def fused(f: Callable[..., Any], per_cell: Sequence[bool], how: Kernel) -> Callable[..., Any]:
    """f(leaves), a program for one cell, for a population: its time loops as kernels.

    `per_cell` says which leaves belong to the cells, `[..., n]`; f gets them without that axis.
    Every leaf of the result is `[..., n]`; where no leaf is the cells', there is one cell and its
    result is f's. Derivatives are f's too: under a transformation a loop is a scan again. Warns
    (RuntimeWarning) of a loop that remains one for another reason.
    """

    def run(leaves: list[Any]) -> Any:
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
        given = [_Cells(padded(a, blocks)) if o else a for a, o in zip(leaves, own, strict=True)]
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


def padded(a: Any, n: int) -> jax.Array:
    """An array of fewer cells as one of n: the last one is repeated."""
    more = n - jnp.shape(a)[-1]
    return jnp.concatenate([a, jnp.repeat(a[..., -1:], more, axis=-1)], axis=-1) if more else a


def _axes(own: Sequence[bool]) -> list[int | None]:
    return [-1 if o else None for o in own]


def _for_cells(how: Kernel | None, eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
    """The rule of a program for one cell that makes it one for many, with its loops as kernels."""
    own = [isinstance(x, _Cells) for x in inputs]
    if not any(own):
        alone = eqn.primitive.name == "scan" and how is not None
        return _for_all(how, eqn, inputs) if alone else bind(eqn, inputs)
    arrays = [x.array if o else x for x, o in zip(inputs, own, strict=True)]
    if eqn.primitive.name == "scan":
        return _Population.of(eqn, how, own, arrays).outputs(arrays)
    if eqn.primitive.name in (
        "reshape",
        "squeeze",
    ):  # by JAX's rule an array would be transposed, and back
        (out,) = eqn.outvars
        return [_Cells(arrays[0].reshape(*shaped(out).shape, -1))]
    outputs = jax.vmap(lambda *xs: bind(eqn, xs), _axes(own), -1)(*arrays)
    return [_Cells(y) for y in outputs]


def _for_all(how: Kernel | None, eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
    """A loop that is the same for all cells, as under a clamp: that of a block of copies."""
    consts, carry, rows = Loop.of(eqn).split(inputs)
    if not carry:
        return bind(eqn, inputs)
    copies = [_Cells(_spread(x, BLOCK)) for x in carry]
    out = _for_cells(how, eqn, [*consts, *copies, *rows])
    return [x.array[..., 0] if isinstance(x, _Cells) else x for x in out]


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
    def of(
        eqn: JaxprEqn, how: Kernel | None, own: Sequence[bool], arrays: Sequence[Any]
    ) -> _Population:
        """The loop of arrays of which some are the cells' own."""
        loop = Loop.of(eqn)
        n = next(jnp.shape(x)[-1] for x, o in zip(arrays, own, strict=True) if o)
        made = loop.per_cell(own)
        if how is not None and how.lengths:  # what is along compartments is each cell's
            shapes = [shaped(v).shape for v in eqn.outvars]
            long = [len(shape) > 0 and shape[0] in how.lengths for shape in shapes]
            made = [m or x for m, x in zip(made, long, strict=True)]
        consts, _, rows = loop.split(own)  # what the carry becomes, it is from the beginning
        known = {
            k: np.asarray(x)
            for k, x in enumerate(arrays[: loop.consts])
            if not isinstance(x, Tracer) and jnp.issubdtype(jnp.result_type(x), jnp.integer)
        }
        return _Population(eqn, how, n, [*consts, *made[: loop.carry], *rows], made, known)

    def outputs(self, arrays: Sequence[Any]) -> list[Any]:
        """What the loop makes; differentiated or mapped it is a scan."""
        scan = partial(self.scan, None)
        mapped = custom_vmap(self.run)

        @mapped.def_vmap
        def _(size: int, batched: list[bool], *arrays: Any) -> tuple[Any, list[bool]]:
            axes = [0 if b else None for b in batched]
            return jax.vmap(scan, axes)(*arrays), [True] * len(self.made)

        loop = jax.custom_jvp(mapped)
        loop.defjvp(lambda primals, tangents: jax.jvp(scan, primals, tangents))
        of_cells = [
            _spread(x, self.n) if o and jnp.ndim(x) == shaped(v).ndim else x
            for x, o, v in zip(arrays, self.given, self.eqn.invars, strict=True)
        ]
        return [_Cells(y) if o else y for y, o in zip(loop(*of_cells), self.made, strict=True)]

    def run(self, *arrays: Any) -> list[Any]:
        """As one kernel, or else as a scan, of which the loops within may be kernels."""
        loop = Loop.of(self.eqn)
        inner = [Loop.of(e).split(e.invars) for e in loop.jaxpr.eqns if e.primitive.name == "scan"]
        made = {v for e in loop.jaxpr.eqns for v in e.outvars}
        read = {a for _, _, rows in inner for a in rows if isinstance(a, Var)}
        # Rows that a turn makes for itself need memory, which XLA manages.
        if self.how and any(self.made[: loop.carry]) and not made & read:
            try:
                inputs = [self.known.get(k, x) for k, x in enumerate(arrays)]
                return launch(self.eqn, self.how, self.n, self.given, self.made, inputs)
            except Unsupported as reason:
                warn_of_scan(str(reason))
        return self.scan(self.how, *arrays)

    def scan(self, how: Kernel | None, *arrays: Any) -> list[Any]:
        """As a scan of which each turn is for all cells."""
        loop = Loop.of(self.eqn)
        consts, carry, rows = loop.split(arrays)

        def turn(carry: Any, rows: Any) -> tuple[list[Any], list[Any]]:
            given = zip([*consts, *carry, *rows], self.given, strict=True)
            given = [_Cells(x) if own else x for x, own in given]
            rule = partial(_for_cells, how)
            made = zip(evaluate(loop.jaxpr, loop.body.consts, given, rule), self.made, strict=True)
            outputs = [_whole(x, self.n) if own else x for x, own in made]
            return outputs[: loop.carry], outputs[loop.carry :]

        carry, rows = jax.lax.scan(turn, carry, rows, loop.length, loop.reverse)
        return [*carry, *rows]
