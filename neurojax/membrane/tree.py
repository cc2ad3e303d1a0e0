"""Compartments in a tree, joined by their axial resistances, and the linear solve of their step.

A compartment has its capacitance in its centre, and from there an axial resistance to its start and
one to its far end. Where two ends meet, their resistances are in series; where more meet, or
something branches off a centre, the joint is a node of its own that has no capacitance. The nodes
make a tree again, which Hines elimination solves from the leaves to the root and back, in as many
operations as there are nodes.

Source: Hines 1984, Int J Biomed Comput 15:69, doi:10.1016/0020-7101(84)90008-4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float, Int

from neurojax.morphology import CENTRE, END, START

Nodes = Float[Array, "node *pop"]
Compartments = Float[Array, "comp *pop"]


class Tree(NamedTuple):
    """Nodes, the compartments first and then the joints, each below its parent.

    A node hangs on its parent by the resistances of those halves of the two of which `own` and
    `parents_own` are 1, the first row that towards the start, the second that towards the far end:
    a joint has none, nor has a centre from which something branches off.
    """

    compartments: int
    root: int
    parent: Int[np.ndarray, " node"]  # the root's is the root itself
    order: Int[np.ndarray, " edge"]  # all nodes but the root, children before their parents
    stands_for: Int[np.ndarray, " node"]  # the compartment near whose potential a node's is
    own: Float[np.ndarray, "half node"]
    parents_own: Float[np.ndarray, "half node"]


_TO_START, _TO_END = 0, 1  # the halves of a compartment

_Edge = tuple[int, int, int | None, int | None]
"""Two nodes, and which half of each lies between them, None for none."""


# -- from who hangs on whom ------------------------------------------------------------------------
@lru_cache(maxsize=256)
def tree(parents: tuple[int, ...], attached: tuple[float, ...] = ()) -> Tree:
    """The tree of compartments of which each hangs on a parent, -1 for the root.

    `attached` says where on the parent each one's start is (default: at its far end). Raises
    ValueError for what is no tree.
    """
    _check(parents, attached)
    n = len(parents)
    edges: list[_Edge] = []
    nodes = n
    for at_centre, ends in joints(parents, attached or (END,) * n):
        if at_centre is not None:
            edges += [(at_centre, k, None, half) for k, half in ends]
        elif len(ends) == 2:
            (a, half_a), (b, half_b) = ends
            edges.append((a, b, half_a, half_b))
        elif len(ends) > 2:
            edges += [(nodes, k, None, half) for k, half in ends]
            nodes += 1
    return _rooted(n, nodes, edges, parents.index(-1))


def _check(parents: tuple[int, ...], attached: tuple[float, ...]) -> None:
    n = len(parents)
    if sum(p == -1 for p in parents) != 1:
        raise ValueError(f"parents: expected one root, -1, in {_some(parents)}")
    for k, p in enumerate(parents):
        if not -1 <= p < n or p == k:
            raise ValueError(f"parents[{k}] = {p}: expected another of {n} compartments, or -1")
    known = {parents.index(-1)}
    for k in range(n):
        path: list[int] = []
        while k not in known and k not in path:
            path.append(k)
            k = parents[k]
        if k not in known:
            raise ValueError(f"parents: {_some(path[path.index(k) :])} hang on each other")
        known.update(path)
    if attached and len(attached) != n:
        raise ValueError(f"attached: {len(attached)} places for {n} compartments")
    for k, at in enumerate(attached):
        if at not in (START, CENTRE, END):
            raise ValueError(f"attached[{k}] = {at}: expected 0 (start), 0.5 or 1 (end)")


def _some(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:8]))
    return f"({shown}{', ...' if len(numbers) > 8 else ''})"


def joints(
    parents: Sequence[int], attached: Sequence[float]
) -> list[tuple[int | None, list[tuple[int, int]]]]:
    """What meets where: one by its centre, if any, and those with an end there and its half."""
    starts: dict[int, tuple[str, int]] = {}

    def start(k: int) -> tuple[str, int]:
        """The place of a compartment's start."""
        path = []
        while k not in starts and parents[k] >= 0 and attached[k] == START:
            path.append(k)
            k = parents[k]
        if k not in starts:
            p = parents[k]
            at_root = ("start", k)
            starts[k] = at_root if p < 0 else ("end" if attached[k] == END else "centre", p)
        starts.update((j, starts[k]) for j in path)
        return starts[k]

    meeting: defaultdict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for k in range(len(parents)):
        meeting[start(k)].append((k, _TO_START))
        meeting["end", k].append((k, _TO_END))
    return [(k if what == "centre" else None, ends) for (what, k), ends in meeting.items()]


def _rooted(n: int, nodes: int, edges: list[_Edge], root: int) -> Tree:
    """The nodes as a tree below the root, by the edges between them."""
    near: defaultdict[int, list[tuple[int, int | None, int | None]]] = defaultdict(list)
    for a, b, half_a, half_b in edges:
        near[a].append((b, half_a, half_b))
        near[b].append((a, half_b, half_a))
    parent, stands_for = np.zeros(nodes, np.int32), np.arange(nodes, dtype=np.int32)
    own, parents_own = np.zeros((2, nodes)), np.zeros((2, nodes))
    parent[root] = root
    found, ahead = [], [root]
    while ahead:  # depth first: a branch stays together
        k = ahead.pop()
        found.append(k)
        for j, half_k, half_j in near[k]:
            if j != parent[k]:
                parent[j] = k
                for row, half, node in ((own, half_j, j), (parents_own, half_k, j)):
                    if half is not None:
                        row[half, node] = 1.0
                if j >= n:
                    stands_for[j] = k
                ahead.append(j)
    order = np.asarray(found[:0:-1], np.int32)
    return Tree(n, root, parent, order, stands_for, own, parents_own)


def conductances(tree: Tree, to_start: Compartments, to_end: Compartments) -> Nodes:
    """Conductance of each node to its parent, mS, 0 of the root.

    From the resistances between the centre of each compartment and its start and far end, kOhm.
    """
    joints = len(tree.parent) - tree.compartments

    def of_nodes(a: np.ndarray) -> jax.Array:
        return jnp.asarray(a, to_start.dtype).reshape(-1, *[1] * (to_start.ndim - 1))

    between = jnp.zeros((len(tree.parent), *to_start.shape[1:]), to_start.dtype)
    for half, own, parents_own in zip((to_start, to_end), tree.own, tree.parents_own, strict=True):
        half = jnp.concatenate([half, jnp.zeros((joints, *half.shape[1:]), half.dtype)])
        between += of_nodes(own) * half + of_nodes(parents_own) * half[tree.parent]
    is_root = of_nodes(np.arange(len(tree.parent)) == tree.root) > 0
    return jnp.where(is_root, 0.0, 1 / jnp.where(is_root, 1.0, between))


# -- the solve -------------------------------------------------------------------------------------
def displacement(
    tree: Tree,
    own: Compartments,
    axial: Nodes,
    i: Compartments,
    v: Compartments,
    again: Any = 0.0,
    weights: tuple[float, ...] = (1.0,),
    part: float = 1.0,
) -> Compartments:
    """How far the potentials go: dv of (own + part L) dv = -i - L v.

    L v are the currents that leave each compartment through the conductances `axial`. All of one
    unit, as mS and uA. With more `weights` it is weights[0] dv + weights[1] dv' + ..., each dv'
    solved from `again` times the one before. Linear in i and v, and differentiated as such: each
    tangent or adjoint is one more solve with the same factors.
    """
    shape = (len(tree.parent), *v.shape[1:])
    joints = jnp.zeros((shape[0] - tree.compartments, *shape[1:]), v.dtype)
    axial = jnp.asarray(axial, v.dtype)

    def with_joints(a: jax.Array) -> jax.Array:
        return jnp.concatenate([a, joints])

    own = with_joints(own)
    factors = _factors(tree, *jax.lax.stop_gradient((own, part * axial)))

    def solve(b: Nodes) -> Nodes:
        return jax.lax.custom_linear_solve(
            lambda x: own * x + part * laplacian(tree, axial, x),
            b,
            lambda _, b: _solved(tree, factors, b),
            symmetric=True,
        )

    # A joint's potential is the one at which nothing is left of its currents. As the equations are
    # linear any v will do for it to start from: that of its parent.
    dv = solve(-laplacian(tree, axial, v[tree.stands_for]) - with_joints(i))[: tree.compartments]
    total = weights[0] * dv
    for weight in weights[1:]:
        dv = solve(with_joints(again * dv))[: tree.compartments]
        total = total + weight * dv
    return total


def laplacian(tree: Tree, axial: Nodes, v: Nodes) -> Nodes:
    """The current that leaves each node through the conductances between them."""
    # A loop, as kernels can run it; a scatter, as its derivatives are as short as itself.

    @jax.custom_jvp
    def leaving(axial: Nodes, v: Nodes) -> Nodes:
        flow = axial * (v - v.at[tree.parent].get(mode="promise_in_bounds"))
        return _with_children(tree, flow, -flow)

    def scattered(axial: Nodes, v: Nodes) -> Nodes:
        flow = axial * (v - v[tree.parent])
        return flow.at[tree.parent].add(-flow, mode="promise_in_bounds")

    @partial(leaving.defjvp, symbolic_zeros=True)
    def _(primals: Any, tangents: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        (axial, v), (d_axial, dv) = primals, tangents
        along = jnp.zeros_like(v)
        if not isinstance(d_axial, SymbolicZero):
            along = along + scattered(d_axial, v)
        if not isinstance(dv, SymbolicZero):
            along = along + scattered(axial, dv)
        return leaving(axial, v), along

    return leaving(axial, jnp.asarray(v))


def outflow(tree: Tree, axial: Nodes, v: Compartments) -> Compartments:
    """The current that leaves each compartment along the tree, where a joint keeps none."""
    n, at = tree.compartments, v[tree.stands_for]
    if len(tree.parent) > n:
        together, left = _with_children(tree, axial, axial), laplacian(tree, axial, at)
        at = jnp.concatenate([v, at[n:] - left[n:] / together[n:]])
    return laplacian(tree, axial, at)[:n]


class _Factors(NamedTuple):
    """What the elimination of a matrix leaves for its right-hand sides."""

    share: Nodes  # what of a node's current goes on to its parent
    per: Nodes  # 1 / (what a node has to ground, and to its parent)


def _factors(tree: Tree, own: Nodes, axial: Nodes) -> _Factors:
    """Eliminates the nodes from the leaves on.

    What a node has to ground is its own and, in series with an axial conductance, what each child
    has: nothing is subtracted, so no digits are lost where the axial conductances are large.
    """

    def eliminate(j: jax.Array, p: jax.Array, carry: Any) -> Any:
        ground, share, per = carry
        to_parent, to_ground = _row(axial, j), _row(ground, j)
        one = 1 / (to_parent + to_ground)
        part = to_parent * one
        ground = _put(ground, _row(ground, p) + part * to_ground, p)
        return ground, _put(share, part, j), _put(per, one, j)

    zeros = jnp.zeros_like(own)
    ground, share, per = _over(tree, tree.order, eliminate, (own, zeros, zeros))
    return _Factors(share, _put(per, 1 / ground[tree.root], tree.root))


def _solved(tree: Tree, factors: _Factors, b: Nodes) -> Nodes:
    """The solution for one right-hand side: currents go to the root, potentials come back."""

    def down(j: jax.Array, p: jax.Array, b: jax.Array) -> jax.Array:
        return _put(b, _row(b, p) + _row(factors.share, j) * _row(b, j), p)

    def up(j: jax.Array, p: jax.Array, x: jax.Array) -> jax.Array:
        own = _row(x, j) * _row(factors.per, j)
        return _put(x, own + _row(factors.share, j) * _row(x, p), j)

    b = _over(tree, tree.order, down, b)
    root = b[tree.root] * factors.per[tree.root]
    return _over(tree, tree.order[::-1], up, _put(b, root, tree.root))


def _with_children(tree: Tree, own: Nodes, of_children: Nodes) -> Nodes:
    """What each node has of its own, and what all its children have."""

    def added(j: jax.Array, p: jax.Array, total: jax.Array) -> jax.Array:
        return _put(total, _row(total, p) + _row(of_children, j), p)

    return _over(tree, tree.order, added, own)


def _over(tree: Tree, order: np.ndarray, f: Callable[..., Any], carry: Any) -> Any:
    """f(node, its parent, carry) for some nodes, one after the other.

    An f that changes two rows of an array would have it copied by XLA.
    """
    # What is unsigned needs no care for counting from the end.
    edges = [jnp.asarray(x, jnp.uint32) for x in (order, tree.parent[order])]
    return jax.lax.scan(lambda carry, edge: (f(*edge, carry), None), carry, edges)[0]


def _row(a: jax.Array, k: Any) -> jax.Array:
    return jax.lax.dynamic_index_in_dim(a, k, 0, keepdims=False)


def _put(a: jax.Array, row: jax.Array, k: Any) -> jax.Array:
    return jax.lax.dynamic_update_index_in_dim(a, row, k, 0)
