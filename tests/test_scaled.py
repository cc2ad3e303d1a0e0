"""A stimulus of one shape and an amplitude for each cell: the numbers of a dense one, no array."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_cells import passive, squid

import neurojax as nj

DT, N = 0.025, 60
SHAPE = np.sin(0.1 * np.arange(N))
STEP = (np.arange(N) > 20) * 1.0
SIZES = np.linspace(0.0, 3.0, 5)


def run(electrode, **more):
    return np.asarray(nj.simulate(passive(), electrode, DT, initial=-65.0, **more).v)


def test_a_current_of_one_shape_is_the_dense_one():
    dense = nj.current_clamp(SHAPE[:, None] * SIZES + 0.5)
    scaled = nj.current_clamp(SHAPE, amplitude=SIZES, holding=0.5)
    np.testing.assert_allclose(run(scaled), run(dense), atol=1e-5)
    held, whole = nj.current_clamp(SHAPE, holding=0.5), nj.current_clamp(SHAPE + 0.5)
    np.testing.assert_allclose(run(held), run(whole), atol=1e-5)
    in_pA = nj.current_clamp(SHAPE, amplitude=SIZES, holding=[7.0], unit="pA").i
    np.testing.assert_allclose([in_pA.amplitude[-1], in_pA.holding[0]], [3e-6, 7e-6], rtol=1e-6)


@pytest.mark.parametrize(("R_s", "engine"), [(0.0, "scan"), (0.0, "prefix"), (5.0, "scan")])
def test_a_command_of_one_shape_is_the_dense_one(R_s, engine):
    dense = nj.voltage_clamp(STEP[:, None] * 20 * SIZES - 80, R_s)
    scaled = nj.voltage_clamp(STEP, R_s, amplitude=20 * SIZES, holding=-80.0)
    more = {"engine": engine, "record": ("v", "i_ion"), "initial": None if R_s == 0 else -80.0}
    got, want = (nj.simulate(passive(), e, DT, **more) for e in (scaled, dense))
    for name in ("v", "i_ion"):
        np.testing.assert_allclose(got.data[name], want.data[name], rtol=1e-5, atol=1e-5)


def test_an_amplitude_and_a_cell_with_compartments():
    cell = nj.ball_and_stick(passive().channels, length=100, diameter=2, compartments=2)
    both = [
        nj.simulate(cell, nj.current_clamp(i, **sizes), DT, record=("v",), initial=-65.0).v
        for i, sizes in (
            (1e-4 * SHAPE[:, None] * SIZES, {}),
            (SHAPE, {"amplitude": 1e-4 * SIZES}),
        )
    ]
    np.testing.assert_allclose(*both, atol=1e-4)


def test_the_slope_in_an_amplitude(x64):
    names = ["electrode.i.amplitude", "C_m", "electrode.i.holding"]
    more = ["leak.g_bar", "leak.E_rev", "leak.v_shift", "leak.tau_scale", "area", "initial.v"]

    def value(amplitude, holding):
        electrode = nj.current_clamp(SHAPE, amplitude=amplitude, holding=holding)
        folds = {"mean": nj.Mean()}
        return (
            nj.simulate(passive(), electrode, DT, record=(), initial=-65.0, folds=folds)
            .folds["mean"]
            .sum()
        )

    want = jax.grad(value, (0, 1))(jnp.asarray(SIZES), jnp.full(5, 0.5))
    electrode = nj.current_clamp(SHAPE, amplitude=SIZES, holding=0.5)
    for wrt in (names, [*names, *more]):  # tangents; the adjoint
        found = nj.gradient(passive(), electrode, DT, of=nj.Mean(), wrt=wrt, initial=-65.0)
        np.testing.assert_allclose(found.gradient[0], want[0], rtol=1e-9)
        np.testing.assert_allclose(found.gradient[2], want[1], rtol=1e-9)
    with pytest.raises(ValueError, match=r"no parameter 'electrode.i.amplitude'"):
        nj.gradient(passive(), nj.current_clamp(SHAPE), DT, of=nj.Mean(), wrt=names, initial=-65.0)


def test_a_population_takes_the_memory_of_one_shape():
    steps, n = 4000, 4096

    def counted(sizes):
        electrode = nj.current_clamp(np.ones(steps, np.float32), amplitude=sizes)
        folds = {"n": nj.SpikeCount()}
        return nj.simulate(squid(), electrode, record=(), initial=-65.0, folds=folds).folds["n"]

    program = jax.jit(counted).lower(jax.ShapeDtypeStruct((n,), jnp.float32)).compile()
    memory = program.memory_analysis()
    assert memory.temp_size_in_bytes < 0.02 * 4 * steps * n  # of the dense array, 66 MB


def test_what_a_scaled_stimulus_is_not():
    with pytest.raises(ValueError, match=r"gain` of each PointCurrent"):
        nj.current_clamp([SHAPE], at=[0], amplitude=2.0)
    with pytest.raises(ValueError, match=r"electrode.i.amplitude has shape \(5,\), for 5 cells"):
        cells = nj.replace(passive(), {"leak.g_bar": np.ones(3)})
        nj.simulate(cells, nj.current_clamp(SHAPE, amplitude=SIZES), DT, initial=-65.0)
    with pytest.warns(UserWarning, match=r"1e\+06 pA, into a cell of 1000 um2"):
        cell = nj.replace(passive(), {"area": 1e-5})
        nj.simulate(cell, nj.current_clamp(STEP, amplitude=SIZES / 3), DT, initial=-65.0)
