"""One compartment: a membrane, its channels, and the step that moves them by dt.

A population is a batch shape of the leaves: give any parameter the shape `[pop]` and everything
that is computed from it has it too.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from neurojax.membrane.axes import aligned
from neurojax.membrane.channel import Channel, Gates, Leaf, param, pytree, static
from neurojax.membrane.electrode import Electrode, is_ideal_clamp, now
from neurojax.membrane.events import Arrival
from neurojax.membrane.ions import Ion, nernst_potential
from neurojax.membrane.relaxation import EXACT, GATES, POTENTIAL
from neurojax.membrane.sums import Sum


class SubStep(NamedTuple):
    """One part of a step, and what it mixes.

    `move(cell, s, e, dt)` is the state after it, under one tick `e` of an electrode. Its `coupling`
    tells the engines how to differentiate it:

    - "elementwise": each entry of the new state depends on the same entry of the old state's leaves
    - "tree": the compartments of one cell, or states of one scheme, act on each other, through one
      linear solve
    - "events": cells act on each other; this has no derivative yet

    A wrong coupling gives wrong derivatives: `check_couplings` finds it.
    """

    name: str
    move: Callable[..., State]
    coupling: str


@pytree
class Cell:
    """An isopotential compartment.

    With the default area of 1 cm2 an injected current in uA is a density in uA/cm2. `celsius` None
    leaves every channel at the temperature at which it was measured. `default_q10` is how much
    faster per 10 degC channels are of which no Q10 is known; None leaves them as they were
    measured, and a run warns where that was more than 3 degC from `celsius`. `ions` are the
    concentrations that channels read, and change where they are pools; of those pools, current
    through the electrode is carried by `electrode_ion`. `inputs` are what else channels read (a
    ligand, light, a displacement): their values at rest, which an electrode's `inputs` of these
    names take over.
    """

    channels: dict[str, Channel]
    ions: dict[str, Ion] = dataclasses.field(default_factory=dict)
    inputs: dict[str, Leaf] = dataclasses.field(default_factory=dict)
    C_m: Leaf = param(1.0, "uF/cm2", 0.3, 50.0)
    area: Leaf = param(1.0, "cm2", 1e-8, 10.0)
    celsius: Leaf | None = None
    default_q10: float | None = static(None)
    electrode_ion: str | None = static(None)

    state_axes: ClassVar[tuple[str, ...]] = ()
    """The axes of a state's leaves before `pop`: ("comp",) of a cell with compartments."""

    joined: ClassVar[bool] = False
    """Whether it has axial currents, which are no currents of its membrane."""

    @property
    def state_shape(self) -> tuple[int, ...]:
        """How long `state_axes` are."""
        return ()

    @property
    def lengths(self) -> tuple[int, ...]:
        """How long arrays are that go along compartments, which no kernel holds in registers."""
        return ()

    def check(self) -> None:
        """Raise ValueError for a cell that cannot be simulated as it is."""

    # -- what differs in a cell with compartments -------------------------------------------------
    @property
    def densities(self) -> Mapping[str, Any]:
        """How dense channels are, by name, where not 1."""
        return {}

    def painted(self, key: str, i: jax.Array) -> jax.Array:
        """A current density of channel `key` where its density is 1, at the density that it has."""
        return i

    def placed(self, x: Leaf, at: Leaf, v: jax.Array) -> Leaf:
        """What comes into the compartment `at`, in all compartments: 0 elsewhere."""
        return x

    def at_electrode(self, x: jax.Array) -> jax.Array:
        """What the electrode reads of what is in all compartments."""
        return x

    def entering(self, i: jax.Array) -> jax.Array:
        """What a current through the electrode, uA, is to the membrane, uA/cm2."""
        return i / self.area

    def leaving(self, v: jax.Array, i: jax.Array) -> jax.Array:
        """What leaves a compartment, uA: a current of density i, and what goes along the tree."""
        return i * self.area

    def displacement(self, v: jax.Array, passed: jax.Array, z: jax.Array, dt: Leaf) -> jax.Array:
        """How far v goes in a step in which the gates are held, mV.

        `passed` is dt / C times the current at its beginning, z is dt / C times its slope. v is the
        potential inside, between compartments.
        """
        return -passed * POTENTIAL.mean(z)

    def newton(self, v: jax.Array, i: jax.Array, g: jax.Array) -> jax.Array:
        """How far v goes to where currents of density i and slope g are balanced, mV."""
        return -i / g

    def sub_steps(self) -> tuple[SubStep, ...]:
        """The parts of a step, in their order: each changes what the others leave."""
        coupling = "tree" if self.state_axes else "elementwise"
        # Occupancies of a stiff scheme come from a linear solve, whose slopes one by one are dear.
        solves = any(getattr(channel, "stiff", False) for channel in self.channels.values())
        return (
            SubStep("gates", move_gates, "tree" if solves else "elementwise"),
            SubStep("potential", move_potential, coupling),
        )


IDEAL_CLAMP_G = 1e9
"""Conductance (mS) that brings one compartment of many to its command within one step."""


class State(NamedTuple):
    """What the next step needs: membrane potential (mV), the gates of each channel, and by name the
    concentrations of pools ("ca_i", mM) and the inputs that change.

    In float32 also the `excess` of pools: by how much rounding has left them too large, see `Sum`.
    """

    v: Float[Array, "*pop"]
    x: dict[str, Gates]
    c: dict[str, Float[Array, "*pop"]] = {}
    excess: dict[str, Float[Array, "*pop"]] = {}


def is_finite(cell: Cell, s: State) -> Bool[Array, "*pop"]:
    """Which cells have not left the finite numbers.

    NaN and infinity never heal in a state, so the last one of a run tells of all of it.
    """
    finite = jnp.stack([jnp.isfinite(leaf) for leaf in jax.tree.leaves(s)])
    return finite.all(axis=tuple(range(1 + len(cell.state_axes))))


def in_all_compartments(cell: Cell, x: Leaf) -> Leaf:
    """What is `[*pop]` as what is the same in all compartments of a cell, if it has some."""
    return x[None] if cell.state_axes and np.ndim(x) else x


# -- what a channel sees beside v -----------------------------------------------------------------
def concentrations(cell: Cell, c: Mapping[str, Leaf]) -> dict[str, Leaf]:
    """All concentrations by name, mM, and all inputs: those of the state, and those held."""
    held = {k: rest for c in cell.channels.values() for k, rest in c.commands.items()}
    held |= cell.inputs
    for name, ion in cell.ions.items():
        held |= {f"{name}_i": ion.inside, f"{name}_o": ion.outside} | ion.pools(name)
    return {**held, **c}


def pools(cell: Cell) -> dict[str, Leaf]:
    """The concentrations that are state, by name, and their initial values, mM."""
    return {k: c for name, ion in cell.ions.items() for k, c in ion.pools(name).items()}


def environment(cell: Cell, key: str, c: Mapping[str, Leaf]) -> dict[str, Leaf]:
    """The keywords that a channel's formulas take: the concentrations and so on that it reads."""
    channel = cell.channels[key]
    if not channel.reads:
        return {}
    own = {"area": cell.area, "temperature": channel.temperature(cell.celsius)}
    if "diameter" in channel.reads:
        own["diameter"] = diameter(cell)
    known = own | concentrations(cell, c)
    return {name: known[name] for name in channel.reads}


def warmed(cell: Cell, key: str) -> Channel:
    """A channel of a cell, with the cell's `default_q10` in its rates if it has no Q10 itself."""
    channel, q10 = cell.channels[key], cell.default_q10
    if q10 is None or cell.celsius is None or not channel.lacks_q10():
        return channel
    faster = channel.q10_factor(q10, cell.celsius)
    return dataclasses.replace(channel, tau_scale=channel.tau_scale / faster)


OF_ANY_CELL = ("area", "diameter", "temperature")
"""What a channel may read of any cell: cm2, um, degC."""


def diameter(cell: Cell) -> Leaf:
    """The diameter of compartments, um; of one alone that of a sphere, or of a cylinder as long."""
    if cell.state_axes:
        return cell.diameter  # type: ignore[attr-defined]
    return 1e4 * jnp.sqrt(jnp.asarray(cell.area) / math.pi)


def channel_current(
    cell: Cell, key: str, v: jax.Array, x: Gates, c: Mapping[str, Leaf], at: jax.Array | None = None
) -> jax.Array:
    """Current density of one channel, uA/cm2, outward positive, at v (mV).

    Gates that follow v without delay are those `at` a potential, if it is another one.
    """
    return cell.painted(key, _unpainted_current(cell, key, v, x, c, v if at is None else at))


def _unpainted_current(
    cell: Cell, key: str, v: jax.Array, x: Gates, c: Mapping[str, Leaf], at: jax.Array
) -> jax.Array:
    channel = cell.channels[key]
    seen = environment(cell, key, c)
    gates = channel.gates(at, x, **seen)
    if getattr(channel, "E_rev", 0.0) is None:
        (ion,) = channel.carries
        known = concentrations(cell, c)
        seen["E_nernst"] = nernst_of(cell, ion, known, channel.temperature(cell.celsius))
    return channel.current(v, gates, cell.celsius, **seen)


def membrane_flows(
    cell: Cell, s: State, v: jax.Array, at: jax.Array
) -> tuple[jax.Array, list[dict[str, jax.Array]]]:
    """The sum of all channels' current densities at v, and what of each ions carry, uA/cm2.

    The gates are those of a state, and those that follow v `at` a potential, mV.
    """
    currents = {k: _unpainted_current(cell, k, v, s.x[k], s.c, at) for k in cell.channels}
    total = sum((cell.painted(k, i) for k, i in currents.items()), jnp.zeros_like(v))
    if not pools(cell):
        return total, []
    parts: list[dict[str, jax.Array]] = []
    for key, i in currents.items():
        channel, seen = cell.channels[key], environment(cell, key, s.c)
        gates = channel.gates(at, s.x[key], **seen)
        fluxes = channel.ion_fluxes(i, v, gates, cell.celsius, **seen)
        parts.append({ion: cell.painted(key, flux) for ion, flux in fluxes.items()})
    return total, parts


def nernst_of(cell: Cell, ion: str, known: Mapping[str, Leaf], celsius: Leaf) -> jax.Array:
    """The Nernst potential of an ion at a temperature, mV."""
    return nernst_potential(known[f"{ion}_i"], known[f"{ion}_o"], cell.ions[ion].valence, celsius)


def ion_temperature(cell: Cell, ion: str) -> Leaf:
    """The temperature of an ion's Nernst potential, degC: the cell's, or that of its channels.

    Where the cell has none, channels are at their own; of several that carry the ion, the first
    that reverses at its Nernst potential counts, else the first.
    """
    if cell.celsius is not None:
        return cell.celsius
    carriers = [channel for channel in cell.channels.values() if ion in channel.carries]
    carriers.sort(key=lambda channel: getattr(channel, "E_rev", 0.0) is not None)
    return carriers[0].celsius_ref if carriers else 20.0


def ionic_current(
    cell: Cell, v: jax.Array, x: dict[str, Gates], c: Mapping[str, Leaf]
) -> jax.Array:
    """Sum of the current densities through the membrane, uA/cm2, outward positive."""
    ionic = (k for k, channel in cell.channels.items() if channel.ionic)
    return sum((channel_current(cell, k, v, x[k], c) for k in ionic), jnp.zeros_like(v))


# -- one step -------------------------------------------------------------------------------------
def step(cell: Cell, s: State, e: Electrode, dt: Leaf) -> State:
    """One step of dt (ms): gates with v held, then v with gates held, and ions with v.

    Staggered in time: the gates of a state are those of half a step before its potential, which
    makes v second order from rest, or from any state whose gates are settled. Both relax as
    `membrane.relaxation` says, which is stable at any dt.
    """
    cell = aligned(cell, s.v.shape[len(cell.state_axes) :])
    for sub_step in cell.sub_steps():
        s = sub_step.move(cell, s, e, dt)
    return s


def move_gates(cell: Cell, s: State, e: Electrode, dt: Leaf) -> State:
    """The gates by dt, with v and the ions held: exactly where a clamp imposes v."""
    c = entered(s, e).c
    seen, c = pulsed(cell, c, e, dt)
    relaxation = EXACT if imposes(cell, e) else GATES
    x = {
        k: warmed(cell, k).advance(
            s.x[k], s.v, dt, cell.celsius, relaxation, **environment(cell, k, seen)
        )
        for k in cell.channels
    }
    for key in e.events.keys() & x.keys():
        x[key] = opened(cell, key, x[key], s, e.events[key])
    return s._replace(x=x, c=c)


def opened(cell: Cell, key: str, x: Gates, s: State, arrived: Iterable[Arrival]) -> Gates:
    """The gates of a channel with what events in this step have left at its end."""
    x, channel, seen = dict(x), cell.channels[key], environment(cell, key, s.c)
    # No rate of such a channel follows v: they are of no compartment, where tau is one number.
    v = jnp.zeros((*[1] * len(cell.state_axes), *s.v.shape[len(cell.state_axes) :]), s.v.dtype)
    for one in arrived:
        left = channel.left_of(one.weight, one.ago, v, cell.celsius, **seen)
        x |= {k: x[k] + cell.placed(added, one.at, s.v) for k, added in left.items()}
    return x


def pulsed(
    cell: Cell, c: dict[str, jax.Array], e: Electrode, dt: Leaf
) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """The inputs that pulses change, as they are on average over the step, and at its end."""
    mean, last = dict(c), dict(c)
    for name in e.events.keys() - cell.channels.keys():
        for one in e.events[name]:
            mean[name] = mean[name] + cell.placed(one.weight * (one.ago / dt), one.at, mean[name])
            last[name] = last[name] + cell.placed(one.weight, one.at, last[name])
    return mean, last


def move_potential(cell: Cell, s: State, e: Electrode, dt: Leaf) -> State:
    """The potential by dt, with the gates held; the ions by the charge that moved it.

    It relaxes along the slope conductance. Gates that follow v are those in the middle of the step.
    What the currents carry adds up to the charge that the capacitance has lost, to rounding.
    """
    if imposes(cell, e):
        return impose_potential(cell, s, e, dt)
    g_clamp = IDEAL_CLAMP_G if e.g is None else e.g

    def flows(v: jax.Array, at: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        total, parts = membrane_flows(cell, s, v, at)
        electrode = cell.entering(jnp.asarray(g_clamp * (v - now(e.v_cmd)) - now(e.i)))
        for one in e.currents:
            electrode = electrode - cell.placed(one.gain * one.i, one.at, v) / cell.area
        return total + electrode, carried_by(cell, parts, electrode) if parts else {}

    one, dt_per_C = jnp.ones_like(s.v), dt / cell.C_m
    # The membrane's potential is against the outside at its place, axial currents are not.
    inside = sum((field.course * field.v + field.given for field in e.outside), s.v)
    middle = s.v
    if any(channel.follows_v() for channel in cell.channels.values()):
        half = 0.5 * dt_per_C
        i, g = jax.jvp(lambda v: flows(v, v)[0], (s.v,), (one,))
        middle = s.v + cell.displacement(inside, half * i, half * g, 0.5 * dt)
    (i, carried), (g, slopes) = jax.jvp(lambda v: flows(v, middle), (s.v,), (one,))
    z = dt_per_C * g
    moved = cell.displacement(inside, dt_per_C * i, z, dt)
    v = s.v + moved
    if not carried:
        return s._replace(v=v)
    # How far v is from where it was, on average.
    ahead = moved * (POTENTIAL.lag(z) / POTENTIAL.mean(z))
    mean = {name: carried[name] + slopes[name] * ahead for name in carried}
    return move_pools(cell, s._replace(v=v), mean, dt)


def imposes(cell: Cell, e: Electrode) -> bool:
    """Whether an electrode holds all of a cell: an ideal clamp of a single compartment."""
    return is_ideal_clamp(e) and not cell.state_axes


def impose_potential(cell: Cell, s: State, e: Electrode, dt: Leaf) -> State:
    """The potential where an ideal clamp puts it for dt, and the ions by the currents there."""
    v = jnp.broadcast_to(jnp.asarray(now(e.v_cmd), s.v.dtype), s.v.shape)
    total, parts = membrane_flows(cell, s, v, v)
    if not parts:
        return s._replace(v=v)
    electrode = -total - cell.C_m * (v - s.v) / dt
    return move_pools(cell, s._replace(v=v), carried_by(cell, parts, electrode), dt)


def counting(cell: Cell, s: State) -> State:
    """The state in which pools of float32 count what a step adds to them, however little it is.

    140 mM does not move by less than 8e-6, a step adds 1e-6 and less. Ions that say themselves how
    they advance are calcium, which is little and comes and goes.
    """
    if s.v.dtype != jnp.float32:
        return s._replace(excess={})
    ions = ((name, ion) for name, ion in cell.ions.items() if type(ion).advance is Ion.advance)
    names = [k for name, ion in ions for k in ion.pools(name)]
    return s._replace(excess={k: s.excess.get(k, jnp.zeros_like(s.v)) for k in names})


def move_pools(cell: Cell, s: State, carried: dict[str, jax.Array], dt: Leaf) -> State:
    """The state with pools after dt (ms) of mean current densities, uA/cm2, see `carried_by`."""
    c, excess = dict(s.c), dict(s.excess)
    for name, ion in cell.ions.items():
        own = {k: s.c[k] for k in ion.pools(name)}
        if not own:
            continue
        if not excess.keys() >= own.keys():
            c |= ion.advance(name, own, carried, dt)
            continue
        for k, change in ion.changes(name, own, carried, dt).items():
            c[k], excess[k] = Sum(c[k], excess[k]).plus(change)
    return s._replace(c=c, excess=excess)


def entered(s: State, e: Electrode) -> State:
    """The state with the inputs of a tick in it, for channels to read."""
    new = {k: jnp.broadcast_to(jnp.asarray(x, s.v.dtype), s.v.shape) for k, x in e.inputs.items()}
    return s._replace(c=s.c | new)


def carried_by(
    cell: Cell, flows: Iterable[Mapping[str, jax.Array]], electrode: jax.Array
) -> dict[str, jax.Array]:
    """Current densities by what carries them, uA/cm2 outward: ions, or a part of an ion's pools."""
    carried = {name: jnp.zeros_like(electrode) for name in cell.ions}
    if cell.electrode_ion is not None:
        carried[cell.electrode_ion] = electrode
    for part in flows:
        for name, flow in part.items():
            carried[name] = carried[name] + flow if name in carried else flow
    return carried
