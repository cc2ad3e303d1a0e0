"""Other ways to fit, on the same model, score and wall time: what a fit of ours is held against.

Each takes `score(z [P, n]) -> (errors [n], parts)`, as a `Scorer` of `fit.scoring.scorer`, the
number of parameters P, the seconds that it has and a seed, and gives the best point of the unit box
with the course of its error. All evaluate `BATCH` points at once, so that one program serves them.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine.folds import Fold
from neurojax.fit.task import Task
from neurojax.loss import soft_dtw
from neurojax.membrane.channel import pytree, static
from neurojax.membrane.compartment import Cell
from neurojax.membrane.observables import amplifier_potential
from neurojax.membrane.pipette import pipette_of
from neurojax.recording.trace import Trace

Score = Callable[[np.ndarray], tuple[np.ndarray, Mapping[str, np.ndarray]]]

BATCH = 256
"""Points that are scored at once."""

_LOST = 1e9  # what a cell that is not finite costs where only ranks are read
_WORST = 250.0  # an objective of a cell without the feature: BluePyOpt's `max_score`


@dataclass
class Found:
    """The best point `[P]`, its error, and (seconds, points scored, best error) as time went by."""

    z: np.ndarray
    error: float = np.inf
    history: list[tuple[float, int, float]] = field(default_factory=list)


class _Course:
    """Scores points for a method, keeps the best, and knows when its time is over."""

    def __init__(self, score: Score, P: int, seconds: float):
        self.score, self.began = score, time.monotonic()
        self.seconds, self.points = seconds, 0
        self.found = Found(np.full(P, 0.5))

    @property
    def over(self) -> bool:
        return time.monotonic() - self.began >= self.seconds

    def __call__(self, z: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Errors `[n]` and their parts of points z `[P, n]`, however many."""
        told = [self._batch(z[:, k : k + BATCH]) for k in range(0, z.shape[1], BATCH)]
        errors = np.concatenate([e for e, _ in told])
        parts = {k: np.concatenate([p[k] for _, p in told]) for k in told[0][1]}
        self.points += z.shape[1]
        best = int(errors.argmin())
        if errors[best] < self.found.error:
            self.found.z, self.found.error = z[:, best].copy(), float(errors[best])
        now = time.monotonic() - self.began
        self.found.history.append((now, self.points, self.found.error))
        return errors, parts

    def _batch(self, z: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        n = z.shape[1]
        padded = np.concatenate([z, np.repeat(z[:, -1:], BATCH - n, axis=1)], axis=1)
        errors, parts = self.score(padded)
        errors = np.nan_to_num(np.asarray(errors, dtype=float), nan=np.inf)
        return errors[:n], {k: np.asarray(p)[:n] for k, p in parts.items()}


def random_search(score: Score, P: int, seconds: float, seed: int) -> Found:
    """Uniform draws from the box."""
    course, rng = _Course(score, P, seconds), np.random.default_rng(seed)
    while not course.over:
        course(rng.random((P, BATCH)))
    return course.found


def cma_es(score: Score, P: int, seconds: float, seed: int) -> Found:
    """CMA-ES as it comes (package cma), anew with twice the population when it has ended: IPOP.

    As many runs of the default population as fill a batch go side by side.

    Source: Auger & Hansen 2005, IEEE CEC 2:1769, doi:10.1109/CEC.2005.1554902.
    """
    import cma  # noqa: F401  before the clock starts: it takes a second to load

    course, rng = _Course(score, P, seconds), np.random.default_rng(seed)
    population = 4 + int(3 * np.log(P))
    while not course.over:
        runs = [_strategy(rng.random(P), population, rng) for _ in range(BATCH // population or 1)]
        while runs and not course.over:
            asked = [np.stack(run.ask(), axis=1) for run in runs]
            errors, _ = course(np.concatenate(asked, axis=1))
            errors = np.where(np.isfinite(errors), errors, _LOST).reshape(len(runs), population)
            for run, z, e in zip(runs, asked, errors, strict=True):
                run.tell(list(z.T), list(e))
            runs = [run for run in runs if not run.stop()]
        population *= 2
    return course.found


def _strategy(x0: np.ndarray, population: int, rng: np.random.Generator) -> Any:
    import cma

    options = {
        "bounds": [0.0, 1.0],
        "popsize": population,
        "seed": np.nan,  # leave numpy's global generator alone
        "randn": lambda *shape: rng.standard_normal(shape),
        "verbose": -9,
        "verb_log": 0,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cma.CMAEvolutionStrategy(x0, 0.3, options)


def ibea(score: Score, P: int, seconds: float, seed: int, offspring: int = 100) -> Found:
    """BluePyOpt's genetic algorithm: IBEA on the parts of the score, each an objective.

    Its defaults: crossover and mutation of every offspring, eta 10, selection by the indicator.

    Source: Van Geit et al. 2016, Front Neuroinform 10:17, doi:10.3389/fninf.2016.00017; Zitzler &
    Kunzli 2004, PPSN VIII:832, doi:10.1007/978-3-540-30217-9_84.
    """
    import bluepyopt as bpop
    from bluepyopt.deapext.optimisations import DEAPOptimisation

    course = _Course(score, P, seconds)
    first = np.random.default_rng(seed).random((P, offspring))
    _, parts = course(first)
    names = list(parts) or ["error"]

    def judge(_, people):
        z = np.array([list(p) for p in people]).T
        errors, parts = course(z)
        rows = np.stack([parts[k] for k in parts] or [errors], axis=1)
        return [tuple(row) for row in np.where(np.isfinite(rows), rows, _WORST)]

    class Evaluator(bpop.evaluators.Evaluator):
        def init_simulator_and_evaluate_with_lists(self, params):
            raise NotImplementedError("points are judged many at a time")

    class Over:
        def is_set(self):
            return course.over

    evaluator = Evaluator(
        objectives=[bpop.objectives.Objective(k) for k in names],
        params=[bpop.parameters.Parameter(f"z{k}", bounds=(0.0, 1.0)) for k in range(P)],
    )
    search = DEAPOptimisation(evaluator, seed=seed, offspring_size=offspring, map_function=judge)
    search.run(
        max_ngen=10**9, offspring_size=offspring, parent_population=first.T, terminator=Over()
    )
    return course.found


# -- gradient descent as Jaxley's authors do it ---------------------------------------------------
Slope = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Losses `[n]` and their derivatives `[P, n]` at points z `[P, n]`."""


def gradient_descent(
    score: Score,
    P: int,
    seconds: float,
    seed: int,
    *,
    slope: Slope,
    starts: int = 1000,
    power: float = 0.8,
    rate: float = 0.1,
) -> Found:
    """Many starts walk down a loss at once, each by its gradient over the gradient's norm^power.

    The parameters are a sigmoid of what is moved. Each start's best point by the loss is scored in
    the end: a tenth of the time is kept for it. `starts` are at most so many that one step of all
    takes a tenth of the time.

    Source: Deistler et al. 2025, Nat Methods, doi:10.1038/s41592-025-02895-w.
    """
    course = _Course(score, P, seconds)
    rng = np.random.default_rng(seed)
    z = rng.random((P, BATCH))
    slope(z)  # compiled
    began = time.monotonic()
    slope(z)
    one = time.monotonic() - began
    batches = int(np.clip(0.1 * seconds / max(one, 1e-9), 1, -(-starts // BATCH)))
    z = rng.random((P, min(starts, batches * BATCH) // BATCH * BATCH or BATCH))
    x = np.log(z / (1 - z))
    best_z, best = z.copy(), np.full(z.shape[1], np.inf)
    while time.monotonic() - course.began < 0.9 * seconds:
        z = 1 / (1 + np.exp(-x))
        told = [slope(z[:, k : k + BATCH]) for k in range(0, z.shape[1], BATCH)]
        value, gradient = (np.concatenate(parts, axis=-1) for parts in zip(*told, strict=True))
        value = np.where(np.isfinite(value), value, np.inf)
        better = value < best
        best_z, best = np.where(better, z, best_z), np.minimum(value, best)
        gradient = np.nan_to_num(gradient * z * (1 - z), posinf=0.0, neginf=0.0)
        norm = np.linalg.norm(gradient, axis=0)
        x = np.clip(x - rate * gradient / np.maximum(norm, 1e-12) ** power, -12.0, 12.0)
    order = np.argsort(best, kind="stable")
    for k in range(0, order.size, BATCH):
        course(best_z[:, order[k : k + BATCH]])
        if course.over:
            break
    return course.found


def jaxley(task: Task, *, every: int = 10, window_ms: float = 1.0, **options: Any) -> Callable:
    """The recipe for the sweeps of a task, with its own loss: soft-DTW of the pooled potential.

    The potential is read every `every` steps and averaged over windows of `window_ms`; cells are
    held where each sweep began, as for the score.
    """

    def objective(trace: Trace, record_ms: float) -> Fold:
        return pooled(trace, record_ms, window_ms)

    problem = replace(task, hold=True).problem(objective, every)

    def slope(z):
        found = problem(jnp.asarray(z, jnp.result_type(float)))
        return np.asarray(found.value), np.asarray(found.gradient)

    def method(score: Score, P: int, seconds: float, seed: int) -> Found:
        return gradient_descent(score, P, seconds, seed, slope=slope, **options)

    return method


@pytree
class Pooled(Fold):
    """Another fold that sees the mean of what is recorded in each window, once in a window."""

    inner: Fold
    window: int = static(1)

    def init(self, cell, s):
        return jnp.zeros_like(s.v), self.inner.init(cell, s)

    def update(self, carry, cell, s, row):
        total, inner = carry
        inner_row, last = row
        total = total + amplifier_potential(cell, s)
        seen = s._replace(v=total / self.window)
        after = self.inner.update(inner, _bare(cell), seen, inner_row)
        return jnp.where(last > 0, 0.0, total), jnp.where(last > 0, after, inner)

    def finish(self, carry, duration):
        return self.inner.finish(carry[1], duration)


def _bare(cell: Cell) -> Cell:
    """The cell without its pipette: what is seen of it is its v."""
    found = pipette_of(cell)
    rest = {k: c for k, c in cell.channels.items() if not found or k != found[0]}
    return replace(cell, channels=rest)


def pooled(trace: Trace, record_ms: float, window_ms: float) -> Pooled:
    """Soft-DTW of the means over windows, from records that are `record_ms` apart."""
    window = max(1, round(window_ms / record_ms))
    per = round(window * record_ms / trace.dt_ms)  # samples
    number = (trace.v_mV.size - 1) // per
    means = trace.v_mV[1 : 1 + number * per].reshape(number, per).mean(axis=1)
    v = np.concatenate([trace.v_mV[:1], means])
    of = soft_dtw(Trace("current", per * trace.dt_ms, v, np.zeros_like(v)), per * trace.dt_ms)
    records = int((trace.v_mV.size - 1) * trace.dt_ms / record_ms + 1e-6)
    # Records after the last whole window see its data, and are never the last of a window.
    at = np.minimum(np.arange(records) // window, number - 1)
    last = (np.arange(records) % window == window - 1) & (np.arange(records) < number * window)
    rows = jax.tree.map(lambda a: np.asarray(a)[at], of.data)
    return Pooled(inner=replace(of, data=None), window=window, data=(rows, last.astype(float)))
