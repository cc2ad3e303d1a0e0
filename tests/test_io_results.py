"""Results out: a round trip, and files that are never half written."""

import errno
import json
import os

import h5py
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neurojax.io import ParameterRecord, Results, load, save
from neurojax.recording.trace import Origin, RecordingError, Trace

pytestmark = pytest.mark.smoke


def example() -> Results:
    trace = Trace(
        "current",
        0.05,
        np.linspace(-70, -60, 50),
        np.repeat([0.0, 100.0], 25),
        name="IDRest",
        sweep=183,
        holding=-12.5,
        commanded=False,
        origin=Origin("cell.abf", "ABF2", "0" * 64, "a note, \u00b5"),
        warnings=("the base potential is high", "clipped"),
    )
    return Results(
        parameters={
            "na.g_bar": ParameterRecord(
                np.array([50.0, 52.0]), "mS/cm2", 0.5, 500.0, "log", True, np.array([1.0, 1.2])
            ),
            "C_m": ParameterRecord(np.array(1.0), "uF/cm2", 0.5, 2.0, free=False),
        },
        traces={"sweep 183": trace},
        arrays={
            "simulated": np.arange(6.0).reshape(2, 3),
            "ok": np.array([True, False]),
            "starts/na.g_bar": np.linspace(1.0, 2.0, 2000),
            "starts/k.g_bar": np.ones(3),
        },
        units={"simulated": "mV", "starts/na.g_bar": "mS/cm2"},
        settings={"seed": 7, "sweeps": [181, 183], "model": {"dt": 0.025, "name": None}},
        provenance={"command": "neurojax fit cell.abf", "started": "2026-01-01T00:00:00Z"},
    )


def assert_same(a: Results, b: Results):
    assert list(a.parameters) == list(b.parameters) or set(a.parameters) == set(b.parameters)
    for name, mine in a.parameters.items():
        other = b.parameters[name]
        np.testing.assert_array_equal(mine.values, other.values)
        assert np.asarray(mine.values).dtype == other.values.dtype
        for field in ("unit", "low", "high", "scale", "free"):
            assert getattr(mine, field) == getattr(other, field)
        if mine.standard_error is None:
            assert other.standard_error is None
        else:
            np.testing.assert_array_equal(mine.standard_error, other.standard_error)
    assert set(a.traces) == set(b.traces)
    for name, mine in a.traces.items():
        other = b.traces[name]
        np.testing.assert_array_equal(mine.v_mV, other.v_mV)
        np.testing.assert_array_equal(mine.i_pA, other.i_pA)
        for field in ("clamp", "dt_ms", "name", "sweep", "holding", "commanded", "origin"):
            assert getattr(mine, field) == getattr(other, field)
        assert mine.warnings == other.warnings
    assert set(a.arrays) == set(b.arrays)
    for name, mine in a.arrays.items():
        np.testing.assert_array_equal(mine, b.arrays[name])
        assert mine.dtype == b.arrays[name].dtype
    assert a.units == b.units
    assert json.loads(json.dumps(a.settings)) == b.settings
    assert a.provenance == b.provenance


def test_round_trip(tmp_path):
    path = save(tmp_path / "fit.h5", example())
    found = load(path)
    assert_same(example(), found)
    assert set(found.versions) >= {"neurojax", "jax", "jaxlib", "numpy", "python", "platform"}
    assert_same(found, load(save(path, found)))
    assert load(path).versions == found.versions


def test_layout_is_as_documented(tmp_path):
    with h5py.File(save(tmp_path / "fit.h5", example())) as file:
        assert file.attrs["format"] == "neurojax results"
        assert file["parameters/na.g_bar/values"][:].tolist() == [50.0, 52.0]
        assert file["parameters/na.g_bar"].attrs["unit"] == "mS/cm2"
        assert file["traces/sweep 183/v_mV"].shape == (50,)
        assert file["traces/sweep 183"].attrs["dt_ms"] == 0.05
        assert file["traces/sweep 183/i_pA"].attrs["unit"] == "pA"
        assert file["parameters/na.g_bar/standard_error"].attrs["unit"] == "mS/cm2"
        assert file["arrays/starts/na.g_bar"].attrs["unit"] == "mS/cm2"
        assert file["arrays/starts/na.g_bar"].compression == "gzip"
        assert "unit" not in file["arrays/ok"].attrs
        assert json.loads(file["settings"][()])["seed"] == 7
        assert file["versions"].attrs["numpy"] == np.__version__


def test_jax_arrays_are_taken(tmp_path):
    results = Results(
        parameters={"k.g_bar": ParameterRecord(jnp.ones(3), "mS/cm2", 0.0, 1.0)},
        arrays={"v": jnp.zeros((2, 2))},
    )
    found = load(save(tmp_path / "x.h5", results))
    np.testing.assert_array_equal(found.parameters["k.g_bar"].values, np.ones(3, np.float32))


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(
    lambda s: s.isprintable() and "/" not in s and s != "."
)
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
anything = st.floats(width=64)
finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
arrays = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.bool_]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
parameters = st.builds(
    ParameterRecord,
    values=hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=2), elements=anything),
    unit=text,
    low=finite,
    high=finite,
    scale=st.sampled_from(["linear", "log"]),
    free=st.booleans(),
    standard_error=st.none() | hnp.arrays(np.float64, 3, elements=anything),
)


@st.composite
def traces(draw):
    n = draw(st.integers(1, 20))
    return Trace(
        draw(st.sampled_from(["current", "voltage"])),
        draw(st.floats(1e-3, 10)),
        draw(hnp.arrays(np.float64, n, elements=finite)),
        draw(hnp.arrays(np.float64, n, elements=finite)),
        draw(text),
        draw(st.integers(-(2**31), 2**31)),
        draw(finite),
        draw(st.booleans()),
        Origin(draw(text), draw(text), draw(text), draw(text)),
        tuple(draw(st.lists(text, max_size=3))),
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    results=st.builds(
        Results,
        parameters=st.dictionaries(names, parameters, max_size=3),
        traces=st.dictionaries(names, traces(), max_size=2),
        arrays=st.dictionaries(names, arrays, max_size=3),
        settings=st.dictionaries(text, json_values, max_size=4),
        provenance=st.dictionaries(names, text, max_size=3),
    )
)
def test_round_trip_of_anything(results, tmp_path):
    assert_same(results, load(save(tmp_path / "any.h5", results)))


# Never half written


def parts(folder):
    return [p.name for p in folder.iterdir() if p.suffix == ".part"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit(1)])
@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_interruption_leaves_the_old_file(where, interruption, tmp_path, monkeypatch):
    path = save(tmp_path / "fit.h5", example())
    before = path.read_bytes()

    def interrupted(*_):
        raise interruption

    monkeypatch.setattr(os, where, interrupted)
    with pytest.raises(type(interruption)):
        save(path, Results())
    assert path.read_bytes() == before and parts(tmp_path) == []


def test_full_disk_is_said_clearly_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = save(tmp_path / "fit.h5", example())
    before = path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"was not written: No space left on device.*fit\.h5") as told:
        save(path, Results())
    assert told.value.errno == errno.ENOSPC and told.value.filename == str(path)
    assert path.read_bytes() == before and parts(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this platform")
def test_write_that_really_fails(tmp_path, monkeypatch):
    path = save(tmp_path / "fit.h5", example())
    before = path.read_bytes()

    def on_a_full_disk(handle, mode):
        os.close(handle)
        return open("/dev/full", mode)

    monkeypatch.setattr(os, "fdopen", on_a_full_disk)
    with pytest.raises(OSError, match="No space left"):
        save(path, example())
    assert path.read_bytes() == before and parts(tmp_path) == []


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(OSError, match=r"was not written: No such file.*gone.fit\.h5"):
        save(tmp_path / "gone" / "fit.h5", Results())


def test_failure_while_building_leaves_the_old_file(tmp_path):
    path = save(tmp_path / "fit.h5", example())
    before = path.read_bytes()
    for broken, message in [
        (Results(arrays={"a//b": np.zeros(2)}), "name 'a//b' is not printable text"),
        (Results(settings={}, provenance={"a/b": ""}), "name 'a/b' is not printable text without"),
        (Results(arrays={"a": np.zeros(2), "a/b": np.zeros(2)}), "both an array and a group"),
        (Results(arrays={"a/b": np.zeros(2), "a": np.zeros(2)}), "both an array and a group"),
        (Results(units={"a": "mV"}), "there is no array 'a'"),
        (Results(arrays={"": np.zeros(2)}), "name '' is not"),
        (Results(arrays={"a": np.array(["text"])}), "array 'a': dtype is <U4; expected numbers"),
        (Results(arrays={"a": np.array([{}])}), "array 'a': dtype is object"),
        (Results(settings={"f": len}), "settings:.*expected what JSON can hold"),
        (
            Results(parameters={"g": ParameterRecord(np.array(["x"]), "mV", 0, 1)}),
            "parameter 'g', values",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            save(path, broken)
    assert path.read_bytes() == before and parts(tmp_path) == []


def test_permissions_are_a_normal_files(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    path = save(tmp_path / "fit.h5", Results())
    assert path.stat().st_mode == ordinary.stat().st_mode
    path.chmod(0o640)
    save(path, Results())
    assert path.stat().st_mode & 0o777 == 0o640


# What is not a result


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.5, 0.99])
def test_truncated_results_are_refused(fraction, tmp_path):
    content = save(tmp_path / "fit.h5", example()).read_bytes()
    path = tmp_path / "half.h5"
    path.write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(RecordingError, match=r"half\.h5.*expected whole neurojax results"):
        load(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "x.h5"
    with pytest.raises(RecordingError, match=r"x\.h5: no such file; expected neurojax results"):
        load(path)
    path.write_text("not HDF5")
    with pytest.raises(RecordingError, match=r"x\.h5.*expected whole neurojax results"):
        load(path)
    with h5py.File(path, "w") as file:
        file["a"] = 1
    with pytest.raises(RecordingError, match=r"x\.h5: is HDF5 but not neurojax results"):
        load(path)
    save(path, example())
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(RecordingError, match=r"x\.h5: results of format version 99; expected 1"):
        load(path)


@pytest.mark.parametrize(
    "damage", ["parameters", "traces", "settings", "traces/sweep 183/v_mV", "versions"]
)
def test_incomplete_results_are_refused(damage, tmp_path):
    path = save(tmp_path / "x.h5", example())
    with h5py.File(path, "a") as file:
        del file[damage]
    with pytest.raises(RecordingError, match=r"x\.h5.*expected"):
        load(path)


def test_trace_with_broken_samples_is_refused(tmp_path):
    path = save(tmp_path / "x.h5", example())
    with h5py.File(path, "a") as file:
        file["traces/sweep 183/v_mV"][3] = np.nan
    with pytest.raises(RecordingError, match=r"x\.h5.*sweep 183: v_mV is not finite"):
        load(path)
