"""How long do branched cells take, forward and with a gradient, and how far off are their spikes?

Squid axons of 20, 100 and 1000 compartments, each cell with a sodium conductance of its own, under
a constant current into the first compartment, at equal steps. Beside the seconds stands how far the
spikes at the far end are off, against NEURON at a second-order step five times finer. Before the
race all contestants run at that step, and must agree there. Then a hundred cells run at finer and
finer steps, by each contestant's better schemes too, until spikes are less than 10 us off: what
that costs. One JSON with all rounds goes to results/.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import accuracy
import common
import numpy as np
from peers import shapes, worker
from race import Contestant, Row, Worker, agree, race, raced, scaled
from rich.console import Console
from rich.table import Table

CELLS = (1, 100, 1000)
DURATION = {"ball and stick": 50.0, "tree of 100": 30.0, "tree of 1000": 20.0}  # ms
QUICK = {"ball and stick": (1, 10), "tree of 100": (1,)}
JOB = {"question": "cable", "dt": 0.025, "record_ms": 0.05, "dtype": "float32"}
FINE_DT, WITHIN = 0.005, 0.1  # ms: the step at which spikes agree, and how well
GRADIENT = {"question": "gradient", "shape": "tree of 100", "n": 100, "ms": 20.0, "parameters": 8}
PATIENCE, BUDGET = 90.0, 6.0  # seconds: for a first run; of runs, after which there are no more
REFERENCE = Contestant(
    "reference", "cable_neuron", {"secondorder": 2, "usetable_hh": 0, "dtype": "float64"}
)
OURS, JAXLEY = Contestant("neurojax", "cable_ours"), Contestant("Jaxley", "cable_jaxley")
CONTESTANTS = [
    OURS,
    JAXLEY,
    Contestant("Arbor", "cable_arbor", {"dtype": "float64"}),
    Contestant("CoreNEURON", "cable_coreneuron", {"dtype": "float64"}),
    Contestant("NEURON", "cable_neuron", {"dtype": "float64"}),
]
STEPS = tuple(0.1 / 2**k for k in range(6))  # ms
FINEST_DT = 0.00125  # ms, of the spikes from which errors of 10 us are read
EXACT = {"usetable_hh": 0, "dtype": "float64"}  # the table of NEURON's hh is off by more
SCHEMES = [
    OURS,
    JAXLEY,
    Contestant("Jaxley, Crank-Nicolson", "cable_jaxley", {"solver": "crank_nicolson"}),
    Contestant("Arbor", "cable_arbor", {"dtype": "float64"}),
    Contestant("NEURON", "cable_neuron", EXACT),
    Contestant("NEURON, 2nd order", "cable_neuron", EXACT | {"secondorder": 2}),
    Contestant("CoreNEURON, 2nd order", "cable_coreneuron", EXACT | {"secondorder": 2}),
]
Spikes = list[list[float]]


# -- where spikes belong --------------------------------------------------------------------------
def reference(job: Row) -> tuple[Spikes, list[Row]]:
    """The spike times of the cells that are watched, ms, and how well all agree at a fine step.

    Ends the program where one does not: then its cell is another.
    """
    fine = {**job, "dt": FINE_DT, "n": worker.WATCHED}
    first, *rows = race([REFERENCE, *CONTESTANTS], fine, rounds=0, limit=PATIENCE)
    if "reason" in first:
        sys.exit(f"no reference: {first['reason']}")
    truth = first["spike_times"]
    told = []
    for row in rows:
        line = {"shape": job["shape"], "name": row["name"]}
        if "reason" in row:
            told.append(line | {"reason": row["reason"]})
            continue
        off = largest(row["spike_times"], truth)
        if off < WITHIN:
            told.append(line | {"largest_ms": off})
            continue
        counts = [[len(x) for x in spikes] for spikes in (row["spike_times"], truth)]
        why = f"{off:.3g} ms off at {FINE_DT} ms; spikes {counts[0][:3]} for {counts[1][:3]}"
        if row["name"] == OURS.name:
            sys.exit(f"{job['shape']}: spikes of {row['name']} are {why}")
        told.append(line | {"reason": why})  # a peer's fault ends no race
    return truth, told


def largest(spikes: Spikes, truth: Spikes) -> float:
    """The largest distance of a spike, ms; infinite where a cell has more or fewer."""
    if [len(x) for x in spikes] != [len(x) for x in truth]:
        return float("inf")
    return float(np.abs(np.concatenate(spikes) - np.concatenate(truth)).max(initial=0.0))


# -- the race -------------------------------------------------------------------------------------
def forward(
    shape: str, cells: tuple[int, ...], rounds: int, most: float, console: Console
) -> dict[str, Any]:
    """A race for each number of cells; processes are kept from one to the next."""
    job = {**JOB, "shape": shape, "ms": DURATION[shape]}
    truth, agreement = reference(job)
    races: list[Row] = []
    kept: dict[str, Worker] = {}
    compartments = shapes.SHAPES[shape].compartments
    try:
        for n in (n for n in cells if n * compartments <= most):
            field: list[Contestant | Row] = list(CONTESTANTS)
            if races and n > 100:  # what few cells take tells little
                times = n / races[-1]["n"]
                pairs = zip(CONTESTANTS, races[-1]["rows"], strict=True)
                field = [scaled(c, row, times, times) for c, row in pairs]
            how = {"rounds": rounds, "limit": PATIENCE, "budget": BUDGET, "kept": kept}
            rows = raced(field, {**job, "n": n}, **how)
            agree(rows)
            expected = truth if n > 1 else [truth[len(truth) // 2]]
            for row in rows:
                if "spike_times" in row:
                    off = accuracy.error(row.pop("spike_times"), expected)
                    row["error_us"] = off if off < float("inf") else None
            table(
                f"{shape}, {compartments} compartments, {n} cells, {job['ms']:g} ms", rows, console
            )
            races.append({"shape": shape, "compartments": compartments, "n": n, "rows": rows})
    finally:
        for process in kept.values():
            process.close()
    return {"agreement": agreement, "races": races}


def by_error(quick: bool, rounds: int, console: Console) -> dict[str, Any]:
    """Seconds that each scheme takes until its spikes are so and so far off."""
    shape = "ball and stick" if quick else "tree of 100"
    n = accuracy.MANY
    job = {**JOB, "shape": shape, "ms": DURATION[shape]}
    how = {"limit": PATIENCE, "budget": BUDGET}
    (first,) = race([REFERENCE], {**job, "dt": FINEST_DT, "n": worker.WATCHED}, rounds=0, **how)
    if "reason" in first:
        sys.exit(f"no reference: {first['reason']}")
    courses: dict[str, accuracy.Course] = {scheme.name: [] for scheme in SCHEMES}
    broke: dict[str, str] = {}
    left, kept, told = list(SCHEMES), {}, []
    try:
        for step in STEPS:
            at = {**job, "n": n, "dt": step, "record_ms": max(step, JOB["record_ms"])}
            for row in race(left, at, rounds=rounds, kept=kept, **how):
                name, row["step"] = row["name"], step
                if "reason" in row:
                    broke[name] = row["reason"]
                else:
                    off = accuracy.error(row.pop("spike_times"), first["spike_times"])
                    row["error_us"] = off if off < float("inf") else None
                    took = {n: row["median_seconds"]}
                    courses[name].append(accuracy.Point(step, off, took))
                told.append({k: row[k] for k in accuracy.KEPT if k in row})
            done = {name for name, course in courses.items() if course and near(course[-1])}
            left = [scheme for scheme in left if scheme.name not in done | broke.keys()]
    finally:
        for process in kept.values():
            process.close()
    lines = accuracy.summary(shape, courses, broke)
    accuracy.show(console, lines)
    return {"lines": lines, "rows": told}


def near(point: accuracy.Point) -> bool:
    """Whether a run's spikes are where the finest target has them."""
    return point.error < min(accuracy.TARGETS)


def gradient(quick: bool, rounds: int, console: Console) -> list[Row]:
    """Loss at the far end and its derivative in eight parameters of every cell."""
    job = {**JOB, **GRADIENT, **({"n": 4, "ms": 5.0} if quick else {})}
    rows = race([OURS, JAXLEY], job, rounds=rounds, limit=2 * PATIENCE, budget=BUDGET)
    agree(rows, "loss", within=0.1)
    table(f"gradient, P = 8, {job['shape']}, {job['n']} cells, {job['ms']:g} ms", rows, console)
    return rows


def table(title: str, rows: list[Row], console: Console) -> None:
    """Seconds, in ours; what it took to get there, and how far spikes are off, or the loss."""
    drawn = Table(title=title)
    what = "loss" if any("loss" in row for row in rows) else "error, us"
    for column in ("contestant", "seconds", "x ours", "compile s", what, "MB", "how"):
        drawn.add_column(column, no_wrap=True)
    ours = rows[0].get("median_seconds")
    for row in rows:
        if not row["seconds"]:
            drawn.add_row(row["name"], *["-"] * 5, row.get("reason", "one run only"))
            continue
        took, off = row["median_seconds"], row.get("loss", row.get("error_us"))
        drawn.add_row(
            row["name"], f"{took:.3g}", f"{took / ours:.2g}" if ours else "-",
            f"{row['compile_seconds']:.2g}",
            ("other spikes" if off is None else f"{off:.3g}")
            + ("" if row["agrees"] else ", disagrees"),
            f"{row['peak_MB']:.0f}", row["variant"],
        )  # fmt: skip
    console.print(drawn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few small cells, nothing written")
    parser.add_argument("--most", type=float, default=1e5, help="compartments of a race at most")
    told = parser.parse_args()
    console, began = common.console(), time.monotonic()
    rounds = 2 if told.quick else 5
    agreement: list[Row] = []
    races: list[Row] = []
    for shape, cells in (QUICK if told.quick else dict.fromkeys(DURATION, CELLS)).items():
        found = forward(shape, cells, rounds, told.most, console)
        agreement += found["agreement"]
        races += found["races"]
        console.print(f"{time.monotonic() - began:.0f} s so far")
    errors = by_error(told.quick, min(rounds, 3), console)
    console.print(f"{time.monotonic() - began:.0f} s so far")
    rows = gradient(told.quick, rounds, console)
    console.print(f"{time.monotonic() - began:.0f} s")
    for line in agreement:
        off = line.get("reason") or f"{1e3 * line['largest_ms']:.3g} us off at {FINE_DT} ms"
        console.print(f"{line['shape']}, {line['name']}: {off}")
    if told.quick:
        return
    result = {
        "job": JOB,
        "duration_ms": DURATION,
        "shapes": {name: shape._asdict() for name, shape in shapes.SHAPES.items()},
        "reference": f"NEURON, secondorder 2, no table, {FINE_DT} ms",
        "agreement": agreement,
        "races": races,
        "reference_of_errors": f"the same at {FINEST_DT} ms",
        "errors": errors,
        "gradient": rows,
    }
    console.print(common.write("cable", result))


if __name__ == "__main__":
    main()
