"""neurojax nernst, goldman: equilibrium potentials in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from neurojax.explore.potentials import MAMMAL, PERMEABLE
from neurojax.theory import equilibrium
from neurojax.theory.equilibrium import VALENCE
from neurojax.units import ZERO_CELSIUS, check_known, parse


def tell_nernst(ion: str, outside: str, inside: str, celsius: str, out: Console) -> None:
    """E of an ion, with its equation. Raises ValueError for an ion or number that is none."""
    valence = _valence(ion)
    c_o, c_i = (
        _concentration(x, f"{ion} {side}") for x, side in ((outside, "outside"), (inside, "inside"))
    )
    at = _temperature(celsius)
    E = float(equilibrium.nernst(c_o, c_i, valence, at))
    out.print(f"[bold]E = {E:.2f} mV[/]")
    out.print(f"(RT/zF) ln({c_o:g} mM outside / {c_i:g} mM inside), z = {valence:+d}, {at:g} degC")


def tell_goldman(ions: Sequence[str], celsius: str, out: Console) -> None:
    """V of a membrane, and how far each ion is from its own equilibrium.

    `ions` are four texts for each: name, permeability, concentration outside and inside. Raises
    ValueError for an ion or number that is none.
    """
    if len(ions) % 4:
        raise ValueError(
            f"goldman: got {len(ions)} values; expected four for each ion, ION P OUTSIDE INSIDE: "
            "K 1 3.5 140"
        )
    given = [ions[k : k + 4] for k in range(0, len(ions), 4)] or [
        [name, str(P), str(MAMMAL[name][1]), str(MAMMAL[name][0])] for name, P in PERMEABLE.items()
    ]
    P, outside, inside = dict[str, float](), dict[str, float](), dict[str, float]()
    for name, permeability, c_o, c_i in given:
        _valence(name, only_named=True)
        key = name.lower()
        if key in P:
            raise ValueError(f"goldman: {name} is given twice; expected it once")
        P[key] = parse(permeability, "1", f"permeability to {name}")
        if P[key] < 0:
            raise ValueError(f"permeability to {name} = {P[key]:g}: expected 0 or more")
        outside[key] = _concentration(c_o, f"{name} outside")
        inside[key] = _concentration(c_i, f"{name} inside")
    if not any(P.values()):
        raise ValueError("goldman: no ion passes; expected a permeability above 0")
    at = _temperature(celsius)
    V = float(equilibrium.ghk(P, outside, inside, at))
    out.print(f"[bold]V = {V:.2f} mV[/]  at {at:g} degC")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("ion")
    for head in ("permeability", "outside, mM", "inside, mM", "E, mV", "V - E, mV"):
        table.add_column(head, justify="right")
    for k in P:
        E = float(equilibrium.nernst(outside[k], inside[k], VALENCE[k], at))
        told = (P[k], outside[k], inside[k])
        table.add_row(k.capitalize(), *(f"{x:g}" for x in told), f"{E:.2f}", f"{V - E:.2f}")
    out.print(table)


def _valence(ion: str, only_named: bool = False) -> int:
    """The valence of a named ion, or of a whole number."""
    if ion.lower() in VALENCE:
        return VALENCE[ion.lower()]
    if ion.lstrip("+-").isdigit() and not only_named:
        return int(ion)
    check_known(ion, [name.capitalize() for name in VALENCE], "ion")
    raise AssertionError(ion)  # check_known has refused it


def _concentration(text: str, what: str) -> float:
    value = parse(text, "mM", what)
    if value <= 0:
        raise ValueError(f"{what} = {text}: expected a concentration above 0")
    return value


def _temperature(text: str) -> float:
    celsius = parse(text, "degC", "--celsius")
    if celsius <= -ZERO_CELSIUS:
        raise ValueError(f"--celsius {text}: is below absolute zero")
    return celsius
