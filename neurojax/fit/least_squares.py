"""Least squares from many starts at once: forward sensitivities in, any optimiser of the optax shape."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from neurojax.cell import Cell, settled
from neurojax.electrode import Trace
from neurojax.engine import scan, tangent
from neurojax.engine.devices import shard
from neurojax.fit.levenberg import levenberg_marquardt
from neurojax.fit.parameters import Space, free
from neurojax.fit.result import Fit, Stage
from neurojax.loss import Target, Sweep, capacitive_mask, prepare, residual_of, settle_at

Progress = Callable[[str, int, int, float, str], None]
"""(stage, done, total, best error, unit of the error)"""

NUDGES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03)
"""Coupling to the data, mS/cm2, from firm to faint: the schedule that opens the basin."""

RATE_LIMITS = (1.67e-5, 1e3)
"""Rates (1/ms) between which every gate of a random start stays over the potentials of the data."""


def least_squares(
    cell: Cell,
    traces: Sequence[Trace],
    space: Space | Sequence[str] | Mapping[str, Any],
    *,
    starts: int | np.ndarray = 64,
    draws: int = 16,
    dt: float | None = None,
    every: int = 1,
    keep: Sequence[np.ndarray] | None = None,
    nudge: Sequence[float] = (),
    nudge_iterations: int = 8,
    iterations: int = 60,
    tolerance: float = 1e-6,
    optimiser: optax.GradientTransformation | None = None,
    seconds: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Fit:
    """Fit by the squared error of the potential (current clamp) or of the current (voltage clamp).

    starts: how many random points of the box, or the points themselves `[P, start]`. dt: the step in ms
    (default 0.025 in current clamp, the sampling interval in voltage clamp). keep: samples `[sample]` of
    each trace that count (default: all, but for capacitive transients in voltage clamp). nudge: coupling
    strengths in mS/cm2 to go through first, see NUDGES. optimiser: levenberg_marquardt() or any of
    optax's. Stops when no start gains more than `tolerance` of its error any more, after `iterations`,
    or after `seconds`. Ctrl-C keeps the best so far. Starts that are not finite are dropped and counted.

    Runs in float64. Raises ValueError for traces of mixed clamps, bad masks, or when every start fails.
    """
    if not traces:
        raise ValueError("no trace to fit")
    if len({t.clamp for t in traces}) > 1:
        raise ValueError("cannot fit current clamp and voltage clamp together: give one kind")
    clamp = traces[0].clamp
    if clamp == "voltage" and len(nudge):
        raise ValueError("nudging couples the potential to data: it needs current-clamp traces")
    if not isinstance(space, Space):
        space = free(cell, space)
    dt = dt if dt is not None else (0.025 if clamp == "current" else traces[0].dt_ms)
    if keep is None and clamp == "voltage":
        keep = [capacitive_mask(t) for t in traces]
    with jax.enable_x64(True):
        sweeps = prepare(traces, dt, every, keep)
        problem = _Problem(cell, space, sweeps, dt, every, clamp)
        if isinstance(starts, int):
            reject = partial(_rate_excess, cell, space, traces)
            z = space.random(starts * draws, seed, reject)
            if draws > 1:
                z = problem.screened(z, starts, nudge[0] if len(nudge) else 0.0)
        else:
            z = np.asarray(starts, dtype=np.float64)
        return _descend(
            problem,
            z,
            optimiser=optimiser or levenberg_marquardt(),
            schedule=[*((g, nudge_iterations) for g in nudge), (0.0, iterations)],
            tolerance=tolerance,
            deadline=np.inf if seconds is None else time.monotonic() + seconds,
            progress=progress or (lambda *_: None),
        )


def _rate_excess(cell, space, traces, theta) -> jax.Array:
    """By how many e-folds the gates' rates leave RATE_LIMITS over the potentials of the traces.

    Source of the limits: Beattie et al. 2018, J Physiol 596:1813, doi:10.1113/JP275733.
    """
    cell = space.apply(cell, theta)
    extremes = [min(t.v_mV.min() for t in traces), max(t.v_mV.max() for t in traces)]
    low, high = np.log(RATE_LIMITS)
    excess = jnp.zeros(())
    for v in extremes:
        for channel in cell.channels.values():
            for gate in channel.kinetics(jnp.asarray(v), cell.celsius).values():
                at = jnp.log(gate.rate)
                excess = jnp.maximum(excess, jnp.maximum(at - high, low - at))
    pop = jnp.shape(next(iter(theta.values())))
    return jnp.broadcast_to(excess, pop)


@dataclasses.dataclass(frozen=True, eq=False)
class _Problem:
    """The objective: sum of squares over all sweeps, its gradient and Gauss-Newton matrix in z."""

    cell: Cell
    space: Space
    sweeps: list[Sweep]
    dt: float
    every: int
    clamp: str

    def screened(self, z: np.ndarray, starts: int, nudge: float) -> np.ndarray:
        """Of each start's own draws the best one: better starts, as scattered as before.

        A clamp current is linear in the conductances, so in voltage clamp each draw is first brought to
        its best amplitude; otherwise draws without any current would pass for good ones.
        """
        coupling = float(np.asarray(self.cell.area)) * nudge
        simulated, data = zip(
            *(
                _thinned(
                    self.cell, self.space, shard(jnp.asarray(z)), s, coupling, self.dt, self.every,
                    self.clamp,
                )
                for s in self.sweeps
            ),
            strict=True,
        )
        m, d = np.concatenate(simulated), np.concatenate(data)
        gains = np.ones(z.shape[1])
        scalable = [k for k, name in enumerate(self.space.names) if name.endswith(".g_bar")]
        if self.clamp == "voltage" and len(scalable) == len(self.cell.channels):
            values = self.space.values(z)
            g = np.stack([values[self.space.names[k]] for k in scalable])
            low, high = (np.array([[getattr(self.space.free[k], e)] for k in scalable]) for e in ("low", "high"))
            with np.errstate(all="ignore"):
                best = (m * d[:, None]).sum(0) / (m * m).sum(0)
            gains = np.clip(np.nan_to_num(best), (low / g).max(0), (high / g).min(0))
            scaled = values | {self.space.names[k]: values[self.space.names[k]] * gains for k in scalable}
            z = self.space.point(scaled)
        error = ((gains * m - d[:, None]) ** 2).sum(0)
        groups = np.where(np.isfinite(error), error, np.inf).reshape(-1, starts)
        return z.reshape(len(z), -1, starts)[:, groups.argmin(axis=0), np.arange(starts)]

    def __call__(self, z: jax.Array, nudge: float) -> tangent.GaussNewton:
        coupling = float(np.asarray(self.cell.area)) * nudge
        folds = [
            _evaluate(self.cell, self.space, shard(z), s, coupling, self.dt, self.every, self.clamp)
            for s in self.sweeps
        ]
        return jax.tree.map(lambda *parts: sum(parts), *folds)

    @property
    def unit(self) -> str:
        return residual_of(self.clamp)[1]


@partial(jax.jit, static_argnames=("space", "every", "clamp"))
def _thinned(cell, space, z, sweep, coupling, dt, every, clamp):
    """Weighted simulation `[record, pop]` and data `[record]` of every tenth record."""
    electrode = sweep.electrode
    if clamp == "current":
        electrode = electrode._replace(g=coupling)
    cell = space.apply(cell, space.values(z))
    s = settled(cell, sweep.v_start, z.shape[1:])
    residual = residual_of(clamp)[0]
    plain = Target(0.0, 1.0)
    _, seen = scan.run(cell, s, electrode, dt, lambda c, s: residual(c, s, plain)[0], 10 * every)
    data, weight = (a[9::10][: len(seen)] for a in sweep.target)
    return seen * weight[:, None], data * weight


@partial(jax.jit, static_argnames=("space", "every", "clamp"))
def _evaluate(cell, space, z, sweep, coupling, dt, every, clamp):
    electrode = sweep.electrode
    if clamp == "current":
        electrode = electrode._replace(g=coupling)
    fold = tangent.run(
        lambda theta: space.apply(cell, theta),
        space.values(z),
        settle_at(sweep.v_start),
        electrode,
        dt,
        residual_of(clamp)[0],
        sweep.target,
        every,
    )
    slope = space.slopes(z)
    return tangent.GaussNewton(
        fold.value, fold.gradient * slope, fold.matrix * slope[:, None] * slope[None]
    )


def _descend(problem, z, *, optimiser, schedule, tolerance, deadline, progress) -> Fit:
    """Walk all starts down the schedule of (nudge, iterations), keeping the best of the last stage."""
    optimiser = optax.with_extra_args_support(optimiser)
    update = jax.jit(optimiser.update)
    z = jnp.asarray(z)
    stages, interrupted = [], False
    best_z, best, model = z, jnp.full(z.shape[1], jnp.inf), None
    for nudge, iterations in schedule:
        name = f"nudged by {nudge:g} mS/cm2" if nudge else "free run"
        began, history = time.monotonic(), []
        state, z = optimiser.init(best_z), best_z
        best, model = jnp.full(z.shape[1], jnp.inf), None
        previous = best
        quiet = 0
        try:
            for k in range(iterations):
                fold = problem(z, nudge)
                better = fold.value < best
                best_z = jnp.where(better, z, best_z)
                best = jnp.where(better, fold.value, best)
                model = (
                    fold if model is None else jax.tree.map(partial(jnp.where, better), fold, model)
                )
                history.append(float(jnp.sqrt(best.min())))
                progress(name, k + 1, iterations, history[-1], problem.unit)
                gained = np.asarray((previous - best) > tolerance * best)
                previous, quiet = best, 0 if gained.any() or k == 0 else quiet + 1
                if quiet >= 6 or time.monotonic() > deadline:
                    break
                moves, state = update(
                    2 * fold.gradient, state, z, value=fold.value, matrix=fold.matrix
                )
                z = jnp.clip(z + moves, 0.0, 1.0)
        except KeyboardInterrupt:
            interrupted = True
        errors = np.sqrt(np.asarray(best))
        alive = np.isfinite(errors)
        stages.append(
            Stage(
                name=name,
                unit=problem.unit,
                seconds=time.monotonic() - began,
                evaluations=len(history) * z.shape[1] * len(problem.sweeps),
                history=np.asarray(history),
                errors=np.sort(errors[alive]),
                dropped=int((~alive).sum()),
            )
        )
        if interrupted or time.monotonic() > deadline:
            break
    if model is None or not np.isfinite(best).any():
        raise ValueError(
            "every start failed: none of them could be simulated to the end. "
            "Narrow the bounds of the free parameters, or use a smaller dt."
        )
    return _conclude(problem, best_z, best, model, stages, interrupted)


def _conclude(problem, z, value, model, stages, interrupted) -> Fit:
    order = np.argsort(np.where(np.isfinite(value), value, np.inf))
    order = order[np.isfinite(np.asarray(value)[order])]
    space = problem.space
    starts = {k: np.asarray(v)[order] for k, v in space.values(z).items()}
    values = {k: float(v[0]) for k, v in starts.items()}
    winner = int(order[0])
    return Fit(
        cell=space.apply(problem.cell, values),
        space=space,
        values=values,
        error=float(np.sqrt(value[winner])),
        stages=stages,
        starts=starts,
        standard_errors=_standard_errors(problem, np.asarray(z), model, winner),
        interrupted=interrupted,
    )


def _standard_errors(problem, z, model, winner) -> dict[str, float]:
    """From the inverse Gauss-Newton matrix, for independent noise of the size of the residual.

    NaN where the data do not determine the parameter.
    """
    H = np.asarray(model.matrix)[..., winner]
    # The weights make value a mean; a record's share of it gives back the number of them.
    weights = np.concatenate([np.asarray(s.target.weight) for s in problem.sweeps])
    count = max(int((weights > 0).sum()) - len(H), 1)
    noise = float(np.asarray(model.value)[winner])
    scale = np.sqrt(np.maximum(np.diag(H), 1e-300))
    correlation = H / np.outer(scale, scale)
    names = problem.space.names
    if not np.all(np.isfinite(correlation)) or np.linalg.cond(correlation) > 1e14:
        return dict.fromkeys(names, float("nan"))
    variance = np.diag(np.linalg.inv(correlation)) / scale**2 * noise / count
    slope = np.asarray(problem.space.slopes(z[:, winner]))
    sd = np.sqrt(np.maximum(variance, 0)) * np.abs(slope)
    return dict(zip(names, map(float, sd), strict=True))
