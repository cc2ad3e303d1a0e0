"""What a cell must have before it can be run: asked once, never in a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from neurojax.membrane.channel import Channel, Leaf
from neurojax.membrane.compartment import OF_ANY_CELL, Cell, concentrations, environment
from neurojax.membrane.electrode import Electrode
from neurojax.membrane.markov import Scheme
from neurojax.units import nearest

POTENTIALS = range(-120, 61, 10)
"""Where the rates of a channel are looked at, mV."""


def check_single(cell: Cell, what: str) -> None:
    """Raise ValueError for a cell with compartments, where `what` is of one without."""
    if cell.state_axes:
        kind = type(cell).__name__
        raise ValueError(f"{what} is of a cell with one compartment, a {kind} has several")


def check_ions(cell: Cell, electrode: Electrode) -> None:
    """Raise ValueError where a channel needs an ion or input which the cell has not.

    Or the electrode gives an input that it has not.
    """
    known = concentrations(cell, {})
    for key, channel in cell.channels.items():
        needs = {name: name.split("_")[0] for name in channel.reads}
        if getattr(channel, "E_rev", 0.0) is None:
            if len(channel.carries) != 1:
                raise ValueError(
                    f"channel {key!r}: E_rev is None, but {type(channel).__name__} carries "
                    f"{len(channel.carries)} ions, so there is no one Nernst potential"
                )
            needs |= {f"{ion}_i": ion for ion in channel.carries}
        for name, ion in needs.items():
            if name not in known and name not in OF_ANY_CELL:
                raise ValueError(
                    f"channel {key!r}: {type(channel).__name__} needs {name!r}, which the cell has "
                    f"not: give it an ion {ion!r} or an input {name!r} "
                    f"(have: {', '.join(known) or 'none'})"
                )
    ion = cell.electrode_ion
    if ion is not None and ion not in cell.ions:
        raise ValueError(f"electrode_ion = {ion!r}: no such ion (have: {', '.join(cell.ions)})")
    for name in electrode.events:
        to = cell.channels.get(name)
        if isinstance(to, Channel) and not to.receives:
            raise ValueError(f"events of {name!r}: no event opens a {type(to).__name__}")
        if to is None and name not in cell.inputs:
            have = [k for k, channel in cell.channels.items() if channel.receives]
            have += cell.inputs
            raise ValueError(
                f"events of {name!r}: the cell has no such channel or input{nearest(name, have)} "
                f"(have: {', '.join(have) or 'none'})"
            )
    for name in electrode.inputs:
        if name not in known:
            raise ValueError(
                f"the electrode's input {name!r} is none of the cell's{nearest(name, known)} "
                f"(have: {', '.join(known) or 'none'})"
            )


def check_rates(cell: Cell) -> None:
    """Raise ValueError for a channel of the user's own with a rate below 0 somewhere.

    Those that come with neurojax are tested for it. Traced parameters are taken as they are.
    """
    own = [k for k, x in cell.channels.items() if not type(x).__module__.startswith("neurojax.")]
    if not own or any(isinstance(x, Tracer) for x in jax.tree.leaves(cell)):
        return
    known = concentrations(cell, {})
    for key in own:
        channel, seen = cell.channels[key], environment(cell, key, known)
        for name, values in _lowest(channel, cell.celsius, seen).items():
            if values.min() < 0:
                v = POTENTIALS[int(values.argmin())]
                raise ValueError(
                    f"channel {key!r}: the rate {name} of {type(channel).__name__} is "
                    f"{values.min():.3g} 1/ms at {v} mV: expected 0 or more"
                )


@jax.jit
def _lowest(channel: Channel, celsius: Leaf | None, seen: Mapping[str, Any]) -> dict[str, Any]:
    """The least of each rate of a channel over the cells, 1/ms, at each of the potentials."""

    def at(v: jax.Array) -> dict[str, jax.Array]:
        if isinstance(channel, Scheme):
            channel.steady_state(v, **seen)  # which tells of what is no scheme
            rates = {f"{k!r}": rate for k, rate in channel.rates(v, celsius, **seen).items()}
        else:
            gates = channel.kinetics(v, celsius, **seen)
            rates = {f"of gate {k!r}": gate.rate for k, gate in gates.items()}
        return {k: jnp.min(jnp.asarray(rate)) for k, rate in rates.items()}

    return jax.vmap(at)(jnp.array(POTENTIALS, jnp.result_type(float)))
