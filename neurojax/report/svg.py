"""Figures on paper: as SVG to stand alone, the same inside a page, and as PNG."""

from __future__ import annotations

import html
import io
import re

import matplotlib
from matplotlib.figure import Figure

from neurojax.plot.look import (
    DATA,
    FITTED,
    GRID,
    INK,
    PREDICTED,
    STYLE,
    TRUTH,
)

# Colours that a dark page must change are left to the style sheet.
_COLOURS = {
    INK: "currentColor",
    DATA: "var(--data)",
    GRID: "var(--rule)",
    FITTED: "var(--fitted)",
    PREDICTED: "var(--predicted)",
    TRUTH: "var(--truth)",
}


def vector(figure: Figure) -> str:
    """A figure as SVG on nothing, in text that editors can edit."""
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    figure.set_layout_engine("none")  # found once, it serves the other formats
    svg = buffer.getvalue()
    # A hundredth of a point is finer than any screen, a tenth in long lines: half the bytes. Text
    # keeps its digits.
    return re.sub(r"<[^>!?]*>", _rounded, svg)


def alone(svg: str) -> str:
    """The SVG of `vector` on white paper, as a file."""
    end = svg.index(">", svg.index("<svg")) + 1
    return f'{svg[:end]}\n <rect width="100%" height="100%" fill="#ffffff"/>{svg[end:]}'


def bitmap(figure: Figure) -> bytes:
    """A figure as PNG on white paper, 200 dots per inch."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="png", dpi=200)
    return buffer.getvalue()


def inline(svg: str, key: str, label: str, width: float = 1.0) -> str:
    """The SVG of `vector` inside a page, in its fonts and colours; `key` makes its ids unique.

    It takes `width` of the page's width, and never so little that its letters cannot be read.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.S)
    view = re.search(r'viewBox="[^"]*"', svg)
    named = html.escape(label)
    size = f"max-width: {62 * width:.1f}rem; min-width: {40 * width:.1f}rem"
    opening = f'<svg {view[0] if view else ""} role="img" aria-label="{named}" style="{size}">'
    svg = opening + svg[svg.index(">") + 1 :]
    used = set(re.findall(r"#([\w.-]+)\"", svg)) | set(re.findall(r"url\(#([\w.-]+)\)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: f' id="{key}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r'xlink:href="#', f'href="#{key}-', svg)
    svg = re.sub(r"url\(#", f"url(#{key}-", svg)
    for colour, instead in _COLOURS.items():
        svg = svg.replace(colour, instead)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: inherit", svg)
    return re.sub(r"\s*\n\s*", " ", svg)


def _rounded(tag: re.Match[str]) -> str:
    digits = 1 if len(tag[0]) > 2000 else 2

    def shorter(match: re.Match[str]) -> str:
        return f"{float(match[0]):.{digits}f}".rstrip("0").rstrip(".")

    return re.sub(rf"\d+\.\d{{{digits + 1},}}", shorter, tag[0])
