"""Fitting: free parameters, optimisers, search, and what a fit gives back."""

from neurojax.fit.least_squares import NUDGES, Progress, least_squares
from neurojax.fit.levenberg import levenberg_marquardt
from neurojax.fit.parameters import Free, Space, free
from neurojax.fit.result import Fit, Stage

__all__ = [
    "NUDGES",
    "Fit",
    "Free",
    "Progress",
    "Space",
    "Stage",
    "free",
    "least_squares",
    "levenberg_marquardt",
]
