"""simulate: a cell, an electrode and a time step in; a Recording out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from neurojax.engine import prefix, runner, scan
from neurojax.engine.call import call
from neurojax.engine.folds import Fold, check_fold
from neurojax.engine.inputs import ready
from neurojax.membrane.axes import (
    Along,
    aligned,
    arrays,
    batch_shape,
    check_compartments,
    check_length,
    spanned,
)
from neurojax.membrane.cable import Cable, compartment_at, one_of
from neurojax.membrane.channel import Leaf, check_range, check_real
from neurojax.membrane.compartment import Cell, State, in_all_compartments, is_finite
from neurojax.membrane.electrode import Electrode, first_command, is_ideal_clamp, n_steps
from neurojax.membrane.network import acts, check_network
from neurojax.membrane.observables import check_observables, observe
from neurojax.membrane.path_names import Q10
from neurojax.membrane.requirements import check_ions, check_rates
from neurojax.membrane.rest import at_rest, steady_state
from neurojax.membrane.stochastic import check_noise
from neurojax.run.remarks import remark_on_current, remark_on_temperature
from neurojax.run.scheme_step import remark_on_schemes
from neurojax.units import check_known

ENGINES = {"scan": scan, "prefix": prefix}
"""What integrates, by its name: a module with a `run`."""

RECORD_AS = ("float32", "float16", "bfloat16")
"""What records may be rounded to."""


class Recording(NamedTuple):
    """What was recorded: one row per record, of a cell with compartments `[record, comp, *pop]`.

    NumPy arrays where it was gathered part by part, see `simulate`.
    """

    t: Float[Array | np.ndarray, " record"]  # ms, the end of the step recorded
    data: dict[str, Float[Array | np.ndarray, " record *pop"]]
    ok: Bool[Array | np.ndarray, "*pop"]  # False where the integration left the finite numbers
    final: State  # to go on from
    folds: dict[str, Any]  # results of the folds, by the names that they were given

    @property
    def v(self) -> Float[Array | np.ndarray, " record *pop"]:
        """Membrane potential, mV."""
        return self.data["v"]


def checked(
    cell: Cell,
    electrode: Electrode,
    dt: float,
    every: int,
    initial: State | Leaf | None,
    folds: Mapping[str, Fold],
) -> tuple[Electrode, Along, tuple[int, ...]]:
    """The electrode, ready for the run, where this begins, and the population that it spans.

    Raises ValueError for a run that cannot be made.
    """
    cell.check()
    check_ions(cell, electrode)
    begun = beginning(cell, electrode, initial)
    things = {"cell": cell, "initial": begun, "electrode": electrode, "folds": folds}
    found = arrays(things)
    for array in found:
        if array.name.startswith(("cell", "electrode")):
            check_real(array.name, array.value)
    if not (np.isfinite(dt) and dt > 0):
        raise ValueError(f"dt = {dt!r}: expected a positive time step in ms")
    steps = n_steps(electrode)
    if every < 1 or every > steps:
        raise ValueError(f"every = {every}: expected 1 to {steps} steps between records")
    for name, fold in folds.items():
        check_fold(name, fold, cell, steps // every)
    remark_on_current(cell, electrode, dt)
    if cell.default_q10 is not None:
        check_range("cell.default_q10", cell.default_q10, Q10)
    remark_on_temperature(cell)
    remark_on_schemes(cell, electrode, dt)
    electrode = ready(cell, electrode, dt)
    if electrode.events:
        found = arrays(things | {"electrode": electrode})
    pop = spanned(found)
    check_rates(aligned(cell, pop))
    return electrode, begun, pop


def beginning(cell: Cell, electrode: Electrode, initial: State | Leaf | None) -> Along:
    """What was asked for, or under an ideal clamp its first command, along the cell's axes."""
    if initial is None and is_ideal_clamp(electrode):
        initial = in_all_compartments(cell, first_command(electrode))
    begun = Along(cell.state_axes, initial)
    for axis, n in zip(cell.state_axes, cell.state_shape, strict=True):
        check_length(axis, n, initial=begun)
    return begun


def start(cell: Cell, initial: Along, pop: tuple[int, ...]) -> State:
    """The first state of a run: as given, settled at a potential (mV), or at rest.

    Its leaves are `[*pop]`, or `[comp, *pop]`.
    """
    if initial.value is None:
        s = at_rest(cell)
    elif isinstance(initial.value, State):
        s = initial.value
    else:
        s = steady_state(cell, initial.value, pop)
    # One dtype throughout, so that the carry of the loop keeps it.
    dtype, shape = jnp.result_type(float), (*cell.state_shape, *pop)
    return jax.tree.map(lambda a: jnp.broadcast_to(jnp.asarray(a, dtype), shape), s)


@partial(jax.jit, static_argnames=("record", "every", "record_as", "place", "engine"))
def _run(
    cell: Cell,
    initial: Any,
    electrode: Electrode,
    dt: Leaf,
    folds: dict[str, Fold],
    at: jax.Array | None,
    *,
    record: tuple[str, ...],
    every: int,
    record_as: str | None = None,
    place: runner.Place,
    engine: str = "scan",
) -> tuple[Recording, dict[str, jax.Array]]:
    """The recording, and of each record which cells leave the range of what it is rounded to."""

    def seen(cell: Cell, s: State) -> dict[str, jax.Array]:
        found = {name: observe(cell, s, name) for name in record}
        return {k: x.astype(record_as) for k, x in found.items()} if record_as else found

    def look(cell: Any, s: State) -> dict[str, jax.Array]:
        if at is None:
            return seen(cell, s)
        return jax.lax.map(lambda k: seen(*compartment_at(cell, s, k)), at)

    def program(
        cell: Cell, initial: Any, electrode: Electrode, folds: dict[str, Fold]
    ) -> tuple[Any, ...]:
        s = start(cell, initial, batch_shape(cell, initial, electrode, folds))
        final, data, folded = ENGINES[engine].run(cell, s, electrode, dt, look, every, folds)
        ok = is_finite(cell, final)
        rounded = data if record_as else {}
        beyond = {
            k: ok & jnp.isinf(x).any(tuple(range(x.ndim - ok.ndim))) for k, x in rounded.items()
        }
        return (final, data, ok, folded), beyond

    things = {"cell": cell, "initial": initial, "electrode": electrode, "folds": folds}
    live = runner.live_arrays(cell)
    (final, data, ok, folded), beyond = runner.run_population(program, place, live, **things)
    return Recording(_times(electrode, dt, every), data, ok, final, folded), beyond


def _places(cell: Cell, at: Any) -> jax.Array | None:
    """The compartments that are recorded, None for all. Raises ValueError where there are none."""
    if at is None:
        return None
    if not cell.state_axes:
        raise ValueError(f"at = {at!r}: the cell has no compartments to choose from")
    check_compartments("at", at, *cell.state_shape)
    return jnp.asarray(at)


def _check_range(record_as: str | None, beyond: dict[str, jax.Array]) -> None:
    """Raise ValueError for records of which finite numbers became infinite."""
    for name, cells in beyond.items():
        if not isinstance(cells, Tracer) and np.any(cells):
            raise ValueError(
                f"record_as = {record_as!r}: {name!r} leaves its range, up to "
                f"{float(jnp.finfo(record_as).max):.5g}, in {np.sum(cells)} of {cells.size} cells: "
                "record it as 'bfloat16', or as it is"
            )


def _times(electrode: Electrode, dt: Leaf, every: int) -> jax.Array:
    """When the records are taken, ms."""
    return jnp.arange(1, 1 + n_steps(electrode) // every) * (every * dt)


def simulate(
    cell: Cell,
    electrode: Electrode,
    dt: float = 0.025,
    *,
    record: Sequence[str] = ("v",),
    every: int = 1,
    record_as: str | None = None,
    initial: State | Leaf | None = None,
    folds: Mapping[str, Fold] | None = None,
    at: Sequence[int] | Int[np.ndarray | Array, " place"] | None = None,
    engine: str = "scan",
    memory_MB: float | None = None,
    fast_math: bool = False,
) -> Recording:
    """Integrate a cell, or the population that its leaves span, under an electrode.

    A population has one axis, the last of its arrays. `initial` is a state to go on from, a
    potential (mV) at which the gates have settled, or None for the resting state (under an ideal
    clamp, for its first command). Records every `every` steps of `dt` ms; `folds` see the same
    states, and with `record=()` memory does not grow with time. Of a cell with compartments all are
    recorded, `[record, comp, *pop]`, or those `at` these places, `[record, place, *pop]`. Records
    take half the memory `record_as` "float16", rounded to 1 part in 2048 (v to 0.03 mV) from 6e-5
    to 65504, to 3e-8 below, or as "bfloat16", to 1 part in 256 (v to 0.25 mV) in the range of
    float32; the run itself is as precise as ever, and so are its folds. A
    population is computed on all local devices, on the CPU in blocks that fit the cache, on an
    NVIDIA GPU by kernels that keep a cell in registers. One whose records would fill more than
    `memory_MB` on each device (default: half of a GPU's memory) is computed a part after the other,
    and its recording gathered in the memory of the host. With `fast_math` kernels use the GPU's own
    exponentials: relative error below (2 + |x|) 1.2e-7 for exp(x). The `engine` "scan" goes step by
    step; "prefix" computes all steps of an ideal voltage clamp at once, in memory that grows with
    time.

    The step is of second order: at the default dt the spike times of the packaged neurons are 10 to
    200 us off in 400 ms of firing, and `error_of` tells it of this cell under this electrode.

    Raises ValueError for an unknown observable or engine, a dt that is not positive, an electrode
    without time, shapes that do not fit, a run that the engine cannot make, or records that leave
    the range of `record_as` (in a compiled program they are infinite). A cell that diverges does
    not raise: it is False in `Recording.ok`.
    """
    seen = one_of(cell) if at is not None and isinstance(cell, Cable) else cell
    check_observables(seen, record)
    folds = dict(folds or {})
    check_known(engine, ENGINES, "engine")
    if record_as is not None:
        check_known(record_as, RECORD_AS, "record_as")
    if engine == "prefix":
        prefix.check(cell, electrode)
    electrode, begun, pop = checked(cell, electrode, dt, every, initial, folds)
    looked_at = _places(cell, at)
    check_noise(cell, pop)
    place = runner.place_of(cell, begun, electrode, folds, fast_math=fast_math)
    if acts(electrode):
        check_network(cell, electrode, pop, dt)
        place = place._replace(kernel=None, whole=True)

    how = {"record": tuple(record), "every": every, "record_as": record_as}
    how |= {"place": place, "engine": engine}

    def run(cell: Cell, initial: Any, electrode: Electrode, folds: dict[str, Fold]) -> Recording:
        found, beyond = call(_run, cell, initial, electrode, dt, folds, looked_at, **how)
        _check_range(record_as, beyond)
        return found

    n = math.prod(pop)
    numbers = len(record) * (math.prod(cell.state_shape) if at is None else len(at))
    record_bytes = n_steps(electrode) // every * numbers * jnp.dtype(record_as or float).itemsize
    size = runner.launch_size(n, record_bytes, place, memory_MB)
    things: dict[str, Any]
    things = {"cell": cell, "initial": begun, "electrode": electrode, "folds": folds}
    if size >= n:
        return run(**things)

    def part(**things: Any) -> Recording:
        return run(**things)._replace(t=None)

    parts = runner.launches(part, size, **things)
    return runner.gathered(parts, n)._replace(t=_times(electrode, dt, every))
