"""Normal equations of multiple shooting: pieces of a trajectory whose ends are to meet.

Unknown are the parameters p `[P]` of all pieces and the state x_k `[D]` in which each begins. A
piece's residuals touch p and its own x_k; its gap, end_k(p, x_k) - x_k+1, also the next one's. So
the states are eliminated one after the other, and what remains is as small as p.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

RADIUS = 0.4
"""No step of p is longer in any coordinate of the unit box."""


class Flight(NamedTuple):
    """What K simulated pieces of each of n trajectories tell."""

    value: Any  # [n, K] sum of squares
    gradient: Any  # [P + D, n, K] half of it, in p and in the piece's first state
    matrix: Any  # [P + D, P + D, n, K] J'J
    end: Any  # [D, n, K] the last state
    slopes: Any  # [P + D, D, n, K] of the last state


def gaps(flight: Flight, x: jax.Array) -> jax.Array:
    """From the end of each piece to where the next begins, `[D, n, K - 1]`, from x `[D, n, K]`."""
    return flight.end[..., :-1] - x[..., 1:]


@jax.jit
def cost(flight: Flight, x: jax.Array, weights: jax.Array) -> jax.Array:
    """Squares of residuals and of gaps, times their weights `[D, K - 1]`, `[n]`."""
    return flight.value.sum(-1) + jnp.einsum("dnk,dk->n", gaps(flight, x) ** 2, weights)


@jax.jit
def step(flight: Flight, z, x, weights, damping):
    """The damped Gauss-Newton steps `[P, n]` and `[D, n, K]` from z `[P, n]` and x.

    weights: of squared gaps, `[D, K - 1]`; zero where no piece is to be joined, since the next
    one's first state is not free. damping: `[n]`.
    """
    P, D = len(z), len(x)
    Hpp, Hpx, Hxx, above, gp, gx = _normal(flight, x, weights, P)
    Hxx = Hxx * (1 + damping[:, None, None] * jnp.eye(D))
    whole = jnp.diagonal(Hpp, axis1=-2, axis2=-1)

    def eliminate(carry, piece):
        Hpp, gp, *more = carry
        A, B, g = (a + b for a, b in zip(piece[:3], more, strict=True))
        U = piece[3]
        right = jnp.concatenate([_T(B), _T(U), g[..., None]], axis=-1)
        solved = jnp.linalg.solve(A, right)
        to_p, to_x, alone = solved[..., :P], solved[..., P:-1], solved[..., -1]
        Hpp, gp = Hpp - B @ to_p, gp - _times(B, alone)
        return (Hpp, gp, -U @ to_x, -B @ to_x, -_times(U, alone)), (to_p, to_x, alone)

    start = Hpp, gp, *map(jnp.zeros_like, (Hxx[0], Hpx[0], gx[0]))
    pieces = Hxx, Hpx, gx, above
    (Hpp, gp, *_), solved = jax.lax.scan(eliminate, start, pieces, reverse=True)
    dp = _damped(Hpp, gp, whole, z.T, damping)

    def back(dx, solved):
        to_p, to_x, alone = solved
        dx = -(alone + _times(to_p, dp) + _times(to_x, dx))
        return dx, dx

    _, dx = jax.lax.scan(back, jnp.zeros_like(gx[0]), solved)
    dx = jnp.concatenate([jnp.zeros_like(dx[:1]), dx])
    return dp.T, jnp.transpose(dx, (2, 1, 0))


@jax.jit
def led(flight: Flight, z, follows, damping):
    """The step of z `[P, n]` alone, where first states follow it by `[P, D, n, K]`."""
    P = len(z)
    H, g = flight.matrix, flight.gradient
    across = jnp.einsum("pdnk,dqnk->pqnk", follows, H[P:, :P])
    Hpp = H[:P, :P] + across + jnp.swapaxes(across, 0, 1)
    Hpp = Hpp + jnp.einsum("pdnk,denk,qenk->pqnk", follows, H[P:, P:], follows)
    gp = g[:P] + jnp.einsum("pdnk,dnk->pnk", follows, g[P:])
    Hpp, gp = jnp.moveaxis(Hpp.sum(-1), -1, 0), gp.sum(-1).T
    return _damped(Hpp, gp, jnp.diagonal(Hpp, axis1=-2, axis2=-1), z.T, damping).T


def _normal(flight: Flight, x, weights, P: int):
    """Blocks of the whole system; those of states are of pieces 1 to K - 1, `[K - 1, n, ...]`."""
    W = weights.T[:, None, None]  # [K - 1, 1, 1, D]
    E = jnp.transpose(flight.slopes, (3, 2, 0, 1))[:-1]  # [K - 1, n, P + D, D]
    gap = jnp.transpose(gaps(flight, x), (2, 1, 0))[..., None]
    nothing = jnp.zeros((1, *E.shape[1:]))  # the last piece has no gap
    H = jnp.transpose(flight.matrix, (3, 2, 0, 1))
    H = H + jnp.concatenate([(E * W) @ _T(E), nothing @ _T(nothing)])
    g = jnp.transpose(flight.gradient, (2, 1, 0))
    g = g + jnp.concatenate([((E * W) @ gap)[..., 0], nothing[..., 0]])
    Hpx = H[1:, :, :P, P:] - E[:, :, :P] * W
    # States that are not free have no part in anything: the unit matrix leaves them where they are.
    own = jnp.where(weights.T > 0, weights.T, 1.0)[:, None, :, None] * jnp.eye(x.shape[0])
    Hxx = H[1:, :, P:, P:] + own
    gx = g[1:, :, P:] - W[..., 0, :] * gap[..., 0]
    above = jnp.concatenate([nothing[..., P:, :], -(E * W)[1:, :, P:]])
    return H[..., :P, :P].sum(0), Hpx, Hxx, above, g[..., :P].sum(0), gx


def _damped(H, g, whole, z, damping):
    """The step of the parameters `[n, P]`, none beyond a bound; damped by the whole diagonal."""
    held = ((z <= 0) & (g > 0)) | ((z >= 1) & (g < 0))
    H = jnp.where(held[..., None] | held[:, None], 0.0, H)
    floor = 1e-9 * whole.max(-1, keepdims=True) + jnp.finfo(z.dtype).tiny
    scale = jnp.maximum(whole, floor)
    extra = jnp.where(held, scale, damping[:, None] * scale)
    H = H + extra[..., None] * jnp.eye(z.shape[-1])
    dp = -jnp.linalg.solve(H, jnp.where(held, 0.0, g)[..., None])[..., 0]
    longest = jnp.abs(dp).max(-1, keepdims=True)
    dp = dp * jnp.minimum(1.0, RADIUS / jnp.maximum(longest, RADIUS))
    return jnp.where(jnp.isfinite(dp), dp, 0.0)


def _T(a: jax.Array) -> jax.Array:
    return jnp.swapaxes(a, -1, -2)


def _times(a: jax.Array, x: jax.Array) -> jax.Array:
    return (a @ x[..., None])[..., 0]
