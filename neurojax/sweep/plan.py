"""plan: how many cells, shards and bytes a sweep makes, and how long it will take."""

from __future__ import annotations

import math
import sys
import time
from itertools import islice
from typing import Any, NamedTuple

import jax
import numpy as np

from neurojax.sweep.definition import Sweep
from neurojax.sweep.launch import devices_of, gathered, numbers_of, start, units
from neurojax.sweep.run import manifest_of
from neurojax.sweep.storage import stored

TIMED = 2e7
"""Steps of compartments that are timed on each device."""


class Plan(NamedTuple):
    """What a sweep will make and take on this machine."""

    shape: tuple[int, ...]
    cells: int
    unit: int
    shard: int
    shards: int
    devices: str
    seconds: float  # of computing, without compiling
    stored_MB: float  # before compression
    memory_MB: float | None  # at the peak of the short run, where the system tells

    def sentences(self) -> list[str]:
        """It in words."""
        shape = " x ".join(map(str, self.shape))
        memory = "" if self.memory_MB is None else f", {self.memory_MB:.0f} MB of memory so far"
        return [
            f"{self.cells:,} cells ({shape}) in {self.shards:,} shards of {self.shard:,}",
            f"about {duration(self.seconds)} on {self.devices}",
            f"{self.stored_MB:,.1f} MB of results before compression{memory}",
        ]


def duration(seconds: float) -> str:
    """A time as people say it."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s"


def plan(sweep: Sweep, **how: Any) -> Plan:
    """What a sweep will make, by a short run of its first cells that is timed.

    `how` it is cut and stored: shard, unit, float, packing of `run`. Raises ValueError for a sweep
    that cannot be run.
    """
    manifest = manifest_of(sweep, **how)
    devices = devices_of(sweep)
    at_once = devices.at_once(manifest.unit, manifest.shard)
    compartments = math.prod(sweep.cell.state_shape)
    steps = math.ceil(TIMED / (manifest.unit * at_once / devices.number * compartments))
    steps = max(steps, 2 * max(p.every for p in sweep.protocols.values()))
    launch = list(islice(units([(0, range(sweep.cells))], manifest.unit), at_once))
    numbers = numbers_of(launch, manifest.unit, at_once)

    def timed() -> tuple[float, dict[str, np.ndarray]]:
        began = time.perf_counter()
        results = gathered(start(sweep, numbers, steps))
        return time.perf_counter() - began, results

    timed()  # which compiles
    seconds, results = timed()
    ran = sum(min(steps, p.steps) for p in sweep.protocols.values())
    whole = sum(p.steps for p in sweep.protocols.values())
    sizes = [
        stored(x[..., :1], np.ones(1, bool), manifest.float, name, 0).nbytes
        for name, x in results.items()
    ]
    return Plan(
        shape=sweep.shape,
        cells=sweep.cells,
        unit=manifest.unit,
        shard=manifest.shard,
        shards=manifest.shards,
        devices=f"{devices.number} {devices.platform} device" + "s" * (devices.number > 1),
        seconds=seconds * whole / ran * -(-sweep.cells // (manifest.unit * at_once)),
        stored_MB=sum(sizes) * sweep.cells / 1e6,
        memory_MB=_memory_MB(devices.platform),
    )


def _memory_MB(platform: str) -> float | None:
    """The most memory that was used so far: of a GPU, or else of this process."""
    if platform == "gpu":
        stats = jax.local_devices()[0].memory_stats() or {}
        peak = stats.get("peak_bytes_in_use")
        return None if peak is None else peak / 2**20
    if sys.platform != "linux":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
