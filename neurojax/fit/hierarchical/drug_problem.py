"""The least-squares problem of a drug: many fits at several concentrations, propagated exactly."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.channels import HergBlock
from neurojax.engine import runner
from neurojax.fit.hierarchical.drug_block import Course, Means
from neurojax.fit.precision import computing
from neurojax.membrane.axes import Along
from neurojax.membrane.compartment import Cell
from neurojax.model.space import Space
from neurojax.theory import held_scheme

CHUNK = 64
"""Fits that are computed at once."""

KEY = "kr"
LANE = ("Kmax", "Ku", "Vhalf")
"""Parameters of one fit at one concentration; Kmax is there what binds for each that leaves."""


class Problem:
    """Mean squares of fits `[fit, P]`, their gradient and matrix.

    A concentration is seen by the channel as one number, how many bind for each that leaves: Kmax
    times what is occupied. So a lane, a fit at a concentration, has three parameters.
    """

    def __init__(self, channel: HergBlock, space: Space, course: Course, levels: np.ndarray):
        self.channel, self.space, self.course, self.levels = channel, space, course, levels
        with computing("exact"):
            cell = Cell(channels={KEY: channel})
            self.place = runner.place_of(cell, jnp.zeros(()))
            free = open_at_samples(replace(channel, Kmax=0.0), course, (1,))
            self.control = Along(("record",), np.asarray(free)[:, 0])

    def __call__(self, z: np.ndarray, means: Means) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        at = self._lanes(z)
        value, gradient, matrix = self._run(at, means)
        turn = self._turn(z, at)  # [P, lane parameter, drug, fit]
        gradient = np.einsum("pldf,ldf->fp", turn, gradient)
        matrix = np.einsum("pldf,lmdf,qmdf->fpq", turn, matrix, turn, optimize=True)
        return value.sum(0), gradient, matrix

    def _run(self, at: dict[str, np.ndarray], means: Means) -> list[np.ndarray]:
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
        of_fit = {name: np.broadcast_to(getattr(own, name), filled.shape) for name in LANE[1:]}
        return {LANE[0]: own.Kmax * filled} | of_fit

    def _own(self, z: np.ndarray) -> HergBlock:
        values = self.space.values(z.T)
        return replace(self.channel, **{k.removeprefix(f"{KEY}."): v for k, v in values.items()})

    def _turn(self, z: np.ndarray, at: dict[str, np.ndarray]) -> np.ndarray:
        """How each lane's parameters go with z, `[P, lane parameter, drug, fit]`."""
        own, slopes = self._own(z), self.space.slopes(z.T)
        binding = at[LANE[0]]
        rest = 1 - binding / own.Kmax  # what is not occupied
        relative = {
            "Kmax": 1 / own.Kmax,
            "n": rest * np.log(self.levels)[:, None],
            "halfmax": -rest / own.halfmax,
        }
        turn = np.zeros((len(slopes), len(LANE), *binding.shape))
        for k, name in enumerate(self.space.names):
            name = name.removeprefix(f"{KEY}.")
            if name in relative:
                turn[k, 0] = binding * relative[name] * slopes[k]
            else:
                turn[k, LANE.index(name)] = slopes[k]
        return turn


@partial(jax.jit, static_argnames=("course", "shape"))
def open_at_samples(channel: HergBlock, course: Course, shape: tuple[int, ...]) -> jax.Array:
    """How much is open at every sample of all sweeps, `[record, *shape]`.

    Under a drug that fills all there is to occupy, so that Kmax is what binds for each that leaves.
    """
    everywhere = jnp.asarray(1e30)  # nM

    def doubled(mV: float, times: int) -> jax.Array:
        A = held_scheme.generator(channel, jnp.broadcast_to(mV, shape), drug=everywhere)
        return held_scheme.doublings(held_scheme.propagator(A, course.dt), times)

    rest = doubled(course.holding, course.waiting + course.lead + course.after)
    pulse = doubled(course.pulse, course.last + course.rest)
    before = channel.steady_state(jnp.broadcast_to(course.holding, shape), drug=jnp.zeros(()))
    x = jnp.stack([before[k] for k in channel.states])
    row = jnp.stack([jnp.full(shape, channel.conducting.get(k, 0.0)) for k in channel.states])
    seen = held_scheme.readings(pulse, row, course.first, course.stride, course.samples)

    def sweep(x: jax.Array, _: Any) -> tuple[jax.Array, jax.Array]:
        open_ = held_scheme.applied(seen, x)
        x = held_scheme.repeated(pulse, course.last + course.rest, x)
        return held_scheme.repeated(rest, course.after + course.lead, x), open_

    x = held_scheme.repeated(rest, course.waiting + course.lead, x)
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
            at: dict[str, Any] = dict(zip(LANE, values, strict=True))
            return _residuals(channel, at, course, data)

        values = tuple(theta[name] for name in LANE)

        def slope(direction: jax.Array) -> Any:
            moves = tuple(jnp.full_like(a, d) for a, d in zip(values, direction, strict=True))
            return jax.jvp(residuals, values, moves)

        r, J = jax.vmap(slope, out_axes=(None, 0))(jnp.eye(len(values), dtype=values[0].dtype))
        return (r * r).sum(0), 2 * (J * r).sum(1), jnp.stack([(J * j).sum(1) for j in J])

    things = dict(zip(("means", "weight", "control"), data, strict=True))
    live = 2 * len(channel.states) ** 2 * (1 + len(theta))
    return runner.run_population(program, place, live, channel=channel, theta=theta, **things)


def in_chunks(problem: Problem, z: np.ndarray, means: Means):
    """What the problem makes of points z `[fit, P]`, always as many at once: one program."""
    found = []
    for k in range(0, len(z), CHUNK):
        padded = np.resize(np.arange(k, min(k + CHUNK, len(z))), CHUNK)
        part = Means(*(a[..., padded] for a in means))
        found.append([a[: len(z) - k] for a in problem(z[padded], part)])
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]
