"""How long does a population of Hay et al.'s pyramidal cell take, from its .mod files?

All mechanisms of Hay et al. 2011 on four cylinders of 14 compartments (`hay_2011.toml`), each cell
with a sodium conductance of its own, under a constant current into the soma, at equal steps; read
as they are by neurojax, compiled by NEURON and CoreNEURON. Beside the seconds stands how far the
spikes are off, against NEURON at a step ten times finer.

    python benchmarks/hay.py MODS

MODS is a folder with the .mod files, as in bluepyopt's source distribution (examples/l5pc/
mechanisms); without it, one in `$NEUROJAX_NMODL`. One JSON with all rounds goes to results/. It
takes about 4 minutes; 10,000 cells run for a fifth of the time, and not in NEURON.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import accuracy
import common
import numpy as np
from peers import worker
from race import Contestant, Row, agree, race
from rich.console import Console
from rich.table import Table

RACES = {100: (5, 100.0), 1000: (3, 100.0), 10_000: (3, 20.0)}
"""By the number of cells: rounds, and ms."""

MOST_IN_NEURON = 1000
COMPARTMENTS = 14
JOB = {"question": "cable", "dt": 0.025, "record_ms": 0.05, "dtype": "float32", "ms": 100.0}
FINE_DT = 0.0025  # ms
PATIENCE, BUDGET = 120.0, 20.0  # seconds: for a first run; of runs, after which there are no more
OURS = Contestant("neurojax", "hay_ours")
CONTESTANTS = [
    OURS,
    Contestant("CoreNEURON", "hay_coreneuron", {"dtype": "float64"}),
    Contestant("NEURON", "hay_neuron", {"dtype": "float64"}),
]


def forward(n: int, ms: float, mods: str, truth: list[list[float]], rounds: int) -> list[Row]:
    """A race of n cells for so many ms."""
    job: dict[str, Any] = {**JOB, "n": n, "mods": mods, "ms": ms}
    known = [np.asarray([t for t in times if t < ms]) for times in truth]
    field = CONTESTANTS if n <= MOST_IN_NEURON else CONTESTANTS[:-1]
    rows = race(field, job, rounds=rounds, limit=PATIENCE, budget=BUDGET)
    agree(rows)
    for row in rows:
        row["job"] = {k: x for k, x in row["job"].items() if k != "mods"}  # where they lie here
        if "spike_times" in row:
            off = accuracy.error(row.pop("spike_times"), known)
            row["error_us"] = off if off < float("inf") else None
    return rows


def table(n: int, ms: float, rows: list[Row], console: Console) -> None:
    """Seconds, in ours; what it took to get there, and how far spikes are off."""
    drawn = Table(title=f"{n} cells of {COMPARTMENTS} compartments, {ms:g} ms")
    for column in ("contestant", "seconds", "x ours", "compile s", "error, us", "MB"):
        drawn.add_column(column, no_wrap=True)
    ours = rows[0].get("median_seconds")
    for row in rows:
        if not row["seconds"]:
            drawn.add_row(row["name"], *["-"] * 4, row.get("reason", "one run only"))
            continue
        took, off = row["median_seconds"], row.get("error_us")
        drawn.add_row(
            row["name"], f"{took:.3g}", f"{took / ours:.2g}" if ours else "-",
            f"{row['compile_seconds']:.2g}", "other spikes" if off is None else f"{off:.3g}",
            f"{row['peak_MB']:.0f}",
        )  # fmt: skip
    console.print(drawn)


def found() -> str:
    """The folder of the .mod files in `$NEUROJAX_NMODL`."""
    folder = os.environ.get("NEUROJAX_NMODL", "")
    files = sorted(Path(folder).rglob("NaTs2_t.mod")) if folder else []
    if not files:
        raise SystemExit("which folder has the .mod files? name it, or set NEUROJAX_NMODL")
    return str(files[0].parent)


def main() -> None:
    """Race, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mods", nargs="?", default="", help="folder with the .mod files")
    parser.add_argument("--quick", action="store_true", help="few cells, nothing written")
    told = parser.parse_args()
    console = common.console()
    mods = told.mods or found()
    fine = {**JOB, "dt": FINE_DT, "n": worker.WATCHED, "mods": mods}
    reference = Contestant("reference", "hay_neuron", {"dtype": "float64"})
    (first,) = race([reference], fine, rounds=0, limit=PATIENCE)
    if "reason" in first:
        raise SystemExit(f"no reference: {first['reason']}")
    truth = first["spike_times"]
    races: list[dict[str, Any]] = []
    for n, (rounds, ms) in ({10: (2, 100.0)} if told.quick else RACES).items():
        rows = forward(n, ms, mods, truth, rounds)
        table(n, ms, rows, console)
        races.append({"n": n, "ms": ms, "compartments": COMPARTMENTS, "rows": rows})
    if not told.quick:
        result = {"job": JOB, "reference": f"NEURON, {FINE_DT} ms", "races": races}
        console.print(common.write("hay", result))


if __name__ == "__main__":
    main()
