"""Pictures as files, in the format that their names say."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from neurojax import plot
from neurojax.cli.deliver import check_writable
from neurojax.io.files import write_whole


def check_picture(path: Path) -> None:
    """Raise ValueError for a name of no format that can be drawn, OSError where none can be."""
    if path.suffix[1:].lower() not in FigureCanvasBase.filetypes:
        usual = ".png, .svg or .pdf"
        raise ValueError(f"{path}: cannot draw {path.suffix or 'without a suffix'}; use {usual}")
    check_writable(path, (path.suffix.lower(),))


def save_picture(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all, in the format that the file's name says.

    Raises ValueError for a format that cannot be drawn and OSError when it cannot be written.
    """
    check_picture(path)
    buffer = io.BytesIO()
    with matplotlib.rc_context(plot.STYLE):
        figure.savefig(buffer, format=path.suffix[1:].lower())
    write_whole(path, buffer.getvalue())
