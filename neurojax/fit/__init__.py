"""Fitting: free parameters, optimisers, search, certificates, and what a fit gives back."""

from neurojax.fit.certify import Agreement, agreement, free_run
from neurojax.fit.least_squares import NUDGES, least_squares
from neurojax.fit.levenberg import levenberg_marquardt
from neurojax.fit.parameters import Free, Space, free
from neurojax.fit.recipe import fit
from neurojax.fit.result import Fit, Progress, Stage
from neurojax.fit.search import search

__all__ = [
    "NUDGES",
    "Agreement",
    "Fit",
    "Free",
    "Progress",
    "Space",
    "Stage",
    "agreement",
    "fit",
    "free",
    "free_run",
    "least_squares",
    "levenberg_marquardt",
    "search",
]
