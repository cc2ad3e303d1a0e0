"""neurojax convert: a Python file of an NMODL channel, a NeuroML file of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurojax.cli import console


def convert(
    mod: Annotated[
        Path, typer.Argument(help="An NMODL file, Ca_HVA.mod; or a model, to be NeuroML.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Python file, printed by default; or cell.nml, of a model."
        ),
    ] = None,
    name: Annotated[
        str, typer.Option(help="Name of the class, or cell. Default: from SUFFIX, or the file.")
    ] = "",
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Tabulate its current under voltage steps, and NEURON's if installed."
        ),
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw its current under voltage steps: .png, .svg, .pdf.")
    ] = None,
) -> None:
    """Make a Python file of an NMODL channel, to read and to change, or NeuroML of a model."""
    from neurojax.cli.convert import run_convert

    run_convert(mod, output, name, check, plot, console.out)
