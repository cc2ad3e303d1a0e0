"""Downhill within limits and over residuals that jump: scipy, enumeration and known answers."""

from itertools import product
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scripts
from scipy.optimize import minimize


@pytest.fixture(scope="module")
def descent():
    with scripts.loaded("ionbench_descent") as module, jax.enable_x64(True):
        yield module


def test_whole_numbers_are_those_whose_fit_leaves_least(descent):
    rng = np.random.default_rng(0)
    for _ in range(5):
        J, per = rng.normal(size=(4, 12)), rng.normal(size=(12, 3))
        r = per @ rng.integers(-1, 2, 3) + J.T @ rng.normal(size=4) + 0.5 * rng.normal(size=12)
        left = {}
        for change in product((-1, 0, 1), repeat=3):
            q = r - per @ change
            move = np.linalg.lstsq(J.T, q, rcond=None)[0]
            left[change] = np.linalg.norm(q - J.T @ move)
        assert tuple(descent._whole(r, J, per)) == min(left, key=left.get)


def test_a_jumping_residual_is_no_wall(descent):
    """The last reading is relative to a sample that moves with the parameters."""
    tick, truth, start = 0.1, np.array([0.52, 0.27]), np.array([[0.8, 0.1]])
    per = np.array([[0.0], [0.0], [tick]])

    def readings(z):
        whole = jnp.round(jax.lax.stop_gradient(z[:1] + z[1:]) / tick)
        smooth = jnp.array([0.05 * (z[0] - 2 * z[1]), 0.05 * jnp.exp(z[1]), z[0]])
        return smooth - per @ whole, whole

    def residuals(z):
        found, whole = readings(z)
        return found - readings(jnp.asarray(truth))[0], whole

    limits = descent.Limits(np.concatenate([np.eye(2), -np.eye(2)]), np.array([1.0, 1, 0, 0]))
    step = descent.stepper(residuals, limits, per)
    z = start
    for damping in np.geomspace(1e-2, 1e-9, 8):
        found = step(z, np.full(1, damping))
        z = np.where(found.held[:, None] < found.start[:, None], found.z, z)
    np.testing.assert_allclose(z[0], truth, atol=1e-8)


def test_the_best_point_within_oblique_limits_is_that_of_scipy(descent):
    rng, quadratic = np.random.default_rng(1), jax.jit(descent.quadratic)
    for _ in range(8):
        J, g = rng.normal(size=(5, 9)), 3 * rng.normal(size=5)
        A = J @ J.T
        normals = np.concatenate([np.eye(5), -np.eye(5), rng.normal(size=(4, 5))])
        reach = rng.uniform(0, 1, 14) * (rng.random(14) < 0.8)  # some are reached already
        within = {
            "type": "ineq",
            "fun": lambda s, n=normals, r=reach: r - n @ s,
            "jac": lambda s, n=normals: -n,
        }
        other = minimize(
            lambda s, g=g, A=A: (g @ s + s @ A @ s / 2, g + A @ s), np.zeros(5), jac=True,
            method="SLSQP", constraints=within, options={"ftol": 1e-14, "maxiter": 500},
        )  # fmt: skip
        np.testing.assert_allclose(quadratic(A, g, normals, reach), other.x, atol=1e-6)


def test_a_bent_step_reaches_the_end_of_a_parabolic_valley(descent):
    """Rosenbrock's residuals bend by a constant: a step that knows it ends at the minimum."""

    def residuals(z):
        x, y = 4 * z - 2
        return jnp.array([10 * (y - x**2), 1 - x]), jnp.zeros(0)

    limits = descent.Limits(np.concatenate([np.eye(2), -np.eye(2)]), np.array([1.0, 1, 0, 0]))
    step = descent.stepper(residuals, limits, np.zeros((2, 0)))
    found = step(np.array([[0.675, 0.6]]), np.full(1, 1e-12))
    np.testing.assert_allclose(found.z, [[0.75, 0.75]], atol=1e-8)


def test_limits_are_those_of_the_rates(descent):
    rates = [lambda p, v: p[0] * np.exp(p[1] * v), lambda p, v: p[2] * np.exp(-p[1] * v)]
    bm = SimpleNamespace(
        n_parameters=lambda: 3, ratesBounded=True, RATE_MIN=1e-5, RATE_MAX=1e3,
        V_LOW=-120, V_HIGH=60, _RATE_FUNCTIONS=rates,
    )  # fmt: skip

    def values(z):
        return np.array([np.exp(-16 + 23 * z[0]), 0.4 * z[1], np.exp(-16 + 23 * z[2])])

    limits = descent.limits_of(bm, values)
    found, expected = [], []
    for z in np.random.default_rng(2).random((300, 3)):
        p = values(z)
        fastest = [max(rate(p, bm.V_LOW), rate(p, bm.V_HIGH)) for rate in rates]
        expected.append(all(bm.RATE_MIN <= k <= bm.RATE_MAX for k in fastest))
        found.append((limits.normals @ z <= limits.reach).all())
    assert found == expected and 30 < sum(found) < 270
