"""How surely and how cheaply are ionBench's problems solved, by its own scoring?

ionBench (Owen & Mirams 2025, PLoS Comput Biol, doi:10.1371/journal.pcbi.1013319) fits channels to
synthetic voltage clamp from random starts. A run costs its solves of the model, one with
sensitivities as many as it takes ionBench the time of; it succeeds where the cost falls below a
threshold. What counts is the expected cost until a success. A run of ours draws some of ionBench's
random starts, goes downhill from the best by Levenberg-Marquardt, and begins anew where that
stalls. Its points are entered into ionBench's tracker, and its best is judged by ionBench's model.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import common
import ionbench_clamp as problems
import jax
import jax.numpy as jnp
import numpy as np
from ionbench.tracker import Tracker
from ionbench.utils.results import expected_time
from rich.table import Table

import neurojax as nj
from neurojax.fit.solvers.levenberg import LEVENBERG_MARQUARDT

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
    """How a run goes."""

    draws: int = 20  # of ionBench's starts, of which the best one is taken
    patience: int = 8  # iterations without a gain of `least` after which it begins anew
    least: float = 0.01  # of the cost
    iterations: int = 400  # in all


WAYS = {name: Way() for name in problems.NAMES}


class Runs:
    """Runs side by side, each on its own, each with ionBench's tracker."""

    def __init__(self, name: str, runs: int, seed: int, way: Way):
        self.bm, self.way, self.n = problems.benchmarker(name), way, runs
        self.space = problems.space_of(self.bm)
        self.problem = problems.problem_of(self.bm, self.space)
        np.random.seed(seed)  # noqa: NPY002  ionBench draws from the global generator
        self.trackers = [Tracker() for _ in range(runs)]
        self.z = np.zeros((len(self.space), runs))
        self.best, self.level = np.full(runs, np.inf), np.full(runs, np.inf)
        self.quiet, self.done = np.zeros(runs, int), np.zeros(runs, bool)
        self.fresh = np.ones(runs, bool)
        self.state: Any = jax.vmap(LEVENBERG_MARQUARDT.init, -1, -1)(jnp.asarray(self.z))
        self._begin(np.arange(runs))

    def parameters(self, z: np.ndarray) -> np.ndarray:
        """In ionBench's order, `[n, P]`."""
        return np.stack([np.asarray(x) for x in self.space.values(z).values()], axis=1)

    def _begin(self, who: np.ndarray) -> None:
        """The best of some of ionBench's random starts, for each of these runs."""
        draws = self.way.draws
        at = np.array(self.bm.sample(draws * who.size))
        z = self.space.point(dict(zip(self.space.names, at.T, strict=True)))
        padded = np.resize(np.arange(len(at)), -(-len(at) // self.n) * self.n)
        parts = [self.problem.values(jnp.asarray(z[:, k])) for k in padded.reshape(-1, self.n)]
        cost = np.sqrt(np.nan_to_num(np.concatenate(parts), nan=np.inf)[: len(at)])
        for place, run in enumerate(who):
            own = np.arange(place * draws, (place + 1) * draws)
            for k in own:
                self._note(run, at[k], cost[k], "cost")
            self.z[:, run] = z[:, own[cost[own].argmin()]]
        self.level[who], self.quiet[who], self.fresh[who] = np.inf, 0, True

    def _note(self, run: int, at: np.ndarray, cost: float, kind: str, solved: bool = True) -> None:
        self.trackers[run].update(at, cost=cost, incrementSolveCounter=solved, solveType=kind)

    def solve(self) -> None:
        for _ in range(self.way.iterations):
            self._iterate()
            if self.done.all():
                return

    def _iterate(self) -> None:
        found = self.problem(jnp.asarray(self.z))
        at = self.parameters(self.z)
        value = np.nan_to_num(np.asarray(found.value), nan=np.inf)
        # Where ionBench bounds the rates it solves nothing beyond, and counts nothing.
        legal = np.array([self.bm.in_rate_bounds(p) for p in at])
        value = np.where(legal, value, np.inf)
        gained = value < np.where(self.fresh, np.inf, self.best)
        for run in np.flatnonzero(~self.done):
            cost = float(np.sqrt(value[run])) if legal[run] else 1e5
            self._note(run, at[run], cost, "cost", bool(legal[run]))
            self.done[run] = self.trackers[run].cost_threshold(self.bm.COST_THRESHOLD)
            if gained[run] and not self.done[run]:  # derivatives of other points are of no use
                self._note(run, at[run], cost, "grad")
        self.best = np.where(gained, value, self.best)
        onward, self.state = _move(
            self.state, jnp.asarray(self.fresh), jnp.asarray(self.z),
            found._replace(value=jnp.asarray(value)),
        )  # fmt: skip
        self.z, self.fresh = np.array(onward), np.zeros(self.n, bool)
        progress = self.best < (1 - self.way.least) ** 2 * self.level
        self.level = np.where(progress, self.best, self.level)
        self.quiet = np.where(progress, 0, self.quiet + 1)
        stalled = np.flatnonzero((self.quiet >= self.way.patience) & ~self.done)
        if stalled.size:
            self._begin(stalled)

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


@jax.jit
def _move(state, fresh, z, found):
    new = jax.vmap(LEVENBERG_MARQUARDT.init, -1, -1)(z)
    state = jax.tree.map(partial(jnp.where, fresh), new, state)

    def update(gradient, state, z, value, matrix):
        step, state = LEVENBERG_MARQUARDT.update(gradient, state, z, value=value, matrix=matrix)
        return jnp.clip(z + step, 0.0, 1.0), state

    return jax.vmap(update, -1, -1)(found.gradient, state, z, found.value, found.matrix)


def trace_error(runs: Runs, points: int = 8) -> float:
    """Largest relative difference of our cost from ionBench's, at random starts."""
    at = np.array(runs.bm.sample(points))
    z = runs.space.point(dict(zip(runs.space.names, at.T, strict=True)))
    ours = np.sqrt(runs.problem.values(jnp.asarray(z)))
    theirs = np.array([runs.bm.cost(p) for p in at])
    return float(np.abs(ours / theirs - 1).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few runs, nothing written")
    parser.add_argument("--only", choices=problems.NAMES, help="one problem, nothing written")
    told = parser.parse_args()
    nj.configure(compilation_cache=False)
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
