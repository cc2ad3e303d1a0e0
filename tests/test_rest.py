"""Rest: where the steady current vanishes, and the state settled at a potential."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_cells import squid

import neurojax as nj
from neurojax.membrane.path_names import substitute
from neurojax.membrane.rest import steady_current


def test_rest_is_where_the_steady_current_vanishes(x64):
    cell = squid()
    for i in (0.0, 1.0, -3.0):
        rest = nj.at_rest(cell, i)
        assert float(steady_current(cell, rest.v)) == pytest.approx(i, abs=1e-8)
        stays = nj.step(cell, rest, nj.Electrode(i, 0.0, 0.0), 0.025)
        assert float(stays.v) == pytest.approx(float(rest.v), abs=1e-9)


def test_rest_takes_the_lowest_of_several(x64):
    # A persistent inward current gives a second, depolarised rest.
    cell = nj.replace(squid(), {"na.v_shift": -30.0})
    v = np.linspace(-150.0, 50.0, 4001)
    i = np.asarray(steady_current(cell, jnp.asarray(v)))
    upward = np.flatnonzero((i[:-1] < 0) & (i[1:] >= 0))
    assert float(nj.at_rest(cell).v) == pytest.approx(v[upward[0]], abs=0.06)


def test_rest_is_differentiable_in_every_parameter(x64):
    cell = squid()
    theta = {k: jnp.asarray(float(x)) for k, (x, _) in nj.parameters(cell).items()}

    def rest(theta):
        return nj.at_rest(substitute(cell, theta), 0.7).v

    gradient = jax.grad(rest)(theta)
    for name in theta:
        h = 1e-5 * max(1.0, abs(float(theta[name])))
        up, down = (rest(theta | {name: theta[name] + s * h}) for s in (1, -1))
        assert float(gradient[name]) == pytest.approx(float(up - down) / (2 * h), abs=1e-5), name


def test_a_cell_without_rest_is_nan_not_an_error():
    assert np.isnan(nj.at_rest(squid(), 1e6).v)


def test_rest_of_a_population():
    cell = nj.replace(squid(), {"leak.E_rev": jnp.array([-54.387, -54.4, -54.3])})
    rest = nj.at_rest(cell)
    assert rest.v.shape == rest.x["na"]["m"].shape == (3,)
    np.testing.assert_allclose(rest.v, [-64.996379, -64.999722, -64.974052], atol=2e-5)


def test_settled_broadcasts_to_the_population():
    cell = nj.replace(squid(), {"k.g_bar": jnp.full(5, 30.0)})
    s = nj.steady_state(cell, -65.0)
    assert {leaf.shape for leaf in jax.tree.leaves(s)} == {(5,)}
    assert {leaf.dtype for leaf in jax.tree.leaves(s)} == {jnp.dtype("float32")}
    assert nj.steady_state(squid(), -65.0, (2, 3)).v.shape == (2, 3)
