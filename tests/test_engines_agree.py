"""Every way to run a step gives the same numbers as a plain Python loop over it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kernels import needs_kernels

import neurojax as nj
from neurojax.channels import (
    CortexKm,
    CortexLeak,
    SquidK,
    SquidLeak,
    SquidNa,
)
from neurojax.engine import adjoint, runner, scan, tangent
from neurojax.engine.gpu import kernel

pytestmark = pytest.mark.smoke

DT = 0.025
N = 60
T = (np.arange(N) + 0.5) * DT

ELECTRODES = {
    "shared current": nj.current_clamp(jnp.full(N, 9.0)),
    "current of each cell": nj.current_clamp(np.linspace(0.0, 9.0, 3) * np.ones((N, 1))),
    "ideal clamp": nj.voltage_clamp(-65 + 40 * np.sin(T)),
    "coupling in time": nj.Electrode(2.0, -50.0, jnp.asarray(0.2 + 0.1 * np.sin(T))),
}


@nj.pytree
class Both(nj.Squares):
    """Two residuals a record, of different kinds."""

    def residual(self, cell, s, row):
        return jnp.stack([s.v - row, 5 * s.x["na"]["m"]])


def cell():
    channels = {"na": SquidNa(), "k": SquidK(), "m": CortexKm(), "leak": SquidLeak()}
    cell = nj.Cell(channels=channels, celsius=10.0)
    return nj.replace(cell, {"na.g_bar": jnp.array([80.0, 120.0, 160.0])})


def loop(cell, s, electrode, every):
    """The definition: one step after the other, in Python."""
    step = jax.jit(nj.step)
    seen = []
    for k in range(N // every * every):
        tick = jax.tree.map(lambda f, k=k: f[k] if jnp.ndim(f) else f, electrode)
        s = step(cell, s, tick, DT)
        if (k + 1) % every == 0:
            seen.append(s)
    return jax.tree.map(lambda *a: np.stack(a), *seen)


@pytest.mark.parametrize(("name", "every"), list(zip(ELECTRODES, (7, 1, 7, 1), strict=True)))
def test_scan_is_the_loop(name, every):
    s = nj.steady_state(cell(), -70.0)
    electrode = ELECTRODES[name]
    want = loop(cell(), s, electrode, every)
    final, seen, _ = jax.jit(
        lambda cell, s: scan.run(cell, s, electrode, DT, lambda cell, s: s, every)
    )(cell(), s)
    for a, b in zip(jax.tree.leaves(seen), jax.tree.leaves(want), strict=True):
        assert a.shape == b.shape == (N // every, 3)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)
    for a, b in zip(jax.tree.leaves(final), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b[-1], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", ["shared current", "coupling in time"])
def test_simulate_is_the_loop(name):
    want = loop(cell(), nj.steady_state(cell(), -70.0), ELECTRODES[name], 3)
    r = nj.simulate(
        cell(), ELECTRODES[name], DT, record=("v", "na.h", "m.p"), every=3, initial=-70.0
    )
    np.testing.assert_allclose(r.v, want.v, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(r.data["na.h"], want.x["na"]["h"], rtol=1e-5)
    np.testing.assert_allclose(r.data["m.p"], want.x["m"]["p"], rtol=1e-5)


@pytest.mark.parametrize("name", ELECTRODES)
def test_a_gradient_s_value_is_the_loop_s(name):
    electrode = ELECTRODES[name]
    want = loop(cell(), nj.steady_state(cell(), -70.0), electrode, 4)
    targets = jnp.linspace(-80.0, 0.0, N // 4)[:, None]

    def build(theta):
        made = nj.replace(cell(), theta)
        return made, nj.steady_state(made, -70.0)

    theta = {"na.g_bar": jnp.array([80.0, 120.0, 160.0])}

    @jax.jit
    def values(theta, fold):
        runs = [e.run(build, theta, electrode, DT, fold, every=4) for e in (tangent, adjoint)]
        return [run.value for run in runs]

    r = np.stack([want.v - targets, 5 * want.x["na"]["m"]])
    for value in values(theta, Both(data=targets)):
        np.testing.assert_allclose(value, (r * r).sum((0, 1)), rtol=1e-5)


def test_a_passive_cell_under_every_engine(x64):
    rc = nj.Cell(channels={"leak": CortexLeak(g_bar=0.1, E_rev=-70.0)})
    exact = -70 + 5 * (1 - np.exp(-(np.arange(N) + 1) * DT / 10))
    electrode = nj.current_clamp(jnp.full(N, 0.5))
    r = nj.simulate(rc, electrode, DT)
    np.testing.assert_allclose(r.v, exact, rtol=1e-10)
    target = nj.Target(r.v + 1.0, jnp.ones(N))

    def build(theta):
        made = nj.replace(rc, theta)
        return made, nj.at_rest(made)

    theta = {"leak.E_rev": jnp.asarray(-70.0)}
    fold = tangent.run(build, theta, electrode, DT, nj.VoltageError(data=target))
    back = adjoint.run(build, theta, electrode, DT, nj.VoltageError(data=target))
    # dv/dE = 1 from rest, and the residual is -1 throughout.
    assert float(fold.value) == pytest.approx(N, rel=1e-10)
    assert float(fold.gradient[0]) == pytest.approx(-2 * N, rel=1e-9)
    assert float(back.gradient[0]) == pytest.approx(-2 * N, rel=1e-9)
    assert float(fold.matrix[0, 0]) == pytest.approx(N, rel=1e-9)


@needs_kernels
def test_a_kernel_spikes_as_the_scan_does(monkeypatch):
    squid = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})
    cells = nj.replace(squid, {"na.g_bar": np.linspace(110.0, 130.0, 8)})
    drive = nj.current_clamp(np.full(2000, 10.0))

    def run():
        count = {"n": nj.SpikeCount()}
        r = nj.simulate(cells, drive, 0.05, initial=-65.0, folds=count)
        v = np.asarray(r.v)
        return v, np.asarray(r.folds["n"]), (v[:-1] < 0) & (v[1:] >= 0)

    v, counts, spikes = run()
    place = runner.Place(None, "cpu", kernel.Kernel(interpret=True))
    monkeypatch.setattr(runner, "place_of", lambda *a, **k: place)
    v_kernel, counts_kernel, spikes_kernel = run()
    np.testing.assert_array_equal(counts_kernel, counts)
    assert counts.min() >= 7
    first = np.flatnonzero(spikes.any(1))[0] - 10  # 0.5 ms before the first upstroke
    np.testing.assert_allclose(v_kernel[:first], v[:first], atol=1e-3)
    for cell in range(8):
        times, times_kernel = (np.flatnonzero(s[:, cell]) for s in (spikes, spikes_kernel))
        assert np.abs(times - times_kernel).max() <= 1
