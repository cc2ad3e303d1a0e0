"""The figures of a report, each with what it shows in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from neurojax import plot
from neurojax.io.files import write_whole
from neurojax.plot.look import WIDTH
from neurojax.plot.panels import Picture, figure_of, svg_of
from neurojax.plot.sweep import glance_picture, overview_picture, sweep_picture
from neurojax.report import svg
from neurojax.report.content import FitReport

MOST_SWEEPS = 12
"""Sweeps drawn one by one; the table lists all."""


class Drawn(NamedTuple):
    """A figure of a report."""

    figure: Callable[[], Figure]  # for a bitmap
    alt: str  # for those who cannot see it
    caption: str
    vector: str  # as SVG
    width: float  # as a part of the page's


def drawn(picture: Figure | Picture, alt: str, caption: str = "") -> Drawn:
    """A figure with its words. One of lines alone is written as SVG without matplotlib."""
    if isinstance(picture, Picture):
        vector, width = svg_of(picture), picture.width
        return Drawn(lambda: figure_of(picture), alt, caption, vector, width / WIDTH)
    vector, width = svg.vector(picture), picture.get_figwidth()
    return Drawn(lambda: picture, alt, caption, vector, width / WIDTH)


def figures(report: FitReport) -> dict[str, Drawn]:
    """Every figure by the name of its file, without the sweeps' own."""
    fit, made = report.fit, {}
    seen = report.views[_first_look(report)]
    made["glance"] = drawn(
        glance_picture(seen),
        f"{report.label(seen)}, {seen.role}: the model's free run over the recording",
    )
    if len(report.views) > 2:
        made["overview"] = drawn(
            overview_picture([report.views[k] for k in chosen_sweeps(report)]),
            "The model over the recording on several sweeps, small",
            "Recording in grey, free run of the model in colour; number of the sweep and its step.",
        )
    if report.spiking:
        made |= _of_spikes(report)
    if fit.contributions:
        made["contributions"] = drawn(
            plot.contributions(fit), "What the final error is made of, feature by feature"
        )
    made["parameters"] = drawn(
        plot.intervals(fit, report.truth), "Parameters within their bounds", _of_parameters(report)
    )
    certificate = fit.certificate
    if certificate is not None and certificate.covariance is not None and len(fit.space) > 1:
        made["correlations"] = drawn(
            plot.correlation(certificate),
            "Correlations between the estimates of parameters",
            "Correlations of the estimates. A large disc means that the data fix a combination of "
            "the two parameters better than either.",
        )
    if certificate is not None and certificate.profiles:
        made["profiles"] = drawn(
            plot.profiles(certificate),
            "Profile likelihood of each parameter",
            "The best that all other parameters can do for each value of one. The 95 % interval is "
            "where the curve stays below the dashed line; a flat curve is not determined.",
        )
    made["convergence"] = drawn(
        plot.convergence(fit.stages), "Best error by iteration, final errors of all starts"
    )
    return made


def _first_look(report: FitReport) -> int:
    unseen, seen = report.typical(fitted=False), report.typical(fitted=True)
    return unseen if unseen is not None else seen or 0


def _of_spikes(report: FitReport) -> dict[str, Drawn]:
    made = {
        "firing": drawn(
            plot.firing(report.views),
            "Spike times of data and model on every sweep, and firing rate against current",
        )
    }
    places = [report.typical(fitted=False), report.typical(fitted=True)]
    some = [report.views[k] for k in places if k is not None and report.agreements[k].spikes_data]
    if some:
        made["phase_plane"] = drawn(
            plot.phase_plane(some),
            "dv/dt against v around the spikes of data and model, and their mean spikes",
            "A spike as a loop: threshold is where it leaves the line below, the fastest rise its "
            "top, the fastest fall its bottom. Where loops agree, so do onset, height and width.",
        )
    return made


def _of_parameters(report: FitReport) -> str:
    kind, _ = plot.spans(report.fit)
    bar = {"interval": "Bar: 95 % interval. ", "range": "Bar: how far it can move alone. ", "": ""}
    return (
        "Each parameter between the bounds of its search, on its own scale. Dot: best value. "
        + bar[kind]
        + "Ticks: other starts that ended within 5 % of the best error."
        + (" Diamond: the truth." if report.truth else "")
    )


def chosen_sweeps(report: FitReport) -> list[int]:
    """Places of the sweeps that are drawn: all, or of many some of both kinds."""
    n = len(report.views)
    if n <= MOST_SWEEPS:
        return list(range(n))
    unseen, seen = ([k for k, v in enumerate(report.views) if v.fitted == f] for f in (False, True))
    part = min(len(unseen), max(MOST_SWEEPS - len(seen), MOST_SWEEPS // 2))
    return sorted([*_spread(unseen, part), *_spread(seen, MOST_SWEEPS - part)])


def _spread(places: list[int], n: int) -> list[int]:
    """n of them, from the first to the last."""
    if len(places) <= n:
        return places
    return [places[round(k * (len(places) - 1) / max(n - 1, 1))] for k in range(n)]


def sweep_figures(report: FitReport) -> dict[int, tuple[str, Drawn]]:
    """The figure of each drawn sweep with the name of its file, by its place."""
    made = {}
    for k in chosen_sweeps(report):
        view = report.views[k]
        name = re.sub(r"\W+", "_", f"sweep_{view.data.name}_{view.data.sweep}").strip("_")
        if any(name == taken for taken, _ in made.values()):
            name = f"{name}_{k}"
        what = f"{view.label}, {view.role}: recording, free run, residual, stimulus and close-ups"
        made[k] = name, drawn(sweep_picture(view), what)
    return made


def write_figures(folder: Path, made: dict[str, Drawn], bitmaps: bool = False) -> None:
    """Each figure as SVG, or PNG too, in a folder, which is made. Raises OSError naming it."""
    folder.mkdir(exist_ok=True)
    for name, one in made.items():
        write_whole(folder / f"{name}.svg", svg.alone(one.vector))
        if bitmaps:
            write_whole(folder / f"{name}.png", svg.bitmap(one.figure()))
