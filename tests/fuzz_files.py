"""Mutants of every kind of file: each is read, or refused in words, in time and memory.

    python tests/fuzz_files.py --number 10000 --seed 1

Each mutant has a process of its own, with limits of time and memory. What is allowed is a result,
which can be saved where it is one, or a RecordingError or ModelError. Everything else is told, and
the mutant kept.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import signal
import sys
import tempfile
import warnings
from datetime import UTC, datetime
from importlib import util
from pathlib import Path

import h5py
import numpy as np
from rig_files import abf1, abf2, axograph, heka, igor, nwb_1, wcp

import neurojax.io as nj_io
from neurojax.io.csv import read_commands
from neurojax.io.results import Results, load, save
from neurojax.model import ModelError, load_model
from neurojax.recording.trace import RecordingError, Trace

SECONDS, MEMORY = 20, 3 << 30
"""What one mutant may take: seconds, and bytes beyond what the program has."""

T = np.arange(400) * 0.1
V = -70 + 5 * (T > 5) * (1 - np.exp(-(T - 5) / 3))
I_PA = 50.0 * (T > 5)


def originals(folder: Path) -> list[Path]:
    """A small whole file of each kind."""
    paths = [
        abf1(
            folder / "a.abf",
            [[V, I_PA], [V, I_PA]],
            (("Vm", "mV", 0), ("Im", "pA", 1)),
            [{"source": 1, "epochs": [(1, 50.0, 0, 300, 0, 0, 0), (3, 9.0, 0, 20, 0, 5, 2)]}],
            starts=[0, 900],
        ),
        igor(folder / "c_Ch0_1.ibw", I_PA, "pA"),
        *_written(folder),
        abf2(
            folder / "b.abf",
            [[V], [V]],
            (("Vm", "mV", 0),),
            [{"source": 1, "epochs": [(1, 0.0, 0, 100, 0, 0, 0)], "list": (21, "50, 20")}],
        ),
        nwb_1(folder / "o.nwb", [(4, "Current", V * 1e-3, I_PA * 1e-12)]),
    ]
    if util.find_spec("myokit"):
        paths.append(wcp(folder / "w.wcp", [[V, I_PA]] * 2, (("Vm", "mV"), ("Im", "pA"))))
        segments = [(0, 1, 0.0, 0, 0.005), (1, 1, 0.05, 0.01, 0.035)]
        series = {"mode": 2, "unit": "A", "holding": 0.0, "segments": segments}
        series |= {"channels": [("Vmon", "V")], "sweeps": [[V * 1e-3], [V[:300] * 1e-3]]}
        paths.append(heka(folder / "k.dat", [series]))
    if util.find_spec("neo"):
        signals = ("Vm (mV)", V), ("Im (pA)", I_PA)
        paths.append(axograph(folder / "x.axgx", ((0.0, 1e-4), *signals)))
    igor(folder / "c_Ch1_1.ibw", V, "mV")
    return paths


def _written(folder: Path) -> list[Path]:
    """Those that are text, or that a library writes."""
    rows = "\n".join(f"{t:.2f},{v:.3f},{i:.1f}" for t, v, i in zip(T, V, I_PA, strict=True))
    (folder / "t.csv").write_text(f"t (ms),v (mV),i (pA)\n{rows}\n")
    (folder / "p-step-A01.csv").write_text(
        '"current"\n' + "\n".join(f"{i:.1f}" for i in I_PA) + "\n"
    )
    columns = "\n".join(f"{t:.2f},{v:.3f}" for t, v in zip(T, V, strict=True))
    (folder / "p-step-voltages.csv").write_text(f"time,voltage\n{columns}\n")
    tabbed = rows.replace(",", "\t")
    (folder / "t.atf").write_text(f'ATF\t1.0\n0\t3\n"Time (ms)"\t"Vm (mV)"\t"Im (pA)"\n{tabbed}\n')
    meta = json.dumps({"licence": "MIT"})
    np.savez(folder / "a.npz", P__V_mV=[V, V], P__I_pA=[I_PA, I_PA], P__dt_ms=0.1, meta_json=meta)
    trace = Trace("current", 0.1, V, I_PA)
    arrays = {"starts/a": np.arange(9.0)}
    save(
        folder / "r.h5",
        Results(traces={"one": trace}, arrays=arrays, settings={"a": [1, {"b": 2}]}),
    )
    packaged = Path(nj_io.__file__).parents[1] / "model" / "packaged" / "squid.toml"
    (folder / "m.toml").write_bytes(packaged.read_bytes())
    write_nwb(folder / "n.nwb")
    (folder / "current.csv").write_text(
        "t (ms),i (pA)\n" + "\n".join(f"{t:.2f},{i:.1f}" for t, i in zip(T, I_PA, strict=True))
    )
    names = ("t.csv", "t.atf", "a.npz", "r.h5", "m.toml", "n.nwb", "current.csv", "p-step-A01.csv")
    return [folder / name for name in names]


def write_nwb(path: Path) -> None:
    """A response and its stimulus."""
    import pynwb

    file = pynwb.NWBFile("test", "x", datetime(2000, 1, 1, tzinfo=UTC))
    electrode = file.create_icephys_electrode(
        name="e", description="", device=file.create_device(name="rig")
    )
    told = {"electrode": electrode, "gain": 1.0, "rate": 1e4}
    file.add_acquisition(pynwb.icephys.CurrentClampSeries(name="r1", data=V * 1e-3, **told))
    stimulus = pynwb.icephys.CurrentClampStimulusSeries(name="s1", data=I_PA * 1e-12, **told)
    file.add_stimulus(stimulus)
    with pynwb.NWBHDF5IO(str(path), "w") as out:
        out.write(file)


def mutant(raw: bytes, rng: np.random.Generator, is_text: bool) -> bytes:
    """The same with some of it changed."""
    data = bytearray(raw)
    for _ in range(int(rng.integers(1, 5))):
        at, kind = int(rng.integers(0, max(len(data), 1))), int(rng.integers(0, 7))
        if kind == 0:
            data[at : at + 1] = bytes([int(rng.integers(0, 256))])
        elif kind == 1:
            value = int(rng.choice([0, 1, 2**15, 2**31 - 1, 2**32 - 1, 2**24]))
            data[at : at + 4] = value.to_bytes(4, "little")
        elif kind == 2:
            data[at : at + 8] = np.float64(rng.choice([np.nan, np.inf, -1e308, 0.0])).tobytes()
        elif kind == 3:
            end = len(data) if rng.random() < 0.3 else at + int(rng.integers(1, 64))
            del data[at:end]
        elif kind == 4:
            data[at:at] = data[at : at + int(rng.integers(1, 200))]
        elif kind == 5 and is_text:
            odd = (b"9" * 5000, b"[" * 3000, b"nan", b"1e999", b"{a=1}", b"\xff\xfe", b"\0", b"-")
            data[at:at] = odd[int(rng.integers(0, len(odd)))]
        else:
            # Headers are at the front: there most is told.
            near = int(rng.integers(0, min(len(data), 6000) or 1))
            data[near : near + 1] = bytes([int(rng.integers(0, 256))])
    return bytes(data)


def crafted(folder: Path) -> list[Path]:
    """Files that reach for others, or promise what they do not hold."""
    secret = folder / "secret.bin"
    secret.write_bytes(b"\1" * 4096)
    made = []

    def results(name, change):
        path = folder / name
        path.write_bytes((folder / "r.h5").read_bytes())
        with h5py.File(path, "a") as file:
            change(file)
        made.append(path)

    results("link.h5", lambda f: f["arrays"].__setitem__("x", h5py.ExternalLink("s.h5", "/x")))
    results(
        "external.h5",
        lambda f: f["arrays"].create_dataset(
            "x", (512,), "f8", external=[(str(secret), 0, h5py.h5f.UNLIMITED)]
        ),
    )
    layout = h5py.VirtualLayout((9,), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "r.h5"), "arrays/starts/a", shape=(9,))
    results("virtual.h5", lambda f: f["arrays"].create_virtual_dataset("x", layout))
    results("huge.h5", lambda f: f["arrays"].create_dataset("x", (1 << 40,), "f8", chunks=(1024,)))
    results("circle.h5", lambda f: f["arrays"].__setitem__("again", f["arrays"]))
    return made


def attempt(path: Path) -> None:
    """Read a file, and save what can be saved."""
    warnings.simplefilter("ignore")
    if path.suffix == ".h5":
        save(path.with_suffix(".saved"), load(path))
    elif path.suffix == ".toml":
        load_model(path)
    elif path.stem.endswith("current"):
        read_commands(path)
    else:
        nj_io.read(path)


def verdict(path: Path) -> str:
    """What became of a file in a process of its own: "" where it was read or refused in words."""
    readable, told = os.pipe()
    child = os.fork()
    if not child:
        os.close(readable)
        said = b""
        try:
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
            signal.alarm(SECONDS)
            attempt(path)
        except (RecordingError, ModelError):
            pass
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"[:300].encode()
        os.write(told, said)
        os._exit(0)
    os.close(told)
    with os.fdopen(readable, "rb") as answer:
        said = answer.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return "took too long" if number == signal.SIGALRM else f"died of signal {number}"
    return said


def main() -> int:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--number", type=int, default=300)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--only", default="", help="a suffix, such as .h5")
    asked.add_argument("--keep", type=Path, help="a folder for the mutants that failed")
    told = asked.parse_args()
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(told.seed)
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wholes = [p for p in originals(folder) if told.only in ("", p.suffix)]
        for whole in wholes:
            attempt(whole)  # before anything is changed; and what it imports is imported
        cases = [(path, f"crafted {path.name}") for path in crafted(folder)]
        for path, label in cases:
            said = verdict(path)
            if said or not _refused(path):
                failures += 1
                print(f"{label}: {said or 'was read'}")
        for k in range(told.number):
            whole = wholes[k % len(wholes)]
            content = mutant(whole.read_bytes(), rng, whole.suffix in (".csv", ".atf", ".toml"))
            path = folder / f"mutant_{whole.stem}{whole.suffix}"
            if whole.stem.startswith("p-step"):
                path = folder / "p-step-B01.csv"
            if whole.suffix == ".ibw":
                path = folder / "m_Ch0_1.ibw"
                (folder / "m_Ch1_1.ibw").write_bytes((folder / "c_Ch1_1.ibw").read_bytes())
            path.write_bytes(content)
            said = verdict(path)
            if said:
                failures += 1
                print(f"mutant {k} ({whole.suffix}): {said}")
                if told.keep:
                    told.keep.mkdir(exist_ok=True)
                    (told.keep / f"{k}{whole.suffix}").write_bytes(content)
    print(f"{told.number} mutants, {failures} failures")
    return int(failures > 0)


def _refused(path: Path) -> bool:
    try:
        with io.StringIO():
            attempt(path)
    except RecordingError:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
