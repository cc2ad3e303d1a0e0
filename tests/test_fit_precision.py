"""The precision of a fit: one field of its task, whatever JAX is set to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidLeak, SquidNa
from neurojax.fit import Budget, Candidates, Polish, Task, fit, free, free_run
from neurojax.fit.optimisers.descent import Schedule, descend

BOUNDS = {"leak.g_bar": (0.02, 2.0), "leak.E_rev": (-90, -40), "C_m": (0.3, 3.0)}
CELL = nj.Cell(channels={"leak": SquidLeak(g_bar=0.2, E_rev=-62.0)}, area=1e-5)


@pytest.fixture(scope="module")
def trace():
    i = nj.steps(-20.0, start=10, stop=40, duration=60, dt=0.1)
    with jax.enable_x64(True):
        return free_run(CELL, nj.Trace("current", 0.1, np.full(i.size, -65.0), i), 0.1, held=False)


def problem(trace, precision):
    return Task(CELL, free(CELL, BOUNDS), [trace], dt=0.1, precision=precision).problem()


def test_values_are_float64_on_the_host_and_agree_within_rounding(trace):
    z = np.random.default_rng(0).random((3, 4))
    single, exact = (problem(trace, p)(z) for p in ("single", "exact"))
    for a, b in zip(single, exact, strict=True):
        assert isinstance(a, np.ndarray) and a.dtype == b.dtype == np.float64
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())
        assert (a != b).any()
    assert problem(trace, "single").values(z).dtype == np.float64


@pytest.mark.parametrize("ambient", [False, True])
def test_what_jax_is_set_to_does_not_matter(trace, ambient):
    z = np.full((3, 1), 0.4)
    with jax.enable_x64(ambient):
        here = {p: problem(trace, p)(z) for p in ("single", "exact")}
        assert jnp.zeros(1).dtype == (np.float64 if ambient else np.float32)
    with jax.enable_x64(not ambient):
        there = {p: problem(trace, p)(z) for p in ("single", "exact")}
    for p in here:
        np.testing.assert_array_equal(here[p].value, there[p].value)


def test_a_stage_may_be_more_exact_than_its_task(trace):
    task = Task(CELL, free(CELL, BOUNDS), [trace], dt=0.1)
    truth = task.space.point({"leak.g_bar": 0.2, "leak.E_rev": -62.0, "C_m": 1.0})
    given = Candidates(truth[:, None] + 1e-3, np.ones(1), "mV")
    single, exact = (Polish(precision=p).run(task, given, Budget()) for p in (None, "exact"))
    assert np.abs(exact.best - truth).max() < 1e-9 < np.abs(single.best - truth).max() < 1e-4


def test_a_word_that_is_none_is_an_error(trace):
    with pytest.raises(ValueError, match="precision is 'double': expected one of single, exact"):
        fit(CELL, [trace], BOUNDS, precision="double")


def test_coordinates_that_are_fixed_stay(trace):
    z, fixed = np.full((3, 2), 0.4), np.zeros((3, 2), dtype=bool)
    fixed[0, 1] = True
    log = Budget()
    with log.stage("descend", "mV") as stage:
        ends, values = descend(problem(trace, "exact"), z, Schedule(), stage, fixed=fixed)
    assert ends[0, 1] == 0.4 and (ends[1:, 1] != 0.4).all() and ends[0, 0] != 0.4
    assert values[0] < 1e-9 < values[1]


def test_a_task_keeps_the_order_of_channels(trace):
    channels = {"z": SquidNa(g_bar=jnp.float32(120.0)), "a": SquidLeak()}
    cell = nj.Cell(channels=channels)
    task = Task(cell, free(cell, ["z.g_bar"]), [trace], precision="exact")
    assert list(task.cell.channels) == ["z", "a"]
    assert isinstance(task.cell.channels["z"].g_bar, np.ndarray)
