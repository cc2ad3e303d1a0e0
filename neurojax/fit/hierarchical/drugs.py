"""drug_binding: how a drug binds to a channel, from the block that it makes, with a bootstrap.

Thousands of fits to resampled cells are one population: each fit at each concentration is a cell
of it, propagated exactly through the protocol's constant parts (`engine.held`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from neurojax.channels import HergBlock
from neurojax.engine import held, runner
from neurojax.fit.budget import Budget, Progress, StageLog, StageRecord
from neurojax.fit.optimisers.levenberg import BOLD, LEVENBERG_MARQUARDT
from neurojax.fit.precision import computing
from neurojax.membrane.axes import Along
from neurojax.membrane.compartment import Cell
from neurojax.model.space import Space, free

CHUNK = 64
"""Fits that are computed at once."""

PATIENCE = 3
"""Iterations without a gain after which a fit is done."""

DRAWS, BINDING = 8, (0.05, 200.0)
"""A start is the best of so many draws, at which between so many bind for each that leaves."""

_KEY = "kr"
_LANE = ("Kmax", "Ku", "Vhalf")
"""Parameters of one fit at one concentration; Kmax is there what binds for each that leaves."""

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

    @property
    def last(self) -> int:
        """Steps of the pulse before the last sample."""
        return self.first + self.stride * (self.samples - 1)


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
    channel: HergBlock | None = None,
    bounds: Mapping[str, Any] | None = None,
    waiting: float = 180e3,
    boots: int = 2000,
    starts: int = CHUNK,
    iterations: int = 40,
    tolerance: float = 1e-4,
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
    channel = channel or HergBlock()
    cell = Cell(channels={_KEY: channel})
    space = free(cell, {f"{_KEY}.{k}": v for k, v in (bounds or _BOUNDS).items()})
    _check_free(space)
    course = course_of(block, command, dt, waiting)
    how = iterations, tolerance
    budget, rng = Budget(seconds, progress), np.random.default_rng(seed)
    levels = np.unique(block.drug)
    problem = _Problem(channel, space, course, levels)
    whole = _averaged(block, levels, np.ones((1, block.drug.size)))
    with budget.stage("fit of all cells", "") as log:
        z = _begun(problem, whole, starts, seed)
        z, value, _ = _descended(problem, z, _alike(whole, starts), LEVENBERG_MARQUARDT, how, log)
        log.conclude(np.sqrt(value))
    best = z[np.argmin(value)]
    error = float(np.sqrt(value.min()))
    resampled = _averaged(block, levels, _resampled(block, levels, boots, rng))
    with budget.stage("resampled cells", "") as log:
        begun = np.repeat(best[None], boots, axis=0)
        z, values, done = _descended(problem, begun, resampled, BOLD, how, log)
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


def _check_free(space: Space) -> None:
    for path in space.names:
        name = path.removeprefix(f"{_KEY}.")
        if name not in _BOUNDS:
            raise ValueError(f"{name!r} cannot be free here (have: {', '.join(_BOUNDS)})")


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
    """Mean squares of fits `[fit, P]`, their gradient and matrix.

    A concentration is seen by the channel as one number, how many bind for each that leaves: Kmax
    times what is occupied. So a lane, a fit at a concentration, has three parameters.
    """

    def __init__(self, channel: HergBlock, space: Space, course: Course, levels: np.ndarray):
        self.channel, self.space, self.course, self.levels = channel, space, course, levels
        with computing("exact"):
            cell = Cell(channels={_KEY: channel})
            self.place = runner.place_of(cell, jnp.zeros(()))
            free = open_at_samples(replace(channel, Kmax=0.0), course, (1,))
            self.control = Along(("record",), np.asarray(free)[:, 0])

    def __call__(self, z: np.ndarray, means: _Means) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        at = self._lanes(z)
        value, gradient, matrix = self._run(at, means)
        turn = self._turn(z, at)  # [P, lane parameter, drug, fit]
        gradient = np.einsum("pldf,ldf->fp", turn, gradient)
        matrix = np.einsum("pldf,lmdf,qmdf->fpq", turn, matrix, turn, optimize=True)
        return value.sum(0), gradient, matrix

    def _run(self, at: dict[str, np.ndarray], means: _Means) -> list[np.ndarray]:
        def lanes(a: np.ndarray) -> Along:  # [drug, record, fit] to [record, drug x fit]
            return Along(("record",), np.moveaxis(a, 0, 1).reshape(a.shape[1], -1))

        shape = at["Ku"].shape
        with computing("exact"):
            theta = {name: a.reshape(-1) for name, a in at.items()}
            data = lanes(means.data), lanes(means.weight), self.control
            found = _squares(self.channel, theta, *data, course=self.course, place=self.place)
            return [np.asarray(a).reshape(*a.shape[:-1], *shape) for a in found]

    def _lanes(self, z: np.ndarray) -> dict[str, np.ndarray]:
        """Binding, Ku and Vhalf of each lane, `[drug, fit]`."""
        with computing("exact"):
            own = self._own(z)
            filled = np.asarray(own.occupied(self.levels[:, None]))
        alike = {name: np.broadcast_to(getattr(own, name), filled.shape) for name in _LANE[1:]}
        return {_LANE[0]: own.Kmax * filled} | alike

    def _own(self, z: np.ndarray) -> HergBlock:
        values = self.space.values(z.T)
        return replace(self.channel, **{k.removeprefix(f"{_KEY}."): v for k, v in values.items()})

    def _turn(self, z: np.ndarray, at: dict[str, np.ndarray]) -> np.ndarray:
        """How each lane's parameters go with z, `[P, lane parameter, drug, fit]`."""
        own, slopes = self._own(z), self.space.slopes(z.T)
        binding = at[_LANE[0]]
        rest = 1 - binding / own.Kmax  # what is not occupied
        relative = {
            "Kmax": 1 / own.Kmax,
            "n": rest * np.log(self.levels)[:, None],
            "halfmax": -rest / own.halfmax,
        }
        turn = np.zeros((len(slopes), len(_LANE), *binding.shape))
        for k, name in enumerate(self.space.names):
            name = name.removeprefix(f"{_KEY}.")
            if name in relative:
                turn[k, 0] = binding * relative[name] * slopes[k]
            else:
                turn[k, _LANE.index(name)] = slopes[k]
        return turn


def open_at_samples(channel: HergBlock, course: Course, shape: tuple[int, ...]) -> jax.Array:
    """How much is open at every sample of all sweeps, `[record, *shape]`.

    Under a drug that fills all there is to occupy, so that Kmax is what binds for each that leaves.
    """
    everywhere = jnp.asarray(1e30)  # nM

    def doubled(mV: float, times: int) -> jax.Array:
        A = held.generator(channel, jnp.broadcast_to(mV, shape), drug=everywhere)
        return held.doublings(held.propagator(A, course.dt), times)

    rest = doubled(course.holding, course.waiting + course.lead + course.after)
    pulse = doubled(course.pulse, course.last + course.rest)
    before = channel.steady_state(jnp.broadcast_to(course.holding, shape), drug=jnp.zeros(()))
    x = jnp.stack([before[k] for k in channel.states])
    row = jnp.stack([jnp.full(shape, channel.conducting.get(k, 0.0)) for k in channel.states])
    seen = held.readings(pulse, row, course.first, course.stride, course.samples)

    def sweep(x: jax.Array, _: Any) -> tuple[jax.Array, jax.Array]:
        open_ = held.applied(seen, x)
        x = held.repeated(pulse, course.last + course.rest, x)
        return held.repeated(rest, course.after + course.lead, x), open_

    x = held.repeated(rest, course.waiting + course.lead, x)
    _, open_ = jax.lax.scan(sweep, x, None, length=course.sweeps)
    return open_.reshape(-1, *shape)


def _residuals(
    channel: HergBlock, theta: dict[str, Any], course: Course, data: dict[str, Along]
) -> jax.Array:
    """The weighted differences of the fraction, `[record, *pop]`."""
    shape = jnp.shape(next(iter(theta.values())))
    open_ = open_at_samples(replace(channel, **theta), course, shape)
    before = data["control"].value.reshape(-1, *[1] * len(shape))
    return (open_ / before - data["means"].value) * data["weight"].value


@partial(jax.jit, static_argnames=("course", "place"))
def _squares(channel: HergBlock, theta: Any, *data: Along, course: Course, place: runner.Place):
    """Sum of squares, gradient and Gauss-Newton matrix of each lane in its own parameters."""

    def program(channel: HergBlock, theta: Any, **data: Along) -> Any:
        def residuals(*values: Any) -> jax.Array:
            at: dict[str, Any] = dict(zip(_LANE, values, strict=True))
            return _residuals(channel, at, course, data)

        values = tuple(theta[name] for name in _LANE)

        def slope(direction: jax.Array) -> Any:
            moves = tuple(jnp.full_like(a, d) for a, d in zip(values, direction, strict=True))
            return jax.jvp(residuals, values, moves)

        r, J = jax.vmap(slope, out_axes=(None, 0))(jnp.eye(len(values), dtype=values[0].dtype))
        return (r * r).sum(0), 2 * (J * r).sum(1), jnp.stack([(J * j).sum(1) for j in J])

    things = dict(zip(("means", "weight", "control"), data, strict=True))
    live = 2 * len(channel.states) ** 2 * (1 + len(theta))
    return runner.run_population(program, place, live, channel=channel, theta=theta, **things)


# -- the descent -----------------------------------------------------------------------------------
def _begun(problem: _Problem, whole: _Means, starts: int, seed: int) -> np.ndarray:
    """Points `[start, P]`, each the best of `DRAWS`, at which a drug binds but not for good."""
    levels = problem.levels
    middle = float(np.exp(np.log(levels).mean()))

    def excess(values: Mapping[str, np.ndarray]) -> np.ndarray:
        at = {name.removeprefix(f"{_KEY}."): v for name, v in values.items()}
        with computing("exact"):
            own = replace(problem.channel, **at)
            binding = np.log(np.asarray(own.Kmax * own.occupied(middle)) + 1e-300)
        low, high = np.log(BINDING)
        return np.maximum(np.maximum(low - binding, binding - high), 0.0)

    z = problem.space.random(starts * DRAWS, seed, excess).T
    parts = np.array_split(np.arange(len(z)), DRAWS)
    value = np.stack([_in_chunks(problem, z[p], _alike(whole, starts))[0] for p in parts])
    best = np.nan_to_num(value, nan=np.inf).argmin(axis=0)
    return z.reshape(DRAWS, starts, -1)[best, np.arange(starts)]


def _alike(means: _Means, times: int) -> _Means:
    return _Means(*(np.repeat(a, times, axis=-1) for a in means))


def _descended(
    problem: _Problem,
    z: np.ndarray,
    means: _Means,
    optimiser: Any,
    how: tuple[int, float],
    log: StageLog,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best point `[fit, P]` of every fit, its value `[fit]`, and whether it gained no more."""
    iterations, tolerance = how
    state = optimiser.init(z)
    trial, n = z.copy(), len(z)
    quiet, best = np.zeros(n, dtype=int), np.full(n, np.inf)
    for done in range(iterations):
        some = np.flatnonzero(quiet < PATIENCE)
        if not some.size or (done and log.hurried):
            break
        value, gradient, matrix = _in_chunks(
            problem, trial[some], _Means(*(a[..., some] for a in means))
        )
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


def _in_chunks(problem: _Problem, z: np.ndarray, means: _Means):
    """What the problem makes of points z `[fit, P]`, always as many at once: one program."""
    found = []
    for k in range(0, len(z), CHUNK):
        padded = np.resize(np.arange(k, min(k + CHUNK, len(z))), CHUNK)
        part = _Means(*(a[..., padded] for a in means))
        found.append([a[: len(z) - k] for a in problem(z[padded], part)])
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]
