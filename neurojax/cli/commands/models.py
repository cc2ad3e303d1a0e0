"""neurojax models: list the packaged models, or print one to copy."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.padding import Padding

from neurojax.cli import console
from neurojax.model import load_model, packaged


def models(
    name: Annotated[
        str, typer.Argument(help="Print its TOML, to copy: neurojax models squid > mine.toml")
    ] = "",
) -> None:
    """List the packaged models that simulate and fit take by name, or print one."""
    if name:
        console.out.print(
            load_model(name).source, end="", soft_wrap=True, markup=False, emoji=False
        )
        return
    for known in packaged():
        console.out.print(f"[bold]{known}[/]")
        console.out.print(Padding(escape(load_model(known).description), (0, 0, 1, 2)))
    console.out.print("One as TOML, to copy: neurojax models NAME > mine.toml", style="dim")
