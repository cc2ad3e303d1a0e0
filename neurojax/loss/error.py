"""Errors record by record: the potential, or the current under a clamp, against recorded data."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float

from neurojax.engine.folds import Squares
from neurojax.membrane.channel import pytree
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.electrode import resample
from neurojax.membrane.observables import amplifier_current, amplifier_potential
from neurojax.recording.trace import Trace


class Target(NamedTuple):
    """What one record is compared with: data in mV or pA, and the weight of its residual."""

    data: Float[np.ndarray | Array, " record"]
    weight: Float[np.ndarray | Array, " record"]


@pytree
class VoltageError(Squares):
    """Sum of squared weighted errors of the membrane potential, mV, against a Target."""

    unit: ClassVar[str] = "mV"

    def measured(self, cell: Cell, s: State) -> Float[Array, "*pop"]:
        """What the amplifier reads of a state, in `unit`."""
        return amplifier_potential(cell, s)

    def residual(self, cell: Cell, s: State, row: Any) -> Float[Array, " residual *pop"]:
        return ((self.measured(cell, s) - row.data) * row.weight)[None]


@pytree
class CurrentError(VoltageError):
    """Sum of squared weighted errors of the current under a voltage clamp, pA.

    The clamp is ideal but for the pipette that the cell may have.
    """

    unit: ClassVar[str] = "pA"

    def measured(self, cell: Cell, s: State) -> Float[Array, "*pop"]:
        return amplifier_current(cell, s)


def trace_error(
    trace: Trace,
    record_ms: float,
    keep: Bool[np.ndarray, " sample"] | None = None,
    tolerance: float = 1.0,
) -> VoltageError:
    """Mean squared error of what a trace measured (mV or pA), in tolerances, over what counts.

    The arguments are those of `error_of`.
    """
    error = error_of(trace, record_ms, keep)
    return scaled(error, 1 / tolerance / np.sqrt(error.data.weight.sum()))


def error_of(
    trace: Trace, record_ms: float, keep: Bool[np.ndarray, " sample"] | None = None
) -> VoltageError:
    """Sum of squared errors of what a trace measured, in records `record_ms` apart.

    `keep` marks the samples that count. A record between samples is compared with their
    linear interpolation, and counts where its nearest sample does. Raises ValueError when a mask
    does not fit.
    """
    measured = trace.v_mV if trace.clamp == "current" else trace.i_pA
    data = resample(measured, trace.dt_ms, record_ms, at=1.0)
    kept = np.ones(measured.size, dtype=bool) if keep is None else np.asarray(keep, dtype=bool)
    if kept.shape != measured.shape:
        raise ValueError(
            f"sweep {trace.sweep}: the mask has shape {kept.shape}, the trace {measured.shape}"
        )
    times = (np.arange(data.size) + 1) * record_ms
    nearest = np.minimum(np.rint(times / trace.dt_ms).astype(int), kept.size - 1)
    error = VoltageError if trace.clamp == "current" else CurrentError
    return error(data=Target(data, kept[nearest].astype(float)))


def scaled(error: VoltageError, by: float) -> VoltageError:
    """The same with residuals `by` times as large."""
    target = error.data
    return dataclasses.replace(error, data=target._replace(weight=target.weight * by))
