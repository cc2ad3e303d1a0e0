"""run: compute what is missing of a sweep, shard by shard, and write it while the next is computed.

What is finished stays finished: a run that was interrupted, killed, or had no room on its disk
goes on where it was, with the same numbers as without the interruption.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from neurojax.engine import processes
from neurojax.sweep.definition import OK, Sweep
from neurojax.sweep.launch import check_unit, computed, devices_of, unit_of
from neurojax.sweep.merge import merge
from neurojax.sweep.storage import Folder, Manifest, shard_file, stored

WORK, WORK_ON_A_GPU = 2e10, 2e12
"""Steps of compartments of a shard: what is lost at most when a computer dies."""

LARGEST, LARGEST_ON_A_GPU = 2**17, 2**21
"""Cells of a shard at most."""

FEWEST_SHARDS = 16
"""Into so many shards a small sweep is cut, so that processes share it."""

Progress = Callable[[int, int], None]
"""Is told how many cells are done, of how many."""


class Part(NamedTuple):
    """Which of `of` processes this is, from 1 on: it computes each of-th shard."""

    number: int = 1
    of: int = 1

    def check(self) -> None:
        """Raise ValueError for a part that there is not."""
        if not 1 <= self.number <= self.of:
            raise ValueError(
                f"part {self.number}/{self.of}: expected 1/{self.of} to {self.of}/{self.of}"
            )


class Outcome(NamedTuple):
    """What a run did."""

    folder: Path
    computed: int  # shards
    found: int  # shards that were there
    damaged: list[int]  # shards that were there with a wrong checksum, and were computed again
    missing: int  # shards that are still to come, from other processes
    failed: int  # cells that left the finite numbers, among those computed


def shard_cells(sweep: Sweep, cells: int | None, of: int) -> int:
    """Cells of a shard: as asked, or by the work; in whole units of so many."""
    if cells is None:
        on_cpu = devices_of(sweep).platform == "cpu"
        work, most = (WORK, LARGEST) if on_cpu else (WORK_ON_A_GPU, LARGEST_ON_A_GPU)
        steps = sum(p.steps for p in sweep.protocols.values()) * math.prod(sweep.cell.state_shape)
        cells = int(min(work / steps, most, -(-sweep.cells // FEWEST_SHARDS)))
    elif cells < 1:
        raise ValueError(f"a shard of {cells} cells: expected 1 or more")
    return max(-(-cells // of), 1) * of


def manifest_of(
    sweep: Sweep,
    *,
    shard: int | None = None,
    unit: int | None = None,
    float: str = "float32",
    packing: str = "none",
    source: Mapping[str, Any] | None = None,
) -> Manifest:
    """How a sweep is cut and stored; see `run`."""
    of = unit_of(sweep) if unit is None else unit
    check_unit(of)
    return Manifest(
        fingerprint=sweep.fingerprint,
        name=sweep.name,
        shape=list(sweep.shape),
        dimensions=[d.name for d in sweep.dimensions],
        cells=sweep.cells,
        unit=of,
        shard=shard_cells(sweep, shard, of),
        float=float,
        packing=packing,
        source=dict(source or {}),
    )


def run(
    sweep: Sweep,
    folder: str | Path,
    *,
    part: tuple[int, int] = (1, 1),
    shard: int | None = None,
    unit: int | None = None,
    float: str = "float32",
    packing: str = "none",
    progress: Progress | None = None,
    source: Mapping[str, Any] | None = None,
) -> Outcome:
    """Compute what is missing of a sweep in a folder, and merge it when all is there.

    part: (i, n) computes each n-th shard, as the i-th of n processes or machines that share the
    folder. shard: cells of a shard, which are lost when a computer dies. unit: cells that a
    device computes at a time, on which last digits may depend. float: "float32", "float16" or
    "float64" of results. packing: "none", "gzip" or "lzf".

    Results are bit for bit the same for any shards, order, number of devices and of processes, on
    processors of one kind with one version of JAX. The results of a cell that leaves the finite
    numbers are NaN, and it is False in "PROTOCOL.ok".

    Raises ValueError for the folder of another sweep, or inside `nj.distributed`, OSError for a
    disk that is full, MemoryError where the smallest launch has too little.
    """
    here = Part(*part)
    here.check()
    if processes.several():
        raise ValueError(
            "the processes of a sweep need not know of each other: run it outside of "
            "`nj.distributed`, in each process with its part=(i, n)"
        )
    room = Folder(Path(folder).expanduser())
    how: dict[str, Any] = {"shard": shard, "unit": unit, "float": float, "packing": packing}
    asked = manifest_of(sweep, **how, source=source)
    manifest = room.begin(asked)
    mine = [k for k in range(manifest.shards) if k % here.of == here.number - 1]
    there = room.there(manifest)
    damaged = [k for k in mine if k in there and not room.is_whole(k)]
    room.forget(damaged)
    todo = [k for k in mine if k not in there or k in damaged]
    failed = _compute(sweep, room, manifest, todo, progress, _cells(manifest, mine))
    there = room.there(manifest)
    missing = manifest.shards - len(there)
    if not missing and (todo or not room.merged.exists()):
        merge(sweep, room, manifest, there)
    return Outcome(room.path, len(todo), len(mine) - len(todo), damaged, missing, failed)


def _cells(manifest: Manifest, shards: Iterable[int]) -> int:
    return sum(len(manifest.cells_of(k)) for k in shards)


def _compute(
    sweep: Sweep,
    room: Folder,
    manifest: Manifest,
    todo: list[int],
    progress: Progress | None,
    total: int,
) -> int:
    """Compute and write shards; how many cells failed."""
    devices = devices_of(sweep)
    at_once = devices.at_once(manifest.unit, manifest.shard)
    kind = f"{devices.platform} {jax.local_devices()[0].device_kind}"
    done, failed = total - _cells(manifest, todo), 0
    parts: dict[str, list[np.ndarray]] = defaultdict(list)
    shards = ((k, manifest.cells_of(k)) for k in todo)
    writing: Future[None] | None = None
    with ThreadPoolExecutor(1) as writer:  # at its end it waits for what is being written
        for launch in computed(sweep, shards, manifest.unit, at_once, devices.number):
            for unit, results in launch:
                failed += _kept(parts, results, manifest, unit.cells.start)
                done += len(unit.cells)
                if unit.cells.stop == manifest.cells_of(unit.shard).stop:
                    whole = {name: np.concatenate(arrays) for name, arrays in parts.items()}
                    parts.clear()
                    if writing is not None:
                        writing.result()
                    writing = writer.submit(_write, room, manifest, unit.shard, whole, kind)
            if progress is not None:
                progress(done, total)
        if writing is not None:
            writing.result()
    return failed


def _kept(
    parts: dict[str, list[np.ndarray]],
    results: dict[str, np.ndarray],
    manifest: Manifest,
    first: int,
) -> int:
    """Put the results of a unit beside those before it, as they are stored."""
    failed = np.zeros(0, bool)
    for name, array in results.items():
        ok = results[f"{name.partition('.')[0]}.{OK}"]
        if name.endswith(f".{OK}"):
            failed = ~ok if not failed.size else failed | ~ok
            parts[name].append(ok)
        else:
            parts[name].append(stored(array, ok, manifest.float, name, first))
    return int(failed.sum())


def _write(
    room: Folder, manifest: Manifest, number: int, results: Mapping[str, np.ndarray], device: str
) -> None:
    room.write(number, shard_file(manifest, number, results, device))
