"""The command line: all commands together, each from the file of its name in `commands/`."""

from __future__ import annotations

from typing import Annotated

import typer

import neurojax
from neurojax.cli import console
from neurojax.cli.commands.channels import channels
from neurojax.cli.commands.convert import convert
from neurojax.cli.commands.demo import demo
from neurojax.cli.commands.experiment import experiment
from neurojax.cli.commands.explore import explore
from neurojax.cli.commands.features import features
from neurojax.cli.commands.fit import fit
from neurojax.cli.commands.goldman import goldman
from neurojax.cli.commands.info import info
from neurojax.cli.commands.models import models
from neurojax.cli.commands.nernst import nernst
from neurojax.cli.commands.plate import plate
from neurojax.cli.commands.simulate import simulate
from neurojax.cli.commands.sweep import commands as sweep_commands
from neurojax.cli.strict import Command, Commands
from neurojax.config import configure

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (demo, features, fit, plate, simulate, explore, experiment, channels, nernst):
    app.command(cls=Command)(command)
for command in (goldman, convert, models, info):
    app.command(cls=Command)(command)
app.add_typer(sweep_commands, name="sweep")


def _version(asked: bool) -> None:
    if asked:
        console.out.print(f"neurojax {neurojax.__version__}")
        raise typer.Exit


@app.callback()
def start(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Simulate neurons and fit their ion channels to recordings. Begin with: neurojax demo"""


def main() -> None:
    """Set JAX up, then do what the command line says."""
    configure()
    app()
