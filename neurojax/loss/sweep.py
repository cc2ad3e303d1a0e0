"""Recorded traces made ready for comparison with a run: what was done, the data, what counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.electrode import Electrode, Trace, from_trace, nudged, resample
from neurojax.loss.error import CurrentError, Target, VoltageError


class Sweep(NamedTuple):
    """A trace made ready for comparison with a simulation."""

    electrode: Electrode
    error: VoltageError  # its data are the Target `[record]`
    v_start: Any  # mV: the gates have settled here when the sweep begins


def prepare(
    traces: Sequence[Trace], dt: float, every: int = 1, keep: Sequence[np.ndarray] | None = None
) -> list[Sweep]:
    """Traces as sweeps; their squared residuals sum to the mean squared error of all kept samples.

    `keep` marks the samples `[sample]` of each trace that count. A record that falls between
    samples is compared with their linear interpolation, and counts where its nearest sample does.
    In current clamp the electrode's v_cmd carries the data, so that coupling it (g > 0) nudges.

    Raises ValueError when a mask does not fit its trace or leaves nothing.
    """
    sweeps = []
    for k, trace in enumerate(traces):
        electrode = from_trace(trace, dt)
        measured = trace.v_mV if trace.clamp == "current" else trace.i_pA
        data = resample(measured, trace.dt_ms, dt * every, at=1.0)
        kept = (
            np.ones(measured.size, dtype=bool) if keep is None else np.asarray(keep[k], dtype=bool)
        )
        if kept.shape != measured.shape:
            raise ValueError(
                f"sweep {trace.sweep}: the mask has shape {kept.shape}, the trace {measured.shape}"
            )
        times = (np.arange(data.size) + 1) * dt * every
        nearest = np.minimum(np.rint(times / trace.dt_ms).astype(int), kept.size - 1)
        if trace.clamp == "current":
            data_mV = resample(trace.v_mV, trace.dt_ms, dt, at=0.5)
            electrode = nudged(electrode, data_mV, g=0.0)
        error = VoltageError if trace.clamp == "current" else CurrentError
        target = Target(data, kept[nearest].astype(float))
        sweeps.append(Sweep(electrode, error(data=target), trace.v_mV[0]))
    total = sum(s.error.data.weight.sum() for s in sweeps)
    if total == 0:
        raise ValueError("the mask leaves no sample to fit")
    return [s._replace(error=_scaled(s.error, 1 / np.sqrt(total))) for s in sweeps]


def _scaled(error: VoltageError, by: float) -> VoltageError:
    target = error.data
    return dataclasses.replace(error, data=target._replace(weight=target.weight * by))
