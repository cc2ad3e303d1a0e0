"""neurojax demo: a recording fitted, and a report of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurojax.cli import console


def demo(
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="Make a recording with known parameters instead.")
    ] = False,
    seconds: Annotated[float, typer.Option(help="Time for the fit itself, s.")] = 75.0,
    output_dir: Annotated[Path, typer.Option(help="Folder for results.")] = Path("neurojax-demo"),
    seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
) -> None:
    """Fit some steps of a real recording, predict the others, and write a report of it."""
    from neurojax.cli.demo import run_demo

    raise typer.Exit(
        run_demo(
            console.out,
            console.err,
            synthetic=synthetic,
            seconds=seconds,
            folder=output_dir,
            seed=seed,
        )
    )
