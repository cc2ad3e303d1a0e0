"""What does a gradient cost on a GPU, against the forward pass, a scan and Jaxley?

Cells with their own parameters; the loss is the mean square distance of the recorded potential from
a target. 3 and 8 free parameters are those of one squid axon; 16 and 64 those of 2 and 8 pairs of
sodium and potassium channels in one cell. The loss alone is timed in the same process, beside the
gradient. One JSON with all rounds goes to results/, and a chart.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import chart
import common
from race import Contestant, Row, Worker, agree, raced, scaled
from rich.console import Console
from rich.table import Table

SIZES = {10_000: 100, 100_000: 100, 1_000_000: 40}  # cells: ms
NUMBERS = (3, 64, 8, 16)  # the ends first: there may be no time for all
QUICK, TINY = {10_000: 20}, {128: 2, 256: 2}

# What all contestants are told alike. A million cells of 8 channel pairs leave 9 GB of checkpoints.
JOB = {"question": "passes", "dt": 0.025, "record_ms": 0.25, "dtype": "float32"}
MEMORY_MB = 16_000.0
MOST = 6.0  # seconds of a run that are too many; after as many in all there are no more rounds
HOW = {"rounds": 5, "limit": 120.0, "budget": MOST}  # limit: for an answer, the compiler's mostly
MINUTES = 7.5  # from then on nobody begins anything
CONTESTANTS = [
    Contestant("neurojax", "ours", {"engine": "kernel"}),
    Contestant("neurojax, scan", "ours", {"engine": "scan"}),
    Contestant("Jaxley", "jaxley_hh"),
]


def curve(number: int, sizes: dict[int, float], job: dict, deadline: float) -> list[Row]:
    """The rows of all sizes for so many parameters, by processes that are kept in between."""
    rows: list[Row] = []
    kept: dict[str, Worker] = {}
    told = {**job, "parameters": number}
    before: dict | None = None
    try:
        for n, ms in sizes.items():
            field: list[Contestant | Row] = list(CONTESTANTS)
            if before:
                cells, work = n / before["n"], n * ms / before["n"] / before["ms"]
                field = [
                    scaled(c, row, cells, work, most=MOST)
                    for c, row in zip(CONTESTANTS, before["rows"], strict=True)
                ]
            here = raced(field, told | {"n": n, "ms": ms}, **HOW, kept=kept, deadline=deadline)
            agree(here, "loss", within=0.1)
            before = {"n": n, "ms": ms, "rows": here}
            rows += [row | {"parameters": number, "n": n, "ms": ms} for row in here]
    finally:
        for worker in kept.values():
            worker.close()
    return rows


def passes(row: Row) -> float:
    """Run time in forward passes of the same process."""
    return row["median_seconds"] / statistics.median(row["forward_seconds"])


def show(rows: list[Row], console: Console) -> None:
    """A line for each, with what it found or why it did not."""
    drawn = Table(
        "parameters", "cells", "ms", "contestant", "seconds", "forward passes", "compile s", "MB",
        "loss", "how",
    )  # fmt: skip
    for row in rows:
        if row["seconds"]:
            disagrees = "" if row["agrees"] else ", disagrees"
            cells = [
                f"{row['median_seconds']:.3g}", f"{passes(row):.2g}",
                f"{row['compile_seconds']:.2g}", f"{row.get('device_MB', row['peak_MB']):.0f}",
                f"{row['loss']:.4g}{disagrees}", row["variant"],
            ]  # fmt: skip
        else:
            cells = [*["-"] * 5, row["reason"]]
        drawn.add_row(str(row["parameters"]), str(row["n"]), f"{row['ms']:g}", row["name"], *cells)
    console.print(drawn)


def main() -> None:
    told = common.gpu_told(__doc__, MINUTES)
    sizes, numbers = (QUICK, NUMBERS[:2]) if told.quick else (SIZES, NUMBERS)
    if told.on == "cpu":  # the whole flow, where there is nothing to measure
        sizes, numbers = TINY, NUMBERS[::2]
        common.RESULTS = Path(tempfile.mkdtemp())
    job = JOB | {"memory_MB": MEMORY_MB, "on": told.on}
    console = common.console()
    rows: list[Row] = []
    for number in numbers:
        here = curve(number, sizes, job, told.deadline)
        show(here, console)
        rows += here
        if not told.quick:  # each time, or what cuts the run short would take all with it
            console.print(common.write("gpu_gradient", {"job": job, "rows": rows}))
    if told.quick:
        return

    def line(name, number, value) -> chart.Line:
        mine = [r for r in rows if r["name"] == name and r["parameters"] == number and r["seconds"]]
        return [r["n"] for r in mine], [value(r) for r in mine]

    panels = {
        f"{number} parameters": {
            c.name: line(c.name, number, lambda row: row["median_seconds"] / row["ms"] * 1000)
            for c in CONTESTANTS
        }
        for number in sorted(numbers)
    }
    path = common.RESULTS / "gpu_gradient.png"
    chart.loglog(path, panels, "cells", "loss and gradient, s per second of each cell")
    console.print(path)


if __name__ == "__main__":
    main()
