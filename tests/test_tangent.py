"""Forward sensitivities against the derivatives of the reference engine, and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import (
    CortexCaT,
    CortexKm,
    CortexLeak,
    HergKr,
    SquidK,
    SquidLeak,
    SquidNa,
)
from neurojax.engine import scan, tangent
from neurojax.membrane.compartment import ionic_current
from neurojax.membrane.electrode import nudged
from neurojax.membrane.path_names import substitute

DT = 0.05
N = 300
T = (np.arange(N) + 1) * DT


def squid():
    cell = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}, celsius=8.0)
    return nj.replace(cell, {"area": 0.8})


def herg():
    return nj.Cell(channels={"kr": HergKr()}, area=2e-5)


def thalamic():
    # An instantaneous gate, an adapting one, a temperature.
    channels = {"t": CortexCaT(), "m": CortexKm(), "leak": CortexLeak(g_bar=0.05, E_rev=-65.0)}
    return nj.Cell(channels=channels, celsius=30.0)


SPIKE = nj.current_clamp(nj.steps(12.0, start=1.0, stop=8.0, duration=N * DT, dt=DT))
DATA = -60 + 20 * np.sin(T)
SWEEP = -20 + 60 * np.sin(0.5 * T) + 20 * np.sin(2.3 * T)

# cell, electrode, first state, what is compared with the data
CASES = {
    "current clamp from rest": (squid, SPIKE, nj.at_rest, "v"),
    "current clamp from -70 mV": (squid, SPIKE, lambda cell: nj.steady_state(cell, -70.0), "v"),
    "nudged": (squid, nudged(SPIKE, DATA, 2.0), nj.at_rest, "v"),
    "instantaneous gate": (thalamic, SPIKE, nj.at_rest, "v"),
    "ideal voltage clamp": (
        herg,
        nj.voltage_clamp(SWEEP),
        lambda cell: nj.steady_state(cell, -80.0),
        "i_ion",
    ),
    "series resistance": (
        squid,
        nj.voltage_clamp(SWEEP, R_s_MOhm=2e-4),
        lambda cell: nj.steady_state(cell, -80.0),
        "i_ion",
    ),
}


@nj.pytree
class Error(nj.Squares):
    """The error of the potential or of the ionic current, weighted."""

    what: str = nj.static("v")

    def look(self, cell, s):
        return s.v if self.what == "v" else ionic_current(cell, s.v, s.x, s.c) / 10

    def residual(self, cell, s, row):
        return ((self.look(cell, s) - row) / 30)[None]


def problem(case, every):
    """The same sum of squares for both engines: a fold, and all residuals at once."""
    make, electrode, initial, what = CASES[case]
    cell = make()
    # In the order in which jit passes a dict on.
    theta = {k: jnp.asarray(float(x)) for k, (x, _) in sorted(nj.parameters(cell).items())}
    targets = jnp.asarray(np.interp(T[every - 1 :: every], T, DATA))

    error = Error(what=what, data=targets)

    def build(theta):
        made = substitute(cell, theta)
        return made, initial(made)

    def residuals(theta):
        _, seen, _ = scan.run(*build(theta), electrode, DT, error.look, every)
        return (seen - targets) / 30

    return build, theta, electrode, error, residuals


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "every"), [*((case, 7) for case in CASES), ("current clamp from -70 mV", 1)]
)
def test_fold_is_that_of_the_scan(case, every, x64):
    build, theta, electrode, error, residuals = problem(case, every)
    fold = jax.jit(lambda theta: tangent.run(build, theta, electrode, DT, error, every))(theta)

    def twice(theta):
        r = residuals(theta)
        return r, r

    J, r = jax.jit(jax.jacfwd(twice, has_aux=True))(theta)
    r, J = np.asarray(r), np.stack([np.asarray(J[name]) for name in theta])
    assert float(fold.value) == pytest.approx((r * r).sum(), rel=1e-10)
    # Parameters differ by many orders: compare each on its own scale.
    # Below the floor is rounding: an ideal clamp leaves C_m and the area no effect.
    size = np.sqrt((J * J).sum(1)) + 1e-8
    np.testing.assert_allclose(
        fold.gradient / size, 2 * J @ r / size, atol=1e-9 * np.sqrt((r * r).sum())
    )
    np.testing.assert_allclose(
        fold.matrix / np.outer(size, size), J @ J.T / np.outer(size, size), atol=1e-9
    )


@pytest.mark.slow
@pytest.mark.parametrize("case", ["nudged", "series resistance"])
def test_gradient_is_that_of_reverse_mode(case, x64):
    build, theta, electrode, error, residuals = problem(case, 7)
    fold = tangent.run(build, theta, electrode, DT, error, 7)
    reverse = jax.jit(jax.grad(lambda theta: (residuals(theta) ** 2).sum()))(theta)
    scale = max(abs(float(g)) for g in reverse.values())
    for k, name in enumerate(theta):
        want = pytest.approx(float(reverse[name]), rel=1e-8, abs=1e-11 * scale)
        assert float(fold.gradient[k]) == want, name


@pytest.mark.parametrize("case", ["current clamp from rest", "ideal voltage clamp"])
def test_gradient_is_that_of_central_differences(case, x64):
    build, theta, electrode, error, residuals = problem(case, 5)
    fold = tangent.run(build, theta, electrode, DT, error, 5)
    value = jax.jit(lambda theta: (residuals(theta) ** 2).sum())
    for k, name in enumerate(theta):
        h = 1e-5 * max(abs(float(theta[name])), 1e-2 if name.endswith("v_shift") else 0.0)
        up, down = (float(value(theta | {name: theta[name] + s * h})) for s in (1, -1))
        slope = (up - down) / (2 * h)
        noise = 1e-11 * abs(up) / h
        assert float(fold.gradient[k]) == pytest.approx(slope, rel=2e-5, abs=noise), name


@pytest.mark.slow
def test_a_parameter_without_effect_has_no_gradient(x64):
    build, theta, electrode, error, _ = problem("current clamp from rest", 5)
    fold = tangent.run(build, theta, electrode, DT, error, 5)
    k = list(theta).index("leak.v_shift")
    assert float(fold.gradient[k]) == 0 and not np.any(fold.matrix[k])


@pytest.mark.slow
def test_a_population_has_a_fold_per_cell():
    build, theta, electrode, error, _ = problem("current clamp from rest", 5)
    theta = {k: theta[k] for k in ("na.g_bar", "k.g_bar")}
    pop = {k: x * jnp.array([0.9, 1.0, 1.1]) for k, x in theta.items()}
    together = tangent.run(build, pop, electrode, DT, Error(data=error.data[:, None]), 5)
    assert together.value.shape == (3,)
    assert together.gradient.shape == (2, 3) and together.matrix.shape == (2, 2, 3)
    for j in range(3):
        one = {k: x[j] for k, x in pop.items()}
        alone = tangent.run(build, one, electrode, DT, error, 5)
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a[..., j], b, rtol=2e-3)


@pytest.mark.slow
def test_single_precision_is_near_double():
    folds = []
    for double in (False, True):
        with jax.enable_x64(double):
            build, theta, electrode, error, _ = problem("nudged", 5)
            fold = tangent.run(build, theta, electrode, DT, error, 5)
            folds.append(jax.tree.map(np.asarray, fold))
    single, double = folds
    assert single.gradient.dtype == np.float32 and double.gradient.dtype == np.float64
    np.testing.assert_allclose(single.value, double.value, rtol=1e-4)
    scale = np.sqrt(np.diagonal(double.matrix) * double.value) + 1e-12
    np.testing.assert_allclose(single.gradient / scale, double.gradient / scale, atol=1e-4)


def test_memory_does_not_grow_with_time():
    # The loop's carry holds one state and one tangent for each parameter, never a trajectory.
    build, theta, *_ = problem("current clamp from -70 mV", 1)
    theta = {name: theta[name] for name in ("na.g_bar", "k.v_shift")}

    def temporary(n):
        electrode = nj.current_clamp(jnp.zeros(n))
        compiled = (
            jax.jit(
                lambda theta, targets: tangent.run(
                    build, theta, electrode, DT, Error(data=targets), n // 256
                )
            )
            .lower(theta, jnp.zeros(256))
            .compile()
        )
        return compiled.memory_analysis().temp_size_in_bytes - 4 * n  # the stimulus itself

    assert temporary(256 * 64) < 2 * temporary(256) + 4 * 256 * 64


def test_a_derivative_is_kept_apart_by_a_jit_that_knows_dt():
    """XLA:CPU computes shared values once only where it cannot know that a condition holds."""
    error = nj.VoltageError(data=nj.Target(np.full(4, -60.0), np.ones(4)))

    def slope(g):
        cell = nj.replace(squid(), {"na.g_bar": g})
        told = {"of": error, "wrt": ["na.g_bar"], "every": 2, "initial": -65.0}
        return nj.gradient(cell, nj.current_clamp(np.full(8, 5.0)), DT, **told).gradient

    program = jax.jit(slope).lower(np.full(16, 100.0, np.float32)).compile()
    assert "conditional(" in program.as_text()
