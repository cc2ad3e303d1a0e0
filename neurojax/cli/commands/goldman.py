"""neurojax goldman: the potential of a membrane that several ions pass."""

from __future__ import annotations

from typing import Annotated

import typer

from neurojax.cli import console


def goldman(
    ions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ION P OUTSIDE INSIDE]...",
            help="Of each ion its relative permeability and concentrations, as "
            "K 1 3.5 140 Na 0.05 145 12. Default: those of a mammal's neuron at rest.",
        ),
    ] = None,
    celsius: Annotated[str, typer.Option(help="Temperature, degC.")] = "37",
) -> None:
    """The potential at which the currents of several ions cancel (Goldman, Hodgkin & Katz)."""
    from neurojax.cli.equilibrium import tell_goldman

    tell_goldman(ions or [], celsius, console.out)
