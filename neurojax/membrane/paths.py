"""Where the compartments of a cell are: path distances, branch orders, and places in space."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.core import Tracer
from jaxtyping import Float, Int

from neurojax.membrane.rates import Leaf
from neurojax.membrane.tree import joints
from neurojax.morphology import CENTRE, END, START

SOMA = "soma"

Distances = Float[np.ndarray, "comp *pop"]
"""Path distances of compartments, um."""


class Joint(NamedTuple):
    """A step from one compartment to another over the place at which they meet."""

    start: int
    stop: int
    branches: bool  # whether another one meets them there
    gone: Any  # the way between their centres, um


def _steps(
    parents: Sequence[int], attached: Sequence[float], length: Any, origin: int
) -> list[Joint]:
    """From an origin to all other compartments, each step after that to where it starts."""
    near: defaultdict[int, list[Joint]] = defaultdict(list)
    for centre, ends in joints(parents, attached or (END,) * len(parents)):
        halves = [(k, length[k] / 2) for k, _ in ends]
        meeting = halves if centre is None else [(centre, 0 * length[centre]), *halves]
        branches = len(meeting) > 2 or centre is not None
        for k, of_k in meeting:
            for j, of_j in meeting:
                if j != k:
                    near[k].append(Joint(k, j, branches, of_k + of_j))
    found: list[Joint] = []
    seen, ahead = {origin}, [origin]
    while ahead:
        for step in near[ahead.pop()]:
            if step.stop not in seen:
                seen.add(step.stop)
                ahead.append(step.stop)
                found.append(step)
    return found


def distances(
    parents: Sequence[int], attached: Sequence[float], length: Leaf, origin: int
) -> Distances:
    """The way along the tree from the centre of one compartment to those of all, um."""
    length = np.asarray(length, float)
    length = np.broadcast_to(length, (len(parents), *length.shape[1:]))
    far = np.zeros(length.shape)
    for step in _steps(parents, attached, length, origin):
        far[step.stop] = far[step.start] + step.gone
    return far


def centre_of_soma(
    regions: Sequence[str], parents: Sequence[int], attached: Sequence[float], length: Leaf
) -> int:
    """The compartment of the soma that is nearest to the middle of its longest way.

    The root of a cell without a soma; a population's is that of its first cell.
    """
    there = [k for k, name in enumerate(regions) if name == SOMA]
    if not there:
        return list(parents).index(-1)
    if len(there) == 1:
        return there[0]
    length = np.asarray(length, float)
    length = length if length.ndim < 2 else length[:, 0]

    def far(origin: int) -> np.ndarray:
        return distances(parents, attached, length, origin)[there]

    one = there[int(np.argmax(far(there[0])))]
    other = there[int(np.argmax(far(one)))]
    from_one, from_other = far(one), far(other)
    whole = from_one[there.index(other)]
    aside = from_one + from_other - whole  # of those that are not on the way between the two
    return there[int(np.argmin(np.abs(from_one - whole / 2) + aside))]


def orders(
    parents: Sequence[int], attached: Sequence[float], regions: Sequence[str]
) -> Int[np.ndarray, " comp"]:
    """Of each compartment how many places lie between it and the soma at which the tree branches.

    The soma counts as one of them: it is 0, a dendrite on it 1. A cell without a soma counts from
    its root.
    """
    n = len(parents)
    in_soma = np.array([name == SOMA for name in regions] or [False] * n)
    order = np.zeros(n, int)
    origin = list(regions).index(SOMA) if in_soma.any() else list(parents).index(-1)
    for step in _steps(parents, attached, np.ones(n), origin):
        if not in_soma[step.stop]:
            order[step.stop] = order[step.start] + (step.branches or in_soma[step.start])
    return order


def check_points(points: Any, length: Leaf) -> None:
    """Raise ValueError where start or end are farther from the centre than along the compartment.

    Nearer they are in one that bends. Traced ones are taken as they are.
    """
    if isinstance(points, Tracer) or isinstance(length, Tracer):
        return
    apart = np.linalg.norm(np.diff(np.asarray(points, float), axis=1), axis=-1).max(1)
    lengths = np.atleast_1d(np.asarray(length, float))
    half = np.broadcast_to(lengths.reshape(len(lengths), -1).min(1) / 2, apart.shape)
    off = np.flatnonzero(apart > 1.001 * half + 1e-3)
    if off.size:
        k = int(off[0])
        raise ValueError(
            f"points[{k}]: {apart[k]:g} um from the centre to an end, expected at most half of its "
            f"length, {half[k]:g} um"
        )


def straight(
    parents: Sequence[int], attached: Sequence[float], length: Leaf
) -> Float[np.ndarray, "comp 3 3"]:
    """Start, centre and far end of each compartment, um, of a tree of straight branches in a plane.

    The root lies along x. What hangs on an end shares the angle in which the parent may spread.
    """
    n = len(parents)
    length = np.broadcast_to(np.asarray(length, float), (n,))
    below: defaultdict[tuple[int, float], list[int]] = defaultdict(list)
    for k, p in enumerate(parents):
        below[p, attached[k] if attached else END].append(k)
    root = below[-1, attached[list(parents).index(-1)] if attached else END][0]
    order = [root]
    for k in order:
        order += [j for at in (START, CENTRE, END) for j in below[k, at]]
    leaves = np.ones(n)
    for k in reversed(order):
        on = sum(leaves[j] for at in (START, CENTRE, END) for j in below[k, at])
        leaves[k] = max(on, 1.0)
    xyz = np.zeros((n, 3, 3))
    spread = {root: (-_WIDEST, _WIDEST)}
    for k in order:
        low, high = spread[k]
        way = np.array([np.cos((low + high) / 2), np.sin((low + high) / 2), 0.0])
        xyz[k, 1:] = xyz[k, 0] + np.outer([length[k] / 2, length[k]], way)
        for at, row, turned in ((START, 0, np.pi), (CENTRE, 1, np.pi / 2), (END, 2, 0.0)):
            on = below[k, at]
            parts = np.append(0.0, np.cumsum(leaves[on])) / max(leaves[on].sum(), 1.0)
            for j, a, b in zip(on, parts[:-1], parts[1:], strict=True):
                spread[j] = tuple(turned + low + np.array([a, b]) * (high - low))
                xyz[j, 0] = xyz[k, row]
    return xyz


_WIDEST = np.deg2rad(80.0)
