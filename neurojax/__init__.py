"""neurojax: simulate populations of neurons in JAX and fit ion channels to recorded traces."""

from neurojax import cells, channels, curves, electrode, fit, loss, protocol, selectivity
from neurojax.cell import Cell, State, at_rest, parameters, replace, settled, step
from neurojax.channel import Channel, param, pytree, static
from neurojax.clamp import Clamped, clamp
from neurojax.config import configure
from neurojax.constant_field import ConstantField
from neurojax.electrode import Electrode, RecordingError, Trace, current_clamp, steps, voltage_clamp
from neurojax.engine.pieces import Gradient
from neurojax.equilibrium import donnan, goldman_potential, pumped_volume
from neurojax.fold import Fold, Histogram, Mean, Residuals, SpikeCount, SpikeRate, Squares, total
from neurojax.gradient import gradient
from neurojax.health import Health, health
from neurojax.ion import Ion, elementary_charges
from neurojax.loss import CurrentError, Target, VoltageError
from neurojax.noise import stochastic
from neurojax.observe import observables
from neurojax.pipette import Pipette
from neurojax.protocol import Protocol
from neurojax.rig import Rig
from neurojax.scheme import Scheme, as_scheme
from neurojax.simulate import Recording, simulate

__version__ = "0.1.0"

__all__ = [
    "Cell",
    "Channel",
    "Clamped",
    "ConstantField",
    "CurrentError",
    "Electrode",
    "Fold",
    "Gradient",
    "Health",
    "Histogram",
    "Ion",
    "Mean",
    "Pipette",
    "Protocol",
    "Recording",
    "RecordingError",
    "Residuals",
    "Rig",
    "Scheme",
    "SpikeCount",
    "SpikeRate",
    "Squares",
    "State",
    "Target",
    "Trace",
    "VoltageError",
    "as_scheme",
    "at_rest",
    "cells",
    "channels",
    "clamp",
    "configure",
    "current_clamp",
    "curves",
    "donnan",
    "electrode",
    "elementary_charges",
    "fit",
    "goldman_potential",
    "gradient",
    "health",
    "loss",
    "observables",
    "param",
    "parameters",
    "protocol",
    "pumped_volume",
    "pytree",
    "replace",
    "selectivity",
    "settled",
    "simulate",
    "static",
    "step",
    "steps",
    "stochastic",
    "total",
    "voltage_clamp",
]
