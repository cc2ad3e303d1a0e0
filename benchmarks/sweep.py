"""What does a sweep cost beside the bare engine: shards, checksums, files, and going on with one?

The same cells, current and fold run once by `simulate` alone and once as a sweep whose results are
written; as one process on all cores and as two that share them. Then the finished sweep is run
again, which reads every checksum. `--scaling`: one process on one core with half of the cells, two
with all of them; and a sweep that is ended in the middle and resumed. `--peers`: 10,000 cells as
users of Jaxley and NEURON would sweep them. Every row is a fresh process, compilation included; its
peak memory is that of the whole process, libraries and compiler included. Each of the three writes
one JSON to results/.
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
from importlib.metadata import version
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
        merged = Path(job["folder"]) / "sweep.h5"
        whole_there = merged.exists()
        spikes = sweep.read(merged.parent).numbers("step.spikes").sum() if whole_there else 0.0
    seconds = time.perf_counter() - began
    return {"cells": whole.cells, "seconds": seconds, "peak_MB": peak_MB(), "spikes": float(spikes)}


def workers(*jobs: dict[str, Any], script: str = __file__) -> dict[str, float]:
    """Rows that run at the same time, as one: the longest time, the most memory."""
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    told = ["--job"] if script == __file__ else []
    begun = [
        subprocess.Popen(
            [sys.executable, script, *told, json.dumps(job)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for job in jobs
    ]
    found = [json.loads(worker.communicate()[0].splitlines()[-1]) for worker in begun]
    return {key: max(row[key] for row in found) for key in found[0]}


def asked_of(folder: Path, name: str, **more: Any) -> dict[str, Any]:
    """The job of a sweep into a folder of that name."""
    return {"how": "sweep", "folder": str(folder / name), "part": (1, 1)} | more


def cost(cells: int, ms: float, folder: Path, cores: int) -> dict[str, dict[str, float]]:
    """The sweep beside the bare engine, alone and by two processes."""
    job = {"cells": cells, "ms": ms, "devices": cores}
    one, half = asked_of(folder, "one", **job), job | {"devices": max(cores // 2, 1)}
    return {
        "simulate alone": workers(one | {"how": "bare"}),
        "sweep": workers(one),
        "the same sweep again, all of it there": workers(one),
        "sweep, two processes": workers(*_two(folder, "two", **half)),
    }


def _two(folder: Path, name: str, **job: Any) -> list[dict[str, Any]]:
    return [asked_of(folder, name, **job | {"part": (k, 2)}) for k in (1, 2)]


def scaling(cells: int, ms: float, folder: Path, cores: int) -> dict[str, dict[str, float]]:
    """Weak scaling over one and two processes of a core each; a sweep in two sittings."""
    job = {"cells": cells, "ms": ms, "devices": 1}
    on_all = job | {"devices": cores}
    first, _ = _two(folder, "resumed", **on_all)
    half = {"cells": cells / 2}
    return {
        "one process on one core, half of the cells": workers(
            asked_of(folder, "half", **job | {"cells": cells // 2})
        ),
        "two processes on a core each": workers(*_two(folder, "two", **job)),
        "all cells in one go, on all cores": workers(asked_of(folder, "one", **on_all)),
        "each second shard, on all cores": workers(first) | half,
        "resumed: the others": workers(first | {"part": (1, 1)}) | half,
    }


def peers(cells: int, ms: float, folder: Path, cores: int) -> dict[str, dict[str, float]]:
    """The same sweep as users of other libraries write it."""
    job = {"cells": cells, "ms": ms, "dt": DT, "cores": cores, "folder": str(folder)}
    by_hand = str(Path(__file__).parent / "peers" / "sweep_by_hand.py")
    return {
        "sweep": workers(asked_of(folder, "one", cells=cells, ms=ms, devices=cores)),
        "Jaxley, vmapped": workers(job | {"library": "jaxley"}, script=by_hand),
        "NEURON, multiprocessing": workers(job | {"library": "neuron"}, script=by_hand),
    }


QUESTIONS = {"cost": (cost, 1_000_000), "scaling": (scaling, 200_000), "peers": (peers, 10_000)}
"""What is measured, and with how many cells."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer cells, nothing written")
    group = parser.add_mutually_exclusive_group()
    for name in ("scaling", "peers"):
        group.add_argument(f"--{name}", dest="ask", action="store_const", const=name)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.job:
        print(json.dumps(work(json.loads(told.job))))
        return
    import common
    from rich.table import Table

    ask = told.ask or "cost"
    measure, cells = QUESTIONS[ask]
    cells, ms = (1_000, 100.0) if told.quick else (cells, 1000.0)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(cells, ms, Path(folder), len(os.sched_getaffinity(0)))
        stored = sum(p.stat().st_size for p in Path(folder, "one").rglob("*.h5"))
    first = next(iter(found.values()))
    drawn = Table("how", "seconds", "cells/s", "of the first", "peak MB", "spikes")
    for how, row in found.items():
        drawn.add_row(
            how,
            f"{row['seconds']:.3g}",
            f"{row['cells'] / row['seconds']:.3g}",
            f"{row['cells'] / row['seconds'] / first['cells'] * first['seconds']:.0%}",
            f"{row['peak_MB']:.0f}" if "peak_MB" in row else "",
            f"{row['spikes']:.0f}",
        )
    console = common.console()
    console.print(drawn)
    if not told.quick:
        job = {"cells": cells, "ms": ms, "dt": DT, "observables": TOLD, "stored_MB": stored / 1e6}
        also = ("jaxley", "neuron") if ask == "peers" else ()
        name = "sweep" if ask == "cost" else f"sweep_{ask}"
        versions = {package: version(package) for package in also}
        console.print(common.write(name, {"job": job, "peers": versions, "rows": found}))


if __name__ == "__main__":
    main()
