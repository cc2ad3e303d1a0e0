"""CMA-ES: a normal distribution of points that learns from their ranks where good ones lie."""

from __future__ import annotations

import numpy as np


class CmaEs:
    """The evolution strategy with covariance matrix adaptation, in the unit box.

    `ask()` gives a generation of points z `[P, size]`; `tell(order)` says which were good, by their
    places from the best to the worst. The worse half counts against its directions (active CMA).
    Points beyond a bound are mirrored into the box. A whole generation is a few products of
    matrices: where 256 cells take 0.1 s, libraries that go from point to point take a third of it.

    Source: Hansen 2016, The CMA evolution strategy: a tutorial, arXiv:1604.00772.
    """

    def __init__(self, x0: np.ndarray, sigma: float, size: int, rng: np.random.Generator):
        P = len(x0)
        self.size, self.sigma, self.rng = size, sigma, rng
        self.mean, self.C = np.array(x0, float), np.eye(P)
        self.axes, self.lengths = np.eye(P), np.ones(P)  # of C: eigenvectors, roots of eigenvalues
        self.path_sigma, self.path_c = np.zeros(P), np.zeros(P)
        self.generation = 0
        self.expected = np.sqrt(P) * (1 - 1 / (4 * P) + 1 / (21 * P * P))  # length of N(0, I)

        w = np.log((size + 1) / 2) - np.log(np.arange(1, size + 1))
        good, bad = np.maximum(w, 0), np.maximum(-w, 0)
        self.parents = int((w > 0).sum())
        self.mu = mu = good.sum() ** 2 / (good**2).sum()  # variance effective selection mass
        mu_bad = bad.sum() ** 2 / (bad**2).sum()
        self.rate_path = (4 + mu / P) / (P + 4 + 2 * mu / P)
        self.rate_one = 2 / ((P + 1.3) ** 2 + mu)
        self.rate_mu = min(1 - self.rate_one, 2 * (0.25 + mu + 1 / mu - 2) / ((P + 2) ** 2 + mu))
        self.rate_sigma = (mu + 2) / (P + mu + 5)
        self.damping = 1 + 2 * max(0.0, np.sqrt((mu - 1) / (P + 1)) - 1) + self.rate_sigma
        against = min(
            1 + self.rate_one / self.rate_mu,
            1 + 2 * mu_bad / (mu + 2),
            (1 - self.rate_one - self.rate_mu) / (P * self.rate_mu),
        )
        self.weights = good / good.sum() - against * bad / bad.sum()

    def ask(self) -> np.ndarray:
        """A generation of points `[P, size]` in [0, 1]."""
        self.normal = self.rng.standard_normal((len(self.mean), self.size))
        self.steps = self.axes @ (self.lengths[:, None] * self.normal)
        return mirrored(self.mean[:, None] + self.sigma * self.steps)

    def tell(self, order: np.ndarray) -> None:
        """Learn from the places of the points asked for last, from the best to the worst."""
        P, w = len(self.mean), self.weights
        y, normal = self.steps[:, order], self.normal[:, order]
        self.generation += 1
        good = w[: self.parents]
        step = y[:, : self.parents] @ good
        self.mean = self.mean + self.sigma * step  # in the endless space of mirrored boxes

        slow, white = self.rate_sigma, self.axes @ (normal[:, : self.parents] @ good)
        self.path_sigma = (1 - slow) * self.path_sigma + np.sqrt(
            slow * (2 - slow) * self.mu
        ) * white
        length = np.sqrt(self.path_sigma @ self.path_sigma)
        settled = np.sqrt(1 - (1 - slow) ** (2 * self.generation))
        moves = float(length / settled < (1.4 + 2 / (P + 1)) * self.expected)
        slow = self.rate_path
        self.path_c = (1 - slow) * self.path_c + moves * np.sqrt(slow * (2 - slow) * self.mu) * step
        # What was bad counts by its direction alone, not by how far it lay.
        each = np.where(w >= 0, w, w * P / np.maximum((normal * normal).sum(0), 1e-12))
        kept = 1 - self.rate_one * (1 - (1 - moves) * slow * (2 - slow)) - self.rate_mu * w.sum()
        self.C = (
            kept * self.C
            + self.rate_one * np.outer(self.path_c, self.path_c)
            + self.rate_mu * (each * y) @ y.T
        )
        self.sigma *= float(np.exp(self.rate_sigma / self.damping * (length / self.expected - 1)))
        self.sigma = min(self.sigma, 1.0)  # of the box: farther points are mirrored anyway
        values, self.axes = np.linalg.eigh((self.C + self.C.T) / 2)
        self.lengths = np.sqrt(np.maximum(values, 1e-20))


def mirrored(x: np.ndarray) -> np.ndarray:
    """Any numbers as points of [0, 1], at whose ends the axis is folded back."""
    folded = np.mod(x, 2.0)
    return np.minimum(folded, 2.0 - folded)
