"""What does a sweep cost beside the bare engine: shards, checksums, files, and going on with one?

The same cells, current and fold run once by `simulate` alone and once as a sweep whose results are
written; as one process on all cores and as two that share them. Then the finished sweep is run
again, which reads every checksum. Every row is a fresh process, compilation included; its peak
memory is that of the whole process, libraries and compiler included. One JSON goes to results/.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

TOLD = ("spikes", "rate", "latency", "isi_mean", "isi_cv", "adaptation", "behaviour")
DT, RECORD_STEPS = 0.025, 4


def asked(cells: int, ms: float) -> Any:
    """The sweep: conductances of a squid axon, in a grid, under a step of current."""
    from neurojax import sweep
    from neurojax.model import load_model

    side = round(cells ** (1 / 3))
    rest = cells // side**2
    return sweep.Sweep(
        load_model("squid").cell,
        {"step": sweep.step(100.0, start=10.0, stop=ms - 10.0, duration=ms, dt=DT)},
        axes={
            "na.g_bar": np.linspace(60.0, 180.0, side),
            "k.g_bar": np.linspace(15.0, 60.0, side),
            "leak.g_bar": np.linspace(0.1, 0.6, rest),
        },
        observables=TOLD,
    )


def peak_MB() -> float:
    """The most memory that this process has had."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else float("nan")


def work(job: dict[str, Any]) -> dict[str, float]:
    """One row, in this process."""
    import neurojax as nj

    nj.configure(cpu_devices=job["devices"], compilation_cache=False)
    from neurojax import sweep

    whole = asked(job["cells"], job["ms"])
    began = time.perf_counter()
    if job["how"] == "bare":
        numbers = np.arange(whole.cells)
        values = whole.values(numbers)
        cells, protocol = whole.cells_of(numbers, values), whole.protocols["step"]
        done = nj.simulate(
            cells,
            protocol.at({}, cells),
            DT,
            record=(),
            every=RECORD_STEPS,
            folds=whole.folds("step"),
        )
        spikes = float(np.asarray(done.folds[""]["spikes"]).sum())
    else:
        sweep.run(whole, job["folder"], part=tuple(job["part"]))
        spikes = 0.0
    seconds = time.perf_counter() - began
    return {"cells": whole.cells, "seconds": seconds, "peak_MB": peak_MB(), "spikes": spikes}


def workers(*jobs: dict[str, Any]) -> dict[str, float]:
    """Rows that run at the same time, as one: the longest time, the most memory."""
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    begun = [
        subprocess.Popen(
            [sys.executable, __file__, "--job", json.dumps(job)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for job in jobs
    ]
    told = [json.loads(worker.communicate()[0].splitlines()[-1]) for worker in begun]
    return {key: max(row[key] for row in told) for key in told[0]}


def rows(cells: int, ms: float, folder: Path, cores: int) -> dict[str, dict[str, float]]:
    """Every way to compute the sweep."""
    job = {"cells": cells, "ms": ms, "devices": cores, "part": (1, 1)}
    one = {"how": "sweep", "folder": str(folder / "one")}
    two = {"how": "sweep", "folder": str(folder / "two"), "devices": max(cores // 2, 1)}
    return {
        "simulate alone": workers(job | {"how": "bare"}),
        "sweep": workers(job | one),
        "the same sweep again, all of it there": workers(job | one),
        "sweep, two processes": workers(job | two | {"part": (1, 2)}, job | two | {"part": (2, 2)}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10,000 cells, nothing written")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.job:
        print(json.dumps(work(json.loads(told.job))))
        return
    import common
    from rich.table import Table

    cells, ms = (10_000, 100.0) if told.quick else (1_000_000, 1000.0)
    with tempfile.TemporaryDirectory() as folder:
        found = rows(cells, ms, Path(folder), len(os.sched_getaffinity(0)))
        stored = sum(p.stat().st_size for p in Path(folder, "one").rglob("*.h5"))
    drawn = Table("how", "seconds", "cells/s", "of simulate alone", "peak MB")
    bare = found["simulate alone"]["seconds"]
    for how, row in found.items():
        drawn.add_row(
            how, f"{row['seconds']:.3g}", f"{row['cells'] / row['seconds']:.3g}",
            f"{bare / row['seconds']:.0%}", f"{row['peak_MB']:.0f}",
        )  # fmt: skip
    console = common.console()
    console.print(drawn)
    if not told.quick:
        job = {"cells": cells, "ms": ms, "dt": DT, "observables": TOLD, "stored_MB": stored / 1e6}
        console.print(common.write("sweep", {"job": job, "rows": found}))


if __name__ == "__main__":
    main()
