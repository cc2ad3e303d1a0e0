"""Populations in blocks: cells do not talk to each other, so a few at a time fit a core's cache.

The pop axis, always last, is split over the devices, and on the CPU each device's part into blocks
whose whole time loop runs before the next block begins. Whatever runs a block is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import AxisType, Mesh, PartitionSpec

from neurojax.cell import Cell

CACHE = 32 * 1024
"""Bytes that the arrays of a block may fill: the first-level data cache of common cores."""

LANES = 64
"""Blocks are whole multiples of this many cells: a few vectors of the widest CPUs.

What is over runs in scalar instructions, each as dear as a vector.
"""

LEAST, MOST = 128, 2048
"""Below, the loop's own instructions count; above, nothing is gained.

Fewer than LEAST cells are not worth a device of their own.
"""


def mesh_of(*trees: Any) -> Mesh | None:
    """Where to run: the devices that the arrays were put on, or else all local ones.

    None leaves it to JAX: for arrays put on different devices, under a transformation, or where the
    user has set a default device.
    """
    arrays = [a for a in jax.tree.leaves(trees) if isinstance(a, jax.Array)]
    if any(isinstance(a, Tracer) for a in arrays):
        return None
    if jax.config.jax_default_device is not None:  # pyright: ignore[reportAttributeAccessIssue]
        return None
    placed = {frozenset(a.devices()) for a in arrays if a.committed}
    if len(placed) > 1:
        return None
    devices = sorted(placed.pop(), key=lambda d: d.id) if placed else jax.local_devices()
    return Mesh(np.array(devices), ("pop",), axis_types=(AxisType.Auto,))


def live_arrays(cell: Cell, tangents: int = 0) -> int:
    """Arrays `[pop]` that a step works on: the state twice, its tangents, and each cell's own.

    A step with tangents also keeps the entries of its Jacobian, and what they are made from.
    """
    state = 1 + sum(len(c.powers) for c in cell.channels.values())
    own = sum(jnp.ndim(leaf) > 0 for leaf in jax.tree.leaves(cell))
    return 2 * state * (1 + tangents + (8 if tangents else 0)) + own


def block_size(n: int, live: int, itemsize: int) -> int:
    """Cells a block, of n cells, when the time loop works on `live` arrays `[pop]` at once."""
    fits = CACHE // (itemsize * max(live, 1)) // LANES * LANES
    most = min(max(fits, LEAST), MOST)
    if n <= most:
        return n
    even = -(-n // -(-n // most))  # no small block at the end
    return -(-even // LANES) * LANES


def run(f: Callable, lanes: Any, timed: Any, n: int, *, live: int, mesh: Mesh | None = None) -> Any:
    """f(lanes, timed) for a population of n; every leaf of the result is `[..., n]`.

    A leaf of `lanes` belongs to the cells where its last axis is n, one of `timed` where it is so
    beside its leading time axis; everything else is shared. `live` is the number of arrays `[pop]`
    that the time loop of f works on at once. Results depend neither on blocks nor on devices.
    """
    if n < 2:
        return f(lanes, timed)
    leaves, tree = jax.tree.flatten((lanes, timed))
    time_axes = [0] * len(jax.tree.leaves(lanes)) + [1] * len(jax.tree.leaves(timed))
    split = [
        jnp.ndim(a) > t and jnp.shape(a)[-1] == n for a, t in zip(leaves, time_axes, strict=True)
    ]

    def whole(leaves):
        return f(*jax.tree.unflatten(tree, leaves))

    devices = 1 if mesh is None or n < LEAST * mesh.size else mesh.size
    if devices == 1:
        return _blocks(whole, leaves, split, n, live)
    padding = -n % devices
    own = (n + padding) // devices

    def spec(a):
        return PartitionSpec(*[None] * (jnp.ndim(a) - 1), "pop")

    leaves = [_padded(a, padding) if s else a for a, s in zip(leaves, split, strict=True)]
    # A few cells tell the structure of the result; all of them might be too many for f.
    few = [a[..., :LANES] if s else a for a, s in zip(leaves, split, strict=True)]
    out = jax.shard_map(
        lambda leaves: _blocks(whole, leaves, split, own, live),
        mesh=mesh,
        in_specs=([spec(a) if s else PartitionSpec() for a, s in zip(leaves, split, strict=True)],),
        out_specs=jax.tree.map(spec, jax.eval_shape(whole, few)),
        check_vma=False,  # shared leaves stay shared: nothing in f could make them differ
    )(leaves)
    return jax.tree.map(lambda a: a[..., :n], out) if padding else out


def _padded(a: Any, padding: int) -> jax.Array:
    """The population with its last cell repeated."""
    if not padding:
        return a
    a = jnp.asarray(a)
    return jnp.concatenate([a, jnp.repeat(a[..., -1:], padding, axis=-1)], axis=-1)


def _blocks(whole: Callable, leaves: Sequence, split: Sequence[bool], n: int, live: int) -> Any:
    """The population of one device, a block after the other."""
    if jax.default_backend() != "cpu":
        return whole(leaves)
    itemsize = max(jnp.result_type(a).itemsize for a in leaves)
    size = block_size(n, live, itemsize)
    if size >= n:
        padding = -n % LANES
        leaves = [_padded(a, padding) if s else a for a, s in zip(leaves, split, strict=True)]
        return jax.tree.map(lambda a: a[..., :n], whole(leaves))

    def block(start):
        return whole(
            [
                jax.lax.dynamic_slice_in_dim(a, start, size, axis=-1) if s else a
                for a, s in zip(leaves, split, strict=True)
            ]
        )

    def body(k, out):
        # The last block begins early enough to be whole: some cells are computed twice.
        start = jnp.minimum(k * size, n - size)
        return jax.tree.map(
            lambda o, b: jax.lax.dynamic_update_slice_in_dim(o, b, start, axis=-1),
            out,
            block(start),
        )

    empty = jax.tree.map(lambda a: jnp.zeros((*a.shape[:-1], n), a.dtype), jax.eval_shape(block, 0))
    return jax.lax.fori_loop(0, -(-n // size), body, empty)
