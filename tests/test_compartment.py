"""The cell: its state, its rest, its step, and its parameters by path name."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import (
    CortexKm,
    CortexLeak,
    SquidK,
    SquidLeak,
    SquidNa,
)
from neurojax.membrane.compartment import steady_current, substitute


def squid(**kwargs) -> nj.Cell:
    return nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}, **kwargs)


def passive(**kwargs) -> nj.Cell:
    return nj.Cell(channels={"leak": CortexLeak(g_bar=0.1, E_rev=-70.0)}, **kwargs)


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


def test_rest_is_where_the_steady_current_vanishes(x64):
    cell = squid()
    for i in (0.0, 1.0, -3.0):
        rest = nj.at_rest(cell, i)
        assert float(steady_current(cell, rest.v)) == pytest.approx(i, abs=1e-8)
        stays = nj.step(cell, rest, nj.Electrode(i, 0.0, 0.0), 0.025)
        assert float(stays.v) == pytest.approx(float(rest.v), abs=1e-9)


def test_rest_takes_the_lowest_of_several(x64):
    # A persistent inward current gives a second, depolarised rest.
    cell = nj.replace(squid(), {"na.v_shift": -30.0})
    v = np.linspace(-150.0, 50.0, 4001)
    i = np.asarray(steady_current(cell, jnp.asarray(v)))
    upward = np.flatnonzero((i[:-1] < 0) & (i[1:] >= 0))
    assert float(nj.at_rest(cell).v) == pytest.approx(v[upward[0]], abs=0.06)


def test_rest_is_differentiable_in_every_parameter(x64):
    cell = squid()
    theta = {k: jnp.asarray(float(x)) for k, (x, _) in nj.parameters(cell).items()}

    def rest(theta):
        return nj.at_rest(substitute(cell, theta), 0.7).v

    gradient = jax.grad(rest)(theta)
    for name in theta:
        h = 1e-5 * max(1.0, abs(float(theta[name])))
        up, down = (rest(theta | {name: theta[name] + s * h}) for s in (1, -1))
        assert float(gradient[name]) == pytest.approx(float(up - down) / (2 * h), abs=1e-5), name


def test_a_cell_without_rest_is_nan_not_an_error():
    assert np.isnan(nj.at_rest(squid(), 1e6).v)


def test_rest_of_a_population():
    cell = nj.replace(squid(), {"leak.E_rev": jnp.array([-54.387, -54.4, -54.3])})
    rest = nj.at_rest(cell)
    assert rest.v.shape == rest.x["na"]["m"].shape == (3,)
    np.testing.assert_allclose(rest.v, [-64.996379, -64.999722, -64.974052], atol=2e-5)


def test_settled_broadcasts_to_the_population():
    cell = nj.replace(squid(), {"k.g_bar": jnp.full(5, 30.0)})
    s = nj.steady_state(cell, -65.0)
    assert {leaf.shape for leaf in jax.tree.leaves(s)} == {(5,)}
    assert {leaf.dtype for leaf in jax.tree.leaves(s)} == {jnp.dtype("float32")}
    assert nj.steady_state(squid(), -65.0, (2, 3)).v.shape == (2, 3)


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
def test_parameters_are_listed_with_their_declaration():
    listed = nj.parameters(squid(C_m=0.9))
    assert list(listed)[:2] == ["C_m", "area"]
    assert listed["C_m"][0] == 0.9 and listed["C_m"][1].unit == "uF/cm2"
    assert listed["na.g_bar"][0] == 120.0
    assert len(listed) == 2 + 4 + 4 + 4


def test_replace_changes_one_thing():
    cell = squid()
    other = nj.replace(cell, {"na.g_bar": 100.0, "C_m": 0.9})
    assert (other.channels["na"].g_bar, other.C_m) == (100.0, 0.9)
    assert other.channels["k"] is cell.channels["k"]
    assert (cell.channels["na"].g_bar, cell.C_m) == (120.0, 1.0)
    assert nj.replace(cell, {"celsius": 18.5}).celsius == 18.5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"na.gbar": 1.0}, r"no parameter 'na.gbar'; did you mean 'na.g_bar'\? \(have: C_m, area"),
        ({"NA.G_BAR": 1.0}, r"did you mean 'na.g_bar'"),
        ({"ca.g_bar": 1.0}, r"no parameter 'ca.g_bar'"),
        ({"na.g_bar": -1.0}, r"na.g_bar = -1 mS/cm2 is outside \[0, 1000\] mS/cm2"),
        ({"leak.E_rev": np.array([-60.0, 20.0])}, r"leak.E_rev = 20 mV is outside \[-110, 0\] mV"),
        ({"C_m": float("nan")}, r"C_m = nan uF/cm2 is outside"),
    ],
)
def test_replace_refuses_with_a_reason(values, message):
    with pytest.raises(ValueError, match=message):
        nj.replace(squid(), values)


def test_replace_takes_traced_values():
    def v_end(g):
        cell = nj.replace(squid(), {"na.g_bar": g})
        return nj.simulate(cell, nj.current_clamp(jnp.full(20, 5.0)), initial=-65.0).v[-1]

    assert np.isfinite(jax.jit(jax.grad(v_end))(110.0))


def test_a_cell_can_hold_any_channel_by_any_name():
    cell = nj.Cell(channels={"M": CortexKm(), "leak": CortexLeak()})
    assert "M.tau_max" in nj.parameters(cell)
    assert dataclasses.replace(cell, area=1e-5).area == 1e-5


def test_a_temperature_in_kelvin_is_refused():
    cell = nj.Cell(channels={"leak": SquidLeak()})
    assert nj.replace(cell, {"celsius": 34.0}).celsius == 34.0
    with pytest.raises(ValueError, match=r"celsius = 310 degC is outside \[-10, 60\] degC"):
        nj.replace(cell, {"celsius": 310.0})
