"""What is remarked on before a run: it can be made, but can hardly be meant."""

from __future__ import annotations

import math
import warnings

import jax
import numpy as np
from jax.core import Tracer

from neurojax.membrane.compartment import Cell
from neurojax.membrane.electrode import Electrode

DISPLACEMENT = 2e4
"""No current that is meant would charge the bare membrane by so many mV in a millisecond.

A shock of one step, which puts 100 mV on the membrane, is far below; what was given in pA and taken
for uA is far above.
"""


def remark_on_current(cell: Cell, electrode: Electrode, dt: float) -> None:
    """Warn (UserWarning) of a current that no cell of this area can be meant to get.

    Currents through the electrode are looked at; traced ones are taken as they are.
    """
    i, area, C_m = electrode.i, cell.area, cell.C_m
    if any(isinstance(x, Tracer) for x in jax.tree.leaves((i, area, C_m))) or np.size(i) == 0:
        return
    host = np.atleast_1d(np.asarray(i))  # in a program that is being traced JAX would trace this
    peak = np.maximum(host.max(axis=0), -host.min(axis=0))
    if cell.state_axes:  # it spreads over all of a cell with compartments
        area, C_m = np.mean(np.asarray(area)) * math.prod(cell.state_shape), np.min(np.asarray(C_m))
    capacitance = np.asarray(C_m) * np.asarray(area)
    if np.max(peak / capacitance) < DISPLACEMENT:
        return
    # As much in a millisecond, and not only for a shock of a step.
    charge = _charge(host, dt) if np.ndim(i) else peak
    moved = charge / capacitance
    if np.max(moved) >= DISPLACEMENT:
        warnings.warn(
            f"a current of up to {np.max(peak):.3g} uA, {1e6 * np.max(peak):.3g} pA, into a cell "
            f"of {1e8 * np.min(area):.4g} um2 would move its membrane by {np.max(moved):.2g} mV in "
            'a millisecond: is it meant in another unit? See current_clamp(i, unit="pA")',
            UserWarning,
            stacklevel=4,
        )


def _charge(i: np.ndarray, dt: float) -> np.ndarray:
    """The most that a current brings in a millisecond, in time along axis 0."""
    brought = np.concatenate([np.zeros_like(i[:1]), np.cumsum(i, axis=0) * dt])
    n = min(max(round(1 / dt), 1), len(i))
    return np.asarray(np.abs(brought[n:] - brought[:-n]).max(axis=0))
