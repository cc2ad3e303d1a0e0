"""Cells of sections and of textbook shapes: closed forms, another solver, and any order."""

import dataclasses

import numpy as np
import pytest
from scipy.integrate import solve_bvp

import neurojax as nj
from neurojax.channels import SquidLeak
from neurojax.membrane.cable import length_constant
from neurojax.morphology import enough

R_M, R_I = 20_000.0, 100.0  # Ohm cm2, Ohm cm
LEAK = {"leak": SquidLeak(g_bar=1e3 / R_M, E_rev=-65.0)}
NANO = 1e-3  # nA in uA


def deflection(cell, i=0.01):
    """How far all compartments go where a current (nA) is held at the electrode, mV."""
    return np.asarray(nj.at_rest(cell, i * NANO).v) + 65


def permuted(cell, order):
    """The cell with its compartments in another order."""
    new = np.append(np.argsort(order), -1)
    same = ("length", "diameter", "to_start", "to_end", "points")
    return dataclasses.replace(
        cell,
        parents=tuple(int(new[cell.parents[k]]) for k in order),
        attached=tuple(cell.attached[k] for k in order),
        regions=tuple(cell.regions[k] for k in order),
        density={k: x[order] for k, x in cell.density.items()},
        electrode_at=int(new[cell.electrode_at]),
        **{k: getattr(cell, k)[order] for k in same},
    )


def test_the_order_of_compartments_that_taper_is_rounding_only(x64):
    sections = {
        "soma": nj.Section.along([[0, 0, 0, 12], [8, 0, 0, 16], [16, 0, 0, 8]], 3),
        "trunk": nj.Section.along([[16, 0, 0, 4], [90, 0, 30, 2]], 3, on="soma"),
        "left": nj.Section.along([[90, 0, 30, 2], [150, 60, 30, 0.4]], 3, on="trunk"),
        "right": nj.Section.along([[90, 0, 30, 1.4], [150, -60, 30, 0.6]], 2, on="trunk"),
        "basal": nj.Section.along([[8, 8, 0, 2], [8, 70, 0, 0.5]], 2, on="soma", at=0.5),
    }
    density = {"leak": lambda path: 1 + path / 100}
    cell = nj.assemble(sections, LEAK, density, electrode_at=4)
    v = deflection(cell)
    for order in (np.arange(13)[::-1], np.random.default_rng(0).permutation(13)):
        other = permuted(cell, order)
        np.testing.assert_allclose(deflection(other), v[order], rtol=1e-12)
        np.testing.assert_allclose(other.paths(other.electrode_at), cell.paths(4)[order])
        np.testing.assert_array_equal(other.orders(), cell.orders()[order])


def test_finer_compartments_are_asked_for_by_a_part():
    sections = {"soma": nj.Section(20.0, 20.0), "dendrite": nj.Section(500.0, 2.0, on="soma")}
    for part in (0.1, 0.02):
        n = len(nj.assemble(sections, LEAK, part=part).compartments("dendrite"))
        assert n == enough(500.0, 2.0, part=part)


def test_a_dendrite_turned_round_is_the_same(x64):
    points = np.array([[0, 0, 0, 6.0], [30, 0, 0, 3.0], [60, 10, 0, 1.0], [200, 10, 0, 0.5]])
    n = 9
    one = nj.assemble({"a": nj.Section.along(points, n)}, LEAK, electrode_at=2)
    other = nj.assemble({"a": nj.Section.along(points[::-1], n)}, LEAK, electrode_at=n - 3)
    np.testing.assert_allclose(deflection(other)[::-1], deflection(one), rtol=1e-9)


def test_a_tapered_dendrite_is_the_solution_of_the_cable_equation(x64):
    length, d0, d1 = 600.0, 5.0, 0.5
    n = 201
    v = deflection(nj.tapered(length, (d0, d1), n, LEAK, R_i=R_I))

    def diameter(x):
        return (d0 + (d1 - d0) * x / length) * 1e-4  # cm

    slant = np.hypot(1.0, (d1 - d0) / 2 / length)

    def slopes(x, y):
        """Potential (mV) and axial current (uA) along x, um."""
        v, i = y
        d = diameter(x)
        return np.stack(
            [-1e-4 * 1e-3 * i * R_I / (np.pi / 4 * d**2), -1e-4 * 1e3 * np.pi * d * slant * v / R_M]
        )

    first = length / n / 2  # where the electrode is, and what lies before it hardly matters
    x = np.linspace(first, length, 400)
    before = np.pi * diameter(first / 2) * slant * first * 1e-4 * 1e3 / R_M  # mS

    def ends(a, b):
        return np.array([a[1] - (0.01 * NANO - before * a[0]), b[1]])

    found = solve_bvp(slopes, ends, x, np.stack([0 * x + 1, 0 * x]), tol=1e-8)
    at = (np.arange(n) + 0.5) * length / n
    np.testing.assert_allclose(v, found.sol(at)[0], rtol=2e-4)


def test_a_rall_tree_has_the_input_resistance_of_its_cylinder(x64):
    """Source: Rall 1959; R_infinite = 4 R_i lambda / (pi d2)."""
    lengths, n, d = (0.3, 0.2, 0.4), 40, 4.0
    tree = nj.rall_tree(LEAK, diameter=d, lengths=lengths, R_m=R_M, R_i=R_I, compartments=n)
    assert len(tree.parents) == 7 * n and set(tree.regions) == {"order 0", "order 1", "order 2"}
    unit = length_constant(d, 1e3 / R_M, R_I)
    R_infinite = 4 * R_I * unit * 1e-4 / (np.pi * (d * 1e-4) ** 2) * 1e-6  # MOhm
    at, L = lengths[0] / n / 2, sum(lengths)
    expected = 0.01 * R_infinite / (np.tanh(at) + np.tanh(L - at))
    v = deflection(tree)
    assert v[0] == pytest.approx(expected, rel=1e-4)
    tip = expected * np.cosh(lengths[2] / n / 2) / np.cosh(L - at)
    np.testing.assert_allclose(v[4 * n - 1 :: n], tip, rtol=1e-4)


def chain(length, d, g, r_i):
    """The transfer matrix of a cylinder: (v, i) at its end from those at its start.

    Length and diameter in cm, g in S/cm2, r_i in Ohm cm.
    """
    unit = np.sqrt(d / (4 * r_i * g))
    r = 4 * r_i * unit / (np.pi * d**2)
    c, s = np.cosh(length / unit), np.sinh(length / unit)
    return np.array([[c, -r * s], [-s / r, c]])


def test_a_myelinated_axon_is_a_chain_of_cylinders(x64):
    nodes, g = 6, 2e-3  # S/cm2
    leak = {"leak": SquidLeak(g_bar=1e3 * g, E_rev=-65.0)}
    axon = nj.myelinated_axon(leak, nodes=nodes, compartments=21, R_i=70.0)
    v = deflection(axon, 0.1)
    at = axon.compartments("node")
    assert len(at) == nodes and len(axon.parents) == nodes + 21 * (nodes - 1)
    membranes = 240
    under = 1 / (1 / g + membranes / 1e-3)
    half = chain(0.5e-4, 3.3e-4, g, 70.0)
    between = half @ chain(1150e-4, 6.9e-4, under, 70.0) @ half
    # No current leaves the end of the last node.
    state = np.linalg.solve(half, np.array([1.0, 0.0]))
    expected = [state[0]]
    for _ in range(nodes - 1):
        state = np.linalg.solve(between, state)
        expected.append(state[0])
    expected = np.array(expected[::-1])
    np.testing.assert_allclose(v[at] / v[0], expected / expected[0], rtol=1e-4)
    np.testing.assert_allclose(axon.C_m[at], 2.0)
    under_C = 1 / (1 / 2.0 + membranes / 0.1)
    np.testing.assert_allclose(axon.C_m[axon.compartments("internode")], under_C)


def test_a_myelinated_axon_needs_its_leak():
    with pytest.raises(ValueError, match="leak: no channel 'leak'"):
        nj.myelinated_axon({"l": SquidLeak()})
