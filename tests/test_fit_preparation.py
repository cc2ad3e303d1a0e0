"""A recording made ready: monitors become steps, a pipette stands where the edges show one."""

from dataclasses import replace

import numpy as np
import pytest

import neurojax as nj
from neurojax.fit import free, prepare_recording
from neurojax.recording.stimulus import jump_at_steps, one_step, smoothed, spike_artefact

DT, N = 0.1, 20_000
RNG = np.random.default_rng(0)
SPIKE_MV = np.r_[np.linspace(-60, 20, 6), np.linspace(20, -60, 6)]


def sweep(*pulses, noise_pA=0.0, artefact_pA=0.0, R_MOhm=0.0, commanded=False):
    """Pulses (on ms, off ms, pA) through 100 MOhm and 20 ms, four spikes in the first."""
    t = np.arange(N) * DT
    i = sum((((t >= on) & (t < off)) * pA for on, off, pA in pulses), np.zeros(N))
    v = np.full(N, -70.0)
    for k in range(1, N):
        v[k] = v[k - 1] + DT / 20.0 * (-70.0 + 0.1 * i[k - 1] - v[k - 1])
    v = v + 1e-3 * R_MOhm * i
    measured = i + noise_pA * RNG.standard_normal(N)
    for at in (5000, 7000, 9000, 11000):
        v[at : at + 12] = SPIKE_MV
        measured[at + 3 : at + 8] += artefact_pA
    return nj.Trace("current", DT, v, measured, commanded=commanded)


def test_a_measured_step_becomes_its_levels():
    trace = sweep((300, 1300, 150.0), noise_pA=20.0, artefact_pA=300.0)
    ideal = one_step(replace(trace, i_pA=trace.i_pA - 30.0))
    assert ideal is not None and np.unique(ideal.i_pA).size == 2
    assert ideal.holding == pytest.approx(-30.0, abs=1)
    assert ideal.i_pA[5000] == pytest.approx(120.0, abs=1)


def test_what_is_more_than_a_step_stays():
    assert one_step(sweep((300, 1300, 150.0), (1500, 1510, 60.0))) is None
    ramp = sweep((300, 1300, 150.0))
    assert one_step(replace(ramp, i_pA=np.linspace(0, 200, N))) is None


def test_artefacts_of_spikes_are_seen_and_smoothed_away():
    pulses = (300, 1300, 150.0), (1500, 1700, 60.0)
    trace = sweep(*pulses, noise_pA=5.0, artefact_pA=200.0)
    assert spike_artefact(trace) == pytest.approx(200.0, abs=20)
    assert spike_artefact(sweep(*pulses, noise_pA=5.0)) == 0
    assert spike_artefact(sweep((300, 1300, 150.0), artefact_pA=200.0, commanded=True)) == 0
    beside = np.abs(smoothed(trace).i_pA - sweep(*pulses).i_pA)
    assert np.quantile(beside, 0.99) < 5  # but for some samples at edges


def test_the_jump_at_the_edges_is_the_series_resistance():
    seen = jump_at_steps([sweep((300, 1300, -100.0), R_MOhm=12.0)])
    assert seen is not None and seen.edges == 2
    assert seen.R_MOhm == pytest.approx(12.0, rel=0.03)
    none = jump_at_steps([sweep((300, 1300, -100.0))])
    assert none is not None and none.R_MOhm == pytest.approx(0.0, abs=0.3)
    assert jump_at_steps([sweep()]) is None


def test_a_recording_is_made_ready_and_says_how():
    cell = nj.Cell(channels={"leak": nj.channels.SquidLeak()})
    space = free(cell, ["leak.g_bar"])
    sweeps = [sweep((300, 1300, pA), noise_pA=5.0, R_MOhm=12.0) for pA in (-100.0, 50.0)]
    ready = prepare_recording(cell, space, sweeps)
    assert [np.unique(t.i_pA).size for t in ready.traces] == [2, 2]
    assert ready.space.names == ["leak.g_bar", "pipette.R_s", "pipette.C_pip"]
    assert "2 sweeps replaced by its holding level and step" in ready.notes[0]
    assert "jumps through 12 MOhm" in ready.notes[1] and "dendrites" not in ready.notes[1]
    tree = nj.ball_and_stick(cell.channels)
    assert (
        "dendrites looks alike" in prepare_recording(tree, free(tree, space.names), sweeps).notes[1]
    )
    again = prepare_recording(ready.cell, ready.space, ready.traces)  # it has a pipette
    assert again.space is ready.space
    as_is = prepare_recording(cell, space, sweeps, stimulus="measured", pipette="no")
    assert as_is.traces == sweeps and as_is.cell is cell and as_is.notes == ()
    flat = [sweep((300, 1300, pA)) for pA in (-100.0, 50.0)]
    assert prepare_recording(cell, space, flat).cell is cell
    asked = prepare_recording(cell, space, flat, pipette="yes")
    assert "pipette" in asked.cell.channels and "as asked" in asked.notes[-1]


def test_wrong_wishes_are_told():
    cell = nj.Cell(channels={"leak": nj.channels.SquidLeak()})
    with pytest.raises(ValueError, match="pipette is 'maybe'; expected one of auto, yes, no"):
        prepare_recording(cell, free(cell, ["leak.g_bar"]), [], pipette="maybe")
