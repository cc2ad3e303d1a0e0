"""Features of traces: against an independent count of real spikes, and against closed forms."""

import json

import numpy as np
import pytest
from recordings import recording

from neurojax.recording import features
from neurojax.recording.trace import Trace

DT = 0.05


def spike_train(times, height=80.0, base=-60.0, width=0.5, duration=400.0, dt=DT):
    """Triangular spikes of a given width at half height on a flat base."""
    t = np.arange(round(duration / dt)) * dt
    v = np.full(t.size, base)
    for peak in times:
        v = np.maximum(v, base + height * (1 - np.abs(t - peak) / (2 * width)))
    return v


def facts():
    return json.loads(recording("cc/facts.json").read_text())


REAL = (
    "allen_518290966 allen_509881736 allen_532571720 bluepyefe_B6 swh_18711001 axon5_step_cclamp "
    "saray_190619B_0003 lantyer_180817_ME_9"
)


@pytest.mark.parametrize("name", REAL.split())
def test_spikes_of_real_cells(name):
    entry = facts()[name]
    checked = 0
    with np.load(recording(f"cc/{name}.npz")) as data:
        for protocol, said in entry["protocols"].items():
            dt = float(data[f"{protocol}__dt_ms"])
            for v, sweep in zip(data[f"{protocol}__V_mV"], said["sweeps"], strict=True):
                if not sweep["agree"]:
                    continue
                found = features.spikes(v, dt)
                assert found.number == sweep["n_spikes"]
                np.testing.assert_allclose(found.times, sweep["spike_times_ms"], atol=dt)
                checked += 1
    assert checked


def test_potentials_of_a_real_cell():
    sweep = facts()["allen_518290966"]["protocols"]["LongSquare"]["sweeps"][0]
    with np.load(recording("cc/allen_518290966.npz")) as data:
        trace = Trace("current", 0.02, data["LongSquare__V_mV"][0], data["LongSquare__I_pA"][0])
    found = features.of_trace(trace)
    assert found.subthreshold.base == pytest.approx(sweep["Vbase_mV"], abs=0.1)
    assert found.subthreshold.steady == pytest.approx(sweep["Vss_mV"], abs=0.02)
    assert found.firing.latency == pytest.approx(sweep["spike_times_ms"][0] - 205.0, abs=0.05)
    assert found.firing.rate == pytest.approx(12.0)


def test_spikes_of_closed_form():
    times = [50.0, 100.0, 200.0, 350.0]
    found = features.features(spike_train(times), DT, (40.0, 390.0))
    np.testing.assert_allclose(found.spikes.times, times, atol=1e-9)
    np.testing.assert_allclose(found.spikes.peaks, 20.0, atol=0.5)
    np.testing.assert_allclose(found.spikes.troughs, -60.0)
    np.testing.assert_allclose(found.spikes.widths, 1.0, atol=0.02)
    firing = found.firing
    assert firing.number == 4 and firing.latency == pytest.approx(10.0)
    assert firing.rate == pytest.approx(4 / 0.35)
    assert firing.mean_frequency == pytest.approx(4 / 0.31)
    assert firing.mean_interval == pytest.approx(100.0)
    assert firing.irregularity == pytest.approx(np.std([50.0, 100.0, 150.0], ddof=1) / 100.0)
    assert firing.adaptation == pytest.approx((50 / 150 + 50 / 250) / 2)
    assert firing.late_adaptation == pytest.approx(50 / 250)
    assert found.subthreshold.base == found.subthreshold.steady == -60.0


def test_spikes_outside_the_step_are_not_its_firing():
    found = features.features(spike_train([20.0, 100.0, 150.0, 395.0]), DT, (40.0, 390.0))
    assert found.spikes.number == 4 and found.firing.number == 2
    assert found.firing.latency == pytest.approx(60.0)
    assert found.firing.mean_interval == pytest.approx(50.0)


def test_the_shape_of_a_closed_form():
    """80 mV up and down at 80 mV/ms; then a slow fall to a low from which v recovers."""
    v = spike_train([50.0, 100.0])
    t = np.arange(v.size) * DT
    v = v - np.where((t > 51.0) & (t < 60.0), 12.0 * np.sin(np.pi * (t - 51.0) / 9.0), 0.0)
    shapes = features.features(v, DT).shapes
    np.testing.assert_allclose(shapes.onset_times, [49.0, 99.0], atol=DT)
    np.testing.assert_allclose(shapes.onsets, -60.0, atol=80 * DT)
    np.testing.assert_allclose(shapes.amplitudes, 80.0, atol=80 * DT)
    np.testing.assert_allclose(shapes.half_widths, 1.0, atol=2 * DT)
    np.testing.assert_allclose(shapes.upstrokes, 80.0, rtol=1e-9)
    np.testing.assert_allclose(shapes.downstrokes, -80.0, rtol=1e-9)
    np.testing.assert_allclose(shapes.ahps, [-72.0, -60.0], atol=1e-2)
    assert shapes.ahp_delays[0] == pytest.approx(5.5, abs=DT)


def test_a_membrane_of_one_exponential():
    """R = 100 MOhm, tau = 17 ms, -50 pA, with noise: a step of -5 mV; and one cell with a sag."""
    t = np.arange(0, 500, 0.1)
    on, off, tau = 100.0, 400.0, 17.0
    charge = np.where(t < on, 0.0, 1 - np.exp(-(t - on) / tau))
    charge = np.where(t < off, charge, np.exp(-(t - off) / tau))
    back = np.where((t > on) & (t < off), 2.0 * (1 - np.exp(-(t - on) / 80.0)), 0.0)
    noise = np.random.default_rng(0).normal(0, 0.05, t.size)
    v = -70 - np.stack([5.0 * charge, 5.0 * charge + noise, -5.0 * charge, 8.0 * charge - back], 1)
    told = features.features(v, 0.1, (on, off), np.array([-50.0, -50.0, 50.0, -50.0])).subthreshold
    np.testing.assert_allclose(told.base, -70.0, atol=0.02)
    np.testing.assert_allclose(told.steady, [-75.0, -75.0, -65.0, -76.0], atol=0.06)
    np.testing.assert_allclose(told.resistance_MOhm[:3], 100.0, rtol=5e-3)
    assert told.tau[0] == pytest.approx(tau, rel=2e-3) and told.tau[2] == pytest.approx(
        tau, rel=2e-3
    )
    assert told.tau[1] == pytest.approx(tau, rel=0.05)
    np.testing.assert_allclose(told.decay_tau[[0, 2]], tau, rtol=1e-3)
    assert told.decay_tau[1] == pytest.approx(tau, rel=0.1)
    low = v[1000:4000, 3].min()
    assert told.lowest[3] == low and np.isnan(told.sag[2])
    assert told.sag[3] == pytest.approx(told.steady[3] - low)
    assert told.sag_ratio[3] == pytest.approx(told.sag[3] / (told.base[3] - low))


def test_a_trace_without_spikes_or_step_has_nothing_to_tell():
    found = features.features(np.full(100, -70.0), 0.1)
    assert found.spikes.number == 0 and found.shapes.onsets.shape == (0,)
    assert np.isnan([found.firing.latency, found.firing.adaptation, found.subthreshold.base]).all()
    lost = features.features(np.full((2000, 2), np.nan), 0.1, (50.0, 150.0), 10.0)
    assert np.isnan(lost.subthreshold.tau).all() and (lost.firing.number == 0).all()


def test_peaks_between_samples_are_interpolated():
    t = np.arange(0, 20, 0.25)
    found = features.spikes(-60 + 80 * np.exp(-(((t - 10.07) / 1.5) ** 2)), 0.25)
    np.testing.assert_allclose(found.times, 10.07, atol=0.01)
    np.testing.assert_allclose(found.peaks, 20.0, atol=0.05)


@pytest.mark.parametrize(
    ("v", "number"),
    [
        ([-60, -60, -60], 0),
        ([-60, -21, -60], 0),  # too low
        ([-30, -15, -30], 0),  # too flat
        ([-60, 0, -10, 5, -60], 1),  # a notch of 10 mV
        ([-60, 30, 5, 20, -60], 1),
        ([-60, 30, 5, 30, -60], 2),  # a notch of 25 mV, above threshold
        ([-60, 30, 0], 1),
        ([30, -60, -60], 0),  # began before the trace
        ([-60, -60, 30], 0),  # ends after it
        ([np.nan, np.nan, np.nan], 0),
    ],
)
def test_what_a_spike_is(v, number):
    assert features.spikes(np.array(v, float), 1.0).number == number


def test_prominence_is_that_of_scipy():
    signal = pytest.importorskip("scipy.signal")
    rng = np.random.default_rng(0)
    v = np.cumsum(rng.standard_normal((20, 4000)) * 6, axis=1)
    v = -30 + 40 * np.tanh(v / 60)
    found = features.spikes(v.T, 1.0)
    for k, row in enumerate(v):
        at, _ = signal.find_peaks(row, height=-20, prominence=20)
        assert found.number[k] == at.size
        np.testing.assert_allclose(found.times[k][: at.size], at, atol=0.5)


def test_a_population_equals_its_cells():
    cells = [spike_train(t) for t in ([], [100.0], [50.0, 90.0, 300.0], [20.0, 380.0])]
    v = np.stack(cells, axis=1).reshape(-1, 2, 2)
    many = features.features(v, DT, (10.0, 390.0))
    assert many.firing.latency.shape == many.subthreshold.tau.shape == (2, 2)
    for k, cell in enumerate(cells):
        one, place = features.features(cell, DT, (10.0, 390.0)), np.unravel_index(k, (2, 2))
        n = int(one.spikes.number)
        assert many.spikes.number[place] == n
        np.testing.assert_allclose(many.spikes.times[place][:n], one.spikes.times)
        np.testing.assert_allclose(many.spikes.widths[place][:n], one.spikes.widths)
        np.testing.assert_allclose(many.spikes.troughs[place][: max(0, n - 1)], one.spikes.troughs)
        assert np.isnan(many.spikes.times[place][n:]).all()
        for a, b in zip(many.shapes, one.shapes, strict=True):
            np.testing.assert_allclose(a[place][:n], b)
            assert np.isnan(a[place][n:]).all()
        for a, b in zip(
            [*many.firing, *many.subthreshold], [*one.firing, *one.subthreshold], strict=True
        ):
            np.testing.assert_allclose(a[place][: b.size] if b.ndim else a[place], b)


def test_only_the_first_are_described():
    found = features.spikes(spike_train([50.0, 100.0, 150.0]), DT, most=2)
    assert found.number == 3
    assert found.times.shape == found.widths.shape == (2,)
    assert found.troughs.shape == (1,)


def test_features_are_printed_with_their_units():
    v = np.full(2000, -65.0)
    v[500:510], v[900:910] = 30.0, 25.0
    told = str(features.features(v, 0.1, (40.0, 150.0), 100.0)).splitlines()
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in told}
    assert lines["peaks"] == "30, 25 mV" and lines["rate"] == "18.18 Hz"
    assert lines["base"] == "-65 mV" and lines["tau"] == "-" and lines["number"] == "2"
    assert lines["resistance_MOhm"] == "0 MOhm" and told[0] == "spikes"
    assert "peaks    24 to 30 mV" in str(features.spikes(np.stack([v, v - 1], axis=1), 0.1))
