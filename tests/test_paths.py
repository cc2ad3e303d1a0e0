"""Path distances, branch orders and places, on a cell whose numbers can be worked out by hand."""

import dataclasses

import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidLeak
from neurojax.morphology import enough

LEAK = {"leak": SquidLeak()}


def cell(**more):
    """A soma with an axon at its start, a stem on its centre, and a dendrite that forks.

    Compartments: soma 0-2, axon 3-4, stem 5, dendrite 6-7, left 8, right 9, twig 10.
    """
    sections = {
        "soma": nj.Section(30.0, 20.0, 3),
        "axon": nj.Section(100.0, 1.0, 2, on="soma", at=0.0),
        "stem": nj.Section(8.0, 1.0, 1, on="soma", at=0.5),
        "dendrite": nj.Section(40.0, 2.0, 2, on="soma"),
        "left": nj.Section(10.0, 1.0, 1, on="dendrite", region="tuft"),
        "right": nj.Section(20.0, 1.0, 1, on="dendrite", region="tuft"),
        "twig": nj.Section(6.0, 1.0, 1, on="right", region="tuft"),
    }
    return nj.assemble(sections, LEAK, **more)


FROM_SOMA = [10, 0, 10, 40, 90, 4, 25, 45, 60, 65, 78]


def test_path_distances():
    np.testing.assert_allclose(cell().paths(), FROM_SOMA)
    np.testing.assert_allclose(cell().paths(8), [70, 60, 50, 100, 150, 64, 35, 15, 0, 15, 28])
    wide = dataclasses.replace(cell(), length=cell().length[:, None] * np.array([1.0, 2.0]))
    np.testing.assert_allclose(wide.paths(), np.outer(FROM_SOMA, [1.0, 2.0]))


def test_the_middle_of_a_soma_of_several_sections():
    """They are 30, 10 and 6 um long; the middle of the longest way is in the first."""
    sections = {
        "a": nj.Section(30.0, 20.0, 5, region="soma"),
        "b": nj.Section(10.0, 9.0, 1, on="a", region="soma"),
        "c": nj.Section(6.0, 9.0, 1, on="a", region="soma"),
        "dendrite": nj.Section(100.0, 1.0, 1, on="c"),
    }
    path = nj.assemble(sections, LEAK).paths()  # 40 um from end to end: the middle is in the fourth
    np.testing.assert_allclose(path, [18, 12, 6, 0, 6, 14, 12, 65])


def test_branch_orders():
    assert cell().orders().tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2]
    tree = nj.rall_tree(LEAK, lengths=(0.1, 0.1, 0.1), compartments=2)
    assert tree.orders().tolist() == [0] * 2 + [1] * 4 + [2] * 8
    assert nj.cylinder(100.0, 1.0, 5, LEAK).orders().tolist() == [0] * 5


def test_compartments_are_chosen_by_region_distance_and_order():
    found = cell().compartments
    assert found("tuft").tolist() == [8, 9, 10]
    assert found(path=(30.0, 62.0)).tolist() == [3, 7, 8]
    assert found("tuft", path=(62.0, np.inf), order=2).tolist() == [9, 10]
    assert found(order=0).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="no region 'tufts'"):
        found("tufts")
    wide = dataclasses.replace(cell(), length=cell().length[:, None] * np.ones(11))
    with pytest.raises(ValueError, match="length differs from cell to cell"):
        wide.compartments(path=(0.0, 20.0))


def test_values_along_the_path():
    made = cell(
        density={"leak": {"soma": 1.0, "tuft": lambda path: path / 10}},
        R_i=lambda path: 100 + path,
        C_m=lambda path: np.where(path > 50, 2.0, 1.0),
    )
    path = np.array(FROM_SOMA, float)
    expected = np.where(np.arange(11) < 3, 1.0, np.where(np.arange(11) > 7, path / 10, 0.0))
    np.testing.assert_allclose(made.density["leak"], expected)
    np.testing.assert_allclose(made.R_i, 100 + path)
    np.testing.assert_allclose(made.C_m, 1 + (path > 50))
    everywhere = cell(density={"leak": lambda path: 1 / (1 + path)})
    np.testing.assert_allclose(everywhere.density["leak"], 1 / (1 + path))
    by_region = cell(R_i={"soma": 70.0, **dict.fromkeys(("axon", "stem", "dendrite", "tuft"), 200)})
    np.testing.assert_array_equal(by_region.R_i, np.where(np.arange(11) < 3, 70.0, 200.0))
    with pytest.raises(ValueError, match=r"function of the path distance gave shape \(2,\)"):
        cell(density={"leak": lambda path: path[:2]})


def test_compartments_are_as_short_as_the_largest_value_along_them_asks_for():
    sections = {"soma": nj.Section(20.0, 20.0), "dendrite": nj.Section(500.0, 2.0, on="soma")}

    def count(**more):
        return len(nj.assemble(sections, LEAK, **more).parents) - 1

    def rising(path):
        return 100 + 200 * path / 490

    assert count(R_i=rising) == enough(500.0, 2.0, R_i=float(rising(490)))
    assert count(R_i=300.0) >= count(R_i=rising) > count(R_i=100.0)


def test_straight_branches_are_as_long_as_they_are_and_joined():
    made = cell()
    xyz = made.places()
    np.testing.assert_allclose(np.linalg.norm(xyz[:, 2] - xyz[:, 0], axis=1), made.length)
    for k, (p, at) in enumerate(zip(made.parents, made.attached, strict=True)):
        if p >= 0:
            np.testing.assert_array_equal(xyz[k, 0], xyz[p, int(2 * at)])
    assert np.linalg.norm(xyz[8, 2] - xyz[9, 2]) > 5  # branches part


def test_traced_sections_are_where_their_points_are():
    points = [[0, 0, 5, 2], [0, 3, 9, 1]]
    made = nj.assemble({"a": nj.Section.along(points, 2)}, LEAK)
    np.testing.assert_allclose(made.places()[1], [[0, 1.5, 7], [0, 2.25, 8], [0, 3, 9]])
