"""merge: all shards of a sweep as one array with its axes, without copying any of them.

`sweep.h5` has a virtual dataset for each result and the values of each axis as its dimension scale,
so that h5py, and xarray by `xarray.open_dataset(path, engine="h5netcdf")`, read it as one.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import h5py
import numpy as np

from neurojax.io.files import write_whole
from neurojax.sweep.axes import Grid
from neurojax.sweep.definition import UNITS, Sweep
from neurojax.sweep.firing import BEHAVIOURS
from neurojax.sweep.storage import (
    FORMAT,
    MISSING,
    SHARDS,
    VERSION,
    Folder,
    Manifest,
    SweepError,
)

CELL = "cell"
"""The dimension of a sweep without axes."""

MOST_ROWS = 2**24
"""Rows of samples whose values are written beside the results."""


def merge(sweep: Sweep, room: Folder, manifest: Manifest, shards: Iterable[int]) -> None:
    """Write `sweep.h5` from these shards; what is in others is NaN.

    Raises SweepError where there is no shard at all.
    """
    there = sorted(shards)
    if not there:
        raise SweepError(f"{room.path}: no shard is finished yet: run the sweep first")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", track_order=True) as file:
        file.attrs.update(
            format=FORMAT, version=VERSION, fingerprint=manifest.fingerprint, title=manifest.name,
            cells=manifest.cells, shards=manifest.shards, shards_merged=len(there),
        )  # fmt: skip
        scales = _scales(file, sweep)
        with h5py.File(room.shard(there[0]), "r") as first:
            for name in map(str, first):
                _present(file, first[name], name, manifest, there, scales)
    write_whole(room.merged, buffer.getvalue())
    if len(there) == manifest.shards:
        room.tidy()


def _scales(file: h5py.File, sweep: Sweep) -> list[h5py.Dataset]:
    """A scale for each dimension: the values of an axis, or the numbers of rows."""
    units = {name: info.unit for name, info in sweep.variable().items()}
    found: list[h5py.Dataset] = []
    for dimension in sweep.dimensions:
        rows = np.arange(len(dimension))
        told = dimension.at(rows).get(dimension.name, rows) if isinstance(dimension, Grid) else rows
        scale = file.create_dataset(dimension.name, data=told)
        scale.make_scale(dimension.name)
        if dimension.name in units:
            scale.attrs["units"] = units[dimension.name]
        found.append(scale)
    if not found:
        found.append(file.create_dataset(CELL, data=np.arange(1)))
        found[0].make_scale(CELL)
    for dimension, scale in zip(sweep.dimensions, list(found), strict=False):
        if isinstance(dimension, Grid) or len(dimension) > MOST_ROWS:
            continue
        for name, values in dimension.at(np.arange(len(dimension))).items():
            column = file.create_dataset(name, data=values)
            column.attrs["units"] = units[name]
            column.dims[0].attach_scale(scale)
    return found


def _present(
    file: h5py.File,
    like: Any,
    name: str,
    manifest: Manifest,
    there: Sequence[int],
    scales: Sequence[h5py.Dataset],
) -> None:
    """A result as one array `[*axes, ...]`, made of its parts in the shards."""
    shape, inner = tuple(manifest.shape), like.shape[1:]
    layout = h5py.VirtualLayout(shape=(*shape, *inner), dtype=like.dtype)
    for k in there:
        cells = manifest.cells_of(k)
        source = h5py.VirtualSource(
            f"{SHARDS}/{k:05d}.h5", name, shape=(len(cells), *inner), dtype=like.dtype
        )
        for box, first, stop in boxes(cells.start, cells.stop, shape):
            layout[box] = source[first - cells.start : stop - cells.start]
    missing: Any = MISSING if like.dtype.kind == "i" else 0 if like.dtype.kind == "b" else np.nan
    data = file.create_virtual_dataset(name, layout, fillvalue=missing)
    for axis, scale in enumerate(scales):
        data.dims[axis].attach_scale(scale)
    for axis, length in enumerate(inner, start=len(shape)):
        extra = f"{name}.{axis - len(shape)}"
        scale = file.create_dataset(extra, data=np.arange(length))
        scale.make_scale(extra)
        data.dims[axis].attach_scale(scale)
    observable = name.partition(".")[2]
    if like.dtype.kind == "i":
        data.attrs["_FillValue"] = np.asarray(MISSING, like.dtype)
    if observable in UNITS:
        data.attrs["units"] = UNITS[observable]
    if observable == "behaviour":
        data.attrs["flag_values"] = np.arange(len(BEHAVIOURS), dtype=like.dtype)
        data.attrs["flag_meanings"] = " ".join(b.replace(" ", "_") for b in BEHAVIOURS)


def boxes(
    first: int, stop: int, shape: Sequence[int]
) -> Iterator[tuple[tuple[slice, ...], int, int]]:
    """The cells from first to stop, in C order, as boxes of an array: (box, first, stop) each."""
    if len(shape) == 1:
        yield (slice(first, stop),), first, stop
        return
    row = math.prod(shape[1:])
    at = first
    while at < stop:
        k, inside = divmod(at, row)
        if inside == 0 and stop - at >= row:
            end = at + (stop - at) // row * row
            yield (slice(k, end // row), *(slice(None) for _ in shape[1:])), at, end
        else:
            end = min((k + 1) * row, stop)
            for box, a, b in boxes(inside, end - k * row, shape[1:]):
                yield (slice(k, k + 1), *box), k * row + a, k * row + b
        at = end
