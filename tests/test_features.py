"""Features of traces: against an independent count of real spikes, and against closed forms."""

import json

import numpy as np
import pytest
from recordings import recording

from neurojax import features
from neurojax.electrode import Trace

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
    assert found.base == pytest.approx(sweep["Vbase_mV"], abs=0.02)
    assert found.steady == pytest.approx(sweep["Vss_mV"], abs=0.02)
    assert found.latency == pytest.approx(sweep["spike_times_ms"][0] - 205.0, abs=0.05)
    assert found.rate == pytest.approx(12.0)


def test_spikes_of_closed_form():
    times = [50.0, 100.0, 200.0, 350.0]
    found = features.features(spike_train(times), DT, (40.0, 390.0))
    np.testing.assert_allclose(found.spikes.times, times, atol=1e-9)
    np.testing.assert_allclose(found.spikes.peaks, 20.0, atol=0.5)
    np.testing.assert_allclose(found.spikes.troughs, -60.0)
    np.testing.assert_allclose(found.spikes.widths, 1.0, atol=0.02)
    assert found.latency == pytest.approx(10.0)
    assert found.rate == pytest.approx(4 / 0.35)
    assert found.mean_interval == pytest.approx(100.0)
    assert found.adaptation == pytest.approx((50 / 150 + 50 / 250) / 2)
    assert found.base == found.steady == -60.0


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
    assert many.latency.shape == (2, 2)
    for k, cell in enumerate(cells):
        one, place = features.features(cell, DT, (10.0, 390.0)), np.unravel_index(k, (2, 2))
        n = int(one.spikes.number)
        assert many.spikes.number[place] == n
        np.testing.assert_allclose(many.spikes.times[place][:n], one.spikes.times)
        np.testing.assert_allclose(many.spikes.widths[place][:n], one.spikes.widths)
        np.testing.assert_allclose(many.spikes.troughs[place][: max(0, n - 1)], one.spikes.troughs)
        assert np.isnan(many.spikes.times[place][n:]).all()
        for a, b in zip(many[1:], one[1:], strict=True):
            np.testing.assert_allclose(a[place], b)


def test_only_the_first_are_described():
    found = features.spikes(spike_train([50.0, 100.0, 150.0]), DT, most=2)
    assert found.number == 3
    assert found.times.shape == found.widths.shape == (2,)
    assert found.troughs.shape == (1,)
