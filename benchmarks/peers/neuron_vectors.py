"""What every peer in NEURON does alike: a Vector per cell, filled at every step."""

from __future__ import annotations

from typing import Any

import numpy as np
import worker
from neuron import h


def in_vectors(cells: Any, job: worker.Job, v_start: float) -> worker.Run:
    """Cells that have `clamps`, `voltages` and a `pc`, each recorded by a Vector at every step."""
    _, every = worker.steps(job)
    # The clamp says on which thread a cell is; else NEURON searches all of them for every vector.
    pairs = zip(cells.clamps, cells.voltages, strict=True)
    vectors = [h.Vector().record(clamp, reference) for clamp, reference in pairs]

    def collect():
        return np.stack([np.asarray(x)[every::every] for x in vectors], axis=-1)

    def run():
        h.finitialize(v_start)
        cells.pc.psolve(job["ms"])
        return collect

    return run
