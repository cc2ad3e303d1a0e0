"""ABF: what was commanded, which channel is what, and files that say nothing of either."""

import re
import warnings

import numpy as np
import pytest
from recordings import case
from rig_files import abf1, abf2

from neurojax.io import RecordingWarning, read
from neurojax.recording import features
from neurojax.recording.trace import RecordingError

pytestmark = pytest.mark.smoke

N, DT = 4000, 0.1
PRE = N // 64
CHANNELS = (("Vm", "mV", 0), ("Im", "pA", 1))


def membrane(current_pA, R=500.0, tau=10.0, rest=-70.0):
    """The potential of an RC circuit under a current `[sample]`, pA."""
    v = np.empty(len(current_pA))
    u, keep = 0.0, np.exp(-DT / tau)
    for k, i in enumerate(current_pA):
        v[k] = rest + u
        u = keep * u + (1 - keep) * R * 1e-3 * i
    return v


def step(height, n=N, on=PRE, off=PRE + 2000):
    command = np.zeros(n)
    command[on:off] = height
    return command


def quietly(path, **asked):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        return read(path, **asked)


def resistances(traces):
    return [float(features.of_trace(t).subthreshold.resistance_MOhm) for t in traces]


def epochs(*told):
    """Epochs of an output, with what they leave out."""
    return {"source": 1, "epochs": [(*e, *(0,) * (7 - len(e))) for e in told]}


# -- what an output plays --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (epochs((2, 100.0, 0, 1000)), np.linspace(0, 100, 1000)),
        (epochs((3, 80.0, 0, 1000, 0, 300, 50)), 80.0 * (np.arange(1000) % 300 < 50)),
        (epochs((4, 60.0, 0, 1000, 0, 200, 100)), 60 * (1 - abs(np.arange(1000) % 200 / 100 - 1))),
        (
            epochs((5, 60.0, 0, 1000, 0, 200, 0)),
            30 * (1 - np.cos(2 * np.pi * np.arange(1000) / 200)),
        ),
        (
            epochs((7, 60.0, 0, 1000, 0, 200, 100)),
            60.0 * np.select([np.arange(1000) % 200 < 50, np.arange(1000) % 200 < 100], [1, -1]),
        ),
    ],
    ids=["ramp", "pulses", "triangles", "cosines", "biphasic"],
)
def test_epochs_of_every_shape(told, wanted, tmp_path):
    current = np.zeros(N)
    current[PRE : PRE + 1000] = wanted
    path = abf1(tmp_path / "x.abf", [[membrane(current)]], CHANNELS[:1], [told])
    (trace,) = quietly(path)
    np.testing.assert_allclose(trace.i_pA, current, atol=1e-4)


@pytest.mark.parametrize("parameter", [21, 31], ids=["level", "duration"])
def test_a_user_list_is_what_was_commanded(parameter, tmp_path):
    told = epochs((1, 10.0, 0.0, 1000)) | {"list": (parameter, "50,300,20")}
    values = (50, 300, 20)
    wanted = [
        step(v, off=PRE + 1000) if parameter == 21 else step(10.0, off=PRE + v) for v in values
    ]
    path = abf1(tmp_path / "x.abf", [[membrane(w)] for w in wanted], CHANNELS[:1], [told])
    for trace, command in zip(quietly(path), wanted, strict=True):
        np.testing.assert_array_equal(trace.i_pA, command)


@pytest.mark.parametrize(
    ("version", "parameter"),
    [((2, 0), 22), ((2, 6), 32), ((2, 9), 62), ((2, 9), 112)],
    ids=["level", "duration", "level_pclamp11", "duration_pclamp11"],
)
def test_a_user_list_of_version_2(version, parameter, tmp_path):
    """Its numbering leaves room for 10 epochs up to pClamp 10, and for 50 since."""
    told = epochs((1, 0.0, 0.0, 500), (1, 10.0, 5.0, 1000)) | {"list": (parameter, "50, 300, 20,")}
    level = parameter in (22, 62)
    on = PRE + 500
    wanted = [
        step(v, on=on, off=on + 1000) if level else step(10.0 + 5 * k, on=on, off=on + v)
        for k, v in enumerate((50, 300, 20))
    ]
    sweeps = [[membrane(w)] for w in wanted]
    path = abf2(tmp_path / "x.abf", sweeps, CHANNELS[:1], [told], version)
    for trace, command in zip(quietly(path), wanted, strict=True):
        np.testing.assert_array_equal(trace.i_pA, command)


def test_after_a_train_of_conditioning_pulses_sweeps_begin_at_its_last_level(tmp_path):
    told = epochs((1, 50.0, 0, 1000)) | {"holding": -10.0, "trained": (5.0, 20.0)}
    path = abf2(tmp_path / "x.abf", [[membrane(np.zeros(N))]], CHANNELS[:1], [told])
    (trace,) = quietly(path)
    assert [*trace.i_pA[[0, PRE, PRE + 1000, -1]]] == [20.0, 50.0, -10.0, -10.0]


def test_an_output_that_is_labelled_as_the_response_is_no_command(tmp_path):
    """And the holding of another output is no command either."""
    outputs = [epochs((1, 0.0, 0, 1000)), {"unit": "mV", "holding": -55.0, "name": "Other"}]
    path = abf2(tmp_path / "x.abf", [[membrane(np.zeros(N))]], (("IN 0", "pA", 0),), outputs)
    with pytest.raises(RecordingError, match=r"'Cmd', .*labelled 'pA'.*channel='IN 0', unit='mV'"):
        read(path)
    assert quietly(path, channel="IN 0", unit="mV")[0].v_mV[0] == pytest.approx(-70)
    outputs[0]["unit"] = "?"
    abf2(path, [[membrane(np.zeros(N))]], (("IN 3", "pA", 3),), outputs)
    (trace,) = quietly(path)
    assert trace.holding == -55.0
    assert re.search("holding of 'Other' is taken.* a guess", " ".join(trace.warnings))


def test_a_stimulus_file_is_beside_the_recording_scaled_and_of_its_length(tmp_path):
    wanted = step(50.0)
    told = {"source": 2, "file": ("C:\\rig\\Ramp.atf", 25.0, 5.0)}
    path = abf1(tmp_path / "x.abf", [[membrane(wanted)]], CHANNELS[:1], [told])
    with pytest.raises(RecordingError, match=r"x\.abf: .*file Ramp\.atf .*same folder"):
        read(path)

    def stimulus(n, title="Cmd (V)"):
        rows = "\n".join(f"{1e-4 * k:.4f}\t{x:.2f}" for k, x in enumerate((wanted[:n] - 5) / 25))
        text = f'ATF\t1.0\n0\t2\n"Time (s)"\t"{title}"\n{rows}\n'
        (tmp_path / "ramp.atf").write_text(text)

    stimulus(N)
    np.testing.assert_allclose(quietly(path)[0].i_pA, wanted, atol=1e-6)
    stimulus(N, "Trace #1")  # as programs write it that leave out units
    np.testing.assert_allclose(quietly(path)[0].i_pA, wanted, atol=1e-6)
    stimulus(N - 100)
    with pytest.raises(RecordingError, match=r"ramp\.atf has 3900 samples, but the sweep 4000"):
        read(path)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (epochs((3, 80.0, 0, 1000)), "a pulse train, has a period of 0 samples"),
        (epochs((6, 80.0, 0, 1000)), "type 6 .a resistance test"),
        (epochs((1, 80.0, 0, 5000)), "ends after the sweep's 4000 samples"),
        (
            epochs((1, 80.0, 0, 500)) | {"list": (21, "ten")},
            "user list .* 'ten'; expected a number",
        ),
    ],
)
def test_what_a_header_does_not_tell_is_refused_or_read_from_the_recorded_command(
    told, why, tmp_path
):
    current = step(80.0)
    path = abf1(tmp_path / "x.abf", [[membrane(current)]], CHANNELS[:1], [told])
    with pytest.raises(RecordingError, match=rf"x\.abf: .*{why}"):
        read(path)
    abf1(path, [[membrane(current), current]], CHANNELS, [told])
    with pytest.warns(RecordingWarning, match=rf"{why}.*recorded command 'Im' is used"):
        (trace,) = read(path)
    np.testing.assert_allclose(trace.i_pA, current, atol=0.01)


def test_samples_may_be_floats_and_sweeps_begin_when_they_did(tmp_path):
    told = epochs((1, 20.0, 10.0, 2000))
    sweeps = [[membrane(step(20.0 + 10 * k))] for k in range(3)]
    starts = [0, 50_000, 170_000]
    path = abf1(tmp_path / "x.abf", sweeps, CHANNELS[:1], [told], floats=True, starts=starts)
    traces = quietly(path)
    assert [t.begun_ms for t in traces] == pytest.approx([0.0, 5000.0, 17000.0])
    np.testing.assert_allclose(resistances(traces), 500.0, rtol=1e-3)


def test_events_are_as_long_as_they_were(tmp_path):
    """Also where the samples of the file are no multiple of the sweeps."""
    v = -70 + np.arange(301) * 0.01
    lengths, starts = (50, 150, 101), (0, 100, 400)
    asked = {"mode": 1, "lengths": lengths, "starts": starts, "floats": True}
    path = abf1(tmp_path / "x.abf", [[v]], CHANNELS[:1], [{}], **asked)
    traces = quietly(path)
    assert [t.v_mV.size for t in traces] == [*lengths]
    assert [t.begun_ms for t in traces] == [0.0, 10.0, 40.0]
    np.testing.assert_allclose(np.concatenate([t.v_mV for t in traces]), v, atol=1e-4)


def test_several_cells_in_a_file(tmp_path):
    channels = (("Vm1", "mV", 0), ("Vm2", "mV", 1))
    outputs = [epochs((1, 50.0, 0, 2000)), epochs((1, -40.0, 0, 2000))]
    sweeps = [[membrane(step(50.0)), membrane(step(-40.0), R=200.0)]]
    path = abf1(tmp_path / "x.abf", sweeps, channels, outputs)
    with pytest.warns(RecordingWarning, match="'Vm1'; 'Vm2' may be of other cells: channel="):
        first = read(path)
    second = read(path, channel="Vm2")
    np.testing.assert_allclose(resistances([*first, *second]), [500.0, 200.0], rtol=2e-3)
    assert read(path, channel=1)[0].i_pA.min() == -40.0
    with pytest.raises(RecordingError, match=r"channel='Vm3': expected one of 'Vm1' .number 0"):
        read(path, channel="Vm3")


def test_a_caller_overrules_units_gain_and_command(tmp_path):
    sweeps = [[membrane(step(50.0)) * 10, step(50.0), step(-30.0)]]
    channels = (("ten_Vm", "mV", 0), ("I1", "pA", 1), ("I2", "pA", 2))
    path = abf1(tmp_path / "x.abf", sweeps, channels, [{"unit": "mV"}])
    (trace,) = quietly(path, channel="ten_Vm", command="I1", gain=0.1)
    np.testing.assert_allclose(resistances([trace]), 500.0, rtol=2e-3)
    assert quietly(path, channel="ten_Vm", command="I2")[0].i_pA.min() == pytest.approx(
        -30, abs=0.1
    )
    assert quietly(path, channel="ten_Vm", unit="uV")[0].v_mV.min() == pytest.approx(-0.7, abs=0.01)
    path = abf1(
        tmp_path / "x.abf",
        [[membrane(step(5.0))]],
        channels[:1],
        [epochs((1, 5.0, 0, 9)) | {"unit": "mV"}],
    )
    with pytest.raises(RecordingError, match=r"labelled 'mV'.*current_unit='pA'"):
        read(path)
    assert quietly(path, current_unit="pA")[0].i_pA.max() == 5.0


@pytest.mark.parametrize("version", [1, 2])
def test_leak_that_was_subtracted_is_told(version, tmp_path):
    channels = (("Im", "pA", 0),)
    output = epochs((1, 50.0, 0, 2000)) | {"unit": "mV", "holding": -70.0, "leak": 4}
    write = abf1 if version == 1 else abf2
    path = write(tmp_path / "x.abf", [[step(80.0)]], channels, [output])
    with pytest.warns(RecordingWarning, match=r"leak was subtracted while recording \(P/4\)"):
        read(path)


def test_a_recorded_command_that_flickers_stands_still(tmp_path):
    flicker = -105.6 + 0.6 * (np.random.default_rng(0).integers(0, 9, (2, N)) == 0)
    sweeps = [[membrane(step(0.0)), f] for f in flicker]
    traces = quietly(abf1(tmp_path / "x.abf", sweeps, CHANNELS, floats=True))
    assert all(np.ptp(t.i_pA) == 0 and t.step_window()[2] == 0 for t in traces)


# -- the cases that were found ---------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "clamp", "holding", "heights", "warned"),
    [
        ("s1_hold", "current", 0, (-100, -60, -20, 20, 60), ""),
        ("s2_userlist", "current", 0, (-50, 25, 75), "'Im' differs from the output 'Cmd 0'"),
        ("s3_order", "current", 0, (100,), ""),
        ("s4_second", "current", 0, (50, 100), ""),
        ("s5_trigger", "current", 0, (0,), "is not in the file"),
        ("s6_light", "voltage", -60, (0,), "no stimulus"),
        ("s7_label", "current", 0, (-100, -50), "which is a guess"),
        ("s8_vc_amp_hold", "voltage", -70, (-20, 20), "'Vcmd' differs.* by up to 70"),
        ("s10_nul", "current", 0, (50,), "never changes"),
    ],
)
def test_cases_are_read_right(name, clamp, holding, heights, warned):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        traces = read(case(f"{name}.abf"))
    said = " ".join(str(w.message) for w in caught)
    assert {t.clamp for t in traces} == {clamp}
    assert [t.holding for t in traces] == pytest.approx([holding] * len(heights), abs=0.2)
    assert [t.step_window()[2] for t in traces] == pytest.approx(heights, abs=0.3)
    assert re.search(warned, said) if warned else not said
    if clamp == "current" and all(heights) and name != "s10_nul":
        np.testing.assert_allclose(resistances(traces), 500.0, rtol=0.01)
        assert all(np.median(t.v_mV[:PRE]) == pytest.approx(-70, abs=0.1) for t in traces)


def test_cases_that_are_refused():
    with pytest.raises(RecordingError, match=r"s9_source2.*stimulus was played from a file"):
        read(case("s9_source2.abf"))
    with pytest.raises(RecordingError, match=r"s11_pulses.*epoch B .*pulse train"):
        read(case("s11_pulses.abf"))
