"""Traces, their windows, and what an electrode does with them."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from recordings import recording

import neurojax as nj
from neurojax.channels import CortexLeak, HergKr, SquidK, SquidNa
from neurojax.io import read
from neurojax.membrane.electrode import from_trace, n_steps, nudged, resample
from neurojax.recording.trace import Origin
from neurojax.units import PA


def trace(n=1000, dt=0.1, **changes):
    fields = {"clamp": "current", "dt_ms": dt, "v_mV": np.full(n, -65.0), "i_pA": np.zeros(n)}
    return nj.Trace(**(fields | changes))


# -- traces ---------------------------------------------------------------------------------------
def test_a_trace_knows_its_times():
    t = trace(4, 0.5)
    assert t.t_ms.tolist() == [0.0, 0.5, 1.0, 1.5] and t.duration_ms == 2.0
    assert t.crop(0.5, 1.5).v_mV.size == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clamp": "patch"}, "clamp is 'patch', not 'current' or 'voltage'"),
        ({"dt_ms": 0.0}, "dt_ms is 0.0; expected a positive time in ms"),
        ({"dt_ms": float("nan")}, "dt_ms is nan"),
        ({"v_mV": []}, r"v_mV has shape \(0,\)"),
        ({"v_mV": np.zeros((2, 3))}, r"v_mV has shape \(2, 3\); expected one "),
        ({"i_pA": [0.0, np.nan, np.inf]}, r"i_pA is not finite at 2 samples, first at sample 1"),
        ({"v_mV": [1.0, 2.0]}, "v_mV has 2 samples but i_pA has 1000"),
        ({"holding": float("inf")}, "holding is inf; expected a finite number"),
        ({"window": (5.0, 1.0)}, r"window is \(5.0, 1.0\); expected \(on, off\) in ms"),
    ],
)
def test_a_bad_trace_says_file_sweep_and_field(changes, message):
    origin = Origin(path="cell7.abf")
    with pytest.raises(nj.RecordingError, match=r"cell7.abf, sweep 3: .*" + message):
        trace(sweep=3, origin=origin, **changes)
    with pytest.raises(ValueError):
        trace(**changes)


@pytest.mark.parametrize("height", [120.0, -40.0])
@pytest.mark.parametrize("holding", [0.0, -25.0])
def test_step_window(height, holding):
    i = np.full(1000, holding)
    i[200:700] += height
    on, off, found = trace(i_pA=i, holding=holding).step_window()
    assert (on, off, found) == pytest.approx((20.0, 70.0, height))


@pytest.mark.parametrize("before", [-100.0, 30.0])
def test_the_step_of_a_sweep_is_its_longest(before):
    i = np.zeros(1000)
    i[100:300], i[450:750], i[900:910] = before, 20.0, 150.0  # a prepulse, and a test pulse
    assert trace(i_pA=i).step_window() == pytest.approx((45.0, 75.0, 20.0))
    assert {10.0, 30.0, 90.0, 91.0} <= set(trace(i_pA=i).changes().round(6))


def test_a_holding_that_is_wrong_is_no_step():
    i = np.full(1000, 10.0)
    i[500:600] = 80.0
    assert trace(i_pA=i).step_window() == pytest.approx((50.0, 60.0, 80.0))
    assert trace(i_pA=i, holding=20.0).step_window()[:2] == pytest.approx((50.0, 60.0))


def test_steps_after_prepulses_and_before_test_pulses_of_recordings():
    """Windows and heights as the facts beside the recordings have them, but one of 10 ms."""
    facts = json.loads(recording("cc/facts.json").read_text())
    for name, stop_ms in (("swh_18711001", 1323.4), ("lantyer_180817_ME_9", 600.1)):
        (protocol,) = facts[name]["protocols"].values()
        traces = {t.sweep: t for t in read(recording(f"cc/{name}.npz"))}
        for said in protocol["sweeps"]:
            if said["step_pA"] > 5:
                expected = protocol["on_ms"], stop_ms, said["step_pA"]
                found = traces[said["sweep"]].step_window()
                assert found == pytest.approx(expected, abs=0.11), (name, said["sweep"])


def test_step_window_ignores_noise():
    i = np.random.default_rng(0).normal(0.0, 2.0, 1000)
    assert trace(i_pA=i).step_window() == (0.0, 100.0, 0.0)
    i[300:600] += 80.0
    i[450] = 900.0  # an artefact
    on, off, height = trace(i_pA=i).step_window()
    assert (on, off) == pytest.approx((30.0, 60.0), abs=0.3) and height == pytest.approx(80, abs=1)


# -- commands -------------------------------------------------------------------------------------
def test_steps_is_on_between_its_times():
    i = nj.steps(5.0, start=1.0, stop=3.0, duration=4.0, dt=0.5, holding=-1.0)
    assert i.tolist() == [-1, -1, 4, 4, 4, 4, -1, -1]
    family = nj.steps([1.0, 2.0, 3.0], start=1.0, stop=3.0, duration=4.0, dt=0.5)
    assert family.shape == (8, 3) and family[4].tolist() == [1, 2, 3]


@pytest.mark.parametrize("times", [(-1, 2, 4), (3, 2, 4), (1, 5, 4)])
def test_steps_must_lie_within_the_run(times):
    start, stop, duration = times
    with pytest.raises(ValueError, match="expected 0 <= start <= stop <= duration, got"):
        nj.steps(1.0, start=start, stop=stop, duration=duration, dt=0.1)


def test_n_steps_counts_the_time_axis():
    assert n_steps(nj.current_clamp(jnp.zeros((7, 3)))) == 7
    with pytest.raises(ValueError, match="no time axis"):
        n_steps(nj.Electrode(0.0, -60.0, 1.0))
    with pytest.raises(ValueError, match=r"differ in length: {'i': 7, 'v_cmd': 8}"):
        n_steps(nj.Electrode(np.zeros(7), np.zeros(8), 1.0))


def test_voltage_clamp_refuses_a_negative_resistance():
    with pytest.raises(ValueError, match="R_s_MOhm = -1"):
        nj.voltage_clamp(np.zeros(3), R_s_MOhm=-1)


def test_resample_keeps_a_straight_line():
    ramp = np.arange(101) * 0.1  # the value is the time
    np.testing.assert_allclose(resample(ramp, 0.1, 0.025, at=0.5), (np.arange(400) + 0.5) * 0.025)
    np.testing.assert_allclose(resample(ramp, 0.1, 0.025, at=1.0), (np.arange(400) + 1) * 0.025)
    np.testing.assert_allclose(resample(ramp, 0.1, 0.4, at=1.0), (np.arange(25) + 1) * 0.4)


def test_from_trace_repeats_the_rig():
    i = np.linspace(0.0, 100.0, 101)
    current = from_trace(trace(101, i_pA=i), 0.1)
    np.testing.assert_allclose(current.i, (np.arange(100) + 0.5) * PA, rtol=1e-6)
    assert (current.v_cmd, current.g) == (0.0, 0.0)
    v = np.linspace(-80.0, 20.0, 101)
    clamp = from_trace(trace(101, clamp="voltage", v_mV=v), 0.1, R_s_MOhm=10.0)
    np.testing.assert_allclose(clamp.v_cmd, v[1:] - 0.5, rtol=1e-6)
    assert clamp.g == pytest.approx(1e-4)  # 10 MOhm is 0.1 uS


# -- what they do to a cell -----------------------------------------------------------------------
def test_ideal_clamp_follows_the_command():
    cell = nj.Cell(channels={"na": SquidNa(), "k": SquidK()})
    command = np.linspace(-90.0, 40.0, 200)
    for area in (1.0, 1e-6):
        small = nj.replace(cell, {"area": area})
        r = nj.simulate(small, nj.voltage_clamp(command), initial=-90.0)
        np.testing.assert_allclose(r.v[:-1], command[1:], atol=1e-3)


def test_a_step_of_the_command_acts_when_it_says(x64):
    # The gates feel 0 mV from 1 ms on: the closed form, from the step's own onset.
    k, dt = SquidK(), 0.05
    command = nj.steps(80.0, start=1.0, stop=10.0, duration=10.0, dt=dt, holding=-80.0)
    cell = nj.Cell(channels={"k": k})
    r = nj.simulate(cell, nj.voltage_clamp(command), dt, record=("k.n",), initial=-80.0)
    gate, t = k.gating(jnp.asarray(0.0))["n"], np.asarray(r.t)
    n0 = float(k.steady_state(jnp.asarray(-80.0))["n"])
    after = np.maximum(t - 1.0, 0.0)
    expected = gate.inf + (n0 - gate.inf) * np.exp(-after * gate.rate)
    np.testing.assert_allclose(r.data["k.n"], expected, rtol=1e-7)


def test_clamp_current_after_a_step_is_the_closed_form(x64):
    # One gate relaxes exponentially while v is held, so i = g (inf + (x0 - inf) exp(-t rate))^4 dv.
    k, dt, n = SquidK(), 0.025, 800
    cell = nj.Cell(channels={"k": k})
    r = nj.simulate(cell, nj.voltage_clamp(np.full(n, 0.0)), dt, record=("v", "i_ion"), initial=0.0)
    assert np.ptp(np.asarray(r.data["i_ion"])) < 1e-4  # of 1890
    start = nj.State(jnp.asarray(0.0), nj.steady_state(cell, -80.0).x)
    r = nj.simulate(
        cell, nj.voltage_clamp(np.full(n, 0.0)), dt, record=("v", "i_ion", "k.n"), initial=start
    )
    gate = k.gating(jnp.asarray(0.0))["n"]
    n0 = float(k.steady_state(jnp.asarray(-80.0))["n"])
    n_t = gate.inf + (n0 - gate.inf) * np.exp(-np.asarray(r.t) * gate.rate)
    np.testing.assert_allclose(r.data["k.n"], n_t, rtol=2e-8)
    np.testing.assert_allclose(r.data["i_ion"], k.g_bar * n_t**4 * (0.0 - k.E_rev), rtol=1e-6)


def test_series_resistance_slows_and_divides(x64):
    # R_s in series with a leak: tau = (R_s || R_m) C_m, v_inf = E + (cmd - E) g / (g + G).
    area, g_leak = 1e-5, 0.1
    cell = nj.Cell(channels={"leak": CortexLeak(g_bar=g_leak, E_rev=-70.0)}, area=area)
    R_s_MOhm = 100.0
    g = 1e-3 / R_s_MOhm / area  # mS/cm2
    r = nj.simulate(cell, nj.voltage_clamp(np.full(400, -20.0), R_s_MOhm), 0.05, initial=-70.0)
    v_inf, tau = -70 + 50 * g / (g + g_leak), 1 / (g + g_leak)
    exact = v_inf + (-70 - v_inf) * np.exp(-np.asarray(r.t) / tau)
    # A step of z = dt / tau is off by z^5 / 120.
    np.testing.assert_allclose(r.v, exact, atol=50 * (0.05 / tau) ** 4 / 120 / np.e)
    # As the resistance goes to nothing, the clamp becomes ideal.
    r = nj.simulate(cell, nj.voltage_clamp(np.full(10, -20.0), 1e-6), 0.05, initial=-70.0)
    np.testing.assert_allclose(r.v, -20.0, atol=1e-4)


def test_nudging_pulls_towards_the_data():
    cell = nj.Cell(channels={"leak": CortexLeak(g_bar=0.1, E_rev=-70.0)})
    plain = nj.current_clamp(jnp.zeros(2000))
    data = np.full(2000, -50.0)
    ends = [
        float(nj.simulate(cell, nudged(plain, data, g), 0.1, initial=-70.0).v[-1])
        for g in (0.0, 0.1, 100.0)
    ]
    np.testing.assert_allclose(ends, [-70.0, -60.0, -50.0], atol=0.03)
    # The current that was injected is still injected.
    driven = nudged(nj.current_clamp(jnp.full(2000, 0.5)), data, 0.0)
    assert float(nj.simulate(cell, driven, 0.1).v[-1]) == pytest.approx(-65.0, abs=1e-3)


def test_herg_steady_tail_under_a_protocol():
    cell = nj.Cell(channels={"kr": HergKr()}, area=2e-5)
    command = np.concatenate([np.full(5000, 40.0), np.full(500, -120.0)])
    i = nj.simulate(cell, nj.voltage_clamp(command), 0.1, record=("i_ion",), initial=-80.0)
    i = np.asarray(i.data["i_ion"])
    assert i[4990] > 0 and i[5100] < 0


def test_changes_of_level_are_found_in_noise_and_between_pulses():
    i = np.zeros(4000)
    i[500:1500] = -100.0
    i[2500:3500] = 60.0
    i[3700:3720] = 20.0  # less than 0.3 of the largest: an aside
    noisy = i + np.random.default_rng(0).normal(0.0, 5.0, i.size)
    for current in (i, noisy):
        trace = nj.Trace("current", 0.1, np.full(i.size, -70.0), current)
        np.testing.assert_allclose(trace.changes(), [50.0, 150.0, 250.0, 350.0], atol=0.11)
    assert nj.Trace("current", 0.1, np.full(i.size, -70.0), np.zeros(i.size)).changes().size == 0
