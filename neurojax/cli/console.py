"""Where the command line writes: what was asked for to `out`, and everything else to `err`."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def complain(error: BaseException) -> None:
    """One clear red line on stderr."""
    if isinstance(error, OSError) and error.strerror:
        said = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        said = str(error) or type(error).__name__
    err.print(f"[bold red]error:[/] [red]{escape(said)}[/]", soft_wrap=True)


def warn(texts: Iterable[str]) -> None:
    """A yellow line on stderr for each warning, the same one once."""
    for text in dict.fromkeys(texts):
        err.print(f"[yellow]warning:[/] {escape(text)}", soft_wrap=True)
