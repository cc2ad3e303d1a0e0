"""The example recording: fetched once, verified always; here without a network."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from recordings import recording
from rig_files import igor

from neurojax.io import example
from neurojax.recording.trace import RecordingError

pytestmark = pytest.mark.smoke

SWEEPS = (181, 182, 183, 184, 185)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROJAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make_sdist(path: Path, monkeypatch, spoil=None) -> Path:
    """A source distribution with five small pairs of waves, its digests put for the real."""
    digests = {}
    with tarfile.open(path, "w:gz") as archive:
        stray = tarfile.TarInfo("../../stray.ibw")
        archive.addfile(stray, io.BytesIO(b""))
        for sweep in SWEEPS:
            for channel, unit, level in ((0, "pA", 10.0 * (sweep - 180)), (3, "mV", -70.0)):
                wave = path.with_name(f"B6_Ch{channel}_IDRest_{sweep}.ibw")
                samples = np.where(np.arange(400) > 100, level, 0.0 if channel == 0 else level)
                igor(wave, samples, unit)
                digests[wave.name] = example.sha256(wave)
                if wave.name != spoil:
                    archive.add(wave, f"{example.MEMBERS}/{wave.name}")
    monkeypatch.setattr(example, "FILES", digests)
    monkeypatch.setattr(example, "SDIST_SHA256", example.sha256(path))
    return path


def serve(monkeypatch, sdist: Path) -> list:
    """pip replaced by a copy of a file; the returned list grows by each call's command."""
    calls = []

    def run(command, **_):
        calls.append(command)
        folder = Path(command[command.index("--dest") + 1])
        name = f"{example.PACKAGE}-{example.VERSION}.tar.gz"
        (folder / name).write_bytes(sdist.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(example.subprocess, "run", run)
    return calls


def test_fetched_once_and_verified_on_each_use(cache, tmp_path, monkeypatch):
    calls = serve(monkeypatch, make_sdist(tmp_path / "s.tar.gz", monkeypatch))
    traces = example.example_recording()
    assert [t.sweep for t in traces] == list(SWEEPS)
    assert [t.i_pA.max() for t in traces] == [10.0, 20.0, 30.0, 40.0, 50.0]
    assert "LGPL-3" in traces[0].origin.note and len(traces[0].origin.sha256) == 64
    assert [p.name for p in cache.iterdir()] == ["bluepyefe-2.3.63-B6"]
    assert not list(tmp_path.glob("**/stray.ibw"))

    example.example_recording()
    assert len(calls) == 1
    cached = cache / "bluepyefe-2.3.63-B6" / "B6_Ch3_IDRest_183.ibw"
    whole = cached.read_bytes()
    cached.write_bytes(whole[:-1])  # a damaged file is fetched again
    example.example_recording()
    assert len(calls) == 2 and cached.read_bytes() == whole
    cached.unlink()
    example.example_recording()
    assert len(calls) == 3
    example.example_recording(refresh=True)
    assert len(calls) == 4


def test_pip_is_the_users_own_and_checks_the_hash(cache, tmp_path, monkeypatch):
    calls = serve(monkeypatch, make_sdist(tmp_path / "s.tar.gz", monkeypatch))
    example.example_recording()
    (command,) = calls
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--require-hashes"} <= set(command)
    assert not any("index" in word or "://" in word for word in command)


def test_wrong_hash_is_refused(cache, tmp_path, monkeypatch):
    serve(monkeypatch, make_sdist(tmp_path / "s.tar.gz", monkeypatch))
    monkeypatch.setattr(example, "SDIST_SHA256", "0" * 64)
    with pytest.raises(RecordingError, match=r"sha256 is .*, expected 0000.*demo --synthetic"):
        example.example_recording()
    assert not list(cache.glob("**/*.ibw"))


def test_missing_or_changed_member_is_refused(cache, tmp_path, monkeypatch):
    name = "B6_Ch3_IDRest_183.ibw"
    serve(monkeypatch, make_sdist(tmp_path / "s.tar.gz", monkeypatch, spoil=name))
    with pytest.raises(RecordingError, match=r"cannot be unpacked.*demo --synthetic"):
        example.example_recording()
    serve(monkeypatch, make_sdist(tmp_path / "s.tar.gz", monkeypatch))
    monkeypatch.setitem(example.FILES, name, "0" * 64)
    with pytest.raises(RecordingError, match=f"{name} has not the expected sha256 0000"):
        example.example_recording()
    assert not list(cache.glob("**/*.ibw"))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("ERROR: Could not find a version\nERROR: No matching", "Could not find a version"),
        ("/usr/bin/python: No module named pip", "No module named pip"),
        ("", "pip said ''"),
    ],
)
def test_without_network_or_pip(said, message, cache, monkeypatch):
    def run(command, **_):
        return subprocess.CompletedProcess(command, 1, "", said)

    monkeypatch.setattr(example.subprocess, "run", run)
    with pytest.raises(RecordingError, match=f"tried `pip download.*{message}.*demo --synthetic"):
        example.example_recording()
    assert list(cache.iterdir()) == []


def test_no_answer(cache, monkeypatch):
    def run(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(example.subprocess, "run", run)
    with pytest.raises(RecordingError, match="no answer in 300 s; `neurojax demo --synthetic`"):
        example.example_recording()


def test_cache_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NEUROJAX_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(RecordingError, match=r"set NEUROJAX_CACHE.*demo --synthetic"):
        example.example_recording()


def test_digest_of_the_pair_at_hand():
    for channel in ("Ch0", "Ch3"):
        name = f"B6_{channel}_IDRest_183.ibw"
        assert example.sha256(recording(f"raw/{name}")) == example.FILES[name]


def test_real_values_where_the_cache_holds_them():
    """Against an independent conversion; runs where the recording was fetched before."""
    folder = example.cache_dir() / f"{example.PACKAGE}-{example.VERSION}-B6"
    if not all((folder / name).is_file() for name in example.FILES):
        pytest.skip(f"the example recording was not fetched into {folder}")
    traces = example.example_recording()
    with np.load(recording("cc/bluepyefe_B6.npz")) as known:
        for k, trace in enumerate(traces):
            assert trace.sweep == known["IDRest__sweep"][k]
            np.testing.assert_allclose(trace.v_mV, known["IDRest__V_mV"][k], rtol=1e-6)
            np.testing.assert_allclose(trace.i_pA, known["IDRest__I_pA"][k], rtol=1e-6, atol=1e-4)
            upward = (trace.v_mV[1:] > -20) & (trace.v_mV[:-1] <= -20)
            assert upward.sum() == (26, 50, 68, 82, 89)[k]
