"""Presynaptic events: when, where and how strong; and what of them arrives in each step of a run.

Times are in ms, whatever the step: in a step an event counts from the moment when it happens.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float

from neurojax.membrane.channel import Leaf, field, pytree, static
from neurojax.membrane.random import threefry, uniform


@pytree
class Events:
    """Events `[event]` that reach synapses of one kind, sorted in time; or `[event, pop]`.

    Each comes at its time (ms; infinite for one that never comes) with its weight to the
    compartment `at`: numbers where all events are alike, `[event]`, or `[1, pop]` where cells
    differ. To a channel that `receives` events a weight of 1 opens `g_max`. To an input of the cell
    an event is a vesicle: a pulse of transmitter, as high as its weight (mM), that lasts `width` ms
    (the run's end cuts it).
    """

    times: Leaf = field(axes=("event",))
    weight: Leaf = field(1.0, axes=("event",))
    at: Leaf = field(0, axes=("event",))
    width: Leaf = 1.0
    most: int = static(0)  # how many come in one step, at most: counted when a run begins

    def __post_init__(self):
        for name in ("times", "weight", "at", "width"):
            value = getattr(self, name)
            if not isinstance(value, float | int | jax.Array):
                object.__setattr__(self, name, np.asarray(value))


@pytree
class Arrival:
    """One event of each step: its weight, 0 for none; how many ms before the step's end; where."""

    weight: Leaf = field(axes=("step",))
    ago: Leaf = field(axes=("step",))
    at: Leaf = field(axes=("step",))


def poisson(
    rate: Leaf, duration: float, *, seed: Any = 0, weight: Leaf = 1.0, at: Leaf = 0
) -> Events:
    """Events by chance: trains `[train]` of rates in Hz, each to the compartment `at`, with weight.

    With a seed for each cell `[pop]` every cell has trains of its own. A train is the same whatever
    the number of trains, cells and devices, and whatever the time step. Their number of events
    varies; the array is as long for every seed, events past the `duration` (ms) being infinite.

    Raises ValueError for a rate or duration that is negative or not finite.
    """
    rate, weight, at = np.broadcast_arrays(np.atleast_1d(rate), weight, at)
    if rate.ndim != 1 or not (np.isfinite(rate).all() and (rate >= 0).all()):
        raise ValueError(f"rate = {rate!r}: expected Hz, 0 or more, of each train")
    if not (np.isfinite(duration) and duration >= 0):
        raise ValueError(f"duration = {duration!r}: expected ms, 0 or more")
    seeds = np.atleast_1d(np.asarray(seed))
    mean = 1e-3 * duration * rate
    times = _trains(rate, duration, seeds, _room(mean.max(initial=0.0)))
    train = np.broadcast_to(np.arange(rate.size)[None, :, None], times.shape)
    times, train = (x.reshape(-1, seeds.size) for x in (times, train))
    first = np.argsort(times, axis=0, kind="stable")[: _room(mean.sum())]
    times, train = (np.take_along_axis(x, first, 0) for x in (times, train))
    if np.ndim(seed) == 0:
        times, train = times[:, 0], train[:, 0]
    return Events(times=times, weight=weight[train], at=at[train])


def _room(mean: float) -> int:
    """More events than this have a probability below 1e-12."""
    return int(np.ceil(mean + 8 * np.sqrt(mean) + 16))


@jax.jit
def _uniform(seeds: Any, number: Any, train: Any) -> jax.Array:
    word, _ = threefry((seeds, np.uint32(0x5EED)), (number, train))
    return uniform(word, jnp.float32)


def _trains(
    rate: np.ndarray, duration: float, seeds: np.ndarray, room: int
) -> Float[np.ndarray, "event train pop"]:
    """Times of trains in cells of these seeds, infinite past the duration."""
    number, train, cell = np.ogrid[:room, : rate.size, : seeds.size]
    words = seeds.astype(np.uint32)[cell], number.astype(np.uint32), train.astype(np.uint32)
    waits = -np.log(np.asarray(_uniform(*words), np.float64))
    with np.errstate(divide="ignore"):
        times = np.cumsum(waits, axis=0) * (1e3 / rate.astype(np.float64))[None, :, None]
    return np.where(times < duration, times, np.inf)


# -- contracts -------------------------------------------------------------------------------------
def check_events(name: str, events: Events, duration: float) -> None:
    """Raise ValueError for events that no run of a duration (ms) can have.

    Traced values are taken as they are.
    """
    what = f"events of {name!r}"
    length = {np.shape(x)[0] for x in (events.times, events.weight, events.at) if np.ndim(x)}
    if np.ndim(events.times) == 0 or len(length - {1, np.shape(events.times)[0]}) > 0:
        shapes = {k: np.shape(getattr(events, k)) for k in ("times", "weight", "at")}
        raise ValueError(f"{what}: shapes {shapes}: expected times [event], and as many or one")
    if not isinstance(events.times, Tracer):
        _check_times(what, np.asarray(events.times, np.float64), duration)
    if not isinstance(events.weight, Tracer):
        weight = np.asarray(events.weight)
        wrong = weight[~((weight >= 0) & np.isfinite(weight))]
        if wrong.size:
            raise ValueError(f"{what}: weight {wrong.flat[0]:g}: expected a number, 0 or more")
    if not isinstance(events.width, Tracer) and not (np.asarray(events.width) > 0).all():
        raise ValueError(f"{what}: width = {events.width!r} ms: expected more than 0")


def _check_times(what: str, times: np.ndarray, duration: float) -> None:
    if np.isnan(times).any():
        raise ValueError(f"{what}: times have NaN: expected ms, infinite for what never comes")
    if (times[1:] < times[:-1]).any():
        k = np.argwhere(times[1:] < times[:-1])[0, 0]
        raise ValueError(f"{what}: times are not sorted: event {k + 1} is before event {k}")
    # A time in float32 may be rounded past the end.
    late = np.isfinite(times) & (times > duration * (1 + 1e-6))
    if late.any() or (times < 0).any():
        wrong = times[late | (times < 0)].flat[0]
        raise ValueError(f"{what}: time {wrong:g} ms is not within the run, 0 to {duration:g} ms")


def counted(events: Events, dt: float, pulses: bool) -> Events:
    """The events, and how many of them come in one step of dt, at most: a power of 2.

    All of them where the times are traced.
    """
    times = events.times
    if isinstance(times, Tracer) or isinstance(events.width, Tracer):
        n = np.shape(times)[0] * (1 + pulses)
    else:
        n = _most(np.asarray(times, np.float64), dt)
        if pulses:
            n += _most(np.asarray(times + np.asarray(events.width), np.float64), dt)
    most = 1 << (n - 1).bit_length() if n else 0
    return Events(times=times, weight=events.weight, at=events.at, width=events.width, most=most)


def _most(times: np.ndarray, dt: float) -> int:
    """The most of sorted times within a step and a half, wherever they begin.

    The last step has so much, and others less. What float32 rounds stays within.
    """
    most = 0
    for column in np.where(np.isfinite(times), times, np.nan).reshape(len(times), -1).T:
        column = column[~np.isnan(column)]
        ends = np.searchsorted(column, column + 1.501 * dt + 1e-6 * column, side="right")
        most = max(most, int((ends - np.arange(len(column))).max(initial=0)))
    return most


# -- in steps --------------------------------------------------------------------------------------
def edges(events: Events) -> Events:
    """Pulses as steps of the concentration: up at each event's time, down after its width."""
    up = jnp.asarray(events.times)
    both = jnp.concatenate([up, up + events.width])

    def twice(x: Any, sign: float = 1.0) -> Any:
        x = jnp.asarray(x)
        x = x if x.ndim else x[None]
        x = jnp.broadcast_to(x, (len(up), *x.shape[1:]))
        return jnp.concatenate([x, jnp.asarray(sign, x.dtype) * x])

    at = events.at if np.ndim(events.at) == 0 else twice(events.at)
    return Events(times=both, weight=twice(events.weight, -1.0), at=at, most=events.most)


def arrivals(events: Events, dt: Leaf, steps: int, lead: float) -> tuple[Arrival, ...]:
    """What comes in each step, from `lead` of a step before it begins to as much before it ends.

    There are `events.most`. What comes when the last one has ended, but not the run, counts in it.
    """
    times = jnp.asarray(events.times, jnp.result_type(float))
    order = jnp.argsort(times, axis=0)
    times = jnp.take_along_axis(times, order, 0)
    weight, at = (_along(x, order) for x in (events.weight, events.at))
    when = times / dt + lead
    comes = when <= (steps + lead) * (1 + 1e-6)
    step = jnp.where(comes, jnp.clip(jnp.floor(when), 0, steps - 1), steps).astype(jnp.int32)
    number = jnp.arange(len(times), dtype=jnp.int32).reshape(-1, *[1] * (times.ndim - 1))
    begins = jnp.concatenate([jnp.ones_like(step[:1], bool), step[1:] != step[:-1]])
    rank = number - jax.lax.cummax(jnp.where(begins, number, 0), axis=0)
    ago = jnp.where(comes, (step + 1 - when) * dt, 0.0)

    def slot(k: int) -> Arrival:
        which = _scattered(jnp.where(rank == k, step, steps + 1), len(times), steps)
        there = which < len(times)
        which = jnp.minimum(which, len(times) - 1)
        w, since, place = (_picked(x, which) for x in (weight, ago, at))
        there = there.reshape(*there.shape, *[1] * (w.ndim - there.ndim))
        return Arrival(weight=jnp.where(there, w, 0.0), ago=since, at=place)

    return tuple(slot(k) for k in range(events.most))


def on_average(arrived: tuple[Arrival, ...], dt: Leaf) -> tuple[Arrival, ...]:
    """What comes in steps, so that a gate that decays is in each step what it is on average.

    An event that is there for a part of its step counts by this part, and by the rest in the next
    step: with the decay since then, to (dt / tau)^2 / 24. One in the last step, after which none
    comes, counts in full, so that the run can be gone on from.
    """
    found: list[Arrival] = []
    for one in arrived:
        part = one.ago / dt
        last = (jnp.arange(len(part)) == len(part) - 1).reshape(-1, *[1] * (part.ndim - 1))
        now = jnp.where(last, 1.0, part)
        since = jnp.where(last, one.ago - 0.5 * dt, 0.5 * one.ago)
        found += [
            Arrival(weight=_times(one.weight, now), ago=since, at=one.at),
            Arrival(
                weight=_later(_times(one.weight, 1 - now)),
                ago=_later(0.5 * (one.ago + dt)),
                at=_later(one.at) if jnp.ndim(one.at) else one.at,
            ),
        ]
    return tuple(found)


def _times(a: jax.Array, b: jax.Array) -> jax.Array:
    """The product of what is `[step]` or `[step, pop]`."""
    ndim = max(a.ndim, b.ndim)
    a, b = (x.reshape(*x.shape, *[1] * (ndim - x.ndim)) for x in (a, b))
    return a * b


def _later(x: jax.Array) -> jax.Array:
    """The same one step later, 0 in the first."""
    return jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]])


def _along(x: Any, order: jax.Array) -> Any:
    """What events have, in the order of their times."""
    x = jnp.asarray(x)
    if x.ndim == 0 or x.shape[0] == 1:
        return x
    if order.ndim == 1:
        return x[order]
    x = x if x.ndim == 2 else x[:, None]
    return jnp.take_along_axis(x, order, 0)


def _scattered(step: jax.Array, n: int, steps: int) -> jax.Array:
    """Which event a step has, `[step, *pop]`; n for none."""
    if step.ndim == 2:
        return jax.vmap(lambda one: _scattered(one, n, steps), -1, -1)(step)
    empty = jnp.full(steps, n, jnp.int32)
    return empty.at[step].set(jnp.arange(len(step), dtype=jnp.int32), mode="drop")


def _picked(x: jax.Array, which: jax.Array) -> jax.Array:
    """What the event of each step has, `[step, *pop]`; a number stays one."""
    if x.ndim == 0:
        return x
    if x.shape[0] == 1:
        x = jnp.broadcast_to(x, (which.shape[0], *x.shape[1:]))
        return x
    if which.ndim == 1:
        return x[which]
    x = jnp.broadcast_to(x if x.ndim == 2 else x[:, None], (x.shape[0], which.shape[1]))
    return jnp.take_along_axis(x, which, 0)
