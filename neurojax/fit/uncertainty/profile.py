"""Profile likelihood: the best that all other parameters can do for each value of one."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from neurojax.fit.budget import StageLog
from neurojax.fit.optimisers.descent import Schedule, descend, lanes
from neurojax.fit.optimisers.levenberg import levenberg_marquardt
from neurojax.fit.problem import Problem
from neurojax.fit.uncertainty.certificate import Interval, Profile
from neurojax.model.space import Space

CHI2 = 3.841459
"""The 95 % quantile of chi-squared with one degree of freedom: the rise that ends an interval."""

_SETTLED = 0.01  # of chi-squared: less is no gain
_ITERATIONS, _PATIENCE = 20, 2  # at most, and without a gain
_OPTIMISER = levenberg_marquardt(damping=1e-2)  # it begins beside an optimum


def profiles(
    problem: Problem,
    best: Float[np.ndarray, " param"],
    covariance: Float[np.ndarray, "param param"],
    information: float,
    grid: int,
    log: StageLog,
    width: int,
) -> tuple[dict[str, Profile], float]:
    """Profiles of all parameters about the best point `[P]` of the box, in one population.

    Also by how much chi-squared falls from there to the nearest minimum, about which they are made.
    Each parameter is fixed at `grid` values to either side, while Levenberg-Marquardt moves all
    others. `covariance` `[P, P]` in coordinates of the box says where: half of the values are
    within three standard deviations, the rest reach to the bound. information: chi-squared per
    value of the problem. width: how many points at once have a program already.

    Source: Raue et al. 2009, Bioinformatics 25:1923, doi:10.1093/bioinformatics/btp358.
    """
    # As much less than a chi-squared as settles a profile, as a part of the least value.
    here = information * float(problem(np.repeat(best[:, None], width, axis=1)).value[0])
    schedule = Schedule(
        iterations=_ITERATIONS,
        tolerance=_SETTLED / max(here, _SETTLED),
        patience=_PATIENCE,
        optimiser=_OPTIMISER,
    )
    minimum, value = descend(problem, best[:, None], schedule, log, width)
    starts, fixed = _starts(minimum[:, 0], covariance, grid)
    width = width if width > 1 else lanes(starts.shape[1])
    z, values = descend(problem, starts, schedule, log, width, fixed)
    chi2 = information * values
    return _read_off(problem.space, z, fixed, chi2), here - information * float(value[0])


def _starts(best: np.ndarray, covariance: np.ndarray, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Points `[P, P * 2 * grid + 1]` and which coordinate of each is fixed.

    For each parameter those below and those above; the others begin where a linear model would have
    them. The last is the best point itself, fixed in none, in case it can still gain.
    """
    P = best.size
    z, fixed = [], []
    for k in range(P):
        along = covariance[:, k] / covariance[k, k]
        sd = float(np.clip(np.sqrt(covariance[k, k]), 1e-9, 0.2))
        for sign, reach in ((-1, best[k]), (1, 1 - best[k])):
            for offset in _offsets(sd, reach, grid):
                z.append(np.clip(best + sign * offset * along, 0.0, 1.0))
                fixed.append(np.arange(P) == k)
    z.append(best)
    fixed.append(np.zeros(P, dtype=bool))
    return np.array(z).T, np.array(fixed).T


def _offsets(sd: float, reach: float, n: int) -> np.ndarray:
    """n distances from the best: half of them within 3 sd, the others growing up to `reach`."""
    near = (n + 1) // 2
    if 3 * sd >= reach or n == near:
        return reach * np.arange(1, n + 1) / n
    return np.r_[
        3 * sd * np.arange(1, near + 1) / near, np.geomspace(3 * sd, reach, n - near + 1)[1:]
    ]


def _read_off(
    space: Space, z: np.ndarray, fixed: np.ndarray, chi2: np.ndarray
) -> dict[str, Profile]:
    found = {}
    for k, f in enumerate(space.free):
        mine = np.r_[np.flatnonzero(fixed[k]), -1]
        at, rise = z[k, mine], chi2[mine]
        order = np.argsort(at, kind="stable")
        at, rise = at[order], rise[order] - rise.min()
        low, high = _limit(at[::-1], rise[::-1]), _limit(at, rise)
        ends = [0.0 if low is None else low, 1.0 if high is None else high]
        values = np.asarray(Space((f,)).values(np.r_[at, ends][None])[f.name], dtype=np.float64)
        interval = Interval(float(values[-2]), float(values[-1]), low is None, high is None)
        found[f.name] = Profile(values[:-2], np.where(np.isfinite(rise), rise, np.nan), interval)
    return found


def _limit(at: np.ndarray, rise: np.ndarray) -> float | None:
    """Where a profile, followed from its least on, first passes the limit; None if it never does.

    The root of chi-squared is linear near an optimum, and between values of a profile taken so.
    """
    least = int(rise.argmin())
    at, root = at[least:], np.sqrt(rise[least:])
    beyond = np.flatnonzero(~(root <= np.sqrt(CHI2)))
    if not beyond.size:
        return None
    j = int(beyond[0])
    if not np.isfinite(root[j]):
        return float(at[j - 1])
    part = (np.sqrt(CHI2) - root[j - 1]) / (root[j] - root[j - 1])
    return float(at[j - 1] + part * (at[j] - at[j - 1]))
