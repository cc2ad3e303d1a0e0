"""Plate: the sweeps of many cells, made ready once for whatever simulates them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurojax.fit.precision import Precision
from neurojax.fit.task import Task, sweeps_for
from neurojax.loss import counted
from neurojax.membrane.axes import map_cells
from neurojax.membrane.compartment import Cell
from neurojax.membrane.path_names import parameters
from neurojax.model.space import Space
from neurojax.recording.trace import Trace


class Plate:
    """Cells, each with its own sweeps of one clamp, that have the same free parameters.

    Raises ValueError for masks, or known values of each cell, that do not fit their number.
    """

    def __init__(
        self,
        cell: Cell,
        space: Space,
        recordings: Sequence[Sequence[Trace]],
        clamp: str,
        dt: float,
        every: int = 1,
        keep: Sequence[Sequence[np.ndarray]] | None = None,
        hold: bool = False,
        precision: Precision = "single",
        names: Sequence[str] = (),
    ):
        masks = keep or [[counted(cell, t) for t in sweeps] for sweeps in recordings]
        if len(masks) != len(recordings):
            raise ValueError(f"masks for {len(masks)} cells, but {len(recordings)} cells")
        if names and len(names) != len(recordings):
            raise ValueError(f"{len(names)} names, but {len(recordings)} cells")
        for name, (leaf, _) in parameters(cell).items():
            if np.shape(leaf) not in ((), (len(recordings),)):
                raise ValueError(
                    f"{name} has {np.size(leaf)} values, but there are {len(recordings)} cells"
                )
        self.cell, self.space, self.clamp, self.dt, self.every = cell, space, clamp, dt, every
        self.recordings, self.masks, self.hold = recordings, masks, hold
        self.precision: Precision = precision
        made = [
            sweeps_for(cell, s, dt, every, k, hold, precision)
            for s, k in zip(recordings, masks, strict=True)
        ]
        self.cells, self.sweeps = len(made), [sweep for sweeps in made for sweep in sweeps]
        self.names = list(names) or [s[0].name or f"cell {k}" for k, s in enumerate(recordings)]
        self.first = np.cumsum([0, *(len(s) for s in made[:-1])])  # sweep of each cell
        self.owner = np.repeat(np.arange(self.cells), [len(s) for s in made])
        # The weights of a cell's samples make its sum of squares their mean.
        used = [np.asarray(s.error.data.weight) > 0 for s in self.sweeps]
        self.samples = np.add.reduceat([float(c.sum()) for c in used], self.first)
        scatter = [s.error.data.data[c].var() for s, c in zip(self.sweeps, used, strict=True)]
        self.scatter = np.sqrt(np.maximum.reduceat(scatter, self.first))  # [cell] of the data
        self.least_noise = 1e-6 * self.scatter + 1e-12
        self.unit = self.sweeps[0].error.unit

    def of(self, cells: Sequence[int] | np.ndarray, dt: float) -> Plate:
        """Some of the cells, in another time step."""
        chosen: list[Any] = [self.recordings[k] for k in cells]
        masks: list[Any] = [self.masks[k] for k in cells]
        cell = map_cells(lambda a: np.asarray(a)[..., list(cells)], self.cell)
        how = self.every, masks, self.hold, self.precision, [self.names[k] for k in cells]
        return Plate(cell, self.space, chosen, self.clamp, dt, *how)

    def task(self, k: int, dt: float, seed: int) -> Task:
        """One of the cells by itself."""
        cell = map_cells(lambda a: np.asarray(a)[..., k], self.cell)
        masks: Any = None if self.masks[k][0] is None else self.masks[k]
        return Task(
            cell, self.space, self.recordings[k], dt=dt, keep=masks, seed=seed, hold=self.hold,
            precision=self.precision,
        )  # fmt: skip
