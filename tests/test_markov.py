"""Markov schemes: exact invariants, the order of a step, and gates as schemes of particles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm, null_space

import neurojax as nj
from neurojax.channels import (
    InterneuronNa,
    Shaker,
    SquidK,
    SquidLeak,
    SquidNa,
)
from neurojax.engine.gpu.lanes import culprits
from neurojax.membrane.markov import Scheme
from neurojax.membrane.rates import from_rates, from_tau, sigmoid


@nj.pytree
class Ring(Scheme):
    """Three states that a channel goes round, and one beside: no detailed balance."""

    g_bar: nj.membrane.channel.Leaf = nj.param(1.0, "mS/cm2", 0.0, 10.0)
    E_rev: nj.membrane.channel.Leaf = nj.param(0.0, "mV", -100.0, 100.0)
    states = ("a", "b", "c", "d")
    conducting = {"b": 1.0, "c": 0.5}
    q10 = {"all": 3.0}

    def transitions(self, v):
        k = jnp.exp(v / 40)
        ring = {("a", "b"): 2 * k, ("b", "c"): 1 + 0 * v, ("c", "a"): 0.5 / k}
        return ring | {("b", "a"): 0.1 / k, ("c", "d"): 0.3 * k, ("d", "c"): 0.2 / k}


def generator(scheme, v, **c) -> np.ndarray:
    """The matrix Q of x' = x Q, from the rates alone."""
    Q = np.zeros((len(scheme.states),) * 2)
    for (a, b), rate in scheme.rates(jnp.asarray(v), **c).items():
        Q[scheme.states.index(a), scheme.states.index(b)] += float(rate)
    return Q - np.diag(Q.sum(axis=1))


def occupancies(scheme, x) -> np.ndarray:
    return np.stack([np.asarray(x[k]) for k in scheme.states], axis=-1)


SCHEMES = [Ring(), nj.as_scheme(SquidNa()), Shaker()]
every = pytest.mark.parametrize("scheme", SCHEMES, ids=["ring", "m3h", "shaker"])


@pytest.mark.parametrize("bits", [32, 64])
@every
def test_no_step_is_too_long(scheme, bits):
    with jax.enable_x64(bits == 64):
        # Arrays of one shape, [dt, v], for which each operation is compiled once.
        dt, v = jnp.meshgrid(np.geomspace(1e-3, 1e6, 10), np.linspace(-150, 100, 51), indexing="ij")
        start = np.random.default_rng(0).dirichlet(np.full(len(scheme.states), 0.3), v.shape)
        x = {k: jnp.asarray(start[..., i], v.dtype) for i, k in enumerate(scheme.states)}
        for _ in range(3):
            x = scheme.advance(x, v, dt)
            assert min(a.min() for a in x.values()) >= 0
            np.testing.assert_allclose(sum(x.values()), 1, atol=3e-6 if bits == 32 else 1e-14)


@every
def test_steady_state_is_the_null_vector(scheme, x64):
    for v in (-90.0, -40.0, 30.0):
        found = occupancies(scheme, scheme.steady_state(jnp.asarray(v)))
        null = null_space(generator(scheme, v).T, rcond=1e-14)[:, 0]
        np.testing.assert_allclose(found, null / null.sum(), rtol=1e-7, atol=1e-13)


@every
def test_a_step_is_second_order(scheme, x64):
    v, time = jnp.asarray(-25.0), 0.4
    x0 = occupancies(scheme, scheme.steady_state(jnp.asarray(-80.0)))
    exact = x0 @ expm(generator(scheme, v) * time)
    alone = dict(zip(scheme.states, jnp.eye(len(x0)), strict=True))  # [start], all in one state

    def error(steps):
        # A step is linear in the occupancies: so many of them are a power of its matrix.
        matrix = occupancies(scheme, scheme.advance(alone, v, time / steps))
        return np.abs(x0 @ np.linalg.matrix_power(matrix, steps) - exact).max()

    coarse, fine = error(20), error(40)
    assert coarse < 2e-2
    assert 3.6 < coarse / fine < 4.4


def test_a_propagator_is_a_stochastic_matrix(x64):
    P = Ring().propagator(jnp.asarray(-20.0), 0.01)
    matrix = np.stack([occupancies(Ring(), P[k]) for k in Ring.states])
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(matrix, expm(generator(Ring(), -20.0) * 0.01), atol=3e-6)


def test_pairs_that_share_no_state_are_one_layer():
    layers = nj.as_scheme(SquidNa()).exchanges(jnp.asarray(-65.0), 0.1)
    # 10 pairs, of which the 4 of the largest layer are not repeated.
    assert [len(layer) for layer in layers] == [2, 4, 4, 4, 2]
    for layer in layers:
        names = [k for a, b, *_ in layer for k in (a, b)]
        assert len(set(names)) == len(names)


@nj.pytree
class Mixed(nj.Channel):
    """A gate of its own Q10 each, one that follows v, and one that is slow."""

    g_bar: nj.membrane.channel.Leaf = nj.param(2.0, "mS/cm2", 0.0, 10.0)
    E_rev: nj.membrane.channel.Leaf = nj.param(10.0, "mV", -100.0, 100.0)
    powers = {"m": 2, "s": 1, "w": 3}
    q10 = {"m": 2.0, "s": 4.0}

    def gating(self, v):
        m = from_rates(2 * jnp.exp(v / 30), jnp.exp(-v / 30))
        return {"m": m, "s": from_tau(sigmoid(-(v + 30) / 8), 3 + 0 * v)}

    def instant(self, v):
        return {"w": sigmoid((v + 20) / 15)}


def test_the_states_of_particles():
    assert len(nj.as_scheme(SquidNa()).states) == 8
    assert nj.as_scheme(SquidK()).states == ("n0", "n1", "n2", "n3", "n4")
    assert nj.as_scheme(InterneuronNa()).states == ("h0", "h1")
    assert nj.as_scheme(Mixed()).states == ("m0s0", "m0s1", "m1s0", "m1s1", "m2s0", "m2s1")
    assert nj.as_scheme(Ring()).states == Ring.states
    na = nj.as_scheme(SquidNa(g_bar=77.0))
    assert na.g_bar == 77.0 and na.conducting == {"m3h1": 1.0} and na.carries == {"na": 1.0}


def test_particles_are_their_gates(x64):
    # Independent particles stay independent: conductance is that of the product of gates.
    channel = Mixed(v_shift=3.0, tau_scale=1.7)
    scheme, v = nj.as_scheme(channel), jnp.asarray([-50.0, -20.0, 25.0])
    start = jnp.full(3, -70.0)
    gates, x = channel.steady_state(start), scheme.steady_state(start)
    for k in scheme.states:
        m, s = int(k[1]), int(k[3])
        alone = gates["s"] if s else 1 - gates["s"]
        binomial = [(1 - gates["m"]) ** 2, 2 * gates["m"] * (1 - gates["m"]), gates["m"] ** 2][m]
        np.testing.assert_allclose(x[k], binomial * alone, rtol=1e-12)
    for celsius in (None, 31.0):

        def both(_, s, celsius=celsius):
            return (
                channel.advance(s[0], v, 1e-3, celsius),
                scheme.advance(s[1], v, 1e-3, celsius),
            )

        after, x_after = jax.lax.fori_loop(0, 500, both, (gates, x))
        i = channel.current(v, after), scheme.current(v, x_after)
        np.testing.assert_allclose(*i, rtol=2e-6)


def test_no_scheme_of_what_is_no_product_of_gates():
    class Sum(SquidNa):
        def conductance(self, x):
            return self.g_bar * (x["m"] + x["h"])

    with pytest.raises(ValueError, match="Sum conducts otherwise than by a product of its gates"):
        nj.as_scheme(nj.pytree(Sum)())
    with pytest.raises(ValueError, match="SquidLeak has no gate with a time course"):
        nj.as_scheme(SquidLeak())


@pytest.mark.smoke
def test_a_cell_of_schemes_spikes_as_the_gates_do(x64):
    dt = 0.01
    na, k = nj.as_scheme(SquidNa()), nj.as_scheme(SquidK())
    cell = nj.Cell(channels={"na": na, "k": k, "leak": SquidLeak()})
    v = np.asarray(nj.simulate(cell, nj.current_clamp(jnp.full(3400, 10.0)), dt).v)
    up = np.flatnonzero((v[:-1] < 0) & (v[1:] >= 0))
    times = (up + 1 - v[up] / (v[up + 1] - v[up])) * dt
    # Spikes of the gates' equations, integrated to 1e-10.
    np.testing.assert_allclose(times, [1.90123, 16.82265, 31.47189], atol=3e-3)
    assert culprits(cell) == {}


DELAYED = nj.Cell(channels={"k": nj.as_scheme(SquidK()), "leak": SquidLeak()})


def after_steps(cell):
    """The state some steps under a current after -65 mV, uncompiled."""
    s = nj.steady_state(cell, -65.0)
    for _ in range(8):
        s = nj.step(cell, s, nj.Electrode(20.0, 0.0, 0.0), 0.1)
    return s


def test_a_population_of_schemes_is_each_cell_alone():
    cells = nj.replace(DELAYED, {"k.g_bar": np.linspace(20.0, 40.0, 5)})
    together = after_steps(cells)
    alone = after_steps(nj.replace(cells, {"k.g_bar": 40.0}))
    for many, one in zip(*map(jax.tree.leaves, (together, alone)), strict=True):
        np.testing.assert_allclose(many[4], one, rtol=1e-6)
    assert np.ptp(together.v) > 1


def test_derivatives_go_through_schemes(x64):
    def last(value):
        return after_steps(nj.replace(DELAYED, {"k.v_shift": value})).v

    slope = jax.jvp(last, (1.0,), (1.0,))[1]
    np.testing.assert_allclose(slope, (last(1.0001) - last(0.9999)) / 2e-4, rtol=1e-6)


def broken(**body):
    """A Ring with something else in it."""
    return nj.pytree(type("Broken", (Ring,), {"__annotations__": {}} | body))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"states": ()}, "Broken has no states"),
        ({"states": ("a", "b", "a", "c", "d")}, "Broken lists a state twice: a, b, a, c, d"),
        ({"transitions": lambda self, v: {}}, "Broken has no transitions"),
        ({"conducting": {}}, "Broken conducts in no state"),
        (
            {"transitions": lambda self, v: {"a->b": v, "b->a": v}},
            r"Broken: transition 'a->b': expected two states, as \('C', 'O'\)",
        ),
        ({"conducting": {"open": 1.0}}, "Broken: conducting: no state 'open'.*have: a, b, c, d"),
        (
            {"states": ("a", "b", "c", "dd")},
            "Broken: transition 'c' to 'd': no state 'd'; did you mean 'dd'",
        ),
        (
            {"transitions": lambda self, v: {("a", "b"): v, ("b", "b"): v}},
            "transition 'b' to 'b': a state is not left for itself",
        ),
        (
            {"states": ("a", "b", "c", "d", "e")},
            "not one steady state: 'e' cannot be reached from 'a'",
        ),
        (
            {"transitions": lambda self, v: {("a", k): v for k in "bcd"}},
            "not one steady state: 'b', 'c', 'd' cannot be left for 'a'",
        ),
    ],
)
def test_what_is_no_scheme_is_told_when_it_is_used(body, message):
    cell = nj.Cell(channels={"x": broken(**body)()})
    with pytest.raises(ValueError, match=message):
        nj.simulate(cell, nj.current_clamp(jnp.zeros(4)), initial=-65.0)
