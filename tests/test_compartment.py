"""The cell: its state, its rest, its step, and its parameters by path name."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_cells import passive, squid

import neurojax as nj
from neurojax.channels import (
    CortexKm,
    CortexLeak,
)


def test_a_passive_cell_charges_as_an_rc_circuit():
    # v = E + I R (1 - exp(-t / tau)); off by z^4 / 120 e, z = dt / tau.
    for dt in (0.1, 5.0):
        n = round(100 / dt)
        r = nj.simulate(passive(), nj.current_clamp(jnp.full(n, 0.5)), dt)
        exact = -70 + 5 * (1 - np.exp(-np.asarray(r.t) / 10))
        np.testing.assert_allclose(r.v, exact, atol=2e-4 + 5 * (dt / 10) ** 4 / 120 / np.e)


def test_area_turns_current_into_density():
    i = jnp.full(400, 1e-4)
    small = nj.simulate(passive(area=2e-4), nj.current_clamp(i)).v
    unit = nj.simulate(passive(), nj.current_clamp(i / 2e-4)).v
    np.testing.assert_allclose(small, unit, rtol=1e-6)


def test_capacitance_stretches_a_passive_response():
    i = jnp.full(400, 0.5)
    thick = nj.simulate(passive(C_m=2.0), nj.current_clamp(i), 0.05).v
    thin = nj.simulate(passive(C_m=1.0), nj.current_clamp(i), 0.025).v
    np.testing.assert_allclose(thick, thin, rtol=1e-6)


def test_compartment_axis_broadcasts():
    # [comp, 1] against [comp, pop]: shapes are the population's business, not the step's.
    cell = nj.replace(
        squid(), {"na.g_bar": jnp.array([[100.0], [120.0]]), "k.g_bar": jnp.full((2, 3), 36.0)}
    )
    s = nj.step(cell, nj.steady_state(cell, -65.0), nj.Electrode(0.0, 0.0, 0.0), 0.025)
    assert {leaf.shape for leaf in jax.tree.leaves(s)} == {(2, 3)}


def test_the_step_is_stable_when_it_is_long():
    s = nj.State(jnp.asarray(40.0), nj.steady_state(passive(), 40.0).x)
    for _ in range(5):
        s = nj.step(passive(), s, nj.Electrode(0.0, 0.0, 0.0), 1e4)
    assert float(s.v) == pytest.approx(-70.0, abs=1e-4)


# -- parameters by path name ----------------------------------------------------------------------
def test_a_cell_can_hold_any_channel_by_any_name():
    cell = nj.Cell(channels={"M": CortexKm(), "leak": CortexLeak()})
    assert "M.tau_max" in nj.parameters(cell)
    assert dataclasses.replace(cell, area=1e-5).area == 1e-5
