"""drug_binding: how a drug binds to a channel, from the block that it makes, with a bootstrap.

Thousands of fits to resampled cells are one population: each fit at each concentration is a cell
of it, propagated exactly through the protocol's constant parts (`engine.held`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from neurojax.channels import HergBlock
from neurojax.engine import held, runner
from neurojax.fit.budget import Budget, Progress, StageRecord
from neurojax.fit.optimisers.levenberg import levenberg_marquardt
from neurojax.fit.precision import computing
from neurojax.membrane.axes import Along
from neurojax.membrane.compartment import Cell
from neurojax.membrane.markov import Scheme
from neurojax.membrane.path_names import substitute
from neurojax.model.space import Space, free

CHUNK = 256
"""Fits that are computed at once."""

PATIENCE = 4
"""Iterations without a gain after which a fit is done."""

_KEY = "kr"
_BOUNDS = {"Kmax": {}, "Ku": {}, "n": {"scale": "linear"}, "halfmax": {}, "Vhalf": {}}


@dataclass(frozen=True, eq=False)
class Block:
    """What is left of a current under a drug, as fractions of that before it.

    Raises ValueError for shapes that do not fit, or samples that are not equally far apart.
    """

    drug: Float[np.ndarray, " cell"]  # concentration that each cell was given, nM
    fraction: Float[np.ndarray, "cell sweep sample"]  # NaN: not measured
    times: Float[np.ndarray, " sample"]  # ms from the beginning of a sweep

    def __post_init__(self):
        cells, _, samples = self.fraction.shape
        if self.drug.shape != (cells,) or self.times.shape != (samples,):
            raise ValueError(
                f"fractions of {cells} cells at {samples} times, but drug has the shape "
                f"{self.drug.shape} and times {self.times.shape}: expected ({cells},), ({samples},)"
            )
        if not (self.drug > 0).all():
            raise ValueError(f"drug = {self.drug.min():g} nM: expected concentrations above 0")
        if samples < 2 or not np.allclose(np.diff(self.times), self.times[1] - self.times[0]):
            raise ValueError("times: expected two or more, equally far apart")


class Course(NamedTuple):
    """A sweep of constant parts, in whole steps: before its samples, along them and after."""

    holding: float  # mV, before the sweep and after it
    pulse: float  # mV, where the samples are
    lead: int  # steps of holding before the pulse
    first: int  # steps of the pulse before the first sample
    stride: int  # steps from sample to sample
    samples: int
    rest: int  # steps of the pulse after the last sample
    after: int  # steps of holding after the pulse
    waiting: int  # steps of holding before the first sweep, with the drug there already
    sweeps: int
    dt: float  # ms


@dataclass(frozen=True)
class DrugFit:
    """The parameters of a drug, and those of fits to resampled cells."""

    values: dict[str, float]  # of the fit to all cells
    resampled: dict[str, np.ndarray]  # [boot]
    error: float  # root mean squared difference of the fraction
    errors: np.ndarray  # [boot]
    units: dict[str, str]
    at_minimum: np.ndarray  # [boot] whether the fit gained no more before it ended
    stages: list[StageRecord] = field(default_factory=list)
    interrupted: bool = False

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Between which the parameter of that share of the resampled fits lies."""
        values = self.resampled[name][np.isfinite(self.errors)]
        low, high = np.quantile(values, (0.5 - level / 2, 0.5 + level / 2))
        return float(low), float(high)

    def summary(self) -> str:
        """Each parameter with its 95 % interval, and how many fits were not done."""
        told = [f"fractions of the current within {self.error:.3g} (root mean square)"]
        for name, value in self.values.items():
            unit = "" if self.units[name] == "1" else f" {self.units[name]}"
            line = f"{name} = {value:.4g}{unit}"
            if self.errors.size:
                low, high = self.interval(name)
                line += f", 95 % of {self.errors.size} resampled fits {low:.4g} to {high:.4g}{unit}"
            told.append(line)
        if open_ := int((~self.at_minimum).sum()):
            told.append(f"{open_} resampled fits were not at their minimum when time was over")
        return "\n".join(told)


def drug_binding(
    block: Block,
    command: Float[np.ndarray, " step"],
    dt: float,
    *,
    channel: Scheme | None = None,
    bounds: Mapping[str, Any] | None = None,
    waiting: float = 180e3,
    boots: int = 2000,
    starts: int = 32,
    iterations: int = 60,
    tolerance: float = 1e-5,
    seconds: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> DrugFit:
    """Fit a channel's drug binding to fractional currents, and to `boots` resamplings of them.

    command: the potential of one sweep in steps of dt ms, mV, such as that of `protocols.milnes`;
    all samples lie in one of its constant parts, the parts around have one potential. The drug is
    there for `waiting` ms before the first sweep. Cells of each concentration are resampled with
    replacement and averaged, as in Chang et al. 2017, Front Physiol 8:917,
    doi:10.3389/fphys.2017.00917. channel: whose `drug` it is, by default `HergBlock`; bounds: of
    its free parameters, as for `free` (default: Kmax, Ku, n, halfmax and Vhalf).

    The best of `starts` random points is fitted first; the resampled fits begin where it ends.

    Deviates: the mean squared fraction alone is minimised, without the paper's terms for trapping.

    Raises ValueError for a command or times that do not fit.
    """
    cell = Cell(channels={_KEY: channel or HergBlock()})
    space = free(cell, {f"{_KEY}.{k}": v for k, v in (bounds or _BOUNDS).items()})
    course = course_of(block, command, dt, waiting)
    budget, rng = Budget(seconds, progress), np.random.default_rng(seed)
    levels = np.unique(block.drug)
    problem = _Problem(cell, space, course, levels)
    whole = _averaged(block, levels, np.ones((1, block.drug.size)))
    with budget.stage("fit of all cells", "") as log:
        z = rng.random((starts, len(space)))
        alike = jax.tree.map(lambda a: np.repeat(a, starts, axis=-1), whole)
        z, value, _ = _descended(problem, z, alike, iterations, tolerance, log)
        log.conclude(np.sqrt(value))
    best = z[np.argmin(value)]
    error = float(np.sqrt(value.min()))
    resampled = _averaged(block, levels, _resampled(block, levels, boots, rng))
    with budget.stage("resampled cells", "") as log:
        begun = np.repeat(best[None], boots, axis=0)
        z, values, done = _descended(problem, begun, resampled, iterations, tolerance, log)
        log.conclude(np.sqrt(values))
    names = [name.removeprefix(f"{_KEY}.") for name in space.names]
    return DrugFit(
        values=dict(zip(names, (float(v) for v in space.values(best).values()), strict=True)),
        resampled=dict(zip(names, space.values(z.T).values(), strict=True)),
        error=error,
        errors=np.sqrt(values),
        units=dict(zip(names, (f.unit for f in space.free), strict=True)),
        at_minimum=done,
        stages=budget.stages,
        interrupted=budget.interrupted,
    )


# -- data ------------------------------------------------------------------------------------------
def course_of(block: Block, command: np.ndarray, dt: float, waiting: float) -> Course:
    """The constant parts of a sweep. Raises ValueError where samples and parts do not fit."""
    v = np.asarray(command, dtype=float)
    edges = np.flatnonzero(np.diff(v)) + 1
    parts = np.split(v, edges)
    if len(parts) != 3 or parts[0][0] != parts[2][0]:
        levels = ", ".join(f"{p[0]:g}" for p in parts[:6])
        raise ValueError(
            f"the command has {len(parts)} constant parts ({levels} mV): expected holding, a pulse "
            "and holding again"
        )
    steps = block.times / dt
    whole = np.rint(steps).astype(int)
    lead, pulse, after = map(len, parts)
    if not np.allclose(steps, whole) or whole[0] < lead or whole[-1] > lead + pulse:
        raise ValueError(
            f"times from {block.times[0]:g} to {block.times[-1]:g} ms: expected whole steps of "
            f"{dt:g} ms within the pulse, {lead * dt:g} to {(lead + pulse) * dt:g} ms"
        )
    return Course(
        holding=float(v[0]), pulse=float(parts[1][0]), lead=lead, first=int(whole[0] - lead),
        stride=int(whole[1] - whole[0]), samples=len(whole), rest=int(lead + pulse - whole[-1]),
        after=after, waiting=round(waiting / dt), sweeps=block.fraction.shape[1], dt=dt,
    )  # fmt: skip


def _resampled(block: Block, levels: np.ndarray, boots: int, rng: Any) -> np.ndarray:
    """How often each cell counts in each resampling, `[boot, cell]`."""
    counts = np.zeros((boots, block.drug.size))
    for level in levels:
        members = np.flatnonzero(block.drug == level)
        drawn = members[rng.integers(members.size, size=(boots, members.size))]
        np.add.at(counts, (np.arange(boots)[:, None], drawn), 1.0)
    return counts


class _Means(NamedTuple):
    """Mean fractions at each concentration and their weight, `[drug, record, fit]`."""

    data: np.ndarray
    weight: np.ndarray


def _averaged(block: Block, levels: np.ndarray, counts: np.ndarray) -> _Means:
    """Means over the cells of each concentration; the weights make all squares their mean."""
    data, weight = [], []
    for level in levels:
        members = block.drug == level
        y = block.fraction[members].reshape(members.sum(), -1)
        there = np.isfinite(y)
        n = counts[:, members] @ there
        total = counts[:, members] @ np.where(there, y, 0.0)
        data.append((total / np.maximum(n, 1)).T)
        weight.append((n > 0).astype(float).T)
    used = np.stack(weight)
    scale = np.sqrt(np.maximum(used.sum((0, 1)), 1.0))
    return _Means(np.stack(data), used / scale)


# -- the problem -----------------------------------------------------------------------------------
class _Problem:
    """Mean squares of fits `[fit, P]`, their gradient and matrix."""

    def __init__(self, cell: Cell, space: Space, course: Course, levels: np.ndarray):
        self.cell, self.space, self.course, self.levels = cell, space, course, levels
        with computing("exact"):
            self.place = runner.place_of(cell, jnp.zeros(()))
            open_ = _open(cell, course, jnp.zeros(1))
            self.control = np.asarray(open_)[:, 0]  # [record]

    def __call__(self, z: np.ndarray, means: _Means) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n, drugs = len(z), len(self.levels)

        def lanes(a: np.ndarray) -> np.ndarray:  # [drug, record, fit] to [record, drug x fit]
            return np.moveaxis(a, 0, 1).reshape(a.shape[1], -1)

        with computing("exact"):
            theta = {k: np.tile(v, drugs) for k, v in self.space.values(z.T).items()}
            found = _squares(
                self.cell, theta, np.repeat(self.levels, n),
                Along(("record",), lanes(means.data)), Along(("record",), lanes(means.weight)),
                Along(("record",), self.control), course=self.course, place=self.place,
            )  # fmt: skip
            value, gradient, matrix = (
                np.asarray(a).reshape(*a.shape[:-1], drugs, n).sum(-2) for a in found
            )
        slopes = self.space.slopes(z.T)
        gradient, matrix = gradient * slopes, matrix * slopes[:, None] * slopes[None]
        return value, gradient.T, np.moveaxis(matrix, -1, 0)


def _open(cell: Cell, course: Course, drug: jax.Array) -> jax.Array:
    """How much is open at every sample of all sweeps, `[record, *pop]`, under a drug in nM."""
    channel: Any = cell.channels[_KEY]
    dt, v = course.dt, jnp.asarray

    def doubled(mV: float, times: int) -> list[jax.Array]:
        A = held.generator(channel, v(mV), cell.celsius, drug=drug)
        return held.doublings(held.propagator(A, dt), times)

    held_ = doubled(course.holding, max(course.waiting + course.lead, course.lead + course.after))
    pulsed = doubled(course.pulse, max(course.first, course.stride, course.rest))
    before = channel.steady_state(jnp.asarray(course.holding), drug=jnp.zeros(()))
    x = jnp.stack([jnp.broadcast_to(before[k], drug.shape) for k in channel.states])
    conducts = [channel.conducting.get(k, 0.0) for k in channel.states]

    def sample(x: jax.Array, _: Any) -> tuple[jax.Array, jax.Array]:
        seen = sum(c * x[k] for k, c in enumerate(conducts) if c)
        return held.repeated(pulsed, course.stride, x), jnp.asarray(seen)

    def sweep(x: jax.Array, _: Any) -> tuple[jax.Array, jax.Array]:
        x = held.repeated(pulsed, course.first, x)
        # The last sample is followed by the rest of the pulse, not by another stride.
        x, seen = jax.lax.scan(sample, x, None, length=course.samples - 1)
        last = sample(x, None)[1]
        x = held.repeated(pulsed, course.rest, x)
        x = held.repeated(held_, course.after + course.lead, x)
        return x, jnp.concatenate([seen, last[None]])

    x = held.repeated(held_, course.waiting + course.lead, x)
    _, seen = jax.lax.scan(sweep, x, None, length=course.sweeps)
    return seen.reshape(-1, *seen.shape[2:])


@partial(jax.jit, static_argnames=("course", "place"))
def _squares(
    cell: Cell,
    theta: dict[str, Any],
    drug: Any,
    data: Along,
    weight: Along,
    control: Along,
    *,
    course: Course,
    place: runner.Place,
) -> Any:
    """Sum of squares, gradient and Gauss-Newton matrix in theta, of each fit and concentration."""

    def program(
        cell: Cell, theta: dict[str, Any], drug: Any, data: Along, weight: Along, control: Along
    ) -> Any:
        names = list(theta)

        def residuals(values: Sequence[Any]) -> jax.Array:
            at = substitute(cell, dict(zip(names, values, strict=True)))
            open_ = _open(at, course, drug)
            before = jnp.asarray(control.value)
            before = before.reshape(-1, *[1] * (open_.ndim - 1))
            return (open_ / before - data.value) * weight.value

        values = [theta[k] for k in names]
        one = jnp.eye(len(names), dtype=drug.dtype)
        shape = jnp.shape(drug)
        slope = lambda d: jax.jvp(residuals, (values,), ([jnp.full(shape, x) for x in d],))  # noqa: E731
        r, J = jax.vmap(slope, out_axes=(None, 0))(one)
        return (
            (r * r).sum(0),
            2 * (J * r).sum(1),
            jnp.stack([(J * j).sum(1) for j in J]),
        )

    live = 4 * len(cell.channels[_KEY].gate_names()) ** 2 * (1 + len(theta))
    things = {"cell": cell, "theta": theta, "drug": drug}
    things |= {"data": data, "weight": weight, "control": control}
    return runner.run_population(program, place, live, **things)


# -- the descent -----------------------------------------------------------------------------------
def _descended(
    problem: _Problem, z: np.ndarray, means: _Means, iterations: int, tolerance: float, log: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best point `[fit, P]` of every fit, its value `[fit]`, and whether it gained no more."""
    optimiser: Any = levenberg_marquardt(damping=1.0)
    state = optimiser.init(z)
    trial, n = z.copy(), len(z)
    quiet, best = np.zeros(n, dtype=int), np.full(n, np.inf)
    for done in range(iterations):
        some = np.flatnonzero(quiet < PATIENCE)
        if not some.size or (done and log.hurried):
            break
        value, gradient, matrix = _in_chunks(problem, trial[some], means, some)
        of_some = jax.tree.map(lambda a, some=some: a[some], state)
        with np.errstate(all="ignore"):
            move, of_some = optimiser.update(
                gradient, of_some, trial[some], value=value, matrix=matrix
            )
        for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(of_some), strict=True):
            a[some] = b
        gained = value < (1 - tolerance) * best[some]
        best[some] = np.fmin(best[some], value)
        quiet[some] = np.where(gained, 0, quiet[some] + 1)
        trial[some] = trial[some] + move
        log.step(done + 1, iterations, float(np.sqrt(np.median(best))), some.size)
    return state.z, state.value, quiet >= PATIENCE


def _in_chunks(problem: _Problem, z: np.ndarray, means: _Means, which: np.ndarray):
    """What the problem makes of fits `which`, so many at once that one program serves them."""
    size = min(CHUNK, means.data.shape[-1])
    found = []
    for k in range(0, len(which), size):
        padded = np.resize(np.arange(k, min(k + size, len(which))), size)
        part = _Means(*(a[..., which[padded]] for a in means))
        kept = min(size, len(which) - k)
        found.append([a[:kept] for a in problem(z[padded], part)])
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]
