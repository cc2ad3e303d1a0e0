"""What does it cost to count the spikes of a million cells, for longer and longer?

No trace is stored: a fold carries one count a cell. Every row is a fresh process; its peak memory
is that of the whole process, libraries and compiler included. One JSON goes to results/.
"""

from __future__ import annotations

import argparse

import common
from race import Failed, Worker
from rich.console import Console
from rich.table import Table

CELLS = 1_000_000
STEPS = (1000, 10_000, 100_000)
JOB = {"question": "count", "dt": 0.025, "record_ms": 0.25, "dtype": "float32"}
LIMIT = 1800.0  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10,000 cells, nothing written")
    quick = parser.parse_args().quick
    n = 10_000 if quick else CELLS
    drawn = Table("cells", "steps", "seconds", "steps/s", "peak MB", "spikes a cell")
    rows = []
    for steps in STEPS[:2] if quick else STEPS:
        job = JOB | {"n": n, "ms": steps * JOB["dt"]}
        try:
            worker = Worker("ours", job, LIMIT)
        except Failed as failure:
            drawn.add_row(str(n), str(steps), str(failure))
            continue
        told = worker.first
        worker.close()
        rows.append({"n": n, "steps": steps, **told})
        drawn.add_row(
            str(n), str(steps), f"{told['first_seconds']:.3g}",
            f"{n * steps / told['first_seconds']:.2g}", f"{told['peak_MB']:.0f}",
            f"{told['spikes'] / n:.1f}",
        )  # fmt: skip
    console = Console()
    console.print(drawn)
    if not quick:
        console.print(common.write("memory", {"job": JOB, "rows": rows}))


if __name__ == "__main__":
    main()
