"""The command of a sweep: its steps of any length, families, and features under them."""

from dataclasses import replace

import numpy as np
import pytest

from neurojax.recording import features
from neurojax.recording.command import holding_of
from neurojax.recording.family import together
from neurojax.recording.trace import Trace

pytestmark = pytest.mark.smoke

DT = 0.1
NOISE = np.random.default_rng(0).normal(size=30_000)


def pulses(*told, duration=1000.0, holding=0.0):
    """A command of (on, off, height)."""
    t = np.arange(round(duration / DT)) * DT
    return holding + sum(h * ((t >= on - 1e-9) & (t < off - 1e-9)) for on, off, h in told)


def cell(command, R=300.0, tau=10.0, rest=-70.0):
    v, u, keep = np.empty(command.size), 0.0, np.exp(-DT / tau)
    for k, i in enumerate(command):
        v[k] = rest + u
        u = keep * u + (1 - keep) * R * 1e-3 * i
    return v


def trace(command, v=None, clamp="current", **told):
    v = cell(command) if v is None else v
    return Trace(clamp, DT, v, command, holding=holding_of(command, DT), **told)


@pytest.mark.parametrize("noise", [0.0, 1.0], ids=["commanded", "measured"])
@pytest.mark.parametrize("width", [2.0, 20.0, 500.0])
def test_steps_of_any_length(width, noise):
    command = pulses((200.0, 200.0 + width, 2000.0)) + noise * NOISE[:10_000]
    on, off, height = trace(command).step_window()
    assert (on, off) == pytest.approx((200.0, 200.0 + width), abs=0.11)
    assert height == pytest.approx(2000.0, rel=5e-3)


def test_rounding_is_no_step():
    command = pulses((200.0, 700.0, 3.7e-5), holding=-400.0)
    found = trace(command)
    assert found.step_window() == (0.0, 1000.0, 0.0) and not found.changes().size
    assert np.isnan(features.of_trace(found).subthreshold.resistance_MOhm)


@pytest.mark.parametrize("first", [0.1, 6.2, 100.0])
def test_holding_is_where_a_command_begins(first):
    for noise in (0.0, 1.0):
        command = pulses((first, 900.0, -100.0), holding=-20.0) + noise * NOISE[:10_000]
        if first > 1 or not noise:
            assert holding_of(command, DT) == pytest.approx(-20.0, abs=0.5)


def test_a_ramp_is_not_at_one_level():
    t = np.arange(10_000) * DT
    command = np.interp(t, [200, 800, 800.1], [0.0, 100.0, 0.0])
    found = trace(command)
    step = found.main_step()
    assert (step.on, step.off) == pytest.approx((200, 800), abs=1.0)
    assert step.height == pytest.approx(100, rel=1e-2) and not step.flat
    assert np.isnan(features.of_trace(found).subthreshold.resistance_MOhm)


def test_the_main_step_of_several_and_the_base_of_each():
    def sweep(k):
        height = 25.0 * k
        told = ((147.0, 647.0, height), (1147.0, 1647.0, -100.0), (1647.0, 2147.0, height))
        return trace(pulses(*told, duration=2500.0), sweep=k)

    alone = sweep(1)
    assert alone.step_window() == pytest.approx((147.0, 647.0, 25.0))
    for window, height in (((147, 647), 25.0), ((1147, 1647), -100.0), ((1647, 2147), 25.0)):
        found = features.of_trace(alone, window=window).subthreshold
        assert found.base == pytest.approx(-70.0, abs=0.01)
        assert found.resistance_MOhm == pytest.approx(300.0, rel=1e-3)
        assert found.steady == pytest.approx(-70 + 0.3 * height, abs=0.01)
    for named in (False, True):  # as NWB names every sweep
        family = [replace(sweep(k), name=f"ic_{k}" if named else "") for k in range(4)]
        assert {t.step_window()[:2] for t in together(family)} == {(147.0, 647.0)}
    family = together([sweep(k) for k in range(4)])
    assert [t.step_window()[:2] for t in family] == [(147.0, 647.0)] * 4
    assert [t.step_window()[2] for t in family] == [0.0, 25.0, 50.0, 75.0]


def test_a_test_pulse_is_in_all_sweeps_and_steps_apart_are_no_family():
    tested = [trace(pulses((50, 150, -50), (300, 800, h)), sweep=k)
              for k, h in enumerate((-20.0, 0.0, 20.0))]  # fmt: skip
    assert [t.step_window() for t in together(tested)] == [
        (300.0, 800.0, h) for h in (-20.0, 0.0, 20.0)
    ]
    apart = [trace(pulses((on, on + 100, 30.0)), sweep=k) for k, on in enumerate((100, 400))]
    assert [t.step_window()[0] for t in together(apart)] == [100.0, 400.0]


def test_artefacts_of_spikes_move_no_edge_of_a_measured_step():
    """At each spike the monitor of the current dips for a millisecond, soon after the onset too."""
    traces = []
    for k, height in enumerate((100.0, 300.0, 500.0, 700.0)):
        command = pulses((15.8, 815.8, height)) + NOISE[k * 10_000 % 20_000 :][:10_000] * 0.6
        for spike in (17.4, *range(40, 800, 20)) if k else ():
            command[round(spike / DT) :][:10] -= 1.5 * height
            command[round(spike / DT) + 10 :][:6] += 1.8 * height
        traces.append(trace(command, commanded=False, sweep=k))
    for found in together(traces):
        assert found.main_step()[:2] == pytest.approx((15.8, 815.8), abs=0.3)
        assert found.main_step().flat


def test_a_train_is_one_stimulus():
    command = pulses(*((100 + 50 * k, 102 + 50 * k, 500.0) for k in range(10)))
    step = trace(command).main_step()
    assert (step.on, step.off, step.height) == pytest.approx((100.0, 552.0, 500.0))
    assert not step.flat


@pytest.mark.parametrize("peak", [201.0, 202.0, 204.0])
def test_a_spike_of_a_short_pulse_is_its_own(peak):
    command = pulses((200.0, 202.0, 2000.0))
    t = np.arange(10_000) * DT
    v = np.maximum(-70.0, 30 - 100 * np.abs(t - peak))
    found = features.of_trace(trace(command, v))
    assert found.firing.number == 1
    assert found.firing.latency == pytest.approx(peak - 200.0, abs=DT)


def test_a_voltage_clamp_has_no_features():
    command = pulses((200.0, 700.0, 80.0), holding=-70.0)
    clamped = Trace("voltage", DT, command, 2 * (command + 70), holding=-70.0)
    with pytest.raises(ValueError, match="sweep 0 is a voltage clamp"):
        features.of_trace(clamped)


def test_a_cell_that_fires_has_no_resistance():
    command = pulses((200.0, 700.0, 100.0))
    t = np.arange(10_000) * DT
    v = np.maximum(cell(command), 30 - 50 * np.abs(t - 400))
    assert np.isnan(features.of_trace(trace(command, v)).subthreshold.resistance_MOhm)


# A step of 50 ms charges no membrane of 30.
@pytest.mark.parametrize(("length", "tau"), [(50, 3), (50, 10), (400, 3), (400, 10), (400, 30)])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_membrane_that_is_charged_has_no_spike(length, tau, noise):
    command = pulses((200.0, 200.0 + length, 200.0))
    v = cell(command, tau=tau) + noise * NOISE[:10_000]
    assert features.spikes(v, DT).number == 0


def test_a_long_action_potential_is_one():
    t = np.arange(10_000) * DT - 200
    plateau = np.where(t > 0, np.exp(-np.clip(t, 0, None) / 400) * (t < 300), 0.0)
    v = -85 + 110 * plateau / (1 + np.exp(-(t - 1.5) / 0.3))
    assert features.spikes(v, DT).number == 1


def test_the_onset_is_not_the_stimulus_s_own_edge():
    """A jump of 20 mV at the edge, then a membrane that charges, then a spike."""
    t = np.arange(4000) * 0.025
    u = np.clip(t - 20, 0, None)
    charge = np.where(t >= 20, 20 + 30 * (1 - np.exp(-u / 1.0)), 0.0)
    v = -70 + charge + 60 * np.exp(-(((t - 26) / 0.5) ** 2))
    command = np.where(t >= 20, 1000.0, 0.0)
    found = features.of_trace(Trace("current", 0.025, v, command))
    (onset,) = found.shapes.onset_times
    assert 24.0 < onset < 26.0
