"""Channels of Jaxley: a stand-in with its interface; Jaxley's own HH where it is installed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.model import from_jaxley


class Kdr:
    """As a class of Jaxley: the squid's delayed rectifier, in mA/cm2."""

    name = "Kdr"
    channel_params = {"Kdr_g": 0.036, "Kdr_e": -77.0}
    channel_states = {"Kdr_n": 0.2}

    def update_states(self, states, dt, v, params):
        x = -(v + 55) / 10
        alpha, beta = -0.1 * x / (1 - jnp.exp(x)), 0.125 * jnp.exp(-(v + 65) / 80)
        decay = jnp.exp(-dt * (alpha + beta))
        return {"Kdr_n": states["Kdr_n"] * decay + alpha / (alpha + beta) * (1 - decay)}

    def compute_current(self, states, v, params):
        return params["Kdr_g"] * states["Kdr_n"] ** 4 * (v - params["Kdr_e"])


V = jnp.linspace(-97.3, 40.1, 12)


def test_it_moves_and_conducts_as_the_same_channel_here():
    theirs, ours = from_jaxley(Kdr()), nj.channels.SquidK()
    x, own = theirs.steady_state(V), ours.steady_state(V)
    np.testing.assert_allclose(x["Kdr_n"], own["n"], rtol=2e-5)
    moved, known = theirs.advance(x, V + 20, 0.5), ours.advance(own, V + 20, 0.5)
    np.testing.assert_allclose(moved["Kdr_n"], known["n"], rtol=2e-5)
    np.testing.assert_allclose(theirs.current(V, x), ours.current(V, own), rtol=1e-4, atol=1e-5)


def test_it_has_parameters_and_slopes_and_a_population():
    cell = nj.Cell(channels={"k": from_jaxley(Kdr())})
    assert nj.parameters(cell)["k.Kdr_g"][0] == 0.036
    cell = nj.replace(cell, {"k.Kdr_g": np.array([0.036, 0.072], np.float32)})
    channel = cell.channels["k"]
    v = jnp.full(2, -20.0)
    i, slope = jax.jvp(lambda v: channel.current(v, channel.steady_state(v)), (v,), (v * 0 + 1,))
    assert float(i[1]) == pytest.approx(2 * float(i[0])) and np.isfinite(slope).all()
    kdr = Kdr()
    assert type(from_jaxley(kdr)) is type(from_jaxley(kdr)), "or JAX would compile anew"


def test_what_is_no_channel_of_its_own_is_refused():
    with pytest.raises(ValueError, match="no channel of Jaxley: it has no channel_params"):
        from_jaxley(nj.channels.SquidK())
    shared = Kdr()
    shared.channel_states = {"CaCon_i": 1e-4}
    with pytest.raises(ValueError, match="needs 'Kdr_n' of other channels"):
        from_jaxley(shared)
    shared.update_states = lambda states, *_: states
    shared.compute_current = lambda *_: 0.0
    with pytest.raises(ValueError, match="'CaCon_i' is a state of other channels, too"):
        from_jaxley(shared)
    shared.update_states = lambda states, *_: {**states, "v": -65.0}
    with pytest.raises(ValueError, match="moves v beside its own"):
        from_jaxley(shared)


def test_jaxleys_own_channel_fires():
    channels = pytest.importorskip("jaxley.channels")
    theirs = from_jaxley(channels.HH())
    squid = nj.cells.squid_axon()
    cell = nj.Cell(channels={"hh": theirs})
    v = jnp.array([-65.3, -20.7, 10.3])
    ours = nj.membrane.rest.steady_current(squid, v)
    np.testing.assert_allclose(nj.membrane.rest.steady_current(cell, v), ours, rtol=1e-2)
