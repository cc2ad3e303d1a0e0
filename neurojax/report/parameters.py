"""The section on parameters: values, intervals, how well the data fix them, what trades."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from neurojax.fit import Free
from neurojax.membrane import path_names
from neurojax.membrane.channel import Leaf
from neurojax.plot.fits import Span, spans
from neurojax.plot.look import between, number, readable
from neurojax.report import page, words
from neurojax.report.content import FitReport, at_bound
from neurojax.report.figures import Drawn
from neurojax.report.properties import of_whole

_NOTES = {
    "": "No intervals: no stage has looked beside the best point, as certify does.",
    "range": (
        "Range: how far a parameter can move alone, the others held, before the error grows by one "
        "tolerance. A wide range means that the data hardly care about it, a narrow one not yet "
        "that its value is certain: others may make up for it."
    ),
}


def section(report: FitReport, made: Mapping[str, Drawn]) -> Iterator[str]:
    """What was found, how sure it is, and what was held fixed."""
    kind, known = spans(report.fit)
    head = ["parameter", "value", "unit", "whole cell"]
    head += {"interval": ["95 % interval", "fixed by the data"], "range": ["range", "felt"]}.get(
        kind, []
    )
    head += ["truth", "off by"] if report.truth else []
    rows = [[*_row(report, f, kind, known.get(f.name))] for f in report.fit.space.free]
    yield page.table([*head, "bounds", ""], rows, "Fitted parameters")
    yield page.paragraph(_NOTES.get(kind) or _basis(report), "note")
    yield page.drawing("parameters", made["parameters"])
    if told := words.left_open(report):
        listed = [page.powers(page.text(x)) for x in told]
        yield page.bullets(listed, "What the data leave open", "plain")
    for name, title in (("correlations", "What trades with what"), ("profiles", "Profiles")):
        if name in made:
            yield page.heading(3, title)
            yield page.drawing(name, made[name])
    yield _fixed(report)


def _basis(report: FitReport) -> str:
    """What the intervals rest on."""
    c = report.fit.certificate
    profiled = c is not None and bool(c.profiles)
    told = "Interval: values that the data allow at 95 %, all other parameters fitted anew"
    told += ", by profile likelihood." if profiled else ", if the model were linear in them."
    if c is not None and c.counted == "residual":
        told += " All that the fit leaves over counts as noise, with the time that it lasts."
    elif c is not None and c.counted == "quiet":
        told += " Only the recording's own noise counts: this holds if the model is right."
    return f"{told} How well the data fix a value is told by the part of its bounds that is left."


def _row(report: FitReport, f: Free, kind: str, span: Span | None) -> Iterator[page.Cell]:
    best = report.fit.values[f.name]
    value, unit = readable(best, f.unit)
    scale = value / best if best else 1.0
    also = f'<div class="also">also {page.text(", ".join(f.also))}</div>' if f.also else ""
    yield f"<code>{page.text(f.name)}</code>{also}", ""
    yield number(value)
    yield unit
    yield of_whole(f.name, best, f.unit, report.fit.cell), "number"
    if kind and span is None:
        yield from ("-", "not at all")
    elif kind and span is not None:
        yield page.powers(between(span.low * scale, span.high * scale)), ""
        word, sure = words.fixed_by_data(f, span)
        yield (word if sure else f'<span class="flag">{word}</span>'), ""
    if report.truth:
        true = report.truth.get(f.name, np.nan) * scale
        yield number(true)
        yield f"{100 * (value - true) / abs(true):+z.1f} %" if true else "-"
    yield page.powers(f"{f.low * scale:g} to {f.high * scale:g}"), "rest"
    bound = at_bound(f, best)
    yield f'<span class="flag">at its {bound} bound</span>' if bound else "", ""


def _held(value: Leaf, unit: str) -> str:
    """A value that was held; from the least to the largest where compartments differ."""
    ends = [readable(float(x), unit) for x in (np.min(value), np.max(value))]
    (low, unit), (high, own) = ends
    if low == high:
        return f"{number(low)} {unit}"
    return f"{number(low)} {unit} to {number(high)} {own}"


def _fixed(report: FitReport) -> str:
    free = {name for f in report.fit.space.free for name in (f.name, *f.also)}
    fixed = [
        (name, _held(v, i.unit))
        for name, (v, i) in path_names.parameters(report.fit.cell).items()
        if name not in free
    ]
    return page.details(
        f"{len(fixed)} parameters were held fixed",
        page.definitions((k, page.text(v)) for k, v in fixed),
    )
