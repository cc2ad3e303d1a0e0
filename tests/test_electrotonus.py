"""Resistances, length constants and velocities against cable theory and Rallpack's numbers."""

import dataclasses

import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.recording.features import arrival, conduction_velocity

LEAK = {"leak": SquidLeak(g_bar=1 / 40, E_rev=-65.0)}  # of 4 Ohm m2, as in Rallpack
R_INFINITE = 1273.240  # MOhm of a half-infinite cable of 1 um with R_i = 100 Ohm cm
rin, attenuation = nj.electrotonus.input_resistance, nj.electrotonus.attenuation


def test_of_a_sealed_cable(x64):
    """Rallpack 1: 1 mm, one length constant; 0.1 nA at one end moves the ends 167.18, 108.34 mV."""
    n = 500
    cell = nj.cylinder(1000.0, 1.0, n, LEAK)
    np.testing.assert_allclose(nj.electrotonus.length_constant(cell), 1000.0, rtol=1e-6)
    far = nj.electrotonus.electrotonic_distance(cell, 0)
    np.testing.assert_allclose(far, np.arange(n) / n, rtol=1e-6, atol=1e-12)
    # Centres are half a compartment from the ends.
    half = 0.5 / n
    both = 1 / (np.tanh(half) + np.tanh(1 - half))
    assert rin(cell, 0) == pytest.approx(R_INFINITE * both, rel=1e-5)
    assert rin(cell, 0) == pytest.approx(1671.808, rel=2e-3)
    assert attenuation(cell, 0, n - 1) == pytest.approx(np.cosh(1 - half) / np.cosh(half), rel=1e-5)
    assert rin(cell, 0) / attenuation(cell, 0, n - 1) == pytest.approx(1083.4226, rel=1e-5)
    # There is as much from there to here as from here to there, but not as little lost.
    r = nj.electrotonus.transfer_resistance
    here, there = 10, 300
    assert r(cell, here)[there] == pytest.approx(float(r(cell, there)[here]), rel=1e-9)


def test_of_a_long_cable_and_a_cell_of_one_compartment(x64):
    long = nj.cylinder(16_000.0, 1.0, 801, LEAK)
    assert rin(long, 400) == pytest.approx(R_INFINITE / 2, rel=1e-3)
    assert attenuation(long, 400, 450) == pytest.approx(np.exp(16 * 50 / 801), rel=1e-4)
    point = nj.Cell(channels=LEAK, area=1e-5)
    assert rin(point) == pytest.approx(40 / 1e-5 / 1e3)
    # The slope with open gates, where it is not that of the leak alone.
    squid = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})
    rest = nj.at_rest(squid).v
    slope = (nj.at_rest(squid, 1e-4).v - rest) / 1e-4
    assert rin(squid) == pytest.approx(1e-3 * float(slope), rel=1e-3)


def test_of_a_population(x64):
    g = np.array([[1 / 40, 1 / 10]])
    cell = nj.replace(nj.cylinder(1000.0, 1.0, 50, LEAK), {"leak.g_bar": g})
    places = np.array([0, 25])
    assert nj.electrotonus.transfer_resistance(cell, places).shape == (50, 2)
    constants = nj.electrotonus.length_constant(cell)
    np.testing.assert_allclose(constants, np.broadcast_to([1000.0, 500.0], (50, 2)), rtol=1e-6)
    together = rin(cell, places)
    for k in range(2):
        one = nj.replace(cell, {"leak.g_bar": float(g[0, k])})
        assert together[k] == pytest.approx(float(rin(one, int(places[k]))), rel=1e-9)
    assert nj.electrotonus.electrotonic_distance(cell)[-1] == pytest.approx([0.98, 1.96])


def test_wrong_places_are_refused_by_name():
    cell = nj.cylinder(1000.0, 1.0, 5, LEAK)
    with pytest.raises(ValueError, match="at = 5: expected whole numbers from 0 to 4"):
        rin(cell, 5)
    with pytest.raises(ValueError, match="to = -1"):
        attenuation(cell, 0, -1)
    with pytest.raises(ValueError, match="diameter = 0 um"):
        nj.electrotonus.length_constant(dataclasses.replace(cell, diameter=0.0))


# -- velocity --------------------------------------------------------------------------------------
def test_velocity_is_the_distance_over_the_delay():
    t = 0.1 * np.arange(1, 200)

    def spike(delay):
        return -65 + 100 * np.exp(-(((t - delay) / 0.5) ** 2))

    v = np.stack([spike(5.0), spike(7.04)], axis=1)
    # Rising samples are joined by straight lines: the same error in both, to a part.
    assert conduction_velocity(v, 0.1, 2000.0) == pytest.approx(2.0 / 2.04, rel=5e-3)
    assert conduction_velocity(v[:, ::-1], 0.1, 2000.0) == pytest.approx(-2.0 / 2.04, rel=5e-3)
    both = np.stack([v, np.full_like(v, -65.0)], axis=-1)
    assert np.isnan(conduction_velocity(both, 0.1, 2000.0)).tolist() == [False, True]
    assert arrival(np.array([-65.0, -30.0, 10.0]), 0.5) == pytest.approx(0.5 * 2.25)
    with pytest.raises(ValueError, match="distance = 0"):
        conduction_velocity(v, 0.1, 0)
