"""HDF5 files reach no further than themselves, and hold no more than they can."""

from __future__ import annotations

from typing import Any

import h5py
from h5py import h5o  # pyright: ignore[reportAttributeAccessIssue]

from neurojax.recording.trace import RecordingError

_MOST_PACKED = 1100
"""How many times as large as its file a dataset can be: what deflate can do, and no more."""

_SPARE = 1 << 20  # bytes
_MOST_OBJECTS = 1_000_000


def check_inside(file: h5py.File) -> None:
    """Raise RecordingError for what would read another file, or more than this one can hold.

    Those are external links, external storage and virtual datasets, and datasets of so many samples
    that their file is too short for them.
    """
    most = _MOST_PACKED * file.id.get_filesize() + _SPARE
    seen: set[int] = set()
    waiting: list[h5py.Group] = [file]
    while waiting:
        group = waiting.pop()
        for name in group:
            where = f"{file.filename}, {(group.name or '').rstrip('/')}/{name}"
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise RecordingError(
                    f"{where}: is a link to the file {link.filename!r}; expected a file that has "
                    "all in it"
                )
            if isinstance(link, h5py.SoftLink):
                continue  # what it leads to is in this file, and met there
            item: Any = group.get(name)
            if item is None or (address := h5o.get_info(item.id).addr) in seen:
                continue
            seen.add(address)
            if len(seen) > _MOST_OBJECTS:
                raise RecordingError(f"{where}: more than {_MOST_OBJECTS} objects")
            if isinstance(item, h5py.Group):
                waiting.append(item)
            elif isinstance(item, h5py.Dataset):
                _check_dataset(item, where, most)


def _check_dataset(data: h5py.Dataset, where: str, most: int) -> None:
    if data.external or data.is_virtual:
        kind = "kept in another file" if data.external else "made of other datasets"
        raise RecordingError(f"{where}: is {kind}; expected a file that has all in it")
    size = (data.size or 0) * max(data.dtype.itemsize, 1)
    if size > most:
        raise RecordingError(
            f"{where}: has {data.size} values, more than its file can hold; damaged?"
        )
