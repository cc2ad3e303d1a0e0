"""Which samples of a recording count: not those of artefacts, or of spikes."""

from __future__ import annotations

import warnings
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool

from neurojax.membrane.compartment import Cell
from neurojax.membrane.pipette import pipette_of
from neurojax.recording import features
from neurojax.recording.spike import MARGIN_MS
from neurojax.recording.trace import Trace

Keep: TypeAlias = Bool[np.ndarray, " sample"]
"""Which samples of a trace count."""


class MaskWarning(UserWarning):
    """Little of a sweep is left to be fitted."""


def capacitive_mask(
    trace: Trace, *, before_ms: float = 0.2, after_ms: float = 4.6, jump_mV: float = 5.0
) -> Keep:
    """Samples to keep of a voltage-clamp trace: all but those at steps of the command.

    A capacitive transient follows each jump of the command; it is left out of the objective, never
    cut from the data. Warns where more than half of a sweep is left out.
    """
    jumps = np.flatnonzero(np.abs(np.diff(trace.v_mV)) > jump_mV) + 1
    keep = _away(trace, jumps, before_ms, after_ms)
    if (left_out := 1 - keep.mean()) > 0.5:
        where = f"sweep {trace.sweep} of {trace.name or trace.origin.path or 'the recording'}"
        warnings.warn(
            f"{where}: {100 * left_out:.0f} % of its {trace.duration_ms:.4g} ms do not count, as "
            f"capacitive transients of {jumps.size} steps of the command ({before_ms:g} ms before "
            f"each to {after_ms:g} ms after it). Where they settle sooner pass keep="
            "[capacitive_mask(trace, after_ms=...)], or fit them, with a Pipette in the cell",
            MaskWarning,
            stacklevel=2,
        )
    return keep


def counted(cell: Cell, trace: Trace) -> Keep | None:
    """Samples that count unless one says otherwise; None for all.

    All but capacitive transients, which a cell without a pipette has not.
    """
    if trace.clamp == "voltage" and pipette_of(cell) is None:
        return capacitive_mask(trace)
    return None


def artefact_mask(
    trace: Trace, *, before_ms: float = 0.1, after_ms: float = 1.0, jump: float = 0.2
) -> Keep:
    """Samples to keep of a current-clamp trace: all but those at steps of its current.

    A step, between neighbouring samples, is more than the share `jump` of the sweep's largest.
    There the electrode's own resistance and capacitance show.
    """
    moves = np.abs(np.diff(trace.i_pA))
    return _away(
        trace, np.flatnonzero(moves > jump * moves.max(initial=0.0)) + 1, before_ms, after_ms
    )


def spike_mask(
    trace: Trace, *, before_ms: float = MARGIN_MS[0], after_ms: float = MARGIN_MS[1]
) -> Keep:
    """Samples to keep of a current-clamp trace: all but those around peaks of spikes."""
    peaks = features.spikes(trace.v_mV, trace.dt_ms).times
    return _away(trace, np.rint(peaks / trace.dt_ms).astype(int), before_ms, after_ms)


def _away(trace: Trace, samples: np.ndarray, before_ms: float, after_ms: float) -> Keep:
    keep = np.ones(trace.v_mV.size, dtype=bool)
    before, after = round(before_ms / trace.dt_ms), round(after_ms / trace.dt_ms)
    for k in samples:
        keep[max(0, k - before) : k + after + 1] = False
    return keep
