"""Materialising: the same values, each costly shared one computed once, kept apart by XLA."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.engine.passes.materialise import materialised

pytestmark = pytest.mark.smoke

X = jnp.linspace(0.1, 2.0, 256)


def shared(x, y):
    """A costly value with three users, and a cheap one."""
    costly = jnp.exp(x) * x + jnp.tanh(x)
    cheap = x + 1
    return {"a": costly * y, "b": costly + cheap, "c": (costly - y) * cheap}


def test_values_and_structure_are_kept():
    got = jax.jit(lambda x, y, t: materialised(shared, t)(x, y))(X, 2 * X, True)
    for name, want in jax.jit(shared)(X, 2 * X).items():
        np.testing.assert_allclose(got[name], want, rtol=1e-6)


def test_what_is_computed_once_is_in_a_conditional():
    def text(f):
        return jax.jit(f).lower(X, X, True).compile().as_text()

    apart = text(lambda x, y, t: materialised(shared, t)(x, y))
    assert len(re.findall(r" conditional\(", apart)) == 1
    assert len(re.findall(r" exponential\(", apart)) == 1


def test_outputs_that_are_inputs_or_numbers_pass_through():
    def f(x):
        return x, 3.0, x * 2

    a, b, c = jax.jit(lambda x, t: materialised(f, t)(x))(X, True)
    np.testing.assert_array_equal(a, X)
    assert float(b) == 3.0
    np.testing.assert_array_equal(c, 2 * X)


def test_it_can_be_mapped():
    f = jax.vmap(lambda x, y: materialised(shared, jnp.asarray(True))(x, y))
    for name, got in f(X, X).items():
        np.testing.assert_allclose(got, shared(X, X)[name], rtol=1e-6)
