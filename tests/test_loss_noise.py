"""The noise of a recording against noise of known size, colour and hum."""

import numpy as np
import pytest
from recordings import recording
from scipy.signal import lfilter

import neurojax as nj
from neurojax.io import read
from neurojax.loss import noise_of

DT = 0.05


def trace(noise, **options):
    n = noise.size
    i = np.where(np.arange(n) < int(0.9 * n), 0.0, 100.0)
    return nj.Trace("current", DT, -70.0 + noise, i, **options)


def ornstein(n, sd, tau, seed):
    """Noise of an exponential autocorrelation."""
    a = np.exp(-DT / tau)
    kicks = np.random.default_rng(seed).normal(0, sd * np.sqrt(1 - a * a), n)
    return lfilter([1.0], [1.0, -a], kicks)


def test_white_noise_has_its_sd_and_lasts_a_sample():
    sweeps = [trace(np.random.default_rng(k).normal(0, 0.3, 20_000)) for k in range(3)]
    noise = noise_of(sweeps)
    assert noise.sd == pytest.approx(0.3, rel=0.02)
    assert noise.lasting_ms == pytest.approx(DT, rel=0.1)
    assert noise.hum == 0 and noise.unit == "mV"
    assert noise.independent(1000.0) == pytest.approx(20_000, rel=0.1)


def test_filtered_noise_lasts_as_its_autocorrelation():
    # The integral of exp(-|t| / tau) over both directions is 2 tau.
    noise = noise_of([trace(ornstein(20_000, 0.5, 2.0, k)) for k in range(5)])
    assert noise.sd == pytest.approx(0.5, rel=0.05)
    assert noise.lasting_ms == pytest.approx(4.0, rel=0.15)


def test_drift_events_and_hum_are_no_noise():
    n = 20_000
    t = np.arange(n) * DT
    noise = np.random.default_rng(1).normal(0, 0.2, n)
    bent = noise + 3e-3 * t + 0.4 * np.sin(2 * np.pi * 0.05 * t + 1.0)
    bent[5000:5040] += 8.0
    found = noise_of([trace(bent)])
    assert found.sd == pytest.approx(0.2, rel=0.05)
    assert found.hum == pytest.approx(0.4, rel=0.05) and found.hum_Hz == 50.0
    assert found.lasting_ms < 4 * DT


def test_without_a_quiet_stretch_there_is_nothing_to_tell():
    short = nj.Trace("current", DT, np.zeros(1000), np.where(np.arange(1000) < 50, 0.0, 50.0))
    assert noise_of([short]) is None
    voltage = nj.Trace("voltage", DT, np.zeros(1000), np.zeros(1000))
    with pytest.raises(ValueError, match="one kind"):
        noise_of([short, voltage])


def test_a_hardware_cell_is_noisier_than_its_converter():
    found = noise_of(read(recording("vc/model_vc_step.abf"))[:10])
    assert found.unit == "pA" and 0.3 < found.sd < 10 and found.lasting_ms >= 0.05


def test_noise_of_several_clamps_is_refused():
    y = np.zeros(1000)
    sweeps = [nj.Trace(clamp, DT, y, y) for clamp in ("current", "voltage")]
    with pytest.raises(ValueError, match="noise of current clamp and voltage clamp together"):
        noise_of(sweeps)
