"""Recorded traces made ready for comparison with a run: what was done, the data, what counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from neurojax.loss.error import VoltageError, error_of, scaled
from neurojax.membrane.compartment import Cell
from neurojax.membrane.electrode import Electrode, from_trace, nudged, resample
from neurojax.membrane.pipette import repeated
from neurojax.recording.trace import Trace

ALIKE = 0.9
"""Sweeps of a voltage clamp at least this part as long as another are padded to its length."""


class Level(NamedTuple):
    """At which a cell was held before a sweep's stimulus."""

    v: Any  # mV, what the amplifier read
    holding: Any  # uA, what it injected
    still: Any  # whether the cell rested there; where it did not the sweep only begins at v
    minutes: Any  # when the sweep began in its recording


class Sweep(NamedTuple):
    """A trace made ready for comparison with a simulation."""

    electrode: Electrode
    error: VoltageError  # its data are the Target `[record]`
    v_start: Any  # mV: the gates have settled here when the sweep begins
    level: Level | None = None  # at which a current holds the cell, where one does
    at: Any = None  # the compartment where it was recorded; None: where the cell's electrode is


def prepare(
    traces: Sequence[Trace],
    dt: float,
    every: int = 1,
    keep: Sequence[Bool[np.ndarray, " _"] | None] | None = None,  # `[sample]` each
    *,
    cell: Cell | None = None,
) -> list[Sweep]:
    """Traces as sweeps; their squared residuals sum to the mean squared error of all kept samples.

    `keep` marks the samples of each trace that count. A record that falls between
    samples is compared with their linear interpolation, and counts where its nearest sample does.
    The stimulus reaches a `cell` by its pipette, if it has one.
    In current clamp the electrode's v_cmd carries the data, so that coupling it (g > 0) nudges.
    In voltage clamp sweeps and protocols that are nearly as long as each other are one program: the
    shorter ones go on at their last command, where nothing counts.

    Raises ValueError when a mask does not fit its trace or leaves nothing.
    """
    sweeps = []
    traces, keep = _alike(traces, keep or [None] * len(traces))
    for k, trace in enumerate(traces):
        electrode = from_trace(trace, dt) if cell is None else repeated(cell, trace, dt)
        if trace.clamp == "current":
            data_mV = resample(trace.v_mV, trace.dt_ms, dt, at=0.5)
            electrode = nudged(electrode, data_mV, g=0.0)
        error = error_of(trace, dt * every, keep[k])
        sweeps.append(Sweep(electrode, error, trace.v_mV[0], at=trace.at))
    total = sum(s.error.data.weight.sum() for s in sweeps)
    if total == 0:
        raise ValueError("the mask leaves no sample to fit")
    return [s._replace(error=scaled(s.error, total**-0.5)) for s in sweeps]


def _alike(
    traces: Sequence[Trace], keep: Sequence[Bool[np.ndarray, " _"] | None]
) -> tuple[list[Trace], list[Bool[np.ndarray, " _"] | None]]:
    """The traces of a voltage clamp, those of like length padded to one, and what of them counts.

    Others are as they were.
    """
    padded, kept = list(traces), list(keep)
    longest = np.inf
    for k in sorted(range(len(traces)), key=lambda k: -traces[k].duration_ms):
        trace, mask = traces[k], keep[k]
        if trace.clamp != "voltage":
            continue
        if not ALIKE * longest <= trace.duration_ms <= longest:
            longest = trace.duration_ms
        more = round((longest - trace.duration_ms) / trace.dt_ms)
        fits = mask is None or np.shape(mask) == trace.v_mV.shape  # another is refused later
        if more > 0 and fits:
            v, i = (np.pad(x, (0, more), mode="edge") for x in (trace.v_mV, trace.i_pA))
            padded[k] = replace(trace, v_mV=v, i_pA=i)
            mask = np.ones(trace.v_mV.size, dtype=bool) if mask is None else mask
            kept[k] = np.pad(mask, (0, more))
    return padded, kept
