"""The patch pipette between amplifier and cell: a part of the cell, free as its channels are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from neurojax.membrane import access, electrode
from neurojax.membrane.axes import aligned, batch_shape
from neurojax.membrane.channel import Channel, Gates, Leaf, check_real, param, params, pytree
from neurojax.membrane.compartment import IDEAL_CLAMP_G, Cell, State, environment
from neurojax.membrane.electrode import Electrode, InTime, n_steps, now, resample
from neurojax.membrane.rates import Gating, from_inf
from neurojax.membrane.rest import clamped_there, steady_current, steady_state
from neurojax.recording.trace import Trace
from neurojax.units import MINUTE, PA

_HELD = ("v_cmd", "i_cmd", "clamped", "minutes")
_IMPOSED = 1e9
"""A coupling (mS/cm2) that brings a cell to its recording within one step."""
_NO_C_PIP = 1e-6
"""A stray capacitance (pF) that is charged within any step."""
_NEWTON = 8
"""Newton steps to the potential that a clamp holds; each squares the error."""


@pytree
class Pipette(Channel):
    """Series resistance, stray capacitance and offsets of a whole-cell recording.

    In voltage clamp (`clamped` 1) its potential follows the command, less the junction potential,
    v' = (v_cmd - junction - v_p) / tau_clamp. Through R_s it sends (v_p - v) / R_s into the cell,
    and the amplifier reads i_amp = (v_p - v) / R_s + C_pip v_p' + offset. In current clamp
    (`clamped` 0) the amplifier reads v_amp = v_p + junction, where
    v_p' = (v + R_s i - v_p) / (R_s C_pip), at once without C_pip, and i = i_cmd - offset is what
    the cell gets of the current. R_s and C_pip are what compensation leaves; R_s grows by `drift`
    with the `minutes` of the recording. A `coupling` (mS/cm2) pulls the cell to where the recorded
    v_cmd, which rises by v_rise (mV/ms), put it: see `membrane_v`.

    Source: Lei et al. 2020, Phil Trans R Soc A 378:20190348, doi:10.1098/rsta.2019.0348.
    Deviates: R_s compensation is a smaller R_s; in current clamp what charges C_pip is not missing
    at the membrane, as under capacitance neutralisation.
    """

    R_s: Leaf = param(*access.R_S)
    C_pip: Leaf = param(*access.C_PIP)
    tau_clamp: Leaf = param(*access.TAU_CLAMP)
    junction: Leaf = param(*access.JUNCTION)
    offset: Leaf = param(*access.OFFSET)
    drift: Leaf = param(*access.DRIFT)

    powers = {"v": 1}
    reads = ("area", "v_cmd", "i_cmd", "clamped", "minutes", "v_rise", "coupling")
    commands = {
        "v_cmd": 0.0, "i_cmd": 0.0, "clamped": 0.0, "minutes": 0.0, "v_rise": 0.0, "coupling": 0.0,
    }  # fmt: skip
    ionic = False
    # No gate of a channel, it is not shifted or scaled as one.
    v_shift: ClassVar[float] = 0.0  # pyright: ignore[reportIncompatibleVariableOverride]
    tau_scale: ClassVar[float] = 1.0  # pyright: ignore[reportIncompatibleVariableOverride]

    def __post_init__(self):
        for name in params(self):
            check_real(f"Pipette.{name}", getattr(self, name))
        for name, unit in (("R_s", "MOhm"), ("tau_clamp", "ms")):
            _check_above_0(name, getattr(self, name), unit)

    def resistance(self, minutes: Leaf) -> Leaf:
        """Series resistance, kOhm."""
        return access.kilohms(access.drifted(self.R_s, self.drift, minutes, jnp))

    def membrane_v(self, seen: Leaf, rise: Leaf, i_cmd: Leaf, minutes: Leaf) -> Leaf:
        """The membrane potential, mV, where current clamp reads `seen`, rising by `rise` mV/ms."""
        extra = access.charging(self.C_pip, rise) * PA - self.arriving(i_cmd)
        return access.membrane_side(seen, self.junction) + self.resistance(minutes) * extra

    def arriving(self, i_cmd: Leaf) -> Leaf:
        """What the cell gets of a current in current clamp, uA."""
        return access.arriving(i_cmd, self.offset)

    def gating(
        self,
        v: jax.Array,
        area: Leaf,
        v_cmd: Leaf,
        i_cmd: Leaf,
        clamped: Leaf,
        minutes: Leaf,
        **_: Any,
    ) -> dict[str, Gating]:
        # A held potential does not depend on v, nor a current on its way: one of the two is on.
        R = self.resistance(minutes)
        free = 1 - clamped
        held = access.membrane_side(v_cmd, self.junction)
        inf = clamped * held + free * (v + R * self.arriving(i_cmd))
        capacitance = jnp.maximum(self.C_pip, _NO_C_PIP)
        charging = 1 / (R * capacitance * PA)  # pF as pA are 1e-6 of the coherent unit
        return {"v": from_inf(inf, clamped / self.tau_clamp + free * charging)}

    def current(
        self,
        v: jax.Array,
        x: Gates,
        celsius: Leaf | None = None,
        *,
        area: Leaf,
        v_cmd: Leaf,
        i_cmd: Leaf,
        clamped: Leaf,
        minutes: Leaf,
        v_rise: Leaf,
        coupling: Leaf,
    ) -> jax.Array:
        clamp = (v - x["v"]) / (self.resistance(minutes) * area)
        missing = self.offset * PA / area  # of the current that the electrode injects
        pull = coupling * (v - self.membrane_v(v_cmd, v_rise, i_cmd, minutes))
        return clamped * clamp + (1 - clamped) * (missing + pull)

    def amplifier_current(self, v: jax.Array, x: Gates, **c: Leaf) -> jax.Array:
        """What the amplifier reads in voltage clamp, pA, outward positive."""
        (gate,) = self.gating(v, **c).values()
        charging = access.charging(self.C_pip, gate.opening - gate.rate * x["v"])
        return (x["v"] - v) / self.resistance(c["minutes"]) / PA + charging + self.offset

    def amplifier_potential(self, x: Gates) -> jax.Array:
        """What the amplifier reads in current clamp, mV."""
        return access.amplifier_side(x["v"], self.junction)


def _check_above_0(name: str, value: Leaf, unit: str) -> None:
    """Raise ValueError for a value by which a pipette's equations cannot divide."""
    if not isinstance(value, Tracer) and (np.asarray(value) <= 0).any():
        raise ValueError(
            f"Pipette.{name} = {np.min(value):g} {unit}: expected more than 0. Without any series "
            "resistance leave the pipette out of the cell: its clamp is then ideal"
        )


# -- the amplifier's side --------------------------------------------------------------------------
def voltage_clamp(v_cmd: Leaf | InTime, minutes: Leaf | InTime = 0.0) -> Electrode:
    """Hold a cell's pipette at a command `[step]` or `[step, pop]`, mV."""
    inputs = {"v_cmd": jnp.asarray(v_cmd), "clamped": 1.0, "minutes": minutes}
    return Electrode(i=0.0, v_cmd=0.0, g=0.0, inputs=inputs)


def current_clamp(i: Leaf | InTime, minutes: Leaf | InTime = 0.0) -> Electrode:
    """Inject a current `[step]` or `[step, pop]`, uA, and read its pipette."""
    i = jnp.asarray(i)
    return Electrode(i=i, v_cmd=0.0, g=0.0, inputs={"i_cmd": i, "minutes": minutes})


def from_trace(trace: Trace, dt: float) -> Electrode:
    """Repeat through a pipette what a trace's amplifier did, in steps of `dt` ms."""
    voltage = trace.clamp == "voltage"
    stimulus = resample(trace.v_mV if voltage else trace.i_pA, trace.dt_ms, dt, at=0.5)
    minutes = (trace.begun_ms + (np.arange(stimulus.size) + 1) * dt) / MINUTE
    return voltage_clamp(stimulus, minutes) if voltage else current_clamp(stimulus * PA, minutes)


def repeated(cell: Cell, trace: Trace, dt: float) -> Electrode:
    """Repeat what a trace's amplifier did, through the cell's pipette if it has one.

    A current that another pipette injected comes to `Trace.current_at`.
    """
    made = (electrode.from_trace if pipette_of(cell) is None else from_trace)(trace, dt)
    if not from_elsewhere(cell, trace):
        return made
    silent = made._replace(i=0.0, inputs=made.inputs | {"i_cmd": 0.0} if made.inputs else {})
    return electrode.with_currents(silent, [made.i], [trace.current_at])


def from_elsewhere(cell: Cell, trace: Trace) -> bool:
    """Whether a trace's current came through another pipette than that which read it."""
    own = getattr(cell, "electrode_at", None) if trace.at is None else trace.at
    return trace.current_at is not None and not bool(np.all(trace.current_at == own))


def coupled(cell: Cell, electrode: Electrode, g: Leaf, dt: Leaf) -> Electrode:
    """The electrode that pulls a cell by g to where its v_cmd `[step, ...]` was read, mV.

    g is a number or `[pop]`, mS/cm2, or None to impose the recording. Without a pipette what was
    read is the membrane potential.
    """
    piped = pipette_of(cell) is not None
    if g is None:
        g = _IMPOSED if piped else None
    elif not piped:
        g = g * cell.area
    if g is not None and jnp.ndim(g):
        g = jnp.broadcast_to(g, (n_steps(electrode), *jnp.shape(g)))
    if not piped:
        return electrode._replace(g=g)
    seen = jnp.asarray(now(electrode.v_cmd))
    pull = {"v_cmd": seen, "v_rise": jnp.gradient(seen, axis=0) / dt, "coupling": g}
    return electrode._replace(v_cmd=0.0, g=0.0, inputs=electrode.inputs | pull)


def pipette_of(cell: Cell) -> tuple[str, Pipette] | None:
    """The name and the pipette of a cell that has one."""
    found = ((k, c) for k, c in cell.channels.items() if isinstance(c, Pipette))
    return next(found, None)


def before(cell: Cell, electrode: Electrode) -> Cell:
    """The cell with the inputs that the electrode's first tick gives to its pipette.

    They hold it before the run begins; it is not coupled to a recording then.
    """
    asked = {k: electrode.inputs[k] for k in _HELD if k in electrode.inputs}
    first = {k: x[0] if np.ndim(x) else x for k, x in asked.items()}
    return dataclasses.replace(cell, inputs={**cell.inputs, **first})


def membrane_v(cell: Cell, seen: Leaf, rise: Leaf, c: Mapping[str, Leaf]) -> Leaf:
    """The membrane potential, mV, where current clamp read `seen`, rising by `rise` mV/ms.

    c are what of the cell's inputs changes.
    """
    found = pipette_of(cell)
    if found is None:
        return seen
    around = environment(cell, found[0], c)
    return found[1].membrane_v(seen, rise, around["i_cmd"], around["minutes"])


def with_v(cell: Cell, s: State, seen: Leaf) -> State:
    """The state of a coupled cell with its potentials where current clamp reads `seen`, mV."""
    found = pipette_of(cell)
    v = jnp.broadcast_to(membrane_v(cell, seen, s.c.get("v_rise", 0.0), s.c), s.v.shape)
    if found is None:
        return s._replace(v=v)
    v_p = jnp.broadcast_to(access.membrane_side(seen, found[1].junction), v.shape)
    return s._replace(v=v, x=s.x | {found[0]: {"v": v_p}})


def clamped(cell: Cell, v: Leaf, shape: tuple[int, ...] = ()) -> State:
    """The state in which its inputs have held a cell that was commanded to, or seen at, v (mV).

    Without a pipette it has settled at v, a cell with compartments where its electrode is: the
    others are where their currents are balanced. With a pipette it is where the current through R_s
    balances that of the channels (voltage clamp), or at what the pipette showed, less the fall of
    the potential over R_s (current clamp). Differentiable in every parameter.
    """
    found = pipette_of(cell)
    if cell.state_axes:
        pop = np.broadcast_shapes(shape, batch_shape(cell, v))
        return steady_state(cell, _clamped_tree(aligned(cell, pop), v, pop), pop)
    if found is None:
        return steady_state(cell, v, shape)
    in_voltage_clamp = jnp.asarray(cell.inputs.get("clamped", 0.0)) > 0
    shape = np.broadcast_shapes(shape, batch_shape(cell, v))
    held, still = access.membrane_side(v, found[1].junction), membrane_v(cell, v, 0.0, {})
    v = jnp.broadcast_to(jnp.where(in_voltage_clamp, held, still), shape)

    def newton(cell: Cell, v: jax.Array) -> jax.Array:
        i, slope = jax.jvp(lambda v: steady_current(cell, v), (v,), (jnp.ones_like(v),))
        return v - jnp.where(in_voltage_clamp, i / jax.lax.stop_gradient(slope), 0.0)

    fixed = jax.lax.stop_gradient(cell)
    still = jax.lax.fori_loop(0, _NEWTON, lambda _, v: newton(fixed, v), jax.lax.stop_gradient(v))
    # One more step outside stop_gradient carries the implicit derivative.
    return steady_state(cell, jnp.where(in_voltage_clamp, newton(cell, still), v), shape)


def _clamped_tree(cell: Cell, v: Leaf, pop: tuple[int, ...]) -> jax.Array:
    """The potentials `[comp, *pop]` of a cell with compartments that its inputs have held at v."""
    found, g = pipette_of(cell), IDEAL_CLAMP_G
    there = membrane_v(cell, v, 0.0, {})
    if found is not None:
        in_voltage_clamp = jnp.asarray(cell.inputs.get("clamped", 0.0)) > 0
        held = access.membrane_side(v, found[1].junction)
        there = jnp.where(in_voltage_clamp, held, there)
        g = jnp.where(in_voltage_clamp, 0.0, g)  # then the current through R_s holds it
    there = jnp.broadcast_to(there, (1, *pop))[0]  # a pipette's parameters are `[1, *pop]`
    return clamped_there(cell, there, pop, g)
