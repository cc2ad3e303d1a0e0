"""What is remarked on before a run: it can be made, but can hardly be meant."""

from __future__ import annotations

import math
import warnings
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from neurojax.membrane.axes import aligned, batch_shape
from neurojax.membrane.compartment import Cell
from neurojax.membrane.electrode import Electrode, Scaled

DISPLACEMENT = 2e4
"""No current that is meant would charge the bare membrane by so many mV in a millisecond.

A shock of one step, which puts 100 mV on the membrane, is far below; what was given in pA and taken
for uA is far above.
"""


FAR = 3.0
"""degC: with a Q10 of 3 a channel is 1.4 times faster there."""


def remark_on_temperature(cell: Cell) -> None:
    """Warn (UserWarning) of channels that do not follow the cell's temperature, far from theirs.

    Their papers tell no Q10, and the cell has no `default_q10`. Traced temperatures are not judged.
    """
    if cell.celsius is None or cell.default_q10 is not None or isinstance(cell.celsius, Tracer):
        return
    celsius = np.asarray(cell.celsius, np.float64)
    off = {
        key: f"{key!r} ({type(channel).__name__}, {channel.celsius_ref:g} degC)"
        for key, channel in cell.channels.items()
        if channel.lacks_q10() and np.any(np.abs(celsius - channel.celsius_ref) > FAR)
    }
    if off:
        warnings.warn(
            f"channels {', '.join(off.values())} have no Q10: they are as fast as at their own "
            f"temperature, the cell is at {np.max(celsius):g} degC. Cell(default_q10=...) tells "
            "how much faster per 10 degC they are taken to be, 1 that this is meant",
            UserWarning,
            stacklevel=4,
        )


def remark_on_current(cell: Cell, electrode: Electrode, dt: float) -> None:
    """Warn (UserWarning) of a current that no cell of this area can be meant to get.

    Currents through the electrode are looked at; traced ones are taken as they are.
    """
    own = aligned(cell, batch_shape(cell)) if cell.state_axes else cell
    i, area, C_m = electrode.i, own.area, own.C_m
    if any(isinstance(x, Tracer) for x in jax.tree.leaves((i, area, C_m))):
        return
    # In a program that is being traced JAX would trace what is computed of its arrays.
    i = jax.tree.map(np.asarray, i)
    course = i.shape if isinstance(i, Scaled) else i
    host = np.atleast_1d(course)
    if host.size == 0:
        return
    peak = _largest(i, host.min(axis=0), host.max(axis=0))
    if cell.state_axes:  # it spreads over all of a cell with compartments
        area, C_m = np.mean(np.asarray(area)) * math.prod(cell.state_shape), np.min(np.asarray(C_m))
    capacitance = np.asarray(C_m) * np.asarray(area)
    if np.max(peak / capacitance) < DISPLACEMENT:
        return
    # As much in a millisecond, and not only for a shock of a step.
    charge = _charge(i, host, dt) if np.ndim(course) else peak
    moved = charge / capacitance
    if np.max(moved) >= DISPLACEMENT:
        warnings.warn(
            f"a current of up to {np.max(peak):.3g} uA, {1e6 * np.max(peak):.3g} pA, into a cell "
            f"of {1e8 * np.min(area):.4g} um2 would move its membrane by {np.max(moved):.2g} mV in "
            'a millisecond: is it meant in another unit? See current_clamp(i, unit="pA")',
            UserWarning,
            stacklevel=4,
        )


def _largest(i: Any, low: Any, high: Any) -> np.ndarray:
    """How large a current is at most `[*pop]`, where it, or its shape, is between low and high."""
    ends = [np.abs(i.at(x) if isinstance(i, Scaled) else x) for x in (low, high)]
    return np.asarray(np.maximum(*ends))


def _charge(i: Any, host: np.ndarray, dt: float) -> np.ndarray:
    """The most that a current, or its shape in time along axis 0, brings in a millisecond."""
    summed = np.concatenate([np.zeros_like(host[:1]), np.cumsum(host, axis=0)])
    n = min(max(round(1 / dt), 1), len(host))
    means = (summed[n:] - summed[:-n]) / n
    return np.asarray(n * dt * _largest(i, means.min(axis=0), means.max(axis=0)))
