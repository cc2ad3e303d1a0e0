"""Others' models: how many of NeuroML's channels and cells, and of Myokit's and CellML's, load.

    python benchmarks/foreign.py FOLDER [--most 40]

FOLDER has clones of repositories, one folder each; of each `--most` files of a kind are tried, the
same ones in every run, and of files with the same content one. Counted by reason, and no file of
them is part of this project.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import common

from neurojax.model import load_myokit, load_neuroml
from neurojax.model.neuroml.channels import KINDS
from neurojax.model.neuroml.document import tag
from neurojax.model.neuroml.loading import channel_of, document_of

LARGEST = 8_000_000
"""Bytes: larger files are networks."""

REASONS = {
    "a channel or pool that no file of it has": r"neither has nor includes|not found",
    "a shape without channels": r"biophysicalProperties> is missing|has no channel",
    "broken XML": "no XML",
    "a channel reads calcium that the cell has not": "needs 'ca_i'",
    "no membrane": "no membrane potential",
    "a formula of the time": "a formula of the time",
}
"""By what the message says; others are "cannot be done"."""


def reason(message: str) -> str:
    """Why it was refused."""
    found = (name for name, said in REASONS.items() if re.search(said, message))
    return next(found, "cannot be done")


def files(folder: Path, suffix: str, has: bytes, most: int) -> list[Path]:
    """Some files that have these letters, of each content one."""
    by_content = {
        hashlib.sha256(text).digest(): path
        for path in sorted(folder.rglob(f"*{suffix}"))
        if path.stat().st_size < LARGEST and re.search(has, text := path.read_bytes())
    }
    some = sorted(by_content.values())
    random.Random(1).shuffle(some)
    return some[:most]


def channels(path: Path) -> Iterator[Callable[[], Any]]:
    """What makes each channel that a file has itself."""
    document = document_of(path)
    for element in document.root:
        if tag(element) in KINDS:
            yield lambda element=element: channel_of(document, element)


def cells(path: Path) -> Iterator[Callable[[], Any]]:
    """What makes each cell that a file has itself."""
    for element in document_of(path).root:
        if tag(element) == "cell" and (name := element.get("id")):
            yield lambda name=name: load_neuroml(path, name)


def membranes(path: Path) -> Iterator[Callable[[], Any]]:
    """What makes the cell of a Myokit or CellML file."""
    yield lambda: load_myokit(path)


TRIED = {
    "NeuroML channels": (".nml", rb"<ionChannel", channels),
    "NeuroML cells": (".nml", rb"<cell[ >]", cells),
    "Myokit": (".mmt", rb"\[\[model\]\]", membranes),
    "CellML": (".cellml", rb"<model", membranes),
}


def tried(folder: Path, kind: str, most: int) -> Counter[str]:
    """What became of the files of a kind in a repository."""
    suffix, has, makers = TRIED[kind]
    found: Counter[str] = Counter()
    for path in files(folder, suffix, has, most):
        try:
            for make in makers(path):
                try:
                    make()
                    found["loads"] += 1
                except ValueError as error:
                    found[reason(str(error))] += 1
        except ValueError as error:
            found[reason(str(error))] += 1
    return found


def main() -> None:
    """Try all, and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with a clone of each repository")
    parser.add_argument("--most", type=int, default=40, help="files of a kind, of each repository")
    asked = parser.parse_args()
    repositories = sorted(path for path in asked.folder.iterdir() if path.is_dir())
    result: dict[str, Any] = {"most": asked.most}
    for kind in TRIED:
        counts = {path.name: tried(path, kind, asked.most) for path in repositories}
        counts = {name: dict(one.most_common()) for name, one in counts.items() if one}
        total = sum((Counter(one) for one in counts.values()), Counter[str]())
        result[kind] = {"all": dict(total.most_common()), **counts}
        print(kind, dict(total))
    common.write("foreign", result)


if __name__ == "__main__":
    main()
