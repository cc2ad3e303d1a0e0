"""The reference engine: the step inside nested scans, a record after every few steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from neurojax.engine.folds import Carry, Fold, Several, results
from neurojax.engine.halves import divided, merged
from neurojax.engine.inputs import in_steps
from neurojax.engine.passes import hoist
from neurojax.membrane.axes import arrays
from neurojax.membrane.channel import Leaf
from neurojax.membrane.compartment import Cell, State, SubStep, counting, entered
from neurojax.membrane.electrode import Electrode, n_steps
from neurojax.membrane.network import sub_steps, without_spikes

Observe = Callable[[Cell, State], Any]

UNROLL = 8
"""Steps in one turn of the loop on a GPU, where every turn is launched anew."""


def parts(electrode: Electrode) -> tuple[Electrode, Electrode]:
    """The electrode's constant fields, and those in time, each with None for the other's."""
    return divided(electrode, ["step" not in array.own for array in arrays(electrode)])


def split(electrode: Electrode, every: int) -> tuple[Electrode, Electrode, int]:
    """Its parts, the one in time as `[record, every, ...]`, and the number of records.

    Steps past the last whole record are left out.
    """
    records = n_steps(electrode) // every
    constant, varying = parts(electrode)
    in_records = jax.tree.map(
        lambda f: jnp.asarray(f)[: records * every].reshape(records, every, *jnp.shape(f)[1:]),
        varying,
    )
    return constant, in_records, records


def first(cell: Cell, s: State, electrode: Electrode) -> State:
    """The first state of a run, with the inputs of its first tick, and no pulse begun."""
    constant, varying = parts(electrode)
    tick = merged(constant, jax.tree.map(lambda f: f[0], varying))
    resting = {k: jnp.asarray(cell.inputs[k]) for k in tick.events if k not in cell.channels}
    s = counting(cell, entered(s, tick._replace(inputs=resting | tick.inputs)))
    return without_spikes(s, electrode)


def prepare(
    cell: Cell, constant: Electrode, dt: Any, s: State, varying: Electrode
) -> list[tuple[Any, SubStep]]:
    """The sub-steps as `move(constants, s, tick)`, each after its constants of the run.

    `varying` holds the fields in time as `[record, every, ...]`.
    """
    tick = jax.tree.map(lambda f: jax.ShapeDtypeStruct(f.shape[2:], f.dtype), varying)
    fixed = (cell, constant, dt)

    def prepared(sub_step: SubStep) -> tuple[Any, SubStep]:
        def move(fixed: Any, s: State, e: Electrode) -> State:
            cell, constant, dt = fixed
            return sub_step.move(cell, s, merged(constant, e), dt)

        constants, move = hoist.prepare(move, fixed, s, tick)
        return constants, sub_step._replace(move=move)

    return [prepared(sub_step) for sub_step in sub_steps(cell, constant)]


def run(
    cell: Cell,
    s: State,
    electrode: Electrode,
    dt: Leaf,
    observe: Observe,
    every: int = 1,
    folds: dict[str, Fold] | None = None,
) -> tuple[State, Any, dict[str, Carry]]:
    """Integrate from state `s`: the last state, observables `[record, ...]`, results of the folds.

    A record is taken after every `every` steps. Constant memory beyond the records.
    """
    several = Several(parts=folds or {})
    electrode = in_steps(cell, electrode, dt)
    constant, varying, records = split(electrode, every)
    s = first(cell, s, electrode)
    moves = prepare(cell, constant, dt, s, varying)
    unroll = 1 if jax.default_backend() == "cpu" else UNROLL

    def tick(s: State, e: Electrode) -> tuple[State, None]:
        for constants, sub_step in moves:
            s = sub_step.move(constants, s, e)
        return s, None

    def record(carry: Any, xs: Any) -> tuple[Any, Any]:
        s, folded = carry
        es, rows = xs
        s, _ = jax.lax.scan(tick, s, es, unroll=unroll)
        return (s, several.update(folded, cell, s, rows)), observe(cell, s)

    rows = jax.tree.map(lambda a: a[:records], several.data)
    (s, folded), seen = jax.lax.scan(record, (s, several.init(cell, s)), (varying, rows))
    duration = records * every * dt
    return s, seen, results(several, folded, duration, cell, s)


def value(cell: Cell, s: State, electrode: Electrode, dt: Leaf, fold: Fold, every: int = 1) -> Any:
    """The result of one fold over a run, of which nothing is recorded."""
    return run(cell, s, electrode, dt, lambda cell, s: (), every, {"of": fold})[2]["of"]
