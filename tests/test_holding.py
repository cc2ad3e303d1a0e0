"""A cell held by a constant current: it stays, and tells how far its own rest is."""

import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import PyramidalNap, SquidK, SquidLeak, SquidNa
from neurojax.membrane.holding import away_from_rest, held_at
from neurojax.membrane.rest import at_rest


def squid():
    return nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}, area=1e-6)


def test_a_held_cell_stays_where_it_was_recorded(x64):
    held = held_at(squid(), jnp.array([-70.0, -63.0]), 0.0)
    quiet = nj.current_clamp(np.zeros(2000))
    run = nj.simulate(held.cell, quiet, 0.025, initial=held.state)
    np.testing.assert_allclose(run.v[-1], [-70.0, -63.0], atol=1e-6)
    assert held.bias[0] < 0 < held.bias[1]  # uA: below its rest it is pulled down


def test_it_tells_how_far_its_own_rest_is(x64):
    cell = squid()
    rest = float(at_rest(cell).v)
    v = jnp.array([rest - 0.2, rest + 0.2])
    held = held_at(cell, v, 0.0)
    np.testing.assert_allclose(away_from_rest(held.cell, v), rest - v, rtol=0.02)
    assert away_from_rest(cell, jnp.asarray(rest)) == 0  # nothing holds it


def test_one_that_could_not_rest_there_is_infinitely_far(x64):
    cell = nj.Cell(channels={"nap": PyramidalNap(g_bar=5.0), "leak": SquidLeak()}, area=1e-6)
    v = jnp.asarray(-45.0)  # where the persistent current grows faster than the leak
    assert np.isinf(away_from_rest(held_at(cell, v, 0.0).cell, v))


def test_where_it_was_not_still_nothing_holds_it(x64):
    held = held_at(squid(), jnp.asarray(-60.0), 0.0, still=False)
    assert held.bias == pytest.approx(0.0) and held.state.v == -60.0
