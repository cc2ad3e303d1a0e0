"""Derivatives of traced functions: only of what depends on something, each worked out once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.engine.passes.linearize import diagonal, linearize

pytestmark = pytest.mark.smoke

X, Y = jnp.linspace(-1.0, 1.0, 7), jnp.linspace(2.0, 3.0, 7)
COUNT = jnp.arange(7)


def step(x, y, count):
    """Two results of real numbers, one of whole numbers, one that depends on nothing."""
    rate = jnp.exp(x)
    return {"a": rate * y, "b": rate + x, "c": count + 1, "d": jnp.ones_like(y)}


def test_a_push_leaves_out_what_is_zero():
    value, push = linearize(step, X, Y, COUNT)
    np.testing.assert_allclose(value["a"], jnp.exp(X) * Y, rtol=1e-6)
    pushed = push(None, jnp.ones_like(Y), None)
    np.testing.assert_allclose(pushed["a"], jnp.exp(X), rtol=1e-6)
    assert pushed["b"] is pushed["c"] is pushed["d"] is None


def test_slopes_are_those_of_each_entry():
    value, slopes = diagonal(step, X, Y, COUNT)
    np.testing.assert_array_equal(value["c"], COUNT + 1)
    expected = [[jnp.exp(X) * Y, jnp.exp(X), None], [jnp.exp(X) + 1, None, None], *[[None] * 3] * 2]
    for row, wanted in zip(slopes, expected, strict=True):
        for slope, want in zip(row, wanted, strict=True):
            assert (slope is None) == (want is None)
            if want is not None:
                np.testing.assert_allclose(slope, want, rtol=1e-6)


def test_slopes_evaluate_an_exponential_once():
    text = str(jax.make_jaxpr(lambda x, y: diagonal(step, x, y, COUNT))(X, Y))
    assert text.count("exp ") == 1
