"""Quality of a plate's recordings: noise, seal, access, run-down, read off the traces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurojax.recording.trace import Trace

_NORMAL = 0.6744897501960817
"""The median of the absolute value of a standard normal number."""


def noise_between_samples(traces: Sequence[Trace]) -> float:
    """Standard deviation of white noise, in pA (voltage clamp) or mV, whatever lies beneath it.

    From the differences of neighbouring samples, by their median, which neither a slow current nor
    transients move. Noise that a filter has made smooth is larger than it says.
    """
    sizes = []
    for trace in traces:
        measured = trace.i_pA if trace.clamp == "voltage" else trace.v_mV
        sizes.append(np.abs(np.diff(measured, 2)))
    return float(np.median(np.concatenate(sizes)) / _NORMAL / np.sqrt(6))
