"""Recordings in (ABF, NWB, IBW, tables ...), morphologies (SWC, ASC, H5), results out (HDF5)."""

from neurojax.io.checks import RecordingWarning
from neurojax.io.example import example_recording
from neurojax.io.morphology import read_morphology
from neurojax.io.read import read
from neurojax.io.results import ParameterRecord, Results, load, save
from neurojax.morphology import MorphologyError, MorphologyWarning
from neurojax.recording.trace import RecordingError

__all__ = [
    "MorphologyError",
    "MorphologyWarning",
    "ParameterRecord",
    "RecordingError",
    "RecordingWarning",
    "Results",
    "example_recording",
    "load",
    "read",
    "read_morphology",
    "save",
]
