"""The cell of `hay_2011.toml` with its .mod files, which both neurojax and NEURON read."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import worker

MODEL = Path(__file__).resolve().parents[1] / "hay_2011.toml"
V_START, CURRENT = -75.0, 0.6  # mV; nA into the soma, from the beginning


def folder(mods: str) -> Path:
    """A folder with the model and the .mod files beside it."""
    files = sorted(Path(mods).glob("*.mod"))
    texts = [MODEL.read_text(), *(path.read_text() for path in files)]
    print_ = hashlib.sha256("".join(texts).encode()).hexdigest()[:16]
    made = Path(tempfile.gettempdir()) / f"neurojax-benchmarks-hay-{print_}"
    made.mkdir(exist_ok=True)
    for path in (MODEL, *files):
        shutil.copy(path, made)
    return made


def document() -> dict[str, Any]:
    """The model file."""
    return tomllib.loads(MODEL.read_text())


def sodium(job: worker.Job) -> np.ndarray:
    """By how much the sodium conductance of soma and dendrite differs, in every cell."""
    return worker.g_na_watched({**job, "g_na": 1.0})
