"""Objectives: what a simulated sweep should look like, as folds that the engines stream."""

from neurojax.loss.error import CurrentError, Target, VoltageError
from neurojax.loss.sweep import Sweep, capacitive_mask, prepare

__all__ = [
    "CurrentError",
    "Sweep",
    "Target",
    "VoltageError",
    "capacitive_mask",
    "prepare",
]
