"""neurojax explore: a page with a model's equations, sliders and live traces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from neurojax.cli.deliver import PAGES, check_writable
from neurojax.cli.parameters import settings
from neurojax.cli.stimulus import quantity
from neurojax.explore import write, write_goldman, write_nernst
from neurojax.membrane.requirements import check_single
from neurojax.model import load_model

EQUATIONS = {"nernst": write_nernst, "goldman": write_goldman}
"""Pages that are of no model."""


def run_explore(
    model: str,
    amplitude: str,
    inputs: Sequence[str],
    sets: Sequence[str],
    output: Path,
    out: Console,
) -> None:
    """Write the page of a model, or of an equation. Raises ValueError or OSError."""
    check_writable(output, PAGES)
    if model in EQUATIONS:
        if amplitude or inputs or sets:
            raise ValueError(f"explore {model}: takes no other option than --output")
        out.print(f"page: {EQUATIONS[model](output)}", soft_wrap=True)
        return
    loaded = load_model(model)
    cell = loaded.at(settings(sets, loaded))
    check_single(cell, f"{loaded.name}: the page of explore")
    size = None
    if amplitude:
        size, kind = quantity(amplitude, "--amplitude", cell)
        if kind != "pA":
            raise ValueError(f"--amplitude {amplitude!r}: the page is of a current clamp")
    path = write(
        output,
        cell,
        space=loaded.space,
        title=loaded.name,
        description=loaded.description,
        amplitude=size,
        inputs=dict(map(_span, inputs)),
    )
    out.print(f"page: {path}", soft_wrap=True)


def _span(text: str) -> tuple[str, tuple[float, float]]:
    """The name of an input and its range, from `name=from:to`."""
    name, _, span = (part.strip() for part in text.partition("="))
    try:
        low, high = map(float, span.split(":"))
    except ValueError:
        raise ValueError(f"--input {text!r}: expected name=from:to, such as light=0:1000") from None
    if not low < high:
        raise ValueError(f"--input {text!r}: the range from {low:g} to {high:g} is empty")
    return name, (low, high)
