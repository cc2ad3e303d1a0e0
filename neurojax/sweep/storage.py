"""The folder of a sweep: a manifest, and a file of results for each shard of its cells.

    sweep.json               what was swept, and how it is cut into shards
    shards/00012.h5          results of the cells of a shard: `[cell, ...]` by "protocol.observable"
    shards/00012.h5.sha256   its checksum, as `sha256sum` writes it
    sweep.h5                 all shards as one array with the axes of the sweep; see `merge`

A file is written under another name, and renamed when it is whole. A shard is believed only if its
checksum is right: it is written before the shard, so that what a crash leaves is never believed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neurojax.io.files import write_whole
from neurojax.io.results import running_versions

FORMAT, SHARD_FORMAT, VERSION = "neurojax sweep", "neurojax sweep shard", 1

MANIFEST, SHARDS, MERGED = "sweep.json", "shards", "sweep.h5"

PACKINGS = {"none": {}, "gzip": {"compression": "gzip", "shuffle": True}, "lzf": {
    "compression": "lzf", "shuffle": True}}  # fmt: skip
"""How a shard is compressed, by name."""

FLOATS = ("float32", "float16", "float64")

MISSING = -1
"""What a whole number, of a fold that tells of failures itself, is in a shard to come."""


class SweepError(ValueError):
    """A folder that is not what was expected: the message names it and says how to mend it."""


@dataclass(frozen=True)
class Manifest:
    """What all who compute a part of a sweep agree on."""

    fingerprint: str  # of what the numbers depend on
    name: str
    shape: list[int]
    dimensions: list[str]
    cells: int
    unit: int  # cells that a device computes at a time
    shard: int  # cells of a shard, a multiple of the unit
    float: str = "float32"  # as results are stored
    packing: str = "none"
    source: dict[str, Any] = field(default_factory=dict)  # to read the sweep again from its file
    versions: dict[str, str] = field(default_factory=running_versions)

    def __post_init__(self):
        if self.float not in FLOATS:
            raise SweepError(f"float = {self.float!r}: expected one of {', '.join(FLOATS)}")
        if self.packing not in PACKINGS:
            raise SweepError(f"packing = {self.packing!r}: expected one of {', '.join(PACKINGS)}")

    @property
    def how(self) -> dict[str, Any]:
        """How it is cut and stored, as `run` takes it."""
        return {k: getattr(self, k) for k in ("shard", "unit", "float", "packing")}

    @property
    def shards(self) -> int:
        """How many there are."""
        return -(-self.cells // self.shard)

    def cells_of(self, shard: int) -> range:
        """The numbers of the cells of a shard."""
        return range(shard * self.shard, min((shard + 1) * self.shard, self.cells))


@dataclass(frozen=True)
class Folder:
    """The folder of a sweep, and where its files are."""

    path: Path

    @property
    def manifest_path(self) -> Path:
        return self.path / MANIFEST

    @property
    def merged(self) -> Path:
        """The file that presents all shards as one."""
        return self.path / MERGED

    def shard(self, number: int) -> Path:
        """The file of a shard."""
        return self.path / SHARDS / f"{number:05d}.h5"

    def checksum(self, number: int) -> Path:
        """The file with the checksum of a shard."""
        return self.shard(number).with_suffix(".h5.sha256")

    def read(self) -> Manifest:
        """The manifest. Raises SweepError where there is none, or it cannot be read."""
        try:
            told = json.loads(self.manifest_path.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise SweepError(
                f"{self.path}: no sweep here (it has no {MANIFEST}): name the output folder of "
                "`neurojax sweep run`"
            ) from None
        except (OSError, ValueError) as error:
            raise SweepError(f"{self.manifest_path}: cannot be read: {error}") from None
        if not isinstance(told, dict) or told.pop("format", None) != FORMAT:
            raise SweepError(f"{self.manifest_path}: is no manifest of a sweep")
        if told.pop("version", None) != VERSION:
            raise SweepError(f"{self.manifest_path}: of another version of the format")
        try:
            return Manifest(**told)
        except TypeError as error:
            raise SweepError(f"{self.manifest_path}: is damaged: {error}") from None

    def begin(self, manifest: Manifest) -> Manifest:
        """Write the manifest, or return the one that is there already.

        Several processes may begin at once: one of them writes. Raises SweepError for the folder of
        another sweep, and one with other files in it.
        """
        if not self.manifest_path.exists() and self.path.is_dir():
            strange = [p.name for p in self.path.iterdir() if p.name[0] != "." and p.name != SHARDS]
            if strange:
                raise SweepError(
                    f"{self.path}: has other files ({strange[0]}) and no sweep: choose a new folder"
                )
        try:
            (self.path / SHARDS).mkdir(parents=True, exist_ok=True)
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            raise SweepError(
                f"{self.path}: cannot be made a folder ({error.strerror}): choose another output "
                "folder"
            ) from None
        if not self.manifest_path.exists():
            told = {"format": FORMAT, "version": VERSION, **asdict(manifest)}
            _write_first(self.manifest_path, json.dumps(told, indent=1))
        there = self.read()
        if there.fingerprint != manifest.fingerprint:
            raise SweepError(
                f"{self.path} holds another sweep ({there.name!r}, {there.cells} cells): its model,"
                " axes, protocols or observables differ, or the code of a channel of your own. "
                "Choose another output folder, or delete this one"
            )
        for what in ("unit", "float", "packing"):
            if getattr(there, what) != getattr(manifest, what):
                raise SweepError(
                    f"{self.path} was begun with {what} = {getattr(there, what)}, not "
                    f"{getattr(manifest, what)}: go on with the old one, or choose another folder"
                )
        return there

    # -- shards -----------------------------------------------------------------------------------
    def write(self, number: int, content: bytes) -> None:
        """Write a shard whole or not at all. Raises OSError naming the file, as of a full disk."""
        path = self.shard(number)
        digest = hashlib.sha256(content).hexdigest()
        write_whole(self.checksum(number), f"{digest}  {path.name}\n")
        write_whole(path, content)

    def is_whole(self, number: int) -> bool:
        """Whether a shard is there with the right checksum."""
        try:
            told = self.checksum(number).read_text("ascii").split()
            content = self.shard(number).read_bytes()
        except (FileNotFoundError, UnicodeDecodeError):
            return False
        return bool(told) and told[0] == hashlib.sha256(content).hexdigest()

    def there(self, manifest: Manifest) -> set[int]:
        """The shards that have a file, whole or not."""
        return {k for k in range(manifest.shards) if self.shard(k).exists()}

    def whole(self, manifest: Manifest) -> set[int]:
        """The shards whose checksum is right."""
        return {k for k in self.there(manifest) if self.is_whole(k)}

    def forget(self, shards: Iterable[int]) -> None:
        """Remove shards, as those that are damaged."""
        for k in shards:
            self.shard(k).unlink(missing_ok=True)
            self.checksum(k).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what writers that were killed have left; only when nobody writes any more."""
        for path in (self.path / SHARDS).glob(".*.part"):
            path.unlink(missing_ok=True)


def _write_first(path: Path, text: str) -> None:
    """Write a file unless another process has just done so."""
    handle, part = tempfile.mkstemp(prefix=".manifest.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(part, 0o644)
        try:
            os.link(part, path)
        except FileExistsError:
            return
    finally:
        Path(part).unlink(missing_ok=True)


def stored(array: np.ndarray, ok: np.ndarray, dtype: str, name: str, first: int) -> np.ndarray:
    """Results `[..., cell]` as they are stored, `[cell, ...]`: of cells that failed there are none.

    Raises SweepError for a number that is too large for the type, and a count that it would round.
    """
    array = np.moveaxis(np.asarray(array), -1, 0)
    failed = ~ok.reshape(-1, *[1] * (array.ndim - 1))
    if array.dtype.kind in "iub":
        return np.where(failed, MISSING, array.astype(np.int32))
    with np.errstate(over="ignore"):
        small = array.astype(dtype)
    finite = np.isfinite(array)
    lost = np.isinf(small) & finite
    if (array[finite] == np.round(array[finite])).all():  # counts, which are floating beside NaN
        lost |= finite & (small != array)
    if lost.any():
        cell = first + int(np.argwhere(lost)[0][0])
        raise SweepError(
            f"{name} of cell {cell} is {array[lost].flat[0]:.9g}, too large for {dtype}: store "
            "results as float32"
        )
    return np.where(failed, np.asarray(np.nan, dtype), small)


def shard_file(
    manifest: Manifest, number: int, results: Mapping[str, np.ndarray], device: str
) -> bytes:
    """The content of a shard's file, from results `[cell, ...]` by name."""
    cells = manifest.cells_of(number)
    # Built in memory: HDF5 does not report a full disk until the file is closed, and not cleanly.
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs.update(
            format=SHARD_FORMAT, version=VERSION, fingerprint=manifest.fingerprint,
            first=cells.start, stop=cells.stop, device=device,
        )  # fmt: skip
        for name, version in running_versions().items():
            file.attrs[f"version_{name}"] = version
        for name, array in results.items():
            file.create_dataset(name, data=array, **PACKINGS[manifest.packing])
    return buffer.getvalue()
