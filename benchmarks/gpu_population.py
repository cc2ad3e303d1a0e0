"""How many compartments a second on a GPU, against a scan, Jaxley and a kernel in plain CUDA?

Independent squid axons with a conductance each under a constant current, float32, dt 0.025 ms, the
potential of every cell recorded every 10th step. Before them ten million cells for a second, of
which only the spikes are counted. One JSON with all rounds goes to results/, and a chart.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import chart
import common
from race import Contestant, Row, Worker, agree, raced, scaled, table, throughputs
from rich.console import Console

SIZES = {1000: 100, 10_000: 100, 100_000: 100, 1_000_000: 50, 10_000_000: 5}  # cells: ms
COUNT = {10_000_000: 1000}
QUICK, QUICK_COUNT = {1000: 20, 100_000: 20}, {100_000: 100}
TINY, TINY_COUNT = {128: 3, 300: 3}, {256: 3}  # what the interpreter of kernels can do on a CPU

# What all contestants are told alike. Of the records no more than those of `checked` cells are
# brought to the host and looked at, which is not timed.
JOB = {"question": "population", "dt": 0.025, "record_ms": 0.25, "dtype": "float32"}
CHECKED = 20_000
MOST = 6.0  # seconds of a run that are too many; after as many in all there are no more rounds
HOW = {"rounds": 5, "limit": 60.0, "budget": MOST}  # limit: for an answer, the compiler's mostly
MINUTES = 7.5  # from then on nobody begins anything

# The scan at its best. XLA launches a loop's kernels one by one, or as a CUDA graph ("command
# buffer") of the whole loop; how many steps a turn holds decides how much that matters.
SCANS = tuple(
    Contestant(
        f"{'CUDA graph' if graph == '+' else 'launches'}, unroll {unroll}", "ours",
        {"engine": "scan", "unroll": unroll},
        env={"XLA_FLAGS": f"--xla_gpu_enable_command_buffer={graph}WHILE"},
    )
    for graph in "-+"
    for unroll in (1, 8)
)  # fmt: skip
CONTESTANTS = [
    Contestant("neurojax", "ours", {"engine": "kernel"}),
    Contestant("neurojax, fast math", "ours", {"engine": "kernel", "fast_math": True}),
    Contestant("CUDA", "cuda_hh", {"only": "accurate"}),
    Contestant("CUDA, fast math", "cuda_hh", {"only": "fast math"}),
    Contestant("neurojax, scan", "ours", ways=SCANS),
    Contestant("Jaxley, own loop", "jaxley_hh", {"only": "step_fn"}),
    Contestant("Jaxley", "jaxley_hh", {"only": "integrate"}),  # last to take memory: every step's
]


def curve(sizes: dict[int, float], job: dict, deadline: float, console: Console):
    """One race per size, by processes that are kept from one to the next; yields all so far."""
    races: list[dict] = []
    kept: dict[str, Worker] = {}
    try:
        for n, ms in sizes.items():
            field: list[Contestant | Row] = list(CONTESTANTS)
            if races:
                cells, work = n / races[-1]["n"], n * ms / races[-1]["n"] / races[-1]["ms"]
                field = [
                    scaled(c, row, cells, work, most=MOST)
                    for c, row in zip(CONTESTANTS, races[-1]["rows"], strict=True)
                ]
            job |= {"n": n, "ms": ms}
            rows = raced(field, job, **HOW, kept=kept, deadline=deadline)
            agree(rows)
            table(rows, console, f"{n} cells, {ms:g} ms")
            races.append({"n": n, "ms": ms, "rows": rows})
            yield races
    finally:
        for worker in kept.values():
            worker.close()


def main() -> None:
    told = common.gpu_told(__doc__, MINUTES)
    sizes, counts = (QUICK, QUICK_COUNT) if told.quick else (SIZES, COUNT)
    if told.on == "cpu":  # the whole flow, where there is nothing to measure
        sizes, counts = TINY, TINY_COUNT
        common.RESULTS = Path(tempfile.mkdtemp())
    console = common.console()
    found: dict = {"job": JOB, "races": [], "counts": []}

    def written() -> None:
        if not told.quick:
            common.write("gpu_population", found)

    for n, ms in counts.items():
        job = JOB | {"question": "count", "n": n, "ms": ms, "on": told.on}
        rows = raced(CONTESTANTS[:2], job, **HOW, deadline=told.deadline)
        agree(rows)
        for row in rows:
            row["not_finite"] = 0  # of those only the number of spikes is known
        table(rows, console, f"{n} cells, {ms:g} ms, spikes counted")
        found["counts"].append({"n": n, "ms": ms, "rows": rows})
        written()
    with tempfile.TemporaryDirectory() as folder:
        job = JOB | {"checked": CHECKED, "on": told.on, "folder": folder}
        for found["races"] in curve(sizes, job, told.deadline, console):
            written()  # each time, or what cuts the run short would take all with it
    if told.quick:
        return
    console.print(common.RESULTS / "gpu_population.json")
    lines = throughputs(CONTESTANTS, found["races"])
    path = common.RESULTS / "gpu_population.png"
    chart.loglog(
        path, {"One compartment per cell, recorded every 0.25 ms": lines},
        "cells", "compartment-steps per second",
    )  # fmt: skip
    console.print(path)


if __name__ == "__main__":
    main()
