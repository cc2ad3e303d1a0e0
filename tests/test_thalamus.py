"""Thalamic channels and the relay cell against the published equations, scipy and NEURON."""

import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import ThalamusCaT, ThalamusCaTs, ThalamusH
from neurojax.model import cells

V = np.linspace(-119.93, 59.91, 300)


def test_gates_are_the_papers(x64):
    v = V
    tau_h = np.where(v < -80, np.exp((v + 467) / 66.6), 28 + np.exp(-(v + 22) / 10.5))
    published = {
        (ThalamusCaT, 24.0): {
            "m": (
                1 / (1 + np.exp(-(v + 57) / 6.2)),
                0.612 + 1 / (np.exp(-(v + 132) / 16.7) + np.exp((v + 16.8) / 18.2)),
            ),
            "h": (1 / (1 + np.exp((v + 81) / 4)), tau_h),
        },
        (ThalamusCaTs, 36.0): {
            "m": (
                1 / (1 + np.exp(-(v + 50) / 7.4)),
                (3 + 1 / (np.exp((v + 25) / 10) + np.exp(-(v + 100) / 15))) / 5**1.2,
            ),
            "h": (
                1 / (1 + np.exp((v + 78) / 5)),
                (85 + 1 / (np.exp((v + 46) / 4) + np.exp(-(v + 405) / 50))) / 3**1.2,
            ),
        },
        (ThalamusH, 26.0): {
            "h": (
                1 / (1 + np.exp((v + 75) / 5.5)),
                (20 + 1000 / (np.exp((v + 71.5) / 14.2) + np.exp(-(v + 89) / 11.6))) * 3,
            )
        },
    }
    for (cls, celsius), gates in published.items():
        kinetics = cls().kinetics(jnp.asarray(v), celsius)
        for gate, (inf, tau) in gates.items():
            np.testing.assert_allclose(kinetics[gate].inf, inf, rtol=1e-9)
            np.testing.assert_allclose(1 / kinetics[gate].rate, tau, rtol=1e-9)


def test_an_open_t_channel_passes_neuron_s_constant_field_current(x64):
    # 0.1 uM inside and 2 mM outside at 34 degC, in 1e-3 C/cm3 (mA/cm2 of 1 cm/s)
    v = jnp.asarray([-80.0, -60.0, -40.0, -20.0, 0.0, 20.0, 40.0])
    flux = [-2338.558, -1768.759, -1226.196, -748.362, -385.9220, -165.0783, -59.6292]
    x = {"m": 0.5 * jnp.ones(7), "h": 0.8 * jnp.ones(7)}
    i = ThalamusCaT(P_bar=1e-3).current(v, x, 34.0, ca_i=1e-4, ca_o=2.0)
    np.testing.assert_allclose(i, 0.2 * np.array(flux), rtol=2e-6)


# -- the relay cell -------------------------------------------------------------------------------
# scipy LSODA at 1e-10: gates settled at -65 mV, a current (mA) from 200 to 500 ms; the last
# potential under it, and the spikes (upward crossings of 0 mV) after it.
REBOUNDS = {
    -0.1e-3: (
        -87.99383,
        [534.59911, 536.86445, 539.09170, 541.54938, 544.32080, 547.56453, 551.63133, 557.59232],
    ),
    -0.2e-3: (
        -94.37633,
        [
            *(534.56767, 536.72585, 538.80538, 541.06585, 543.55672),
            *(546.36826, 549.66917, 553.83902, 560.08672),
        ],
    ),
}


def test_the_relay_cell_fires_a_burst_after_hyperpolarisation(x64):
    dt, t_current = 0.005, 2.0
    cell = nj.replace(cells.thalamus_relay(), {"t.g_bar": jnp.asarray([t_current] * 2 + [0.0])})
    amplitudes = np.array([*REBOUNDS, -0.2e-3])  # the last cell has no T channels
    i = nj.steps(amplitudes, start=200.0, stop=500.0, duration=600.0, dt=dt)
    told = nj.simulate(cell, nj.current_clamp(i), dt, initial=-65.0, record=("v", "ca_i"))
    v = np.asarray(told.v)
    at = round(500 / dt)
    found = []
    for lane in v[at:].T:
        k = np.flatnonzero((lane[:-1] < 0) & (lane[1:] >= 0))
        found.append(500 + (k + 1 + lane[k] / (lane[k] - lane[k + 1])) * dt)
    for lane, (held, spikes) in enumerate(REBOUNDS.values()):
        assert v[at - 1, lane] == pytest.approx(held, abs=1e-4)
        assert len(found[lane]) == len(spikes)
        np.testing.assert_allclose(found[lane], spikes, atol=2e-3)
    peak = np.asarray(told.data["ca_i"]).max(axis=0)
    np.testing.assert_allclose(peak[:2], [0.01067515, 0.01258051], rtol=2e-4)
    assert len(found[2]) == 0
