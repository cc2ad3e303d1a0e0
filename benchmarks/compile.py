"""How long does the compiler take, cold and from its cache?

Against the number of channels in the cell and of cells in the population. Every figure is from a
fresh process with an empty cache, or one that the process before it has filled: the first call less
the second. Importing is told apart. One JSON with all figures goes to results/, and a chart.
"""

from __future__ import annotations

import argparse
import tempfile
from typing import Any

import chart
import common
from race import LIMIT, Failed, Worker
from rich.console import Console
from rich.table import Table

JOB = {"question": "compile", "ms": 5.0, "dt": 0.025, "record_ms": 0.1, "dtype": "float32"}
CHANNELS, CELLS = (1, 2, 3, 4, 8, 16), (1, 100, 10_000, 1_000_000)
SQUID, MANY = 3, 1000  # channels while the cells vary, cells while the channels vary


def measured(script: str, job: dict[str, Any]) -> dict[str, Any]:
    """Seconds of two fresh processes that share a cache, or the reason for none."""
    row: dict[str, Any] = {"script": script, "job": job}
    with tempfile.TemporaryDirectory() as cache:
        for kind in ("cold", "cached"):
            try:
                worker = Worker(script, {**job, "cache": cache}, LIMIT)
            except Failed as failure:
                return row | {"reason": str(failure)}
            try:
                run = worker.ask()["seconds"]
                row[f"{kind}_seconds"] = worker.first["first_seconds"] - run
                row[f"{kind}_prepare_seconds"] = worker.first["prepare_seconds"]
                row |= {"import_seconds": worker.import_seconds, "run_seconds": run}
                row["versions"] = worker.first["versions"]
            except Failed as failure:
                return row | {"reason": str(failure)}
            finally:
                worker.close()
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two of each, nothing written")
    quick = parser.parse_args().quick
    channels, cells = (CHANNELS[:3:2], CELLS[:2]) if quick else (CHANNELS, CELLS)
    console = Console()
    drawn = Table("contestant", "channels", "cells", "import s", "set up s", "cold s", "cached s")
    rows = []
    grid = [("neurojax", "ours", k, MANY) for k in channels]
    grid += [("neurojax", "ours", SQUID, n) for n in cells]
    grid += [("Jaxley", "jaxley_hh", SQUID, n) for n in cells]
    for name, script, k, n in grid:
        row = measured(script, JOB | {"n": n, "channels": k}) | {"name": name}
        rows.append(row)
        keys = ("import_seconds", "cold_prepare_seconds", "cold_seconds", "cached_seconds")
        figures = [row["reason"]] if "reason" in row else [f"{row[key]:.2f}" for key in keys]
        drawn.add_row(name, str(k), str(n), *figures)
    console.print(drawn)
    if quick:
        return
    console.print(common.write("compile", {"job": JOB, "rows": rows}))

    def line(name, kind, varied, key):
        mine = [r for r in rows if r["name"] == name and key in r]
        mine = [r for r in mine if r in rows[varied]]
        return [r["job"][kind] for r in mine], [r[key] for r in mine]

    first, rest = slice(0, len(channels)), slice(len(channels), None)
    kinds = {"cold": "cold_seconds", "cached": "cached_seconds"}
    panels = {
        f"{MANY} cells": {
            f"neurojax, {k}": line("neurojax", "channels", first, key) for k, key in kinds.items()
        },
        "Three channels": {
            f"{name}, {k}": line(name, "n", rest, key)
            for name in ("neurojax", "Jaxley")
            for k, key in kinds.items()
        },
    }
    path = common.RESULTS / "compile.png"
    chart.loglog(path, panels, ("channels", "cells"), "compile time, s", ticks=(channels, cells))
    console.print(path)


if __name__ == "__main__":
    main()
