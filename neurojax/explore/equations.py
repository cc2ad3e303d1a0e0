"""The equations of a cell as functions in JavaScript, taken from the engine's own step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine import scan
from neurojax.engine.folds import SpikeCount
from neurojax.explore.javascript import written
from neurojax.fit.precision import computing, suited
from neurojax.membrane.compartment import Cell, State, concentrations
from neurojax.membrane.electrode import Electrode
from neurojax.membrane.observables import check_observables, observe
from neurojax.membrane.path_names import settable, substitute
from neurojax.membrane.requirements import check_ions, check_single
from neurojax.membrane.rest import steady_current, steady_state
from neurojax.units import check_known

Values = Mapping[str, Any]
"""Numbers by name."""


@dataclass(frozen=True, eq=False)
class Equations:
    """A cell in JavaScript: `source` has these functions, each of arrays, that give an array.

    - `constants(parameters)`: what a step reads, computed once
    - `settled(parameters, [v])`: the state after v (mV) was held for ever
    - `imbalance(parameters, [v, i])`: the steady current at v, less an injected one of i uA, uA/cm2
    - `step(constants, state, tick)`: the state one step later
    - `observed(parameters, state)`: in the order of `seen`
    - `spikesBegin(state)`, `spikesCount(count, state)`, `spikesEnd(count)`: how many spikes

    Parameters are in the order of `parameters` and have their units. A tick is the injected current
    (uA), then the `inputs`, each in its unit.
    """

    source: str
    dt_ms: float
    parameters: dict[str, float]  # by path name: the values of the cell
    inputs: dict[str, float]  # at rest
    seen: tuple[str, ...]


def equations(
    cell: Cell, dt: float, seen: tuple[str, ...], inputs: tuple[str, ...] = ()
) -> Equations:
    """The equations of a cell in steps of dt (ms), and of what is `seen` in it.

    `inputs` are those of the cell, or concentrations, that a tick gives.

    They are of double precision, whatever JAX computes in. Raises ValueError for a cell with
    compartments, for a population, and for a channel that is open by chance.
    """
    check_single(cell, "a page of equations")
    cell.check()
    check_observables(cell, seen)
    with computing("exact"):
        return _equations(suited(cell, "exact"), dt, seen, inputs)


def _equations(cell: Cell, dt: float, seen: tuple[str, ...], inputs: tuple[str, ...]) -> Equations:
    # In the order of names, as JAX has the leaves of a dict.
    given = {k: x for k, (x, _) in settable(cell).items() if x is not None}
    theta = {k: _one(k, given[k]) for k in sorted(given)}
    known = concentrations(cell, {})
    for name in inputs:
        check_known(name, known, "input")
    resting = {k: _one(k, known[k]) for k in sorted(inputs)}
    rig = Electrode(i=jnp.zeros(1), v_cmd=0.0, g=0.0)
    rig = rig._replace(inputs={name: jnp.full(1, value) for name, value in resting.items()})
    check_ions(cell, rig)
    constant, varying, _ = scan.split(rig, 1)
    rests = State(0.0, {})  # pyright: ignore[reportArgumentType]

    def observed(theta: Values, s: State) -> list[Any]:
        return [observe(substitute(cell, theta), s, name) for name in seen]

    def imbalance(theta: Values, at: tuple[Any, Any]) -> Any:
        there, (v, i) = substitute(cell, theta), at
        return steady_current(there, v) - there.entering(jnp.asarray(i))

    def settled(theta: Values, at: State) -> State:
        there = substitute(cell, theta)
        return scan.first(there, steady_state(there, at.v), rig)

    states = jax.eval_shape(settled, theta, rests)

    def moves(theta: Values) -> Any:
        return scan.prepare(substitute(cell, theta), constant, dt, states, varying)

    def step(constants: Any, s: State, i: Any, given: Values) -> State:
        tick = jax.tree.map(lambda f: f[0, 0], varying)._replace(i=i, inputs=dict(given))
        for known, (_, sub_step) in zip(constants, moves(theta), strict=True):
            s = sub_step.move(known, s, tick)
        return s

    count = SpikeCount()
    counted = jax.eval_shape(lambda s: count.init(cell, s), states)
    constants = jax.eval_shape(lambda: [known for known, _ in moves(theta)])
    parts = [
        written("constants", lambda p: [known for known, _ in moves(p)], theta),
        written("settled", settled, theta, rests),
        written("imbalance", imbalance, theta, (0.0, 0.0)),
        written(
            "step", lambda known, s, tick: step(known, s, *tick), constants, states, (0.0, resting)
        ),
        written("observed", observed, theta, states),
        written("spikesBegin", lambda s: count.init(cell, s), states),
        written("spikesCount", lambda n, s: count.update(n, cell, s, None), counted, states),
        written("spikesEnd", lambda n: count.finish(n, 0.0), counted),
    ]
    return Equations("\n".join(parts), dt, theta, resting, seen)


def _one(name: str, value: Any) -> float:
    """A parameter as a number. Raises ValueError for a population."""
    if np.size(value) != 1:
        raise ValueError(f"{name} has {np.size(value)} values: a page shows one cell")
    return float(np.asarray(value).item())
