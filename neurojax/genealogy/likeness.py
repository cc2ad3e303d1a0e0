"""Which tabulated channel a measurement looks like: by its curves, or by currents under a clamp."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from neurojax.genealogy.curves import StandardChannels
from neurojax.genealogy.table import ChannelTable, TabledChannel
from neurojax.membrane.compartment import Cell
from neurojax.membrane.electrode import voltage_clamp
from neurojax.recording.trace import Trace
from neurojax.run.simulation import simulate

FASTEST = 0.02
"""ms: faster time constants differ by nothing that a clamp could tell."""

STEPS_AT_ONCE = 4_000_000
"""Steps of time, times channels, that are computed in one go: 4 bytes of each gate."""


MOST_REVERSED = 150.0
"""mV: reversal potentials that are fitted are no further from 0."""


@dataclass(frozen=True)
class Likeness:
    """How like a measurement a channel is: 0 is the same, see what made it."""

    file: str
    distance: float
    g: float | None = None  # conductance, nS, at which its current fits best
    E_rev: float | None = None  # mV
    gates: Mapping[str, str] | None = None  # its state by the measured gate


# -- by curves -------------------------------------------------------------------------------------
def like_curves(
    table: ChannelTable,
    v: Sequence[float] | np.ndarray,
    *,
    inf: Mapping[str, Any] | None = None,
    tau: Mapping[str, Any] | None = None,
) -> list[Likeness]:
    """The channels of a table, most alike first, by curves that were measured.

    `inf` has steady states by gate, `tau` time constants (ms), each at potentials `v` (mV), NaN
    where there is none; they are those of single gates, as tables have them (of m, not of m^3). The
    distance is the root mean square of differences: of steady states, and of natural logarithms of
    time constants. A channel has as many gates as were measured, in the order that fits best;
    between the table's potentials its curves are interpolated. Raises ValueError for curves of
    another length, for none, and for potentials outside the table.
    """
    measured = {k: dict(x or {}) for k, x in (("inf", inf), ("tau", tau))}
    names = list(dict.fromkeys([*measured["inf"], *measured["tau"]]))
    at = np.asarray(v, dtype=float)
    if not names:
        raise ValueError("like_curves: expected curves of a gate, as inf or as tau")
    for kind, curves in measured.items():
        for name, curve in curves.items():
            curves[name] = array = np.asarray(curve, dtype=float)
            if array.shape != at.shape:
                raise ValueError(
                    f"{kind}[{name!r}] has shape {array.shape}, v has {at.shape}: expected the same"
                )
            if kind == "tau" and (array[np.isfinite(array)] <= 0).any():
                raise ValueError(f"tau[{name!r}]: expected times above 0, ms")
    found: list[Likeness] = []
    for channel in table.channels.values():
        if len(channel.gates) == len(names):
            _check_inside(at, channel)
            found.append(_nearest(channel, names, at, measured))
    return sorted(found, key=lambda one: one.distance)


def _check_inside(at: np.ndarray, channel: TabledChannel) -> None:
    for curves in channel.gates.values():
        low, high = curves.v.min(), curves.v.max()
        if at.size and (at.min() < low or at.max() > high):
            raise ValueError(
                f"v from {at.min():g} to {at.max():g} mV: the table has {low:g} to {high:g} mV"
            )


def _nearest(
    channel: TabledChannel,
    names: list[str],
    at: np.ndarray,
    measured: Mapping[str, Mapping[str, np.ndarray]],
) -> Likeness:
    """The best assignment of a channel's states to the measured gates."""
    distance = {
        (name, state): _squares(name, channel, state, at, measured)
        for name in names
        for state in channel.gates
    }
    best, places = np.inf, dict[str, str]()
    for order in _orders(list(channel.gates)):
        pairs = list(zip(names, order, strict=True))
        total = sum(distance[pair][0] for pair in pairs)
        count = sum(distance[pair][1] for pair in pairs)
        if count and (mean := float(np.sqrt(total / count))) < best:
            best, places = mean, dict(pairs)
    return Likeness(channel.file, best, gates=places)


def _orders(states: list[str]) -> list[list[str]]:
    if len(states) < 2:
        return [states]
    return [
        [state, *rest]
        for k, state in enumerate(states)
        for rest in _orders(states[:k] + states[k + 1 :])
    ]


def _squares(
    name: str,
    channel: TabledChannel,
    state: str,
    at: np.ndarray,
    measured: Mapping[str, Mapping[str, np.ndarray]],
) -> tuple[float, int]:
    """The sum of squared differences of one gate and one state, and how many there are."""
    curves = channel.gates[state]
    off: list[np.ndarray] = []
    if name in measured["inf"]:
        off.append(np.interp(at, curves.v, curves.inf) - measured["inf"][name])
    if name in measured["tau"]:
        tau = np.interp(at, curves.v, curves.tau)
        own, theirs = (np.log(np.maximum(x, FASTEST)) for x in (tau, measured["tau"][name]))
        off.append(own - theirs)
    all_of_them = np.concatenate(off)
    known = all_of_them[np.isfinite(all_of_them)]
    return float((known**2).sum()), known.size


# -- by currents -----------------------------------------------------------------------------------
def like_recording(
    channels: StandardChannels,
    sweeps: Sequence[Trace],
    *,
    E_rev: float | None = None,
    celsius: float | None = None,
    mask: Sequence[np.ndarray] | None = None,
) -> list[Likeness]:
    """Channels in the standard form, most alike first, by currents under a voltage clamp.

    All channels run as one population under each sweep's command; of each, the conductance that
    fits best is found by least squares, and the reversal potential (mV) too, where `E_rev` is not
    given. Leak and capacitive currents must have been subtracted; `mask` has for each sweep which
    samples count. The distance is the root mean square of what is left, as a part of that of the
    current: 1 is no better than no channel. A channel that would need a conductance below 0 has
    distance 1. With `celsius` (degC) gates are as fast as the table's Q10 makes them, else as
    tabulated, at 6.3 degC. Raises ValueError for sweeps that are no voltage clamp.
    """
    if not sweeps:
        raise ValueError("like_recording: expected at least one sweep of a voltage clamp")
    for sweep in sweeps:
        if sweep.clamp != "voltage":
            raise ValueError(f"sweep {sweep.sweep} is a current clamp; expected a voltage clamp")
    pop = len(channels.files)
    sums = np.zeros((pop, 5))  # of a a, a o, o o, a i, o i: a is open (v - E_rev), o is open
    power = 0.0
    for k, sweep in enumerate(sweeps):
        counts = np.ones(sweep.v_mV.size, bool) if mask is None else np.asarray(mask[k], bool)
        if counts.shape != sweep.v_mV.shape:
            raise ValueError(f"mask of sweep {sweep.sweep} has shape {counts.shape}")
        power += float((sweep.i_pA[counts] ** 2).sum())
        size = max(1, STEPS_AT_ONCE // sweep.v_mV.size)
        for first in range(0, pop, size):
            some = slice(first, first + size)
            sums[some] += _sums(_part(channels, some), sweep, counts, E_rev or 0.0, celsius)
    if power == 0:
        raise ValueError("like_recording: the current is 0 in every sample that counts")
    found = [_best_fit(one, power, E_rev) for one in sums]
    made = [
        Likeness(file, distance, g, E)
        for file, (distance, g, E) in zip(channels.files, found, strict=True)
    ]
    return sorted(made, key=lambda one: one.distance)


def _part(channels: StandardChannels, some: slice) -> Any:
    return jax.tree.map(lambda x: x[some] if np.ndim(x) else x, channels.channel)


def _sums(
    channel: Any, sweep: Trace, counts: np.ndarray, E_rev: float, celsius: float | None
) -> Float[np.ndarray, "pop 5"]:
    """The sums of products that least squares need, of each channel."""
    cell = Cell(channels={"c": replace(channel, g_bar=1.0)}, celsius=celsius)
    v = np.asarray(sweep.v_mV, np.float32)
    run = simulate(cell, voltage_clamp(v), sweep.dt_ms, initial=v[0], record=("c.m", "c.h"))
    o = channel_open(cell.channels["c"], run.data)
    # What is recorded after a step belongs to the next sample.
    o = np.concatenate([o[:1], o[:-1]])[counts]
    a = o * (v[counts, None] - E_rev)
    i = sweep.i_pA[counts, None]
    products = (a * a, a * o, o * o, a * i, o * i)
    return np.stack([x.sum(axis=0) for x in products], axis=1)


def channel_open(channel: Any, gates: Mapping[str, Any]) -> Float[np.ndarray, "time pop"]:
    """How much of a channel is open, of its recorded gates."""
    x = {k: jnp.asarray(gates[f"c.{k}"]) for k in ("m", "h")}
    return np.asarray(channel.conductance(x), dtype=np.float64)


def _best_fit(
    sums: Float[np.ndarray, "5"], power: float, E_rev: float | None
) -> tuple[float, float | None, float | None]:
    """(distance, g in nS, E in mV) of i = g (a - shift o), where a is of E = `E_rev`, or of 0."""
    aa, ao, oo, ai, oi = sums.tolist()
    shift = 0.0
    if E_rev is None:
        det = aa * oo - ao * ao
        if det <= 1e-9 * aa * oo:
            return 1.0, None, None
        g = (oo * ai - ao * oi) / det
        shift = (ao * ai - aa * oi) / det / g if g > 0 else 0.0
        shift = min(max(shift, -MOST_REVERSED), MOST_REVERSED)
    below = aa - 2 * shift * ao + shift**2 * oo
    g = (ai - shift * oi) / below if below > 0 else 0.0
    explained = g * (ai - shift * oi)
    if not (g > 0 and np.isfinite(explained)):
        return 1.0, None, None
    distance = math.sqrt(max(0.0, 1 - explained / power))
    return distance, float(g), float(shift if E_rev is None else E_rev)
