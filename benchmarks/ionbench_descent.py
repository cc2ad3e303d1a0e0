"""Downhill within linear limits: Levenberg-Marquardt steps that bend as the residuals do.

A valley of curved residuals is long for straight steps. One more solve, a little way along a step,
tells the residuals' second derivative there, and with it the bent step ("geodesic acceleration").
Bounds of parameters and of rates are linear in logarithms: each step is the best within them.

Whole numbers that residuals contain, as the sample on which a peak falls, jump as parameters move,
and every jump is a wall. A step holds them where parameters can leave least of the residuals.

Sources: Transtrum & Sethna 2012, arXiv:1201.5885; Mehrotra 1992, SIAM J Optim 2:575,
doi:10.1137/0802028.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_PROBE = 0.1  # of a step, after which the residuals' bending is read off
_BENT = 0.75  # of a step's length that the bending may add at most
_RADIUS = 0.6  # of the box that no coordinate's step exceeds
_FLOOR = 1e-9  # of the largest diagonal, for the scale of parameters that hardly matter
_MARGIN = 1e-9  # of the box, which rounding does not cross
_TRUST = 1e-4  # residual that is not worth moving a parameter over all its range


class Limits(NamedTuple):
    """normals z <= reach."""

    normals: np.ndarray  # [limit, P]
    reach: np.ndarray  # [limit]


class Step(NamedTuple):
    """One step from a point, and what it took: a Jacobian, and solves at the probe and the end."""

    start: jax.Array  # the sum of squares at the point, whole numbers as they are held
    promise: jax.Array  # gain of the undamped step if the residuals were linear
    expected: jax.Array  # gain of this step if they were
    probe: jax.Array  # [P]
    probed: jax.Array  # value there
    z: jax.Array  # [P]
    value: jax.Array
    held: jax.Array  # value there, whole numbers as they are held


def limits_of(bm: Any, values: Callable) -> Limits:
    """The unit box, and ionBench's bounds of rates where it sets them, of z in `values(z)`."""
    eye = np.eye(bm.n_parameters())
    normals, reach = [eye, -eye], [np.ones(len(eye)), np.zeros(len(eye))]
    if bm.ratesBounded:

        def rates(z):
            p, ends = values(z), (bm.V_HIGH, bm.V_LOW)
            return np.log([max(rate(p, v) for v in ends) for rate in bm._RATE_FUNCTIONS])

        middle = np.full(len(eye), 0.5)
        slopes = 4 * np.stack([rates(middle + e / 4) - rates(middle) for e in eye], axis=1)
        at, size = rates(middle) - slopes @ middle, np.abs(slopes).max(axis=1)
        normals += [slopes / size[:, None], -slopes / size[:, None]]
        reach += [(np.log(bm.RATE_MAX) - at) / size, (at - np.log(bm.RATE_MIN)) / size]
    return Limits(np.concatenate(normals), np.concatenate(reach) - _MARGIN)


def stepper(residuals: Callable, limits: Limits, per: np.ndarray) -> Callable:
    """`(z [n, P], damping [n]) -> Step` of points side by side, for a sum of squared residuals.

    `residuals(z)` are `[R]`, and whole numbers `[W]`; one more of each takes `per` `[R, W]` off.
    """

    def step(z, damping):
        r, push, whole = jax.linearize(residuals, z, has_aux=True)
        J = jax.vmap(push)(jnp.eye(z.size))
        held = whole + _whole(r, J, per)

        def at(z):
            r, whole = residuals(z)
            return r @ r, r + per @ (whole - held)

        r = r + per @ (whole - held)
        g, H = J @ r, J @ J.T

        def promised(s):
            return -(2 * g @ s + s @ H @ s)

        straight = _within(limits, z, g, H, damping)
        probe = z + _PROBE * straight
        probed, there = at(probe)
        bending = 2 / _PROBE * ((there - r) / _PROBE - straight @ J)
        bent = _within(limits, z, g + 0.5 * J @ bending, H, damping)
        scale = _scale(H)
        little = 2 * jnp.linalg.norm(scale * (bent - straight)) < _BENT * jnp.linalg.norm(
            scale * straight
        )
        s = jnp.where(little, bent, straight)
        value, there = at(z + s)
        return Step(
            r @ r, promised(_within(limits, z, g, H, 1e-8)), promised(s),
            probe, probed, z + s, value, there @ there,
        )  # fmt: skip

    return jax.jit(jax.vmap(step))


def _whole(r: jax.Array, J: jax.Array, per: np.ndarray) -> jax.Array:
    """Changes of whole numbers `[W]`, each by one at most, with which a linear move of parameters
    leaves least of the residuals."""
    changes = jnp.asarray(list(product((-1.0, 0.0, 1.0), repeat=per.shape[1])))
    inner = jnp.linalg.inv(J @ J.T + _TRUST**2 * jnp.eye(len(J)))

    def remains(a):
        return a - J.T @ (inner @ (J @ a))

    left = (changes @ (per.T @ remains(per)) * changes).sum(axis=1)
    return changes[jnp.argmin(left - 2 * changes @ (per.T @ remains(r)))]


def _scale(H: jax.Array) -> jax.Array:
    diagonal = jnp.diagonal(H)
    return jnp.sqrt(jnp.maximum(diagonal, _FLOOR * diagonal.max()))


def _within(limits: Limits, z, g, H, damping) -> jax.Array:
    """The damped step `[P]` that is best within the limits."""
    A = H + damping * jnp.diag(_scale(H) ** 2)
    size = jnp.trace(A)
    normals = jnp.asarray(limits.normals)
    reach = jnp.maximum(limits.reach - normals @ z, 0.0)
    s = quadratic(A / size, g / size, normals, reach)
    over = normals @ s
    s = s * jnp.min(jnp.where(over > reach + _MARGIN / 2, reach / jnp.abs(over), 1.0))
    s = s * jnp.minimum(1.0, _RADIUS / jnp.maximum(jnp.abs(s).max(), _MARGIN))
    return jnp.where(jnp.isfinite(s), s, 0.0)


def quadratic(A, g, normals, reach, rounds: int = 20) -> jax.Array:
    """The s `[P]` of least g s + s A s / 2 with normals s <= reach: interior points."""
    size = jnp.maximum(jnp.abs(g).max(), jnp.finfo(g.dtype).tiny)
    start = jnp.zeros_like(g), jnp.maximum(reach, 0.1), jnp.full(reach.shape, size)

    def longest(a, step):
        return jnp.min(jnp.where(step < 0, -a / jnp.where(step < 0, step, -1.0), 1.0), initial=1.0)

    def closer(_, at):
        s, slack, force = at
        missed = A @ s + g + normals.T @ force, normals @ s + slack - reach
        factor = jax.scipy.linalg.cho_factor(A + (normals.T * (force / slack)) @ normals)

        def direction(product):
            pull = (product - force * missed[1]) / slack
            ds = jax.scipy.linalg.cho_solve(factor, normals.T @ pull - missed[0])
            dt = -missed[1] - normals @ ds
            return ds, dt, -(product + force * dt) / slack

        gap = slack @ force
        _, dt, df = direction(slack * force)
        a = jnp.minimum(longest(slack, dt), longest(force, df))
        centre = ((slack + a * dt) @ (force + a * df) / gap) ** 3 * gap / slack.size
        ds, dt, df = direction(slack * force + dt * df - centre)
        a = 0.995 * jnp.minimum(longest(slack, dt), longest(force, df))
        new = s + a * ds, slack + a * dt, force + a * df
        sound = jnp.isfinite(jnp.concatenate(new)).all() & (gap > 1e-16 * size)
        return jax.tree.map(lambda b, c: jnp.where(sound, b, c), new, at)

    return jax.lax.fori_loop(0, rounds, closer, start)[0]
