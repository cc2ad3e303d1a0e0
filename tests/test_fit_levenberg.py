from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from neurojax.fit import levenberg_marquardt


def descend(residual, z, optimiser, iterations):
    """Minimise the squared residual `[R]` of each start with its exact Jacobian."""
    optimiser = optax.with_extra_args_support(optimiser)

    @partial(jax.vmap, in_axes=-1, out_axes=-1)
    def update(gradient, state, z, value, matrix):
        return optimiser.update(gradient, state, z, value=value, matrix=matrix)

    def iteration(carry, _):
        z, state, where, best = carry
        r = jax.vmap(residual, in_axes=1, out_axes=1)(z)
        J = jax.vmap(jax.jacfwd(residual), in_axes=1, out_axes=2)(z)  # [R, P, pop]
        value = (r * r).sum(0)
        where = jnp.where(value < best, z, where)
        best = jnp.where(value < best, value, best)
        gradient = 2 * jnp.einsum("rpn,rn->pn", J, r)
        matrix = jnp.einsum("rpn,rqn->pqn", J, J)
        moves, state = update(gradient, state, z, value, matrix)
        z = z + moves
        return (z, state, where, best), ((z >= 0) & (z <= 1)).all()

    @jax.jit  # one program for all iterations
    def run(z):
        state = jax.vmap(optimiser.init, -1, -1)(z)
        first = (z, state, z, jnp.full(z.shape[1], jnp.inf))
        (_, _, where, best), inside = jax.lax.scan(iteration, first, length=iterations)
        return where, best, inside

    where, best, inside = run(z)
    assert inside.all()
    return where, best


def rosenbrock(z):
    """The banana valley, its minimum at (0.75, 0.625) of the box."""
    x, y = 4 * z[0] - 2, 4 * z[1] - 1.5
    return jnp.stack([10 * (y - x * x), 1 - x])


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.smoke
def test_every_start_gets_out_of_a_curved_valley():
    z = jnp.asarray(np.random.default_rng(0).random((2, 64)))
    where, best = descend(rosenbrock, z, levenberg_marquardt(), 80)
    assert (best < 1e-16).all()
    np.testing.assert_allclose(where, np.tile([[0.75], [0.625]], 64), atol=1e-8)


def test_a_linear_problem_is_solved_in_a_few_steps():
    A = jnp.asarray(np.random.default_rng(1).normal(size=(6, 3)))
    truth = jnp.array([0.2, 0.5, 0.9])
    where, _ = descend(lambda z: A @ (z - truth), jnp.full((3, 1), 0.4), levenberg_marquardt(), 10)
    np.testing.assert_allclose(where[:, 0], truth, atol=1e-8)


def test_a_minimum_outside_the_box_ends_on_its_face():
    A = jnp.asarray(np.random.default_rng(2).normal(size=(8, 3)))
    target = A @ jnp.array([1.6, 0.3, -0.4])
    z = jnp.full((3, 1), 0.5)
    where, best = descend(lambda z: A @ z - target, z, levenberg_marquardt(), 60)
    # Against the bounded linear solver of scipy.
    from scipy.optimize import lsq_linear

    exact = lsq_linear(np.asarray(A), np.asarray(target), bounds=(0, 1), tol=1e-14)
    assert float(best[0]) == pytest.approx(2 * exact.cost, rel=1e-6)
    np.testing.assert_allclose(where[:, 0], exact.x, atol=1e-5)


def test_a_start_that_is_not_finite_stays_put_and_harms_no_other():
    def residual(z):
        return jnp.where(z[0] > 0.9, jnp.nan, 1.0) * (z - 0.3)

    z = jnp.array([[0.95, 0.5], [0.5, 0.6]])
    where, best = descend(residual, z, levenberg_marquardt(), 20)
    assert np.isinf(best[0])
    assert best[1] < 1e-16
    np.testing.assert_allclose(where[:, 0], z[:, 0])


def test_an_undetermined_direction_does_not_stop_the_others():
    where, best = descend(
        lambda z: jnp.stack([z[0] - 0.7, 0.0 * z[1]]),
        jnp.full((2, 1), 0.2),
        levenberg_marquardt(),
        20,
    )
    assert best[0] < 1e-16
    assert where[1, 0] == pytest.approx(0.2)


def test_steps_that_were_cut_short_or_undone_are_counted():
    """From (0, 0) to 1 on a line: more than the radius away, then a point that is worse."""
    optimiser = optax.with_extra_args_support(levenberg_marquardt(damping=0.0, radius=0.25))
    z, update = jnp.zeros(1), jax.jit(optimiser.update)
    state: Any = optimiser.init(z)
    for value, slope in ((1.0, -2.0), (2.0, -2.0), (jnp.nan, -2.0), (0.5, -0.02)):
        g, matrix = jnp.array([slope]), jnp.ones((1, 1))
        _, state = update(g, state, z, value=jnp.asarray(value), matrix=matrix)
    assert (int(state.rejected), int(state.clipped)) == (2, 3)
    assert float(state.value) == 0.5


def test_residuals_that_remain_and_curve_do_not_make_it_creep():
    """Where u + w = 0 the Hessian is 2.2 times J'J, so that Gauss-Newton overshoots for ever.

    A damping that holds it back stops u - w, which the residuals hardly determine.
    """

    def residual(z):
        u, w = z[0] - 0.4, z[1] - 0.3
        left = jnp.sqrt(1.2) * (1 + (u + w) ** 2 / 2)
        return jnp.stack([u + w, left, 0.03 * (u - w)])

    z = jnp.asarray(np.random.default_rng(3).random((2, 16)))
    where, best = descend(residual, z, levenberg_marquardt(damping=1e-3), 30)
    np.testing.assert_allclose(best, 1.2, rtol=1e-12)
    np.testing.assert_allclose(where, np.tile([[0.4], [0.3]], 16), atol=1e-6)


def test_many_starts_on_the_host_go_as_each_in_a_program():
    optimiser = optax.with_extra_args_support(levenberg_marquardt(damping=0.1))
    z = np.random.default_rng(4).random((6, 2))
    z[0, 0] = 0.0  # at a bound
    on_host, in_program = z, jnp.asarray(z)
    host_state: Any = optimiser.init(on_host)
    state: Any = jax.vmap(optimiser.init)(in_program)

    @jax.jit
    def found(z):
        J = jax.vmap(jax.jacfwd(rosenbrock))(z)
        r = jax.vmap(rosenbrock)(z)
        value = jnp.where(jnp.arange(6) == 5, jnp.nan, (r * r).sum(-1))  # the last one is lost
        return 2 * jnp.einsum("nrp,nr->np", J, r), value, jnp.einsum("nrp,nrq->npq", J, J)

    def update(gradient, state, z, value, matrix):
        return optimiser.update(gradient, state, z, value=value, matrix=matrix)

    many = jax.jit(jax.vmap(update))
    for _ in range(8):
        gradient, value, matrix = map(np.asarray, found(jnp.asarray(on_host)))
        with np.errstate(all="ignore"):
            moves, host_state = update(gradient, host_state, on_host, value, matrix)
        on_host = on_host + moves
        gradient, value, matrix = found(in_program)
        moves, state = many(gradient, state, in_program, value, matrix)
        in_program = in_program + moves
    assert isinstance(on_host, np.ndarray)
    np.testing.assert_allclose(on_host, in_program, rtol=1e-6)
    np.testing.assert_array_equal(host_state.rejected, state.rejected)
    np.testing.assert_array_equal(on_host[5], z[5])
