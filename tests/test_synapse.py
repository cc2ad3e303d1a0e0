"""Receptors of transmitters against closed forms, matrix exponentials and the papers' numbers."""

from functools import cache
from itertools import accumulate

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import neurojax as nj
from neurojax.channels import (
    EndplateAch,
    HippocampusAmpa,
    SynapseAmpa,
    SynapseGabaA,
    SynapseGabaB,
    SynapseNmda,
)
from neurojax.membrane.observables import observe

PULSE, DT, END = 1.0, 0.02, 400.0
"""A vesicle, as the papers have it: 1 mM for 1 ms."""


def pulse(name, height=1.0, width=PULSE, end=END, dt=DT):
    return {name: nj.steps(height, start=0.0, stop=width, duration=end, dt=dt)}


SEEN = ("ampa.r", "nmda.r", "gaba_a.r", "gaba_b.i", "gaba_b.Bf", "gaba_b.Bb", "gaba_b.Fb")


@cache
def open_parts(dt=DT):
    """What receptors do after a pulse of all transmitters at -70 mV: `[step]` by name.

    As many steps whatever they last, so that it is one program.
    """
    receptors = {
        "ampa": SynapseAmpa(),
        "nmda": SynapseNmda(),
        "gaba_a": SynapseGabaA(),
        "gaba_b": SynapseGabaB(),
        "detailed": HippocampusAmpa(),
    }
    cell = nj.Cell(channels=receptors, inputs={"glu": 0.0, "gaba": 0.0})
    steps = round(END / DT)
    vesicle = pulse("glu", end=steps * dt, dt=dt) | pulse("gaba", end=steps * dt, dt=dt)
    clamp = nj.voltage_clamp(np.full(steps, -70.0))
    with jax.enable_x64(True):
        run = nj.simulate(
            cell, nj.electrode.stimulus(clamp, **vesicle), dt, record=(*SEEN, "detailed.O")
        )
    return np.asarray(run.t), {k: np.asarray(x) for k, x in run.data.items()}


def matrix(channel, v, **c):
    """The generator of a scheme, of its written rates, for columns of occupancies."""
    rates = channel.transitions(jnp.asarray(v), **{k: jnp.asarray(x) for k, x in c.items()})
    index = {k: n for n, k in enumerate(channel.states)}
    A = np.zeros((len(index),) * 2)
    for (a, b), rate in rates.items():
        A[index[b], index[a]] += float(rate)
        A[index[a], index[a]] -= float(rate)
    return A


def test_two_states_rise_and_decay_as_their_closed_form(x64):
    # Destexhe, Mainen & Sejnowski 1998: alpha (1/mM/ms), beta (1/ms).
    rates = {"ampa": (1.1, 0.19), "nmda": (0.072, 0.0066), "gaba_a": (5.0, 0.18)}
    t, r = open_parts()
    for name, (alpha, beta) in rates.items():
        peak = alpha / (alpha + beta) * (1 - np.exp(-(alpha + beta) * PULSE))
        rise = alpha / (alpha + beta) * (1 - np.exp(-(alpha + beta) * t))
        exact = np.where(t <= PULSE + 1e-9, rise, peak * np.exp(-beta * (t - PULSE)))
        np.testing.assert_allclose(r[f"{name}.r"], exact, rtol=1e-9, atol=1e-15)
    # Decays of 5.3, 152 and 5.6 ms.
    assert [1 / beta for _, beta in rates.values()] == pytest.approx([5.26, 151.5, 5.56], rel=2e-3)


def test_magnesium_blocks_as_jahr_and_stevens_found(x64):
    # Their two-parameter form at 1 mM, and half block where mg exp(-0.062 v) = 3.57.
    v = np.array([-100.0, -60.0, -20.0, 0.0, 40.0])
    cell = nj.Cell(channels={"nmda": SynapseNmda()}, inputs={"glu": 0.0})
    b = observe(cell, nj.steady_state(cell, jnp.asarray(v)), "nmda.b")
    np.testing.assert_allclose(
        b, [0.00719295, 0.07962637, 0.50814068, 0.78118162, 0.97708016], rtol=1e-5
    )
    for mg in (0.01, 0.1, 1.0, 10.0):
        half = jnp.asarray(-np.log(3.57 / mg) / 0.062)
        assert float(SynapseNmda(mg=mg).instant(half)["b"]) == pytest.approx(0.5, rel=1e-12)
    # With it the current is inward and largest between, without it is ohmic.
    v = jnp.linspace(-100.0, 0.0, 101)
    r = {"r": jnp.ones_like(v)}
    blocked, free = (np.asarray(SynapseNmda(mg=mg).current(v, r)) for mg in (1.0, 0.0))
    assert -40 < v[np.argmin(blocked)] < -20
    np.testing.assert_allclose(free, 0.03 * v, rtol=1e-12)


def test_g_protein_delays_and_sums_what_gaba_b_does(x64):
    # The two linear equations by themselves, their fourth power, and its peak: 102 ms after a short
    # pulse, where K4 exp(-K4 t) = K2 exp(-K2 t).
    K1, K2, K3, K4, KD = 0.52, 0.0013, 0.098, 0.033, 100.0
    t, x = open_parts()
    rate = K1 + K2
    A = np.array([[-rate, 0.0, K1], [K3, -K4, 0.0], [0.0, 0.0, 0.0]])
    B = np.array([[-K2, 0.0, 0.0], [K3, -K4, 0.0], [0.0, 0.0, 0.0]])
    at = np.array([0.2, 1.0, 10.0, 60.0, 102.0, 300.0])
    start = np.array([0.0, 0.0, 1.0])
    on = [scipy.linalg.expm(A * min(s, PULSE)) @ start for s in at]
    exact = np.array(
        [scipy.linalg.expm(B * max(s - PULSE, 0)) @ y for s, y in zip(at, on, strict=True)]
    )
    rows = np.round(at / DT).astype(int) - 1
    R = x["gaba_b.Bf"] + x["gaba_b.Bb"]
    G = K3 / K4 * (x["gaba_b.Fb"] + x["gaba_b.Bb"])
    np.testing.assert_allclose(R[rows], exact[:, 0], rtol=1e-6)
    np.testing.assert_allclose(G[rows], exact[:, 1], rtol=1e-4)
    i = 0.1 * exact[:, 1] ** 4 / (exact[:, 1] ** 4 + KD) * (-70 + 95)
    np.testing.assert_allclose(x["gaba_b.i"][rows], i, rtol=4e-4)
    peak = np.log(K4 / K2) / (K4 - K2)
    assert t[np.argmax(G)] == pytest.approx(peak + PULSE / 2, abs=0.5) and 101 < peak < 103


def test_the_detailed_ampa_receptor_desensitises(x64):
    dt = 0.0025  # a site lets go within 0.01 ms
    _, x = open_parts(dt)
    channel = HippocampusAmpa()
    on, off = (matrix(channel, 0.0, glu=glu) for glu in (1.0, 0.0))
    start = np.eye(6)[0]
    at = np.array([0.1, 0.5, 1.0, 2.0, 5.0, 20.0])
    exact = [
        scipy.linalg.expm(off * max(s - PULSE, 0)) @ scipy.linalg.expm(on * min(s, PULSE)) @ start
        for s in at
    ]
    rows = np.round(at / dt).astype(int) - 1
    np.testing.assert_allclose(x["detailed.O"][rows], np.array(exact)[:, 3], rtol=3e-3)
    # Held at 1 mM it peaks within 2 ms and falls by more than half, at 0 it recovers.
    tenth = scipy.linalg.expm(on * 0.1)
    held = [x[3] for x in accumulate(range(2000), lambda x, _: tenth @ x, initial=start)]
    assert np.argmax(held) * 0.1 < 4 and held[-1] < 0.5 * max(held)
    steady = channel.steady_state(jnp.asarray(0.0), glu=jnp.asarray(1.0))
    assert float(steady["O"]) == pytest.approx(held[-1], rel=1e-3)


def test_the_endplate_receptor_opens_as_single_channels_say(x64):
    channel = EndplateAch()

    def open_at(ach, v):
        ach = jnp.asarray(ach)
        return np.asarray(channel.steady_state(jnp.full_like(ach, v), ach=ach)["A2O"])

    # Colquhoun & Ogden 1988: at -120 mV 0.9 at 100 uM, half of that at 15 uM with a Hill slope of
    # 1.6; at +100 mV at most 0.41.
    assert open_at([0.1], -120.0)[0] == pytest.approx(0.9, abs=0.02)
    assert open_at([0.015], -120.0)[0] == pytest.approx(0.45, abs=0.03)
    near = np.log(open_at([0.0145, 0.0155], -120.0))
    p = open_at([0.015], -120.0)[0] / open_at([10.0], -120.0)[0]
    assert np.diff(near)[0] / np.log(155 / 145) / (1 - p) == pytest.approx(1.6, abs=0.15)
    assert open_at([100.0], 100.0)[0] == pytest.approx(0.41, abs=0.01)
    # Colquhoun & Sakmann 1985: short gaps of 20 us, 1.9 of them in a burst, at -130 mV.
    A = matrix(channel, -130.0, ach=0.0)
    opening, leaving = A[3, 2], A[1, 2]
    assert 1e3 / (opening + leaving) == pytest.approx(20, abs=2)
    assert opening / leaving == pytest.approx(1.9, abs=0.05)
    # Closing at -130 mV was 0.714 /ms, at 11 degC.
    assert A[2, 3] == pytest.approx(0.714, rel=0.15)


def test_an_endplate_current_is_sub_millisecond_up_and_milliseconds_down():
    cell = nj.Cell(channels={"ach": EndplateAch()}, inputs={"ach": 0.0})
    end, dt, v = 10.0, 0.005, np.array([-130.0, -80.0])
    clamp = nj.voltage_clamp(np.broadcast_to(v, (round(end / dt), 2)))
    electrode = nj.electrode.stimulus(clamp, **pulse("ach", 1.0, 0.3, end, dt))
    run = nj.simulate(cell, electrode, dt, record=("ach.A2O",))
    t, x = np.asarray(run.t), np.asarray(run.data["ach.A2O"])
    tail = (t > 3.0) & (t < 8.0)
    decay = -1 / np.polyfit(t[tail], np.log(x[tail]), 1)[0]
    # The slowest eigenvalue: bursts of (1 + opening / leaving) openings.
    for k, potential in enumerate(v):
        slow = np.sort(np.linalg.eigvals(matrix(EndplateAch(), potential, ach=0.0)).real)[-2]
        assert decay[k] == pytest.approx(-1 / slow, rel=5e-3)
    assert (t[np.argmax(x, axis=0)] < 0.5).all() and x.max() > 0.9
    assert decay[1] < decay[0]  # depolarised, it is shorter


def test_receptors_move_a_cell_and_inputs_are_checked():
    cell = nj.Cell(
        channels={
            "leak": nj.channels.CortexLeak(),
            "ampa": SynapseAmpa(),
            "gaba_a": SynapseGabaA(),
        },
        inputs={"glu": 0.0, "gaba": 0.0},
    )
    electrode = nj.electrode.stimulus(**pulse("glu", np.array([0.0, 1.0]), end=30.0))
    v = np.asarray(nj.simulate(cell, electrode, DT).v)
    assert np.abs(v[:, 0] + 70).max() < 1e-3 and 3 < v[:, 1].max() + 70 < 70
    inhibited = nj.electrode.stimulus(electrode, **pulse("gaba", 1.0, end=30.0))
    assert (np.asarray(nj.simulate(cell, inhibited, DT).v)[:, 1].max()) < v[:, 1].max()
    with pytest.raises(ValueError, match="'gluu' is none of the cell's; did you mean 'glu'"):
        nj.simulate(cell, nj.electrode.stimulus(gluu=np.zeros(5)), DT)
