"""neurojax models: list the packaged models, or print one."""

from __future__ import annotations

from rich.markup import escape
from rich.padding import Padding

from neurojax.cli import console
from neurojax.model import load_model, packaged


def models() -> None:
    """List the packaged models: cells that simulate and fit take by name."""
    for name in packaged():
        console.out.print(f"[bold]{name}[/]")
        console.out.print(Padding(escape(load_model(name).description), (0, 0, 1, 2)))
