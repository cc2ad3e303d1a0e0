"""The same comparisons where kernels are for: on an NVIDIA GPU, with all that Mosaic and ptxas do.

The reference is the scan on the CPU, in float64.
"""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kernels import needs_kernels

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa, catalogue
from neurojax.engine import runner
from neurojax.engine.gpu import kernel
from neurojax.model import load_model, packaged

DT = 0.025


def nvidia() -> list:
    try:
        return [d for d in jax.devices("gpu") if "nvidia" in d.device_kind.lower()]
    except RuntimeError:
        return []


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not nvidia(), reason="there is no NVIDIA GPU"),
    needs_kernels,
]


def squid(n=0):
    cell = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})
    return nj.replace(cell, {"na.g_bar": np.linspace(100.0, 140.0, n)}) if n else cell


def on_gpu(f):
    """f's result with kernels, and none of them a scan."""
    with warnings.catch_warnings(), jax.default_device(nvidia()[0]):
        warnings.simplefilter("error")
        return jax.tree.map(np.asarray, f())


def exact(f):
    with jax.default_device(jax.local_devices(backend="cpu")[0]), jax.enable_x64(True):
        return jax.tree.map(np.asarray, f())


def upstrokes(v):
    return np.flatnonzero((v[:-1] < 0) & (v[1:] >= 0))


def test_kernels_are_chosen():
    assert kernel.missing(nvidia()[0]) is None
    with jax.default_device(nvidia()[0]):
        assert runner.place_of(squid(3)).kernel == kernel.Kernel()


@pytest.mark.parametrize("n", [0, 1, 130])
@pytest.mark.parametrize("fast_math", [False, True])
def test_spikes_of_100_ms_are_within_a_step(n, fast_math):
    drive = nj.current_clamp(np.full(4000, 10.0))

    def run():
        count = {"n": nj.SpikeCount()}
        more = {"initial": -65.0, "folds": count, "fast_math": fast_math}
        return nj.simulate(squid(n), drive, DT, **more)

    got, want = on_gpu(run), exact(run)
    np.testing.assert_array_equal(got.folds["n"], want.folds["n"])
    assert got.ok.all() and got.v.shape == want.v.shape
    for cell in np.ndindex(got.v.shape[1:]):
        a, b = (upstrokes(r.v[:, *cell]) for r in (got, want))
        assert a.shape == b.shape and np.abs(a - b).max() <= 1


@pytest.mark.parametrize("name", packaged())
def test_every_model(name):
    cell = load_model(name).cell
    drive = nj.current_clamp(np.full(200, 0.0))

    def run():
        return nj.simulate(cell, drive, DT, every=20, initial=-60.0)

    got, want = on_gpu(run), exact(run)
    for a, b in zip(jax.tree.leaves(got.final), jax.tree.leaves(want.final), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("module", sorted({c.__module__ for c in catalogue().values()}))
def test_every_channel_compiles(module):
    ions = {
        "na": nj.Ion(valence=1, inside=10.0, outside=145.0),
        "k": nj.Ion(valence=1, inside=140.0, outside=5.0),
        "ca": nj.Ion(valence=2, inside=1e-3, outside=2.0),
        "cl": nj.Ion(valence=-1, inside=10.0, outside=110.0),
    }
    channels = {k: c() for k, c in catalogue().items() if c.__module__ == module}
    reads = {name for c in channels.values() for name in c.reads}
    inputs = {name: 0.3 for name in reads if name[:-2] not in ions}
    cell = nj.Cell(channels=channels, ions=ions, inputs=inputs, celsius=30.0, default_q10=1.0)
    clamp = nj.voltage_clamp(np.linspace(-90.0, 40.0, 100))

    def run():
        return nj.simulate(cell, clamp, DT, record=("v", "i_ion"), every=10)

    got, want = on_gpu(run), exact(run)
    np.testing.assert_allclose(got.data["i_ion"], want.data["i_ion"], rtol=1e-3, atol=1e-3)


def test_folds():
    drive = nj.current_clamp(np.full(800, 12.0))

    def run():
        target = nj.Target(jnp.linspace(-80.0, 20.0, 80), jnp.ones(80))
        folds = {
            "spikes": nj.SpikeCount(),
            "rate": nj.SpikeRate(),
            "gate": nj.Mean(of="k.n"),
            "current": nj.Mean(of="na.i"),
            "where": nj.Histogram(bins=7),
            "error": nj.VoltageError(data=target),
        }
        more = {"record": (), "every": 10, "initial": -65.0, "folds": folds}
        return nj.simulate(squid(300), drive, DT, **more).folds

    got, want = on_gpu(run), exact(run)
    np.testing.assert_array_equal(got["spikes"], want["spikes"])
    assert np.abs(got["where"] - want["where"]).sum() <= 0.01 * want["where"].sum()
    for name in ("rate", "gate", "current", "error"):
        np.testing.assert_allclose(got[name], want[name], rtol=1e-3, err_msg=name)


@pytest.mark.parametrize("n", [0, 5])
@pytest.mark.parametrize("P", [3, 9])
def test_gradients(P, n):
    # Before a spike, where derivatives do not grow without bounds.
    drive = nj.current_clamp(np.full(200, 3.0))
    names = ["na.g_bar", "C_m", "initial.v", *list(nj.parameters(squid()))]
    names = list(dict.fromkeys(names))[:P]

    def run():
        of = nj.VoltageError(data=nj.Target(jnp.linspace(-70.0, -60.0, 20), jnp.full(20, 0.2)))
        return nj.gradient(squid(n), drive, DT, of=of, wrt=names, every=10, initial=-65.0)

    got, want = on_gpu(run), exact(run)
    for a, b in zip(got[:2], want[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4 * np.abs(b).max())
    assert (got.matrix is None) == (P > 8)


def test_the_adjoint_in_little_memory():
    drive = nj.current_clamp(np.full(400, 3.0))
    names = list(nj.parameters(squid()))[:9]

    def run(**more):
        of = nj.Mean(of="v")
        return nj.gradient(squid(5), drive, DT, of=of, wrt=names, every=10, initial=-65.0, **more)

    whole, parts = on_gpu(run), on_gpu(lambda: run(memory_MB=0.2))
    np.testing.assert_allclose(parts.gradient, whole.gradient, rtol=1e-4, atol=1e-5)


def test_a_million_cells_are_counted():
    drive = nj.current_clamp(np.full(4000, 10.0))
    cells = nj.replace(squid(), {"na.g_bar": np.linspace(100.0, 140.0, 10**6, dtype=np.float32)})
    few = nj.replace(squid(), {"na.g_bar": np.linspace(100.0, 140.0, 10**6)[:: 10**5]})

    def run(cell):
        count = {"n": nj.SpikeCount()}
        return nj.simulate(cell, drive, DT, record=(), every=4, initial=-65.0, folds=count)

    r = on_gpu(lambda: run(cells))
    assert r.ok.all()
    np.testing.assert_array_equal(r.folds["n"][:: 10**5], exact(lambda: run(few)).folds["n"])


def test_more_records_than_memory():
    drive = nj.current_clamp(np.full(400, 10.0))

    def run(**more):
        return nj.simulate(squid(1000), drive, DT, initial=-65.0, **more).v

    np.testing.assert_array_equal(on_gpu(lambda: run(memory_MB=0.5)), on_gpu(run))


@pytest.mark.skipif(len(nvidia()) < 2, reason="there is one GPU")
def test_two_gpus_give_what_one_gives():
    drive = nj.current_clamp(np.full(400, 10.0))

    def run():
        return nj.simulate(squid(1000), drive, DT, initial=-65.0).v

    both = run()
    assert len(both.devices()) == len(jax.local_devices())
    np.testing.assert_array_equal(np.asarray(both), on_gpu(run))
