"""Launches: some cells of a sweep, computed at once under each of its protocols."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from neurojax.engine import runner
from neurojax.run.simulation import simulate
from neurojax.sweep.definition import OK, Sweep

WORK = 4e7
"""Steps of compartments that a device computes at a time: long enough that its start is nothing."""

FEWEST_UNITS = 8
"""Into so many units a small sweep is cut, so that devices share it evenly."""

LEAST, MOST, LANES = 64, 16384, 16
"""Cells of a unit: at least and at most, and of what they are a multiple."""


class Unit(NamedTuple):
    """Some cells of a shard, which one device computes at once."""

    shard: int
    cells: range


class Devices(NamedTuple):
    """What computes: how many at once, and of which kind."""

    number: int
    platform: str

    def at_once(self, unit: int, shard: int) -> int:
        """Units of a launch: one for each device; on a GPU, where a cell's numbers depend on no
        others, as many as there are in a shard."""
        if self.platform == "cpu":
            return self.number
        return -(-shard // unit // self.number) * self.number


def devices_of(sweep: Sweep) -> Devices:
    """The devices on which `simulate` would run the sweep."""
    place = runner.place_of(sweep.cell)
    return Devices(1 if place.mesh is None else place.mesh.size, place.platform)


def unit_of(sweep: Sweep) -> int:
    """Cells that a device computes at a time; they depend on the sweep only.

    A processor's vector instructions round unlike its scalar ones, and a compiler chooses among
    them by the number of cells and the place of a cell among them. In units of one size a cell
    always has the same place in the same program, so that its numbers depend on nothing else: not
    on shards, their order, the number of devices or of processes.
    """
    steps = max(p.steps for p in sweep.protocols.values()) * math.prod(sweep.cell.state_shape)
    few = WORK / FEWEST_UNITS / steps
    wanted = min(WORK / steps, MOST, max(sweep.cells / (2 * FEWEST_UNITS), few))
    units = -(-math.ceil(sweep.cells / wanted) // FEWEST_UNITS) * FEWEST_UNITS
    cells = -(-sweep.cells // units)
    return max(-(-cells // LANES) * LANES, LEAST)


def check_unit(unit: int) -> None:
    """Raise ValueError for a size of units that cannot be."""
    if unit < LEAST or unit % LANES:
        raise ValueError(f"unit = {unit}: expected a multiple of {LANES}, {LEAST} or more")


def units(shards: Iterable[tuple[int, range]], unit: int) -> Iterator[Unit]:
    """The shards in units."""
    for shard, cells in shards:
        for first in range(cells.start, cells.stop, unit):
            yield Unit(shard, range(first, min(first + unit, cells.stop)))


def numbers_of(launch: Sequence[Unit], unit: int, at_once: int) -> np.ndarray:
    """The numbers of the cells of a launch: where there are too few, the last one fills up."""
    filled = [
        np.minimum(np.arange(u.cells.start, u.cells.start + unit), u.cells[-1]) for u in launch
    ]
    filled += [filled[-1]] * (at_once - len(launch))
    return np.concatenate(filled)


def start(sweep: Sweep, numbers: np.ndarray, steps: int | None = None) -> Any:
    """Begin to compute the cells of these numbers under each protocol.

    Returns (ok, results of the folds) by protocol, which are not awaited. `steps`: only so many.
    """
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


def gathered(found: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Results on the host, `[..., cell]` by "protocol.observable"."""
    results: dict[str, np.ndarray] = {}
    for key, (ok, folds) in found.items():
        results[f"{key}.{OK}"] = np.asarray(ok)
        for name, tree in folds.items():
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
                inner = [str(getattr(k, "key", getattr(k, "idx", k))) for k in path]
                results[".".join([key, *([name] if name else []), *inner])] = np.asarray(leaf)
    return results


Found = tuple[Unit, dict[str, np.ndarray]]
"""The results of a unit, `[..., cell]` by name."""


def computed(
    sweep: Sweep, shards: Iterable[tuple[int, range]], unit: int, at_once: int, devices: int = 1
) -> Iterator[list[Found]]:
    """The results of shards in order, the units of a launch at a time.

    The next launch is begun before one is awaited. Where memory runs out it has half as many units,
    down to one for each device, and so have all that follow. Raises MemoryError where that is still
    too much.
    """
    ahead, coming = deque[Unit](), units(shards, unit)
    flying = deque[tuple[list[Unit], Any]]()
    while True:
        launch: list[Unit] = []
        try:
            if len(flying) < 2:
                launch = [ahead.popleft() for _ in range(min(at_once, len(ahead)))]
                launch += itertools.islice(coming, at_once - len(launch))
                if launch:
                    flying.append((launch, start(sweep, numbers_of(launch, unit, at_once))))
                    continue
            if not flying:
                return
            results = gathered(flying[0][1])
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if not out_of_memory(error):
                raise
            again = [u for done, _ in flying for u in done]
            again += launch if not flying or flying[-1][0] is not launch else []
            flying.clear()
            ahead.extendleft(reversed(again))
            at_once = halved(at_once, devices, unit, error)
            continue
        done, _ = flying.popleft()
        yield [(u, _part(results, k * unit, len(u.cells))) for k, u in enumerate(done)]


def _part(results: Mapping[str, np.ndarray], first: int, number: int) -> dict[str, np.ndarray]:
    return {name: array[..., first : first + number] for name, array in results.items()}


def out_of_memory(error: Exception) -> bool:
    """Whether memory has run out, on a device or the host."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def halved(at_once: int, devices: int, unit: int, error: Exception) -> int:
    """Half as many units of a launch. Raises MemoryError where there are no fewer."""
    if at_once <= devices:
        told = (str(error) or "no more was said").splitlines()[0][:120]
        raise MemoryError(
            f"memory ran out with {at_once * unit} cells at a time, the fewest of this sweep: give "
            f"it a smaller unit than {unit} ({told})"
        ) from error
    return max(at_once // 2 // devices, 1) * devices
