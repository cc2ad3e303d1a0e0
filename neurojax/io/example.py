"""The example recording: a mouse neuron, five 2-s current steps, fetched once and kept in a cache.

It is test data of the package bluepyefe (LGPL-3, Blue Brain Project),
and so not part of this one. Source: bluepyefe 2.3.63, tests/exp_data/B6.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path

from neurojax.config import cache_dir
from neurojax.io.ibw import read_ibw
from neurojax.io.source import Asked, sha256
from neurojax.recording.trace import RecordingError, Trace

PACKAGE, VERSION = "bluepyefe", "2.3.63"
SDIST_SHA256 = "ff475ade62eb3513b00a69076ae3b446d69c1ffbfb7bc8928b039111c96e62a3"
MEMBERS = f"{PACKAGE}-{VERSION}/tests/exp_data/B6"
FILES = {
    "B6_Ch0_IDRest_181.ibw": "b070ee18e65c7cf8e9dc6af95483847e39b8af5677a8d5e1f626916ccce3abe4",
    "B6_Ch0_IDRest_182.ibw": "69226d1ae905c39dc7d92f33fb34f79886b13a31d66893c99f9ae55db1183436",
    "B6_Ch0_IDRest_183.ibw": "0a086841f5baffe5c8cc8c695231f878704bb547bb8071a181f667cf0ce8c964",
    "B6_Ch0_IDRest_184.ibw": "a7385d62bf7555b810e01d752fab765a84324eb6a86f50d146e261a979dd66ca",
    "B6_Ch0_IDRest_185.ibw": "488ae31e8ed54b4f554dd54c144910d785916692780deb268770bd917044816e",
    "B6_Ch3_IDRest_181.ibw": "0644c485239822c9a697288b3d3e5384d013deaa936fc5b2b2e3612f324d0752",
    "B6_Ch3_IDRest_182.ibw": "ebe4aaf7e290cf460320108d4455917f9a212f2c2e43a5fcb09ed4a24e7af666",
    "B6_Ch3_IDRest_183.ibw": "971d4674d88ea8b38089fde4eb6abb2d96d0cdc08f52cc7211b549526c2dc4d4",
    "B6_Ch3_IDRest_184.ibw": "e45c081b25716a27ae44acbdf8b92251b201a5d321d04abf06186acf8021e900",
    "B6_Ch3_IDRest_185.ibw": "53e978b161b79299018a65547496363e4001ab2c61de3d4c2fd498dcb63bc0ae",
}
LARGEST_MEMBER = 1 << 20
TIMEOUT_S = 300
_WITHOUT = "`neurojax demo --synthetic` needs no recording and no network"


def example_recording(refresh: bool = False) -> list[Trace]:
    """The five sweeps of the example recording, weakest step first; fetched by pip at first use.

    Files are kept under `$NEUROJAX_CACHE`, else the platform's cache folder, and verified on each
    use; `refresh` fetches them again. Raises RecordingError, saying what was tried, on failure.
    """
    folder = cache_dir() / f"{PACKAGE}-{VERSION}-B6"
    if refresh or not all(_is_whole(folder / name, digest) for name, digest in FILES.items()):
        _fetch(folder)
    note = f"test data of {PACKAGE} {VERSION}, {MEMBERS}; LGPL-3"
    traces = []
    for name in sorted(name for name in FILES if "_Ch3_" in name):
        partner = folder / name.replace("_Ch3_", "_Ch0_")
        (trace,) = read_ibw(folder / name, Asked(partner=partner))
        origin = replace(trace.origin, note=f"{trace.origin.note}; {note}")
        traces.append(replace(trace, origin=origin))
    return traces


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path) == digest


def _fetch(folder: Path) -> None:
    """Download the source distribution, verify it, and put the needed members into the folder."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=folder.parent) as work:
            sdist = download(Path(work))
            found = sha256(sdist)
            if found != SDIST_SHA256:
                raise RecordingError(
                    f"{sdist.name}: sha256 is {found}, expected {SDIST_SHA256}; the example "
                    f"recording is not taken from it; {_WITHOUT}"
                )
            folder.mkdir(exist_ok=True)
            for name, content in _members(sdist).items():
                part = Path(work) / name
                part.write_bytes(content)
                os.replace(part, folder / name)
    except OSError as error:
        raise RecordingError(
            f"{folder}: the example recording cannot be kept there ({error.strerror or error}); "
            f"set NEUROJAX_CACHE to a folder that can be written; {_WITHOUT}"
        ) from error


def download(folder: Path) -> Path:
    """Have pip, as the user configured it, download the source distribution into a folder.

    Hash-checking mode: pip refuses another file before it runs anything of it. Raises
    RecordingError with pip's own last words.
    """
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{SDIST_SHA256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
    command += ["--no-binary", PACKAGE, "--disable-pip-version-check", "--no-input"]
    command += ["--dest", str(folder), "--requirement", str(wanted)]
    tried = f"tried `pip download --no-deps --no-binary {PACKAGE} {PACKAGE}=={VERSION}`"
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RecordingError(
            f"the example recording could not be fetched: {tried}, no answer in {TIMEOUT_S} s; "
            f"{_WITHOUT}"
        ) from None
    sdist = folder / f"{PACKAGE}-{VERSION}.tar.gz"
    if done.returncode != 0 or not sdist.is_file():
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        said = next((x for x in lines if x.startswith("ERROR")), "".join(lines[-1:]))
        raise RecordingError(
            f"the example recording could not be fetched: {tried}, pip said {said[:300]!r} (is "
            f"there a network, and is pip installed?); {_WITHOUT}"
        )
    return sdist


def _members(sdist: Path) -> dict[str, bytes]:
    """The recording's files, by name, each verified; nothing else of the archive is looked at."""
    found = {}
    try:
        with tarfile.open(sdist, "r:gz") as archive:
            for name, digest in FILES.items():
                member = archive.getmember(f"{MEMBERS}/{name}")
                stream = archive.extractfile(member) if member.isfile() else None
                content = stream.read(LARGEST_MEMBER) if stream else b""
                if hashlib.sha256(content).hexdigest() != digest:
                    raise RecordingError(
                        f"{sdist.name}: {name} has not the expected sha256 {digest}; {_WITHOUT}"
                    )
                found[name] = content
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise RecordingError(f"{sdist.name}: cannot be unpacked ({error}); {_WITHOUT}") from error
    return found
