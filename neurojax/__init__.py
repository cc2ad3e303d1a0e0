"""neurojax: simulate populations of neurons in JAX and fit ion channels to recorded traces."""

from importlib.metadata import version as _version

from neurojax import channels, fit, io, loss, model, sweep, units
from neurojax.config import configure
from neurojax.engine.folds import (
    At,
    Fold,
    Histogram,
    Mean,
    Residuals,
    SpikeCount,
    SpikeRate,
    Squares,
    total,
)
from neurojax.engine.processes import distributed
from neurojax.engine.program import Gradient
from neurojax.loss import CurrentError, Target, VoltageError
from neurojax.membrane import electrode, extracellular
from neurojax.membrane.builders import (
    assemble,
    ball_and_stick,
    cylinder,
    myelinated_axon,
    rall_tree,
    soma_and_dendrite,
    tapered,
)
from neurojax.membrane.cable import Cable
from neurojax.membrane.channel import Channel, field, param, pytree, static
from neurojax.membrane.compartment import Cell, State, step
from neurojax.membrane.electrode import (
    Connections,
    Electrode,
    GapJunctions,
    current_clamp,
    steps,
    voltage_clamp,
)
from neurojax.membrane.events import Events, poisson
from neurojax.membrane.ghk import ConstantField
from neurojax.membrane.ions import Ion, elementary_charges
from neurojax.membrane.markov import Scheme, as_scheme
from neurojax.membrane.observables import observables
from neurojax.membrane.path_names import parameters, replace
from neurojax.membrane.pipette import Pipette
from neurojax.membrane.profiles import Exponential
from neurojax.membrane.rest import at_rest, steady_state
from neurojax.membrane.stochastic import stochastic
from neurojax.model import cells
from neurojax.morphology import Morphology, Section
from neurojax.recording import features
from neurojax.recording.trace import RecordingError, Trace
from neurojax.rig import iv_curves, protocols
from neurojax.rig.amplifier import Rig
from neurojax.rig.protocols import Protocol
from neurojax.rig.voltage_clamp import Clamped, clamp
from neurojax.run.diagnosis import Health, health
from neurojax.run.gradients import gradient
from neurojax.run.simulation import Recording, simulate
from neurojax.run.step_error import StepError, error_of
from neurojax.theory import electrotonus, selectivity
from neurojax.theory.equilibrium import donnan, ghk, goldman_potential, nernst, pumped_volume

__version__ = _version("neurojax")

__all__ = [
    "At",
    "Cable",
    "Cell",
    "Channel",
    "Clamped",
    "Connections",
    "ConstantField",
    "CurrentError",
    "Electrode",
    "Events",
    "Exponential",
    "Fold",
    "GapJunctions",
    "Gradient",
    "Health",
    "Histogram",
    "Ion",
    "Mean",
    "Morphology",
    "Pipette",
    "Protocol",
    "Recording",
    "RecordingError",
    "Residuals",
    "Rig",
    "Scheme",
    "Section",
    "SpikeCount",
    "SpikeRate",
    "Squares",
    "State",
    "StepError",
    "Target",
    "Trace",
    "VoltageError",
    "as_scheme",
    "assemble",
    "at_rest",
    "ball_and_stick",
    "cells",
    "channels",
    "clamp",
    "configure",
    "current_clamp",
    "cylinder",
    "distributed",
    "donnan",
    "electrode",
    "electrotonus",
    "elementary_charges",
    "error_of",
    "extracellular",
    "features",
    "field",
    "fit",
    "ghk",
    "goldman_potential",
    "gradient",
    "health",
    "io",
    "iv_curves",
    "loss",
    "model",
    "myelinated_axon",
    "nernst",
    "observables",
    "param",
    "parameters",
    "poisson",
    "protocols",
    "pumped_volume",
    "pytree",
    "rall_tree",
    "replace",
    "selectivity",
    "simulate",
    "soma_and_dendrite",
    "static",
    "steady_state",
    "step",
    "steps",
    "stochastic",
    "sweep",
    "tapered",
    "total",
    "units",
    "voltage_clamp",
]
