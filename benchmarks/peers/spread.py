"""For contestants written in JAX: a function of one cell, mapped over the population."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import worker
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

import neurojax as nj

FEW = 100  # cells up to which one device may beat several
CHUNK = 512  # cells at most whose state is kept in the L1 cache


def start(job: worker.Job) -> None:
    """JAX as neurojax sets it up, before it starts: all cores as devices, a time loop as one
    kernel, the whole width of the vector units."""
    nj.configure(
        cpu_devices=worker.cores(),
        x64=job["dtype"] == "float64",
        compilation_cache=job.get("cache", False),
    )


def ways(name: str, make: Callable[[], Callable], cells: Any) -> worker.Variants:
    """The ways worth trying to map a function of one cell over `[cell]`, the last axis of results.

    On one device, on all of them, and on all of them with a chunk of cells at a time. `make` gives
    the function, afresh for each tracing, because some libraries keep what they see in one.
    """
    n, devices = len(jax.tree.leaves(cells)[0]), jax.local_device_count()

    def population():
        return jax.vmap(make(), out_axes=-1)

    def specs(tree):
        return jax.tree.map(lambda a: P(*[None] * (a.ndim - 1), "cell"), tree)

    def on_all(f):
        mesh = jax.make_mesh((devices,), ("cell",), axis_types=(AxisType.Auto,))
        out = specs(jax.eval_shape(population(), cells))
        return jax.shard_map(f, mesh=mesh, in_specs=P("cell"), out_specs=out, check_vma=False)

    def in_chunks(f, chunk):
        def chunked(cells):
            out = jax.lax.map(f, jax.tree.map(lambda a: a.reshape(-1, chunk), cells))
            rows = jax.tree.map(lambda a: jnp.moveaxis(a, 0, -2), out)
            return jax.tree.map(lambda a: a.reshape(*a.shape[:-2], -1), rows)

        return chunked

    functions = {}
    on_gpu = jax.default_backend() == "gpu"  # which maps over all cells by itself
    if n % devices or n <= FEW or on_gpu:
        functions["one device"] = population
    if n % devices == 0 and not on_gpu:
        share = n // devices
        chunk = max(c for c in range(1, CHUNK + 1) if share % c == 0)
        functions[f"{devices} devices"] = lambda: on_all(population())
        if CHUNK // 4 <= chunk < share:
            chunks = f"{devices} devices, chunks of {chunk}"
            functions[chunks] = lambda: on_all(in_chunks(population(), chunk))

    def prepare(function):
        def run():
            return jax.block_until_ready(compiled(cells))

        compiled = jax.jit(function())
        return run

    return {f"{name}, {k}": lambda f=f: prepare(f) for k, f in functions.items()}
