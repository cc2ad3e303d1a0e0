"""Pictures: each function returns a matplotlib Figure of its own; pyplot and its state stay out.

One look throughout: data in ink, what was fitted in vermilion, what was predicted in blue.
"""

from neurojax.plot.channels import channel_curves, observed
from neurojax.plot.firing import firing
from neurojax.plot.fits import (
    Span,
    contributions,
    convergence,
    correlation,
    intervals,
    profiles,
    spans,
)
from neurojax.plot.look import (
    CYCLE,
    FAINT,
    GRID,
    INK,
    LECTURE,
    STYLE,
    between,
    lecture,
    number,
    readable,
    thin,
)
from neurojax.plot.maps import family, parameter_map
from neurojax.plot.morphology import morphology
from neurojax.plot.phase import phase_plane
from neurojax.plot.sweep import SweepView, glance, overview, sweep

__all__ = [
    "CYCLE",
    "FAINT",
    "GRID",
    "INK",
    "LECTURE",
    "STYLE",
    "Span",
    "SweepView",
    "between",
    "channel_curves",
    "contributions",
    "convergence",
    "correlation",
    "family",
    "firing",
    "glance",
    "intervals",
    "lecture",
    "morphology",
    "number",
    "observed",
    "overview",
    "parameter_map",
    "phase_plane",
    "profiles",
    "readable",
    "spans",
    "sweep",
    "thin",
]
