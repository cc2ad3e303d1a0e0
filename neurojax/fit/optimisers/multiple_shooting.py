"""Multiple shooting: the normal equations of pieces of a trajectory whose ends are to meet.

Unknown are the parameters p `[P]` of all pieces and the state x_k `[D]` in which each begins. A
piece's residuals depend on p and its own x_k; its gap, end_k(p, x_k) - x_k+1, also on the next
one's. So the states are eliminated one after the other, and what remains is as small as p. The
linear algebra is NumPy's, of n trajectories of K pieces at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from neurojax.fit.optimisers.trust_region import RADIUS, at_bound, next_damping, shortening, solve

SHRINK = 0.3
"""By what the damping is multiplied after a better point. It begins at 1, and pieces are nearly
convex: bolder than where a whole trajectory is fitted. Of 32 random starts of an axon, 12
iterations brought 25 within 0.02 mV of the data, and 17 with the 0.4 of others; 30 brought all."""


class Pieces(NamedTuple):
    """What the simulated pieces of trajectories gave; U = P + D, the parameters and first state."""

    value: Any  # [n, K] sum of squares
    gradient: Any  # [n, K, U] half of it
    matrix: Any  # [n, K, U, U] J'J
    end: Any  # [n, K, D] the last state
    slopes: Any  # [n, K, U, D] of the last state


class Found(NamedTuple):
    """Pieces that began in the states x `[n, K, D]`, and the weights of their gaps."""

    value: Any  # [n] squares of residuals, and of gaps times their weights
    pieces: Pieces
    weights: Any  # [n, K - 1, D] of squared gaps; zero where the next first state is not free


class ShootingState(NamedTuple):
    """The best points with what was found there, the damping, and how the steps went."""

    u: Any  # [n, P + K D] parameters, then first states
    found: Found
    damping: Any  # [n]
    rejected: Any  # [n] steps to a point that was worse, or not finite
    clipped: Any  # [n] steps cut short at the trust region


@dataclass(frozen=True)
class Shooting:
    """Damped Gauss-Newton steps in the parameters and first states; see `descent.Steps`."""

    parameters: int
    low: np.ndarray  # [D] bounds of a state
    high: np.ndarray

    def split(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Parameters `[n, P]` and first states `[n, K, D]` of u `[n, P + K D]`."""
        P = self.parameters
        return u[:, :P], u[:, P:].reshape(len(u), -1, self.low.size)

    def begin(self, z: np.ndarray) -> ShootingState:
        """The state of points z `[P + K D, n]` that have found nothing yet."""
        u = z.T
        n, P = len(u), self.parameters
        K, D = self.split(u)[1].shape[1:]
        shapes = (n, K), (n, K, P + D), (n, K, P + D, P + D), (n, K, D), (n, K, P + D, D)
        nothing = Found(np.full(n, np.inf), Pieces(*map(np.zeros, shapes)), np.zeros((n, K - 1, D)))
        counts = np.zeros(n, dtype=np.int32)
        return ShootingState(u, nothing, np.ones(n), counts, counts)

    def move(self, state: ShootingState, z: np.ndarray, found: Found) -> tuple[np.ndarray, Any]:
        """Where to look next, `[P + K D, n]`: from the better of the last two points."""
        better = found.value < state.found.value  # False for NaN

        def taken(new: Any, old: Any) -> Any:
            return np.where(better.reshape(-1, *[1] * (np.ndim(new) - 1)), new, old)

        u, kept = taken(z.T, state.u), Found(
            taken(found.value, state.found.value),
            Pieces(*map(taken, found.pieces, state.found.pieces)),
            taken(found.weights, state.found.weights),
        )  # fmt: skip
        damping = next_damping(state.damping, better, SHRINK)
        p, x = self.split(u)
        with np.errstate(all="ignore"):  # of trajectories that are lost
            dp, dx, clipped = step(kept.pieces, p, x, kept.weights, damping)
        p = np.clip(p + dp, 0.0, 1.0)
        x = np.clip(x + dx, self.low, self.high)
        counts = state.rejected + ~better, state.clipped + clipped
        onward = np.concatenate([p, x.reshape(len(u), -1)], axis=1)
        return onward.T, ShootingState(u, kept, damping, *counts)


def gaps(pieces: Pieces, x: np.ndarray) -> np.ndarray:
    """From the end of each piece to where the next begins, `[n, K - 1, D]`, from x `[n, K, D]`."""
    return pieces.end[:, :-1] - x[:, 1:]


def found(pieces: Pieces, x: np.ndarray, weights: np.ndarray) -> Found:
    """Pieces that began in the states x `[n, K, D]`, with their sum of squares."""
    gap = (gaps(pieces, x) ** 2 * weights).sum((-2, -1))
    return Found(pieces.value.sum(-1) + gap, pieces, weights)


def step(
    pieces: Pieces, p: np.ndarray, x: np.ndarray, weights: np.ndarray, damping: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The damped Gauss-Newton steps `[n, P]` and `[n, K, D]`; and whether they were cut short."""
    P, D = p.shape[-1], x.shape[-1]
    Hpp, gp, Hpx, Hxx, above, gx = _normal(pieces, x, weights, P)
    Hxx = Hxx * (1 + damping[:, None, None, None] * np.eye(D))
    whole = np.diagonal(Hpp, axis1=-2, axis2=-1)
    A = B = g = 0.0
    eliminated = []
    for k in reversed(range(Hxx.shape[1])):
        A, B, g, U = Hxx[:, k] + A, Hpx[:, k] + B, gx[:, k, :, None] + g, above[:, k]
        solved = solve(A, np.concatenate([_T(B), _T(U), g], axis=-1))
        to_p, to_x, alone = solved[..., :P], solved[..., P:-1], solved[..., -1:]
        Hpp, gp = Hpp - B @ to_p, gp - (B @ alone)[..., 0]
        A, B, g = -U @ to_x, -B @ to_x, -U @ alone
        eliminated.append((to_p, to_x, alone))
    dp, clipped = _damped(Hpp, gp, whole, p, damping)
    dx = [np.zeros((len(p), D, 1))]
    for to_p, to_x, alone in reversed(eliminated):
        dx.append(-(alone + to_p @ dp[..., None] + to_x @ dx[-1]))
    return dp, np.stack(dx, axis=1)[..., 0], clipped


def following(pieces: Pieces, follows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half the gradient `[n, P]` and J'J `[n, P, P]` where first states follow the parameters.

    follows: their slopes `[n, K, P, D]`.
    """
    P = follows.shape[-2]
    H, g = pieces.matrix, pieces.gradient
    across = follows @ H[..., P:, :P]
    Hpp = H[..., :P, :P] + across + _T(across) + follows @ H[..., P:, P:] @ _T(follows)
    gp = g[..., :P] + (follows @ g[..., P:, None])[..., 0]
    return gp.sum(1), Hpp.sum(1)


def _normal(pieces: Pieces, x: np.ndarray, weights: np.ndarray, P: int) -> tuple[Any, ...]:
    """Blocks of the whole system; those of states are of pieces 1 to K - 1, `[n, K - 1, ...]`."""
    W, E = weights[:, :, None], pieces.slopes[:, :-1]
    gap = gaps(pieces, x)
    H, g = pieces.matrix.copy(), pieces.gradient.copy()
    H[:, :-1] += (E * W) @ _T(E)
    g[:, :-1] += ((E * W) @ gap[..., None])[..., 0]
    Hpx = H[:, 1:, :P, P:] - E[:, :, :P] * W
    # States that are not free have no part in anything: the unit matrix leaves them where they are.
    own = np.where(weights > 0, weights, 1.0)[..., None] * np.eye(x.shape[-1])
    Hxx = H[:, 1:, P:, P:] + own
    gx = g[:, 1:, P:] - weights * gap
    above = -(E * W)[:, :, P:]
    above = np.concatenate([np.zeros_like(above[:, :1]), above[:, 1:]], axis=1)
    return H[..., :P, :P].sum(1), g[..., :P].sum(1), Hpx, Hxx, above, gx


def _damped(
    H: np.ndarray, g: np.ndarray, whole: np.ndarray, p: np.ndarray, damping: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The step of the parameters `[n, P]`, none beyond a bound; damped by the whole diagonal."""
    held = at_bound(p, g)
    H = np.where(held[..., None] | held[:, None], 0.0, H)
    floor = 1e-9 * whole.max(-1, keepdims=True) + np.finfo(float).tiny
    scale = np.maximum(whole, floor)
    extra = np.where(held, scale, damping[:, None] * scale)
    H = H + extra[..., None] * np.eye(p.shape[-1])
    dp = -solve(H, np.where(held, 0.0, g)[..., None])[..., 0]
    longest = np.abs(dp).max(-1, keepdims=True)
    dp = dp * shortening(longest)
    return np.where(np.isfinite(dp), dp, 0.0), longest[:, 0] > RADIUS


def _T(a: np.ndarray) -> np.ndarray:
    return np.swapaxes(a, -1, -2)
