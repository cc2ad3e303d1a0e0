"""How well are real cells in current clamp fitted, and sweeps predicted that were not?

Six recordings of several steps, prepared, divided and fitted as by `neurojax fit FILE cortex`. Five
with one step each: fitted on all of it, and on its first 60 %, the default stages.
Prints tables, medians over the seeds done so far; writes one JSON file, a row a cell and seed, and
two pictures. With --part, only that part is done anew. With --models, the recordings are fitted
with each of these packaged models for as many --generations, however long these take, and a table
tells which of them predicts best; rows go to fit_models.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

import jax
import numpy as np
from cells import (
    ALLEN,
    CELLS,
    cortex_of_one_step,
    load,
    median_verdict,
    predicted,
    prepared,
    verdict,
)
from common import RESULTS, write
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize

import neurojax as nj
from neurojax.fit import Search, default_sweeps, fit
from neurojax.fit.scoring.scorer import FeatureScorer
from neurojax.recording import features
from neurojax.recording.trace import Trace

OF_A_MODEL = (
    "cell", "model", "free_parameters", "error_tolerances", "contributions", "values", "on_a_bound",
    "simulated_sweeps", "held_out_tolerances", "held_out", "prepared",
)  # fmt: skip
"""What fit_models.json keeps of a fit: no times, for each model gets as many generations."""

SEEN = 0.6
"""Part of an Allen cell's step that is fitted where the rest is to be predicted."""


def show(stage: str, done: int, total: int, best: float, unit: str) -> None:
    """One line of progress, rewritten in place on a terminal."""
    if sys.stderr.isatty():
        print(
            f"\r{stage} {done}/{total}: {best:.2f} {unit}   ", end="", file=sys.stderr, flush=True
        )


def fitted(traces: list[Trace], settings: dict, model) -> tuple[nj.fit.Fit, dict]:
    """The default fit of a cell and space, and what it took."""
    cell, space = model
    load_average, began = os.getloadavg()[0], time.perf_counter()
    found = fit(cell, traces, space, progress=show, **settings)
    at = space.point(found.values)
    return found, {
        "free_parameters": len(space),
        "seconds": round(time.perf_counter() - began, 1),
        "load_average_at_start": round(load_average, 1),
        "error_tolerances": round(found.error, 2),
        "contributions": {k: round(x, 2) for k, x in found.contributions.items()},
        "values": {k: float(f"{x:.6g}") for k, x in found.values.items()},
        "on_a_bound": [k for k, x in zip(space.names, at, strict=True) if not 0.01 < x < 0.99],
        "simulated_sweeps": sum(s.evaluations for s in found.stages),
    }


def recording(name: str, settings: dict, model: str = "cortex", stages=None) -> dict:
    """Fit some sweeps of a cell with a packaged model and predict the other half."""
    ready = prepared(name, model)
    used, held_out = default_sweeps(ready.traces)
    found, told = fitted(used, settings | {"stages": stages}, (ready.cell, ready.space))
    unseen = error_on(found, used, held_out)
    rows = [predicted(found.cell, t)[0] for t in held_out]
    free = [predicted(found.cell, t, held=False)[0] for t in held_out]
    dt_ms = held_out[0].dt_ms
    return {
        "cell": name,
        "model": model,
        **told,
        "held_out_tolerances": round(unseen, 2),
        "prepared": ready.notes,
        "fitted_sweeps": [predicted(found.cell, t)[0] for t in used],
        "held_out_sweeps": rows,
        "held_out": verdict(rows, dt_ms),
        "held_out_at_the_models_own_rest": verdict(free, dt_ms),
    }


def error_on(found: nj.fit.Fit, used: list[Trace], held_out: list[Trace]) -> float:
    """The score of a fit on sweeps that it has not seen, in tolerances."""
    task = nj.fit.Task(found.cell, found.space, held_out, used, dt=Search().dt)
    z = found.space.point(found.values)
    return float(FeatureScorer(task)(z[:, None]).errors[0])


def one_step(name: str, settings: dict) -> dict:
    """Fit the whole step of a cell, then its beginning alone, and predict the rest."""
    trace = load(name)[0]
    on, off, _ = trace.step_window()
    cut = on + SEEN * (off - on)
    whole, told = fitted([trace], settings, cortex_of_one_step())
    row, _ = predicted(whole.cell, trace)
    first, told_first = fitted([trace.crop(0.0, cut)], settings, cortex_of_one_step())
    rest, ahead = predicted(first.cell, trace)
    a, b = (features.spikes(t.v_mV, t.dt_ms).times for t in (trace, ahead))
    later = [k for k in range(min(len(a), len(b))) if a[k] > cut]
    error = np.abs(a[later] - b[later]).mean() if later else np.nan
    rest["later_spike_time_error_percent"] = round(float(100 * error / np.diff(a).mean()), 2)
    return {
        "cell": name,
        "whole": told | row,
        "first_60_percent": told_first | rest,
        "smooth_adaptation": smooth_adaptation(a, cut),
    }


def smooth_adaptation(times: np.ndarray, cut: float) -> dict:
    """How near the best smooth courses of the intervals come to spike times (ms).

    An exponential course of log intervals from the first spike on, with the least error of all
    times, and with that of the times before `cut`, told by its error after it; and the one interval
    that would have been best after `cut`, chosen knowing all. What is left is the cell's own
    irregularity, which no smooth model explains.
    """
    known = int((times <= cut).sum())
    interval = np.diff(times).mean()

    def course(at: np.ndarray) -> np.ndarray:
        last, drop, tau = np.exp(at[0]), at[1], np.exp(at[2])
        run = [times[0]]
        for _ in times[1:]:
            run.append(run[-1] + last * np.exp(-drop * np.exp((times[0] - run[-1]) / tau)))
        return np.array(run)

    def percent(run: np.ndarray, part: slice) -> float:
        return float(100 * np.abs(run - times)[part].mean() / interval)

    def best(part: slice) -> np.ndarray:
        last = np.log(np.diff(times[part])[-1])
        starts = [(last, drop, np.log(tau)) for drop in (-0.5, 0.5, 2) for tau in (20, 100, 300)]
        bounds = [(last - 1, last + 1), (-3, 3), (0, 8)]
        runs = [
            minimize(lambda x: percent(course(x), part), x, method="Nelder-Mead", bounds=bounds,
                     options={"maxfev": 3000})
            for x in starts
        ]  # fmt: skip
        return course(min(runs, key=lambda r: r.fun).x)

    everywhere, later = slice(None), slice(known, None)
    ahead = np.arange(len(times)) - (known - 1)
    constant = [
        percent(times[known - 1] + interval * share * ahead, later)
        for share in np.linspace(0.3, 3, 541)
    ]
    return {
        "whole_percent": round(percent(best(everywhere), everywhere), 2),
        "later_percent": round(percent(best(slice(known)), later), 2),
        "later_best_constant_percent": round(min(constant), 2),
    }


def held_out_runs(row: dict) -> list[tuple[Trace, Trace]]:
    """The held-out sweeps of a recording beside the free runs of its fitted cell."""
    ready = prepared(row["cell"], row.get("model", "cortex"))
    cell = ready.space.apply(ready.cell, row["values"])
    return [(t, predicted(cell, t)[1]) for t in default_sweeps(ready.traces)[1]]


def step_runs(row: dict) -> list[tuple[Trace, Trace]]:
    """A step beside the free runs of the cells fitted to all of it and to its beginning."""
    cell, space = cortex_of_one_step()
    trace = load(row["cell"])[0]
    both = (row[part]["values"] for part in ("whole", "first_60_percent"))
    return [(trace, predicted(space.apply(cell, values), trace)[1]) for values in both]


def picture(cells: list[tuple[str, list[tuple[Trace, Trace]]]], columns: int, path) -> None:
    """Some sweeps of every cell, recorded and predicted."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(
        len(cells), columns, figsize=(5 * columns, 2.6 * len(cells)), squeeze=False
    )
    for (name, pairs), row in zip(cells, axes, strict=True):
        chosen = np.unique(np.rint(np.linspace(0, len(pairs) - 1, columns)).astype(int))
        for k, ax in zip(chosen, row, strict=False):
            data, run = pairs[k]
            changes = data.changes()
            ax.plot(data.t_ms, data.v_mV, color="black", lw=0.9, label="recorded")
            ax.plot(run.t_ms, run.v_mV, color="tab:red", lw=0.8, label="model, free run")
            ax.set_title(f"{name}, sweep {data.sweep}", fontsize=8)
            if changes.size:
                ax.set_xlim(max(0.0, changes[0] - 50), min(changes[-1] + 100, data.duration_ms))
        for ax in row[len(chosen) :]:
            ax.set_axis_off()
        row[0].set_ylabel("mV")
    for ax in axes[-1]:
        ax.set_xlabel("ms")
    axes[0][0].legend(fontsize=8)
    fig.tight_layout()
    fig.savefig(path, dpi=80)
    plt.close(fig)


def tables(result: dict) -> None:
    """What was measured, for a person."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    names = list(next(iter(result.get("recordings", [])), {}).get("held_out", {}))
    if names:
        table = Table("held-out sweeps of", "seeds", "s", *names)
        for cell, rows in seeds_of(result["recordings"]).items():
            held_out = median_verdict(rows)
            told = [held_out.get(n) for n in names]
            marks = [f"{t['value']:.2f}{'' if t['kept'] else ' !'}" if t else "-" for t in told]
            seconds = np.median([r["seconds"] for r in rows])
            table.add_row(cell, str(len(rows)), f"{seconds:.0f}", *marks)
        console.print(table)
    if result.get("one_step"):
        table = Table("one step of", "seed", "spikes", "times %", "smooth %", "latency ms",
                      "ahead: spikes", "times %", "smooth %")  # fmt: skip
        for row in result["one_step"]:
            whole, rest = row["whole"], row["first_60_percent"]
            table.add_row(
                row["cell"],
                str(row["settings"]["seed"]),
                f"{whole['spikes_model']} of {whole['spikes_data']}",
                f"{whole['spike_time_error_percent'] or np.nan:.1f}",
                f"{row['smooth_adaptation']['whole_percent']:.1f}",
                f"{whole['latency_error_ms'] or 0:.1f}",
                f"{rest['spikes_model']} of {rest['spikes_data']}",
                f"{rest['later_spike_time_error_percent']:.1f}",
                f"{row['smooth_adaptation']['later_percent']:.1f}",
            )
        console.print(table)


def seeds_of(rows: list[dict]) -> dict[str, list[dict]]:
    """The rows of each cell, a row a seed."""
    cells = dict.fromkeys(r["cell"] for r in rows)
    return {cell: [r for r in rows if r["cell"] == cell] for cell in cells}


def models(names: list[str], cells: list[str], seed: int, generations: int) -> None:
    """Fit recordings with several packaged models for as many generations; tell and write it."""
    path = RESULTS / "fit_models.json"
    done = json.loads(path.read_text())["recordings"] if path.exists() else []
    rows = {(r["cell"], r["model"], r["settings"]["seed"]): r for r in done}
    search = {"generations": generations, "draws": 1024}
    for cell in cells:
        for name in names:
            row = recording(cell, {"seed": seed}, name, [Search(**search)])
            kept = {k: row[k] for k in OF_A_MODEL}
            rows[cell, name, seed] = kept | {"settings": {"seed": seed, "search": search}}
            result = {"dtype": str(jax.numpy.result_type(float)), "recordings": list(rows.values())}
            write("fit_models", result)
    console = Console(width=None if sys.stdout.isatty() else 150)
    table = Table("cell", "model", "seed", "free", "fitted", "held out", "limits kept")
    for (cell, name, seed), row in sorted(rows.items()):
        kept = row["held_out"].values()
        table.add_row(
            cell, name, str(seed), str(row["free_parameters"]),
            f"{row['error_tolerances']:.2f}", f"{row['held_out_tolerances']:.2f}",
            f"{sum(k['kept'] for k in kept)} of {len(kept)}",
        )  # fmt: skip
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20 s for one cell, no files")
    parser.add_argument("--part", choices=("recordings", "one_step"), help="only this one")
    parser.add_argument("--cells", nargs="+", help="only these")
    parser.add_argument("--seconds", type=float, default=300.0, help="wall time a fit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", nargs="+", help="compare these packaged models on recordings")
    parser.add_argument("--generations", type=int, default=100, help="of each of --models")
    told = parser.parse_args()
    nj.configure()
    if told.models:
        models(told.models, told.cells or list(CELLS), told.seed, told.generations)
        return
    settings = {"seconds": 20.0 if told.quick else told.seconds, "seed": told.seed}
    path = RESULTS / "fit_cells.json"
    result = json.loads(path.read_text()) if path.exists() and not told.quick else {}
    result.pop("environment", None)
    parts = {
        "recordings": (CELLS, recording, held_out_runs, 4),
        "one_step": (ALLEN, one_step, step_runs, 2),
    }
    if told.part:
        parts = {told.part: parts[told.part]}
    if told.quick:
        parts = {"recordings": (CELLS[:1], recording, held_out_runs, 4)}
    for part, (names, work, runs, columns) in parts.items():
        rows = {(names.index(r["cell"]), r["settings"]["seed"]): r for r in result.get(part, [])}
        for number, name in enumerate(names):
            if told.cells and name not in told.cells:
                continue
            rows[number, told.seed] = work(name, settings) | {"settings": settings}
            result["dtype"] = str(jax.numpy.result_type(float))
            result[part] = [rows[key] for key in sorted(rows)]
            if not told.quick:  # after every cell: what is computed is kept
                write("fit_cells", result)
        if not told.quick:
            pairs = [(cell, runs(first)) for cell, (first, *_) in seeds_of(result[part]).items()]
            picture(pairs, columns, RESULTS / f"fit_cells_{part}.png")
        tables({part: result[part]})


if __name__ == "__main__":
    main()
