"""Standing: where the starts of a cohort are, and a file of it from which the fit goes on.

A descent depends on nothing but what was simulated: a fit that was killed and goes on from its file
ends with the same numbers, bit for bit, as one that was not.
"""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from neurojax import io
from neurojax.engine import processes
from neurojax.fit.budget import CHECKPOINT_S
from neurojax.fit.hierarchical.cohort_descent import CohortDescent, Plan
from neurojax.fit.hierarchical.recordings import Plate
from neurojax.recording.trace import RecordingError

_KIND = "cohort under way"


@dataclass
class Standing:
    """Starts that have ended, those under way, and points `[draw, P, cell]` of those that wait."""

    waiting: list[np.ndarray]
    under_way: list[CohortDescent] = field(default_factory=list[CohortDescent])
    ended: list[CohortDescent] = field(default_factory=list[CohortDescent])

    @property
    def begun(self) -> list[CohortDescent]:
        """All starts but those that wait."""
        return [*self.ended, *self.under_way]


class Checkpoint:
    """The file of a cohort's standing, if there is one; only the first process writes it."""

    def __init__(self, path: str | os.PathLike[str] | None, plan: Plan, fingerprint: str):
        self.path = None if path is None else Path(path).expanduser()
        self.plan, self.fingerprint, self.saved = plan, fingerprint, time.monotonic()

    def read(self) -> Standing | None:
        """Where the fit was. None where nothing has been written yet.

        Raises ValueError for the file of another fit, RecordingError for one that is none.
        """
        if self.path is None or not self.path.exists():
            return None
        found = io.load(self.path)
        told = found.settings
        if told.get("kind") != _KIND:
            raise RecordingError(f"{self.path}: is no checkpoint of a cohort: name a new file")
        if told["fingerprint"] != self.fingerprint:
            raise ValueError(
                f"checkpoint {self.path} is of another cohort: its recordings, cell, space or "
                "settings differ. Name a new file, or delete this one"
            )

        def descents(group: str) -> list[CohortDescent]:
            made: list[CohortDescent] = []
            for k, settings in enumerate(told[group]):
                begin = f"{group}/{k}/"
                own = {
                    n.removeprefix(begin): a for n, a in found.arrays.items() if n.startswith(begin)
                }
                made.append(CohortDescent.restored(self.plan, own, settings))
            return made

        waiting = [found.arrays[f"waiting/{k}"] for k in range(told["waiting"])]
        return Standing(waiting, descents("under way"), descents("ended"))

    def keep(self, standing: Standing, now: bool = False) -> None:
        """Write it when it is time to, or `now`. What cannot be written ends no fit."""
        if self.path is None or not processes.first():
            return
        if not now and time.monotonic() - self.saved < CHECKPOINT_S:
            return
        arrays = {f"waiting/{k}": z for k, z in enumerate(standing.waiting)}
        told: dict[str, Any] = {
            "kind": _KIND, "fingerprint": self.fingerprint, "waiting": len(standing.waiting),
        }  # fmt: skip
        for group, descents in (("under way", standing.under_way), ("ended", standing.ended)):
            told[group] = []
            for k, descent in enumerate(descents):
                own, settings = descent.state()
                arrays |= {f"{group}/{k}/{name}": a for name, a in own.items()}
                told[group].append(settings)
        try:
            io.save(self.path, io.Results(arrays=arrays, settings=told))
        except OSError as error:
            warnings.warn(f"no checkpoint: {error}", stacklevel=2)
        self.saved = time.monotonic()


def fingerprint(plate: Plate, plan: Plan, *settings: Any) -> str:
    """A hash of what the numbers of a cohort depend on, but for neurojax itself and the machine."""
    hashed = hashlib.sha256(f"{jax.tree.structure(plate.cell)}{plate.space.free}".encode())
    how = plate.clamp, plate.dt, plate.every, plate.hold, plate.precision, *settings
    hashed.update(f"{how}{plan.couplings}{plan.iterations}{plan.tolerance}".encode())
    known = [*jax.tree.leaves(plate.cell), plan.shared, plan.pooled, plan.samples]
    known += [] if plan.noise is None else [plan.noise]
    for sweeps, masks in zip(plate.recordings, plate.masks, strict=True):
        known += [a for t in sweeps for a in (t.v_mV, t.i_pA, t.dt_ms)]
        known += [m for m in masks if m is not None]
    for array in known:
        hashed.update(np.ascontiguousarray(array, float).tobytes())
    return hashed.hexdigest()
