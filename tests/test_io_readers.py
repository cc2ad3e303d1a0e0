"""Recordings in: every format, on real files where they are at hand, and on broken ones."""

import json
import re
import struct
import subprocess
import sys
import warnings
from datetime import UTC, datetime

import h5py
import numpy as np
import pytest
from recordings import ROOT, case, recording
from rig_files import igor, nwb_1

from neurojax.io import RecordingWarning, read
from neurojax.io.checks import checked
from neurojax.io.source import even_dt, sha256
from neurojax.recording import features
from neurojax.recording.command import holding_of, is_measured
from neurojax.recording.trace import Origin, RecordingError, Trace

pytestmark = pytest.mark.smoke


def quietly(path, **asked):
    """Read, whatever looks wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        return read(path, **asked)


def same_as_archive(traces, archive, protocol, tolerance=1e-4):
    with np.load(archive) as known:
        np.testing.assert_array_equal([t.sweep for t in traces], known[f"{protocol}__sweep"])
        dt_ms = pytest.approx(float(known[f"{protocol}__dt_ms"]))
        assert all(t.dt_ms == dt_ms for t in traces)
        for field, key in (("v_mV", "V_mV"), ("i_pA", "I_pA")):
            mine = np.stack([getattr(t, field) for t in traces])
            np.testing.assert_allclose(mine, known[f"{protocol}__{key}"], atol=tolerance, rtol=1e-6)


# Real files, against an independent conversion of the same recordings.


@pytest.mark.parametrize(
    ("raw", "archive", "protocol", "kind"),
    [
        ("raw/File_axon_5.abf", "cc/axon5_step_cclamp.npz", "step", "ABF2"),
        ("raw/190619B_0003.abf", "cc/saray_190619B_0003.npz", "IV_FI", "ABF1"),
        (
            "raw/LantyerEtAl2018_180817_ME_9_CC.nwb",
            "cc/lantyer_180817_ME_9.npz",
            "CCstep",
            "NWB2",
        ),
    ],
)
def test_same_as_archive(raw, archive, protocol, kind):
    path = recording(raw)
    traces = read(path)
    same_as_archive(traces, recording(archive), protocol)
    for trace in traces:
        assert trace.clamp == "current"
        assert trace.origin.path == str(path)
        assert trace.origin.format == kind
        assert trace.origin.sha256 == sha256(path)
        assert trace.commanded == (kind != "NWB2")
        assert trace.holding == pytest.approx(0, abs=0.1)
        assert trace.warnings == ()


def test_archive_reads_as_itself():
    path = recording("cc/axon5_step_cclamp.npz")
    traces = read(path)
    same_as_archive(traces, path, "step", tolerance=0)
    assert all(t.clamp == "current" and t.commanded and t.name == "step" for t in traces)
    assert "MIT" in traces[0].origin.note


def test_abf_unused_channel_is_named():
    (trace, *_) = read(recording("raw/190619B_0003.abf"))
    assert "IN 2" in trace.origin.note


def test_abf_voltage_clamp():
    """A 500 MOhm, 33 pF model cell under -10 mV from -70 mV."""
    traces = read(recording("vc/model_vc_step.abf"))
    assert len(traces) == 20
    for trace in traces:
        assert (trace.clamp, trace.holding, trace.commanded) == ("voltage", -70.0, True)
        assert trace.step_window()[2] == pytest.approx(-10.0)
    with pytest.raises(RecordingError, match=r"no current-clamp channel.*'IN 0' in 'pA'"):
        read(recording("vc/model_vc_step.abf"), clamp="current")


def test_clipped_current_is_warned_of():
    path = recording("vc/171116sh_0012.abf")
    with pytest.warns(RecordingWarning, match=r"sweep 0: i_pA looks clipped.* -4000 pA"):
        traces = read(path)
    assert traces[0].warnings and not traces[6].warnings


def test_nwb_names_that_do_not_sort_and_a_sick_cell():
    path = recording("raw/99111002.nwb")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        traces = read(path)
    told = "\n".join(str(w.message) for w in caught)
    assert "base potential is -15.0 mV, above -40 mV" in told
    # Its spikes reach 87 mV from a rest of -15, and five steps of up to -2 nA do nothing to it.
    assert "reaches 87.0 mV, beyond where sodium reverses" in told
    assert "in sweep 1, 2, 3, 4, 5 the step moves v_mV hardly" in told
    assert [t.sweep for t in traces] == list(range(1, 17))
    assert traces[1].name == "ic__Step__2" and traces[9].name == "ic__Step__10"
    assert all("base potential" in t.warnings[-1] for t in traces)
    assert traces[0].step_window() == pytest.approx((31.2, 431.2, -2000.0), rel=1e-4)
    with h5py.File(path) as file:
        stored = file["acquisition/ic__Step__2/data"][:]  # in mV, conversion 1e-3 to volts
    np.testing.assert_allclose(traces[1].v_mV, stored, rtol=1e-5)


def test_ibw_pair_from_either_path_and_from_a_folder():
    voltage = recording("raw/B6_Ch3_IDRest_183.ibw")
    current = recording("raw/B6_Ch0_IDRest_183.ibw")
    ways = [
        read(voltage),
        read(current),
        read(current, partner=voltage),
        read(voltage.parent),
        read(voltage.parent / "B6_*_183.ibw"),
    ]
    with np.load(recording("cc/bluepyefe_B6.npz")) as known:
        for traces in ways:
            (trace,) = traces
            assert (trace.name, trace.sweep, trace.dt_ms) == ("IDRest", 183, pytest.approx(0.25))
            assert not trace.commanded and trace.origin.path == str(voltage)
            np.testing.assert_allclose(trace.v_mV, known["IDRest__V_mV"][2], rtol=1e-6)
            np.testing.assert_allclose(trace.i_pA, known["IDRest__I_pA"][2], rtol=1e-6, atol=1e-4)
            assert trace.holding == pytest.approx(-12.5, abs=0.01)


def test_herg_archive_finds_its_commands():
    path = recording("vc/herg_16713110.npz")
    traces = read(path)
    assert [t.name for t in traces][:2] == ["sine_wave", "ap"]
    with np.load(path) as cell, np.load(path.parent / "herg_protocols.npz") as protocols:
        for trace in traces:
            assert (trace.clamp, trace.dt_ms, trace.holding) == ("voltage", 0.1, -80.0)
            np.testing.assert_allclose(trace.i_pA, cell[f"{trace.name}__I_nA"] * 1e3, rtol=1e-6)
            np.testing.assert_allclose(trace.v_mV, protocols[f"{trace.name}__V_mV"], rtol=1e-6)
    with pytest.raises(
        RecordingError, match=r"herg_protocols.npz.*without voltages|has no current"
    ):
        read(path.parent / "herg_protocols.npz")


def test_measured_stimulus_with_artefacts_is_warned_of():
    with pytest.warns(RecordingWarning, match="scatters"):
        traces = read(recording("cc/bbp_C060109A1_SR_C1.npz"))
    assert len(traces) == 104 and not any(t.commanded for t in traces)
    assert next(t.sweep for t in traces if t.name == "IDrest") == 326


@pytest.mark.parametrize("cell", ["509881736", "518290966", "526950199", "532355382", "532571720"])
def test_healthy_cells_are_not_warned_of(cell):
    (trace,) = read(recording(f"cc/allen_{cell}.npz"))
    assert trace.commanded and trace.warnings == ()
    assert trace.step_window()[:2] == pytest.approx((205.0, 1205.0))


# Broken files. RecordingError is the only thing that may come out, and it names the file.

RAW = [
    "raw/File_axon_5.abf",
    "raw/190619B_0003.abf",
    "raw/99111002.nwb",
    "raw/LantyerEtAl2018_180817_ME_9_CC.nwb",
    "raw/B6_Ch0_IDRest_183.ibw",
    "raw/B6_Ch3_IDRest_183.ibw",
    "cc/axon5_step_cclamp.npz",
]


@pytest.mark.parametrize("fraction", [0.0, 0.0005, 0.01, 0.3, 0.9])
@pytest.mark.parametrize("name", RAW)
def test_truncated_file_is_refused(name, fraction, tmp_path):
    whole = recording(name)
    content = whole.read_bytes()
    path = tmp_path / whole.name
    path.write_bytes(content[: int(fraction * len(content))])
    partner = None
    if path.suffix == ".ibw":
        other = {"Ch0": "Ch3", "Ch3": "Ch0"}[whole.name[3:6]]
        partner = whole.with_name(whole.name.replace(whole.name[3:6], other))
    with pytest.raises(RecordingError, match=re.escape(path.name)):
        read(path, partner=partner)


@pytest.mark.parametrize("suffix", [".abf", ".nwb", ".ibw", ".npz", ".csv", ".xyz"])
@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"Dear diary, today the seal held for three hours.\n",
        bytes(5000),
        bytes(range(256)) * 20,
        b"ABF2" + bytes(range(256)) * 40,
        b"ABF " + bytes(6000),
        b"PK\x03\x04" + bytes(300),
        b"\x89HDF\r\n\x1a\n" + bytes(300),
        b"\x05\x00" + bytes(500),
    ],
    ids=["png", "text", "zeros", "bytes", "abf2", "abf1", "zip", "hdf5", "igor"],
)
def test_wrong_kind_of_file_is_refused(suffix, content, tmp_path):
    path = tmp_path / f"cell_Ch0_1{suffix}"
    path.write_bytes(content)
    (tmp_path / "cell_Ch1_1.ibw").write_bytes(content)
    with pytest.raises(RecordingError, match=r"cell_Ch0_1.*expected"):
        read(path)


def test_missing_file_folder_and_pattern_are_refused(tmp_path):
    with pytest.raises(RecordingError, match=r"gone\.abf: no such file"):
        read(tmp_path / "gone.abf")
    with pytest.raises(RecordingError, match="folder without Igor waves"):
        read(tmp_path)
    with pytest.raises(RecordingError, match=r"matches no \.ibw"):
        read(tmp_path / "*.ibw")
    with pytest.raises(RecordingError, match=r"partner\.ibw: no such file"):
        read(tmp_path / "a.ibw", partner=tmp_path / "partner.ibw")


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match="clamp = 'dynamic'"):
        read(tmp_path / "x.abf", clamp="dynamic")
    with pytest.raises(ValueError, match="voltage_unit = 'pA': expected a unit of voltage"):
        read(tmp_path / "x.abf", voltage_unit="pA")


@pytest.mark.parametrize(
    ("suffix", "magic", "package"),
    [
        (".nwb", b"\x89HDF\r\n\x1a\n", "pynwb"),
        (".ibw", b"\x05\x00", "igor2"),
    ],
)
def test_missing_reader_says_what_to_install(suffix, magic, package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    path = tmp_path / f"x{suffix}"
    path.write_bytes(magic + bytes(100))
    with pytest.raises(RecordingError, match=rf"needs {package}.*pip install 'neurojax\[io\]'"):
        read(path, partner=path)


def test_abf_wrong_unit_is_refused(tmp_path):
    """The units of ABF2 are in its table of strings."""
    whole = recording("raw/File_axon_5.abf").read_bytes()
    assert b"\0mV\0" in whole
    path = tmp_path / "x.abf"
    path.write_bytes(whole.replace(b"\0mV\0", b"\0mM\0"))
    with pytest.raises(RecordingError, match=r"expected a voltage with a current command.*'mM'"):
        read(path)
    path.write_bytes(whole.replace(b"\0mV\0", b"\0uV\0"))  # 70 uV at rest
    with pytest.warns(RecordingWarning, match="volts taken for millivolts"):
        read(path)
    corrected = read(path, voltage_unit="mV")
    np.testing.assert_allclose(corrected[0].v_mV[0], -71.0, atol=0.2)


def test_headers_that_promise_too_much_are_refused(tmp_path):
    """Followed, they would keep the third-party readers busy without end."""
    abf = bytearray(recording("raw/File_axon_5.abf").read_bytes())
    struct.pack_into("<I", abf, 12, 2**31 - 1)  # ABF2: number of episodes
    (tmp_path / "x.abf").write_bytes(abf)
    with pytest.raises(RecordingError, match=r"x\.abf: the header promises 2147483647 sweeps"):
        read(tmp_path / "x.abf")
    wave = igor(tmp_path / "c_Ch0_1.ibw", np.zeros(100), "pA")
    content = bytearray(wave.read_bytes())
    struct.pack_into("<i", content, 76, 2**30)
    wave.write_bytes(content)
    with pytest.raises(RecordingError, match=r"c_Ch0_1\.ibw: its headers promise 1073741824"):
        read(wave, partner=wave)


def test_a_wave_without_igor_s_checksum_opens(tmp_path):
    for name, samples, unit in (("c_Ch0_1.ibw", I_STEP, "pA"), ("c_Ch1_1.ibw", V, "mV")):
        content = bytearray(igor(tmp_path / name, samples, unit).read_bytes())
        content[2:4] = bytes(2)
        (tmp_path / name).write_bytes(content)
    (trace,) = read(tmp_path / "c_Ch0_1.ibw")
    np.testing.assert_allclose(trace.v_mV, V, rtol=1e-6)


# Igor waves


def test_ibw_units_lengths_and_partners(tmp_path):
    v = -0.07 + 0.001 * np.sin(np.arange(400))
    i = np.where(np.arange(400) > 100, 0.2, 0.0)
    voltage = igor(tmp_path / "c_Ch1_7.ibw", v, "V")
    with pytest.raises(RecordingError, match=r"expected one partner.*found none"):
        read(voltage)
    current = igor(tmp_path / "c_Ch0_7.ibw", i, "nA")
    (trace,) = read(current)
    np.testing.assert_allclose(trace.v_mV, v * 1e3, rtol=1e-5)
    np.testing.assert_allclose(trace.i_pA, i * 1e3, rtol=1e-5)
    assert trace.sweep == 7 and trace.commanded

    igor(current, i[:-20], "nA")
    with pytest.raises(RecordingError, match=r"has 400 samples but .*c_Ch0_7\.ibw 380"):
        read(voltage)
    igor(current, i, "nA", dt=1e-3)
    with pytest.raises(RecordingError, match=r"every 0\.25 ms but .* every 1 ms"):
        read(voltage)
    igor(current, i, "mV")
    with pytest.raises(RecordingError, match="expected a voltage and a current"):
        read(voltage)
    for unit in ("", "kg"):
        igor(current, i, unit)
        with pytest.raises(RecordingError, match=rf"c_Ch0_7.ibw: the wave's unit is '{unit}'"):
            read(voltage)
    igor(current, np.where(i > 0, np.nan, 0), "pA")
    with pytest.raises(RecordingError, match=r"c_Ch1_7\.ibw, sweep 7: i_pA is not finite"):
        read(voltage)
    lonely = igor(tmp_path / "alone.ibw", v, "V")
    with pytest.raises(RecordingError, match="partner=other"):
        read(lonely)


# Text tables


def table(tmp_path, header, rows, name="cell.csv", delimiter=","):
    lines = [delimiter.join(f"{x:.10g}" for x in row) for row in rows]
    path = tmp_path / name
    path.write_text("# a comment\n" + header + "\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


T = np.arange(400) * 0.05
V = -70 + 5 * (T > 5) * (1 - np.exp(-(T - 5) / 3))
I_STEP = 100.0 * (T > 5)


@pytest.mark.parametrize(
    ("header", "scale", "delimiter"),
    [
        ("t (ms), v (mV), i (pA)", (1, 1, 1), ","),
        ("Time [s];Vm [V];Current [nA]", (1e-3, 1e-3, 1e-3), ";"),
        ("time_ms\tvoltage_mV\tstimulus_pA", (1, 1, 1), "\t"),
        ("t(us),V(µV),I(A)", (1e3, 1e3, 1e-12), ","),
        ("t_ms v_mV i_pA", (1, 1, 1), None),
    ],
)
def test_csv_headers_and_units(header, scale, delimiter, tmp_path):
    rows = np.stack([T * scale[0], V * scale[1], I_STEP * scale[2]], axis=1)
    path = table(tmp_path, header, rows, delimiter=delimiter or " ")
    (trace,) = read(path)
    assert trace.dt_ms == pytest.approx(0.05, rel=1e-9) and trace.commanded
    np.testing.assert_allclose(trace.v_mV, V, rtol=1e-7)
    np.testing.assert_allclose(trace.i_pA, I_STEP, rtol=1e-9, atol=1e-9)
    assert trace.origin.format == "CSV" and trace.origin.sha256 == sha256(path)


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        ("Time (ms)\tTrace #1 (mV)\tTrace #1 (pA)", "\t"),
        ("Cell 3, by hand\n\nt (ms),v (mV),i (pA)", ","),
        ("Time,Vm,Im\nms,mV,pA", ","),
        ("# t (ms),v (mV),i (pA)", ","),
    ],
    ids=["named by units", "words before", "units below", "a comment"],
)
def test_csv_headers_of_other_programs(header, delimiter, tmp_path):
    rows = [(0.1 * k, -70.0 + k, 50.0 * (k > 3)) for k in range(20)]
    table = "\n".join(delimiter.join(f"{x:g}" for x in row) for row in rows)
    (tmp_path / "x.txt").write_text(f"{header}\n{table}\n")
    (trace,) = quietly(tmp_path / "x.txt")
    assert (trace.dt_ms, trace.v_mV[-1], trace.i_pA[-1]) == (pytest.approx(0.1), -51.0, 50.0)


@pytest.mark.parametrize(
    ("head", "row", "end", "encoding"),
    [
        ("t (ms),v (mV),i (pA)", '"{:.1f}","{}","{}"', "", "utf-8"),  # all in quotes
        ("t (ms)\tv (mV)\ti (pA)", "{:.1f}\t{}\t{}", "", "utf-16-le"),  # without a mark
        ("t (ms),Trace 1 (mV),i (pA)", "{:.1f},{},{}", ",,\n,,\n", "utf-8"),  # empty rows
        ("t (ms),v (mV),i (pA)", "{:.1f},{},{}", "10.0,,\n10.1,,\n10.2,,\n", "utf-8"),  # stopped
    ],
)
def test_csv_of_other_hands(head, row, end, encoding, tmp_path):
    v, i = -70 + np.arange(100) % 7, 50.0 * (np.arange(100) >= 50)
    lines = [row.format(0.1 * k, *cells) for k, cells in enumerate(zip(v, i, strict=True))]
    (tmp_path / "x.csv").write_bytes("\n".join([head, *lines, end]).encode(encoding))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        (trace,) = read(tmp_path / "x.csv")
    np.testing.assert_array_equal(trace.v_mV, v)
    np.testing.assert_array_equal(trace.i_pA, i)
    assert trace.dt_ms == 0.1


def test_csv_columns_that_only_have_units_are_no_sweeps_of_others(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("t (ms),v (mV),i (pA),LED (V)\n" + "0,-70,0,5\n0.1,-70,0,5\n")
    assert len(quietly(path)) == 1
    path.write_text("t (ms),In 1 (mV),i (pA),LED (V)\n" + "0,-70,0,5\n0.1,-70,0,5\n")
    with pytest.raises(RecordingError, match="no column of voltage"):
        read(path)


def test_csv_sweeps_long_and_wide(tmp_path):
    long = [
        (k, t, v, k * i)
        for k in (3, 4)
        for t, v, i in zip(T, V + k, I_STEP, strict=True)  # time begins again
    ]
    traces = read(table(tmp_path, "sweep,t (ms),v (mV),i (pA)", long))
    assert [t.sweep for t in traces] == [3, 4]
    np.testing.assert_allclose(traces[1].i_pA, 4 * I_STEP)

    wide = np.stack([T, V, V + 1, I_STEP], axis=1)
    traces = read(table(tmp_path, "t (ms),v1 (mV),v2 (mV),i (pA)", wide))
    assert [t.sweep for t in traces] == [1, 2]
    np.testing.assert_allclose(traces[1].v_mV, V + 1, rtol=1e-9)

    each = np.stack([T, V, I_STEP, V, 2 * I_STEP], axis=1)
    traces = read(table(tmp_path, "t (ms),v1 (mV),i1 (pA),v2 (mV),i2 (pA)", each))
    np.testing.assert_allclose(traces[1].i_pA, 2 * I_STEP)


def test_csv_voltage_clamp(tmp_path):
    noise = np.random.default_rng(0).normal(size=T.size)
    rows = np.stack([T, -80 + 40.0 * (T > 5), noise], axis=1)
    path = table(tmp_path, "t (ms),v (mV),i (pA)", rows)
    with pytest.warns(RecordingWarning, match="clamp='voltage'"):
        read(path)
    (trace,) = read(path, clamp="voltage")
    assert (trace.clamp, trace.holding, trace.commanded) == ("voltage", -80.0, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        ("# only a comment\n", "no lines"),
        ("1,2,3\n4,5,6\n", "first line is numbers; expected a header such as"),
        ("t (ms),v (mV)\n0,1\n", "no column of current; expected a header such as"),
        ("t (ms),v (mV),i (pA)\n", "no samples"),
        ("t (ms),v,i (pA)\n0,-70,0\n1,-70,0\n", "column 'v': no unit is given"),
        ("t (ms),v (pA),i (pA)\n0,-70,0\n1,-70,0\n", "column 'v .pA.': 'pA' is a unit of current"),
        ("t (ms),v (mVolt),i (pA)\n0,1,2\n1,2,3\n", "unknown unit 'mVolt'; did you mean"),
        ("t (ms),v (mV),i (pA)\n0,-70,0\n1,seal lost,0\n", "'seal lost'.*number in every cell"),
        ("t (ms),v (mV),i (pA)\n0,-70,0\n1,-70\n", "row 2.*number in every cell"),
        ("t (ms),v (mV),i (pA)\n0,-70,0\n1,-70,nan\n", "sweep 0: i_pA is not finite"),
        ("t (ms),v (mV),i (pA)\n0,-70,0\n", "1 samples; expected at least two"),
        ("t (ms),v (mV),i (pA)\n0,-70,0\n1,-70,0\n1,-7,0\n9,-7,0\n", "not evenly spaced"),
        ("t (ms),v (mV),i (pA)\n0,-70,0\n3,-70,0\n2,-7,0\n5,-7,0\n", "does not increase"),
        ("t (ms),v (mV),i1 (pA),i2 (pA)\n0,0,0,0\n1,0,0,0\n", "0 columns of current for 'v"),
        (
            "t (ms),v (mV),i (pA)\n0,0,-70,1,0,0\n",
            "row of 6 cells below a header of 3; .*semicolons",
        ),
        ("sweep,t (ms),v (mV),i (pA)\n0.5,0,0,0\n0.5,1,0,0\n", "whole numbers"),
    ],
)
def test_csv_broken(text, message, tmp_path):
    path = tmp_path / "cell.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecordingError, match=rf"cell.csv.*{message}"):
        read(path)


# Archives


def test_npz_broken(tmp_path):
    good = {"P__V_mV": np.stack([V, V]), "P__I_pA": np.stack([I_STEP, I_STEP]), "P__dt_ms": 0.05}

    def refused(message, **changes):
        arrays = {key: x for key, x in (good | changes).items() if x is not None}
        np.savez(tmp_path / "cell.npz", **arrays)
        with pytest.raises(RecordingError, match=rf"cell.npz.*{message}"):
            read(tmp_path / "cell.npz")

    np.savez(tmp_path / "cell.npz", **good)
    assert [t.sweep for t in read(tmp_path / "cell.npz")] == [0, 1]
    refused("no P__dt_ms", P__dt_ms=None)
    refused("has no current; expected P__I_pA", P__I_pA=None)
    refused("without voltages.*cell_protocols", P__V_mV=None)
    refused(r"shape \(2, 399\).*expected equal", P__V_mV=good["P__V_mV"][:, 1:])
    refused("names 3 sweeps; expected 2", P__sweep=np.arange(3))
    refused("expected the arrays", P__V_mV=None, P__I_pA=None)
    refused("dt_ms is -0.05", P__dt_ms=-0.05)
    refused("P__I_kg: unknown unit 'kg'", P__I_pA=None, P__I_kg=good["P__I_pA"])
    refused("sweep 0: v_mV is not finite", P__V_mV=good["P__V_mV"] * np.nan)
    refused("shape .2, 0.; expected|has shape|non-empty", P__V_mV=[[], []], P__I_pA=[[], []])
    refused("cannot be read", P__V_mV=np.array([{}], dtype=object))


def test_npz_commands_from_a_named_partner(tmp_path):
    np.savez(tmp_path / "cell.npz", act__I_nA=V * 1e-3)
    np.savez(tmp_path / "commands.npz", act__V_mV=-80 + I_STEP, dt_ms=0.1)
    (trace,) = read(tmp_path / "cell.npz", partner=tmp_path / "commands.npz")
    assert (trace.clamp, trace.dt_ms, trace.name) == ("voltage", 0.1, "act")
    np.savez(tmp_path / "commands.npz", other__V_mV=-80 + I_STEP, dt_ms=0.1)
    with pytest.raises(RecordingError, match="protocol 'act' has no voltage"):
        read(tmp_path / "cell.npz", partner=tmp_path / "commands.npz")


# NWB files made for the purpose


def write_nwb(path, series):
    """An NWB file of (class name, series name, keyword arguments), stimuli told by class."""
    pynwb = pytest.importorskip("pynwb")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = pynwb.NWBFile("test", path.stem, datetime(2000, 1, 1, tzinfo=UTC))
        device = file.create_device(name="rig")
        electrode = file.create_icephys_electrode(name="e", description="", device=device)
        for kind, name, told in series:
            made = getattr(pynwb.icephys, kind)(
                **{"name": name, "electrode": electrode, "gain": 1.0, "rate": 2e4} | told
            )
            (file.add_stimulus if "Stimulus" in kind else file.add_acquisition)(made)
        with pynwb.NWBHDF5IO(str(path), "w") as io:
            io.write(file)
    return path


def test_nwb_links_by_sweep_number_name_and_start(tmp_path):
    for told in (
        lambda k: {"sweep_number": np.uint32(k)},
        lambda k: {"starting_time": 10.0 * k},
        lambda k: {},
    ):
        names = ("r{}", "s{}") if not told(0) else ("r{}", "s9{}")
        series = []
        for k in (2, 10, 1):
            v, i = (V + k) * 1e-3, k * I_STEP * 1e-12
            series.append(("CurrentClampSeries", names[0].format(k), {"data": v} | told(k)))
            series.append(("CurrentClampStimulusSeries", names[1].format(k), {"data": i} | told(k)))
        traces = read(write_nwb(tmp_path / "x.nwb", series))
        assert [t.sweep for t in traces] == [1, 2, 10]
        for trace in traces:
            assert trace.i_pA.max() == pytest.approx(100 * trace.sweep)
            assert trace.v_mV[0] == pytest.approx(-70 + trace.sweep)


def test_nwb_voltage_clamp_conversion_and_offset(tmp_path):
    noise = np.random.default_rng(0).normal(size=T.size)
    command = {"data": -80 + 40.0 * (T > 5), "conversion": 1e-3, "offset": -5e-3}
    series = [
        ("VoltageClampSeries", "r1", {"data": noise, "conversion": 1e-9}),
        ("VoltageClampStimulusSeries", "s1", command),
    ]
    path = write_nwb(tmp_path / "vc.nwb", series)
    (trace,) = read(path)
    assert (trace.clamp, trace.holding, trace.commanded) == ("voltage", pytest.approx(-85), True)
    np.testing.assert_allclose(trace.i_pA, noise * 1e3)
    with pytest.raises(RecordingError, match="no current-clamp series with a stimulus"):
        read(path, clamp="current")


def test_nwb_bias_lonely_and_zero_current_series(tmp_path):
    v, i = V * 1e-3, I_STEP * 1e-12
    series = [
        ("CurrentClampSeries", "r1", {"data": v, "bias_current": -20e-12}),
        ("CurrentClampStimulusSeries", "s1", {"data": i}),
        ("CurrentClampSeries", "r2", {"data": v}),
        ("IZeroClampSeries", "r3", {"data": v}),
    ]
    with pytest.warns(RecordingWarning) as told:
        traces = read(write_nwb(tmp_path / "x.nwb", series))
    messages = " ".join(str(w.message) for w in told)
    assert "having no stimulus: r2" in messages and "bias current of -20 pA was added" in messages
    assert [t.sweep for t in traces] == [1, 3]
    np.testing.assert_allclose(traces[0].i_pA, I_STEP - 20)
    assert traces[0].holding == pytest.approx(-20) and not traces[1].i_pA.any()


def test_nwb_of_two_electrodes(tmp_path):
    pynwb = pytest.importorskip("pynwb")
    path = tmp_path / "x.nwb"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = pynwb.NWBFile("test", "x", datetime(2000, 1, 1, tzinfo=UTC))
        device = file.create_device(name="rig")
        for k in range(2):
            e = file.create_icephys_electrode(name=f"cell{k}", description="", device=device)
            told = {"electrode": e, "gain": 1.0, "rate": 2e4, "sweep_number": np.uint32(3)}
            v, i = (V + k) * 1e-3, (k + 1) * I_STEP * 1e-12
            file.add_acquisition(pynwb.icephys.CurrentClampSeries(name=f"r{k}", data=v, **told))
            file.add_stimulus(
                pynwb.icephys.CurrentClampStimulusSeries(name=f"s{k}", data=i, **told)
            )
        with pynwb.NWBHDF5IO(str(path), "w") as io:
            io.write(file)
    with pytest.warns(RecordingWarning, match="by 2 electrodes .cell0, cell1.: channel= chooses"):
        assert len(read(path)) == 2
    (trace,) = read(path, channel="cell1")
    assert trace.v_mV[0] == pytest.approx(-69) and trace.i_pA.max() == pytest.approx(200)
    with pytest.raises(RecordingError, match="expected an electrode, one of 'cell0', 'cell1'"):
        read(path, channel="cell2")


def test_nwb_of_version_1(tmp_path):
    i = np.zeros(1010)
    i[210:710] = 5e-11
    v = -0.07 + 0.3e9 * 0.05 * i
    path = nwb_1(
        tmp_path / "x.nwb", [(10, "Current", v, i), (9, "Current", v, 2 * i), (4, "Voltage", i, v)]
    )
    first, second, third = quietly(path)
    assert [t.sweep for t in (first, second, third)] == [4, 9, 10]
    assert (first.clamp, first.dt_ms, first.v_mV.size) == ("voltage", 0.05, 1000)
    assert third.step_window() == pytest.approx((10.0, 35.0, 50.0))
    assert second.i_pA.max() == pytest.approx(80) and third.start_ms == pytest.approx(20000.5)
    assert [t.sweep for t in quietly(path, clamp="current")] == [9, 10]
    with h5py.File(path, "a") as file:
        del file["epochs"]
    with pytest.raises(RecordingError, match=r"x\.nwb: no patch-clamp sweep.*epochs named Sweep_1"):
        read(path)


def test_nwb_broken(tmp_path):
    v, i = V * 1e-3, I_STEP * 1e-12
    response, stimulus = "CurrentClampSeries", "CurrentClampStimulusSeries"

    def refused(message, *series):
        with pytest.raises(RecordingError, match=rf"x.nwb.*{message}"):
            read(write_nwb(tmp_path / "x.nwb", series))

    refused("acquisition: nothing")
    refused("without stimulus .'r1'.", (response, "r1", {"data": v}))
    one = (response, "r1", {"data": v})
    refused(
        "sweep 1: v_mV has 400 samples but i_pA has 380", one, (stimulus, "s1", {"data": i[20:]})
    )
    refused("every 0.05 ms, but.*every 1 ms", one, (stimulus, "s1", {"data": i, "rate": 1e3}))
    bad = np.where(T > 5, np.nan, i)
    refused("sweep 1: i_pA is not finite", one, (stimulus, "s1", {"data": bad}))
    path = write_nwb(tmp_path / "x.nwb", [one, (stimulus, "s1", {"data": i})])
    with h5py.File(path, "a") as file:
        file["stimulus/presentation/s1/data"].attrs["unit"] = "kelvin"
    with pytest.raises(RecordingError, match=r"x.nwb.*(unknown unit|amperes)"):
        read(path)
    with h5py.File(tmp_path / "x.nwb", "w") as file:
        file["numbers"] = np.arange(3)
    with pytest.raises(RecordingError, match="expected a whole NWB 2 file"):
        read(tmp_path / "x.nwb")


# What looks wrong


def trace(v=None, i=None, dt_ms=0.1, clamp="current", **told):
    n = 5000
    rng = np.random.default_rng(1)
    step = np.where((np.arange(n) > 1000) & (np.arange(n) < 4000), 100.0, 0.0)
    v = -70 + 0.1 * rng.normal(size=n) + 0.1 * step if v is None else v
    return Trace(clamp, dt_ms, v, step if i is None else i, origin=Origin("cell.abf"), **told)


def test_nothing_wrong():
    (found,) = checked([trace()])
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda t: {"v": t.v_mV + 50}, "base potential is -20"),
        (lambda t: {"v": t.v_mV / 1000}, "volts taken for millivolts"),
        (lambda t: {"v": t.v_mV * 1000}, "wrong unit, gain"),
        (lambda t: {"v": np.minimum(t.v_mV, -60.1)}, "v_mV looks clipped.* -60.1 mV"),
        (lambda t: {"v": np.full_like(t.v_mV, -70)}, "never changes from -70 mV"),
        (lambda t: {"i": 0 * t.i_pA}, "no stimulus: i_pA stays at 0 pA"),
        (lambda t: {"i": 0 * t.i_pA + 5}, "no stimulus: i_pA stays at 5 pA"),
        (lambda t: {"i": t.i_pA * 1e-12}, "amperes or nanoamperes taken for pA"),
        (lambda t: {"i": t.i_pA * 1e-3}, "nanoamperes taken for pA"),
        (lambda t: {"i": t.i_pA * 1e4}, "too much for a patch electrode"),
        (lambda t: {"i": t.i_pA + 200 * (t.v_mV + 70 - 0.1 * t.i_pA)}, "scatters by"),
        (lambda t: {"dt_ms": 1e-4}, "sampling interval of 0.0001 ms is implausible"),
        (lambda t: {"dt_ms": 50.0}, "sampling interval of 50 ms is implausible"),
    ],
)
def test_what_looks_wrong(changed, message):
    with pytest.warns(RecordingWarning, match=rf"cell.abf.*{message}"):
        (found,) = checked([trace(**changed(trace()))])
    assert any(m for m in found.warnings)


def test_a_current_that_rests_like_a_potential_is_told():
    quiet = np.zeros_like(trace().i_pA)
    clamped = trace(v=quiet, i=trace().v_mV, clamp="voltage")
    with pytest.warns(RecordingWarning, match=r"no stimulus|rests and moves like a potential"):
        (found,) = checked([clamped])
    assert any("rests and moves like a potential" in m for m in found.warnings)


def test_a_sweep_without_step_among_others_is_usual():
    quiet, step = trace(), trace(sweep=1)
    zero = trace(i=np.zeros_like(quiet.i_pA))
    assert checked([zero, step])[0].warnings == ()


def test_each_complaint_is_warned_of_once():
    sick = trace().v_mV + 50
    with pytest.warns(RecordingWarning) as told:
        found = checked([trace(v=sick, sweep=k) for k in range(30)])
    assert len(told) == 1 and "and 20 more" in str(told[0].message)
    assert all(len(t.warnings) == 1 for t in found)


def test_is_measured():
    rng = np.random.default_rng(0)
    steps = np.repeat([0.0, 100.0, 0.0], 1000)
    assert not is_measured(steps)
    assert not is_measured(np.sin(np.arange(3000) / 20))
    assert not is_measured(np.linspace(-100, 40, 3000))
    assert is_measured(steps + rng.normal(size=3000))
    assert is_measured(np.round(steps + rng.normal(size=3000)))


def test_holding_and_even_dt():
    assert holding_of(np.repeat([-12.0, 100.0], 500), 0.1) == -12.0
    assert holding_of(np.array([3.0]), 0.1) == 3.0
    assert even_dt(np.round(np.arange(1000) * 0.025, 2), "x") == pytest.approx(0.025, rel=1e-3)


def test_origin_note_of_archives_survives_odd_descriptions(tmp_path):
    good = {"P__V_mV": V, "P__I_pA": I_STEP, "P__dt_ms": 0.05}
    for text in ("[]", "not json", json.dumps({"licence": "MIT"})):
        np.savez(tmp_path / "cell.npz", **good, meta_json=text)
        assert read(tmp_path / "cell.npz")[0].origin.note == ("MIT" if "MIT" in text else "")


# What other people's programs write


@pytest.mark.parametrize(
    ("encoding", "comma", "delimiter"),
    [("utf-16", False, ","), ("utf-16", True, "\t"), ("utf-8", True, ";"), ("cp1252", False, ";")],
)
def test_csv_of_spreadsheets(encoding, comma, delimiter, tmp_path):
    rows = [delimiter.join(f"{x:.6f}" for x in row) for row in zip(T, V, I_STEP, strict=True)]
    text = "\n".join([delimiter.join(("t (ms)", "v (mV)", "i (pA)")), *rows])
    path = tmp_path / "x.csv"
    path.write_bytes((text.replace(".", ",") if comma else text).encode(encoding))
    (trace,) = read(path)
    np.testing.assert_allclose(trace.v_mV, V, atol=1e-6)
    np.testing.assert_allclose(trace.i_pA, I_STEP)


@pytest.mark.parametrize("name", ["decimal_comma.csv", "excel_utf16.csv"])
def test_cases_of_tables_open(name):
    (trace,) = quietly(case(name))
    assert trace.v_mV[0] == pytest.approx(-70, abs=0.5)


@pytest.mark.parametrize(
    ("name", "sizes", "warned"),
    [
        ("c6_nan", (10000, 10000, 6000), "sweep 2: cut after 6000 of 10000 samples"),
        ("c6_zero", (10000, 10000, 6000), "sweep 2: cut after 6000 .* zeros"),
        ("c6_long", (10000, 10000), "1 of 10001 samples left out"),
    ],
)
def test_a_broken_sweep_costs_that_sweep(name, sizes, warned):
    with pytest.warns(RecordingWarning, match=warned):
        traces = read(case(f"{name}.nwb"))
    assert tuple(t.v_mV.size for t in traces) == sizes
    for trace in traces:
        found = features.of_trace(trace).subthreshold
        assert found.resistance_MOhm == pytest.approx(300, rel=2e-3)


def test_sweeps_that_are_not_whole(tmp_path):
    """In any format: here an archive of four, of which one is noise's end, one lost."""
    v, i = np.stack([V] * 4) + np.random.default_rng(0).normal(0, 0.1, (4, 400)), [I_STEP] * 4
    v[1, 200:] = np.nan
    v[2, 10:] = np.nan
    v[3, 300:] = 0.0
    np.savez(tmp_path / "x.npz", P__V_mV=v, P__I_pA=i, P__dt_ms=0.05)
    traces = quietly(tmp_path / "x.npz")
    assert all("sweep 2 was left out: v_mV is not finite" in " ".join(t.warnings) for t in traces)
    assert [(t.sweep, t.v_mV.size) for t in traces] == [(0, 400), (1, 200), (3, 300)]
    assert [t.begun_ms for t in traces] == pytest.approx([0.0, 20.0, 30.0])


@pytest.mark.parametrize("name", ["swap.csv", "c8_swap3.nwb"])
def test_exchanged_channels_are_told(name):
    assert "look exchanged" in " ".join(quietly(case(name))[0].warnings)


def test_what_is_no_recording_is_told_what_to_do_with(tmp_path):
    for name, told in (
        ("a.mod", "convert"),
        ("a.nml", "a model names its channels"),
        ("a.swc", "read_morphology"),
    ):
        (tmp_path / name).write_text("x")
        with pytest.raises(RecordingError, match=rf"{name}: is .*{told}"):
            read(tmp_path / name)


def test_the_fuzzer_finds_nothing():
    told = [sys.executable, ROOT / "tests" / "fuzz_files.py", "--number", "160"]
    done = subprocess.run(told, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-500:]


# SyncroPatch, as it is exported: currents of a well, times of a plate, the command.


def syncropatch(folder, name="p1-step-B07", t=(), i=(), **others):
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.csv").write_text('"current"\n' + "\n".join(f"{x:.6e}" for x in i) + "\n")
    for other, content in others.items():
        (folder / f"p1-step-{other}.csv").write_text(content)
    return folder / f"{name}.csv"


def rows(*columns):
    return "".join(",".join(f"{x:.9g}" for x in row) + "\n" for row in zip(*columns, strict=True))


def test_syncropatch_files_of_both_layouts(tmp_path):
    t = np.arange(800) * 0.5
    v = np.where((t >= 100) & (t < 300), 20.0, -80.0)
    i = 3.0 * (v + 80)
    seconds = '"time"\n' + rows(1e-3 * t)
    first = syncropatch(tmp_path / "a", i=i, times=seconds)
    with pytest.raises(RecordingError, match=r"p1-step-voltages\.csv or .*partner"):
        read(first)
    (tmp_path / "protocol-time-series").mkdir()
    fine = np.arange(4000) * 0.1  # the protocol is sampled finer than the current
    command = np.where((fine >= 100) & (fine < 300), 20.0, -80.0)
    protocol = tmp_path / "protocol-time-series" / "protocol-step.csv"
    protocol.write_text('"time","voltage"\n' + rows(1e-3 * fine, command))
    second = syncropatch(
        tmp_path / "b",
        "p1-step-B07-before-sweep1",
        i=i,
        times=rows(t),
        voltages=",time,voltage\n" + rows(np.arange(800), t, v),
    )
    (one,), (two,), (three,) = read(first), read(second), read(second, partner=protocol)
    for trace in (one, two, three):
        assert (trace.clamp, trace.dt_ms, trace.holding) == ("voltage", 0.5, -80.0)
        np.testing.assert_allclose(trace.v_mV, v)
        np.testing.assert_allclose(trace.i_pA, i, atol=1e-4)
    assert (two.sweep, two.name) == (1, "p1-step-B07-before")
    assert quietly(second, current_unit="nA")[0].i_pA.max() == pytest.approx(3e5)
    short = syncropatch(tmp_path / "b", "p1-step-C01", i=i[:-5])
    with pytest.raises(RecordingError, match=r"C01\.csv: has 795 samples.*times\.csv 800 times"):
        read(short)
    with pytest.raises(RecordingError, match=r"plate-protocol-A01\.csv"):
        read(syncropatch(tmp_path / "b", "nameless", i=i))
