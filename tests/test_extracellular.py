"""Fields outside: closed forms, a cable in them, NEURON's thresholds, and the field of a cell."""

import dataclasses

import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa, SynapseExp
from neurojax.membrane.extracellular import membrane_currents

out = nj.extracellular
in_field = nj.electrode.in_field
LEAK = {"leak": SquidLeak(g_bar=0.25, E_rev=-65.0)}
SQUID = {"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}


# -- potentials of sources -------------------------------------------------------------------------
def test_resistances_of_points_and_lines(x64):
    cell = nj.cylinder(100.0, 2.0, 1, LEAK)  # from 0 to 100 um along x
    place = (150.0, 30.0, 40.0)
    point = out.resistances(cell, place, line=False)
    # 1 uA / (4 pi 0.3 S/m 111.8 um), in mV.
    assert point[0, 0] == pytest.approx(1e3 / (4 * np.pi * 0.3 * np.hypot(100, 50)), rel=1e-12)
    along = (np.arange(10_000) + 0.5) / 100
    line = np.mean(1e3 / (4 * np.pi * 0.3 * np.hypot(along - 150, 50)))
    assert out.resistances(cell, place)[0, 0] == pytest.approx(line, rel=1e-8)
    # Holt & Koch 1999, as they write it: h and l from the far and the near end.
    h, far, r2 = 50.0, 150.0, 2500.0
    written = np.log(abs((np.sqrt(h * h + r2) - h) / (np.sqrt(far * far + r2) - far)))
    assert line == pytest.approx(1e3 / (4 * np.pi * 0.3 * 100) * written, rel=1e-8)
    # Within the radius it is the surface; beside the middle, and on the axis beyond the end.
    near = out.resistances(cell, [(50.0, 0.0, 0.0), (50.0, 1.0, 0.0), (200.0, 0.0, 0.0)])[:, 0]
    assert near[0] == near[1] == pytest.approx(2e3 / (4 * np.pi * 30) * np.arcsinh(50.0))
    assert near[2] == pytest.approx(1e3 / (4 * np.pi * 30) * np.log(2), rel=1e-4)


def at_end(cell, source, steps=400, dt=0.25):
    drive = in_field(nj.current_clamp(np.zeros(steps)), source)
    return np.asarray(nj.simulate(cell, drive, dt, initial=-65.0, every=steps).v)[-1]


def test_a_cable_along_an_even_field_is_polarised_at_its_ends(x64):
    """Sealed ends: v = E lambda sinh((x - l / 2) / lambda) / cosh(l / (2 lambda))."""
    n, length, E = 201, 1000.0, 10.0
    cell = nj.cylinder(length, 2.0, n, LEAK)
    constant = nj.electrotonus.length_constant(cell)[0]
    x = (np.arange(n) + 0.5) * length / n - length / 2
    exact = 1e-3 * E * constant * np.sinh(x / constant) / np.cosh(length / 2 / constant)
    even = out.uniform(cell, np.full(400, E))
    np.testing.assert_allclose(at_end(cell, even) + 65, exact, atol=1e-3)
    # Across it nothing happens, and as a table it is the same.
    across = out.uniform(cell, np.full(400, E), direction=(0.0, 1.0, 0.0))
    np.testing.assert_allclose(at_end(cell, across), -65.0, atol=1e-9)
    table = out.given(np.full((400, 1), E) * np.asarray(even.v))
    np.testing.assert_allclose(at_end(cell, table), at_end(cell, even), atol=1e-9)


def test_sources_add_up_and_places_are_data(x64):
    cell = nj.cylinder(500.0, 2.0, 21, LEAK)
    i = np.full(400, -1.0)
    places = np.array([[100.0, 300.0], [50.0, 60.0], [0.0, 20.0]])
    both = at_end(cell, out.point_source(cell, i, places))
    for k in range(2):
        one = out.point_source(cell, i, places[:, k])
        np.testing.assert_allclose(both[:, k], at_end(cell, one), atol=1e-9)
    drive = in_field(None, *(out.point_source(cell, i, places[:, k]) for k in range(2)))
    sum_of = np.asarray(nj.simulate(cell, drive, 0.25, initial=-65.0, every=400).v)[-1]
    np.testing.assert_allclose(sum_of + 65, (both + 65).sum(1), atol=1e-9)


# -- against NEURON --------------------------------------------------------------------------------
def test_a_cable_near_a_point_source_is_that_of_neuron(x64):
    """Source: NEURON 9, extracellular.e, steps of 5 and 2.5 us, extrapolated to none."""
    cell = nj.cylinder(1000.0, 2.0, 41, LEAK)
    dt = 0.01
    i = nj.steps(-10.0, start=0.0, stop=1.0, duration=2.0, dt=dt)
    drive = in_field(nj.current_clamp(np.zeros(200)), out.point_source(cell, i, (500.0, 50.0, 0.0)))
    v = np.asarray(nj.simulate(cell, drive, dt, initial=-65.0, at=[20, 12, 0]).v)
    expected = [
        [-34.3698, -69.4484, -69.7933],
        [-31.3224, -68.5608, -72.5783],
        [-60.9883, -63.7888, -68.7422],
    ]
    np.testing.assert_allclose(v[[49, 99, 149]], expected, atol=2e-3)


def fire(cell, place, amplitudes, *, pulse, duration, dt, at, **more):
    """Whether cells under pulses of these amplitudes, uA, fire at a compartment."""
    on = nj.steps(np.asarray(amplitudes), start=0.0, stop=pulse, duration=duration, dt=dt)
    drive = in_field(None, out.point_source(cell, on, place))
    return np.asarray(nj.simulate(cell, drive, dt, at=[at], **more).v)[:, 0].max(0) > 0


def myelinated():
    nodes = {"na": SquidNa(g_bar=960.0), "k": SquidK(g_bar=288.0), "leak": SquidLeak(g_bar=2.4)}
    return nj.myelinated_axon(nodes, nodes=21, compartments=5, R_i=70.0, celsius=18.5)


# Thresholds of NEURON 9, extracellular.e: steps of two sizes, extrapolated to none.
PLAIN, MYELINATED = {-1: 93.5, 1: 358.4}, {-1: 199.4, 1: 550.8}


def test_thresholds_of_axons_are_those_of_neuron():
    """3 % are asked for; here the threshold is between 1.5 % below and above it."""
    near = np.array([-0.985, -1.015, 0.985, 1.015])
    told = [False, True, False, True]
    axon = nj.cylinder(5000.0, 5.0, 101, SQUID, celsius=6.3)
    amplitudes = np.abs(near) * np.where(near < 0, -PLAIN[-1], PLAIN[1])
    how = {"pulse": 0.2, "duration": 6.0, "dt": 0.01, "at": 10, "initial": -65.0}
    assert fire(axon, (2500.0, 200.0, 0.0), amplitudes, **how).tolist() == told
    fibre = myelinated()
    node = fibre.places()[60, 1] + [0.0, 1000.0, 0.0]
    amplitudes = np.abs(near) * np.where(near < 0, -MYELINATED[-1], MYELINATED[1])
    how = {"pulse": 0.1, "duration": 2.5, "dt": 0.005, "at": 12}
    assert fire(fibre, node, amplitudes, **how).tolist() == told


# -- the field of a cell ---------------------------------------------------------------------------
def test_membrane_currents_are_those_of_capacitance_and_channels(x64):
    """At a fork, too; all of a cell add up to nothing."""
    sections = {
        "soma": nj.Section(20.0, 18.0, 1),
        "dendrite": nj.Section(200.0, 2.0, 4, on="soma"),
        "left": nj.Section(100.0, 1.0, 2, on="dendrite"),
        "right": nj.Section(100.0, 1.2, 2, on="dendrite"),
    }
    cell = nj.assemble(sections, LEAK | {"exc": SynapseExp(g_max=3.0)})
    dt = 0.0025
    drive = nj.electrode.stimulus(nj.current_clamp(np.zeros(400)), exc=nj.Events(times=[0.2], at=6))
    run = nj.simulate(cell, drive, dt, initial=-65.0, record=("v", "i_ion"))
    v, i_ion = np.asarray(run.v), np.asarray(run.data["i_ion"])
    k = 300
    stored = cell.C_m * (v[k + 1] - v[k - 1]) / (2 * dt)
    # Gates are half a step behind the potential.
    told = np.asarray(membrane_currents(cell, v[k]))
    np.testing.assert_allclose(
        told, (stored + i_ion[k]) * cell.area, atol=1e-3 * np.abs(told).max()
    )
    assert abs(told.sum()) < 1e-9 * np.abs(told).max() and told[6] < 0


def test_the_field_of_a_cell_is_that_of_its_currents(x64):
    cell = nj.cylinder(400.0, 2.0, 20, LEAK)
    v = -65 + np.random.default_rng(0).normal(size=(3, 20, 2))
    table = out.resistances(cell, [(100.0, 50.0, 0.0), (1e5, 0.0, 0.0)])
    seen = out.potentials(cell, v, table)
    assert seen.shape == (3, 2, 2)
    g = np.pi / 4 * (2e-4) ** 2 / (0.1 * 20e-4)  # mS between neighbours
    currents = np.zeros((20, 2))
    currents[:-1] += g * np.diff(v[0], axis=0)
    currents[1:] -= g * np.diff(v[0], axis=0)
    np.testing.assert_allclose(seen[0], np.asarray(table) @ currents, rtol=1e-9)
    # From far away it is a dipole, which falls with the square of the distance.
    far = out.resistances(cell, [(1e5, 0.0, 0.0), (2e5, 0.0, 0.0)])
    near, further = out.potentials(cell, v, far)[0, :, 0]
    assert near / further == pytest.approx(4.0, rel=1e-2)


def test_an_objective_of_the_field_has_a_derivative(x64):
    cell = nj.cylinder(400.0, 2.0, 10, LEAK | {"exc": SynapseExp(g_max=3.0)})
    table = out.resistances(cell, [(100.0, 30.0, 0.0)])

    drive = nj.electrode.stimulus(nj.current_clamp(np.zeros(100)), exc=nj.Events(times=[0.2], at=6))
    target = nj.Target(np.zeros((100, 1)), np.full((100, 1), 1e3))  # uV
    fold = nj.loss.FieldError(data=target, resistances=table)
    found = nj.gradient(cell, drive, of=fold, wrt=["exc.g_max", "R_i"], initial=-65.0)

    def value(**changes):
        many = nj.replace(cell, changes)
        run = nj.simulate(many, drive, initial=-65.0, folds={"of": fold}, record=())
        return float(run.folds["of"])

    for k, (name, x) in enumerate((("exc.g_max", 3.0), ("R_i", 100.0))):
        slope = (value(**{name: x * (1 + 1e-5)}) - value(**{name: x * (1 - 1e-5)})) / (2e-5 * x)
        assert found.gradient[k] == pytest.approx(slope, rel=1e-6)


# -- contracts -------------------------------------------------------------------------------------
def test_wrong_fields_are_refused_by_name():
    cell = nj.cylinder(500.0, 2.0, 21, LEAK)
    with pytest.raises(ValueError, match="lies within compartment 10"):
        out.point_source(cell, 1.0, (250.0, 0.5, 0.0))
    with pytest.raises(ValueError, match=r"place: shape \(2,\)"):
        out.point_source(cell, 1.0, (1.0, 2.0))
    with pytest.raises(ValueError, match="sigma = 0 S/m"):
        out.resistances(cell, (1.0, 2.0, 3.0), 0)
    points = np.array(cell.places())
    points[3] = points[3, :1]
    bent = dataclasses.replace(cell, points=points)
    with pytest.raises(ValueError, match=r"compartment 3 begins and ends at \[.*line=False"):
        out.resistances(bent, (1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match="direction = "):
        out.uniform(cell, 1.0, (0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match=r"expected \[step, comp\]"):
        out.given(np.zeros(3))
    wrong = in_field(nj.current_clamp(np.zeros(4)), out.given(np.zeros((4, 5))))
    with pytest.raises(ValueError, match="has a comp axis of 5, expected 21"):
        nj.simulate(cell, wrong)
    short = in_field(nj.current_clamp(np.zeros(4)), out.given(np.zeros((3, 21))))
    with pytest.raises(ValueError, match=r"fields differ in length: .*'outside.0.given': 3"):
        nj.simulate(cell, short)
