"""What tests put around a channel: a cell with the ions and inputs that it reads."""

import dataclasses

import jax.numpy as jnp

import neurojax as nj
from neurojax.channels import catalogue
from neurojax.membrane.compartment import concentrations, environment

IONS = {
    "na": nj.Ion(valence=1, inside=10.0, outside=145.0),
    "k": nj.Ion(valence=1, inside=140.0, outside=5.0),
    "ca": nj.Ion(valence=2, inside=1e-3, outside=2.0),
    "cl": nj.Ion(valence=-1, inside=10.0, outside=110.0),
}
INPUT = 0.3
"""The value of whatever else channels read."""


def cell_with(channel, **more) -> nj.Cell:
    """A cell at 30 degC with a channel "c" and others, and with all that they read."""
    return cell_of({"c": channel} | more)


def cell_of(channels: dict) -> nj.Cell:
    """A cell at 30 degC with these channels, and with all that they read."""
    reads = {name for channel in channels.values() for name in channel.reads}
    names = {name.split("_")[0] for name in reads}
    for channel in channels.values():
        if getattr(channel, "E_rev", 0.0) is None:
            names |= set(channel.carries)
    ions = {name: ion for name, ion in IONS.items() if name in names}
    cell = nj.Cell(channels=channels, ions=ions, celsius=30.0, default_q10=1.0)
    inputs = {}
    for name in reads - set(concentrations(cell, {})) - {"temperature"}:
        ion = ions.get(name.split("_")[0])  # a part of it that has calcium of its own ("ca_ss")
        inputs[name] = INPUT if ion is None else ion.inside
    return dataclasses.replace(cell, inputs=inputs)


def modules() -> dict[str, dict]:
    """The catalogue's channels by file and name: together they compile faster than alone."""
    found = {}
    for name, cls in catalogue().items():
        found.setdefault(cls.__module__.rsplit(".", 1)[1], {})[name] = cls
    return found


def seen(channel, v) -> dict:
    """What a channel's formulas take beside v, of the shape of v."""
    there = environment(cell_with(channel), "c", {})
    return {name: jnp.full_like(v, value) for name, value in there.items()}
