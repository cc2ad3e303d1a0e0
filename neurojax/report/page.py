"""The paper a report is written on: pieces of HTML, tables, sections, figures.

A page needs no other file and no network.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from neurojax.report import svg
from neurojax.report.figures import Drawn
from neurojax.report.sheet import STYLE_SHEET

TALL = 30
"""Rows beyond which a table scrolls in a window of its own."""

Cell = str | tuple[str, str]
"""A table cell: text, or HTML with the class of its `td`."""


def text(value: object) -> str:
    """A value as HTML text."""
    return html.escape(str(value))


def powers(told: str) -> str:
    """Numbers such as 1e-07 as people write them: 10 to the power of -7."""

    def written(match: re.Match[str]) -> str:
        exponent = f"{int(match[2])}".replace("-", "\N{MINUS SIGN}")
        times = "" if float(match[1]) == 1 else f"{match[1]}\N{MULTIPLICATION SIGN}"
        return f"{times}10<sup>{exponent}</sup>"

    return re.sub(r"(?<![\w.])(\d+(?:\.\d+)?)e([-+]?\d+)(?!\w)", written, told)


def page(title: str, opening: Iterable[str], sections: Sequence[tuple[str, str, str]]) -> str:
    """A whole HTML document: an opening, then sections of (id, heading, content), if any."""
    listed = "".join(f'<li><a href="#{key}">{text(name)}</a></li>' for key, name, _ in sections)
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
            '<div class="sheet">',
            "<header>",
            *opening,
            "</header>",
            *([f'<nav aria-label="Contents"><ol>{listed}</ol></nav>'] if sections else []),
            "<main>",
            *(_section(*section) for section in sections),
            "</main>",
            "</div>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _section(key: str, name: str, content: str) -> str:
    return f'<section id="{key}">\n{heading(2, text(name))}\n{content}\n</section>'


def paragraph(content: str, kind: str = "") -> str:
    return f'<p class="{kind}">{content}</p>' if kind else f"<p>{content}</p>"


def heading(level: int, content: str) -> str:
    return f"<h{level}>{content}</h{level}>"


def bullets(items: Sequence[str], title: str, kind: str = "") -> str:
    """A marked box with a list of things to know."""
    listed = "".join(f"<li>{item}</li>" for item in items)
    box = f"callout {kind}".strip()
    return f'<div class="{box}"><strong>{text(title)}</strong><ul>{listed}</ul></div>'


def facts(items: Sequence[tuple[str, str]]) -> str:
    """A row of numbers that matter: (number, what it is as HTML)."""
    listed = "".join(f"<li><b>{powers(text(n))}</b><span>{what}</span></li>" for n, what in items)
    return f'<ul class="facts">{listed}</ul>'


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]], label: str) -> str:
    """A table that scrolls sideways where the page is narrow; text that is a number sits right.

    A row with a single cell names those that follow.
    """
    rows = [[_cell(c) for c in row] for row in rows]
    full = [row for row in rows if len(row) == len(head)]
    columns = [[row[k] for row in full if row[k][0]] for k in range(len(head))]
    right = [bool(column) and all("number" in kind for _, kind in column) for column in columns]
    top = "".join(
        f'<th scope="col"{" class=number" if right[k] else ""}>{text(h)}</th>'
        for k, h in enumerate(head)
    )
    body = "".join(_row(row, len(head)) for row in rows)
    kind = "scroll tall" if len(rows) > TALL else "scroll"
    return (
        f'<div class="{kind}" tabindex="0" role="region" aria-label="{text(label)}">'
        f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(row: Sequence[tuple[str, str]], columns: int) -> str:
    """A row; one with a single cell names those that follow."""
    if len(row) == 1 < columns:
        content, kind = row[0]
        return f'<tr><th class="{kind}" colspan="{columns}" scope="rowgroup">{content}</th></tr>'
    return "<tr>" + "".join(f'<td class="{kind}">{content}</td>' for content, kind in row) + "</tr>"


def _cell(cell: Cell) -> tuple[str, str]:
    if isinstance(cell, tuple):
        return cell
    is_number = re.fullmatch(r"[-+±]? ?\d[\d.,]*(e[-+]?\d+)?( ?%)?|-", cell) is not None
    return powers(text(cell)), "number" if is_number else ""


def definitions(items: Iterable[tuple[str, str]]) -> str:
    """Terms, as text, with what they are, as HTML."""
    return "<dl>" + "".join(f"<dt>{text(k)}</dt><dd>{v}</dd>" for k, v in items) + "</dl>"


def link(target: str, said: str) -> str:
    """A link to a file beside the page."""
    return f'<a href="{html.escape(quote(target))}">{text(said)}</a>'


def details(summary: str, content: str, unfolded: bool = False) -> str:
    """Something to unfold, under a summary in HTML."""
    opened = " open" if unfolded else ""
    return f"<details{opened}><summary>{summary}</summary>{content}</details>"


def drawing(name: str, one: Drawn) -> str:
    """A figure with its caption below; it scrolls sideways where the page is narrow."""
    below = f"<figcaption>{text(one.caption)}</figcaption>" if one.caption else ""
    inside = svg.inline(one.vector, name, one.alt, one.width)
    return f'<figure><div class="scroll" tabindex="0">{inside}</div>{below}</figure>'
