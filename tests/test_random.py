"""Random numbers from counters: the cipher's published answers, and distributions against scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32
from scipy import stats

from neurojax.membrane.random import (
    FEW,
    binomial,
    normal,
    threefry,
    uniform,
)

pytestmark = pytest.mark.smoke

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("key", "counter", "answer"),
    [
        ((0, 0), (0, 0), (0x9D1C5EC6, 0x8BD50731)),
        ((ONES, ONES), (ONES, ONES), (0xFD36D048, 0x2D17272C)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xBA3E4725, 0xF27D669E)),
    ],
)
def test_the_cipher_gives_its_known_answers(key, counter, answer):
    # Those of the Random123 distribution, for 13 rounds.
    words = threefry(*(tuple(np.uint32(w) for w in pair) for pair in (key, counter)))
    assert tuple(map(int, words)) == answer


def test_the_cipher_of_20_rounds_is_that_of_jax():
    key, counter = np.random.default_rng(0).integers(0, ONES, (2, 2), dtype=np.uint32)
    ours = jnp.stack(threefry(tuple(key), tuple(counter), rounds=20))
    np.testing.assert_array_equal(ours, threefry_2x32(jnp.asarray(key), jnp.asarray(counter)))


def uniforms(n):
    words = threefry((np.uint32(7), np.uint32(1)), (jnp.arange(n, dtype=jnp.uint32), np.uint32(2)))
    return [np.asarray(uniform(w, jnp.float32), np.float64) for w in words]


def test_uniform_numbers_are_uniform_and_independent():
    u, w = uniforms(100_000)
    assert u.min() > 0 and u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 1e-3 and stats.kstest(w, "uniform").pvalue > 1e-3
    cells = np.histogram2d(u, w, 10, ((0, 1), (0, 1)))[0].ravel()
    neighbours = np.histogram2d(u[1:], u[:-1], 10, ((0, 1), (0, 1)))[0].ravel()
    assert stats.chisquare(cells).pvalue > 1e-3 and stats.chisquare(neighbours).pvalue > 1e-3
    edges = uniform(jnp.asarray([0, ONES], jnp.uint32), jnp.float32)
    assert 0 < edges[0] < 1e-9 and 1 - 1e-6 < edges[1] < 1


def test_normal_is_the_quantile():
    u = np.concatenate([np.geomspace(2.0**-33, 0.5, 200), 1 - np.geomspace(1e-3, 0.5, 50)])
    u = u.astype(np.float32)
    found, exact = normal(jnp.asarray(u)), stats.norm.ppf(u.astype(np.float64))
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-6)
    # The function is smooth enough for derivatives to pass.
    slope = jax.vmap(jax.grad(normal))(jnp.asarray([0.1, 0.5, 0.8]))
    np.testing.assert_allclose(
        slope, 1 / stats.norm.pdf(stats.norm.ppf([0.1, 0.5, 0.8])), rtol=1e-3
    )


@jax.jit
def binomials(n, p, u):
    return binomial(jnp.full_like(u, n), jnp.full_like(u, p), u, normal(u))


# (n, p), from a single channel to a squid patch in which it is all the same
CASES = [(1, 1e-4), (1, 0.3), (3, 0.9), (24, 0.5), (60, 0.1), (300, 0.02), (100_000, 5e-5)]
MANY = [(28, 0.5), (70, 0.1), (60_100, 1e-4), (1000, 0.01), (40, 0.7), (2000, 0.4)]


@pytest.mark.parametrize(("n", "p"), CASES + MANY)
def test_binomial_numbers_are_the_quantiles_of_their_distribution(n, p):
    # Over a fine grid of u the numbers have their distribution, without a sampling error.
    m = 1 << 18
    u = (jnp.arange(m) + 0.5) / m
    k = np.asarray(binomials(float(n), p, u)).astype(int)
    share = np.bincount(k, minlength=n + 1) / m
    exact = stats.binom(n, float(np.float32(p)))
    distance = 0.5 * np.abs(share[: n + 1] - exact.pmf(np.arange(n + 1))).sum()
    few = n * p * (1 - p) <= FEW
    assert k.min() >= 0 and k.max() <= n
    # A grid of m points can be half a point off at every number.
    assert distance < (1e-5 if few else 1.3e-3) + 0.5 * len(np.unique(k)) / m
    np.testing.assert_allclose(k.mean(), n * p, rtol=3e-5, atol=1 / m)
    np.testing.assert_allclose(k.var(), exact.var(), rtol=3e-4, atol=1 / m)


def test_rare_events_keep_their_rate():
    # One channel in a step of 25 us and a rate of 4 per second: 1e-4 of the steps.
    u = jnp.asarray([0.9e-4, 1.1e-4, 2.0**-33])
    np.testing.assert_array_equal(binomials(1.0, 1e-4, u), [1, 0, 1])
    np.testing.assert_array_equal(binomials(5.0, 0.0, u), [0, 0, 0])
    np.testing.assert_array_equal(binomials(5.0, 1.0, u), [5, 5, 5])
    np.testing.assert_array_equal(binomials(0.0, 0.5, u), [0, 0, 0])


@pytest.mark.parametrize(("n", "p"), [(12, 0.3), (3000, 0.01)])
def test_drawn_numbers_pass_a_chi_square(n, p):
    u, _ = uniforms(100_000)
    k = np.asarray(binomials(float(n), p, jnp.asarray(u, jnp.float32))).astype(int)
    expected = stats.binom.pmf(np.arange(n + 1), n, p) * len(u)
    common = expected > 20
    observed = np.bincount(k, minlength=n + 1)[common]
    scaled = expected[common] * observed.sum() / expected[common].sum()
    assert stats.chisquare(observed, scaled).pvalue > 1e-3
