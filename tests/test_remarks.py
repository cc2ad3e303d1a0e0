"""What is remarked on before a run."""

import warnings

import jax
import numpy as np
import pytest

import neurojax as nj

CELL = nj.replace(nj.cells.squid_axon(), {"area": 1e-5})  # 1000 um2
RAMP = np.linspace(0.0, 400.0, 40)


def test_a_current_that_cannot_be_meant():
    for i in (RAMP, np.full(40, 1.0)):  # 400 uA; 1e6 pA
        with pytest.warns(UserWarning, match=r"pA, into a cell of 1000 um2 .* another unit"):
            nj.simulate(CELL, nj.current_clamp(i), record=(), initial=-65.0)


def test_currents_that_are_meant():
    shock = np.r_[100.0 / 0.025, np.zeros(39)]  # 100 mV on each uF, within a step
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nj.simulate(nj.cells.squid_axon(), nj.current_clamp(shock), record=(), initial=-65.0)
        nj.simulate(CELL, nj.current_clamp(RAMP, unit="pA"), record=(), initial=-65.0)


def test_a_current_in_its_unit():
    electrode = nj.current_clamp(RAMP, unit="pA")
    np.testing.assert_allclose(electrode.i, RAMP * 1e-6, rtol=1e-6)
    placed = nj.current_clamp([RAMP], at=[3], unit="nA").currents[0]
    np.testing.assert_allclose(placed.i, RAMP * 1e-3, rtol=1e-6)
    with pytest.raises(ValueError, match="'mV' is a unit of voltage"):
        nj.current_clamp(RAMP, unit="mV")


def test_a_current_within_a_program_that_is_traced():
    def last(g):
        cell = nj.replace(CELL, {"na.g_bar": g})
        return nj.simulate(cell, nj.current_clamp(RAMP, unit="pA"), initial=-65.0).v[-1]

    assert np.isfinite(jax.jit(last)(120.0))
