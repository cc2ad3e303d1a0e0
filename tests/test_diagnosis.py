"""Gradient health: exponents against closed forms, losses at steps that are known, named rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.membrane.electrode import Electrode, nudged
from neurojax.run import diagnosis
from neurojax.run.diagnosis import describe

DT = 0.05  # ms


def squid(n):
    channels = {
        "na": nj.channels.SquidNa(), "k": nj.channels.SquidK(), "leak": nj.channels.SquidLeak(),
        "none": nj.channels.SquidLeak(g_bar=0.0),
    }  # fmt: skip
    return nj.Cell(channels=channels | {"leak": nj.channels.SquidLeak(g_bar=np.full(n, 0.3))})


def rest_rate(cell):
    """The slowest rate of return to rest, 1/ms: of the eigenvalues of one step's Jacobian."""
    s = nj.at_rest(cell)
    leaves, tree = jax.tree.flatten(s)

    def moved(y):
        now = nj.step(cell, jax.tree.unflatten(tree, list(y)), Electrode(0.0, 0.0, 0.0), DT)
        return jnp.stack(jax.tree.leaves(now))

    J = jax.jacfwd(moved)(jnp.stack(leaves))
    return np.log(np.abs(np.linalg.eigvals(np.asarray(J, np.float64))).max()) / DT


@pytest.fixture(scope="module")
def told():
    """Health of three axons: one at rest, one that fires regularly, one that is lost."""
    n = 4000
    current = np.stack([np.zeros(n), np.full(n, 10.0), np.full(n, 10.0)], axis=1)
    current[1410, 2] = np.nan
    electrode = nj.current_clamp(current)
    return nj.health(
        squid(3), electrode, DT, wrt=["na.g_bar", "none.E_rev"], of=nj.Mean(), every=10
    )


@pytest.mark.slow
def test_at_rest_the_exponent_is_the_slowest_eigenvalue(told):
    one = nj.replace(squid(1), {"leak.g_bar": 0.3})
    assert told.exponent[0] == pytest.approx(rest_rate(one), abs=2e-4)
    assert told.exponent[0] == pytest.approx(-0.1207, abs=1e-3)
    assert told.nudging[0] == 0 and told.horizon_ms[0] == np.inf


def test_a_regular_rhythm_has_exponent_zero(told):
    """A change along the orbit neither grows nor shrinks; the slightest pull makes it shrink."""
    assert told.exponent[1] == pytest.approx(0.0, abs=1e-4)
    assert 0 < told.nudging[1] <= 0.3
    # A change of a parameter changes the period: it adds up from spike to spike.
    assert told.sensitivity[0, -1, 1] > told.sensitivity[0, -1, 0] + 2


def test_a_lost_cell_is_named_by_step_and_part(told):
    (lost,) = told.lost
    assert (lost.cell, lost.step, lost.what) == ((2,), 1411, "v")
    assert lost.sentence() == "cell 2, step 1411 (70.55 ms), v"
    assert "1 of 3 cells left the finite numbers: cell 2, step 1411" in str(told)
    assert np.isnan(told.exponent[2])


def test_a_silent_parameter_is_named(told):
    rows = [note for note in told.notes if note.startswith("none.E_rev")]
    assert rows[0] == (
        "none.E_rev: the objective does not depend on it: zero derivative in all 2 cells that are "
        "finite"
    )
    assert "na.g_bar: the derivative is not finite in 1 of 3 cells" in told.notes


@pytest.mark.slow
def test_a_chaotic_axon_diverges_as_told_and_the_suggested_coupling_tames_it(x64):
    """Driven at 140 Hz: two runs that begin 1e-9 apart, in float64, are the independent witness."""
    n = 4000
    cell = nj.replace(squid(1), {"leak.g_bar": 0.3})
    drive = nj.current_clamp(6.857 * np.sin(2 * np.pi * 0.140 * np.arange(n) * DT))
    rest = nj.at_rest(cell)
    size = 1e-9 / np.sqrt(len(jax.tree.leaves(rest)))
    apart = jax.tree.map(lambda x: x + np.array([0.0, size]), rest)
    apart = apart._replace(v=rest.v + np.array([0.0, 100 * size]))
    run = nj.simulate(cell, drive, DT, initial=apart)
    ends = jax.tree.leaves(run.final._replace(v=run.final.v / 100))
    witness = np.log(np.sqrt(sum((x[1] - x[0]) ** 2 for x in ends)) / 1e-9)
    data = run.v[:, 0]

    def told(g):
        return nj.health(cell, nudged(drive, data, jnp.asarray(g)), DT, wrt=["C_m"])

    free = told(0.0)
    assert free.growth[-1] == pytest.approx(witness, abs=1e-3)
    assert free.exponent > 0.005
    # The rate of growth times C_m would be too weak: only a part of a change is in v.
    assert free.nudging > free.exponent * 1.0
    assert told(free.nudging).exponent < 0


def test_a_gate_that_is_lost_is_named():
    cell = squid(2)
    start = jax.tree.map(lambda x: jnp.broadcast_to(x, (2,)), nj.at_rest(cell))
    start.x["na"]["m"] = start.x["na"]["m"].at[1].set(jnp.nan)
    (lost,) = diagnosis._lost(cell, nj.current_clamp(np.zeros(100)), DT, start)
    assert lost.sentence() == "cell 1, step 0 (0 ms), gate na.m"


def test_a_gradient_lost_to_overflow_says_so():
    t, grown = np.arange(1, 4) * 0.5, np.zeros((2, 3, 2))
    grown[1, 1:, 0] = np.inf
    (note,) = diagnosis._overflown(["a", "b"], grown, t, [])
    assert note.startswith("b: its tangents overflow in 1 of 2 cells, first at 1 ms")
    assert not diagnosis._overflown(["a", "b"], grown, t, [diagnosis.Lost((0,), 1, 0.5, "v")])


def test_rows_of_a_gradient_in_words():
    slope = np.array([[0.0, 0.0], [0.0, 2.0], [1.0, np.nan], [1.0, 2.0]])
    assert describe(["a", "b", "c", "d"], slope) == [
        "a: the objective does not depend on it: zero derivative in all 2 cells",
        "b: zero derivative in 1 of 2 cells",
        "c: the derivative is not finite in 1 of 2 cells",
    ]
