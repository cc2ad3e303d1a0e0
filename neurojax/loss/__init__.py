"""Objectives: what a simulated sweep should look like, as folds that the engines stream."""

from neurojax.loss.error import CurrentError, Target, VoltageError
from neurojax.loss.masks import artefact_mask, capacitive_mask, spike_mask
from neurojax.loss.sweep import Sweep, prepare

__all__ = [
    "CurrentError",
    "Sweep",
    "Target",
    "VoltageError",
    "artefact_mask",
    "capacitive_mask",
    "prepare",
    "spike_mask",
]
