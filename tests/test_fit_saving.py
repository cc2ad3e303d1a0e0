"""A fit as a file: all of it comes back, checkpoints are whole, broken files are told by name."""

from dataclasses import fields, is_dataclass, replace

import h5py
import jax
import numpy as np
import pytest
from test_plot import made_certificate, made_fit, spiking

import neurojax as nj
from neurojax import fit as fitting
from neurojax import report
from neurojax.fit import Candidates, Fit, StageRecord, Task, agreement
from neurojax.fit.compiling import CompileClock, compiling_s
from neurojax.fit.uncertainty.certificate import (
    Direction,
    Ensemble,
    FreeRun,
    NoiseLevel,
    Posterior,
)
from neurojax.io import Results, load, save
from neurojax.membrane.path_names import parameters
from neurojax.model import ModelError, load_model
from neurojax.recording.trace import RecordingError, Trace

pytestmark = pytest.mark.smoke


def whole_fit():
    """A fit with something in every field."""
    fit = made_fit()
    start, stop = replace(spiking(1), start_ms=5.0), spiking(2, step=200.0)
    task = Task(fit.cell, fit.space, [start], [stop], weights=[2.0], seed=4)
    runs = [
        FreeRun(start, spiking(1, 2.0), agreement(start, spiking(1, 2.0)), False),
        FreeRun(stop, None, None, True, "the model left the finite numbers"),
    ]
    names = fit.space.names
    certificate = replace(
        made_certificate(fit),
        free_runs=runs,
        noise=NoiseLevel(0.1, 0.5, "mV"),
        misfit=NoiseLevel(0.3, 12.0, "mV"),
        counted="residual",
        missing="nothing",
        directions=[Direction(np.eye(len(names))[0], 0.4, False, "x is open")],
        posterior=Posterior({n: np.arange(3.0) for n in names}, "nuts", 2.0, 4, 1, {"a": 1.01}),
        ensemble=Ensemble(
            3, 5, 0.05, [np.array([0, 2]), np.array([1])], {n: (0.0, 1.0) for n in names}, "alike"
        ),
        ranges={"na.g_bar": (90.0, 140.0)},
    )
    return replace(
        fit,
        errors=np.array([0.1, 0.2, 0.3]),
        certificate=certificate,
        contributions={"rise": 2.0},
        ranges={"na.g_bar": (90.0, 140.0)},
        unit="mV",
        task=task,
    )


def same(a, b, where="fit"):
    """Fails, with the name of the field, where two trees of values differ."""
    if is_dataclass(a) and not isinstance(a, type):
        assert type(a) is type(b), where
        for f in fields(a):
            if f.init:
                same(getattr(a, f.name), getattr(b, f.name), f"{where}.{f.name}")
    elif isinstance(a, dict):
        assert set(a) == set(b), where
        for key, value in a.items():
            same(value, b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for k, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{where}[{k}]")
    elif isinstance(a, np.ndarray | float | int) and not isinstance(a, bool):
        np.testing.assert_array_equal(a, b, err_msg=where)
    else:
        assert a == b, where


def test_all_of_a_fit_comes_back(tmp_path):
    fit = whole_fit()
    back = Fit.load(fit.save(tmp_path / "fit.h5"))
    # The cell of the task is the fitted one: what was free in it is where the fit ended.
    alike = {"cell": fit.cell, "task": None}
    same(replace(fit, **alike), replace(back, **alike))
    same(back.task.traces, fit.task.traces, "traces")
    same(replace(back.task, cell=fit.cell), replace(fit.task, cell=fit.cell), "task")
    same(*({k: v for k, (v, _) in parameters(f.cell).items()} for f in (fit, back)))
    assert back.summary() == fit.summary() and repr(back) == repr(fit)
    np.testing.assert_array_equal(back.candidates.errors, fit.errors)


def test_the_fitted_model_is_in_the_file(tmp_path):
    fit = whole_fit()
    path = fit.save(tmp_path / "fit.h5")
    model = load_model(path)
    assert model.space == fit.space and model.name == "fitted"
    assert parameters(model.cell)["na.g_bar"][0] == fit.values["na.g_bar"]
    with h5py.File(path) as file:
        assert '[channels.na]\ntype = "SquidNa"' in file["model"][()].decode()
    simulated = save(tmp_path / "run.h5", Results())
    with pytest.raises(ModelError, match=r"run\.h5: these results hold no model"):
        load_model(simulated)
    with pytest.raises(ModelError, match=r"none\.h5: no such file"):
        load_model(tmp_path / "none.h5")


def test_classes_of_a_notebook_are_given_again(tmp_path):
    @nj.pytree
    class Mine(nj.channels.SquidLeak):
        """A leak of a notebook."""

    fit = made_fit()
    cell = replace(fit.cell, channels={**fit.cell.channels, "leak": Mine()})
    path = replace(fit, cell=cell).save(tmp_path / "fit.h5")
    assert type(Fit.load(path, channels=[Mine]).cell.channels["leak"]) is Mine
    with pytest.raises(RecordingError, match=r"fit\.h5, model: .*no channel class 'Mine'"):
        Fit.load(path)


def test_a_broken_or_foreign_file_is_told_by_name_and_field(tmp_path):
    fit = whole_fit()
    path = fit.save(tmp_path / "fit.h5")
    content = path.read_bytes()
    (tmp_path / "half.h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(RecordingError, match=r"half\.h5: cannot be read; expected whole neurojax"):
        Fit.load(tmp_path / "half.h5")
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(RecordingError, match=r"foreign\.h5: is HDF5 but not neurojax results"):
        Fit.load(tmp_path / "foreign.h5")
    results = load(path)
    for lost, told in [
        ("errors of starts", r"has no array 'errors of starts'"),
        ("stages/seconds", r"has no array 'stages/seconds'"),
        ("certificate/misfit/correlation", r"has no 'certificate/misfit/correlation'"),
    ]:
        arrays = {k: v for k, v in results.arrays.items() if k != lost}
        units = {k: v for k, v in results.units.items() if k != lost}
        other = save(tmp_path / "less.h5", replace(results, arrays=arrays, units=units))
        with pytest.raises(RecordingError, match=rf"less\.h5: {told}"):
            Fit.load(other)
    traces = {k: v for k, v in results.traces.items() if k != "made:2 data"}
    with pytest.raises(RecordingError, match=r"less\.h5: has no trace 'made:2 data'"):
        Fit.load(save(tmp_path / "less.h5", replace(results, traces=traces)))


def test_what_a_fit_says_of_itself():
    fit = whole_fit()
    assert repr(fit) == "Fit(8 parameters, error 0.1 mV, poor on 1 unseen sweep)"
    told = fit.summary()
    assert told.startswith("A poor fit, judged by the sweeps it was fitted to")
    assert "On one sweep it could not be run: the model left the finite numbers." in told
    assert "na.g_bar" in told and "mS/cm2" in told and "x is open" in told
    page = fit._repr_html_()
    assert page.count("<tr>") == 1 + len(fit.space) and "<svg" not in page
    assert repr(replace(made_fit(), ended="under way")) == "Fit(8 parameters, error 0.1, under way)"


# -- fits that are really made ---------------------------------------------------------------------
def charging(step=40.0, sweep=1):
    """A passive cell, charged by a step: E_rev -61 mV, g_bar 0.2 mS/cm2."""
    cell = nj.Cell(channels={"leak": nj.channels.SquidLeak(g_bar=0.2, E_rev=-61.0)}, area=1e-4)
    i = nj.steps(step, start=20.0, stop=60.0, duration=80.0, dt=0.1)
    asked = Trace(clamp="current", dt_ms=0.1, v_mV=0 * i, i_pA=i, sweep=sweep)
    clean = fitting.free_run(cell, asked, 0.1, held=False)
    noise = 0.05 * np.random.default_rng(sweep).standard_normal(i.size)
    return cell, replace(asked, v_mV=clean.v_mV + noise)


FREE = {"leak.g_bar": (0.02, 2.0), "leak.E_rev": (-90.0, -40.0)}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A fit of few iterations with its checkpoint."""
    cell, trace = charging()
    path = tmp_path_factory.mktemp("fit") / "fit.h5"
    stages = [fitting.Draw(starts=8), fitting.Polish(iterations=1)]
    _, other = charging(80.0, 2)
    how = {"held_out": [other], "dt": 0.1, "checkpoint": path}
    return fitting.fit(cell, [trace], FREE, stages, **how), path


def test_a_fit_goes_on_from_its_file(begun, tmp_path):
    first, path = begun
    saved = Fit.load(path)
    assert saved.ended == "done" and [s.name for s in saved.stages] == ["draw", "polish"]
    same(saved.values, first.values)
    stages = [fitting.Polish(), fitting.Certify()]
    further = fitting.resume(saved, stages, checkpoint=tmp_path / "more.h5")
    assert [s.name for s in further.stages] == ["draw", "polish", "polish", "certify"]
    assert further.error < first.error
    assert further.values["leak.g_bar"] == pytest.approx(0.2, rel=0.02)
    assert [run.held_out for run in further.free_runs] == [False, True]
    made = report.report_of(Fit.load(tmp_path / "more.h5"))
    assert [view.fitted for view in made.views] == [True, False]
    with pytest.raises(ValueError, match="does not say to which sweeps"):
        fitting.resume(replace(first, task=None))


class Step:
    """A stage that saves, on its way, points ever worse but the second."""

    name = "step"

    def run(self, task, found, budget):
        with budget.stage(self.name, "mV") as log:
            for error in (3.0, 1.0, 2.0):
                budget.saved = -np.inf
                log.step(1, 3, error)
                log.keep(lambda error=error: (np.full((2, 1), error / 10), np.array([error])))
            raise KeyboardInterrupt
        return Candidates.sorted(np.full((2, 1), 0.5), [2.5], "mV")


def test_checkpoints_hold_the_best_so_far_and_are_whole(tmp_path, monkeypatch):
    cell, trace = charging()
    path, seen = tmp_path / "fit.h5", []

    def watched(fit, path):
        io_path = plain(fit, path)
        seen.append((Fit.load(io_path).error, Fit.load(io_path).ended))
        return io_path

    plain = Fit.save
    monkeypatch.setattr(Fit, "save", watched)
    stopped = fitting.fit(cell, [trace], FREE, [Step()], dt=0.1, checkpoint=path)
    assert seen[:3] == [(3.0, "under way"), (1.0, "under way"), (1.0, "under way")]
    assert seen[-1] == (2.5, "interrupted") and stopped.interrupted
    assert [p.name for p in tmp_path.iterdir()] == ["fit.h5"]


def test_a_checkpoint_that_cannot_be_written_ends_no_fit(tmp_path):
    cell, trace = charging()
    with pytest.warns(UserWarning, match="no checkpoint: .*No such file"):
        made = fitting.fit(cell, [trace], FREE, [Step()], dt=0.1, checkpoint=tmp_path / "no" / "x")
    assert made.error == 2.5


def test_compilation_is_told_apart_and_counts_once():
    clock = CompileClock()
    at = iter([1.0, 3.0, 3.5, 9.0])
    clock_time = lambda: next(at)  # noqa: E731
    for event, took in (("trace", 0.5), ("trace", 2.5), ("compile", 0.4), ("elsewhere", 9.0)):
        kind = "/jax/core/compile/" if event != "elsewhere" else "/jax/"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("neurojax.fit.compiling.time.monotonic", clock_time)
            clock._note(kind + event, took)
    assert clock.seconds == pytest.approx(2.9)  # the first inside the second
    before = compiling_s()
    jax.jit(lambda x: x * 3.25 + before)(1.0)
    assert compiling_s() > before


def test_compilation_uses_up_no_time_of_a_fit(monkeypatch):
    now, compiled = 0.0, 0.0
    monkeypatch.setattr("neurojax.fit.compiling.time.monotonic", lambda: now)
    for module in ("compiling", "budget"):
        monkeypatch.setattr(f"neurojax.fit.{module}.compiling_s", lambda: compiled)
    budget = fitting.Budget(seconds=10.0)
    with budget.stage("a", "mV", share=0.5) as log:
        now, compiled = 20.0, 18.0
        assert budget.seconds_left == 8.0 and log.seconds_left == 3.0
    (record,) = budget.stages
    assert (record.seconds, record.compiling, record.cut) == (20.0, 18.0, False)


def test_records_of_stages_without_steps_come_back():
    stage = StageRecord("a/b", "mV", 1.0, 2, np.array([]), np.array([1.0]))
    fit = replace(made_fit(), stages=[stage])
    same(fitting.saving.stages_in(fit.as_results()), [stage])
