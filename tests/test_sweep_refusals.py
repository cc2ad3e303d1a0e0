"""Sweeps made in Python: what is refused, and the sentence that says what was expected."""

import json

import numpy as np
import pytest
from sweeps import squid

import neurojax as nj
from neurojax import sweep
from neurojax.model.nmodl import load_nmodl
from neurojax.sweep.axes import grid
from neurojax.sweep.definition import Sweep
from neurojax.sweep.run import Part, manifest_of, shard_cells
from neurojax.sweep.storage import Folder, SweepError, stored

CELL = nj.Cell(channels={"leak": nj.channels.SquidLeak()})
STEP = sweep.step(start=1.0, stop=4.0, duration=5.0)


def of(axes=None, protocols=None, cell=CELL, **more):
    return Sweep(cell, {"step": STEP} if protocols is None else protocols, axes or {}, **more)


def tapering():
    cable = nj.ball_and_stick({"leak": nj.channels.SquidLeak()}, compartments=3)
    return of({"diameter": [1.0, 2.0]}, cell=cable)


@pytest.mark.parametrize(
    "make, told",
    [
        (lambda: of({"leak.g_bar": [0.1, 0.1]}), "a value is there twice"),
        (lambda: of({"leak.g_bar": []}), r"shape \(0,\), expected numbers \[value\]"),
        (lambda: of({"leak.g_bar": [[1.0]]}), r"shape \(1, 1\), expected numbers"),
        (lambda: of({"leak.g_bar": [True]}), "expected numbers"),
        (lambda: of({"leak.g_bar": [np.nan]}), "axis 'leak.g_bar' = nan mS/cm2 is outside"),
        (lambda: of({"leak.gbar": [1.0]}), "no parameter 'leak.gbar'; did you mean"),
        (lambda: of(trials=0), "trials = 0: expected 1 or more"),
        (lambda: of(trials=2**33), r"cells: expected at most 2\^32"),
        (lambda: of(protocols={}), "without a protocol"),
        (lambda: of(protocols={"a b": STEP}), "'a b': a name has letters, digits"),
        (lambda: of(observables=[]), "observes nothing"),
        (lambda: of(observables=["rat"]), "did you mean 'rate'"),
        (lambda: of(observables={"a.b": nj.SpikeCount()}), "observable 'a.b': a name has"),
        (lambda: of(observables={"ok": nj.SpikeCount()}), "tells which cells failed"),
        (lambda: of(samples=sweep.as_table({"leak.g_bar": []})), "has no rows"),
        (lambda: of({"C_m": [1.0]}, samples=sweep.as_table({"C_m": [2.0]})), "is there twice"),
        (lambda: of(cell=nj.replace(CELL, {"C_m": np.ones(3)})), r"not a population of \(3,\)"),
        (tapering, "diameter differs from compartment to compartment"),
        (lambda: sweep.as_table({}), "columns of one length"),
        (lambda: sweep.as_table({"a": [1.0], "b": [1.0, 2.0]}), "columns of one length"),
        (lambda: sweep.Samples({}, 8), "samples of no parameter"),
        (lambda: sweep.Samples({"a": (0, 1)}, 8, "halton"), "no method 'halton'"),
        (lambda: sweep.Samples({"a": (0, 1)}, 0), "points = 0: expected 1 or more"),
        (lambda: sweep.Samples({"a": (1, 1)}, 8), "or list its values"),
        (lambda: sweep.Samples({"a": (0, 1, "log")}, 8), "begin above 0, or make it linear"),
        (lambda: grid(0.0, 1.0, 1), "a grid of 1 points: expected 2 or more"),
        (lambda: sweep.step(start=1, stop=4, duration=5, dt=0.0), "dt = 0.0: expected a positive"),
        (lambda: sweep.step(start=4, stop=1, duration=5), "expected start < stop"),
        (lambda: sweep.step(start=1, stop=4, duration=5, every=999), "expected 1 to 200 steps"),
        (lambda: sweep.Protocol(nj.current_clamp(np.zeros(8)), window=(1, 9)), "window = "),
        (lambda: Part(3, 2).check(), "part 3/2: expected 1/2 to 2/2"),
        (lambda: shard_cells(of(), 0, 64), "a shard of 0 cells: expected 1 or more"),
        (lambda: manifest_of(of(), unit=100), "unit = 100: expected a multiple of 16, 64 or more"),
        (lambda: manifest_of(of(), float="float8"), "float = 'float8': expected one of"),
        (lambda: manifest_of(of(), packing="zip"), "packing = 'zip': expected one of"),
        (lambda: sweep.traces(squid(), np.array([300])), "expected numbers from 0 to 299"),
        (lambda: sweep.traces(squid(), np.array([0]), "pulse"), "no protocol 'pulse'"),
    ],
)
def test_what_is_wrong_is_said(make, told):
    with pytest.raises(ValueError, match=told):
        make()


def test_small_floats_round_no_count():
    ok = np.ones(3, bool)
    counts = np.array([2047.0, 2048.0, np.nan])
    np.testing.assert_array_equal(stored(counts, ok, "float16", "n", 0), counts)
    with pytest.raises(SweepError, match="n of cell 65 is 2049, too large for float16"):
        stored(np.array([3.0, 2049.0, np.nan]), ok, "float16", "n", 64)
    with pytest.raises(SweepError, match=r"is 70000\.5, too large for float16: store"):
        stored(np.array([0.5, 70000.5, 1.0]), ok, "float16", "v", 0)
    measured = np.array([0.5, 3001.3, -65.4])  # of which three digits are enough
    np.testing.assert_allclose(stored(measured, ok, "float16", "v", 0), measured, rtol=1e-3)


def test_a_manifest_that_is_none_is_refused(tmp_path):
    room = Folder(tmp_path)
    room.begin(manifest_of(of()))
    whole = json.loads(room.manifest_path.read_text())
    for change, told in (
        ({"format": "other"}, "is no manifest of a sweep"),
        ({"version": 99}, "of another version of the format"),
        ({"colour": "red"}, "is damaged: .*colour"),
    ):
        room.manifest_path.write_text(json.dumps(whole | change))
        with pytest.raises(SweepError, match=told):
            room.read()
    room.manifest_path.write_text(json.dumps(whole)[:40])
    with pytest.raises(SweepError, match="cannot be read"):
        room.read()


def test_the_code_of_ones_own_classes_belongs_to_a_sweep(tmp_path):
    """Two channels of the same name and parameters that compute something else."""
    found = []
    for folder, half in (("a", -40.0), ("b", -30.0), ("c", -40.0)):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "gate.mod"
        path.write_text(MOD.replace("HALF", str(half)))
        mine = nj.Cell(channels={"m": load_nmodl(path)()})
        found.append(of(cell=mine).fingerprint)
    assert found[0] == found[2] != found[1]


MOD = """
NEURON { SUFFIX gate  USEION k READ ek WRITE ik  RANGE gbar }
PARAMETER { gbar = 0.01 (S/cm2) }
ASSIGNED { v (mV) ek (mV) ik (mA/cm2) }
STATE { n }
BREAKPOINT { SOLVE states METHOD cnexp  ik = gbar * n * (v - ek) }
DERIVATIVE states { n' = (1 / (1 + exp(-(v - (HALF)) / 9)) - n) / 5 }
INITIAL { n = 1 / (1 + exp(-(v - (HALF)) / 9)) }
"""
