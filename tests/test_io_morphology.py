"""Morphologies in: against NEURON on real files, and every defect repaired or refused."""

import dataclasses
import json
import re
import sys
import warnings
from pathlib import Path

import morphio
import numpy as np
import pytest
from recordings import recording

import neurojax as nj
from neurojax.channels import SquidLeak
from neurojax.io import MorphologyError, MorphologyWarning, read_morphology
from neurojax.io.swc import read_swc
from neurojax.morphology import CENTRE, END
from neurojax.morphology.section import cut

pytestmark = pytest.mark.smoke

NEURON = json.loads((Path(__file__).parent / "neuron_swc.json").read_text())
FILES = [k for k in NEURON if k.endswith(".swc")]
FILES_OF_MORPHIO = [k for k in FILES if "interrupted" not in k]  # which it refuses


def quietly(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MorphologyWarning)
        return read_morphology(path)


def area(section, n):
    c = cut(section, n)
    return np.pi * (c.length * c.diameter).sum()


# -- real files ------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", FILES)
def test_sections_are_those_of_neuron(name):
    """Source: neuron_swc.json, which tells how. NEURON keeps points in single precision."""
    found = quietly(recording(f"swc/{name}"))
    names, lengths, areas, counts = zip(*NEURON[name]["sections"], strict=True)
    assert set(found) == set(names)
    mine = [found[k] for k in names]
    assert [s.n_compartments() for s in mine] == list(counts)
    np.testing.assert_allclose([s.length for s in mine], lengths, rtol=1e-4)
    np.testing.assert_allclose([area(s, s.n_compartments()) for s in mine], areas, rtol=1e-4)


@pytest.mark.parametrize("name", FILES)
def test_input_resistance_is_that_of_neuron(name, x64):
    sections = quietly(recording(f"swc/{name}"))
    cell = nj.assemble(sections, {"leak": SquidLeak(g_bar=1 / 20, E_rev=-65.0)}, R_i=100.0)
    soma = sections["soma[0]"].n_compartments() // 2
    cell = dataclasses.replace(cell, electrode_at=soma)
    i = 1e-6  # uA
    v = nj.at_rest(cell, i).v[soma]
    assert (v + 65) / i * 1e-3 == pytest.approx(NEURON[name]["input_resistance_MOhm"], rel=1e-5)
    assert cell.paths(soma).max() == pytest.approx(NEURON[name]["farthest_um"], rel=1e-6)


@pytest.mark.parametrize("name", FILES_OF_MORPHIO)
def test_neurites_are_those_of_morphio(name):
    """An independent reader: as many points of each type, and their lengths between branches."""
    path = recording(f"swc/{name}")
    sections = quietly(path)
    other = morphio.Morphology(str(path), warning_handler=morphio.WarningHandlerCollector())
    length = sum(np.linalg.norm(np.diff(s.points, axis=0), axis=1).sum() for s in other.iter())
    neurites = {k: s for k, s in sections.items() if s.region != "soma"}
    mine = 0.0
    for section in neurites.values():
        steps = np.linalg.norm(np.diff(section.points[:, :3], axis=0), axis=1)
        on_soma = sections[section.on].region == "soma"
        begins = on_soma and any(np.allclose(section.points[0, :3], p) for p in soma_points(path))
        mine += steps[1:].sum() if begins else steps.sum()
    assert mine == pytest.approx(length, rel=1e-5)


def soma_points(path):
    rows = [line.split() for line in path.read_text().splitlines() if line[:1] not in ("#", "")]
    return [np.array(r[2:5], float) for r in rows if r[1] == "1"]


# -- defects ---------------------------------------------------------------------------------------
CLEAN = """\
# a soma and two dendrites, one of which forks
1 1 0 0 0 5 -1
2 3 5 0 0 1 1
3 3 15 0 0 1 2
4 3 25 8 0 0.5 3
5 3 25 -8 0 0.5 3
6 4 0 5 0 2 1
7 4 0 40 0 1 6
"""


def line(k, instead):
    """The clean file with one of its lines changed; the first is line 1, the comment."""
    lines = CLEAN.splitlines(keepends=True)
    lines[k - 1] = instead
    return "".join(lines)


def same(found, expected):
    assert list(found) == list(expected)
    for k, section in expected.items():
        assert found[k]._replace(points=None) == section._replace(points=None)
        np.testing.assert_array_equal(found[k].points, section.points)


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "cell.swc"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


AS_CLEAN = {
    "tabs, CRLF": CLEAN.replace(" ", "\t").replace("\n", "\r\n"),
    "old Macintosh": CLEAN.replace("\n", "\r"),
    "byte order mark": "\ufeff" + CLEAN,
    "comments, blank lines": "\n\n# x\n  \n" + CLEAN.replace("1 2\n", "1 2  # here\n"),
    "other characters": CLEAN.encode("latin-1").replace(b"a soma", b"a soma of \xb5m"),
    "end of file as in DOS": CLEAN + "\x1a",
    "numbers with points": CLEAN.replace("3 3 15", "3.0 3.0 15.000"),
    "no end of line": CLEAN.rstrip("\n"),
    "numbers from 0, with gaps": "0 1 0 0 0 5 -1\n9 3 5 0 0 1 0\n12 3 15 0 0 1 9\n"
    "20 3 25 8 0 .5 12\n21 3 25 -8 0 5e-1 12\n30 4 0 5 0 2 0\n31 4 0 40 0 1 30\n",
    "three-point soma": CLEAN.replace("5 -1\n", "5 -1\n8 1 0 5 0 5 1\n9 1 0 -5 0 5 1\n"),
}


@pytest.mark.parametrize("what", AS_CLEAN)
def test_what_changes_no_number_is_read_without_a_word(what, written):
    same(read_morphology(written(AS_CLEAN[what])), read_morphology(written(CLEAN)))


REPAIRED = {
    "unsorted": (
        "".join(reversed(CLEAN.splitlines(keepends=True))),
        r"lines 1, 2, 3, 4, 5 and 1 more: before the parent: put in order",
    ),
    "more columns": (line(3, "2 3 5 0 0 1 1 77 88\n"), "line 3: more than 7 columns"),
    "a line twice": (CLEAN + "5 3 25 -8 0 0.5 3\n", "line 9: said before, in the same words"),
    "a point as its parent": (
        CLEAN.replace("4 3 25 8 0 0.5 3", "9 3 15 0 0 1 3\n4 3 25 8 0 0.5 9"),
        "line 5: as its parent, at the same place: left out",
    ),
    "a branch traced twice": (
        CLEAN + "8 3 25 -8 0 0.5 3\n",
        "line 9: as another point on the same parent: taken as one",
    ),
    "radius 0": (line(4, "3 3 15 0 0 0 2\n").replace("0.5", "1"), "line 4: the radius is 0"),
    "root on a point 0": (line(2, "1 1 0 0 0 5 0\n"), "line 2: hangs on point 0"),
    "neurites without a parent": (
        line(7, "6 4 0 5 0 2 -1\n"),
        "line 7: without a parent, up to 5 um from the soma's first point: hung on",
    ),
    "a point alone": (CLEAN + "8 3 99 0 0 1 -1\n", "line 9: hangs on nothing, and nothing on it"),
    "a neurite's root of its own type": (
        line(7, "6 0 0 5 0 2 -1\n"),
        "line 7: the root alone is of type 0: taken as 4",
    ),
    "a root of its own type": (
        "1 0 0 0 0 1 -1\n2 3 9 0 0 1 1\n3 3 19 0 0 1 2\n",
        "line 1: the root alone is of type 0: taken as 3",
    ),
}
EXPECTED = {
    "radius 0": CLEAN.replace("0.5", "1"),
    "a root of its own type": "1 3 0 0 0 1 -1\n2 3 9 0 0 1 1\n3 3 19 0 0 1 2\n",
}


@pytest.mark.parametrize("what", REPAIRED)
def test_a_defect_is_repaired_and_told(what, written):
    text, message = REPAIRED[what]
    path = written(text)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = read_morphology(path)
    assert any(re.match(f"{re.escape(str(path))}, {message}", str(w.message)) for w in told)
    assert {w.category for w in told} == {MorphologyWarning}
    assert re.search(message, "\n".join(found.repairs)) and found.source == str(path)
    expected = quietly(written(EXPECTED.get(what, CLEAN)))
    if what == "unsorted":  # names follow the order
        assert sorted(s.length for s in found.values()) == sorted(
            s.length for s in expected.values()
        )
        expected = found
    same(found, expected)


def test_a_tree_traced_from_elsewhere_is_turned_round(written):
    """Parents one way or the other: the neuron is the same."""
    text = (
        "1 3 25 0 0 1 -1\n2 3 15 0 0 1 1\n3 3 5 0 0 1 2\n4 1 0 0 0 5 3\n5 4 0 5 0 1 4\n"
        "6 4 0 9 0 1 5\n"
    )
    with pytest.warns(MorphologyWarning) as told:
        found = read_morphology(written(text))
    assert "line 1: the root is not in the soma: the tree is turned round" in str(told[0].message)
    plain = (
        "1 1 0 0 0 5 -1\n2 3 5 0 0 1 1\n3 3 15 0 0 1 2\n4 3 25 0 0 1 3\n5 4 0 5 0 1 1\n"
        "6 4 0 9 0 1 5\n"
    )
    expected = read_morphology(written(plain))
    assert {(s.region, s.length, s.on, s.at) for s in found.values()} == {
        (s.region, s.length, s.on, s.at) for s in expected.values()
    }


TOLD = {
    "bifurcating soma": (
        "1 1 0 0 0 5 -1\n2 1 5 0 0 5 1\n3 1 9 4 0 4 2\n4 1 9 -4 0 4 2\n5 3 20 -4 0 1 4\n",
        "line 2: the soma branches: each branch is a section",
    ),
    "interrupted soma": (
        "1 1 0 0 0 1 -1\n2 1 1 0 0 1 1\n3 3 5 0 0 1 2\n4 3 6 0 0 1 3\n5 1 -1 0 0 1 1\n"
        "6 1 -2 0 0 1 5\n",
        "line 1: the soma branches",
    ),
    "three points, no sphere": (
        "1 1 0 0 0 5 -1\n2 1 0 5 0 4 1\n3 1 0 -5 0 4 1\n4 3 20 0 0 1 1\n",
        "lines 1, 2, 3: a soma of three points, but not",
    ),
    "no soma": ("1 3 0 0 0 1 -1\n2 3 9 0 0 1 1\n", "no soma"),
    "a section of no length": (
        CLEAN + "8 2 25 8 0 0.5 4\n",
        "line 9: a section of length 0 begins here: left out",
    ),
}


@pytest.mark.parametrize("what", TOLD)
def test_what_may_be_meant_otherwise_is_told(what, written):
    text, message = TOLD[what]
    with pytest.warns(MorphologyWarning, match=message):
        assert read_morphology(written(text))


REFUSED = {
    "empty": ("", r"cell.swc: no points; expected lines of number, type, x, y, z, radius, parent"),
    "comments only": ("# nothing\n\n", "no points"),
    "not text": (b"\x89HDF\r\n\0\0", "is not text; expected SWC"),
    "too few columns": (line(4, "3 3 15 0 0 1\n"), r"line 4: 6 columns, expected 7"),
    "commas": (CLEAN.replace(" ", ","), "line 2: 1 columns, expected 7"),
    "decimal commas": (
        line(6, "5 3 25 -8 0 0,5 3\n"),
        "line 6: the radius is '0,5', expected a number",
    ),
    "words": (line(3, "2 dend 5 0 0 1 1\n"), "line 3: the type is 'dend', expected a whole number"),
    "NaN": (line(5, "4 3 nan 8 0 0.5 3\n"), "line 5: x is 'nan', expected a number"),
    "infinity": (line(5, "4 3 25 8 inf 0.5 3\n"), "line 5: z is 'inf', expected a number"),
    "negative radius": (line(3, "2 3 5 0 0 -1 1\n"), "line 3: the radius is '-1', expected .* 0"),
    "radius NaN": (line(3, "2 3 5 0 0 NaN 1\n"), "line 3: the radius is 'NaN'"),
    "a radius in nm": (
        line(3, "2 3 5 0 0 99000 1\n"),
        "line 3: .* at least 0 and at most 50000 um",
    ),
    "radius 0 everywhere": (
        re.sub(r" [\d.]+ (-?\d+)\n", r" 0 \1\n", CLEAN),
        "line 2: the radius is 0",
    ),
    "a type that is no whole number": (line(3, "2 3.5 5 0 0 1 1\n"), "line 3: the type is '3.5'"),
    "a negative type": (line(3, "2 -3 5 0 0 1 1\n"), "line 3: the type is '-3'"),
    "a number that is not whole": (line(3, "2.5 3 5 0 0 1 1\n"), "line 3: the point's number is"),
    "a number twice": (CLEAN + "5 3 99 0 0 1 3\n", "lines 6, 9: both are point 5, expected one"),
    "no such parent": (line(4, "3 3 15 0 0 1 77\n"), "line 4: hangs on point 77, which there is"),
    "a circle": (line(3, "2 3 5 0 0 1 4\n"), "lines 3, 5, 4: hang in a circle"),
    "on itself": (line(3, "2 3 5 0 0 1 2\n"), "line 3: hang in a circle"),
    "no root": (line(2, "1 1 0 0 0 5 3\n"), "hang in a circle"),
    "two somata": (CLEAN + "8 1 99 0 0 5 -1\n9 3 120 0 0 1 8\n", "lines 2, 9: 2 roots, of which 2"),
    "two trees without a soma": ("1 3 0 0 0 1 -1\n2 3 9 0 0 1 -1\n", "2 roots, of which 0 have"),
    "a soma in two parts": (CLEAN + "8 1 60 0 0 5 4\n", "line 9: a point of the soma hangs on an"),
    "all at one place": ("1 3 0 0 0 1 -1\n2 3 0 0 0 2 1\n", "the root's points are all at one"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_repaired_is_refused_by_name(what, written):
    text, message = REFUSED[what]
    path = written(text)
    with pytest.raises(MorphologyError, match=message) as error:
        read_morphology(path)
    assert str(error.value).startswith(str(path))


def test_a_file_that_is_not_there_or_of_another_kind(tmp_path):
    with pytest.raises(MorphologyError, match="no such file"):
        read_morphology(tmp_path / "x.swc")
    other = tmp_path / "cell.nml"
    other.write_text("<neuroml/>")
    with pytest.raises(MorphologyError, match=r"is named \.nml; expected \.swc, \.asc, \.h5"):
        read_morphology(other)


def test_the_order_of_the_lines_changes_no_size(written):
    """Sections may have other names; regions have the same lengths and areas."""
    rng = np.random.default_rng(0)
    rows = CLEAN.splitlines(keepends=True)[1:]

    def sizes(sections):
        return sorted(
            (s.region, round(s.length, 9), round(area(s, 3), 9)) for s in sections.values()
        )

    expected = sizes(read_morphology(written(CLEAN)))
    for _ in range(5):
        sections, _ = read_swc(written("".join(rng.permutation(rows))))
        assert sizes(sections) == expected


WORDS = ["0", "-1", "1", "2", "3", "7", "99", "nan", "inf", "-5", "0.5", "x", "1e-300", "1e9"]


def test_what_is_read_of_broken_files_makes_a_cell(written):
    """Whatever stands in a file, it is refused by name or read as sections that hang together."""
    rng = np.random.default_rng(1)
    read = 0
    for _ in range(300):
        lines = CLEAN.splitlines()
        for k in rng.integers(1, len(lines), rng.integers(1, 4)):
            words = lines[k].split()
            words[rng.integers(len(words))] = str(rng.choice(WORDS))
            lines[k] = " ".join(words)
        path = written("\n".join(lines))
        try:
            found = quietly(path)
        except MorphologyError as error:
            assert str(error).startswith(str(path))
            continue
        read += 1
        whole = {k: s._replace(compartments=1) for k, s in found.items()}
        cell = nj.assemble(whole, {"leak": SquidLeak()})
        for x in (cell.length, cell.diameter, cell.to_start, cell.to_end):
            assert np.isfinite(x).all() and (x > 0).all()
    assert 50 < read < 250


# -- Neurolucida, H5, and outlines -----------------------------------------------------------------
ASC = """\
("CellBody"
  (CellBody)
  ( 8 0 0 0.2) ( 6 4 0 0.2) ( 1 6.5 0 0.2) (-5 5 0 0.2)
  (-9 0.5 0 0.2) (-6 -4 0 0.2) ( 0 -5.5 0 0.2) ( 5 -4.5 0 0.2)
)
((Dendrite)
  (8 1 0 2.4) (20 3 1 1.8) (30 6 2 1.5)
  ( (30 6 2 1.5) (40 16 2 1.0) (50 26 2 0.5)
  | (30 6 2 1.2) (40 -6 2 1.2) (55 -16 2 0.6)
  )
)
((Axon)
  (-9 0 0 1.0) (-60 0 0 0.8)
)
"""
# NEURON 9.0.2, Import3d_Neurolucida3: length, um, and area, um2.
OF_NEURON = {
    "soma[0]": (16.036580, 523.378257, None, END),
    "axon[0]": (51.0, 144.199380, "soma[0]", CENTRE),
    "basal[0]": (22.694644, 134.927079, "soma[0]", CENTRE),
    "basal[1]": (28.284271, 88.871542, "basal[0]", END),
    "basal[2]": (33.648256, 109.867237, "basal[0]", END),
}


@pytest.fixture
def traced(tmp_path):
    def write(text):
        path = tmp_path / "cell.asc"
        path.write_text(text)
        return path

    return write


def test_neurolucida_is_read_as_by_neuron(traced):
    found = read_morphology(traced(ASC))
    assert set(found) == set(OF_NEURON)
    for name, (length, its_area, on, at) in OF_NEURON.items():
        section = found[name]
        assert (section.on, section.at) == (on, at)
        assert section.length == pytest.approx(length, rel=1e-6)
        assert area(section, 1) == pytest.approx(its_area, rel=1e-6)


def test_the_same_in_h5_and_as_an_outline_in_swc(traced, tmp_path):
    path = traced(ASC)
    found = read_morphology(path)
    made = morphio.mut.Morphology(str(path))
    made.write(str(tmp_path / "cell.h5"))
    same(read_morphology(tmp_path / "cell.h5"), found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.write(str(tmp_path / "cell.swc"))
    with pytest.warns(MorphologyWarning, match="go round it: taken as its outline"):
        swc = read_morphology(tmp_path / "cell.swc")
    assert set(swc) == set(found)
    for name in ("soma[0]", "basal[0]", "axon[0]"):
        assert area(swc[name], 1) == pytest.approx(area(found[name], 1), rel=1e-6)
        assert (swc[name].on, swc[name].at) == (found[name].on, found[name].at)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "MorphIO cannot read it"),
        (ASC[:200], "MorphIO cannot read it"),
        (ASC[: ASC.index("((Den")] + ASC, "a soma is already defined"),
        (ASC[ASC.index("((Den") :], "no soma, and 2 neurites"),
        (ASC.replace("2 0.6)", "2 0.0)"), r"from \(30, 6, 2\) on: .* diameters above 0 um"),
        (ASC.replace("(-60 0 0 0.8)", ""), r"from \(-9, 0, 0\) on: points: shape \(1, 4\)"),
        (ASC.replace("6.5 0 0.2", "nan 0 0.2"), "MorphIO cannot read it|finite"),
    ],
)
def test_what_morphio_or_we_refuse(text, message, traced):
    path = traced(text)
    with pytest.raises(MorphologyError, match=f"(?i)^{re.escape(str(path))}.*({message})"):
        read_morphology(path)


def test_a_missing_extra_is_told_with_its_command(traced, monkeypatch):
    monkeypatch.setitem(sys.modules, "morphio", None)
    with pytest.raises(MorphologyError, match=r"pip install 'neurojax\[morphology\]'"):
        read_morphology(traced(ASC))
