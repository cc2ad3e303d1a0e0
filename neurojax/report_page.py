"""The paper a report is written on: HTML pieces, the style sheet, figures as inline SVG, the file.

Nothing here knows what a fit is. A page needs no other file and no network.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterable, Sequence

import matplotlib
from matplotlib.figure import Figure

from neurojax.plot import FITTED, GRID, INK, PREDICTED, STYLE, TRUTH

# Colours that a dark page must change are left to the style sheet.
_COLOURS = {
    INK: "currentColor",
    GRID: "var(--rule)",
    FITTED: "var(--fitted)",
    PREDICTED: "var(--predicted)",
    TRUTH: "var(--truth)",
}

STYLE_SHEET = """
:root { color-scheme: light dark; --paper: #fff; --ink: #26282b; --soft: #646a73; --rule: #e1e4e8;
  --wash: #f6f7f9; --fitted: #c8452f; --predicted: #23699e; --truth: #3c8457; --warn: #8a5a00;
  --warn-wash: #fdf6e7; }
@media (prefers-color-scheme: dark) { :root { --paper: #17191c; --ink: #e4e6e9; --soft: #9aa1ab;
  --rule: #34383e; --wash: #1f2226; --fitted: #ee7a62; --predicted: #6db0e3; --truth: #74c08e;
  --warn: #e3b457; --warn-wash: #2b2416; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
  sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: .2rem 0 1rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 3rem 0 .6rem; padding-top: 1rem; border-top: 1px solid
  var(--rule); }
h3 { font-size: 1.02rem; margin: 2rem 0 .2rem; }
p { margin: .5rem 0; max-width: 46rem; }
.eyebrow { color: var(--soft); font-size: .85rem; margin: 0; }
.verdict { font-size: 1.15rem; max-width: 48rem; }
.note, figcaption { color: var(--soft); font-size: .9rem; }
.callout { background: var(--warn-wash); border-left: 3px solid var(--warn); margin: 1.2rem 0;
  padding: .6rem 1rem; font-size: .95rem; }
.callout ul { margin: .2rem 0; padding-left: 1.1rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem;
  margin: 1.5rem 0 0; padding: 0; list-style: none; }
.facts li { background: var(--wash); border-radius: 6px; padding: .7rem .9rem; }
.facts b { display: block; font-size: 1.25rem; font-weight: 600; font-variant-numeric:
  tabular-nums; }
.facts span { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--predicted); }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums;
  width: 100%; }
th { font-weight: 600; text-align: left; color: var(--soft); vertical-align: bottom; }
th, td { padding: .32rem .7rem .32rem 0; border-bottom: 1px solid var(--rule); white-space:
  nowrap; }
th { white-space: normal; }
td.wrap { white-space: normal; min-width: 12rem; }
th.number, td.number { text-align: right; }
code { font: .88em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.badge { font-size: .8rem; padding: .05rem .5rem; border-radius: 1rem; border: 1px solid
  currentColor; }
.fitted { color: var(--fitted); } .predicted { color: var(--predicted); } .flag { color:
  var(--warn); }
figure { margin: 1rem 0; }
figure svg { display: block; width: 100%; min-width: 40rem; height: auto; }
figure svg * { stroke-linejoin: round; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .3rem 1.2rem;
  font-size: .9rem; margin: 1rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--soft); margin: .8rem 0 .3rem; }
@media (max-width: 40rem) { main { padding: 1.5rem 1rem 3rem; } h1 { font-size: 1.5rem; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #444; --rule: #ccc;
  --wash: #fff; --fitted: #c8452f; --predicted: #23699e; --truth: #3c8457; }
  @page { margin: 16mm; } body { font-size: 10pt; } main { max-width: none; padding: 0; }
  figure, tr, .callout, .facts { break-inside: avoid; } h2, h3 { break-after: avoid; }
  figure svg { min-width: 0; } .scroll { overflow: visible; } }
"""

Cell = str | tuple[str, str]
"""A table cell: text, or HTML with the class of its `td`."""


def text(value: object) -> str:
    """A value as HTML text."""
    return html.escape(str(value))


def page(title: str, body: Iterable[str]) -> str:
    """A whole HTML document."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{text(title)}</title>",
            f"<style>{STYLE_SHEET}</style>",
            "</head>",
            "<body>",
            "<main>",
            *body,
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def paragraph(content: str, kind: str = "") -> str:
    return f'<p class="{kind}">{content}</p>' if kind else f"<p>{content}</p>"


def heading(level: int, content: str) -> str:
    return f"<h{level}>{content}</h{level}>"


def bullets(items: Sequence[str], title: str) -> str:
    """A marked box with a list of things to know."""
    listed = "".join(f"<li>{item}</li>" for item in items)
    return f'<div class="callout"><strong>{text(title)}</strong><ul>{listed}</ul></div>'


def facts(items: Sequence[tuple[str, str]]) -> str:
    """A row of numbers that matter: (number, what it is)."""
    listed = "".join(f"<li><b>{text(n)}</b><span>{text(what)}</span></li>" for n, what in items)
    return f'<ul class="facts">{listed}</ul>'


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]], label: str) -> str:
    """A table that scrolls sideways where the page is narrow; text that is a number sits right."""
    rows = [[_cell(c) for c in row] for row in rows]
    right = [all("number" in row[k][1] or not row[k][0] for row in rows) for k in range(len(head))]
    top = "".join(
        f'<th scope="col"{" class=number" if right[k] else ""}>{text(h)}</th>'
        for k, h in enumerate(head)
    )
    body = "".join(
        "<tr>" + "".join(f'<td class="{kind}">{content}</td>' for content, kind in row) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(label)}">'
        f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(cell: Cell) -> tuple[str, str]:
    if isinstance(cell, tuple):
        return cell
    is_number = re.fullmatch(r"[-+±]?\d[\d.,]*(e[-+]?\d+)?( ?%)?|-", cell) is not None
    return text(cell), "number" if is_number else ""


def definitions(items: Iterable[tuple[str, str]]) -> str:
    """Terms with what they are, as text."""
    return "<dl>" + "".join(f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in items) + "</dl>"


def details(summary: str, content: str) -> str:
    """Something to unfold."""
    return f"<details><summary>{text(summary)}</summary>{content}</details>"


def figure(drawn: Figure, key: str, label: str, caption: str = "") -> str:
    """A figure as inline SVG in the page's own fonts and colours; `key` makes its ids unique."""
    below = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return f'<figure><div class="scroll">{_svg(drawn, key, label)}</div>{below}</figure>'


def _svg(drawn: Figure, key: str, label: str) -> str:
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        drawn.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.S)
    view = re.search(r'viewBox="[^"]*"', svg)
    opening = f'<svg {view[0] if view else ""} role="img" aria-label="{text(label)}">'
    svg = opening + svg[svg.index(">") + 1 :]
    used = set(re.findall(r"#([\w.-]+)\"", svg)) | set(re.findall(r"url\(#([\w.-]+)\)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: f' id="{key}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r'xlink:href="#', f'href="#{key}-', svg)
    svg = re.sub(r"url\(#", f"url(#{key}-", svg)
    for colour, instead in _COLOURS.items():
        svg = svg.replace(colour, instead)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: inherit", svg)
    # A hundredth of a point is finer than any screen: half the bytes. Text keeps its digits.
    svg = re.sub(r"<[^>]*>", lambda tag: re.sub(r"\d+\.\d{3,}", _hundredths, tag[0]), svg)
    return re.sub(r"\s*\n\s*", " ", svg)


def _hundredths(match: re.Match[str]) -> str:
    return f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
