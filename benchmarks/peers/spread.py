"""For contestants written in JAX: a function of one cell, mapped over the population."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import worker
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

FEW = 100  # cells up to which one device may beat several
CHUNK = 512  # cells at most whose state is kept in the L1 cache


def start(job: worker.Job) -> None:
    """All cores as devices, and the time loop as one kernel; before JAX starts."""
    if jax.__version_info__ < (0, 12):  # later ones do so by themselves
        hoist = "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=1000000000"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {hoist}"
    jax.config.update("jax_num_cpu_devices", worker.cores())
    jax.config.update("jax_enable_x64", job["dtype"] == "float64")
    if "cache" in job:
        jax.config.update("jax_compilation_cache_dir", job["cache"])
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


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
