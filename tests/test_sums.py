"""Sums over a million records of single precision against double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidLeak
from neurojax.engine import adjoint, scan, tangent
from neurojax.membrane.path_names import substitute
from neurojax.membrane.sums import zero_sum

RECORDS = 1_000_000
RNG = np.random.default_rng(1)
ROWS = RNG.uniform(0.5, 1.5, (RECORDS, 2)).astype(np.float32)
R = ROWS.sum(1)  # as float32 has it
DRIVE = nj.current_clamp(np.zeros(RECORDS, np.float32))
LEAK = nj.Cell(channels={"leak": SquidLeak()})


@nj.pytree
class Line(nj.Squares):
    """A residual that is linear in two parameters, and exact: area row_0 + C_m row_1."""

    def residual(self, cell, s, row):
        return (cell.area * row[0] + cell.C_m * row[1] + 0.0 * s.v)[None]


def build(theta):
    cell = substitute(LEAK, theta)
    return cell, nj.steady_state(cell, -60.0)


def off(found, exact):
    """The largest relative error."""
    return float(np.max(np.abs(np.asarray(found, np.float64) / exact - 1)))


def naive(terms):
    """The sum of float32 terms one after the other."""
    return np.cumsum(terms, axis=0, dtype=np.float32)[-1]


def exact():
    """Value, gradient and matrix in float64."""
    r, J = R.astype(float), ROWS.astype(float)
    return (r * r).sum(), 2 * J.T @ r, J.T @ J


def test_a_sum_loses_nothing():
    """Neither at once nor compiled: no compiler reorders it."""
    terms = np.concatenate([R * R, [np.float32(1e-3)] * 10])

    def add(total, term):
        return total.plus(term), None

    total = jax.jit(lambda terms: jax.lax.scan(add, zero_sum((), jnp.float32), terms)[0].value())
    assert off(total(terms), terms.astype(float).sum()) < 1e-7
    assert off(naive(terms), terms.astype(float).sum()) > 3e-6


@pytest.mark.parametrize("engine", [tangent, adjoint])
def test_sums_of_squares_lose_nothing(engine):
    theta = {"area": jnp.float32(1.0), "C_m": jnp.float32(1.0)}
    run = jax.jit(
        lambda area, C_m: engine.run(
            build, {"area": area, "C_m": C_m}, DRIVE, 0.025, Line(data=ROWS)
        )
    )
    found = run(**theta)
    value, gradient, matrix = exact()
    assert found.value.dtype == jnp.float32
    assert off(found.value, value) < 3e-7
    assert off(found.gradient, gradient) < 1e-6
    if found.matrix is not None:
        assert off(found.matrix, matrix) < 1e-6
    assert off(naive(R * R), value) > 3e-6
    assert off(naive(2 * ROWS * R[:, None]), gradient) > 3e-6
    assert off(naive(ROWS[:, :, None] * ROWS[:, None]), matrix) > 3e-6


def test_values_and_means_of_a_run_lose_nothing():
    cell, s = build({})
    value = jax.jit(lambda: scan.value(cell, s, DRIVE, 0.025, Line(data=ROWS)))()
    assert off(value, exact()[0]) < 3e-7
