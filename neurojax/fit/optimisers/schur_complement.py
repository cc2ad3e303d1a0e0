"""Normal equations of many cells that share parameters, solved by the Schur complement.

Each cell's matrix J'J `[P, P]` touches the parameters that are its own and those that all share.
Eliminating the own ones leaves one small system for the shared (the Schur complement, summed over
the cells), after which every cell solves for itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurojax.fit.optimisers.trust_region import shortening


def step(
    H: np.ndarray,  # [P, P, cell]
    g: np.ndarray,  # [P, cell] half the gradient
    shared: np.ndarray,  # [P] bool
    held: np.ndarray,  # [P, cell] bool: by a bound
    own_damping: np.ndarray,  # [cell]
    shared_damping: float,
) -> np.ndarray:
    """The damped Gauss-Newton step `[P, cell]`: what is shared moves alike in all cells."""
    out = np.zeros_like(g)
    A, B, C = _blocks(H, shared, ~held)
    g = np.where(held, 0.0, g)
    A = A * (1 + own_damping[:, None, None] * np.eye(A.shape[-1]))
    rhs = g[~shared].T[..., None]
    if shared.any():
        solved = np.linalg.solve(A, np.concatenate([B, rhs], axis=-1))
        through, own = solved[..., :-1], solved[..., -1:]
        across = np.swapaxes(B, -1, -2)
        schur = (1 + shared_damping * np.eye(len(C))) * C - (across @ through).sum(0)
        by = np.linalg.lstsq(schur, (across @ own).sum(0)[:, 0] - g[shared].sum(1), rcond=1e-14)[0]
        out[shared] = by[:, None]
        out[~shared] = -(own[..., 0] + through @ by).T
    else:
        out[~shared] = -np.linalg.solve(A, rhs)[..., 0].T
    out = np.where(np.isfinite(out), out, 0.0)
    longest = np.abs(out).max(axis=0)
    if shared.any():
        of_shared = np.abs(out[shared]).max()
        out[shared] *= shortening(of_shared)
        longest = np.maximum(longest, of_shared)
    out[~shared] *= shortening(longest)
    return out


class Spread(NamedTuple):
    """The inverse of the whole matrix, in parts."""

    variances: np.ndarray  # [P, cell] its diagonal; infinite where the data say nothing
    shared: np.ndarray  # [r, r] of what is shared
    through: np.ndarray  # [cell, q, r] how far what is own goes when what is shared moves


def spread(H: np.ndarray, shared: np.ndarray, rounding: float = 1e-12) -> Spread:
    """The inverse of the whole matrix of H `[P, P, cell]`.

    `rounding` is the relative error of H: what is determined by less than that becomes very
    uncertain.
    """
    out = np.full((len(shared), H.shape[-1]), np.inf)
    A, B, C = _blocks(H, shared, np.ones_like(H[0], dtype=bool))
    k = np.arange(A.shape[-1])
    A[:, k, k] *= 1 + rounding
    own = np.linalg.inv(A)
    out[~shared] = np.diagonal(own, axis1=-2, axis2=-1).T
    through = own @ B
    inverse = np.zeros_like(C)
    if shared.any():
        C = C + rounding * np.diag(np.diag(C))
        inverse = np.linalg.inv(C - (np.swapaxes(B, -1, -2) @ through).sum(0))
        out[~shared] += np.einsum("cij,jk,cik->ic", through, inverse, through)
        out[shared] = np.diag(inverse)[:, None]
    diagonal = np.einsum("iic->ic", H)
    seen = np.where(shared[:, None], diagonal.sum(1, keepdims=True), diagonal) > 0
    return Spread(np.where(seen & (out > 0), out, np.inf), inverse, -through)


def _blocks(H: np.ndarray, shared: np.ndarray, free: np.ndarray):
    """Own blocks `[cell, q, q]`, own by shared `[cell, q, r]` and the shared block `[r, r]`.

    What is not free is left out: its row is that of the unit matrix, or zero.
    """
    H = np.where(free[:, None] & free[None], H, 0.0)
    own = np.moveaxis(H[~shared][:, ~shared], -1, 0).copy()
    both = np.moveaxis(H[~shared][:, shared], -1, 0)
    of_all = H[shared][:, shared].sum(-1)
    for block in (own, of_all):
        diagonal = np.einsum("...ii->...i", block)  # a view
        floor = 1e-12 * diagonal.max(axis=-1, keepdims=True, initial=0.0)
        diagonal[...] = np.where(diagonal > 0, np.maximum(diagonal, floor), 1.0)
    return own, both, of_all
