"""Objectives: what a simulated sweep should look like, as folds that the engines stream.

Each is a scalar for each cell, small where the run is as it should be. Builders take a trace and
the time between records: `loss.spike_features(trace, record_ms)`; `total` adds objectives up.
"""

from neurojax.engine.folds import Residuals, Squares, Total, total
from neurojax.loss.error import CurrentError, Target, VoltageError, trace_error
from neurojax.loss.features import Feature
from neurojax.loss.field import FieldError
from neurojax.loss.masks import (
    MaskWarning,
    artefact_mask,
    capacitive_mask,
    counted,
    spike_mask,
)
from neurojax.loss.noise import Noise, noise_of
from neurojax.loss.phase_plane import PhasePlane, phase_plane
from neurojax.loss.soft_dtw import SoftDTW, soft_dtw
from neurojax.loss.spike_features import SPIKE_FEATURES, SpikeFeatures, spike_features
from neurojax.loss.spikes import SpikeTable
from neurojax.loss.stream import streamed
from neurojax.loss.subthreshold import STEP_FEATURES, StepResponse, step_response
from neurojax.loss.sweep import Level, Sweep, prepare
from neurojax.loss.trains import (
    Coincidence,
    VanRossum,
    coincidence,
    coincidence_factor,
    van_rossum,
)

__all__ = [
    "SPIKE_FEATURES",
    "STEP_FEATURES",
    "Coincidence",
    "CurrentError",
    "Feature",
    "FieldError",
    "Level",
    "MaskWarning",
    "Noise",
    "PhasePlane",
    "Residuals",
    "SoftDTW",
    "SpikeFeatures",
    "SpikeTable",
    "Squares",
    "StepResponse",
    "Sweep",
    "Target",
    "Total",
    "VanRossum",
    "VoltageError",
    "artefact_mask",
    "capacitive_mask",
    "coincidence",
    "coincidence_factor",
    "counted",
    "noise_of",
    "phase_plane",
    "prepare",
    "soft_dtw",
    "spike_features",
    "spike_mask",
    "step_response",
    "streamed",
    "total",
    "trace_error",
    "van_rossum",
]
