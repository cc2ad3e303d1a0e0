"""Recordings on the command line: features, what is left out, edits of a fit, made stimuli."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
import typer
from rich.console import Console
from test_plot import spiking
from typer.testing import CliRunner

from neurojax import fit as fitting
from neurojax.cli import app, console
from neurojax.cli.parameters import Edits
from neurojax.cli.reading import Reading
from neurojax.cli.stimulus import Made, amplitudes, stimuli
from neurojax.io import load
from neurojax.io.csv import read_commands
from neurojax.model import load_model
from neurojax.recording.excitability import excitability, fi_curve
from neurojax.recording.family import steps_of
from neurojax.recording.features import of_trace
from neurojax.recording.trace import RecordingError, Trace

pytestmark = pytest.mark.smoke


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments):
        monkeypatch.setattr(console, "out", Console(width=250, highlight=False))
        monkeypatch.setattr(console, "err", Console(stderr=True, width=250, highlight=False))
        return CliRunner().invoke(app.app, [str(a) for a in arguments])

    return invoke


def family(heights=(-100.0, -50.0, 100.0, 200.0, 200.0)):
    """Sweeps of a cell of 100 MOhm and 20 ms that fires 0.1 spikes a second for each pA."""
    t, sweeps = np.arange(0, 1400.0, 0.1), []
    on = (t >= 200) & (t < 1200)
    for k, height in enumerate(heights, 1):
        charging = 1 - np.exp(-(t - 200) / 20)
        v = -70 + np.where(on, min(height, 100) * 0.1 * charging, 0.0)
        for peak in 210 + np.arange(0.1 * max(height, 0)) * 40:
            v = v + 80 * np.exp(-(((t - peak) / 0.5) ** 2))
        sweeps.append(Trace("current", 0.1, v, np.where(on, height, 0.0), sweep=k))
    return sweeps


def written(path, sweeps):
    """A table of sweeps, CSV."""
    columns = [sweeps[0].t_ms, *(x for s in sweeps for x in (s.v_mV, s.i_pA))]
    head = ",".join(["t (ms)", *(f"v{s.sweep} (mV),i{s.sweep} (pA)" for s in sweeps)])
    table = np.stack(columns, axis=1)
    np.savetxt(path, table, delimiter=",", header=head, comments="", fmt="%.6g")
    return path


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    return written(tmp_path_factory.mktemp("rig") / "cell.csv", family())


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def failed(result, *told):
    assert result.exit_code == 2 and "Traceback" not in result.output, result.output
    for words in told:
        assert words in result.stderr, result.stderr


# -- features --------------------------------------------------------------------------------------
def test_excitability_of_a_made_cell():
    sweeps = family()
    steps, found = steps_of(sweeps), [of_trace(s) for s in sweeps]
    curve, told = fi_curve(steps, found), excitability(steps, found)
    assert curve.step_pA.tolist() == [-100, -50, 100, 200] and curve.sweeps.tolist() == [1, 1, 1, 2]
    assert curve.rate_Hz.tolist() == [0, 0, 10, 20] and curve.sd_Hz[-1] == 0
    assert curve.initial_Hz[2:] == pytest.approx(25.0, rel=1e-4)
    assert told.base_mV == pytest.approx(-70) and told.rheobase_pA == 100
    assert told.resistance_MOhm == pytest.approx(100, rel=0.01)
    assert told.tau_ms == pytest.approx(20, rel=0.02)
    assert told.gain_Hz_per_pA == pytest.approx(0.1) and told.highest_rate_Hz == 20
    rounded = [steps[2]._replace(height=3e-5), *steps]
    assert excitability(rounded, [found[2], *found]).rheobase_pA == 100  # a file's rounded zero
    nothing = excitability([], [])
    assert np.isnan(np.array(nothing)).all()


def test_features_print_a_table_for_each_sweep_and_write_the_curve(run, cell):
    done = run("features", cell, "--fi", "fi.csv", "--summary", "s.csv", "--plot", "f.svg")
    assert done.exit_code == 0, done.output
    for told in ("f-I curve", "rheobase 100 pA", "gain 0.1 Hz/pA", "half width"):
        assert told in done.output, done.output
    with open("fi.csv") as file:
        assert [(r["step_pA"], r["rate_Hz"]) for r in csv.DictReader(file)][2:] == [
            ("100", "10"),
            ("200", "20"),
        ]
    with open("s.csv") as file:
        assert next(csv.DictReader(file))["rheobase_pA"] == "100"


def test_csv_is_the_table_alone_of_the_sweeps_that_count(run, cell):
    how = ("--sweeps", "1-4", "--exclude", "2", "--junction-potential", "14 mV")
    done = run("features", cell, "--csv", *how, "--window", "200-700", "--criterion", "40 V/s")
    assert done.exit_code == 0, done.output
    told = rows(done.stdout)
    assert [r["sweep"] for r in told] == ["1", "3", "4"] and told[0]["off_ms"] == "700"
    assert {float(r["base_mV"]) for r in told} == {-84.0}
    assert told[0]["threshold_mV"] == "" and told[2]["spikes"] == "13"
    plain = rows(run("features", cell, "--csv", "--sweeps", "3").stdout)
    steep = float(told[1]["threshold_mV"]) + 14
    assert steep > float(plain[0]["threshold_mV"])  # a steeper criterion is met later


def test_a_broken_recording_does_not_stop_the_others(run, cell, tmp_path):
    (tmp_path / "cells").mkdir()
    written(tmp_path / "cells" / "a.csv", family((100.0,)))
    written(tmp_path / "cells" / "b.csv", family((200.0,)))
    (tmp_path / "cells" / "broken.csv").write_text("t (ms),v (mV)\n1,2\n")
    done = run("features", "cells", "--output", "all.csv")
    assert done.exit_code == 1 and "broken.csv: no column of current" in done.stderr
    assert "1 of 3 recordings could not be read" in done.stderr
    assert "a.csv" in done.stdout and "rheobase" in done.stdout
    assert len(rows((tmp_path / "all.csv").read_text())) == 2
    pooled = run("features", "cells/[ab].csv", "--pool", "--fi", "fi.csv")
    assert pooled.exit_code == 0 and "gain 0.1 Hz/pA" in pooled.output
    assert run("features", "cells/broken.csv").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("none.abf",), "none.abf: no such file"),
        (("none*.abf",), "none*.abf: matches no recording"),
        (("CELL", "--sweeps", "9"), "--sweeps: no sweep '9'"),
        (("CELL", "--exclude", "1-9"), "leaves no sweep"),
        (("CELL", "--window", "700-200"), "expected 0 <= on < off"),
        (("CELL", "--criterion", "20 mV"), "expected a slope above 0, as '20 mV/ms'"),
        (("CELL", "--junction-potential", "1 s"), "'s' is a unit of time"),
        (("CELL", "--junction-potential", "2 V"), "expected mV between -100 and 100"),
        (("CELL", "--output", "t.xlsx"), "t.xlsx: expected a name that ends in .csv"),
        (("CELL", "--output", "CELL"), "is a recording that is read"),
        (("CELL", "--plot", "t.doc"), "cannot draw .doc"),
        (("CELL", "--clamp", "voltage"), "is a voltage clamp"),
        (("out.csv", "--csv"), "--csv prints the table and takes no file"),
    ],
)
def test_wrong_questions_are_told(run, cell, arguments, told):
    failed(run("features", *(str(cell) if a == "CELL" else a for a in arguments)), told)


def test_a_junction_potential_moves_potentials_alone():
    voltage = replace(spiking(1), clamp="voltage", holding=-70.0).less_junction(10.0)
    assert voltage.holding == -80.0 and np.array_equal(voltage.i_pA, spiking(1).i_pA)
    current = spiking(1).less_junction(10.0)
    assert current.holding == spiking(1).holding and "10 mV taken off" in current.origin.note
    assert current.v_mV == pytest.approx(spiking(1).v_mV - 10)
    with pytest.raises(ValueError, match="expected on-off in ms"):
        Reading(window="5").times()


# -- edits of a fit --------------------------------------------------------------------------------
def test_parameters_are_set_fixed_and_freed():
    model = load_model("squid")
    assert model.space is not None
    edits = Edits(["celsius=8"], ["leak.g_bar=0.4 mS/cm2", "C_m"], ["na.g_bar=50:150 mS/cm2"])
    made = edits.apply(model)
    assert made.space is not None
    left = [n for n in model.space.names if n not in ("leak.g_bar", "C_m")]
    assert made.space.names == left
    assert made.cell.celsius == 8 and made.cell.channels["leak"].g_bar == 0.4
    na = next(f for f in made.space.free if f.name == "na.g_bar")
    assert (na.low, na.high) == (50.0, 150.0)
    wide = Edits((), (), ["na.g_bar=50:5000 mS/cm2 because it is overexpressed"]).apply(model)
    assert wide.space is not None
    assert (wide.space["na.g_bar"].high, wide.space["na.g_bar"].why) == (5e3, "it is overexpressed")
    pipette = Edits(["pipette.R_s=5 MOhm"])
    assert pipette.apply(model) is not None
    with pytest.raises(ValueError, match="pipette"):
        pipette.apply(model, pipette=True)


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        (Edits(["na.g_bar=100"]), "--set na.g_bar: is free"),
        (Edits(["na.gbar=1"]), "did you mean 'na.g_bar'"),
        (Edits((), ["celsius=8"]), "--fix: no free parameter 'celsius'"),
        (Edits((), ["C_m"], ["C_m=1:2"]), "is given in --fix and --free"),
        (Edits(["celsius=8", "celsius=9"]), "--set celsius: is given twice"),
        (Edits((), (), ["C_m=1"]), "expected name=low:high"),
        (Edits((), (), ["C_m=2:1"]), "are empty"),
        (Edits((), (), ["na.g_bar=1 mV:2 mV"]), "'mV' is a unit of voltage"),
        (Edits((), (), ["na.g_bar=1:1e9"]), "--free 'name=low:high because ...'"),
        (Edits((), (), ["na.g_bar=1:1e9 because "]), "a word of why"),
    ],
)
def test_edits_that_cannot_be_meant_are_told(edits, told):
    with pytest.raises(ValueError, match=told):
        edits.apply(load_model("squid"))


def test_a_fit_is_made_of_what_is_left(run, cell, monkeypatch):
    seen = {}

    def quick(_cell, traces, space, stages=None, **how):
        seen.update(cell=_cell, traces=traces, space=space, hold=how["hold"])
        raise ValueError("that was all")

    monkeypatch.setattr(fitting, "fit", quick)
    told = run(
        *("fit", cell, "squid", "--exclude", "2,3", "--sweeps", "1-4", "--hold", "--pipette"),
        *("yes", "--fix", "leak.g_bar=0.4", "--fix", "pipette.C_pip=3 pF", "--set", "celsius=9"),
        *("--free", "k.g_bar=10:50", "--junction-potential", "10 mV"),
    )
    failed(told, "that was all")
    assert [t.sweep for t in seen["traces"]] == [1, 4] and seen["hold"]
    assert seen["traces"][0].v_mV[0] == pytest.approx(-80)
    names = seen["space"].names
    assert "leak.g_bar" not in names and "pipette.C_pip" not in names and "pipette.R_s" in names
    assert seen["cell"].channels["pipette"].C_pip == 3.0 and seen["cell"].celsius == 9
    (k,) = (f for f in seen["space"].free if f.name == "k.g_bar")
    assert (k.low, k.high) == (10, 50)


# -- abuse -----------------------------------------------------------------------------------------
JUNK = ("", "nan", "-1e999", "ü=\0", "=", ":", "--", "1-", "9" * 400)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("features", ["none.abf"]),
        ("fit", ["none.abf", "squid"]),
        ("plate", ["none", "herg"]),
        ("simulate", ["squid"]),
        ("explore", ["none.toml"]),
        ("convert", ["none.mod"]),
        ("channels", ["NoChannel"]),
        ("models", ["none"]),
    ],
)
def test_no_option_ends_in_a_traceback(monkeypatch, tmp_path, command, arguments):
    monkeypatch.chdir(tmp_path)
    known = typer.main.get_command(app.app)
    for option in known.commands[command].params:
        if option.param_type_name != "option" or option.name == "help":
            continue
        for junk in [None] if option.is_flag else JUNK:
            given = [*arguments, max(option.opts, key=len), *([] if junk is None else [junk])]
            with pytest.raises(SystemExit) as ended:
                known([command, *given])
            assert ended.value.code == 2, given


@pytest.mark.parametrize("name", ["x.nml", "x.swc", "x.hoc"])
def test_only_nmodl_is_converted(run, name):
    failed(run("convert", name), f"{name}: expected an NMODL file (.mod)")


# -- models and stimuli ----------------------------------------------------------------------------
def test_a_model_is_printed_to_copy(run, tmp_path):
    text = run("models", "squid").stdout
    (tmp_path / "mine.toml").write_text(text)
    assert load_model(tmp_path / "mine.toml").space == load_model("squid").space
    failed(run("models", "sqid"), "did you mean 'squid'")


def test_stimuli_have_the_shapes_that_are_asked_for():
    squid = load_model("squid").cell
    assert amplitudes("-100:50:100 pA", squid) == ([-100, -50, 0, 50, 100], "pA")
    assert amplitudes("0, 5, 0.1 nA", squid)[0] == pytest.approx([0, 5e3, 100])
    asked = {"amplitude": "20 pA", "duration": "5000", "start": "0", "stop": "5000"}
    (ramp,) = stimuli(Made(**asked, shape="ramp"), squid, 0.1)
    assert ramp.command[[0, -1]] == pytest.approx([0, 20], abs=3e-3)
    (sine,) = stimuli(Made(**asked, shape="sine", frequency="10 Hz"), squid, 0.1)
    assert sine.command.std() == pytest.approx(20 / 2**0.5, rel=1e-3)
    assert np.ptp(sine.command[::1000]) < 0.01  # a period is 100 ms
    noise = [
        stimuli(Made(**asked, shape="noise", seed=k, correlation="5 ms"), squid, 0.1)[0].command
        for k in (1, 1, 2)
    ]
    assert np.array_equal(noise[0], noise[1]) and not np.array_equal(noise[0], noise[2])
    assert noise[0].std() == pytest.approx(20, rel=0.15)
    lag = np.corrcoef(noise[0][:-50], noise[0][50:])[0, 1]
    assert lag == pytest.approx(np.exp(-1), abs=0.06)


def test_a_table_of_current_has_no_potential(tmp_path):
    path = tmp_path / "i.csv"
    path.write_text("t (s),i1 (nA),i2 (nA)\n0,0,0\n0.001,0.1,0.2\n0.002,0.1,0\n")
    (label, dt, i, unit), (_, _, second, _) = read_commands(path)
    assert (label, dt, unit) == ("i1 (nA)", 1.0, "pA")
    assert i == pytest.approx([0, 100, 100]) and second == pytest.approx([0, 200, 0])
    path.write_text("t (s),v (mV),i (nA)\n0,0,0\n0.001,0.1,0.2\n")
    with pytest.raises(RecordingError, match="one of time and one or more of current"):
        read_commands(path)


def test_sweeps_are_simulated_replayed_and_drawn(run, tmp_path):
    how = ("--dt", "0.1", "--hold", "-62 mV", "--output", "o.h5", "--plot", "o.svg")
    times = ("--start", "20", "--stop", "80", "--duration", "100")
    done = run("simulate", "squid", "--amplitude", "0, 100 pA", *times, *how)
    assert done.exit_code == 0, done.output
    assert done.output.count("held at -62 mV by") == 2 and done.output.count("rest -62.0 mV") == 2
    results = load(tmp_path / "o.h5")
    assert {"simulation 1", "simulation 2"} == set(results.traces)
    assert np.ptp(results.arrays["v/1"]) < 0.2 < np.ptp(results.arrays["v/2"])
    written(tmp_path / "data.csv", list(results.traces.values()))
    done = run(
        *("simulate", "squid", "--recording", "data.csv", "--sweeps", "1-2", "--dt", "0.1"),
        *("--hold", "-62 mV", "--plot", "r.svg"),
    )
    assert done.exit_code == 0, done.output
    assert done.output.count("of the recording: ") == 2
    assert "as given" in (tmp_path / "r.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("x.mod",), "neurojax convert x.mod"),
        (("x.nml",), 'type = "x.nml:na"'),
        (("x.swc",), 'file = "x.swc"'),
        (("squid", "--amplitude", "1 pA", "--output", "o.csv"), "ends in .h5 or .hdf5"),
        (("squid", "--amplitude", "1 pA", "--plot", "o.csv"), "cannot draw .csv"),
        (("squid", "--amplitude", "1 pA", "--shape", "saw"), "expected one of step, ramp"),
        (("squid", "--amplitude", "1 pA", "--shape", "sine"), "needs a --frequency"),
        (("squid", "--amplitude", "1 pA", "--frequency", "9 Hz"), "is of --shape sine"),
        (("squid", "--amplitude", "0:-1:5 pA"), "never leads from 0 to 5"),
        (("squid", "--amplitude", "0:5 pA"), "from:by:to"),
        (("squid", "--amplitude", "1 pA, 2 mV"), "in pA and in mV"),
        (("squid", "--amplitude", "0:1e-9:5 pA"), "neurojax sweep is for more"),
        (("squid", "--amplitude", "1 pA", "--duration", "1e9 s"), "this machine has"),
        (("squid", "--amplitude", "1 pA", "--recording", "x.abf"), "told more than once"),
        (("squid", "--amplitude", "1 pA", "--sweeps", "1"), "name one"),
        (("squid", "--amplitude", "1 pA", "--hold", "-9 V"), "between -150 and 60 mV"),
        (("squid", "--current", "none.csv"), "none.csv"),
    ],
)
def test_stimuli_that_cannot_be_meant_are_told(run, arguments, told):
    failed(run("simulate", *arguments), told)
