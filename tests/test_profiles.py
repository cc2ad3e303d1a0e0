"""Densities along a tree by functions with parameters: their names, values and slopes."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidLeak, SquidNa
from neurojax.membrane.axes import aligned
from neurojax.membrane.cable import compartment_at
from neurojax.membrane.profiles import Painted, density_of

CHANNELS = {"na": SquidNa(), "leak": SquidLeak()}
SECTIONS = {
    "soma": nj.Section(20.0, 20.0, 1),
    "dendrite": nj.Section(200.0, 2.0, 4, on="soma"),
    "left": nj.Section(100.0, 1.0, 3, on="dendrite", region="tuft"),
    "right": nj.Section(120.0, 1.2, 3, on="dendrite", region="tuft"),
}
DT = 0.025


@nj.pytree
class Line:
    """A function of one's own."""

    slope: float = nj.param(1e-3, "1/mV", 0.0, 1.0)  # any unit will do

    def __call__(self, path):
        return 1 + self.slope * path


def cell():
    density = {
        "na": {"soma": 1.0, "dendrite": nj.Exponential(far=0.1), "tuft": nj.Exponential(near=0.5)},
        "leak": Line(),
    }
    return nj.assemble(SECTIONS, CHANNELS, density)


def test_values_are_those_of_the_functions():
    made = cell()
    assert isinstance(made.density["na"], Painted)
    path = made.paths()
    expected = np.r_[1.0, 0.1 + 0.9 * np.exp(-path[1:5] / 100), 0.5 * np.exp(-path[5:] / 100)]
    np.testing.assert_allclose(density_of(made.density["na"]), expected, rtol=1e-6)
    np.testing.assert_allclose(density_of(made.density["leak"]), 1 + 1e-3 * path, rtol=1e-6)


def test_parameters_have_path_names():
    made = cell()
    assert {k for k in nj.parameters(made) if k.startswith("density")} == {
        *(f"density.na.{r}.{p}" for r in ("dendrite", "tuft") for p in ("near", "far", "distance")),
        "density.leak.slope",
    }
    other = nj.replace(made, {"density.na.tuft.distance": 50.0, "density.leak.slope": 0.0})
    path = made.paths()
    np.testing.assert_allclose(
        density_of(other.density["na"])[5:], 0.5 * np.exp(-path[5:] / 50), rtol=1e-6
    )
    np.testing.assert_array_equal(density_of(other.density["leak"]), 1.0)
    np.testing.assert_array_equal(
        density_of(other.density["na"])[:5], density_of(made.density["na"])[:5]
    )
    with pytest.raises(ValueError, match=r"did you mean 'density\.na\.tuft\.distance'"):
        nj.replace(made, {"density.na.tuft.distanse": 50.0})
    with pytest.raises(ValueError, match=r"density\.na\.tuft\.near = -1 is outside"):
        nj.replace(made, {"density.na.tuft.near": -1.0})
    with pytest.raises(ValueError, match="density of 'na' = -"):
        negative = dataclasses.replace(nj.Exponential(), near=-1.0)
        nj.assemble(SECTIONS, CHANNELS, {"na": negative}).check()


def test_a_population_has_the_densities_of_its_cells():
    made = cell()
    spread = np.array([[60.0, 100.0, 200.0]])
    spread_out = nj.replace(made, {"density.na.dendrite.distance": spread})
    many = aligned(spread_out, (3,))
    found = density_of(many.density["na"])
    for k, distance in enumerate(spread[0]):
        one = nj.replace(made, {"density.na.dendrite.distance": distance})
        np.testing.assert_allclose(found[:, k], density_of(one.density["na"]), rtol=1e-6)
    one = compartment_at(many, nj.steady_state(spread_out, -65.0), np.array([2, 2, 0]))[0]
    np.testing.assert_allclose(density_of(one.density["na"]), found[[2, 2, 0], [0, 1, 2]])


def test_slopes_against_central_differences(x64):
    drive = nj.current_clamp(np.full(120, 4e-4))
    made = cell()
    target = nj.Target(np.full(30, -60.0), np.ones(30))
    fold = nj.At(fold=nj.VoltageError(data=target), place=8)
    wrt = ["density.na.dendrite.distance", "density.na.tuft.near", "density.leak.slope"]
    found = nj.gradient(made, drive, DT, of=fold, wrt=wrt, every=4, initial=-65.0)
    known = {k: x for k, (x, _) in nj.parameters(made).items() if k in wrt}
    h = {k: 1e-4 * x for k, x in known.items()}
    shifted = {
        k: jnp.asarray([[x + sign * h[k] * (k == j) for j in wrt for sign in (1, -1)]])
        for k, x in known.items()
    }
    cells = nj.replace(made, shifted)
    v = nj.simulate(cells, drive, DT, every=4, initial=-65.0, at=[8]).v[:, 0]
    error = ((v + 60) ** 2).sum(0).reshape(3, 2)
    slope = (error[:, 0] - error[:, 1]) / (2 * np.array([h[k] for k in wrt]))
    np.testing.assert_allclose(found.gradient, slope, rtol=1e-6)
