"""Sections: areas and resistances of frusta, and the conventions by which points make sections."""

import numpy as np
import pytest

from neurojax.morphology import CENTRE, END, START, Points, Section, enough
from neurojax.morphology.outline import frusta
from neurojax.morphology.points import sections
from neurojax.morphology.section import cut, places

CONE = [[0, 0, 0, 4.0], [0, 30, 40, 1.0]]
BENT = [[0, 0, 0, 2.0], [10, 0, 0, 2.0], [10, 20, 0, 6.0], [10, 20, 0, 3.0], [10, 20, 5, 1.0]]


def area(section, n):
    c = cut(section, n)
    return np.pi * c.length * c.diameter


def resistances(section, n):
    """Integrals of 1 / cross section over halves of compartments `[comp, 2]`, 1/um."""
    c = cut(section, n)
    of_cylinder = (c.length / 2) / (np.pi / 4 * c.diameter**2)
    return np.stack([c.to_start * of_cylinder, c.to_end * of_cylinder], 1)


def test_a_cone_in_closed_form():
    n, d0, d1 = 7, 4.0, 1.0
    section = Section.along(CONE)
    assert section.length == pytest.approx(50.0)
    d = np.linspace(d0, d1, n + 1)
    slant = np.hypot(50.0 / n, (d0 - d1) / 2 / n)
    np.testing.assert_allclose(area(section, n), np.pi / 2 * (d[:-1] + d[1:]) * slant, rtol=1e-12)
    d = np.linspace(d0, d1, 2 * n + 1)
    expected = 4 / np.pi * (50.0 / 2 / n) / (d[:-1] * d[1:])
    np.testing.assert_allclose(resistances(section, n).ravel(), expected, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 4, 9])
def test_cutting_keeps_area_and_resistance(n):
    section = Section.along(BENT)
    assert section.length == pytest.approx(35.0)
    whole = np.pi / 2 * (4 * 10 + 8 * np.hypot(20, 2) + 9 * 1.5 + 4 * np.hypot(5, 1))
    assert area(section, n).sum() == pytest.approx(whole, rel=1e-12)
    along = 4 / np.pi * (10 / 4 + 20 / 12 + 5 / 3)
    assert resistances(section, n).sum() == pytest.approx(along, rel=1e-12)
    backwards = Section.along(BENT[::-1])
    np.testing.assert_allclose(area(backwards, n)[::-1], area(section, n), rtol=1e-9)
    np.testing.assert_allclose(
        resistances(backwards, n)[::-1, ::-1], resistances(section, n), rtol=1e-12
    )


def test_where_compartments_are():
    xyz = places(Section.along(BENT), 7)
    assert xyz.shape == (7, 3, 3)
    np.testing.assert_allclose(xyz[0], [[0, 0, 0], [2.5, 0, 0], [5, 0, 0]])
    np.testing.assert_allclose(xyz[6], [[10, 20, 0], [10, 20, 2.5], [10, 20, 5]])
    np.testing.assert_array_equal(xyz[1:, 0], xyz[:-1, 2])


def test_a_cylinder_by_points_is_a_cylinder():
    section = Section.along([[0, 0, 0, 1.5], [30, 0, 0, 1.5], [100, 0, 0, 1.5]])
    for mine, straight in zip(cut(section, 5), cut(Section(100.0, 1.5), 5), strict=True):
        np.testing.assert_allclose(mine, straight, rtol=1e-12)
    assert section.n_compartments() == enough(100.0, 1.5) == Section(100.0, 1.5).n_compartments()


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[0, 0, 0, 1]], r"shape \(1, 4\), expected \[at least 2, 4\]"),
        ([[0, 0, 0, 1], [0, 0, 0, 2]], "all at one place"),
        ([[0, 0, 0, 1], [1, 0, 0, 0]], "diameters above 0"),
        ([[0, 0, 0, 1], [1, 0, np.nan, 1]], "finite"),
    ],
)
def test_points_that_make_no_section_are_refused(points, message):
    with pytest.raises(ValueError, match=message):
        Section.along(points)


# -- from points to sections -----------------------------------------------------------------------
def traced(*rows):
    """Points of (type, x, y, diameter, parent)."""
    kind, x, y, d, parent = np.array(rows, float).T
    return Points(kind.astype(int), np.stack([x, y, 0 * x], 1), d.astype(float), parent.astype(int))


def hang(points):
    """Of each section: on what and where it hangs, its length and number of points."""
    made, none = sections(points)
    assert not none
    return {k: (s.on, s.at, round(s.length, 9), len(s.points), s.region) for k, s in made.items()}


STEM = (3, 5, 0, 2, 0), (3, 15, 0, 2, 1)


def test_a_soma_of_one_point_is_a_cylinder_of_its_area():
    found = hang(traced((1, 0, 0, 10, -1), *STEM))
    assert found == {
        "soma[0]": (None, END, 10.0, 3, "soma"),
        "basal[0]": ("soma[0]", CENTRE, 10.0, 2, "basal"),  # not from the soma's centre on
    }
    soma = sections(traced((1, 0, 0, 10, -1), *STEM))[0]["soma[0]"]
    assert area(soma, 1)[0] == pytest.approx(np.pi * 10**2)


def test_a_soma_of_a_centre_and_two_poles_is_one_point():
    three = traced((1, 0, 0, 10, -1), (1, 0, 5, 10, 0), (1, 0, -5, 10, 0), (3, 5, 0, 2, 0))
    one = traced((1, 0, 0, 10, -1), (3, 5, 0, 2, 0))
    assert hang(three) == hang(one)
    other = traced((1, 0, 0, 10, -1), (1, 0, 5, 10, 0), (1, 0, -9, 10, 0), (3, 5, 0, 2, 0))
    assert hang(other)["soma[1]"] == ("soma[0]", START, 9.0, 2, "soma")


def test_dendrites_of_a_soma_of_many_points():
    """At its ends they begin at the soma's points; those between hang on its centre by a wire."""
    soma = (1, 0, 0, 8, -1), (1, 4, 0, 9, 0), (1, 8, 0, 7, 1)
    stems = (
        (3, 0, 5, 2, 0), (3, 0, 9, 2, 3), (3, 4, 7, 2, 1), (3, 4, 9, 2, 5),
        (4, 12, 0, 3, 2), (4, 20, 0, 1, 7),
    )  # fmt: skip
    assert hang(traced(*soma, *stems)) == {
        "soma[0]": (None, END, 8.0, 3, "soma"),
        "basal[0]": ("soma[0]", START, 9.0, 3, "basal"),
        "basal[1]": ("soma[0]", CENTRE, 2.0, 2, "basal"),
        "apical[0]": ("soma[0]", END, 12.0, 3, "apical"),
    }
    first = sections(traced(*soma, *stems))[0]["apical[0]"].points
    np.testing.assert_array_equal(first[0], [8, 0, 0, 3])  # where the soma ends, as thin as itself


def test_a_soma_that_branches():
    soma = (1, 0, 0, 8, -1), (1, 4, 0, 8, 0), (1, 8, 4, 6, 1), (1, 8, -4, 6, 1)
    found = hang(traced(*soma, (3, 4, 20, 2, 1), (3, 4, 30, 2, 4)))
    assert found["soma[0]"] == (None, END, 4.0, 2, "soma")
    assert found["soma[1]"][:2] == found["soma[2]"][:2] == ("soma[0]", END)
    assert found["basal[0]"] == ("soma[0]", END, 10.0, 2, "basal")


def test_sections_end_at_branches_and_where_the_type_changes():
    found = hang(
        traced(
            (1, 0, 0, 10, -1), *STEM, (3, 25, 0, 2, 2), (3, 25, 9, 1, 3), (5, 30, 0, 1, 3),
            (2, 40, 0, 1, 5), (2, 50, 0, 1, 6),
        )
    )  # fmt: skip
    assert found == {
        "soma[0]": (None, END, 10.0, 3, "soma"),
        "basal[0]": ("soma[0]", CENTRE, 20.0, 3, "basal"),
        "basal[1]": ("basal[0]", END, 9.0, 2, "basal"),
        "custom5[0]": ("basal[0]", END, 5.0, 2, "custom5"),
        "axon[0]": ("custom5[0]", END, 20.0, 3, "axon"),
    }


def test_a_stem_that_branches_at_once():
    """On a wire it cannot be a point alone: its branches begin where it begins."""
    found = hang(traced((1, 0, 0, 10, -1), (3, 5, 0, 2, 0), (3, 9, 0, 2, 1), (3, 5, 7, 2, 1)))
    assert found["basal[0]"] == ("soma[0]", CENTRE, 4.0, 2, "basal")
    assert found["basal[1]"] == ("basal[0]", START, 7.0, 2, "basal")


def test_without_a_soma_the_first_point_is_the_root():
    found = hang(traced((3, 0, 0, 2, -1), (3, 9, 0, 2, 0), (3, 0, 5, 2, 0)))
    assert found["basal[0]"] == (None, END, 9.0, 2, "basal")
    assert found["basal[1]"] == ("basal[0]", START, 5.0, 2, "basal")


def test_a_section_of_no_length_is_left_out():
    points = traced((1, 0, 0, 10, -1), *STEM, (4, 15, 0, 3, 2), (3, 15, 9, 2, 3), (3, 15, 20, 2, 4))
    made, none = sections(points)
    assert none == [3] and list(made) == ["soma[0]", "basal[0]", "basal[1]"]
    assert made["basal[1]"].on == "basal[0]" and made["basal[1]"].at == END


def test_an_outline_encloses_an_area():
    line = np.array([[0.0, 0, 0], [10.0, 0, 0], [20.0, 0, 0], [10.0, 0, 0]])
    with pytest.raises(ValueError, match="the soma's outline is a line"):
        frusta(line)
    with pytest.raises(ValueError, match="the soma's outline: expected finite numbers"):
        frusta(line * np.nan)
