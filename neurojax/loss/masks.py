"""Which samples of a recording count: not those of artefacts, or of spikes told by other means."""

from __future__ import annotations

import numpy as np

from neurojax import features
from neurojax.electrode import Trace


def capacitive_mask(
    trace: Trace, *, before_ms: float = 0.2, after_ms: float = 4.6, jump_mV: float = 5.0
) -> np.ndarray:
    """Samples to keep `[sample]` of a voltage-clamp trace: all but those at steps of the command.

    A capacitive transient follows each jump of the command; it is left out of the objective, never
    cut from the data.
    """
    jumps = np.flatnonzero(np.abs(np.diff(trace.v_mV)) > jump_mV) + 1
    return _away(trace, jumps, before_ms, after_ms)


def artefact_mask(
    trace: Trace, *, before_ms: float = 0.1, after_ms: float = 1.0, jump: float = 0.2
) -> np.ndarray:
    """Samples to keep `[sample]` of a current-clamp trace: all but those at steps of its current.

    A step, between neighbouring samples, is more than the share `jump` of the sweep's largest.
    There the electrode's own resistance and capacitance show.
    """
    moves = np.abs(np.diff(trace.i_pA))
    return _away(
        trace, np.flatnonzero(moves > jump * moves.max(initial=0.0)) + 1, before_ms, after_ms
    )


def spike_mask(trace: Trace, *, before_ms: float = 2.0, after_ms: float = 5.0) -> np.ndarray:
    """Samples to keep `[sample]` of a current-clamp trace: all but those around peaks of spikes."""
    peaks = features.spikes(trace.v_mV, trace.dt_ms).times
    return _away(trace, np.rint(peaks / trace.dt_ms).astype(int), before_ms, after_ms)


def _away(trace: Trace, samples: np.ndarray, before_ms: float, after_ms: float) -> np.ndarray:
    keep = np.ones(trace.v_mV.size, dtype=bool)
    before, after = round(before_ms / trace.dt_ms), round(after_ms / trace.dt_ms)
    for k in samples:
        keep[max(0, k - before) : k + after + 1] = False
    return keep
