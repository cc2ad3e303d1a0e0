"""Sweeps: a program over parameter sets, in shards that outgrow memory and machines."""

from neurojax.sweep.axes import Range, Samples, Table, as_table, grid
from neurojax.sweep.definition import Sweep
from neurojax.sweep.firing import BEHAVIOURS, Firing
from neurojax.sweep.protocols import CurrentStep, Protocol, step
from neurojax.sweep.read import Results, read
from neurojax.sweep.run import Outcome, run
from neurojax.sweep.storage import SweepError
from neurojax.sweep.traces import traces

__all__ = [
    "BEHAVIOURS",
    "CurrentStep",
    "Firing",
    "Outcome",
    "Protocol",
    "Range",
    "Results",
    "Samples",
    "Sweep",
    "SweepError",
    "Table",
    "as_table",
    "grid",
    "read",
    "run",
    "step",
    "traces",
]
