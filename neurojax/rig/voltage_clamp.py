"""clamp: a cell under a voltage-clamp protocol, through a rig; currents as a recording has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from neurojax.membrane.axes import batch_shape
from neurojax.membrane.compartment import Cell, pools
from neurojax.membrane.observables import check_observables
from neurojax.membrane.requirements import check_ions, check_single
from neurojax.recording.trace import Origin, Trace
from neurojax.rig.amplifier import Rig
from neurojax.rig.protocols import Protocol
from neurojax.run.simulation import simulate


@dataclass(frozen=True, eq=False)
class Clamped:
    """Currents of a protocol's sweeps as a rig writes them."""

    protocol: Protocol
    rig: Rig
    t: Float[np.ndarray, " sample"]  # ms
    i: Float[np.ndarray, "sample sweep"]  # pA, outward positive
    data: dict[str, Float[np.ndarray, "step sweep"]]  # of the cell itself, "v" among them

    def window(self, name: str) -> Float[np.ndarray, "sample sweep"]:
        """Currents within one of the protocol's windows."""
        start, stop = self.protocol.windows[name]
        half = 0.5 * self.protocol.dt
        return self.i[(self.t > start - half) & (self.t < stop - half)]

    def trace(self, sweep: int = 0) -> Trace:
        """One sweep as a recording, for fits and files."""
        dt = float(self.t[1] - self.t[0])
        command = np.interp(self.t, self.protocol.t, self.protocol.v[:, sweep])
        return Trace(
            "voltage", dt, command, self.i[:, sweep], name=self.protocol.name, sweep=sweep,
            holding=float(self.protocol.v[0, sweep]), origin=Origin(note="simulated"),
        )  # fmt: skip


def clamp(
    cell: Cell,
    protocol: Protocol,
    rig: Rig | None = None,
    *,
    record: tuple[str, ...] = (),
    subtract_leak: int = 0,
    seed: int = 0,
) -> Clamped:
    """Run every sweep of a protocol on a cell, from the gates' steady state at its first command.

    An ideal clamp is computed for all times at once, else the sweeps are simulated together. With
    `subtract_leak` N the currents of N pulses of 1/N of the size are taken off (P/N): what is
    linear in v goes, leak and capacitance. Raises ValueError for a population of cells: its axis is
    that of the sweeps.
    """
    rig = Rig() if rig is None else rig
    names = ("v", "i_ion", *(name for name in record if name not in ("v", "i_ion")))
    check_single(cell, "a protocol")
    check_observables(cell, names)
    if batch_shape(cell):
        raise ValueError("a protocol runs on one cell: its sweeps are the population")

    check_ions(cell, rig.electrode(protocol.v))

    def measured(protocol: Protocol, data: dict[str, np.ndarray], seed: int):
        of_cell = {"area": float(cell.area), "C_m": float(cell.C_m)}
        return rig.measured(data["i_ion"], data["v"], protocol.v, protocol.dt, **of_cell, seed=seed)

    data = _run(cell, protocol, rig, names)
    t, i = measured(protocol, data, seed)
    if subtract_leak:
        small = protocol.scaled(1 / subtract_leak)
        of_small = _run(cell, small, rig, names)
        for k in range(subtract_leak):  # the same each time, but for the noise
            _, leak = measured(small, of_small, seed + 1 + k)
            i = i - (leak - leak[:1])
    return Clamped(protocol, rig, t, i, data)


def _run(cell: Cell, protocol: Protocol, rig: Rig, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    run = simulate(
        cell,
        rig.electrode(protocol.v),
        protocol.dt,
        record=names,
        initial=rig.at_membrane(protocol.v)[0],
        engine="prefix" if rig.R_left_MOhm == 0 and not pools(cell) else "scan",
    )
    return {name: np.asarray(x) for name, x in run.data.items()}
