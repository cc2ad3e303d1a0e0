"""The equations by which the benchmarks' peers run our cells: written anew, they are ours."""

import jax.numpy as jnp
import numpy as np
import pytest
from scripts import loaded

import neurojax as nj
from neurojax.membrane.compartment import environment, ionic_current, pools
from neurojax.membrane.rest import steady_state
from neurojax.model import load_model

with loaded("equations", "benchmarks/peers") as equations:
    MODELS = equations.MODELS
with loaded("shapes", "benchmarks/peers") as shapes:
    SHAPES = shapes.SHAPES

V = np.linspace(-110.3, 59.9, 24)


@pytest.fixture(params=MODELS)
def both(request, x64):
    """A packaged cell as a population, and the same from the papers."""
    cell = nj.replace(load_model(request.param).cell, {"area": 1.0})
    return cell, MODELS[request.param]


def test_the_rates_of_a_model_are_those_of_the_packaged_cell(both):
    cell, model = both
    state = equations.settled(model, jnp.asarray(V))
    g = {name: current.g for name, current in model.currents.items()}
    theirs = equations.relaxations(model, state, g)
    for name, channel in cell.channels.items():
        seen = environment(cell, name, pools(cell))
        for gate, ours in channel.kinetics(jnp.asarray(V), cell.celsius, **seen).items():
            inf, rate = theirs[f"{name}_{gate}"]
            np.testing.assert_allclose(ours.inf, inf, rtol=1e-6, atol=1e-12)
            np.testing.assert_allclose(ours.rate, rate * np.ones_like(V), rtol=1e-5)


def test_the_current_of_a_model_is_that_of_the_packaged_cell(both):
    cell, model = both
    held, now = V[::-1].copy(), jnp.asarray(V)  # gates of one potential, current at another
    s = steady_state(cell, held)
    state = equations.settled(model, jnp.asarray(held)) | {"v": now}
    g = {name: current.g for name, current in model.currents.items()}
    ours = ionic_current(cell, now, s.x, s.c)
    np.testing.assert_allclose(ours, equations.current(model, state, g), rtol=1e-6, atol=1e-9)


def test_branched_cells_are_as_large_as_they_are_called():
    assert [shape.compartments for shape in SHAPES.values()] == [20, 100, 1000]
    for shape in SHAPES.values():
        assert all(section.parent < k for k, section in enumerate(shape.sections))
