"""A sweep on a thousand tasks, simulated event by event: what bounds it, how large be its shards?

No cluster is needed. Tasks are begun by a scheduler at its rate; the first of each node reads
Python, JAX and what else is imported from a file system that all share (or from its own disk),
compiles its program or loads it from a cache, then computes shards and writes them. The file system
has one bandwidth and one metadata server, which serve in the order in which they are asked. What a
task does on one core is measured here (importing, compiling, computing a cell, the size of a
result); the cluster's numbers are assumptions, in `Cluster`, to be replaced by one's own. Tables
are printed; one JSON goes to results/.
"""

from __future__ import annotations

import argparse
import dataclasses
import heapq
import json
import subprocess
import sys
from typing import NamedTuple


@dataclasses.dataclass(frozen=True)
class Cluster:
    """What is assumed of a cluster; a mid-sized one with a parallel file system."""

    tasks: int = 1000
    tasks_per_node: int = 20  # what the first of them has read, the others have in memory
    begun_per_s: float = 20.0  # by the scheduler
    bandwidth_MB_s: float = 5000.0  # of the file system, for all together
    client_MB_s: float = 500.0  # of one node
    opens_per_s: float = 20_000.0  # of its metadata server
    lost_per_hour: float = 0.02  # part of tasks that a node failure or time limit ends


class Task(NamedTuple):
    """What one task does, on the core or GPU that it has."""

    import_s: float  # from a warm disk
    files: int  # that importing opens
    import_MB: float
    compile_s: float
    cached_s: float  # the same program from the compile cache
    cells_per_s: float
    bytes_per_cell: float


class FileSystem:
    """One bandwidth and one metadata server for all clients, in the order in which they ask."""

    def __init__(self, cluster: Cluster):
        self.cluster, self.free, self.meta = cluster, 0.0, 0.0

    def done(self, now: float, MB: float, opens: int) -> float:
        """When a client that asks now has read or written so much."""
        self.meta = max(self.meta, now) + opens / self.cluster.opens_per_s
        self.free = max(self.free, now) + MB / self.cluster.bandwidth_MB_s
        return max(self.meta, self.free, now + MB / self.cluster.client_MB_s)


def run(
    cluster: Cluster, task: Task, cells: int, shard: int, cached: bool, local: bool
) -> dict[str, float]:
    """Simulate a sweep: when it ends, and which part of all cores' time was spent on cells.

    With the programs `cached`, and the software on a `local` disk of each node.
    """
    files, shards = FileSystem(cluster), -(-cells // shard)
    there: dict[int, float] = {}  # by node, when what is imported is in its memory
    own = [shards // cluster.tasks + (k < shards % cluster.tasks) for k in range(cluster.tasks)]
    compute_s = shard / task.cells_per_s
    # Events: when, which task, and what it has just done: -1 began, 0 imported, n shards written.
    queue = [(k / cluster.begun_per_s, k, -1) for k in range(cluster.tasks)]
    heapq.heapify(queue)
    end = busy = waited = 0.0
    while queue:
        now, k, stage = heapq.heappop(queue)
        end = max(end, now)
        if stage == -1:
            node = k // cluster.tasks_per_node
            if node not in there:
                there[node] = now if local else files.done(now, task.import_MB, task.files)
            read = max(now, there[node])
            heapq.heappush(queue, (read + task.import_s, k, 0))
            waited += read - now
        elif stage < own[k]:
            first = (task.cached_s if cached else task.compile_s) if stage == 0 else 0.0
            ready = now + first + compute_s
            busy += compute_s
            # What a fault would cost: half a shard, on average, to be computed again.
            again = cluster.lost_per_hour * compute_s / 3600 * compute_s / 2
            written = files.done(ready + again, shard * task.bytes_per_cell / 1e6, 3)
            waited += written - ready - again
            heapq.heappush(queue, (written, k, stage + 1))
    return {
        "shards": shards,
        "seconds": end,
        "efficiency": busy / (end * cluster.tasks),
        "waiting_for_files": waited / (end * cluster.tasks),
        "begun_after_s": cluster.tasks / cluster.begun_per_s,
    }


MEASURE = """
import json, sys, time
began = time.perf_counter()
import numpy as np
import neurojax as nj
from neurojax import sweep
imported = time.perf_counter() - began
nj.configure(cpu_devices=1, compilation_cache=False)
import jax
cell = nj.model.load_model("squid").cell
def go(cells):
    grid = {"na.g_bar": np.linspace(60, 180, cells), "k.g_bar": [36.0]}
    step = {"step": sweep.step(100.0, start=10, stop=490, duration=500)}
    whole = sweep.Sweep(cell, step, axes=grid)
    import tempfile, pathlib
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        sweep.run(whole, folder + "/x")
        seconds = time.perf_counter() - began
        size = sum(p.stat().st_size for p in pathlib.Path(folder).rglob("*.h5"))
    return seconds, size
first, _ = go(8192)
second, size = go(8192)
files = [m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)]
import os
read = sum(os.path.getsize(f) for f in files if os.path.exists(f)) / 1e6
print(json.dumps({"import_s": imported, "files": 3 * len(files), "import_MB": read,
    "compile_s": max(first - second, 0.1), "cached_s": 0.3 * max(first - second, 0.1),
    "cells_per_s": 8192 / second, "bytes_per_cell": size / 8192}))
"""


def measured() -> Task:
    """What a task does on one core of this machine: 0.5 s of a squid axon in each cell."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True
    )
    return Task(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="nothing written")
    told = parser.parse_args()
    import common
    from rich.table import Table

    task, console, found = measured(), common.console(), {}
    ways = {"shared, no cache": (False, False), "shared": (True, False), "local": (True, True)}
    for cells in (10_000_000, 1_000_000_000):
        drawn = Table("shard", "seconds of one", "software", "seconds", "busy", "waiting for files")
        for shard in (100, 1_000, 10_000, 100_000, 1_000_000):
            if shard * Cluster().tasks > cells:
                continue
            for way, (cached, local) in ways.items():
                row = run(Cluster(), task, cells, shard, cached, local)
                found[f"{cells} cells, shards of {shard}, software {way}"] = row
                drawn.add_row(
                    f"{shard:,}", f"{shard / task.cells_per_s:.3g}", way, f"{row['seconds']:.0f}",
                    f"{row['efficiency']:.0%}", f"{row['waiting_for_files']:.1%}",
                )  # fmt: skip
        console.print(f"{cells:,} cells on {Cluster().tasks} tasks")
        console.print(drawn)
    if not told.quick:
        job = {"cluster": dataclasses.asdict(Cluster()), "task": task._asdict()}
        console.print(common.write("cluster", {"job": job, "rows": found}))


if __name__ == "__main__":
    main()
