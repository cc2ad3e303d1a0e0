"""neurojax sweep plot --pairs: parameters of good cells of a sweep, or of starts of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neurojax.cli.pictures import save_picture
from neurojax.cli.sweep_plot import HTML
from neurojax.io.files import write_whole
from neurojax.plot.pairs import logarithmic, pair_plot
from neurojax.report.pairs_page import CELLS, PairsData, pairs_page
from neurojax.sweep import BEHAVIOURS
from neurojax.sweep.read import Results, read
from neurojax.sweep.tables import ends_of
from neurojax.units import check_known, parse

NEAR = 0.05
"""A start of a fit is good when its error is so much above the best at most, as a part of it."""

Limits = dict[str, tuple[float, float]]


def draw_pairs(source: Path, output: Path, good: Sequence[str]) -> None:
    """Draw them. Raises SweepError, ValueError or OSError."""
    data = _of_fit(source, good) if source.is_file() else _of_sweep(read(source), good)
    chosen = _within(data)
    if output.suffix.lower() in HTML:
        write_whole(output, pairs_page(_thinned(data, chosen)))
        return
    told = ", ".join(
        f"{k} {_said(data, k, low)} to {_said(data, k, high)}"
        if low != high
        else f"{k} {_said(data, k, low)}"
        for k, (low, high) in data.limits.items()
    )
    figure = pair_plot(data.parameters, chosen, title=data.title, what=f"good ({told})")
    save_picture(figure, output)


def _said(data: PairsData, name: str, value: float) -> str:
    return data.classes[name][int(value)] if name in data.classes else f"{value:g}"


def _of_sweep(found: Results, good: Sequence[str]) -> PairsData:
    if not good:
        raise ValueError("--pairs: say what is good, as --good 'step.rate=40:60 Hz'")
    names = found.of_one_number()
    results = {found.label(name): found.numbers(name).ravel() for name in names}
    classes = {name: BEHAVIOURS for name in results if name.endswith(".behaviour")}
    limits: Limits = {}
    for text in good:
        name, equals, value = (part.strip() for part in text.partition("="))
        check_known(name, names, "result", "--good: ")
        if not equals or not value:
            raise ValueError(f"--good {text!r}: expected name=low:high, or name=behaviour")
        limits[found.label(name)] = _limits(name, value, found.units[name], name in classes)
    parameters = found.parameters()
    logs = [name for name, values in parameters.items() if logarithmic(values)]
    return PairsData(found.title, parameters, results, logs, classes, limits)


def _limits(name: str, text: str, unit: str, of_classes: bool) -> tuple[float, float]:
    what = f"--good {name}"
    if of_classes:
        check_known(text, BEHAVIOURS, "behaviour", f"{what}: ")
        number = float(BEHAVIOURS.index(text))
        return number, number
    low, colon, high = text.partition(":")
    if not colon:
        raise ValueError(f"{what}={text}: expected the lowest and the highest, as 40:60")
    low, high = (parse(part.strip() or end, unit, what) for part, end in ((low, "-1e30"),
                 (high, "1e30")))  # fmt: skip
    if not low <= high:
        raise ValueError(f"{what}={text}: expected the smaller one first")
    return low, high


def _of_fit(path: Path, good: Sequence[str]) -> PairsData:
    if good:
        raise ValueError(f"--good: of a fit those starts are good whose error is within {NEAR:.0%}")
    starts, errors = ends_of(path)
    alive = np.isfinite(errors)
    parameters = {k: a[alive] for k, a in starts.items()}
    errors = errors[alive]
    logs = [name for name, values in parameters.items() if logarithmic(values)]
    limits = {"error": (float(errors.min()), float(errors.min() * (1 + NEAR)))}
    return PairsData(f"starts of {path.name}", parameters, {"error": errors}, logs, {}, limits)


def _within(data: PairsData) -> np.ndarray:
    """The cells whose results are within the limits, `[cell]`."""
    good = np.ones(len(next(iter(data.parameters.values()))), bool)
    for name, (low, high) in data.limits.items():
        good &= (data.results[name] >= low) & (data.results[name] <= high)
    return good


def _thinned(data: PairsData, good: np.ndarray) -> PairsData:
    """With at most CELLS cells, the good ones first, the others evenly."""
    own, others = np.flatnonzero(good), np.flatnonzero(~good)
    own = own[np.unique(np.linspace(0, max(own.size - 1, 0), CELLS // 2).astype(int))[: own.size]]
    room = CELLS - own.size
    some = np.linspace(0, max(others.size - 1, 0), min(room, others.size)).astype(int)
    kept = np.sort(np.concatenate([own, others[some]]))
    told = "" if kept.size == good.size else f" ({kept.size:,} of {good.size:,} cells)"
    return PairsData(
        data.title + told,
        {k: a[kept] for k, a in data.parameters.items()},
        {k: a[kept] for k, a in data.results.items()},
        data.logs,
        data.classes,
        data.limits,
    )
