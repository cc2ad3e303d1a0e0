"""Ions: potentials and fluxes against published tables, pools against conservation and scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import neurojax as nj
from neurojax.channels import (
    CortexCaL,
    GoldmanLeak,
    NeocortexKca,
    SquidK,
    SquidLeak,
    SquidNa,
)
from neurojax.membrane.ions import change_of_pool, ghk_current, nernst_potential
from neurojax.units import FARADAY, GAS_CONSTANT

CELSIUS = [6.3, 18.5, 20.0, 25.0, 34.0, 37.0]

# mM inside and outside, valence, and E in mV at each temperature; NEURON agrees to 4 decimals.
NERNST = [
    (400, 20, 1, [-72.1406, -75.2901, -75.6773, -76.9681, -79.2915, -80.0659]),
    (50, 440, 1, [52.3705, 54.6568, 54.9380, 55.8750, 57.5616, 58.1238]),
    (52, 560, -1, [-57.2335, -59.7321, -60.0393, -61.0634, -62.9066, -63.5211]),
    (140, 5, 1, [-80.2433, -83.7465, -84.1772, -85.6129, -88.1973, -89.0587]),
    (10, 145, 1, [64.3965, 67.2079, 67.5536, 68.7058, 70.7797, 71.4711]),
    (10, 110, -1, [-57.7440, -60.2650, -60.5749, -61.6081, -63.4678, -64.0877]),
    (1e-4, 2, 2, [119.2436, 124.4495, 125.0895, 127.2231, 131.0634, 132.3436]),
    (54.4, 2.5, 1, [-74.1717, -77.4098, -77.8079, -79.1350, -81.5238, -82.3201]),
    (5e-5, 2, 2, [127.5895, 133.1597, 133.8446, 136.1274, 140.2366, 141.6063]),
]

# NEURON's ghk in units of 0.001 coul/cm3, which are mA/cm2 at a permeability of 1 cm/s.
GHK_V = np.arange(-80.0, 41.0, 20.0)
CA_34 = [-2338.558, -1768.759, -1226.196, -748.362, -385.9220, -165.0783, -59.6292]
CA_6 = [-2567.615, -1936.474, -1330.121, -791.375, -385.922, -150.275, -47.920]
K_34 = [556.418, 2320.263, 4843.587, 8353.725, 13025.520, 18925.207, 25986.552]
GHK = [(1e-4, 2.0, 2, 34.0, CA_34), (1e-4, 2.0, 2, 6.3, CA_6), (140.0, 5.0, 1, 34.0, K_34)]


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
def test_nernst_potentials_of_the_table(double):
    with jax.enable_x64(double):
        for inside, outside, valence, table in NERNST:
            E = nernst_potential(inside, outside, valence, jnp.asarray(CELSIUS))
            np.testing.assert_allclose(E, table, atol=1e-4, rtol=0 if double else 3e-7)


@pytest.mark.parametrize(("inside", "outside", "valence", "celsius", "table"), GHK)
def test_constant_field_currents_of_the_table(inside, outside, valence, celsius, table):
    def current(v):
        return ghk_current(v, inside, outside, valence, celsius)

    with jax.enable_x64(True):
        double = np.asarray(current(jnp.asarray(GHK_V)))
        # Half of a last decimal, of the table's 7 or fewer digits.
        np.testing.assert_allclose(double / 1e3, table, rtol=1e-6, atol=6e-4)
    np.testing.assert_allclose(current(jnp.asarray(GHK_V)), double, rtol=1e-6)


def test_the_constant_field_current_at_0_mV_in_value_and_slope():
    inside, outside, z, celsius = 1e-3, 2.0, 2, 34.0
    V_T = 1e3 * GAS_CONSTANT * (celsius + 273.15) / FARADAY

    def current(v):
        return ghk_current(v, inside, outside, z, celsius)

    # z F (c_i - c_o), z^2 F (c_i + c_o) / (2 V_T) and z^3 F (c_i - c_o) / (6 V_T^2), by its series.
    at_0 = [
        z * FARADAY * (inside - outside),
        z**2 * FARADAY * (inside + outside) / (2 * V_T),
        z**3 * FARADAY * (inside - outside) / (6 * V_T**2),
    ]

    def slope_of(f):
        return jax.jit(lambda v: jax.jvp(f, (v,), (jnp.ones_like(v),))[1])

    beside = np.geomspace(1e-8, 150, 60)
    v = jnp.asarray(np.concatenate([[0.0], -beside, beside]))
    slopes = slope_of(current)
    single = np.asarray(current(v)), np.asarray(slopes(v))
    for found, expected in zip((*single, slope_of(slopes)(v)), at_0, strict=True):
        assert float(found[0]) == pytest.approx(expected, rel=1e-6)
    # Float32 beside it, where the formula itself would cancel.
    with jax.enable_x64(True):
        v = jnp.asarray(np.asarray(v, np.float64)[1:])
        exact = 2 * FARADAY * (v * z / V_T) * (inside - outside * jnp.exp(-v * z / V_T))
        exact = exact / -jnp.expm1(-v * z / V_T)
        np.testing.assert_allclose(single[0][1:], exact, rtol=2e-6)
        np.testing.assert_allclose(single[1][1:], slopes(v), rtol=2e-5)


def test_how_few_ions_make_a_membrane_potential():
    # 1 uF/cm2 charged to 90 mV: 5617 ions per um2, of a sphere of 10 um radius 2e-5 of its K.
    per_um2 = nj.elementary_charges(1.0 * 90.0)
    assert per_um2 == pytest.approx(90e-9 / 1.602176634e-19 / 1e8, rel=1e-9)
    assert per_um2 == pytest.approx(5617, abs=1)
    on_sphere = nj.elementary_charges(90.0, 4 * np.pi * 10**2)
    inside = 140e-3 * 6.02214076e23 * (4 / 3 * np.pi * 10**3 * 1e-15)
    assert on_sphere / inside == pytest.approx(2.0e-5, rel=0.01)


# -- pools in a cell -------------------------------------------------------------------------------
def axon(depth, depth_o, **more) -> nj.Cell:
    """A squid-like axon all of whose currents have a carrier with a pool on either side."""
    sides = {"depth": depth, "depth_o": depth_o}
    return nj.Cell(
        channels={
            "na": SquidNa(E_rev=None),
            "k": SquidK(E_rev=None),
            "leak": GoldmanLeak(P_bar=5e-7, ratio_na=0.1, ratio_cl=0.45),
        },
        ions={
            "na": nj.Ion(inside=50.0, outside=440.0, **sides),
            "k": nj.Ion(inside=400.0, outside=16.0, **sides),
            "cl": nj.Ion(valence=-1, inside=52.0, outside=560.0, **sides),
        },
        celsius=6.3,
        electrode_ion="k",
        **more,
    )


POOLS = ("na_i", "na_o", "k_i", "k_o", "cl_i", "cl_o")


@pytest.mark.parametrize("seconds", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_mass_and_charge_are_conserved_over_seconds_of_spiking(seconds, x64):
    cell = axon(119.0, 2000.0)  # of 476 um in its bath
    run = nj.simulate(
        cell,
        nj.current_clamp(np.full(seconds * 40_000, 10.0)),
        record=("v", *POOLS),
        every=20,
        initial=-65.0,
        folds={"spikes": nj.SpikeCount()},
    )
    assert int(run.folds["spikes"]) > 50 * seconds
    gained = 0.0  # charge that entered, nC/cm2
    for name, ion in cell.ions.items():
        inside, outside = run.data[f"{name}_i"], run.data[f"{name}_o"]
        mass = ion.depth * inside + ion.depth_o * outside
        held = ion.depth * ion.inside + ion.depth_o * ion.outside
        np.testing.assert_allclose(mass, held, rtol=1e-12)
        gained += ion.valence * ion.depth * (inside - ion.inside) * FARADAY / 10
    sodium = float(run.data["na_i"][-1] - 50.0) * 119.0 * FARADAY / 10
    assert sodium > 4e4 * seconds  # that of all spikes, against which the rest must cancel
    np.testing.assert_allclose(gained, cell.C_m * (run.v + 65.0), atol=1e-9 * sodium)


def squid_with_pools(t, y, i, depth, depth_o):
    """The same axon written anew: v, m, h, n and the six pools in the order of POOLS."""
    v, m, h, n, na_i, na_o, k_i, k_o, cl_i, cl_o = y
    V_T = 1e3 * GAS_CONSTANT * (6.3 + 273.15) / FARADAY
    u = v / V_T

    def phi(z, inside, outside):
        w = z * u
        return z * FARADAY * w * (inside - outside * np.exp(-w)) / -np.expm1(-w)

    i_na = 120 * m**3 * h * (v - V_T * np.log(na_o / na_i)) + 5e-8 * phi(1, na_i, na_o)
    i_k = 36 * n**4 * (v - V_T * np.log(k_o / k_i)) + 5e-7 * phi(1, k_i, k_o)
    i_cl = 2.25e-7 * phi(-1, cl_i, cl_o)
    a_m, b_m = 0.1 * (v + 40) / -np.expm1(-(v + 40) / 10), 4 * np.exp(-(v + 65) / 18)
    a_h, b_h = 0.07 * np.exp(-(v + 65) / 20), 1 / (1 + np.exp(-(v + 35) / 10))
    a_n, b_n = 0.01 * (v + 55) / -np.expm1(-(v + 55) / 10), 0.125 * np.exp(-(v + 65) / 80)
    gates = [a_m - (a_m + b_m) * m, a_h - (a_h + b_h) * h, a_n - (a_n + b_n) * n]
    entering = -10 / FARADAY * np.array([i_na, i_k - i, -i_cl])
    pools = [x for e in entering for x in (e / depth, -e / depth_o)]
    return [i - i_na - i_k - i_cl, *gates, *pools]


def test_pools_and_potential_converge_to_an_independent_solution(x64):
    # Pools so thin that two spikes take 1.6 mM in. v is second order; of the pools, which v feels a
    # step late, a part is first order: 1.7 to 1.8 is what the sum shows at these steps.
    depth, depth_o, i, end = 0.1, 0.15, 10.0, 12.0
    s = nj.steady_state(axon(depth, depth_o), -65.0)
    x = s.x["na"]["m"], s.x["na"]["h"], s.x["k"]["n"]
    y = [-65.0, *map(float, x), 50.0, 440.0, 400.0, 16.0, 52.0, 560.0]
    tight = {"rtol": 1e-11, "atol": 1e-11}
    run = solve_ivp(squid_with_pools, (0, end), y, "DOP853", args=(i, depth, depth_o), **tight)
    exact = run.y[:, -1]

    @jax.jit
    def after(steps, dt):
        tick = nj.Electrode(i, 0.0, 0.0)
        return jax.lax.fori_loop(
            0, steps, lambda _, s: nj.step(axon(depth, depth_o), s, tick, dt), s
        )

    def error(dt):
        found = after(round(end / dt), dt)
        seen = np.array([float(found.v), *(float(found.c[k]) for k in POOLS)])
        return np.abs(seen - exact[[0, *range(4, 10)]])

    errors = np.array([error(dt) for dt in (0.02, 0.01, 0.005)])
    assert abs(exact[4] - 50.0) > 1.0
    orders = np.log2(errors[:-1] / errors[1:])
    assert orders[:, 0].min() > 1.9 and orders.min() > 1.6, orders
    assert errors[1, 0] < 2e-3 and errors[1, 1:].max() < 3e-4


# -- one pool: buffers and removal -----------------------------------------------------------------
def moved(ion, i, duration, n):
    """The calcium inside after a time under a constant current, in n steps."""
    c = {"ca_i": jnp.asarray(ion.inside)}
    for _ in range(n):
        c = ion.advance("ca", c, {"ca": jnp.asarray(i)}, duration / n)
    return float(c["ca_i"])


CALCIUM = {"valence": 2, "inside": 1e-4, "outside": 2.0, "depth": 0.2}


def test_a_buffer_binds_its_part_and_linear_removal_is_exact_at_any_step(x64):
    i = -3.0  # inward
    entering = 3.0 * 10 / (2 * FARADAY * 0.2)  # mM/ms
    assert float(-change_of_pool(i, 2, 0.2)) == pytest.approx(entering, rel=1e-12)
    plain, bound = nj.Ion(**CALCIUM), nj.Ion(**CALCIUM, buffer=99.0)
    assert moved(plain, i, 5.0, 1) == pytest.approx(1e-4 + 5 * entering, rel=1e-12)
    assert moved(bound, i, 5.0, 1) == pytest.approx(1e-4 + 5 * entering / 100, rel=1e-12)
    # c = c_0 + entering tau (1 - exp(-t / (tau (1 + buffer))))
    slow = nj.Ion(**CALCIUM, buffer=9.0, tau=20.0)
    expected = 1e-4 + entering * 20 * (1 - np.exp(-50 / 200))
    for n in (1, 7):
        assert moved(slow, i, 50.0, n) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("hill", [1, 2])
def test_saturable_removal_converges_at_second_order(x64, hill):
    pump = {"pump_max": 2e-4, "pump_K": 1e-3, "pump_hill": hill}
    ion = nj.Ion(**CALCIUM, buffer=20.0, **pump)
    i, duration = -0.5, 40.0

    def removed(c):
        return 2e-4 * c**hill / (c**hill + 1e-3**hill)

    def rate(t, c):
        return (0.5 * 10 / (2 * FARADAY * 0.2) - removed(c) + removed(1e-4)) / 21

    exact = solve_ivp(rate, (0, duration), [1e-4], "DOP853", rtol=1e-12, atol=1e-16).y[0, -1]
    errors = np.array([abs(moved(ion, i, duration, n) - exact) for n in (4, 8, 16)])
    assert np.log2(errors[:-1] / errors[1:]).min() > 1.8
    assert errors[-1] < 1e-3 * exact
    # ... and at rest the removal and its leak are in balance.
    assert moved(ion, 0.0, 1e3, 1) == pytest.approx(1e-4, rel=1e-12)


# -- through engines -------------------------------------------------------------------------------
def with_calcium(**ca) -> nj.Cell:
    """A cell whose calcium pool opens a potassium channel: what the pool does is felt by v."""
    return nj.Cell(
        channels={
            "ca": CortexCaL(g_bar=0.3, E_rev=None),
            "kca": NeocortexKca(g_bar=2.0),
            "leak": SquidLeak(),
        },
        ions={"ca": nj.Ion(**(CALCIUM | {"tau": 30.0, "buffer": 5.0} | ca))},
        celsius=24.0,
        default_q10=1.0,
    )


def test_gradients_through_a_pool_are_those_of_finite_differences(x64):
    n = 400
    names = ("ions.ca.tau", "initial.ca_i", "ions.ca.depth", "ions.ca.outside", "kca.g_bar")
    electrode = nj.current_clamp(np.full(n, 6.0))
    fold = nj.VoltageError(data=nj.Target(np.full(n // 4, -50.0), np.ones(n // 4)))
    cell = with_calcium()
    start = nj.steady_state(cell, -60.0)

    def gradient(cell, s):
        return nj.gradient(cell, electrode, 0.05, of=fold, wrt=names, every=4, initial=s)

    def at(name, value):
        if name == "initial.ca_i":
            return gradient(cell, start._replace(c={"ca_i": jnp.asarray(value)}))
        return gradient(nj.replace(cell, {name: value}), start)

    ours = gradient(cell, start)
    values = {k: float(v) for k, (v, _) in nj.parameters(cell).items()} | {"initial.ca_i": 1e-4}
    assert np.abs(ours.gradient).min() > 0
    for name, slope in zip(names, ours.gradient, strict=True):
        h = 1e-5 * values[name]
        up, down = (float(at(name, values[name] + s * h).value) for s in (1, -1))
        assert float(slope) == pytest.approx((up - down) / (2 * h), rel=1e-5), name


@pytest.mark.smoke
def test_a_pool_of_each_cell_in_a_population():
    taus = jnp.array([5.0, 30.0, 300.0])
    electrode = nj.current_clamp(np.full(400, 6.0))

    def run(tau):
        record = ("v", "ca_i", "E_ca")
        return nj.simulate(with_calcium(tau=tau), electrode, record=record, initial=-60.0).data

    together = run(taus)
    assert together["ca_i"].shape == (400, 3)
    peaks = together["ca_i"].max(axis=0)
    assert 1e-4 < peaks[0] < peaks[1] < peaks[2]
    alone = run(30.0)
    for name, data in alone.items():
        np.testing.assert_allclose(together[name][:, 1], data, rtol=1e-5, err_msg=name)


def test_a_large_pool_counts_small_changes_in_float32():
    # Each step adds 2.6e-8 mM to 140 mM, of which float32 tells 1.5e-5: Faraday's law, to a digit.
    i, depth, n = 0.1, 10.0, 8000
    k = nj.Ion(valence=1, inside=140.0, outside=5.0, depth=depth)
    cell = nj.Cell(channels={"leak": SquidLeak()}, ions={"k": k}, electrode_ion="k")
    r = nj.simulate(cell, nj.current_clamp(np.full(n, i)), record=("k_i",), every=n, initial=-50.0)
    # The membrane's capacitance is charged too: what the leak lets go is no potassium.
    gained = 10 / 96485.33212 * i * n * 0.025 / depth
    assert float(r.data["k_i"][0]) - 140.0 == pytest.approx(gained, abs=1.6e-5)
    # Going on keeps what was not yet told.
    r = nj.simulate(
        cell, nj.current_clamp(np.full(n, i)), record=("k_i",), every=n, initial=r.final
    )
    assert float(r.data["k_i"][0]) - 140.0 == pytest.approx(2 * gained, abs=1.6e-5)
