"""Downhill over residuals that jump, against enumeration and known answers."""

import importlib.util
import sys
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

FILE = Path(__file__).resolve().parents[1] / "benchmarks" / "ionbench_descent.py"


@pytest.fixture(scope="module")
def descent():
    spec = importlib.util.spec_from_file_location("ionbench_descent", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    with jax.enable_x64(True):
        yield module
    del sys.modules[spec.name]


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
