"""neurojax experiment: the experiments of the textbook, by their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurojax.cli import console


def experiment(
    name: Annotated[str, typer.Argument(help="Its number: 009. Without one, all are listed.")] = "",
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a parameter: CELSIUS=18.5, SHOWN=1,2,3. Repeatable."),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="What it asks and shows, and what can be changed.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="The figure, .png. Default: of the experiment's name.")
    ] = None,
) -> None:
    """Run an experiment of the textbook: its numbers and its figure. Without a number: a list."""
    from neurojax.cli.experiment import describe, list_experiments, run_experiment

    if name and not listed:
        run_experiment(name, sets or [], output, console.out)
        return
    if sets or output is not None:
        raise ValueError("--set and --output are of a run: neurojax experiment 009 --set ...")
    if name:
        describe(name, console.out)
    else:
        list_experiments(console.out)
