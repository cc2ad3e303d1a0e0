"""An ideal voltage clamp all at once: where v is known, gates are affine, and time is a prefix sum.

Each gate goes through x <- a x + b with a and b read off the command, so the state after every step
is a composition of such maps: an associative scan over time, no loop. Memory grows with time.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from neurojax.engine import scan
from neurojax.engine.folds import Carry, Fold, Several, results
from neurojax.membrane.channel import Gates, Leaf
from neurojax.membrane.compartment import Cell, State, environment, pools, warmed
from neurojax.membrane.electrode import Electrode, Scaled, is_ideal_clamp, n_steps
from neurojax.membrane.markov import Scheme
from neurojax.membrane.network import acts
from neurojax.membrane.requirements import check_single


def check(cell: Cell, electrode: Electrode) -> None:
    """Raise ValueError for a run in which v or what gates see is not known beforehand."""
    check_single(cell, "engine 'prefix'")
    if not is_ideal_clamp(electrode):
        raise ValueError(
            "engine 'prefix': the potential is not imposed: give an ideal clamp, voltage_clamp(v)"
        )
    if acts(electrode):
        raise ValueError("engine 'prefix': cells that act on each other: take 'scan'")
    if electrode.events:
        raise ValueError(f"engine 'prefix': events of {', '.join(electrode.events)}: take 'scan'")
    if changing := pools(cell):
        raise ValueError(
            f"engine 'prefix': {', '.join(changing)} change with the current, "
            "which no command tells"
        )


def run(
    cell: Cell,
    s: State,
    electrode: Electrode,
    dt: Leaf,
    observe: scan.Observe,
    every: int = 1,
    folds: dict[str, Fold] | None = None,
) -> tuple[State, Any, dict[str, Carry]]:
    """The same as `scan.run`, for cells and electrodes that `check` takes."""
    records = n_steps(electrode) // every
    s = scan.first(cell, s, electrode)

    def in_time(a: Any) -> jax.Array:
        """A field as `[step, *pop]`."""
        a = jnp.asarray(a, s.v.dtype)
        a = a[: records * every] if a.ndim else a[None]
        a = a.reshape(len(a), *[1] * (1 + s.v.ndim - a.ndim), *a.shape[1:])
        return jnp.broadcast_to(a, (records * every, *s.v.shape))

    command = electrode.v_cmd
    if isinstance(command, Scaled):
        ends = in_time(command.at(in_time(command.shape)))
    else:
        ends = in_time(command)
    held = jnp.concatenate([s.v[None], ends[:-1]])  # during each step
    c = {k: in_time(x) for k, x in electrode.inputs.items()}
    x = {key: _gates(cell, key, s.x[key], held, c, dt) for key in cell.channels}
    states = State(ends, x, c)
    last = jax.tree.map(lambda a: a[-1], states)
    at_records = jax.tree.map(lambda a: a[every - 1 :: every], states)

    several = Several(parts=folds or {})

    def record(carry: Carry, xs: Any) -> tuple[Carry, None]:
        return several.update(carry, cell, *xs), None

    rows = jax.tree.map(lambda a: a[:records], several.data)
    folded, _ = jax.lax.scan(record, several.init(cell, s), (at_records, rows))
    duration = records * every * dt
    seen = jax.vmap(lambda s: observe(cell, s))(at_records)
    return last, seen, results(several, folded, duration, cell, last)


def _gates(
    cell: Cell, key: str, x: Gates, v: jax.Array, c: dict[str, jax.Array], dt: Leaf
) -> Gates:
    """The gates of a channel after each step `[step, *pop]`, from x, v held at `[step, *pop]`."""
    channel = warmed(cell, key)
    if isinstance(channel, Scheme):

        def step(x: Gates, seen: Any) -> tuple[Gates, Gates]:
            v, c = seen
            x = channel.advance(x, v, dt, cell.celsius, **environment(cell, key, c))
            return x, x

        return jax.lax.scan(step, x, (v, c))[1]

    def maps(v: jax.Array, c: dict[str, jax.Array]) -> dict[str, list[jax.Array]]:
        found = channel.propagator(v, dt, cell.celsius, **environment(cell, key, c))
        return {k: [jnp.broadcast_to(m, v.shape) for m in ab] for k, ab in found.items()}

    return {k: _through(a, b, x[k]) for k, (a, b) in jax.vmap(maps)(v, c).items()}


Pair = tuple[jax.Array, jax.Array]
"""A map x <- a x + b of each step."""


def _through(a: jax.Array, b: jax.Array, first: jax.Array) -> jax.Array:
    """x after each of the maps x <- a x + b, from the first."""

    def after(one: Pair, other: Pair) -> Pair:
        (a1, b1), (a2, b2) = one, other
        return a2 * a1, a2 * b1 + b2

    a, b = jax.lax.associative_scan(after, (a, b))
    return a * first + b
