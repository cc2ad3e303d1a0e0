"""What every benchmark shares: where recordings are, what machine this is, where results go."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import jax
import jaxlib
import numpy as np

import neurojax

RESULTS = Path(__file__).parent / "results"


def recordings() -> Path:
    """The folder of recordings; ends the program with a message when there is none."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NEUROJAX_RECORDINGS", default))
    if not folder.is_dir():
        sys.exit("no recordings: set NEUROJAX_RECORDINGS to the folder that holds cc/ and vc/")
    return folder


def environment() -> dict[str, Any]:
    """Hardware and versions, as every result carries them."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        cpu = names[0].split(":", 1)[1].strip() if names else cpu
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "devices": [str(d) for d in jax.devices()],
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "numpy": np.__version__,
        "neurojax": neurojax.__version__,
    }


def write(name: str, result: dict[str, Any]) -> Path:
    """One JSON file a benchmark, with its environment."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    text = json.dumps({"environment": environment(), **result}, indent=1)
    path.write_text(text + "\n")
    return path
