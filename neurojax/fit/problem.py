"""The least-squares problem: sweeps and free parameters as a function of points in the unit box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from neurojax.engine import processes, runner, scan
from neurojax.engine.folds import Fold
from neurojax.engine.program import Gradient
from neurojax.engine.runner import Place
from neurojax.fit.holding import begin, patched
from neurojax.fit.precision import ROUNDING, Precision, computing, on_host
from neurojax.loss import Sweep
from neurojax.membrane.axes import batch_shape
from neurojax.membrane.compartment import Cell
from neurojax.membrane.electrode import Electrode, n_steps
from neurojax.membrane.pipette import before, coupled
from neurojax.membrane.requirements import check_single
from neurojax.model.space import Space
from neurojax.recording.trace import Trace
from neurojax.run.gradients import differentiate

Objective = Callable[[Trace, float], Fold]
"""Makes the fold that scores a simulation of a trace, from records at record_ms, 2 record_ms ..."""


Coupling = float | Float[np.ndarray, " start"]
"""Of cells to their data, mS/cm2: of all, or of each."""


@dataclass(frozen=True, eq=False)
class Problem:
    """An objective summed over sweeps, with its derivatives, at points z `[P, n]`.

    Sweeps are simulated in `precision`; what comes back is NumPy arrays in float64.
    """

    cell: Cell
    space: Space
    sweeps: Sequence[Sweep]
    weights: Float[np.ndarray, " sweep"]  # of the sum
    dt: float
    every: int
    clamp: str
    prior: float = 0.0  # what a squared standard deviation from a parameter's prior adds
    precision: Precision = "single"
    _compiled: set[int] = field(default_factory=set[int], init=False, repr=False)  # steps of runs

    @property
    def unit(self) -> str:
        """Of the error."""
        return getattr(self.sweeps[0].error, "unit", "1")

    def error(self, value: Any) -> Any:
        """The error that a person reads of a value: the root of a sum of squares, else itself."""
        fold = self.sweeps[0].error
        return value if fold.squares() is None or getattr(fold, "summed", False) else np.sqrt(value)

    @property
    def samples(self) -> int:
        """How many records count."""
        return sum(int((np.asarray(s.error.data.weight) > 0).sum()) for s in self.sweeps)

    def __call__(self, z: Float[np.ndarray, "param start"], coupling: Coupling = 0.0) -> Gradient:
        """Value, gradient in z, and the Gauss-Newton matrix of what is a sum of squares.

        In current clamp every cell is coupled to its data by `coupling`, mS/cm2, a number or `[n]`.
        """
        processes.check_same("the points that they look at", z)
        with computing(self.precision):
            parts = on_host(self._parts(jnp.asarray(z), coupling))
        return self._summed(z, parts)

    def traced(self, z: Float[jax.Array, "param start"]) -> Gradient:
        """The same of a traced z, inside a program that computes in `precision`."""
        return self._summed(z, self._parts(z, 0.0))

    def _parts(self, z: jax.Array, coupling: Any) -> list[Gradient]:
        how = self._pull(coupling), self.dt, self.every, runner.place_of(self.cell, z)
        return [_evaluate(self._at(s), self.space, z, s, *how) for s in self.sweeps]

    def _summed(self, z: Any, parts: list[Gradient]) -> Gradient:
        found = jax.tree.map(
            lambda *parts: sum(w * x for w, x in zip(self.weights, parts, strict=True)), *parts
        )
        r, J = self.space.prior_residuals(z), self.space.prior_slopes()
        matrix = found.matrix
        if matrix is not None:
            matrix = matrix + self.prior * (J.T @ J)[..., None]
        return Gradient(
            found.value + self.prior * (r * r).sum(0),
            found.gradient + 2 * self.prior * J.T @ r,
            matrix,
        )

    def values(self, z: Float[np.ndarray, "param start"]) -> Float[np.ndarray, " start"]:
        """The values alone, `[n]`, of cells that run freely."""
        r = self.space.prior_residuals(z)
        data = [w * x for w, x in zip(self.weights, self.results(z), strict=True)]
        return np.asarray(sum(data, self.prior * (r * r).sum(0)))

    def results(
        self, z: np.ndarray, which: Sequence[int] | None = None, together: int | None = None
    ) -> list[Any]:
        """What the objective makes of sweeps, of cells that run freely, on the host.

        `which` sweeps: all by default. On a CPU so many cells are simulated `together`, by a
        program that suits any number of them; by default all.
        """
        processes.check_same("the points that they look at", z)
        sweeps = self.sweeps if which is None else [self.sweeps[k] for k in which]
        with computing(self.precision):
            how = self.dt, self.every, runner.place_of(self.cell, jnp.asarray(z))
            size = together if together and how[-1].platform == "cpu" else z.shape[1]
            parts = [jnp.asarray(part) for part in _portions(z, size)]

        def run(sweep: Sweep) -> list[Any]:
            with computing(self.precision):  # which is a matter of each thread
                at = self._at(sweep)
                return [_value(at, self.space, part, sweep, *how) for part in parts]

        # Sweeps of another length are another program: compiled side by side, on all cores. But
        # processes that compute together must run their programs in one order.
        lengths = {n_steps(sweep.electrode): sweep for sweep in sweeps}
        aside = len(lengths) > 1 and not processes.several()
        if aside and not self._compiled.issuperset(lengths):
            with ThreadPoolExecutor(len(lengths)) as pool:
                list(pool.map(run, lengths.values()))
            self._compiled.update(lengths)
        return [_joined(found, z.shape[1]) for found in on_host([run(sweep) for sweep in sweeps])]

    def standard_errors(self, z: Float[np.ndarray, "param start"]) -> dict[str, float]:
        """Of the first of points z `[P, n]`, for independent noise of the size of the residual.

        From the inverse Gauss-Newton matrix; NaN where the data do not determine the parameters, or
        not in this precision, and at a point that is no minimum.
        """
        here = self(z)
        assert here.matrix is not None
        H, noise = here.matrix[..., 0], float(here.value[0])
        scale = np.sqrt(np.maximum(np.diag(H), np.finfo(float).tiny))
        correlation = H / np.outer(scale, scale)
        if (
            not np.isfinite(correlation).all()
            or np.linalg.cond(correlation) > 1 / ROUNDING[self.precision]
        ):
            return dict.fromkeys(self.space.names, float("nan"))
        # The weights make the sum of squares a mean, so the number of samples divides it once more.
        freedom = max(self.samples - len(H), 1)
        fall = fall_to_minimum(z[:, 0], np.asarray(here.gradient)[:, 0], np.asarray(H))
        if freedom * fall > noise * near_enough(len(H)):
            return dict.fromkeys(self.space.names, float("nan"))
        variance = np.diag(np.linalg.inv(correlation)) / scale**2 * noise / freedom
        sd = np.sqrt(np.maximum(variance, 0.0)) * np.abs(self.space.slopes(z[:, 0]))
        return dict(zip(self.space.names, map(float, sd), strict=True))

    def thinned(
        self, z: Float[np.ndarray, "param start"], coupling: Coupling = 0.0
    ) -> tuple[Float[np.ndarray, "record start"], Float[np.ndarray, " record"]]:
        """Every tenth record, weighted: simulated `[record, n]` and data `[record]`."""
        with computing(self.precision):
            at = jnp.asarray(z)
            how = self._pull(coupling), self.dt, 10 * self.every, runner.place_of(self.cell, at)
            parts = on_host([_thinned(self._at(s), self.space, at, s, *how) for s in self.sweeps])
        simulated, data = zip(*parts, strict=True)
        return np.concatenate(simulated), np.concatenate(data)

    def _at(self, sweep: Sweep) -> Cell:
        """The cell as it is held before the sweep, its electrode where the sweep was recorded."""
        return before(patched(self.cell, sweep.at), sweep.electrode)

    def _pull(self, coupling: Any) -> jax.Array | None:
        if self.cell.state_axes:
            if np.any(coupling):
                check_single(self.cell, "a coupling to the data")
            return None
        # As an array, so that another strength is not another program.
        return jnp.asarray(coupling, float) if self.clamp == "current" else None


def _portions(z: np.ndarray, size: int) -> list[np.ndarray]:
    """Points `[P, n]`, so many at a time; the last ones with the very last repeated."""
    z = np.concatenate([z, np.repeat(z[:, -1:], -z.shape[1] % size, axis=1)], axis=1)
    return np.split(z, z.shape[1] // size, axis=1)


def _joined(portions: Sequence[Any], n: int) -> Any:
    """Results of portions as those of the first n points, which are their last axis."""
    return jax.tree.map(lambda *some: np.concatenate(some, axis=-1)[..., :n], *portions)


def fall_to_minimum(z: np.ndarray, gradient: np.ndarray, matrix: np.ndarray) -> float:
    """By how much a sum of squares falls from a point z `[P]` of the box to its minimum nearby.

    As its gradient `[P]` and Gauss-Newton matrix `[P, P]` tell it; 0 at a minimum. What a bound
    holds does not count.
    """
    down = -0.5 * gradient
    moves = ~(((z <= 0) & (down < 0)) | ((z >= 1) & (down > 0))) & (np.diag(matrix) > 0)
    scale = np.sqrt(np.diag(matrix)[moves])
    values, vectors = np.linalg.eigh(matrix[np.ix_(moves, moves)] / np.outer(scale, scale))
    along = vectors.T @ (down[moves] / scale)
    seen = values > 1e-10
    return float((along[seen] ** 2 / values[seen]).sum())


def near_enough(parameters: int) -> float:
    """Chi-squared above the minimum within which a point passes for it: 95 % of true ones do.

    The quantile of the chi-squared distribution. Source: Wilson & Hilferty 1931, PNAS 17:684,
    doi:10.1073/pnas.17.12.684.
    """
    spread = 2 / (9 * parameters)
    return parameters * (1 - spread + 1.645 * np.sqrt(spread)) ** 3


@partial(jax.jit, static_argnames=("space", "every", "place"))
def _evaluate(
    cell: Cell,
    space: Space,
    z: Any,
    sweep: Sweep,
    coupling: Any,
    dt: Any,
    every: int,
    place: Place,
):
    def build(shared: Any, theta: Any):
        cell, v_start, level = shared
        return begin(space.apply(cell, theta), v_start, level)

    shared = cell, sweep.v_start, sweep.level
    electrode, theta = _pulled(cell, sweep.electrode, coupling, dt), space.values(z)
    how = sweep.error, every, place
    found = differentiate(build, shared, theta, electrode, dt, *how, matrix=True)
    slope = space.slopes(z)
    matrix = found.matrix
    if matrix is not None:
        matrix = matrix * slope[:, None] * slope[None]
    return Gradient(found.value, found.gradient * slope, matrix)


@partial(jax.jit, static_argnames=("space", "every", "place"))
def _value(cell: Cell, space: Space, z: Any, sweep: Sweep, dt: Any, every: int, place: Place):
    def program(cell: Cell, theta: Any, sweep: Sweep):
        cell = space.apply(cell, theta)
        cell, s = begin(cell, sweep.v_start, sweep.level, batch_shape(theta))
        return scan.value(cell, s, sweep.electrode, dt, sweep.error, every)

    things = {"cell": cell, "theta": space.values(z), "sweep": sweep}
    return runner.run_population(program, place, runner.live_arrays(cell), **things)


@partial(jax.jit, static_argnames=("space", "every", "place"))
def _thinned(
    cell: Cell,
    space: Space,
    z: Any,
    sweep: Sweep,
    coupling: Any,
    dt: Any,
    every: int,
    place: Place,
):
    def program(cell: Cell, theta: Any, sweep: Sweep):
        cell = space.apply(cell, theta)
        cell, s = begin(cell, sweep.v_start, sweep.level, batch_shape(theta))
        return scan.run(cell, s, sweep.electrode, dt, sweep.error.measured, every)[1]

    pulled = sweep._replace(electrode=_pulled(cell, sweep.electrode, coupling, dt))
    things = {"cell": cell, "theta": space.values(z), "sweep": pulled}
    seen = runner.run_population(program, place, runner.live_arrays(cell), **things)
    data, weight = (a[9::10][: len(seen)] for a in sweep.error.data)
    return seen * weight[:, None], data * weight


def _pulled(cell: Cell, electrode: Electrode, coupling: Any, dt: Any) -> Electrode:
    return electrode if coupling is None else coupled(cell, electrode, coupling, dt)
