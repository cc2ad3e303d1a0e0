"""Formats that other packages read: WinWCP and HEKA by Myokit, AxoGraph by neo."""

import sys
import warnings

import numpy as np
import pytest
from rig_files import axograph, heka, wcp

from neurojax.io import RecordingWarning, read
from neurojax.io.channels import traces_of
from neurojax.io.rig import Output, Recorded, Recording
from neurojax.io.source import Asked
from neurojax.recording.trace import RecordingError

pytestmark = pytest.mark.smoke

T = np.arange(2000) * 0.1
STEP = np.where((T >= 50) & (T < 150), 1.0, 0.0)
CHARGED, LEFT = (1 - np.exp(-np.clip(T - at, 0, None) / 10) for at in (50, 150))
V = -70 + 15 * (CHARGED - LEFT)


def quietly(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        return read(path)


def test_winwcp(tmp_path):
    pytest.importorskip("myokit")
    sweeps = [[V * k - 70 * (1 - k), 50 * k * STEP] for k in (0.5, 1.0)]
    path = wcp(tmp_path / "x.wcp", sweeps, (("Vm", "mV"), ("Im", "pA")))
    traces = read(path)
    assert [t.step_window() for t in traces] == [
        pytest.approx((50, 150, h), abs=0.11) for h in (25, 50)
    ]
    np.testing.assert_allclose(traces[1].v_mV, V, atol=0.01)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(RecordingError, match=r"x\.wcp: cannot be read"):
        read(path)


CHANNELS = (("Imon-1", "A"), ("Vmon-1", "V"))


def test_heka(tmp_path):
    """Clamp and command are those of the stimulus: relative to holding, with ramps, in nA."""
    pytest.importorskip("myokit")
    v = np.r_[np.full(100, -0.08), np.full(300, 0.01), np.linspace(0.01, -0.08, 101)[:-1]]
    steps = [(0, 1, 0.0, 0, 0.01), (0, 1, 0.09, 0.02, 0.03), (1, 1, 0.0, 0, 0.01)]
    clamped = {"mode": 1, "unit": "V", "holding": -0.08, "flags": 3, "segments": steps}
    clamped |= {"channels": CHANNELS[:1], "sweeps": [[v * 1e-9]] * 2}
    silent = (0, 0, 0.05, 0, 0.2)  # is not stored
    parts = [(0, 1, 0.0, 0, 0.01), silent, (0, 1, 0.05, 0.05, 0.03), (0, 1, 0.0, 0, 0.01)]
    driven = {"mode": 2, "unit": "A", "holding": 0.0, "segments": parts}
    # Three sweeps were to be; the second was stopped.
    driven |= {"channels": CHANNELS[1:], "sweeps": [[v], [v[:250]]], "planned": 3}
    path = heka(tmp_path / "x.dat", [clamped, driven])
    one, two, three, four = quietly(path)
    assert [t.name for t in (one, four)] == ["E-1/IV1", "E-1/IV2"]
    assert [t.clamp for t in (one, three)] == ["voltage", "current"]
    np.testing.assert_allclose(one.v_mV, 1e3 * v, atol=1e-6)
    np.testing.assert_allclose(one.i_pA, 1e3 * v)
    assert (one.dt_ms, one.holding, two.v_mV[200]) == (0.1, -80.0, pytest.approx(30.0))
    np.testing.assert_allclose(three.i_pA[[50, 200, 450]], [0, 50, 0])
    assert (four.i_pA.size, four.i_pA[200]) == (250, pytest.approx(100))
    assert [t.start_ms for t in (one, two, four)] == [0.0, 1000.0, 11000.0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"flags": 5}, "plays a file"),
        ({"segments": [(5, 1, 0.1, 0, 0.05)]}, "has a segment that is a chirp"),
        ({"segments": [(0, 1, 0.1, 0, 0.02)]}, "has 200 samples in sweep 0, but 500 were"),
        ({"planned": 1}, "has 1 sweeps, but 2 were recorded"),
    ],
)
def test_a_heka_stimulus_that_cannot_be_known_is_refused_or_taken_as_recorded(
    change, why, tmp_path
):
    pytest.importorskip("myokit")
    v = np.where(np.arange(500) < 250, -0.08, 0.02)
    told = {"mode": 1, "unit": "V", "holding": -0.08, "segments": [(0, 1, 0.1, 0, 0.05)]} | change
    sweeps = [[v * 1e-9, v]] * 2
    path = heka(tmp_path / "x.dat", [told | {"channels": CHANNELS, "sweeps": sweeps}])
    first = quietly(path)[0]
    np.testing.assert_allclose(first.v_mV, 1e3 * v)
    assert why in first.warnings[0] and "recorded command 'Vmon-1' is used" in first.warnings[0]
    alone = [[s[0]] for s in sweeps]
    heka(path, [told | {"channels": CHANNELS[:1], "sweeps": alone}])
    with pytest.raises(RecordingError, match=rf"E-1/IV1: the output 'Stim-1' {why}"):
        read(path)


def test_axograph(tmp_path):
    pytest.importorskip("neo")
    columns = ((0.0, 1e-4), ("Vm (mV)", V), ("Im (pA)", 50 * STEP))
    (trace,) = read(axograph(tmp_path / "x.axgx", columns))
    np.testing.assert_allclose(trace.v_mV, V, atol=1e-6)
    assert trace.step_window() == pytest.approx((50, 150, 50), abs=0.11)


@pytest.mark.parametrize(
    ("suffix", "magic", "package"),
    [(".wcp", b"VER=9", "myokit"), (".dat", b"DAT2", "myokit"), (".axgx", b"axgx", "neo")],
)
def test_missing_reader_says_what_to_install(suffix, magic, package, tmp_path, monkeypatch):
    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / f"x{suffix}").write_bytes(magic + bytes(100))
    with pytest.raises(RecordingError, match=rf"needs {package}.*'neurojax\[io-more\]'"):
        read(tmp_path / f"x{suffix}")


def test_a_file_that_may_be_whole_is_not_called_damaged(tmp_path):
    pytest.importorskip("myokit")
    for name, content, said in (
        (
            "a.wcp",
            b"VER=8\r\nNC=2\r\n",
            "is a WinWCP file of a kind that cannot .*version 9",
        ),
        ("b.dat", b"DAT1" + bytes(2000), "is a HEKA PatchMaster file of a kind .*bundle"),
        ("c.smrx", b"S64" + bytes(2000), "64 bits.*Export As, .smr"),
        ("d.ibw", b"\x00\x03" + bytes(2000), "Igor wave of version 3: save it once more"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RecordingError, match=said):
            read(tmp_path / name)


def test_a_file_of_another_kind_is_told(tmp_path):
    pytest.importorskip("myokit")
    (tmp_path / "x.dat").write_bytes(b"DAT2" + bytes(2000))
    with pytest.raises(RecordingError, match=r"x\.dat: (cannot be read|no series)"):
        read(tmp_path / "x.dat")


def test_an_output_whose_command_is_unknown_gives_way_to_what_was_recorded(tmp_path):
    """As Myokit's outputs, which it cannot always reconstruct."""
    path = tmp_path / "x.dat"
    path.write_bytes(b"x")
    recorded = [Recorded("V", "V", [V * 1e-3], 0), Recorded("I", "A", [STEP * 5e-11], 1)]
    outputs = [Output("Stim", "A", 0, [], "output 'Stim': has a ramp of another kind")]
    rig = Recording(path, "HEKA", "", 0.1, recorded, outputs, None, "IV")
    (trace,) = traces_of(rig, Asked())
    assert trace.i_pA.max() == pytest.approx(50) and "another kind" in trace.warnings[0]
    with pytest.raises(RecordingError, match=r"x\.dat: output 'Stim': has a ramp"):
        traces_of(rig._replace(recorded=recorded[:1]), Asked())
