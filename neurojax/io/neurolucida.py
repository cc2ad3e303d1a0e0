"""Morphologies in Neurolucida's ASC and in H5, through MorphIO."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.morphology import CENTRE, END, MorphologyError
from neurojax.morphology.outline import frusta
from neurojax.morphology.points import SOMA, region_name, sphere
from neurojax.morphology.section import Section

SOMA_NAME = f"{region_name(SOMA)}[0]"


def read_neurolucida(path: Path) -> tuple[dict[str, Section], list[str]]:
    """The sections of a file, and what MorphIO changed in it.

    A soma is an outline, see `outline.frusta`, or one point; neurites hang on its centre by wires,
    and a branch begins with its own diameter. Raises MorphologyError for what MorphIO refuses, more
    than one neurite without a soma, or sections without length.
    """
    morphology, told = _loaded(path)
    sections: dict[str, Section] = {}
    if len(morphology.soma.points):
        sections[SOMA_NAME] = _section(path, "the soma", _soma(path, morphology), region="soma")
    elif len(morphology.root_sections) != 1:
        raise MorphologyError(
            f"{path}: no soma, and {len(morphology.root_sections)} neurites; expected a soma, or "
            "one neurite"
        )
    else:
        told.append(f"{path}: no soma: the first point is the root")
    names: dict[int, str] = {}
    count: dict[str, int] = {}
    for one in morphology.iter():
        region = region_name(int(one.type))
        names[one.id] = f"{region}[{count.setdefault(region, 0)}]"
        count[region] += 1
        on, at = (SOMA_NAME, CENTRE) if one.is_root else (names[one.parent.id], END)
        points = np.column_stack([one.points, one.diameters]).astype(float)
        where = {"on": on, "at": at} if on in sections else {}
        first = ", ".join(f"{x:g}" for x in points[0, :3])
        what = f"the section from ({first}) on"
        sections[names[one.id]] = _section(path, what, points, region=region, **where)
    return sections, told


def _loaded(path: Path) -> tuple[Any, list[str]]:
    try:
        import morphio
    except ImportError as error:
        raise MorphologyError(
            f"{path}: reading this format needs morphio; install it with: "
            "pip install 'neurojax[morphology]'"
        ) from error
    heard = morphio.WarningHandlerCollector()
    try:
        morphology = morphio.Morphology(str(path), warning_handler=heard)
    except (morphio.MorphioError, RuntimeError) as error:
        raise MorphologyError(f"{path}: MorphIO cannot read it: {_plain(str(error))}") from error
    told = [_plain(w.warning.msg()) for w in heard.get_all()]
    return morphology, [f"{path}: MorphIO says: {said}" for said in told]


def _plain(said: str) -> str:
    """A message in one line, without colours."""
    return " ".join(re.sub(r"\x1b\[[\d;]*m", "", said).split())[:300]


def _soma(path: Path, morphology: Any) -> np.ndarray:
    """The points of the soma in a row, `[point, 4]`."""
    xyz = np.asarray(morphology.soma.points, float)
    if len(xyz) == 1:
        return sphere(np.append(xyz[0], float(morphology.soma.diameters[0])))
    try:
        return frusta(xyz)
    except ValueError as error:
        raise MorphologyError(f"{path}: {error}") from None


def _section(path: Path, what: str, points: np.ndarray, **more: Any) -> Section:
    try:
        return Section.along(points, **more)
    except ValueError as error:
        raise MorphologyError(f"{path}, {what}: {error}") from None
