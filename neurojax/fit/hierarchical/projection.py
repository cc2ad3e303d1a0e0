"""Cells that differ in conductances alone, under an ideal voltage clamp: one simulation for all.

Where the potential is imposed, gates do not know of conductances. The kinetics that cells share
are then simulated once for each command, whatever the number of cells, and a cell's current is a
sum of currents at unit conductance, times its own conductances: linear least squares, in closed
form for any kinetics (variable projection).

Source: Golub & Pereyra 1973, SIAM J Numer Anal 10:413, doi:10.1137/0710036.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine import prefix, scan
from neurojax.engine.program import Gradient
from neurojax.fit.hierarchical.recordings import Plate
from neurojax.fit.holding import begin
from neurojax.fit.precision import Precision, computing
from neurojax.fit.stages.regress import CONDUCTANCES, bounded_minimum
from neurojax.loss import Sweep
from neurojax.membrane.axes import arrays
from neurojax.membrane.compartment import Cell, State, channel_current
from neurojax.membrane.electrode import is_ideal_clamp
from neurojax.membrane.pipette import before
from neurojax.model.space import Space
from neurojax.units import PA


def owned_channels(space: Space, shared: np.ndarray) -> list[tuple[str, ...]] | None:
    """The channels of each conductance that is a cell's own; None where something else is, too."""
    found = []
    for f, one in zip(space.free, shared, strict=True):
        if one:
            continue
        paths = [name.rpartition(".") for name in (f.name, *f.also)]
        if any(last not in CONDUCTANCES for _, _, last in paths):
            return None
        found.append(tuple(channel for channel, _, _ in paths))
    return found


def applies(plate: Plate, shared: np.ndarray) -> bool:
    """Whether all cells of a plate can share one simulation of each command."""
    if plate.clamp != "voltage" or not owned_channels(plate.space, shared):
        return False
    if any(array.pop for array in arrays(plate.cell)):  # a known value of each cell
        return False
    try:
        for sweep in plate.sweeps:
            prefix.check(plate.cell, sweep.electrode)
    except ValueError:
        return False
    return all(is_ideal_clamp(s.electrode) for s in plate.sweeps)


class Products(NamedTuple):
    """What the sweeps of all cells say of the signals of one simulation, weighted."""

    signals: np.ndarray  # [signal, signal, cell] of signals with each other
    data: np.ndarray  # [signal, cell] with the data
    square: np.ndarray  # [cell] of the data with themselves


@dataclass
class _Command:
    """Sweeps of one command and one mask, of any cells."""

    sweep: Sweep
    weight: np.ndarray  # [record]
    data: np.ndarray  # [record, sweep] weighted
    owner: np.ndarray  # [sweep] the cell


class Projection:
    """The cells of a plate as functions of what they share, `[P]` points of all free parameters."""

    def __init__(self, plate: Plate, shared: np.ndarray):
        self.plate, self.shared = plate, shared
        self.space: Space = plate.space
        self.precision: Precision = plate.precision
        self.channels = owned_channels(plate.space, shared) or []
        self.own = np.flatnonzero(~shared)
        held = {name for group in self.channels for name in group}
        self.rest = any(c.ionic for k, c in plate.cell.channels.items() if k not in held)
        self.sweeps = plate.sweeps
        self.commands = _grouped(plate)
        self.square = np.zeros(plate.cells)
        for command in self.commands:
            np.add.at(self.square, command.owner, (command.data**2).sum(0))

    # -- the simulation ----------------------------------------------------------------------------
    @property
    def parts(self) -> int:
        """Currents that add up to a cell's: one for each own conductance, and that of the rest."""
        return len(self.own) + self.rest

    def products(self, z: np.ndarray) -> list[Products]:
        """Of each point z `[P, n]`; what is a cell's own in it is not looked at."""
        plate = self.plate
        names = tuple(plate.space.names[k] for k in self.own)
        count = self.parts * (1 + int(self.shared.sum()))
        found = [
            Products(
                np.zeros((count, count, plate.cells)), np.zeros((count, plate.cells)), self.square
            )
            for _ in range(z.shape[1])
        ]
        for command in self.commands:
            with computing(plate.precision):
                signals = _signals(
                    before(plate.cell, command.sweep.electrode), plate.space, jnp.asarray(z),
                    command.sweep._replace(error=None), plate.dt, every=plate.every, names=names,
                    channels=tuple(self.channels), rest=self.rest, shared=tuple(self.shared),
                )  # fmt: skip
            signals = np.asarray(signals)
            for k, of in enumerate(found):
                weighted = signals[..., k].astype(np.float64) * command.weight[:, None]
                alike = weighted.T @ weighted
                np.add.at(np.moveaxis(of.signals, -1, 0), command.owner, alike)
                np.add.at(of.data.T, command.owner, (weighted.T @ command.data).T)
        return found

    # -- cells -------------------------------------------------------------------------------------
    def best_own(self, z: np.ndarray, of: Products) -> np.ndarray:
        """The point z `[P, cell]` with the best conductances of each cell, within their bounds."""
        n = len(self.own)
        N = np.moveaxis(of.signals[:n, :n], -1, 0)
        r = of.data[:n] - (of.signals[:n, n] if self.rest else 0.0)
        low, high = np.array(
            [(self.space.free[k].low, self.space.free[k].high) for k in self.own]
        ).T
        x = bounded_minimum(N, r.T, low, high)
        values = {name: v.copy() for name, v in self.space.values(z).items()}
        for j, k in enumerate(self.own):
            values[self.space.names[k]] = x[:, j]
        point = self.space.point(values)
        return np.where(self.shared[:, None], z, point)

    def with_own(self, z: np.ndarray) -> np.ndarray:
        """The point z `[P, 1]` as that of every cell, `[P, cell]`, each with its conductances."""
        (of,) = self.products(z)
        return self.best_own(np.repeat(z, self.plate.cells, axis=1), of)

    def without_kinetics(self) -> np.ndarray:
        """The best point `[P, cell]` where nothing is shared."""
        return self.with_own(np.full((len(self.space), 1), 0.5))

    def at(self, z: np.ndarray, of: Products) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean squares `[cell]`, gradient and matrix at z `[P, cell]`, alike in what is shared."""
        n, parts, P = len(self.own), self.parts, len(self.space)
        values, slopes = self.space.values(z), self.space.slopes(z)
        size = np.ones((parts, z.shape[1]))  # how much of each part a cell has
        size[:n] = [values[self.space.names[k]] for k in self.own]
        whole = np.zeros((len(of.data), z.shape[1]))
        whole[:parts] = size
        columns = np.zeros((P, *whole.shape))
        for j, k in enumerate(self.own):
            columns[k, j] = slopes[k]
        for j, k in enumerate(np.flatnonzero(self.shared)):
            columns[k, parts * (1 + j) : parts * (2 + j)] = size
        open_ = np.einsum("stc,tc->sc", of.signals, whole) - of.data
        value = (whole * (open_ - of.data)).sum(0) + of.square
        gradient = 2 * np.einsum("psc,sc->pc", columns, open_)
        matrix = np.einsum("psc,stc,qtc->pqc", columns, of.signals, columns, optimize=True)
        return np.maximum(value, 0.0), gradient, matrix

    def look(self, trials: Sequence[np.ndarray], couplings: Sequence[float], width: int):
        """As `Lanes.look`: of points `[P, cell]` that are alike in what is shared."""
        z = np.stack([t[:, 0] for t in trials], axis=1)
        z = z[:, np.arange(width) % len(trials)]
        return [self.at(t, of) for t, of in zip(trials, self.products(z), strict=False)]


@dataclass(frozen=True)
class Kinetics:
    """What all cells share as a problem of its own: every cell has the best own conductances.

    The value is the geometric mean over the cells of their mean squares, which is the likelihood
    where each has noise of an unknown size: no cell counts more for being large or noisy, and one
    that is broken hardly counts.
    """

    of: Projection

    @property
    def sweeps(self) -> Sequence[Any]:
        return self.of.commands

    @property
    def precision(self) -> Precision:
        return self.of.precision

    def error(self, value: Any) -> Any:
        return np.sqrt(value)

    def __call__(self, z: np.ndarray, coupling: Any = 0.0) -> Gradient:
        """The value `[n]` at points z `[shared, n]`, its gradient and Gauss-Newton matrix."""
        found = [
            self._one(*pair) for pair in zip(z.T, self.of.products(self.points(z)), strict=True)
        ]
        value, gradient, matrix = zip(*found, strict=True)
        return Gradient(np.array(value), np.stack(gradient, -1), np.stack(matrix, -1))

    def points(self, z: np.ndarray) -> np.ndarray:
        """Points of all free parameters `[P, n]`; what is a cell's own is at its middle."""
        whole = np.full((len(self.of.space), z.shape[1]), 0.5)
        whole[self.of.shared] = z
        return whole

    def _one(self, z: np.ndarray, of: Products) -> tuple[float, np.ndarray, np.ndarray]:
        shared, cells = self.of.shared, self.of.plate.cells
        at = self.of.best_own(np.repeat(self.points(z[:, None]), cells, axis=1), of)
        value, gradient, matrix = self.of.at(at, of)
        floor = self.of.plate.least_noise**2
        value = np.where(np.isfinite(value), np.maximum(value, floor), np.inf)
        H = np.moveaxis(matrix, -1, 0)
        inner, across = H[:, ~shared][:, :, ~shared], H[:, ~shared][:, :, shared]
        k = np.arange(inner.shape[-1])
        inner[:, k, k] = np.where(inner[:, k, k] > 0, inner[:, k, k] * (1 + 1e-9), 1.0)
        left = H[:, shared][:, :, shared] - np.swapaxes(across, 1, 2) @ np.linalg.solve(
            inner, across
        )
        weight = 1 / value
        typical = float(np.exp(np.mean(np.log(value))))
        return (
            typical,
            typical * (gradient[shared] * weight).mean(1),
            typical * (left * weight[:, None, None]).mean(0),
        )


def _grouped(plate: Plate) -> list[_Command]:
    """The sweeps of all cells by command, first potential and mask."""
    groups: dict[Any, list[int]] = {}
    for k, s in enumerate(plate.sweeps):
        weight = np.asarray(s.error.data.weight)
        key = (
            np.asarray(s.electrode.v_cmd).tobytes(), float(s.v_start),
            np.asarray(weight, np.float32).tobytes(),
        )  # fmt: skip
        groups.setdefault(key, []).append(k)
    made = []
    for members in groups.values():
        sweep = plate.sweeps[members[0]]
        weight = np.asarray(sweep.error.data.weight, dtype=np.float64)
        data = np.stack([np.asarray(plate.sweeps[k].error.data.data) for k in members], axis=1)
        data = data.astype(np.float64) * weight[:, None]
        made.append(_Command(sweep, weight, data, plate.owner[members]))
    return made


@partial(jax.jit, static_argnames=("space", "every", "names", "channels", "rest", "shared"))
def _signals(
    cell: Cell,
    space: Space,
    z: Any,
    sweep: Sweep,
    dt: Any,
    *,
    every: int,
    names: tuple[str, ...],
    channels: tuple[tuple[str, ...], ...],
    rest: bool,
    shared: tuple[bool, ...],
) -> jax.Array:
    """Currents at unit conductance, pA, and their slopes in what is shared: [record, signal, n].

    First the parts, then those of the first shared parameter, and so on.
    """
    owned = {name for group in channels for name in group}

    def observe(cell: Cell, s: State) -> jax.Array:
        def current(key: str) -> jax.Array:
            return channel_current(cell, key, s.v, s.x[key], s.c) * (cell.area / PA)

        parts = [sum(map(current, group)) for group in channels]
        if rest:
            others = (k for k, c in cell.channels.items() if c.ionic and k not in owned)
            parts.append(sum(map(current, others)))
        return jnp.stack(parts)

    def run(z: jax.Array) -> jax.Array:
        theta = space.values(z)
        theta |= {name: jnp.ones_like(theta[name]) for name in names}
        at, s = begin(space.apply(cell, theta), sweep.v_start, None, jnp.shape(z)[1:])
        return scan.run(at, s, sweep.electrode, dt, observe, every)[1]

    def slope(direction: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(run, (z,), (jnp.broadcast_to(direction[:, None], z.shape),))

    if not any(shared):
        return run(z)
    directions = jnp.eye(len(shared), dtype=z.dtype)[np.flatnonzero(shared)]
    values, slopes = jax.vmap(slope, out_axes=(None, 1))(directions)
    # [record, shared, part, n] to signals one after the other.
    return jnp.concatenate([values, slopes.reshape(len(slopes), -1, z.shape[1])], axis=1)
