"""Relaxations of gates and potential; their means and slopes are in test_rates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.membrane.relaxation import EXACT, GATES, POTENTIAL

RELAXATIONS = {"exact": EXACT, "of gates": GATES, "of the potential": POTENTIAL}


@pytest.mark.parametrize("name", RELAXATIONS)
@pytest.mark.parametrize("double", [False, True])
def test_a_relaxation_goes_monotonically_to_its_end_and_its_lag_is_that_of_its_mean(name, double):
    dtype = np.float64 if double else np.float32
    x = np.geomspace(1e-6, 1e15, 400).astype(dtype)
    with jax.enable_x64(double):
        mean, lag = (np.asarray(f(jnp.asarray(x)), np.float64) for f in RELAXATIONS[name])
    # What is left after a step, to the rounding of the mean: a gate stays between 0 and 1.
    left = 1 - x * mean
    rounding = 4 * np.finfo(dtype).eps
    assert (left > -rounding).all() and (np.diff(left) < rounding).all() and left[-1] < rounding
    late = x > 0.1  # below, 1 - mean has few digits
    # Past 1e6 the numerator is bounded, and the lag 1 / x.
    np.testing.assert_allclose(lag[late], (1 - mean[late]) / x[late], rtol=max(20 * rounding, 1e-6))
    np.testing.assert_allclose(lag[~late][0], 0.5, rtol=1e-5)


def test_the_relaxations_of_a_step_agree_with_the_exponential_to_fourth_order():
    x = np.geomspace(3e-3, 0.1, 20)
    with jax.enable_x64(True):
        for relaxation in (GATES, POTENTIAL):
            off = np.asarray(relaxation.mean(jnp.asarray(x)) - EXACT.mean(jnp.asarray(x)))
            np.testing.assert_allclose(off / x**4, -1 / 120, rtol=0.2)


def test_a_rational_mean_of_a_growing_quantity_is_a_polynomial():
    x = jnp.asarray([-0.5, -3.0])
    np.testing.assert_allclose(POTENTIAL.mean(x), 1 - x / 2 + x**2 / 6 - x**3 / 24, rtol=1e-6)
    np.testing.assert_allclose(POTENTIAL.lag(x), 0.5 - x / 6 + x**2 / 24, rtol=1e-6)
