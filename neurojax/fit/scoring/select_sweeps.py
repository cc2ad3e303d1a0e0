"""Which sweeps of a recording to fit, and which to hold out to test the fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurojax.recording.features import spikes
from neurojax.recording.trace import Trace

MOST = 7
"""Sweeps that a fit uses at once: a few that differ tell as much as all."""

_SHORT = 0.25
"""A step that lasts less than this part of the recording's longest is another experiment."""


def default_sweeps(traces: Sequence[Trace]) -> tuple[list[Trace], list[Trace]]:
    """Sweeps to fit and sweeps to predict, where the user names none.

    In voltage clamp all are fitted. In current clamp half is held out, see `every_second`, and of
    the others those are fitted that differ most; short pulses beside long steps are left out.
    """
    if any(t.clamp == "voltage" for t in traces):
        return list(traces), []
    long = _steps_alike(traces)
    fitted = select_sweeps(every_second(long)[0])
    return fitted, [t for t in long if not any(t is f for f in fitted)]


def _steps_alike(traces: Sequence[Trace]) -> list[Trace]:
    """The sweeps whose step is not much shorter than the longest, and those without a step."""
    windows = [t.step_window() for t in traces]
    longest = max((off - on for on, off, height in windows if height), default=0.0)
    return [
        t
        for t, (on, off, height) in zip(traces, windows, strict=True)
        if not height or off - on >= _SHORT * longest
    ]


def every_second(traces: Sequence[Trace]) -> tuple[list[Trace], list[Trace]]:
    """Sweeps to fit and to hold out: each second one, in order of their steps.

    Fitted are the strongest of all and, so that the threshold lies between two of them, the
    strongest without a spike; in between, what is held out alternates with what is fitted.
    """
    order = sorted(traces, key=lambda t: (_strength(t), t.sweep), reverse=True)
    firing, silent = _divided(order)
    fitted = firing[0::2] + silent[0 : len(silent) // 2 * 2 : 2]
    if not fitted:
        fitted = silent[:1]
    return fitted, [t for t in order if not any(t is f for f in fitted)]


def select_sweeps(traces: Sequence[Trace], most: int = MOST) -> list[Trace]:
    """The sweeps of a current-clamp recording that differ most.

    Of the silent ones the weakest, the strongest and one between; of those that fire the weakest,
    the strongest, beyond which nothing is predicted, and some between.
    """
    firing, silent = (sorted(some, key=_strength) for some in _divided(traces))
    quiet = _spread(silent, min(3, max(1, most // 2)))
    return quiet + _spread(firing, most - len(quiet))


def _divided(traces: Sequence[Trace]) -> tuple[list[Trace], list[Trace]]:
    """Those that fire, and those that do not."""
    fires = [_number(t) > 0 for t in traces]
    return (
        [t for t, f in zip(traces, fires, strict=True) if f],
        [t for t, f in zip(traces, fires, strict=True) if not f],
    )


def _number(trace: Trace) -> int:
    return int(spikes(trace.v_mV, trace.dt_ms).number)


def _strength(trace: Trace) -> tuple[float, float]:
    """The highest and the lowest level of the stimulus, pA or mV: an order from weak to strong."""
    stimulus = trace.i_pA if trace.clamp == "current" else trace.v_mV
    low, high = np.quantile(stimulus, (0.05, 0.95))
    return float(high), float(low)


def _spread(traces: Sequence[Trace], most: int) -> list[Trace]:
    """The first, the last, and some at even distances between."""
    at = np.linspace(0, len(traces) - 1, min(most, len(traces)))
    return [traces[k] for k in np.unique(np.rint(at).astype(int))]
