"""How tangents grow along a run: of the state, under several couplings, and of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from neurojax.engine.folds import Mean
from neurojax.engine.passes.linearize import dense, linearize
from neurojax.engine.program import Build, Theta, cut
from neurojax.membrane.compartment import State
from neurojax.membrane.electrode import Electrode

MILLIVOLTS = 100.0
"""A change of v by so many mV counts as much as one of a gate by 1."""


class Growth(NamedTuple):
    """How much tangents have grown at each record: natural logarithms."""

    state: jax.Array  # [coupling, record, *pop] since the beginning
    parameters: jax.Array  # [P, record, *pop] of the state's change by 1 unit of a parameter


def run(
    build: Build,
    theta: Theta,
    electrode: Electrode,
    dt,
    every: int,
    couplings: Sequence[float],
) -> Growth:
    """Carry tangents of the first state and of theta along, the former made short at each record.

    A coupling (mS/cm2) pulls a tangent back as nudging pulls a cell towards data that it follows.
    Tangents of parameters are left as a gradient has them, so that they are lost where it is.
    """
    p = cut(build, theta, electrode, dt, Mean(of="v"), every)
    constants, push = linearize(p.constants, p.theta)
    own = [dense(push(seed), constants) for seed in p.seeds()]
    s, push = linearize(lambda theta: p.first(theta)[0], p.theta)
    first = [dense(push(seed), s) for seed in p.seeds()]
    G = len(couplings)
    fall = jnp.stack([jnp.exp(-dt * g / build(p.theta)[0].C_m) for g in couplings]).astype(
        s.v.dtype
    )
    fall = fall.reshape(G, *[1] * (s.v.ndim + 1 - fall.ndim), *fall.shape[1:])

    def stacked(trees):
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)

    def length(S):
        parts = [S.v / MILLIVOLTS, *jax.tree.leaves(S.x), *jax.tree.leaves(S.c)]
        return jnp.sqrt(sum(part * part for part in parts))

    def tick(carry, e):
        s, S, Z = carry
        value, push = linearize(lambda c, s: p.advance(c, s, e), constants, s)
        none = jax.tree.map(lambda leaf: None, constants)
        S = jax.vmap(lambda S: dense(push(none, S), value))(S)
        S = S._replace(v=S.v * fall)
        Z = jax.vmap(lambda c, Z: dense(push(c, Z), value))(stacked(own), Z)
        return (value, S, Z), None

    def record(carry, xs):
        s, S, Z, grown = carry
        (s, S, Z), _ = jax.lax.scan(tick, (s, S, Z), xs[0])
        now = length(S)
        S = jax.tree.map(lambda leaf: leaf / now, S)
        grown = grown + jnp.log(now)
        return (s, S, Z, grown), (grown, jnp.log(length(Z)))

    one = State(jnp.full_like(s.v, MILLIVOLTS), *jax.tree.map(jnp.ones_like, (s.x, s.c)))
    one = jax.tree.map(lambda leaf: leaf / length(one), one)
    S = stacked([one] * G)
    grown = jnp.zeros((G, *s.v.shape), s.v.dtype)
    _, (state, parameters) = jax.lax.scan(record, (s, S, stacked(first), grown), p.xs)
    return Growth(jnp.moveaxis(state, 0, 1), jnp.moveaxis(parameters, 0, 1))
