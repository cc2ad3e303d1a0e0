"""search: a large random population, then evolution, on the features of recorded sweeps.

Spiking cells have a rugged error surface in the plain voltage; counts, times and shapes of spikes
lead to the right basin. Whole generations are simulated as one population over all local devices.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.cell import Cell, at_rest
from neurojax.electrode import Electrode, Trace
from neurojax.engine import blocked, scan
from neurojax.fit.parameters import Space
from neurojax.fit.ranges import probes, ranges
from neurojax.fit.result import Fit, Progress, Stage
from neurojax.fit.score import UNIT, Score, Targets, score, targets

_LOST = 1e9  # what a cell that is not finite scores among its generation
_PATIENCE = 60  # generations without progress after which the search is over


@partial(jax.jit, static_argnames=("space", "every", "place"))
def _simulate(cell: Cell, z, i, holding, dt, space: Space, every: int, place):
    """Potentials `[sweep, pop, record]` of cells z `[P, pop]` under currents i `[step, sweep]`."""

    def block(lanes, i, together):
        cell, theta, holding = lanes
        cell = space.apply(cell, theta)
        s = at_rest(cell, holding[:, None])
        electrode = Electrode(i=i[:, :, None], v_cmd=0.0, g=0.0)
        _, v, _ = scan.run(cell, s, electrode, dt, lambda cell, s: s.v, every)
        return v

    live = i.shape[1] * blocked.live_arrays(cell)
    lanes = (cell, space.values(z), jnp.asarray(holding))
    v = blocked.run(block, lanes, i, n=z.shape[1], live=live, place=place)
    return jnp.moveaxis(v, 0, -1)


class _Step(NamedTuple):
    errors: np.ndarray  # [n] of this generation
    done: int
    total: int


class _Population:
    """Scores points of the unit box, `population` at a time, and remembers the best of them."""

    def __init__(self, cell: Cell, target: Targets, space: Space, population: int, dt: float):
        self.cell, self.target, self.space, self.dt = cell, target, space, dt
        self.population = population
        self.i = jnp.asarray(target.i)
        self.evaluations = self.dropped = 0
        self.best, self.parts = np.inf, None
        self.z = np.empty((len(space), 0))
        self.errors = np.empty(0)
        self.ranges: dict[str, tuple[float, float]] = {}

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Errors `[n]` of points z `[P, n]`, n at most `population`; infinite where not finite."""
        n = z.shape[1]
        padded = np.concatenate([z, np.repeat(z[:, -1:], self.population - n, axis=1)], axis=1)
        t = self.target
        dtype = jnp.result_type(float)
        padded = jnp.asarray(padded.astype(dtype))
        v = _simulate(
            self.cell, padded, self.i, t.holding, self.dt, self.space, t.every,
            blocked.place_of(self.cell, padded),
        )  # fmt: skip
        parts = score(np.moveaxis(np.asarray(v), -1, 0)[:, :, :n], t)
        errors = parts.total
        self.evaluations += n * len(t.sweeps)
        self.dropped += int((~np.isfinite(errors)).sum())
        self._remember(z, errors, parts)
        return errors

    def _remember(self, z: np.ndarray, errors: np.ndarray, parts: Score) -> None:
        k = int(errors.argmin())
        if errors[k] < self.best:
            self.best, self.parts = float(errors[k]), Score(*(p[k] for p in parts))
        z, errors = np.concatenate([self.z, z], axis=1), np.concatenate([self.errors, errors])
        order = np.argsort(errors, kind="stable")[: self.population]
        order = order[np.isfinite(errors[order])]
        self.z, self.errors = z[:, order], errors[order]


def _draw(people: _Population, points: np.ndarray, deadline: float) -> Iterator[_Step]:
    """Score given points `[P, n]`; at least one batch, and no more than a quarter of the time."""
    batches = math.ceil(points.shape[1] / people.population)
    stop = time.monotonic() + (deadline - time.monotonic()) / 4
    for k in range(batches):
        if k and time.monotonic() > stop:
            return
        errors = people(points[:, k * people.population : (k + 1) * people.population])
        yield _Step(errors, k + 1, batches)


def _probe(people: _Population) -> Iterator[_Step]:
    """Score points beside the best one, for the range of each parameter."""
    best, allowed = people.z[:, 0], people.best + 1.0
    points = probes(best)
    batches, errors = math.ceil(points.shape[1] / people.population), []
    for k in range(batches):
        errors.append(people(points[:, k * people.population : (k + 1) * people.population]))
        yield _Step(errors[-1], k + 1, batches)
    people.ranges = ranges(people.space, best, np.concatenate(errors), allowed)


def _evolve(
    people: _Population, islands: int, generations: int, deadline: float, seed: int
) -> Iterator[_Step]:
    """Evolve from the best points known, on separate islands first, then around the best of them.

    Separate islands do not all end in the same wrong basin. Half way the best one lives on, and the
    places of the others go to a narrow search around the best point. Once no search has moved the
    error by 0.1 % in _PATIENCE generations, it is over.
    """
    rng = np.random.default_rng([seed, 1])
    first = [people.z[:, k % people.z.shape[1]] for k in range(islands)]
    size = people.population // islands
    searches = [_strategy(x, 0.2, size, rng) for x in first]
    began, history = time.monotonic(), []
    split = islands > 1
    for g in range(generations):
        now = time.monotonic()
        each = (now - began) / g if g else 0.0
        if g and now + each > deadline:
            return
        last = generations
        if each and math.isfinite(deadline):
            last = min(last, g + int((deadline - now) / each))
        half = 2 * g >= last
        if split and half:
            searches = _join(searches, people, rng)
            split = False
        asked = [np.array(s.ask()).T for s in searches]
        errors = people(np.concatenate(asked, axis=1))
        _tell(searches, asked, errors)
        history.append(people.best)
        yield _Step(errors, g + 1, max(last, g + 1))
        if not split and g >= _PATIENCE and history[-1] > 0.999 * history[-1 - _PATIENCE]:
            return


def _join(searches: list, people: _Population, rng: np.random.Generator) -> list:
    """The best search, and a narrow one around the best point with the places of the rest."""
    best = min(searches, key=lambda s: s.best.f)
    rest = people.population - best.popsize
    return [best, _strategy(people.z[:, 0], 0.05, rest, rng)]


def _tell(searches: list, asked: list[np.ndarray], errors: np.ndarray) -> None:
    # CMA-ES reads ranks only: any number above all others stands for a cell that was lost.
    finite = np.where(np.isfinite(errors), errors, _LOST)
    at = 0
    for strategy, z in zip(searches, asked, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cma's advice on its own workings
            strategy.tell(list(z.T), list(finite[at : at + z.shape[1]]))
        at += z.shape[1]


def _strategy(x0, sigma: float, popsize: int, rng) -> Any:
    import cma  # a second to load, as it brings half of scipy: only for those who search

    options = {
        "bounds": [0.0, 1.0],
        "popsize": popsize,
        "seed": np.nan,  # nan: leave numpy's global generator alone and use ours
        "randn": lambda *shape: rng.standard_normal(shape),
        "verbose": -9,
        "verb_log": 0,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cma.CMAEvolutionStrategy(np.array(x0), sigma, options)


def _follow(
    name: str, steps: Iterator[_Step], people: _Population, progress: Progress | None
) -> tuple[Stage, bool]:
    """Run a stage to its end or to Ctrl-C; what it did, and whether it was interrupted."""
    began, before = time.monotonic(), (people.evaluations, people.dropped)
    history, errors, interrupted = [], np.empty(0), False
    try:
        for step in steps:
            history.append(people.best)
            errors = step.errors
            if progress is not None:
                progress(name, step.done, step.total, people.best, UNIT)
    except KeyboardInterrupt:
        interrupted = True
    stage = Stage(
        name,
        UNIT,
        time.monotonic() - began,
        people.evaluations - before[0],
        np.array(history),
        np.sort(errors[np.isfinite(errors)]),
        people.dropped - before[1],
    )
    return stage, interrupted


def search(
    cell: Cell,
    traces: Sequence[Trace],
    space: Space,
    *,
    draws: int = 4096,
    population: int = 128,
    generations: int | None = None,
    seconds: float | None = None,
    dt: float = 0.025,
    seed: int = 0,
    weights: Sequence[float] | None = None,
    islands: int = 2,
    start: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Fit:
    """Find the cell whose spikes and subthreshold course are most like the recorded sweeps'.

    `draws` random points of `space` are scored; from the best, CMA-ES evolves `population` cells on
    `islands` for `generations` (default 300, or as many as fit into `seconds` of wall time, the
    compilation included). Each sweep is simulated from 50 ms before its step to 100 ms after it,
    starting from rest, in steps of `dt` ms. `weights` weigh the sweeps. `start` `[P]` or `[P, n]`
    are points of the unit box to look at beside the random ones. `progress` hears of every
    generation.

    The error is the sum of `score.Score`, in tolerances; `Fit.ranges` says how far each parameter
    can move alone until the error has grown by one. Ctrl-C ends the search with the best so
    far (`interrupted`). Raises ValueError for sweeps that are no current clamp, or when not one
    cell stayed finite.
    """
    if population < 4 * islands or islands < 1 or draws < 1:
        raise ValueError(
            f"population = {population}, islands = {islands}, draws = {draws}: expected at least "
            "one draw and one island, and 4 cells on each"
        )
    deadline = math.inf if seconds is None else time.monotonic() + seconds
    people = _Population(cell, targets(traces, dt, weights), space, population, dt)
    points = space.random(draws, seed)
    if start is not None:
        points = np.concatenate([np.reshape(start, (len(space), -1)), points], axis=1)
    if generations is None:
        generations = 300 if seconds is None else 10**6
    stages, interrupted = [], False
    for name, steps in (
        ("draw", _draw(people, points, deadline)),
        ("evolve", _evolve(people, islands, generations, deadline, seed)),
    ):
        stage, interrupted = _follow(name, steps, people, progress)
        stages.append(stage)
        if interrupted or people.parts is None:
            break
    if not (interrupted or people.parts is None):
        _, interrupted = _follow("probe", _probe(people), people, progress)
    if people.parts is None:
        if interrupted:
            raise KeyboardInterrupt
        raise ValueError(f"none of {people.dropped} cells stayed finite: check bounds and stimulus")
    values = {k: np.asarray(x, dtype=float) for k, x in space.values(people.z).items()}
    best = {k: float(x[0]) for k, x in values.items()}
    return Fit(
        cell=space.apply(cell, best),
        space=space,
        values=best,
        error=people.best,
        stages=stages,
        starts=values,
        ranges=people.ranges,
        interrupted=interrupted,
        contributions={k: float(x) for k, x in people.parts._asdict().items()},
    )
