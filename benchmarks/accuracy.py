"""What does a microsecond of spike time cost?

A thousand squid axons of 100 ms, each step recorded, at steps from 0.1 to 0.00625 ms. The error is
that of a few cells against an integration of high order: of their spike times, and of the potential
on the way to the first spike. One JSON with all rounds goes to results/, and a chart of error
against run time.
"""

from __future__ import annotations

import argparse
from typing import Any

import chart
import common
import numpy as np
from peers import worker
from race import Contestant, Row, race
from rich.console import Console
from rich.table import Table
from scipy.integrate import solve_ivp

CELLS, DURATION = 1000, 100.0  # ms
STEPS = (0.1, 0.05, 0.025, 0.0125, 0.00625)  # ms
CONTESTANTS = [
    Contestant("neurojax", "ours", {"dtype": "float32"}),
    Contestant("neurojax, float64", "ours", {"dtype": "float64"}),
    Contestant("Jaxley, backward Euler", "jaxley_hh", {"dtype": "float32", "solver": "bwd_euler"}),
    Contestant("Jaxley, exp. Euler", "jaxley_hh", {"dtype": "float32", "solver": "exp_euler"}),
    Contestant(
        "Jaxley, Crank-Nicolson", "jaxley_hh", {"dtype": "float32", "solver": "crank_nicolson"}
    ),
    Contestant("NEURON", "neuron_hh", {"dtype": "float64"}),
    Contestant("NEURON, 2nd order", "neuron_hh", {"dtype": "float64", "secondorder": 2}),
    Contestant(
        "NEURON, 2nd order, no table",
        "neuron_hh",
        {"dtype": "float64", "secondorder": 2, "usetable_hh": 0},
    ),
]


def reference(job: worker.Job) -> list[tuple[np.ndarray, np.ndarray]]:
    """Spike times, and v every 0.1 ms of the first ms, of the cells that are watched."""

    def upwards(t, y, g_na):
        return y[0]

    upwards.direction = 1  # type: ignore[attr-defined]
    truth = []
    for g_na in worker.g_na(job)[worker.watched(job["n"])]:
        solution = solve_ivp(
            worker.field, (0, job["ms"]), worker.start(), method="DOP853",
            rtol=1e-10, atol=1e-12, events=upwards, dense_output=True, args=(g_na,),
        )  # fmt: skip
        truth.append((solution.t_events[0], solution.sol(np.arange(1, 11) * 0.1)[0]))
    return truth


def errors(row: Row, truth: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """Of spike times, ms, and of the potential before the first spike, mV: mean and largest."""
    if any(len(a) != len(b) for a, (b, _) in zip(row["spike_times"], truth, strict=True)):
        return {"spike_ms": None, "spike_ms_max": None, "v_mV": None, "v_mV_max": None}
    times = np.concatenate(
        [np.abs(a - b) for a, (b, _) in zip(row["spike_times"], truth, strict=True)]
    )
    v = np.abs(np.array(row["v_onset"]) - [v for _, v in truth])
    return {
        "spike_ms": float(times.mean()),
        "spike_ms_max": float(times.max()),
        "v_mV": float(v.mean()),
        "v_mV_max": float(v.max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two steps, nothing written")
    quick = parser.parse_args().quick
    job = {"question": "accuracy", "n": 100 if quick else CELLS, "ms": DURATION}
    truth = reference(job)
    rows: list[Row] = []
    for dt in STEPS[1:3] if quick else STEPS:
        for row in race(CONTESTANTS, {**job, "dt": dt, "record_ms": dt}, rounds=2 if quick else 5):
            if row["seconds"]:
                row |= errors(row, truth)
            rows.append(row | {"dt": dt})

    console = Console()
    drawn = Table(
        "contestant", "dt ms", "seconds", "spikes off, us", "at most", "v off, mV", "note",
        title=f"{job['n']} cells, {DURATION:g} ms, every step recorded",
    )  # fmt: skip
    names = [c.name for c in CONTESTANTS]
    for row in sorted(rows, key=lambda row: (names.index(row["name"]), -row["dt"])):
        if not row["seconds"]:
            cells = ["-", "-", "-", "-", row["reason"]]
        elif row["spike_ms"] is None:
            cells = [f"{row['median_seconds']:.2g}", "-", "-", "-", "another number of spikes"]
        else:
            spikes = [f"{1e3 * row[k]:.3g}" for k in ("spike_ms", "spike_ms_max")]
            cells = [f"{row['median_seconds']:.2g}", *spikes, f"{row['v_mV']:.2g}", row["variant"]]
        drawn.add_row(row["name"], f"{row['dt']:g}", *cells)
    console.print(drawn)
    if quick:
        return
    settings = {"job": job, "reference": "DOP853, rtol 1e-10", "rows": rows}
    console.print(common.write("accuracy", settings))
    panels = {
        title: {name: curve(rows, name, key, scale) for name in names}
        for title, key, scale in (
            ("Spike times, us", "spike_ms", 1e3),
            ("Potential before the first spike, uV", "v_mV", 1e3),
        )
    }
    path = common.RESULTS / "accuracy.png"
    chart.loglog(path, panels, "run time, s", "mean error", legend=True)
    console.print(path)


def curve(rows: list[Row], name: str, key: str, scale: float) -> chart.Line:
    """Run time and error of one contestant, from the largest to the smallest step."""
    mine = [r for r in rows if r["name"] == name and r.get(key) is not None]
    return [r["median_seconds"] for r in mine], [scale * r[key] for r in mine]


if __name__ == "__main__":
    main()
