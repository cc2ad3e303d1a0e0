"""The page of a plate: what its cells share, how they are distributed, and each cell in a row."""

from __future__ import annotations

import os
from pathlib import Path

from neurojax.fit import CohortFit
from neurojax.io.files import write_whole
from neurojax.plot.look import number
from neurojax.report import page


def write_plate(path: str | os.PathLike[str], found: CohortFit, title: str = "A plate") -> Path:
    """Write the page of a cohort as one HTML file. Raises OSError naming the file."""
    return write_whole(path, to_html(found, title))


def to_html(found: CohortFit, title: str) -> str:
    """The page as one HTML document that needs nothing else."""
    head, rows = found.table()
    failed = [k for k in range(len(found.names)) if found.remarks(k)]
    first, *rest = found.summary().split("\n")
    facts = [
        (str(len(found.names)), "cells"),
        (str(int(found.at_noise.sum())), "at the noise of their recordings"),
        (str(len(found.names) - len(failed)), "without a remark"),
    ]
    opening = [page.heading(1, page.text(title)), page.facts(facts)]
    opening.append(page.paragraph(page.text(first)))
    if rest:
        lines = [page.text(line.strip()) for line in rest]
        opening.append(page.bullets(lines, "What was found", "plain"))
    shown = [[x if isinstance(x, str) else number(x) for x in row] for row in rows]
    return page.page(title, opening, [("cells", "The cells", page.table(head, shown, "cells"))])
