"""From a file to a cell: what `load_myokit` does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.membrane.channel import Channel
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.electrode import Electrode
from neurojax.model.formulas.coupled import coupled_class
from neurojax.model.through_myokit.equations import PACE, Equations, equations
from neurojax.model.through_myokit.reading import SUFFIXES, MyokitError, Read, read_model

KEY = "membrane"
"""The name of a cell's one channel."""


@dataclass(frozen=True)
class ForeignCell:
    """A membrane model that others wrote, as a cell.

    All of its currents are one channel, "membrane", whose parameters are the constants of the file:
    "membrane.ina_g" is `g` of its component `ina`. `initial` are the values with which the file
    begins, for `simulate`; `remarks` tell what was guessed.
    """

    cell: Cell
    initial: State
    remarks: tuple[str, ...]
    protocol: Any  # Myokit's, None without one
    per_ms: float = 1.0  # of the protocol's units of time

    def paced(self, duration: float, dt: float) -> Electrode:
        """The stimulus that came with the file, over a duration (ms) in steps of dt (ms).

        Raises ValueError where none came, or it has no `pace`.
        """
        if self.protocol is None or PACE not in self.cell.channels[KEY].reads:
            raise ValueError("no stimulus came with the file: give an electrode of your own")
        n = round(duration / dt)
        middle = (np.arange(n) + 0.5) * dt * self.per_ms
        level = np.asarray(self.protocol.value_at_times(middle), np.float32)
        return Electrode(np.zeros(n, np.float32), 0.0, 0.0, inputs={PACE: level})


def load_myokit(path: str | Path) -> ForeignCell:
    """The cell of a .mmt file or, by Myokit's importer, of a CellML file.

    Potentials, times and concentrations are in this project's units. Its stimulus is taken out: use
    an electrode, or `ForeignCell.paced`. Without a capacitance per area currents are per uF, at
    1 uF/cm2, and of a cell of 1 cm2 unless it has a capacitance. Concentrations begin where the
    file says and go on from there; over many beats use float64, in which they keep what a step
    adds. Nothing in the file is executed.

    Raises MyokitError for what cannot be done, and ImportError without Myokit.
    """
    made, read = _loaded(path)
    found: Equations = made.equations
    cell = Cell(channels={KEY: made()}, C_m=found.C_m, area=found.area)
    x = {k: node.value for k, node in found.mechanism.initial.items()}
    v: Any = found.v
    initial = State(v, {KEY: x})
    return ForeignCell(cell, initial, tuple(found.remarks), read.protocol, found.per_ms)


def as_toml(path: str | Path) -> str:
    """The model file of the cell that `load_myokit` makes. Raises as that does."""
    made = load_myokit(path)
    cls, cell = type(made.cell.channels[KEY]), made.cell
    name = json.dumps(Path(path).stem)
    remarks = "".join(f"# {remark}\n" for remark in made.remarks)
    return (
        f"name = {name}\ndescription = {json.dumps(cls.__doc__)}\n{remarks}[cell]\n"
        f"C_m = {cell.C_m!r}\narea = {cell.area!r}\n"
        f"[channels.{KEY}]\ntype = {json.dumps(str(Path(path).expanduser().resolve()))}\n"
    )


def membrane_of(path: str | Path) -> type[Channel]:
    """All states and currents of a .mmt or CellML file as one channel class: see `load_myokit`."""
    return _loaded(path)[0]


def _loaded(path: str | Path) -> tuple[Any, Read]:
    path = Path(path).expanduser()
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    if path.suffix.lower() not in SUFFIXES:
        raise MyokitError(f"{path}: expected a file named {' or '.join(SUFFIXES)}")
    return _made(str(path.resolve()), hashlib.sha256(path.read_bytes()).hexdigest())


@cache
def _made(path: str, key: str) -> tuple[Any, Read]:
    """A class, made once: for one that is made anew JAX compiles anew."""
    del key
    read = read_model(Path(path))
    found = equations(read, path)
    body: Mapping[str, Any] = {
        "model_type": path,
        "loaded": (membrane_of, path),
        "equations": found,
    }
    if PACE in found.form.reads:
        body = {**body, "commands": {PACE: 0.0}}
    m = found.mechanism
    doc = f"{m.title or m.name}: of the file {Path(path).name}, through Myokit."
    return coupled_class(m, found.form, m.name, doc, body), read
