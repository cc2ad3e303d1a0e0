"""Gating charge: what voltage sensors move, from thermodynamics that no kinetics can escape."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import Shaker
from neurojax.membrane.electrode import voltage_clamp
from neurojax.membrane.markov import Scheme, charge_rates
from neurojax.units import thermal_voltage

V_T = thermal_voltage(20.0)


@nj.pytree
class Sensor(Scheme):
    """A voltage sensor of two states, z elementary charges apart."""

    g_bar: nj.membrane.channel.Leaf = nj.param(1.0, "mS/cm2", 0.0, 10.0)
    E_rev: nj.membrane.channel.Leaf = nj.param(0.0, "mV", -100.0, 100.0)
    z: nj.membrane.channel.Leaf = nj.param(3.0, "1", 0.0, 8.0)
    states = ("resting", "active")
    conducting = {"active": 1.0}

    def transitions(self, v):
        forth, back = charge_rates(v, 0.5, self.z, v_half=-40.0, part=0.3)
        return {("resting", "active"): forth, ("active", "resting"): back}

    def charges(self):
        return {"resting": 0.0, "active": self.z}


def charge(channel, v):
    return channel.gating_charge(channel.steady_state(v))


def test_a_sensor_of_two_states_is_a_boltzmann_function(x64):
    v = jnp.linspace(-120, 60, 37)
    exact = 3 / (1 + np.exp(-3 * (np.asarray(v) + 40) / V_T))
    np.testing.assert_allclose(charge(Sensor(), v), exact, rtol=1e-12)
    # Its current relaxes with 1 / (forth + back), from the charge that is still to move.
    forth, back = charge_rates(-20.0, 0.5, 3.0, v_half=-40.0, part=0.3)
    x = Sensor().steady_state(jnp.asarray(-90.0))
    start = charge(Sensor(), jnp.asarray(-20.0)) - charge(Sensor(), jnp.asarray(-90.0))
    for _ in range(3):
        left = charge(Sensor(), jnp.asarray(-20.0)) - Sensor().gating_charge(x)
        i = Sensor().gating_current(jnp.asarray(-20.0), x)
        np.testing.assert_allclose(i, left * (forth + back), rtol=1e-12)
        x = Sensor().advance(x, jnp.asarray(-20.0), 0.2)
    np.testing.assert_allclose(left / start, np.exp(-0.4 * (forth + back)), rtol=1e-10)


def test_shaker_moves_13_charges_in_fifteen_states(x64):
    # 12 to 16 elementary charges: Zagotta, Hoshi, Dittman & Aldrich 1994, J Gen Physiol 103:279.
    assert len(Shaker.states) == 15
    total = charge(Shaker(), jnp.asarray(100.0)) - charge(Shaker(), jnp.asarray(-200.0))
    np.testing.assert_allclose(total, 4 * (0.25 + 1.6 + 0.32 + 1.1), rtol=1e-4)
    assert 12 < total < 16


def test_the_charge_is_where_the_energy_says_it_is(x64):
    # In equilibrium the mean charge is the slope of the partition function: q = V_T d(ln Z)/dv.
    # With two steps in each of four subunits, and the open state lower by ln(stability):
    v = jnp.linspace(-140, 60, 41)
    c = Shaker()

    def log_Z(v):
        first = c.alpha / c.beta * jnp.exp((c.z_alpha + c.z_beta) * v / V_T)
        second = c.gamma / c.delta * jnp.exp((c.z_gamma + c.z_delta) * v / V_T)
        opened = (first * second) ** 4
        return jnp.log((1 + first + first * second) ** 4 + (c.stability - 1) * opened)

    np.testing.assert_allclose(charge(c, v), V_T * jax.vmap(jax.grad(log_Z))(v), rtol=1e-9)
    # The open probability, and its slope: Almers 1978. d(ln P)/dv = (total - Q(v)) / V_T, so that
    # where hardly a channel is open the slope tells the whole charge.
    P = jax.vmap(lambda v: c.steady_state(v)["s44"])

    def slope(v):
        return V_T * jax.vmap(jax.grad(lambda v: jnp.log(c.steady_state(v)["s44"])))(v)

    total = 4 * (c.z_alpha + c.z_beta + c.z_gamma + c.z_delta)
    np.testing.assert_allclose(slope(v), total - charge(c, v), rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(slope(jnp.asarray([-140.0])), total, rtol=2e-3)
    assert P(jnp.asarray([-140.0])) < 1e-12 and P(jnp.asarray([50.0])) > 0.99


def test_charge_opens_channels_later_than_it_moves(x64):
    # Q(v) lies left of G(v), as it must where all sensors move before the pore opens.
    v = jnp.linspace(-100, 20, 1201)
    q, g = charge(Shaker(), v) / 13.08, Shaker().steady_state(v)["s44"]
    v_q, v_g = (float(v[jnp.argmax(curve > 0.5)]) for curve in (q, g))
    assert -60 < v_q < v_g < -20


@pytest.fixture(scope="module")
def step():
    """A step from -90 to 0 mV and back: 10 ms on, 20 ms off, with and without ionic current."""
    dt, on, off = 0.005, 2000, 4000
    command = np.r_[np.full(on, 0.0), np.full(off, -90.0)]
    cell = nj.Cell(channels={"k": Shaker(g_bar=np.array([10.0, 0.0]))})
    record = ("k.q", "k.i_gate", "k.i", "k.s44")
    r = nj.simulate(cell, voltage_clamp(command), dt, initial=-90.0, record=record)
    return {k: np.asarray(a, np.float64) for k, a in r.data.items()}, dt, on


def test_what_comes_back_is_what_went(step):
    data, dt, on = step
    i = data["k.i_gate"]
    went, back = i[:on].sum(axis=0) * dt, i[on:].sum(axis=0) * dt
    expected = 13.08 - float(charge(Shaker(), jnp.asarray(-90.0)))
    np.testing.assert_allclose(went, expected, rtol=5e-3)
    np.testing.assert_allclose(back, -went, rtol=5e-3)
    # The current is the rate at which the charge changes, at all times but the jumps of v.
    rate = np.diff(data["k.q"], axis=0) / dt
    between = (i[1:] + i[:-1]) / 2
    inside = np.delete(np.arange(len(rate)), [on - 2, on - 1, on])
    np.testing.assert_allclose(rate[inside][1:], between[inside][1:], atol=0.01 * i.max())


def test_gating_currents_need_no_ionic_current(step):
    data, _, on = step
    open_, blocked = data["k.i"].T
    assert open_[on - 2] > 100 and np.all(blocked == 0)
    np.testing.assert_allclose(*data["k.i_gate"].T, atol=1e-5)
    # It is over before the channels are half open, and the opening is sigmoid.
    opened = data["k.s44"][:on, 0]
    i = data["k.i_gate"][:on, 0]
    assert np.argmax(i) < np.argmax(opened > 0.1 * opened[-1])
    assert np.argmax(np.diff(opened)) > 20


def test_only_schemes_with_charges_can_be_asked():
    cell = nj.Cell(channels={"k": Shaker(), "n": nj.as_scheme(nj.channels.SquidK())})
    assert {"k.q", "k.i_gate"} <= set(nj.observables(cell))
    assert "n.q" not in nj.observables(cell)
    with pytest.raises(ValueError, match="cannot record"):
        nj.simulate(cell, nj.current_clamp(jnp.zeros(4)), record=("n.i_gate",))
