"""Where a cohort begins: kinetics that were found in a coarse fit, not drawn from the box.

Random kinetics over decades bring a whole cohort into its basin about every second time, and each
look at it costs all of its cells. So a few cells, in coarse steps, find them first.
"""

from __future__ import annotations

import numpy as np

from neurojax.fit.budget import Budget
from neurojax.fit.candidates import Candidates
from neurojax.fit.hierarchical.projection import Kinetics, Projection
from neurojax.fit.hierarchical.recordings import Plate
from neurojax.fit.optimisers.descent import Schedule, descend, lanes
from neurojax.fit.optimisers.levenberg import BOLD
from neurojax.fit.stages.draw import COARSE_MS, Draw
from neurojax.fit.stages.polish import Polish
from neurojax.membrane.pipette import pipette_of

FEW = 12
"""Cells that find the kinetics together where they share a simulation."""

ALONE = 3
"""Cells that are fitted each by itself where they do not."""

FINE = 2
"""Starts that go on in fine steps."""


def from_kinetics(
    projection: Projection, starts: int, seed: int, budget: Budget
) -> list[np.ndarray]:
    """Points `[P, cell]`, best first: what is shared by many starts, and what suits each cell."""
    plate, shared = projection.plate, projection.shared
    dt = max(plate.dt, COARSE_MS)
    few = _spread(plate, FEW)
    drawn = Draw(starts, dt=dt).run(plate.task(int(few[len(few) // 2]), dt, seed), None, budget)
    if not len(drawn):
        return []
    coarse = Kinetics(Projection(plate.of(few, dt), shared))
    found = _descended(
        coarse, drawn.z[shared], Schedule(iterations=120, tolerance=1e-4), "kinetics", budget
    )
    fine = Kinetics(projection)
    some = found.within(1.2).distinct(FINE)
    how = Schedule(iterations=30, optimiser=BOLD)
    found = _descended(fine, some, how, "kinetics of all", budget)
    return [projection.with_own(fine.points(z[:, None])) for z in found.z.T]


def _descended(
    problem: Kinetics, z: np.ndarray, schedule: Schedule, name: str, budget: Budget
) -> Candidates:
    with budget.stage(name, problem.of.plate.unit) as log:
        z, values = descend(problem, z, schedule, log, width=lanes(z.shape[1]))
        log.conclude(problem.error(values))
    return Candidates.sorted(z, problem.error(values), problem.of.plate.unit)


def from_single_cells(plate: Plate, seed: int, budget: Budget) -> list[np.ndarray]:
    """Points `[P]` at which a few cells of a voltage clamp ended, each fitted alone; best first."""
    piped = pipette_of(plate.cell) is not None
    dt = plate.dt if piped else max(plate.dt, COARSE_MS)
    ends: list[tuple[float, np.ndarray]] = []
    for k in _spread(plate, ALONE):
        if ends and budget.hurried:
            break
        task = plate.task(int(k), dt, seed)
        drawn = Draw(dt=dt).run(task, None, budget)
        if not len(drawn):  # a lost cell
            continue
        polish = Polish(dt=dt, iterations=120, name=f"{plate.names[k]} alone")
        found = polish.run(task, drawn, budget)
        if len(found):
            ends.append((found.errors[0] / plate.scatter[k], found.best))
    return [z for _, z in sorted(ends, key=lambda end: end[0])]


def _spread(plate: Plate, n: int) -> np.ndarray:
    """Up to n cells, from small to large currents; broken ones are mostly at the ends of these."""
    order = np.argsort(plate.scatter, kind="stable")
    places = np.linspace(0.1, 0.9, n) * (plate.cells - 1)
    return order[np.unique(np.rint(places).astype(int))]
