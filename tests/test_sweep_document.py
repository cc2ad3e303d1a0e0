"""Sweep files: what may stand in them, and the sentence that says how to mend a mistake."""

import base64
import json
import re

import h5py
import numpy as np
import pytest
from rich.console import Console
from sweeps import squid
from typer.testing import CliRunner

import neurojax as nj
from neurojax import sweep
from neurojax.cli import app, console
from neurojax.sweep import document, tables, tasks
from neurojax.sweep.read import read as read_results
from neurojax.sweep.run import manifest_of
from neurojax.sweep.storage import Folder, SweepError

GRID = 'from = "20 mS/cm2", to = "50 mS/cm2", points = 5'

FILE = """
model = "squid"
output = "out"

[axes]
k.g_bar = { from = "20 mS/cm2", to = "50 mS/cm2", points = 5 }
step.amplitude = { from = "0 pA", to = "0.25 nA", points = 6 }

[protocols.step]
start = "2 ms"
stop = "19 ms"
duration = "20 ms"

[store]
shard = 64
unit = 64
"""


def read(tmp_path, *changes):
    text = FILE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return document.read_sweep(path)


def test_a_sweep_file_is_the_sweep(tmp_path):
    found = read(tmp_path)
    assert found.sweep.shape == (5, 6) and found.output == tmp_path / "out"
    values = found.sweep.values(np.arange(30))
    np.testing.assert_allclose(values["k.g_bar"][::6], np.linspace(20, 50, 5))
    np.testing.assert_allclose(values["step.amplitude"][:6], np.linspace(0, 250, 6))
    assert found.store == {"shard": 64, "unit": 64} and found.sweep.name == "mine"
    assert found.sweep.fingerprint == read(tmp_path).sweep.fingerprint
    other = read(tmp_path, ("points = 5", "points = 4")).sweep.fingerprint
    assert other != found.sweep.fingerprint


@pytest.mark.parametrize(
    "change, told",
    [
        (("k.g_bar", "k.gbar"), "no parameter 'k.gbar'; did you mean 'k.g_bar'?"),
        (('"20 mS/cm2"', "20"), 'from = 20 has no unit: write "20 mS/cm2"'),
        (('"20 mS/cm2"', '"20 mV"'), "'mV' is a unit of voltage"),
        (('"20 mS/cm2"', '"60 mS/cm2"'), "goes from 60 to 50: expected the smaller one first"),
        (('to = "50 mS/cm2"', 'to = "5e9 mS/cm2"'), "axis 'k.g_bar' = 5e+09 mS/cm2 is outside"),
        (("points = 5", "points = 1"), "points = 1: expected a whole number, 2 or more"),
        ((", points = 5", ""), "points is missing"),
        (("points = 5", "points = 5, scale = 'lag'"), "no scale 'lag'; did you mean 'log'?"),
        (("points = 5", "points = 5, unit = 'S/cm2'"), "unknown key 'unit'"),
        (('from = "20 mS/cm2", ', ""), "[axes] k.g_bar: from is missing"),
        (('"20 mS/cm2"', "nan"), "from = nan: expected a finite number in mS/cm2"),
        (("{ " + GRID + " }", "20"), "expected a table as { from"),
        ((GRID, "values = []"), "values = []: expected a list of numbers"),
        ((GRID, "values = [20, 30]"), 'values have no unit: write unit = "mS/cm2"'),
        ((GRID, "values = [20], unit = 'mV'"), "'mV' is a unit of voltage"),
        ((GRID, "values = ['20 mS/cm2'], unit = 'mS/cm2'"), "beside unit expected numbers"),
        ((GRID, "values = [20], unit = 'mS/cm2', points = 5"), "unknown key 'points'"),
        ((GRID, "values = [20, 20.0], unit = 'mS/cm2'"), "a value is there twice"),
        (('k.g_bar = { from = "20 mS/cm2", to = "50 mS/cm2", points = 5 }\nstep.amplitude = '
          '{ from = "0 pA", to = "0.25 nA"', 'area = { values = [1e-5], unit = "cm2" }\n'
          'step.amplitude = { from = "0 uA/cm2", to = "9 uA/cm2"'),
         "[axes] step.amplitude from is a density, and 'area' differs from cell to cell"),
        (("step.amplitude", "pulse.amplitude"), "no parameter 'pulse"),
        (('model = "squid"', 'model = "squit"'), "did you mean 'squid'?"),
        (('output = "out"', ""), 'output is missing: write output = "FOLDER"'),
        (("[axes]", "[axis]"), "unknown table or key 'axis'; did you mean 'axes'?"),
        (('stop = "19 ms"', 'stop = "1 ms"'), "expected start < stop"),
        (('stop = "19 ms"\n', ""), 'stop is missing, as stop = "100 ms"'),
        (('output = "out"', 'output = "o"\nobservables = ["rat"]'), "did you mean 'rate'?"),
        (('output = "out"', 'output = "o"\ntrials = 0'), "trials = 0: expected a whole number"),
        (("[store]", "[samples]\npoints = 12\nranges.k.E_rev = {from = '-90 mV', to = '-60 mV'}\n"
          "[store]"), "write 8 or 16"),
        (("[store]", "[samples]\nfile = 'none.csv'\n[store]"), "none.csv: cannot be read"),
        (("[store]", "[samples]\npoints = 8\n[store]"), "samples of no parameter"),
        (("[store]", "[samples]\npoints = 8\nseed = -1\n[store]"), "seed = -1: expected a whole"),
        (("[store]", "[samples]\nmethod = 'latin'\n[store]"), "[samples]: points is missing"),
        (("[store]", "[samples]\npoints = 8\nranges.k.g_bar = "
          "{from = '1 mS/cm2', to = '2 mS/cm2'}\n[store]"), "'k.g_bar' is there twice: in"),
        (("[store]", "[samples]\npoints = 8\nranges.leak.g_bar = {from = '0 S/cm2', to = "
          "'1 mS/cm2', scale = 'log'}\n[store]"), "begins at 0 on a log scale: begin above 0"),
        (("[store]", "[samples]\nfit = 'a.h5'\nwithin = -1\n[store]"), "within = -1: expected"),
        (("[store]", "[noise]\nlangevin = 'no'\n[store]"), "langevin = 'no': expected true"),
        (("[store]", "[store]\nfloat = 'float8'"), "no float 'float8'"),
        (("unit = 64", "unit = 63"), "unit = 63: expected a multiple of 16, 64 or more"),
        (('output = "out"', 'output = "o"\ntrials = 10000000000'), "cells: expected at most 2^32"),
        (("[protocols.step]", "[protocols]"), "[protocols] start: expected a table"),
        (("[protocols.step]", "[protocols.'a.b']"), "a name has letters, digits, - and _ only"),
        (('duration = "20 ms"', 'duration = "20 ms"\nevery = 801'), "expected 1 to 800 steps"),
        (('duration = "20 ms"', "duration = 20 ms"), 'with its unit stands in quotes: "20 ms"'),
        (('duration = "20 ms"', 'duration = "20 ms"\ndt = "5 s"'), "shorter than the run"),
        (('stop = "19 ms"', 'stop = "29 ms"'), "expected 0 <= start <= stop <= duration"),
        (("k.g_bar", "kv.g_bar"), "no parameter 'kv.g_bar'; did you mean 'k.g_bar'?"),
        (("step.amplitude", "stim.amplitude"), "did you mean 'step.amplitude'?"),
        (('step.amplitude = { from = "0 pA", to = "0.25 nA", points = 6 }', ""),
         'amplitude is missing: write amplitude = "100 pA"'),
        (("{ " + GRID + " }", '["20 mS/cm2"]'), 'or { values = [1, 2], unit = "mS/cm2" }'),
        (("[axes]", "[[axes]]"), "[[axes]]: expected one table, written [axes]"),
        (("[store]", "[store]\nfloat = 16"), "[store]: no float '16' (have: float32"),
        (("[store]", "[samples]\nfile = 'a.csv'\npoints = 8\n[store]"), "beside file, unknown key"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_how_to_mend_it(tmp_path, change, told):
    with pytest.raises(SweepError, match=re.escape(told)) as error:
        read(tmp_path, change)
    assert "mine.toml" in str(error.value)


def test_a_list_is_read_from_a_file(tmp_path):
    asked = ("[store]", "[samples]\nfile = 'cells.csv'\n[store]")
    (tmp_path / "cells.csv").write_text("na.g_bar (S/cm2),leak.E_rev (mV)\n0.1,-50\n0.2,-60\n")
    found = read(tmp_path, asked)
    assert found.sweep.shape == (2, 5, 6)
    np.testing.assert_allclose(found.sweep.values(np.array([0, 30]))["na.g_bar"], [100.0, 200.0])
    manifest = manifest_of(found.sweep, **found.store, source=found.source)
    again = document.again(manifest, found.output)
    assert again.sweep.fingerprint == found.sweep.fingerprint
    (tmp_path / "cells.csv").write_text("na.g_bar,leak.E_rev (mV)\n0.1,-50\n")
    with pytest.raises(SweepError, match=r"has no unit: write na.g_bar \(mS/cm2\)"):
        read(tmp_path, asked)
    with pytest.raises(SweepError, match=r"cells\.csv has changed since the sweep"):
        document.again(manifest, found.output)


@pytest.mark.parametrize(
    "text, told",
    [
        ("na.g_bar (mS/cm2)\n", "expected a header and a row for each cell"),
        ("na.g_bar (mV)\n1\n", "column 1, na.g_bar = '1 mV': 'mV' is a unit of voltage"),
        ("na.gbar (S/cm2)\n1\n", "column 1: no parameter 'na.gbar'; did you mean 'na.g_bar'?"),
        ("na.g_bar (S/cm2),na.g_bar (S/cm2)\n1,2\n", "column 'na.g_bar' is there twice"),
        ("na.g_bar (S/cm2)\n0,1\n", "line 2 has 2 values, expected 1 as in the header"),
        ("na.g_bar (S/cm2)\n\n0.1\n\n?\n", "line 5, column 'na.g_bar': '?' is no number"),
        ("na.g_bar (mS/cm2)\nnan\n", "axis 'na.g_bar' = nan mS/cm2 is outside"),
    ],
)
def test_a_list_with_a_mistake_is_refused(tmp_path, text, told):
    (tmp_path / "cells.csv").write_text(text)
    with pytest.raises(SweepError, match=re.escape(told)):
        read(tmp_path, ("[store]", "[samples]\nfile = 'cells.csv'\n[store]"))


def test_a_change_of_a_channel_of_ones_own_is_seen(tmp_path):
    """A sweep goes on with the code of channels with which it began, or not at all."""
    model = 'model = "mine/axon.toml"'
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "axon.toml").write_text(
        '[channels.k]\ntype = "k.py:MyK"\n[channels.leak]\ntype = "SquidLeak"\n'
    )
    code = "import neurojax as nj\n@nj.pytree\nclass MyK(nj.channels.SquidK):\n    pass\n"
    (tmp_path / "mine" / "k.py").write_text(code)
    found = read(tmp_path, ('model = "squid"', model)).sweep
    before = found.fingerprint
    manifest = manifest_of(found, source=read(tmp_path, ('model = "squid"', model)).source)
    assert document.again(manifest, tmp_path).sweep.fingerprint == before
    (tmp_path / "mine" / "k.py").write_text(code.replace("pass", "v_half = 3.0"))
    with pytest.raises(SweepError, match="is not what it was when the sweep began"):
        document.again(manifest, tmp_path)


def test_parameters_that_follow_another_do_so_in_a_sweep():
    led = sweep.Sweep(squid().cell, squid().protocols, {"k.E_rev": [-80.0, -75.0]},
                      also={"k.E_rev": ["leak.E_rev"]})  # fmt: skip
    cells = led.cells_of(np.arange(2), led.values(np.arange(2)))
    np.testing.assert_array_equal(cells.channels["leak"].E_rev, [-80.0, -75.0])


def test_an_ensemble_is_that_of_a_saved_fit(tmp_path):
    from neurojax.io import Results, save

    arrays = {"starts/k.g_bar": np.array([30.0, 31.0, 40.0]),
              "errors of starts": np.array([1.0, 1.02, 2.0])}  # fmt: skip
    path = save(tmp_path / "fit.h5", Results(arrays=arrays))
    np.testing.assert_array_equal(tables.ensemble(path).columns["k.g_bar"], [30.0, 31.0])
    with pytest.raises(SweepError, match="no such file"):
        tables.ensemble(tmp_path / "none.h5")
    arrays["errors of starts"] = np.array([np.inf, 1.0, 2.0])
    path = save(tmp_path / "fit.h5", Results(arrays=arrays))
    np.testing.assert_array_equal(tables.ensemble(path).columns["k.g_bar"], [31.0])
    arrays["errors of starts"][:] = np.nan
    path = save(tmp_path / "fit.h5", Results(arrays=arrays))
    with pytest.raises(SweepError, match="no start of this fit has a finite error"):
        tables.ensemble(path)


@pytest.mark.parametrize(
    "environment, part",
    [
        ({}, None),
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "5"},
         (3, 4)),
        ({"SLURM_ARRAY_TASK_ID": "8", "SLURM_ARRAY_TASK_COUNT": "5", "SLURM_ARRAY_TASK_MIN": "0",
          "SLURM_ARRAY_TASK_STEP": "2"}, (5, 5)),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "16"}, (1, 16)),
        ({"JOB_COMPLETION_INDEX": "2", "NEUROJAX_TASKS": "3"}, (3, 3)),
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}, (2, 2)),
    ],
)  # fmt: skip
def test_a_scheduler_tells_the_part(environment, part):
    found = tasks.detected(environment)
    assert (found and tuple(found[0])) == part


def test_a_part_is_one_of_them():
    assert tasks.part_of("3/8") == (3, 8)
    for wrong in ("0/8", "9/8", "3", "a/b"):
        with pytest.raises(ValueError, match="expected"):
            tasks.part_of(wrong)
    for wrong, told in (
        ({"JOB_COMPLETION_INDEX": "2"}, "NEUROJAX_TASKS"),
        ({"SLURM_ARRAY_TASK_ID": "2"}, "SLURM_ARRAY_TASK_COUNT is not"),
        ({"SLURM_PROCID": "one", "SLURM_STEP_NUM_TASKS": "2"}, "SLURM_PROCID = 'one': expected"),
        ({"OMPI_COMM_WORLD_RANK": "4", "OMPI_COMM_WORLD_SIZE": "4"}, "part 5/4: expected 1/4 to"),
    ):
        with pytest.raises(ValueError, match=told):
            tasks.detected(wrong)


def test_a_script_has_whole_times_and_names():
    script = tasks.sbatch_script(["neurojax"], "my map/1", 3, 1.999, 2)
    assert "--time=02:00:00" in script and "--job-name=my-map-1" in script
    for tasks_, hours, cores in ((0, 1.0, 1), (1, 0.0, 1), (1, 1.0, 0)):
        with pytest.raises(ValueError, match="expected a task, a core and a minute"):
            tasks.sbatch_script(["neurojax"], "map", tasks_, hours, cores)


@pytest.fixture
def call(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments):
        monkeypatch.setattr(console, "out", Console(width=200, soft_wrap=True))
        monkeypatch.setattr(console, "err", Console(stderr=True, width=200, soft_wrap=True))
        return CliRunner().invoke(app.app, ["sweep", *map(str, arguments)])

    return invoke


def test_the_command_line_runs_a_sweep_in_parts(call, tmp_path, monkeypatch):
    path = tmp_path / "mine.toml"
    path.write_text(FILE.replace("points = 5", "points = 25"))
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "1")
    done = call("run", path)
    assert done.exit_code == 0 and "part 2/2, as SLURM array says" in done.output
    assert "1 shards computed" in done.output and "still to come" in done.output
    assert call("verify", "out").exit_code == 1
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID")
    assert "missing: 0, 2" in call("status", "out").output
    done = call("resume", "out")
    assert done.exit_code == 0 and "2 shards computed, 1 were there" in done.output
    assert call("verify", "out").exit_code == 0
    script = call("script", path, "--tasks", 7, "--hours", 1.5)
    assert "#SBATCH --array=1-7" in script.output and "--time=01:30:00" in script.output
    wrong = call("status", tmp_path)
    assert wrong.exit_code == 2 and "no sweep here" in wrong.stderr
    planned = call("plan", path)
    assert planned.exit_code == 0 and "150 cells (25 x 6) in 3 shards of 64" in planned.output
    assert call("plot", "out", "map.svg", "--of", "step.behaviour").exit_code == 0
    assert "depolarisation block" in (tmp_path / "map.svg").read_text()
    wrong = call("plot", "out", "page.html", "--at", "k.g_bar=0.03 S/cm2")
    assert wrong.exit_code == 2 and "not what this map holds fixed" in wrong.stderr
    assert call("plot", "out", "page.html").exit_code == 0
    page = (tmp_path / "page.html").read_text()
    told = json.loads(re.search(r'id="data">(.*)</script>', page)[1])
    assert told["labels"] == ["k.g_bar (mS/cm2)", "step.amplitude (pA)"]
    shown = np.frombuffer(base64.b64decode(told["results"]["step.spikes"]), "<f4").reshape(6, 25)
    found = read_results("out")
    np.testing.assert_array_equal(shown, found.array("step.spikes").T)
    # A trace rises above 0 mV where the cell fires.
    v = np.frombuffer(base64.b64decode(told["v"]), "<i2").reshape(-1, told["points"]) / 100
    fires = shown.ravel()[told["traced"]] > 0
    assert len(v) == 150 and (v.max(1) > -20).tolist() == fires.tolist()
    assert "src=" not in page and "http" not in page
    room = Folder(tmp_path / "out")
    room.shard(1).write_bytes(room.shard(1).read_bytes()[:900])
    wrong = call("plot", "out", "map.svg")
    assert wrong.exit_code == 2 and "a shard is damaged: `neurojax sweep resume" in wrong.stderr
    assert "left out as damaged: 1" in call("merge", "out").output
    whole = read_results("out").numbers("step.rate").ravel()
    assert np.isnan(whole[64:128]).all() and np.isfinite(whole[:64]).all()


def test_axes_and_planes_of_results_are_read(tmp_path):
    found = read_results(small_results(tmp_path))
    assert found.shape == (3, 2, 4) and found.axes["b"].unit == "mV"
    assert found.array("p.rate").shape == (3, 2, 4)
    plane = found.plane("c", "b", {"a": 2.0})
    np.testing.assert_array_equal(plane.numbers, 16 + np.arange(8).reshape(2, 4))
    assert plane.fixed == {"a": "2 mS"} and not plane.of_samples
    assert found.plane("b", "c").numbers.shape == (4, 2)
    for axes, told in ((("d", ""), "no axis 'd'"), (("a", "a"), "two axes")):
        with pytest.raises(SweepError, match=told):
            found.plane(*axes)
    with pytest.raises(SweepError, match=r"did you mean 'p\.rate'"):
        found.array("p.rat")


def small_results(folder):
    """A merged sweep of three axes, written by hand."""
    with h5py.File(folder / "shard.h5", "w") as file:
        file["p.rate"], file["p.ok"] = np.arange(24.0), np.ones(24, bool)
    with h5py.File(folder / "sweep.h5", "w") as file:
        file.attrs.update(format="neurojax sweep", title="small")
        for name, n, unit in (("a", 3, "mS"), ("b", 2, "mV"), ("c", 4, "1")):
            file[name] = np.arange(float(n))
            file[name].attrs["units"] = unit
            file[name].make_scale(name)
        for name, kind in (("p.rate", "f8"), ("p.ok", "?")):
            layout = h5py.VirtualLayout((3, 2, 4), kind)
            layout[...] = h5py.VirtualSource("shard.h5", name, shape=(24,), dtype=kind)
            data = file.create_virtual_dataset(name, layout)
            for k, axis in enumerate("abc"):
                data.dims[k].attach_scale(file[axis])
    return folder


def test_a_voltage_clamp_is_swept_and_its_good_cells_are_shown(call, tmp_path):
    """The currents are those of `simulate`, the pair plot is of the cells asked for."""
    text = FILE.replace("step.amplitude", "iv.command").replace('"0.25 nA"', '"40 mV"')
    text = text.replace('"0 pA"', '"-60 mV"').replace("protocols.step", "protocols.iv")
    text = text.replace('start = "2 ms"', 'clamp = "voltage"\nholding = "-70 mV"\nstart = "2 ms"')
    (tmp_path / "iv.toml").write_text(text)
    assert call("run", "iv.toml").exit_code == 0
    found = read_results("out")
    assert found.units["iv.i_peak"] == "pA" and found.shape == (5, 6)
    cell = nj.replace(squid().cell, {"k.g_bar": 35.0})
    command = nj.steps(110.0, start=2, stop=19, duration=20, dt=0.025) - 70.0
    run = nj.simulate(cell, nj.voltage_clamp(command), 0.025, record=("i_amp",))
    i = np.asarray(run.data["i_amp"])[79:759]
    k = np.abs(i).argmax()
    peaks = found.numbers("iv.i_peak")
    assert peaks[2, 5] == pytest.approx(i[k], rel=1e-4)
    assert found.numbers("iv.t_peak")[2, 5] == pytest.approx(0.025 * k, abs=0.03)
    assert found.numbers("iv.i_end")[2, 5] == pytest.approx(i[-68:].mean(), rel=1e-4)
    for name in ("pairs.svg", "pairs.html"):
        done = call("plot", "out", name, "--pairs", "--good", f"iv.i_peak={peaks[0, 5]}:1e12")
        assert done.exit_code == 0, done.output
    n = int((peaks >= peaks[0, 5]).sum())
    assert f"{n} of 30 cells are good" in (tmp_path / "pairs.svg").read_text()
    wrong = call("plot", "out", "pairs.svg", "--pairs")
    assert wrong.exit_code == 2 and "say what is good" in wrong.stderr
    (tmp_path / "iv.toml").write_text(text.replace("output", 'observables = ["rate"]\noutput'))
    wrong = call("run", "iv.toml")
    assert wrong.exit_code == 2 and "and none of the observables" in wrong.stderr
