"""Formats that other packages read: WinWCP and HEKA by Myokit, AxoGraph by neo."""

import sys

import numpy as np
import pytest
from rig_files import axograph, wcp

from neurojax.io import read
from neurojax.io.channels import traces_of
from neurojax.io.rig import Output, Recorded, Recording
from neurojax.io.source import Asked
from neurojax.recording.trace import RecordingError

pytestmark = pytest.mark.smoke

T = np.arange(2000) * 0.1
STEP = np.where((T >= 50) & (T < 150), 1.0, 0.0)
CHARGED, LEFT = (1 - np.exp(-np.clip(T - at, 0, None) / 10) for at in (50, 150))
V = -70 + 15 * (CHARGED - LEFT)


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
