"""How many compartments a second, from one cell to a million, against the best of the others?

Every contestant does the same: independent squid axons with a conductance each under a constant
current, dt 0.025 ms, the potential of every cell recorded every 0.1 ms, on all cores. One JSON with
all rounds goes to results/, and a chart.
"""

from __future__ import annotations

import argparse

import chart
import common
from race import Contestant, Row, agree, race, scaled, table, throughputs
from rich.console import Console

SIZES = {1: 100, 10: 100, 100: 100, 1000: 100, 10_000: 100, 100_000: 20, 1_000_000: 10}  # cells: ms
PATIENCE = 60.0  # seconds
QUICK = {10: 20, 1000: 20}
JOB = {"question": "population", "dt": 0.025, "record_ms": 0.1, "dtype": "float32"}
CONTESTANTS = [
    Contestant("neurojax", "ours"),
    Contestant("neurojax, one core", "ours", {"devices": 1}),
    Contestant("C", "c_hh", {"only": "libmvec"}),
    Contestant("C, own exp", "c_hh", {"only": "inline"}),
    Contestant("Jaxley", "jaxley_hh", {"only": "integrate"}),
    Contestant("Jaxley, own loop", "jaxley_hh", {"only": "step_fn"}),
    Contestant("BrainCell", "braincell_hh"),
    Contestant("Diffrax", "diffrax_hh"),
    Contestant("Arbor", "arbor_hh", {"dtype": "float64"}),
    Contestant("CoreNEURON", "coreneuron_hh", {"dtype": "float64"}),
    Contestant("NEURON", "neuron_hh", {"dtype": "float64"}),
    Contestant("Brian 2", "brian2_hh"),
]


def curve(sizes: dict[int, float], contestants: list[Contestant], console: Console) -> list[dict]:
    """One race per size; who would be too slow or too big at the next one stays out of it."""
    races: list[dict] = []
    for n, ms in sizes.items():
        field: list[Contestant | Row] = list(contestants)
        if races:
            cells, work = n / races[-1]["n"], n * ms / races[-1]["n"] / races[-1]["ms"]
            field = [
                scaled(c, row, cells, work)
                for c, row in zip(contestants, races[-1]["rows"], strict=True)
            ]
        willing = [c for c in field if isinstance(c, Contestant)]
        ran = iter(race(willing, {**JOB, "n": n, "ms": ms}, limit=PATIENCE))
        rows = [next(ran) if isinstance(c, Contestant) else c for c in field]
        agree(rows)
        table(rows, console, f"{n} cells, {ms:g} ms")
        races.append({"n": n, "ms": ms, "rows": rows})
    return races


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="up to 1000 cells, nothing written")
    parser.add_argument("--most", type=float, default=1e6, help="cells at most")
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else SIZES
    sizes = {n: ms for n, ms in sizes.items() if n <= arguments.most}
    console = Console()
    races = curve(sizes, CONTESTANTS, console)
    if arguments.quick:
        return
    console.print(common.write("population", {"job": JOB, "races": races}))
    lines = throughputs(CONTESTANTS, races)
    path = common.RESULTS / "population.png"
    chart.loglog(
        path, {"One compartment per cell, recorded every 0.1 ms": lines},
        "cells", "compartment-steps per second",
    )  # fmt: skip
    console.print(path)


if __name__ == "__main__":
    main()
