"""How well, and how fast, does a search on features fit real cells in current clamp?

One step of current of one second each; a single compartment of catalogue channels. Prints a table,
writes one JSON file with hardware, versions, dtype and settings, and a picture of data and model.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import jax
import numpy as np
from common import RESULTS, recordings, write

import neurojax as nj
from neurojax import features
from neurojax.electrode import Trace
from neurojax.fit import Search, Space, agreement, free_run
from neurojax.fit import fit as fit_sweeps
from neurojax.io import read
from neurojax.model import load_model

CELLS = ("allen_518290966", "allen_509881736", "allen_532571720")
OTHERS = ("allen_526950199", "allen_532355382")


def load(name: str) -> Trace:
    """The one sweep of an Allen cell."""
    path = recordings() / "cc" / f"{name}.npz"
    if not path.exists():
        sys.exit(f"no recording {path}")
    return read(path)[0]


def cortex() -> tuple[nj.Cell, Space]:
    """The packaged single compartment, and its free parameters."""
    model = load_model("cortex")
    assert model.space is not None
    return model.cell, model.space


def show(stage: str, done: int, total: int, best: float, unit: str) -> None:
    """One line of progress, rewritten in place on a terminal."""
    if sys.stderr.isatty():
        print(
            f"\r{stage} {done}/{total}: {best:.2f} {unit}   ", end="", file=sys.stderr, flush=True
        )


def fit_cell(name: str, settings: dict) -> tuple[dict, Trace, Trace]:
    """Fit one cell; its row of the results, the data and the free run."""
    trace, (cell, space) = load(name), cortex()
    began = time.perf_counter()
    fit = fit_sweeps(cell, [trace], space, [Search()], progress=show, **settings)
    seconds = time.perf_counter() - began
    run = free_run(fit.cell, trace)
    told = agreement(trace, run)
    a, b = (features.spikes(t.v_mV, t.dt_ms) for t in (trace, run))
    n = min(int(a.number), int(b.number))
    z = space.point(fit.values)
    row = {
        "cell": name,
        "seconds": round(seconds, 1),
        "error_tolerances": round(fit.error, 2),
        "contributions": {k: round(x, 2) for k, x in fit.contributions.items()},
        "spikes_data": told.spikes_data,
        "spikes_model": told.spikes_model,
        "spike_time_error_ms": round(told.spike_time_error_ms, 2),
        "spike_time_error_percent": round(100 * told.spike_time_error, 1),
        "latency_error_ms": round(told.latency_error_ms, 2),
        "peak_error_mV": round(told.peak_error_mV, 2),
        "peak_absolute_error_mV": round(float(np.abs(a.peaks[:n] - b.peaks[:n]).mean()), 2),
        "trough_error_mV": round(told.trough_error_mV, 2),
        "trough_absolute_error_mV": round(
            float(np.abs(a.troughs[: n - 1] - b.troughs[: n - 1]).mean()), 2
        ),
        "width_error_ms": round(told.width_error_ms, 3),
        "subthreshold_rmse_mV": round(told.subthreshold_rmse_mV, 2),
        "sentence": told.sentence(),
        "values": {k: float(f"{x:.6g}") for k, x in fit.values.items()},
        "on_a_bound": [k for k, x in zip(space.names, z, strict=True) if not 0.01 < x < 0.99],
        "simulated_cells": sum(s.evaluations for s in fit.stages),
        "dropped": sum(s.dropped for s in fit.stages),
        "generations": len(fit.stages[1].history),
    }
    return row, trace, run


def compile_seconds(name: str, settings: dict) -> float:
    """Seconds by which the first generation takes longer than the second."""
    cell, space = cortex()
    quick = [Search(draws=1, generations=1)]
    began = time.perf_counter()
    fit_sweeps(cell, [load(name)], space, quick, **settings)
    first = time.perf_counter() - began
    began = time.perf_counter()
    fit_sweeps(cell, [load(name)], space, quick, **settings)
    return max(0.0, first - (time.perf_counter() - began))


def picture(cells: list[tuple[dict, Trace, Trace]], path: Path) -> None:
    """Data and free run: the whole sweep, the first spikes, and the shape of one spike."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(
        len(cells), 3, figsize=(15, 3.4 * len(cells)), width_ratios=[3, 2, 1.2], squeeze=False
    )
    for (row, data, model), (whole, start, shape) in zip(cells, axes, strict=True):
        on, _, height = data.step_window()
        t = data.t_ms - on
        a, b = (features.spikes(x.v_mV, x.dt_ms).times for x in (data, model))
        for trace, times, style in (
            (data, a, {"color": "black", "lw": 1.1, "label": "recorded"}),
            (model, b, {"color": "tab:red", "lw": 0.9, "label": "model, free run"}),
        ):
            whole.plot(t, trace.v_mV, **style)
            start.plot(t, trace.v_mV, **style)
            k = min(len(times), len(a)) // 2
            if len(times):
                shape.plot(trace.t_ms - times[min(k, len(times) - 1)], trace.v_mV, **style)
        whole.set_title(
            f"{row['cell']}, {height:.0f} pA: {row['spikes_model']} of {row['spikes_data']} spikes,"
            f" times within {row['spike_time_error_percent']:.1f} % of the interval",
            fontsize=9,
        )
        start.set_xlim(-10, 250)
        shape.set_xlim(-3, 8)
        shape.set_title("middle spike", fontsize=8)
        whole.set_ylabel("mV")
    axes[-1][0].set_xlabel("ms from the step's onset")
    axes[-1][1].set_xlabel("ms from the step's onset")
    axes[-1][2].set_xlabel("ms from the peak")
    axes[0][0].legend(fontsize=8, loc="upper right")
    fig.tight_layout()
    fig.savefig(path, dpi=90)
    plt.close(fig)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20 s a cell, one cell, no files")
    parser.add_argument("--seconds", type=float, default=100.0, help="wall time a cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--more", action="store_true", help="two more Allen cells")
    arguments = parser.parse_args()
    recordings()
    nj.configure(compilation_cache=False)
    settings = {
        "seconds": 20.0 if arguments.quick else arguments.seconds,
        "seed": arguments.seed,
    }
    load_average = round(os.getloadavg()[0], 1)
    names = CELLS[:1] if arguments.quick else CELLS + (OTHERS if arguments.more else ())
    compiled = compile_seconds(names[0], settings)
    print(f"compile {compiled:.1f} s\n{'cell':<18}{'s':>6}  agreement of the free run")
    cells = []
    for name in names:
        cells.append(fit_cell(name, settings))
        row = cells[-1][0]
        print(f"\r{name:<18}{row['seconds']:>6}  {row['sentence']}")
    if not arguments.quick:
        record = {
            "dtype": str(jax.numpy.result_type(float)),
            "load_average_at_start": load_average,
            "settings": settings,
            "compile_seconds": round(compiled, 1),
            "free_parameters": len(cortex()[1]),
            "cells": [row for row, _, _ in cells],
        }
        write("fit_cells", record)
        picture(cells, RESULTS / "fit_cells.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
