"""What can be seen of a state: the membrane potential, currents and gates, by name."""

from __future__ import annotations

from collections.abc import Iterable

import jax

from neurojax.cell import Cell, State, ionic_current
from neurojax.units import nearest


def observables(cell: Cell) -> list[str]:
    """Names that can be recorded: "v" (mV), "i_ion" and "na.i" (uA/cm2), gates as "na.m"."""
    gates = [f"{key}.{gate}" for key, c in cell.channels.items() for gate in sorted(c.powers)]
    return ["v", "i_ion", *(f"{key}.i" for key in cell.channels), *gates]


def check_observables(cell: Cell, names: Iterable[str]) -> None:
    """Raise ValueError for a name that a cell has not, with the nearest that it has."""
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
        return ionic_current(cell, s.v, s.x)
    key, what = name.split(".", 1)
    channel = cell.channels[key]
    if what == "i":
        return channel.current(s.v, s.x[key])
    gates = s.x[key] | channel.instant(s.v - channel.v_shift)
    return gates[what]
