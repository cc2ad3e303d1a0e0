"""Who fits real cells best in the same wall time, on the same model, score and sweeps?

The default fit against random search, CMA-ES, BluePyOpt's genetic algorithm (IBEA) and Jaxley's
recipe for gradients. Each fits the same sweeps of six recordings; what counts is the score on the
sweeps that were held out. Compilation is outside the clock for all. Prints a table, writes a JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

import jax
import numpy as np
from baselines import cma_es, ibea, jaxley, random_search
from cells import CELLS, prepared
from common import RESULTS, write
from rich.console import Console
from rich.table import Table

import neurojax as nj
from neurojax.fit import (
    Search,
    Task,
    default_sweeps,
    fit,
)
from neurojax.fit.scoring.scorer import FeatureScorer


def contestants(task: Task) -> dict:
    """Each as a function of seconds and seed that gives the best point of the unit box."""
    scorer, P = FeatureScorer(task), len(task.space)

    def ours(seconds: float, seed: int) -> np.ndarray:
        found = fit(task.cell, task.traces, task.space, [Search()], seconds=seconds, seed=seed)
        return task.space.point(found.values)

    def other(method):
        return lambda seconds, seed: method(scorer, P, seconds, seed).z

    return {
        "neurojax": ours,
        "random search": other(random_search),
        "CMA-ES": other(cma_es),
        "IBEA": other(ibea),
        "Jaxley's recipe": other(jaxley(task)),
    }


def race(name: str, seconds: float, seed: int, only: list[str] | None) -> dict:
    """All contestants on one cell, one after the other."""
    ready = prepared(name)
    fitted, held_out = default_sweeps(ready.traces)
    model = ready.cell, ready.space
    task = Task(*model, fitted, seed=seed)
    fitted, ahead = FeatureScorer(task), FeatureScorer(Task(*model, held_out))
    results = {}
    for who, run in contestants(task).items():
        if only and who not in only:
            continue
        run(1.0, seed)  # compiles
        load_average, began = os.getloadavg()[0], time.perf_counter()
        z = run(seconds, seed)
        took = time.perf_counter() - began
        at = np.repeat(z[:, None], 64, axis=1)
        results[who] = {
            "seconds": round(took, 1),
            "load_average_at_start": round(load_average, 1),
            "fitted_error": round(float(fitted(at)[0][0]), 3),
            "held_out_error": round(float(ahead(at)[0][0]), 3),
        }
        print(name, who, results[who], file=sys.stderr, flush=True)
    return {"cell": name, "seconds": seconds, "seed": seed, "contestants": results}


def summary(rows: list[dict]) -> dict:
    """On how many cells we are best, and whether we are ever worst, by what was held out."""
    best = worst = 0
    for row in rows:
        errors = {k: r["held_out_error"] for k, r in row["contestants"].items()}
        best += min(errors, key=errors.__getitem__) == "neurojax"
        worst += max(errors, key=errors.__getitem__) == "neurojax"
    return {"cells": len(rows), "best_on": best, "worst_on": worst}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10 s each for one cell, no files")
    parser.add_argument("--seconds", type=float, default=100.0, help="wall time a fit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cells", nargs="+", default=list(CELLS))
    parser.add_argument("--only", nargs="+", help="only these contestants")
    told = parser.parse_args()
    nj.configure()
    names = CELLS[:1] if told.quick else told.cells
    path = RESULTS / "fit_race.json"
    before = json.loads(path.read_text())["cells"] if path.exists() and not told.quick else []
    rows = {r["cell"]: r for r in before}
    for name in names:
        rows[name] = race(name, 10.0 if told.quick else told.seconds, told.seed, told.only)
        if not told.quick:
            done = [rows[n] for n in CELLS if n in rows]
            dtype = str(jax.numpy.result_type(float))
            write("fit_race", {"dtype": dtype, "summary": summary(done), "cells": done})
    table = Table("held-out error, tolerances", *next(iter(rows.values()))["contestants"])
    for row in rows.values():
        table.add_row(
            row["cell"], *(f"{r['held_out_error']:.1f}" for r in row["contestants"].values())
        )
    Console(width=None if sys.stdout.isatty() else 150).print(table)


if __name__ == "__main__":
    main()
