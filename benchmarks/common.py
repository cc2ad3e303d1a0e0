"""What every benchmark shares: where recordings are, what machine this is, where results go."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jaxlib
import numpy as np
from rich.console import Console

import neurojax

RESULTS = Path(__file__).parent / "results"


def recordings() -> Path:
    """The folder of recordings; ends the program with a message when there is none."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NEUROJAX_RECORDINGS", default))
    if not folder.is_dir():
        sys.exit("no recordings: set NEUROJAX_RECORDINGS to the folder that holds cc/ and vc/")
    return folder


# -- GPUs -----------------------------------------------------------------------------------------
GPU_ENVIRONMENT = {
    "JAX_PLATFORMS": "cuda,cpu",  # a JAX without CUDA breaks, and does not run on the CPU instead
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # or the first contestant takes the memory of all
}


def gpu_told(about: str | None, minutes: float) -> argparse.Namespace:
    """What a race on a GPU is told on the command line, set up for it: quick, deadline and on."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="a small race, nothing written")
    parser.add_argument("--minutes", type=float, default=minutes, help="to stop beginning things")
    parser.add_argument("--on", choices=("gpu", "cpu"), default="gpu", help=argparse.SUPPRESS)
    told = parser.parse_args()
    _gpu_or_exit(told.on)
    told.deadline = time.monotonic() + 60 * told.minutes
    return told


def _gpu_or_exit(on: str) -> None:
    """Set this process up for contestants on a GPU; ends the program when there is none."""
    if on == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
        return
    os.environ |= GPU_ENVIRONMENT
    ask = [sys.executable, "-c", "import jax; jax.devices('gpu')"]
    asked = subprocess.run(ask, capture_output=True, text=True, env=os.environ)
    if asked.returncode:
        reason = (asked.stderr.strip().splitlines() or ["no answer"])[-1]
        sys.exit(f"no GPU for JAX here: {reason[:200]}")


def console() -> Console:
    """Where tables go; wide enough for all their columns where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else 150)


def gpus() -> list[dict[str, str]]:
    """Name, memory and driver of every NVIDIA GPU, as its driver tells."""
    if not shutil.which("nvidia-smi"):
        return []
    keys = ["name", "memory.total", "driver_version", "clocks.max.sm", "power.limit"]
    ask = ["nvidia-smi", f"--query-gpu={','.join(keys)}", "--format=csv,noheader"]
    told = subprocess.run(ask, capture_output=True, text=True)
    lines = told.stdout.splitlines() if told.returncode == 0 else []
    return [dict(zip(keys, map(str.strip, line.split(",")), strict=False)) for line in lines]


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
        **({"gpus": there} if (there := gpus()) else {}),
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
