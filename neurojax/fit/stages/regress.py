"""Regress: with the recorded potential imposed, conductances are a linear regression."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine import runner
from neurojax.fit.budget import Budget
from neurojax.fit.candidates import Candidates
from neurojax.fit.optimisers.current_balance import (
    Balance,
    Column,
    Row,
    noise_of_rise,
    products,
    rows,
)
from neurojax.fit.precision import computing, on_host
from neurojax.fit.task import Task
from neurojax.membrane.compartment import Cell
from neurojax.membrane.electrode import Electrode
from neurojax.membrane.path_names import parameters
from neurojax.membrane.pipette import before, coupled, repeated
from neurojax.membrane.requirements import check_single
from neurojax.model.space import Free, Space
from neurojax.recording.trace import Trace
from neurojax.units import PA

_BATCH = 256  # draws that are simulated at once
CONDUCTANCES = ("g_bar", "P_bar")
"""Parameters to which a channel's current is proportional."""


@dataclass(frozen=True)
class Regress:
    """Teacher forcing: `draws` of the kinetics, each with the conductances that suit it best.

    Gates follow the recorded potential, and what is injected then equals a sum of currents that is
    linear in conductances, reversal potentials (where their conductance is free too) and
    capacitance or area: bounded linear least squares over windows of `window_ms`, one small problem
    for each draw. What is not linear is drawn from the box, after the first of `rounds` near the
    best so far, for no more than `share` of the time left. The `keep` best go on.

    The error is the root mean square of the current that the balance leaves open, pA. A start for
    a search, not an end: nothing is said of a cell that runs freely.

    Source: Huys, Ahrens & Paninski 2006, J Neurophysiol 96:872, doi:10.1152/jn.00079.2006.
    """

    draws: int = 512  # in each round
    rounds: int = 4
    keep: int = 128
    dt: float = 0.05  # ms; while the potential is imposed, gates are exact
    window_ms: float = 1.0
    share: float = 0.15
    name: str = "regress"

    def run(self, task: Task, found: Candidates | None, budget: Budget) -> Candidates:
        """The best draws, with their conductances.

        Raises ValueError for voltage clamp, a cell with compartments, or where no conductance is
        free.
        """
        if task.clamp == "voltage":
            raise ValueError("regress balances injected currents: it needs current-clamp traces")
        check_single(task.cell, "the stage 'regress'")
        best = Candidates(np.empty((len(task.space), 0)), np.empty(0), "pA")
        rng, batches = task.rng(3), self.rounds * max(1, self.draws // _BATCH)
        with budget.stage(self.name, "pA", self.share) as log:
            forced = _Forced(task, self.dt, max(1, round(0.5 * self.window_ms / self.dt)))
            for k in range(batches):
                if k and log.hurried:
                    break
                z = rng.random((len(task.space), _BATCH))
                if k == 0 and found is not None:
                    z[:, : len(found)] = found.z[:, :_BATCH]
                if k * self.rounds >= batches:
                    z = _near(best, _BATCH, rng)
                z, errors = forced.solved(z)
                both = np.concatenate([best.z, z], axis=1), np.r_[best.errors, errors]
                best = Candidates.sorted(*both, "pA").first(self.keep)
                simulated = _BATCH * len(task.traces)
                log.step(k + 1, batches, best.errors.min(initial=np.inf), simulated)
                log.conclude(errors)
        return best


def _near(best: Candidates, n: int, rng: np.random.Generator) -> np.ndarray:
    """n points around the better half of the best, as widely as these are spread."""
    elite = best.z[:, : max(2, len(best) // 2)]
    width = elite.std(axis=1, keepdims=True)
    chosen = elite[:, rng.integers(elite.shape[1], size=n)]
    return np.clip(chosen + 0.5 * width * rng.standard_normal(chosen.shape), 0, 1)


def _imposed(cell: Cell, trace: Trace, row: Row, dt: float) -> Electrode:
    """What makes a cell follow the sweep that a row was made of."""
    ends = np.r_[0.5 * (row.v[1:] + row.v[:-1]), row.v[-1]]
    repeat = repeated(cell, trace, dt)
    repeat = jax.tree.map(lambda a: a[: ends.size] if jnp.ndim(a) else a, repeat)
    return coupled(cell, repeat._replace(v_cmd=ends), None, dt)


class _Forced:
    """The sweeps imposed on the cell, and the least squares of its linear parameters."""

    def __init__(self, task: Task, dt: float, block: int):
        self.task, self.dt, self.window_ms = task, dt, block * dt
        self.unknowns = _unknowns(task.space)
        if not self.unknowns:
            raise ValueError("regress: no conductance is free")
        columns = tuple(c for u in self.unknowns for c in u.columns)
        self.columns, self.sweeps = columns, []
        self.windows = self.noise = 0.0
        weights = np.ones(len(task.traces)) if task.weights is None else np.asarray(task.weights)
        for trace, weight in zip(task.traces, weights / weights.mean(), strict=True):
            row = rows(trace, dt, block)
            row = row._replace(weight=weight * row.weight)
            self.windows += float(row.weight.sum())
            self.noise += float(row.weight.sum()) * noise_of_rise(trace, dt, block)
            fold = Balance(columns=columns, block=block, data=row)
            with computing(task.precision):
                imposed = _imposed(task.cell, trace, row, dt)
                held = before(task.cell, imposed)
            self.sweeps.append((held, imposed, fold, trace.v_mV[0]))

    def solved(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The points z `[P, n]` with the best linear parameters, and their errors `[n]`, pA."""
        task = self.task
        with computing(task.precision):
            at = jnp.asarray(z)
            place = runner.place_of(task.cell, at)
            each = [
                products(cell, task.space, at, imposed, fold, v, self.dt, place)
                for cell, imposed, fold, v in self.sweeps
            ]
            M = np.sum(on_host(each), axis=0)
        values = task.space.values(z)
        known = {
            k: np.broadcast_to(v, z.shape[1:])
            for k, (v, info) in parameters(task.cell).items()
            if not info.axes
        }
        by, to, low, high = self._posed(known | values)
        M = np.moveaxis(M, -1, 0).copy()
        M[:, -2, -2] = np.maximum(M[:, -2, -2] - self.noise, 0.5 * M[:, -2, -2])
        N = np.einsum("nuq,nqr,nsr->nus", by, M, by)
        r = np.einsum("nuq,nqr,nr->nu", by, M, to)
        x = bounded_minimum(N, r, low, high)
        value = np.einsum("nu,nus,ns->n", x, N, x) - 2 * (x * r).sum(1)
        value += np.einsum("nq,nqr,nr->n", to, M, to)
        error = np.sqrt(np.maximum(value, 0) / self.windows) / self.window_ms / PA
        return task.space.point(values | self._read(x, known | values)), error

    def _posed(self, at: dict[str, np.ndarray]):
        """Of each draw the unknowns and the known side in the terms of the balance; the bounds.

        Where the area is fixed the unknowns are densities, else totals and the area.
        """
        K, n = len(self.columns), at["area"].size
        other, rise, charge = K, K + 1, K + 2
        free = {f.name: f for f in self.task.space.free}
        area = "area" in free
        last = free.get("area") or free.get("C_m")
        by, to = np.zeros((n, K + (last is not None), K + 3)), np.zeros((n, K + 3))
        by[:, np.arange(K), np.arange(K)] = 1.0 if area else at["area"][:, None]
        to[:, charge] = 1.0
        if area:
            by[:, K, other], by[:, K, rise] = 1.0, at["C_m"]
        else:
            to[:, other] = -at["area"]
            if last is None:
                to[:, rise] = -at["area"] * at["C_m"]
            else:
                by[:, K, rise] = at["area"]
        scale = free["area"].high if area else 1.0
        bounds = [(0.0 if area else lo, hi * scale) for u in self.unknowns for lo, hi in u.bounds]
        if last is not None:
            bounds.append((last.low, last.high))
        return by, to, *np.array(bounds).T

    def _read(self, x: np.ndarray, at: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Parameters by name from the unknowns `[n, U]`, within their bounds."""
        found, k = {}, 0
        names = self.task.space.names
        if "area" in names:
            found["area"] = x[:, -1]
        elif "C_m" in names:
            found["C_m"] = x[:, -1]
        area = found.get("area", 1.0)
        for u in self.unknowns:
            parts = x[:, k : k + len(u.columns)].T / area
            g = parts.sum(axis=0)
            found[u.g.name] = np.clip(g, u.g.low, u.g.high)
            if u.E is not None:
                share = np.divide(parts[1], g, out=np.full(g.shape, 0.5), where=g > 0)
                found[u.E.name] = u.E.low + share * (u.E.high - u.E.low)
            k += len(u.columns)
        return found


@dataclass(frozen=True)
class _Unknown:
    """A free conductance, and the reversal potential that is free with it.

    A current g (v - E) with E between two bounds is a sum of two with E at the bounds.
    """

    g: Free
    E: Free | None

    @property
    def columns(self) -> tuple[Column, ...]:
        names = (self.g.name, *self.g.also)
        one = tuple((name, 1.0) for name in names)
        channels = tuple(name.split(".")[0] for name in names)
        if self.E is None:
            return (Column(channels, one),)
        reversals = (self.E.name, *self.E.also)
        ends = (self.E.low, self.E.high)
        return tuple(Column(channels, one + tuple((k, e) for k in reversals)) for e in ends)

    @property
    def bounds(self) -> list[tuple[float, float]]:
        if self.E is None:
            return [(self.g.low, self.g.high)]
        return [(0.0, self.g.high)] * 2


def _unknowns(space: Space) -> list[_Unknown]:
    def channels(f: Free) -> set[str]:
        return {name.split(".")[0] for name in (f.name, *f.also)}

    reversals = [f for f in space.free if f.name.endswith(".E_rev")]
    found = []
    for f in space.free:
        if f.name.split(".")[-1] in CONDUCTANCES:
            own = [e for e in reversals if channels(e) == channels(f)]
            found.append(_Unknown(f, own[0] if own else None))
    return found


def bounded_minimum(N: np.ndarray, r: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """x `[n, U]` that minimises x'Nx - 2 x'r, N `[n, U, U]`, r `[n, U]`, between bounds `[U]`.

    From the middle towards the minimum of what is free. A bound on the way holds its coordinate; at
    the minimum the one that pulls away from its bound most is let go, until none does.
    """
    scale = np.sqrt(np.maximum(np.einsum("nuu->nu", N), np.finfo(float).tiny))
    N = N / scale[:, :, None] / scale[:, None]
    r, low, high = r / scale, low * scale, high * scale
    eye, cells = np.eye(r.shape[1]), np.arange(len(r))
    x, held = 0.5 * (low + high), np.zeros(r.shape, dtype=bool)
    for _ in range(10 * r.shape[1]):
        slope = np.einsum("nus,ns->nu", N, x) - r
        inner = np.where(held[:, :, None] | held[:, None], eye * held[:, None], N + 1e-12 * eye)
        step = np.linalg.solve(inner, np.where(held, 0.0, -slope)[..., None])[..., 0]
        far = np.where(step > 0, high - x, x - low)
        room = np.divide(far, np.abs(step), out=np.full(x.shape, np.inf), where=step != 0)
        part = np.minimum(1.0, room.min(axis=1, keepdims=True))
        stopped = (room <= part) & (part < 1)
        x = np.where(stopped, np.where(step > 0, high, low), np.clip(x + part * step, low, high))
        pull = np.where(held, np.where(x >= high, slope, -slope), 0.0)
        most = pull.argmax(axis=1)
        free = (part[:, 0] == 1) & (pull[cells, most] > 1e-12 * np.abs(r).max(axis=1))
        held |= stopped
        held[cells[free], most[free]] = False
        if not (stopped.any() or free.any()):
            break
    return x / scale
