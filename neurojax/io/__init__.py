"""Recordings in (ABF, NWB, IBW, CSV, NPZ), results out (HDF5): all that knows file formats."""

from neurojax.io.checks import RecordingWarning
from neurojax.io.example import example_recording
from neurojax.io.read import read
from neurojax.io.results import ParameterRecord, Results, load, save
from neurojax.recording.trace import RecordingError

__all__ = [
    "ParameterRecord",
    "RecordingError",
    "RecordingWarning",
    "Results",
    "example_recording",
    "load",
    "read",
    "save",
]
