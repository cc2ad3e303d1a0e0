"""Voltage clamp as rigs do it: protocols, the prefix in time, the rig, curves and their fits."""

import jax
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import CortexCaT, SquidK, SquidLeak, SquidNa, SynapseAmpa
from neurojax.membrane.electrode import stimulus
from neurojax.rig import iv_curves, protocols
from neurojax.rig.amplifier import Rig
from neurojax.rig.voltage_clamp import clamp

AREA = 1e-5  # cm2: 10 pF
LEVELS = np.arange(-80.0, 61.0, 10.0)


def activating():
    """Steps from where sodium channels are closed to beyond their reversal potential."""
    return protocols.step_family(np.arange(-60.0, 81.0, 10.0), duration=8.0, after=2.0)


def squid(**channels):
    channels = channels or {"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}
    return nj.Cell(channels=channels, area=AREA)


# -- protocols -------------------------------------------------------------------------------------
def test_a_step_family_commands_what_it_says():
    p = protocols.step_family(
        LEVELS, holding=-70.0, before=5.0, duration=20.0, tail=-50.0, after=10
    )
    assert p.v.shape == (1400, 15) and p.dt == 0.025
    assert (p.v[:200] == -70).all() and (p.v[-400:] == -50).all()
    np.testing.assert_array_equal(p.v[p.samples("test")], np.tile(LEVELS, (800, 1)))
    with pytest.raises(ValueError, match=r"no window 'prepulse' \(have: test, tail"):
        p.samples("prepulse")
    with pytest.raises(ValueError, match=r"0\.01 ms is shorter than a step of 0\.025 ms"):
        protocols.step_family(LEVELS, before=0.01)


def test_the_sine_wave_is_the_published_one():
    p = protocols.sine()
    at = lambda t: p.v[round(t / 0.1), 0]  # noqa: E731
    assert [at(t) for t in (100, 260, 400, 1000, 1800, 2500, 6600, 7500)] == [
        -80.0, -120.0, -80.0, 40.0, -120.0, -80.0, -120.0, -80.0,
    ]  # fmt: skip
    t = 4000.05
    wave = -30 + 54 * np.sin(0.007 * (t - 2500)) + 26 * np.sin(0.037 * (t - 2500))
    assert at(4000) == pytest.approx(wave + 10 * np.sin(0.19 * (t - 2500)), abs=1e-9)


def test_other_protocols_have_their_shapes():
    assert protocols.ramp(-100, 50, duration=150.0).v[-1, 0] == 50
    stairs = protocols.staircase([-40, 0, 40], step=100.0)
    assert stairs.v[round(300 / 0.1), 0] == -40 and stairs.windows["step 2"] == (450, 550)
    pair = protocols.paired_pulses([2.0, 5.0])
    assert [p.windows["test"][0] for p in pair] == [32.0, 35.0]
    assert pair[0].v.shape == pair[1].v.shape and pair[0].v[-1, 0] == -80
    spike = protocols.action_potential_clamp(np.array([-70.0, 30.0, -70.0]), 1.0, dt=0.5)
    np.testing.assert_allclose(spike.v[:, 0], [-45, 5, 5, -45])


# -- the prefix in time ----------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("scheme", [False, True])
def test_the_prefix_is_the_simulation(scheme, x64):
    channels = {"na": SquidNa(), "k": SquidK(), "t": CortexCaT(), "leak": SquidLeak()}
    if scheme:
        channels["na"] = nj.as_scheme(channels["na"])
    cell = nj.Cell(channels=channels, area=AREA, celsius=10.0)
    p = protocols.step_family([-40.0, 0.0, 30.0], duration=5.0, before=1.0, after=2.0)
    fast = clamp(cell, p, record=("k.n",))
    slow = nj.simulate(
        cell, nj.voltage_clamp(p.v), p.dt, record=("i_ion", "k.n"), initial=p.v[0]
    ).data
    np.testing.assert_allclose(fast.data["k.n"], slow["k.n"], rtol=1e-9)
    np.testing.assert_allclose(fast.data["i_ion"], slow["i_ion"], rtol=1e-6, atol=1e-6)


def test_the_prefix_is_differentiable():
    p = protocols.step_family([0.0], duration=2.0, before=0.5, after=0.5)

    @jax.jit
    def charge(g_bar):
        cell = squid(na=SquidNa(g_bar=g_bar))
        clamp = nj.voltage_clamp(p.v)
        return nj.simulate(cell, clamp, p.dt, record=["na.i"], engine="prefix").data["na.i"].sum()

    assert float(jax.grad(charge)(100.0)) == pytest.approx(float(charge(100.0)) / 100, rel=1e-5)


@pytest.mark.parametrize("pop", [(), (3,)])
def test_an_engine_is_asked_for_by_name_and_answers_the_same(pop, x64):
    """Records, folds, inputs in time and the state to go on from."""
    channels = {"k": SquidK(g_bar=np.full(pop, 30.0)), "receptor": SynapseAmpa()}
    channels["scheme"] = nj.as_scheme(SquidK())
    cell = nj.Cell(channels=channels, inputs={"glu": 0.0}, area=AREA)
    steps = 60
    electrode = stimulus(
        nj.voltage_clamp(np.linspace(-80.0, 40.0, steps)),
        glu=np.where(np.arange(steps) > 20, 1.0, 0.0),
    )
    folds = {"i": nj.Mean(of="k.i"), "v": nj.VoltageError(data=nj.Target(np.zeros(8), np.ones(8)))}
    how = {"record": ("v", "k.i", "receptor.i", "scheme.i"), "every": 7, "folds": folds}
    slow, fast = (nj.simulate(cell, electrode, 0.025, engine=e, **how) for e in ("scan", "prefix"))
    assert jax.tree.structure(slow) == jax.tree.structure(fast)
    for a, b in zip(jax.tree.leaves(slow), jax.tree.leaves(fast), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("electrode", "engine", "message"),
    [
        (nj.current_clamp(np.ones(5)), "prefix", "'prefix': the potential is not imposed: give an"),
        (nj.voltage_clamp(np.ones(5), 1.0), "prefix", "the potential is not imposed"),
        (nj.voltage_clamp(np.ones(5)), "prefx", r"no engine 'prefx'; did you mean 'prefix'\?"),
    ],
)
def test_what_an_engine_cannot_do_is_refused(electrode, engine, message):
    with pytest.raises(ValueError, match=message):
        nj.simulate(squid(), electrode, engine=engine)


def test_pools_are_refused_by_name():
    ions = {"k": nj.Ion(inside=400.0, outside=20.0, depth_o=0.1)}
    cell = nj.Cell(channels={"k": SquidK(E_rev=None)}, ions=ions, area=AREA)
    with pytest.raises(ValueError, match="k_o change with the current, which no command tells"):
        nj.simulate(cell, nj.voltage_clamp(np.ones(5)), engine="prefix")


def test_pools_are_simulated():
    ions = {"k": nj.Ion(inside=400.0, outside=20.0, depth_o=0.1)}
    cell = nj.Cell(channels={"k": SquidK(E_rev=None)}, ions=ions, area=AREA)
    p = protocols.step_family([40.0], duration=20.0)
    r = clamp(cell, p, record=("k_o",))
    assert r.data["k_o"].max() > 25  # potassium piles up in a narrow space


# -- curves ----------------------------------------------------------------------------------------
def test_currents_of_the_squid_reverse_where_they_should():
    p = activating()
    r = clamp(squid(na=SquidNa()), p)
    assert iv_curves.reversal(p.levels, iv_curves.peak(r)) == pytest.approx(50.0, abs=0.5)
    tails = protocols.tail_family(np.arange(-110.0, -39.0, 10.0), opening=10.0, duration=5.0)
    r = clamp(squid(k=SquidK()), tails)
    first = iv_curves.at_start(r, "test")
    assert iv_curves.reversal(tails.levels, first) == pytest.approx(-77.0, abs=0.1)
    with pytest.raises(ValueError, match="is zero 0 times between -110 and -90 mV"):
        iv_curves.reversal([-110.0, -90.0], [-1.0, -0.5])


@pytest.mark.slow
def test_activation_and_inactivation_are_the_gates_own():
    # n^4 in the steady state, from its closed form.
    levels = np.arange(-80.0, 61.0, 5.0)
    p = protocols.step_family(levels, duration=60.0, after=5.0)
    g = iv_curves.conductance(levels, iv_curves.steady(clamp(squid(k=SquidK()), p)), -77.0)
    n = np.asarray(SquidK().steady_state(levels)["n"]) ** 4
    good = np.isfinite(g)
    np.testing.assert_allclose(g[good], 36 * n[good] * AREA * 1e6, rtol=2e-3, atol=1e-3)

    levels = np.arange(-110.0, -19.0, 5.0)
    p = protocols.inactivation_family(levels, conditioning=100.0, test_at=20.0, duration=5.0)
    available = iv_curves.peak(clamp(squid(na=SquidNa()), p))
    fit = iv_curves.fit_boltzmann(levels, available / available[0])
    # Hodgkin & Huxley's h is one half at -62.2 mV, with a slope of about 7 mV.
    h = np.asarray(SquidNa().steady_state(levels)["h"])
    assert fit.V_half == pytest.approx(np.interp(0.5, h[::-1], levels[::-1]), abs=0.7)
    assert fit.k == pytest.approx(-7.0, abs=1.0)
    assert fit.errors[0] < 0.5


def test_recovery_from_inactivation_has_its_time_constant():
    gaps = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    second = [
        iv_curves.peak(clamp(squid(na=SquidNa()), p))[0]
        for p in protocols.paired_pulses(gaps, first=15.0, second=3.0)
    ]
    tau, _, _ = iv_curves.fit_exponential(gaps, np.array(second))
    h = SquidNa().kinetics(np.float32(-80.0))["h"]
    assert tau == pytest.approx(1 / float(h.rate), rel=0.1)


def test_a_fit_of_too_few_points_is_refused():
    with pytest.raises(ValueError, match="3 parameters, but there are 3 points"):
        iv_curves.fit_boltzmann([0, 1, 2, 3], [0.0, 0.1, 0.5, np.nan])


# -- the rig ---------------------------------------------------------------------------------------
def passive():
    return nj.Cell(channels={"leak": SquidLeak(g_bar=0.1, E_rev=-70.0)}, area=AREA)


def test_series_resistance_charges_the_membrane_with_its_time_constant(x64):
    # tau = (R_s || R_m) C_m; R_m = 1 GOhm, C_m = 10 pF, R_s = 20 MOhm.
    p = protocols.step_family([-60.0], holding=-70.0, duration=5.0, before=1.0, dt=0.005)
    r = clamp(passive(), p, Rig(R_s_MOhm=20.0))
    i = r.window("test")[:, 0]
    t = np.arange(len(i)) * p.dt
    tau, amplitude, final = iv_curves.fit_exponential(t[:300], i[:300])
    assert tau == pytest.approx(20.0 * 1000 / 1020 * 10 * 1e-3, rel=2e-3)
    assert final == pytest.approx(10 / 1020e6 * 1e9, rel=2e-3)  # pA: 10 mV over 1.02 GOhm
    assert i[0] == pytest.approx(500.0, rel=1e-4)  # pA: all of the step over R_s
    assert amplitude + final == pytest.approx(500.0, rel=5e-3)


def test_compensation_is_a_smaller_resistance_and_takes_the_transient_off():
    p = protocols.step_family([-60.0], holding=-70.0, duration=5.0, before=1.0)
    part = clamp(passive(), p, Rig(R_s_MOhm=20.0, compensation=0.75))
    less = clamp(passive(), p, Rig(R_s_MOhm=5.0))
    np.testing.assert_allclose(part.i, less.i, rtol=1e-6)
    off = clamp(passive(), p, Rig(R_s_MOhm=20.0, cell_capacitance_compensated=True))
    on = clamp(passive(), p, Rig(R_s_MOhm=20.0))
    # 500 pA of charging current; what is left is that the leak changes tau by 2 %.
    assert on.i.max() > 400 and np.abs(off.i).max() < 0.03 * on.i.max()


def test_series_resistance_distorts_an_activation_curve():
    p = activating()
    ideal = iv_curves.peak(clamp(squid(na=SquidNa()), p))
    poor = iv_curves.peak(clamp(squid(na=SquidNa()), p, Rig(R_s_MOhm=10.0, compensation=0.0)))
    half = lambda i: np.interp(0.5 * i.min(), i[: i.argmin()][::-1], p.levels[: i.argmin()][::-1])  # noqa: E731
    assert half(poor) < half(ideal) - 2  # activates too early, too steeply


def test_leak_subtraction_leaves_what_is_not_linear():
    channels = {"na": SquidNa(), "leak": SquidLeak(g_bar=0.5)}
    p = protocols.step_family([0.0], holding=-90.0, duration=5.0)
    rig = Rig(R_s_MOhm=0.5, C_pipette_pF=5.0)
    both = clamp(squid(**channels), p, rig, subtract_leak=8)
    alone = clamp(squid(na=SquidNa()), p, rig)
    raw = clamp(squid(**channels), p, rig)
    test = p.samples("test")
    late = np.abs(raw.i[test] - alone.i[test])[40:-1].max()
    left = np.abs(both.i[test] - both.i[0] - (alone.i[test] - alone.i[0]))[40:-1].max()
    assert left < 0.1 * late
    ends = [test.start - 1, test.stop - 1]  # charging current, and the pipette's
    assert np.abs(both.i[ends]).max() < 0.02 * np.abs(raw.i[ends]).max()


def test_the_filter_has_its_corner_and_the_converter_its_rate():
    t = np.arange(40_000) * 0.005
    i = np.sin(2 * np.pi * 5.0 * t)[:, None]
    rig = Rig(filter_kHz=5.0, sampling_kHz=50.0)
    times, out = rig.measured(i / 10, i, np.zeros_like(i), 0.005, area=1e-5, C_m=1.0)
    assert len(out) == 10_000 and times[1] - times[0] == pytest.approx(0.02)
    assert np.abs(out[5000:]).max() == pytest.approx(2**-0.5, rel=0.01)  # -3 dB
    with pytest.raises(ValueError, match="expected 200 kHz, that of the simulation, divided"):
        Rig(sampling_kHz=30.0).measured(i, i, i, 0.005, area=1e-5, C_m=1.0)


def test_the_junction_potential_shifts_the_membrane_not_the_command():
    p = protocols.step_family([0.0], duration=5.0)
    r = clamp(squid(k=SquidK()), p, Rig(junction_mV=10.0), record=("v",))
    assert r.data["v"][p.samples("test")][:-1] == pytest.approx(-10.0)
    assert r.trace().v_mV.max() == 0.0


def test_noise_is_reproducible_and_of_its_size():
    p = protocols.step_family([-80.0, -80.0], duration=50.0)
    a, b = (clamp(passive(), p, Rig(noise_pA=2.0), seed=1).i for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert a.std() == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"compensation": 1.0}, r"compensation = 1 is outside \[0, 0.99\]"),
        ({"R_s_MOhm": -1.0}, r"R_s_MOhm = -1 MOhm is outside \[0, 500\] MOhm"),
        ({"filter_kHz": 0.0}, r"filter_kHz = 0 kHz is outside \[0.001, 1000\] kHz"),
    ],
)
def test_settings_that_no_amplifier_has_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        Rig(**setting)


def test_a_population_of_cells_is_refused():
    cells = nj.replace(squid(), {"na.g_bar": np.array([100.0, 120.0])})
    with pytest.raises(ValueError, match="its sweeps are the population"):
        clamp(cells, protocols.step_family([0.0]))


def test_a_window_that_a_protocol_has_not_is_told():
    with pytest.raises(ValueError, match=r"has no window 'tial' \(have: .*test"):
        protocols.step_family(LEVELS).samples("tial")


@pytest.mark.parametrize("dt", [1.0, 0.25, 1 / 64])
def test_a_step_between_the_first_two_samples_is_not_lost(dt, x64):
    # 1 ms at -10 mV, from -65 mV: the closed form of the rates of Hodgkin & Huxley 1952.
    command = np.r_[-65.0, np.full(round(1 / dt), -10.0), -10.0]
    r = nj.simulate(
        nj.cells.squid_axon(), nj.voltage_clamp(command), dt, record=("na.m", "na.h", "k.n")
    )
    m, h, n = (np.asarray(r.data[k])[round(1 / dt)] for k in ("na.m", "na.h", "k.n"))
    np.testing.assert_allclose(120 * m**3 * h, 21.7259, rtol=3e-6)
    np.testing.assert_allclose(36 * n**4, 3.16297, rtol=3e-6)


def test_a_replayed_command_begins_where_it_was_recorded():
    v = np.r_[-65.0, np.full(20, -10.0)]
    trace = nj.Trace(clamp="voltage", dt_ms=1.0, v_mV=v, i_pA=np.zeros(21), name="step")
    electrode = nj.electrode.from_trace(trace, 0.5)
    assert nj.electrode.first_command(electrode) == -65.0
