"""Gating and relaxation against 60-digit arithmetic, beside and on singular points."""

from decimal import Decimal, getcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.membrane.rates import (
    exp_linear,
    exprel,
    from_inf,
    from_rates,
    from_tau,
    sigmoid,
)
from neurojax.membrane.relaxation import rational, relax_mean

getcontext().prec = 60
ONE = Decimal(1)


def exact_exp_linear(x):
    return x / (ONE - (-x).exp()) if x else ONE


def exact_exprel(x):
    return (x.exp() - ONE) / x if x else ONE


def exact_relax_mean(x):
    return (ONE - (-x).exp()) / x if x else ONE


def of_rational(third, fourth):
    """The mean of y = 1 / (1 + x + x^2 / 2 + third x^3 + ...), or its polynomial, and its slope."""
    c, d = Decimal(third), Decimal(fourth)

    def exact(x):
        if x <= 0:
            return ONE - x / 2 + c * x * x - d * x**3
        return (ONE - ONE / (ONE + x + x * x / 2 + c * x**3 + d * x**4)) / x

    def slope(x):
        if x <= 0:
            return 2 * c * x - ONE / 2 - 3 * d * x * x
        y = ONE / (ONE + x + x * x / 2 + c * x**3 + d * x**4)
        return y * y * (ONE + x + 3 * c * x * x + 4 * d * x**3) / x - exact(x) / x

    return rational(third, fourth, grows=True).mean, exact, slope, 0.1, 1e9


def slope_exp_linear(x):
    if not x:
        return ONE / 2
    e = (-x).exp()
    return (ONE - e - x * e) / (ONE - e) ** 2


def slope_exprel(x):
    return (x * x.exp() - x.exp() + ONE) / (x * x) if x else ONE / 2


def slope_relax_mean(x):
    return ((-x).exp() * (ONE + x) - ONE) / (x * x) if x else -ONE / 2


# function, exact value, exact slope, radius of its series, largest |x| of interest
FUNCTIONS = {
    "exp_linear": (exp_linear, exact_exp_linear, slope_exp_linear, 0.1, 60.0),
    "exprel": (exprel, exact_exprel, slope_exprel, 0.1, 60.0),
    "relax_mean": (relax_mean, exact_relax_mean, slope_relax_mean, 0.3, 1e9),
    "rational": of_rational(1 / 6, 1 / 24),
    "rational of a third": of_rational(1 / 3, 0.0),
}


def points(radius, far, dtype):
    """Zero, either side of it and of the switch to the series, and far away."""
    edges = [np.nextafter(dtype(radius), dtype(k)) for k in (0.0, 1.0)]
    small = [10.0**-k for k in range(1, 13)]
    x = np.array([*edges, radius, *small, *np.geomspace(1e-3, far, 60)], dtype=dtype)
    return np.unique(np.concatenate([-x, [0], x]))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    ("double", "rtol", "rtol_slope"), [(False, 2e-6, 5e-5), (True, 1e-13, 5e-12)]
)
def test_value_and_slope(name, double, rtol, rtol_slope):
    f, exact, slope, radius, far = FUNCTIONS[name]
    dtype = np.float64 if double else np.float32
    x = points(radius, far, dtype)
    # Time does not run backwards; a slope conductance may be negative, but a step is short.
    x = x[x >= (-1 if name.startswith("r") else -np.inf)]
    with jax.enable_x64(double):
        value, derivative = map(np.asarray, jax.jit(jax.vmap(jax.value_and_grad(f)))(x))
    assert value.dtype == derivative.dtype == dtype
    # The exponential of x carries x's own rounding: a relative error of eps * |x|.
    rounding = 2 * np.finfo(dtype).eps * np.abs(x)
    for got, exactly, tolerance in ((value, exact, rtol), (derivative, slope, rtol_slope)):
        want = np.array([float(exactly(Decimal(float(a)))) for a in x])
        # Slopes below 1e-18 may underflow on the way.
        error = np.maximum(np.abs(got - want) - 1e-18, 0) / (np.abs(want) + 1e-300)
        worst = np.argmax(error - rounding)
        assert error[worst] <= tolerance + rounding[worst], f"x = {x[worst]!r}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivative_is_finite(name):
    f, _, _, radius, _ = FUNCTIONS[name]
    x = points(radius, 30.0, np.float32)
    x = x[x >= -1] if name.startswith("r") else x
    assert np.isfinite(jax.jit(jax.vmap(jax.grad(jax.grad(f))))(x)).all()


def test_exp_linear_far_below_is_zero_without_overflow():
    x = jnp.array([-80.0, -100.0, -1000.0, -1e30])
    value, slope = exp_linear(x), jax.vmap(jax.grad(exp_linear))(x)
    assert np.isfinite(value).all() and np.isfinite(slope).all()
    assert np.abs(value).max() < 1e-4


@pytest.mark.parametrize("x", [-1e30, -1e4, -89.0, 0.0, 89.0, 1e4, 1e30])
def test_sigmoid_saturates(x):
    value, slope = jax.value_and_grad(sigmoid)(x)
    assert np.isfinite(slope) and 0 <= value <= 1
    assert value == pytest.approx(0.5 if x == 0 else float(x > 0), abs=1e-7)


def test_gating_from_rates_from_inf_and_from_tau():
    one_to_three = from_rates(jnp.asarray(3.0), jnp.asarray(1.0))
    approached = from_inf(jnp.asarray(0.75), jnp.asarray(4.0))
    timed = from_tau(jnp.asarray(0.75), jnp.asarray(0.25))
    for g in (one_to_three, approached, timed, timed.faster(2.0).faster(0.5)):
        assert (float(g.inf), float(g.rate), float(g.opening)) == (0.75, 4.0, 3.0)
