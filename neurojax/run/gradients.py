"""gradient: the derivative of a fold's result in any parameters of a cell, by the cheaper way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from neurojax.engine import adjoint, runner, tangent
from neurojax.engine.call import call
from neurojax.engine.folds import Fold, Total
from neurojax.engine.program import CURRENT, Gradient, Theta
from neurojax.membrane.axes import Along, aligned, batch_shape
from neurojax.membrane.channel import Leaf, check_is_a_number
from neurojax.membrane.compartment import Cell, State, in_all_compartments
from neurojax.membrane.electrode import Electrode, Scaled
from neurojax.membrane.path_names import parameters, substitute
from neurojax.run.simulation import checked, start
from neurojax.units import check_known

CROSSOVER = 8
"""Up to so many parameters tangents are no dearer than the adjoint (benchmarks/gradient.py)."""

CROSSOVER_OF_TREES = 6
"""The same of cells with compartments, whose tangents are solves of their own."""

_INITIAL = "initial."


def gradient(
    cell: Cell,
    electrode: Electrode,
    dt: float = 0.025,
    *,
    of: Fold,
    wrt: Sequence[str],
    every: int = 1,
    initial: State | Leaf | None = None,
    memory_MB: float = 256.0,
    fast_math: bool = False,
) -> Gradient:
    """The result of a fold `[*pop]` and its derivative in P parameters of each cell.

    wrt: path names of parameters ("na.g_bar", "C_m", "k.v_shift") or of the initial state
    ("initial.v", "initial.na.m"), or "electrode.i.amplitude" and "electrode.i.holding" of a current
    that has them. Up to some parameters their tangents are carried along, in memory
    that does not grow with time, and a sum of squares brings its Gauss-Newton matrix; for more, the
    run is checkpointed and pulled back, within `memory_MB` for the cells that run together: a block
    on the CPU, all of a device's on a GPU. The other arguments are those of `simulate`.

    Raises ValueError for an unknown parameter, a fold without a derivative (such as a count), or
    when the memory does not suffice.
    """
    electrode, begun, _ = checked(cell, electrode, dt, every, initial, {"of": of})
    place = runner.place_of(cell, begun, electrode, of, fast_math=fast_math)
    memory = round(memory_MB * 2**20)
    how = {"wrt": tuple(wrt), "every": every, "place": place, "memory": memory}
    return call(_gradient, cell, begun, electrode, dt, of, **how)


def _gradient(
    cell: Cell,
    initial: Any,
    electrode: Electrode,
    dt: Leaf,
    fold: Fold,
    *,
    wrt: tuple[str, ...],
    every: int,
    place: runner.Place,
    memory: int,
) -> Gradient:
    pop = batch_shape(cell, initial, electrode, fold)
    _check_fold(fold)
    build, shared, theta = builder(cell, initial, wrt, pop, electrode)
    return differentiate(build, shared, theta, electrode, dt, fold, every, place, memory=memory)


def builder(
    cell: Cell,
    initial: Along,
    wrt: Sequence[str],
    pop: tuple[int, ...],
    electrode: Electrode | None = None,
) -> tuple[Callable[[Any, Theta], tuple[Cell, State]], Any, Theta]:
    """What makes a cell and its first state: `build(shared, theta)`, with `shared` and `theta`.

    Raises ValueError for an unknown name in wrt.
    """
    cell, initial = aligned((cell, initial), pop)
    sizes = _sizes(electrode)
    _check_names(cell, wrt, jax.eval_shape(lambda: start(cell, initial, pop)), sizes)
    if any(name.startswith(_INITIAL) for name in wrt):
        initial = Along(cell.state_axes, start(cell, initial, pop))
    values = {k: v for k, (v, _) in parameters(cell).items()}
    if isinstance(initial.value, State):
        values |= {_INITIAL + k: v for k, v in _state_names(initial.value).items()}
    theta = {k: sizes[k] if k in sizes else _of_cells(cell, k, values[k]) for k in wrt}

    def build(shared: tuple[Cell, Along], theta: Theta) -> tuple[Cell, State]:
        cell, initial = shared
        pop = jnp.shape(next(iter(theta.values())))
        cell, initial = aligned((cell, initial), pop)
        theta = {k: v for k, v in theta.items() if k not in sizes}
        own = {k: in_all_compartments(cell, v) for k, v in theta.items()}
        cell = substitute(cell, {k: v for k, v in own.items() if not k.startswith(_INITIAL)})
        s = start(cell, initial, pop)
        names = _state_names(s)
        names |= {k.removeprefix(_INITIAL): v for k, v in theta.items() if k.startswith(_INITIAL)}
        return cell, jax.tree.unflatten(
            jax.tree.structure(s), [*names.values(), *jax.tree.leaves(s.excess)]
        )

    return build, (cell, initial), theta


def differentiate(
    build: Callable[[Any, Theta], tuple[Cell, State]],
    shared: Any,
    theta: Theta,
    electrode: Electrode,
    dt: Leaf,
    fold: Fold,
    every: int,
    place: runner.Place,
    *,
    matrix: bool = False,
    memory: int = 2**28,
) -> Gradient:
    """The gradient of a population in theta, where `build(shared, theta)` makes cell and state.

    Rows P are in theta's order. With `matrix` always by tangents, which bring it along.
    """
    names = list(theta)
    pop = batch_shape(shared, theta, electrode, fold)

    def at(values: list[jax.Array]) -> Theta:
        return dict(zip(names, values, strict=True))  # a dict that JAX took apart is sorted

    def program(shared: Any, theta: list[jax.Array], electrode: Electrode, fold: Fold) -> Gradient:
        return engine(lambda theta: build(shared, theta), at(theta), electrode, dt, fold, every)

    values = [jnp.broadcast_to(theta[k], pop) for k in names]
    cell = jax.eval_shape(lambda: build(shared, at(values)))[0]
    most = min(CROSSOVER, CROSSOVER_OF_TREES) if cell.state_axes else CROSSOVER
    by_tangents = matrix or len(names) <= most
    engine = tangent.run
    if not by_tangents:
        engine = partial(adjoint.run, memory=memory, together=runner.together(pop, place))
    live = runner.live_arrays(cell, len(names) if by_tangents else 8)
    things = {"shared": shared, "theta": values, "electrode": electrode, "fold": fold}
    return runner.run_population(program, place, live, **things)


def _of_cells(cell: Cell, name: str, value: Leaf) -> jax.Array:
    """A parameter's value as `[*pop]`. Raises ValueError for one that compartments differ in."""
    a = jnp.asarray(value, jnp.result_type(float))
    if not cell.state_axes or a.ndim == 0:
        return a
    if a.shape[0] != 1:
        raise ValueError(
            f"{name} differs from compartment to compartment: only what is one number for each "
            "cell can be differentiated in. Paint a channel by `density`, or give regions channels "
            "of their own"
        )
    return a[0]


def _sizes(electrode: Electrode | None) -> dict[str, Any]:
    """The sizes of the current of an electrode, by path name."""
    current = None if electrode is None else electrode.i
    if not isinstance(current, Scaled):
        return {}
    dtype = jnp.result_type(float)
    return {CURRENT + k: jnp.asarray(getattr(current, k), dtype) for k in ("amplitude", "holding")}


def _check_names(cell: Cell, wrt: Sequence[str], s: State, sizes: Mapping[str, Any]) -> None:
    """Raise ValueError for an unknown parameter, one named twice, or none."""
    declared = parameters(cell)
    known = [*declared, *sizes]
    if not cell.state_axes:  # where a leaf of the state is no number of each cell
        known += [_INITIAL + name for name in _state_names(s)]
    for name in wrt:
        check_known(name, known, "parameter")
        if name in declared:
            check_is_a_number(name, declared[name][1])
    if not wrt:
        raise ValueError("no parameter to differentiate in: name at least one")
    if twice := [name for name in wrt if wrt.count(name) > 1]:
        raise ValueError(f"{twice[0]!r} is named more than once")


def _check_fold(fold: Fold) -> None:
    """Raise ValueError for a fold without a derivative, or a total with such a part."""
    for each in (fold, *(fold.parts.values() if isinstance(fold, Total) else ())):
        if each.counts:
            raise ValueError(
                f"{type(each).__name__} counts: it has no derivative. Take a fold of real numbers"
            )


def _state_names(s: State) -> dict[str, Any]:
    """The leaves of a state by name, in the order of the pytree."""
    gates = {f"{c}.{g}": s.x[c][g] for c in sorted(s.x) for g in sorted(s.x[c])}
    return {"v": s.v} | gates | {name: s.c[name] for name in sorted(s.c)}
