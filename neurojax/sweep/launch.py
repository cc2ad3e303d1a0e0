"""Launches: some cells of a sweep, computed at once under each of its protocols."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from neurojax.engine import runner
from neurojax.run.simulation import simulate
from neurojax.sweep.definition import Sweep

OK = "ok"
"""The name under which each protocol tells which cells stayed finite."""

WORK = 4e7
"""Steps of compartments that a device computes at a time: long enough that its start is nothing."""

LEAST, MOST = 64, 16384
"""Cells that a device computes at a time on the CPU."""


class Piece(NamedTuple):
    """Some cells of a shard that are computed at once."""

    shard: int
    cells: range


class Devices(NamedTuple):
    """What computes: how many at once, and of which kind."""

    number: int
    platform: str

    @property
    def in_units(self) -> bool:
        """Whether each computes a unit at a time, see `unit_of`, or all that it can."""
        return self.platform == "cpu"

    def at_once(self, unit: int, shard: int) -> int:
        """Cells of a launch: a unit for each device, or a whole shard, in units for each."""
        each = unit * self.number
        return each if self.in_units else -(-shard // each) * each


def devices_of(sweep: Sweep) -> Devices:
    """The devices on which `simulate` would run the sweep."""
    place = runner.place_of(sweep.cell)
    return Devices(1 if place.mesh is None else place.mesh.size, place.platform)


def unit_of(sweep: Sweep) -> int:
    """Cells that a device computes at a time, a power of two that depends on the sweep only.

    A processor's vector instructions round unlike its scalar ones, and a compiler chooses among
    them by the number of cells and the place of a cell among them. In units of one size a cell
    always has the same place in the same program, so that its numbers depend on nothing else: not
    on shards, their order, the number of devices or of processes.
    """
    steps = max(p.steps for p in sweep.protocols.values()) * math.prod(sweep.cell.state_shape)
    wanted = min(WORK / steps, sweep.cells / 2)
    return min(max(1 << math.ceil(math.log2(max(wanted, 1.0))), LEAST), MOST)


def start(sweep: Sweep, cells: range, number: int, steps: int | None = None) -> Any:
    """Begin to compute `number` cells, of which the last one fills up the others.

    Returns (ok, results of the folds) by protocol, which are not awaited. `steps`: only so many.
    """
    numbers = np.minimum(np.arange(cells.start, cells.start + number), cells.stop - 1)
    values = sweep.values(numbers)
    population = sweep.cells_of(numbers, values)
    found: dict[str, Any] = {}
    for key, protocol in sweep.protocols.items():
        run = protocol if steps is None else protocol.shortened(min(steps, protocol.steps))
        recording = simulate(
            population,
            run.at(sweep.of_protocol(key, values), population),
            run.dt,
            record=(),
            every=run.every,
            initial=run.initial,
            folds=sweep.folds(key),
        )
        found[key] = recording.ok, recording.folds
    return found


def gathered(found: Mapping[str, Any], number: int) -> dict[str, np.ndarray]:
    """Results on the host of the first cells, `[..., cell]` by "protocol.observable"."""
    results: dict[str, np.ndarray] = {}
    for key, (ok, folds) in found.items():
        results[f"{key}.{OK}"] = np.asarray(ok)[:number]
        for name, tree in folds.items():
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
                inner = [str(getattr(k, "key", getattr(k, "idx", k))) for k in path]
                results[".".join([key, *([name] if name else []), *inner])] = np.asarray(leaf)[
                    ..., :number
                ]
    return results


def pieces(shards: Iterable[tuple[int, range]], size: int) -> Iterator[Piece]:
    """The shards in pieces of at most so many cells."""
    for shard, cells in shards:
        for first in range(cells.start, cells.stop, size):
            yield Piece(shard, range(first, min(first + size, cells.stop)))


def computed(
    sweep: Sweep, shards: Iterable[tuple[int, range]], size: int, least: int
) -> Iterator[tuple[Piece, dict[str, np.ndarray]]]:
    """The results of shards, piece after piece in order.

    The next piece is begun before one is awaited. Where memory runs out, both are halved, down to
    `least` cells, and so are all that follow. Raises MemoryError where that is still too much.
    """
    ahead, coming, flying = deque[Piece](), pieces(shards, size), deque[tuple[Piece, Any]]()
    ended = False
    while True:
        piece: Piece | None = None
        try:
            if len(flying) < 2 and not ended:
                piece = ahead.popleft() if ahead else next(coming, None)
                if piece is None:
                    ended = True
                    continue
                if len(piece.cells) > size:
                    cut = list(pieces([piece], size))
                    piece, more = cut[0], cut[1:]
                    ahead.extendleft(reversed(more))
                flying.append((piece, start(sweep, piece.cells, size)))
                continue
            if not flying:
                return
            results = gathered(flying[0][1], len(flying[0][0].cells))
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if not out_of_memory(error):
                raise
            again = [p for p, _ in flying] + ([] if piece is None else [piece])
            flying.clear()
            ahead.extendleft(reversed(again))
            ended = False
            size = halved(size, least, error)
            continue
        yield flying.popleft()[0], results


def out_of_memory(error: Exception) -> bool:
    """Whether memory has run out, on a device or the host."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def halved(size: int, least: int, error: Exception) -> int:
    """Half as many cells, in units. Raises MemoryError where there are no fewer."""
    if size <= least:
        told = (str(error) or "no more was said").splitlines()[0][:120]
        raise MemoryError(
            f"memory ran out with {size} cells at a time, the fewest of this sweep: give it a "
            f"smaller unit ({told})"
        ) from error
    return max(size // 2 // least, 1) * least
