"""status and verify: what of a sweep is there, what is damaged, which cells failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import h5py
import numpy as np

from neurojax.sweep.definition import OK, Sweep
from neurojax.sweep.storage import Folder, Manifest


class Status(NamedTuple):
    """The shards of a sweep by how they are, and the cells that failed."""

    name: str
    cells: int
    shards: int
    there: int
    damaged: list[int]  # of those that were verified
    missing: list[int]
    failed: dict[str, int]  # cells that left the finite numbers, by protocol
    first_failed: int | None  # the number of one of them
    made_by: list[str]  # versions and devices, where the shards have several

    def sentences(self) -> list[str]:
        """It in words."""
        lines = [f"{self.name}: {self.there:,} of {self.shards:,} shards, of {self.cells:,} cells"]
        if self.missing:
            lines.append(f"missing: {listed(self.missing)}")
        if self.damaged:
            lines.append(
                f"damaged: {listed(self.damaged)}: `neurojax sweep resume` computes them again"
            )
        for protocol, number in self.failed.items():
            lines.append(f"{number:,} cells left the finite numbers under {protocol!r}")
        if self.first_failed is not None:
            lines.append(f"the first that did is number {self.first_failed}")
        if len(self.made_by) > 1:
            lines.append(
                f"made by different programs or devices, last digits may differ: "
                f"{'; '.join(self.made_by)}"
            )
        return lines


def listed(numbers: Sequence[int], most: int = 8) -> str:
    """Numbers as text, the first ones where there are many."""
    shown = ", ".join(map(str, numbers[:most]))
    return shown + (f" and {len(numbers) - most} more" if len(numbers) > most else "")


def status(room: Folder, manifest: Manifest, verify: bool = False) -> Status:
    """What is there. `verify` reads every shard and compares its checksum."""
    there = sorted(room.there(manifest))
    damaged = [k for k in there if verify and not room.is_whole(k)]
    failed, first, makers = dict[str, int](), list[int](), set[str]()
    for k in there:
        if k in damaged:
            continue
        try:
            with h5py.File(room.shard(k), "r") as file:
                told = file.attrs
                parts = ("version_neurojax", "version_jaxlib", "device")
                makers.add(", ".join(str(told[p]) for p in parts))
                for name in map(str, file):
                    if name.endswith(f".{OK}"):
                        lost = np.flatnonzero(~np.asarray(file[name]))
                        if lost.size:
                            key = name.removesuffix(f".{OK}")
                            failed[key] = failed.get(key, 0) + int(lost.size)
                            first.append(manifest.cells_of(k).start + int(lost[0]))
        except (OSError, KeyError):
            damaged.append(k)
    return Status(
        name=manifest.name,
        cells=manifest.cells,
        shards=manifest.shards,
        there=len(there) - len(damaged),
        damaged=damaged,
        missing=sorted(set(range(manifest.shards)) - set(there)),
        failed=failed,
        first_failed=min(first, default=None),
        made_by=sorted(makers),
    )


def described(sweep: Sweep, cell: int) -> str:
    """The values of a cell's axes, as text."""
    units = sweep.variable()
    values = sweep.values(np.array([cell]))
    told = (f"{name} = {value[0]:.6g} {units[name].unit}" for name, value in values.items())
    return ", ".join(told) or "no axes"
