"""What does a gradient cost, against the forward pass and against reverse mode through Jaxley?

A thousand cells of 100 ms, each with its own parameters; the loss is the mean square distance of
the recorded potential from a target. 3 and 8 free parameters are those of one squid axon; 16 and 64
those of 2 and 8 pairs of sodium and potassium channels in one cell. One JSON with all rounds goes
to results/, and a chart.
"""

from __future__ import annotations

import argparse

import chart
import common
from race import Contestant, Row, agree, race
from rich.console import Console
from rich.table import Table

CELLS, DURATION = 1000, 100.0  # ms
NUMBERS = (3, 8, 16, 64)
PATIENCE = 900.0  # seconds: to compile several ways to checkpoint 16 channels takes minutes
JOB = {"dt": 0.025, "record_ms": 0.1, "dtype": "float32"}
NAMES = ("neurojax", "neurojax, other way", "Jaxley")


def contestants(number: int) -> list[Contestant]:
    """Each twice, for the loss alone and for its gradient: what neurojax chooses by itself, the way
    that it leaves (but for 64 tangents, which no compiler should be asked for), and Jaxley."""
    other = {"way": "adjoint" if number <= 8 else "tangents"}
    field = [("neurojax", "ours", {}), ("neurojax, other way", "ours", other)]
    field = [*field[: 1 if number > 16 else 2], ("Jaxley", "jaxley_hh", {})]
    return [
        Contestant(name, script, {"question": question, **told})
        for name, script, told in field
        for question in ("loss", "gradient")
    ]


def paired(rows: list[Row]) -> list[Row]:
    """The rows of the gradients, each with the forward pass that it is measured by."""
    agree(rows, "loss", within=0.1)
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return [gradient | {"forward": forward} for forward, gradient in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 cells, 20 ms, nothing written")
    quick = parser.parse_args().quick
    job = JOB | {"n": 100 if quick else CELLS, "ms": 20.0 if quick else DURATION}
    rows: list[Row] = []
    for number in NUMBERS[1:2] if quick else NUMBERS:
        told = {**job, "parameters": number}
        for row in paired(
            race(contestants(number), told, rounds=2 if quick else 5, limit=PATIENCE)
        ):
            rows.append(row | {"parameters": number})

    console = Console()
    drawn = Table(
        "parameters", "contestant", "seconds", "forward passes", "MB", "loss", "how",
        title=f"{job['n']} cells, {job['ms']:g} ms",
    )  # fmt: skip
    for row in rows:
        if row["seconds"] and row["forward"]["seconds"]:
            disagrees = "" if row["agrees"] else ", disagrees"
            cells = [
                f"{row['median_seconds']:.3g}", f"{passes(row):.2g}", f"{row['peak_MB']:.0f}",
                f"{row['loss']:.4g}{disagrees}", row["variant"],
            ]  # fmt: skip
        else:
            cells = [*["-"] * 4, row.get("reason") or row["forward"]["reason"]]
        drawn.add_row(str(row["parameters"]), row["name"], *cells)
    console.print(drawn)
    if quick:
        return
    console.print(common.write("gradient", {"job": job, "rows": rows}))
    panels = {
        title: {name: line(rows, name, value) for name in NAMES}
        for title, value in (
            ("Loss and gradient, s", lambda row: row["median_seconds"]),
            ("In forward passes of the same model", passes),
            ("Peak memory, MB", lambda row: row["peak_MB"]),
        )
    }
    path = common.RESULTS / "gradient.png"
    chart.loglog(path, panels, "free parameters", "", share=False, ticks=[NUMBERS] * len(panels))
    console.print(path)


def passes(row: Row) -> float:
    """Run time in forward passes of the same contestant, of the fastest rounds.

    A pass is short: it doubles whenever both threads wake up on one core, and medians of it jump.
    """
    return min(row["seconds"]) / min(row["forward"]["seconds"])


def line(rows: list[Row], name: str, value) -> chart.Line:
    """One contestant's values against the number of parameters."""
    mine = [r for r in rows if r["name"] == name and r["seconds"] and r["forward"]["seconds"]]
    return [r["parameters"] for r in mine], [value(r) for r in mine]


if __name__ == "__main__":
    main()
