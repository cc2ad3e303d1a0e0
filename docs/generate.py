"""Pages of the site that are made from the code: every channel, every cell, every experiment.

mkdocs calls `on_files` (see mkdocs.yml). Nothing is written into the project.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from neurojax.channels import catalogue
from neurojax.explore.symbols import equations
from neurojax.membrane.channel import Channel, params
from neurojax.membrane.markov import Scheme
from neurojax.model import load_model, packaged

ROOT = Path(__file__).resolve().parents[1]


def on_files(files: Files, config: Any) -> Files:
    """The written pages and those that are made."""
    for name, content in [*_channels(), ("cells.md", _cells()), *_experiments()]:
        files.append(File.generated(config, name, content=content))
    for page in sorted((Path(__file__).parent / "pages" / "tutorials").glob("*.md")):
        notebook = json.dumps(as_notebook(page.read_text(encoding="utf-8")))
        files.append(File.generated(config, f"tutorials/{page.stem}.ipynb", content=notebook))
    for folder in _folders():
        picture = folder / "figure.png"
        files.append(
            File.generated(config, f"experiments/{folder.name}.png", content=picture.read_bytes())
        )
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """A tutorial with a link to itself as a notebook, below its title."""
    name = Path(page.file.src_uri)
    if name.parent.name != "tutorials":
        return markdown
    title, _, rest = markdown.partition("\n")
    return f"{title}\n\n[As a notebook]({name.stem}.ipynb)\n{rest}"


# -- notebooks ------------------------------------------------------------------------------------
CODE = re.compile(r"^```python\n(.*?)^```\n?", re.MULTILINE | re.DOTALL)


def as_notebook(text: str) -> dict[str, Any]:
    """A page as a Jupyter notebook (format 4.5): its snippets are cells to run."""
    cells: list[dict[str, Any]] = []
    for k, part in enumerate(CODE.split(text)):  # text and code in turn
        if not part.strip():
            continue
        cell = {"id": f"cell-{k}", "metadata": {}, "source": part.strip()}
        if k % 2:
            cells.append(cell | {"cell_type": "code", "execution_count": None, "outputs": []})
        else:
            cells.append(cell | {"cell_type": "markdown"})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


# -- channels -------------------------------------------------------------------------------------
def _channels() -> Iterator[tuple[str, str]]:
    """A page for each channel, and their list by preparation."""
    by_file: dict[str, list[str]] = {}
    for name, kind in catalogue().items():
        yield f"channels/{name}.md", _channel(name, kind)
        by_file.setdefault(kind.__module__.rpartition(".")[2].replace("_", " "), []).append(name)
    lines = ["# Channels", "", f"{len(catalogue())} published channels, by what they are of.", ""]
    for preparation, names in sorted(by_file.items()):
        lines += [f"## {preparation.capitalize()}", ""]
        lines += [f"- [{n}]({n}.md): {_first_line(catalogue()[n])}" for n in names] + [""]
    yield "channels/index.md", "\n".join(lines)


def _first_line(kind: type[Any]) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def _channel(name: str, kind: type[Channel]) -> str:
    """What a channel is, its parameters and temperature, and its equations as the code has them."""
    text = inspect.getdoc(kind) or ""
    lines = [f"# {name}", "", _as_markdown(text), "", "| parameter | default | from | to | unit |"]
    lines += ["|---|---|---|---|---|"]
    for key, p in params(kind).items():
        default = "from its ion" if p.default is None else f"{p.default:g}"
        unit = "" if p.unit == "1" else p.unit
        lines.append(f"| `{key}` | {default} | {p.low:g} | {p.high:g} | {unit} |")
    lines += ["", _open(kind), "", _warmth(kind), ""]
    if kind.reads:
        lines += [f"It reads {', '.join(f'`{r}`' for r in kind.reads)} of the cell.", ""]
    lines += ["## Equations", "", "```text", *equations(kind), "```", ""]
    lines += [f"Its curves: `neurojax channels {name} --plot {name}.png`", ""]
    source = inspect.getsource(kind)
    lines += ["## As it is written", "", "```python", source.rstrip(), "```", ""]
    return "\n".join(lines)


def _as_markdown(text: str) -> str:
    """A docstring with its source and deviations as paragraphs of their own."""
    return re.sub(r"(?<!\n)\n(Source|Deviates):", r"\n\n\1:", text).replace(
        "Source:", "**Source.**"
    )


def _open(kind: type[Channel]) -> str:
    """The open probability in words."""
    if issubclass(kind, Scheme):
        conducting = ", ".join(f"`{s}`" for s in kind.conducting)
        return f"A Markov scheme of {len(kind.states)} states, of which {conducting} conduct."
    if not kind.powers:
        return "It has no gates."
    factors = [f"{gate}<sup>{p}</sup>" if p > 1 else gate for gate, p in kind.powers.items()]
    return f"Open probability: {' '.join(factors)}."


def _warmth(kind: type[Channel]) -> str:
    at = f"Measured at {kind.celsius_ref:g} degC."
    if not kind.q10 and kind.q10_g == 1:
        return f"{at} Its source gives no Q10."
    warmed = dict(kind.q10) | ({"the conductance": kind.q10_g} if kind.q10_g != 1 else {})
    return f"{at} Q10: {', '.join(f'{what} {q:g}' for what, q in warmed.items())}."


# -- cells ----------------------------------------------------------------------------------------
def _cells() -> str:
    """The packaged cells, with their channels."""
    lines = [
        "# Packaged cells",
        "",
        "Each is a TOML file to copy: `neurojax models` lists them.",
        "",
    ]
    for name in packaged():
        model = load_model(name)
        kinds = [type(channel).__name__ for channel in model.cell.channels.values()]
        known = [f"[{k}](channels/{k}.md)" if k in catalogue() else k for k in kinds]
        lines += [f"## {name}", "", model.description, "", ", ".join(known), ""]
    return "\n".join(lines)


# -- experiments ----------------------------------------------------------------------------------
def _folders() -> list[Path]:
    return sorted(p for p in (ROOT / "experiments").iterdir() if (p / "README.md").exists())


def _experiments() -> Iterator[tuple[str, str]]:
    """The text of each experiment, and a page of all figures, small."""
    cards = []
    for folder in _folders():
        text = (folder / "README.md").read_text(encoding="utf-8")
        yield f"experiments/{folder.name}.md", text.replace("(figure.png)", f"({folder.name}.png)")
        title = text.partition("\n")[0].removeprefix("# ")
        cards += [
            f"-   [![]({folder.name}.png)]({folder.name}.md)",
            f"    [{title}]({folder.name}.md)",
            "",
        ]
    head = "# Experiments\n\nOne phenomenon each: script, figure, and a test of its numbers.\n"
    grid = '\n<div class="grid cards" markdown>\n\n' + "\n".join(cards) + "\n</div>\n"
    yield "experiments/index.md", head + grid
