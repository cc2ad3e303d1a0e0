"""The command line: what each command does, and the one line told for what a user got wrong."""

import csv
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nmodl_files import DELAYED
from rich.console import Console
from rig_files import abf1
from test_plot import made_fit, spiking
from typer.testing import CliRunner

import neurojax
from neurojax import fit as fitting
from neurojax import report
from neurojax.cli import app, console, deliver, demo, experiment, fit
from neurojax.cli.experiment import lines_of
from neurojax.cli.neuron_steps import neuron
from neurojax.cli.progress import FitProgress
from neurojax.cli.sweeps import divide
from neurojax.io import load
from neurojax.model import load_model
from neurojax.recording.trace import RecordingError, Trace

pytestmark = pytest.mark.smoke


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a command line in an empty folder; consoles are made anew to see the captured streams."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments):
        monkeypatch.setattr(console, "out", Wide(False))
        monkeypatch.setattr(console, "err", Wide(True))
        return CliRunner().invoke(app.app, [str(a) for a in arguments])

    return invoke


def Wide(stderr):
    return Console(stderr=stderr, width=200, highlight=False, soft_wrap=True)


@pytest.fixture
def quick_fit(monkeypatch):
    """A fit that takes no time: the middle of the box, with a progress of two stages."""
    seen = {}

    def quick(cell, traces, space, stages=None, *, seconds=None, seed=0, progress=None, **options):
        seen.update(traces=traces, seconds=seconds, seed=seed, options=options, stages=stages)
        made = made_fit()
        if progress:
            progress("search", 1, 2, 3.0, "1")
            progress("search", 2, 2, 0.2, "1")
            progress("free run", 1, 5, 0.1, "mV")
        return made

    monkeypatch.setattr(fitting, "fit", quick)
    return seen


@pytest.fixture
def reports(monkeypatch):
    """Where reports would be written, and of what: their pages are drawn in other tests."""
    asked = {}
    monkeypatch.setattr(report, "write", lambda path, done: asked.setdefault(path, done) and path)
    return asked


@pytest.fixture
def recording(tmp_path):
    """A CSV recording of two sweeps."""
    path = tmp_path / "cell.csv"
    one, two = spiking(1), spiking(2, step=200.0)
    columns = np.stack([one.t_ms, one.v_mV, one.i_pA, two.v_mV, two.i_pA], axis=1)
    head = "time (ms),V1 (mV),I1 (pA),V2 (mV),I2 (pA)"
    np.savetxt(path, columns, delimiter=",", header=head, comments="", fmt="%.6g")
    return path


def failed(result, *told):
    """The command ended with code 2 and one line that says all this, and no traceback."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    for words in told:
        assert words in result.stderr, result.stderr
    return result


# -- help, info, channels --------------------------------------------------------------------------
def test_help_and_version(run):
    told = run("--help").output
    for command in ("demo", "fit", "simulate", "channels", "info"):
        assert command in told
    assert run("--version").output.strip() == f"neurojax {neurojax.__version__}"


def test_info_tells_versions_devices_and_readers(run):
    told = run("info").output
    for word in ("jaxlib", "devices", "cpu", "XLA_FLAGS", "cache", "pynwb", "morphio"):
        assert word in told


def test_channels_lists_the_catalogue_and_shows_one(run, tmp_path):
    assert "CortexKahp" in run("channels").output
    told = run("channels", "SquidNa").output
    assert "m' = alpha_m (1 - m) - beta_m m" in told and "open probability m^3 h" in told
    told = run("channels", "SquidNa", "--plot", tmp_path / "na.png").output
    assert "Source: Hodgkin & Huxley 1952" in told and "mS/cm2" in told and "q10: m 3" in told
    assert (tmp_path / "na.png").stat().st_size > 5000


def test_channels_tell_what_binds_them_to_ions(run, tmp_path):
    told = run("channels", "NeocortexKca").output
    assert "reads ca_i; carries k" in told and "q10: n 2.3, conductance 2.3" in told
    drawn = tmp_path / "kca.png"
    run("channels", "NeocortexKca", "--plot", drawn, "--at", "ca_i=1 uM")
    assert drawn.stat().st_size > 5000
    failed(run("channels", "NeocortexKca", "--plot", drawn), "reads ca_i; give its value: --at")
    failed(
        run("channels", "SquidNa", "--plot", drawn, "--at", "ca_i=1"),
        "--at 'ca_i=1': expected name=value of what it reads (nothing)",
    )


def test_models_are_listed_and_run_by_name(run):
    told = run("models").output
    assert "interneuron_wang_buzsaki" in told and "Wang & Buzsaki 1996" in told
    step = ("--amplitude", "150 pA", "--duration", "200", "--dt", "0.05", "--record", "ca_i,v")
    assert "2 spikes" in run("simulate", "cortex_lts", *step).output


def test_convert_writes_a_channel_and_checks_it(run, tmp_path, monkeypatch):
    monkeypatch.setattr("neurojax.cli.convert.neuron", lambda: None)
    (tmp_path / "kd.mod").write_text(DELAYED)
    done = run("convert", "kd.mod", "-o", "kd.py", "--check")
    assert done.exit_code == 0, done.output
    assert "written: kd.py" in done.output and "peak, uA/cm2" in done.output
    assert "class Kd(Channel)" in (tmp_path / "kd.py").read_text()
    assert run("channels", "kd.py:Kd").exit_code == 0
    (tmp_path / "bad.mod").write_text(DELAYED.replace("n^4", "n^4 *"))
    (tmp_path / "kd.py").write_text("mine = 1")
    kept = run("convert", "kd.mod", "-o", "kd.py")
    assert kept.exit_code == 2 and "exists and differs" in kept.output
    assert (tmp_path / "kd.py").read_text() == "mine = 1"
    wrong = run("convert", "bad.mod")
    assert wrong.exit_code == 2 and "bad.mod, line 20: " in wrong.output


@pytest.mark.slow
def test_convert_compares_with_neuron_where_it_is(run, tmp_path):
    if neuron() is None:
        pytest.skip("no NEURON on the PATH")
    (tmp_path / "kd.mod").write_text(DELAYED)
    done = run("convert", "kd.mod", "-o", "kd.py", "--check")
    assert done.exit_code == 0 and "in NEURON" in done.output, done.output
    rows = [line.split() for line in done.output.splitlines() if re.match(r"\s+-?\d+ ", line)]
    assert len(rows) == 9 and all(float(row[-1]) < 0.1 for row in rows)


def test_wrong_channels_are_told(run):
    failed(run("channels", "SquidNA"), "no channel class 'SquidNA'; did you mean 'SquidNa'")
    failed(run("channels", "--plot", "x.png"), "--plot draws one channel")
    failed(
        run("channels", "SquidNa", "--plot", "x.doc"), "cannot draw .doc; use .png, .svg or .pdf"
    )
    failed(
        run("channels", "SquidNa", "--plot", "no/x.png"), "no/x.png: its folder no does not exist"
    )


# -- simulate --------------------------------------------------------------------------------------
def test_simulate_writes_what_was_recorded(run, tmp_path):
    result = run(
        *("simulate", "squid", "--amplitude", "10 uA/cm2", "--duration", "60 ms"),
        *("--start", "5", "--stop", "0.055 s", "--set", "k.g_bar=30 mS/cm2", "--set", "celsius=8"),
        *("--record", "v,na.i", "--output", "o.h5", "--plot", "o.svg", "--step-error"),
    )
    assert result.exit_code == 0, result.output
    assert "dt = 0.025 ms, 1 cell compared: spike times are" in result.output
    assert "step of 100 pA" in result.output and "Hz" in result.output
    results = load(tmp_path / "o.h5")
    assert results.parameters["k.g_bar"].values == 30.0
    assert results.traces["simulation"].step_window() == pytest.approx((5.0, 55.0, 100.0))
    assert results.arrays["na.i"].shape == results.arrays["t_ms"].shape == (2401,)
    assert "<svg" in (tmp_path / "o.svg").read_text()


def test_a_voltage_step_is_a_voltage_clamp(run):
    told = run(
        *("simulate", "herg", "--amplitude", "20 mV", "--holding", "-80 mV", "--dt", "0.1 ms"),
        *("--duration", "200"),
    ).output
    assert "step of 100 mV" in told and "current from" in told


def test_a_recording_is_replayed(run, recording):
    result = run("simulate", "squid", "--recording", recording, "--sweeps", "2", "--dt", "0.05")
    assert result.exit_code == 0, result.output
    assert "step of 200 pA" in result.output


STEP = ("--amplitude", "100 pA", "--duration", "100 ms")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("sqid", *STEP), "no model 'sqid'; did you mean 'squid'"),
        (("none.toml", *STEP), "none.toml: no such model file"),
        (("squid",), "give a stimulus: --amplitude '170 pA', --current FILE.csv, or"),
        (("squid", "--amplitude", "170"), "expected a current (pA, nA)"),
        (("squid", "--amplitude", "170 pF"), "expected a current (pA, nA)"),
        (("squid", "--amplitude", "170 pAmp"), "unknown unit 'pAmp'"),
        (("squid", "--amplitude", "9 kg"), "--amplitude = '9 kg': unknown unit 'kg'; expected a"),
        (("squid", "--amplitude", "9 pA", "--duration", "3 mV"), "'mV' is a unit of voltage"),
        (("squid", *STEP, "--duration", "1 s"), "--duration is given twice; expected it once"),
        (("~no/x.toml", *STEP), "a path begins with ~, but there is no such user"),
        (("squid", *STEP, "--stop", "3 s"), "expected 0 <= start <= stop <= duration"),
        (("squid", *STEP, "--dt", "0"), "--dt = 0: expected a time step between 0 and 1 ms"),
        (("squid", *STEP, "--holding", "-70 mV"), "--amplitude is in pA but --holding in mV"),
        (("squid", *STEP, "--set", "na.gbar=1"), "no parameter 'na.gbar'; did you mean 'na.g_bar'"),
        (("squid", *STEP, "--set", "na.g_bar"), "expected name=value"),
        (("squid", *STEP, "--set", "na.g_bar=1 mV"), "'mV' is a unit of voltage"),
        (("squid", *STEP, "--set", "na.g_bar=1e6"), "outside [0, 1000] mS/cm2"),
        (("squid", *STEP, "--record", "na.q"), "cannot record 'na.q'; did you mean 'na.h'"),
        (("squid", *STEP, "--output", "no/o.h5"), "its folder no does not exist"),
        (("squid", *STEP, "--output", "."), "is a folder; name a file in it"),
        (("squid", "--recording", "none.abf"), "none.abf: no such file"),
    ],
)
def test_wrong_simulations_are_told(run, arguments, told):
    words = told if "did you mean 'na.h'" not in told else "cannot record 'na.q'"
    failed(run("simulate", *arguments), words)


# -- fit -------------------------------------------------------------------------------------------
def test_fit_writes_results_report_and_model(run, recording, quick_fit, tmp_path):
    result = run(
        *("fit", recording, "squid", "--sweeps", "1", "--seconds", "7", "--seed", "5"),
        *("--method", "search", "--starts", "32", "--save-model", "fitted.toml"),
    )
    assert result.exit_code == 0, result.output
    assert [t.sweep for t in quick_fit["traces"]] == [1]
    assert (quick_fit["seconds"], quick_fit["seed"]) == (7.0, 5)
    assert quick_fit["stages"] == [fitting.Search(population=32)]
    for told in (
        "search: 2 of 2, best error 0.2000",
        "predicted",
        "at bound",
        "fit.html",
    ):
        assert told in result.output, told
    results = load(tmp_path / "fit.h5")
    assert results.parameters["na.g_bar"].free and not results.parameters["area"].free
    assert results.parameters["na.g_bar"].standard_error is not None
    assert results.settings["held out"] and "1" in results.settings["fitted"][0]
    assert len(results.traces) == 4
    assert "<svg" in (tmp_path / "fit.html").read_text()
    assert (tmp_path / "fit_figures" / "glance.svg").stat().st_size > 5000
    assert 'href="fitted.toml"' in (tmp_path / "fit.html").read_text()
    assert load_model(tmp_path / "fitted.toml").space == load_model("squid").space


@pytest.mark.parametrize(
    ("arguments", "stages"),
    [
        ((), None),
        (("--method", "search,polish"), [fitting.Search(), fitting.Polish()]),
        (("--method", "nudge", "--starts", "8"), [fitting.Nudge(starts=8)]),
        (("--method", "polish", "--starts", "9"), [fitting.Draw(9), fitting.Polish()]),
    ],
)
def test_the_method_is_the_users(run, recording, quick_fit, monkeypatch, arguments, stages):
    monkeypatch.setattr(fit, "certified", lambda *_: [])
    monkeypatch.setattr(fit, "deliver", lambda *_: None)
    assert run("fit", recording, "squid", "--sweeps", "1", *arguments).exit_code == 0
    assert quick_fit["stages"] == stages
    assert [t.sweep for t in quick_fit["options"]["held_out"]] == [2]


def test_several_cells_are_fitted_one_after_the_other(run, recording, quick_fit, reports, tmp_path):
    (tmp_path / "broken.csv").write_text("t (ms),v (mV)\n0,-70\n")
    result = run("fit", "*.csv", "squid", "--sweeps", "1", "--save-model", "m.toml")
    assert result.exit_code == 1, result.output  # one of them was left out
    assert "1 of 2 recordings could not be fitted" in result.stderr
    assert {"fit-cell.h5", "m-cell.toml", "fit.csv"} <= {p.name for p in tmp_path.iterdir()}
    assert list(reports) == [Path("fit-cell.html")] and not (tmp_path / "fit.h5").exists()
    broken, whole = csv.DictReader((tmp_path / "fit.csv").read_text().splitlines())
    assert "no column of current" in broken["problem"] and not broken["verdict"]
    assert whole["verdict"] == "poor" and float(whole["na.g_bar (mS/cm2)"]) > 0
    assert "na.g_bar_low (mS/cm2)" in whole and not whole["problem"]


def test_recordings_of_one_cell_are_pooled(run, recording, quick_fit, monkeypatch, tmp_path):
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "late.csv").write_bytes(recording.read_bytes())
    monkeypatch.setattr(fit, "certified", lambda *_: [])
    monkeypatch.setattr(fit, "deliver", lambda *_: None)
    assert run("fit", recording, "again", "squid", "--pool", "--sweeps", "2").exit_code == 0
    assert [(t.name, t.sweep) for t in quick_fit["traces"]] == [("cell", 2), ("late", 2)]
    failed(run("fit", recording, "again", "sqid", "--sweeps", "2"), "no model 'sqid'")
    failed(run("fit", recording, "squid", "--summary", "s.csv"), "a table of several cells")
    failed(run("fit", "c*.csv", "again", "squid", "--summary", "cell.csv"), "is a recording")


def test_auto_goes_on_with_the_model_that_predicts_best(run, recording, monkeypatch, tmp_path):
    seen = {}

    def compared(models, traces, held_out, **how):
        seen.update(models=list(models), seconds=how["seconds"], hold=how["hold"])
        rows = [
            fitting.Compared("bursting", 22, 3.0, 4.0),
            fitting.Compared("cortex", 24, 2.0, 6.0),
        ]
        return fitting.Comparison(tuple(rows), {"bursting": made_fit()}, ("fast_spiking",))

    def resumed(begun, stages, **how):
        seen.update(left=how["seconds"])
        return begun

    monkeypatch.setattr(fitting, "compare", compared)
    monkeypatch.setattr(fitting, "resume", resumed)
    monkeypatch.setattr(fit, "certified", lambda *_: [])
    monkeypatch.setattr(fit, "deliver", lambda done, *_: seen.update(done=done))
    result = run("fit", recording, "auto", "--seconds", "80", "--hold")
    assert result.exit_code == 0, result.output
    assert seen["models"] == list(fit.FIRING) and seen["hold"]
    assert seen["seconds"] == 40.0 and 70.0 < seen["left"] <= 80.0  # this comparison took no time
    told = "chosen: bursting has the least error on the sweeps not fitted: 4 tolerances with 22"
    assert told in result.output and "not tried: fast_spiking" in result.output
    assert seen["done"].settings["model"] == "bursting" and "bursting" in seen["done"].title


def test_auto_chooses_by_what_was_recorded(run, recording):
    voltage = replace(spiking(1), clamp="voltage")
    silent = replace(spiking(1), v_mV=np.full_like(spiking(1).v_mV, -70.0))
    assert fit.choices([spiking(1)]) == fit.FIRING and fit.choices([silent]) == fit.SILENT
    with pytest.raises(ValueError, match="this is voltage clamp"):
        fit.choices([voltage])
    for name in (*fit.FIRING, *fit.SILENT):
        assert load_model(name).space is not None
    failed(run("fit", recording, "aut0"), "no model 'aut0'; did you mean 'auto', which chooses?")


def test_an_interrupted_fit_writes_what_it_has(run, recording, reports, monkeypatch, tmp_path):
    stopped = replace(made_fit(), ended="interrupted")
    monkeypatch.setattr(fitting, "fit", lambda *_, **__: stopped)
    result = run("fit", recording, "squid")
    assert result.exit_code == 130
    assert "interrupted: these are the best values so far" in result.output
    assert load(tmp_path / "fit.h5").settings["ended"] == "interrupted"
    (done,) = reports.values()
    assert done.fit.interrupted


def test_a_fit_goes_on_from_its_file(run, reports, tmp_path):
    sweeps = [spiking(1), spiking(2, step=200.0)]
    first = made_fit()
    task = fitting.Task(first.cell, first.space, sweeps[:1], sweeps[1:])
    long_ago = [replace(stage, seconds=1e4) for stage in first.stages]
    first = replace(first, task=task, unit="mV", ended="under way", stages=long_ago)
    first.save(tmp_path / "fit.h5")
    how = ("--method", "draw", "--starts", "2", "--output", "more.h5")
    result = run("fit", "--resume", "fit.h5", *how)
    assert result.exit_code == 0
    (done,) = reports.values()
    assert done.seconds < 1e3 and f"time     {done.seconds:.0f} s fit" in result.output
    assert [s.name for s in done.fit.stages] == ["search", "free run", "draw"]
    assert [v.fitted for v in done.views] == [True, False]
    assert "na.g_bar" in run("simulate", "more.h5", *STEP, "--set", "na.gbar=1").stderr
    failed(run("fit", "cell.csv", "squid", "--resume", "fit.h5"), "model and sweeps are in fit.h5")
    failed(run("fit", "--resume", "fit.h5", "--seed", "3"), "seed and precision too; give no other")
    failed(run("fit", "--resume", "none.h5"), "none.h5: no such file; expected neurojax results")
    failed(run("fit", "cell.csv"), "name a RECORDING and a MODEL, or --resume a fit.h5")


def test_ctrl_c_before_any_result_ends_quietly(run, recording, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "fit", stop)
    result = run("fit", recording, "squid")
    assert result.exit_code == 130 and "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("none.abf", "squid"), "none.abf: no such file"),
        (("cell.csv", "sqid"), "no model 'sqid'; did you mean 'squid'"),
        (("cell.csv", "squid", "--sweeps", "9"), "--sweeps: no sweep '9'"),
        (("cell.csv", "squid", "--sweeps", "1", "--held-out", "1"), "both fitted and held out"),
        (("cell.csv", "squid", "--clamp", "patch"), "--clamp is 'patch'; expected"),
        (("cell.csv", "squid", "--method", "serch"), "no stage 'serch'; did you mean 'search'"),
        (("cell.csv", "squid", "--starts", "8"), "--starts needs a --method"),
        (("cell.csv", "squid", "--seconds", "0"), "must be positive"),
        (("cell.csv", "squid", "--output", "no/fit.h5"), "its folder no does not exist"),
        (("cell.csv", "fixed.toml"), "has nothing free: give it a [free] table"),
        (("cell.csv", "bad.toml"), "unknown parameter of SquidLeak: 'gbar'; did you mean 'g_bar'"),
    ],
)
def test_wrong_fits_are_told(run, recording, quick_fit, tmp_path, arguments, told):
    (tmp_path / "fixed.toml").write_text('[channels.leak]\ntype = "SquidLeak"\n')
    (tmp_path / "bad.toml").write_text('[channels.leak]\ntype = "SquidLeak"\ngbar = 1\n')
    failed(run("fit", *arguments), told)
    assert not (tmp_path / "fit.h5").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_told_before_the_fit(run, recording, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    failed(run("fit", recording, "squid", "--output", "locked/fit.h5"), "no permission")


def test_debug_shows_the_traceback(run):
    result = run("--debug", "fit", "none.abf", "squid")
    assert isinstance(result.exception, RecordingError)


def test_sweeps_are_picked_for_the_user():
    sweeps = [spiking(k, step=50.0 * k) for k in range(1, 6)]
    fitted, unseen = divide(sweeps, "", "")
    assert sorted(t.sweep for t in fitted) == [1, 3, 5]
    assert [t.sweep for t in unseen] == [2, 4]
    fitted, unseen = divide(sweeps, "made:3", "5")
    assert ([t.sweep for t in fitted], [t.sweep for t in unseen]) == ([3], [5])


# -- demo ------------------------------------------------------------------------------------------
def test_the_synthetic_demo_compares_with_the_truth(run, quick_fit, reports, tmp_path):
    result = run("demo", "--synthetic", "--seconds", "3", "--output-dir", "made")
    assert result.exit_code == 0, result.output
    assert sorted(t.sweep for t in quick_fit["traces"]) == [1, 3, 5]
    assert [stage.name for stage in quick_fit["stages"]] == ["nudge", "certify"]
    assert "truth" in result.output
    assert load(tmp_path / "made" / "fit.h5").settings["truth"] == demo.TRUTH
    assert reports[Path("made") / "report.html"].truth == demo.TRUTH
    load_model(tmp_path / "made" / "fitted.toml")


def test_the_demo_fits_as_neurojax_fit_does(run, quick_fit, reports, monkeypatch, tmp_path):
    sweeps = [spiking(k, step=50.0 * k) for k in range(1, 6)]
    monkeypatch.setattr(demo, "example_recording", lambda: sweeps)
    monkeypatch.setattr(demo, "load_model", lambda _: load_model("squid"))
    result = run("demo")
    assert result.exit_code == 0, result.output
    assert sorted(t.sweep for t in quick_fit["traces"]) == [1, 3, 5]
    assert [*reports] == [Path("neurojax-demo") / "report.html"]


def test_without_a_network_the_demo_says_what_to_do(run, monkeypatch):
    def offline():
        raise RecordingError("no network; `neurojax demo --synthetic` needs none")

    monkeypatch.setattr(demo, "example_recording", offline)
    failed(run("demo"), "neurojax demo --synthetic")


def test_a_demo_folder_that_is_a_file_is_told(run, tmp_path):
    (tmp_path / "taken").write_text("")
    failed(run("demo", "--synthetic", "--output-dir", "taken"), "taken: File exists")


# -- main ------------------------------------------------------------------------------------------
def test_main_sets_jax_up_first(monkeypatch, capsys):
    order = []
    monkeypatch.setattr(app, "configure", lambda: order.append("configure"))
    monkeypatch.setattr(app, "app", lambda: order.append("app"))
    app.main()
    assert order == ["configure", "app"]


def test_progress_on_a_terminal_has_a_bar(capsys):
    console = Console(force_terminal=True, width=120, file=sys.stdout)
    with FitProgress(console) as progress:
        progress("search", 1, 4, 0.5, "mV")
        progress("search", 4, 4, 0.25, "mV")
        progress("free run", 1, 2, 0.1, "mV")
    told = capsys.readouterr().out
    assert "search" in told and "free run" in told and "0.1000 mV" in told


def test_a_sweep_that_the_model_cannot_run_costs_only_itself(monkeypatch):
    def free_run(cell, trace, dt):
        if trace.sweep == 2:
            raise RecordingError("the model left the finite numbers in sweep 2")
        return trace

    monkeypatch.setattr(deliver, "free_run", free_run)
    told = Console(record=True, width=200)
    sweeps = [
        Trace(clamp="current", dt_ms=0.1, v_mV=np.full(9, -70.0), i_pA=np.zeros(9), sweep=k)
        for k in (1, 2)
    ]
    cell = load_model("squid").cell
    (view,) = deliver.certified(cell, sweeps, sweeps[:1], told)
    assert view.data.sweep == 1 and view.fitted
    assert "left out of the report: the model left the finite numbers" in told.export_text()
    with pytest.raises(RecordingError):
        deliver.certified(cell, sweeps[1:], [], told)


# -- how a recording is read -----------------------------------------------------------------------
def test_one_of_two_cells_is_replayed_by_its_channel(run, tmp_path):
    current = np.where((np.arange(800) > 100) & (np.arange(800) < 600), 30.0, 0.0)
    outputs = [{"source": 1, "epochs": [(1, h, 0, 400, 0, 0, 0)]} for h in (30.0, -20.0)]
    sweeps = [[-70 + current / 10, -65 - current / 15]]
    abf1(tmp_path / "x.abf", sweeps, (("Vm1", "mV", 0), ("Vm2", "mV", 1)), outputs)
    done = run("simulate", "squid", "--recording", "x.abf", "--channel", "Vm2")
    assert done.exit_code == 0, done.output
    assert "step of -20 pA" in done.output
    told = run("simulate", "squid", "--recording", "x.abf", "--channel", "Vm3")
    assert told.exit_code == 2 and "channel='Vm3': expected one of 'Vm1'" in told.output
    told = run("simulate", "squid", "--amplitude", "9 pA", "--channel", "Vm3")
    assert told.exit_code == 2 and "name one" in told.output
    told = run("fit", "x.abf", "squid", "--window", "700")
    assert told.exit_code == 2 and "expected on-off in ms, as 200-700" in told.output
    (tmp_path / "k.mod").write_text("NEURON {}")
    told = run("fit", "k.mod", "squid")
    assert told.exit_code == 2 and "neurojax convert" in told.output


# -- the textbook ---------------------------------------------------------------------------------
def test_equilibrium_potentials_in_the_terminal(run):
    assert "E = -98.59 mV" in run("nernst", "K", "3.5", "140", "--celsius", "37").output
    assert "E = 119.24 mV" in run("nernst", "Ca", "2", "100 nM", "--celsius", "6.3").output
    squid = ("K", "1", "20", "400", "Na", "0.04", "440", "50", "Cl", "0.45", "560", "52")
    told = run("goldman", *squid, "--celsius", "20").output  # Hodgkin & Katz 1949
    assert "V = -59.93 mV" in told and "-75.68" in told
    assert "V = -69.51 mV" in run("goldman").output
    failed(run("nernst", "Kx", "3.5", "140"), "no ion 'Kx'; did you mean 'K'")
    failed(run("nernst", "K", "0", "140"), "K outside = 0: expected a concentration above 0")
    failed(run("goldman", "K", "1", "3.5"), "got 3 values; expected four for each ion")


def test_what_an_experiment_finds_is_told_line_by_line():
    found = {"spikes": 33, "of": {0.5: [1.0, 2.5]}, "matrix": [[1.0, 0.25], [0.25, 1.0]]}
    assert dict(lines_of(found | {"at": np.array([1.5, 2.0])})) == {
        "spikes": "33",
        "of 0.5": "1.0000  2.5000",
        "matrix 0": "1.0000  0.25000",
        "matrix 1": "0.25000  1.0000",
        "at": "1.5000  2.0000",
    }


def test_an_experiment_may_have_a_channel_of_its_own(run, tmp_path, monkeypatch):
    folder = tmp_path / "900-own-channel"
    folder.mkdir()
    (folder / "README.md").write_text("# 900: a channel of its own\n")
    (folder / "run.py").write_text(
        """import neurojax as nj

G = 1.0  # mS/cm2: of the leak

@nj.pytree
class Leak(nj.Channel):
    g_bar: nj.Leaf = nj.param(G, "mS/cm2", 0.0, 10.0)

def main(folder):
    (folder / "figure.png").write_bytes(b"drawn")
    return {"g": Leak().g_bar}
"""
    )
    monkeypatch.setattr(experiment, "folders", lambda: {"900": folder})
    picture = tmp_path / "own.png"
    told = run("experiment", "900", "--set", "G=2.5", "--output", picture).output
    assert "2.5000" in told and picture.read_bytes() == b"drawn"


def test_an_experiment_is_told_and_run_with_parameters_changed(run, tmp_path):
    assert "009  " in run("experiment").output
    told = run("experiment", "3", "--list").output
    assert "INSIDE" in told and "140.0" in told and "mM of potassium" in told
    picture = tmp_path / "bag.png"
    found = run("experiment", "003", "--set", "outside=20", "--output", picture)
    assert picture.stat().st_size > 10_000
    # What the text's question answers: -52.0 mV for 20 mM outside.
    (line,) = (x for x in found.output.splitlines() if x.startswith("v_end "))
    assert float(line.split()[-1]) == pytest.approx(-52.0, abs=0.3)
    failed(run("experiment", "099"), "no experiment '099'")
    failed(run("experiment", "003", "--set", "OUT=1"), "no parameter 'OUT'")
    failed(run("experiment", "003", "--set", "OUTSIDE=x"), "OUTSIDE=x: expected a number")
