"""The free run of a fitted cell, and the sentence that says how well it agrees."""

from dataclasses import replace

import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.fit.scoring.agreement import agreement, free_run, free_runs
from neurojax.recording import features
from neurojax.recording.trace import RecordingError, Trace
from neurojax.units import PA

AREA = 1e-6  # cm2: 1 uA/cm2 is 1 pA


def squid():
    return nj.Cell(
        channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}, C_m=1.0, area=AREA
    )


def passive(g=0.5):
    return nj.Cell(channels={"leak": SquidLeak(g_bar=g, E_rev=-60.0)}, C_m=1.0, area=AREA)


def current_trace(amplitude, dt=0.05, duration=100.0, holding=0.0):
    i = nj.steps(amplitude, start=10.0, stop=80.0, duration=duration, dt=dt, holding=holding)
    return Trace("current", dt, np.full(i.size, -60.0), i, name="made", holding=holding)


def test_free_run_of_a_passive_membrane():
    """v = E + (I / g)(1 - exp(-t g / C)), and the holding current moves the rest.

    Within what the recorded current leaves open: half a sample of its edges.
    """
    asked = current_trace(4.0, holding=-1.0)
    run = free_run(passive(), asked, held=False)
    assert run.v_mV.shape == asked.v_mV.shape and run.name == "made (model)"
    np.testing.assert_array_equal(run.i_pA, asked.i_pA)
    rest = -60.0 - 1.0 / 0.5
    t = asked.t_ms
    up = rest + 8.0 * (1 - np.exp(-np.clip(t - 10, 0, 70) * 0.5))
    down = rest + 8.0 * np.exp(-np.clip(t - 80, 0, None) * 0.5)
    np.testing.assert_allclose(run.v_mV, np.where(t < 80, up, down), atol=0.12)


def test_sweeps_side_by_side_are_those_alone():
    """Some are held, one begins with its step and is not, one is longer, one cannot be run."""
    steps = [current_trace(a) for a in (4.0, 8.0, -3.0)]
    moved = replace(steps[1], v_mV=steps[1].v_mV + 1.0)
    at_once = replace(steps[0], i_pA=np.full(steps[0].i_pA.size, 5.0))
    longer = current_trace(6.0, duration=120.0)
    wild = replace(at_once, holding=1e9)
    sweeps = [steps[0], moved, longer, at_once, steps[2]]
    *runs, lost = free_runs(squid(), [*sweeps, wild])
    assert "no resting potential under the holding of sweep 0 of made" in str(lost)
    for asked, run in zip(sweeps, runs, strict=True):
        alone = free_run(squid(), asked)
        np.testing.assert_allclose(run.v_mV, alone.v_mV, atol=2e-2)
        np.testing.assert_allclose(run.i_pA, alone.i_pA, atol=1e-4)


@pytest.mark.parametrize("dt_ms", [0.02, 0.05, 0.25])
def test_free_run_is_sampled_as_the_data(dt_ms):
    asked = current_trace(15.0, dt=dt_ms)
    run = free_run(squid(), asked)
    fine = features.of_trace(free_run(squid(), current_trace(15.0, dt=0.025))).spikes
    found = features.of_trace(run).spikes
    assert found.number == fine.number > 3
    np.testing.assert_allclose(found.times, fine.times, atol=0.75 * dt_ms)
    assert run.v_mV.size == asked.v_mV.size


def test_free_run_in_voltage_clamp_gives_the_current_of_the_membrane():
    v = nj.steps(20.0, start=10.0, stop=40.0, duration=50.0, dt=0.1, holding=-60.0)
    asked = Trace("voltage", 0.1, v, np.zeros(v.size), holding=-60.0)
    run = free_run(passive(), asked)
    np.testing.assert_array_equal(run.v_mV, v)
    np.testing.assert_allclose(run.i_pA, 0.5 * (v + 60.0) * AREA / PA, atol=1e-3)
    told = agreement(asked, run)
    assert told.rmse == pytest.approx(np.sqrt(np.mean(run.i_pA**2)))
    assert told.sentence() == f"current RMSE {told.rmse:.3g} pA"


def test_a_cell_without_rest_is_named():
    cell = nj.Cell(channels={"leak": SquidLeak(g_bar=0.0)}, area=AREA)
    with pytest.raises(RecordingError, match="no resting potential under the holding of sweep 3"):
        free_run(cell, replace(current_trace(4.0), sweep=3), held=False)


def test_agreement_with_itself():
    run = free_run(squid(), current_trace(15.0))
    told = agreement(run, run)
    assert told.spikes_data == told.spikes_model > 3
    assert told.spike_time_error_ms == told.peak_error_mV == told.rmse == 0.0
    assert told.sentence().startswith(f"{told.spikes_data} of {told.spikes_data} spikes, times ")


def test_agreement_measures_a_known_difference():
    run = free_run(squid(), current_trace(15.0))
    late = 40  # samples of 0.05 ms
    v = np.r_[np.full(late, run.v_mV[0]), run.v_mV[:-late]] + 1.5
    told = agreement(run, replace(run, v_mV=v))
    assert told.spike_time_error_ms == pytest.approx(2.0, abs=1e-6)
    assert told.latency_error_ms == pytest.approx(2.0, abs=1e-6)
    assert told.peak_error_mV == pytest.approx(1.5, abs=1e-6)
    assert told.trough_error_mV == pytest.approx(1.5, abs=1e-6)
    assert told.width_error_ms == pytest.approx(0.0, abs=1e-6)
    assert told.spike_time_error == pytest.approx(2.0 / told.mean_interval_ms)
    assert "first spike 2.0 ms late, peak +1.5 mV, trough +1.5 mV" in told.sentence()


def test_sentences_are_honest():
    spiking, quiet = free_run(squid(), current_trace(15.0)), current_trace(15.0)
    n = agreement(spiking, spiking).spikes_data
    assert agreement(spiking, quiet).sentence().startswith(f"no spikes where the data has {n};")
    assert f"{n} spikes where the data has none" in agreement(quiet, spiking).sentence()
    assert "no spikes in the data or the model" in agreement(quiet, quiet).sentence()
    few = free_run(squid(), current_trace(7.0))
    told = agreement(few, spiking)
    assert told.spikes_model > told.spikes_data
    assert f"{n} spikes where the data has {told.spikes_data}" in told.sentence()


def test_agreement_needs_equal_sampling():
    with pytest.raises(ValueError, match="sampling"):
        agreement(current_trace(1.0), current_trace(1.0, dt=0.1))


def test_sweeps_that_are_not_sampled_alike_are_not_compared():
    data = current_trace(10.0)
    for other in (
        replace(data, dt_ms=0.1),
        replace(data, clamp="voltage"),
        replace(data, v_mV=data.v_mV[1:], i_pA=data.i_pA[1:]),
    ):
        with pytest.raises(ValueError, match="differ in clamp, sampling interval or length"):
            agreement(data, other)
