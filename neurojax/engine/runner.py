"""Populations in parts: cells do not talk to each other, so each part may run where it fits.

The pop axis, always last, is split over the devices. On the CPU each device's part is cut into
blocks that fit the cache, whose whole time loop runs before the next block begins; on a GPU its
time loops become kernels. Whatever runs a part is passed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import AxisType, Mesh, PartitionSpec

from neurojax.engine import processes
from neurojax.engine.folds import Fold
from neurojax.engine.gpu import kernel
from neurojax.engine.gpu.lanes import culprits
from neurojax.membrane.axes import aligned, arrays, population
from neurojax.membrane.compartment import Cell, pools

CACHE = 32 * 1024
"""Bytes that the arrays of a block may fill: the first-level data cache of common cores."""

SECOND_CACHE = 1024 * 1024
"""Bytes that those of a block of cells with compartments may fill: of the second-level cache."""

VECTOR = 64
"""Bytes of the widest vectors of CPUs: cells are computed in whole multiples of them.

What is over runs in scalar instructions, each as dear as a vector.
"""

FEWEST = 48
"""Cells of each device: a call of several devices takes longer."""

LEAST, MOST = 128, 2048
"""Below, the loop's own instructions count; above, nothing is gained."""

SMALLEST = 32
"""Where as few as that would fill an eighth of the second-level cache, as a large adjoint does."""


class Place(NamedTuple):
    """Where a population is computed, and how."""

    mesh: Mesh | None  # the devices; None leaves it to JAX
    platform: str  # "cpu", "gpu" or "tpu"
    kernel: kernel.Kernel | None = None  # how time loops become kernels, if they do
    whole: bool = False  # whether cells act on each other, so that all run together
    everywhere: bool = False  # whether each device gets the results of all, as those of others

    @property
    def device(self) -> Any:
        """One of this process's devices among them."""
        if self.mesh is None:
            default: Any = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
            return default if isinstance(default, jax.Device) else jax.local_devices()[0]
        return next(d for d in self.mesh.devices.flat if d.process_index == jax.process_index())


def place_of(cell: Cell, *trees: Any, fast_math: bool = False) -> Place:
    """The devices that the arrays were put on, or else all; on a GPU with kernels.

    All are those of this process, or of all that compute together (`processes.distributed`).

    The mesh is None for arrays put on different devices, under a transformation, or where the user
    has set a default device. Warns once (RuntimeWarning) where a GPU could not run a kernel.
    """
    mesh = _mesh_of(cell, *trees)
    device = Place(mesh, "").device
    place = Place(mesh, device.platform, everywhere=mesh is not None and processes.several())
    if device.platform != "gpu":
        return place
    reason = kernel.missing(device)
    if reason is None and jnp.result_type(float) != jnp.float32:
        reason = "kernels compute in float32, and float64 is switched on"
    if reason is None:
        reason = "; ".join(f"channel {k!r}: {why}" for k, why in culprits(cell).items()) or None
    if reason is None:
        how = kernel.Kernel(fast_math=fast_math, lengths=cell.lengths)
        return place._replace(kernel=how)
    kernel.warn_of_scan(reason)
    return place


def _mesh_of(*trees: Any) -> Mesh | None:
    leaves = [a for a in jax.tree.leaves(trees) if type(a) is not float]
    arrays = [a for a in leaves if isinstance(a, jax.Array)]
    if any(isinstance(a, Tracer) for a in arrays):
        return None
    if jax.config.jax_default_device is not None:  # pyright: ignore[reportAttributeAccessIssue]
        return None
    placed = {frozenset(a.devices()) for a in arrays if a.committed}
    if len(placed) > 1:
        return None
    devices = sorted(placed.pop(), key=lambda d: d.id) if placed else processes.devices()
    return _mesh(tuple(devices))


@cache
def _mesh(devices: tuple[Any, ...]) -> Mesh:
    return Mesh(np.array(devices), ("pop",), axis_types=(AxisType.Auto,))


def live_arrays(cell: Cell, tangents: int = 0) -> int:
    """Arrays `[pop]` that a step works on: the state twice, its tangents, and each cell's own.

    A step with tangents also keeps the entries of its Jacobian, and what they are made from. Of a
    cell with compartments as many as fill the first-level cache when all fill the second.
    """
    state = 1 + sum(len(c.gate_names()) for c in cell.channels.values())
    # The cell may be one of shapes only, in which pools cannot be worked out.
    state += len(jax.eval_shape(pools, cell))
    own = sum(bool(array.pop) for array in arrays(cell))
    live = 2 * state * (1 + tangents + (8 if tangents else 0)) + own
    # A step goes from compartment to compartment: one at a time needs to be near.
    return max(live, live * math.prod(cell.state_shape) * CACHE // SECOND_CACHE)


def block_size(n: int, live: int, itemsize: int) -> int:
    """Cells a block, of n cells, when the time loop works on `live` arrays `[pop]` at once."""
    lanes, cell = VECTOR // itemsize, itemsize * max(live, 1)
    fits, least = (n_bytes // cell // lanes * lanes for n_bytes in (CACHE, SECOND_CACHE // 8))
    most = min(max(fits, min(LEAST, least), SMALLEST), MOST)
    if n <= most:
        return n
    even = -(-n // -(-n // most))  # no small block at the end
    return -(-even // lanes) * lanes


def run_population(program: Callable[..., Any], place: Place, live: int, /, **things: Any) -> Any:
    """program(**things) for the population that the things span, of results `[..., *pop]`.

    The program is written for one cell or many alike: it gets the things whole, for as many cells
    as run together, and `aligned`. Which arrays have an entry for each cell is declared, see
    `axes`. `live` is the number of arrays `[pop]` that its time loop works on. Results depend
    neither on blocks nor on devices. Raises ValueError for shapes that do not fit.
    """
    if place.kernel is not None:
        things = _in_kernels(things)
    pop, leaves, tree, own = _leaves(things, alone=place.kernel is not None)

    def whole(leaves: Sequence[Any]) -> Any:
        return program(**jax.tree.unflatten(tree, leaves))

    if place.kernel is None and pop in ((), (1,)):
        return whole(leaves)
    if place.kernel is not None and not pop:
        return kernel.fused(whole, own, place.kernel)(leaves)
    (n,) = pop
    devices = _devices(n, place)
    if devices == 1:
        return _blocks(whole, leaves, own, n, live, place)
    padding = -n % devices

    def spec(a: Any) -> PartitionSpec:
        return PartitionSpec(*[None] * (jnp.ndim(a) - 1), "pop")

    leaves = [kernel.padded(a, n + padding) if o else a for a, o in zip(leaves, own, strict=True)]

    def part(leaves: Sequence[Any]) -> Any:
        found = _blocks(whole, leaves, own, (n + padding) // devices, live, place)
        return jax.tree.map(_from_all, found) if place.everywhere else found

    # A few cells tell the structure of the result; all of them might be too many for the program.
    few = [a[..., :2] if o else a for a, o in zip(leaves, own, strict=True)]
    out = jax.shard_map(
        part,
        mesh=place.mesh,
        in_specs=([spec(a) if o else PartitionSpec() for a, o in zip(leaves, own, strict=True)],),
        out_specs=jax.tree.map(
            lambda a: PartitionSpec() if place.everywhere else spec(a), jax.eval_shape(whole, few)
        ),
        check_vma=False,  # shared leaves stay shared: nothing in a program could make them differ
    )(leaves)
    return jax.tree.map(lambda a: a[..., :n], out) if padding else out


def _from_all(part: jax.Array) -> jax.Array:
    """The results `[..., pop]` of all devices, from those of each."""
    return jax.lax.all_gather(part, "pop", axis=part.ndim - 1, tiled=True)


def _in_kernels(things: Any) -> Any:
    """The things, each fold among them as a kernel computes it."""

    def fold(thing: Any) -> bool:
        return isinstance(thing, Fold)

    return jax.tree.map(lambda a: a.in_kernel() if fold(a) else a, things, is_leaf=fold)


def _leaves(things: Any, alone: bool = False) -> tuple[tuple[int, ...], list[Any], Any, list[bool]]:
    """The population of things, their leaves and tree, and which leaves have it.

    An axis of length 1 is taken off where there are more cells, and arrays are `aligned`: not for
    a program of which each cell is `alone`, without the axis.
    """
    pop = population(**things)
    leaves, tree = jax.tree.flatten(things)
    spans = [array.pop for array in arrays(things)]
    leaves = [
        jnp.asarray(a)[..., 0] if span == (1,) != pop else a
        for a, span in zip(leaves, spans, strict=True)
    ]
    leaves = jax.tree.leaves(aligned(jax.tree.unflatten(tree, leaves), () if alone else pop))
    return pop, leaves, tree, [bool(pop) and span == pop for span in spans]


def _devices(n: int, place: Place) -> int:
    """How many devices share n cells: fewer cells are not worth a device of their own."""
    if place.whole:
        return 1
    fewest = FEWEST if place.kernel is None else kernel.BLOCK
    return 1 if place.mesh is None or n < fewest * place.mesh.size else place.mesh.size


def together(pop: tuple[int, ...], place: Place) -> int | None:
    """Cells that run together in a kernel, of a population; None on the CPU, where shapes tell."""
    if place.kernel is None:
        return None
    n = math.prod(pop)
    return kernel.in_blocks(-(-n // _devices(n, place)))


def launch_size(n: int, record_bytes: int, place: Place, memory_MB: float | None) -> int:
    """Cells to compute at once, of n whose records take `record_bytes` each.

    Each device has `memory_MB` for records; by default half of what a GPU has, on a CPU no limit.
    """
    if place.whole:
        return n
    if memory_MB is not None:
        memory = memory_MB * 2**20
    elif place.device.platform == "gpu" and (stats := place.device.memory_stats()):
        memory = stats["bytes_limit"] / 2
    else:
        return n
    devices = 1 if place.mesh is None else place.mesh.size
    fits = int(memory * devices / max(record_bytes, 1))
    return n if fits >= n else max(fits // (LEAST * devices), 1) * LEAST * devices


def launches(f: Callable[..., Any], size: int, /, **things: Any) -> Iterator[tuple[slice, Any]]:
    """f(**things) for `size` cells of the population at a time: (which cells, results on the host).

    Results are `[..., pop]`. While some cells are computed, those before them are copied and handed
    out. Every cell comes once, in order.
    """
    (n,), leaves, tree, own = _leaves(things)
    ahead: list[tuple[int, int, Any]] = []
    for begin in range(0, n, size):
        first = min(begin, n - size)  # the last part is whole too: some cells are computed twice
        part = [a[..., first : first + size] if o else a for a, o in zip(leaves, own, strict=True)]
        ahead.append((begin, first + size, f(**jax.tree.unflatten(tree, part))))
        if len(ahead) > 1:
            yield _finished(*ahead.pop(0))
    yield _finished(*ahead.pop())


def _finished(begin: int, end: int, part: Any) -> tuple[slice, Any]:
    """The cells from begin to end, the last ones of a part, and their results on the host."""
    return slice(begin, end), jax.tree.map(lambda a: np.asarray(a)[..., begin - end :], part)


def gathered(parts: Iterable[tuple[slice, Any]], n: int) -> Any:
    """The parts of `launches` together, `[..., n]`."""
    whole: Any = None
    for cells, part in parts:
        if whole is None:
            whole = jax.tree.map(lambda a: np.empty((*a.shape[:-1], n), a.dtype), part)
        for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(part), strict=True):
            a[..., cells] = b
    return whole


def _blocks(
    whole: Callable[..., Any],
    leaves: Sequence[Any],
    own: Sequence[bool],
    n: int,
    live: int,
    place: Place,
) -> Any:
    """The population of one device: on a GPU at once, on the CPU a block after the other."""
    if place.kernel is not None:
        return kernel.fused(whole, own, place.kernel)(leaves)
    itemsize = max(jnp.result_type(a).itemsize for a in leaves)
    in_blocks = place.platform == "cpu" and not place.whole
    size = block_size(n, live, itemsize) if in_blocks else n
    if size >= n:
        vectors = n + -n % (VECTOR // itemsize)
        leaves = [kernel.padded(a, vectors) if o else a for a, o in zip(leaves, own, strict=True)]
        return jax.tree.map(lambda a: a[..., :n], whole(leaves))

    def block(start: Any) -> Any:
        return whole(
            [
                jax.lax.dynamic_slice_in_dim(a, start, size, axis=-1) if o else a
                for a, o in zip(leaves, own, strict=True)
            ]
        )

    def body(k: jax.Array, out: Any) -> Any:
        # The last block begins early enough to be whole: some cells are computed twice.
        start = jnp.minimum(k * size, n - size)
        return jax.tree.map(
            lambda o, b: jax.lax.dynamic_update_slice_in_dim(o, b, start, axis=-1),
            out,
            block(start),
        )

    empty = jax.tree.map(lambda a: jnp.zeros((*a.shape[:-1], n), a.dtype), jax.eval_shape(block, 0))
    return jax.lax.fori_loop(0, -(-n // size), body, empty)
