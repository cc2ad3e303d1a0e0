"""The patch pipette between amplifier and cell: a part of the cell, free as its channels are."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.cell import Cell, State, batch_shape, settled, steady_current
from neurojax.channel import Channel, Leaf, param, pytree
from neurojax.electrode import MINUTE, PA, Electrode, Trace, resample
from neurojax.rates import Gating
from neurojax.units import factor

_MOHM = factor("MOhm", "kOhm")
_NEWTON = 8
"""Newton steps to the potential that a clamp holds; each squares the error."""


@pytree
class Pipette(Channel):
    """Series resistance, stray capacitance and offsets of a whole-cell recording.

    In voltage clamp (`clamped` 1) its potential follows the command, less the junction potential,
    v' = (v_cmd - junction - v_p) / tau_clamp. Through R_s it sends (v_p - v) / R_s into the cell,
    and the amplifier reads i_amp = (v_p - v) / R_s + C_pip v_p' + offset. In current clamp
    (`clamped` 0) the electrode injects its current, and the amplifier reads v_amp = v_p + junction,
    where v_p' = (v + R_s i_cmd - v_p) / (R_s C_pip). R_s and C_pip are what compensation leaves;
    R_s grows by `drift` with the `minutes` of the recording.

    Source: Lei et al. 2020, Phil Trans R Soc A 378:20190348, doi:10.1098/rsta.2019.0348.
    Deviates: R_s compensation is a smaller R_s; in current clamp what charges C_pip is not missing
    at the membrane, as under capacitance neutralisation.
    """

    R_s: Leaf = param(10.0, "MOhm", 0.1, 500.0)
    C_pip: Leaf = param(1.0, "pF", 1e-3, 50.0, "log")
    tau_clamp: Leaf = param(0.01, "ms", 1e-4, 1.0)
    junction: Leaf = param(0.0, "mV", -30.0, 30.0)
    offset: Leaf = param(0.0, "pA", -200.0, 200.0)
    drift: Leaf = param(0.0, "MOhm/min", -10.0, 10.0)

    powers = {"v": 1}
    reads = ("area", "v_cmd", "i_cmd", "clamped", "minutes")
    commands = {"v_cmd": 0.0, "i_cmd": 0.0, "clamped": 0.0, "minutes": 0.0}
    ionic = False
    # No gate of a channel, it is not shifted or scaled as one.
    v_shift: ClassVar[float] = 0.0  # pyright: ignore[reportIncompatibleVariableOverride]
    tau_scale: ClassVar[float] = 1.0  # pyright: ignore[reportIncompatibleVariableOverride]

    def resistance(self, minutes: Any) -> Any:
        """Series resistance, kOhm. Where drift would make it negative it stays at a tenth."""
        R = self.R_s + self.drift * minutes
        return _MOHM * jnp.maximum(R, 0.1 * self.R_s)

    def gating(self, v, area, v_cmd, i_cmd, clamped, minutes):
        # A held potential does not depend on v, nor a current on its way: one of the two is on.
        R = self.resistance(minutes)
        free = 1 - clamped
        inf = clamped * (v_cmd - self.junction) + free * (v + R * i_cmd)
        charging = 1 / (R * self.C_pip * PA)  # pF as pA are 1e-6 of the coherent unit
        return {"v": Gating(inf, clamped / self.tau_clamp + free * charging)}

    def current(self, v, x, celsius=None, *, area, clamped, minutes, **_):
        return clamped * (v - x["v"]) / (self.resistance(minutes) * area)

    def amplifier_current(self, v, x, **c) -> jax.Array:
        """What the amplifier reads in voltage clamp, pA, outward positive."""
        (gate,) = self.gating(v, **c).values()
        charging = self.C_pip * (gate.inf - x["v"]) * gate.rate  # pF mV / ms = pA
        return (x["v"] - v) / self.resistance(c["minutes"]) / PA + charging + self.offset

    def amplifier_potential(self, x) -> jax.Array:
        """What the amplifier reads in current clamp, mV."""
        return x["v"] + self.junction


# -- the amplifier's side --------------------------------------------------------------------------
def voltage_clamp(v_cmd, minutes: Any = 0.0) -> Electrode:
    """Hold a cell's pipette at a command `[step]` or `[step, pop]`, mV."""
    inputs = {"v_cmd": jnp.asarray(v_cmd), "clamped": 1.0, "minutes": minutes}
    return Electrode(i=0.0, v_cmd=0.0, g=0.0, inputs=inputs)


def current_clamp(i, minutes: Any = 0.0) -> Electrode:
    """Inject a current `[step]` or `[step, pop]`, uA, and read its pipette."""
    i = jnp.asarray(i)
    return Electrode(i=i, v_cmd=0.0, g=0.0, inputs={"i_cmd": i, "minutes": minutes})


def current_through(cell: Cell, i) -> Electrode:
    """Inject a current `[step]` or `[step, ...]`, uA, through the cell's pipette if it has one."""
    inputs = {"i_cmd": i} if pipette_of(cell) else {}
    return Electrode(i=i, v_cmd=0.0, g=0.0, inputs=inputs)


def from_trace(trace: Trace, dt: float) -> Electrode:
    """Repeat through a pipette what a trace's amplifier did, in steps of `dt` ms."""
    voltage = trace.clamp == "voltage"
    stimulus = resample(trace.v_mV if voltage else trace.i_pA, trace.dt_ms, dt, at=0.5)
    minutes = (trace.begun_ms + (np.arange(stimulus.size) + 1) * dt) / MINUTE
    return voltage_clamp(stimulus, minutes) if voltage else current_clamp(stimulus * PA, minutes)


def pipette_of(cell: Cell) -> tuple[str, Pipette] | None:
    """The name and the pipette of a cell that has one."""
    found = ((k, c) for k, c in cell.channels.items() if isinstance(c, Pipette))
    return next(found, None)


def before(cell: Cell, electrode: Electrode) -> Cell:
    """The cell with what the electrode's first tick asks of its pipette, as held until then."""
    asked = {k: x for k, x in electrode.inputs.items() if k in Pipette.commands}
    first = {k: x[0] if np.ndim(x) else x for k, x in asked.items()}
    return dataclasses.replace(cell, inputs={**cell.inputs, **first})


def held(cell: Cell, v: Leaf, shape: tuple[int, ...] = ()) -> State:
    """The state in which its inputs have held a cell that was commanded to, or seen at, v (mV).

    Without a pipette it has settled at v. With one it is where the current through R_s balances
    that of the channels (voltage clamp), or at what the pipette showed, less the fall of the
    potential over R_s (current clamp). Differentiable in every parameter.
    """
    found = pipette_of(cell)
    if found is None:
        return settled(cell, v, shape)
    pipette, c = found[1], {**Pipette.commands, **cell.inputs}
    clamped = jnp.asarray(c["clamped"]) > 0
    seen = v - pipette.junction
    below = seen - pipette.resistance(c["minutes"]) * c["i_cmd"]
    shape = np.broadcast_shapes(shape, batch_shape(cell, v))
    v = jnp.broadcast_to(jnp.where(clamped, seen, below), shape)

    def newton(cell: Cell, v: jax.Array) -> jax.Array:
        i, slope = jax.jvp(lambda v: steady_current(cell, v), (v,), (jnp.ones_like(v),))
        return v - jnp.where(clamped, i / jax.lax.stop_gradient(slope), 0.0)

    fixed = jax.lax.stop_gradient(cell)
    still = jax.lax.fori_loop(0, _NEWTON, lambda _, v: newton(fixed, v), jax.lax.stop_gradient(v))
    # One more step outside stop_gradient carries the implicit derivative.
    return settled(cell, jnp.where(clamped, newton(cell, still), v), shape)
