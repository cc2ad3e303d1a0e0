"""simulate: a cell, an electrode and a time step in; a Recording out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.cell import Cell, State, at_rest, batch_shape, settled
from neurojax.channel import Leaf
from neurojax.electrode import Electrode, is_ideal_clamp, n_steps
from neurojax.engine import blocked, scan
from neurojax.fold import Fold, check_fold
from neurojax.observe import check_observables, observe


class Recording(NamedTuple):
    """What was recorded: one row per record, `[record, *pop]` each."""

    t: jax.Array  # [record] ms, the end of the step recorded
    data: dict[str, jax.Array]
    ok: jax.Array  # [*pop] False where the integration left the finite numbers
    final: State  # to go on from
    folds: dict[str, Any]  # results of the folds, by the names that they were given

    @property
    def v(self) -> jax.Array:
        """Membrane potential, mV."""
        return self.data["v"]


def check_run(
    cell: Cell, electrode: Electrode, dt: float, every: int, folds: Mapping[str, Fold]
) -> None:
    """Raise ValueError for a run that cannot be made."""
    if not (np.isfinite(dt) and dt > 0):
        raise ValueError(f"dt = {dt!r}: expected a positive time step in ms")
    steps = n_steps(electrode)
    if every < 1 or every > steps:
        raise ValueError(f"every = {every}: expected 1 to {steps} steps between records")
    for name, fold in folds.items():
        check_fold(name, fold, cell, steps // every)


def beginning(electrode: Electrode, initial: State | Leaf | None) -> State | Leaf | None:
    """What was asked for, or under an ideal clamp its first command."""
    if initial is None and is_ideal_clamp(electrode):
        return electrode.v_cmd[0] if np.ndim(electrode.v_cmd) else electrode.v_cmd
    return initial


def population(cell: Cell, electrode: Electrode, initial: Any) -> tuple[int, ...]:
    """The shape that the cells, their initial state and their electrode span."""
    return np.broadcast_shapes(batch_shape(cell, initial), *(np.shape(f)[1:] for f in electrode))


def start(cell: Cell, initial: State | Leaf | None, pop: tuple[int, ...]) -> State:
    """The first state of a run: as given, settled at a potential (mV), or at rest; `[*pop]`."""
    if initial is None:
        s = at_rest(cell)
    elif isinstance(initial, State):
        s = initial
    else:
        s = settled(cell, initial, pop)
    # One dtype throughout, so that the carry of the loop keeps it.
    dtype = jnp.result_type(float)
    return jax.tree.map(lambda a: jnp.broadcast_to(jnp.asarray(a, dtype), pop), s)


@partial(jax.jit, static_argnames=("record", "every", "pop", "mesh"))
def _run(cell, initial, electrode, dt, folds, record, every, pop, mesh):
    constant, varying = scan.parts(electrode)

    def look(cell, s):
        return {name: observe(cell, s, name) for name in record}

    def block(lanes, timed):
        cell, initial, folds = lanes
        varying, rows = timed
        electrode = scan.merge(constant, varying)
        first = jax.tree.map(lambda f: f[0], varying)
        s = start(cell, initial, batch_shape(cell, first, initial))
        folds = {k: dataclasses.replace(f, data=rows[k]) for k, f in folds.items()}
        final, data, folded = scan.run(cell, s, electrode, dt, look, every, folds)
        # NaN and infinity never heal in the state, so the last one tells of the whole run.
        finite = [jnp.isfinite(leaf) for leaf in jax.tree.leaves(final)]
        return final, data, jnp.stack(finite).all(axis=0), folded

    rows = {k: f.data for k, f in folds.items()}
    folds = {k: dataclasses.replace(f, data=None) for k, f in folds.items()}
    final, data, ok, folded = blocked.run(
        block,
        (cell, initial, folds),
        (varying, rows),
        n=pop[-1] if pop else 1,
        live=blocked.live_arrays(cell),
        mesh=mesh,
    )
    t = jnp.arange(1, 1 + n_steps(electrode) // every) * (every * dt)
    return Recording(t, data, ok, final, folded)


def simulate(
    cell: Cell,
    electrode: Electrode,
    dt: float = 0.025,
    *,
    record: Sequence[str] = ("v",),
    every: int = 1,
    initial: State | Leaf | None = None,
    folds: Mapping[str, Fold] | None = None,
) -> Recording:
    """Integrate a cell, or the population that its leaves span, under an electrode.

    `initial` is a state to go on from, a potential (mV) at which the gates have settled, or None
    for the resting state (under an ideal clamp, for its first command). Records every `every` steps
    of `dt` ms; `folds` see the same states, and with `record=()` memory does not grow with time. A
    population is computed on all local devices, on the CPU in blocks that fit the cache.

    Raises ValueError for an unknown observable, a dt that is not positive, or an electrode without
    time. A cell that diverges does not raise: it is False in `Recording.ok`.
    """
    check_observables(cell, record)
    folds = dict(folds or {})
    check_run(cell, electrode, dt, every, folds)
    pop = population(cell, electrode, initial)
    initial = beginning(electrode, initial)
    mesh = blocked.mesh_of(cell, initial, electrode, folds) if pop else None
    return _run(cell, initial, electrode, dt, folds, tuple(record), every, pop, mesh)
