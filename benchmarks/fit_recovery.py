"""How many random starts find all eight parameters of a synthetic axon, by nudging and shooting?

Repetitive firing, no noise, so that the answer is known: a start counts when every parameter agrees
with the truth to 3 digits. From one horizon and number of spikes to longer ones. Prints a table and
writes one JSON file.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence

import common
import jax
import numpy as np
from rich.console import Console
from rich.table import Table

import neurojax as nj
from neurojax.fit import (
    Draw,
    Fit,
    Nudge,
    Polish,
    Shoot,
    fit,
    free_run,
)
from neurojax.fit.stage import Stage
from neurojax.model import load_model
from neurojax.recording.features import spikes

DT, DENSITY, EVERY = 0.025, 10.0, 4  # ms, uA/cm2, steps between compared records

EXACT = Polish(every=EVERY, precision="exact")
"""The data have no noise: float32 rounds by about 1e-3 mV."""

METHODS: dict[str, Callable[[int], Sequence[Stage]]] = {
    "nudge": lambda n: [Nudge(starts=n, every=EVERY), EXACT],
    "shoot": lambda n: [Shoot(starts=n, every=EVERY), EXACT],
    "polish": lambda n: [Draw(n), Polish(every=EVERY, iterations=150), EXACT],
}
HORIZONS = {100.0: 128, 500.0: 48}
"""Duration, ms, and how many starts."""


def synthetic(cell: nj.Cell, duration: float) -> nj.Trace:
    """The recording of a known cell under one long step."""
    i = nj.steps(DENSITY, start=5, stop=duration - 5, duration=duration, dt=DT) * float(cell.area)
    silent = nj.Trace(clamp="current", dt_ms=DT, v_mV=np.full(i.size, -65.0), i_pA=i / nj.units.PA)
    with jax.enable_x64(True):
        return free_run(cell, silent, dt=DT, held=False)


def recovered(fitted: Fit, truth: dict[str, float], starts: int) -> float:
    """Share of the starts with every parameter right to 3 digits."""
    right = [np.abs(fitted.starts[k] / truth[k] - 1) < 5e-4 for k in truth]
    return float(np.all(right, axis=0).sum() / starts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="16 starts, 100 ms, nothing written")
    parser.add_argument("--seeds", type=int, default=1)
    told = parser.parse_args()
    nj.configure()
    model = load_model("squid")
    assert model.space is not None
    known = nj.parameters(model.cell)
    truth = {name: float(known[name][0]) for name in model.space.names}
    table = Table("ms", "spikes", "method", "starts", "recovered", "median error mV", "seconds")
    rows = []
    for duration, starts in ({100.0: 16} if told.quick else HORIZONS).items():
        trace = synthetic(model.cell, duration)
        count = len(spikes(trace.v_mV, trace.dt_ms).times)
        for name, stages in METHODS.items():
            load_average, began = os.getloadavg()[0], time.monotonic()
            fits = [
                fit(model.cell, [trace], model.space, stages(starts), seed=seed)
                for seed in range(1, told.seeds + 1)
            ]
            row = {
                "duration_ms": duration,
                "spikes": count,
                "method": name,
                "starts": starts,
                "recovered": [round(recovered(f, truth, starts), 4) for f in fits],
                "median_rmse_mV": float(np.median(fits[0].stages[-1].errors)),
                "dropped": fits[0].stages[-1].dropped,
                "seconds_with_compilation": round((time.monotonic() - began) / told.seeds, 1),
                "load_average_at_start": round(load_average, 1),
            }
            rows.append(row)
            table.add_row(
                f"{duration:.0f}",
                str(count),
                name,
                str(starts),
                f"{100 * np.median(row['recovered']):.0f} %",
                f"{row['median_rmse_mV']:.3g}",
                f"{row['seconds_with_compilation']:.0f}",
            )
            if not told.quick:
                bounds = {f.name: [f.low, f.high] for f in model.space.free}
                precision = "single, last polish exact"
                result = {"precision": precision, "dt_ms": DT, "bounds": bounds, "fits": rows}
                common.write("fit_recovery", result)
    Console().print(table)


if __name__ == "__main__":
    main()
