"""Tolerances: what difference of a feature between two traces counts as one, for all that compare.

The score of a search, objectives on features, plots and reports read them here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurojax.recording.features.detection import Spikes


class Tolerance(NamedTuple):
    """A constant, or a share of what was recorded, whichever is larger."""

    unit: str
    least: float = 0.0  # in this unit
    share: float = 0.0  # 0.04 is 4 %
    whole: str = ""  # what it is a share of

    def at(self, whole: float = 0.0) -> float:
        """The tolerance where so much was recorded, in its unit."""
        return max(self.least, self.share * whole)

    def __str__(self) -> str:
        least = f"{self.least:g} {self.unit}" if self.unit != "1" else f"{self.least:g}"
        if not self.share:
            return least
        share = f"{100 * self.share:g} % of {self.whole}"
        return f"{share}, at least {least}" if self.least else share


TOLERANCES = {
    # when it fires
    "number": Tolerance("1", 0.5, 0.04, "the number of spikes"),
    "time": Tolerance("ms", 0.0, 0.04, "the mean interval"),
    "latency": Tolerance("ms", 0.5, 0.04, "the latency"),
    "interval": Tolerance("1", 0.15),  # of its logarithm
    "rate": Tolerance("Hz", 0.0, 0.04, "the rate"),  # at least half a spike in the stimulus
    "adaptation": Tolerance("1", 0.02),
    # the shape of its spikes
    "onset": Tolerance("mV", 1.0),
    "peak": Tolerance("mV", 1.0),
    "trough": Tolerance("mV", 1.0),
    "amplitude": Tolerance("mV", 1.0),
    "ahp": Tolerance("mV", 1.0),
    "width": Tolerance("ms", 0.0, 0.08, "the mean width"),
    "fall": Tolerance("mV", 3.0),
    # below threshold
    "base": Tolerance("mV", 2.0),
    "rise": Tolerance("mV", 0.5),
    "course": Tolerance("mV", 1.5),
    "after": Tolerance("mV", 1.0),
    "steady": Tolerance("mV", 1.0),
    "sag": Tolerance("mV", 0.5),
    "tau": Tolerance("ms", 1.0),
}
"""By the name of a feature."""

_SILENT = 0.2  # spikes: where none was recorded, one too many is worse than in a train


def tolerances_of(
    found: Spikes, on: float, off: float, onset: float | None = None
) -> dict[str, float]:
    """Every tolerance in its unit, for a sweep with these spikes under a stimulus from on to off.

    `onset` (ms) is where the latency of its first spike counts from (default: on). One spike or
    none has no interval, and a tenth of the stimulus serves; without spikes a first one is as late
    as the end, and 1 ms wide.
    """
    n = int(found.number)
    onset = on if onset is None else onset
    gaps, widths = np.diff(found.times), found.widths[np.isfinite(found.widths)]
    number = TOLERANCES["number"].at(n) if n else _SILENT
    return {name: t.at() for name, t in TOLERANCES.items()} | {
        "number": number,
        "rate": number / (1e-3 * (off - on)),
        "time": TOLERANCES["time"].at(float(gaps.mean()) if gaps.size else 0.1 * (off - on)),
        "latency": TOLERANCES["latency"].at(float(found.times[0] if n else off) - onset),
        "width": TOLERANCES["width"].at(float(widths.mean()) if widths.size else 1.0),
    }
