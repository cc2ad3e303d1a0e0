"""One table of tolerances: a search and objectives on features count the same as one."""

import numpy as np
import pytest
from recordings import recording

import neurojax as nj
from neurojax import loss
from neurojax.io import read
from neurojax.loss.score import LATE, PARTS, WORST, robust, score
from neurojax.recording.features import TOLERANCES, spikes, tolerances_of

DT = 0.1


def train(gap=20.0, peak=30.0):
    """Five spikes, `gap` ms apart, in a step from 50 ms on."""
    t = np.arange(2000) * DT
    late = [60.0 + gap * k for k in range(5)]
    v = -65 + sum((peak + 65) * np.exp(-(((t - at) / 0.6) ** 2)) for at in late)
    i = np.where((t >= 50) & (t < 170), 100.0, 0.0)
    return nj.Trace("current", DT, v, i)


def test_the_tolerances_of_a_sweep_are_shares_of_what_was_recorded():
    found = spikes(train().v_mV, DT)
    told = tolerances_of(found, 50.0, 170.0)
    assert set(told) == set(TOLERANCES)
    assert told["time"] == pytest.approx(0.04 * 20, rel=1e-3)
    assert told["latency"] == 0.5  # 4 % of 10 ms are less
    assert told["width"] == pytest.approx(0.08 * found.widths.mean())
    assert told["number"] == 0.5 and told["rate"] == pytest.approx(0.5 / 0.12)
    assert told["peak"] == TOLERANCES["peak"].least == 1.0
    silent = tolerances_of(spikes(np.full(2000, -65.0), DT), 50.0, 170.0)
    assert silent["number"] == 0.2 and silent["time"] == pytest.approx(0.04 * 12)
    assert all(x > 0 for x in silent.values())


def test_every_feature_that_is_compared_has_a_tolerance():
    assert {*PARTS.values(), *loss.SPIKE_FEATURES, *loss.STEP_FEATURES} == set(TOLERANCES)
    assert str(TOLERANCES["latency"]) == "4 % of the latency, at least 0.5 ms"
    assert str(TOLERANCES["peak"]) == "1 mV" and str(TOLERANCES["interval"]) == "0.15"


@pytest.mark.parametrize(("feature", "part"), [("peak", "peak"), ("time", "times")])
def test_score_and_objective_agree_about_a_cell(feature, part):
    data = train()
    other = train(peak=30.3) if feature == "peak" else train(gap=20.02)
    fold = loss.spike_features(data, DT, [feature])
    seen = fold.seen(loss.stream.carried(fold, other.v_mV), other.duration_ms)
    off = np.asarray(fold.features[feature].residuals(seen)).ravel()[:5]
    whole = score(data.v_mV, DT, 50.0, 170.0)
    found = whole.contributions(loss.stream.carried(whole, other.v_mV))[part]
    worst = LATE if part == "times" else WORST
    assert float(found) == pytest.approx(float(np.mean(np.square(robust(off, worst)))), rel=0.05)


def test_a_name_alone_takes_the_tolerance_of_the_table_and_a_number_its_place():
    trace = read(recording("cc/saray_190619B_0003.npz"))[4]
    own = loss.spike_features(trace, 0.1, ["peak", "width"])
    told = loss.spike_features(trace, 0.1, {"peak": 2.0, "width": 0.1})
    assert own.features["peak"].tolerance == 1.0 and told.features["peak"].tolerance == 2.0
    assert own.features["width"].tolerance > 0.02
