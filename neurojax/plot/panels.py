"""Panels: a picture of lines told once, and drawn by matplotlib or as light SVG.

Places are in inches from the upper left corner, so that both drawings are alike.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from matplotlib.figure import Figure

from neurojax.plot.look import GRID, INK, STYLE, short, styled


@dataclass(frozen=True, eq=False)
class Line:
    """A line through points; what has a label is in the legend."""

    x: np.ndarray
    y: np.ndarray
    colour: str
    width: float = 1.2  # points
    label: str = ""


@dataclass(frozen=True, eq=False)
class Panel:
    """One pair of axes: its place (left, top, width, height), and what is in it."""

    place: tuple[float, float, float, float]
    lines: Sequence[Line]
    title: str = ""
    title_colour: str = INK
    xlabel: str = ""
    ylabel: str = ""
    xlim: tuple[float, float] | None = None
    ylim: tuple[float, float] | None = None
    at_zero: bool = False  # a faint line there
    bare_x: bool = False  # no numbers below
    bare_y: bool = False  # none beside it
    legend: bool = False

    def limits(self, which: str, margin: float) -> tuple[float, float]:
        """Of "x" or "y": as asked, or as the lines need, with a margin."""
        asked = self.xlim if which == "x" else self.ylim
        if asked is not None:
            return asked
        values = [getattr(line, which) for line in self.lines if len(line.x)]
        low, high = (float(f([f(v) for v in values])) if values else 0.0 for f in (np.min, np.max))
        pad = margin * (high - low) or 1.0
        return low - pad, high + pad


@dataclass(frozen=True, eq=False)
class Picture:
    """Panels on a sheet of so many inches."""

    width: float
    height: float
    panels: Sequence[Panel]


# -- by matplotlib ---------------------------------------------------------------------------------
@styled
def figure_of(picture: Picture) -> Figure:
    """The picture as a figure of matplotlib."""
    figure = Figure(figsize=(picture.width, picture.height))
    figure.set_layout_engine("none")
    for p in picture.panels:
        left, top, width, height = p.place
        size = picture.width, picture.height
        box = (left / size[0], 1 - (top + height) / size[1], width / size[0], height / size[1])
        axes = figure.add_axes(box)
        if p.at_zero:
            axes.axhline(0, color=GRID, lw=0.8)
        for line in p.lines:
            axes.plot(line.x, line.y, color=line.colour, lw=line.width, label=line.label or None)
        axes.set(xlabel=p.xlabel, ylabel=p.ylabel)
        axes.set(xlim=p.limits("x", 0.0), ylim=p.limits("y", 0.05))
        axes.set_title(p.title, color=p.title_colour)
        axes.tick_params(labelbottom=not p.bare_x, labelleft=not p.bare_y)
        if p.legend:
            axes.legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, borderaxespad=0)
    return figure


# -- as SVG ----------------------------------------------------------------------------------------
_POINTS = 72
_SIZE, _SMALL, _TITLE = STYLE["axes.labelsize"], STYLE["xtick.labelsize"], STYLE["axes.titlesize"]
_LETTER = 0.56
"""The mean width of a letter, as a part of its height."""


def svg_of(picture: Picture) -> str:
    """The picture as SVG: a path for each line, and text that editors can edit."""
    size = f"{picture.width * _POINTS:g}", f"{picture.height * _POINTS:g}"
    inside = "\n".join(_panel(p, f"p{k}") for k, p in enumerate(picture.panels))
    round_ends = 'stroke-linecap="round" stroke-linejoin="round"'
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}pt" height="{size[1]}pt" '
        f'viewBox="0 0 {size[0]} {size[1]}">\n<g fill="none" {round_ends} '
        f'style="font-family: DejaVu Sans, sans-serif">\n{inside}\n</g>\n</svg>\n'
    )


def _panel(p: Panel, key: str) -> str:
    left, top, width, height = (_POINTS * x for x in p.place)
    (x0, x1), (y0, y1) = p.limits("x", 0.0), p.limits("y", 0.05)

    def across(x: np.ndarray | float) -> np.ndarray:
        return left + width * (np.asarray(x) - x0) / (x1 - x0)

    def down(y: np.ndarray | float) -> np.ndarray:
        return top + height * (y1 - np.asarray(y)) / (y1 - y0)

    bottom = top + height
    box = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"'
    parts = [f'<clipPath id="{key}"><rect {box}/></clipPath>']
    axes, ticks = f"M{left:.1f} {top:.1f}V{bottom:.1f}H{left + width:.1f}", []
    for x in ticks_of(x0, x1, max(2, round(width / 55))):
        at = float(across(x))
        axes += f"M{at:.1f} {bottom:.1f}v3.5"
        if not p.bare_x:
            ticks.append(_text(at, bottom + 12.5, short(x), _SMALL, "middle"))
    for y in ticks_of(y0, y1, max(2, round(height / 28))):
        at = float(down(y))
        axes += f"M{left:.1f} {at:.1f}h-3.5"
        if not p.bare_y:
            ticks.append(_text(left - 6, at + 3.1, short(y), _SMALL, "end"))
    if p.at_zero and y0 < 0 < y1:
        zero = f"M{left:.1f} {down(0):.1f}h{width:.1f}"
        parts.append(f'<path d="{zero}" stroke="{GRID}" stroke-width="0.8"/>')
    drawn = "".join(
        f'<path d="{_path(across(line.x), down(line.y))}" stroke="{line.colour}" '
        f'stroke-width="{line.width:g}"/>'
        for line in p.lines
        if len(line.x)
    )
    parts.append(f'<g clip-path="url(#{key})">{drawn}</g>')
    parts.append(f'<path d="{axes}" stroke="{INK}" stroke-width="0.7" stroke-linecap="butt"/>')
    parts += ticks
    if p.title:
        parts.append(_text(left, top - 6, p.title, _TITLE, "start", p.title_colour))
    if p.xlabel:
        parts.append(_text(left + width / 2, bottom + 25, p.xlabel, _SIZE, "middle"))
    parts += _beside(p, left - 38, top + height / 2)
    if p.legend:
        parts += _legend(p, left + width, top - 6)
    return "\n".join(parts)


def ticks_of(low: float, high: float, most: int) -> list[float]:
    """Up to about so many round numbers within limits: steps of 1, 2 or 5."""
    raw = (high - low) / max(most, 1)
    if not (math.isfinite(raw) and raw > 0):
        return []
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= 0.8 * raw)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) + 0.0 for k in range(first, last + 1)]


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """A line in hundredths of a point: where it begins, then how far from point to point."""
    at = np.round(100 * np.stack([x, np.clip(y, -9e3, 9e3)], axis=1)).astype(int)
    moves = np.diff(at, axis=0)
    moves = moves[(moves != 0).any(axis=1)]
    steps = "".join(f"{_hundredth(a)}{_hundredth(b)}" for a, b in moves.tolist())
    return f"M{at[0, 0] / 100:g} {at[0, 1] / 100:g}l{steps.strip()}" if steps else ""


@functools.lru_cache(maxsize=100_000)
def _hundredth(n: int) -> str:
    """A number of hundredths, apart from the one before: " 1.5", "-.25"."""
    told = f"{abs(n) / 100:.2f}".rstrip("0").rstrip(".")
    told = told.removeprefix("0") or "0"
    return f"-{told}" if n < 0 and told != "0" else f" {told}"


def _text(
    x: float, y: float, said: str, size: float, anchor: str, colour: str = INK, turn: str = ""
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}" '
        f'fill="{colour}"{turn}>{escape(said)}</text>'
    )


def _beside(p: Panel, x: float, y: float) -> list[str]:
    """The label of the ordinate, from below to above, in as many lines as it has."""
    told = p.ylabel.split("\n") if p.ylabel else []
    found = []
    for k, said in enumerate(told):
        at = x - 11 * (len(told) - 1 - k)
        turn = f' transform="rotate(-90 {at:.1f} {y:.1f})"'
        found.append(_text(at, y, said, _SIZE, "middle", turn=turn))
    return found


def _legend(p: Panel, right: float, y: float) -> list[str]:
    """What has a label, in one row that ends at the right."""
    found = []
    for line in reversed([line for line in p.lines if line.label]):
        right -= _LETTER * _SMALL * len(line.label)
        found.append(_text(right, y, line.label, _SMALL, "start"))
        sample = f"M{right - 20:.1f} {y - 3:.1f}h16"
        found.append(f'<path d="{sample}" stroke="{line.colour}" stroke-width="{line.width:g}"/>')
        right -= 30
    return found
