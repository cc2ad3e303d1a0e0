"""Evidence: what counts as noise in a fit, so that a misfit becomes a likelihood."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from neurojax.fit.problem import Problem
from neurojax.fit.uncertainty.certificate import Likelihood, NoiseLevel
from neurojax.loss import noise_of
from neurojax.recording.trace import Trace

_THINNED = 10  # records of `Problem.thinned` stand for so many
_STEP = {"single": 1e-3, "exact": 1e-5}  # of the box, for differences


def quiet_noise(traces: Sequence[Trace]) -> NoiseLevel | None:
    """Of the recorded signal before the stimulus begins; None where no sweep has a quiet part."""
    noise = noise_of(traces)
    return noise and NoiseLevel(noise.sd, noise.lasting_ms, noise.unit)


def likelihood(problem: Problem, noise: NoiseLevel | None, value: float) -> Likelihood | None:
    """Of the sweeps of a problem whose mean squared error, without priors, is `value`.

    None without any noise.

    The noise is normal, and its samples are independent as often as those before the stimulus are.
    """
    if noise is None or not noise.sd > 0:
        return None
    records = problem.samples * problem.dt * problem.every / noise.correlation_ms
    n = min(max(1.0, records), float(problem.samples))
    variance = noise.sd**2
    logarithm = -0.5 * n * (value / variance + np.log(2 * np.pi * variance))
    return Likelihood(float(logarithm), len(problem.space), n)


def misfit(problem: Problem, z: Float[np.ndarray, " param"], value: float) -> NoiseLevel:
    """What is left over at the point z `[P]`, where the mean squared error is `value`.

    Its standard deviation allows for the P parameters that were fitted to it.
    """
    P, n = z.size, problem.samples
    step = _STEP[problem.precision]
    shift = np.where(z > 0.5, -step, step) * np.eye(P)  # inwards
    points = np.concatenate([z[:, None], z[:, None] + shift], axis=1)
    simulated, data = problem.thinned(points)
    counts = (data != 0) | (simulated != 0).any(axis=1)  # what has no weight is no independent zero
    J = ((simulated[:, 1:] - simulated[:, :1]) / np.diag(shift))[counts]
    records = 1 + _THINNED * (lasting(J, (simulated[:, 0] - data)[counts]) - 1)
    sd = np.sqrt(value * n / max(n - P, 1))
    return NoiseLevel(float(sd), records * problem.dt * problem.every, problem.unit)


def lasting(
    J: Float[np.ndarray, "record param"], residual: Float[np.ndarray, " record"], blocks: int = 40
) -> float:
    """For how many records a misfit lasts, as far as the parameters are concerned; 1 or more.

    J `[record, P]` is the derivative of the residuals `[record]`. What J'r would be of independent
    residuals is compared with what it is between `blocks` stretches of the record (batch means),
    averaged over the parameters: so often each independent piece of information is counted.
    """
    norm = np.linalg.norm(J, axis=0)
    J = J[:, norm > 0] / norm[norm > 0]
    values, vectors = np.linalg.eigh(J.T @ J)
    seen = values > 1e-13 * values.max(initial=0.0)
    w = J @ (vectors[:, seen] / np.sqrt(values[seen])) * residual[:, None]
    edges = np.linspace(0, len(w), min(blocks, len(w)) + 1).astype(int)[:-1]
    sums = np.add.reduceat(w, edges, axis=0)
    independent = (residual**2).mean() * max(seen.sum(), 1)
    if not independent > 0:
        return 1.0
    return max(1.0, float((sums**2).sum() * len(edges) / (len(edges) - 1) / independent))
