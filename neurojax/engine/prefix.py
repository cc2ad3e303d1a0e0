"""An ideal voltage clamp all at once: where v is known, gates are affine, and time is a prefix sum.

Each gate goes through x <- a x + b with a and b read off the command, so the state after every step
is a composition of such maps: an associative scan over time, no loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from neurojax.membrane.compartment import Cell, State, environment, steady_state
from neurojax.membrane.markov import Scheme


def run(cell: Cell, v: Any, dt, observe: Callable[[Cell, State], Any]) -> Any:
    """Observables `[step, ...]` after each step of a command v `[step, *pop]`, mV.

    As a run of `simulate` under `voltage_clamp(v)` from v[0] sees them: the gates of a state have
    followed the command so far, and its potential is that of the next step. Raises ValueError for
    a cell with pools, whose concentrations no command tells.
    """
    if pools := [k for name, ion in cell.ions.items() for k in ion.pools(name)]:
        raise ValueError(f"{', '.join(pools)} change with the current: simulate the clamp instead")
    v = jnp.asarray(v, jnp.result_type(float))
    s = steady_state(cell, v[0])
    v = jnp.broadcast_to(v, (len(v), *s.v.shape))
    x = {}
    for key, channel in cell.channels.items():
        seen = environment(cell, key, {})
        if isinstance(channel, Scheme):

            def step(x, v, channel=channel, seen=seen):
                x = channel.advance(x, v, dt, cell.celsius, **seen)
                return x, x

            x[key] = jax.lax.scan(step, s.x[key], v)[1]
        else:
            maps = channel.propagator(v, dt, cell.celsius, **seen)
            x[key] = {k: _through(a, b, s.x[key][k]) for k, (a, b) in maps.items()}
    return observe(cell, State(jnp.concatenate([v[1:], v[-1:]]), x))


def _through(a: jax.Array, b: jax.Array, first: jax.Array) -> jax.Array:
    """x after each of the maps x <- a x + b, from the first."""

    def after(one, other):
        (a1, b1), (a2, b2) = one, other
        return a2 * a1, a2 * b1 + b2

    a, b = jax.lax.associative_scan(after, (a, b))
    return a * first + b
