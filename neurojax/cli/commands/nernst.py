"""neurojax nernst: the equilibrium potential of an ion."""

from __future__ import annotations

from typing import Annotated

import typer

from neurojax.cli import console


def nernst(
    ion: Annotated[str, typer.Argument(help="K, Na, Cl, Ca, or a valence: 1, 2, or -- -1.")],
    outside: Annotated[str, typer.Argument(help='Concentration outside: 3.5 (mM), or "2 uM".')],
    inside: Annotated[str, typer.Argument(help='Concentration inside: 140 (mM), or "100 nM".')],
    celsius: Annotated[str, typer.Option(help="Temperature, degC.")] = "37",
) -> None:
    """The potential at which an ion is in equilibrium: neurojax nernst K 3.5 140 --celsius 37"""
    from neurojax.cli.equilibrium import tell_nernst

    tell_nernst(ion, outside, inside, celsius, console.out)
