"""What reaches a cell during a run: checked and counted before it, and step by step within it."""

from __future__ import annotations

import math

import numpy as np
from jax.core import Tracer

from neurojax.membrane.axes import check_compartments, check_length
from neurojax.membrane.channel import Leaf
from neurojax.membrane.compartment import Cell, imposes
from neurojax.membrane.electrode import Electrode, n_steps
from neurojax.membrane.events import (
    Arrival,
    Events,
    arrivals,
    check_events,
    counted,
    edges,
    on_average,
)

LARGEST_AREA = 0.1
"""No compartment has so many cm2: who has them counts in densities."""


def ready(cell: Cell, electrode: Electrode, dt: float) -> Electrode:
    """The electrode of a run, its events counted.

    Raises ValueError for events or currents that the run cannot have, see `check_events`.
    """
    check_length("comp", math.prod(cell.state_shape), electrode=electrode)
    n, duration = math.prod(cell.state_shape), n_steps(electrode) * dt
    for k, current in enumerate(electrode.currents):
        check_compartments(f"currents.{k}.at", current.at, n)
    found = {}
    for name, events in electrode.events.items():
        check_events(name, events, duration)
        check_compartments(f"events of {name!r}: at", events.at, n)
        _check_area(name, cell)
        found[name] = counted(events, dt, pulses=name not in cell.channels)
    return electrode._replace(events=found)


def _check_area(name: str, cell: Cell) -> None:
    """Raise ValueError where nS meet a cell whose area nobody gave."""
    if name not in cell.channels or isinstance(cell.area, Tracer):
        return
    largest = np.max(np.asarray(cell.area))
    if largest >= LARGEST_AREA:
        raise ValueError(
            f"events of {name!r} open a conductance of one place, nS, but the area is "
            f"{largest:g} cm2: give the cell its own"
        )


def in_steps(cell: Cell, electrode: Electrode, dt: Leaf) -> Electrode:
    """The electrode with what arrives in each step, in place of its events.

    The gates of a state are those of the middle of the step before it, unless a clamp imposes the
    potential: then those at its end.
    """
    if not electrode.events:
        return electrode
    imposed, steps = imposes(cell, electrode), n_steps(electrode)

    def arriving(name: str, events: Events) -> tuple[Arrival, ...]:
        if name not in cell.channels:
            return arrivals(edges(events), dt, steps, 0.0 if imposed else 0.5)
        arrived = arrivals(events, dt, steps, 0.0)
        return arrived if imposed else on_average(arrived, dt)

    return electrode._replace(events={k: arriving(k, x) for k, x in electrode.events.items()})
