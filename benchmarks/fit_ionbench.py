"""How surely and how cheaply are ionBench's problems solved, by its own scoring?

ionBench (Owen & Mirams 2025, PLoS Comput Biol, doi:10.1371/journal.pcbi.1013319) fits channels to
synthetic voltage clamp from random starts. A run costs its solves of the model, one with
sensitivities as many as it takes ionBench the time of; it succeeds where the cost falls below a
threshold. What counts is the expected cost until a success. A run of ours draws some of ionBench's
random starts, goes downhill from the best by Levenberg-Marquardt with bent steps, and begins anew
where that stalls. Its points are entered into ionBench's tracker, and its best is judged by
ionBench's model.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from typing import Any

import common
import ionbench_clamp as problems
import jax
import jax.numpy as jnp
import numpy as np
from ionbench.tracker import Tracker
from ionbench.utils.results import expected_time
from ionbench_descent import limits_of, stepper
from rich.table import Table

import neurojax as nj

SOURCE = "github.com/CardiacModelling/ionBench, scripts/newAppFigure.py and newTRR.py"


@dataclass(frozen=True)
class Published:
    """Expected cost in solves: of the best of 34 earlier approaches, and of ionBench's own."""

    best: str
    best_cost: float
    new_cost: float
    ratio: float  # what a solve with sensitivities costs, in solves


PUBLISHED = {
    "staircase.hh": Published("Dokos 2004", 693, 502, 8.767),
    "staircase.mm": Published("Wilhelms 2012b", 64839, 17405, 13.312),
    "loewe2016.ikr": Published("Wilhelms 2012b", 1376, 741, 10.515),
    "moreno2016.ina": Published("Wilhelms 2012b", 6584, 5176, 17.0),
}


@dataclass(frozen=True)
class Way:
    """How a run goes. Gains count relative to what is left until the threshold."""

    draws: int = 20  # of ionBench's starts, of which the best one is taken
    promise: float = 0.02  # of a linear model without damping, below which it begins anew
    least: float = 0.05  # gain in `patience` iterations, below which it begins anew
    patience: int = 10
    iterations: int = 800  # in all
    damping: float = 1.0  # of the first step,
    shrink: float = 0.1  # by which it changes after a good step
    grow: float = 3.0  # and after a worse point


WAYS = {name: Way() for name in problems.NAMES} | {
    # Its valleys are long, and level in places.
    "staircase.mm": Way(promise=0.005, least=0.01, patience=20),
}
_TOGETHER = 8  # points that are computed at once, for the memory that their Jacobians take


class Runs:
    """Runs side by side, each on its own, each with ionBench's tracker."""

    def __init__(self, name: str, runs: int, seed: int, way: Way):
        self.bm, self.way = problems.benchmarker(name), way
        self.space = problems.space_of(self.bm)
        self.goal = self.bm.COST_THRESHOLD**2
        residuals, per = problems.residuals_of(self.bm, self.space)
        self._values = jax.jit(jax.vmap(lambda z: jnp.sum(residuals(z)[0] ** 2)))
        self.limits = limits_of(self.bm, self.parameters)
        self._step = stepper(residuals, self.limits, per)
        self.random = np.random.default_rng(seed)
        np.random.seed(seed)  # noqa: NPY002  ionBench draws from the global generator
        self.trackers = [Tracker() for _ in range(runs)]
        self.z = np.zeros((runs, len(self.space)))
        self.best, self.level, self.damping = np.full((3, runs), np.inf)
        self.quiet, self.done = np.zeros(runs, int), np.zeros(runs, bool)
        self.fresh = np.ones(runs, bool)  # whose derivatives have not been taken yet
        self._begin(np.arange(runs))

    def parameters(self, z: np.ndarray) -> np.ndarray:
        """In ionBench's order, of points z `[..., P]`."""
        values = self.space.values(np.moveaxis(z, -1, 0)).values()
        return np.stack([np.asarray(x) for x in values], axis=-1)

    def draw(self, n: int) -> np.ndarray:
        """Starts z `[n, P]` as ionBench draws them. Where it bounds rates, it draws evenly within
        the bounds, one by one and slowly; so the same is done here for many at a time."""
        if not self.bm.ratesBounded:
            at = np.array([self.bm.sample() for _ in range(n)])
            return self.space.point(dict(zip(self.space.names, at.T, strict=True))).T
        found = np.zeros((0, len(self.space)))
        while len(found) < n:
            z = self.random.random((10000, len(self.space)))
            inside = (z @ self.limits.normals.T <= self.limits.reach).all(axis=1)
            found = np.concatenate([found, z[inside]])
        return found[:n]

    def values(self, z: np.ndarray) -> np.ndarray:
        """cost^2 of points z `[n, P]`."""
        return np.nan_to_num(_in_parts(self._values, z), nan=np.inf)

    def _begin(self, who: np.ndarray) -> None:
        """The best of some of ionBench's random starts, for each of these runs."""
        z = self.draw(self.way.draws * who.size)
        at, value = self.parameters(z), self.values(z)
        for run, own in zip(who, np.split(np.arange(len(z)), who.size), strict=True):
            for k in own:
                self._note(run, at[k], value[k])
            first = own[value[own].argmin()]
            self.z[run], self.best[run] = z[first], value[first]
        self.level[who], self.damping[who] = np.inf, self.way.damping
        self.quiet[who], self.fresh[who] = 0, True

    def _note(self, run: int, at: np.ndarray, value: float, kind: str = "cost") -> bool:
        """Enters a point; whether it may be solved, for ionBench solves none beyond its bounds."""
        legal = bool(self.bm.in_parameter_bounds(at) and self.bm.in_rate_bounds(at))
        cost = float(np.sqrt(value)) if legal else 1e5
        self.trackers[run].update(at, cost=cost, incrementSolveCounter=legal, solveType=kind)
        self.done[run] |= legal and value < self.goal
        return legal

    def solve(self) -> None:
        for _ in range(self.way.iterations):
            self._iterate(np.flatnonzero(~self.done))
            if self.done.all():
                return

    def _iterate(self, active: np.ndarray) -> None:
        """Takes the derivatives of new points, and one step where there is hope."""
        found = _in_parts(self._step, self.z[active], self.damping[active])
        found = found._replace(value=np.nan_to_num(found.value, nan=np.inf))
        for run in active[self.fresh[active]]:
            self._note(run, self.parameters(self.z[run]), self.best[run], "grad")
        self.fresh[active] = False
        hope = found.promise > self.way.promise * (found.start - self.goal)
        for k in np.flatnonzero(hope):
            self._advance(active[k], jax.tree.map(lambda a, k=k: a[k], found))
        stalled = active[(~hope | (self.quiet[active] >= self.way.patience)) & ~self.done[active]]
        if stalled.size:
            self._begin(stalled)

    def _advance(self, run: int, step: Any) -> None:
        """Notes a run's two solves, and moves it to the better point."""
        self._note(run, self.parameters(step.probe), step.probed)
        legal = self._note(run, self.parameters(step.z), step.value)
        if legal and step.held < step.start:
            if step.start - step.held > 0.25 * step.expected:
                self.damping[run] = max(self.damping[run] * self.way.shrink, 1e-12)
            self.z[run], self.best[run], self.fresh[run] = step.z, step.value, True
        else:
            self.damping[run] = min(self.damping[run] * self.way.grow, 1e8)
        left = min(step.start, step.held if legal else np.inf) - self.goal
        progress = left < (1 - self.way.least) * self.level[run]
        self.level[run] = left if progress else self.level[run]
        self.quiet[run] = 0 if progress else self.quiet[run] + 1

    def outcome(self, ratio: float) -> dict[str, Any]:
        """Success by ionBench's model, and the cost until it."""
        rows = []
        for tracker in self.trackers:
            at = tracker.when_converged(self.bm.COST_THRESHOLD)
            at = -1 if at is None else at
            theirs = float(self.bm.cost(self.bm.input_parameter_space(tracker.bestParams)))
            rows.append(
                {
                    "cost": theirs,
                    "success": theirs < self.bm.COST_THRESHOLD,
                    "solves": int(tracker.costSolves[at]),
                    "solves_with_sensitivities": int(tracker.gradSolves[at]),
                }
            )
        spent = [r["solves"] + ratio * r["solves_with_sensitivities"] for r in rows]
        success = [r["success"] for r in rows]
        return {
            "success_rate": float(np.mean(success)),
            "expected_cost": float(expected_time(spent, success)),
            "runs": rows,
        }


def _in_parts(function: Any, *arrays: np.ndarray) -> Any:
    """The function of some points at a time: one program, and little memory."""
    n = len(arrays[0])
    parts = np.resize(np.arange(n), -(-n // _TOGETHER) * _TOGETHER).reshape(-1, _TOGETHER)
    found = [jax.tree.map(np.asarray, function(*(a[part] for a in arrays))) for part in parts]
    return jax.tree.map(lambda *a: np.concatenate(a)[:n], *found)


def trace_error(runs: Runs, points: int = 8) -> float:
    """Largest relative difference of our cost from ionBench's, at random starts."""
    z = runs.draw(points)
    ours = np.sqrt(runs.values(z))
    theirs = np.array([runs.bm.cost(p) for p in runs.parameters(z)])
    return float(np.abs(ours / theirs - 1).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few runs, nothing written")
    parser.add_argument("--only", choices=problems.NAMES, help="one problem, nothing written")
    told = parser.parse_args()
    nj.configure(compilation_cache=False)
    jax.devices()  # JAX starts before myokit's compilations have closed the streams of the log
    table = Table("problem", "success", "expected cost", "best of 34", "ionBench's own",
                  "cost differs", "s")  # fmt: skip
    console, results = common.console(), []
    for name in [told.only] if told.only else problems.NAMES:
        known, began = PUBLISHED[name], time.monotonic()
        with jax.enable_x64(True):
            runs = Runs(name, 8 if told.quick else 40, 0, WAYS[name])
            runs.solve()
            own = runs.outcome(known.ratio) | {"cost_differs": trace_error(runs)}
        seconds = time.monotonic() - began
        table.add_row(
            name,
            f"{100 * own['success_rate']:.0f} %",
            f"{own['expected_cost']:.0f}",
            f"{known.best_cost:.0f} ({known.best})",
            f"{known.new_cost:.0f}",
            f"{own['cost_differs']:.1e}",
            f"{seconds:.0f}",
        )
        results.append(
            {"problem": name, "seconds": seconds, "load": os.getloadavg()[0]}
            | {"way": vars(WAYS[name]), "published": vars(known), "source": SOURCE}
            | own
        )
        console.log(f"{name} done")
    console.print(table)
    if not (told.quick or told.only):
        console.print(common.write("fit_ionbench", {"dtype": "float64", "problems": results}))


if __name__ == "__main__":
    main()
