"""NEURON: Hay et al.'s cell with the same .mod files compiled, cells spread over threads."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import hay_shape
import neuron_vectors
import worker
from neuron import h

from neurojax.model.formulas.form import form_of
from neurojax.model.nmodl import read_mechanism


class Population:
    """Cells with their clamps; NEURON forgets what Python does not hold."""

    def __init__(self, job: worker.Job):
        folder = compiled(job["mods"])
        told = hay_shape.document()
        names = {
            k: conductance(folder / x["type"]) for k, x in told["channels"].items() if k != "pas"
        }
        h.celsius, h.dt, h.secondorder = (
            told["cell"]["celsius"],
            job["dt"],
            job.get("secondorder", 0),
        )
        self.pc = h.ParallelContext()
        self.cells = [cell(told, names, times) for times in hay_shape.sodium(job)]
        self.clamps = [clamp(sections["soma"]) for sections in self.cells]
        self.voltages = [sections["soma"](0.5)._ref_v for sections in self.cells]
        self.pc.set_maxstep(10)
        self.pc.nthread(worker.cores())


def cell(told: dict[str, Any], names: dict[str, tuple[str, str]], sodium: float) -> dict[str, Any]:
    """One cell: its sections by name."""
    sections: dict[str, Any] = {}
    for region, shape in told["sections"].items():
        section = sections[region] = h.Section()
        section.L, section.diam = shape["length"], shape["diameter"]
        section.nseg, section.Ra = shape["compartments"], told["cell"]["R_i"]
        section.cm = told["cell"]["C_m"][region]
        if "on" in shape:
            section.connect(sections[shape["on"]](shape.get("at", 1)))
        channels(section, region, told, names, sodium)
    return sections


def channels(
    section: Any,
    region: str,
    told: dict[str, Any],
    names: dict[str, tuple[str, str]],
    sodium: float,
) -> None:
    """The mechanisms of a region, and what its ions have."""
    section.insert("pas")
    section.g_pas = 1e-3 * told["channels"]["pas"]["g_bar"]
    section.e_pas = told["channels"]["pas"]["E_rev"]
    calcium = False
    for key, (suffix, symbol) in names.items():
        g_bar = told["channels"][key]["g_bar"].get(region)
        if g_bar is None:
            continue
        section.insert(suffix)
        setattr(section, f"{symbol}_{suffix}", 1e-3 * g_bar * (sodium if key == "nats" else 1))
        calcium |= told["channels"][key].get("E_rev") == "nernst"
    for ion, value in (("na", 50.0), ("k", -85.0)):
        if h.ismembrane(f"{ion}_ion", sec=section):
            setattr(section, f"e{ion}", value)
    if calcium:
        section.insert("CaDynamics_E2")
        for name in ("gamma", "decay"):
            setattr(section, f"{name}_CaDynamics_E2", told["ions"]["ca"][name][region])


def clamp(section: Any) -> Any:
    """A constant current into the soma."""
    made = h.IClamp(section(0.5))
    made.delay, made.dur, made.amp = 0, 1e9, hay_shape.CURRENT
    return made


def conductance(path: Path) -> tuple[str, str]:
    """The SUFFIX of a file, and what it calls the conductance that multiplies its current."""
    mechanism = read_mechanism(path)
    symbol = next(f.symbol for f in form_of(mechanism).fields if f.name == "g_bar")
    return mechanism.name, symbol


@functools.cache
def compiled(mods: str) -> Path:
    """The folder of the compiled files; told to CoreNEURON, whose library has another name."""
    folder = hay_shape.folder(mods)
    library = folder / os.uname().machine
    if not (library / "libcorenrnmech.so").exists():
        tools = Path(sys.executable).parent
        path = f"{tools}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(
            [tools / "nrnivmodl", "-coreneuron", "."], cwd=folder, check=True,
            env=os.environ | {"PATH": path}, stdout=sys.stderr,
        )  # fmt: skip
    os.environ["CORENEURONLIB"] = str(library / "libcorenrnmech.so")
    h.nrn_load_dll(str(library / "libnrnmech.so"))
    return folder


def recorded(job: worker.Job) -> worker.Run:
    """A Vector per cell, which NEURON fills at every step."""
    return neuron_vectors.in_vectors(Population(job), job, hay_shape.V_START)


def variants(job: worker.Job) -> worker.Variants:
    return {"Vector.record": lambda: recorded(job)}


if __name__ == "__main__":
    worker.serve(variants, "neuron")
