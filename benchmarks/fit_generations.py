"""How many generations a second does a search see on real cells, and are all cores busy?

The six recordings of fit_cells, prepared and divided as by `neurojax fit FILE cortex`; evolution on
four islands from random points, 256 cells, once compiled. Busy: CPU time of this process over wall
time and cores. Prints a table, writes one JSON file.
"""

from __future__ import annotations

import argparse
import math
import os
import time

import numpy as np
from cells import CELLS, prepared
from common import console, write
from rich.table import Table

import neurojax as nj
from neurojax.fit import Budget, Task, default_sweeps
from neurojax.fit.optimisers.evolution import Evolution, Population
from neurojax.fit.scoring.scorer import FeatureScorer

CELLS_A_GENERATION, ISLANDS, DT_MS = 256, 4, 0.1


def measured(name: str, seconds: float) -> dict:
    """Generations of one recording for so many seconds."""
    ready = prepared(name)
    seen, unseen = default_sweeps(ready.traces)
    task = Task(ready.cell, ready.space, seen, unseen)
    population = Population(FeatureScorer(task.stepped(DT_MS)), CELLS_A_GENERATION)
    rng = np.random.default_rng(0)
    with Budget().stage("warm", "tolerances") as log:
        began = time.perf_counter()
        population.race(rng.random((len(ready.space), CELLS_A_GENERATION)), log)
        compiling = time.perf_counter() - began
        evolution = Evolution(population, ISLANDS, rng)
        evolution.run(log, 2, 1000, 0.0)
    load = os.getloadavg()[0]
    with Budget(seconds).stage("islands", "tolerances") as log:
        wall, cpu = time.perf_counter(), time.process_time()
        evolution.run(log, 10**6, 10**6, 0.0)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    n, cores = len(log.history), len(os.sched_getaffinity(0))
    steps = [s.error.data.v.shape[0] for s in population.scorer.problem.sweeps]
    every = population.scorer.problem.every
    return {
        "cell": name,
        "sweeps": len(seen),
        "simulated_ms": [round(k * every * DT_MS) for k in steps],
        "generations": n,
        "generations_per_s": round(n / wall, 2),
        "cpu_s_per_generation": round(cpu / max(n, 1), 4),
        "cores_busy_percent": round(100 * cpu / wall / cores),
        "first_call_s": round(compiling, 2),
        "load_average": round(load, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one cell for 3 s, nothing written")
    parser.add_argument("--seconds", type=float, default=15.0, help="wall time a cell")
    told = parser.parse_args()
    nj.configure()
    names, seconds = (CELLS[:1], 3.0) if told.quick else (CELLS, told.seconds)
    rows = []
    table = Table(
        "recording", "sweeps", "generations/s", "CPU s each", "cores busy %", "first call s"
    )
    for name in names:
        row = measured(name, seconds)
        rows.append(row)
        shown = ("sweeps", "generations_per_s", "cpu_s_per_generation", "cores_busy_percent")
        table.add_row(name, *(str(row[k]) for k in (*shown, "first_call_s")))
    console().print(table)
    mean = math.exp(np.mean([math.log(r["generations_per_s"]) for r in rows]))
    console().print(f"geometric mean {mean:.2f} generations/s")
    if not told.quick:
        settings = {"cells": CELLS_A_GENERATION, "islands": ISLANDS, "dt_ms": DT_MS}
        write("fit_generations", {**settings, "seconds": seconds, "rows": rows})


if __name__ == "__main__":
    main()
