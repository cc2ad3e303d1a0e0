"""Cells with compartments: against cable theory, Rallpack, a single compartment, differences."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from recordings import recording

import neurojax as nj
from neurojax.channels import CortexCaL, SkK, SquidK, SquidLeak, SquidNa
from neurojax.engine import runner
from neurojax.membrane import pipette
from neurojax.membrane.cable import (
    BACKWARD_EULER,
    CRANK_NICOLSON,
    DAMPED,
    compartment_at,
    length_constant,
)
from neurojax.membrane.compartment import move_potential
from neurojax.membrane.electrode import Electrode
from neurojax.morphology import enough
from neurojax.run import gradients
from neurojax.run.diagnosis import check_couplings
from neurojax.units import FARADAY

SQUID = {"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}
LEAK = {"leak": SquidLeak(g_bar=1 / 40, E_rev=-65.0)}  # of 4 Ohm m2, as in Rallpack
NANO = 1e-3  # nA in uA
RALLPACK_MS = 250.0


def at_end(cell, i):
    """The potential of every compartment where a current i (nA) was held in the first, mV."""
    return np.asarray(nj.at_rest(cell, i * NANO).v)


# -- cable theory ----------------------------------------------------------------------------------
# Length constant 1 mm: sqrt(d R_m / (4 R_i)) with d = 1 um, R_m = 4 Ohm m2, R_i = 1 Ohm m.
INFINITE_MOHM = 1273.240  # input resistance of a half-infinite cable, 4 R_i lambda / (pi d2)


@pytest.mark.parametrize("length", [0.5, 1.0, 2.0])
def test_input_resistance_and_attenuation_of_a_sealed_cable(length, x64):
    n = 200
    cell = nj.cylinder(1000.0 * length, 1.0, n, LEAK)
    v = at_end(cell, 0.01) + 65
    x = (np.arange(n) + 0.5) * length / n
    # Current enters half a compartment from the end, and spreads to both sides.
    at = x[0]
    both = 1 / (np.tanh(at) + np.tanh(length - at))
    expected = 0.01 * INFINITE_MOHM * both * np.cosh(length - x) / np.cosh(length - at)
    np.testing.assert_allclose(v, expected, rtol=2e-5)


def test_length_constant_and_resistance_of_a_long_cable(x64):
    n, length = 400, 16.0
    middle = n // 2
    cell = nj.cylinder(1000.0 * length, 1.0, n, LEAK, electrode_at=middle)
    v = at_end(cell, 0.01) + 65
    x = np.abs(np.arange(n) - middle) * length / n
    near = x < 4
    fall = np.polyfit(x[near], np.log(v[near]), 1)[0]
    assert fall == pytest.approx(-1, rel=1e-3)
    assert v[middle] == pytest.approx(0.01 * INFINITE_MOHM / 2, rel=1e-3)


def test_a_rall_tree_is_its_equivalent_cylinder(x64):
    trunk, daughter = 4.0, 4.0 / 2 ** (2 / 3)
    same = (daughter / trunk) ** 0.5  # lengths in units of the length constant
    n = 60
    sections = {"trunk": nj.Section(300.0, trunk, n)}
    sections |= {k: nj.Section(300.0 * same, daughter, n, on="trunk") for k in ("left", "right")}
    v = at_end(nj.assemble(sections, LEAK), 0.1)
    straight = at_end(nj.cylinder(600.0, trunk, 2 * n, LEAK), 0.1)
    np.testing.assert_allclose(v[: 2 * n], straight, rtol=1e-9)
    np.testing.assert_allclose(v[2 * n :], straight[n:], rtol=1e-9)


# -- Rallpack --------------------------------------------------------------------------------------
def rallpack(cell, dt, every, at):
    """Potentials `[record, place]` of 250 ms with 0.1 nA, and their times."""
    steps = round(RALLPACK_MS / dt)
    electrode = nj.current_clamp(np.full(steps, 0.1 * NANO))
    run = nj.simulate(cell, electrode, dt, initial=-65.0, every=every, at=at)
    assert np.asarray(run.ok)
    return np.asarray(run.t, float), np.asarray(run.v, float)


def reference(name):
    s, v = np.loadtxt(recording(f"rallpack/{name}")).T
    return 1e3 * s, 1e3 * v


def relative_rms(t, v, name):
    """Root mean square of the error, as part of the range of the reference."""
    expected = np.interp(t, *reference(name))
    return np.sqrt(np.mean((v - expected) ** 2)) / np.ptp(expected)


def test_rallpack_1():
    t, v = rallpack(nj.cylinder(1000.0, 1.0, 1000, LEAK), 0.05, 20, [0, 999])
    assert relative_rms(t, v[:, 0], "rallpack1_ref_cable.0") < 1e-3
    assert relative_rms(t, v[:, 1], "rallpack1_ref_cable.x") < 1e-5


LENGTHS = 32.0, 25.4, 20.16, 16.0, 12.7, 10.08, 8.0, 6.35, 5.04, 4.0
DIAMETERS = 16.0, 10.08, 6.35, 4.0, 2.52, 1.587, 1.0, 0.63, 0.397, 0.25


def test_rallpack_2():
    sections = {"1": nj.Section(LENGTHS[0], DIAMETERS[0])}
    for k in range(2, 1024):
        depth = k.bit_length() - 1
        sections[str(k)] = nj.Section(LENGTHS[depth], DIAMETERS[depth], on=str(k // 2))
    t, v = rallpack(nj.assemble(sections, LEAK), 0.05, 20, [0, 1022])
    assert relative_rms(t, v[:, 0], "rallpack2_ref_branch.0") < 1e-3
    assert relative_rms(t, v[:, 1], "rallpack2_ref_branch.x") < 1e-3


def crossings(t, v, level):
    """When v goes up through a level, ms."""
    k = np.flatnonzero((v[:-1] < level) & (v[1:] >= level))
    return t[k] + (level - v[k]) / (v[k + 1] - v[k]) * (t[k + 1] - t[k])


def test_rallpack_3():
    axon = SQUID | LEAK
    t, v = rallpack(nj.cylinder(1000.0, 1.0, 1000, axon), 0.0125, 1, [0, 999])
    for column, end, level in ((0, "0", -20.0), (1, "x", 0.0)):
        times = crossings(t, v[:, column], level)
        for other in ("neuron", "genesis"):
            expected = crossings(*reference(f"rallpack3_ref_axon.{end}.{other}"), level)
            assert len(times) == len(expected)
            assert np.abs(times - expected).max() < 0.1


# Spikes (ms) at the far end in 200 ms, of NEURON 9.0.2 at dt 0.025, secondorder 2, without a table.
OF_NEURON = (
    14.3200, 29.3182, 43.9806, 58.5779, 73.1666, 87.7546, 102.3424, 116.9303, 131.5181, 146.1060,
    160.6939, 175.2817, 189.8696,
)  # fmt: skip


def test_an_axon_of_1000_compartments_fires_as_in_neuron():
    cell = nj.cylinder(1e4, 5.0, 1000, SQUID, R_i=100.0, celsius=6.3)
    i = nj.current_clamp(np.full(8000, 1.0 * NANO))
    v = np.asarray(nj.simulate(cell, i, 0.025, at=[999], initial=-65.0).v)[:, 0]
    k = np.flatnonzero((v[:-1] < 0) & (v[1:] >= 0))
    times = 0.025 * (k + 1 - v[k] / (v[k + 1] - v[k]))
    np.testing.assert_allclose(times, OF_NEURON, rtol=0, atol=0.05)


# -- the axon of the squid ------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize(("celsius", "expected"), [(18.5, 18.732), (6.3, 12.32)])
def test_conduction_velocity(celsius, expected):
    """Source: Hodgkin & Huxley 1952, J Physiol 117:500, part III: 18.8 m/s at 18.5 degC.

    Compared with what NEURON computes of finer steps.
    """
    n, length, dt = 600, 60_000.0, 0.0025
    cell = nj.cylinder(length, 476.0, n, SQUID, R_i=35.4, celsius=celsius)
    drive = nj.current_clamp(nj.steps(200.0, start=0.0, stop=0.5, duration=8.0, dt=dt))
    places = np.array([n // 4, 3 * n // 4])
    run = nj.simulate(cell, drive, dt, at=places)
    t, v = np.asarray(run.t), np.asarray(run.v)
    first, second = (crossings(t, v[:, k], -20.0)[0] for k in (0, 1))
    distance = (places[1] - places[0]) * length / n
    assert 1e-3 * distance / (second - first) == pytest.approx(expected, rel=0.015)


# -- one formula -----------------------------------------------------------------------------------
STEPS = 400
DT = 0.025


def test_one_compartment_is_a_cell(x64):
    ion = {"ca": nj.Ion(valence=2, inside=1e-4, outside=2.0, depth=0.1, tau=80.0)}
    channels = SQUID | {"ca": CortexCaL(), "sk": SkK()}
    cable = nj.Cable(
        channels=channels, ions=ion, length=20.0, diameter=15.0, celsius=10.0, default_q10=1.0
    )
    cell = nj.Cell(channels=channels, ions=ion, area=cable.area, celsius=10.0, default_q10=1.0)
    drive = nj.current_clamp(np.full(STEPS, 2e-4))
    names = ("v", "na.m", "ca_i", "ca.i")
    alone, one = (nj.simulate(c, drive, DT, initial=-65.0, record=names) for c in (cell, cable))
    for name in names:
        np.testing.assert_allclose(one.data[name][:, 0], alone.data[name], rtol=1e-11)


def branched(**more):
    """A soma, a dendrite that forks, and an axon on the other side: four regions of 12."""
    sections = {
        "soma": nj.Section(20.0, 18.0, 2),
        "dendrite": nj.Section(200.0, 2.0, 4, on="soma"),
        "left": nj.Section(100.0, 1.0, 2, on="dendrite"),
        "right": nj.Section(100.0, 1.2, 2, on="dendrite"),
        "axon": nj.Section(150.0, 1.5, 2, on="soma", at=0.0),
    }
    density = {"na": {"soma": 1.0, "axon": 2.0, "dendrite": 0.1}}
    return nj.assemble(sections, SQUID, density, **more)


def permuted(cell, order):
    """The cell with its compartments in another order."""
    new = np.argsort(order)
    parents = [cell.parents[k] for k in order]
    return dataclasses.replace(
        cell,
        parents=tuple(-1 if p < 0 else int(new[p]) for p in parents),
        attached=tuple(cell.attached[k] for k in order),
        regions=tuple(cell.regions[k] for k in order),
        density={k: x[order] for k, x in cell.density.items()},
        length=cell.length[order],
        diameter=cell.diameter[order],
        electrode_at=int(new[cell.electrode_at]),
    )


@pytest.mark.slow  # that of an axon which tapers is in test_builders
def test_the_order_of_the_compartments_is_rounding_only(x64):
    cell = branched(electrode_at=3)
    drive = nj.current_clamp(np.full(STEPS, 5e-4))
    v = nj.simulate(cell, drive, DT, initial=-65.0).v
    assert v.max() > 0
    for order in (np.arange(12)[::-1], np.random.default_rng(0).permutation(12)):
        other = nj.simulate(permuted(cell, order), drive, DT, initial=-65.0).v
        np.testing.assert_allclose(other, v[:, order], atol=1e-9)


@pytest.mark.parametrize(
    ("implicit", "order"), [(DAMPED, 2), (CRANK_NICOLSON, 2), (BACKWARD_EULER, 1)]
)
def test_order_of_a_step(implicit, order, x64):
    cell = branched(electrode_at=3, implicit=implicit)
    rest = nj.at_rest(branched(electrode_at=3))  # of any solver: one program for all

    @jax.jit
    def end(dt):
        tick = Electrode(5e-4, 0.0, 0.0)
        steps = jnp.round(2.0 / dt).astype(int)
        return jax.lax.fori_loop(0, steps, lambda _, s: nj.step(cell, s, tick, dt), rest).v

    coarse, fine, exact = (end(dt) for dt in (0.02, 0.01, 0.0005))
    errors = [np.abs(v - exact).max() for v in (coarse, fine)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize(("implicit", "rings"), [(DAMPED, False), (CRANK_NICOLSON, True)])
def test_a_step_of_a_clamp_does_not_ring(implicit, rings):
    cell = nj.cylinder(200.0, 2.0, 20, LEAK, implicit=implicit)
    v = np.asarray(nj.simulate(cell, nj.voltage_clamp(np.full(60, -20.0)), DT, initial=-65.0).v)
    falls = np.diff(v[2:, 1]).min()  # the first steps see the jump itself
    assert (falls < -0.5) == rings and (falls > 0) != rings


def test_a_clamped_place_is_held_and_the_rest_follows():
    cell = branched(electrode_at=5)
    command = np.full(STEPS, -40.0)
    v = np.asarray(nj.simulate(cell, nj.voltage_clamp(command), DT, initial=-65.0).v)
    np.testing.assert_allclose(v[:, 5], -40.0, atol=1e-3)
    assert (v[-1, [4, 6]] > -55).all() and (v[-1, [4, 6]] < -40).all()


def test_no_charge_is_lost_along_the_tree(x64):
    """What the electrode brings is in the capacitances, or potassium carried it into the pool."""
    ions = {"k": nj.Ion(valence=1, inside=140.0, outside=4.0, depth_o=1.0)}
    cell = dataclasses.replace(branched(ions=ions), channels={"k": SquidK()}, density={})
    s = nj.steady_state(cell, -50.0)
    s = s._replace(v=s.v + jnp.arange(12.0))
    i, dt = 3e-4, 0.1
    moved = move_potential(cell, s, Electrode(i, 0.0, 0.0), dt)
    stored = cell.C_m * (moved.v - s.v)
    carried = (moved.c["k_o"] - s.c["k_o"]) * FARADAY / 10  # mM in a shell of 1 um, as nC/cm2
    total = (cell.area * (stored + carried)).sum()
    assert total == pytest.approx(i * dt, rel=1e-9)


# -- rest ------------------------------------------------------------------------------------------
def test_at_rest_nothing_moves(x64):
    cell = branched(electrode_at=7)
    i = 2e-5
    s = nj.at_rest(cell, i)
    assert np.ptp(s.v) > 1
    later = nj.simulate(cell, nj.current_clamp(np.full(2000, i)), DT, initial=s, record=()).final
    np.testing.assert_allclose(later.v, s.v, atol=1e-8)


def test_rest_moves_with_the_parameters(x64):
    cell, names = branched(electrode_at=7), ("R_i", "k.g_bar")

    @jax.jit
    def rest(values):
        return nj.at_rest(nj.replace(cell, dict(zip(names, values, strict=True))), 2e-5).v

    at = np.array([150.0, 30.0])
    for k, (h, slope) in enumerate(zip(1e-4 * at, jax.jit(jax.jacfwd(rest))(at).T, strict=True)):
        up, down = (rest(at + sign * h * np.eye(2)[k]) for sign in (1, -1))
        difference = (up - down) / (2 * h)
        np.testing.assert_allclose(slope, difference, atol=1e-4 * np.abs(difference).max())


# -- populations -----------------------------------------------------------------------------------
POP = 3
G_NA = np.array([[100.0, 120.0, 140.0]])
PLACES = np.array([0, 5, 11])


def test_a_population_is_its_cells():
    many = nj.replace(branched(electrode_at=PLACES), {"na.g_bar": G_NA})
    amplitudes = np.linspace(3e-4, 5e-4, POP)
    drive = np.full((STEPS, POP), amplitudes)
    folds = {"spikes": nj.SpikeCount(), "here": nj.At(fold=nj.Mean(), place=PLACES)}
    at = [9, 2, *range(3)]
    run = nj.simulate(many, nj.current_clamp(drive), DT, initial=-65.0, folds=folds, at=at)
    assert run.v.shape == (STEPS, len(at), POP) and run.ok.shape == (POP,)
    assert run.folds["spikes"].shape == (12, POP)
    for k in range(POP):
        one = nj.replace(branched(electrode_at=int(PLACES[k])), {"na.g_bar": G_NA[0, k]})
        alone = np.asarray(nj.simulate(one, nj.current_clamp(drive[:, k]), DT, initial=-65.0).v)
        assert alone.shape == (STEPS, 12)
        np.testing.assert_allclose(run.v[..., k], alone[:, at], atol=2e-2)
        assert run.folds["here"][k] == pytest.approx(alone[:, PLACES[k]].mean(), abs=1e-2)


def test_shapes_may_differ_within_a_population():
    cell = branched()
    wide = dataclasses.replace(cell, diameter=cell.diameter[:, None] * np.array([1.0, 1.1]))
    v = nj.at_rest(wide, 1e-4).v
    for k, factor in enumerate((1.0, 1.1)):
        alone = nj.at_rest(dataclasses.replace(cell, diameter=cell.diameter * factor), 1e-4).v
        np.testing.assert_allclose(v[:, k], alone, atol=1e-3)


def test_many_small_cells_are_computed_together_few_large_ones_too():
    sizes = []
    for n in (1, 10, 100, 1000):
        live = runner.live_arrays(nj.cylinder(1000.0, 1.0, n, SQUID))
        sizes.append(runner.block_size(10**4, live, 4))
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] >= 128


# -- derivatives -----------------------------------------------------------------------------------
WRT = ["C_m", "R_i", "leak.E_rev", "na.g_bar", "k.v_shift"]


def for_gradients(pop):
    cell = branched(electrode_at=1)
    spread = np.linspace(0.95, 1.05, pop)[None]
    changes = {"na.g_bar": 100 * spread, "R_i": 150 * spread, "k.v_shift": 0.5 * spread}
    changes |= {"C_m": spread, "leak.E_rev": -54.0 * spread}
    return nj.replace(cell, changes)


def objective(records, pop):
    t = np.arange(records)
    data = -60 + 20 * np.sin(0.3 * t)
    return nj.At(
        fold=nj.VoltageError(data=nj.Target(data, np.full(records, 0.1))),
        place=np.arange(8, 8 + pop),
    )


def test_tangents_adjoint_and_differences_agree(x64, monkeypatch):
    pop, steps, every = 2, 240, 4
    cell, fold = for_gradients(pop), objective(steps // every, pop)
    drive = nj.current_clamp(nj.steps(4e-4, start=1.0, stop=5.0, duration=steps * DT, dt=DT))

    def slope(wrt):
        return nj.gradient(cell, drive, DT, of=fold, wrt=wrt, every=every, initial=-65.0)

    ahead = slope(WRT)
    monkeypatch.setattr(gradients, "CROSSOVER", 0)
    back = slope(WRT[::-1])  # in another order it is another program
    assert ahead.gradient.shape == (len(WRT), pop) and ahead.matrix.shape == (
        len(WRT),
        len(WRT),
        pop,
    )
    assert back.matrix is None
    np.testing.assert_allclose(back.gradient[::-1], ahead.gradient, rtol=1e-8)

    known = {
        k: np.broadcast_to(x, (1, pop)) for k, (x, _) in nj.parameters(cell).items() if k in WRT
    }
    h = {k: 1e-4 * np.maximum(np.abs(known[k]), 0.1) for k in WRT}
    J = []
    at = np.arange(8, 8 + pop)

    def residuals(changes):
        v = nj.simulate(nj.replace(cell, changes), drive, DT, every=every, initial=-65.0).v
        data, weight = fold.data
        return np.stack([(v[:, at[k], k] - data) * weight for k in range(pop)], -1)

    r = residuals({})
    for name in WRT:
        up, down = (residuals({name: known[name] + sign * h[name]}) for sign in (1, -1))
        J.append((up - down) / (2 * h[name]))
    J = np.stack(J)
    gradient = 2 * np.einsum("prc,rc->pc", J, r)
    matrix = np.einsum("prc,qrc->pqc", J, J)
    np.testing.assert_allclose(ahead.value, (r * r).sum(0), rtol=1e-10)
    size = np.sqrt((J * J).sum(1))
    np.testing.assert_allclose(
        ahead.gradient / size, gradient / size, atol=1e-4 * np.abs(gradient / size).max()
    )
    scale = size[:, None] * size[None]
    np.testing.assert_allclose(ahead.matrix / scale, matrix / scale, atol=1e-4)


def test_its_sub_steps_are_what_they_say(x64):
    ion = {"ca": nj.Ion(valence=2, inside=1e-4, outside=2.0, depth=0.1, tau=80.0)}
    cell = branched(ions=ion, celsius=12.0, default_q10=1.0)
    channels = {"na": SQUID["na"], "ca": CortexCaL(), "sk": SkK()}
    cell = dataclasses.replace(cell, channels=channels)
    cell = nj.replace(cell, {"na.g_bar": np.array([[100.0, 120.0]])})
    s = nj.steady_state(cell, -50.0)
    s = s._replace(
        v=s.v + jnp.arange(12.0)[:, None] + jnp.arange(2.0),
        x=jax.tree.map(lambda x: 0.8 * x + 0.1, s.x),
    )
    check_couplings(cell, s, Electrode(jnp.asarray([3e-4, 4e-4]), 0.0, 0.0), 0.05)


def test_health_tells_how_tangents_of_a_cable_grow():
    """Without channels that open they fall, by the time constant of the membrane."""
    cell = nj.cylinder(100.0, 2.0, 3, LEAK, C_m=np.array([[1.0, 1.2]]))
    drive = nj.current_clamp(np.full(1600, 1e-5))
    told = nj.health(cell, drive, DT, wrt=["R_i", "leak.g_bar"], initial=-65.0)
    np.testing.assert_allclose(told.exponent, [-1 / 40, -1 / 48], rtol=0.1)
    assert not told.lost


# -- one compartment of it -------------------------------------------------------------------------
def test_a_compartment_is_a_cell_of_its_own(x64):
    cell = branched()
    s = nj.steady_state(cell, -50.0)
    s = s._replace(v=s.v + jnp.arange(12.0))
    one, of_one = compartment_at(cell, s, 3)
    assert of_one.v == s.v[3] and one.density["na"] == 0.1
    assert one.area == pytest.approx(np.pi * 50.0 * 2.0 * 1e-8)


def test_sections_are_cut_as_neuron_cuts_them():
    """Source: the values of NEURON 9, nseg = int((L/(0.1*lambda_f(100))+.9)/2)*2 + 1."""
    cell = nj.ball_and_stick(LEAK)
    assert len(cell.compartments("soma")) == 1 and len(cell.compartments("dendrite")) == 13
    assert enough(1000.0, 1.0) == 37 and enough(1000.0, 1.0, R_i=200.0, C_m=2.0) == 71
    tapered = nj.assemble({"dendrite": nj.Section(90.0, [3.0, 2.0, 1.0])}, LEAK)
    np.testing.assert_allclose(tapered.length, 30.0)
    np.testing.assert_allclose(tapered.diameter, [3.0, 2.0, 1.0])


# -- errors ----------------------------------------------------------------------------------------
DRIVE = nj.current_clamp(np.zeros(4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"length": np.ones(5)},
            r"cell.length: shape \(5,\) has a comp axis of 5, expected 12",
        ),
        ({"diameter": 0.0}, "diameter = 0 um is outside"),
        ({"points": np.zeros((12, 3, 3)) + 99 * np.eye(3)}, r"points\[0\]: 140.* um from the"),
        ({"electrode_at": 12}, "electrode_at = 12: expected whole numbers from 0 to 11"),
        ({"density": {"kv": 1.0}}, "'kv'"),
        ({"density": {"na": -1.0}}, "density of 'na' = -1"),
    ],
)
def test_a_wrong_cable_is_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        nj.simulate(dataclasses.replace(branched(), **changes), DRIVE)


def test_a_state_of_another_cell_is_refused():
    with pytest.raises(ValueError, match=r"initial.v: shape \(3,\) has a comp axis of 3"):
        nj.simulate(branched(), DRIVE, initial=nj.State(np.zeros(3), {}))


def test_what_has_no_compartments_cannot_be_looked_at():
    cell = nj.Cell(channels=SQUID)
    with pytest.raises(ValueError, match="no compartments to choose from"):
        nj.simulate(cell, DRIVE, at=[0])
    with pytest.raises(ValueError, match="fold 'x': the cell has no compartments"):
        nj.simulate(cell, DRIVE, folds={"x": nj.At(fold=nj.Mean())})
    with pytest.raises(ValueError, match="place = 12"):
        nj.simulate(branched(), DRIVE, folds={"x": nj.At(fold=nj.Mean(), place=12)})


def test_an_amplifier_reads_where_the_electrode_is():
    cell = dataclasses.replace(branched(), electrode_at=3)
    fold = nj.VoltageError(data=nj.Target(np.zeros(4), np.ones(4)))
    run = nj.simulate(cell, DRIVE, record=("v", "v_amp"), initial=-65.0, folds={"x": fold})
    there = np.asarray(run.v)[:, 3]
    np.testing.assert_array_equal(run.data["v_amp"], there)
    np.testing.assert_allclose(run.folds["x"], (there[:4] ** 2).sum(), rtol=1e-6)
    with pytest.raises(ValueError, match="cannot record 'v_amp'"):
        nj.simulate(cell, DRIVE, record=("v_amp",), at=[1])


def test_what_is_of_one_compartment_refuses_a_cable():
    cell = branched()
    protocol = nj.protocols.ramp(-80.0, 0.0, duration=10.0)
    for made in (
        lambda: nj.simulate(cell, nj.voltage_clamp(np.full(4, -65.0)), engine="prefix"),
        lambda: nj.clamp(cell, protocol),
    ):
        with pytest.raises(ValueError, match="one compartment, a Cable has several"):
            made()


def test_the_current_of_a_clamp_is_that_of_the_cell_where_it_is():
    fold = nj.At(fold=nj.CurrentError(data=nj.Target(np.zeros(4), np.ones(4))))
    clamp = nj.voltage_clamp(np.full(4, -65.0))
    with pytest.raises(ValueError, match="axial currents are part of it"):
        nj.simulate(branched(), clamp, folds={"x": fold})
    with pytest.raises(ValueError, match="cannot record 'i_amp'"):
        nj.simulate(branched(), clamp, record=("i_amp",), at=[1])


def test_a_sealed_cable_under_a_clamp_takes_what_its_input_conductance_says(x64):
    leak = {"leak": SquidLeak(g_bar=0.1, E_rev=-65.0)}
    made = nj.assemble({"a": nj.Section(1000.0, 2.0, 200)}, leak, R_i=100.0)
    lam, d = float(length_constant(2.0, 0.1, 100.0)), 2e-4  # um, cm
    ways = np.tanh(np.array([997.5, 2.5]) / lam)  # to the far end, and to the near one
    g = lam * ways.sum() * 1e-4 * np.pi * d * 0.1  # mS
    dt = 0.5
    for cell, R_s in ((made, 0.0), (_piped(made, 30.0), 30.0)):
        by = nj.voltage_clamp if not R_s else pipette.voltage_clamp
        run = nj.simulate(cell, by(np.full(400, -55.0)), dt, record=("i_amp",), initial=-65.0)
        want = 10.0 / (1 / g + R_s * 1e3) * 1e6  # pA
        assert float(run.data["i_amp"][-1]) == pytest.approx(want, rel=1e-4)
        # A run that begins where the clamp holds it stays there.
        electrode = by(np.full(4, -55.0))
        settled = jax.jit(pipette.clamped)(pipette.before(cell, electrode), -55.0)
        run = nj.simulate(cell, electrode, dt, record=("i_amp",), initial=settled)
        np.testing.assert_allclose(run.data["i_amp"], want, rtol=1e-4)


def _piped(cell, R_s):
    piped = nj.Pipette(R_s=R_s, C_pip=0.0)
    return dataclasses.replace(cell, channels=cell.channels | {"pipette": piped})


def test_only_one_number_for_each_cell_can_be_differentiated_in():
    with pytest.raises(ValueError, match="length differs from compartment to compartment"):
        nj.gradient(branched(), DRIVE, of=nj.At(fold=nj.Mean()), wrt=["length"])
    with pytest.raises(ValueError, match=r"initial\.v"):
        nj.gradient(branched(), DRIVE, of=nj.At(fold=nj.Mean()), wrt=["initial.v"])


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"a": nj.Section(10.0, 1.0), "b": nj.Section(10.0, 1.0)}, "'b' hangs on none"),
        ({"a": nj.Section(10.0, 1.0), "b": nj.Section(10.0, 1.0, on="c")}, "'c'"),
        ({"a": nj.Section(10.0, 1.0, 2), "b": nj.Section(10.0, 1.0, on="a", at=0.5)}, "centre"),
        ({"a": nj.Section(10.0, 1.0), "b": nj.Section(10.0, 1.0, on="a", at=1.7)}, "1.7: expected"),
        ({"a": nj.Section(10.0, 1.0, 0)}, "0 compartments"),
        ({"a": nj.Section(10.0, [1.0, 2.0], 3)}, "3 compartments, 2 diameters"),
    ],
)
def test_sections_that_do_not_hang_together_are_refused(sections, message):
    with pytest.raises(ValueError, match=message):
        nj.assemble(sections, SQUID)
