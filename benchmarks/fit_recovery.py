"""How many random starts find all eight parameters of a synthetic axon, nudged and not?

100 ms of repetitive firing, no noise, so that the answer is known: a start counts when every
parameter agrees with the truth to 3 digits. One JSON with all figures goes to results/.
"""

from __future__ import annotations

import argparse
import time

import common
import jax
import numpy as np
from rich.console import Console
from rich.table import Table

import neurojax as nj
from neurojax.features import spikes
from neurojax.fit import NUDGES, Draw, Fit, Nudge, Polish, fit, free_run
from neurojax.model import load_model

DT, DURATION, DENSITY = 0.025, 100.0, 10.0  # ms, ms, uA/cm2


def synthetic(cell: nj.Cell) -> nj.Trace:
    """The recording of a known cell under one long step."""
    i = nj.steps(DENSITY, start=5, stop=95, duration=DURATION, dt=DT) * float(cell.area)
    silent = nj.Trace(
        clamp="current", dt_ms=DT, v_mV=np.full(i.size, -65.0), i_pA=i / nj.electrode.PA
    )
    with jax.enable_x64(True):
        return free_run(cell, silent, dt=DT)


def recovered(fitted: Fit, truth: dict[str, float], starts: int) -> float:
    """Share of the starts with every parameter right to 3 digits."""
    right = [np.abs(fitted.starts[k] / truth[k] - 1) < 5e-4 for k in truth]
    return float(np.all(right, axis=0).sum() / starts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="32 starts, nothing written")
    quick = parser.parse_args().quick
    starts = 32 if quick else 256
    nj.configure(compilation_cache=False)
    model = load_model("squid")
    assert model.space is not None
    known = nj.parameters(model.cell)
    truth = {name: float(known[name][0]) for name in model.space.names}
    trace = synthetic(model.cell)
    count = len(spikes(trace.v_mV, trace.dt_ms).times)

    table = Table("nudging", "starts", "recovered", "median error mV", "seconds")
    rows = []
    free = [Draw(starts), Polish(every=4, iterations=150)]
    for nudge, stages in ((NUDGES, [Nudge(starts=starts, every=4)]), ((), free)):
        began = time.monotonic()
        fitted = fit(model.cell, [trace], model.space, stages, seed=1)
        row = {
            "nudges_mS_per_cm2": list(nudge),
            "starts": starts,
            "recovered": recovered(fitted, truth, starts),
            "median_rmse_mV": float(np.median(fitted.stages[-1].errors)),
            "dropped": fitted.stages[-1].dropped,
            "seconds_with_compilation": time.monotonic() - began,
        }
        rows.append(row)
        table.add_row(
            "yes" if nudge else "no",
            str(starts),
            f"{100 * row['recovered']:.0f} %",
            f"{row['median_rmse_mV']:.3g}",
            f"{row['seconds_with_compilation']:.1f}",
        )
    console = Console()
    console.print(f"{count} spikes in {DURATION:g} ms, {len(truth)} free parameters")
    console.print(table)
    if not quick:
        bounds = {f.name: [f.low, f.high] for f in model.space.free}
        result = {"dtype": "float64", "dt_ms": DT, "spikes": count, "bounds": bounds, "fits": rows}
        console.print(common.write("fit_recovery", result))


if __name__ == "__main__":
    main()
