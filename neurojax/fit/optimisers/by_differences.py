"""Levenberg-Marquardt within a population: slopes by differences, many trial steps at once.

A generation of a search has room for the slopes of several points: one more cell for each
parameter. So the score that a search has ranked by is descended with the search's own program.
"""

from __future__ import annotations

import numpy as np

from neurojax.fit.budget import StageLog
from neurojax.fit.optimisers.evolution import Population

_STEP = 1e-3
"""Of the unit box, over which slopes are taken: far above what rounding in float32 moves."""

_LANES = 4
"""Descents that go on where those that are behind are given up: their slopes fill a generation."""

_APART = 0.1
"""Points that are nearer than this in every coordinate are one."""

_DAMPING = (-5.0, 2.0)
"""Decades of damping, in parts of the matrix's own diagonal, that are tried at once."""


def descend_by_differences(
    population: Population, log: StageLog, iterations: int, gain: float, patience: int = 2
) -> None:
    """Go down from the best points of a population until they gain no more, or time is over.

    Each iteration takes two generations: the slopes, then steps of many dampings, of which the best
    counts. Ends after `patience` iterations in which the best error fell by less than a part `gain`
    of it. What is found, the population remembers.
    """
    P = len(population.z)
    z = _apart(population.z, population.size // (P + 1))
    idle = 0
    for done in range(1, iterations + 1):
        if not z.size or log.hurried or idle >= patience:
            return
        before = population.best
        here, moves = _moves(population, z, log)
        trials = np.clip(z[:, :, None] + moves, 0.0, 1.0)
        found = population.race(trials.reshape(P, -1), log, z.shape[1]).errors
        errors = found.reshape(z.shape[1], -1)
        best = errors.argmin(axis=1)
        lane = np.arange(z.shape[1])
        better = errors[lane, best] < here
        z = np.where(better, trials[:, lane, best], z)
        reached = np.where(better, errors[lane, best], here)
        log.errors = np.sort(reached)
        log.step(done, iterations, population.best)
        idle = 0 if population.best < (1 - gain) * before else idle + 1
        on = better if better.any() else np.ones_like(better)
        ahead = np.argsort(np.where(on, reached, np.inf))[
            : min(on.sum(), max(_LANES, -(-len(z[0]) // 2)))
        ]
        z = z[:, ahead]


def _moves(population: Population, z: np.ndarray, log: StageLog) -> tuple[np.ndarray, np.ndarray]:
    """The errors `[k]` at points z `[P, k]`, and steps to try from each, `[P, k, trial]`."""
    P, k = z.shape
    side = np.where(z > 0.5, -_STEP, _STEP)  # into the box
    beside = np.repeat(z[:, :, None], P + 1, axis=2)
    each = np.arange(P)
    beside[each, :, each + 1] += side
    found = population.scored(beside.reshape(P, -1), log)
    assert found.residuals is not None
    r = found.residuals.reshape(-1, k, P + 1)
    dampings = np.logspace(*_DAMPING, P + 1)  # as many cells as the slopes took
    moves = np.zeros((P, k, dampings.size))
    for j in range(k):
        with np.errstate(invalid="ignore"):
            J = (r[:, j, 1:] - r[:, j, :1]) / side[:, j]
        J = np.where(np.isfinite(J), J, 0.0)
        moves[:, j] = _damped(J, np.nan_to_num(r[:, j, 0], posinf=0.0), z[:, j], dampings)
    return found.errors.reshape(k, P + 1)[:, 0], moves


def _damped(J: np.ndarray, r: np.ndarray, z: np.ndarray, dampings: np.ndarray) -> np.ndarray:
    """Steps `[P, damping]` that lessen |r + J step|; what would leave the box stays at its edge."""
    gradient = J.T @ r
    stuck = ((z <= 0) & (gradient > 0)) | ((z >= 1) & (gradient < 0))
    J = np.where(stuck, 0.0, J)
    matrix = J.T @ J
    scale = np.diag(matrix) + 1e-6 * np.trace(matrix) / len(z) + 1e-12
    steps = [np.linalg.solve(matrix + np.diag(d * scale), -J.T @ r) for d in dampings]
    return np.stack(steps, axis=1)


def _apart(z: np.ndarray, most: int) -> np.ndarray:
    """The first points of z `[P, n]` that are not near one before, at most so many."""
    chosen: list[int] = []
    for k in range(z.shape[1]):
        if len(chosen) == most:
            break
        if all(np.abs(z[:, k] - z[:, c]).max() > _APART for c in chosen):
            chosen.append(k)
    return z[:, chosen]
