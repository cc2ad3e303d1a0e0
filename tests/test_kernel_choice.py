"""When kernels are chosen, and what a user is told when they are not."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kernels import needs_kernels

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.engine import runner
from neurojax.engine.gpu import kernel, lanes

pytestmark = pytest.mark.smoke

CLAMP = nj.current_clamp(np.full(40, 10.0, np.float32))


class Device:
    """What a GPU says of itself."""

    platform, device_kind, id = "gpu", "NVIDIA H100 80GB HBM3", 0


@nj.pytree
class Sorting(nj.Channel):
    """A channel whose author sorts the potentials of all cells."""

    g_bar: float = 1.0
    E_rev: float = -60.0
    powers = {"n": 1}

    def gating(self, v):
        gates = SquidK().gating(v)
        return {"n": gates["n"]._replace(rate=jnp.sort(gates["n"].rate))}


@nj.pytree
class Middle(nj.Fold):
    """A fold that sorts what it sees of each cell, for which kernels have no primitive."""

    def init(self, cell, s):
        return jnp.zeros_like(s.v)

    def update(self, carry, cell, s, row):
        return carry + jnp.sort(jnp.stack([s.v, 100 * s.x["k"]["n"], -s.v]), axis=0)[1]


def squid(n=3):
    cell = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})
    return nj.replace(cell, {"na.g_bar": np.linspace(100.0, 140.0, n)})


@pytest.fixture
def gpu(monkeypatch):
    """A machine whose only device says that it is a GPU; nothing was said before."""
    device = Device()
    monkeypatch.setattr(runner, "_mesh_of", lambda *trees: None)
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    forgetful = kernel.missing, kernel.warn_of_scan
    for cached in forgetful:
        cached.cache_clear()
    yield device
    for cached in forgetful:
        cached.cache_clear()


def place_and_warnings(cell, **how):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        place = [runner.place_of(cell, **how) for _ in range(3)][-1]
    assert all(issubclass(w.category, RuntimeWarning) for w in caught)
    return place, [str(w.message) for w in caught]


@needs_kernels
def test_on_a_cpu_there_are_none_and_nobody_warns():
    assert "not an NVIDIA GPU" in kernel.missing(jax.local_devices()[0])
    place, said = place_and_warnings(squid())
    assert (place.platform, place.kernel, said) == ("cpu", None, [])


@needs_kernels
def test_on_a_gpu_that_runs_one_they_are_chosen(gpu, monkeypatch):
    monkeypatch.setattr(kernel, "missing", lambda device: None)
    assert place_and_warnings(squid()) == (runner.Place(None, "gpu", kernel.Kernel()), [])
    place, said = place_and_warnings(squid(), fast_math=True)
    assert place.kernel == kernel.Kernel(fast_math=True) and said == []


def test_an_old_jax_is_named_once(gpu, monkeypatch):
    monkeypatch.setattr(jax, "__version_info__", (0, 10, 2))
    monkeypatch.setattr(jax, "__version__", "0.10.2")
    place, (said,) = place_and_warnings(squid())
    assert (place.platform, place.kernel) == ("gpu", None)
    assert "many times slower: JAX 0.10.2 is too old (0.11 is needed, with Python 3.12)" in said


@needs_kernels
def test_a_gpu_of_another_maker_is_named(gpu):
    gpu.device_kind = "AMD Instinct MI300X"
    _, (said,) = place_and_warnings(squid())
    assert "AMD Instinct MI300X is not an NVIDIA GPU" in said


@needs_kernels
def test_a_first_kernel_that_fails_is_reported(gpu, monkeypatch):
    def fails(*args):
        raise RuntimeError("ptxas was not found\nand a long traceback")

    monkeypatch.setattr(jax, "default_device", fails)
    place, (said,) = place_and_warnings(squid())
    assert place.kernel is None
    assert said.endswith("a first kernel failed: RuntimeError: ptxas was not found")


@needs_kernels
def test_float64_is_named(gpu, monkeypatch, x64):
    monkeypatch.setattr(kernel, "missing", lambda device: None)
    place, (said,) = place_and_warnings(squid())
    assert place.kernel is None and "float64 is switched on" in said


def test_a_cable_is_a_kernel_that_knows_how_long_it_is(gpu, monkeypatch):
    monkeypatch.setattr(kernel, "missing", lambda device: None)
    channels = {"k": SquidK(), "pipette": nj.Pipette(), "leak": SquidLeak()}
    place, said = place_and_warnings(nj.cylinder(100.0, 1.0, 3, channels))
    assert not said and place.kernel.lengths == (2, 3)  # resistances, compartments


@needs_kernels
def test_a_channel_that_no_kernel_can_run_is_named(gpu, monkeypatch):
    monkeypatch.setattr(kernel, "missing", lambda device: None)
    cell = nj.Cell(channels={"x": Sorting(), "leak": SquidLeak(g_bar=jnp.asarray([0.2, 0.3]))})
    assert lanes.culprits(cell) == {"x": "Sorting uses 'sort'"}
    place, (said,) = place_and_warnings(cell)
    assert place.kernel is None and said.endswith("channel 'x': Sorting uses 'sort'")


@needs_kernels
def test_a_fold_that_no_kernel_can_run_is_computed_by_a_scan(monkeypatch):
    kernel.warn_of_scan.cache_clear()

    def run():
        return nj.simulate(squid(), CLAMP, every=20, initial=-65.0, folds={"m": Middle()})

    want = run()
    place = runner.Place(None, "cpu", kernel.Kernel(interpret=True))
    monkeypatch.setattr(runner, "place_of", lambda *a, **k: place)
    with pytest.warns(RuntimeWarning, match="many times slower: 'sort'"):
        got = run()
    np.testing.assert_allclose(got.folds["m"], want.folds["m"], rtol=2e-5)
    np.testing.assert_allclose(got.v, want.v, rtol=2e-5)


@needs_kernels
def test_between_records_such_a_fold_does_not_hinder_kernels():
    kernel.warn_of_scan.cache_clear()

    def f(leaves):
        def tick(x, _):
            return x + 1, None

        def record(x, _):
            x = jax.lax.scan(tick, x, length=4)[0]
            return jnp.sort(jnp.stack([x, 9 - x]))[0], x

        return jax.lax.scan(record, leaves[0], length=3)

    x = jnp.arange(128.0)
    with pytest.warns(RuntimeWarning, match="'sort'"):
        got = jax.jit(kernel.fused(f, [True], kernel.Kernel(interpret=True)))([x])
    jax.tree.map(np.testing.assert_array_equal, got, jax.vmap(f, -1, -1)([x]))
    program = jax.jit(kernel.fused(f, [True], kernel.Kernel())).trace([x])
    text = program.lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("custom_call @mosaic_gpu") == 1
