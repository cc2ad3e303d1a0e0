"""Whether a step suits the schemes that exchange by pairs: asked before a run."""

from __future__ import annotations

import dataclasses
import warnings
from functools import cache, lru_cache
from itertools import chain
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from neurojax.membrane.compartment import Cell, environment, warmed
from neurojax.membrane.electrode import Electrode, Scaled
from neurojax.membrane.markov import Scheme, check_scheme, exchanged
from neurojax.membrane.profiles import Painted
from neurojax.membrane.relaxation import GATES
from neurojax.membrane.stochastic import Noisy

POTENTIALS = np.arange(-90.0, 31.0, 30.0)
"""mV: those that are stepped from, and to."""

DURATION, MOST = 10.0, 1000
"""ms for which a potential is held, and the most steps of it."""

WRONG = 0.01
"""What a conductance may be off, at most, as a part of the largest."""


def remark_on_schemes(cell: Cell, electrode: Electrode, dt: float) -> None:
    """Warn (UserWarning) of schemes whose conductance a step puts off by more than `WRONG`.

    They are held at some potentials, at the parameters of the first cell of a population, from
    rest and from their first state, and compared with the exponential of the matrix of their
    rates. Traced parameters are not judged.
    """
    for key, channel in cell.channels.items():
        if not isinstance(channel, Scheme) or not _by_pairs(channel):
            continue
        # Now, even in a program that is being traced.
        with jax.ensure_compile_time_eval():
            off = _error_of(cell, key, electrode, dt)
        if off > WRONG:
            kind = type(channel).__name__
            instead = "" if isinstance(channel, Noisy) else f"say `stiff = True` in {kind}, or "
            warnings.warn(
                f"channel {key!r}: the rates of {kind} are so fast that at dt = {dt:g} ms its "
                f"conductance is up to {100 * off:.2g} % of its largest off: {instead}take a "
                "shorter step",
                UserWarning,
                stacklevel=4,
            )


def _by_pairs(channel: Scheme) -> bool:
    """Whether its states exchange pair by pair."""
    if isinstance(channel, Noisy):
        return True
    return type(channel).advance is Scheme.advance and not channel.stiff


def _error_of(cell: Cell, key: str, electrode: Electrode, dt: float) -> float:
    """The `error` of a channel of the first cell; 0 where its parameters are traced or painted."""
    channel = cell.channels[key]
    fields = [getattr(channel, field.name) for field in dataclasses.fields(channel)]
    axes: dict[str, tuple[str, ...]] = channel.axes_of_fields  # pyright: ignore
    if any(axes.values()) or any(isinstance(x, Painted) for x in fields):
        return 0.0
    seen = environment(cell, key, {})
    for name in seen.keys() & electrode.inputs.keys():  # a ligand, for one: at its highest
        given = electrode.inputs[name]
        if not any(isinstance(x, Tracer) for x in jax.tree.leaves(given)):
            seen[name] = np.max(
                given.at(np.max(given.shape)) if isinstance(given, Scaled) else given  # pyright: ignore
            )
    things = (warmed(cell, key), cell.celsius, seen)
    leaves, tree = jax.tree.flatten(things)
    if any(isinstance(x, Tracer) for x in leaves):
        return 0.0
    return error(tree, tuple(float(np.ravel(leaf)[0]) for leaf in leaves), float(dt))


@lru_cache(1024)
def error(tree: Any, numbers: tuple[float, ...], dt: float) -> float:
    """How far the conductance is off after a step of the potential, as a part of the largest.

    `tree` and `numbers` are a channel, its temperature and what it reads.
    """
    from scipy.linalg import expm

    things = jax.tree.unflatten(tree, [jnp.asarray(x) for x in numbers])
    channel: Scheme = things[0]
    # JAX would sort them by name, and the order of a step is that in which they are written.
    pairs = _pairs(tree)
    check_scheme(type(channel), pairs)
    rates = dict(zip(pairs, jax.device_get(_rates(*things)), strict=True))
    if not all((np.isfinite(rate) & (rate >= 0)).all() for rate in rates.values()):
        return 0.0  # which others tell of
    place = {state: k for k, state in enumerate(channel.states)}
    n, many = len(place), len(POTENTIALS)
    step = np.tile(np.eye(n), (many, 1, 1))  # [v, from, to]
    for a, b, forth, back in chain(*exchanged(type(channel), rates, dt, GATES)):
        i, j = place[a], place[b]
        flow = (
            step[:, :, i] * np.asarray(forth)[:, None] - step[:, :, j] * np.asarray(back)[:, None]
        )
        step[:, :, i] -= flow
        step[:, :, j] += flow
    Q = np.zeros((many, n, n))
    for (a, b), rate in rates.items():
        Q[:, place[a], place[b]] += rate
    Q -= Q.sum(axis=2)[:, :, None] * np.eye(n)
    true = expm(dt * Q)
    weights = np.array([channel.conducting.get(state, 0.0) for state in channel.states])
    start = np.stack([*map(_settled, Q), np.eye(n)[0]])
    found = exact = np.repeat(start[None], many, axis=0)  # [to v, start, state]
    worst = largest = 0.0
    for _ in range(min(max(round(DURATION / dt), 1), MOST)):
        found, exact = found @ step, exact @ true
        largest = max(largest, float(np.abs(exact @ weights).max()))
        worst = max(worst, float(np.abs((found - exact) @ weights).max()))
    return worst / largest if largest > 0 else 0.0


@jax.jit
def _rates(channel: Scheme, celsius: Any, seen: Any) -> list[jax.Array]:
    """Rate constants at the potentials, 1/ms."""
    v = jnp.asarray(POTENTIALS)
    around = {name: value * jnp.ones_like(v) for name, value in seen.items()}
    return [rate * jnp.ones_like(v) for rate in channel.rates(v, celsius, **around).values()]


@cache
def _pairs(tree: Any) -> tuple[Any, ...]:
    """Which transitions they are of."""
    found: list[Any] = []

    def rates(numbers: list[Any]) -> None:
        channel, celsius, seen = jax.tree.unflatten(tree, numbers)
        found.extend(channel.rates(jnp.zeros(()), celsius, **seen))

    jax.eval_shape(rates, [jnp.zeros(())] * tree.num_leaves)
    return tuple(found)


def _settled(Q: np.ndarray) -> np.ndarray:
    """The occupancies that a generator leaves as they are, of a sum of 1."""
    rows = np.concatenate([Q.T / max(np.abs(Q).max(), 1e-30), np.ones((1, len(Q)))])
    return np.linalg.lstsq(rows, np.eye(len(rows))[-1], rcond=None)[0]
