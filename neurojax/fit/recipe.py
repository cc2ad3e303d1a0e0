"""fit: the recipe that suits the recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neurojax.cell import Cell
from neurojax.electrode import Trace
from neurojax.fit.least_squares import least_squares, one_clamp
from neurojax.fit.parameters import Space, free
from neurojax.fit.result import Fit, Progress
from neurojax.fit.search import search


def fit(
    cell: Cell,
    traces: Sequence[Trace],
    space: Space | Sequence[str] | Mapping[str, Any],
    *,
    seconds: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Fit:
    """Fit the free parameters of a cell to the sweeps of a recording.

    Voltage clamp: least squares on the current from 32 starts. Current clamp: a search on the
    features of the spikes, since the plain voltage error of a real cell is smallest without any
    spike.

    Raises ValueError for no traces, mixed clamps or unknown parameters.
    """
    if not isinstance(space, Space):
        space = free(cell, space)
    if one_clamp(traces) == "voltage":
        return least_squares(
            cell, traces, space, starts=32, seconds=seconds, seed=seed, progress=progress
        )
    return search(cell, traces, space, seconds=seconds, seed=seed, progress=progress)
