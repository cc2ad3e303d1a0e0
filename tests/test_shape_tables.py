"""Cells with compartments in model files: their shapes, and what differs along them."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidLeak, SquidNa
from neurojax.membrane.cable import Implicit
from neurojax.model import ModelError, parse_model, to_toml

SHAPE = """
[sections.soma]
length = "20 um"
diameter = 20
compartments = 1
[sections.dendrite]
on = "soma"
length = 300
diameter = 2
compartments = 3
"""
ONE = "[compartments]\nparents = [-1]\nlength = [1]\ndiameter = [1]\n"
CHANNELS = """
[channels.leak]
type = "SquidLeak"
g_bar = { soma = 0.3, dendrite = "0.1 mS/cm2" }
[channels.na]
type = "SquidNa"
g_bar = { soma = 120 }
[channels.k]
type = "SquidK"
density = { soma = 1, dendrite = { type = "Exponential", far = 0.1 } }
"""


def alike(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_sections_and_values_by_region():
    text = "[cell]\nR_i = 150\nC_m = { soma = 1, dendrite = 2 }\nelectrode_at = 2\n"
    model = parse_model(text + SHAPE + CHANNELS + '[free]\n"diameter.dendrite" = true\n')
    cell = model.cell
    np.testing.assert_array_equal(cell.C_m, [1, 2, 2, 2])
    np.testing.assert_array_equal(cell.channels["leak"].g_bar, [0.3, 0.1, 0.1, 0.1])
    assert cell.channels["na"].g_bar == 120.0 and cell.electrode_at == 2
    np.testing.assert_array_equal(cell.density["na"], [1, 0, 0, 0])
    assert "leak" not in cell.density and "density.k.dendrite.far" in nj.parameters(cell)
    again = parse_model(to_toml(cell, model.space))
    alike(again.cell, cell)
    assert again.space == model.space
    assert model.at({"diameter.dendrite": 3.0}).diameter[1] == 3.0


def test_any_cell_comes_back_from_its_text():
    sections = {
        "soma": nj.Section(20.0, 20.0, 1),
        "trunk": nj.Section.along([[0, 0, 0, 3], [100, 10, 0, 1]], 2, on="soma"),
        "left": nj.Section(50.0, 1.0, 2, on="trunk", at=1.0, region="tuft"),
    }
    channels = {"na": SquidNa(), "leak": SquidLeak()}
    cell = nj.assemble(sections, channels, {"na": {"soma": 1.0, "trunk": 0.2}}, R_i=123.0)
    alike(parse_model(to_toml(cell)).cell, cell)
    many = nj.replace(cell, {"na.g_bar": np.array([[1.0, 2.0]])})
    with pytest.raises(ValueError, match="a model file holds one cell"):
        to_toml(many)


@nj.pytree
class Steady:
    """A density of one's own."""

    def __call__(self, path):
        return path * 0 + 1


def test_what_no_model_file_could_say_is_refused():
    cell = parse_model(SHAPE + CHANNELS).cell
    k = cell.density["k"]

    def painted(**changes):
        return replace(cell, density=cell.density | {"k": replace(k, **changes)})

    refused = [
        (replace(cell, implicit=Implicit(0.7, (1.0,))), "implicit: a model file knows damped, "),
        (replace(cell, electrode_at=np.arange(2)), r"electrode_at has shape \(2,\): .* one cell"),
        (replace(cell, diameter=np.ones((4, 2))), r"diameter has shape \(4, 2\): .* one cell"),
        (replace(cell, celsius=np.inf), "celsius = inf is not finite"),
        (painted(numbers=np.arange(4.0), functions={}), "differs within the region 'dendrite'"),
        (painted(functions={"": k.functions["dendrite"]}), "has functions by region"),
        (painted(functions={"dendrite": Steady()}), "no model file could name a Steady"),
    ]
    for other, message in refused:
        with pytest.raises(ValueError, match=message):
            to_toml(other)


def test_a_traced_neuron_is_named_by_its_file(tmp_path):
    (tmp_path / "cell.swc").write_text("1 1 0 0 0 10 -1\n2 3 10 0 0 1 1\n3 3 200 0 0 1 2\n")
    text = f'[morphology]\nfile = "cell.swc"\npart = 0.3\n{CHANNELS}'.replace("dendrite", "basal")
    cell = parse_model(text, folder=tmp_path).cell
    assert set(cell.regions) == {"soma", "basal"} and cell.channels["na"].g_bar == 120.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SHAPE + "[morphology]\nfile = 'x.swc'\n", "the shape of the cell is in"),
        (SHAPE.replace("diameter = 2\n", ""), r"\[sections.dendrite\]: diameter is missing"),
        (SHAPE.replace('on = "soma"', 'on = "soms"'), "soms"),
        ("[compartments]\nparents = [-1, 0]\nlength = [1]\ndiameter = [1, 1]\n", "list of 2"),
        ("[sections]\nsoma = 3\n", "expected a table with length and diameter, got 3"),
        (SHAPE.replace("compartments = 3", "compartments = 2.5"), "2.5: expected a whole number"),
        ("[compartments]\nparents = [-1]\nlength = [1]\n", "diameter is missing"),
        (ONE.replace("-1", "-1.0"), "parents: expected whole numbers"),
        (ONE + "points = ['here']\n", "points: expected start, centre and end of each"),
        ("[cell]\narea = 1\n" + SHAPE, "unknown key 'area'"),
        ("[cell]\nR_i = { soma = 100 }\n" + SHAPE, "R_i: no value for the region 'dendrite'"),
        ("[cell]\nimplicit = 'euler'\n" + SHAPE, "implicit step"),
    ],
)
def test_what_is_wrong_is_named(text, message):
    with pytest.raises(ModelError, match=message):
        parse_model(text + CHANNELS)


def test_values_of_regions_are_checked():
    for change, message in (
        ("g_bar = { some = 0.3 }", "some"),
        ("E_rev = { soma = -60 }", "no value for the region 'dendrite'"),
        ("g_bar = [1, 2]", "2 values for 4 compartments"),
        ("density = 3", "expected regions"),
        ('density = { soma = { type = "Step" } }', "type is 'Step', not one of Exponential"),
    ):
        text = SHAPE + f'[channels.leak]\ntype = "SquidLeak"\n{change}\n'
        with pytest.raises(ModelError, match=message):
            parse_model(text)


def test_densities_are_regions_or_a_number_of_each_compartment():
    def cell(lines):
        return parse_model(SHAPE + '[channels.leak]\ntype = "SquidLeak"\n' + lines).cell

    np.testing.assert_array_equal(cell('density = ["soma"]').density["leak"], [1, 0, 0, 0])
    each = cell("density = [1, 0.5, 0.25, 0]\nE_rev = [-60, -61, -62, -63]")
    np.testing.assert_array_equal(each.density["leak"], [1, 0.5, 0.25, 0])
    np.testing.assert_array_equal(each.channels["leak"].E_rev, [-60, -61, -62, -63])
