"""Whole cells against numbers that other programs and the papers give.

Spike times (upward crossings of 0 mV, ms) were computed by independent implementations of the
papers' equations (scipy LSODA, rtol 1e-10), started with gates settled.
"""

import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.membrane.compartment import ionic_current
from neurojax.membrane.rest import steady_current
from neurojax.model import cells, load_model, packaged

every_cell = pytest.mark.parametrize("name", cells.__all__)
CABLES = {"cortex_mainen_sejnowski_two"}  # what they do is in test_fit_cable
of_one_compartment = pytest.mark.parametrize("name", sorted({*cells.__all__} - CABLES))

# How far from rest in 20 ms, mV. Rest is with calcium at its initial value, which a T channel's
# window current raises; and pacemakers do not stay.
DRIFT = {"sinus_fabbri": 5.0, "stomatogastric_pacemaker": 50.0, "thalamus_relay": 0.2}


def make(name, **parameters) -> nj.Cell:
    return nj.replace(
        getattr(cells, name)(), {k.replace("__", "."): x for k, x in parameters.items()}
    )


# -- what every cell promises ---------------------------------------------------------------------
@every_cell
def test_its_docstring_cites_its_source(name):
    text = getattr(cells, name).__doc__
    source = re.search(r"Source:(.*?)(Deviates:|$)", text, re.DOTALL)
    assert source and re.search(r"\b(19|20)\d\d\b", source[1])
    assert re.search(r"doi:10\.\d{4,}/\S+|ISBN", source[1])


@every_cell
def test_its_numbers_are_in_the_model_file_of_its_name(name):
    if name == "squid_axon":  # a square centimetre of the model "squid"
        model = load_model("squid").cell
        model = nj.replace(model, {"area": 1.0})
    else:
        assert name in packaged()
        model = load_model(name).cell
    assert nj.parameters(model).keys() == nj.parameters(make(name)).keys()
    for path, (value, _) in nj.parameters(make(name)).items():
        np.testing.assert_array_equal(value, nj.parameters(model)[path][0], path)


@of_one_compartment
def test_at_rest_its_steps_lead_nowhere(name):
    # Uncompiled, on arrays of the same shapes for all cells; the next test does it as users do.
    cell, low, high, dt = make(name), -150.0, 50.0, 0.025
    for _ in range(3):  # as nj.at_rest: the lowest potential where the steady current turns outward
        v = jnp.linspace(low, high, 401)
        i = np.asarray(steady_current(cell, v))
        turns = np.flatnonzero((i[:-1] < 0) & (i[1:] >= 0))
        if len(turns):
            low, high = float(v[turns[0]]), float(v[turns[0] + 1])
    paces = low == -150.0
    s = start = nj.steady_state(cell, -60.0 if paces else low)
    for _ in range(4):
        s = nj.step(cell, s, nj.Electrode(0.0, 0.0, 0.0), dt)
    assert all(a.dtype == jnp.float32 and bool(jnp.isfinite(a)) for a in jax.tree.leaves(s))
    if not paces:
        assert abs(float(s.v - start.v)) < DRIFT.get(name, 0.05) * 4 * dt / 20


@pytest.mark.slow
@every_cell
def test_it_runs_in_float32_and_stays_at_rest(name):
    cell = make(name)
    rest = nj.at_rest(cell)
    paces = bool(jnp.isnan(rest.v).any())
    start = -60.0 if paces else rest
    told = nj.simulate(cell, nj.current_clamp(jnp.zeros(800)), 0.025, initial=start, every=20)
    assert bool(told.ok)
    if not paces:
        assert np.abs(np.asarray(told.v) - np.asarray(rest.v)).max() < DRIFT.get(name, 0.05)


def test_public_names_are_the_functions():
    here = {k for k, f in vars(cells).items() if getattr(f, "__module__", "") == cells.__name__}
    assert here == set(cells.__all__) and cells.__all__ == sorted(cells.__all__)


# -- spike times ----------------------------------------------------------------------------------
class Run(NamedTuple):
    initial: float | None  # mV, None for rest
    on: float  # ms, when the current begins
    off: float
    spikes: dict[
        float, tuple[int, list[float]]
    ]  # by current: how many, and times of the first ones
    dt: float = 0.01


def ms(text: str) -> list[float]:
    return [float(word) for word in text.split()]


IB = ms("""617.72373 624.63227 631.10291 637.78997 644.91609 652.68368 661.44247 672.13335
           1156.51689 1486.51949 1806.88721 2120.75559 2432.26893""")
WB = ms("""8.91113 18.77035 28.59581 38.4204 48.24496 58.06952 67.89408 77.71864 87.5432
           97.36776""")
PACEMAKER = ms("""202.29157 218.71770 236.92904 257.29605 280.59289 307.63907 339.11881 374.92580
           413.37579 452.88860 493.59783 535.99491 580.28948 626.66933 675.53461 727.60845
           785.07740 1718.27383 1733.71561 1750.98063 1770.25927 1792.33363""")
RUNS = {
    "cortex_lts": Run(
        -84.0, 400.0, 800.0, {0.15e-3: (4, ms("431.41948 445.19082 517.3257 720.62697"))}
    ),
    "cortex_ib": Run(-84.0, 500.0, 2500.0, {0.15e-3: (13, IB)}),
    "cortex_ibr": Run(-84.0, 500.0, 2500.0, {0.15e-3: (38, ms("617.69703 622.34555 626.61113"))}),
    # 1 uA/cm2 is 0.2 nA on its 20000 um2
    "hippocampus_traub_miles": Run(
        *(None, 0.0, 200.0),
        {
            0.3 * 2e-4: (3, ms("30.13845 92.46725 154.79606")),
            0.5 * 2e-4: (5, ms("18.04516 60.55693 103.0687")),
            1.0 * 2e-4: (8, ms("9.7109 35.36183 61.01282")),
            2.0 * 2e-4: (13, ms("5.46931 20.79812 36.12658")),
            5.0 * 2e-4: (26, ms("2.672 10.4775 18.27122")),
        },
        dt=0.005,
    ),
    # Without a current, through one burst and into the next.
    "stomatogastric_pacemaker": Run(-60.0, 0.0, 1800.0, {0.0: (22, PACEMAKER)}, dt=0.005),
    "crab_connor_stevens": Run(
        *(None, 0.0, 500.0),
        {
            8.1: (0, []),
            8.2: (1, ms("307.82778")),
            8.3: (2, ms("191.46596 365.38987")),
            8.5: (4, ms("118.47885 221.27375 324.06866")),
            10.0: (16, ms("38.11675 67.48901 96.86109")),
            20.0: (66, ms("8.43574 16.06667 23.62715")),
        },
    ),
}

# What NEURON finds at a fixed step of 0.001 ms with the authors' program of 2008, gates settled:
# first order in time, and bursts amplify that.
NEURON = {
    "cortex_lts": ms("431.422 445.188 517.236 720.421"),
    "cortex_ib": ms("""617.724 624.631 631.1 637.785 644.908 652.67 661.419 672.084 1157.215
        1487.096 1807.4 2121.216 2432.682"""),
    "cortex_ibr": ms("""617.697 622.346 626.612 630.869 635.178 639.553 644.0 648.522 653.122
        657.806 662.577 667.44 672.402 677.469 682.648 687.949 693.381 698.957 704.691 710.601
        716.71 723.047 729.65 736.575 743.901 751.762 760.416 770.556 1287.094 1296.316 1305.34
        1315.424 1328.521 1794.168 1808.667 1831.64 2261.846 2284.857"""),
}


def crossings(v, v0, dt, level=0.0):
    v = np.concatenate([[v0], np.asarray(v, dtype=np.float64)]) - level
    k = np.flatnonzero((v[:-1] < 0) & (v[1:] >= 0))
    return (k + v[k] / (v[k] - v[k + 1])) * dt


def spike_times(cell, currents, initial, on, off, dt, level=0.0, steps=0):
    """Of each current, until it ends; of so many steps, which may be those of another program."""
    i = nj.steps(np.asarray(currents), start=on, stop=off, duration=off, dt=dt)
    n = len(i)
    i = np.pad(i, [(0, max(steps - n, 0)), (0, 0)])
    v = np.asarray(nj.simulate(cell, nj.current_clamp(i), dt, initial=initial).v)[:n]
    return [crossings(v[:, k], -90.0, dt, level) for k in range(len(currents))]


@pytest.mark.smoke
@pytest.mark.parametrize("name", RUNS)
def test_spike_times(name, x64):
    initial, on, off, spikes, dt = RUNS[name]
    found = spike_times(make(name), list(spikes), initial, on, off, dt)
    for times, (current, (n, first)) in zip(found, spikes.items(), strict=True):
        assert len(times) == n, current
        np.testing.assert_allclose(times[: len(first)], first, rtol=2e-4, err_msg=f"{current}")
        if name in NEURON:
            np.testing.assert_allclose(times, NEURON[name], rtol=1e-3)


def test_calcium_potassium_and_slow_potassium_make_a_pyramidal_cell_adapt(x64):
    # Crossings of -20 mV; two steps of time, of which the error falls with the square.
    currents = [0.5, 1.0, 2.0, 4.0]
    numbers = [5, 12, 23, 39]
    exact = [
        [97.06332, 183.01054, 292.4655, 414.61254, 539.51246],
        [67.92407, 100.84638, 135.96811, 173.26921, 212.55192, 253.52731, 295.86739, 339.25056],
        [58.77384, 77.15471, 95.96105, 115.21986, 134.92115, 155.03972, 175.54396, 196.39984],
        [54.66102, 66.35635, 78.11698, 89.99228, 101.9866, 114.0975, 126.32004, 138.64806],
    ]
    # A fifth cell has neither of these currents.
    without = np.array([1.0, 1.0, 1.0, 1.0, 0.0])
    cell = make("cortex_mainen_sejnowski")
    names = ("kca.g_bar", "km.g_bar")
    cell = nj.replace(cell, {k: nj.parameters(cell)[k][0] * without for k in names})
    run = (-70.0, 50.0, 550.0)
    *coarse, alone = spike_times(cell, [*currents, 4.0], *run, 0.02, level=-20.0, steps=55_000)
    fine = spike_times(cell, [*currents, 4.0], *run, 0.01, level=-20.0)[:4]
    assert [len(times) for times in fine] == numbers
    for a, b, times in zip(coarse, fine, exact, strict=True):
        n = len(times)
        np.testing.assert_allclose(b[:n], times, rtol=2e-4)
        order = np.log2(np.abs(a[:n] - times).max() / np.abs(b[:n] - times).max())
        assert order > 1.8, order
        assert (np.diff(b)[1:] > np.diff(b)[:-1]).all()
    assert np.ptp(np.diff(alone)[2:]) < 0.05


# -- thresholds and frequencies -------------------------------------------------------------------
def resting(name) -> float:
    return float(nj.at_rest(make(name)).v)


def saddle_node(cell, low, high):
    """The current (uA/cm2) and potential where rest ends: the first maximum of the I-V curve."""
    v = jnp.linspace(low, high, 40001)
    i = np.asarray(steady_current(cell, v))
    k = np.argmax(np.diff(i) < 0)
    return i[k], float(v[k])


def test_wang_buzsaki_rest_and_onset(x64):
    assert resting("interneuron_wang_buzsaki") == pytest.approx(-64.017565, abs=2e-6)
    i, v = saddle_node(make("interneuron_wang_buzsaki"), -64.0, -56.0)
    assert (i, v) == (pytest.approx(0.160086, abs=1e-6), pytest.approx(-59.9658, abs=1e-3))


def test_wang_buzsaki_spike_times_and_frequencies(x64):
    exact = {
        0.2: 8.62,
        0.3: 18.14,
        0.5: 32.22,
        1: 59.70,
        2: 101.79,
        3: 135.50,
        5: 189.63,
        10: 284.94,
    }
    found = spike_times(make("interneuron_wang_buzsaki"), list(exact), -70.0, 0.0, 400.0, 0.005)
    rates = [1e3 / np.diff(times)[-1] for times in found]
    np.testing.assert_allclose(rates, list(exact.values()), rtol=3e-3)
    first = found[list(exact).index(2)]
    assert (first < 100.0).sum() == len(WB)
    np.testing.assert_allclose(first[: len(WB)], WB, rtol=2e-4)


def test_connor_stevens_rest_and_onset(x64):
    assert resting("crab_connor_stevens") == pytest.approx(-67.978117, abs=1e-6)
    i, v = saddle_node(make("crab_connor_stevens"), -68.0, -50.0)
    assert (i, v) == (pytest.approx(8.11405, abs=1e-5), pytest.approx(-57.122, abs=2e-3))
    # Without the A current it cannot fire slowly.
    (times,) = spike_times(
        make("crab_connor_stevens", ka__g_bar=0.0), [0.0], -72.0, 0.0, 100.0, 0.01
    )
    assert len(times) > 5


def test_traub_miles_rest(x64):
    assert resting("hippocampus_traub_miles") == pytest.approx(-64.76462926, abs=1e-6)


# -- Morris and Lecar -----------------------------------------------------------------------------
SADDLE = {"ca__g_bar": 4.0, "k__V3": 12.0, "k__V4": 17.4, "k__phi": 1 / 15}


def test_morris_lecar_rest_and_saddle_node(x64):
    assert resting("barnacle_morris_lecar") == pytest.approx(-60.855382, abs=1e-6)
    cell = make("barnacle_morris_lecar", **SADDLE)
    i, v = saddle_node(cell, -60.0, -15.0)
    assert (i, v) == (pytest.approx(39.963153, abs=1e-6), pytest.approx(-29.39, abs=1e-2))


def test_morris_lecar_loses_rest_to_oscillations_where_published(x64):
    # A Hopf bifurcation: the trace of the Jacobian of (v, w) passes zero.
    cell = make("barnacle_morris_lecar")

    def trace(v):
        x = nj.steady_state(cell, v).x
        slope = jax.grad(lambda v: ionic_current(cell, v, x, {}))(v)
        return -slope / cell.C_m - cell.channels["k"].gating(v)["w"].rate

    v = jnp.linspace(-40.0, 20.0, 60001)
    t = np.asarray(jax.vmap(trace)(v))
    (k,) = np.nonzero(np.diff(np.sign(t)))
    at = v[k] + (v[k + 1] - v[k]) * t[k] / (t[k] - t[k + 1])
    np.testing.assert_allclose(steady_current(cell, at), [93.857618, 212.018817], rtol=1e-7)


@pytest.mark.parametrize(
    ("parameters", "periods"),
    [
        ({}, {90: 102.7272, 100: 85.2906, 150: 66.1618, 200: 65.6192}),
        (SADDLE, {42: 145.44675, 45: 99.30823, 50: 75.54352, 60: 58.62144}),
    ],
    ids=["Hopf", "saddle-node"],
)
def test_morris_lecar_periods(parameters, periods, x64):
    cell = make("barnacle_morris_lecar", **parameters)
    # At 90 uA/cm2 rest is stable too: the cycle is reached from afar.
    initial = nj.State(0.0, {"leak": {}, "ca": {}, "k": {"w": 0.0}})
    found = spike_times(cell, list(periods), initial, 0.0, 1000.0, 0.05)
    last = [np.diff(times)[-1] for times in found]
    np.testing.assert_allclose(last, list(periods.values()), rtol=1e-4)
