"""ionBench's problems as least-squares problems of neurojax: protocol, model, and residuals.

Gates and occupancies go from one block of a few samples to the next by maps that are exact while
the command stands still, one for each of its potentials: neurojax's own of gated channels, and
matrix exponentials of schemes, whose problems ask for more digits than its steps pair by pair.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import ionbench
import ionbench_models as models
import jax
import jax.numpy as jnp
import numpy as np

import neurojax as nj
from neurojax.membrane.markov import Scheme
from neurojax.model.space import Free, Space

NAMES = ("staircase.hh", "staircase.mm", "loewe2016.ikr", "moreno2016.ina")
"""The problems that its published approaches solve; the fifth, I_Kur, hardly any does."""


def benchmarker(name: str) -> Any:
    """ionBench's own problem."""
    group, problem = name.split(".")
    where = getattr(ionbench.problems, group)
    own = {"hh": "HH", "mm": "MM", "ikr": "IKr", "ina": "INa"}[problem]
    bm = getattr(where, own)()
    bm.plotter = False
    return bm


def channel(name: str) -> nj.Channel:
    """The model of a problem, at ionBench's true parameters."""
    return {
        "staircase.hh": lambda: nj.channels.HergKr(E_rev=-85.0),
        "staircase.mm": models.VentricularKr,
        "loewe2016.ikr": models.AtrialKr,
        "moreno2016.ina": models.CardiacNa,
    }[name]()


def space_of(bm: Any) -> Space:
    """Its parameters in its order, with its bounds and its recommended logarithms."""
    names = [f"p{k + 1}" for k in range(bm.n_parameters())]
    if bm.NAME.startswith("staircase"):
        names[-1] = "g_bar"
    scales = ["log" if log else "linear" for log in bm.STANDARD_LOG_TRANSFORM]
    bounds = zip(names, bm.lb, bm.ub, scales, strict=True)
    return Space(tuple(Free(f"i.{n}", "", float(a), float(b), s) for n, a, b, s in bounds))


def residuals_of(bm: Any, space: Space) -> tuple[Callable, np.ndarray]:
    """Differences from its data at a point z `[P]`, weighted to add up to its cost^2 when squared,
    with the whole numbers in them; and what one more of each takes off `[R, W]`."""
    one, data = channel(bm.NAME), jnp.asarray(bm.DATA)
    weight = np.full(data.size, 1 / data.size) if bm.WEIGHTS is None else bm.WEIGHTS
    weight = jnp.sqrt(jnp.asarray(weight))
    trace = trace_of(bm, one)

    def residuals(z):
        values = {k.removeprefix("i."): x for k, x in space.values(z).items()}
        found, whole = trace(dataclasses.replace(one, **values))
        return (found - data) * weight, whole

    decays = len(bm._tauBounds) if bm.NAME == "moreno2016.ina" else 0
    per = np.zeros((data.size, decays))
    per[data.size - decays :] = _TICK * np.diag(weight[data.size - decays :])
    return residuals, per


def trace_of(bm: Any, one: nj.Channel) -> Callable:
    """What it records, of a channel, and the whole numbers in it."""
    if bm.NAME == "moreno2016.ina":
        return partial(_curves, curves_of(bm))
    v = command(bm, np.arange(0, bm.T_MAX, bm.TIMESTEP))
    return partial(_markov if isinstance(one, Scheme) else _gated, v, bm.TIMESTEP)


def command(bm: Any, t: np.ndarray) -> np.ndarray:
    """Potential of its protocol at times t, mV: steps, and the two ramps of the staircase."""
    v = np.asarray(bm.protocol().log_for_times(t)["pace"])
    if bm.NAME.startswith("staircase"):
        v = np.where((t >= 300) & (t < 700), -150 + 0.1 * t, v)
        v = np.where((t >= 14410) & (t < 14510), 5694 - 0.4 * t, v)
    return v


# -- currents under a command ----------------------------------------------------------------------
def _generator(one: Scheme, v) -> jax.Array:
    """Q `[state, state]` of x' = Q x at a potential."""
    index = {k: n for n, k in enumerate(one.states)}
    Q = jnp.zeros((len(index), len(index)))
    for (a, b), rate in one.rates(v).items():
        Q = Q.at[index[b], index[a]].add(rate).at[index[a], index[a]].add(-rate)
    return Q


def _exponential(Q: jax.Array, t, doublings: int) -> jax.Array:
    """exp(Q t), by a Taylor polynomial of a small part of t that is doubled."""
    A = Q * (t / 2.0**doublings)
    M = eye = jnp.eye(len(Q))
    for k in range(9, 0, -1):
        M = eye + A @ M / k

    def twice(_, M):
        M = M @ M
        return M / M.sum(axis=0)  # nothing is lost: rounding would add up over many doublings

    return jax.lax.fori_loop(0, doublings, twice, M)


def _settled(one: Scheme, v) -> jax.Array:
    x = one.steady_state(jnp.asarray(v, jnp.result_type(float)))
    return jnp.stack([x[k] for k in one.states])


_HELD = 5  # samples in which a ramp stands still at its middle; the staircase's steps last many


def _held(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct potentials of a command, and which of them each block of samples has."""
    blocks = v.reshape(-1, _HELD)
    middle = blocks[:, _HELD // 2] + np.diff(blocks[:, :2], axis=1)[:, 0] / 2
    levels, which = np.unique(middle, return_inverse=True)
    return levels, which


def _gated(v: np.ndarray, dt: float, one: nj.Channel) -> tuple[jax.Array, jax.Array]:
    """The current of a gated channel at every sample of a command."""
    levels, which = _held(v)
    maps = [one.propagator(jnp.asarray(levels), k * dt) for k in range(_HELD + 1)]

    def step(x, level):
        return {k: a[level] * x[k] + b[level] for k, (a, b) in maps[-1].items()}, x

    _, x = jax.lax.scan(step, one.steady_state(jnp.asarray(v[0])), jnp.asarray(which))
    x = {
        k: jnp.stack([m[k][0][which] * x[k] + m[k][1][which] for m in maps[:-1]], axis=1).ravel()
        for k in x
    }
    return one.current(jnp.asarray(v), x), jnp.zeros(0)


def _markov(v: np.ndarray, dt: float, one: Scheme) -> tuple[jax.Array, jax.Array]:
    """The current of a scheme at every sample of a command."""
    levels, which = _held(v)
    tick = jax.vmap(lambda v: _exponential(_generator(one, v), dt, 12))(jnp.asarray(levels))
    unit = jnp.asarray([float(one.conducting.get(k, 0.0)) for k in one.states])
    rows = [jnp.broadcast_to(unit, tick.shape[:2])]
    jump = tick
    for _ in range(_HELD - 1):
        rows.append(jnp.einsum("ls,lsj->lj", rows[-1], tick))
        jump = jump @ tick

    def step(x, level):
        return jump[level] @ x, x

    _, x = jax.lax.scan(step, _settled(one, v[0]), jnp.asarray(which))
    conducting = jnp.einsum("bhs,bs->bh", jnp.stack(rows, axis=1)[which], x).ravel()
    return one.g_bar * conducting * (v - one.E_rev), jnp.zeros(0)


# -- the summary curves of the sodium problem -----------------------------------------------------
_DOUBLINGS = 44  # of exponentials over seconds: some rates are 1e8/ms
_TICK = 0.005  # ms, at which ionBench looks for peaks
_BLOCK = 64  # ticks that are computed from one state
_LOOK = 20.0  # ms of a pulse in which its peak and its fall to a half are looked for


@dataclass(frozen=True)
class Curves:
    """The protocol as segments of constant potential, and the segments in which curves are read."""

    v: np.ndarray  # [segment] mV
    duration: np.ndarray  # [segment] ms
    inactivation: np.ndarray  # segments of test pulses
    activation: np.ndarray  # segments at whose end, 0.01 ms before it, the current is read
    recovery: np.ndarray  # segments of first and second pulses, in turn
    decay: np.ndarray  # segments in which the current falls to a half of its peak


def curves_of(bm: Any) -> Curves:
    """The curves of ionBench's sodium problem."""
    events = sorted(bm.protocol().events(), key=lambda e: e.start())
    start = np.array([e.start() for e in events])

    def at(bounds, shift=0.0):
        times = bm._logTimes[[b[0] for b in bounds] if np.ndim(bounds) == 2 else bounds]
        return np.searchsorted(start, times + shift + 1e-6, side="right") - 1

    return Curves(
        np.array([e.level() for e in events], dtype=float),
        np.array([e.duration() for e in events], dtype=float),
        at(bm._ssiBounds),
        at(bm._actBounds),
        at(bm._rfiBounds),
        at(bm._tauBounds),
    )


def _curves(c: Curves, one: Scheme) -> tuple[jax.Array, jax.Array]:
    """Inactivation, activation, recovery and decay, in ionBench's order and normalisation; and the
    ticks of the peaks that decay."""
    pulses = np.concatenate([c.inactivation, c.recovery, c.decay])
    late, pulsed = c.v[c.activation], c.v[pulses]
    v = np.concatenate([c.v, late, pulsed, pulsed])
    t = [c.duration, c.duration[c.activation] - 0.01]
    t = np.concatenate([*t, np.full(pulses.size, _TICK), np.full(pulses.size, _TICK * _BLOCK)])
    sizes = np.cumsum([c.v.size, late.size, pulses.size])
    moves, until, tick, jump = jnp.split(_exponentials(one, v, t), sizes)
    _, begin = jax.lax.scan(lambda x, move: (move @ x, x), _settled(one, -120.0), moves)
    unit = jnp.asarray([float(one.conducting.get(k, 0.0)) for k in one.states])
    current = jnp.einsum("s,ksj,kj->k", unit, until, begin[c.activation]) * (one.E_rev - late)
    peak, tops, decay = _pulses(unit, begin[pulses], tick, jump, jnp.asarray(one.E_rev - pulsed))
    n = c.inactivation.size, pulses.size - c.decay.size
    test, pair = peak[: n[0]], peak[n[0] : n[1]]
    parts = [test / test.max(), current / current.max(), pair[1::2] / pair[::2], decay[n[1] :]]
    return jnp.concatenate(parts), tops[n[1] :].astype(peak.dtype)


def _exponentials(one: Scheme, v: np.ndarray, t: np.ndarray) -> jax.Array:
    """exp(Q(v) t) of each pair `[pair, state, state]`; equal pairs are computed once."""
    kinds, which = np.unique(np.stack([v, t]), axis=1, return_inverse=True)
    moves = jax.vmap(lambda v, t: _exponential(_generator(one, v), t, _DOUBLINGS))(*kinds)
    return moves[which.ravel()]


def _pulses(unit, begin, tick, jump, drive) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Peak inward current of pulses, its tick, and the time from there to its half, ms `[pulse]`.

    The half is linear between ticks. Every tick is computed, but only the ticks that are read are
    differentiated.
    """
    count = round(_LOOK / _TICK / _BLOCK) + 1
    x = jax.lax.scan(lambda x, _: (jnp.einsum("kij,kj->ki", jump, x), x), begin, None, count)[1]
    rows = jnp.broadcast_to(unit, begin.shape)
    row = jax.lax.scan(lambda r, _: (jnp.einsum("ki,kij->kj", r, tick), r), rows, None, _BLOCK)[1]
    pulse = jnp.arange(len(begin))

    def at(k):
        return (x[k // _BLOCK, pulse] * row[k % _BLOCK, pulse]).sum(axis=1) * drive

    i = jnp.einsum("bks,rks->kbr", *jax.lax.stop_gradient((x, row))).reshape(len(begin), -1)
    i = i * jax.lax.stop_gradient(drive)[:, None]
    top = i.argmax(axis=1)
    peak = at(top)
    later = jnp.arange(i.shape[1]) > top[:, None]
    below = ((i <= peak[:, None] / 2) & later).argmax(axis=1)
    before, after = at(below - 1), at(below)
    return peak, top, (below - 1 - top + (before - peak / 2) / (before - after)) * _TICK
