"""Channel noise: moments, spectra and numbers that theory and other simulations know."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import (
    EndplateAch,
    InterneuronNa,
    SquidK,
    SquidLeak,
    SquidNa,
)
from neurojax.engine import runner
from neurojax.engine.gpu.lanes import culprits
from neurojax.membrane.electrode import voltage_clamp
from neurojax.membrane.observables import observe
from neurojax.membrane.stochastic import Counted, Langevin, Noisy, as_noisy

UM2 = 1e-8  # cm2


def squid(area_um2=100.0) -> nj.Cell:
    channels = {"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}
    return nj.Cell(channels=channels, area=np.asarray(area_um2) * UM2)


def gate_of_k(v):
    g = SquidK().gating(jnp.asarray(v))["n"]
    return float(g.inf), float(g.rate)


# -- a patch of potassium channels under a clamp --------------------------------------------------
NUMBERS, TRIALS = np.array([10, 100, 1000, 10_000]), 256


@pytest.fixture(scope="module", params=[False, True], ids=["counted", "langevin"])
def opening(request):
    """Open fractions `[record, N, trial]` after a step from -60 to -20 mV, and at -20 from rest."""
    n = np.repeat(NUMBERS, TRIALS)
    cell = nj.stochastic(
        nj.Cell(channels={"k": SquidK()}), n_channels=n, seed=5, langevin=request.param
    )
    clamp = voltage_clamp(np.full(800, -20.0))
    r = nj.simulate(cell, clamp, initial=-60.0, record=("k.n4",), every=20)
    return np.asarray(r.data["k.n4"], np.float64).reshape(-1, len(NUMBERS), TRIALS), request.param


def expected_opening():
    (n0, _), (inf, rate) = gate_of_k(-60.0), gate_of_k(-20.0)
    t = (np.arange(20, 801, 20) - 1) * 0.025  # the first step still is at -60 mV
    return (inf + (n0 - inf) * np.exp(-rate * t)) ** 4


def test_the_mean_is_that_of_the_deterministic_channel(opening):
    seen, _ = opening
    p = expected_opening()[:, None]
    error = (seen.mean(axis=2) - p) / np.sqrt(p * (1 - p) / NUMBERS / TRIALS)
    # Standard errors, at 40 correlated times and 4 numbers; and no trend over all of them.
    assert np.abs(error[1:]).max() < 4.5
    assert np.abs(error[1:].mean(axis=0)).max() < 3


def test_the_variance_is_binomial_and_falls_with_the_number(opening):
    seen, langevin = opening
    p = expected_opening()[:, None]
    share = seen.var(axis=2) / (p * (1 - p) / NUMBERS)
    # 256 trials, and 20 records that are some 5 independent ones.
    np.testing.assert_allclose(share[20:].mean(axis=0), 1, atol=0.15)
    whole = seen * NUMBERS[:, None]
    assert langevin or np.abs(whole - np.round(whole)).max() < 1e-2


def test_a_patch_opens_as_its_particles_relax():
    # The autocorrelation of n^4 is known; its first term is the corner of a Lorentzian spectrum.
    cell = nj.Cell(channels={"k": SquidK()})
    cell = nj.stochastic(cell, n_channels=50, seed=np.arange(256))
    clamp = voltage_clamp(np.full(6000, -40.0))
    x = np.asarray(nj.simulate(cell, clamp, 0.05, record=("k.n4",), every=10).data["k.n4"])
    inf, rate = gate_of_k(-40.0)
    x = x - inf**4
    lags = np.arange(12)
    found = [(x[: len(x) - k] * x[k:]).mean() for k in lags]
    decay = np.exp(-rate * lags * 0.5)
    expected = inf**4 * ((inf + (1 - inf) * decay) ** 4 - inf**4) / 50
    np.testing.assert_allclose(found, expected, atol=0.03 * expected[0])


@pytest.mark.slow
def test_variance_against_mean_tells_the_single_channel():
    # Sigworth 1980: sigma^2 = i I - I^2 / N over the course of a sodium current.
    cell = nj.Cell(channels={"na": SquidNa()}, area=10 * UM2)
    cell = nj.stochastic(cell, n_channels={"na": 100}, seed=np.arange(768))
    clamp = voltage_clamp(np.zeros(240))
    r = nj.simulate(cell, clamp, initial=-100.0, record=("na.i",), every=4)
    i_pA = np.asarray(r.data["na.i"], np.float64) * 10 * UM2 * 1e6
    mean, variance = i_pA.mean(axis=1), i_pA.var(axis=1)
    weight = 1 / (np.abs(mean) + 0.05 * np.abs(mean).max())  # errors of a variance grow with it
    design = np.stack([mean, -(mean**2)], axis=1) * weight[:, None]
    unitary, per_N = np.linalg.lstsq(design, variance * weight, rcond=None)[0]
    exact = 120.0 * 10 * UM2 * 1e-3 / 100 * -50.0 * 1e9  # mS * mV = uA, in pA
    np.testing.assert_allclose(unitary, exact, rtol=0.05)
    np.testing.assert_allclose(1 / per_N, 100, rtol=0.25)
    assert (-mean).max() / -exact > 20


@pytest.mark.slow
@pytest.mark.parametrize("langevin", [False, True])
def test_noise_makes_a_small_patch_fire(langevin):
    patches = 192
    # Rates by an independent simulation: multinomial draws from the exponential of the rate
    # matrices, 300 patches of 400 ms each; +- 0.3, 0.23, 0.12. They fall with the area as those of
    # Skaugen & Walloe 1979 and Chow & White 1996.
    areas, expected = np.array([50.0, 100.0, 200.0]), np.array([20.64, 9.47, 1.98])
    cell = nj.stochastic(
        squid(np.repeat(areas, patches)), gamma_pS=20.0, seed=11, langevin=langevin
    )
    assert np.unique(cell.channels["na"].n_channels).tolist() == [3000, 6000, 12000]
    assert np.unique(cell.channels["k"].n_channels).tolist() == [900, 1800, 3600]
    r = nj.simulate(
        cell,
        nj.current_clamp(np.zeros(10_000)),
        record=(),
        every=10,
        initial=-65.0,
        folds={"rate": nj.SpikeRate(), "open": nj.Mean(of="na.m3h1")},
    )
    rates = np.asarray(r.folds["rate"]).reshape(3, -1)
    error = np.hypot(rates.std(axis=1) / patches**0.5, [0.3, 0.23, 0.12])
    assert r.ok.all()
    np.testing.assert_array_less(np.abs(rates.mean(axis=1) - expected) / error, 3.5)


# -- whose numbers they are -----------------------------------------------------------------------
CLAMP = nj.current_clamp(np.full(40, 5e-6))


def patches(n, **kind):
    cell = nj.Cell(channels={"k": SquidK(), "leak": SquidLeak()}, area=np.full(n, 20 * UM2))
    return nj.stochastic(cell, gamma_pS=20.0, **kind)


@jax.jit
def begun(cell):
    return nj.steady_state(cell, -60.0)


@jax.jit
def moved(cell, s, steps):
    tick = nj.Electrode(5e-6, 0.0, 0.0)
    return jax.lax.fori_loop(0, steps, lambda _, s: nj.step(cell, s, tick, 0.025), s)


def stepped(cell, s=None, steps=10):
    """The state some steps after -60 mV, or after a state."""
    return moved(cell, begun(cell) if s is None else s, steps)


def test_a_cell_has_the_same_numbers_wherever_it_is():
    cells, order = patches(200, seed=4), np.random.default_rng(0).permutation(200)
    together = stepped(cells)
    elsewhere = stepped(jax.tree.map(lambda a: a[order] if jnp.ndim(a) else a, cells))
    portions = stepped(cells, stepped(cells, steps=4), steps=6)
    assert len(np.unique(together.v)) > 150
    for whole, one, part in zip(
        *map(jax.tree.leaves, (together, elsewhere, portions)), strict=True
    ):
        np.testing.assert_array_equal(one, whole[order])
        np.testing.assert_array_equal(part, whole)


@pytest.mark.slow
def test_numbers_depend_on_neither_devices_nor_blocks_nor_portions(monkeypatch):
    cells = patches(300, seed=4)
    together = nj.simulate(cells, CLAMP, every=10, initial=-60.0)
    assert runner.place_of(cells).mesh.size == 2
    one = jax.sharding.Mesh(np.array(jax.local_devices()[:1]), ("pop",))
    place = runner.Place(one, "cpu")
    with monkeypatch.context() as patch:
        patch.setattr(runner, "place_of", lambda *_, **__: place)
        single = nj.simulate(cells, CLAMP, every=10, initial=-60.0)
        jax.clear_caches()
        patch.setattr(runner, "MOST", 128)
        blocks = nj.simulate(cells, CLAMP, every=10, initial=-60.0)
    jax.clear_caches()
    np.testing.assert_array_equal(together.v, single.v)
    np.testing.assert_array_equal(together.v, blocks.v)
    # A cell by itself, and a run in two portions: other numbers would be other potentials.
    alone = jax.tree.map(lambda a: a[299:] if jnp.ndim(a) else a, cells)
    alone = nj.simulate(alone, CLAMP, every=10, initial=-60.0)
    np.testing.assert_allclose(alone.v, together.v[:, 299:], rtol=1e-6)
    half = nj.current_clamp(np.full(20, 5e-6))
    first = nj.simulate(cells, half, every=10, initial=-60.0)
    second = nj.simulate(cells, half, every=10, initial=first.final)
    np.testing.assert_allclose(np.concatenate([first.v, second.v]), together.v, rtol=1e-6)


def test_equal_seeds_give_equal_noise_and_others_other():
    def last(cell):
        return np.asarray(stepped(cell, steps=40).v)

    one, same, other = (last(patches(200, seed=s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert len(np.unique(one)) > 195 and (one != other).mean() > 0.97
    frozen = last(patches(200, seed=np.repeat([5, 6], 100)))
    assert len(np.unique(frozen[:100])) == len(np.unique(frozen[100:])) == 1
    assert frozen[0] != frozen[100]


def test_each_channel_of_a_cell_has_numbers_of_its_own():
    channels = {"a": SquidK(), "b": SquidK(), "leak": SquidLeak()}
    cell = nj.stochastic(nj.Cell(channels=channels), n_channels=100, seed=np.arange(300))
    s = nj.steady_state(cell, -40.0)
    a, b = (np.asarray(s.x[k]["n4"]) for k in "ab")
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.2
    # The draw with which a run begins is binomial already.
    p = gate_of_k(-40.0)[0] ** 4
    np.testing.assert_allclose(a.mean(), p, atol=4 * np.sqrt(p / 100 / 300))
    np.testing.assert_allclose(a.var(), p * (1 - p) / 100, rtol=0.35)
    assert set(cell.channels["leak"].__dict__) == set(SquidLeak().__dict__)


def test_any_gates_and_schemes_can_have_noise():
    cell = nj.Cell(
        channels={"na": InterneuronNa(), "ach": EndplateAch(), "leak": SquidLeak()},
        inputs={"ach": 1e-3},
        area=100 * UM2,
    )
    noisy = nj.stochastic(cell, n_channels={"na": 200, "ach": 50}, seed=1)
    assert isinstance(noisy.channels["na"], Counted) and isinstance(noisy.channels["ach"], Counted)
    assert noisy.channels["na"].states == ("h0", "h1")
    s = stepped(noisy, steps=4)
    assert all(bool(jnp.isfinite(a)) for a in jax.tree.leaves(s))
    m, h1, shut = (observe(noisy, s, name) for name in ("na.m", "na.h1", "ach.R"))
    assert 0 < m < 1 and 0 <= shut <= 1
    for whole in (h1 * 200, shut * 50):
        np.testing.assert_allclose(whole, np.round(whole), atol=1e-3)
    assert culprits(noisy) == {}
    assert nj.parameters(noisy)["na.n_channels"][0] == 200


def test_the_number_is_that_of_single_conductances_in_the_whole():
    cell = squid([50.0, 100.0])
    k = nj.stochastic(cell, gamma_pS={"k": 10.0}).channels["k"]
    np.testing.assert_allclose(k.n_channels, [1800, 3600])
    assert type(nj.stochastic(cell, gamma_pS={"k": 10.0}).channels["na"]) is SquidNa
    assert isinstance(nj.stochastic(cell, gamma_pS=10.0, langevin=True).channels["k"], Langevin)


def test_a_cell_of_two_channels_with_gaussian_noise_compiles():
    # The flows of both channels once were one loop in which XLA:CPU copied each into all others.
    cell = nj.stochastic(squid([50.0, 100.0]), gamma_pS=20.0, langevin=True)
    assert nj.simulate(cell, nj.current_clamp(np.zeros(2)), initial=-65.0).ok.all()


def test_derivatives_pass_gaussian_noise_but_not_numbers():
    def last(g, langevin):
        cell = nj.Cell(channels={"k": SquidK(g_bar=g), "leak": SquidLeak()}, area=20 * UM2)
        cell = nj.stochastic(cell, n_channels=1000, seed=3, langevin=langevin)
        return stepped(cell).v

    slope = jax.jvp(lambda g: last(g, True), (36.0,), (1.0,))[1]
    np.testing.assert_allclose(
        slope, (last(36.5, True) - last(35.5, True)) / 1.0, rtol=0.02, atol=1e-3
    )
    with pytest.raises(TypeError, match="numbers of channels have no derivative"):
        jax.jvp(lambda g: last(g, False), (36.0,), (1.0,))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda c: nj.stochastic(c), "give either gamma_pS"),
        (lambda c: nj.stochastic(c, gamma_pS=20.0, n_channels=5), "give either gamma_pS"),
        (lambda c: nj.stochastic(c, gamma_pS={"nna": 20.0}), "no channel 'nna'; did you mean 'na'"),
        (lambda c: nj.stochastic(c, gamma_pS=-20.0), "gamma_pS = -20.0 is not positive"),
        (lambda c: nj.stochastic(c, gamma_pS=1e9), r"are 0 channels of 1e\+09 pS, not 1 to"),
        (
            lambda c: nj.stochastic(nj.replace(c, {"area": 1.0}), gamma_pS=20.0),
            r"'na': 120 mS/cm2 on 1 cm2 are 6e\+09 channels of 20 pS.*is the cell's area right",
        ),
        (lambda c: nj.stochastic(c, n_channels=0), "n_channels = 0: expected 1 to"),
        (lambda c: nj.stochastic(c, n_channels=3e6), "with langevin=True up to"),
        (lambda c: nj.stochastic(c, n_channels={"leak": 5}), "SquidLeak has no gate with a time"),
        (lambda c: nj.stochastic(c, n_channels=5, seed=-1), "seed = -1: expected whole numbers"),
        (lambda c: nj.stochastic(c, n_channels=5, seed=0.5), "seed = 0.5: expected whole numbers"),
        (
            lambda c: nj.stochastic(nj.stochastic(c, n_channels=5), n_channels={"k": 5}),
            "channel 'k': CountedSquidKScheme has its noise already",
        ),
        (lambda c: as_noisy(SquidLeak(), 5), "SquidLeak has no gate with a time course"),
    ],
)
def test_nonsense_is_refused_with_a_reason(make, message):
    with pytest.raises(ValueError, match=message):
        make(squid())


def test_a_population_by_its_electrode_is_asked_for_its_noise():
    cell = nj.stochastic(squid(), gamma_pS=20.0)
    with pytest.raises(ValueError, match=r"make it with seed=np.arange\(7\)"):
        nj.simulate(cell, nj.current_clamp(np.zeros((4, 7))))


def test_how_many_channels_there_are_is_said_in_one_way():
    for both in ({}, {"gamma_pS": 20.0, "n_channels": 100}):
        with pytest.raises(ValueError, match="give either gamma_pS, the conductance of a single"):
            nj.stochastic(squid(), **both)


def test_what_moves_by_chance_has_no_propagator():
    with pytest.raises(TypeError, match="CountedSquidKScheme moves by chance"):
        as_noisy(SquidK(), 5).propagator(np.zeros(()), 0.1)
    for moves in (Noisy._some, Noisy._moved):
        with pytest.raises(TypeError, match="make it Counted or Langevin"):
            moves(as_noisy(SquidK(), 5), *[None] * 3)
