"""Fisher information: how sure each parameter is, and which combinations the data leave open."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from neurojax.fit.uncertainty.certificate import Direction
from neurojax.model.space import Free, Space

Z95 = 1.959964
"""Standard deviations to either side that hold 95 % of a normal distribution."""

LOOSE = 0.05
"""Directions open by more than this part of the bounds' distance are reported."""

_NAMED = 0.2  # of the largest weight of a direction: parameters with less are not named in it
_AT_MOST = 3  # parameters are named
_SINGULAR = 1e-13  # eigenvalues of a scaled matrix below this are rounding


def covariance(
    space: Space, z: Float[np.ndarray, " param"], fisher: Float[np.ndarray, "param param"]
) -> Float[np.ndarray, "param param"]:
    """Of the estimates `[P, P]` in the parameters' units, at the point z `[P]` of the box.

    The inverse of the Fisher information `[P, P]` in coordinates of the box: no unbiased estimate
    scatters less (Cramer and Rao). Infinite variance, and NaN beside it, where a parameter leaves
    no mark on the data.
    """
    slope = np.asarray(space.slopes(z), dtype=np.float64)
    return in_box(fisher) * np.outer(slope, slope)


def in_box(fisher: Float[np.ndarray, "param param"]) -> Float[np.ndarray, "param param"]:
    """The covariance `[P, P]` in coordinates of the box; see `covariance`."""
    # In coordinates of unit diagonal the inverse is as well conditioned as it can be.
    scale = np.sqrt(np.diag(fisher))
    seen = scale > 0
    scale = np.where(seen, scale, 1.0)
    values, vectors = np.linalg.eigh(fisher / np.outer(scale, scale) + np.diag(1.0 - seen))
    lost = values < _SINGULAR
    inverse = (vectors / np.where(lost, 1.0, values)) @ vectors.T
    blind = ~seen | (np.abs(vectors[:, lost]) > 1e-3).any(axis=1)
    inverse[blind, :] = inverse[:, blind] = np.nan
    inverse[blind, blind] = np.inf
    return inverse / np.outer(scale, scale)


def regular(fisher: Float[np.ndarray, "param param"]) -> Float[np.ndarray, "param param"]:
    """The covariance `[P, P]` in the box with the bounds as knowledge, so that it is finite.

    Values spread evenly between the bounds have the variance 1/12 of their distance squared.
    """
    return np.linalg.inv(fisher + 12.0 * np.eye(len(fisher)))


def directions(
    space: Space, fisher: Float[np.ndarray, "param param"], loose: float = LOOSE
) -> list[Direction]:
    """Eigenvectors of the Fisher information that the data leave open, widest first.

    Their 95 % limit is `loose` or more to either side of the best point, where 1 is the distance
    between the bounds; undetermined are those whose limits are as far apart as the bounds.

    Source: Gutenkunst et al. 2007, PLoS Comput Biol 3:e189, doi:10.1371/journal.pcbi.0030189.
    """
    found = []
    values, vectors = np.linalg.eigh(fisher)
    for value, vector in zip(values, vectors.T, strict=True):
        largest = int(np.abs(vector).argmax())
        half = Z95 / np.sqrt(max(float(value), np.finfo(float).tiny))
        reach = half * abs(vector[largest])
        if reach < loose:
            break
        vector = vector * np.sign(vector[largest])
        undetermined = bool(2 * reach >= 1)
        named = _named(vector, fisher, float(value))
        sentence = _sentence(space, vector, named, min(reach, 1.0), undetermined)
        found.append(Direction(vector, float(half), undetermined, sentence))
    return found


def _named(vector: np.ndarray, fisher: np.ndarray, value: float) -> list[int]:
    """The parameters that make up a direction, the one that moves farthest first.

    One that moves far, and one that moves little but whose mark on the data undoes that of others:
    of two leaks in parallel the small one is open, and the large one makes up for it.
    """
    far = np.abs(vector) / np.abs(vector).max()
    mark = np.abs(vector) * np.sqrt(np.maximum(np.diag(fisher), 0.0))
    undone = mark.max() > 3 * np.sqrt(max(value, 0.0))
    made_up = undone & (mark > _NAMED * max(mark.max(), np.finfo(float).tiny))
    return [int(k) for k in np.argsort(-far) if far[k] > _NAMED or made_up[k]]


def _sentence(
    space: Space, vector: np.ndarray, named: list[int], reach: float, undetermined: bool
) -> str:
    """A direction in words: which parameter is open, or which undo each other and how."""
    more, named = len(named) > _AT_MOST, named[:_AT_MOST]
    free = [space.free[k] for k in named]
    if len(named) == 1:
        if undetermined:
            return f"{free[0].name} is not determined by these data"
        return f"{free[0].name} is known to {100 * reach:.0f} % of its bounds' distance only"
    step = _round_step(free[0])
    moves = [
        f"{'raising' if vector[k] > 0 else 'lowering'} {f.name} by "
        f"{_amount(f, step * vector[k] / vector[named[0]])}"
        for k, f in zip(named[1:], free[1:], strict=True)
    ]
    names = f"{', '.join(f.name for f in free[:-1])} and {free[-1].name}"
    return (
        f"{names}{', with others,' if more else ''} trade against each other: raising "
        f"{free[0].name} by {_amount(free[0], step)} is undone by {' and '.join(moves)}"
        f"{'; these data do not tell them apart' if undetermined else ''}"
    )


def _round_step(f: Free) -> float:
    """A small step in z that is easy to say: 10 %, or a round part of the bounds' distance."""
    if f.scale == "log":
        return float(np.log(1.1) / np.log(f.high / f.low))
    raw = 0.05 * (f.high - f.low)
    return float(10 ** np.round(np.log10(raw)) / (f.high - f.low))


def _amount(f: Free, step: float) -> str:
    """How far a step in z moves a parameter, without its sign: "10 %", "a factor 4", "0.8 mV"."""
    if f.scale == "log":
        change = step * np.log(f.high / f.low)
        if abs(change) > 1:
            return f"a factor {np.exp(abs(change)):.2g}"
        return f"{100 * abs(np.expm1(change)):.2g} %"
    unit = f" {f.unit}" if f.unit not in ("", "1") else ""
    return f"{abs(step) * (f.high - f.low):.2g}{unit}"
