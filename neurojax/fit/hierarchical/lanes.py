"""Lanes: every sweep of every cell, and that for every start, as a cell of one population."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from neurojax.fit.hierarchical.recordings import Plate
from neurojax.fit.problem import Problem
from neurojax.loss import Sweep
from neurojax.membrane.axes import map_cells
from neurojax.membrane.electrode import n_steps


class Lanes:
    """A plate of which every sweep is simulated by itself."""

    def __init__(self, plate: Plate):
        self.plate = plate
        self._problems: dict[int, Problem] = {}

    @property
    def sweeps(self) -> Sequence[Sweep]:
        """What is simulated for each start."""
        return self.plate.sweeps

    def look(self, trials: Sequence[np.ndarray], couplings: Sequence[float], width: int):
        """Mean squares `[cell]`, gradient and matrix of up to `width` points `[P, cell]`."""
        plate, n = self.plate, len(self.sweeps)
        trials = [*trials, *[trials[0]] * (width - len(trials))]
        held = np.repeat([*couplings, *[couplings[0]] * (width - len(couplings))], n)
        z = np.concatenate([t[:, plate.owner] for t in trials], axis=1)
        found = self._problem(width)(z, held)
        assert found.matrix is not None
        sums = [
            np.add.reduceat(a.reshape(*a.shape[:-1], width, n), plate.first, axis=-1)
            for a in (found.value, found.gradient, found.matrix)
        ]
        return [[a[..., k, :] for a in sums] for k in range(width)]

    def _problem(self, width: int) -> Problem:
        plate = self.plate
        if width not in self._problems:

            def of_sweeps(a: Any):
                a = np.broadcast_to(a, (*np.shape(a)[:-1], plate.cells))
                return np.tile(a[..., plate.owner], width)

            cell = map_cells(of_sweeps, plate.cell)
            sweep = _stacked(plate.sweeps, width)
            how = plate.dt, plate.every, plate.clamp, 0.0, plate.precision
            self._problems[width] = Problem(cell, plate.space, [sweep], np.ones(1), *how)
        return self._problems[width]


def _stacked(sweeps: Sequence[Sweep], times: int) -> Sweep:
    """Sweeps side by side, `[..., times x sweep]`; what the shorter ones lack has no weight."""
    longest = max(n_steps(s.electrode) for s in sweeps)

    def beside(*leaves: Any):
        if np.ndim(leaves[0]) == 0 and len(set(map(float, leaves))) == 1:
            return leaves[0]
        filled = [np.pad(a, (0, longest - len(a)), mode="edge") for a in map(np.asarray, leaves)]
        return np.tile(np.stack(filled, axis=-1), times)

    electrode = jax.tree.map(beside, *(s.electrode for s in sweeps))
    records = max(len(s.error.data.data) for s in sweeps)

    def rows(kind: str, mode: Any) -> np.ndarray:
        all_of = [np.asarray(getattr(s.error.data, kind)) for s in sweeps]
        filled = [np.pad(a, (0, records - len(a)), mode=mode) for a in all_of]
        return np.tile(np.stack(filled, axis=-1), times)

    target = sweeps[0].error.data._replace(
        data=rows("data", "edge"), weight=rows("weight", "constant")
    )
    v_start, level = jax.tree.map(
        lambda *of: np.tile(of, times), *((s.v_start, s.level) for s in sweeps)
    )
    return Sweep(electrode, type(sweeps[0].error)(data=target), v_start, level)
