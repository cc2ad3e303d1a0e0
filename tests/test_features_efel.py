"""Features of real cells agree with eFEL's, in which databases and fits of the field are written.

Both read the same samples, every 0.1 ms as eFEL has them: what it rounds to them is rounding here.
"""

import json

import numpy as np
import pytest
from recordings import recording

from neurojax.recording import features

efel = pytest.importorskip("efel", reason="eFEL is not installed (it comes with neurojax[test])")

STEP = 0.1  # ms
CELLS = (
    "allen_509881736 allen_518290966 allen_526950199 allen_532355382 allen_532571720 "
    "axon5_step_cclamp saray_190619B_0003 lantyer_180817_ME_9 bluepyefe_B6 swh_18711001 "
    "bbp_C060109A1_SR_C1"
)
NAMES = (
    "spike_count peak_indices peak_time peak_voltage all_ISI_values min_voltage_between_spikes "
    "AP_begin_time AP_begin_voltage AP_amplitude AP_duration_half_width AP_fall_indices "
    "AP_end_indices AP_peak_upstroke AP_peak_downstroke AHP_depth_abs AHP_depth AHP_time_from_peak "
    "time_to_first_spike mean_frequency adaptation_index2 voltage_base minimum_voltage "
    "steady_state_voltage steady_state_voltage_stimend sag_amplitude sag_ratio1 "
    "decay_time_constant_after_stim voltage_deflection_vb_ssse"
)


def sweeps_of(name):
    """Samples `[sample, sweep]` every 0.1 ms, the step (ms, pA), and eFEL's features, by protocol.

    Converters have steps, and eFEL breaks ties between samples by the rounding of its own
    interpolation: a noise of 10 nV, the same for both, leaves none.
    """
    efel.reset()
    efel.set_setting("voltage_base_mode", "median")
    rng = np.random.default_rng(0)
    facts = json.loads(recording("cc/facts.json").read_text())[name]
    with np.load(recording(f"cc/{name}.npz")) as data:
        for protocol, said in facts["protocols"].items():
            agreed = [k for k, sweep in enumerate(said["sweeps"]) if sweep["agree"]]
            v = data[f"{protocol}__V_mV"][agreed].astype(float)
            fine = np.arange(v.shape[1]) * said["dt_ms"]
            t = np.arange(int(fine[-1] / STEP + 1e-6)) * STEP
            v = np.stack([np.interp(t, fine, row) for row in v], axis=1)
            v += rng.uniform(-1e-5, 1e-5, v.shape)
            on, off = said["on_ms"], said["off_ms"]
            # A hair before the sample, on which eFEL's sum of time steps may come to lie or not.
            stimulus = {"stim_start": [on - 1e-6], "stim_end": [off - 1e-6]}
            traces = [{"T": t, "V": column, **stimulus} for column in v.T]
            theirs = efel.get_feature_values(traces, NAMES.split(), raise_warnings=False)
            pA = np.array([said["sweeps"][k]["step_pA"] for k in agreed])
            yield v, (on, off), pA, theirs


@pytest.mark.parametrize("name", CELLS.split())
def test_features_are_those_of_efel(name):
    for v, window, pA, theirs in sweeps_of(name):
        ours = features.features(v, STEP, window, pA)
        for k, told in enumerate(theirs):
            n = int(told["spike_count"][0])
            assert ours.spikes.number[k] == n
            if n:
                check_spikes(ours, told, v[:, k], k, n)
                check_firing(ours.firing, told, k)
            check_potentials(ours, told, v[:, k], window, pA[k], k)


def check_spikes(ours, told, v, k, n):
    """Onset, slopes and after-hyperpolarisation to the digit; peaks, width within their sample."""

    def same(name, mine, atol, few=0):
        np.testing.assert_allclose(mine[k, : n - few], told[name], rtol=0, atol=atol, err_msg=name)

    shapes, found = ours.shapes, ours.spikes
    begun = np.isfinite(shapes.onsets[k, :n])
    assert begun.sum() == len(told["AP_begin_time"]) == n
    same("AP_begin_time", shapes.onset_times, 1e-6)
    same("AP_begin_voltage", shapes.onsets, 1e-6)
    same("AP_peak_upstroke", shapes.upstrokes, 1e-5)
    same("AP_peak_downstroke", shapes.downstrokes, 1e-5)
    same("AHP_depth_abs", shapes.ahps, 1e-6)
    same("AHP_depth", shapes.ahps - ours.subthreshold.base[:, None], 1e-6)
    same("AHP_time_from_peak", shapes.ahp_delays, 1e-6)
    same("peak_time", found.times, STEP / 2 + 1e-6)
    if n > 1:
        same("all_ISI_values", np.diff(found.times), STEP, few=1)
        same("min_voltage_between_spikes", found.troughs, 1e-6, few=1)
    # A parabola through the highest sample and its neighbours rises an eighth of its bend above.
    at = told["peak_indices"]
    above = np.abs(v[at - 1] - 2 * v[at] + v[at + 1]) / 8 + 1e-6
    for name, mine in (("peak_voltage", found.peaks), ("AP_amplitude", shapes.amplitudes)):
        higher = mine[k, :n] - told[name]
        assert ((higher > -1e-6) & (higher <= above)).all(), name
    # eFEL gives up where a spike falls slower than 12 mV/ms: one with a shoulder comes out narrow.
    whole = told["AP_end_indices"] - told["AP_fall_indices"] > 1
    width, theirs = shapes.half_widths[k, :n], told["AP_duration_half_width"]
    np.testing.assert_allclose(width[whole], theirs[whole], rtol=0, atol=1.1 * STEP)
    assert (width[~whole] > theirs[~whole] - STEP).all()


def check_firing(firing, told, k):
    within = pytest.approx
    assert firing.latency[k] == within(told["time_to_first_spike"][0], abs=STEP / 2 + 1e-6)
    last = firing.number[k] / firing.mean_frequency[k] * 1e3
    assert firing.mean_frequency[k] == within(told["mean_frequency"][0], rel=STEP / last)
    index = told["adaptation_index2"]
    assert np.isnan(firing.late_adaptation[k]) == (index is None)
    if index is not None:
        assert firing.late_adaptation[k] == within(index[0], abs=1e-3)


def check_potentials(ours, told, v, window, pA, k):
    """Base, lowest and decay to the digit; a median where eFEL has a mean, within their distance.

    No median is further from its mean than the standard deviation.
    """
    mine, within = ours.subthreshold, pytest.approx
    assert mine.base[k] == within(told["voltage_base"][0], abs=1e-6)
    assert mine.lowest[k] == within(told["minimum_voltage"][0], abs=1e-6)
    assert mine.after[k] == within(told["steady_state_voltage"][0], abs=0.01)
    on, off = (round(x / STEP) for x in window)
    spread = v[off - (off - on) // 10 : off].std() + 1e-3
    assert mine.steady[k] == within(told["steady_state_voltage_stimend"][0], abs=spread)
    if pA:
        ohmic = told["voltage_deflection_vb_ssse"][0] / pA * 1e3
        assert mine.resistance_MOhm[k] == within(ohmic, abs=spread / abs(pA) * 1e3)
    if told["sag_amplitude"] is not None and np.isfinite(mine.sag[k]):
        assert mine.sag[k] == within(told["sag_amplitude"][0], abs=spread)
        depth = mine.base[k] - mine.lowest[k]
        assert mine.sag_ratio[k] == within(told["sag_ratio1"][0], abs=spread / depth)
    if not told["spike_count"][0] and abs(mine.steady[k] - mine.base[k]) > 3.0:
        decay = told["decay_time_constant_after_stim"][0]
        assert mine.decay_tau[k] == within(decay, rel=1e-4)
