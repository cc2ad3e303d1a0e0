"""The tree of compartments: who hangs on whom, and its solve against a dense one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.membrane.tree import CENTRE, END, START, conductances, displacement, laplacian, tree

# A root with branches at both ends and its centre, three of them on one joint, and chains.
PARENTS = (-1, 0, 0, 0, 1, 1, 4, 4, 6, 2, 9, 8)
ATTACHED = (END, END, START, CENTRE, END, END, END, END, END, END, START, END)
N = len(PARENTS)


def ends(k):
    """The points of a compartment: its start, its centre, its far end."""
    if PARENTS[k] < 0:
        return ("start", k), k, ("end", k)
    of_parent = ends(PARENTS[k])
    return of_parent[{START: 0, CENTRE: 1, END: 2}[ATTACHED[k]]], k, ("end", k)


def dense_laplacian(half):
    """Every point of every compartment is a node of a resistor network; the joints are eliminated.

    Independent of the code: no joint is left out, and free ends are nodes too.
    """
    points = list(dict.fromkeys([*range(N), *(p for k in range(N) for p in ends(k))]))
    L = np.zeros((len(points), len(points)))
    for k in range(N):
        start, centre, end = (points.index(p) for p in ends(k))
        for a, r in zip((start, end), half[:, k], strict=True):
            L[np.ix_([a, centre], [a, centre])] += np.array([[1, -1], [-1, 1]]) / r
    A, B, C = L[:N, :N], L[:N, N:], L[N:, N:]
    return A - B @ np.linalg.solve(C, B.T)


def numbers(seed=0, pop=3):
    rng = np.random.default_rng(seed)
    own, i, v = rng.uniform(0.5, 2, (3, N, pop))
    return own, rng.uniform(0.2, 5, (2, N, pop)), i, v


def solved(of, own, half, i, v, part=0.5):
    own, half, i, v = (jnp.asarray(a) for a in (own, half, i, v))

    def f(own, half, i, v):
        return displacement(of, own, conductances(of, *half), i, v, part=part)

    return jax.jit(f)(own, half, i, v)


def test_the_solve_is_that_of_the_resistor_network(x64):
    own, half, i, v = numbers()
    dv = solved(tree(PARENTS, ATTACHED), own, half, i, v)
    for cell in range(v.shape[1]):
        L = dense_laplacian(half[..., cell])
        M = np.diag(own[:, cell]) + 0.5 * L
        expected = np.linalg.solve(M, -i[:, cell] - L @ v[:, cell])
        np.testing.assert_allclose(dv[:, cell], expected, rtol=1e-12)


def test_a_second_solve_has_the_same_matrix(x64):
    own, half, i, v = (a[..., 0] for a in numbers())
    L = dense_laplacian(half)
    of, M = tree(PARENTS, ATTACHED), np.diag(own) + 0.3 * L
    first = np.linalg.solve(M, -i - L @ v)
    second = np.linalg.solve(M, 2 * own * first)
    axial = conductances(of, *jnp.asarray(half))
    dv = displacement(of, *map(jnp.asarray, (own, axial, i, v, 2 * own)), (0.2, 0.8), 0.3)
    np.testing.assert_allclose(dv, 0.2 * first + 0.8 * second, rtol=1e-12)


def test_no_digits_are_lost_where_axial_conductances_are_large():
    own, half, i, v = numbers()
    of = tree(PARENTS, ATTACHED)
    v = v[:1] + 0 * v
    with jax.enable_x64(True):
        exact = solved(of, own, 1e-6 * half, i, v)
    single = solved(of, *(np.float32(a) for a in (own, 1e-6 * half, i, v)))
    np.testing.assert_allclose(single, exact, rtol=2e-6)


def test_without_axial_conductance_compartments_are_alone(x64):
    own, _, i, v = numbers()
    of = tree((-1, *range(N - 1)))
    none = jnp.zeros((N, 1))
    np.testing.assert_array_equal(displacement(of, own, none, i, v, part=0.5), -i * (1 / own))


def test_no_current_is_lost_in_the_joints(x64):
    _, half, _, v = numbers()
    of = tree(PARENTS, ATTACHED)
    leaving = laplacian(of, conductances(of, *jnp.asarray(half)), jnp.asarray(v)[of.stands_for])
    np.testing.assert_allclose(leaving.sum(0), 0.0, atol=1e-13)


@pytest.mark.parametrize("seed", [1, 2])
def test_any_order_of_the_compartments_gives_the_same(seed, x64):
    own, half, i, v = numbers()
    new = np.random.default_rng(seed).permutation(N)  # compartment k becomes new[k]
    old = np.argsort(new)
    parents = tuple(-1 if PARENTS[k] < 0 else int(new[PARENTS[k]]) for k in old)
    shuffled = tree(parents, tuple(ATTACHED[k] for k in old))
    dv = solved(tree(PARENTS, ATTACHED), own, half, i, v)
    there = solved(shuffled, own[old], half[:, old], i[old], v[old])
    np.testing.assert_allclose(there, dv[old], rtol=1e-13)


def test_a_straight_cable_may_hang_on_any_of_its_compartments(x64):
    own, half, i, v = numbers()
    chain = solved(tree((-1, *range(N - 1))), own, half, i, v)
    reversed_ = solved(tree((*range(1, N), -1)), own, half[::-1], i, v)
    middle = 5
    turned = half.copy()
    turned[:, :middle] = half[::-1, :middle]
    parents = tuple(k + 1 if k < middle else -1 if k == middle else k - 1 for k in range(N))
    attached = tuple(START if k == middle - 1 else END for k in range(N))
    rooted = solved(tree(parents, attached), own, turned, i, v)
    np.testing.assert_allclose(reversed_, chain, rtol=1e-13)
    np.testing.assert_allclose(rooted, chain, rtol=1e-13)


def test_derivatives_are_those_of_the_dense_solve(x64):
    own, half, i, v = (jnp.asarray(a[..., 0]) for a in numbers())
    of = tree(PARENTS, ATTACHED)

    def by_tree(own, axial, i, v):
        return displacement(of, own, axial, i, v, part=0.5)

    axial = conductances(of, *half)

    def dense(own, axial, i, v):
        L = jax.jacobian(lambda v: laplacian(of, axial, v))(jnp.zeros(len(of.parent)))
        zeros = jnp.zeros(len(of.parent) - N)
        M = jnp.diag(jnp.concatenate([own, zeros])) + 0.5 * L
        b = -jnp.concatenate([i, zeros]) - L @ v[of.stands_for]
        return jnp.linalg.solve(M, b)[:N]

    for mode in (jax.jacfwd, jax.jacrev):
        found = jax.jit(mode(by_tree, (0, 1, 2, 3)))(own, axial, i, v)
        wanted = jax.jit(mode(dense, (0, 1, 2, 3)))(own, axial, i, v)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("parents", "attached", "message"),
    [
        ((0, 0), (), "one root"),
        ((-1, -1), (), "one root"),
        ((-1, 2, 1), (), "hang on each other"),
        ((-1, 5), (), r"parents\[1\] = 5: expected another of 2"),
        ((-1, 1), (), r"parents\[1\] = 1"),
        ((-1, 0), (1.0,), "attached: 1 places for 2"),
        ((-1, 0), (1.0, 0.3), r"attached\[1\] = 0.3"),
    ],
)
def test_what_is_no_tree_is_refused(parents, attached, message):
    with pytest.raises(ValueError, match=message):
        tree(parents, attached)
