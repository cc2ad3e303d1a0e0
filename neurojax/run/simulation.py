"""simulate: a cell, an electrode and a time step in; a Recording out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine import runner, scan
from neurojax.engine.folds import Fold, check_fold
from neurojax.engine.observables import check_observables, observe
from neurojax.membrane.channel import Leaf
from neurojax.membrane.compartment import (
    Cell,
    State,
    at_rest,
    batch_shape,
    check_ions,
    steady_state,
)
from neurojax.membrane.electrode import Electrode, is_ideal_clamp, n_steps
from neurojax.membrane.stochastic import check_noise


class Recording(NamedTuple):
    """What was recorded: one row per record, `[record, *pop]` each.

    NumPy arrays where it was gathered part by part, see `simulate`.
    """

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
    check_ions(cell, electrode)
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
    per_step = (np.shape(f)[1:] for f in jax.tree.leaves(electrode))
    return np.broadcast_shapes(batch_shape(cell, initial), *per_step)


def start(cell: Cell, initial: State | Leaf | None, pop: tuple[int, ...]) -> State:
    """The first state of a run: as given, settled at a potential (mV), or at rest; `[*pop]`."""
    if initial is None:
        s = at_rest(cell)
    elif isinstance(initial, State):
        s = initial
    else:
        s = steady_state(cell, initial, pop)
    # One dtype throughout, so that the carry of the loop keeps it.
    dtype = jnp.result_type(float)
    return jax.tree.map(lambda a: jnp.broadcast_to(jnp.asarray(a, dtype), pop), s)


@partial(jax.jit, static_argnames=("record", "every", "pop", "place"))
def _run(cell, initial, electrode, dt, folds, record, every, pop, place):
    constant, varying = scan.parts(electrode)

    def look(cell, s):
        return {name: observe(cell, s, name) for name in record}

    def block(lanes, timed, together):
        cell, initial, folds = lanes
        varying, rows = timed
        electrode = scan.merge(constant, varying)
        first = jax.tree.map(lambda f: f[0], varying)
        s = start(cell, initial, batch_shape(cell, first, initial))
        folds = _with_data(folds, rows)
        final, data, folded = scan.run(cell, s, electrode, dt, look, every, folds)
        # NaN and infinity never heal in the state, so the last one tells of the whole run.
        finite = [jnp.isfinite(leaf) for leaf in jax.tree.leaves(final)]
        return final, data, jnp.stack(finite).all(axis=0), folded

    final, data, ok, folded = runner.run(
        block,
        (cell, initial, _with_data(folds, {})),
        (varying, {k: f.data for k, f in folds.items()}),
        n=pop[-1] if pop else 1,
        live=runner.live_arrays(cell),
        place=place,
    )
    return Recording(_times(electrode, dt, every), data, ok, final, folded)


def _times(electrode: Electrode, dt, every: int) -> jax.Array:
    """When the records are taken, ms."""
    return jnp.arange(1, 1 + n_steps(electrode) // every) * (every * dt)


def _with_data(folds: Mapping[str, Fold], rows: Mapping[str, Any]) -> dict[str, Fold]:
    """Folds with other data, or none: what belongs to time goes another way than what does not."""
    return {k: dataclasses.replace(f, data=rows.get(k)) for k, f in folds.items()}


def simulate(
    cell: Cell,
    electrode: Electrode,
    dt: float = 0.025,
    *,
    record: Sequence[str] = ("v",),
    every: int = 1,
    initial: State | Leaf | None = None,
    folds: Mapping[str, Fold] | None = None,
    memory_MB: float | None = None,
    fast_math: bool = False,
) -> Recording:
    """Integrate a cell, or the population that its leaves span, under an electrode.

    `initial` is a state to go on from, a potential (mV) at which the gates have settled, or None
    for the resting state (under an ideal clamp, for its first command). Records every `every` steps
    of `dt` ms; `folds` see the same states, and with `record=()` memory does not grow with time. A
    population is computed on all local devices, on the CPU in blocks that fit the cache, on an
    NVIDIA GPU by kernels that keep a cell in registers. One whose records would fill more than
    `memory_MB` on each device (default: half of a GPU's memory) is computed a part after the other,
    and its recording gathered in the memory of the host. With `fast_math` kernels use the GPU's own
    exponentials: relative error below (2 + |x|) 1.2e-7 for exp(x).

    Raises ValueError for an unknown observable, a dt that is not positive, or an electrode without
    time. A cell that diverges does not raise: it is False in `Recording.ok`.
    """
    check_observables(cell, record)
    folds = dict(folds or {})
    check_run(cell, electrode, dt, every, folds)
    pop = population(cell, electrode, initial)
    check_noise(cell, pop)
    initial = beginning(electrode, initial)
    place = runner.place_of(cell, initial, electrode, folds, fast_math=fast_math)

    n = pop[-1] if pop else 1

    def run(cell, initial, electrode, folds, n=n):
        pop_now = (*pop[:-1], n) if pop else ()
        return _run(cell, initial, electrode, dt, folds, tuple(record), every, pop_now, place)

    numbers = n_steps(electrode) // every * len(record) * math.prod(pop[:-1])
    size = runner.launch_size(n, numbers * jnp.result_type(float).itemsize, place, memory_MB)
    if size >= n:
        return run(cell, initial, electrode, folds)

    def part(lanes, timed):
        cell, initial, folds = lanes
        electrode, rows = timed
        return run(cell, initial, electrode, _with_data(folds, rows), size)._replace(t=None)

    lanes = (cell, initial, _with_data(folds, {}))
    timed = (electrode, {k: f.data for k, f in folds.items()})
    gathered = runner.in_launches(part, lanes, timed, n, size)
    return gathered._replace(t=_times(electrode, dt, every))
