"""Which sweeps of a recording to fit, and which to hold out for the judgement of the fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurojax.electrode import Trace
from neurojax.features import spikes

MOST = 6
"""Sweeps that a fit uses at once: a few that differ tell as much as all."""


def every_second(traces: Sequence[Trace]) -> tuple[list[Trace], list[Trace]]:
    """Sweeps to fit and to hold out: each second one in order of their steps, the strongest fitted.

    What is held out then lies between what is fitted, but for the weakest step.
    """
    order = sorted(traces, key=lambda t: (_strength(t), t.sweep), reverse=True)
    return order[0::2], order[1::2]


def telling(traces: Sequence[Trace], most: int = MOST) -> list[Trace]:
    """Those that tell most of a current-clamp recording.

    Among the silent ones the weakest, the strongest and one between; among those that fire the one
    with the fewest spikes, the one with the most, and some between.
    """
    number = {id(t): int(spikes(t.v_mV, t.dt_ms).number) for t in traces}
    silent = sorted((t for t in traces if not number[id(t)]), key=_strength)
    firing = sorted((t for t in traces if number[id(t)]), key=lambda t: (number[id(t)], t.sweep))
    quiet = _spread(silent, min(3, max(1, most // 2)))
    return quiet + _spread(firing, most - len(quiet))


def _strength(trace: Trace) -> float:
    """The largest level of the stimulus, pA or mV, for an order from weak to strong."""
    on, off, height = trace.step_window()
    return trace.holding + height


def _spread(traces: Sequence[Trace], most: int) -> list[Trace]:
    """The first, the last, and some at even distances between."""
    at = np.linspace(0, len(traces) - 1, min(most, len(traces)))
    return [traces[k] for k in np.unique(np.rint(at).astype(int))]
