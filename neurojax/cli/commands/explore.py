"""neurojax explore: a page with a model's equations, sliders and live traces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurojax.cli import console


def explore(
    model: Annotated[
        str,
        typer.Argument(
            help="A packaged model (see: neurojax models), .toml or fitted .h5; or nernst, or "
            "goldman, the equations of equilibrium."
        ),
    ],
    amplitude: Annotated[
        str, typer.Option(help="The first step: 170 pA. Default: one with which the cell fires.")
    ] = "",
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="What else a step can be made of: light=0:1000. Repeatable."),
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help='Parameter: na.g_bar="60 mS/cm2". Repeatable.')
    ] = None,
    output: Annotated[Path, typer.Option(help="The page, HTML.")] = Path("explore.html"),
) -> None:
    """Write a page with sliders of all parameters, live traces, phase plane and firing rate."""
    from neurojax.cli.explore import run_explore

    run_explore(model, amplitude, inputs or [], sets or [], output, console.out)
