"""neurojax sweep plot: maps and families of a sweep, and its page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neurojax.cli.pictures import save_picture
from neurojax.io.files import write_whole
from neurojax.plot.maps import family, parameter_map
from neurojax.report.map_page import MapData, map_page
from neurojax.sweep import BEHAVIOURS
from neurojax.sweep.document import again
from neurojax.sweep.read import Axis, Plane, Results, read
from neurojax.sweep.storage import Folder, SweepError
from neurojax.sweep.traces import traces
from neurojax.units import check_known, parse

MOST_TRACES = 300
"""Cells of a page with a trace."""

HTML = (".html", ".htm")

TELLING, TELLING_LINES = ("behaviour", "rate", "i_peak"), ("rate", "spikes", "i_peak")
"""The results that are shown where none is asked for, the best first; as a map, or as lines."""


def draw(
    folder: Path, output: Path, *, of: str, x: str, y: str, at: Sequence[str], lines: bool
) -> None:
    """Draw what was asked for. Raises SweepError, ValueError or OSError."""
    found = read(folder)
    if line := _line(found):
        _draw_line(found, line, output, of)
        return
    plane = found.plane(x, y, _values(at, found))
    names = _names(found, of, TELLING_LINES if lines else TELLING)
    if output.suffix.lower() in HTML:
        write_whole(output, _page(folder, found, plane, names))
        return
    name = names[0]
    values = _of(found, plane, name)
    result = found.label(name)
    labels = plane.x.label, plane.y.label, result
    fixed = ", ".join(f"{k} = {v}" for k, v in plane.fixed.items())
    title = f"{result}{f', at {fixed}' if fixed else ''}"
    if lines:
        if plane.of_samples:
            raise SweepError("--lines needs two axes of a grid: samples are points of a map")
        figure = family(plane.x.values, plane.y.values, values, labels=labels, title=title)
    else:
        figure = parameter_map(
            plane.x.values,
            plane.y.values,
            values,
            labels=labels,
            title=title,
            classes=_classes(name),
        )
    save_picture(figure, output)


def _names(found: Results, of: str, telling: Sequence[str]) -> list[str]:
    """The results of one number a cell: first the one asked for, else the most telling."""
    names = found.of_one_number()
    if of:
        check_known(of, names, "result", "--of: ")
    ranks = {end: k for k, end in enumerate(telling)}
    return sorted(names, key=lambda n: (n != of, ranks.get(n.rpartition(".")[2], len(ranks))))


def _line(found: Results) -> Axis | None:
    """The axis of a sweep that varies nothing else."""
    varied = [n for n, length in zip(found.dimensions, found.shape, strict=True) if length > 1]
    return found.axes.get(varied[0]) if len(varied) == 1 else None


def _draw_line(found: Results, axis: Axis, output: Path, of: str) -> None:
    """A result against the only axis: such as the rate against the current."""
    if output.suffix.lower() in HTML:
        raise SweepError(
            f"a page is a map of two axes, and this sweep varies {axis.name} alone: name a picture "
            "(.png, .svg, .pdf)"
        )
    name = _names(found, of, TELLING_LINES)[0]
    right = np.argsort(axis.values)
    values = found.numbers(name).ravel()[right]
    labels = axis.label, "", found.label(name)
    figure = family(axis.values[right], np.zeros(1), values[None], labels=labels, title=found.title)
    save_picture(figure, output)


def _classes(name: str) -> Sequence[str]:
    return BEHAVIOURS if name.endswith(".behaviour") else ()


def _values(texts: Sequence[str], found: Results) -> dict[str, float]:
    """Values of axes, from `name=value` texts."""
    values: dict[str, float] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise ValueError(f"--at {text!r}: expected name=value, such as 'k.g_bar=36 mS/cm2'")
        units = dict.fromkeys(found.dimensions, "1") | {k: a.unit for k, a in found.axes.items()}
        check_known(name, units, "axis", "--at: ")
        values[name] = parse(value, units[name], f"--at {name}")
    return values


def _of(found: Results, plane: Plane, name: str) -> np.ndarray:
    return found.numbers(name).ravel()[plane.numbers]


def _page(folder: Path, found: Results, plane: Plane, names: Sequence[str]) -> str:
    sweep = again(Folder(folder).read(), folder).sweep
    protocol = next(iter(sweep.protocols))
    results = {name: _of(found, plane, name) for name in names}
    places = _spread(plane)
    t, v = traces(sweep, plane.numbers.ravel()[places], protocol)
    return map_page(
        MapData(
            title=found.title,
            x=plane.x.values,
            y=plane.y.values,
            labels=(plane.x.label, plane.y.label),
            results=results,
            units=found.units,
            classes={name: _classes(name) for name in names if _classes(name)},
            fixed=plane.fixed,
            traced=places,
            protocol=protocol,
            t_ms=t,
            v=v,
            unit="pA" if sweep.protocols[protocol].of_voltage else "mV",
        )
    )


def _spread(plane: Plane) -> np.ndarray:
    """The places of cells spread evenly over a plane, at most MOST_TRACES."""
    if plane.numbers.ndim == 1:
        n = len(plane.numbers)
        return np.unique(np.linspace(0, n - 1, min(n, MOST_TRACES)).astype(int))
    ny, nx = plane.numbers.shape
    part = max(1.0, (ny * nx / MOST_TRACES) ** 0.5)
    rows, columns = (
        np.unique(np.linspace(0, n - 1, max(int(n / part), 1)).astype(int)) for n in (ny, nx)
    )
    return (rows[:, None] * nx + columns).ravel()
