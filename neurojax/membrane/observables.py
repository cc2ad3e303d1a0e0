"""What can be seen of a state: the membrane potential, currents and gates, by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp

from neurojax.membrane.compartment import (
    Cell,
    State,
    channel_current,
    concentrations,
    environment,
    ion_temperature,
    ionic_current,
    nernst_of,
    warmed,
)
from neurojax.membrane.markov import Scheme
from neurojax.membrane.pipette import pipette_of
from neurojax.units import PA, nearest


def observables(cell: Cell) -> list[str]:
    """Names that can be recorded.

    "v" (mV), "i_ion" and "na.i" (uA/cm2), gates as "na.m", concentrations as "ca_i" (mM), and the
    Nernst potentials of ions as "E_ca" (mV). What an amplifier reads through the cell's pipette,
    if it has one, is "v_amp" (mV) in current clamp and "i_amp" (pA) in voltage clamp; of a cell
    with compartments it is read where the electrode is, `[*pop]`. Of schemes with charges also
    the gating charge of a channel, "k.q" (elementary charges), and its gating
    current, "k.i_gate" (these per ms).
    """
    gates = [f"{key}.{gate}" for key, c in cell.channels.items() for gate in c.gate_names()]
    for key, channel in cell.channels.items():
        if _charged(channel):
            gates += [f"{key}.q", f"{key}.i_gate"]
    potentials = [f"E_{ion}" for ion in cell.ions]
    currents = [f"{key}.i" for key in cell.channels]
    amplifier = [] if _is_a_part(cell) else ["v_amp", "i_amp"]
    around = [*concentrations(cell, {}), *potentials, *amplifier]
    return ["v", "i_ion", *currents, *gates, *around]


def _charged(channel: Any) -> TypeGuard[Scheme]:
    return isinstance(channel, Scheme) and bool(channel.charges())


def check_observables(cell: Cell, names: Iterable[str]) -> None:
    """Raise ValueError for a name that a cell has not, with the nearest that it has."""
    if set(names) <= {"v"}:  # as every cell has
        return
    known = observables(cell)
    for name in names:
        if name not in known:
            raise ValueError(
                f"cannot record {name!r}{nearest(name, known)} (have: {', '.join(known)})"
            )


def observe(cell: Cell, s: State, name: str) -> jax.Array:
    """One observable of a state, by the name that `observables` lists."""
    if name == "v":
        return s.v
    if name == "i_ion":
        return ionic_current(cell, s.v, s.x, s.c)
    if name == "v_amp":
        return amplifier_potential(cell, s)
    if name == "i_amp":
        return amplifier_current(cell, s)
    if "." not in name:
        around = concentrations(cell, s.c)
        if name.startswith("E_"):
            value = nernst_of(cell, name[2:], around, ion_temperature(cell, name[2:]))
        else:
            value = around[name]
        return jnp.broadcast_to(value, s.v.shape)
    key, what = name.split(".", 1)
    channel, around = warmed(cell, key), environment(cell, key, s.c)
    if what == "i":
        return channel_current(cell, key, s.v, s.x[key], s.c)
    if _charged(channel) and what == "q":
        return channel.gating_charge(s.x[key])
    if _charged(channel) and what == "i_gate":
        return channel.gating_current(s.v, s.x[key], cell.celsius, **around)
    return channel.gates(s.v, s.x[key], **around)[what]


def amplifier_potential(cell: Cell, s: State) -> jax.Array:
    """What an amplifier in current clamp reads, mV `[*pop]`, where the electrode is."""
    found = pipette_of(cell)
    if found is None:
        return cell.at_electrode(s.v)
    key, pipette = found
    return cell.at_electrode(pipette.amplifier_potential(s.x[key]))


def amplifier_current(cell: Cell, s: State) -> jax.Array:
    """The current that an amplifier in voltage clamp reads, pA, outward positive.

    Without a pipette the clamp is ideal, and this the ionic current of the whole membrane; of a
    cell with compartments of that where the electrode is, and what goes along the tree.
    """
    if _is_a_part(cell):
        raise ValueError("the current of a clamp: axial currents are part of it, and are not known")
    found = pipette_of(cell)
    if found is None:
        return cell.at_electrode(cell.leaving(s.v, ionic_current(cell, s.v, s.x, s.c))) / PA
    key, pipette = found
    i = pipette.amplifier_current(s.v, s.x[key], **environment(cell, key, s.c))
    return cell.at_electrode(i)


def _is_a_part(cell: Cell) -> bool:
    """Whether it is one compartment of a cell with several."""
    return cell.joined and not cell.state_axes
