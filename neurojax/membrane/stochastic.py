"""Channel noise: the same channels, of which a patch has a number that can be counted.

What a scheme's step moves between two states in the mean, single channels do by chance: of the n in
a state each goes over with the probability by which the deterministic step weighs them all. Where
numbers are large, such a flow is Gaussian of the same mean and variance (the Langevin limit).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from itertools import chain
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from neurojax.membrane.axes import batch_shape
from neurojax.membrane.channel import (
    Channel,
    Gates,
    Leaf,
    param,
    pytree,
    static,
)
from neurojax.membrane.compartment import Cell
from neurojax.membrane.markov import Exchange, Scheme, as_scheme
from neurojax.membrane.random import binomial, normal, threefry, uniform
from neurojax.membrane.relaxation import EXACT, Relaxation
from neurojax.units import check_known, factor

MOST = 2**21
"""Channels of a kind that float32 can count, with room for rounding."""

_PS = factor("pS", "mS")


@pytree
class Noisy(Scheme):
    """A scheme of `n_channels` channels, whose occupancies are parts of that number.

    Random numbers are a function of the cell's `seed` and `number`, of the channel's `stream`, of
    the step and of the exchange, and of nothing else. The step is counted in the gates, as "ticks".
    """

    n_channels: Leaf = param(1000.0, "1", 1.0, 1e12)
    seed: Leaf = np.uint32(0)
    number: Leaf = np.uint32(0)
    stream: int = static(0)

    def steady_state(self, v: jax.Array, **c: Any) -> Gates:
        """The probabilities of the states after v was held for ever."""
        return super().steady_state(v, **c) | {"ticks": jnp.ones_like(v)}

    def begin(self, x: Gates) -> Gates:
        """A draw of how many channels are in each state, where x are the probabilities."""
        likely: dict[str, Any] = {}
        rest: Any = 0.0
        for state in reversed(self.states):  # from the end, so that small ones keep their digits
            rest = rest + x[state]
            likely[state] = jnp.where(rest > 0, x[state] / jnp.where(rest > 0, rest, 1.0), 1.0)
        u = self._uniforms(np.uint32(0), len(self.states), rest)
        n = whole = jnp.round(self.n_channels * jnp.ones_like(rest))
        drawn = {}
        for k, state in enumerate(self.states):
            drawn[state] = self._some(n, likely[state], u[k])
            n = n - drawn[state]
        return x | {k: number / whole for k, number in drawn.items()}

    def advance(
        self,
        x: Gates,
        v: jax.Array,
        dt: Leaf,
        celsius: Leaf | None = None,
        relaxation: Relaxation = EXACT,
        **c: Any,
    ) -> Gates:
        # A count in the bits of a float, from those of 1.0: exact for 2^30 steps, then infinite.
        count = lax.bitcast_convert_type(x["ticks"].astype(jnp.float32), jnp.uint32)
        ticks = lax.bitcast_convert_type(count + np.uint32(1), jnp.float32)
        layers = self.exchanges(v, dt, celsius, relaxation, **c)
        moved = self._moved({k: x[k] for k in self.states}, layers, count)
        return moved | {"ticks": ticks.astype(x["ticks"].dtype)}

    def propagator(
        self, v: jax.Array, dt: Leaf, celsius: Leaf | None = None, **c: Any
    ) -> dict[str, Any]:
        raise TypeError(f"{type(self).__name__} moves by chance: it has no propagator")

    def _uniforms(self, step: Any, most: int, like: jax.Array) -> jax.Array:
        """The random numbers of a step, an even number `[number, *pop]` of at least `most`."""
        places = np.uint32(self.stream << 16) + np.arange((most + 1) // 2, dtype=np.uint32)
        places = places.reshape(-1, *[1] * like.ndim)
        words = threefry((self.seed, self.number), (step, places))
        u = jnp.stack([uniform(word, like.dtype) for word in words], axis=1)
        return jnp.broadcast_to(u, (*u.shape[:2], *like.shape)).reshape(-1, *like.shape)

    def _some(self, n: jax.Array, p: jax.Array, u: jax.Array) -> jax.Array:
        """How many of n, each with probability p."""
        raise TypeError(f"{type(self).__name__} has no draw: make it Counted or Langevin")

    def _moved(self, x: Gates, layers: list[list[Exchange]], step: jax.Array) -> Gates:
        """The occupancies after the exchanges of a step."""
        raise TypeError(f"{type(self).__name__} has no flows: make it Counted or Langevin")


class Counted(Noisy):
    """Whole channels: of those in a state a binomial number goes over."""

    def _some(self, n: jax.Array, p: jax.Array, u: jax.Array) -> jax.Array:
        return binomial(n, p, u, normal(u))

    def _moved(self, x: Gates, layers: list[list[Exchange]], step: jax.Array) -> Gates:
        whole = jnp.round(self.n_channels)
        n = _numbers(x, whole)
        u = self._uniforms(step, 2 * len(list(chain(*layers))), next(iter(x.values())))
        z = normal(u)
        used = 0
        for layer in layers:
            # All that leave a state in this layer, at once: `[leaving, *pop]`.
            leaving = [(a, b, forth) for a, b, forth, _ in layer]
            leaving += [(b, a, back) for a, b, _, back in layer]
            now = slice(used, used := used + len(leaving))
            there = jnp.stack([n[a] for a, _, _ in leaving])
            chance = _without_slope(jnp.clip(jnp.stack([p for _, _, p in leaving]), 0.0, 1.0))
            for (a, b, _), gone in zip(
                leaving, binomial(there, chance, u[now], z[now]), strict=True
            ):
                n[a], n[b] = n[a] - gone, n[b] + gone
        return {k: number / whole for k, number in n.items()}


class Langevin(Noisy):
    """Very many channels: flows are Gaussian.

    Where few channels are in a state, a flow may take more than there are, and occupancies be a
    little below 0. They are left there: flows that stop at 0 would have another mean, and the
    sodium channels of a resting patch be open too often (of 12000 by 13 %).

    Source: Fox & Lu 1994, Phys Rev E 49:3421, doi:10.1103/PhysRevE.49.3421; exchange by exchange
    and unbounded as in Orio & Soudry 2012, PLoS ONE 7:e36670, doi:10.1371/journal.pone.0036670.
    """

    def _some(self, n: jax.Array, p: jax.Array, u: jax.Array) -> jax.Array:
        return n * p + _root(n * p * (1 - p)) * normal(u)

    def _moved(self, x: Gates, layers: list[list[Exchange]], step: jax.Array) -> Gates:
        x = dict(x)
        z = normal(self._uniforms(step, len(list(chain(*layers))), next(iter(x.values()))))
        whole = jnp.round(self.n_channels)
        used = 0
        for layer in layers:
            # All flows of a layer at once, `[exchange, *pop]`: one after the other, XLA:CPU copies
            # each into all that follow, and a cell of two such channels is never compiled.
            now = slice(used, used := used + len(layer))
            forth = jnp.stack([part for _, _, part, _ in layer])
            back = jnp.stack([part for _, _, _, part in layer])
            out = jnp.stack([x[a] for a, *_ in layer]) * forth
            into = jnp.stack([x[b] for _, b, *_ in layer]) * back
            chance = jnp.maximum(out, 0.0) * (1 - forth) + jnp.maximum(into, 0.0) * (1 - back)
            flows = out - into + _root(chance / whole) * z[now]
            for (a, b, *_), flow in zip(layer, flows, strict=True):
                x[a], x[b] = x[a] - flow, x[b] + flow
        return x


def _numbers(x: Gates, whole: jax.Array) -> Gates:
    """Occupancies as whole numbers; what rounding takes from one state the next ones get."""
    n, over = {}, 0.0
    for state, part in x.items():
        n[state] = jnp.round(part * whole + over)
        over = part * whole + over - n[state]
    return n


def _root(variance: jax.Array) -> jax.Array:
    # Where nothing varies the slope of the root would be infinite.
    return jnp.sqrt(jnp.maximum(variance, 1e-30))


@jax.custom_jvp
def _without_slope(chance: jax.Array) -> jax.Array:
    return chance


@_without_slope.defjvp
def _(primals: Any, tangents: Any) -> NoReturn:
    raise TypeError(
        "numbers of channels have no derivative: take the cell without noise, or langevin=True"
    )


# -- making them ----------------------------------------------------------------------------------
@cache
def _noisy_class(kind: type[Noisy], scheme: type[Scheme]) -> type[Noisy]:
    body = {"__doc__": f"{kind.__name__} {scheme.__doc__ or ''}", "__annotations__": {}}
    return pytree(type(f"{kind.__name__}{scheme.__name__}", (kind, scheme), body))


def as_noisy(
    channel: Channel,
    n_channels: Leaf,
    *,
    seed: Leaf = 0,
    number: Leaf = 0,
    stream: int = 0,
    langevin: bool = False,
) -> Noisy:
    """A channel as the chance movements of `n_channels` of its kind, see `as_scheme`.

    The random numbers are those of `seed` and `number`; channels of one cell need a `stream` of
    their own. Raises ValueError for a number of channels out of bounds, and what `as_scheme` does.
    """
    if isinstance(channel, Noisy):
        raise ValueError(f"{type(channel).__name__} has its noise already")
    if not isinstance(n_channels, Tracer):
        found = np.asarray(n_channels, dtype=np.float64)
        most = 1e12 if langevin else MOST
        if not (np.all(found >= 1) and np.all(found <= most)):
            raise ValueError(
                f"n_channels = {found[~((found >= 1) & (found <= most))].flat[0]:g}: expected 1 to "
                f"{most:g}{'' if langevin else ' (with langevin=True up to 1e+12)'}"
            )
    scheme = as_scheme(channel)
    fields = {f.name: getattr(scheme, f.name) for f in dataclasses.fields(scheme)}
    return _noisy_class(Langevin if langevin else Counted, type(scheme))(
        **fields,
        n_channels=n_channels,
        seed=_word("seed", seed),
        number=_word("number", number),
        stream=stream,
    )


def _word(name: str, value: Leaf) -> jax.Array | np.ndarray:
    if isinstance(value, Tracer):
        return value.astype(jnp.uint32)
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or np.any(array < 0) or np.any(array >= 2**32):
        raise ValueError(f"{name} = {value!r}: expected whole numbers from 0 to 2^32 - 1")
    return array.astype(np.uint32)


def stochastic(
    cell: Cell,
    *,
    gamma_pS: float | Mapping[str, float] | None = None,
    n_channels: Leaf | Mapping[str, Leaf] | None = None,
    seed: Leaf = 0,
    langevin: bool = False,
) -> Cell:
    """The cell with channel noise: each channel a number of channels that open and close by chance.

    Their number is `n_channels`, or the conductance `g_bar * area` in units of a single channel's,
    `gamma_pS`: one value for all channels that have gates with a time course (others stay as they
    are), or a value by name for those named. It stays the same when `g_bar` or the area are
    replaced later. Each cell of a population has its own noise; what spans the population may also
    be the `seed`: `seed=np.arange(100)` gives a hundred trials, cells of equal seed the same noise.
    Numbers are exact binomial counts up to `MOST` channels, or with `langevin` Gaussian, which is
    quicker and good from about a thousand channels on.

    Raises ValueError for an unknown channel, and where the number of channels is not 1 to `MOST`,
    as when the cell still has the default area of 1 cm2.
    """
    if (gamma_pS is None) == (n_channels is None):
        raise ValueError("give either gamma_pS, the conductance of a single channel, or n_channels")
    given: Any = gamma_pS if n_channels is None else n_channels
    if not isinstance(given, Mapping):
        given = {k: given for k, channel in cell.channels.items() if _fluctuates(channel)}
    for key in given:
        check_known(key, cell.channels, "channel")
    shape = batch_shape(cell, given)
    number = 0 if np.ndim(seed) else np.arange(int(np.prod(shape))).reshape(shape)
    channels = dict(cell.channels)
    for stream, key in enumerate(cell.channels):
        if key not in given:
            continue
        channel = channels[key]
        n = given[key] if gamma_pS is None else _how_many(cell, key, given[key], langevin)
        try:
            channels[key] = as_noisy(
                channel, n, seed=seed, number=number, stream=stream, langevin=langevin
            )
        except ValueError as error:
            raise ValueError(f"channel {key!r}: {error}") from None
    return dataclasses.replace(cell, channels=channels)


def numbered(cell: Cell, numbers: Leaf) -> Cell:
    """The cell, with the noise of these whole numbers `[*pop]`: those of equal number have equal
    noise, whatever population they are in. A cell without noise is as it was.
    """
    noisy = {
        key: dataclasses.replace(channel, number=_word("number", numbers))
        for key, channel in cell.channels.items()
        if isinstance(channel, Noisy)
    }
    return dataclasses.replace(cell, channels=cell.channels | noisy)


def _fluctuates(channel: Channel) -> bool:
    if isinstance(channel, Noisy):
        return False
    try:
        as_scheme(channel)
    except ValueError:
        return False
    return True


def _how_many(cell: Cell, key: str, gamma: Leaf, langevin: bool) -> Leaf:
    """The number of channels of conductance gamma (pS) that make up `g_bar * area`."""
    channel = cell.channels[key]
    if not hasattr(channel, "g_bar"):
        raise ValueError(
            f"channel {key!r}: {type(channel).__name__} has no g_bar to divide by gamma_pS: "
            "give n_channels"
        )
    g_bar: Any = channel.g_bar  # pyright: ignore[reportAttributeAccessIssue]
    if any(isinstance(leaf, Tracer) for leaf in (g_bar, cell.area, gamma)):
        return jnp.maximum(jnp.round(g_bar * cell.area / (gamma * _PS)), 1.0)
    if not np.all(np.asarray(gamma) > 0):
        raise ValueError(f"channel {key!r}: gamma_pS = {gamma!r} is not positive")
    n = np.round(np.asarray(g_bar, np.float64) * np.asarray(cell.area, np.float64) / (gamma * _PS))
    n = np.where(np.asarray(g_bar) == 0, np.maximum(n, 1), n)
    wrong = n[~((n >= 1) & (n <= (1e12 if langevin else MOST)))]
    if wrong.size:
        raise ValueError(
            f"channel {key!r}: {np.max(g_bar):g} mS/cm2 on {np.max(cell.area):g} cm2 are "
            f"{wrong.flat[0]:g} channels of {gamma:g} pS, not 1 to {1e12 if langevin else MOST:g}: "
            "is the cell's area right?"
        )
    return n


def check_noise(cell: Cell, pop: tuple[int, ...]) -> None:
    """Raise ValueError for a population of which cells share their noise unasked."""
    for key, channel in cell.channels.items():
        if isinstance(channel, Noisy):
            own = np.broadcast_shapes(np.shape(channel.seed), np.shape(channel.number))
            if np.broadcast_shapes(own, (1,) * len(pop)) != pop:
                raise ValueError(
                    f"channel {key!r} has noise for cells {own}, the run has {pop}: make it with "
                    f"seed=np.arange({pop[-1]}), or with equal seeds for equal noise"
                )
