"""A cell held where it was recorded: what drifts between sweeps must not pass for its response.

From sweep to sweep the potential before the stimulus moves by millivolts: seals, access and pumps
change. A constant current, found from that potential alone, makes up for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.loss import Level
from neurojax.membrane.axes import check_compartments
from neurojax.membrane.compartment import Cell
from neurojax.membrane.holding import held_at
from neurojax.membrane.pipette import clamped, from_elsewhere
from neurojax.recording import features
from neurojax.recording.trace import Trace
from neurojax.units import PA

_NOTHING_PA = 1e-3

_QUIET_MS = 10.0
"""Time before a stimulus without which a cell cannot be said to rest, ms."""


def begin(cell: Cell, v: Any, level: Level | None, shape: tuple[int, ...] = ()):
    """A cell and the state in which a sweep begins: held at a level, or settled at v, mV.

    v is what the amplifier read or commanded. Without a level the cell's inputs are those before
    the sweep, see `pipette.before`.
    """
    if level is None:
        return cell, clamped(cell, v, shape)
    cell, state, _ = held_at(cell, *level)
    whole = (*cell.state_shape, *shape) if shape else ()
    return cell, jax.tree.map(lambda a: jnp.broadcast_to(a, whole or jnp.shape(a)), state)


def patched(cell: Cell, at: int | None) -> Cell:
    """The cell with its electrode in compartment `at`, or where it is."""
    return cell if at is None else replace(cell, electrode_at=at)  # pyright: ignore[reportCallIssue]


def check_places(cell: Cell, traces: Sequence[Trace]) -> None:
    """Raise ValueError for traces of places that a cell has not.

    And where another pipette's current is on before the stimulus: what it holds is not known.
    """
    for trace in traces:
        where = f"sweep {trace.sweep}"
        for name in ("at", "current_at"):
            place = getattr(trace, name)
            if place is not None and not cell.state_axes:
                raise ValueError(f"{where}: {name} = {place}: the cell has one compartment")
            if place is not None:
                check_compartments(f"{where}: {name}", np.asarray(place), *cell.state_shape)
        if from_elsewhere(cell, trace) and abs(holding_pA(trace)) > _NOTHING_PA:
            raise ValueError(
                f"{where}: {holding_pA(trace):g} pA at compartment {trace.current_at} before the "
                "stimulus: a current of another pipette has to begin at 0"
            )


def stimulated(trace: Trace) -> tuple[float, float]:
    """When the current first leaves its holding level and when it is back for good, ms.

    A sweep without a step is all stimulus.
    """
    changes = trace.changes()
    if not changes.size:
        return 0.0, trace.duration_ms
    return float(changes[0]), float(changes[-1] if changes.size > 1 else trace.duration_ms)


def base_mV(trace: Trace) -> tuple[float, bool]:
    """The potential at which a sweep begins, and whether the cell rested there.

    That is its median before the stimulus; without 10 ms of peace it is just the first sample.
    """
    before = round(stimulated(trace)[0] / trace.dt_ms)
    quiet = trace.v_mV[:before]
    if before * trace.dt_ms < _QUIET_MS or features.spikes(quiet, trace.dt_ms).number:
        return float(trace.v_mV[0]), False
    return float(np.median(quiet)), True


def level(trace: Trace) -> Level:
    """From where a current-clamp sweep begins."""
    v, still = base_mV(trace)
    return Level(v, holding_pA(trace) * PA, still, trace.begun_minutes)


def holding_pA(trace: Trace) -> float:
    """The current under which a cell rests before the stimulus: what was really injected, pA.

    Without a time before it that is what the sweep says of itself.
    """
    before = trace.i_pA[: round(stimulated(trace)[0] / trace.dt_ms)]
    return float(np.median(before)) if before.size else trace.holding
