"""Stages: draws, least squares at any coupling, what survives Ctrl-C, and what they are handed."""

import dataclasses

import jax
import numpy as np
import optax
import pytest
from test_fit_certify import charging

import neurojax as nj
from neurojax.channels import HergKr, SquidK, SquidLeak, SquidNa
from neurojax.fit import (
    Candidates,
    Certify,
    Draw,
    Nudge,
    Polish,
    Regress,
    Search,
    Task,
    default_stages,
    fit,
    free,
    free_run,
    levenberg_marquardt,
)
from neurojax.fit.optimisers.descent import LANES


def recorded(cell, i_pA, dt=0.025, noise=0.0):
    """What a current-clamp rig would have written down of a known cell."""
    silent = nj.Trace(clamp="current", dt_ms=dt, v_mV=np.full(i_pA.size, -65.0), i_pA=i_pA)
    with jax.enable_x64(True):
        trace = free_run(cell, silent, dt, held=False)
    rng = np.random.default_rng(0)
    return dataclasses.replace(trace, v_mV=trace.v_mV + noise * rng.normal(size=i_pA.size))


@pytest.fixture(scope="module")
def passive():
    cell = nj.Cell(channels={"leak": SquidLeak(g_bar=0.2, E_rev=-62.0)}, area=1e-5)
    return cell, nj.steps(-20.0, start=10, stop=60, duration=80, dt=0.025)


BOUNDS = {"leak.g_bar": (0.02, 2.0), "leak.E_rev": (-90, -40), "C_m": (0.3, 3.0)}


@pytest.mark.smoke
def test_a_passive_membrane_is_recovered_exactly(passive):
    cell, i = passive
    trace = recorded(cell, i)
    single = fit(cell, [trace], BOUNDS, [Draw(8, 1), Polish()])
    assert single.values["leak.g_bar"] == pytest.approx(0.2, rel=1e-4)
    fitted = fit(cell, [trace], BOUNDS, [Draw(8, 1), Polish(precision="exact")])
    assert fitted.values["leak.g_bar"] == pytest.approx(0.2, rel=1e-6)
    assert fitted.values["leak.E_rev"] == pytest.approx(-62.0, rel=1e-6)
    assert fitted.values["C_m"] == pytest.approx(1.0, rel=1e-6)
    assert len(fitted.stages[-1].errors) == 8
    assert nj.parameters(fitted.cell)["C_m"][0] == fitted.values["C_m"]


def test_a_second_fit_of_the_same_shapes_traces_nothing(passive, caplog):
    cell, i = passive
    i = i[:-7]  # as no other test has it

    def compiled(data):
        caplog.clear()
        with jax.log_compiles(), caplog.at_level("WARNING", "jax"):
            fit(cell, [data], BOUNDS, [Draw(8, 1), Polish()])
        told = (record.getMessage() for record in caplog.records)
        return [text for text in told if text.startswith("Finished tracing")]

    other = nj.replace(cell, {"leak.g_bar": 0.3})
    first, again = recorded(cell, i, noise=0.1), recorded(other, i, noise=0.2)
    assert compiled(first)
    assert compiled(again) == []


def test_standard_errors_are_those_of_the_closed_form(passive):
    cell, i = passive
    clean = recorded(cell, i)
    noise = 0.5 * np.random.default_rng(3).normal(size=i.size)
    noise[0] = 0.0  # the first sample sets the initial state
    data = dataclasses.replace(clean, v_mV=clean.v_mV + noise)
    found = fit(cell, [data], BOUNDS, [Draw(1, 1), Polish(iterations=30)])
    _, J = charging(np.arange(1, i.size) * 0.025, pA=-20.0)
    stated = dict(zip(BOUNDS, 0.5 * np.sqrt(np.diag(np.linalg.inv(J @ J.T))), strict=True))
    assert found.standard_errors == pytest.approx(stated, rel=0.05)
    for name, value in {"leak.g_bar": 0.2, "leak.E_rev": -62.0, "C_m": 1.0}.items():
        assert found.values[name] == pytest.approx(value, abs=4 * stated[name])


@pytest.mark.slow
def test_standard_errors_are_those_of_repeated_measurements(passive):
    cell, i = passive
    clean = recorded(cell, i)
    rng = np.random.default_rng(3)

    def again(_):
        noisy = dataclasses.replace(clean, v_mV=clean.v_mV + 0.5 * rng.normal(size=i.size))
        # The first sample sets the initial state; its noise is not part of this estimate.
        noisy.v_mV[0] = clean.v_mV[0]
        return fit(cell, [noisy], BOUNDS, [Draw(1, 1), Polish(iterations=30)])

    fits = [again(k) for k in range(40)]
    for name in BOUNDS:
        scatter = np.std([f.values[name] for f in fits], ddof=1)
        stated = np.mean([f.standard_errors[name] for f in fits])
        # 40 repeats know a standard deviation to about 11 %.
        assert stated == pytest.approx(scatter, rel=0.4)


def test_any_optimiser_of_optax_fits_on_the_same_objective(passive):
    cell, i = passive
    adam = Polish(optimiser=optax.adam(0.03), iterations=150)
    fitted = fit(cell, [recorded(cell, i)], BOUNDS, [Draw(4, 4), adam])
    assert fitted.error < 0.2
    assert fitted.values["leak.E_rev"] == pytest.approx(-62.0, abs=0.5)


@pytest.mark.slow
def test_nudging_recovers_a_spiking_cell():
    cell = nj.Cell(
        channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}, area=1e-5, celsius=6.3
    )
    i = nj.steps(100.0, start=2, stop=40, duration=40, dt=0.025)
    bounds = {"na.g_bar": (20, 500), "k.g_bar": (5, 200), "leak.g_bar": (0.03, 3)}
    fitted = fit(cell, [recorded(cell, i)], bounds, [Nudge(starts=8, draws=1, every=4)])
    np.testing.assert_allclose(fitted.starts["na.g_bar"], 120, rtol=1e-4)
    assert [s.name for s in fitted.stages] == ["draw", "nudge"]
    assert len(fitted.starts["na.g_bar"]) == 8


def test_the_stages_suit_the_recording(passive):
    cell, _ = passive
    quiet = nj.Trace(clamp="current", dt_ms=0.1, v_mV=np.full(200, -62.0), i_pA=np.zeros(200))
    spike = -62.0 + 90.0 * np.exp(-(((np.arange(200) - 90) / 8) ** 2))
    clamped = dataclasses.replace(quiet, clamp="voltage")
    for trace, names in (
        (quiet, ["draw", "first polish", "polish", "certify"]),
        (dataclasses.replace(quiet, v_mV=spike), ["search", "certify"]),
        (clamped, ["draw", "coarse polish", "polish", "certify"]),
    ):
        stages = default_stages(Task(cell, free(cell, BOUNDS), [trace]))
        assert [stage.name for stage in stages] == names


def test_a_voltage_clamp_fit_finds_a_leak():
    cell = nj.Cell(channels={"leak": SquidLeak(g_bar=0.2, E_rev=-62.0)}, area=1e-5)
    v = np.repeat((-80.0, -40.0, -60.0), 20)
    silent = nj.Trace(clamp="voltage", dt_ms=0.5, v_mV=v, i_pA=np.zeros(v.size))
    with jax.enable_x64(True):
        data = free_run(cell, silent, 0.5)
    fitted = fit(cell, [data], {name: BOUNDS[name] for name in ("leak.g_bar", "leak.E_rev")})
    assert fitted.values["leak.g_bar"] == pytest.approx(0.2, rel=1e-4)
    assert fitted.values["leak.E_rev"] == pytest.approx(-62.0, rel=1e-4)
    assert fitted.unit == "pA" and fitted.certificate is not None


@pytest.mark.slow
def test_a_voltage_clamp_fit_finds_the_channel():
    cell = nj.Cell(channels={"kr": HergKr()}, area=2e-5)
    levels = (-80.0, 40.0, -120.0, -40.0, 0.0, -60.0)
    v = np.repeat(levels, (100, 500, 400, 300, 300, 400))
    silent = nj.Trace(clamp="voltage", dt_ms=0.5, v_mV=v, i_pA=np.zeros(v.size))
    with jax.enable_x64(True):
        data = free_run(cell, silent, 0.5)
    bounds = {f"kr.p{k}": {"low": 1e-6, "high": 1.0} for k in (1, 3)} | {"kr.g_bar": (0.5, 500)}
    fitted = fit(cell, [data], bounds)
    assert fitted.values["kr.p1"] == pytest.approx(2.26e-4, rel=1e-4)
    assert fitted.values["kr.g_bar"] == pytest.approx(7.62, rel=1e-4)
    assert fitted.stages[-1].unit == "pA"


def test_ctrl_c_keeps_the_best_so_far(passive):
    cell, i = passive
    seen = []

    def progress(stage, done, total, best, unit):
        seen.append(best)
        if done == 5:
            raise KeyboardInterrupt

    stages = [Draw(8, 1), Polish()]
    fitted = fit(cell, [recorded(cell, i)], BOUNDS, stages, progress=progress)
    assert fitted.interrupted
    assert fitted.error == pytest.approx(seen[-1])
    assert len(seen) == 6


def test_out_of_time_the_free_run_is_still_looked_at(passive):
    cell, i = passive
    stages = [Nudge(starts=4, draws=1), Polish()]
    fitted = fit(cell, [recorded(cell, i)], BOUNDS, stages, seconds=0.0)
    assert [len(s.history) for s in fitted.stages] == [1, 0, 0]
    assert np.isfinite(fitted.error)
    assert not fitted.interrupted


@dataclasses.dataclass(frozen=True)
class Given:
    """A stage of a user: the points that it holds."""

    z: np.ndarray
    name = "given"

    def run(self, task, found, budget):
        return Candidates(self.z, np.ones(self.z.shape[1]), "mV")


def test_starts_that_are_not_finite_are_dropped_and_counted(passive):
    cell, i = passive
    z = np.full((3, 4), 0.5)
    z[:, 2] = np.nan
    fitted = fit(cell, [recorded(cell, i)], BOUNDS, [Given(z), Polish()])
    assert fitted.stages[-1].dropped == 1
    assert len(fitted.starts["C_m"]) == 3
    with pytest.raises(ValueError, match="every start failed"):
        fit(cell, [recorded(cell, i)], BOUNDS, [Given(z[:, 2:3]), Polish()])


@pytest.mark.slow
def test_more_starts_than_lanes_wait_for_their_turn(passive):
    cell, i = passive
    n = 6 + LANES * jax.local_device_count()
    fitted = fit(cell, [recorded(cell, i)], BOUNDS, [Draw(n, 1), Polish(every=8)])
    assert len(fitted.starts["C_m"]) == n
    np.testing.assert_allclose(fitted.starts["C_m"], 1.0, rtol=1e-4)
    courses = fitted.stages[-1].start_history
    assert courses.shape == (len(fitted.stages[-1].history), n)
    np.testing.assert_allclose(np.sort(courses[-1]), fitted.stages[-1].errors)
    assert np.isnan(courses[0]).sum() == 6  # those that wait for a lane
    assert not (np.diff(courses, axis=0) > 0).any()  # the best of each so far


def test_steps_cut_short_and_undone_are_in_the_stage(passive):
    cell, i = passive
    # A radius so small that every step of every start is cut, and downhill.
    short = Polish(optimiser=levenberg_marquardt(radius=1e-4), iterations=5, every=8)
    drawn, polished = fit(cell, [recorded(cell, i)], BOUNDS, [Draw(8, 1), short]).stages
    assert drawn.clipped is None
    assert (polished.rejected, polished.clipped) == (0, 8 * 5)


def test_an_undetermined_parameter_has_no_standard_error(passive):
    cell, _ = passive
    # Data at the reversal potential and no stimulus: neither g_bar nor C_m leave a mark.
    quiet = nj.Trace(clamp="current", dt_ms=0.1, v_mV=np.full(200, -62.0), i_pA=np.zeros(200))
    space = free(cell, BOUNDS)
    z = space.point({"leak.g_bar": 0.2, "leak.E_rev": -62.0, "C_m": 1.0})[:, None]
    fitted = fit(cell, [quiet], space, [Given(z), Polish(iterations=3)])
    assert np.isnan(fitted.standard_errors["C_m"])


def test_wrong_calls_are_told_what_was_expected(passive):
    cell, i = passive
    trace = recorded(cell, i)
    clamped = dataclasses.replace(trace, clamp="voltage")
    for traces, bounds, stages, told in (
        ([], BOUNDS, None, "no trace"),
        ([trace, clamped], BOUNDS, None, "together"),
        ([trace], BOUNDS, [], "no stage"),
        ([clamped], BOUNDS, [Nudge()], "needs current clamp"),
        ([clamped], BOUNDS, [Search()], "needs current clamp"),
        ([trace], ["leak.gbar"], None, r"did you mean 'leak\.g_bar'"),
    ):
        with pytest.raises(ValueError, match=told):
            fit(cell, traces, bounds, stages)


def test_what_a_stage_cannot_begin_with_is_told(passive):
    v = np.full(40, -65.0)
    current, voltage = (nj.Trace(clamp, 0.1, v, 0.0 * v) for clamp in ("current", "voltage"))
    cell, names = passive[0], ["leak.g_bar"]
    with pytest.raises(ValueError, match="nothing to certify: name a stage before it"):
        fit(cell, [current], names, [Certify()])
    with pytest.raises(ValueError, match="regress balances injected currents: it needs current"):
        fit(cell, [voltage], names, [Regress()])
    with pytest.raises(ValueError, match="feature_weights: no feature 'nunber'; did you mean"):
        Search(feature_weights={"nunber": 1.0})
    with pytest.raises(ValueError, match="no trace to fit"):
        fit(cell, [], names, [Polish()])
    with pytest.raises(ValueError, match="cannot fit current clamp and voltage clamp together"):
        fit(cell, [current, voltage], names, [Polish()])
