"""Maps of sweeps: what a picture and a page show is what was computed, where it belongs."""

import base64
import json
import re

import h5py
import numpy as np
import pytest

from neurojax.cli.sweep_plot import draw
from neurojax.plot.maps import parameter_map
from neurojax.report.map_page import NONE, MapData, map_page
from neurojax.sweep.read import read
from neurojax.sweep.storage import SweepError


def merged(folder, axes, samples=0):
    """A merged sweep, written by hand: `p.rate` numbers its cells, with `samples` rows of "s"."""
    shape = ((samples,) if samples else ()) + tuple(len(values) for values in axes.values())
    n = int(np.prod(shape))
    with h5py.File(folder / "shard.h5", "w") as file:
        file["p.rate"], file["p.ok"], file["p.curve"] = np.arange(n) * 1.0, np.ones(n, bool), 0.0
    with h5py.File(folder / "sweep.h5", "w") as file:
        file.attrs.update(format="neurojax sweep", title="small")
        scales = {"sample": np.arange(samples)} if samples else {}
        for name, values in (scales | axes).items():
            file[name] = values
            file[name].make_scale(name)
            if name != "sample":
                file[name].attrs["units"] = "mV"
        if samples:
            file["s"] = np.linspace(10.0, 20.0, samples)
            file["s"].attrs["units"] = "mS"
        for name, kind in (("p.rate", "f8"), ("p.ok", "?"), ("p.curve", "f8")):
            inner = (5,) if name == "p.curve" else ()
            layout = h5py.VirtualLayout((*shape, *inner), kind)
            if not inner:
                layout[...] = h5py.VirtualSource("shard.h5", name, shape=(n,), dtype=kind)
            data = file.create_virtual_dataset(name, layout)
            for k, axis in enumerate(scales | axes):
                data.dims[k].attach_scale(file[axis])
    return read(folder)


def test_values_of_a_list_are_drawn_in_their_order(tmp_path):
    found = merged(tmp_path, {"a": [3.0, 1.0, 2.0], "b": [0.0, 5.0]})
    plane = found.plane()
    np.testing.assert_array_equal(plane.x.values, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(plane.numbers, [[2, 4, 0], [3, 5, 1]])
    assert found.of_one_number() == ["p.rate"]


def test_what_is_fixed_is_said_and_what_cannot_be_is_refused(tmp_path):
    found = merged(tmp_path, {"a": [1.0, 2.0], "b": [0.0, 5.0]}, samples=3)
    assert found.plane().fixed == {"sample": "1 (s = 15 mS)"}
    plane = found.plane(at={"sample": 2})
    assert plane.fixed == {"sample": "2 (s = 20 mS)"} and plane.numbers.min() == 8
    for name in ("a", "s"):
        with pytest.raises(SweepError, match=f"{name} is not what .* of sample; samples go by row"):
            found.plane(at={name: 1.0})
    with pytest.raises(SweepError, match=r"varies a, b, s \(sampled\)"):
        found.plane("s")


def test_a_result_that_no_cell_has_has_no_scale():
    x, y = np.arange(3.0), np.arange(2.0)
    figure = parameter_map(x, y, np.full((2, 3), np.nan), labels=("x", "y", "z"))
    assert "no cell has this result" in figure.axes[0].get_title("left")


def page_data(v, dt=1.0):
    told = map_page(
        MapData(
            title="<t>", x=np.arange(2.0), y=np.arange(2.0), labels=("x", "y"),
            results={"p.rate": np.array([[1.0, np.nan], [2.0, 3.0]])}, units={"p.rate": "Hz"},
            classes={}, fixed={}, traced=np.array([0, 3]), protocol="p",
            t_ms=dt * np.arange(len(v)), v=v,
        )
    )  # fmt: skip
    data = json.loads(re.search(r'id="data">(.*)</script>', told)[1])
    shown = np.frombuffer(base64.b64decode(data["v"]), "<i2").reshape(2, data["points"])
    return told, data, shown


@pytest.mark.parametrize("n", [400, 501, 999, 1000, 7501])
def test_a_trace_of_a_page_is_the_whole_trace(n):
    """Spikes are where they were, in the first record and in the last, however long it is."""
    v = np.full((n, 2), -65.0)
    at = [0, n // 3, n - 1]
    v[at, 0] = 40.0
    told, data, shown = page_data(v)
    assert data["duration"] == n - 1 and "&lt;t&gt;" in told
    places = np.flatnonzero(shown[0] == 4000) / (data["points"] - 1)
    np.testing.assert_allclose(places, np.array(at) / (n - 1), atol=2.5 / data["points"])
    assert (shown[1] == -6500).all()


def test_a_potential_that_is_none_is_not_drawn():
    v = np.full((10, 2), -65.0)
    v[4, 0], v[5, 0], v[6, 0] = np.nan, np.inf, 1e6
    _, data, shown = page_data(v)
    assert data["none"] == NONE and np.flatnonzero(shown[0] == NONE).tolist() == [4, 5, 6]


def test_a_sweep_over_one_axis_is_a_line(tmp_path):
    merged(tmp_path, {"a": [3.0, 1.0, 2.0]})
    draw(tmp_path, tmp_path / "fi.svg", of="", x="", y="", at=(), lines=False)
    text = (tmp_path / "fi.svg").read_text()
    assert "a (mV)" in text and "p.rate" in text
    with pytest.raises(SweepError, match=r"varies a alone: name a picture"):
        draw(tmp_path, tmp_path / "fi.html", of="", x="", y="", at=(), lines=False)
