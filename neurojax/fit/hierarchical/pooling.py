"""Partial pooling: cells are draws from a population whose mean and spread are estimated.

Each cell's data say where its parameters are, z_c with precision H_c; the population says they lie
around a mean with a spread. A cell whose data determine little is drawn towards the population.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NARROWEST = 1e-5
"""Spread in the unit box below which cells count as alike."""

_SOME = 1e-9
"""A precision in the unit box that tells nothing."""


class Population(NamedTuple):
    """A normal distribution of each pooled parameter, `[k]`, in coordinates of the unit box."""

    mean: np.ndarray
    spread: np.ndarray


def of_pooled(
    H: np.ndarray, g: np.ndarray, z: np.ndarray, pooled: np.ndarray, own: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What the data alone say of pooled parameters: precision `[cell, k, k]`, and it times z.

    From J'J `[P, P, cell]` and half the gradient `[P, cell]` at z. The cells' other own parameters
    are integrated out; the shared ones are taken as known.
    """
    other = own & ~pooled
    Hc, gc = np.moveaxis(H, -1, 0), g.T
    precision, pull = Hc[:, pooled][:, :, pooled], gc[:, pooled]
    if other.any():
        inner = Hc[:, other][:, :, other]
        diagonal = np.einsum("cii->ci", inner)
        ridge = 1e-12 * diagonal + np.finfo(float).tiny
        inner = inner + ridge[..., None] * np.eye(inner.shape[-1])
        across = Hc[:, pooled][:, :, other]
        through = across @ np.linalg.inv(inner)
        precision = precision - through @ np.swapaxes(across, -1, -2)
        pull = pull - (through @ gc[:, other, None])[..., 0]
    at = (precision @ z.T[:, pooled, None])[..., 0] - pull
    return precision, at


def posterior(
    precision: np.ndarray, at: np.ndarray, of: Population
) -> tuple[np.ndarray, np.ndarray]:
    """Mean `[cell, k]` and covariance `[cell, k, k]` of each cell's parameters."""
    prior = 1 / of.spread**2
    covariance = np.linalg.inv(precision + np.diag(prior))
    return (covariance @ (at + prior * of.mean)[..., None])[..., 0], covariance


def estimate(
    precision: np.ndarray, at: np.ndarray, of: Population, rounds: int = 200
) -> Population:
    """Mean and spread of the greatest marginal likelihood, by expectation maximisation.

    Source: Dempster, Laird & Rubin 1977, J R Stat Soc B 39:1.
    """
    for _ in range(rounds):
        mean, covariance = posterior(precision, at, of)
        variance = np.diagonal(covariance, axis1=-2, axis2=-1)
        centre = mean.mean(0)
        spread = np.sqrt(((mean - centre) ** 2 + variance).mean(0))
        new = Population(centre, np.maximum(spread, NARROWEST))
        settled = np.allclose(new.spread, of.spread, rtol=1e-7) and np.allclose(
            new.mean, of.mean, atol=1e-9
        )
        of = new
        if settled:
            break
    return of


def uncertainty(precision: np.ndarray, of: Population, by_shared: np.ndarray) -> Population:
    """Standard errors of the mean and of the spread of a population.

    From the expected information of the marginal likelihood. `precision` `[cell, k, k]` is what
    each cell's own data say, see `of_pooled`; `by_shared` `[cell, k, r]` how far it goes with each
    of r independent numbers of unit variance, which move all cells alike.
    """
    k = precision.shape[-1]
    variance = np.linalg.inv(precision + _SOME * np.eye(k))
    weight = 1 / (np.diagonal(variance, axis1=-2, axis2=-1) + of.spread**2)
    of_mean = 1 / weight.sum(0)
    alike = (weight[..., None] * by_shared).sum(0) * of_mean[:, None]
    of_spread = 1 / (2 * of.spread**2 * weight**2).sum(0)
    return Population(np.sqrt(of_mean + (alike**2).sum(-1)), np.sqrt(of_spread))
