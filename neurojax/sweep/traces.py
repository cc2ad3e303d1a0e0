"""Traces of a few cells of a sweep, simulated anew: potentials, or currents of a voltage clamp."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from neurojax.run.simulation import simulate
from neurojax.sweep.definition import Sweep
from neurojax.units import check_known


def traces(
    sweep: Sweep, numbers: np.ndarray, protocol: str = "", every_ms: float = 0.1
) -> tuple[Float[np.ndarray, " record"], Float[np.ndarray, "record cell"]]:
    """What some cells do under a protocol (default: the first): t in ms, and v in mV.

    Under a voltage clamp it is the current in pA instead.

    Records are about `every_ms` apart. They are the sweep's cells, but computed in a population of
    another size: their last digits may differ from the sweep's. Raises ValueError for an unknown
    protocol or cells that there are not.
    """
    protocol = protocol or next(iter(sweep.protocols))
    check_known(protocol, sweep.protocols, "protocol")
    numbers = np.asarray(numbers)
    if numbers.ndim != 1 or not numbers.size or numbers.min() < 0 or numbers.max() >= sweep.cells:
        raise ValueError(f"cells {numbers}: expected numbers from 0 to {sweep.cells - 1}")
    values, run = sweep.values(numbers), sweep.protocols[protocol]
    cells = sweep.cells_of(numbers, values)
    name = "i_amp" if run.of_voltage else "v"
    recording = simulate(
        cells,
        run.at(sweep.of_protocol(protocol, values), cells),
        run.dt,
        record=(name,),
        every=min(max(round(every_ms / run.dt), 1), run.steps),
        initial=run.initial,
        at=[sweep.at] if sweep.cell.state_axes else None,
    )
    v = np.asarray(recording.data[name])
    return np.asarray(recording.t), v[:, 0] if sweep.cell.state_axes else v
