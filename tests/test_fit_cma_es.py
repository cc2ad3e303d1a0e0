"""CMA-ES: it finds minima that are narrow, bent, or on a bound, as often as the library does."""

import numpy as np
import pytest

from neurojax.fit.optimisers.cma_es import CmaEs, mirrored

P = 10


def narrow(z):
    """An ellipsoid whose axes are as 1 to 100, turned."""
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((P, P)))
    x = turn @ (z - np.linspace(0.3, 0.7, P)[:, None])
    return (10 ** np.linspace(0, 4, P)[:, None] * x * x).sum(0)


def bent(z):
    """Rosenbrock's valley."""
    x = 4 * z - 2
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum(0)


def cornered(z):
    """Least in a corner of the box."""
    return ((z - 1) ** 2).sum(0)


def by_ours(f, generations, size):
    strategy, best = CmaEs(np.full(P, 0.4), 0.2, size, np.random.default_rng(0)), np.inf
    for _ in range(generations):
        z = strategy.ask()
        assert z.shape == (P, size) and z.min() >= 0 and z.max() <= 1
        best = min(best, f(z).min())
        strategy.tell(np.argsort(f(z)))
    return best


def by_library(f, generations, size):
    import cma  # which imports much: not while tests are collected

    options = {"popsize": size, "bounds": [0.0, 1.0], "seed": 1, "verbose": -9, "verb_log": 0}
    strategy, best = cma.CMAEvolutionStrategy(np.full(P, 0.4), 0.2, options), np.inf
    for _ in range(generations):
        z = strategy.ask()
        errors = f(np.array(z).T)
        best = min(best, errors.min())
        strategy.tell(z, list(errors))
    return best


@pytest.mark.parametrize(("f", "close"), [(narrow, 1e-6), (bent, 3.0), (cornered, 1e-6)])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_it_comes_as_near_as_the_library(f, close):
    ours = by_ours(f, 150, 32)
    assert ours < close
    if f is not cornered:
        assert ours < 10 * by_library(f, 150, 32)


def test_only_ranks_count():
    cubed = by_ours(lambda z: narrow(z) ** 3, 60, 16) ** (1 / 3)
    assert cubed == pytest.approx(by_ours(narrow, 60, 16), rel=1e-6)


def test_what_lies_beyond_a_bound_is_mirrored():
    x = np.array([-0.25, 0.25, 1.0, 1.25, 2.0, 2.5])
    np.testing.assert_allclose(mirrored(x), [0.25, 0.25, 1.0, 0.75, 0.0, 0.5])
