"""Steps of stiff schemes: the exponential of the matrix of their rates, from SciPy."""

import dataclasses
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

import neurojax as nj
from neurojax.channels import PurkinjeNaR
from neurojax.engine.passes.jaxpr import equations
from neurojax.membrane.markov import Scheme
from neurojax.membrane.occupancies import ERROR, elimination_order
from neurojax.membrane.rates import Leaf


@nj.pytree
class Ring(Scheme):
    """Three states that a channel goes round for ever, and a slow one beside."""

    g_bar: Leaf = nj.param(1.0, "mS/cm2", 0.0, 10.0)
    states = ("a", "b", "c", "d")
    conducting = {"b": 1.0}
    stiff = True

    def transitions(self, v):
        k = jnp.exp(v / 40)
        ring = {("a", "b"): 200 * k, ("b", "c"): 1 + 0 * v, ("c", "a"): 5 / k}
        return ring | {("b", "a"): 0.1 / k, ("c", "d"): 0.01 * k, ("d", "c"): 0.002 / k}


every_scheme = pytest.mark.parametrize(
    "scheme",
    [
        pytest.param(Ring(), id="ring"),
        pytest.param(PurkinjeNaR(), id="resurgent", marks=pytest.mark.slow),
    ],
)


def matrix_of(scheme, x):
    return np.stack([np.asarray(x[k]) for k in scheme.states], axis=-1)


def step_matrix(scheme, v, dt):
    P = scheme.propagator(jnp.asarray(v), dt)
    return np.stack([matrix_of(scheme, P[k]) for k in scheme.states])


def exact_matrix(scheme, v, dt):
    """exp(dt Q), from the rates alone."""
    Q = np.zeros((len(scheme.states),) * 2)
    for (a, b), rate in scheme.rates(jnp.asarray(v)).items():
        Q[scheme.states.index(a), scheme.states.index(b)] += float(rate)
    return expm(dt * (Q - np.diag(Q.sum(axis=1))))


@every_scheme
def test_a_step_is_the_exponential_of_the_matrix(scheme, x64):
    # At any step: what is fast against it has settled, what is slow has moved by its own rate.
    pairs = list(product((-90.0, -25.0, 40.0), (1e-3, 0.025, 1.0, 100.0)))
    moved = jax.vmap(scheme.propagator)(*jnp.array(pairs).T)
    steps = np.stack([matrix_of(scheme, moved[k]) for k in scheme.states], axis=1)
    for found, (v, dt) in zip(steps, pairs, strict=True):
        # The errors of many states, below 0, are taken from those that are left.
        np.testing.assert_allclose(found, exact_matrix(scheme, v, dt), atol=30 * ERROR)
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-14)
        assert found.min() >= 0


def test_resurgent_current_at_the_default_step(x64):
    # Khaliq et al. 2003: what opens when the blocking particle leaves, after +30 mV.
    scheme, dt = PurkinjeNaR(), 0.025
    x = matrix_of(scheme, scheme.steady_state(jnp.asarray(-90.0)))
    o = scheme.states.index("O")
    for v in (30.0, -60.0, -90.0):
        step, exact = step_matrix(scheme, v, dt), exact_matrix(scheme, v, dt)
        here, there, found, true = x, x, [], []
        for _ in range(400):
            here, there = here @ step, there @ exact
            found.append(here[o])
            true.append(there[o])
        np.testing.assert_allclose(found, true, atol=1e-3 * max(true))
        x = there


@every_scheme
def test_slopes_of_a_step_are_those_of_the_exponential(scheme, x64):
    # In the potential, the temperature scale and the step, where little moves and where much does.
    x = scheme.steady_state(jnp.asarray(-90.0))
    start = matrix_of(scheme, x)

    def after(log_scale, v, dt):
        there = dataclasses.replace(scheme, tau_scale=jnp.exp(log_scale))
        return there.advance(x, v, dt)

    pairs = list(product((-60.0, 20.0), (1e-3, 0.025, 1.0)))
    h = 1e-4

    def of_pairs(function):
        return jax.vmap(function, in_axes=(None, 0, 0))

    ahead, behind = (matrix_of(scheme, of_pairs(after)(s, *jnp.array(pairs).T)) for s in (h, -h))
    for way in (jax.jacfwd, jax.jacrev):
        slopes = of_pairs(way(after, (0, 1)))(0.0, *jnp.array(pairs).T)
        of_scale, of_v = (np.stack([slopes[k][n] for k in scheme.states], axis=-1) for n in (0, 1))
        np.testing.assert_allclose(of_scale, (ahead - behind) / (2 * h), atol=1e-7)
        # What stands for the exponential turns as often as it has terms: its slope is off more.
        for k, (v, dt) in enumerate(pairs):
            later, sooner = (start @ exact_matrix(scheme, v, dt * np.exp(s)) for s in (-h, h))
            np.testing.assert_allclose(of_scale[k], (later - sooner) / (2 * h), atol=100 * ERROR)
            more, less = (start @ exact_matrix(scheme, v + s, dt) for s in (h, -h))
            np.testing.assert_allclose(of_v[k], (more - less) / (2 * h), atol=100 * ERROR)


def test_a_gradient_is_no_larger_a_program_than_the_step():
    # Else it takes minutes to compile: all terms' derivatives did.
    scheme = PurkinjeNaR()
    x = scheme.steady_state(jnp.asarray(-60.0))

    def opened(v):
        return scheme.advance(x, v, 0.025)["O"]

    step, slope = (
        sum(1 for _ in equations(jax.make_jaxpr(f)(-60.0).jaxpr))
        for f in (opened, jax.grad(opened))
    )
    assert slope < step


def test_steady_occupancies_stay_in_float32():
    scheme = PurkinjeNaR()
    x = scheme.steady_state(jnp.asarray(-60.0))
    moved = scheme.advance(x, jnp.asarray(-60.0), 0.025)
    for k in scheme.states:
        np.testing.assert_allclose(moved[k], x[k], rtol=2e-6, atol=1e-9)


def test_ends_of_chains_are_eliminated_first():
    assert elimination_order("abcd", [("a", "b"), ("b", "c"), ("b", "d"), ("d", "b")])[0] == "a"
