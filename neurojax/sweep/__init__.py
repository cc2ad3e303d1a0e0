"""Sweeps: a program over parameter sets, in shards that outgrow memory and machines."""

from neurojax.sweep import cluster, document
from neurojax.sweep.axes import Range, Samples, Table, as_table, grid
from neurojax.sweep.currents import Currents
from neurojax.sweep.definition import Sweep
from neurojax.sweep.firing import BEHAVIOURS, Firing
from neurojax.sweep.protocols import CommandStep, CurrentStep, Protocol, command_step, step
from neurojax.sweep.read import Results, read
from neurojax.sweep.run import Outcome, run
from neurojax.sweep.sensitivity import Indices, saltelli, sobol_indices
from neurojax.sweep.storage import SweepError
from neurojax.sweep.traces import traces

__all__ = [
    "BEHAVIOURS",
    "CommandStep",
    "CurrentStep",
    "Currents",
    "Firing",
    "Indices",
    "Outcome",
    "Protocol",
    "Range",
    "Results",
    "Samples",
    "Sweep",
    "SweepError",
    "Table",
    "as_table",
    "cluster",
    "command_step",
    "document",
    "grid",
    "read",
    "run",
    "saltelli",
    "sobol_indices",
    "step",
    "traces",
]
