"""Families of channels in many cells: HCN, BK, SK, Kir, two-pore, persistent and resurgent Na."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

import neurojax as nj
from neurojax.channels import (
    BkK,
    EntorhinalNap,
    FrogNodeLeak,
    HippocampusH,
    KirK,
    PurkinjeNaR,
    SkK,
    TwoPoreK,
)

V = np.linspace(-119.93, 59.91, 300)


def test_hcn_of_ca1(x64):
    at_33, at_23 = (HippocampusH().kinetics(jnp.asarray(V), celsius)["l"] for celsius in (33, 23))
    a, b = np.exp(0.0378 * 2.2 * (V + 75)), np.exp(0.0378 * 2.2 * 0.4 * (V + 75))
    np.testing.assert_allclose(at_33.inf, 1 / (1 + np.exp((V + 73) / 8)), rtol=1e-9)
    np.testing.assert_allclose(1 / at_33.rate, b / (0.011 * (1 + a)), rtol=1e-9)
    np.testing.assert_allclose(at_33.rate, 4.5 * at_23.rate, rtol=1e-9)


def test_persistent_sodium(x64):
    v = jnp.asarray(V)
    m, h = EntorhinalNap().instant(v)["m"], EntorhinalNap().gating(v)["h"]
    alpha = -2.88e-6 * (V + 17) / (1 - np.exp((V + 17) / 4.63))
    beta = 6.94e-6 * (V + 64.4) / (1 - np.exp(-(V + 64.4) / 2.63))
    np.testing.assert_allclose(m, 1 / (1 + np.exp(-(V + 52.6) / 4.6)), rtol=1e-9)
    np.testing.assert_allclose(h.inf, 1 / (1 + np.exp((V + 48.8) / 10)), rtol=1e-9)
    np.testing.assert_allclose(h.rate, alpha + beta, rtol=1e-6)
    # The steady window current is largest some 5 mV positive to where m is half open.
    window = np.asarray(m * h.inf * (v - 50))
    assert -50 < V[window.argmin()] < -42


# -- calcium-gated potassium ----------------------------------------------------------------------
def bk_closed_to_open(v, ca):
    """Scheme R1 of Moczydlowski & Latorre 1983 with channel A of their Table II, mV and mM.

    C - C Ca - O Ca - O Ca2: calcium binds at once, K1 = 180 uM across 0.84 and K4 = 11 uM across
    all of the field; C Ca opens at 480/s, O Ca closes at 280/s.
    """
    u = 2 * v * 96485.33212 / (8.314462618 * 296.15) / 1e3
    closed_bound = (ca / 0.18 * np.exp(0.84 * u)) / (1 + ca / 0.18 * np.exp(0.84 * u))
    open_bound_once = 1 / (1 + ca / 0.011 * np.exp(u))
    return 0.48 * closed_bound, 0.28 * open_bound_once


def test_bk_is_its_source_s(x64):
    v, ca = jnp.asarray([-60.0, -20.0, 0.0, 40.0]), jnp.asarray([[1e-4], [1e-3], [1e-2]])
    o = BkK().gating(v, ca)["o"]
    opening, closing = bk_closed_to_open(np.asarray(v), np.asarray(ca))
    np.testing.assert_allclose(o.inf, opening / (opening + closing), rtol=1e-9)
    np.testing.assert_allclose(1 / o.rate, 1 / (opening + closing), rtol=1e-9)
    # Half open where Ca/K1 and Ca/K4 balance; ten times the calcium moves it by RT/2F ln 10 / 0.9.
    grid = np.linspace(-100.0, 200.0, 30001)
    half = [
        grid[np.argmax(BkK().gating(jnp.asarray(grid), c)["o"].inf > 0.5)] for c in (1e-3, 1e-2)
    ]
    np.testing.assert_allclose(half[0] - half[1], 31.9, atol=0.5)


def sk_open(ca):
    """The open part in equilibrium: a product of the ratios of rates along the scheme."""
    c2 = 200 * ca / 0.08
    c3 = c2 * 160 * ca / 0.08
    c4 = c3 * 80 * ca / 0.2
    o1, o2 = c3 * 0.16, c4 * 12
    return (o1 + o2) / (1 + c2 + c3 + c4 + o1 + o2)


def test_sk_opens_by_calcium_alone(x64):
    ca = np.geomspace(2e-5, 2e-2, 25)
    x = SkK().steady_state(jnp.full(25, -60.0), ca_i=jnp.asarray(ca))
    np.testing.assert_allclose(x["O1"] + x["O2"], sk_open(ca), rtol=1e-10)
    elsewhere = SkK().steady_state(jnp.full(25, 40.0), ca_i=jnp.asarray(ca))
    assert all((elsewhere[k] == x[k]).all() for k in x)
    # half of the most at 0.50 uM, and a Hill coefficient of 1.9 there
    assert sk_open(5.0026e-4) == pytest.approx(sk_open(1.0) / 2, rel=2e-3)


def test_sk_follows_a_step_of_calcium(x64):
    # As Hirschberg et al. did with patches, from 0.01 to 10 uM and back: an input of the electrode.
    def generator(ca):
        q = np.zeros((6, 6))
        for a, b, forth, back in (
            *((0, 1, 200 * ca, 0.08), (1, 2, 160 * ca, 0.08), (2, 3, 80 * ca, 0.2)),
            *((2, 4, 0.16, 1.0), (3, 5, 1.2, 0.1)),
        ):
            q[b, a] += forth
            q[a, b] += back
        return q - np.diag(q.sum(axis=0))

    dt = 0.02
    ca = nj.steps(1e-2, start=20.0, stop=60.0, duration=160.0, dt=dt, holding=1e-5)
    ion = nj.Ion(valence=2, inside=1e-5, outside=2.0)
    cell = nj.Cell(channels={"sk": SkK()}, ions={"ca": ion})
    electrode = nj.voltage_clamp(jnp.full(len(ca), -80.0))._replace(inputs={"ca_i": ca})
    told = nj.simulate(cell, electrode, dt, initial=-80.0, record=("sk.O1", "sk.O2"))
    found = np.asarray(told.data["sk.O1"] + told.data["sk.O2"])
    start = SkK().steady_state(jnp.asarray(-80.0), ca_i=1e-5)
    x = np.array([float(start[k]) for k in SkK.states])
    for t in (20.0, 21.0, 25.0, 60.0):
        x_then = expm(generator(1.001e-2) * (t - 20.0)) @ x
        assert found[round(t / dt) - 1] == pytest.approx(x_then[4:].sum(), rel=1e-3, abs=1e-7)
    x = expm(generator(1.001e-2) * 40.0) @ x
    for t in (65.0, 75.0, 100.0, 160.0):
        x_then = expm(generator(1e-5) * (t - 60.0)) @ x
        assert found[round(t / dt) - 1] == pytest.approx(x_then[4:].sum(), rel=1e-3)


# -- potassium at rest ----------------------------------------------------------------------------
def test_inward_rectifier_moves_with_potassium(x64):
    # Of a chord conductance A sqrt(k_o) / (1 + exp((v - E - 15 below) / 7)), Hagiwara & Takahashi.
    v, k_o = jnp.linspace(-130.0, 0.0, 300), jnp.asarray([[2.5], [5.0], [10.0]])
    i = np.asarray(KirK().current(v, {}, 25.0, k_i=140.0, k_o=k_o))
    E = 1e3 * 8.314462618 * 298.15 / 96485.33212 * np.log(np.asarray(k_o) / 140)
    np.testing.assert_allclose(E[1], -85.6129, atol=1e-4)
    law = np.sqrt(np.asarray(k_o) / 5) / (1 + np.exp((np.asarray(v) - E + 15) / 7))
    np.testing.assert_allclose(i, law * (np.asarray(v) - E), rtol=1e-9, atol=1e-15)
    # More potassium outside: a larger inward current, and outward ones that cross.
    assert (np.diff(i[:, 0]) < 0).all() and (np.diff(i[:, -100]) > 0).all()


def test_two_pore_leak_is_neuron_s_constant_field(x64):
    # 140 mM inside and 5 mM outside at 34 degC, in 1e-3 C/cm3 (mA/cm2 of 1 cm/s)
    v = jnp.asarray([-80.0, -60.0, -40.0, -20.0, 0.0, 20.0, 40.0])
    flux = [556.418, 2320.263, 4843.587, 8353.725, 13025.520, 18925.207, 25986.552]
    i = TwoPoreK(P_bar=1e-6).current(v, {}, 34.0, k_i=140.0, k_o=5.0)
    np.testing.assert_allclose(i, 1e-3 * np.array(flux), rtol=2e-6)
    # With the same potassium on both sides it is ohmic.
    same = np.asarray(TwoPoreK().current(v, {}, 34.0, k_i=100.0, k_o=100.0))
    np.testing.assert_allclose(same / np.asarray(v + (v == 0)), same[1] / -60.0 * (v != 0))


# -- resurgent sodium -----------------------------------------------------------------------------
def purkinje_generator(v):
    """Khaliq, Gouwens & Raman's rates as a matrix: what enters a state (row) from another."""
    states = [*(f"C{k}" for k in range(1, 6)), "O", "B", *(f"I{k}" for k in range(1, 7))]
    on, off = 150**0.25, 0.01**0.25
    opening, closing = 150 * np.exp(v / 20), 3 * np.exp(-v / 20)
    links = [("C5", "O", 150, 40), ("I5", "I6", 150, 40), ("O", "I6", 0.75, 0.005)]
    links += [("O", "B", 1.75, 0.03 * np.exp(-v / 25))]
    for k in range(4):
        links += [(f"C{k + 1}", f"C{k + 2}", (4 - k) * opening, (k + 1) * closing)]
        links += [(f"I{k + 1}", f"I{k + 2}", (4 - k) * opening * on, (k + 1) * closing * off)]
    links += [(f"C{k + 1}", f"I{k + 1}", 0.005 * on**k, 0.5 * off**k) for k in range(5)]
    q = np.zeros((13, 13))
    for a, b, forth, back in links:
        q[states.index(b), states.index(a)] += forth
        q[states.index(a), states.index(b)] += back
    return q - np.diag(q.sum(axis=0))


def test_sodium_current_resurges_on_repolarisation(x64):
    # From -90 mV, 20 ms at +30 mV, then a family of levels.
    levels, dt = np.array([-60.0, -50.0, -40.0, -30.0, -20.0, -10.0]), 0.005
    t = (np.arange(round(60 / dt)) + 0.5) * dt
    cell = nj.Cell(channels={"na": PurkinjeNaR(g_bar=1.0)})
    start = jax.jit(lambda v: nj.steady_state(cell, v, levels.shape))(-90.0)
    rest = np.array([float(start.x["na"][k][0]) for k in PurkinjeNaR.states])
    np.testing.assert_allclose(purkinje_generator(-90.0) @ rest, 0, atol=1e-12)
    v = np.where(t[:, None] < 20, 30.0, levels)
    start = start._replace(v=jnp.full(levels.shape, 30.0))
    told = nj.simulate(cell, nj.voltage_clamp(v), dt, initial=start, record=("na.i", "na.O"))
    found = np.asarray(told.data["na.O"])
    at_30 = expm(purkinje_generator(30.0) * 0.03) @ rest  # the transient's peak
    transient = np.asarray(told.data["na.i"])[: round(20 / dt)].min()
    assert transient == pytest.approx(at_30[5] * -30, rel=1e-3)
    after = expm(purkinje_generator(30.0) * 20.0) @ rest
    assert after[6] == pytest.approx(0.619, abs=1e-3)  # most are blocked
    peaks, times = [], []
    for lane, level in enumerate(levels):
        move, x, exact = expm(purkinje_generator(level) * dt), after, []
        for _ in range(round(40 / dt)):
            x = move @ x
            exact.append(x[5])
        late = slice(round(2 / dt), None)  # past the tail of what was open
        ours = found[round(20 / dt) :, lane][late]
        # The faster that channels close after the step, the more a step of time blurs that.
        rtol = 3e-3 if level >= -40 else 0.07
        np.testing.assert_allclose(ours, exact[late], rtol=rtol)
        k = int(np.argmax(exact[late]))
        peaks.append(ours.max() * (level - 60))
        times.append(2 + (np.argmax(ours) + 1) * dt)
        if level >= -40:
            assert times[-1] == pytest.approx(2 + (k + 1) * dt, abs=0.05)
    # Largest at -40 mV, 9 % of the transient, after 4.6 ms.
    k = int(np.argmin(peaks))
    assert levels[k] == -40 and times[k] == pytest.approx(4.57, abs=0.02)
    assert peaks[k] / transient == pytest.approx(0.0936, abs=5e-4)


def test_the_nodes_leak_reverses_where_the_paper_has_it():
    # Frankenhaeuser & Huxley 1964: V_L is 0.026 mV from a rest of -70. NEURON's fh has the same
    # gl = 30.3e-3 mho/cm2 with el = -69.74 mV: 7.09 uA/cm2 less outward at any potential.
    leak, v = FrogNodeLeak(), np.array([-90.0, -70.0, -20.0])
    ours = np.asarray(leak.current(v, {}))
    np.testing.assert_allclose(ours, 30.3 * (v + 69.974), rtol=1e-5)
    np.testing.assert_allclose(ours - 30.3 * (v + 69.74), 7.0902, rtol=1e-4)


def test_resurgent_channel_warms_by_3(x64):
    cold, warm = (PurkinjeNaR().rates(jnp.asarray(-40.0), celsius) for celsius in (22.0, 32.0))
    ratios = jax.tree.leaves({f"{a}{b}": warm[a, b] / cold[a, b] for a, b in cold})
    np.testing.assert_allclose(ratios, 3.0, rtol=1e-12)


def test_sk_is_three_times_faster_by_10_degrees(x64):
    # Solinas et al. 2007: Q10 3, about 23 degC.
    v, warm = jnp.asarray(-60.0), 33.0
    slow, fast = SkK().rates(v, 23.0, ca_i=1e-3), SkK().rates(v, warm, ca_i=1e-3)
    for pair, rate in slow.items():
        np.testing.assert_allclose(fast[pair], 3 * rate, rtol=1e-12)
