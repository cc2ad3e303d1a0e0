"""ionBench's problems as least-squares problems of neurojax: protocol, model, and residuals.

Gated channels run through neurojax's engine, whose gates are exact while the command stands still.
Its Markov problems ask for more digits than a step that goes pair by pair has: their schemes'
occupancies are carried by matrix exponentials, one for each potential of the command.
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
from neurojax.electrode import PA, voltage_clamp
from neurojax.engine.pieces import Gradient
from neurojax.fit.parameters import Free, Space
from neurojax.fit.problem import Problem
from neurojax.loss import CurrentError, Sweep, Target
from neurojax.scheme import Scheme

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


def problem_of(bm: Any, space: Space) -> Any:
    """A function of points z `[P, n]`: value, gradient and Gauss-Newton matrix of its cost^2."""
    one = channel(bm.NAME)
    if bm.NAME == "moreno2016.ina":
        return Clamped(space, one, partial(_curves, curves_of(bm)), bm.DATA, bm.WEIGHTS)
    t = np.arange(0, bm.T_MAX, bm.TIMESTEP)
    v = command(bm, t)
    if isinstance(one, Scheme):
        return Clamped(space, one, partial(_trace, *_levels(v, bm.TIMESTEP)), bm.DATA)
    cell = nj.Cell(channels={"i": one})
    # One more step at the beginning, at rest, so that the first sample is a record as well.
    electrode = voltage_clamp(np.concatenate([v[:1], v[:-1]]))
    target = Target(bm.DATA / PA * cell.area, np.full(t.size, PA / cell.area / np.sqrt(t.size)))
    sweep = Sweep(electrode, CurrentError(data=target), v[0])
    return Problem(cell, space, [sweep], np.ones(1), bm.TIMESTEP, 1, "voltage")


def command(bm: Any, t: np.ndarray) -> np.ndarray:
    """Potential of its protocol at times t, mV: steps, and the two ramps of the staircase."""
    v = np.asarray(bm.protocol().log_for_times(t)["pace"])
    if bm.NAME.startswith("staircase"):
        v = np.where((t >= 300) & (t < 700), -150 + 0.1 * t, v)
        v = np.where((t >= 14410) & (t < 14510), 5694 - 0.4 * t, v)
    return v


_TOGETHER = 16  # points that are computed at once, for the memory that their Jacobians take


class Clamped:
    """A scheme under a command, as `neurojax.fit.problem.Problem` is for the engine."""

    def __init__(self, space: Space, one: Scheme, trace: Callable, data, weights=None):
        self.space = space
        data = jnp.asarray(data)
        weight = jnp.sqrt(1 / data.size if weights is None else jnp.asarray(weights))

        def residuals(z):
            values = {k.removeprefix("i."): x for k, x in space.values(z).items()}
            return (trace(dataclasses.replace(one, **values)) - data) * weight

        def both(z):
            r, push = jax.linearize(residuals, z)
            J = jax.vmap(push)(jnp.eye(z.size))
            return Gradient(r @ r, 2 * J @ r, J @ J.T)

        def value(z):
            r = residuals(z)
            return r @ r

        self._both = jax.jit(lambda z: jax.lax.map(both, z.T, batch_size=_TOGETHER))
        self._value = jax.jit(lambda z: jax.lax.map(value, z.T, batch_size=_TOGETHER))

    def __call__(self, z) -> Gradient:
        found = self._both(jnp.asarray(z))
        return jax.tree.map(lambda a: jnp.moveaxis(a, 0, -1), found)

    def values(self, z) -> np.ndarray:
        return np.asarray(self._value(jnp.asarray(z)))


# -- exact occupancies ----------------------------------------------------------------------------
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


def _levels(v: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Distinct potentials, which of them each sample has, and the interval."""
    levels, which = np.unique(v, return_inverse=True)
    return levels, which, dt


def _trace(levels, which, dt, one: Scheme) -> jax.Array:
    """The current at every sample of a command, its potential held from each to the next."""
    moves = jax.vmap(lambda v: _exponential(_generator(one, v), dt, 12))(jnp.asarray(levels))
    unit = [jnp.asarray(one.conducting.get(k, 0.0)) for k in one.states]

    def step(x, level):
        return moves[level] @ x, x

    _, x = jax.lax.scan(step, _settled(one, levels[which[0]]), jnp.asarray(which))
    return one.g_bar * (x @ jnp.stack(unit)) * (jnp.asarray(levels)[which] - one.E_rev)


# -- the summary curves of the sodium problem -----------------------------------------------------
_DOUBLINGS = 44  # of exponentials over seconds: some rates are 1e8/ms
_TICK = 0.005  # ms, at which ionBench looks for peaks
_BLOCK = 64  # ticks that are computed from one state
_LOOK = 10.0, 20.0  # ms of a window in which its peak, and its fall to a half, are looked for


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


def _curves(c: Curves, one: Scheme) -> jax.Array:
    """Inactivation, activation, recovery and decay, in ionBench's order and normalisation."""
    kinds, which = np.unique(np.stack([c.v, c.duration]), axis=1, return_inverse=True)
    Q = jax.vmap(partial(_generator, one))(jnp.asarray(kinds[0]))
    moves = jax.vmap(lambda Q, t: _exponential(Q, t, _DOUBLINGS))(Q, jnp.asarray(kinds[1]))
    first = _settled(one, -120.0)
    _, begin = jax.lax.scan(lambda x, k: (moves[k] @ x, x), first, jnp.asarray(which.ravel()))
    conducting = jnp.asarray([float(one.conducting.get(k, 0.0)) for k in one.states])

    def inward(segments, ms):
        """-current at every tick `[segment, tick]`."""
        levels, of = np.unique(c.v[segments], return_inverse=True)
        number = round(ms / _TICK / _BLOCK) + 1

        def pulse(level, x):
            tick = _exponential(_generator(one, level), _TICK, 6)
            jump = _exponential(_generator(one, level), _TICK * _BLOCK, 12)
            _, rows = jax.lax.scan(lambda r, _: (r @ tick, r), conducting, None, _BLOCK)
            _, xs = jax.lax.scan(lambda x, _: (jump @ x, x), x, None, number)
            return (xs @ rows.T).ravel() * one.g_bar * (one.E_rev - level)

        return jax.vmap(pulse)(jnp.asarray(levels)[of], begin[segments])

    test = inward(c.inactivation, _LOOK[0]).max(axis=1)
    v, t = c.v[c.activation], c.duration[c.activation] - 0.01
    late = jax.vmap(lambda v, t: _exponential(_generator(one, v), t, _DOUBLINGS))(
        *map(jnp.asarray, (v, t))
    )
    steady = jnp.einsum("s,ksj,kj->k", conducting, late, begin[c.activation]) * (one.E_rev - v)
    pulses = inward(c.recovery, _LOOK[0]).max(axis=1)
    return jnp.concatenate(
        [
            test / test.max(),
            steady / steady.max(),
            pulses[1::2] / pulses[::2],
            jax.vmap(_half_decay)(inward(c.decay, _LOOK[1])),
        ]
    )


def _half_decay(i: jax.Array) -> jax.Array:
    """Time from the peak tick to a half of the peak, ms, linear between ticks."""
    top = jnp.argmax(i)
    half = i[top] / 2
    below = jnp.argmax((i <= half) & (jnp.arange(i.size) > top))
    before = i[below - 1]
    return (below - 1 - top + (before - half) / (before - i[below])) * _TICK
