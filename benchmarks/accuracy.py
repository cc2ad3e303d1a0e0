"""How many seconds does an error of 10 or 100 us in the time of a spike cost?

Six models under a constant current for 200 ms, one cell, a hundred and ten thousand. Every
contestant runs at a series of steps or tolerances, coarse to fine, until its spikes of a hundred
cells are less than 10 us off, on average; what the targets cost is read between the two runs on
either side of each. The truth is an integration of order 8 in float64, of equations that are
written anew from the papers. One JSON with all rounds goes to results/, and a chart.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import chart
import common
import jax
import jax.numpy as jnp
import numpy as np
from peers import equations, worker
from race import Contestant, Row, Worker, race
from rich.console import Console
from rich.table import Table
from scipy.integrate import solve_ivp

import neurojax as nj

DURATION = 200.0  # ms
TARGETS = (100.0, 10.0)  # us
MANY, SIZES = 100, (100, 1, 10_000)  # cells in which errors are read; cells in which all are timed
LARGE = ("squid", "cortex_rs")  # the models of which there are ten thousand cells
STEPS = tuple(0.1 / 2**k for k in range(7))  # ms
TOLERANCES = tuple(10.0**-k for k in range(2, 7))
LIMIT, PATIENCE = 90.0, 3.0  # seconds for what a contestant is asked; a longer run is not refined
MIDDLE = {"dt": 0.025, "tol": 1e-4}  # where the fastest of a contestant's ways is found
KEPT = ["model", "name", "cells", "step", "error_us", "seconds", "median_seconds", "scaled"]
KEPT += ["variant", "compile_seconds", "reason"]  # of a row in the JSON
QUICK = ("squid", "interneuron_wang_buzsaki")
DRAWN = ("squid", "cortex_rs", "interneuron_wang_buzsaki")


class Model(NamedTuple):
    """A packaged cell: its current (uA/cm2), the potential at which it has settled, what varies."""

    i: float
    v: float
    g_na: float
    record_ms: float = 0.05  # of which a spike's time is read to a microsecond
    dtype: str = "float32"  # for those who have the choice


MODELS = {
    "squid": Model(10.0, -65.0, 120.0),
    "cortex_rs": Model(5.0, -70.0, 50.0),
    "cortex_fs": Model(4.0, -70.0, 50.0),
    "crab_connor_stevens": Model(12.0, -68.0, 120.0),
    "interneuron_wang_buzsaki": Model(1.0, -65.0, 35.0),
    "cortex_l5_hay_soma": Model(20.0, -80.0, 2040.0, 0.025, "float64"),
}


class Entry(NamedTuple):
    """A contestant, what makes it finer, and how many cells it runs at most: more are scaled."""

    contestant: Contestant
    knob: str = "dt"
    most: int = 10_000


def jaxley(name: str, solver: str) -> Entry:
    return Entry(Contestant(f"Jaxley, {name}", "jaxley_hh", {"solver": solver}))


def neuron(name: str, script: str = "neuron_hh", **job: Any) -> Entry:
    knob = "tol" if "CVODE" in name else "dt"
    job = {"dtype": "float64", "usetable_hh": 0, **job}  # the table of its hh is 100 us off
    return Entry(Contestant(name, script, job), knob, 1000)


SECOND = {"secondorder": 2}
FIELD = [
    Entry(Contestant("neurojax", "ours")),
    jaxley("Crank-Nicolson", "crank_nicolson"),
    jaxley("exp. Euler", "exp_euler"),
    jaxley("backward Euler", "bwd_euler"),
    neuron("NEURON"),
    neuron("NEURON, 2nd order", **SECOND),
    neuron("NEURON, CVODE")._replace(most=100),
    neuron("CoreNEURON, 2nd order", "coreneuron_hh", **SECOND),
    Entry(Contestant("Diffrax, Tsit5", "diffrax_hh", {"solver": "Tsit5"}), "tol", 1000),
]


# -- the truth ------------------------------------------------------------------------------------
def reference(model: str) -> list[np.ndarray]:
    """Spike times of the cells that are watched, ms."""
    told, written = MODELS[model], equations.MODELS[model]
    g = {name: current.g for name, current in written.currents.items()}
    first = equations.settled(written, jnp.asarray(told.v))
    names = list(first)

    @jax.jit
    def slopes(y, g_na):
        state, own = dict(zip(names, y, strict=True)), g | {"na": g_na}
        moves = equations.relaxations(written, state, own)
        moved = [rate * (to - state[name]) for name, (to, rate) in moves.items()]
        return jnp.stack([told.i - equations.current(written, state, own), *moved])

    def upwards(t, y, g_na):
        return y[0]

    upwards.direction = 1  # type: ignore[attr-defined]

    def spikes(g_na):
        return solve_ivp(
            lambda t, y, g_na: np.asarray(slopes(y, g_na)), (0, DURATION), y0,
            method="DOP853", rtol=1e-10, atol=1e-12, events=upwards, args=(g_na,),
        ).t_events[0]  # fmt: skip

    y0 = [float(x) for x in first.values()]
    cells = worker.g_na({"n": MANY, "g_na": told.g_na})[worker.watched(MANY)]
    return [spikes(g_na) for g_na in cells]


def error(spikes: Sequence[Sequence[float]], truth: Sequence[np.ndarray]) -> float:
    """Mean distance of all spikes, us; infinite where a cell has more or fewer."""
    if any(len(a) != len(b) for a, b in zip(spikes, truth, strict=True)):
        return math.inf
    return float(1e3 * np.mean(np.abs(np.concatenate(spikes) - np.concatenate(truth))))


# -- the race -------------------------------------------------------------------------------------
class Season:
    """All races: processes are kept from one to the next, and the way that was the fastest."""

    def __init__(self, rounds: int, minutes: float):
        self.rounds, self.deadline = rounds, time.monotonic() + 60 * minutes
        self.kept: dict[str, Worker] = {}
        self.ways: dict[tuple[str, int], str] = {}
        self.rows: list[Row] = []

    def race(self, model: str, n: int, field: Sequence[tuple[Entry, float]]) -> list[Row]:
        """Some contestants, each at its own step or tolerance; seconds are those of n cells."""
        new = [entry for entry, _ in field if (entry.contestant.name, n) not in self.ways]
        for row in self._race(model, n, [(entry, MIDDLE[entry.knob]) for entry in new], 0):
            self.ways[row["name"], n] = row.get("variant", "")
        rows = self._race(model, n, field, self.rounds)
        for row, (entry, value) in zip(rows, field, strict=True):
            row |= {"model": model, "cells": n, "step": value, "scaled": n / min(n, entry.most)}
            if row["seconds"]:
                row["median_seconds"] *= row["scaled"]
        self.rows += rows
        return rows

    def _race(self, model, n, field, rounds) -> list[Row]:
        told = MODELS[model]
        job = {"model": model, "i": told.i, "v": told.v, "g_na": told.g_na, "ms": DURATION}
        job |= {"question": "accuracy" if n == MANY else "population", "dtype": told.dtype}
        runners = [self._runner(told, n, entry, value) for entry, value in field]
        how = {"rounds": rounds, "limit": LIMIT, "deadline": self.deadline}
        return race(runners, job, kept=self.kept, **how)

    def _runner(self, told: Model, n: int, entry: Entry, value: float) -> Contestant:
        name, script, own, *more = entry.contestant
        record_ms = 0.1 if n > MANY else told.record_ms
        if entry.knob == "dt":
            record_ms = max(record_ms, value)
        job = {"n": min(n, entry.most), "record_ms": record_ms, "dt": record_ms, entry.knob: value}
        if way := self.ways.get((name, n)):
            job["variant"] = way
        return Contestant(name, script, job | own, *more)

    def close(self) -> None:
        for worker_ in self.kept.values():
            worker_.close()


class Point(NamedTuple):
    """A run: its step or tolerance, its error in us, and by number of cells its seconds."""

    step: float
    error: float
    seconds: dict[int, float]


Course = list[Point]


def errors(season: Season, model: str) -> tuple[dict[str, Course], dict[str, str]]:
    """A course for every contestant, coarse to fine, and why it ended early where it did."""
    truth = reference(model)
    courses: dict[str, Course] = {entry.contestant.name: [] for entry in FIELD}
    broke: dict[str, str] = {}
    field = {e.contestant.name: (e, list(STEPS if e.knob == "dt" else TOLERANCES)) for e in FIELD}
    while field:
        rows = season.race(model, MANY, [(entry, left.pop(0)) for entry, left in field.values()])
        for row in rows:
            name, off, took = row["name"], math.inf, 0.0
            if "reason" not in row:
                took = row["median_seconds"]
                off = error(row.pop("spike_times"), truth)
                row["error_us"] = off if math.isfinite(off) else None
                courses[name].append(Point(row["step"], off, {MANY: took}))
            slow = took > PATIENCE and math.isfinite(off)  # lost spikes may take long, too
            gave_up = "reason" in row and name in broke  # for the second time
            if "reason" in row:
                broke[name] = row["reason"]
            if gave_up or off < min(TARGETS) or slow or not field[name][1]:
                del field[name]
    return courses, broke


def seconds(season: Season, model: str, n: int, courses: dict[str, Course]) -> None:
    """Time n cells at the steps on either side of each target."""
    around = {
        name: sorted({k for target in TARGETS for k in bracket(course, target)})
        for name, course in courses.items()
    }
    entries = {entry.contestant.name: entry for entry in FIELD}
    while any(around.values()):
        now = {name: ks.pop(0) for name, ks in around.items() if ks}
        runs = [(entries[name], courses[name][k].step) for name, k in now.items()]
        for row in season.race(model, n, runs):
            if row["seconds"]:
                courses[row["name"]][now[row["name"]]].seconds[n] = row["median_seconds"]


def bracket(course: Course, target: float) -> list[int]:
    """The first run that is below the target, and the one before it if its spikes are all there."""
    for k, point in enumerate(course):
        if point.error <= target:
            return [k - 1, k] if k and math.isfinite(course[k - 1].error) else [k]
    return []


def cost(course: Course, target: float, n: int) -> float | None:
    """Seconds of n cells at an error in us: on the straight line between the logarithms of two
    runs, or those of a quicker run that is below it. None where no run is."""
    timed = [point for point in course if n in point.seconds]
    below = [point.seconds[n] for point in timed if point.error <= target]
    around = [course[k] for k in reversed(bracket(course, target)) if course[k] in timed]
    if len(around) == 2:
        off = [math.log(point.error) for point in around]
        took = [math.log(point.seconds[n]) for point in around]
        below.append(math.exp(np.interp(math.log(target), off, took)))
    return min(below, default=None)


# -- what is told ---------------------------------------------------------------------------------
def summary(model: str, courses: dict[str, Course], broke: dict[str, str]) -> list[Row]:
    """A line for each contestant and number of cells: seconds to each target."""
    sizes = [n for n in SIZES if any(n in p.seconds for c in courses.values() for p in c)]
    lines = []
    for n in sorted(sizes):
        for name, course in courses.items():
            line: Row = {"model": model, "cells": n, "name": name}
            line |= {f"seconds_to_{t:g}_us": cost(course, t, n) for t in TARGETS}
            least = min((p.error for p in course), default=math.inf)
            line["least_error_us"] = least if math.isfinite(least) else None
            lines.append(line | ({"reason": broke[name]} if name in broke else {}))
    return lines


def show(console: Console, lines: Sequence[Row]) -> None:
    """The lines of a model, and how many times as long as ours each takes."""
    drawn = Table(title=lines[0]["model"])
    for column in ("cells", "contestant", *(f"to {t:g} us" for t in TARGETS), "least error, us"):
        drawn.add_column(column, no_wrap=True)
    for line in lines:
        ours = next(x for x in lines if x["cells"] == line["cells"])
        cells = [str(line["cells"]), line["name"]]
        for key in (f"seconds_to_{t:g}_us" for t in TARGETS):
            own, its = ours[key], line[key]
            ratio = f" ({its / own:.2g} x)" if own and its and line is not ours else ""
            cells.append(f"{1e3 * its:.3g} ms{ratio}" if its else "-")
        least = line["least_error_us"]
        drawn.add_row(*cells, line.get("reason", f"{least:.3g}" if least else "no spikes alike"))
    console.print(drawn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two models, nothing written")
    parser.add_argument("--minutes", type=float, default=25.0, help="to stop beginning things")
    told = parser.parse_args()
    nj.configure(x64=True)
    console, season = common.console(), Season(2 if told.quick else 3, told.minutes)
    lines: list[Row] = []
    panels: dict[str, dict[str, chart.Line]] = {}
    began = time.monotonic()
    try:
        for model in QUICK if told.quick else MODELS:
            courses, broke = errors(season, model)
            for n in SIZES[1:]:
                if n == 1 or (model in LARGE and not told.quick):
                    seconds(season, model, n, courses)
            panels[model] = {name: curve(course) for name, course in courses.items()}
            lines += summary(model, courses, broke)
            show(console, [line for line in lines if line["model"] == model])
            console.print(f"{time.monotonic() - began:.0f} s so far")
    finally:
        season.close()
    if told.quick:
        return
    result = {
        "duration_ms": DURATION,
        "reference": "DOP853, rtol 1e-10, float64",
        "models": {name: model._asdict() for name, model in MODELS.items()},
        "versions": {k: v for row in season.rows for k, v in row.get("versions", {}).items()},
        "lines": lines,
        "rows": [{k: row[k] for k in KEPT if k in row} for row in season.rows],
    }
    console.print(common.write("accuracy", result))
    path = common.RESULTS / "accuracy.png"
    chart.loglog(
        path, {name: panels[name] for name in DRAWN},
        f"seconds for {MANY} cells, {DURATION:g} ms", "spikes off, us", legend=True,
    )  # fmt: skip
    console.print(path)


def curve(course: Course) -> chart.Line:
    """Seconds and errors of the runs that have all spikes."""
    mine = [point for point in course if math.isfinite(point.error)]
    return [point.seconds[MANY] for point in mine], [point.error for point in mine]


if __name__ == "__main__":
    main()
