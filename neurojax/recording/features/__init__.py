"""features: what a person reads off a voltage trace: spikes, their shape, firing, the membrane.

Plain numpy on the host, vectorised over the population, for recordings and simulations alike. Names
in brackets are eFEL's (https://efel.readthedocs.io) for the same thing. Compare two traces only at
the same sampling interval: a coarse one cuts the tops off spikes.

Where eFEL is not followed: every excursion above -20 mV is a spike to it, so that a cell on its way
into depolarisation block had 98 for 8, by noise, and 1 for 16, where v stayed above; here a spike
stands out by 20 mV on either side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from textwrap import indent
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from neurojax.recording.features.detection import Samples, Spikes, spikes
from neurojax.recording.features.passive import Subthreshold, subthreshold
from neurojax.recording.features.propagation import arrival, conduction_velocity
from neurojax.recording.features.shape import ONSET_SLOPE, Shapes, shapes
from neurojax.recording.features.tolerances import TOLERANCES, Tolerance, tolerances_of
from neurojax.recording.features.train import Firing, firing
from neurojax.recording.spike import PROMINENCE, THRESHOLD
from neurojax.recording.trace import Trace

__all__ = [
    "ONSET_SLOPE",
    "PROMINENCE",
    "THRESHOLD",
    "TOLERANCES",
    "Features",
    "Firing",
    "Shapes",
    "Spikes",
    "Subthreshold",
    "Tolerance",
    "arrival",
    "conduction_velocity",
    "features",
    "firing",
    "of_trace",
    "shapes",
    "spikes",
    "subthreshold",
    "tolerances_of",
]


class Features(NamedTuple):
    """All features of one trace, or of each cell of a population; printed with their units."""

    spikes: Spikes
    shapes: Shapes
    firing: Firing
    subthreshold: Subthreshold

    def __str__(self) -> str:
        return "\n".join(f"{name}\n{indent(str(x), '  ')}" for name, x in self._asdict().items())


def features(
    v: Samples,
    dt: float,
    window: tuple[float, float] | None = None,
    step_pA: float | Float[np.ndarray | Array, "*pop"] | None = None,
    *,
    rest: tuple[float, float] | None = None,
    edges: Sequence[float] = (),
    onset_slope: float = ONSET_SLOPE,
) -> Features:
    """Features of v (mV), sampled every dt ms, under a step (on, off) in ms.

    Without a window the whole trace counts as the step, and what needs a time before it is NaN;
    without the height of the step so is the input resistance.
    `rest` (from, to) is when the cell rested before the step, by default all the time before it;
    at `edges` (ms) the stimulus itself moves v, which is no onset of a spike. A spike begins where
    v rises at `onset_slope`, mV/ms.
    """
    v = np.asarray(v)
    window = window if window is not None else (0.0, len(v) * dt)
    found = spikes(v, dt)
    return Features(
        found,
        shapes(v, dt, found, edges, onset_slope),
        firing(found, window),
        subthreshold(v, dt, window, step_pA, rest),
    )


def of_trace(
    trace: Trace, window: tuple[float, float] | None = None, onset_slope: float = ONSET_SLOPE
) -> Features:
    """Features of a recorded or simulated current-clamp trace under its main step.

    `window` (on, off), ms, chooses another; spikes begin at `onset_slope`, mV/ms. Base is what the
    cell rests at before the step, the command at holding; there is a resistance where the step is
    at one level and the cell silent.

    Raises ValueError for a voltage clamp, whose potential is a command.
    """
    if trace.clamp == "voltage":
        raise ValueError(
            f"sweep {trace.sweep} is a voltage clamp: its potential is commanded and has no "
            "features; expected a current clamp (nj.iv_curves reads off voltage clamps)"
        )
    if window is not None:
        trace = replace(trace, window=(float(window[0]), float(window[1])))
    step = trace.main_step()
    told = features(
        trace.v_mV,
        trace.dt_ms,
        (step.on, step.off),
        step.height if step.flat else None,
        rest=trace.rest_before(step.on),
        edges=[x for s in trace.steps() for x in (s.on, s.off)],
        onset_slope=onset_slope,
    )
    if not told.firing.number:
        return told
    # Spikes and what follows them are no passive response.
    passive = told.subthreshold._replace(resistance_MOhm=np.array(np.nan))
    return told._replace(subthreshold=passive)
