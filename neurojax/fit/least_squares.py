"""Least squares from many starts at once, on forward sensitivities, by any optimiser."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from neurojax.cell import Cell
from neurojax.electrode import Trace
from neurojax.engine.pieces import Gradient
from neurojax.fit.levenberg import levenberg_marquardt
from neurojax.fit.parameters import Space, free
from neurojax.fit.problem import Problem, random_starts
from neurojax.fit.result import Fit, Progress, Stage
from neurojax.loss import capacitive_mask, prepare

NUDGES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03)
"""Coupling to the data, mS/cm2, from firm to faint: the schedule that opens the basin."""

PATIENCE = 6
"""Iterations without a gain by any start after which a stage ends."""


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
    nudge_iterations: int = 16,
    iterations: int = 60,
    tolerance: float = 1e-6,
    optimiser: optax.GradientTransformation | None = None,
    seconds: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Fit:
    """Fit by the squared error of the potential (current clamp) or of the current (voltage clamp).

    starts: how many random starts, each the best of its own `draws` from the box; or the points
    themselves, `[P, start]` in [0, 1]. dt: the step in ms (default 0.025 in current clamp, the
    sampling interval in voltage clamp), compared with the data every `every` steps. keep: samples
    `[sample]` of each trace that count (default: all, but for capacitive transients in voltage
    clamp). nudge: coupling strengths in mS/cm2 to go through first, such as NUDGES. optimiser:
    levenberg_marquardt(), or any of optax's. A stage ends when no start gains more than `tolerance`
    of its error any more. After `seconds`, or on Ctrl-C, the best so far is kept. Starts that are
    not finite are dropped and counted.

    Runs in float64. Raises ValueError for traces of mixed clamps, bad masks, or when every start
    fails.
    """
    clamp = one_clamp(traces)
    if clamp == "voltage" and len(nudge):
        raise ValueError("nudging couples the potential to data: it needs current-clamp traces")
    if not isinstance(space, Space):
        space = free(cell, space)
    if dt is None:
        dt = 0.025 if clamp == "current" else traces[0].dt_ms
    if keep is None and clamp == "voltage":
        keep = [capacitive_mask(t) for t in traces]
    with jax.enable_x64(True):
        problem = Problem(cell, space, prepare(traces, dt, every, keep), dt, every, clamp)
        if isinstance(starts, int):
            first = nudge[0] if len(nudge) else 0.0
            z = random_starts(problem, traces, starts, draws, first, seed)
        else:
            z = np.asarray(starts, dtype=np.float64)
        descent = _Descent(
            problem,
            optimiser or levenberg_marquardt(),
            tolerance=tolerance,
            deadline=np.inf if seconds is None else time.monotonic() + seconds,
            progress=progress or (lambda *_: None),
        )
        for strength in nudge:
            z = descent.stage(z, nudge_iterations, strength)
        return descent.conclude(descent.stage(z, iterations, 0.0))


def one_clamp(traces: Sequence[Trace]) -> str:
    """The clamp that all traces share. Raises ValueError for none or mixed ones."""
    clamps = {t.clamp for t in traces}
    if not clamps:
        raise ValueError("no trace to fit")
    if len(clamps) > 1:
        raise ValueError("cannot fit current clamp and voltage clamp together: give one kind")
    return clamps.pop()


class _Descent:
    """All starts walking downhill together, and what is remembered of it."""

    def __init__(self, problem: Problem, optimiser, *, tolerance, deadline, progress):
        self.problem = problem
        self.optimiser = optax.with_extra_args_support(optimiser)
        self.update = jax.jit(self.optimiser.update)
        self.tolerance, self.deadline, self.progress = tolerance, deadline, progress
        self.stages: list[Stage] = []
        self.interrupted = False
        self.fold: Gradient | None = None  # at the best point of each start, in the last stage

    def stage(self, z, iterations: int, nudge: float) -> jax.Array:
        """Descend from z `[P, pop]` under one coupling; returns each start's best point."""
        if self.hurried and nudge:
            return jnp.asarray(z)
        name = f"nudged by {nudge:g} mS/cm2" if nudge else "free run"
        began, history = time.monotonic(), []
        best_z = z = jnp.asarray(z)
        state, fold, quiet = self.optimiser.init(z), None, 0
        try:
            # Even in a hurry the free run is looked at once: its error is the one that counts.
            for k in range(1 if self.hurried else iterations):
                here = self.problem(z, nudge)
                best_z, fold, gained = self._keep(best_z, fold, z, here)
                history.append(float(jnp.sqrt(fold.value.min())))
                self.progress(name, k + 1, iterations, history[-1], self.problem.unit)
                quiet = 0 if gained else quiet + 1
                if quiet >= PATIENCE or self.hurried:
                    break
                moves, state = self.update(
                    here.gradient, state, z, value=here.value, matrix=here.matrix
                )
                z = jnp.clip(z + moves, 0.0, 1.0)
        except KeyboardInterrupt:
            self.interrupted = True
        if fold is None:
            if nudge:
                return best_z
            raise KeyboardInterrupt
        self.fold = fold
        self._report(name, time.monotonic() - began, np.asarray(history), fold, z.shape[1])
        return best_z

    @property
    def hurried(self) -> bool:
        return self.interrupted or time.monotonic() > self.deadline

    def _keep(self, best_z, best: Gradient | None, z, here: Gradient):
        """The better of two points for each start, and whether any start gained."""
        value = jnp.where(jnp.isfinite(here.value), here.value, jnp.inf)
        here = here._replace(value=value)
        if best is None:
            return z, here, True
        better = value < best.value
        gained = bool((best.value - value > self.tolerance * best.value).any())
        return (
            jnp.where(better, z, best_z),
            jax.tree.map(partial(jnp.where, better), here, best),
            gained,
        )

    def _report(self, name, seconds, history, fold, starts) -> None:
        errors = np.sqrt(np.asarray(fold.value))
        alive = np.isfinite(errors)
        self.stages.append(
            Stage(
                name=name,
                unit=self.problem.unit,
                seconds=seconds,
                evaluations=len(history) * starts * len(self.problem.sweeps),
                history=history,
                errors=np.sort(errors[alive]),
                dropped=int((~alive).sum()),
            )
        )

    def conclude(self, z: jax.Array) -> Fit:
        assert self.fold is not None
        value, space = np.asarray(self.fold.value), self.problem.space
        order = np.argsort(value)[: int(np.isfinite(value).sum())]
        if not order.size:
            raise ValueError(
                "every start failed: none of them could be simulated to the end. "
                "Narrow the bounds of the free parameters, or use a smaller dt."
            )
        starts = {k: np.asarray(v)[order] for k, v in space.values(z).items()}
        values = {k: float(v[0]) for k, v in starts.items()}
        return Fit(
            cell=space.apply(self.problem.cell, values),
            space=space,
            values=values,
            error=float(np.sqrt(value[order[0]])),
            stages=self.stages,
            starts=starts,
            standard_errors=self._standard_errors(np.asarray(z)[:, order[0]], order[0]),
            interrupted=self.interrupted,
        )

    def _standard_errors(self, z: np.ndarray, winner: int) -> dict[str, float]:
        """From the inverse Gauss-Newton matrix, for independent noise of the size of the residual.

        NaN where the data do not determine the parameters.
        """
        assert self.fold is not None
        H = np.asarray(self.fold.matrix)[..., winner]
        noise = float(np.asarray(self.fold.value)[winner])
        names = self.problem.space.names
        scale = np.sqrt(np.maximum(np.diag(H), np.finfo(float).tiny))
        correlation = H / np.outer(scale, scale)
        if not np.isfinite(correlation).all() or np.linalg.cond(correlation) > 1e14:
            return dict.fromkeys(names, float("nan"))
        # The weights make the sum of squares a mean, so the number of samples divides it once more.
        freedom = max(self.problem.samples - len(names), 1)
        variance = np.diag(np.linalg.inv(correlation)) / scale**2 * noise / freedom
        slopes = np.asarray(self.problem.space.slopes(z))
        sd = np.sqrt(np.maximum(variance, 0.0)) * np.abs(slopes)
        return dict(zip(names, map(float, sd), strict=True))
