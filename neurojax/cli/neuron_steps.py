"""What NEURON makes of an NMODL file under voltage steps, in a process of its own.

NEURON compiles the file, and the C code in it with it: only what `converted` has read before, which
refuses C code that does anything, may come here.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

SECONDS = 180.0
"""How long compiling and running may take."""

_SCRIPT = """
import json
from neuron import h

h.load_file("stdrun.hoc")
asked = json.load(open("asked.json"))
patch = h.Section(name="patch")
patch.L, patch.diam, patch.nseg, patch.cm = 1e4 / 3.141592653589793, 1.0, 1, 1e-3
patch.insert(asked["suffix"])
for ion in asked["ions"]:
    h.ion_style(ion + "_ion", 1, 1, 0, 0, 0, sec=patch)
h.celsius, h.dt, h.secondorder = asked["celsius"], asked["dt"], 0
h.steps_per_ms = 1 / h.dt
clamp = h.SEClamp(patch(0.5))
clamp.rs, clamp.dur1, clamp.dur2 = 1e-6, asked["before"], asked["during"]
clamp.amp1 = asked["holding"]
i = h.Vector().record(clamp._ref_i)
found = []
for level in asked["steps"]:
    clamp.amp2 = level
    for begin in (lambda: h.finitialize(asked["holding"]), h.fcurrent):  # INITIAL reads them, too
        for name, value in asked["values"].items():
            setattr(patch if hasattr(patch, name) else h, name, value)
        begin()
    h.continuerun(asked["before"] + asked["during"])
    found.append(list(i))
json.dump(found, open("found.json", "w"))
"""


def neuron() -> Path | None:
    """NEURON's folder of programs, beside this Python or on the PATH; None without it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    found = shutil.which("nrniv", path=path), shutil.which("nrnivmodl", path=path)
    return Path(found[0]).parent if all(found) and found[0] else None


def neuron_steps(
    mod: Path, suffix: str, values: dict[str, float], protocol: dict[str, Any], ions: Sequence[str]
) -> np.ndarray:
    """Current densities [time, step] (uA/cm2) under the steps of a protocol, one a time step.

    `values` are those of ions (ek, cai ...) and of parameters by NEURON's names. Raises
    RuntimeError, with NEURON's words, where it fails or takes more than three minutes.
    """
    programs = neuron()
    if programs is None:
        raise RuntimeError("NEURON is not installed: no nrniv and nrnivmodl on the PATH")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(mod, folder / "mechanism.mod")
        asked = {**protocol, "suffix": suffix, "values": values, "ions": list(ions)}
        (folder / "asked.json").write_text(json.dumps(asked))
        (folder / "steps.py").write_text(_SCRIPT)
        _run([programs / "nrnivmodl", "."], folder, programs)
        library = next(folder.glob("*/libnrnmech.*"))
        _run([programs / "nrniv", "-dll", library, "-python", "steps.py"], folder, programs)
        if not (folder / "found.json").is_file():
            raise RuntimeError("NEURON gave no currents")
        found = np.array(json.loads((folder / "found.json").read_text()))
    # nA of a patch of 1e-4 cm2; the first sample is from before the first step.
    return 10.0 * found.T[1:]


def _run(command: list[Any], folder: Path, programs: Path) -> None:
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"
    process = subprocess.Popen(
        [*map(str, command)], cwd=folder, env=os.environ | {"PATH": path}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise RuntimeError(f"NEURON took more than {SECONDS:g} s") from None
    if process.returncode:
        last = " ".join(said.strip().splitlines()[-3:])
        raise RuntimeError(f"NEURON failed: {last}")
