"""simulate: a cell, an electrode and a time step in; a Recording out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.cell import Cell, State, at_rest, batch_shape, ionic_current, settled
from neurojax.channel import Leaf
from neurojax.electrode import Electrode, is_ideal_clamp, n_steps
from neurojax.engine import scan
from neurojax.engine.devices import shard
from neurojax.units import nearest


class Recording(NamedTuple):
    """What was recorded: one row per record, `[record, *pop]` each."""

    t: jax.Array  # [record] ms, the end of the step recorded
    data: dict[str, jax.Array]
    ok: jax.Array  # [*pop] False where the integration left the finite numbers
    final: State  # to go on from

    @property
    def v(self) -> jax.Array:
        """Membrane potential, mV."""
        return self.data["v"]


def observables(cell: Cell) -> list[str]:
    """Names that `simulate` can record: "v" (mV), "i_ion" and "na.i" (uA/cm2), gates as "na.m"."""
    gates = [f"{key}.{gate}" for key, c in cell.channels.items() for gate in sorted(c.powers)]
    return ["v", "i_ion", *(f"{key}.i" for key in cell.channels), *gates]


def observe(cell: Cell, s: State, name: str) -> jax.Array:
    """One observable of a state, by the name that `observables` lists."""
    if name == "v":
        return s.v
    if name == "i_ion":
        return ionic_current(cell, s.v, s.x)
    key, what = name.split(".", 1)
    channel = cell.channels[key]
    if what == "i":
        return channel.current(s.v, s.x[key])
    gates = s.x[key] | channel.instant(s.v - channel.v_shift)
    return gates[what]


@partial(jax.jit, static_argnames=("record", "every"))
def _run(cell, s, electrode, dt, record, every):
    def look(cell, s):
        return {name: observe(cell, s, name) for name in record}

    final, data = scan.run(cell, s, electrode, dt, look, every)
    # NaN and infinity never heal in the state, so the last one tells of the whole run.
    finite = [jnp.isfinite(leaf) for leaf in jax.tree.leaves(final)]
    return final, data, jnp.stack(finite).all(axis=0)


def simulate(
    cell: Cell,
    electrode: Electrode,
    dt: float = 0.025,
    *,
    record: Sequence[str] = ("v",),
    every: int = 1,
    initial: State | Leaf | None = None,
) -> Recording:
    """Integrate a cell, or the population that its leaves span, under an electrode.

    `initial` is a state to go on from, a potential (mV) at which the gates have settled, or None
    for the resting state (under an ideal clamp, for its first command). Records every `every` steps
    of `dt` ms. A population is computed on all local devices when their number divides it.

    Raises ValueError for an unknown observable, a dt that is not positive, or an electrode without
    time. A cell that diverges does not raise: it is False in `Recording.ok`.
    """
    if not (np.isfinite(dt) and dt > 0):
        raise ValueError(f"dt = {dt!r}: expected a positive time step in ms")
    if every < 1 or every > n_steps(electrode):
        raise ValueError(
            f"every = {every}: expected 1 to {n_steps(electrode)} steps between records"
        )
    known = observables(cell)
    for name in record:
        if name not in known:
            raise ValueError(
                f"cannot record {name!r}{nearest(name, known)} (have: {', '.join(known)})"
            )
    ticks = Electrode(*(f[0] if jnp.ndim(f) else f for f in electrode))
    pop = batch_shape(cell, ticks, initial)
    if initial is None and is_ideal_clamp(electrode):
        initial = ticks.v_cmd
    if initial is None:
        initial = at_rest(cell)
    elif not isinstance(initial, State):
        initial = settled(cell, initial, pop)
    # The compiler spreads over the devices what follows from a state that is spread over them.
    initial = shard(
        jax.tree.map(lambda a: jnp.broadcast_to(a, np.broadcast_shapes(a.shape, pop)), initial)
    )
    final, data, ok = _run(cell, initial, electrode, dt, tuple(record), every)
    records = n_steps(electrode) // every
    t = (np.arange(records) + 1) * (every * dt)
    return Recording(jnp.asarray(t), data, ok, final)
