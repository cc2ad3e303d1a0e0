"""neurojax: simulate populations of neurons in JAX and fit ion channels to recorded traces."""

from neurojax import channels, electrode, fit
from neurojax.cell import Cell, State, at_rest, parameters, replace, settled, step
from neurojax.channel import Channel, param, pytree
from neurojax.config import configure
from neurojax.electrode import Electrode, RecordingError, Trace, current_clamp, steps, voltage_clamp
from neurojax.simulate import Recording, observables, simulate

__version__ = "0.1.0"

__all__ = [
    "Cell",
    "Channel",
    "Electrode",
    "Recording",
    "RecordingError",
    "State",
    "Trace",
    "at_rest",
    "channels",
    "configure",
    "current_clamp",
    "electrode",
    "fit",
    "observables",
    "param",
    "parameters",
    "pytree",
    "replace",
    "settled",
    "simulate",
    "step",
    "steps",
    "voltage_clamp",
]
